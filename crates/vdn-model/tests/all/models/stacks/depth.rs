//! The stack alone: its gradients, samples, deterministic units, twin and initialisation.

use crate::models::numbers::{normals, scatter};
use vdn_autograd::{Error, Noise, Tape, check_gradients};
use vdn_model::core::{Bindings, Builder, Graph, Mode, Parameters};
use vdn_model::units::{
    Activation, LayerConfig, Replaced, SigmaMode, Stack, StackLayerConfig, StackOutput, StackPass,
    TwinUnits, UnitStatistics,
};
use vdn_tensor::kernels::Pool;
use vdn_tensor::noise::NoiseKey;
use vdn_tensor::{Real, Tensor};

const SAMPLES: usize = 3;
const BATCH: usize = 4;
const INPUTS: usize = 3;
const KEY: NoiseKey = NoiseKey::new(8, 0, 5);

/// One layer of this many units on any layer below.
fn layer(units: usize) -> StackLayerConfig {
    let layer = LayerConfig {
        inputs: INPUTS,
        units,
        train_samples: SAMPLES,
        evaluate_samples: 5,
        ..LayerConfig::default()
    };
    StackLayerConfig { layer, ..StackLayerConfig::default() }
}

fn build(configs: &[StackLayerConfig]) -> (Stack, Parameters<f64>) {
    let mut parameters = Parameters::new();
    let stack = Stack::new(&mut Builder::new(&mut parameters, 6), "neuron", configs).unwrap();
    (stack, parameters)
}

fn run<R>(
    (stack, parameters): &(Stack, Parameters<f64>),
    pass: StackPass,
    read: impl FnOnce(&Tape<f64>, &StackOutput) -> R,
) -> R {
    let (mut tape, mut bindings) = (Tape::new(), Bindings::new());
    let mut graph = Graph::new(&mut tape, parameters, &mut bindings, Mode::Train, KEY);
    let h = graph.tape.constant([BATCH, INPUTS], &normals(1, BATCH * INPUTS)).unwrap();
    let output = stack.forward_with(&mut graph, h, pass).unwrap();
    read(&tape, &output)
}

/// Eight layers of different kinds.
fn eight() -> Vec<StackLayerConfig> {
    let with = |config: StackLayerConfig, change: fn(&mut StackLayerConfig)| {
        let mut config = config;
        change(&mut config);
        config
    };
    vec![
        with(layer(5), |c| c.activation = Activation::Identity),
        with(layer(4), |c| c.residual = true),
        with(layer(4), |c| (c.residual, c.layer_norm) = (true, true)),
        with(layer(3), |c| c.distributional_fraction = 0.5),
        with(layer(4), |c| c.layer.sigma = SigmaMode::PerUnit),
        with(layer(3), |c| (c.layer.latent_dims, c.layer_norm) = (2, true)),
        with(layer(2), |c| (c.layer.latent_dims, c.layer.pooling) = (2, Some(Pool::SumSqrtK))),
        with(layer(3), |c| (c.layer.sigma, c.residual) = (SigmaMode::Scalar, true)),
    ]
}

/// Samples and KLs of a stack of eight layers, by the context and by every parameter, in f64
/// against central differences.
#[test]
fn gradients_of_a_stack_of_depth_eight() {
    let (stack, mut parameters) = build(&eight());
    scatter(&mut parameters, 0.1);
    let names: Vec<String> = parameters.iter().map(|p| p.name().to_owned()).collect();
    let ids: Vec<_> = names.iter().map(|name| parameters.find(name).unwrap()).collect();
    let mut inputs =
        vec![Tensor::from_slice([BATCH, INPUTS], &normals(1, BATCH * INPUTS)).unwrap()];
    inputs.extend(parameters.iter().map(|p| (**p.tensor()).clone()));
    let weights = normals(9, SAMPLES * BATCH * 3);
    let report = check_gradients(&inputs, |tape, vars| {
        let mut bindings = Bindings::new();
        let mut graph = Graph::new(tape, &parameters, &mut bindings, Mode::Train, KEY);
        ids.iter().zip(&vars[1..]).for_each(|(&id, &var)| graph.bind(id, var));
        let output = stack.forward(&mut graph, vars[0])?;
        let weights = graph.tape.constant([SAMPLES, BATCH, 3], &weights)?;
        let weighted = graph.tape.mul(output.z, weights)?;
        let mut sum = graph.tape.sum(weighted)?;
        for layer in output.layers.iter().flatten() {
            let kl = graph.tape.unit_kl(&layer.units)?;
            let kl = graph.tape.sum(kl)?;
            sum = graph.tape.add(sum, kl)?;
        }
        Ok(sum)
    })
    .unwrap();
    assert!(report.passed(), "{report}");
    assert!(names.len() > 30, "{names:?}");
}

