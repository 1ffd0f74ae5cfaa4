//! A layer on the samples of another layer: the order of samples, the averages in the statistics,
//! refused contexts.

use crate::models::numbers::normals;
use vdn_autograd::{Noise, Tape, check_gradients};
use vdn_model::core::{Bindings, Builder, Graph, Mode, Parameters};
use vdn_model::units::{
    Context, LayerConfig, LayerOutput, SigmaMode, Stack, StackLayerConfig, VariationalLayer,
};
use vdn_tensor::Tensor;
use vdn_tensor::kernels::Pool;
use vdn_tensor::noise::NoiseKey;

const SAMPLES: usize = 3;
const BATCH: usize = 5;
const INPUTS: usize = 4;

fn build(config: LayerConfig) -> (VariationalLayer, Parameters<f64>) {
    let mut parameters = Parameters::new();
    let layer = VariationalLayer::new(&mut Builder::new(&mut parameters, 2).scope("layer"), config)
        .unwrap();
    (layer, parameters)
}

/// Runs the layer on a context of this shape and returns what `read` reads.
fn run<R>(
    (layer, parameters): &(VariationalLayer, Parameters<f64>),
    shape: &[usize],
    h: &[f64],
    samples: usize,
    eps: Option<&[f64]>,
    read: impl FnOnce(&Tape<f64>, LayerOutput) -> R,
) -> Result<R, vdn_autograd::Error> {
    let (mut tape, mut bindings) = (Tape::new(), Bindings::new());
    let key = NoiseKey::new(1, 0, 0);
    let mut graph = Graph::new(&mut tape, parameters, &mut bindings, Mode::Train, key);
    let h = graph.tape.constant(vdn_tensor::Shape::new(shape)?, h)?;
    let dims = layer.config().units * layer.config().latent_dims;
    let batch = shape[shape.len() - 2];
    let noise = match eps {
        Some(eps) => Noise::Given(graph.tape.constant([samples, batch, dims], eps)?),
        None => Noise::Addressed(key.with_stream(layer.stream().number())),
    };
    let context = if shape.len() == 2 { h.into() } else { Context::samples(h) };
    let output = layer.forward_with(&mut graph, context, samples, noise)?;
    Ok(read(&tape, output))
}

fn configs() -> Vec<(&'static str, LayerConfig)> {
    let base = LayerConfig { inputs: INPUTS, units: 6, emit_kl: true, ..LayerConfig::default() };
    vec![
        ("per unit and input", base),
        ("per unit", LayerConfig { sigma: SigmaMode::PerUnit, ..base }),
        ("scalar", LayerConfig { sigma: SigmaMode::Scalar, ..base }),
        ("vectors", LayerConfig { latent_dims: 2, ..base }),
        ("pooled", LayerConfig { latent_dims: 2, pooling: Some(Pool::SumSqrtK), ..base }),
    ]
}

