//! Tests: the closed form against samples, and the gradients that each of the two scores passes on.

use super::*;
use crate::forecaster::Batch;
use crate::forecaster::{Aggregation, ForecasterConfig, Variant};
use vdn_autograd::Score;
use vdn_model::core::{Bindings, Mode, Parameters};
use vdn_model::objective::Objective;
use vdn_model::units::StackPass;
use vdn_tensor::noise::NoiseKey;

const ROWS: usize = 5;
const HORIZON: usize = 6;
const UNITS: usize = 3;
const LENGTH: usize = 24;
const KEY: NoiseKey = NoiseKey::new(1, 0, 0);

fn config(dependence: Dependence) -> ForecasterConfig {
    ForecasterConfig {
        input_len: LENGTH,
        horizon: HORIZON,
        units: UNITS,
        hidden: 8,
        beta: 0.0,
        divide_by_deviation: true,
        dependence,
        ..ForecasterConfig::default()
    }
}

fn numbers(stream: u32, len: usize) -> Vec<f64> {
    let mut x = vec![0.0; len];
    NoiseKey::new(9, stream, 0).fill_normal(0, &mut x);
    x
}

/// A model with perturbed parameters, and windows of noise: current, previous, target.
fn built(config: ForecasterConfig) -> (Forecaster, Parameters<f64>, [Vec<f64>; 3]) {
    let (model, mut parameters) = Forecaster::new::<f64>(config, 3).unwrap();
    for index in 0..parameters.len() {
        let noise = numbers(100 + index as u32, parameters.data_mut(index).len());
        let data = parameters.data_mut(index);
        data.iter_mut().zip(noise).for_each(|(p, e)| *p += 0.2 * e);
    }
    let windows = [LENGTH, LENGTH, HORIZON].map(|len| len * ROWS);
    let mut windows = [0, 1, 2].map(|i| numbers(i, windows[i as usize]));
    // No target is beyond three deviations.
    let closed = model.closed(&parameters, &batch(&windows));
    for (y, (mean, sigma)) in windows[2].iter_mut().zip(closed.means.iter().zip(&closed.sigma)) {
        assert!(y.abs() < 3.0);
        *y = mean + sigma * *y;
    }
    (model, parameters, windows)
}

fn batch(windows: &[Vec<f64>; 3]) -> Batch<'_, f64> {
    let [current, previous, target] = windows;
    Batch { current, previous, target, ..Batch::default() }
}

/// The score and the gradients of the named parameters. With `steps`, the score of single steps
/// alone.
fn slopes(dependence: Dependence, steps: bool, names: &[&str]) -> (f64, Vec<Vec<f64>>) {
    slopes_at(dependence, steps, names, None)
}

/// [`slopes`] with a replacement for the first target.
fn slopes_at(
    dependence: Dependence,
    steps: bool,
    names: &[&str],
    first: Option<f64>,
) -> (f64, Vec<Vec<f64>>) {
    let (model, parameters, mut windows) = built(config(dependence));
    windows[2][0] = first.unwrap_or(windows[2][0]);
    let (mut tape, mut bindings) = (Tape::new(), Bindings::new());
    let mut graph = Graph::new(&mut tape, &parameters, &mut bindings, Mode::Train, KEY);
    let batch = batch(&windows);
    let pass =
        model.forward_scored(&mut graph, &batch, Intervention::None, StackPass::default()).unwrap();
    let joint = pass.joint.unwrap();
    let y = graph.tape.constant([ROWS, HORIZON], batch.target).unwrap();
    let score = if steps {
        let mean = graph.tape.reshape(pass.y, [ROWS, HORIZON]).unwrap();
        graph.tape.gaussian_nll(mean, joint.total, y).unwrap()
    } else {
        let targets = Targets { y, limited: None, seen: None };
        model.joint_nll(&mut graph, &pass, &joint, &targets).unwrap()
    };
    let of = |name: &&str| graph.parameter(parameters.find(name).unwrap());
    let vars: Vec<Var> = names.iter().map(of).collect();
    tape.backward(score).unwrap();
    let slope = |var: Var| {
        let none = || vec![0.0; tape.value(var).data().len()];
        tape.gradient(var).map_or_else(none, |d| d.data().to_vec())
    };
    (tape.scalar(score).unwrap(), vars.into_iter().map(slope).collect())
}

