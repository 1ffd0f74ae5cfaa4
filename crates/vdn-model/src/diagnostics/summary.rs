//! [`DiagnosticsSummary`]: the means of a layer's measures.

use crate::diagnostics::measures::Diagnostics;

/// Means over a layer's units; NaN if there are no units.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DiagnosticsSummary {
    /// The number of units.
    pub units: usize,
    /// The sum of all KLs in nats per window.
    pub total_kl: f64,
    /// The KL in nats per latent dimension.
    pub kl: f64,
    /// The rate in nats per latent dimension.
    pub rate: f64,
    /// The mismatch in nats per latent dimension.
    pub mismatch: f64,
    /// The signal-to-noise ratio.
    pub signal_to_noise: f64,
    /// The share of active dimensions.
    pub active: f64,
    /// The energy.
    pub energy: f64,
    /// The deviation of the posteriors.
    pub sigma: f64,
    /// The weight of the KL.
    pub beta: f64,
    /// The share of deviations at their limits.
    pub saturation: f64,
    /// The share of rows with a KL above 1e-4 nats.
    pub alive: f64,
    /// The inside-mass: the share of units whose energy lies in its band; `None` without bands.
    pub inside: Option<f64>,
}

impl DiagnosticsSummary {
    pub(super) fn of(from: &Diagnostics) -> Self {
        let units = from.units();
        let mean = |x: &[f64]| x.iter().sum::<f64>() / units as f64;
        let share = |inside: &Vec<bool>| {
            inside.iter().filter(|&&inside| inside).count() as f64 / units as f64
        };
        Self {
            units,
            total_kl: from.total_kl(),
            kl: mean(&from.kl),
            rate: mean(&from.rate),
            mismatch: mean(&from.mismatch),
            signal_to_noise: mean(&from.signal_to_noise),
            active: mean(&from.active),
            energy: mean(&from.energy),
            sigma: mean(&from.sigma),
            beta: mean(&from.beta),
            saturation: mean(&from.saturation),
            alive: mean(&from.alive),
            inside: from.inside.as_ref().map(share),
        }
    }
}
