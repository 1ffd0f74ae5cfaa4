//! Tests of interventions against full passes.

use crate::forecaster::unit_effects::*;
use crate::forecaster::{Dependence, ForecasterConfig};
use crate::modules::instance_norm::Centre;
use vdn_model::units::PerLayer;
use vdn_tensor::families::gaussian::{LOGVAR_MAX, LOGVAR_MIN};

const SAMPLES: usize = 3;
const ROWS_OF_BATCH: usize = 4;
const KEY: NoiseKey = NoiseKey::new(3, 0, 7);

fn normals(len: usize, stream: u32) -> Vec<f64> {
    let mut x = vec![0.0; len];
    NoiseKey::new(9, stream, 0).fill_normal(0, &mut x);
    x
}

fn config() -> ForecasterConfig {
    ForecasterConfig {
        input_len: 8,
        horizon: 3,
        hidden: 5,
        kernel: 3,
        units: 4,
        head_hidden: 6,
        normalization: Centre::Mean,
        divide_by_deviation: true,
        dependence: Dependence::Sampled,
        ..ForecasterConfig::default()
    }
}

fn model(config: ForecasterConfig) -> (Forecaster, Parameters<f64>) {
    let (model, mut parameters) = Forecaster::new::<f64>(config, 1).unwrap();
    for index in 0..parameters.len() {
        let noise = normals(parameters.data_mut(index).len(), 100 + index as u32);
        let data = parameters.data_mut(index);
        data.iter_mut().zip(noise).for_each(|(p, e)| *p += 0.5 * e);
    }
    (model, parameters)
}

/// Forecasts and output deviations of a full pass in which the activities of `layer` are `z`. The
/// pass is given the noise that makes the units draw `z`.
fn whole(
    model: &Forecaster,
    parameters: &Parameters<f64>,
    batch: &Batch<'_, f64>,
    layer: usize,
    z: &[f64],
) -> [Vec<f64>; 2] {
    let (mut tape, mut bindings) = (Tape::new(), Bindings::new());
    let mut graph = Graph::new(&mut tape, parameters, &mut bindings, Mode::Evaluate, KEY);
    let how = StackPass { samples: Some(SAMPLES), ..StackPass::default() };
    let own = model.forward(&mut graph, batch, Intervention::None, how).unwrap();
    let value = |graph: &Graph<'_, f64>, var| graph.tape.value(var).data().to_vec();
    let output = own.layers[layer].unwrap();
    let [mu, logvar] = [output.mu, output.logvar].map(|var| value(&graph, var));
    let dims = graph.tape.shape(output.mu).last();
    let channels = z.len() / (SAMPLES * ROWS_OF_BATCH);
    let residual = model.stack.layers()[layer].config().residual;
    let below = residual.then(|| value(&graph, own.activities[layer - 1].unwrap()));
    let mut noise = Vec::new();
    for row in 0..SAMPLES * ROWS_OF_BATCH {
        for i in 0..dims {
            let at = row * channels + i;
            let latent = z[at] - below.as_ref().map_or(0.0, |below| below[at]);
            let of = (row * dims + i) % mu.len();
            let logvar = logvar[of].clamp(LOGVAR_MIN, LOGVAR_MAX);
            noise.push((latent - mu[of]) / (0.5 * logvar).exp());
        }
    }
    let noise = graph.tape.constant([SAMPLES, ROWS_OF_BATCH, dims], &noise).unwrap();
    let how = StackPass { noise: Some((layer, Noise::Given(noise))), ..how };
    let pass = model.forward(&mut graph, batch, Intervention::None, how).unwrap();
    [pass.y, pass.sigma].map(|var| value(&graph, var))
}

