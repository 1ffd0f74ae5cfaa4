//! [`UnitReport`]: what became of the units: who lives, and why the others do not.

use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;
use vdn_model::diagnostics::{Diagnostics, Living, UnitBudget};

/// The units of the best weights on the validation windows.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct UnitReport {
    /// Units.
    pub units: usize,
    /// Those that live.
    pub living: usize,
    /// How many do not for each reason, each unit under its gravest.
    pub reasons: BTreeMap<String, usize>,
    /// The rates of a living unit, nats per latent dimension.
    pub budget: [f64; 2],
    /// The sum of all KLs, nats per window.
    pub kl: f64,
    /// Mean rate, nats per latent dimension.
    pub rate: f64,
    /// Mean mismatch, nats per latent dimension.
    pub mismatch: f64,
    /// Mean energy.
    pub energy: f64,
    /// Mean signal to noise.
    pub signal_to_noise: f64,
    /// Mean deviation.
    pub sigma: f64,
    /// The share of active dimensions.
    pub active: f64,
    /// The share of units inside their energy band; `None` without bands.
    pub inside: Option<f64>,
    /// `1019 of 1024 units living; 3 posterior_collapse, 2 drift`.
    pub line: String,
}

impl UnitReport {
    /// Of units and what was judged of them.
    #[must_use]
    pub fn new(diagnostics: &Diagnostics, living: &Living, budget: &UnitBudget) -> Self {
        let summary = diagnostics.summary();
        let counts = living.counts().into_iter();
        Self {
            units: living.units(),
            living: living.living(),
            reasons: counts.map(|(reason, count)| (reason.name().to_owned(), count)).collect(),
            budget: [budget.low, budget.high],
            kl: summary.total_kl,
            rate: summary.rate,
            mismatch: summary.mismatch,
            energy: summary.energy,
            signal_to_noise: summary.signal_to_noise,
            sigma: summary.sigma,
            active: summary.active,
            inside: summary.inside,
            line: living.to_string(),
        }
    }
}

impl fmt::Display for UnitReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [low, high] = self.budget;
        write!(
            f,
            "units     {} (validation windows; a living unit's rate is in [{low}, {high}] nats)",
            self.line
        )
    }
}
