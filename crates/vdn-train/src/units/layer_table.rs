//! The information, cost and value of each layer of a model: one row per layer.
//!
//! The value of a layer is
//! `E ln p(y|z) - E ln p(y | z with the layer's latents drawn from its prior)`, in nats per window.
//! The addressed noise of everything else is the same in both terms. The net value is the value
//! minus the layer's KL. Differences are computed window by window, and their standard errors
//! account for overlapping windows.

use crate::data::{Examples, Request};
use crate::error::TrainError;
use crate::evaluate::{BatchAverages, Evaluator};
use crate::metrics::Estimate;
use crate::units::interventions::{Interventions, Outcome};
use crate::units::layer_use::estimates;
use std::fmt;
use vdn_model::units::{Intervention, UnitLayer, UnitStatistics};
use vdn_tensor::Element;

/// The share of the prior's variance by which the means of an active unit vary (Burda, Grosse and
/// Salakhutdinov 2016).
const ACTIVE: f64 = 0.01;

/// The measures of one layer on some windows. The means of `rate`, `mismatch`, `energy` and
/// `signal_to_noise` are over latent dimensions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LayerRow {
    /// The number of the layer, from 0, which sees the input.
    pub layer: usize,
    /// The number of units.
    pub units: usize,
    /// The number of distributional units.
    pub distributional: usize,
    /// The sum of the KL of its units in nats per window.
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
    /// The value of this layer, `LL(z ~ q) - LL(z ~ p)`, in nats per window.
    pub value: Estimate,
    /// The value minus the KL, in nats per window.
    pub net: Estimate,
}

/// The layers of a model on some windows.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerTable {
    /// The layers with distributional units, from the encoder up.
    pub rows: Vec<LayerRow>,
    /// The KL of all layers, in nats per window.
    pub kl: Estimate,
    /// The value with all layers drawn from their priors, `LL(z ~ q) - LL(z ~ p)`, in nats per
    /// window.
    pub value: Estimate,
    /// That value minus the KL of all layers.
    pub net: Estimate,
    /// The log-likelihood `LL(z ~ q)` in nats per window.
    pub log_likelihood: Estimate,
    /// The number of windows.
    pub windows: usize,
}

impl LayerTable {
    /// The number of layers, counted from the first one up, before the first one whose net value is
    /// 0 or less. If there is none, it is the number of all layers.
    #[must_use]
    pub fn worth_up_to(&self) -> usize {
        self.rows.iter().take_while(|row| row.net.mean > 0.0).count()
    }
}

impl<'a, T, N, D> Evaluator<'a, T, N, D>
where
    T: Element,
    N: Interventions<T, D>,
    D: for<'b> Examples<T, Batch<'b> = N::Batch<'b>>,
{
    /// Measures the information, cost and value of each layer on examples, which must be in the
    /// order of the data.
    ///
    /// # Errors
    /// Returns an error if the examples do not fit the network, if a prediction is not finite, or
    /// if the network has no distributional units.
    pub fn layer_table(&self, examples: &[D::Index]) -> Result<LayerTable, TrainError> {
        let own = self.averaging(BatchAverages::default());
        let all = self.network.layers();
        let layers = self.network.distributional_layers();
        if layers.is_empty() {
            return Err(TrainError::config(
                "a table of layers: no unit of the model is a distribution",
            ));
        }
        let likelihood = |intervention| -> Result<Vec<f64>, TrainError> {
            let outcomes = own.outcomes(examples, intervention)?;
            Ok(outcomes.iter().map(|outcome: &Outcome| outcome.likelihood).collect())
        };
        let with = likelihood(Intervention::None)?;
        let without = layers.iter().map(|&layer| likelihood(Intervention::LayerPrior(layer)));
        let without = without.collect::<Result<Vec<_>, _>>()?;
        let blind = likelihood(Intervention::Prior)?;
        let (statistics, kl) = own.kl_of_layers(examples)?;
        // Columns: KL, value and net value of each layer; then KL, value and net value of all
        // layers together; then the log-likelihood.
        let columns = 3 * (layers.len() + 1) + 1;
        let sums = estimates(self.data, examples, columns, |row, to| {
            let mut total = 0.0;
            for (place, &layer) in layers.iter().enumerate() {
                let (kl, value) = (kl[layer][row], with[row] - without[place][row]);
                total += kl;
                to[3 * place..3 * place + 3].copy_from_slice(&[kl, value, value - kl]);
            }
            let value = with[row] - blind[row];
            to[columns - 4..].copy_from_slice(&[total, value, value - total, with[row]]);
        })?;
        let estimate = |group: usize, column: usize| sums.estimate(3 * group + column);
        let mut rows = Vec::with_capacity(layers.len());
        for (group, &index) in layers.iter().enumerate() {
            let (layer, seen) = (&all[index], &statistics[index]);
            rows.push(LayerRow {
                layer: index,
                units: layer.units(),
                distributional: layer.distributional(),
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

    /// The statistics of every layer, and the KL of every layer for every example, averaged over
    /// samples.
    fn kl_of_layers(
        &self,
        examples: &[D::Index],
    ) -> Result<(Vec<UnitStatistics>, Vec<Vec<f64>>), TrainError> {
        let layers = self.network.layers();
        let mut statistics = vec![UnitStatistics::new(); layers.len()];
        let mut all = vec![Vec::with_capacity(examples.len()); layers.len()];
        self.for_each_pass(examples, Request::TARGETS, |_, graph, batch, chunk| {
            let terms = self.network.scores(graph, batch)?;
            for (index, output) in terms.outputs.iter().enumerate() {
                let units = layers.get(index).and_then(|layer: UnitLayer<'_>| layer.variational());
                let (Some(units), Some(output)) = (units, output) else { continue };
                statistics[index].take_in(chunk.len(), graph.tape, &output.units);
                let rows = units.kl_per_row(graph.tape, output);
                let samples = (rows.len() / chunk.len()) as f64;
                let start = all[index].len();
                all[index].resize(start + chunk.len(), 0.0);
                for (row, kl) in rows.iter().enumerate() {
                    all[index][start + row % chunk.len()] += kl / samples;
                }
            }
            Ok(())
        })?;
        Ok((statistics, all))
    }
}

fn mean(x: &[f64]) -> f64 {
    x.iter().sum::<f64>() / x.len().max(1) as f64
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
                row.layer + 1,
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