/// Other noise for one sample of the first layer changes that sample at every depth, and no other.
#[test]
fn a_sample_keeps_its_identity_through_eight_layers() {
    let built = build(&eight());
    let eps = normals(3, SAMPLES * BATCH * 5);
    let z = |eps: &[f64]| {
        let (mut tape, mut bindings) = (Tape::new(), Bindings::new());
        let mut graph = Graph::new(&mut tape, &built.1, &mut bindings, Mode::Train, KEY);
        let h = graph.tape.constant([BATCH, INPUTS], &normals(1, BATCH * INPUTS)).unwrap();
        let eps = graph.tape.constant([SAMPLES, BATCH, 5], eps).unwrap();
        let pass = StackPass::of_first(SAMPLES, Noise::Given(eps));
        let output = built.0.forward_with(&mut graph, h, pass).unwrap();
        tape.value(output.z).data().to_vec()
    };
    let before = z(&eps);
    for sample in 0..SAMPLES {
        let mut other = eps.clone();
        other[sample * BATCH * 5..][..BATCH * 5].iter_mut().for_each(|e| *e += 1.0);
        for (s, (a, b)) in before.chunks(BATCH * 3).zip(z(&other).chunks(BATCH * 3)).enumerate() {
            assert_eq!(a == b, s != sample, "sample {s} after a change of sample {sample}");
        }
    }
}

/// A deterministic stack is a multilayer perceptron, written out here, and has no axis of samples.
#[test]
fn without_distributional_units_a_stack_is_a_perceptron() {
    let none = |units| StackLayerConfig { distributional_fraction: 0.0, ..layer(units) };
    let first = StackLayerConfig { activation: Activation::Identity, ..none(5) };
    let built = build(&[first, none(4), StackLayerConfig { residual: true, ..none(4) }]);
    let (z, shape) = run(&built, StackPass::default(), |tape, output| {
        assert!(output.layers.iter().all(Option::is_none));
        (tape.value(output.z).data().to_vec(), tape.shape(output.z).dims().to_vec())
    });
    assert_eq!(shape, [1, BATCH, 4]);
    assert!(built.1.iter().all(|p| p.name().contains(".deterministic.")), "no deviations");
    let get = |name: &str| built.1.get(built.1.find(name).unwrap()).tensor().data().to_vec();
    let affine = |scope: &str, x: &[f64]| -> Vec<f64> {
        let weight = get(&format!("{scope}.deterministic.weight"));
        let bias = get(&format!("{scope}.deterministic.bias"));
        let row = |(w, b): (&[f64], &f64)| b + w.iter().zip(x).map(|(w, x)| w * x).sum::<f64>();
        weight.chunks(x.len()).zip(&bias).map(row).collect()
    };
    let gelu = |x: &[f64]| -> Vec<f64> {
        x.iter().map(|&x| 0.5 * x * (1.0 + Real::erf(x / 2f64.sqrt()))).collect()
    };
    for (row, x) in normals(1, BATCH * INPUTS).chunks(INPUTS).enumerate() {
        let one = affine("neuron", x);
        let two = affine("neuron2", &gelu(&one));
        let three = affine("neuron3", &gelu(&two));
        for (i, (skip, own)) in two.iter().zip(&three).enumerate() {
            // Three sums of a few numbers of size 1.
            assert!((z[row * 4 + i] - skip - own).abs() < 1e-14, "{row} {i}");
        }
    }
}

