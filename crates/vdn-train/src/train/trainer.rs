//! [`Trainer`]: how to train any [`Network`]: shuffled batches, an optimiser, controllers, a
//! validation after every epoch, the best weights kept.

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

/// What a run is told while it goes on.
#[derive(Clone, Copy, Debug)]
pub enum Progress<'a> {
    /// The memory that the run is expected to take, before anything is computed. The trainer itself
    /// does not estimate; runs of forecasts and tasks do.
    Memory(&'a MemoryEstimate),
    /// A part of the work is done that comes before training. The trainer itself has none;
    /// forecasting fits its baselines.
    Preparation {
        /// Parts done.
        done: u64,
        /// Parts of this work.
        total: u64,
    },
    /// A training step is done.
    Step {
        /// Steps done.
        done: u64,
        /// Steps of the whole run, if it does not stop early.
        total: u64,
    },
    /// An epoch is done and validated.
    Epoch(&'a Epoch),
    /// A checkpoint was passed over because it is damaged; the run goes on from an older one.
    Skipped(&'a StoreError),
    /// A checkpoint is on disk.
    Checkpoint {
        /// Its size.
        bytes: u64,
        /// Wall-clock seconds that it took.
        seconds: f64,
    },
}

/// How to train a network.
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
    /// How long, in what portions, from which seed.
    pub train: TrainConfig,
    /// The thresholds of the constraint-aware score that epochs can be chosen by.
    pub selection: SelectionRule,
    /// AdamW, unless a session gets another optimiser.
    pub optimizer: AdamWConfig,
    /// Parameters with a rate or a decay of their own; default none. Their rates multiply those of
    /// [`Network::parameter_groups`].
    pub groups: Vec<ParameterGroup>,
    /// The learning rate over the run.
    pub schedule: Schedule,
    /// What keeps the units inside their constraints.
    pub control: ControlConfig,
    /// Whether controllers are as the reference has them; default `false`.
    pub reference: bool,
    /// What is measured of the units, and which of them live.
    pub diagnostics: DiagnosticsConfig,
    /// The directory to write to; `None`, the default: nothing is written.
    pub files: Option<RunFiles>,
    /// Whether the run is asked to stop: it finishes the step, saves a checkpoint, and ends with
    /// [`TrainError::Interrupted`].
    pub interrupt: Interrupt,
}

/// What training came to.
#[derive(Clone, Debug)]
pub struct Trained {
    /// Every epoch.
    pub history: Vec<Epoch>,
    /// The epoch whose weights were kept, counted from 1.
    pub best_epoch: usize,
    /// The controllers' state at that epoch; `None` without controllers. They held the weights,
    /// not their average.
    pub control: Option<ControlState>,
    /// Drift and growth of the units up to the best epoch: for each layer with distributional
    /// units, from the input up.
    pub seen: Vec<HealthTrend>,
    /// What controllers saw and did, one line an epoch; empty without controllers.
    pub control_log: ControlLog,
    /// Wall-clock seconds per epoch, validation included.
    pub seconds_per_epoch: f64,
    /// The score of the first batch before the first step; `None` of a run that was resumed from a
    /// checkpoint of an older version.
    pub untrained: Option<f64>,
}

impl Trained {
    /// How far the kept epoch is from the network before its first step, where training diverged;
    /// else `None`. Nothing else tells of a learning rate that was too large, as long as all
    /// numbers are finite.
    #[must_use]
    pub fn divergence(&self) -> Option<Divergence> {
        Divergence::of_history(self.untrained, &self.history, self.best_epoch)
    }
}

/// The defaults of every part, but for two: the best epoch is chosen by the network's own score,
/// which every network has, and the budget of the rate is relative to the weight of the network's
/// KL ([`BudgetConfig::of_bound`]), so that it holds whatever scale the loss has.
impl Default for Trainer {
    fn default() -> Self {
        Self {
            train: TrainConfig { selection: Selection::Nll, ..TrainConfig::default() },
            selection: SelectionRule::default(),
            optimizer: AdamWConfig::default(),
            groups: Vec::new(),
            schedule: Schedule::default(),
            control: ControlConfig { rate: BudgetConfig::of_bound(), ..ControlConfig::default() },
            reference: false,
            diagnostics: DiagnosticsConfig::default(),
            files: None,
            interrupt: Interrupt::new(),
        }
    }
}

impl Trainer {
    /// Trains `parameters` in place and leaves the best epoch's values in them: where
    /// `train.ema_decay` is above 0, their moving average
    /// ([`WeightAverage`](crate::optim::WeightAverage)), which validation and diagnostics see, too.
    /// Epochs are chosen by what a loss alone can tell ([`ByScore`]); a session with another
    /// [`Task`](crate::train::Task) knows more.
    ///
    /// Run it inside a [`Pool`](vdn_tensor::parallel::Pool) to choose the threads; the result does
    /// not depend on them.
    ///
    /// # Errors
    /// A loss or gradient that is not finite (with step, operation, layer and unit); examples that
    /// do not fit the network; a file that cannot be written. The best weights so far are then in
    /// `parameters` and, with [`Trainer::files`], on disk.
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

    /// Goes on with a run from the newest whole checkpoint in [`Trainer::files`], bit for bit as if
    /// it had never stopped; from the start if there is none.
    ///
    /// # Errors
    /// Those of [`Trainer::train`]; no files; a checkpoint of another network, of other settings or
    /// of another version.
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

    /// A session: everything of a training that can be changed before it runs.
    ///
    /// # Errors
    /// A setting outside of its domain; constraints that contradict each other.
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

    /// The controllers that the settings ask for in a network's layers.
    ///
    /// # Errors
    /// Constraints that no unit can meet together; settings of a layer that is not there.
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
