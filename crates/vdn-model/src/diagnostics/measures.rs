//! [`Diagnostics`]: the internal measures of every unit of a layer, from the fused statistics of a
//! pass.
//!
//! ```text
//! KL = (M2 + D0)/2 = R + D       R = [ln(C2 + V) - Lv]/2       D = [M2 + V - 1 - ln(C2 + V)]/2
//! signal to noise = C2/V         active: C2 > 0.01 Var_p       energy = M2        sigma = sqrt V
//! ```

use crate::core::error::ModelError;
use crate::diagnostics::rows::RowCounts;
use crate::diagnostics::summary::DiagnosticsSummary;
use crate::objective::EnergyBand;
use crate::units::statistics::UnitStatistics;

/// The share of the prior's variance by which the means of an active dimension vary (Burda, Grosse
/// and Salakhutdinov 2016, on the prior's scale).
const ACTIVE: f64 = 0.01;

/// The properties of a layer that its statistics do not contain.
#[derive(Clone, Copy, Debug)]
pub struct LayerContext<'a> {
    /// The layer's name.
    pub label: &'a str,
    /// The number of latent dimensions of each unit.
    pub latent_dims: usize,
    /// The weight of each unit's KL, `[units]`.
    pub beta: &'a [f64],
    /// The energy bands, if the layer has any.
    pub band: Option<&'a EnergyBand>,
    /// The variance of the prior of each latent dimension, `[units * latent dims]`; an empty slice
    /// means 1.
    pub prior_variance: &'a [f64],
}

/// The internal measures of a layer's units, each `[units]`.
///
/// With several latent dimensions each measure is the mean over a unit's dimensions, because
/// budgets are per dimension; `sigma` is the root of the mean variance.
///
/// ```
/// use vdn_model::diagnostics::{Diagnostics, LayerContext, RowCounts};
/// use vdn_model::units::UnitStatistics;
/// let mut statistics = UnitStatistics::new();
/// // Two units over 8 rows: one whose means vary by 0.5, one that ignores its input but is far from the prior.
/// statistics.merge(8, &[0.0_f64, 2.0], &[0.5, 0.0], &[0.0, 0.0], &[0.0, 0.0]);
/// let context = LayerContext {
///     label: "layer", latent_dims: 1, beta: &[1e-4, 1e-4], band: None, prior_variance: &[],
/// };
/// let found = Diagnostics::new(&statistics, &RowCounts::new(2, 1), &context)?;
/// assert!((found.rate[0] - 0.5 * 1.5_f64.ln()).abs() < 1e-15);
/// assert_eq!((found.rate[1], found.kl[1]), (0.0, 2.0));
/// assert_eq!(found.active, [1.0, 0.0]);
/// # Ok::<(), vdn_model::core::ModelError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Diagnostics {
    /// The layer's name.
    pub layer: String,
    /// The number of latent dimensions of each unit.
    pub latent_dims: usize,
    /// The number of rows behind the measures.
    pub rows: usize,
    /// The KL from the prior in nats per latent dimension: the unit's cost in the bound.
    pub kl: Vec<f64>,
    /// The rate in nats per latent dimension: an upper bound of the information about the input.
    pub rate: Vec<f64>,
    /// The mismatch in nats per latent dimension: the distance of the aggregate posterior from the
    /// prior. It is a cost without information.
    pub mismatch: Vec<f64>,
    /// The signal-to-noise ratio, `C2 / V`.
    pub signal_to_noise: Vec<f64>,
    /// The share of a unit's dimensions whose means vary by more than 0.01 of the prior's variance.
    pub active: Vec<f64>,
    /// The energy: the mean of `mu^2`.
    pub energy: Vec<f64>,
    /// The root of the mean variance.
    pub sigma: Vec<f64>,
    /// The weight of the unit's KL.
    pub beta: Vec<f64>,
    /// The share of deviations at their limits, in [0, 1].
    pub saturation: Vec<f64>,
    /// The share of rows in which the unit's KL is above 1e-4 nats, in [0, 1].
    pub alive: Vec<f64>,
    /// The share of noise in the variance of the samples, `V / (C2 + V)`: the least over a unit's
    /// dimensions.
    pub noise_share: Vec<f64>,
    /// The energy bands; `None` if the layer has none.
    pub band: Option<EnergyBand>,
    /// Whether the energy lies inside its band; `None` if the layer has no bands.
    pub inside: Option<Vec<bool>>,
}

