//! One training step: the loss of a batch, its gradient, AdamW, what controllers do around it, and the weights' average.

use crate::data::batch::BatchBuffers;
use crate::data::{Dataset, WindowIndex};
use crate::forecaster::Forecaster;
use crate::train::control_step::ControlStep;
use vdn_autograd::Tape;
use vdn_model::controllers::StackControl;
use vdn_model::units::non_finite_report;
use vdn_model::{Bindings, Graph, Mode, ModelError, Parameters};
use vdn_tensor::Element;
use vdn_tensor::noise::NoiseKey;
use vdn_train::AdamW;
use vdn_train::TrainError;
use vdn_train::WeightAverage;

/// Sums over the steps of an epoch.
#[derive(Default)]
pub(crate) struct Running {
    pub(crate) windows: f64,
    pub(crate) steps: f64,
    pub(crate) loss: f64,
    pub(crate) nll: f64,
    pub(crate) kl: f64,
    pub(crate) norm: f64,
}

/// What a training step works with.
pub(crate) struct TrainingStep<T: Element> {
    pub(crate) optimizer: AdamW<T>,
    pub(crate) average: WeightAverage<T>,
    pub(crate) tape: Tape<T>,
    pub(crate) bindings: Bindings,
    pub(crate) buffers: BatchBuffers<T>,
    pub(crate) control: StackControl,
    pub(crate) around: ControlStep<T>,
}

impl<T: Element> TrainingStep<T> {
    /// One training step.
    #[expect(clippy::too_many_arguments, reason = "all of them are borrowed parts of one loop")]
    pub(crate) fn take(
        &mut self,
        model: &Forecaster,
        parameters: &mut Parameters<T>,
        data: &Dataset,
        windows: &[WindowIndex],
        key: NoiseKey,
        rate: f64,
        running: &mut Running,
    ) -> Result<(), TrainError> {
        let Self { optimizer, average, tape, bindings, buffers, control, around } = self;
        tape.reset();
        let batch = buffers.fill(data, windows, true)?;
        let mut graph = Graph::new(tape, parameters, bindings, Mode::Train, key);
        let options = around.options(control, data, windows)?;
        let terms = model.loss_with(&mut graph, &batch, &options)?;
        let loss = tape.scalar(terms.loss)?.to_f64();
        if !loss.is_finite() {
            let report =
                non_finite_report(model.stack().layers(), tape, parameters, bindings, "the loss");
            return Err(ModelError::NonFinite(report).into());
        }
        let n = windows.len() as f64;
        running.windows += n;
        running.steps += 1.0;
        running.loss += n * loss;
        running.nll += n * tape.scalar(terms.nll)?.to_f64();
        if let Some(kl) = terms.kl {
            running.kl += n * tape.scalar(kl)?.to_f64();
        }
        around.observe(control, tape, model, &terms)?;
        tape.backward(terms.loss)?;
        // The tape lets go of the parameters, so that they change in place.
        tape.release_shared();
        let gradients = (0..parameters.len()).map(|i| {
            let var = bindings.get(i)?;
            tape.gradient(var).map(|g| g.data())
        });
        running.norm += optimizer.step(parameters, rate, gradients)?;
        control.act(model.stack(), parameters, |id, gain| {
            optimizer.rescale_rows(id.index(), gain);
            average.rescale_rows(id.index(), gain);
        });
        average.follow(parameters);
        Ok(())
    }
}
