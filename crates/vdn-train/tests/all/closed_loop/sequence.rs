//! Controllers of a layer along a sequence: rate and persistence together.

use crate::closed_loop::contexts::Contexts;
use crate::closed_loop::{Failure, INPUTS, ROWS, SHOWN, UNITS, budget, mean, normals, train};
use vdn_model::controllers::{
    Goal, LayerControl, LayerControlConfig, PersistenceConfig, PersistenceTarget, RateBudget,
    Timing,
};
use vdn_model::core::{Builder, Graph, ModelError, Parameters};
use vdn_model::objective::BetweenWindows;
use vdn_model::priors::{OrderOne, OrderOneConfig, Prior};
use vdn_model::sequence::{
    Message, SequenceLayer, SequenceLayerConfig, StepInput, Unroll, filter, sequence_output,
    step_persistence,
};
use vdn_model::units::{Layers, MAX_DEPTH};
use vdn_train::train::{Locals, Network, Terms};

/// Steps of a sequence.
const STEPS: usize = 16;

/// Units along a sequence that must reproduce the first numbers of their contexts, in nats per
/// step.
struct SequenceNetwork {
    layer: SequenceLayer,
}

impl Network<f64> for SequenceNetwork {
    type Batch<'a> = &'a [Vec<f64>; 2];

    fn loss(
        &self,
        graph: &mut Graph<'_, f64>,
        [contexts, _]: &&[Vec<f64>; 2],
        locals: &Locals<'_>,
    ) -> Result<Terms, ModelError> {
        let mut inputs = Vec::new();
        for context in contexts.chunks_exact(ROWS * INPUTS) {
            let context = graph.tape.constant([ROWS, INPUTS], context)?;
            inputs.push(StepInput { context, missing: None, gap: 1 });
        }
        let prior = self.layer.prior();
        let messages: Vec<Message> = self.layer.messages(graph, &inputs)?;
        let key = graph.noise(self.layer.stream());
        let unrolled = filter(graph, prior, &messages, Unroll::new(2, key))?;
        let mut outputs = [None; MAX_DEPTH];
        outputs[0] = Some(sequence_output(graph, prior, &messages, &unrolled)?);
        let mut between = [BetweenWindows::default(); MAX_DEPTH];
        if locals.objectives[0].is_some_and(|own| own.persistence.is_some()) {
            between[0].persistence = Some(step_persistence(graph.tape, &unrolled.z)?);
        }
        let mut squares = Vec::new();
        for (z, input) in unrolled.z.iter().zip(&inputs) {
            let wanted = graph.tape.slice_axis(input.context, 1, 0, UNITS)?;
            let distance = graph.tape.sub(*z, wanted)?;
            let square = graph.tape.square(distance)?;
            let square = graph.tape.mean(square)?;
            squares.push(graph.tape.reshape(square, [1])?);
        }
        let squares = graph.tape.concat(&squares, 0)?;
        let mean = graph.tape.mean(squares)?;
        let score = graph.tape.scale(mean, 0.5 * UNITS as f64)?;
        locals.terms_between(graph, self, &outputs, &between, score)
    }

    fn layers(&self) -> Layers<'_> {
        (&self.layer).into()
    }
}

/// The rate and persistence of a layer along a sequence after training, with these controllers.
fn sequence(
    build: &dyn Fn(&mut LayerControl, Prior) -> Result<(), Failure>,
) -> Result<[f64; 2], Failure> {
    let mut parameters = Parameters::<f64>::new();
    let mut builder = Builder::new(&mut parameters, 1);
    let prior = Prior::OrderOne(OrderOne::new(&mut builder, UNITS, OrderOneConfig::default())?);
    let config = SequenceLayerConfig::new(INPUTS, UNITS);
    let network = SequenceNetwork { layer: SequenceLayer::new(&mut builder, prior, config)? };
    let controllers = || -> Result<LayerControl, Failure> {
        let config = LayerControlConfig { beta: 1.0, ..LayerControlConfig::default() };
        let mut control = LayerControl::new(UNITS, 1, config);
        build(&mut control, prior)?;
        Ok(control)
    };
    let data = Contexts::new(300, [normals(3, STEPS * ROWS * INPUTS), Vec::new()]);
    let mut shown = [0.0; 2];
    train(&network, &mut parameters, &data, &controllers, |seen| {
        shown[0] += mean(&seen.rate_dims, |x| x) / SHOWN as f64;
        shown[1] += mean(&seen.persistence, |x| x) / SHOWN as f64;
    })?;
    Ok(shown)
}

/// Contexts without memory, and units that must have memory: both measures reach their targets,
/// each through its own constraint.
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
