//! A non-finite number stops training with a message on operation, layer, unit and step. Usable
//! weights remain.

use vdn_forecast::config::{DataConfig, RunConfig};
use vdn_forecast::data::Dataset;
use vdn_forecast::forecaster::{Forecaster, ForecasterConfig};
use vdn_model::controllers::StackControl;
use vdn_model::core::Parameters;
use vdn_train::TrainError;
use vdn_train::config::TrainConfig;
use vdn_train::data::{Table, TableOptions};
use vdn_train::evaluate::Evaluator;
use vdn_train::train::{ByOutcomes, Progress, Trained, Trainer};

const UNITS: usize = 12;
/// The unit in which a number is planted.
const UNIT: usize = 7;

fn dataset() -> Dataset {
    let data = DataConfig {
        columns: Some(vec!["temp_max".into()]),
        input_len: 24,
        horizon: 4,
        max_train: Some(64),
        max_validation: Some(16),
        ..DataConfig::default()
    };
    data.dataset(data.load_table().unwrap()).unwrap()
}

fn model() -> (Forecaster, Parameters<f32>) {
    let config = ForecasterConfig {
        input_len: 24,
        horizon: 4,
        hidden: 16,
        units: UNITS,
        latent_dims: 2,
        head_hidden: 8,
        ..ForecasterConfig::default()
    };
    Forecaster::new(config, 0).unwrap()
}

fn trainer(learning_rate: f64) -> Trainer {
    let train = TrainConfig { batch: 16, epochs: 2, learning_rate, ..TrainConfig::default() };
    RunConfig { train, ..RunConfig::default() }.trainer()
}

