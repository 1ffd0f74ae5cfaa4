//! Models of several layers from a configuration to stored weights and back.

use vdn_model::{Activation, Variant};
use vdn_train::{RunConfig, RunDirectory, evaluate_run, train_run};

const SMALL: &str = "[data]\ninput_len = 24\nhorizon = 4\nmax_train = 64\nmax_validation = 16\nmax_test = 16\n\
                     [train]\nepochs = 2\n[model]\nunits = 16\nhidden = 16\nhead_hidden = 16\nevaluate_samples = 4\n";

fn config(model: &str) -> RunConfig {
    RunConfig::from_toml(&format!("{SMALL}{model}")).unwrap()
}

#[test]
fn settings_of_a_stack_have_names_and_come_back() {
    let config = config(
        "depth = 3\nwidths = [16, 8, 4]\ndistributional_fraction = [1.0, 0.5, 0.25]\n\
         layer_beta = 2.0\nresidual = true\nlayer_norm = true\nactivation = \"identity\"\nvariant = \"gated_twin\"\n",
    );
    let model = config.model.to_forecaster(&config.data).unwrap();
    assert_eq!((model.depth, model.width(1), model.width(2)), (3, 8, 4));
    assert_eq!(model.distributional_fraction.get(2), 0.25);
    assert!((model.beta_of(2) - 2.0 * model.beta).abs() < 1e-18);
    assert!(model.residual && model.layer_norm);
    assert_eq!((model.activation, model.variant), (Activation::Identity, Variant::GatedTwin));
    let again = RunConfig::from_toml(&config.to_toml().unwrap()).unwrap();
    assert_eq!(again, config);
    // Widths alone give the depth.
    let widths = self::config("widths = [16, 8]\n");
    assert_eq!(widths.model.to_forecaster(&widths.data).unwrap().depth, 2);
}

#[test]
fn settings_that_contradict_each_other_are_refused() {
    let cases = [
        ("depth = 2\nwidths = [16, 8, 4]\n", "widths"),
        ("depth = 40\n", "depth"),
        ("distributional_fraction = 1.5\n", "distributional_fraction"),
        ("family = \"student_t\"\ndegrees_of_freedom = 2.0\n", "degrees_of_freedom"),
        ("family = \"laplace\"\ndegrees_of_freedom = 5.0\n", "student_t"),
        ("family = \"laplace\"\nobjective = \"iwae\"\n", "objective"),
        ("family = \"laplace\"\n[control]\nmode = \"homeo\"\n", "normal units"),
    ];
    for (text, reason) in cases {
        let error = config(text).validate().unwrap_err().to_string();
        assert!(error.contains(reason), "{text}: {error}");
    }
}

/// A run of three unlike layers trains, and what is stored scores the same.
#[test]
fn stored_weights_of_a_stack_score_as_the_trained_ones() {
    for extra in
        ["residual = true\nlayer_norm = true\n", "distributional_fraction = [1.0, 0.0, 0.5]\n"]
    {
        let directory = tempfile::tempdir().unwrap();
        let config = config(&format!("widths = [16, 8, 12]\n{extra}"));
        let trained = train_run(&config, Some(directory.path()), |_, _| {}).unwrap();
        let again = evaluate_run(&RunDirectory::open(directory.path()).unwrap()).unwrap();
        let scores = |report: &vdn_train::Report| -> Vec<[f64; 3]> {
            report.rows.iter().map(|row| [row.mse, row.nll, row.crps]).collect()
        };
        assert_eq!(scores(&trained), scores(&again), "{extra}");
        assert!(scores(&trained).iter().flatten().all(|x| x.is_finite()), "{extra}");
    }
}

/// Every depth up to the largest takes training steps on the demo, and nothing becomes infinite.
#[test]
fn depths_from_one_to_sixteen_train() {
    for depth in [1, 2, 4, 8, 16] {
        let report = train_run(&config(&format!("depth = {depth}\n")), None, |_, progress| {
            if let vdn_train::Progress::Epoch(epoch) = progress {
                let numbers = [epoch.loss, epoch.kl, epoch.validation_nll, epoch.rate];
                assert!(numbers.iter().all(|x| x.is_finite()), "{depth}: {numbers:?}");
                assert!(epoch.kl > 0.0, "{depth}: {numbers:?}");
            }
        });
        assert!(report.unwrap().rows[0].nll.is_finite(), "{depth}");
    }
}

/// Every family, with both priors, trains on the demo; a rate budget reads its KL and statistics.
#[test]
fn families_and_learned_priors_train() {
    for family in ["normal", "log_normal", "laplace", "logistic", "student_t"] {
        for extra in ["", "prior = \"learned\"\ndepth = 2\n", "[control]\nmode = \"rate\"\n"] {
            let config = config(&format!("family = \"{family}\"\n{extra}"));
            let report = train_run(&config, None, |_, progress| {
                if let vdn_train::Progress::Epoch(epoch) = progress {
                    let sum = epoch.rate + epoch.mismatch;
                    assert!(epoch.kl > 0.0 && sum.is_finite(), "{family} {extra}");
                }
            });
            assert!(report.unwrap().rows[0].nll.is_finite(), "{family} {extra}");
        }
    }
}
