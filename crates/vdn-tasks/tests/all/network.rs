//! The network: its losses compared with hand-written ones, its gradients, and its interventions.

use vdn_autograd::Tape;
use vdn_model::core::{Bindings, Graph, Mode, Parameters};
use vdn_model::objective::Objective;
use vdn_model::units::Intervention;
use vdn_tasks::network::{Calibration, Likelihood, NetworkConfig, TaskNetwork, Variant};
use vdn_tensor::noise::NoiseKey;
use vdn_train::data::{RowBatch, Rows};
use vdn_train::metrics::normal;
use vdn_train::train::{Locals, Network};
use vdn_train::units::Interventions;

const ROWS: usize = 5;
const INPUTS: usize = 3;

fn config(likelihood: Likelihood) -> NetworkConfig {
    NetworkConfig {
        hidden: vec![6, 5],
        units: 4,
        head_hidden: 7,
        samples: 3,
        evaluate_samples: 6,
        likelihood,
        ..NetworkConfig::default()
    }
}

fn inputs() -> Vec<f64> {
    (0..ROWS * INPUTS).map(|i| (i as f64 * 1.7).sin()).collect()
}

/// Two targets per row, or one of three classes.
fn targets(likelihood: Likelihood) -> (usize, Vec<f64>) {
    match likelihood {
        Likelihood::Poisson | Likelihood::NegativeBinomial => {
            (2, (0..2 * ROWS).map(|i| (i * 7 % 5) as f64).collect())
        }
        Likelihood::Categorical => (3, (0..ROWS).map(|i| (i * 2 % 3) as f64).collect()),
        _ => (2, (0..2 * ROWS).map(|i| (i as f64 * 2.3).cos()).collect()),
    }
}

fn network(config: NetworkConfig) -> (TaskNetwork, Parameters<f64>) {
    let (outputs, _) = targets(config.likelihood);
    let (network, mut parameters) =
        TaskNetwork::new(config, Variant::Variational, [INPUTS, outputs], 3).unwrap();
    // The output maps start at zero, where the gradients of earlier parts vanish.
    let noise = NoiseKey::new(9, 0, 0);
    for index in 0..parameters.len() {
        if parameters.iter().nth(index).unwrap().name().starts_with("calibration") {
            continue;
        }
        let data = parameters.data_mut(index);
        let mut moved = vec![0.0_f64; data.len()];
        noise.fold_in(index as u64).fill_normal(0, &mut moved);
        data.iter_mut().zip(moved).for_each(|(x, z)| *x += 0.3 * z);
    }
    (network, parameters)
}

/// The training loss, with gradients of all parameters if they are requested.
fn loss(
    network: &TaskNetwork,
    parameters: &Parameters<f64>,
    gradients: Option<&mut Vec<Option<Vec<f64>>>>,
) -> f64 {
    let (inputs, (_, targets)) = (inputs(), targets(network.config().likelihood));
    let batch = RowBatch { rows: ROWS, inputs: &inputs, targets: &targets };
    let (mut tape, mut bindings) = (Tape::new(), Bindings::new());
    let key = NoiseKey::new(4, 0, 0);
    let mut graph = Graph::new(&mut tape, parameters, &mut bindings, Mode::Train, key);
    let terms = network.loss(&mut graph, &batch, &Locals::default()).unwrap();
    let value = tape.scalar(terms.loss).unwrap();
    if let Some(to) = gradients {
        tape.backward(terms.loss).unwrap();
        let of = |i| bindings.get(i).and_then(|var| tape.gradient(var));
        *to = (0..parameters.len()).map(|i| of(i).map(|g| g.data().to_vec())).collect();
    }
    value
}