#[test]
fn replacing_one_unit_agrees_with_whole_passes() {
    let two = ForecasterConfig { depth: 2, residual: true, layer_norm: true, ..config() };
    let three = ForecasterConfig {
        depth: 3,
        distributional_fraction: PerLayer::each(&[1.0, 0.75, 0.75]).unwrap(),
        residual: true,
        ..config()
    };
    let cases = [
        ("one", config(), 0),
        ("vectors", ForecasterConfig { latent_dims: 2, ..config() }, 0),
        ("first of two", two, 0),
        ("second of two", two, 1),
        ("second of three", three, 1),
        ("third of three", three, 2),
    ];
    for (name, config, layer) in cases {
        let latent_dims = config.latent_dims;
        let (model, parameters) = model(config);
        let (current, previous) = (normals(32, 0), normals(32, 1));
        let target = normals(12, 2);
        let batch =
            Batch { current: &current, previous: &previous, target: &target, ..Batch::default() };
        let units = [2, 0, 1];
        let probed = (layer, &units[..]);
        let found = model.unit_effects(&parameters, &batch, KEY, SAMPLES, probed).unwrap();
        let base = model.base_pass(&parameters, &batch, KEY, SAMPLES, layer).unwrap();
        let [y, sigma] = whole(&model, &parameters, &batch, layer, &base.z);
        let gap = base.y.iter().zip(&y).fold(0.0, |gap: f64, (a, b)| gap.max((a - b).abs()));
        assert!(gap < 1e-12, "{name}: {gap:e}");
        let ln_p = |y: &[f64], s: usize, row: usize| -> f64 {
            let term = |h: usize| {
                let sigma = sigma[row * 3 + h];
                let r = (target[row * 3 + h] - y[(s * ROWS_OF_BATCH + row) * 3 + h]) / sigma;
                -0.5 * r * r - sigma.ln()
            };
            (0..3).map(term).sum()
        };
        for (j, &unit) in units.iter().enumerate() {
            let with = |other: &[f64]| {
                let mut z = base.z.clone();
                let channels = 4 * latent_dims;
                for (z, other) in z.chunks_mut(channels).zip(other.chunks(channels)) {
                    let of = unit * latent_dims..(unit + 1) * latent_dims;
                    z[of.clone()].copy_from_slice(&other[of]);
                }
                whole(&model, &parameters, &batch, layer, &z)[0].clone()
            };
            let (prior, redrawn) = (with(&base.from_prior), with(&base.redrawn));
            for row in 0..ROWS_OF_BATCH {
                let mean =
                    |f: &dyn Fn(usize) -> f64| (0..SAMPLES).map(f).sum::<f64>() / SAMPLES as f64;
                let value = mean(&|s| ln_p(&y, s, row) - ln_p(&prior, s, row));
                let distance = mean(&|s| {
                    let at = (s * ROWS_OF_BATCH + row) * 3;
                    (at..at + 3).map(|i| (y[i] - redrawn[i]).powi(2)).sum()
                });
                let at = j * ROWS_OF_BATCH + row;
                let gap = (found.value[at] - value).abs();
                assert!(gap < 1e-10 * (1.0 + value.abs()), "{name}, value of {unit}: {gap:e}");
                let gap = (found.distance[at] - distance).abs();
                assert!(gap < 1e-10 * (1.0 + distance), "{name}, distance of {unit}: {gap:e}");
                assert!(distance > 1e-4, "{name}: nothing changed");
            }
        }
    }
}

#[test]
fn the_variance_over_samples_is_unbiased() {
    // Two samples, one row, two steps: (1 - 3)^2/2 and (0 - 1)^2/2.
    assert_eq!(sample_variance(&[1.0, 0.0, 3.0, 1.0], 2, 1, 2), [2.5]);
}

#[test]
fn what_has_no_effects_is_refused() {
    let (model, parameters) = model(config());
    let windows = normals(32, 0);
    let target = normals(12, 2);
    let with = Batch { current: &windows, previous: &windows, target: &target, ..Batch::default() };
    let without = Batch { target: &[], ..with };
    let of = |batch: &Batch<'_, f64>, samples, units: &[usize]| {
        let found = model.unit_effects(&parameters, batch, KEY, samples, (0, units));
        found.map(|_| ()).unwrap_err()
    };
    let above = model.unit_effects(&parameters, &with, KEY, 2, (1, &[0])).map(|_| ());
    assert!(above.unwrap_err().to_string().contains("layer 2 of the model"));
    assert!(of(&without, 2, &[0]).to_string().contains("targets"));
    assert!(of(&with, 1, &[0]).to_string().contains("two samples"));
    assert!(of(&with, 2, &[4]).to_string().contains("no unit 4"));
}

/// The value of a unit below a joint head, from densities with full covariances.
#[test]
fn a_unit_of_a_joint_head_is_worth_its_part_of_the_density() {
    let config = ForecasterConfig { dependence: Dependence::Split, ..config() };
    let (model, parameters) = model(config);
    let (current, previous, target) = (normals(32, 0), normals(32, 1), normals(12, 2));
    let batch =
        Batch { current: &current, previous: &previous, target: &target, ..Batch::default() };
    let units = [2, 0];
    let found = model.unit_effects(&parameters, &batch, KEY, SAMPLES, (0, &units)).unwrap();
    let (mut tape, mut bindings) = (Tape::new(), Bindings::new());
    let mut graph = Graph::new(&mut tape, &parameters, &mut bindings, Mode::Evaluate, KEY);
    let (full, layers) = model.predict(&mut graph, &batch, Intervention::None).unwrap();
    let mu = graph.tape.value(layers[0].unwrap().mu).data().to_vec();
    let Head::Joint(head) = &model.head else { panic!("a joint head") };
    let by_mean = parameters.get(head.mean_map().weight()).tensor().data();
    let before = full.log_likelihood(&target);
    for (place, unit) in units.into_iter().enumerate() {
        let mut without = full.clone();
        let shared = without.shared.as_mut().unwrap();
        let mut redrawn = [0.0; ROWS_OF_BATCH];
        for at in 0..ROWS_OF_BATCH * 3 {
            let (row, loading) = (at / 3, shared.loadings[at * 4 + unit]);
            without.means[at] -= full.sigma[at] * by_mean[at % 3 * 4 + unit] * mu[row * 4 + unit];
            shared.own[at] = (shared.own[at].powi(2) + loading * loading).sqrt();
            shared.loadings[at * 4 + unit] = 0.0;
            redrawn[row] += 2.0 * loading * loading;
        }
        let after = without.log_likelihood(&target);
        for row in 0..ROWS_OF_BATCH {
            let at = place * ROWS_OF_BATCH + row;
            let value = before[row] - after[row];
            assert!((found.value[at] - value).abs() < 1e-10, "{}, {value}", found.value[at]);
            assert!((found.distance[at] - redrawn[row]).abs() < 1e-10);
            assert!(value.abs() > 1e-3);
        }
    }
}