#[test]
fn a_fraction_of_a_layer_is_distributional_and_the_rest_knows_no_noise() {
    for (fraction, distributional) in [(0.25, 2), (0.5, 4), (0.75, 6), (1.0, 8)] {
        let config = StackLayerConfig { distributional_fraction: fraction, ..layer(8) };
        let built = build(&[config]);
        let (z, units) = run(&built, StackPass::default(), |tape, output| {
            let units = output.layers[0].unwrap().units;
            assert_eq!(tape.shape(output.z).dims(), [SAMPLES, BATCH, 8]);
            (tape.value(output.z).data().to_vec(), tape.shape(units.m2).numel())
        });
        assert_eq!(units, distributional, "{fraction}");
        for row in 0..BATCH {
            for channel in 0..8 {
                let at = |s: usize| z[(s * BATCH + row) * 8 + channel];
                let same = (1..SAMPLES).all(|s| at(s) == at(0));
                assert_eq!(same, channel >= distributional, "{fraction}: {row} {channel}");
            }
        }
        // Means of all units, deviations of the distributional ones.
        let parameters = (INPUTS + 1) * (8 + distributional);
        assert_eq!(built.1.numel(), parameters, "{fraction}");
    }
}

/// Latents of one layer are replaced: nothing changes below it, everything changes above it, and no
/// noise moves.
#[test]
fn draws_from_the_prior_replace_one_layer_alone() {
    let built = build(&[layer(5), layer(4), layer(3)]);
    let read = |replaced| {
        let pass = StackPass { replaced, ..StackPass::default() };
        run(&built, pass, |tape, output| {
            let means = [0, 1, 2].map(|l| tape.value(output.layers[l].unwrap().mu).data().to_vec());
            (means, tape.value(output.z).data().to_vec())
        })
    };
    let (means, z) = read(Replaced::None);
    for replaced in 0..3 {
        let (swapped, swapped_z) = read(Replaced::Swapped(replaced));
        let (other, other_z) = read(Replaced::Layer(replaced));
        for layer in 0..3 {
            assert_eq!(means[layer] == other[layer], layer <= replaced, "{replaced}: {layer}");
            assert_eq!(means[layer] == swapped[layer], layer <= replaced, "{replaced}: {layer}");
        }
        assert_ne!(z, other_z, "{replaced}");
        assert_ne!(z, swapped_z, "{replaced}");
    }
    // The last layer sends on the swapped latents, and no window keeps its own.
    let (_, swapped) = read(Replaced::Swapped(2));
    let sorted = |z: &[f64]| {
        let mut z = z.to_vec();
        z.sort_by(f64::total_cmp);
        z
    };
    assert_eq!(sorted(&z), sorted(&swapped));
    assert!(z.iter().zip(&swapped).all(|(a, b)| a != b));
    // The draws are standard normal: of the last layer, 36 numbers have a mean square of 1 +- 6
    // sqrt(2/36).
    let (_, draws) = read(Replaced::Layer(2));
    let square = draws.iter().map(|z| z * z).sum::<f64>() / draws.len() as f64;
    assert!((square - 1.0).abs() < 6.0 * (2.0 / 36f64).sqrt(), "{square}");
    assert_eq!(read(Replaced::All).1, draws, "the last layer's draws are what is sent");
}

#[test]
fn no_two_layers_share_noise() {
    let same = layer(INPUTS);
    let built = build(&[same; 16]);
    let draws: Vec<Vec<f64>> = run(&built, StackPass::default(), |tape, output| {
        let standard = |layer: &vdn_model::units::LayerOutput| {
            let [z, mu, logvar] =
                [layer.units.z, layer.mu, layer.logvar].map(|v| tape.value(v).data());
            let at = |i: usize| if mu.len() == z.len() { i } else { i % mu.len() };
            let eps = |(i, z): (usize, &f64)| (z - mu[at(i)]) / (0.5 * logvar[at(i)]).exp();
            z.iter().enumerate().map(eps).collect()
        };
        output.layers.iter().flatten().map(standard).collect()
    });
    assert_eq!(draws.len(), 16);
    for (a, one) in draws.iter().enumerate() {
        for (b, other) in draws[..a].iter().enumerate() {
            let same = one.iter().zip(other).filter(|(x, y)| (*x - *y).abs() < 1e-9).count();
            assert_eq!(same, 0, "layers {b} and {a}");
        }
    }
}