/// Each sample of the context alone, with its own noise, gives its own sample, bit for bit: nothing
/// is mixed.
#[test]
fn sample_s_of_the_context_gives_sample_s_of_the_result() {
    for (name, config) in configs() {
        let built = build(config);
        let dims = config.units * config.latent_dims;
        let h = normals(1, SAMPLES * BATCH * INPUTS);
        let eps = normals(2, SAMPLES * BATCH * dims);
        let shape = [SAMPLES, BATCH, INPUTS];
        let (z, units, kl, statistics) = run(&built, &shape, &h, SAMPLES, Some(&eps), |t, o| {
            let value = |v| t.value(v).data().to_vec();
            assert_eq!(t.shape(o.z).dims(), [SAMPLES, BATCH, config.channels()], "{name}");
            assert_eq!(t.shape(o.mu).dims(), [SAMPLES * BATCH, dims], "{name}");
            let u = o.units;
            let statistics = [u.m1, u.m2, u.c2, u.d0, u.lv].map(value);
            (value(o.z), value(u.z), value(u.kl.unwrap()), statistics)
        })
        .unwrap();
        let (mut means, mut all_kl) = (vec![vec![0.0; dims]; 3], Vec::new());
        for s in 0..SAMPLES {
            let part = |x: &[f64]| x[s * x.len() / SAMPLES..(s + 1) * x.len() / SAMPLES].to_vec();
            run(&built, &[BATCH, INPUTS], &part(&h), 1, Some(&part(&eps)), |t, o| {
                assert_eq!(t.value(o.z).data(), part(&z), "{name}: activities of sample {s}");
                assert_eq!(t.value(o.units.z).data(), part(&units), "{name}: sample {s}");
                all_kl.extend_from_slice(t.value(o.units.kl.unwrap()).data());
                for (mean, var) in means.iter_mut().zip([o.units.m1, o.units.m2, o.units.d0]) {
                    for (mean, x) in mean.iter_mut().zip(t.value(var).data()) {
                        *mean += x / SAMPLES as f64;
                    }
                }
            })
            .unwrap();
        }
        assert_eq!(kl, all_kl, "{name}: the KL of every sample of every row");
        // Means over samples and batch, and the KL is the mean over both: sums of 15 numbers of
        // size 1 round by 1e-15.
        let [m1, m2, c2, d0, _] = &statistics;
        for i in 0..dims {
            for (got, want) in [(m1, &means[0]), (m2, &means[1]), (d0, &means[2])] {
                assert!((got[i] - want[i]).abs() < 1e-14, "{name}: {} {}", got[i], want[i]);
            }
            let rows = (SAMPLES * BATCH) as f64;
            let mean_kl = all_kl.iter().skip(i).step_by(dims).sum::<f64>() / rows;
            assert!((0.5 * (m2[i] + d0[i]) - mean_kl).abs() < 1e-14, "{name}");
            assert!((c2[i] - (m2[i] - m1[i] * m1[i])).abs() < 1e-14, "{name}");
        }
    }
}

#[test]
fn a_leading_axis_of_one_is_no_sample() {
    let built = build(configs()[0].1);
    let h = normals(1, BATCH * INPUTS);
    let z = |shape: &[usize]| {
        run(&built, shape, &h, SAMPLES, None, |t, o| t.value(o.z).data().to_vec()).unwrap()
    };
    assert_eq!(z(&[BATCH, INPUTS]), z(&[1, BATCH, INPUTS]));
}

#[test]
fn contexts_and_noise_that_do_not_fit_are_refused_with_their_shapes() {
    let built = build(configs()[0].1);
    let h = normals(1, SAMPLES * BATCH * INPUTS);
    let eps = normals(2, SAMPLES * BATCH * 6);
    let error = |shape: &[usize], samples, eps: Option<&[f64]>| {
        run(&built, shape, &h, samples, eps, |_, _| ()).unwrap_err().to_string()
    };
    let samples = error(&[SAMPLES, BATCH, INPUTS], 4, None);
    assert!(samples.contains("other than 4 samples") && samples.contains("[3, 5, 4]"), "{samples}");
    let rank = error(&[3, 1, 5, 4], SAMPLES, None);
    assert!(rank.contains("[samples, batch, inputs]"), "{rank}");
    let width = error(&[SAMPLES, INPUTS, BATCH], SAMPLES, None);
    assert!(width.contains("4 columns"), "{width}");
    let (mut tape, mut bindings) = (Tape::new(), Bindings::new());
    let key = NoiseKey::new(1, 0, 0);
    let mut graph = Graph::new(&mut tape, &built.1, &mut bindings, Mode::Train, key);
    let h = graph.tape.constant([SAMPLES, BATCH, INPUTS], &h).unwrap();
    let turned = Noise::Given(graph.tape.constant([BATCH, SAMPLES, 6], &eps).unwrap());
    let of_samples = Context::samples(h);
    let noise =
        built.0.forward_with(&mut graph, of_samples, SAMPLES, turned).unwrap_err().to_string();
    assert!(noise.contains("[5, 3, 6]") && noise.contains("[3, 5, 6]"), "{noise}");
}

