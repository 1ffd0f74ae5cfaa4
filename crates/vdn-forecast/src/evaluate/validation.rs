//! Quick scores of a model on windows, and what the units of its layers carry there: one pass after every epoch.

use crate::data::batch::BatchBuffers;
use crate::data::{Dataset, WindowIndex};
use crate::evaluate::evaluate::evaluation_key;
use crate::forecaster::Forecaster;
use crate::units::diagnose::{layer_statistics, logvar_limits};
use vdn_autograd::Tape;
use vdn_model::controllers::StackControl;
use vdn_model::diagnostics::RowCounts;
use vdn_model::units::non_finite_report;
use vdn_model::{Bindings, Graph, LayerOutput, Mode, Parameters, UnitStatistics};
use vdn_tensor::Element;
use vdn_train::BatchAverages;
use vdn_train::NoiseSeed;
use vdn_train::TrainError;

/// The rate from which on a unit counts as carrying information, in nats.
pub const INFORMED: f64 = 0.05;

/// Quick scores of a model on some windows.
#[derive(Clone, Debug)]
pub struct Evaluation {
    /// The model's own score, in nats per time step.
    pub nll: f64,
    /// The mean squared error of the mean forecast.
    pub mse: f64,
    /// What the units of all layers carry, one layer after the other; `None` for a deterministic twin.
    pub units: Option<UnitStatistics>,
    /// Each layer with distributional units, from the encoder up.
    pub layers: Vec<LayerEvaluation>,
}

/// What a pass showed of the distributional units of a layer.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerEvaluation {
    /// Which layer, from 0.
    pub layer: usize,
    /// What its units carry.
    pub statistics: UnitStatistics,
    /// In how many rows they are alive, or at a limit.
    pub rows: RowCounts,
}

impl Evaluation {
    /// The sum of all units' KL in nats per window; 0 without units.
    #[must_use]
    pub fn kl(&self) -> f64 {
        self.units.as_ref().map_or(0.0, |units| units.kl().iter().sum())
    }

    /// The mean rate of the units in nats; 0 without units.
    #[must_use]
    pub fn mean_rate(&self) -> f64 {
        self.units.as_ref().map_or(0.0, |units| mean(&units.rate()))
    }

    /// The mean mismatch of the units in nats; 0 without units.
    #[must_use]
    pub fn mean_mismatch(&self) -> f64 {
        self.units.as_ref().map_or(0.0, |units| mean(&units.mismatch()))
    }

    /// The share of units with a rate of at least [`INFORMED`]; 0 without units.
    #[must_use]
    pub fn informed(&self) -> f64 {
        self.units.as_ref().map_or(0.0, |units| units.share_with_rate(INFORMED))
    }
}

fn mean(x: &[f64]) -> f64 {
    x.iter().sum::<f64>() / x.len().max(1) as f64
}

/// Quick scores on windows: the model's own score, the squared error, the units' statistics and row counts.
///
/// # Errors
/// Windows that do not fit the model; a prediction that is not finite.
pub fn validate<T: Element>(
    model: &Forecaster,
    parameters: &Parameters<T>,
    data: &Dataset,
    windows: &[WindowIndex],
    noise: impl Into<NoiseSeed>,
    averages: BatchAverages,
) -> Result<Evaluation, TrainError> {
    validate_under(model, parameters, data, windows, noise, averages, &StackControl::default())
}

/// [`validate`], where controllers may limit log-variances: at which a deviation counts as saturated.
///
/// # Errors
/// Those of [`validate`].
pub fn validate_under<T: Element>(
    model: &Forecaster,
    parameters: &Parameters<T>,
    data: &Dataset,
    windows: &[WindowIndex],
    noise: impl Into<NoiseSeed>,
    averages: BatchAverages,
    control: &StackControl,
) -> Result<Evaluation, TrainError> {
    let noise = noise.into();
    let mut tape = Tape::<T>::new();
    let mut bindings = Bindings::new();
    let mut buffers = BatchBuffers::default();
    let mut statistics = UnitStatistics::new();
    let mut rows: Vec<LayerRows> = model
        .distributional_layers()
        .into_iter()
        .map(|l| LayerRows::new(model, l, control))
        .collect();
    let (mut nll, mut squares) = (0.0, 0.0);
    for (index, chunk) in windows.chunks(averages.batch.max(1)).enumerate() {
        let key = evaluation_key(noise, index);
        let batch = buffers.fill(data, chunk, true)?;
        tape.reset();
        let scores = tape.no_grad(|tape| -> Result<_, TrainError> {
            let mut graph = Graph::new(tape, parameters, &mut bindings, Mode::Evaluate, key);
            let scores = model.score_batch(&mut graph, &batch)?;
            if let Some(units) = scores.units {
                statistics.take_in(chunk.len(), tape, &units);
            }
            for rows in &mut rows {
                if let Some(output) = &scores.layers[rows.layer] {
                    rows.scan(tape, output);
                }
            }
            Ok([tape.scalar(scores.nll)?.to_f64(), tape.scalar(scores.mse)?.to_f64()])
        })?;
        if !scores.iter().all(|x| x.is_finite()) {
            let report =
                non_finite_report(model.stack().layers(), &tape, parameters, &bindings, "a score");
            return Err(vdn_model::ModelError::NonFinite(report).into());
        }
        let weight = averages.weight(windows.len(), chunk.len()) * chunk.len() as f64;
        nll += scores[0] * weight;
        squares += scores[1] * weight;
    }
    let n = windows.len() as f64;
    let units = (statistics.rows() > 0).then_some(statistics);
    let parts = units.as_ref().map_or_else(Vec::new, |units| layer_statistics(model, units));
    let layers =
        parts.into_iter().zip(rows).map(|(statistics, LayerRows { layer, counts, .. })| {
            LayerEvaluation { layer, statistics, rows: counts }
        });
    Ok(Evaluation { nll: nll / n, mse: squares / n, layers: layers.collect(), units })
}

/// Counts of one layer.
struct LayerRows {
    layer: usize,
    counts: RowCounts,
    limits: [f64; 2],
}

impl LayerRows {
    fn new(model: &Forecaster, layer: usize, control: &StackControl) -> Self {
        let units = model.stack().layers()[layer].config().distributional();
        let counts = RowCounts::new(units, model.config().latent_dims);
        Self { layer, counts, limits: logvar_limits(model, layer, control) }
    }

    fn scan<T: Element>(&mut self, tape: &Tape<T>, output: &LayerOutput) {
        let value = |var| tape.value(var).data();
        match (output.units.mean_kl, output.units.kl) {
            // Units that are not Gaussian: the KL of a row does not follow from its mean and deviation.
            (Some(_), Some(kl)) => {
                self.counts.scan_kl(value(kl), value(output.logvar), self.limits);
            }
            _ => self.counts.scan(value(output.mu), value(output.logvar), self.limits),
        }
    }
}