#[test]
fn gradients_are_those_of_finite_differences() {
    let all = [
        (Likelihood::Gaussian, Objective::Vib),
        (Likelihood::Gaussian, Objective::Elbo),
        (Likelihood::Gaussian, Objective::Iwae),
        (Likelihood::StudentT, Objective::Vib),
        (Likelihood::Laplace, Objective::Elbo),
        (Likelihood::Poisson, Objective::Vib),
        (Likelihood::NegativeBinomial, Objective::Vib),
        (Likelihood::NegativeBinomial, Objective::Iwae),
        (Likelihood::Categorical, Objective::Vib),
        (Likelihood::Categorical, Objective::Elbo),
    ];
    for (likelihood, objective) in all {
        let (network, parameters) = network(NetworkConfig { objective, ..config(likelihood) });
        let mut gradients = Vec::new();
        loss(&network, &parameters, Some(&mut gradients));
        let mut checked = 0;
        for (index, own) in gradients.iter().enumerate() {
            let name = parameters.iter().nth(index).unwrap().name().to_owned();
            let Some(own) = own else {
                // The calibration is not trained.
                assert!(name.starts_with("calibration"), "{likelihood:?}: {name} has no gradient");
                continue;
            };
            for at in (0..own.len()).step_by(1 + own.len() / 3) {
                // Central differences: the error is h^2 of third derivatives of order 1, and
                // rounding is 1e-16 / h.
                let h = 1e-5;
                let mut moved = parameters.clone();
                let mut at_distance = |by: f64| {
                    moved.data_mut(index)[at] += by;
                    loss(&network, &moved, None)
                };
                let slope = (at_distance(h) - at_distance(-2.0 * h)) / (2.0 * h);
                let error = (slope - own[at]).abs();
                let what = format!("{likelihood:?} {objective:?} {name}[{at}]");
                assert!(error < 1e-7 * (1.0 + slope.abs()), "{what}: {} {slope}", own[at]);
                checked += 1;
            }
        }
        assert!(checked > 40, "{checked}");
    }
}

/// The network's predictions of the batch in evaluation, and its score.
fn scored(
    network: &TaskNetwork,
    parameters: &Parameters<f64>,
) -> (vdn_tasks::network::Prediction, f64) {
    let (inputs, (_, targets)) = (inputs(), targets(network.config().likelihood));
    let batch = RowBatch { rows: ROWS, inputs: &inputs, targets: &targets };
    let (mut tape, mut bindings) = (Tape::new(), Bindings::new());
    let key = NoiseKey::new(4, 0, 0);
    let mut graph = Graph::new(&mut tape, parameters, &mut bindings, Mode::Evaluate, key);
    let prediction = network.predict(&mut graph, &batch, Intervention::None).unwrap();
    let score = network.scores(&mut graph, &batch).unwrap().score;
    (prediction, tape.scalar(score).unwrap())
}

#[test]
fn the_score_is_the_log_density_of_the_mixture_over_samples() {
    let all = [
        Likelihood::Gaussian,
        Likelihood::StudentT,
        Likelihood::Laplace,
        Likelihood::Poisson,
        Likelihood::NegativeBinomial,
        Likelihood::Categorical,
    ];
    for likelihood in all {
        let (network, parameters) = network(config(likelihood));
        let (prediction, score) = scored(&network, &parameters);
        let (_, targets) = targets(likelihood);
        let columns = network.target_columns();
        let mut sum = 0.0;
        for (at, &y) in targets.iter().enumerate() {
            let (row, column) = (at / columns, at % columns);
            let density = |s: usize| match network.observation(&prediction, [s, row, column]) {
                Some(own) => own.ln_density(y).exp(),
                None => prediction.probabilities(row)[s][y as usize],
            };
            let samples = prediction.shape[0];
            sum -= ((0..samples).map(density).sum::<f64>() / samples as f64).ln();
        }
        let by_hand = sum / targets.len() as f64;
        assert!(
            (score - by_hand).abs() < 1e-12 * by_hand.abs(),
            "{likelihood:?}: {score} {by_hand}"
        );
    }
}

#[test]
fn a_calibration_counts_in_evaluation_alone() {
    for likelihood in [Likelihood::Gaussian, Likelihood::Categorical] {
        let (network, mut parameters) = network(config(likelihood));
        let (before, trains) = (scored(&network, &parameters).0, loss(&network, &parameters, None));
        let columns = network.target_columns();
        let floor = if likelihood == Likelihood::Gaussian { 0.4 } else { 0.0 };
        let own = Calibration { factor: vec![2.0; columns], floor: vec![floor; columns] };
        network.calibrate(&mut parameters, &own).unwrap();
        assert_eq!(loss(&network, &parameters, None), trains);
        let after = scored(&network, &parameters).0;
        for i in 0..before.location.len() {
            match likelihood {
                Likelihood::Gaussian => {
                    assert_eq!(before.location[i], after.location[i]);
                    let expected = (2.0 * before.scale[i]).hypot(0.4);
                    assert!((after.scale[i] - expected).abs() < 1e-14, "{expected}");
                }
                _ => assert_eq!(before.location[i], 2.0 * after.location[i]),
            }
        }
        let bad = Calibration { factor: vec![0.0; columns], floor: vec![0.0; columns] };
        assert!(network.calibrate(&mut parameters, &bad).is_err());
    }
}

