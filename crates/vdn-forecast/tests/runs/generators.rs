//! The generator of a run's noise reaches everything that draws: training, validation, scores, probes.

use vdn_forecast::evaluate::evaluate;
use vdn_forecast::{Forecaster, ForecasterConfig, Variant};
use vdn_forecast::{RunConfig, forecast, layer_table, layer_use, mean_crps, probe, validate};
use vdn_model::Intervention;
use vdn_model::controllers::StackControl;
use vdn_tensor::noise::Generator;
use vdn_train::{BatchAverages, DiagnosticsConfig, NoiseSeed};
use vdn_train::{Trainer, diagnose};

/// The head reads its units from the start: whatever draws shows in the numbers.
const SMALL: &str = "[data]\ncolumns = [\"temp_max\"]\ninput_len = 24\nhorizon = 4\nmax_train = 64\nmax_validation = 16\n\
    max_test = 16\n[model]\nunits = 12\nhidden = 16\nhead_hidden = 16\nevaluate_samples = 4\nzero_output = false\n[train]\n\
    epochs = 2\nbatch = 16\n";

fn config(text: &str) -> RunConfig {
    RunConfig::from_toml(&format!("{SMALL}{text}")).unwrap()
}

#[test]
fn every_score_draws_from_the_generator_that_it_is_given() {
    let config = config("");
    let data = config.data.dataset(config.data.load_table().unwrap()).unwrap();
    let model = config.forecaster().unwrap();
    let (model, parameters) = Forecaster::new::<f32>(model, 3).unwrap();
    // A twin has no noise, and of two windows there is one swap: what is left is the order that makes the pairs.
    let pairs = BatchAverages { batch: 2, ..BatchAverages::default() };
    let twin = ForecasterConfig { variant: Variant::Twin, ..*model.config() };
    let (twin, twin_parameters) = Forecaster::new::<f32>(twin, 3).unwrap();
    let (windows, averages) = (&data.splits().test, BatchAverages::default());
    let validation = validate(&model, &parameters, &data, windows, 3, averages).unwrap();
    let layers = diagnose(&model, &validation, &StackControl::default()).unwrap();
    let settings = DiagnosticsConfig { windows: 8, ..DiagnosticsConfig::default() };
    type Score<'a> = (&'static str, Box<dyn Fn(NoiseSeed) -> Vec<f64> + 'a>);
    let scores: [Score<'_>; 8] = [
        (
            "evaluate",
            Box::new(|noise| {
                let none = Intervention::None;
                let found = evaluate(&model, &parameters, &data, windows, noise, none, averages);
                vec![found.unwrap().0.crps.mean]
            }),
        ),
        (
            "the order of swapped windows",
            Box::new(|noise| {
                let swap = Intervention::Permute;
                let found = evaluate(&twin, &twin_parameters, &data, windows, noise, swap, pairs);
                vec![found.unwrap().0.crps.mean]
            }),
        ),
        (
            "validate",
            Box::new(|noise| {
                let found = validate(&model, &parameters, &data, windows, noise, averages).unwrap();
                vec![found.nll]
            }),
        ),
        (
            "mean_crps",
            Box::new(|noise| {
                vec![mean_crps(&model, &parameters, &data, windows, noise, averages).unwrap()]
            }),
        ),
        (
            "forecast",
            Box::new(|noise| {
                let found = forecast(&model, &parameters, &data, windows, noise).unwrap();
                found.iter().flat_map(|prediction| prediction.means.clone()).collect()
            }),
        ),
        (
            "layer_use",
            Box::new(|noise| {
                let found =
                    layer_use(&model, &parameters, &data, windows, noise, None, 1.0).unwrap();
                vec![found.likelihood, found.prior_likelihood, found.crps, found.crps_permuted]
            }),
        ),
        (
            "probe",
            Box::new(|noise| {
                let found = probe(&model, &parameters, &data, noise, &settings, &layers).unwrap();
                found.unwrap().layers.remove(0).unit_use.value
            }),
        ),
        (
            "layer_table",
            Box::new(|noise| {
                let found = layer_table(&model, &parameters, &data, windows, noise).unwrap();
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

/// One draw of the trainer, and nothing else, decides what the first step sees: both runs start from the same weights.
#[test]
fn training_draws_from_the_generator_of_the_run() {
    let losses = |text: &str| -> Vec<f64> {
        let config = config(text);
        let data = config.data.dataset(config.data.load_table().unwrap()).unwrap();
        let model = config.forecaster().unwrap();
        let (model, mut parameters) = Forecaster::new::<f32>(model, config.train.seed).unwrap();
        let trained = Trainer::new(&config).train(&model, &mut parameters, &data, |_| {}).unwrap();
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
    for name in ["line 2", "philox4x32-10", "ars-7"] {
        assert!(error.contains(name), "{name}: {error}");
    }
}
