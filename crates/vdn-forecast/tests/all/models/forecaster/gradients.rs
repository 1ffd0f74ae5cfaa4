//! The gradients of whole forecasters in f64, compared with central differences.

use crate::models::support::{sampled, wrong_gradients};
use vdn_autograd::Score;
use vdn_forecast::forecaster::{Aggregation, Dependence, ForecasterConfig, Variant};
use vdn_forecast::modules::Centre;
use vdn_model::objective::Objective;
use vdn_model::units::SigmaMode;
use vdn_tensor::kernels::Pool;

#[test]
fn whole_forecasters_have_the_gradients_of_their_loss() {
    let default = sampled();
    // A weight of the KL that is large enough to matter beside the score.
    let beta = 0.05;
    let cases = [
        ("default", ForecasterConfig { beta, ..default }),
        ("compatibility", ForecasterConfig { beta, ..ForecasterConfig::compatibility() }),
        ("twin", ForecasterConfig { variant: Variant::Twin, ..default }),
        ("reference twin", ForecasterConfig { variant: Variant::ReferenceTwin, ..default }),
        ("vector-valued units", ForecasterConfig { beta, latent_dims: 3, ..default }),
        (
            "pooled units",
            ForecasterConfig { beta, latent_dims: 2, pooling: Some(Pool::SumSqrtK), ..default },
        ),
        (
            "one sigma",
            ForecasterConfig { beta, sigma: SigmaMode::Scalar, antithetic: true, ..default },
        ),
        ("joint, scored", {
            let aggregation = Aggregation::Score;
            ForecasterConfig { beta, score: Score::Joint, aggregation, ..default }
        }),
        ("last value, scaled", {
            let (normalization, divide_by_deviation) = (Centre::Last, true);
            ForecasterConfig { normalization, divide_by_deviation, gated: false, ..default }
        }),
        ("joint", ForecasterConfig { dependence: Dependence::Joint, ..default }),
        ("elbo", ForecasterConfig { objective: Objective::Elbo, ..default }),
        ("iwae", ForecasterConfig { objective: Objective::Iwae, ..default }),
    ];
    let wrong = wrong_gradients(cases);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