/// The gated twin reads every parameter of the stack; the plain one leaves out the deviations.
#[test]
fn the_gated_twin_uses_every_parameter() {
    for sigma in [SigmaMode::PerUnitInput, SigmaMode::PerUnit, SigmaMode::Scalar] {
        let mut configs = eight();
        configs.iter_mut().for_each(|c| c.layer.sigma = sigma);
        let (stack, parameters) = build(&configs);
        let used = |twin: Option<TwinUnits>| -> usize {
            let (mut tape, mut bindings) = (Tape::new(), Bindings::new());
            let mut graph = Graph::new(&mut tape, &parameters, &mut bindings, Mode::Train, KEY);
            let h = graph.tape.constant([BATCH, INPUTS], &normals(1, BATCH * INPUTS)).unwrap();
            let z = match twin {
                Some(twin) => stack.twin(&mut graph, h, twin).unwrap(),
                None => stack.forward(&mut graph, h).unwrap().z,
            };
            assert_eq!(graph.tape.shape(z).dims()[0], if twin.is_some() { 1 } else { SAMPLES });
            let sum = graph.tape.sum(z).unwrap();
            tape.backward(sum).unwrap();
            let moved = |i: &usize| {
                let gradient = bindings.get(*i).and_then(|var| tape.gradient(var));
                gradient.is_some_and(|g| g.data().iter().any(|&g| g != 0.0))
            };
            let all: Vec<_> = parameters.iter().collect();
            let moving = (0..all.len()).filter(moved);
            moving.map(|i| all[i].tensor().shape().numel()).sum()
        };
        assert_eq!(used(None), parameters.numel(), "{sigma:?}");
        assert_eq!(used(Some(TwinUnits::Gated)), parameters.numel(), "{sigma:?}");
        let deviations = parameters.iter().filter(|p| p.name().contains(".log_sigma"));
        let deviations: usize = deviations.map(|p| p.tensor().shape().numel()).sum();
        let means = used(Some(TwinUnits::Mean));
        assert_eq!(means, parameters.numel() - deviations, "{sigma:?}");
    }
}

/// After the data-dependent start every unit of every layer is inside the default rate interval.
#[test]
fn initialisation_puts_the_units_of_all_layers_inside_their_rate_interval() {
    let mut configs = vec![layer(16); 4];
    configs[0].activation = Activation::Identity;
    configs[2].distributional_fraction = 0.5;
    let (stack, mut parameters) = build(&configs);
    let rows = 512;
    let h = normals(4, rows * INPUTS);
    stack.initialize(&mut parameters, &h, 0.25).unwrap();
    let (mut tape, mut bindings) = (Tape::new(), Bindings::new());
    let mut graph = Graph::new(&mut tape, &parameters, &mut bindings, Mode::Train, KEY);
    let context = graph.tape.constant([rows, INPUTS], &h).unwrap();
    let output = stack.forward(&mut graph, context).unwrap();
    for (index, layer) in output.layers.iter().flatten().enumerate() {
        let units = layer.units;
        let value = |var| tape.value(var).data();
        let mut statistics = UnitStatistics::new();
        let [m1, c2, d0, lv] = [units.m1, units.c2, units.d0, units.lv].map(value);
        statistics.merge(rows, m1, c2, d0, lv);
        for rate in statistics.rate() {
            assert!((0.05..=0.3).contains(&rate), "layer {index}: {rate}");
        }
    }
}

#[test]
fn impossible_stacks_are_refused() {
    let refused = |configs: &[StackLayerConfig]| {
        let mut parameters = Parameters::<f64>::new();
        let built = Stack::new(&mut Builder::new(&mut parameters, 0), "neuron", configs);
        built.map(|_| ()).unwrap_err().to_string()
    };
    assert!(refused(&[]).contains("layers = 0: has to be 1 to 16"));
    assert!(refused(&[layer(2); 17]).contains("layers = 17: has to be 1 to 16"));
    let fraction = |f| StackLayerConfig { distributional_fraction: f, ..layer(2) };
    for wrong in [-0.1, 1.1, f64::NAN] {
        assert!(refused(&[fraction(wrong)]).contains("distributional_fraction"), "{wrong}");
    }
    assert!(refused(&[layer(2), layer(0)]).contains("units"));
    let built = build(&[layer(2)]);
    let (mut tape, mut bindings) = (Tape::new(), Bindings::new());
    let mut graph = Graph::new(&mut tape, &built.1, &mut bindings, Mode::Train, KEY);
    let h = graph.tape.constant([BATCH, 7], &[0.0; 7 * BATCH]).unwrap();
    assert!(matches!(built.0.forward(&mut graph, h), Err(Error::Shape(_))));
}