impl Diagnostics {
    /// Computes the measures from the statistics of a pass and its row counts. Without rows,
    /// nothing counts as alive or saturated.
    ///
    /// # Errors
    /// Fails if statistics, counts, weights or bands have different numbers of units.
    pub fn new(
        statistics: &UnitStatistics,
        rows: &RowCounts,
        context: &LayerContext<'_>,
    ) -> Result<Self, ModelError> {
        let (k, dims) = (context.latent_dims.max(1), statistics.dims());
        let units = dims / k;
        let band = context.band.map_or(units, EnergyBand::len);
        let prior = context.prior_variance.len();
        let counts = [rows.alive().len(), context.beta.len(), band];
        if units * k != dims || counts != [units; 3] || ![0, dims].contains(&prior) {
            let reason = format!(
                "layer {}: statistics of {dims} dimensions, {k} for each unit; counts, weights and bands of \
                 {counts:?} units, priors of {prior} dimensions",
                context.label
            );
            return Err(ModelError::Batch(reason));
        }
        let mean = |x: Vec<f64>| -> Vec<f64> {
            x.chunks_exact(k).map(|unit| unit.iter().sum::<f64>() / k as f64).collect()
        };
        let (spread, variance) = (statistics.spread(), statistics.variance());
        let prior = |i: usize| context.prior_variance.get(i).copied().unwrap_or(1.0);
        let active = |i: usize| f64::from(u8::from(spread[i] > ACTIVE * prior(i)));
        let noise: Vec<f64> = (0..dims).map(|i| variance[i] / (spread[i] + variance[i])).collect();
        let energy = mean(statistics.energy());
        let inside = context.band.map(|band| {
            let bounds = band.lo.iter().zip(&band.hi);
            energy.iter().zip(bounds).map(|(e, (lo, hi))| lo <= e && e <= hi).collect()
        });
        Ok(Self {
            layer: context.label.to_owned(),
            latent_dims: k,
            rows: statistics.rows(),
            kl: mean(statistics.kl()),
            rate: mean(statistics.rate()),
            mismatch: mean(statistics.mismatch()),
            signal_to_noise: mean(statistics.signal_to_noise()),
            active: mean((0..dims).map(active).collect()),
            sigma: mean(variance.clone()).into_iter().map(f64::sqrt).collect(),
            beta: context.beta.to_vec(),
            saturation: rows.saturation(),
            alive: rows.alive(),
            noise_share: noise
                .chunks_exact(k)
                .map(|unit| unit.iter().copied().fold(f64::INFINITY, f64::min))
                .collect(),
            energy,
            band: context.band.cloned(),
            inside,
        })
    }

    /// Returns the number of units.
    #[must_use]
    pub fn units(&self) -> usize {
        self.kl.len()
    }

    /// Returns the sum of all KLs in nats per window.
    #[must_use]
    pub fn total_kl(&self) -> f64 {
        self.latent_dims as f64 * self.kl.iter().sum::<f64>()
    }

    /// Returns the means over the layer's units.
    #[must_use]
    pub fn summary(&self) -> DiagnosticsSummary {
        DiagnosticsSummary::of(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context<'a>(beta: &'a [f64], latent_dims: usize) -> LayerContext<'a> {
        LayerContext { label: "layer", latent_dims, beta, band: None, prior_variance: &[] }
    }

    /// Statistics of arbitrary posteriors, by the definitions.
    fn statistics(mu: &[f64], logvar: &[f64], dims: usize) -> UnitStatistics {
        let rows = mu.len() / dims;
        let column = |x: &[f64], f: &dyn Fn(f64) -> f64, i: usize| {
            (0..rows).map(|r| f(x[r * dims + i])).sum::<f64>() / rows as f64
        };
        let all = |f: &dyn Fn(usize) -> f64| (0..dims).map(f).collect::<Vec<_>>();
        let m1 = all(&|i| column(mu, &|x| x, i));
        let c2 = all(&|i| column(mu, &|x| (x - m1[i]).powi(2), i));
        let d0 = all(&|i| column(logvar, &|l| l.exp_m1() - l, i));
        let lv = all(&|i| column(logvar, &|l| l, i));
        let mut statistics = UnitStatistics::new();
        statistics.merge(rows, &m1, &c2, &d0, &lv);
        statistics
    }

    #[test]
    fn kl_is_rate_plus_mismatch_and_an_input_independent_unit_has_no_rate() {
        let mut noise = vec![0.0_f64; 400];
        vdn_tensor::noise::NoiseKey::new(3, 0, 0).fill_normal(0, &mut noise);
        // 50 rows of 4 units; the last ignores its input, far from the prior.
        let mu: Vec<f64> = (0..200).map(|i| if i % 4 == 3 { 3.0 } else { noise[i] }).collect();
        let logvar: Vec<f64> =
            (0..200).map(|i| if i % 4 == 3 { -2.0 } else { noise[200 + i] }).collect();
        let found = Diagnostics::new(
            &statistics(&mu, &logvar, 4),
            &RowCounts::new(4, 1),
            &context(&[0.0; 4], 1),
        )
        .unwrap();
        for i in 0..4 {
            // A few roundings of numbers of the KL's size.
            let gap = (found.kl[i] - found.rate[i] - found.mismatch[i]).abs();
            assert!(gap <= 8.0 * f64::EPSILON * found.kl[i].max(1.0), "unit {i}: {gap:e}");
        }
        // ln(1 + x) at x = -0.86 loses a factor of 7.
        assert!(found.rate[3].abs() < 32.0 * f64::EPSILON && found.kl[3] > 5.0, "{found:?}");
        assert_eq!(found.active, [1.0, 1.0, 1.0, 0.0]);
    }

    #[test]
    fn measures_of_vector_units_are_means_over_dimensions() {
        let mu = [0.05, 2.0, -0.05, -2.0];
        let found = Diagnostics::new(
            &statistics(&mu, &[0.0; 4], 2),
            &RowCounts::new(1, 2),
            &context(&[0.5], 2),
        )
        .unwrap();
        assert!((found.energy[0] - 2.00125).abs() < 1e-12);
        assert!((found.total_kl() - 2.00125).abs() < 1e-12);
        assert_eq!(found.active, [0.5]);
        assert!((found.noise_share[0] - 0.2).abs() < 1e-12);
    }

    #[test]
    fn other_layers_are_refused() {
        let statistics = statistics(&[0.0; 4], &[0.0; 4], 2);
        let wrong = Diagnostics::new(&statistics, &RowCounts::new(3, 1), &context(&[0.0; 2], 1));
        assert!(wrong.unwrap_err().to_string().contains("[3, 2, 2]"));
    }
}
