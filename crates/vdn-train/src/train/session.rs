//! [`Session`]: a training with its settings, before and during its epochs.

use crate::config::Selection;
use crate::data::{Examples, Request, Split};
use crate::error::TrainError;
use crate::evaluate::{Evaluator, Validation};
use crate::network::Network;
use crate::network::NoiseSeed;
use crate::optim::{Optimizer, WeightAverage};
use crate::train::checkpoint::Durable;
use crate::train::control_log::{ControlLog, ControlStep};
use crate::train::non_finite::{at_step, in_validation};
use crate::train::selection::candidate;
use crate::train::step::{Hooks, TrainingStep};
use crate::train::task::Task;
use crate::train::trainer::{Progress, Trained, Trainer};
use crate::units::history::Running;
use crate::units::history::{Epoch, EpochSteps};
use crate::units::unit_monitor::UnitMonitor;
use rand::seq::SliceRandom;
use std::time::Instant;
use vdn_autograd::Tape;
use vdn_model::controllers::{ArShareRule, ControlState, Lever, Observation, StackControl};
use vdn_model::core::streams::TRAINING_ORDER;
use vdn_model::core::{Bindings, Parameters};
use vdn_model::diagnostics::HealthTrend;
use vdn_tensor::Element;
use vdn_tensor::noise::NoiseRng;

/// A training that can be configured and then run.
///
/// A [`Trainer`] creates it. Before it runs, it can be given another task, another optimiser,
/// controllers and hooks.
pub struct Session<'a, T, N, D, K, O>
where
    T: Element,
    D: Examples<T>,
{
    pub(super) trainer: &'a Trainer,
    pub(super) network: &'a N,
    pub(super) parameters: &'a mut Parameters<T>,
    pub(super) data: &'a D,
    pub(super) task: K,
    pub(super) step: TrainingStep<'a, T, D::Buffers, O>,
    pub(super) monitor: Option<UnitMonitor>,
    pub(super) place: SessionPlace,
    pub(super) history: Vec<Epoch>,
    pub(super) best: Option<Best<T>>,
    pub(super) durable: Option<Durable>,
}

/// The position of a training.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct SessionPlace {
    /// The number of finished training steps.
    pub(super) step: u64,
    /// The number of finished epochs.
    pub(super) epochs: usize,
    /// The number of finished steps in the current epoch.
    pub(super) batches: usize,
    /// The sums of the current epoch.
    pub(super) running: Running,
    /// The learning rate of the last step.
    pub(super) rate: f64,
    /// Whether training is over.
    pub(super) over: bool,
    /// Wall-clock seconds before the last interruption.
    pub(super) seconds: f64,
    /// The score of the first batch before the first step.
    pub(super) untrained: Option<f64>,
}

/// The best epoch so far.
pub(super) struct Best<T: Element> {
    pub(super) score: f64,
    pub(super) epoch: usize,
    pub(super) parameters: Parameters<T>,
    pub(super) control: Option<ControlState>,
    pub(super) seen: Vec<HealthTrend>,
}

