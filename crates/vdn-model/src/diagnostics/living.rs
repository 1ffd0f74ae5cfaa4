//! [`Living`]: which units are living, and the reasons why others are not.
//!
//! A unit is living if it has none of these reasons. They are checked in this order, and a unit is
//! reported under the first:
//!
//! 1. the modes of collapse, in the order of [`CollapseMode::ALL`];
//! 2. saturation: too many of its deviations are at a limit;
//! 3. a rate below the budget (or NaN), or above the budget.

use crate::diagnostics::collapse::{CollapseMode, CollapseThresholds, HealthEvidence};
use crate::objective::LIVING;
use std::fmt;

/// The requirements of a living unit: an interval of the rate in nats per latent dimension, and a
/// limit of the share of deviations at a limit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct UnitBudget {
    /// The least rate.
    pub low: f64,
    /// The largest rate.
    pub high: f64,
    /// The share of deviations at a limit from which a unit is not living.
    pub saturation: f64,
}

impl Default for UnitBudget {
    /// The interval [`LIVING`] of rates, and a share of 0.01 of the deviations at a limit.
    fn default() -> Self {
        let [low, high] = LIVING;
        Self { low, high, saturation: 0.01 }
    }
}

/// The reason why a unit is not living.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    /// It is in a collapse mode.
    Collapse(CollapseMode),
    /// Too many of its deviations are at a limit.
    Saturated,
    /// Its rate is below the budget.
    RateBelow,
    /// Its rate is above the budget.
    RateAbove,
}

impl Reason {
    /// All reasons, the most serious first.
    pub const ALL: [Self; 10] = [
        Self::Collapse(CollapseMode::ALL[0]),
        Self::Collapse(CollapseMode::ALL[1]),
        Self::Collapse(CollapseMode::ALL[2]),
        Self::Collapse(CollapseMode::ALL[3]),
        Self::Collapse(CollapseMode::ALL[4]),
        Self::Collapse(CollapseMode::ALL[5]),
        Self::Collapse(CollapseMode::ALL[6]),
        Self::Saturated,
        Self::RateBelow,
        Self::RateAbove,
    ];

    /// Returns the name used in tables and files.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Collapse(mode) => mode.name(),
            Self::Saturated => "saturated",
            Self::RateBelow => "rate_below",
            Self::RateAbove => "rate_above",
        }
    }

    /// Returns the number used in numeric files: the position in [`Reason::ALL`], from 1. The
    /// number 0 stands for living units.
    #[must_use]
    pub fn code(self) -> u8 {
        Self::ALL.iter().position(|&reason| reason == self).map_or(0, |i| i as u8 + 1)
    }

    /// Returns the reason with this number.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.get(usize::from(code).checked_sub(1)?).copied()
    }
}

/// The judgement on a layer. A unit is living if it is in no collapse mode, its rate is within the
/// budget, and almost none of its deviations are at a limit.
///
/// It prints as `1019 of 1024 units living; 3 posterior_collapse, 2 drift`: each unit is counted
/// under its most serious reason.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Living {
    reasons: Vec<Vec<Reason>>,
}

impl Living {
    /// Judges every unit of a layer.
    ///
    /// ```
    /// use vdn_model::diagnostics::{
    ///     CollapseThresholds, Diagnostics, HealthEvidence, LayerContext, Living, RowCounts,
    ///     UnitBudget,
    /// };
    /// use vdn_model::units::UnitStatistics;
    /// let mut statistics = UnitStatistics::new();
    /// statistics.merge(8, &[0.0_f64; 3], &[0.4, 0.0, 3.0], &[0.0; 3], &[0.0; 3]);
    /// let context = LayerContext {
    ///     label: "layer", latent_dims: 1, beta: &[0.0; 3], band: None, prior_variance: &[],
    /// };
    /// let found = Diagnostics::new(&statistics, &RowCounts::new(3, 1), &context)?;
    /// let thresholds = CollapseThresholds::default();
    /// let living = Living::new(&HealthEvidence::new(&found), &thresholds, &UnitBudget::default());
    /// assert_eq!(living.to_string(), "1 of 3 units living; 1 posterior_collapse, 1 rate_above");
    /// # Ok::<(), vdn_model::core::ModelError>(())
    /// ```
    #[must_use]
    pub fn new(
        evidence: &HealthEvidence<'_>,
        thresholds: &CollapseThresholds,
        budget: &UnitBudget,
    ) -> Self {
        let d = evidence.diagnostics;
        Self::of(thresholds.modes(evidence), &d.rate, &d.saturation, budget)
    }

    /// Judges from three measures of each unit: the modes, the rate that is compared with the
    /// budget, and the share of deviations at their limits (an empty slice means none).
    pub(super) fn of(
        modes: Vec<Vec<CollapseMode>>,
        rate: &[f64],
        saturation: &[f64],
        budget: &UnitBudget,
    ) -> Self {
        let reasons = modes.into_iter().enumerate().map(|(unit, modes)| {
            let mut reasons: Vec<Reason> = modes.into_iter().map(Reason::Collapse).collect();
            let rate = rate[unit];
            let at_limits = saturation.get(unit).copied().unwrap_or(0.0);
            for (reason, holds) in [
                (Reason::Saturated, at_limits >= budget.saturation),
                (Reason::RateBelow, rate.is_nan() || rate < budget.low),
                (Reason::RateAbove, rate > budget.high),
            ] {
                if holds {
                    reasons.push(reason);
                }
            }
            reasons
        });
        Self { reasons: reasons.collect() }
    }

    /// Returns the number of units.
    #[must_use]
    pub fn units(&self) -> usize {
        self.reasons.len()
    }

