//! Controllers of a layer along a sequence: rate and persistence together.

use crate::closed_loop::{Failure, INPUTS, ROWS, UNITS, budget, mean, normals};
use vdn_autograd::Tape;
use vdn_model::controllers::{
    Goal, LayerControl, LayerControlConfig, PersistenceConfig, PersistenceTarget, RateBudget,
    Timing,
};
use vdn_model::core::{Bindings, Builder, Graph, Mode, Parameters};
use vdn_model::priors::{OrderOne, OrderOneConfig, Prior};
use vdn_model::sequence::{
    Message, SequenceLayer, SequenceLayerConfig, StepInput, Unroll, filter, sequence_measures,
};
use vdn_tensor::noise::NoiseKey;
use vdn_train::optim::{AdamW, AdamWConfig};

/// Rate and persistence of a layer along a sequence after training, with these controllers.
fn sequence(
    build: &dyn Fn(&mut LayerControl, Prior) -> Result<(), Failure>,
) -> Result<[f64; 2], Failure> {
    const STEPS: usize = 16;
    let mut parameters = Parameters::<f64>::new();
    let mut builder = Builder::new(&mut parameters, 1);
    let prior = Prior::OrderOne(OrderOne::new(&mut builder, UNITS, OrderOneConfig::default())?);
    let config = SequenceLayerConfig::new(INPUTS, UNITS);
    let layer = SequenceLayer::new(&mut builder, prior, config)?;
    let mut optimizer = AdamW::new(&parameters, AdamWConfig::default())?;
    let mut control = LayerControl::new(UNITS, 1, LayerControlConfig::default());
    build(&mut control, prior)?;
    let (mut tape, mut bindings) = (Tape::new(), Bindings::new());
    let h = normals(3, STEPS * ROWS * INPUTS);
    let mut shown = [0.0; 2];
    for step in 0..300_u32 {
        tape.reset();
        let key = NoiseKey::new(1, 0, step);
        let mut graph = Graph::new(&mut tape, &parameters, &mut bindings, Mode::Train, key);
        let mut inputs = Vec::new();
        for h in h.chunks_exact(ROWS * INPUTS) {
            let context = graph.tape.constant([ROWS, INPUTS], h)?;
            inputs.push(StepInput { context, missing: None, gap: 1 });
        }
        let messages: Vec<Message> = layer.messages(&mut graph, &inputs)?;
        let unrolled = filter(&mut graph, prior, &messages, Unroll::new(2, key))?;
        let measures = sequence_measures(&mut graph, prior, &messages, &unrolled)?;
        let mut loss = unrolled.total_kl(&mut graph)?;
        for (z, input) in unrolled.z.iter().zip(&inputs) {
            let wanted = graph.tape.slice_axis(input.context, 1, 0, UNITS)?;
            let distance = graph.tape.sub(*z, wanted)?;
            let square = graph.tape.square(distance)?;
            let square = graph.tape.mean(square)?;
            let square = graph.tape.scale(square, 0.5 * UNITS as f64)?;
            loss = graph.tape.add(loss, square)?;
        }
        loss = tape.scale(loss, 1.0 / STEPS as f64)?;
        if let Some(term) = control.levers().objective.record_sequence(&mut tape, &measures)? {
            loss = tape.add(loss, term)?;
        }
        control.observe_sequence(&tape, &measures);
        tape.backward(loss)?;
        tape.release_shared();
        let gradients =
            (0..parameters.len()).map(|i| tape.gradient(bindings.get(i)?).map(|g| g.data()));
        optimizer.step(&mut parameters, 0.02, gradients)?;
        control.act_on_levers();
        if step >= 250 {
            let seen = control.observation();
            shown[0] += mean(&seen.rate_dims, |x| x) / 50.0;
            shown[1] += mean(&seen.persistence, |x| x) / 50.0;
        }
    }
    // What was saved continues: the multipliers are in the state.
    let mut other = LayerControl::new(UNITS, 1, LayerControlConfig::default());
    build(&mut other, prior)?;
    other.restore(&control.state())?;
    assert_eq!(other.levers().objective, control.levers().objective);
    Ok(shown)
}

/// Contexts without memory, units that are to have one: both measures reach their targets, each by its own constraint.
#[test]
fn persistence_and_rate_reach_their_targets_together() -> Result<(), Failure> {
    let every = Timing { warmup: 0, every: 5 };
    let free = sequence(&|_, _| Ok(()))?;
    println!("free: rate {:.3}, persistence {:.3}", free[0], free[1]);
    for [rate, rho] in [[0.5, 0.7], [0.1, 0.7], [0.1, -0.3]] {
        let held = sequence(&|control, prior| {
            let config = PersistenceConfig {
                stiffness: 1.0,
                gain: 0.2,
                ..PersistenceConfig::new(Goal::Target(rho))
            };
            control.add(PersistenceTarget::new(UNITS, prior, config)?, every)?;
            Ok(control.add(RateBudget::new(UNITS, budget(Goal::Target(rate)))?, every)?)
        })?;
        println!("targets {rate} {rho}: rate {:.3}, persistence {:.3}", held[0], held[1]);
        assert!((free[1] - rho).abs() > 0.15, "nothing to do: {free:?}");
        assert!((held[1] - rho).abs() < 0.05, "persistence {} instead of {rho}", held[1]);
        assert!((held[0] - rate).abs() < 0.05 * rate + 0.02, "rate {} instead of {rate}", held[0]);
    }
    Ok(())
}
