//! The training loop: shuffled batches, AdamW, a validation after every epoch, the best weights kept.

use crate::config::RunConfig;
use crate::data::Dataset;
use crate::data::batch::BatchBuffers;
use crate::evaluate::choose::Validated;
use crate::evaluate::validation::validate_under;
use crate::forecaster::Forecaster;
use crate::train::control_step::{ControlLog, ControlStep};
use crate::train::history::{Epoch, EpochSteps, write_history};
use crate::train::training_step::{Running, TrainingStep};
use crate::units::probe::probe;
use crate::units::stack_watch::StackWatch;
use rand::seq::SliceRandom;
use std::path::PathBuf;
use vdn_autograd::Tape;
use vdn_model::controllers::{ArShareRule, ControlState};
use vdn_model::diagnostics::Seen;
use vdn_model::units::unit_of_parameter;
use vdn_model::{Bindings, ModelError, Parameters};
use vdn_tensor::Element;
use vdn_tensor::noise::NoiseRng;
use vdn_train::Schedule;
use vdn_train::SelectionRule;
use vdn_train::TrainError;
use vdn_train::WeightAverage;
use vdn_train::{AdamW, AdamWConfig};
use vdn_train::{ControlConfig, DiagnosticsConfig, TrainConfig};
use vdn_train::{save_control, save_weights};

/// The stream that orders windows; layers' streams count from 0.
const SHUFFLE: u32 = 1 << 30;

/// Training steps that noise has addresses for, less those of evaluation.
const MOST_STEPS: u64 = 1 << 31;

/// What a run is told while it goes on.
#[derive(Clone, Copy, Debug)]
pub enum Progress<'a> {
    /// A training step is done: which one, of how many at most.
    Step {
        /// Steps done.
        done: u64,
        /// Steps of the whole run, if it does not stop early.
        total: u64,
    },
    /// An epoch is done and validated.
    Epoch(&'a Epoch),
}

/// Where a run writes while it goes on.
#[derive(Clone, Debug)]
pub struct Files {
    /// The history, rewritten after every epoch.
    pub history: PathBuf,
    /// The best weights so far.
    pub weights: PathBuf,
    /// The controllers' state at their epoch; beside it, with the ending `csv`, the log of the controllers.
    pub control: PathBuf,
    /// Every unit in every epoch, rewritten after every epoch; in a model of several layers there is a file for each, of the
    /// name that [`layer_file`](vdn_train::layer_file) makes of this one.
    pub units: PathBuf,
}

/// How to train.
///
/// ```
/// use vdn_forecast::Forecaster;
/// use vdn_forecast::{RunConfig, Trainer};
/// let text = "[data]\nmax_train = 16\nmax_validation = 8\n[model]\nunits = 8\nhidden = 8\nhead_hidden = 8\n[train]\nepochs = 1\n";
/// let config = RunConfig::from_toml(text)?;
/// let data = config.data.dataset(config.data.load_table()?)?;
/// let (model, mut parameters) = Forecaster::new::<f32>(config.forecaster()?, config.train.seed)?;
/// let trained = Trainer::new(&config).train(&model, &mut parameters, &data, |_| {})?;
/// assert_eq!((trained.history.len(), trained.best_epoch), (1, 1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Trainer {
    /// How long, in what portions.
    pub train: TrainConfig,
    /// The score that the best epoch is chosen by where that is asked for.
    pub selection: SelectionRule,
    /// AdamW.
    pub optimizer: AdamWConfig,
    /// The learning rate over the run.
    pub schedule: Schedule,
    /// What keeps the units inside their constraints.
    pub control: ControlConfig,
    /// Whether controllers are as the reference has them.
    pub reference: bool,
    /// What is measured of the units, and which of them live.
    pub diagnostics: DiagnosticsConfig,
    /// Where to write; `None`: nowhere.
    pub files: Option<Files>,
}