fn train(
    trainer: &Trainer,
    model: &Forecaster,
    parameters: &mut Parameters<f32>,
    progress: impl FnMut(Progress<'_>),
) -> Result<Trained, TrainError> {
    let data = dataset();
    trainer.session(model, parameters, &data)?.with_task(ByOutcomes).run(progress)
}

/// Returns the final message of a training in which `value` is in the unit's rows of this
/// parameter.
fn planted(name: &str, value: f32) -> String {
    let (model, mut parameters) = model();
    let id = parameters.find(name).unwrap();
    let data = parameters.data_mut(id.index());
    let rows = data.len() / UNITS;
    data[UNIT * rows..][..rows].fill(value);
    let error = train(&trainer(1e-3), &model, &mut parameters, |_| {}).unwrap_err();
    assert!(matches!(error, TrainError::NonFinite { step: 0, .. }), "{error:?}");
    error.to_string()
}

#[test]
fn what_is_planted_in_a_unit_is_reported_with_operation_layer_unit_and_step() {
    let cases = [
        ("neuron.mu.weight", f32::NAN, "shared"),
        ("neuron.log_sigma_layer.bias", f32::NAN, "shared"),
        ("neuron.log_sigma_layer.weight", f32::NAN, "shared"),
        // Finite, but the square of the mean is not.
        ("neuron.mu.weight", f32::MAX, "sample_kl"),
    ];
    for (name, value, operation) in cases {
        let message = planted(name, value);
        println!("{name} = {value}: {message}");
        for part in ["step 0: ", operation, "neuron", &format!("unit {UNIT}")] {
            assert!(message.contains(part), "{name} = {value}: {part} is not in: {message}");
        }
        assert!(!message.contains(&format!("unit {}", 2 * UNIT)), "{message}");
    }
}

#[test]
fn the_step_is_the_one_that_failed_and_the_best_weights_are_left() {
    let (model, mut parameters) = model();
    let data = dataset();
    // One epoch of small steps, then one step that is far too large.
    let mut trainer = trainer(1e-3);
    trainer.train.epochs = 1;
    train(&trainer, &model, &mut parameters, |_| {}).unwrap();
    trainer.train.learning_rate = 1e30;
    let error = train(&trainer, &model, &mut parameters, |_| {}).unwrap_err();
    let TrainError::NonFinite { step, .. } = &error else { panic!("{error}") };
    // The first step succeeds; the next one cannot be computed.
    assert_eq!(*step, 1, "{error}");
    println!("{error}");

    // The weight decay multiplies all weights by -20 at each step. The first epoch of four steps
    // still has numbers; the second does not, so the first remains.
    let (model, mut parameters) = self::model();
    let mut trainer = self::trainer(1e-3);
    trainer.optimizer.weight_decay = 21e3;
    let mut epochs = 0;
    let result = train(&trainer, &model, &mut parameters, |event| {
        epochs += usize::from(matches!(event, Progress::Epoch(_)));
    });
    let error = result.unwrap_err();
    let TrainError::NonFinite { step: 4..=8, .. } = &error else { panic!("{error}") };
    assert_eq!(epochs, 1, "{error}");
    assert!(error.to_string().contains("the norm of all gradients together overflows"), "{error}");
    println!("{error}");
    let windows = &data.splits().validation;
    let left = Evaluator::new(&model, &parameters, &data, 0).averaging(trainer.train.averages());
    let left = left.validate(windows, &StackControl::default()).unwrap();
    assert!(left.score.is_finite());
}

#[test]
fn a_gradient_that_overflows_is_reported_with_parameter_and_unit() {
    // A unit with large deviations, and a weight of the KL that makes its gradient the largest; the
    // sum of squares overflows.
    let (model, mut parameters) = model();
    let config = ForecasterConfig { beta: 1e36, ..*model.config() };
    let (model, _) = Forecaster::new::<f32>(config, 0).unwrap();
    let id = parameters.find("neuron.log_sigma_layer.bias").unwrap();
    parameters.data_mut(id.index())[2 * UNIT..][..2].fill(9_f32.ln());
    let result = train(&trainer(1e-3), &model, &mut parameters, |_| {});
    let message = result.unwrap_err().to_string();
    println!("{message}");
    for part in ["step 0: ", "overflows", "neuron.log_sigma_layer.", &format!("unit {UNIT}")] {
        assert!(message.contains(part), "{part} is not in: {message}");
    }
}

#[test]
fn data_too_large_to_compute_with_are_refused_before_training() {
    let load = |day: usize, value: &str| {
        // A blank line before the header, and a date of two lines: lines are not rows.
        let mut rows = "\ndate,level\n\"0\n\",0\n".to_owned();
        for other in 1..200 {
            let usual = (other % 7).to_string();
            rows += &format!("{other},{}\n", if other == day { value } else { &usual });
        }
        let table = Table::from_bytes("f.csv", rows.as_bytes(), &TableOptions::default()).unwrap();
        let data = DataConfig { input_len: 24, horizon: 4, ..DataConfig::default() };
        data.dataset(table.into())
    };
    // Training targets end at row 147, validation targets at row 164.
    for (day, value, split) in
        [(190, "1e39", "test"), (199, "-1e19", "test"), (150, "1e17", "validation")]
    {
        let message = load(day, value).unwrap_err().to_string();
        let start = format!("series `level`, row {day} (from 0) in f.csv:{} ({split}): ", day + 4);
        assert!(message.starts_with(&start) && message.contains("at most 1e15"), "{message}");
    }
    // In the training rows, a huge value becomes part of the scale.
    assert!(load(100, "1e39").is_ok());

    // Accepted data can be computed with in single precision.
    let data = load(190, "1e15").unwrap();
    let (model, parameters) = model();
    let averages = trainer(1e-3).train.averages();
    let evaluator = Evaluator::new(&model, &parameters, &data, 0).averaging(averages);
    let found = evaluator.validate(&data.splits().test, &StackControl::default()).unwrap();
    let mse = found.mse.expect("a squared error");
    assert!(found.score.is_finite() && mse.is_finite(), "{found:?}");
}