/// As many sequences as samples: only the caller can distinguish them.
#[test]
fn three_axes_are_not_taken_for_samples() {
    let config = LayerConfig { train_samples: SAMPLES, ..configs()[0].1 };
    let (layer, parameters) = build(config);
    let mut parameters = parameters;
    let mut builder = Builder::new(&mut parameters, 5);
    let above = StackLayerConfig { layer: config, ..StackLayerConfig::default() };
    let stack = Stack::new(&mut builder, "stack", &[above, above]).unwrap();
    let h = normals(1, SAMPLES * BATCH * INPUTS);
    let (mut tape, mut bindings) = (Tape::new(), Bindings::new());
    let key = NoiseKey::new(1, 0, 0);
    let mut graph = Graph::new(&mut tape, &parameters, &mut bindings, Mode::Train, key);
    let h = graph.tape.constant([SAMPLES, BATCH, INPUTS], &h).unwrap();
    let refused = [layer.forward(&mut graph, h).err(), stack.forward(&mut graph, h).err()];
    for error in refused {
        let error = error.expect("it is refused").to_string();
        assert!(error.contains("[3, 5, 4]") && error.contains("Context::samples"), "{error}");
    }
    assert!(layer.forward(&mut graph, Context::samples(h)).is_ok());
    assert!(stack.forward(&mut graph, Context::samples(h)).is_ok());
    let rows = graph.tape.reshape(h, [SAMPLES * BATCH, INPUTS]).unwrap();
    let output = layer.forward(&mut graph, rows).unwrap();
    assert_eq!(tape.shape(output.z).dims(), [SAMPLES, SAMPLES * BATCH, 6]);
}

/// Addressed noise: no two samples of one window share it, and the draw is the same again.
#[test]
fn every_sample_has_noise_of_its_own() {
    let built = build(configs()[1].1);
    let one = normals(1, BATCH * INPUTS);
    let h = one.repeat(SAMPLES);
    let shape = [SAMPLES, BATCH, INPUTS];
    let z = || run(&built, &shape, &h, SAMPLES, None, |t, o| t.value(o.z).data().to_vec()).unwrap();
    let first = z();
    assert_eq!(first, z());
    let part = first.len() / SAMPLES;
    for (a, b) in [(0, 1), (0, 2), (1, 2)] {
        let same = (0..part).filter(|i| first[a * part + i] == first[b * part + i]).count();
        assert_eq!(same, 0, "samples {a} and {b}");
    }
}

/// Samples, KL and rate of two layers, by the context, in f64 against central differences.
#[test]
fn gradients_flow_through_the_samples_of_the_layer_below() {
    for (name, config) in configs() {
        let mut parameters = Parameters::<f64>::new();
        let mut builder = Builder::new(&mut parameters, 4);
        let below = LayerConfig { inputs: 3, units: INPUTS, ..LayerConfig::default() };
        let below = VariationalLayer::new(&mut builder.scope("below"), below).unwrap();
        let above = VariationalLayer::new(&mut builder.scope("above"), config).unwrap();
        let h = Tensor::from_slice([BATCH, 3], &normals(7, BATCH * 3)).unwrap();
        let weights = normals(8, SAMPLES * BATCH * config.channels());
        let report = check_gradients(&[h], |tape, vars| {
            let mut bindings = Bindings::new();
            let key = NoiseKey::new(1, 0, 0);
            let mut graph = Graph::new(tape, &parameters, &mut bindings, Mode::Train, key);
            let noise = |stream| Noise::Addressed(key.with_stream(stream));
            let eps = noise(0);
            let lower = below.forward_with(&mut graph, vars[0], SAMPLES, eps)?;
            let eps = noise(1);
            let upper = above.forward_with(&mut graph, Context::samples(lower.z), SAMPLES, eps)?;
            let tape = graph.tape;
            let weights = tape.constant([SAMPLES, BATCH, config.channels()], &weights)?;
            let weighted = tape.mul(upper.z, weights)?;
            let value = tape.sum(weighted)?;
            let kl = tape.unit_kl(&upper.units)?;
            let rate = tape.unit_rate(&upper.units)?;
            let (kl, rate) = (tape.sum(kl)?, tape.sum(rate)?);
            let sum = tape.add(value, kl)?;
            tape.add(sum, rate)
        })
        .unwrap();
        assert!(report.passed(), "{name}: {report}");
    }
}
