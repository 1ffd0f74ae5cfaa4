//! Changes of a layer's parameters between steps: initialisation on data, rescaling, limits of
//! deviations.

use crate::core::graph::Graph;
use crate::core::parameter::Parameters;
use crate::modules::linear::Linear;
use crate::units::layer::{LayerConfig, LayerOutput, Sigma, SigmaMode, VariationalLayer};
use vdn_autograd::{Error, LocationScale, Var};
use vdn_tensor::Element;
use vdn_tensor::families::gaussian::{LOGVAR_MAX, LOGVAR_MIN};
use vdn_tensor::kernels::Pool;

/// The largest factor of the data-dependent initialisation; the reference's projection onto a band
/// has the same limit.
const LARGEST_RESCALE: f64 = 50.0;

/// The pending change of the parameter `log sigma`, for layers that have one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SigmaLever {
    /// Clamps it to `[ln floor, ln ceiling]`.
    pub range: Option<[f64; 2]>,
    /// The amount added to each unit's `log sigma` before a second clamp, `[units]`; for per-unit
    /// parameters only.
    pub kick: Vec<f64>,
}

impl VariationalLayer {
    /// Multiplies each unit's rows of the mean head, weight and bias, by `gain` `[units]`.
    ///
    /// # Panics
    /// Panics if `gain` has another number of units.
    pub fn rescale_means<T: Element>(&self, parameters: &mut Parameters<T>, gain: &[f64]) {
        assert_eq!(gain.len(), self.config.units, "factors of another layer");
        for id in self.mean_parameters() {
            parameters.scale_rows(id.index(), gain);
        }
    }

    /// Applies `lever` to the parameter `log sigma`. Does nothing if deviations come from a head.
    pub fn guard_sigma<T: Element>(&self, parameters: &mut Parameters<T>, lever: &SigmaLever) {
        let (Sigma::Parameter(id), Some([low, high])) = (&self.sigma, lever.range) else { return };
        let data = parameters.data_mut(id.index());
        let per_unit = self.config.sigma == SigmaMode::PerUnit;
        let k = self.config.latent_dims;
        for (i, x) in data.iter_mut().enumerate() {
            let kick = if per_unit { lever.kick[i / k] } else { 0.0 };
            let limited = x.to_f64().max(low).min(high);
            *x = T::from_f64((limited + kick).max(low).min(high));
        }
    }

    /// Records the posterior of each unit's pooled activity in the form of the reference, both
    /// `[batch, units]`: the pooled mean, and the root of the mean of the `K` variances.
    ///
    /// # Errors
    /// Fails if the output belongs to another layer.
    pub fn pooled_posterior<T: Element>(
        &self,
        graph: &mut Graph<'_, T>,
        output: &LayerOutput,
    ) -> Result<[Var; 2], Error> {
        let LayerConfig { units, latent_dims, pooling, .. } = self.config;
        let tape = &mut *graph.tape;
        let batch = tape.shape(output.mu).rows();
        let mu = tape.reshape(output.mu, [1, batch, units * latent_dims])?;
        let mu = tape.pool(mu, latent_dims, pooling.unwrap_or(Pool::Mean))?;
        let mu = tape.reshape(mu, [batch, units])?;
        let [low, high] = [LOGVAR_MIN, LOGVAR_MAX].map(T::from_f64);
        let limited = tape.clamp(output.logvar, low, high)?;
        let variance = tape.exp(limited)?;
        let variance = tape.broadcast_to(variance, [batch, units * latent_dims])?;
        let variance = tape.reshape(variance, [batch, units, latent_dims])?;
        let mean = tape.mean_axis(variance, 2)?;
        Ok([mu, tape.sqrt(mean)?])
    }

    /// Initialises the mean head on data. It is rescaled and shifted so that, on the contexts `h`
    /// `[batch, inputs]`, every latent dimension has mean 0 and the variance `variance` (times the
    /// variance of the prior). With the initial deviation, each unit is then inside its rate
    /// interval before the first step.
    ///
    /// Weights change by a factor of at most 50 in either direction, so a unit that barely varies
    /// on these contexts is not inflated. A unit that does not vary at all keeps its weights.
    pub fn initialize<T: Element>(&self, parameters: &mut Parameters<T>, h: &[T], variance: f64) {
        // The variance is relative to the prior's, as in all statistics.
        let prior = self.family.map_or(1.0, LocationScale::standard_variance);
        initialize_rows(&self.mu, self.config.inputs, parameters, h, variance * prior);
    }
}

/// Does what [`VariationalLayer::initialize`] does, for the rows of any linear map of `inputs`
/// numbers.
pub(crate) fn initialize_rows<T: Element>(
    map: &Linear,
    inputs: usize,
    parameters: &mut Parameters<T>,
    h: &[T],
    variance: f64,
) {
    let rows = h.len() / inputs;
    if rows < 2 {
        return;
    }
    let weight = parameters.get(map.weight()).tensor().data().to_vec();
    let (weight_index, bias_index) = (map.weight().index(), map.bias().index());
    for (unit, weight) in weight.chunks_exact(inputs).enumerate() {
        let dot = |row: &[T]| -> f64 {
            row.iter().zip(weight).map(|(x, w)| x.to_f64() * w.to_f64()).sum()
        };
        let mean = h.chunks_exact(inputs).map(dot).sum::<f64>() / rows as f64;
        let squares: f64 = h.chunks_exact(inputs).map(|row| (dot(row) - mean).powi(2)).sum();
        let spread = squares / rows as f64;
        let factor = (variance / spread).sqrt().clamp(1.0 / LARGEST_RESCALE, LARGEST_RESCALE);
        if !(spread.is_finite() && spread > 0.0) {
            continue;
        }
        let row = &mut parameters.data_mut(weight_index)[unit * inputs..][..inputs];
        row.iter_mut().for_each(|w| *w *= T::from_f64(factor));
        parameters.data_mut(bias_index)[unit] = T::from_f64(-mean * factor);
    }
}
