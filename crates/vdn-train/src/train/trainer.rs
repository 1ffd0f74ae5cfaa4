//! [`Trainer`]: the training of any [`Network`]: shuffled batches, an optimiser, controllers, a
//! validation after every epoch, and the best weights.

use crate::config::{
    BudgetConfig, ControlConfig, ControlledLayer, DiagnosticsConfig, Selection, TrainConfig,
};
use crate::data::Examples;
use crate::error::TrainError;
use crate::memory::MemoryEstimate;
use crate::network::Network;
use crate::optim::{AdamW, AdamWConfig, ParameterGroup, Schedule};
use crate::run::RunFiles;
use crate::run::store::{Interrupt, StoreError};
use crate::train::control_log::ControlLog;
use crate::train::divergence::Divergence;
use crate::train::selection::SelectionRule;
use crate::train::session::Session;
use crate::train::task::ByScore;
use crate::units::history::Epoch;
use vdn_model::controllers::{ControlState, StackControl};
use vdn_model::core::Parameters;
use vdn_model::diagnostics::HealthTrend;
use vdn_model::units::UnitLayer;
use vdn_tensor::Element;

/// A report on the progress of a run.
#[derive(Clone, Copy, Debug)]
pub enum Progress<'a> {
    /// The expected memory of the run, before any computation. The trainer itself makes no
    /// estimate; runs of forecasts and tasks do.
    Memory(&'a MemoryEstimate),
    /// A part of the work before training is done. The trainer itself has none; forecasting fits
    /// its baselines.
    Preparation {
        /// The number of finished parts.
        done: u64,
        /// The total number of parts.
        total: u64,
    },
    /// A training step is done.
    Step {
        /// The number of finished steps.
        done: u64,
        /// The number of steps of the whole run without early stopping.
        total: u64,
    },
    /// An epoch is done and validated.
    Epoch(&'a Epoch),
    /// A checkpoint was skipped because it is damaged. The run resumes from an older one.
    Skipped(&'a StoreError),
    /// A checkpoint is on disk.
    Checkpoint {
        /// The size in bytes.
        bytes: u64,
        /// The wall-clock time of saving, in seconds.
        seconds: f64,
    },
}

/// The settings of training a network.
///
/// ```
/// # use vdn_autograd::Var;
/// # use vdn_model::core::{Builder, Graph, ModelError, Parameters};
/// # use vdn_model::modules::Linear;
/// # use vdn_model::units::{LayerConfig, Layers, Stack, StackLayerConfig};
/// # use vdn_train::data::{RowBatch, Rows};
/// # use vdn_train::train::{Locals, Network, Terms, Trainer};
/// struct Regression { stack: Stack, head: Linear }
///
/// impl Network<f32> for Regression {
///     type Batch<'a> = RowBatch<'a, f32>;
///
///     fn loss(
///         &self,
///         graph: &mut Graph<'_, f32>,
///         batch: &RowBatch<'_, f32>,
///         locals: &Locals<'_>,
///     ) -> Result<Terms, ModelError> {
///         let x = graph.tape.constant([batch.rows, 2], batch.inputs)?;
///         let y = graph.tape.constant([batch.rows, 1], batch.targets)?;
///         let units = self.stack.forward(graph, x)?; // [samples, rows, units]
///         let mean = self.head.forward(graph, units.z)?;
///         let residual = graph.tape.sub(mean, y)?;
///         let squares = graph.tape.square(residual)?;
///         let score = graph.tape.mean(squares)?;
///         locals.terms(graph, self, &units.layers, score)
///     }
///
///     fn layers(&self) -> Layers<'_> {
///         self.stack.layers().into()
///     }
/// }
///
/// let mut parameters = Parameters::new();
/// let mut builder = Builder::new(&mut parameters, 0);
/// let layer = LayerConfig { inputs: 2, units: 4, ..LayerConfig::default() };
/// let config = StackLayerConfig { layer, ..StackLayerConfig::default() };
/// let stack = Stack::new(&mut builder, "units", &[config])?;
/// let network = Regression { head: Linear::new(&mut builder, "head", 4, 1), stack };
/// let inputs: Vec<f64> = (0..64).map(|i| f64::from(i % 8) - 4.0).collect();
/// let targets = inputs.chunks(2).map(|x| x[0] - x[1]).collect();
/// let data = Rows::new([2, 1], inputs, targets)?.split_at(24, 8)?;
/// let mut trainer = Trainer::default();
/// trainer.train.epochs = 2;
/// let trained = trainer.train(&network, &mut parameters, &data, |_| {})?;
/// assert_eq!(trained.history.len(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Trainer {
    /// The length of training, its batches, and its seed.
    pub train: TrainConfig,
    /// The thresholds of the constraint-aware selection score.
    pub selection: SelectionRule,
    /// The settings of AdamW, unless a session gets another optimiser.
    pub optimizer: AdamWConfig,
    /// Parameters with their own learning rate or weight decay; default: none. The rates multiply
    /// the rates of [`Network::parameter_groups`].
    pub groups: Vec<ParameterGroup>,
    /// The learning-rate schedule.
    pub schedule: Schedule,
    /// The controllers that keep the units inside their constraints.
    pub control: ControlConfig,
    /// Whether controllers behave as in the reference; default `false`.
    pub reference: bool,
    /// The measurements of units, and the definition of living units.
    pub diagnostics: DiagnosticsConfig,
    /// The directory of the run; with `None`, the default, nothing is written.
    pub files: Option<RunFiles>,
    /// The signal that asks the run to stop. The run then finishes its step, saves a checkpoint,
    /// and ends with [`TrainError::Interrupted`].
    pub interrupt: Interrupt,
}

/// The result of training.
#[derive(Clone, Debug)]
pub struct Trained {
    /// All epochs.
    pub history: Vec<Epoch>,
    /// The epoch whose weights were kept, counted from 1.
    pub best_epoch: usize,
    /// The controllers' state at that epoch; `None` without controllers. The controllers acted on
    /// the weights and not on their average.
    pub control: Option<ControlState>,
    /// The drift and growth of the units up to the best epoch, for each layer with distributional
    /// units, from the input up.
    pub seen: Vec<HealthTrend>,
    /// The observations and actions of controllers, one line per epoch; empty without controllers.
    pub control_log: ControlLog,
    /// Wall-clock seconds per epoch, including validation.
    pub seconds_per_epoch: f64,
    /// The score of the first batch before the first step; `None` for a run that was resumed from a
    /// checkpoint of an older version.
    pub untrained: Option<f64>,
}

impl Trained {
    /// The scores of the kept epoch and of the network before its first step if training diverged;
    /// otherwise `None`. As long as all numbers are finite, nothing else reports a learning rate
    /// that is too large.
    #[must_use]
    pub fn divergence(&self) -> Option<Divergence> {
        Divergence::of_history(self.untrained, &self.history, self.best_epoch)
    }
}

/// The defaults of every part, with two exceptions:
///
/// * The best epoch is selected by the network's own score, which every network has.
/// * The budget of the rate is relative to the weight of the network's KL
///   ([`BudgetConfig::of_bound`]), so that it holds for a loss of any scale.
impl Default for Trainer {
    fn default() -> Self {
        Self {
            train: TrainConfig { selection: Selection::Nll, ..TrainConfig::default() },
            selection: SelectionRule::default(),
            optimizer: AdamWConfig::default(),
            groups: Vec::new(),
            schedule: Schedule::default(),
            control: ControlConfig {
                relative: true,
                rate: BudgetConfig::of_bound(),
                kl: BudgetConfig::of_bound(),
                ..ControlConfig::default()
            },
            reference: false,
            diagnostics: DiagnosticsConfig::default(),
            files: None,
            interrupt: Interrupt::new(),
        }
    }
}

impl Trainer {
    /// Trains `parameters` in place. At the end they have the values of the best epoch.
    ///
    /// If `train.ema_decay` is above 0, these are the moving averages
    /// ([`WeightAverage`](crate::optim::WeightAverage)), which are also validated and diagnosed.
    /// Epochs are selected by the loss alone ([`ByScore`]); a session with another
    /// [`Task`](crate::train::Task) offers more criteria.
    ///
    /// To choose the number of threads, call this inside a [`Pool`](vdn_tensor::parallel::Pool).
    /// The result does not depend on it.
    ///
    /// # Errors
    /// Returns an error if a loss or gradient is not finite (with step, operation, layer and unit),
    /// if the examples do not fit the network, or if a file cannot be written. The best weights so
    /// far are then in `parameters` and, with [`Trainer::files`], on disk.
    pub fn train<T, N, D>(
        &self,
        network: &N,
        parameters: &mut Parameters<T>,
        data: &D,
        progress: impl FnMut(Progress<'_>),
    ) -> Result<Trained, TrainError>
    where
        T: Element,
        N: Network<T>,
        D: for<'b> Examples<T, Batch<'b> = N::Batch<'b>>,
    {
        self.session(network, parameters, data)?.run(progress)
    }

    /// Resumes a run from the newest intact checkpoint in [`Trainer::files`], bit for bit as if it
    /// had never stopped. Without a checkpoint it starts from the beginning.
    ///
    /// # Errors
    /// Returns the errors of [`Trainer::train`], and an error if there are no files, or if the
    /// checkpoint is of another network, of other settings or of another version.
    pub fn resume<T, N, D>(
        &self,
        network: &N,
        parameters: &mut Parameters<T>,
        data: &D,
        mut progress: impl FnMut(Progress<'_>),
    ) -> Result<Trained, TrainError>
    where
        T: Element,
        N: Network<T>,
        D: for<'b> Examples<T, Batch<'b> = N::Batch<'b>>,
    {
        let mut session = self.session(network, parameters, data)?;
        session.resume()?.iter().for_each(|damage| progress(Progress::Skipped(damage)));
        session.run(progress)
    }

    /// Creates a session, in which parts of the training can be replaced before it runs.
    ///
    /// # Errors
    /// Returns an error if a setting is outside its domain or if constraints contradict each other.
    pub fn session<'a, T, N, D>(
        &'a self,
        network: &'a N,
        parameters: &'a mut Parameters<T>,
        data: &'a D,
    ) -> Result<Session<'a, T, N, D, ByScore, AdamW<T>>, TrainError>
    where
        T: Element,
        N: Network<T>,
        D: for<'b> Examples<T, Batch<'b> = N::Batch<'b>>,
    {
        let optimizer = AdamW::new(parameters, self.optimizer)?
            .with_groups(&self.groups, parameters)?
            .with_groups(&network.parameter_groups(), parameters)?;
        Session::new(self, network, parameters, data, ByScore, optimizer)
    }

    /// Builds the controllers that the settings ask for in a network's layers.
    ///
    /// # Errors
    /// Returns an error if no unit can meet all constraints, or if settings name a layer that does
    /// not exist.
    pub fn controllers<T: Element, N: Network<T>>(
        &self,
        network: &N,
    ) -> Result<StackControl, TrainError> {
        let distributional = network.distributional_layers();
        let of = |(index, layer): (usize, UnitLayer<'_>)| {
            let own = distributional.contains(&index);
            let (objective, weight) = (network.objective(), network.kl_weight(index));
            own.then(|| ControlledLayer::of(layer, objective, weight)).flatten()
        };
        let layers: Vec<_> = network.layers().iter().enumerate().map(of).collect();
        self.control.build(&layers, self.reference)
    }
}