#[test]
fn inputs_are_disturbed_in_training_alone() {
    let base = config(Likelihood::Gaussian);
    let (plain, parameters) = network(base.clone());
    let (clean, trains) = (scored(&plain, &parameters).0, loss(&plain, &parameters, None));
    for disturbed in [
        NetworkConfig { input_dropout: 0.4, ..base.clone() },
        NetworkConfig { input_noise: 0.2, ..base.clone() },
    ] {
        let (other, same) = network(disturbed);
        assert_eq!(parameters.iter().count(), same.iter().count());
        assert_eq!(scored(&other, &same).0, clean);
        let moved = (loss(&other, &same, None) - trains).abs();
        assert!(moved > 1e-6, "the loss in training is moved by {moved}");
    }
}

#[test]
fn joined_predictions_are_the_mixture_of_both() {
    for likelihood in [Likelihood::Gaussian, Likelihood::Categorical] {
        let (network, parameters) = network(config(likelihood));
        let own = scored(&network, &parameters).0;
        let mut moved = parameters.clone();
        moved.data_mut(0)[0] += 0.5;
        let other = scored(&network, &moved).0;
        let both = own.clone().joined(other.clone()).unwrap();
        let [samples, rows, outputs] = own.shape;
        assert_eq!(both.shape, [2 * samples, rows, outputs]);
        for row in 0..rows {
            assert_eq!(both.outputs(1, row), own.outputs(1, row));
            assert_eq!(both.outputs(samples + 1, row), other.outputs(1, row));
            assert_eq!(both.scale(samples + 1, row, 0), other.scale(1, row, 0));
            assert!((both.kl[row] - 0.5 * (own.kl[row] + other.kl[row])).abs() < 1e-12);
        }
        let fewer = vdn_tasks::network::Prediction { shape: [samples, 1, outputs], ..other };
        assert!(own.joined(fewer).is_err(), "other rows");
    }
}

#[test]
fn a_twin_has_no_noise_and_no_units() {
    let config = config(Likelihood::Gaussian);
    let (network, parameters) =
        TaskNetwork::new::<f64>(config, Variant::Twin, [INPUTS, 2], 3).unwrap();
    let (prediction, _) = scored(&network, &parameters);
    assert_eq!((prediction.shape[0], prediction.kl[0]), (1, 0.0));
    assert!(network.used_parameters(&parameters) < parameters.numel());
    assert_eq!(loss(&network, &parameters, None), loss(&network, &parameters, None));
}

#[test]
fn the_kl_of_a_row_is_that_of_its_posteriors() {
    let (network, parameters) = network(config(Likelihood::Gaussian));
    let (prediction, _) = scored(&network, &parameters);
    let (inputs, key) = (inputs(), NoiseKey::new(0, 0, 0));
    let batch = RowBatch { rows: ROWS, inputs: &inputs, targets: &[] };
    let found =
        Interventions::<f64, Rows>::posteriors(&network, &parameters, &batch, key, 0).unwrap();
    for row in 0..ROWS {
        let of = |i: usize| {
            let (mu, l) = (found.mu[i], found.logvar[i]);
            0.5 * (mu * mu + l.exp() - 1.0 - l)
        };
        let kl: f64 = (row * 4..row * 4 + 4).map(of).sum();
        assert!((kl - prediction.kl[row]).abs() < 1e-12, "{kl} {}", prediction.kl[row]);
    }
}

