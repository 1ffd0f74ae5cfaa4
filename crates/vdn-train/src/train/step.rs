//! One training step: the loss of a batch, its gradient, the optimiser, the controllers around it,
//! and the average of the weights.

use crate::data::{Examples, Request};
use crate::error::TrainError;
use crate::network::{Network, finite};
use crate::optim::{Gradients, Optimizer, WeightAverage};
use crate::train::control_log::ControlStep;
use crate::units::history::Running;
use vdn_autograd::Tape;
use vdn_model::controllers::{Observation, StackControl};
use vdn_model::core::{Bindings, Graph, Mode, Parameters};
use vdn_tensor::Element;
use vdn_tensor::noise::NoiseKey;

/// A hook that may change a layer's observation before its controllers see it. Its arguments are
/// the number of the layer, from 0, and the observation.
pub(crate) type OnStatistics<'h> = Box<dyn FnMut(usize, &mut Observation) + 'h>;

/// A hook between the backward pass and the optimiser. Its argument is the gradient of each
/// parameter, `None` for parameters that the loss does not depend on.
pub(crate) type OnGradients<'h, T> = Box<dyn FnMut(&mut [Option<Vec<T>>]) + 'h>;

/// The hooks between the parts of a step.
pub(crate) struct Hooks<'h, T> {
    pub(crate) statistics: Option<OnStatistics<'h>>,
    pub(crate) gradients: Option<OnGradients<'h, T>>,
}

/// The state of a training step.
pub(crate) struct TrainingStep<'h, T: Element, B, O> {
    pub(crate) optimizer: O,
    pub(crate) average: WeightAverage<T>,
    pub(crate) tape: Tape<T>,
    pub(crate) bindings: Bindings,
    pub(crate) buffers: B,
    pub(crate) control: StackControl,
    pub(crate) around: ControlStep,
    pub(crate) hooks: Hooks<'h, T>,
    /// The sums of gradients; empty if each step is one pass and no hook needs them.
    pub(crate) sums: Vec<Option<Vec<T>>>,
    /// Buffers for sums that currently have no gradient.
    pub(crate) spare: Vec<Vec<T>>,
}

impl<T, B, O> TrainingStep<'_, T, B, O>
where
    T: Element,
    O: Optimizer<T>,
{
    /// Makes one step on `examples`, in passes of at most `portion`. The noise of each pass after
    /// the first is folded in with the number of the pass.
    #[expect(clippy::too_many_arguments, reason = "all of them are borrowed parts of one loop")]
    pub(crate) fn take<N, D>(
        &mut self,
        network: &N,
        parameters: &mut Parameters<T>,
        data: &D,
        examples: &[D::Index],
        portion: usize,
        key: NoiseKey,
        rate: f64,
        running: &mut Running,
    ) -> Result<(), TrainError>
    where
        N: Network<T>,
        D: for<'b> Examples<T, Batch<'b> = N::Batch<'b>, Buffers = B>,
    {
        let in_sums = portion < examples.len() || self.hooks.gradients.is_some();
        if in_sums {
            self.sums.resize_with(parameters.len(), || None);
            self.spare.resize_with(parameters.len(), Vec::new);
            // A parameter without a gradient in this step gets none, whatever it had before.
            for (sum, spare) in self.sums.iter_mut().zip(&mut self.spare) {
                *spare = sum.take().unwrap_or_else(|| std::mem::take(spare));
            }
        }
        for (pass, chunk) in examples.chunks(portion.max(1)).enumerate() {
            let key = if pass == 0 { key } else { key.fold_in(pass as u64) };
            self.pass(network, parameters, data, chunk, key, running)?;
            if in_sums {
                let share = T::from_f64(chunk.len() as f64 / examples.len() as f64);
                self.add_gradients(parameters.len(), share);
            }
        }
        running.steps += 1.0;
        let Self { optimizer, average, tape, bindings, control, hooks, sums, .. } = self;
        // The tape releases the parameters, so that they change in place.
        tape.release_shared();
        let gradients = match in_sums {
            true => {
                if let Some(hook) = &mut hooks.gradients {
                    hook(sums);
                }
                Gradients::of_slices(sums)
            }
            false => Gradients::of_tape(tape, bindings, parameters.len()),
        };
        running.norm += optimizer.step(parameters, rate, &gradients)?;
        control.act(network.layers(), parameters, |id, gain| {
            optimizer.rescale_rows(id.index(), gain);
            average.rescale_rows(id.index(), gain);
        });
        average.follow(parameters);
        Ok(())
    }

    /// The forward and backward pass of some examples.
    fn pass<N, D>(
        &mut self,
        network: &N,
        parameters: &Parameters<T>,
        data: &D,
        examples: &[D::Index],
        key: NoiseKey,
        running: &mut Running,
    ) -> Result<(), TrainError>
    where
        N: Network<T>,
        D: for<'b> Examples<T, Batch<'b> = N::Batch<'b>, Buffers = B>,
    {
        let Self { tape, bindings, buffers, control, around, hooks, .. } = self;
        tape.reset();
        let predecessors = ControlStep::wants_predecessors(control, &network.layers());
        let request = Request { predecessors, ..Request::TARGETS };
        let batch = data.fill(buffers, examples, request)?;
        let mut graph = Graph::new(tape, parameters, bindings, Mode::Train, key)
            .with_kl_rows(control.needs().kl_rows);
        let terms = network.loss(&mut graph, &batch, &around.locals(control))?;
        let loss = tape.scalar(terms.loss)?.to_f64();
        finite(network, tape, (parameters, bindings), &[loss], "the loss")?;
        let n = examples.len() as f64;
        running.windows += n;
        running.loss += n * loss;
        running.nll += n * tape.scalar(terms.score)?.to_f64();
        if let Some(kl) = terms.kl {
            running.kl += n * tape.scalar(kl)?.to_f64();
        }
        let mut adjust = |layer: usize, observation: &mut Observation| {
            if let Some(hook) = &mut hooks.statistics {
                hook(layer, observation);
            }
        };
        around.observe(control, tape, network, &terms, &mut adjust)?;
        tape.backward(terms.loss)?;
        Ok(())
    }

    /// Adds the gradients on the tape, times `share`, to the sums.
    fn add_gradients(&mut self, count: usize, share: T) {
        let gradients = Gradients::of_tape(&self.tape, &self.bindings, count);
        let sums = self.sums.iter_mut().zip(&mut self.spare);
        for ((sum, spare), gradient) in sums.zip(gradients.iter()) {
            let Some(gradient) = gradient else { continue };
            let sum = sum.get_or_insert_with(|| {
                let mut sum = std::mem::take(spare);
                sum.clear();
                sum.resize(gradient.len(), T::ZERO);
                sum
            });
            sum.iter_mut().zip(gradient).for_each(|(sum, &g)| *sum += share * g);
        }
    }
}