fn gap(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

#[test]
fn the_split_trains_means_and_deviations_by_steps_and_loadings_by_windows() {
    // The first parameter moves only means, the second only deviations.
    let names = ["skip.bias", "y_sigma_head.rho.bias", "head.loadings"];
    let (window, split) = slopes(Dependence::Split, false, &names);
    let (same, joint) = slopes(Dependence::Joint, false, &names);
    let (step, steps) = slopes(Dependence::Split, true, &names);
    assert!((window - same).abs() < 1e-12, "{window}, {same}: both are the density of the window");
    assert!((window - step).abs() > 1e-3);
    for of in 0..2 {
        assert!(gap(&split[of], &steps[of]) < 1e-12, "{}", names[of]);
        assert!(gap(&joint[of], &steps[of]) > 1e-4, "{}", names[of]);
    }
    assert!(gap(&split[2], &steps[2]) > 1e-4);
}

/// An outlier has no more influence on the dependence than a value at the limit.
#[test]
fn values_far_outside_do_not_rule_the_dependence() {
    let weight = ["head.loadings"];
    let dependence = |first: f64| -> Vec<f64> {
        let [all, steps] =
            [false, true].map(|steps| slopes_at(Dependence::Split, steps, &weight, Some(first)).1);
        all[0].iter().zip(&steps[0]).map(|(a, b)| a - b).collect()
    };
    assert!(gap(&dependence(1e2), &dependence(1e4)) < 1e-6);
    assert!(gap(&dependence(1e2), &dependence(0.1)) > 1e-4);
}

/// The gradient of the split score matches finite differences of its definition, in which residuals
/// are constants.
#[test]
fn the_gradient_of_the_dependence_is_that_of_the_copula() {
    let (model, parameters, windows) = built(config(Dependence::Split));
    let batch = batch(&windows);
    let residuals = model.closed(&parameters, &batch);
    let index = parameters.iter().position(|p| p.name() == "head.loadings").unwrap();
    let [_, steps] =
        [false, true].map(|steps| slopes(Dependence::Split, steps, &["head.loadings"]));
    let (_, all) = slopes(Dependence::Split, false, &["head.loadings"]);
    // -ln [(1 - a) Normal(e; 0, C) / Normal(e; 0, 1) + a], where the residuals e are those of the
    // unchanged weights.
    let copula = |at: usize, change: f64| -> f64 {
        let mut moved = parameters.clone();
        moved.data_mut(index)[at] += change;
        let prediction = model.closed(&moved, &batch);
        let shared = prediction.shared.as_ref().unwrap();
        (0..ROWS)
            .map(|row| {
                let (loadings, own) = shared.row(row, HORIZON);
                let sigma = &prediction.sigma[row * HORIZON..][..HORIZON];
                let e = |h: usize| {
                    let at = row * HORIZON + h;
                    (batch.target[at] - residuals.means[at]) / residuals.sigma[at]
                };
                let c = |h: usize, k: usize| -> f64 {
                    let product: f64 =
                        (0..UNITS).map(|n| loadings[h * UNITS + n] * loadings[k * UNITS + n]).sum();
                    let own = if h == k { own[h] * own[h] } else { 0.0 };
                    (product + own) / (sigma[h] * sigma[k])
                };
                let e: Vec<f64> = (0..HORIZON).map(e).collect();
                let alone = 0.5 * e.iter().map(|e| e * e).sum::<f64>();
                let ratio = (alone - minus_log_density(&c, &e)).exp();
                -((1.0 - APART) * ratio + APART).ln()
            })
            .sum::<f64>()
            / (ROWS * HORIZON) as f64
    };
    for at in 0..HORIZON * UNITS {
        let step = 1e-5;
        let slope = (copula(at, step) - copula(at, -step)) / (2.0 * step);
        let found = all[0][at] - steps.1[0][at];
        assert!((slope - found).abs() < 1e-8, "{at}: {slope}, {found}");
    }
}

/// `(ln det C + e' C^-1 e) / 2`, by Gaussian elimination.
fn minus_log_density(c: &dyn Fn(usize, usize) -> f64, e: &[f64]) -> f64 {
    let n = e.len();
    let mut rows: Vec<Vec<f64>> =
        (0..n).map(|h| (0..n).map(|k| c(h, k)).chain([e[h]]).collect()).collect();
    let (mut log_determinant, mut distance) = (0.0, 0.0);
    for pivot in 0..n {
        let top = rows[pivot].clone();
        log_determinant += top[pivot].ln();
        distance += top[n] * top[n] / top[pivot];
        for row in &mut rows[pivot + 1..] {
            let factor = row[pivot] / top[pivot];
            row.iter_mut().zip(&top).for_each(|(x, t)| *x -= factor * t);
        }
    }
    0.5 * (log_determinant + distance)
}

impl Forecaster {
    fn closed(&self, parameters: &Parameters<f64>, batch: &Batch<'_, f64>) -> Prediction {
        let (mut tape, mut bindings) = (Tape::new(), Bindings::new());
        let mut graph = Graph::new(&mut tape, parameters, &mut bindings, Mode::Evaluate, KEY);
        self.predict(&mut graph, batch, Intervention::None).unwrap().0
    }
}

/// Interventions change the closed form as they change samples.
#[test]
fn interventions_have_a_closed_form() {
    const SAMPLES: usize = 20_000;
    let (model, parameters, windows) = built(config(Dependence::Split));
    let batch = batch(&windows);
    for intervention in [Intervention::Prior, Intervention::Permute, Intervention::LayerPermute(0)]
    {
        let (mut tape, mut bindings) = (Tape::new(), Bindings::new());
        let mut graph = Graph::new(&mut tape, &parameters, &mut bindings, Mode::Evaluate, KEY);
        let (closed, _) = model.predict(&mut graph, &batch, intervention).unwrap();
        let many = StackPass { samples: Some(SAMPLES), ..StackPass::default() };
        let pass = model.forward(&mut graph, &batch, intervention, many).unwrap();
        let means = tape.value(pass.y).data();
        let shared = closed.shared.as_ref().unwrap();
        for at in 0..ROWS * HORIZON {
            let of = |s: usize| means[s * ROWS * HORIZON + at];
            let count = SAMPLES as f64;
            let mean = (0..SAMPLES).map(of).sum::<f64>() / count;
            let variance = (0..SAMPLES).map(|s| (of(s) - mean).powi(2)).sum::<f64>() / count;
            let want = closed.sigma[at].powi(2) - shared.own[at].powi(2);
            // Five standard errors.
            let gap = (mean - closed.means[at]).abs();
            assert!(gap < 5.0 * (want / count).sqrt(), "{intervention:?}: {gap}");
            let ratio = variance / want;
            assert!((ratio - 1.0).abs() < 5.0 * (2.0 / count).sqrt(), "{intervention:?}: {ratio}");
        }
    }
}

/// Means, variances and covariances of the samples match the closed form with dependent steps.
#[test]
fn samples_have_the_moments_of_the_closed_form() {
    const SAMPLES: usize = 20_000;
    let (model, parameters, windows) = built(config(Dependence::Split));
    let batch = batch(&windows);
    let closed = model.closed(&parameters, &batch);
    let (mut tape, mut bindings) = (Tape::new(), Bindings::new());
    let mut graph = Graph::new(&mut tape, &parameters, &mut bindings, Mode::Evaluate, KEY);
    let sampled = model.predict_samples(&mut graph, &batch, SAMPLES).unwrap();
    let moments = model.predict_moments(&parameters, &batch).unwrap();
    let shared = closed.shared.as_ref().unwrap();
    assert!(gap(&sampled.sigma, &shared.own) < 1e-12);
    assert!(gap(&moments.mean, &closed.means) < 1e-12);
    for row in 0..ROWS {
        let (loadings, own) = shared.row(row, HORIZON);
        let of = |h: usize| move |s: usize, means: &[f64]| means[(s * ROWS + row) * HORIZON + h];
        for h in 0..HORIZON {
            let at = row * HORIZON + h;
            for k in 0..=h {
                let product = |h: usize, k: usize| -> f64 {
                    (0..UNITS).map(|n| loadings[h * UNITS + n] * loadings[k * UNITS + n]).sum()
                };
                let (want, a, b) = (product(h, k), product(h, h), product(k, k));
                if h == k {
                    assert!((moments.of_units[at] - want).abs() < 1e-12);
                    let all = want + own[h] * own[h];
                    assert!((closed.sigma[at].powi(2) - all).abs() < 1e-12);
                    assert!((moments.variance[at] - all).abs() < 1e-12);
                }
                let center = |h: usize| closed.means[row * HORIZON + h];
                let found = (0..SAMPLES)
                    .map(|s| {
                        let [y, x] = [h, k].map(|h| of(h)(s, &sampled.means) - center(h));
                        y * x
                    })
                    .sum::<f64>()
                    / SAMPLES as f64;
                // The variance of a product of two normals is a b + c^2; five standard errors.
                let error = 5.0 * ((a * b + want * want) / SAMPLES as f64).sqrt();
                assert!((found - want).abs() < error, "{h} {k}: {found}, {want}");
            }
        }
    }
}

#[test]
fn the_joint_density_is_that_of_paths_and_of_a_dense_covariance() {
    let (model, parameters, windows) = built(config(Dependence::Joint));
    let batch = batch(&windows);
    let closed = model.closed(&parameters, &batch);
    let found = closed.log_likelihood(batch.target);
    let shared = closed.shared.as_ref().unwrap();
    for row in 0..ROWS {
        let (loadings, own) = shared.row(row, HORIZON);
        let covariance = |h: usize, k: usize| -> f64 {
            let product: f64 =
                (0..UNITS).map(|n| loadings[h * UNITS + n] * loadings[k * UNITS + n]).sum();
            product + if h == k { own[h] * own[h] } else { 0.0 }
        };
        let at = row * HORIZON..(row + 1) * HORIZON;
        let residual: Vec<f64> =
            batch.target[at.clone()].iter().zip(&closed.means[at]).map(|(y, m)| y - m).collect();
        let constant = 0.5 * HORIZON as f64 * std::f64::consts::TAU.ln();
        let together = -minus_log_density(&covariance, &residual) - constant;
        let diagonal = |h: usize, k: usize| if h == k { covariance(h, h) } else { 0.0 };
        let apart = -minus_log_density(&diagonal, &residual) - constant;
        let want = ((1.0 - APART) * together.exp() + APART * apart.exp()).ln();
        assert!((found[row] - want).abs() < 1e-10, "{row}: {}, {want}", found[row]);
        assert!((found[row] - together).abs() > 1e-6 && (found[row] - apart).abs() > 1e-6);
        // An outlier that contradicts the correlations.
        let mut far = vec![0.0; HORIZON];
        far[0] = 400.0 * covariance(0, 0).sqrt();
        let apart = -minus_log_density(&diagonal, &far) - constant;
        let together = -minus_log_density(&covariance, &far) - constant;
        assert!(together < apart - 100.0, "{row}: {together}, {apart}");
        assert!((shared.log_density(row, &far) - apart - APART.ln()).abs() < 1e-9);
    }
    // Paths: the variance of the sum of all steps, within five standard errors.
    const PATHS: usize = 20_000;
    let paths = closed.paths(PATHS, KEY).unwrap();
    let total = closed.aggregate(&[1.0; HORIZON]).unwrap();
    for row in 0..ROWS {
        let sum = |i: usize| -> f64 { paths[(i * ROWS + row) * HORIZON..][..HORIZON].iter().sum() };
        let total = total[row].mixture();
        assert_eq!((total.samples(), total.weight(1)), (2, APART));
        let squares = (0..PATHS).map(|i| (sum(i) - total.mean()).powi(2)).sum::<f64>();
        let variance = total.variance();
        let ratio = squares / (PATHS as f64 * variance);
        // The fourth moment of a mixture of normals.
        let fourth: f64 = (0..2).map(|s| 3.0 * total.weight(s) * total.sigma(s).powi(4)).sum();
        let spread = fourth / (variance * variance) - 1.0;
        assert!((ratio - 1.0).abs() < 5.0 * (spread / PATHS as f64).sqrt(), "{row}: {ratio}");
    }
}

#[test]
fn a_twin_has_independent_steps_with_the_total_deviation() {
    let twin = ForecasterConfig { variant: Variant::Twin, ..config(Dependence::Split) };
    let (model, parameters, windows) = built(twin);
    let prediction = model.closed(&parameters, &batch(&windows));
    assert_eq!((prediction.shape, &prediction.shared), ([1, ROWS, HORIZON], &None));
}

#[test]
fn what_has_no_closed_form_is_refused() {
    let good = config(Dependence::Split);
    let cases = [
        ForecasterConfig { score: Score::Joint, ..good },
        ForecasterConfig { objective: Objective::Elbo, ..good },
        ForecasterConfig { depth: 2, ..good },
        ForecasterConfig { latent_dims: 2, ..good },
        ForecasterConfig { aggregation: Aggregation::Median, ..good },
        ForecasterConfig { variant: Variant::ReferenceTwin, ..good },
    ];
    for config in cases {
        let error = Forecaster::new::<f32>(config, 0).unwrap_err().to_string();
        assert!(error.contains("dependence"), "{error}");
    }
}

#[test]
fn missing_targets_leave_the_density_of_the_others() {
    let (model, parameters, mut windows) = built(config(Dependence::Split));
    // One missing target in the first window, three in the second.
    for at in [0, 7, 8, 11] {
        windows[2][at] = f64::NAN;
    }
    let (mut tape, mut bindings) = (Tape::new(), Bindings::new());
    let mut graph = Graph::new(&mut tape, &parameters, &mut bindings, Mode::Train, KEY);
    let batch = batch(&windows);
    let pass =
        model.forward_scored(&mut graph, &batch, Intervention::None, StackPass::default()).unwrap();
    let joint = pass.joint.unwrap();
    let targets = Targets::record(graph.tape, &batch, ROWS).unwrap();
    let score = model.joint_nll(&mut graph, &pass, &joint, &targets).unwrap();
    let weights = graph.parameter(parameters.find("head.loadings").unwrap());
    let found = tape.scalar(score).unwrap();
    tape.backward(score).unwrap();
    let closed = model.closed(&parameters, &batch);
    let of = |row: usize| {
        let target = &windows[2][row * HORIZON..][..HORIZON];
        let whole = closed.window_log_likelihood(row, target);
        // The same density from a prediction that has only the observed steps.
        let seen: Vec<usize> = (0..HORIZON).filter(|&h| !target[h].is_nan()).collect();
        let pick = |values: &[f64]| -> Vec<f64> { seen.iter().map(|&h| values[h]).collect() };
        let row_of = |values: &[f64]| pick(&values[row * HORIZON..][..HORIZON]);
        let shared = closed.shared.as_ref().unwrap();
        let (loadings, own) = shared.row(row, HORIZON);
        let of_step = |&h: &usize| loadings[h * UNITS..][..UNITS].to_vec();
        let some = Prediction {
            shape: [1, 1, seen.len()],
            means: row_of(&closed.means),
            sigma: row_of(&closed.sigma),
            shared: Some(SharedNoise {
                causes: UNITS,
                loadings: seen.iter().flat_map(of_step).collect(),
                own: pick(own),
                apart: APART,
            }),
            ..closed.clone()
        };
        assert!((some.window_log_likelihood(0, &pick(target)) - whole).abs() < 1e-12);
        whole
    };
    let expected = -(0..ROWS).map(of).sum::<f64>() / (ROWS * HORIZON - 4) as f64;
    // A missing step has a variance of 1e8 instead of an infinite one.
    assert!((found - expected).abs() < 1e-6, "{found} {expected}");
    // The gradient of the loadings matches finite differences of this density.
    let index = parameters.iter().position(|p| p.name() == "head.loadings").unwrap();
    let slopes = tape.gradient(weights).unwrap().data();
    let mut largest = 0.0_f64;
    for at in 0..HORIZON * UNITS {
        let moved = |change: f64| -> f64 {
            let mut moved = parameters.clone();
            moved.data_mut(index)[at] += change;
            let all = model.closed(&moved, &batch).log_likelihood(batch.target);
            -all.iter().sum::<f64>() / (ROWS * HORIZON - 4) as f64
        };
        let step = 1e-5;
        let slope = (moved(step) - moved(-step)) / (2.0 * step);
        assert!((slope - slopes[at]).abs() < 1e-6, "{at}: {slope}, {}", slopes[at]);
        largest = largest.max(slope.abs());
    }
    assert!(largest > 1e-2, "{largest}");
}
