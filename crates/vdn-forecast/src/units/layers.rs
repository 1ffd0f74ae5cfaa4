//! What each layer of a model carries, pays and is worth: one row per layer.
//!
//! The value of a layer is `E ln p(y|z) - E ln p(y | z with the layer's latents drawn from its prior)`, in nats per window, with
//! the same addressed noise in everything else; its net value is that minus its KL. Differences are taken window by window,
//! and their standard errors allow for windows that overlap.

use crate::data::batch::BatchBuffers;
use crate::data::{Dataset, WindowIndex};
use crate::evaluate::evaluate::{block_length, evaluation_key};
use crate::forecaster::{Forecaster, Intervention};
use std::fmt;
use vdn_autograd::Tape;
use vdn_model::{Bindings, Graph, LayerOutputs, MAX_DEPTH, Mode, Parameters, UnitStatistics};
use vdn_tensor::Element;
use vdn_train::EVALUATION_BATCH;
use vdn_train::NoiseSeed;
use vdn_train::TrainError;
use vdn_train::metrics::{BlockSums, Estimate};

/// The share of the prior's variance that the means of an active unit vary by (Burda, Grosse and Salakhutdinov 2016).
const ACTIVE: f64 = 0.01;

/// One layer on some windows. Means of `rate`, `mismatch`, `energy` and `signal_to_noise` are over latent dimensions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LayerRow {
    /// Which layer, from 1: the one that sees the encoder.
    pub layer: usize,
    /// Its units.
    pub units: usize,
    /// Those that are distributions.
    pub distributional: usize,
    /// The KL of all of them, in nats per window.
    pub kl: Estimate,
    /// The mean rate, in nats.
    pub rate: f64,
    /// The mean mismatch, in nats.
    pub mismatch: f64,
    /// The mean energy, `M2`.
    pub energy: f64,
    /// The mean signal-to-noise ratio, `C2 / V`.
    pub signal_to_noise: f64,
    /// The share of latent dimensions whose means vary by more than 0.01 of the prior's variance.
    pub active: f64,
    /// `LL(z ~ q) - LL(z ~ p)` for this layer, in nats per window.
    pub value: Estimate,
    /// The value minus the KL, in nats per window.
    pub net: Estimate,
}

/// The layers of a model on some windows.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerTable {
    /// Layers with distributional units, from the encoder up.
    pub rows: Vec<LayerRow>,
    /// The KL of all layers, in nats per window.
    pub kl: Estimate,
    /// `LL(z ~ q) - LL(z ~ p)` with all layers drawn from their priors, in nats per window.
    pub value: Estimate,
    /// That value minus all KL.
    pub net: Estimate,
    /// `LL(z ~ q)`, in nats per window.
    pub log_likelihood: Estimate,
    /// Windows.
    pub windows: usize,
}

impl LayerTable {
    /// The number of layers from the first up whose net value is above 0; all of them if none is at or below.
    #[must_use]
    pub fn worth_up_to(&self) -> usize {
        self.rows.iter().take_while(|row| row.net.mean > 0.0).count()
    }
}

/// What each layer of a model carries, pays and is worth on `windows` (in time order for each series).
///
/// # Errors
/// Windows that do not fit the model; a prediction that is not finite; a model without distributional units.
pub fn layer_table<T: Element>(
    model: &Forecaster,
    parameters: &Parameters<T>,
    data: &Dataset,
    windows: &[WindowIndex],
    noise: impl Into<NoiseSeed>,
) -> Result<LayerTable, TrainError> {
    let noise = noise.into();
    let depth = model.stack().layers().len();
    let layers: Vec<usize> =
        (0..depth).filter(|&l| model.stack().layers()[l].units().is_some()).collect();
    if layers.is_empty() {
        return Err(TrainError::config(
            "a table of layers: no unit of the model is a distribution",
        ));
    }
    // Columns: KL and value of each layer, its net value; then those of all together; then the log-likelihood.
    let columns = 3 * (layers.len() + 1) + 1;
    let mut sums = BlockSums::new(columns, block_length(data, windows))?;
    let mut statistics = vec![UnitStatistics::new(); depth];
    let mut pass = Passes::<T>::default();
    let mut last_series = None;
    for (index, chunk) in windows.chunks(EVALUATION_BATCH).enumerate() {
        let key = evaluation_key(noise, index);
        let mut likelihood = |intervention, seen: Option<&mut Vec<UnitStatistics>>| {
            pass.run(model, parameters, data, chunk, key, intervention, seen)
        };
        let own = likelihood(Intervention::None, Some(&mut statistics))?;
        let mut without = Vec::with_capacity(layers.len());
        for &layer in &layers {
            without.push(likelihood(Intervention::LayerPrior(layer), None)?.likelihood);
        }
        let blind = likelihood(Intervention::Prior, None)?.likelihood;
        for (row, window) in chunk.iter().enumerate() {
            if last_series.is_some_and(|series| series != window.series) {
                sums.start_series();
            }
            last_series = Some(window.series);
            let mut values = Vec::with_capacity(columns);
            let mut push = |kl: f64, value: f64| values.extend([kl, value, value - kl]);
            for (&layer, without) in layers.iter().zip(&without) {
                push(own.kl[layer][row], own.likelihood[row] - without[row]);
            }
            let kl = layers.iter().map(|&layer| own.kl[layer][row]).sum();
            push(kl, own.likelihood[row] - blind[row]);
            values.push(own.likelihood[row]);
            sums.push(&values)?;
        }
    }
    let estimate = |group: usize, column: usize| sums.estimate(3 * group + column);
    let mut rows = Vec::with_capacity(layers.len());
    for (group, &index) in layers.iter().enumerate() {
        let layer = &model.stack().layers()[index];
        let seen = &statistics[index];
        rows.push(LayerRow {
            layer: index + 1,
            units: layer.config().layer.units,
            distributional: layer.config().distributional(),
            kl: estimate(group, 0)?,
            rate: mean(&seen.rate()),
            mismatch: mean(&seen.mismatch()),
            energy: mean(&seen.energy()),
            signal_to_noise: mean(&seen.signal_to_noise()),
            active: seen.active_share(ACTIVE),
            value: estimate(group, 1)?,
            net: estimate(group, 2)?,
        });
    }
    let all = layers.len();
    let [kl, value, net] = [estimate(all, 0)?, estimate(all, 1)?, estimate(all, 2)?];
    let (log_likelihood, windows) = (estimate(all + 1, 0)?, sums.windows());
    Ok(LayerTable { rows, kl, value, net, log_likelihood, windows })
}

