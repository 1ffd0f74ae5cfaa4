//! The gradients of whole forecasters, in f64, against central differences.

use super::common::{Data, KEY, scatter, small};
use vdn_autograd::{Error, Score, check_gradients};
use vdn_model::{
    Aggregation, Bindings, Centre, Forecaster, ForecasterConfig, Graph, InstanceNorm, Mode,
    ModelError, Objective, SigmaMode, Variant,
};
use vdn_tensor::Tensor;
use vdn_tensor::kernels::Pool;

/// Checks every parameter that takes part in the loss; gives what is wrong, if anything.
fn check(name: &str, config: ForecasterConfig) -> Option<String> {
    let (model, mut parameters) = match Forecaster::new::<f64>(small(config), 3) {
        Ok(built) => built,
        Err(error) => return Some(format!("{name}: {error}")),
    };
    // Output layers that start at zero would hide everything before them.
    scatter(&mut parameters, 0.2);
    let data = Data::<f64>::new(model.config(), 3, 1);
    let (_, used, _) = match super::common::loss(&model, &parameters, &data, Mode::Train) {
        Ok(pass) => pass,
        Err(error) => return Some(format!("{name}: {error}")),
    };
    let taking_part: Vec<usize> =
        (0..parameters.len()).filter(|&i| used.get(i).is_some()).collect();
    let all: Vec<_> = parameters.iter().collect();
    let ids: Vec<_> = taking_part.iter().filter_map(|&i| parameters.find(all[i].name())).collect();
    let inputs: Vec<Tensor<f64>> =
        taking_part.iter().map(|&i| (**all[i].tensor()).clone()).collect();
    let report = check_gradients(&inputs, |tape, vars| {
        let mut bindings = Bindings::new();
        // The noise, dropout's too, is a function of the key: the loss is a smooth function of the parameters.
        let mut graph = Graph::new(tape, &parameters, &mut bindings, Mode::Train, KEY);
        ids.iter().zip(vars).for_each(|(&id, &var)| graph.bind(id, var));
        match model.loss(&mut graph, &data.batch()) {
            Ok(terms) => Ok(terms.loss),
            Err(ModelError::Autograd(error)) => Err(error),
            Err(error) => Err(Error::invalid("loss", error.to_string())),
        }
    });
    match report {
        Ok(report) if report.passed() => None,
        Ok(report) => Some(format!("{name}: {report}")),
        Err(error) => Some(format!("{name}: {error}")),
    }
}

#[test]
fn whole_forecasters_have_the_gradients_of_their_loss() {
    let default = ForecasterConfig::default();
    // A weight of the KL that can be seen beside the score.
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
            let normalization = InstanceNorm { centre: Centre::Last, divide_by_deviation: true };
            ForecasterConfig { normalization, gated: false, ..default }
        }),
        ("elbo", ForecasterConfig { objective: Objective::Elbo, ..default }),
        ("iwae", ForecasterConfig { objective: Objective::Iwae, ..default }),
    ];
    let wrong: Vec<String> =
        cases.into_iter().filter_map(|(name, config)| check(name, config)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
