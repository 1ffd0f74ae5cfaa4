//! The controllers of a stack: each layer has its own observations, levers, saved and restored
//! states.

use super::band;
use crate::models::numbers::{KEY, normals};
use vdn_autograd::Tape;
use vdn_model::controllers::*;
use vdn_model::core::{Bindings, Builder, Graph, Mode, Parameters};
use vdn_model::units::{LayerConfig, SigmaMode, Stack, StackLayerConfig};

const UNITS: [usize; 3] = [4, 3, 2];
const INPUTS: usize = 3;

/// Three layers of different width.
fn stack() -> (Stack, Parameters<f64>) {
    let configs = UNITS.map(|units| {
        let sigma = SigmaMode::PerUnit;
        let layer = LayerConfig { inputs: INPUTS, units, sigma, ..LayerConfig::default() };
        StackLayerConfig { layer, ..StackLayerConfig::default() }
    });
    let mut parameters = Parameters::new();
    let stack = Stack::new(&mut Builder::new(&mut parameters, 6), "neuron", &configs).unwrap();
    (stack, parameters)
}

/// Projection, guard and budget of one layer of so many units.
fn own(units: usize) -> LayerControl {
    let mut control = LayerControl::new(units, 1, LayerControlConfig::default());
    control.levers_mut().objective.band = Some(band(&vec![0.1; units], &vec![0.2; units]));
    let projection = Projection::new(units, ProjectionConfig::default()).unwrap();
    control.add(projection, Timing::ALWAYS).unwrap();
    let guard = SigmaGuardConfig { floor: 0.9, ..SigmaGuardConfig::default() };
    control.add(SigmaGuard::new(guard).unwrap(), Timing::ALWAYS).unwrap();
    let budget = RateBudget::new(units, ConstraintConfig::default()).unwrap();
    control.add(budget, Timing::ALWAYS).unwrap();
    control
}

/// The first and the third layer have controllers.
fn control() -> StackControl {
    let [first, _, third] = UNITS;
    StackControl::new(vec![Some(own(first)), None, Some(own(third))])
}

/// Shows each layer another energy for each unit, above its band.
fn show(control: &mut StackControl) {
    for layer in [0, 2] {
        super::show(control.layer_mut(layer).unwrap(), &energies(layer), &energies(layer));
    }
}

fn energies(layer: usize) -> Vec<f64> {
    (0..UNITS[layer]).map(|unit| (1 + layer) as f64 + 0.5 * unit as f64).collect()
}

#[test]
fn every_layer_is_moved_by_its_own_controllers() {
    let (stack, mut parameters) = stack();
    for index in 0..parameters.len() {
        let to = parameters.data_mut(index);
        to.copy_from_slice(&normals(index as u64, to.len()));
    }
    // One deviation of each layer is below the floor.
    let deviations = ["neuron", "neuron2", "neuron3"]
        .map(|layer| parameters.find(&format!("{layer}.log_sigma")).unwrap());
    for id in deviations {
        parameters.data_mut(id.index()).fill(0.1);
        parameters.data_mut(id.index())[1] = -1.0;
    }
    let before = parameters.clone();
    let mut control = control();
    show(&mut control);
    let mut told = Vec::new();
    control.act(stack.layers(), &mut parameters, |id, gain| told.push((id, gain.to_vec())));
    let mut want_told = Vec::new();
    for (layer, units) in stack.variational().enumerate() {
        let held = control.layer(layer).is_some();
        let gain: Vec<f64> = match held {
            true => energies(layer).iter().map(|e| (0.2 / e).sqrt()).collect(),
            false => vec![1.0; UNITS[layer]],
        };
        for id in units.mean_parameters() {
            let [was, is] = [&before, &parameters].map(|p| p.get(id).tensor().data());
            let row = was.len() / gain.len();
            for (i, (was, is)) in was.iter().zip(is).enumerate() {
                assert!((is - gain[i / row] * was).abs() < 1e-14, "layer {layer}: {is} {was}");
            }
            if held {
                want_told.push((id, gain.clone()));
            }
        }
        let mut want = vec![0.1; UNITS[layer]];
        want[1] = if held { 0.9_f64.ln() } else { -1.0 };
        assert_eq!(parameters.get(deviations[layer]).tensor().data(), want, "layer {layer}");
        // The rates are above the interval: the multipliers rise.
        if let Some(own) = control.layer(layer) {
            let rate = own.levers().objective.rate.as_ref().unwrap();
            assert!(rate.multipliers()[0].iter().all(|&u| u > 0.0), "layer {layer}");
        }
    }
    // The optimiser is told of every mean head that was rescaled, and of no other.
    assert_eq!(told, want_told);
}

#[test]
fn every_layer_is_seen_by_its_own_controllers() {
    let (stack, parameters) = stack();
    let mut control = control();
    let (mut tape, mut bindings) = (Tape::new(), Bindings::new());
    let mut graph = Graph::new(&mut tape, &parameters, &mut bindings, Mode::Train, KEY);
    let h = graph.tape.constant([5, INPUTS], &normals(1, 5 * INPUTS)).unwrap();
    let output = stack.forward(&mut graph, h).unwrap();
    for (layer, output) in output.layers.iter().enumerate() {
        let Some(output) = output else { continue };
        let losses = LossValues { nll: layer as f64, ..LossValues::default() };
        control.observe(&tape, stack.layers(), (layer, output), losses, |_| {});
    }
    for layer in [0, 2] {
        let seen = control.layer(layer).unwrap().observation();
        let energy = tape.value(output.layers[layer].unwrap().units.m2).data();
        assert_eq!((&seen.energy[..], seen.losses.nll), (energy, layer as f64));
        assert_eq!(control.layer(layer).unwrap().step(), 1);
    }
}

#[test]
fn the_states_of_layers_are_kept_apart() {
    let (stack, mut parameters) = stack();
    let mut saved = control();
    for _ in 0..3 {
        show(&mut saved);
        saved.act(stack.layers(), &mut parameters, |_, _| ());
    }
    // One more step of the third layer alone, so that all numbers differ.
    super::show(saved.layer_mut(2).unwrap(), &[3.0, 4.0], &[3.0, 4.0]);
    let state = saved.state();
    assert_eq!([state.number("step"), state.number("layer3.step")].map(Result::unwrap), [3.0, 4.0]);
    assert!(state.number("layer2.step").is_err(), "a layer without controllers");
    let layers = [("rate_budget.above", 4), ("layer3.rate_budget.above", 2)];
    for (name, len) in layers {
        state.fill(name, &mut vec![0.0; len]).unwrap();
    }
    let mut other = control();
    other.restore(&state).unwrap();
    assert_eq!(other.state(), state);
    for layer in [0, 2] {
        let objective = |of: &StackControl| of.layer(layer).unwrap().levers().objective.clone();
        assert_eq!(objective(&other), objective(&saved), "layer {layer}");
    }
    // A state without the entries of one layer is refused by that layer's name.
    let mut first = ControlState::new();
    state.iter().filter(|(name, _)| !name.starts_with("layer")).for_each(|(n, v)| first.put(n, v));
    let error = control().restore(&first).unwrap_err().to_string();
    assert!(error.contains("layer 3: "), "{error}");
}