fn mean(x: &[f64]) -> f64 {
    x.iter().sum::<f64>() / x.len().max(1) as f64
}

/// Forward passes with their memory.
struct Passes<T: Element> {
    tape: Tape<T>,
    bindings: Bindings,
    buffers: BatchBuffers<T>,
    targets: Vec<f64>,
}

impl<T: Element> Default for Passes<T> {
    fn default() -> Self {
        let (tape, bindings) = (Tape::new(), Bindings::new());
        Self { tape, bindings, buffers: BatchBuffers::default(), targets: Vec::new() }
    }
}

/// One pass over a batch.
struct Pass {
    /// The log-likelihood of every window, in nats.
    likelihood: Vec<f64>,
    /// The KL of every layer for every window, in nats; empty unless it was asked for.
    kl: Vec<Vec<f64>>,
}

impl<T: Element> Passes<T> {
    #[expect(clippy::too_many_arguments, reason = "all of them are borrowed parts of one loop")]
    fn run(
        &mut self,
        model: &Forecaster,
        parameters: &Parameters<T>,
        data: &Dataset,
        windows: &[WindowIndex],
        key: vdn_tensor::noise::NoiseKey,
        intervention: Intervention,
        seen: Option<&mut Vec<UnitStatistics>>,
    ) -> Result<Pass, TrainError> {
        let Self { tape, bindings, buffers, targets } = self;
        let batch = buffers.fill(data, windows, false)?;
        targets.resize(windows.len() * data.spec().horizon, 0.0);
        data.fill_targets(windows, targets, |x| x)?;
        tape.reset();
        tape.no_grad(|tape| {
            let mut graph = Graph::new(tape, parameters, bindings, Mode::Evaluate, key);
            let (prediction, layers) =
                model.predict_with_layers(&mut graph, &batch, intervention)?;
            let likelihood = prediction.log_likelihood(targets);
            let kl = match seen {
                Some(seen) => take_in(model, tape, &layers, windows.len(), seen),
                None => Vec::new(),
            };
            Ok(Pass { likelihood, kl })
        })
    }
}

/// Adds the statistics of every layer; gives the KL of every layer for every window, averaged over samples.
fn take_in<T: Element>(
    model: &Forecaster,
    tape: &Tape<T>,
    layers: &LayerOutputs,
    windows: usize,
    seen: &mut [UnitStatistics],
) -> Vec<Vec<f64>> {
    let mut all = vec![Vec::new(); MAX_DEPTH];
    for ((layer, output), (seen, all)) in
        model.stack().layers().iter().zip(layers).zip(seen.iter_mut().zip(&mut all))
    {
        let (Some(units), Some(output)) = (layer.units(), output) else { continue };
        seen.take_in(windows, tape, &output.units);
        let rows = units.kl_per_row(tape, output);
        let samples = (rows.len() / windows) as f64;
        *all = vec![0.0; windows];
        for (row, kl) in rows.iter().enumerate() {
            all[row % windows] += kl / samples;
        }
    }
    all
}

impl fmt::Display for LayerTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let error = |estimate: &Estimate| match estimate.standard_error {
            Some(error) => format!("{:9.3} +- {error:.3}", estimate.mean),
            None => format!("{:9.3}", estimate.mean),
        };
        writeln!(
            f,
            "{:>5} {:>11} {:>8} {:>8} {:>8} {:>8} {:>7} {:>9} {:>18} {:>18}",
            "layer",
            "units",
            "rate",
            "mismatch",
            "energy",
            "C2/V",
            "active",
            "KL",
            "LL(q) - LL(p)",
            "net value"
        )?;
        for row in &self.rows {
            writeln!(
                f,
                "{:>5} {:>11} {:8.4} {:8.4} {:8.4} {:8.4} {:5.1} % {:9.3} {:>18} {:>18}",
                row.layer,
                format!("{}/{}", row.distributional, row.units),
                row.rate,
                row.mismatch,
                row.energy,
                row.signal_to_noise,
                100.0 * row.active,
                row.kl.mean,
                error(&row.value),
                error(&row.net)
            )?;
        }
        let (kl, value, net) = (self.kl.mean, error(&self.value), error(&self.net));
        write!(f, "{:>5} {:>62} {kl:9.3} {value:>18} {net:>18}", "all", "")
    }
}
