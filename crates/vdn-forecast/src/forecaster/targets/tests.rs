//! Tests: the scores of missing and limited targets against the metrics, and their gradients.

use super::*;
use crate::forecaster::{Batch, Beside};
use vdn_autograd::check_gradients;
use vdn_model::units::{LayerOutputs, MAX_DEPTH};
use vdn_tensor::Tensor;
use vdn_tensor::noise::NoiseKey;
use vdn_train::metrics::{Mixture, WindowPrediction, window_nll};

const SAMPLES: usize = 3;
const ROWS: usize = 2;
const HORIZON: usize = 4;
const FLOORS: [f64; ROWS] = [-0.4, 0.1];

/// Predictions, deviations of steps, scores of samples, and targets, some of which are on their
/// limits.
fn numbers() -> [Vec<f64>; 4] {
    let normal = |stream: u32, len: usize| {
        let mut x = vec![0.0; len];
        NoiseKey::new(5, stream, 0).fill_normal(0, &mut x);
        x
    };
    let means = normal(0, SAMPLES * ROWS * HORIZON);
    let sigma = normal(1, HORIZON).iter().map(|x| 0.3 + f64::abs(*x)).collect();
    let mut targets = normal(2, ROWS * HORIZON);
    for (at, y) in targets.iter_mut().enumerate() {
        let floor = FLOORS[at / HORIZON];
        *y = if at % 2 == 0 { floor } else { floor + 0.1 + y.abs() };
    }
    [means, sigma, normal(3, SAMPLES * ROWS), targets]
}

fn targets(tape: &mut Tape<f64>, y: &[f64]) -> Targets {
    let beside = Beside { floor: Some(&FLOORS), ..Beside::default() };
    let batch = Batch { target: y, beside, ..Batch::default() };
    Targets::record(tape, &batch, ROWS).unwrap()
}

fn pass(y: Var, sigma: Var, scores: Option<Var>) -> Pass {
    let layers: LayerOutputs = [None; MAX_DEPTH];
    let activities = [None; MAX_DEPTH];
    Pass { y, sigma, scores, layers, activities, z: y, scale: y, joint: None }
}

#[test]
fn scores_of_mixtures_are_those_of_the_metrics() {
    let [means, sigma, scores, y] = numbers();
    compare(&means, &sigma, &scores, &y);
    // Two missing targets in one window: one on its limit, one above it.
    let mut y = y;
    (y[2], y[3]) = (f64::NAN, f64::NAN);
    compare(&means, &sigma, &scores, &y);
}

fn compare(means: &[f64], sigma: &[f64], scores: &[f64], y: &[f64]) {
    for (score, weighted) in [
        (Score::Marginal, false),
        (Score::Marginal, true),
        (Score::Tempered, false),
        (Score::Joint, true),
    ] {
        let mut tape = Tape::<f64>::new();
        let target = targets(&mut tape, y);
        let mean = tape.constant([SAMPLES, ROWS, HORIZON], means).unwrap();
        let deviation = tape.constant([HORIZON], sigma).unwrap();
        let logits = tape.constant([SAMPLES, ROWS], scores).unwrap();
        let weights = tape.softmax_axis(logits, 0).unwrap();
        let pass = pass(mean, deviation, weighted.then_some(logits));
        let found = target.mixture_nll(&mut tape, &pass, score).unwrap();
        let weights = tape.value(weights).data().to_vec();
        // Each window is scored over its observed steps and weighted by their number.
        let (mut sum, mut total) = (0.0, 0.0);
        for row in 0..ROWS {
            let target = &y[row * HORIZON..][..HORIZON];
            let seen: Vec<usize> = (0..HORIZON).filter(|&h| !target[h].is_nan()).collect();
            let of = |values: &[f64]| -> Vec<f64> { seen.iter().map(|&h| values[h]).collect() };
            let path = |s: usize| of(&means[(s * ROWS + row) * HORIZON..][..HORIZON]);
            let own: Vec<f64> = (0..SAMPLES).flat_map(path).collect();
            let weights: Vec<f64> = (0..SAMPLES).map(|s| weights[s * ROWS + row]).collect();
            let weights = weighted.then_some(&weights[..]);
            let deviations = of(sigma);
            let window = WindowPrediction::new(&own, &deviations, weights, seen.len()).unwrap();
            let window = window.with_floor(FLOORS[row]).unwrap();
            let nll = window_nll(&window, &of(target)).unwrap().of(score);
            let steps = seen.len() as f64;
            sum += steps * nll;
            total += steps;
        }
        let expected = sum / total;
        let found = tape.scalar(found).unwrap();
        assert!((found - expected).abs() < 1e-13, "{score:?} {weighted}: {found} {expected}");
    }
}