/// What training came to.
#[derive(Clone, Debug)]
pub struct Trained {
    /// Every epoch.
    pub history: Vec<Epoch>,
    /// The epoch whose weights were kept, from 1.
    pub best_epoch: usize,
    /// The controllers' state at that epoch; `None` without controllers. What they held are the weights, not their average.
    pub control: Option<ControlState>,
    /// What the epochs up to the best one showed of its units, drift and growth: for each layer with distributional units,
    /// from the encoder up.
    pub seen: Vec<Seen>,
    /// What controllers saw and did, one line an epoch; empty without controllers.
    pub control_log: ControlLog,
    /// Wall-clock seconds per epoch, validation included.
    pub seconds_per_epoch: f64,
}

impl Trainer {
    /// As a run's configuration says, writing nothing.
    #[must_use]
    pub fn new(config: &RunConfig) -> Self {
        Self {
            train: config.train.clone(),
            selection: config.selection,
            optimizer: config.optimizer,
            schedule: config.schedule,
            control: config.control.clone(),
            reference: config.is_reference(),
            diagnostics: config.diagnostics,
            files: None,
        }
    }

    /// Trains `parameters` in place and leaves the best epoch's values in them: where `train.ema_decay` is above 0, their
    /// moving average ([`WeightAverage`]), which validation and diagnostics see, too.
    ///
    /// Run it inside a [`Pool`](vdn_tensor::parallel::Pool) to choose the threads; the result does not depend on them.
    ///
    /// # Errors
    /// A loss or gradient that is not finite (with step, operation, layer and unit); windows that do not fit the
    /// model; a file that cannot be written. The best weights so far are then on disk and in `parameters`.
    pub fn train<T: Element>(
        &self,
        model: &Forecaster,
        parameters: &mut Parameters<T>,
        data: &Dataset,
        progress: impl FnMut(Progress<'_>),
    ) -> Result<Trained, TrainError> {
        let (mut best, mut step, mut control_log) = (None, 0, ControlLog::default());
        let start = std::time::Instant::now();
        let result =
            self.epochs(model, parameters, data, progress, &mut best, &mut step, &mut control_log);
        // However it ended: the best weights so far are what is left.
        let (mut best_epoch, mut control, mut seen) = (0, None, Vec::new());
        if let Some(best) = best {
            *parameters = best.parameters;
            (best_epoch, control, seen) = (best.epoch, best.control, best.seen);
        }
        let history = result.map_err(|error| at_step(model, parameters, step, error))?;
        let seconds_per_epoch = start.elapsed().as_secs_f64() / history.len() as f64;
        Ok(Trained { history, best_epoch, control, seen, control_log, seconds_per_epoch })
    }

    /// The epochs of [`Trainer::train`]: the history, and in `best`, `step` and `control_log` how far it came.
    #[expect(
        clippy::too_many_arguments,
        reason = "what is left when it ends with an error is borrowed"
    )]
    fn epochs<T: Element>(
        &self,
        model: &Forecaster,
        parameters: &mut Parameters<T>,
        data: &Dataset,
        mut progress: impl FnMut(Progress<'_>),
        best: &mut Option<Best<T>>,
        step: &mut u64,
        control_log: &mut ControlLog,
    ) -> Result<Vec<Epoch>, TrainError> {
        self.train.validate()?;
        self.selection.validate()?;
        self.schedule.validate()?;
        let mut windows = data.splits().train.clone();
        let noise = self.train.noise();
        let steps_per_epoch = windows.len().div_ceil(self.train.batch) as u64;
        let total = steps_per_epoch.saturating_mul(self.train.epochs as u64);
        if total >= MOST_STEPS {
            let epochs = self.train.epochs;
            return Err(TrainError::config(format!(
                "train.epochs = {epochs} of {steps_per_epoch} steps: noise is addressed by the step, of which there are at most \
                 {MOST_STEPS}"
            )));
        }
        let mut state = TrainingStep {
            optimizer: AdamW::new(self.optimizer, parameters)?,
            average: WeightAverage::new(self.train.ema_decay)?,
            tape: Tape::new(),
            bindings: Bindings::new(),
            buffers: BatchBuffers::default(),
            control: self.control.build(&model.config().controlled_layers(), self.reference)?,
            around: ControlStep::new(match self.reference {
                true => ArShareRule::Reference,
                false => ArShareRule::Monotone,
            }),
        };
        let mut watch = StackWatch::new(model, &self.diagnostics, &state.control)?;
        let mut history: Vec<Epoch> = Vec::new();
        for epoch in 1..=self.train.epochs {
            let mut order = NoiseRng::new(noise.key(SHUFFLE, epoch as u32));
            windows.sort_unstable();
            windows.shuffle(&mut order);
            if epoch == 1 {
                let first = &windows[..self.train.batch.min(windows.len())];
                model.initialize(parameters, &state.buffers.fill(data, first, false)?)?;
            }
            let mut running = Running::default();
            let mut rate = 0.0;
            for batch in windows.chunks(self.train.batch) {
                rate = self.train.learning_rate * self.schedule.factor(*step, total);
                let key = noise.key(0, *step as u32);
                state.take(model, parameters, data, batch, key, rate, &mut running)?;
                *step += 1;
                progress(Progress::Step { done: *step, total });
            }
            state.around.end_epoch(epoch, &state.control, model);
            let kept = state.average.parameters().unwrap_or(parameters);
            control_log.clone_from(state.around.log());
            let control = &state.control;
            let windows = &data.splits().validation;
            let averages = self.train.averages();
            let validation = validate_under(model, kept, data, windows, noise, averages, control)
                .map_err(in_validation)?;
            let chosen_by = self.train.selection;
            let rule = &self.selection;
            let validated = Validated { epoch, validation: &validation, averages, noise, rule };
            let score =
                validated.score(chosen_by, model, kept, data, control).map_err(in_validation)?;
            let loss = running.loss / running.windows;
            let layers =
                watch.epoch(model, &validation, control, loss, |diagnostics| {
                    match self.diagnostics.is_due(epoch) {
                        true => probe(model, kept, data, noise, &self.diagnostics, diagnostics),
                        false => Ok(None),
                    }
                })?;
            let better = best.as_ref().is_none_or(|best| score < best.score);
            let done = EpochSteps { epoch, step: *step, learning_rate: rate, running: &running };
            history.push(Epoch::new(&done, &validation, (score, better), layers));
            if better {
                let control = (!state.control.is_empty()).then(|| state.control.state());
                let seen = watch.seen();
                *best = Some(Best { score, epoch, parameters: kept.clone(), control, seen });
            }
            if let Some(files) = &self.files {
                if better {
                    save_weights(kept, &files.weights)?;
                    if let Some(control) = best.as_ref().and_then(|best| best.control.as_ref()) {
                        save_control(control, &files.control)?;
                    }
                }
                if !state.control.is_empty() {
                    control_log.write(&files.control.with_extension("csv"))?;
                }
                write_history(&files.history, &history)?;
                watch.write(&files.units)?;
            }
            progress(Progress::Epoch(&history[epoch - 1]));
            let since = epoch - best.as_ref().map_or(0, |best| best.epoch);
            if self.train.patience > 0 && since >= self.train.patience {
                break;
            }
        }
        Ok(history)
    }
}

