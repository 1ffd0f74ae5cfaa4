//! The rows, networks and scores of a run, which training, evaluation and prediction share.

use crate::config::TaskConfig;
use crate::data::{TargetEncoding, TaskEncoding, TaskRows};
use crate::evaluate::TaskScores;
use crate::network::{TaskNetwork, Variant};
use crate::run::fit::Fitted;
use crate::run::memory::{TaskMemory, TaskSizes};
use crate::run::report::{TaskReport, TaskRow};
use crate::run::source::{Prepared, Source};
use std::path::Path;
use vdn_model::controllers::ControlState;
use vdn_model::core::Parameters;
use vdn_model::diagnostics::HealthTrend;
use vdn_model::units::Intervention;
use vdn_train::TrainError;
use vdn_train::data::Split;
use vdn_train::evaluate::Evaluator;
use vdn_train::memory::MemoryEstimate;
use vdn_train::run::{RunFolder, load_weights};
use vdn_train::units::{LayerReports, examine};

/// The name of the file with the encoding.
pub(crate) const ENCODING: &str = "encoding.json";

/// The input of a run.
pub(crate) struct Experiment {
    pub(crate) config: TaskConfig,
    pub(crate) encoding: TaskEncoding,
    pub(crate) rows: TaskRows,
    notes: Vec<String>,
}

/// A stored network of a run.
pub(crate) struct Stored {
    pub(crate) network: TaskNetwork,
    pub(crate) parameters: Parameters<f32>,
}

impl Experiment {
    /// The rows of one published split, or of a split by shares.
    pub(crate) fn new(
        config: &TaskConfig,
        source: &Source,
        published: Option<(usize, Vec<usize>)>,
    ) -> Result<Self, TrainError> {
        let parts = source.parts(config, published)?;
        let Prepared { encoding, rows, notes } = source.prepare(config, parts)?;
        Ok(Self { config: config.clone(), encoding, rows, notes })
    }

    /// An experiment on rows that are already encoded, with the notes on them.
    pub(crate) fn of_rows(
        config: TaskConfig,
        encoding: TaskEncoding,
        rows: TaskRows,
        notes: Vec<String>,
    ) -> Self {
        Self { config, encoding, rows, notes }
    }

    /// Reads the data of a run of one split.
    pub(crate) fn load(config: &TaskConfig) -> Result<Self, TrainError> {
        let source = Source::read(config)?;
        let splits = source.splits(config)?;
        let published = match (splits, config.data.split) {
            (Some(mut splits), Some(split)) => Some((split, splits.swap_remove(split))),
            _ => None,
        };
        Self::new(config, &source, published)
    }

    /// The expected memory of a run on these rows. Of the published splits, as many run side by
    /// side as there are threads. `trains` says whether anything is trained.
    ///
    /// # Errors
    /// Returns an error if it is more than `run.memory` allows.
    pub(crate) fn memory(&self, splits: usize, trains: bool) -> Result<MemoryEstimate, TrainError> {
        let count = |split| self.rows.part(split).len();
        let sizes = TaskSizes {
            widths: self.encoding.widths(),
            rows: [count(Split::Train), count(Split::Validation), count(Split::Test)],
            input_bytes: self.rows.input_bytes(),
            splits,
            trains,
        };
        let estimate = TaskMemory::of(&self.config, &sizes).estimate();
        match trains {
            true => estimate.check(self.config.run.limit())?,
            false => estimate.check_stored(self.config.run)?,
        }
        Ok(estimate)
    }