#[test]
fn replacing_a_unit_that_nothing_reads_has_no_effect() {
    let (network, mut parameters) = network(config(Likelihood::Gaussian));
    // The head's map of the units, [hidden, units]: unit 2 is not read.
    let id = parameters.find("head.units.weight").unwrap();
    for row in parameters.data_mut(id.index()).chunks_exact_mut(4) {
        row[2] = 0.0;
    }
    let (inputs, (_, targets)) = (inputs(), targets(Likelihood::Gaussian));
    let batch = RowBatch { rows: ROWS, inputs: &inputs, targets: &targets };
    let key = NoiseKey::new(4, 0, 0);
    let effects = |units: &[usize]| {
        Interventions::<f64, Rows>::unit_effects(&network, &parameters, &batch, key, 8, (0, units))
    };
    let found = effects(&[2, 0]).unwrap();
    assert!(found.value[..ROWS].iter().chain(&found.distance[..ROWS]).all(|&x| x == 0.0));
    assert!(found.distance[ROWS..].iter().all(|&x| x > 0.0));
    // All units together are the variance over samples. With independent units under a linear map,
    // the halved distances would add up to it.
    assert!(found.variance.iter().all(|&x| x > 0.0));
    assert!(effects(&[4]).is_err(), "there are four units");
}

/// A network that starts at the moments of its targets predicts their mean and dispersion.
#[test]
fn counts_start_at_their_mean() {
    for likelihood in [Likelihood::Poisson, Likelihood::NegativeBinomial] {
        for (mean, variance, dispersion) in [(5e7, 2.5e14, 0.1), (0.01, 0.01, 1e-3)] {
            let config = config(likelihood);
            let (network, mut parameters) =
                TaskNetwork::new::<f64>(config, Variant::Twin, [INPUTS, 2], 3).unwrap();
            network.start_at(&mut parameters, &[[mean, variance]; 2]).unwrap();
            let (prediction, _) = scored(&network, &parameters);
            for log_rate in &prediction.location {
                // The random weights of the head move a log-rate by an amount of order 1.
                let distance = (log_rate - f64::ln(mean)).abs();
                assert!(distance < 1.5, "{likelihood:?} {mean}: {log_rate}");
            }
            for found in &prediction.scale {
                assert!((found / dispersion - 1.0).abs() < 1e-6, "{found}, not {dispersion}");
            }
        }
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let refused = |config: NetworkConfig| {
        TaskNetwork::new::<f64>(config, Variant::Variational, [INPUTS, 2], 0)
            .unwrap_err()
            .to_string()
    };
    let base = config(Likelihood::Gaussian);
    let cases = [
        (NetworkConfig { units: 0, ..base.clone() }, "units = 0"),
        (NetworkConfig { hidden: vec![], ..base.clone() }, "hidden"),
        (NetworkConfig { dropout: 1.0, ..base.clone() }, "dropout = 1"),
        (NetworkConfig { input_dropout: -0.1, ..base.clone() }, "input_dropout = -0.1"),
        (NetworkConfig { input_noise: f64::INFINITY, ..base.clone() }, "input_noise = inf"),
        (NetworkConfig { degrees_of_freedom: 2.0, ..base.clone() }, "degrees_of_freedom = 2"),
        (NetworkConfig { beta: f64::NAN, ..base }, "beta = NaN"),
    ];
    for (config, expected) in cases {
        let error = refused(config);
        assert!(error.contains(expected), "{error}, not {expected}");
    }
    // Counts and classes outside their domains.
    for (likelihood, outputs, y) in [
        (Likelihood::Poisson, 1, 0.5),
        (Likelihood::Poisson, 1, -1.0),
        (Likelihood::NegativeBinomial, 1, 0.5),
        (Likelihood::Categorical, 3, 3.0),
    ] {
        let (network, parameters) =
            TaskNetwork::new::<f64>(config(likelihood), Variant::Variational, [1, outputs], 0)
                .unwrap();
        let batch = RowBatch { rows: 1, inputs: &[0.3], targets: &[y] };
        let (mut tape, mut bindings) = (Tape::new(), Bindings::new());
        let key = NoiseKey::new(0, 0, 0);
        let mut graph = Graph::new(&mut tape, &parameters, &mut bindings, Mode::Train, key);
        let error = network.loss(&mut graph, &batch, &Locals::default()).unwrap_err().to_string();
        assert!(error.contains(&format!("{y}")), "{error}");
    }
    // The density of a normal observation, computed by hand as a second method.
    let by_hand = normal::ln_pdf(0.5) - 2_f64.ln();
    let own = vdn_tasks::network::Observation::Gaussian([0.0, 2.0]);
    assert!((own.ln_density(1.0) - by_hand).abs() < 1e-15);
}