/// The best epoch so far.
struct Best<T: Element> {
    score: f64,
    epoch: usize,
    parameters: Parameters<T>,
    control: Option<ControlState>,
    seen: Vec<Seen>,
}

/// Says that it was in validation that a number was not finite.
fn in_validation(error: TrainError) -> TrainError {
    match error {
        TrainError::Model(ModelError::NonFinite(report)) => {
            ModelError::NonFinite(format!("validation: {report}")).into()
        }
        other => other,
    }
}

/// Says at which step something was not finite, and in which unit.
fn at_step<T: Element>(
    model: &Forecaster,
    parameters: &Parameters<T>,
    step: u64,
    error: TrainError,
) -> TrainError {
    let report = match error {
        TrainError::Model(ModelError::NonFinite(report)) => report,
        TrainError::NonFiniteGradient { ref parameter, element }
        | TrainError::GradientOverflow { ref parameter, element } => {
            let unit = parameters.find(parameter).and_then(|id| {
                let shape = parameters.get(id).tensor().shape();
                unit_of_parameter(model.stack().layers(), parameter, shape.dims(), element)
            });
            unit.map_or_else(|| error.to_string(), |unit| format!("{error}, unit {unit}"))
        }
        other => return other,
    };
    TrainError::NonFinite { step, report }
}
