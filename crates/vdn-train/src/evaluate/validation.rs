//! Quick scores of a network, and the statistics of the units of its layers, from one pass after
//! every epoch.

use crate::data::{Examples, Request};
use crate::error::TrainError;
use crate::evaluate::evaluator::Evaluator;
use crate::network::{Network, finite};
use vdn_autograd::Tape;
use vdn_model::controllers::StackControl;
use vdn_model::diagnostics::RowCounts;
use vdn_model::units::{LayerOutput, LayerPrior, SigmaMode, UnitLayer, UnitStatistics};
use vdn_tensor::Element;
use vdn_tensor::families::gaussian::{LOGVAR_MAX, LOGVAR_MIN};

/// The rate, in nats, from which a unit counts as informed.
pub const INFORMED: f64 = 0.05;

/// Quick scores of a network on a set of examples.
#[derive(Clone, Debug)]
pub struct Validation {
    /// The network's own score.
    pub score: f64,
    /// The mean squared error; `None` if the network does not have one.
    pub mse: Option<f64>,
    /// The layers with distributional units, from the input up.
    pub layers: Vec<LayerValidation>,
}

/// The measurements of the distributional units of a layer in one pass.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerValidation {
    /// The number of the layer, from 0.
    pub layer: usize,
    /// The statistics of its units.
    pub statistics: UnitStatistics,
    /// The numbers of rows in which units are alive, or at a limit.
    pub rows: RowCounts,
}

impl Validation {
    /// The statistics of the units of all layers, layer after layer; `None` without units.
    #[must_use]
    pub fn units(&self) -> Option<UnitStatistics> {
        UnitStatistics::joined(self.layers.iter().map(|layer| &layer.statistics))
    }

    fn over_units(&self, of: impl Fn(&UnitStatistics) -> Vec<f64>) -> Vec<f64> {
        self.layers.iter().flat_map(|layer| of(&layer.statistics)).collect()
    }

    /// The sum of all units' KL in nats per example; 0 without units.
    #[must_use]
    pub fn kl(&self) -> f64 {
        // An empty sum of floats is -0.
        self.over_units(UnitStatistics::kl).iter().fold(0.0, |sum, kl| sum + kl)
    }

    /// The mean rate of the units in nats; 0 without units.
    #[must_use]
    pub fn mean_rate(&self) -> f64 {
        mean(&self.over_units(UnitStatistics::rate))
    }

    /// The mean mismatch of the units in nats; 0 without units.
    #[must_use]
    pub fn mean_mismatch(&self) -> f64 {
        mean(&self.over_units(UnitStatistics::mismatch))
    }

    /// The share of units with a rate of at least [`INFORMED`]; 0 without units.
    #[must_use]
    pub fn informed(&self) -> f64 {
        self.units().map_or(0.0, |units| units.share_with_rate(INFORMED))
    }
}

fn mean(x: &[f64]) -> f64 {
    match x {
        [] => 0.0,
        _ => x.iter().sum::<f64>() / x.len() as f64,
    }
}

impl<'a, T, N, D> Evaluator<'a, T, N, D>
where
    T: Element,
    N: Network<T>,
    D: for<'b> Examples<T, Batch<'b> = N::Batch<'b>>,
{
    /// Computes quick scores on examples: the network's own score, the squared error, and the
    /// statistics and row counts of its units. `control` may limit log-variances; a deviation at
    /// such a limit counts as saturated.
    ///
    /// # Errors
    /// Returns an error if the examples do not fit the network or if a score is not finite.
    pub fn validate(
        &self,
        examples: &[D::Index],
        control: &StackControl,
    ) -> Result<Validation, TrainError> {
        let layers = self.network.layers();
        let seen = self.network.distributional_layers().into_iter();
        let mut seen: Vec<LayerPass> =
            seen.map(|index| LayerPass::new(layers[index], index, control)).collect();
        let (mut score, mut squares, mut total, mut has_mse) = (0.0, 0.0, 0.0, true);
        let weight_of = |examples: &[D::Index]| -> f64 {
            examples.iter().map(|&example| self.data.weight(example)).sum()
        };
        self.for_each_pass(examples, Request::TARGETS, |_, graph, batch, chunk| {
            let terms = self.network.scores(graph, batch)?;
            for own in &mut seen {
                if let Some(output) = &terms.outputs[own.layer] {
                    own.take_in(chunk.len(), graph.tape, output);
                }
            }
            let mse = terms.mse.map(|mse| graph.tape.scalar(mse)).transpose()?;
            let scores = [graph.tape.scalar(terms.score)?, mse.unwrap_or(T::ZERO)];
            let scores = scores.map(T::to_f64);
            let of = (graph.parameters(), graph.bindings());
            finite(self.network, graph.tape, of, &scores, "a score")?;
            has_mse &= mse.is_some();
            let weight = self.averages.weight(examples.len(), chunk.len()) * weight_of(chunk);
            score += scores[0] * weight;
            squares += scores[1] * weight;
            total += weight;
            Ok(())
        })?;
        let seen = seen.into_iter().filter(|own| own.statistics.rows() > 0);
        let layers = seen.map(|LayerPass { layer, statistics, rows, .. }| LayerValidation {
            layer,
            statistics,
            rows,
        });
        let mse = has_mse.then_some(squares / total);
        Ok(Validation { score: score / total, mse, layers: layers.collect() })
    }
}

/// The limits of the log-variances of a layer: the hard limits, or the limits of a guard on the
/// parameter `log sigma` if the layer's statistics describe that parameter.
#[must_use]
pub fn logvar_limits(layer: UnitLayer<'_>, index: usize, control: &StackControl) -> [f64; 2] {
    let standard = layer.prior() == LayerPrior::Standard;
    let parameter = layer.sigma() != SigmaMode::PerUnitInput && standard;
    let guarded = control.layer(index).filter(|_| parameter);
    let limit = |name, hard: f64| {
        let guard = guarded.and_then(|control| control.reported("sigma_guard", name));
        guard.map_or(hard, |deviation| 2.0 * deviation.ln())
    };
    [limit("floor", LOGVAR_MIN).max(LOGVAR_MIN), limit("ceiling", LOGVAR_MAX).min(LOGVAR_MAX)]
}

/// The measurements of one layer so far in a pass.
struct LayerPass {
    layer: usize,
    statistics: UnitStatistics,
    rows: RowCounts,
    limits: [f64; 2],
}

impl LayerPass {
    fn new(layer: UnitLayer<'_>, index: usize, control: &StackControl) -> Self {
        Self {
            layer: index,
            statistics: UnitStatistics::new(),
            rows: RowCounts::new(layer.distributional(), layer.latent_dims()),
            limits: logvar_limits(layer, index, control),
        }
    }

    fn take_in<T: Element>(&mut self, rows: usize, tape: &Tape<T>, output: &LayerOutput) {
        self.statistics.take_in(rows, tape, &output.units);
        let value = |var| tape.value(var).data();
        match (output.units.mean_kl, output.units.kl) {
            // For units that are not Gaussian, the KL of a row does not follow from its mean and
            // deviation.
            (Some(_), Some(kl)) => {
                self.rows.scan_kl(value(kl), value(output.logvar), self.limits);
            }
            _ => self.rows.scan(value(output.mu), value(output.logvar), self.limits),
        }
    }
}
