//! The random generator of a run is used by everything that draws: training, validation, scores and
//! probes.

use vdn_forecast::config::RunConfig;
use vdn_forecast::evaluate::{evaluate, forecast};
use vdn_forecast::forecaster::{Forecaster, ForecasterConfig, Variant};
use vdn_model::controllers::StackControl;
use vdn_model::units::Intervention;
use vdn_tensor::noise::Generator;
use vdn_train::config::DiagnosticsConfig;
use vdn_train::evaluate::{BatchAverages, Evaluator};
use vdn_train::train::{ByOutcomes, NoiseSeed};
use vdn_train::units::{Outcome, diagnose};

/// The head uses its units from the start, so that every draw affects the numbers.
const SMALL: &str = "[data]\ncolumns = [\"temp_max\"]\ninput_len = 24\nhorizon = 4\nmax_train = 64\nmax_validation = 16\n\
    max_test = 16\n[model]\nunits = 12\nhidden = 16\n\
    head_hidden = 16\nevaluate_samples = 4\nzero_output = false\n\
    dependence = \"sampled\"\n[train]\n\
    epochs = 2\nbatch = 16\n";

fn config(text: &str) -> RunConfig {
    RunConfig::from_toml(&format!("{SMALL}{text}")).unwrap()
}

#[test]
fn every_score_draws_from_the_generator_that_it_is_given() {
    let config = config("");
    let data = config.data.dataset(config.data.load_table().unwrap()).unwrap();
    let model = config.forecaster_for(&data).unwrap();
    let (model, parameters) = Forecaster::new::<f32>(model, 3).unwrap();
    // A twin has no noise, and two windows have only one swap. What remains is the order that forms
    // the pairs.
    let pairs = BatchAverages { batch: 2, ..BatchAverages::default() };
    let twin = ForecasterConfig { variant: Variant::Twin, ..*model.config() };
    let (twin, twin_parameters) = Forecaster::new::<f32>(twin, 3).unwrap();
    let (windows, control) = (&data.splits().test, StackControl::default());
    let of = |noise: NoiseSeed| Evaluator::new(&model, &parameters, &data, noise);
    let validation = of(3.into()).validate(windows, &control).unwrap();
    let layers = diagnose::<f32, _>(&model, &validation, &control).unwrap();
    let settings = DiagnosticsConfig { windows: 8, ..DiagnosticsConfig::default() };
    type Score<'a> = (&'static str, Box<dyn Fn(NoiseSeed) -> Vec<f64> + 'a>);
    let scores: [Score<'_>; 8] = [
        (
            "evaluate",
            Box::new(|noise| {
                let found = evaluate(&of(noise), windows, Intervention::None);
                vec![found.unwrap().0.crps.mean]
            }),
        ),
        (
            "the order of swapped windows",
            Box::new(|noise| {
                let own = Evaluator::new(&twin, &twin_parameters, &data, noise).averaging(pairs);
                let found = evaluate(&own, windows, Intervention::Permute);
                vec![found.unwrap().0.crps.mean]
            }),
        ),
        ("validate", Box::new(|noise| vec![of(noise).validate(windows, &control).unwrap().score])),
        (
            "mean_outcome",
            Box::new(|noise| {
                let crps = |outcome: &Outcome| outcome.crps;
                vec![of(noise).mean_outcome(windows, Intervention::None, crps).unwrap()]
            }),
        ),
        (
            "forecast",
            Box::new(|noise| {
                let found = forecast(&of(noise), windows).unwrap();
                found.iter().flat_map(|prediction| prediction.means.clone()).collect()
            }),
        ),
        (
            "layer_use",
            Box::new(|noise| {
                let found = of(noise).layer_use(windows, None, 1.0).unwrap();
                vec![found.likelihood, found.prior_likelihood, found.crps, found.crps_permuted]
            }),
        ),
        (
            "probe",
            Box::new(|noise| {
                let validation = &data.splits().validation;
                let found = of(noise).probe(validation, &settings, &layers).unwrap();
                found.unwrap().layers.remove(0).unit_use.value
            }),
        ),
        (
            "layer_table",
            Box::new(|noise| {
                let found = of(noise).layer_table(windows).unwrap();
                vec![found.log_likelihood.mean, found.value.mean]
            }),
        ),
    ];
    for (name, score) in scores {
        let of = |generator| score(NoiseSeed { seed: 5, generator });
        let (philox, ars) = (of(Generator::Philox10), of(Generator::Ars7));
        assert_eq!(philox, score(5.into()), "{name}: the default generator");
        assert_eq!(ars, of(Generator::Ars7), "{name}: twice the same");
        for (i, (a, b)) in philox.iter().zip(&ars).enumerate() {
            assert!(a != b, "{name}: number {i} is {a} with both generators");
        }
    }
}

/// Only the trainer's draw decides the data of the first step: both runs start from the same
/// weights.
#[test]
fn training_draws_from_the_generator_of_the_run() {
    let losses = |text: &str| -> Vec<f64> {
        let config = config(text);
        let data = config.data.dataset(config.data.load_table().unwrap()).unwrap();
        let model = config.forecaster_for(&data).unwrap();
        let (model, mut parameters) = Forecaster::new::<f32>(model, config.train.seed).unwrap();
        let trainer = config.trainer();
        let session = trainer.session(&model, &mut parameters, &data).unwrap();
        let trained = session.with_task(ByOutcomes).run(|_| {}).unwrap();
        trained.history.iter().flat_map(|epoch| [epoch.loss, epoch.validation_nll]).collect()
    };
    let default = losses("");
    assert_eq!(default, losses("generator = \"philox4x32-10\"\n"));
    let other = losses("generator = \"ars-7\"\n");
    assert!(default.iter().zip(&other).all(|(a, b)| a != b), "{default:?} {other:?}");
    assert!(other.iter().all(|x| x.is_finite()));
}

#[test]
fn generators_have_the_names_of_their_publication() {
    assert!(config("").to_toml().unwrap().contains("generator = \"philox4x32-10\""));
    let ars = config("generator = \"ars-7\"\n");
    assert!(ars.to_toml().unwrap().contains("generator = \"ars-7\""));
    assert_eq!(ars.train.noise(), NoiseSeed { seed: 0, generator: Generator::Ars7 });
    let error = RunConfig::from_toml("[train]\ngenerator = \"philox\"\n").unwrap_err().to_string();
    for name in ["train.generator = \"philox\": has to be one of", "philox4x32-10", "ars-7"] {
        assert!(error.contains(name), "{name}: {error}");
    }
}