    /// Returns all reasons of a unit, the most serious first; empty if it is living.
    ///
    /// # Panics
    /// Panics if there is no such unit.
    #[must_use]
    pub fn reasons(&self, unit: usize) -> &[Reason] {
        &self.reasons[unit]
    }

    /// Iterates over the most serious reason of each unit; `None` for living units.
    pub fn gravest(&self) -> impl Iterator<Item = Option<Reason>> + '_ {
        self.reasons.iter().map(|reasons| reasons.first().copied())
    }

    /// Returns the number of living units.
    #[must_use]
    pub fn living(&self) -> usize {
        self.reasons.iter().filter(|reasons| reasons.is_empty()).count()
    }

    /// Returns the share of living units; NaN if there are no units.
    #[must_use]
    pub fn share(&self) -> f64 {
        self.living() as f64 / self.units() as f64
    }

    /// Returns the number of units in a collapse mode, whatever other modes they are in.
    #[must_use]
    pub fn in_mode(&self, mode: CollapseMode) -> usize {
        let reason = Reason::Collapse(mode);
        self.reasons.iter().filter(|reasons| reasons.contains(&reason)).count()
    }

    /// Returns the number of units for each reason that occurs. Each unit counts once, under its
    /// most serious reason.
    #[must_use]
    pub fn counts(&self) -> Vec<(Reason, usize)> {
        let count = |reason| self.gravest().filter(|&g| g == Some(reason)).count();
        let all = Reason::ALL.into_iter().map(|reason| (reason, count(reason)));
        all.filter(|&(_, count)| count > 0).collect()
    }
}

impl fmt::Display for Living {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} units living", self.living(), self.units())?;
        let mut counts = self.counts();
        counts.sort_by_key(|&(reason, count)| (std::cmp::Reverse(count), reason));
        for (i, (reason, count)) in counts.into_iter().enumerate() {
            let separator = if i == 0 { ';' } else { ',' };
            write!(f, "{separator} {count} {}", reason.name())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostics::Diagnostics;

    fn unit(rate: f64, mismatch: f64, noise_share: f64) -> Diagnostics {
        Diagnostics {
            kl: vec![rate + mismatch],
            rate: vec![rate],
            mismatch: vec![mismatch],
            noise_share: vec![noise_share],
            saturation: vec![0.0],
            ..Diagnostics::default()
        }
    }

    #[test]
    fn every_mode_has_its_border() {
        use CollapseMode::{
            ArCapture, Drift, Explosion, Frozen, PosteriorCollapse, VarianceCollapse,
        };
        let thresholds = CollapseThresholds::default();
        let healthy = unit(0.2, 0.05, 0.7);
        let judge = |evidence: &HealthEvidence<'_>| thresholds.modes(evidence).remove(0);
        let of = |d: &Diagnostics| judge(&HealthEvidence::new(d));
        assert_eq!(of(&healthy), []);
        assert_eq!(of(&unit(0.0099, 0.0099, 1.0)), [PosteriorCollapse]);
        assert_eq!(of(&unit(0.0101, 0.0099, 1.0)), []);
        assert_eq!(of(&unit(0.0099, 0.0101, 1.0)), [Frozen]);
        assert_eq!(of(&unit(0.0, 3.1, 1.0)), [Explosion, Frozen]);
        assert_eq!(of(&unit(2.0, 0.1, 0.0099)), [VarianceCollapse]);
        assert_eq!(of(&unit(2.0, 0.1, 0.0101)), []);
        assert_eq!(of(&unit(0.2, 3.1, 0.7)), [Explosion]);
        assert_eq!(
            of(&unit(f64::NAN, f64::NAN, f64::NAN)),
            [Explosion],
            "no number is far from everything"
        );
        let growing = HealthEvidence { growing: Some(&[true]), ..HealthEvidence::new(&healthy) };
        assert_eq!(judge(&growing), [Explosion]);
        let left = |left: &[f64]| {
            judge(&HealthEvidence { rate_given_past: Some(left), ..HealthEvidence::new(&healthy) })
        };
        assert_eq!((left(&[0.049]), left(&[0.051])), (vec![ArCapture], vec![]));
        let wander = |drift: &[f64], change: f64| {
            judge(&HealthEvidence {
                drift: Some(drift),
                loss_change: Some(change),
                ..HealthEvidence::new(&healthy)
            })
        };
        assert_eq!(wander(&[0.011], -0.0049), [Drift]);
        assert_eq!(wander(&[0.011], -0.0051), [], "the loss still falls");
        assert_eq!(wander(&[0.009], 0.0), []);
    }

    #[test]
    fn codes_name_reasons() {
        for reason in Reason::ALL {
            assert_eq!(Reason::from_code(reason.code()), Some(reason));
        }
        assert_eq!((Reason::from_code(0), Reason::from_code(11)), (None, None));
    }

    #[test]
    fn budget_and_limits_count() {
        let thresholds = CollapseThresholds::default();
        let judge = |d: &Diagnostics| {
            let living = Living::new(&HealthEvidence::new(d), &thresholds, &UnitBudget::default());
            living.reasons(0).to_vec()
        };
        assert_eq!(judge(&unit(0.05, 0.0, 0.9)), []);
        assert_eq!(judge(&unit(0.049, 0.0, 0.9)), [Reason::RateBelow]);
        assert_eq!(judge(&unit(0.301, 0.0, 0.5)), [Reason::RateAbove]);
        let saturated = Diagnostics { saturation: vec![0.01], ..unit(0.2, 0.0, 0.7) };
        assert_eq!(judge(&saturated), [Reason::Saturated]);
    }
}