impl<'a, T, N, D, K, O> Session<'a, T, N, D, K, O>
where
    T: Element,
    N: Network<T>,
    D: for<'b> Examples<T, Batch<'b> = N::Batch<'b>>,
    K: Task<T, N, D>,
    O: Optimizer<T>,
{
    pub(super) fn new(
        trainer: &'a Trainer,
        network: &'a N,
        parameters: &'a mut Parameters<T>,
        data: &'a D,
        task: K,
        optimizer: O,
    ) -> Result<Self, TrainError> {
        trainer.train.validate()?;
        trainer.selection.validate()?;
        trainer.schedule.validate()?;
        let step = TrainingStep {
            optimizer,
            average: WeightAverage::new(trainer.train.ema_decay)?,
            tape: Tape::new(),
            bindings: Bindings::new(),
            buffers: D::Buffers::default(),
            control: trainer.controllers(network)?,
            around: ControlStep::new(match trainer.reference {
                true => ArShareRule::Reference,
                false => ArShareRule::Monotone,
            }),
            hooks: Hooks { statistics: None, gradients: None },
            sums: Vec::new(),
            spare: Vec::new(),
        };
        let place = SessionPlace::default();
        let (history, best, monitor, durable) = (Vec::new(), None, None, None);
        Ok(Self {
            trainer,
            network,
            parameters,
            data,
            task,
            step,
            monitor,
            place,
            history,
            best,
            durable,
        })
    }

    /// Replaces the task.
    #[must_use]
    pub fn with_task<K2: Task<T, N, D>>(self, task: K2) -> Session<'a, T, N, D, K2, O> {
        self.replace(|_| task, |optimizer| optimizer)
    }

    /// Replaces the optimiser. The new optimiser has its own groups: it gets neither the groups of
    /// the trainer nor the groups of the network ([`Network::parameter_groups`]).
    #[must_use]
    pub fn with_optimizer<O2: Optimizer<T>>(self, optimizer: O2) -> Session<'a, T, N, D, K, O2> {
        self.replace(|task| task, |_| optimizer)
    }

    fn replace<K2, O2>(
        self,
        task: impl FnOnce(K) -> K2,
        optimizer: impl FnOnce(O) -> O2,
    ) -> Session<'a, T, N, D, K2, O2> {
        let own = self.step;
        let step = TrainingStep {
            optimizer: optimizer(own.optimizer),
            average: own.average,
            tape: own.tape,
            bindings: own.bindings,
            buffers: own.buffers,
            control: own.control,
            around: own.around,
            hooks: own.hooks,
            sums: own.sums,
            spare: own.spare,
        };
        Session {
            trainer: self.trainer,
            network: self.network,
            parameters: self.parameters,
            data: self.data,
            task: task(self.task),
            step,
            monitor: self.monitor,
            place: self.place,
            history: self.history,
            best: self.best,
            durable: self.durable,
        }
    }

    /// The controllers of the layers. Your own [`Controller`](vdn_model::controllers::Controller)
    /// can be added to them.
    pub fn controllers(&mut self) -> &mut StackControl {
        &mut self.step.control
    }

    /// Lets `hook` change the observation of each layer in a step before its controllers see it.
    #[must_use]
    pub fn on_statistics(mut self, hook: impl FnMut(usize, &mut Observation) + 'a) -> Self {
        self.step.hooks.statistics = Some(Box::new(hook));
        self
    }

    /// Lets `hook` read and change the gradients of a step before the optimiser: one vector per
    /// parameter, `None` for parameters that the loss does not depend on. The gradients are copied
    /// for this.
    #[must_use]
    pub fn on_gradients(mut self, hook: impl FnMut(&mut [Option<Vec<T>>]) + 'a) -> Self {
        self.step.hooks.gradients = Some(Box::new(hook));
        self
    }

    fn noise(&self) -> NoiseSeed {
        self.trainer.train.noise()
    }

    /// The number of steps in one epoch.
    fn steps_per_epoch(&self) -> u64 {
        let examples = self.data.split(Split::Train).len();
        examples.div_ceil(self.trainer.train.batch) as u64
    }

    /// Trains. At the end the parameters have their values of the best epoch.
    ///
    /// # Errors
    /// Returns the errors of [`Trainer::train`].
    pub fn run(mut self, mut progress: impl FnMut(Progress<'_>)) -> Result<Trained, TrainError> {
        let start = Instant::now();
        let result = self.epochs(start, &mut progress);
        // However training ended, its state so far is on disk, and the best weights are kept.
        let published = self.publish();
        let (mut best_epoch, mut control, mut seen) = (0, None, Vec::new());
        if let Some(best) = self.best {
            *self.parameters = best.parameters;
            (best_epoch, control, seen) = (best.epoch, best.control, best.seen);
        }
        let step = self.place.step;
        result.map_err(|error| at_step(self.network, self.parameters, step, error))?;
        published?;
        let (history, control_log) = (self.history, self.step.around.log().clone());
        let seconds = self.place.seconds + start.elapsed().as_secs_f64();
        let seconds_per_epoch = seconds / history.len() as f64;
        let untrained = self.place.untrained;
        Ok(Trained {
            history,
            best_epoch,
            control,
            seen,
            control_log,
            seconds_per_epoch,
            untrained,
        })
    }

    /// Checks the settings before the first step.
    fn check(&self) -> Result<u64, TrainError> {
        let train = &self.trainer.train;
        let total = train.total_steps(self.data.split(Split::Train).len())?;
        if train.accumulate > 1 && !self.step.control.is_empty() {
            let reason = format!(
                "train.accumulate = {}: controllers need rates, variances and energies of the whole batch, which are no means \
                 over its parts; leave out the controllers or the accumulation",
                train.accumulate
            );
            return Err(TrainError::config(reason));
        }
        for (index, own) in self.step.control.iter() {
            let layer = self.network.layers().get(index);
            let has_means = layer.is_some_and(|layer| layer.variational().is_some());
            let moved = [Lever::Gain, Lever::Sigma].into_iter().find(|&lever| own.moves(lever));
            if let Some(lever) = moved.filter(|_| !has_means) {
                let (layer, lever) = (index + 1, lever.name());
                let reason = format!(
                    "control: layer {layer}: a controller moves {lever}, which only layers of a \
                     stack have"
                );
                return Err(TrainError::config(reason));
            }
        }
        Ok(total)
    }

    fn epochs(
        &mut self,
        start: Instant,
        progress: &mut impl FnMut(Progress<'_>),
    ) -> Result<(), TrainError> {
        let total = self.check()?;
        let train = &self.trainer.train;
        if self.monitor.is_none() {
            self.monitor = Some(self.new_monitor()?);
        }
        self.begin_writing()?;
        let noise = self.noise();
        let (portion, micro) = (train.batch, train.examples_per_pass());
        let mut examples = self.data.split(Split::Train).to_vec();
        while !self.place.over && self.place.epochs < train.epochs {
            let epoch = self.place.epochs + 1;
            let mut order = NoiseRng::new(noise.key(TRAINING_ORDER, epoch as u32));
            examples.sort_unstable();
            examples.shuffle(&mut order);
            if self.place.step == 0 {
                let first = &examples[..portion.min(examples.len())];
                let batch = self.data.fill(&mut self.step.buffers, first, Request::INPUTS)?;
                self.network.initialize(self.parameters, &batch)?;
            }
            for batch in examples.chunks(portion).skip(self.place.batches) {
                let SessionPlace { step, running, rate, untrained, .. } = &mut self.place;
                *rate = train.learning_rate * self.trainer.schedule.factor(*step, total);
                let key = noise.key(0, *step as u32);
                let parameters = &mut *self.parameters;
                self.step.take(
                    self.network,
                    parameters,
                    self.data,
                    batch,
                    micro,
                    key,
                    *rate,
                    running,
                )?;
                if *step == 0 {
                    *untrained = Some(running.nll / running.windows);
                }
                *step += 1;
                self.place.batches += 1;
                progress(Progress::Step { done: self.place.step, total });
                let ends = self.place.batches as u64 == self.steps_per_epoch();
                if self.trainer.interrupt.is_requested() && !ends {
                    self.save(start, progress)?;
                    return Err(TrainError::Interrupted { step: self.place.step });
                }
                if !ends && self.is_due(None) {
                    self.save(start, progress)?;
                }
            }
            self.end_epoch(epoch)?;
            progress(Progress::Epoch(&self.history[epoch - 1]));
            let since = epoch - self.best.as_ref().map_or(0, |best| best.epoch);
            let patience = train.patience;
            self.place.over = patience > 0 && since >= patience || epoch == train.epochs;
            let interrupted = self.trainer.interrupt.is_requested() && !self.place.over;
            if self.place.over || interrupted || self.is_due(Some(epoch)) {
                self.save(start, progress)?;
            }
            if interrupted {
                return Err(TrainError::Interrupted { step: self.place.step });
            }
        }
        Ok(())
    }

    pub(super) fn new_monitor(&self) -> Result<UnitMonitor, TrainError> {
        UnitMonitor::new(self.network, &self.trainer.diagnostics, &self.step.control)
    }

    /// Validates an epoch, scores it, and records it.
    fn end_epoch(&mut self, epoch: usize) -> Result<(), TrainError> {
        let trainer = self.trainer;
        self.step.around.end_epoch(epoch, &self.step.control, self.network.layers().len());
        let kept = self.step.average.parameters().unwrap_or(self.parameters);
        let control = &self.step.control;
        let evaluator = Evaluator::new(self.network, kept, self.data, trainer.train.noise())
            .averaging(trainer.train.averages());
        let examples = self.data.split(Split::Validation);
        let validation = evaluator.validate(examples, control).map_err(in_validation)?;
        let score = self.score(&evaluator, epoch, &validation).map_err(in_validation)?;
        let running = self.place.running;
        let loss = running.loss / running.windows;
        let monitor = self.monitor.as_mut().expect("made before the first epoch");
        let task = &self.task;
        let layers =
            monitor.epoch(self.network, &validation, control, loss, |diagnostics| match trainer
                .diagnostics
                .is_due(epoch)
            {
                true => task.probe(&evaluator, &trainer.diagnostics, diagnostics),
                false => Ok(None),
            })?;
        let better = self.best.as_ref().is_none_or(|best| score < best.score);
        let done = EpochSteps {
            epoch,
            step: self.place.step,
            learning_rate: self.place.rate,
            running: &running,
        };
        self.history.push(Epoch::new(&done, &validation, (score, better), layers));
        if better {
            let control = (!control.is_empty()).then(|| control.state());
            let (parameters, seen) = (kept.clone(), monitor.seen());
            self.best = Some(Best { score, epoch, parameters, control, seen });
        }
        self.place.epochs = epoch;
        self.place.batches = 0;
        self.place.running = Running::default();
        self.record_epoch()
    }

    /// The selection score of an epoch; smaller is better.
    fn score(
        &self,
        evaluator: &Evaluator<'_, T, N, D>,
        epoch: usize,
        validation: &Validation,
    ) -> Result<f64, TrainError> {
        let by = self.trainer.train.selection;
        let missing = || {
            let name = by.name();
            TrainError::config(format!(
                "train.selection = \"{name}\": this network offers no such score; choose by nll, score or last"
            ))
        };
        Ok(match by {
            Selection::Nll => validation.score,
            Selection::Mse => validation.mse.ok_or_else(missing)?,
            Selection::Last => -(epoch as f64),
            Selection::Score => {
                self.trainer.selection.score(&candidate(epoch, validation, &self.step.control))
            }
            Selection::Crps | Selection::Elbo => {
                self.task.selection_score(by, evaluator, validation)?.ok_or_else(missing)?
            }
        })
    }

    /// The log of the controllers so far.
    pub(super) fn control_log(&self) -> &ControlLog {
        self.step.around.log()
    }
}