    pub(crate) fn evaluator<'a>(
        &'a self,
        network: &'a TaskNetwork,
        parameters: &'a Parameters<f32>,
    ) -> Evaluator<'a, f32, TaskNetwork, TaskRows> {
        let train = &self.config.train;
        Evaluator::new(network, parameters, &self.rows, train.noise()).averaging(train.averages())
    }

    /// The row of a network in the table. With units there is another row with latents from the
    /// prior.
    pub(crate) fn score(
        &self,
        network: &TaskNetwork,
        parameters: &Parameters<f32>,
        fitted: Option<(usize, f64)>,
    ) -> Result<Vec<TaskRow>, TrainError> {
        let evaluator = self.evaluator(network, parameters);
        let test = self.rows.part(Split::Test);
        let of = |intervention| TaskScores::of(&evaluator, &self.encoding, test, intervention);
        let mut rows = vec![TaskRow {
            name: network.variant().title().to_owned(),
            parameters: Some(network.used_parameters(parameters)),
            scores: of(Intervention::None)?,
            epochs: fitted.map(|(epochs, _)| epochs),
            seconds: fitted.map(|(_, seconds)| seconds),
        }];
        if network.variant() == Variant::Variational {
            rows.push(TaskRow {
                name: "  the same, z from the prior".to_owned(),
                parameters: None,
                scores: of(Intervention::Prior)?,
                epochs: None,
                seconds: None,
            });
        }
        Ok(rows)
    }

    pub(crate) fn score_fitted(&self, fitted: &Fitted) -> Result<Vec<TaskRow>, TrainError> {
        let cost = Some((fitted.epochs, fitted.seconds));
        self.score(&fitted.network, &fitted.parameters, cost)
    }

    /// The row of the ensemble of a twin and other twins.
    pub(crate) fn score_ensemble(
        &self,
        twin: &Fitted,
        others: &[Fitted],
    ) -> Result<TaskRow, TrainError> {
        let members = || std::iter::once(twin).chain(others);
        let of = |own: &Fitted| own.network.used_parameters(&own.parameters);
        let evaluators: Vec<_> =
            members().map(|own| self.evaluator(&own.network, &own.parameters)).collect();
        let test = self.rows.part(Split::Test);
        let scores = TaskScores::of_mixture(&evaluators, &self.encoding, test, Intervention::None)?;
        Ok(TaskRow {
            name: format!("ensemble of {} twins", evaluators.len()),
            parameters: Some(members().map(of).sum()),
            scores,
            epochs: Some(twin.epochs),
            seconds: Some(members().map(|own| own.seconds).sum()),
        })
    }

    /// The health of the units; see [`examine`].
    pub(crate) fn examine(
        &self,
        network: &TaskNetwork,
        parameters: &Parameters<f32>,
        (control, seen): (Option<&ControlState>, &[HealthTrend]),
        file: Option<&Path>,
    ) -> Result<Option<LayerReports>, TrainError> {
        let mut controllers = self.config.trainer().controllers::<f32, _>(network)?;
        if let Some(state) = control {
            controllers.restore(state)?;
        }
        let evaluator = self.evaluator(network, parameters);
        examine(&evaluator, &self.config.diagnostics, &controllers, seen, file)
    }

    /// A stored network; `None` if the run has no network of this kind.
    pub(crate) fn stored(
        config: &TaskConfig,
        encoding: &TaskEncoding,
        run: &RunFolder,
        variant: Variant,
    ) -> Result<Option<Stored>, TrainError> {
        let file = match variant {
            Variant::Variational => run.weights(),
            Variant::Twin => run.file("twin-weights.safetensors"),
        };
        if !file.exists() {
            return Ok(None);
        }
        let (network, mut parameters) =
            TaskNetwork::new::<f32>(config.model.clone(), variant, encoding.widths(), 0)?;
        load_weights(&mut parameters, &file)?;
        Ok(Some(Stored { network, parameters }))
    }

    /// A report without models.
    pub(crate) fn report(&self) -> TaskReport {
        let count = |split| self.rows.part(split).len();
        TaskReport {
            task: self.config.task,
            data: self.config.data.name(),
            rows_of: [count(Split::Train), count(Split::Validation), count(Split::Test)],
            inputs: self.rows.width(),
            outputs: match &self.encoding.targets {
                TargetEncoding::Numbers(scales) => {
                    scales.iter().map(|scale| scale.name.clone()).collect()
                }
                TargetEncoding::Classes { classes, .. } => classes.clone(),
            },
            likelihood: self.config.model.likelihood.name().to_owned(),
            rows: Vec::new(),
            units: None,
            splits: None,
            notes: self.notes.clone(),
        }
    }
}
