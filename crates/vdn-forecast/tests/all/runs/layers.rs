//! The table of layers: exact where possible, and equal to the parts from which it is computed.

use vdn_autograd::Tape;
use vdn_forecast::config::RunConfig;
use vdn_forecast::data::Dataset;
use vdn_forecast::evaluate::evaluate;
use vdn_forecast::forecaster::{Batch, Forecaster, Prediction};
use vdn_model::core::{Bindings, Graph, Mode, Parameters};
use vdn_model::units::{Intervention, UnitStatistics};
use vdn_tensor::noise::NoiseKey;
use vdn_train::evaluate::Evaluator;
use vdn_train::train::ByOutcomes;

fn prepare(model: &str, epochs: usize) -> (Forecaster, Parameters<f64>, Dataset) {
    let text = format!(
        "[data]\ninput_len = 24\nhorizon = 4\nmax_train = 64\nmax_validation = 16\nmax_test = 20\n[train]\nepochs = {}\n\
         [model]\nunits = 12\nhidden = 16\nhead_hidden = 16\nevaluate_samples = 4\n{model}",
        epochs.max(1)
    );
    let config = RunConfig::from_toml(&text).unwrap();
    let data = config.data.dataset(config.data.load_table().unwrap()).unwrap();
    let own = config.forecaster_for(&data).unwrap();
    let (model, mut parameters) = Forecaster::new::<f64>(own, 1).unwrap();
    if epochs > 0 {
        let trainer = config.trainer();
        let session = trainer.session(&model, &mut parameters, &data).unwrap();
        session.with_task(ByOutcomes).run(|_| {}).unwrap();
    }
    (model, parameters, data)
}

/// A head with zero output uses no latent. The value of every layer is exactly 0, and its net value
/// is minus its KL.
#[test]
fn layers_that_nothing_reads_are_worth_minus_their_kl() {
    let (model, parameters, data) = prepare("depth = 3\n", 0);
    let evaluator = Evaluator::new(&model, &parameters, &data, 5);
    let table = evaluator.layer_table(&data.splits().test).unwrap();
    assert_eq!(table.rows.len(), 3);
    for row in &table.rows {
        assert_eq!((row.value.mean, row.value.standard_error), (0.0, Some(0.0)), "{row:?}");
        assert!(row.kl.mean > 0.0 && row.net.mean == -row.kl.mean, "{row:?}");
    }
    assert_eq!(table.worth_up_to(), 0);
    assert_eq!(table.value.mean, 0.0);
}

#[test]
fn the_table_agrees_with_the_parts_it_is_made_of() {
    let (model, parameters, data) =
        prepare("widths = [12, 6]\nresidual = true\ndistributional_fraction = [1.0, 0.5]\n", 2);
    let test = &data.splits().test;
    let evaluator = Evaluator::new(&model, &parameters, &data, 5);
    let table = evaluator.layer_table(test).unwrap();
    let counts: Vec<_> = table.rows.iter().map(|r| (r.layer, r.units, r.distributional)).collect();
    assert_eq!(counts, [(0, 12, 12), (1, 6, 3)]);
    // The KL from windows equals the KL from statistics.
    let (_, units) = evaluate(&evaluator, test, Intervention::None).unwrap();
    assert_eq!(units.iter().map(UnitStatistics::dims).collect::<Vec<_>>(), [12, 3]);
    let by_statistics: f64 = units.iter().flat_map(UnitStatistics::kl).sum();
    // Two ways to sum some hundred thousand positive numbers of size 1 in double precision.
    assert!(
        (table.kl.mean / by_statistics - 1.0).abs() < 1e-12,
        "{} {by_statistics}",
        table.kl.mean
    );
    let split: f64 = table.rows.iter().map(|row| row.kl.mean).sum();
    assert!((table.kl.mean / split - 1.0).abs() < 1e-12);
    let mean = |x: &[f64]| x.iter().sum::<f64>() / x.len() as f64;
    assert!((table.rows[0].rate - mean(&units[0].rate())).abs() < 1e-12);
    assert!((table.rows[1].energy - mean(&units[1].energy())).abs() < 1e-12);
    for row in &table.rows {
        assert!((row.net.mean - row.value.mean + row.kl.mean).abs() < 1e-12, "{row:?}");
        assert!(row.value.mean != 0.0, "{row:?}");
    }
    // The first batch again, computed by hand: 80 windows are one batch.
    assert_eq!((table.windows, test.len()), (80, 80));
    let spec = data.spec();
    let mut windows = [vec![0.0; 80 * spec.input_len], vec![0.0; 80 * spec.input_len]];
    for (lag, to) in windows.iter_mut().enumerate() {
        data.fill_inputs(test, lag, to, |x| x).unwrap();
    }
    let mut target = vec![0.0; 80 * spec.horizon];
    data.fill_targets(test, &mut target, |x| x).unwrap();
    let predict = |intervention| -> Prediction {
        let batch = Batch { current: &windows[0], previous: &windows[1], ..Batch::default() };
        let key = NoiseKey::new(5, 0, u32::MAX - 1).fold_in(0);
        let (mut tape, mut bindings) = (Tape::new(), Bindings::new());
        let mut graph = Graph::new(&mut tape, &parameters, &mut bindings, Mode::Evaluate, key);
        model.predict(&mut graph, &batch, intervention).unwrap().0
    };
    let likelihood = |prediction: &Prediction| -> f64 {
        let [samples, rows, horizon] = prediction.shape;
        let mut sum = 0.0;
        for (i, m) in prediction.means.iter().enumerate() {
            let (at, sigma) = (i % (rows * horizon), prediction.sigma[i % (rows * horizon)]);
            let x = (target[at] - m) / sigma;
            sum += -0.5 * x * x - (sigma * std::f64::consts::TAU.sqrt()).ln();
        }
        sum / (samples * rows) as f64
    };
    let own = likelihood(&predict(Intervention::None));
    assert!((table.log_likelihood.mean - own).abs() < 1e-10, "{:?} {own}", table.log_likelihood);
    for (layer, row) in table.rows.iter().enumerate() {
        let value = own - likelihood(&predict(Intervention::LayerPrior(layer)));
        assert!((row.value.mean - value).abs() < 1e-10, "{layer}: {row:?} {value}");
    }
    let value = own - likelihood(&predict(Intervention::Prior));
    assert!((table.value.mean - value).abs() < 1e-10, "{:?} {value}", table.value);
}

#[test]
fn a_model_without_distributions_has_no_table() {
    let (model, parameters, data) = prepare("distributional_fraction = 0.0\n", 0);
    let evaluator = Evaluator::new(&model, &parameters, &data, 5);
    let error = evaluator.layer_table(&data.splits().test).unwrap_err();
    assert!(error.to_string().contains("no unit"), "{error}");
}
