//! The noise streams of a stack.

use super::*;
use crate::units::layer::LayerConfig;

/// A stack of `depth` layers of this name: its swap and redraw streams, and two of each layer.
fn streams(builder: &mut Builder<'_, f32>, name: &str, depth: usize) -> Vec<u32> {
    let layer = LayerConfig { inputs: 2, units: 2, ..LayerConfig::default() };
    let config = StackLayerConfig { layer, ..StackLayerConfig::default() };
    let stack = Stack::new(builder, name, &vec![config; depth]).unwrap();
    let mut all = vec![stack.swap, stack.redraw];
    for layer in &stack.layers {
        all.push(layer.units().unwrap().stream());
        all.push(layer.prior_stream().unwrap());
    }
    all.into_iter().map(Stream::number).collect()
}

/// The streams of units and of draws from the prior are those that forecasters had before streams
/// were derived.
#[test]
fn the_layers_of_forecasters_have_their_fixed_streams() {
    let mut parameters = Parameters::new();
    let found = streams(&mut Builder::new(&mut parameters, 0), "neuron", MAX_DEPTH);
    let mut want = vec![3, 4, 0, 2];
    for layer in 1..16 {
        want.extend([16 + layer, 32 + layer]);
    }
    assert_eq!(found, want);
}

#[test]
fn a_stack_that_is_built_twice_has_the_same_streams() {
    let build = |seed, others: &[&str]| {
        let mut parameters = Parameters::new();
        let mut builder = Builder::new(&mut parameters, seed);
        for other in others {
            streams(&mut builder, other, 3);
        }
        streams(&mut builder, "decoder", 3)
    };
    let alone = build(0, &[]);
    assert_eq!(alone, build(0, &[]));
    assert_eq!(alone, build(1, &["neuron", "encoder"]), "a stream depends on its name alone");
}

/// Two layers of equal weights on one context.
#[test]
fn layers_of_two_paths_have_two_noises() {
    let config = LayerConfig { inputs: 3, units: 4, train_samples: 2, ..LayerConfig::default() };
    let mut parameters = Parameters::<f64>::new();
    let mut builder = Builder::new(&mut parameters, 0);
    let paths = ["neuron", "neuron2", "encoder", "decoder"];
    let layers = paths.map(|path| VariationalLayer::new(&mut builder.scope(path), config).unwrap());
    let names: Vec<String> = parameters.iter().map(|p| p.name().to_owned()).collect();
    for name in names {
        let (path, own) = name.split_once('.').unwrap();
        let first = parameters.find(&format!("neuron.{own}")).unwrap();
        let values = parameters.get(first).tensor().data().to_vec();
        let id = parameters.find(&format!("{path}.{own}")).unwrap();
        parameters.data_mut(id.index()).copy_from_slice(&values);
    }
    let (mut tape, mut bindings) = (Tape::new(), Bindings::new());
    let key = NoiseKey::new(5, 0, 1);
    let mut graph = Graph::new(&mut tape, &parameters, &mut bindings, Mode::Train, key);
    let h = graph.tape.constant([5, 3], &[0.5; 15]).unwrap();
    let outputs = layers.map(|layer| layer.forward(&mut graph, h).unwrap());
    for (i, a) in outputs.iter().enumerate() {
        for (j, b) in outputs.iter().enumerate().skip(i + 1) {
            let [means, others] = [a, b].map(|output| tape.value(output.mu).data());
            assert_eq!(means, others, "{} and {}", paths[i], paths[j]);
            let [samples, others] = [a, b].map(|output| tape.value(output.z).data());
            let same = samples.iter().zip(others).filter(|(a, b)| a == b).count();
            assert_eq!(same, 0, "{} and {}", paths[i], paths[j]);
        }
    }
}

#[test]
fn a_name_that_is_taken_is_refused() {
    let layer = LayerConfig { inputs: 2, units: 2, ..LayerConfig::default() };
    let config = StackLayerConfig { layer, ..StackLayerConfig::default() };
    let mut parameters = Parameters::<f32>::new();
    let mut builder = Builder::new(&mut parameters, 0);
    Stack::new(&mut builder, "decoder", &[config; 2]).unwrap();
    let refused = |error: ModelError, who: &str| {
        let error = error.to_string();
        assert!(error.contains(&format!("{who} is built twice")), "{error}");
    };
    refused(Stack::new(&mut builder, "decoder", &[config]).unwrap_err(), "decoder (swap)");
    let again = VariationalLayer::new(&mut builder.scope("decoder2"), layer);
    refused(again.unwrap_err(), "decoder2 (units)");
    // The second layer of one stack has the name of the first of another.
    Stack::new(&mut builder, "state2", &[config]).unwrap();
    let error = Stack::new(&mut builder, "state", &[config; 2]).unwrap_err();
    refused(error, "state2 (units)");
}