#[test]
fn means_are_those_of_the_metrics() {
    let [means, sigma, _, y] = numbers();
    let mut tape = Tape::<f64>::new();
    let limited = targets(&mut tape, &y).limited.unwrap();
    let mean = tape.constant([SAMPLES, ROWS, HORIZON], &means).unwrap();
    let deviation = tape.constant([HORIZON], &sigma).unwrap();
    let found = limited.means(&mut tape, mean, deviation).unwrap();
    for (at, found) in tape.value(found).data().iter().enumerate() {
        let (step, row) = (at % HORIZON, at / HORIZON % ROWS);
        let one = Mixture::new(&means[at..=at], &sigma[step..=step], None).unwrap();
        // Near -3 the rounding error of `erf` is 1e-13 of the probability.
        assert!((found - one.with_floor(FLOORS[row]).mean()).abs() < 1e-13, "{at}");
    }
}

#[test]
fn gradients_are_exact_and_residuals_are_means_of_what_lies_below() {
    let [means, sigma, _, y] = numbers();
    let inputs = [
        Tensor::from_slice([ROWS, HORIZON], &means[..ROWS * HORIZON]).unwrap(),
        Tensor::from_slice([HORIZON], &sigma).unwrap(),
    ];
    let report =
        check_gradients(&inputs, |tape, vars| targets(tape, &y).nll(tape, vars[0], vars[1]));
    let report = report.unwrap();
    assert!(report.passed(), "{report}");
    // A missing target has no influence: any forecast of it gives the same loss.
    let (mut gaps, missing) = (y.clone(), [1, 2, 7]);
    missing.iter().for_each(|&at| gaps[at] = f64::NAN);
    let report =
        check_gradients(&inputs, |tape, vars| targets(tape, &gaps).nll(tape, vars[0], vars[1]));
    let report = report.unwrap();
    assert!(report.passed(), "{report}");
    let nll = |means: &[f64]| {
        let mut tape = Tape::<f64>::new();
        let target = targets(&mut tape, &gaps);
        let mean = tape.constant([ROWS, HORIZON], means).unwrap();
        let deviation = tape.constant([HORIZON], &sigma).unwrap();
        let found = target.nll(&mut tape, mean, deviation).unwrap();
        tape.scalar(found).unwrap().to_bits()
    };
    let means = means[..ROWS * HORIZON].to_vec();
    for at in 0..ROWS * HORIZON {
        let mut moved = means.clone();
        moved[at] += 3.0;
        assert_eq!(nll(&moved) == nll(&means), missing.contains(&at), "{at}");
    }
    let mut tape = Tape::<f64>::new();
    let limited = targets(&mut tape, &y).limited.unwrap();
    let standard = tape.constant([ROWS, HORIZON], &means[..ROWS * HORIZON]).unwrap();
    let found = limited.residuals(&mut tape, standard).unwrap();
    for (at, found) in tape.value(found).data().iter().enumerate() {
        // The mean of -max(Z - a, 0) over Z > a, minus a, with reversed signs.
        let a = -means[at];
        let below = Mixture::new(&[0.0], &[1.0], None).unwrap();
        let share = 1.0 - below.cdf(a);
        let expected = match at % 2 {
            0 => -(a + (below.with_floor(a).mean() - a) / share),
            _ => means[at],
        };
        assert!((found - expected).abs() < 1e-12, "{at}: {found} {expected}");
    }
}
