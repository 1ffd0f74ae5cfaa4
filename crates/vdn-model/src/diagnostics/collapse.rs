//! The seven ways in which a unit can collapse, and the measures that detect them.
//!
//! With the default thresholds ([`CollapseThresholds`]), `R` the rate and `D` the mismatch in nats:
//!
//! | mode | holds if |
//! |---|---|
//! | `explosion` | `D > 3` or NaN; or energy or KL grew by 1.5 in each of 3 epochs, to above 1 |
//! | `variance_collapse` | noise is less than 0.01 of the variance of the samples |
//! | `frozen` | `R < 0.01` and `D >= 0.01`: a cost without information |
//! | `posterior_collapse` | `R < 0.01` and `D < 0.01`: the posterior is the prior |
//! | `ar_capture` | `R >= 0.01`, and the past leaves less than a quarter of it |
//! | `unused` | interventions show that nothing downstream reads it ([`UnitUse::unread`]) |
//! | `drift` | it moves more than 0.01 nats per epoch while the loss changes by at most 0.005 |
//!
//! A unit can be in several modes. A mode whose evidence is missing is not reported.

use crate::diagnostics::measures::Diagnostics;
use crate::diagnostics::unit_use::UnitUse;

/// A way in which a unit stops being an informative distribution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CollapseMode {
    /// Its measures grow without bound, or are very far from the prior.
    Explosion,
    /// It has become deterministic: almost no noise is left in its samples.
    VarianceCollapse,
    /// Its posterior differs from the prior, at a cost, but does not depend on its input.
    Frozen,
    /// Its posterior is the prior.
    PosteriorCollapse,
    /// Its past explains all of its information.
    ArCapture,
    /// Nothing downstream uses it.
    Unused,
    /// Its posterior keeps moving while the loss stands still.
    Drift,
}

impl CollapseMode {
    /// All modes, the most serious first.
    pub const ALL: [Self; 7] = [
        Self::Explosion,
        Self::VarianceCollapse,
        Self::Frozen,
        Self::PosteriorCollapse,
        Self::ArCapture,
        Self::Unused,
        Self::Drift,
    ];

    /// Returns the name used in tables and files.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Explosion => "explosion",
            Self::VarianceCollapse => "variance_collapse",
            Self::Frozen => "frozen",
            Self::PosteriorCollapse => "posterior_collapse",
            Self::ArCapture => "ar_capture",
            Self::Unused => "unused",
            Self::Drift => "drift",
        }
    }
}

/// The thresholds of the modes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CollapseThresholds {
    /// The rate in nats below which a unit carries no information: `posterior_collapse` and
    /// `frozen`. The default, 0.01, is a fifth of the least rate of a living unit. It is five times
    /// the rate that chance gives a unit without information over 250 rows (`1/(2 rows)`, if its
    /// means follow noise in the input).
    pub rate: f64,
    /// The mismatch in nats below which an aggregate posterior equals the prior. It separates
    /// `posterior_collapse` from `frozen`.
    pub mismatch: f64,
    /// The share of noise in a unit's samples, `V / (Var mu + V)`, below which it is in
    /// `variance_collapse`.
    pub noise_share: f64,
    /// The mismatch in nats above which it is an `explosion`. An aggregate posterior 3 nats from
    /// its prior has, for instance, a mean of 2.4 or a variance of 9.5 where the prior has 0 and 1.
    pub explosion: f64,
    /// The factor of growth of an `explosion`: energy or KL grew by this factor in each of
    /// [`CollapseThresholds::growth_epochs`] successive epochs and is above
    /// [`CollapseThresholds::growth_floor`].
    pub growth: f64,
    /// The number of epochs of growth.
    pub growth_epochs: usize,
    /// The energy, or the KL in nats, below which growth is not an explosion.
    pub growth_floor: f64,
    /// The share of its rate below which the rate that a unit's past leaves counts as `ar_capture`.
    pub captured: f64,
    /// The share of the mean use below which a unit is `unused`.
    pub unused_share: f64,
    /// The confidence of that judgement, over all units together.
    pub confidence: f64,
    /// The mean drift in nats per epoch above which a unit is in `drift`, while the loss stands
    /// still.
    pub drift: f64,
    /// The number of epochs in the mean: the loss of a single epoch may stand still by chance.
    pub drift_epochs: usize,
    /// The largest change of the training loss over those epochs, in nats per time step, at which
    /// it stands still.
    pub constant_loss: f64,
}

impl Default for CollapseThresholds {
    fn default() -> Self {
        Self {
            rate: 0.01,
            mismatch: 0.01,
            noise_share: 0.01,
            explosion: 3.0,
            growth: 1.5,
            growth_epochs: 3,
            growth_floor: 1.0,
            captured: 0.25,
            unused_share: 0.01,
            confidence: 0.95,
            drift: 0.01,
            drift_epochs: 3,
            constant_loss: 0.005,
        }
    }
}

/// The known measures of a layer. A missing measure raises no alarm.
#[derive(Clone, Copy, Debug)]
pub struct HealthEvidence<'a> {
    /// The internal measures.
    pub diagnostics: &'a Diagnostics,
    /// The mean drift over the last [`CollapseThresholds::drift_epochs`] in nats per epoch,
    /// `[units]`.
    pub drift: Option<&'a [f64]>,
    /// The change of the training loss over those epochs in nats per time step.
    pub loss_change: Option<f64>,
    /// Whether energy or KL grew in each of the last epochs, `[units]`.
    pub growing: Option<&'a [bool]>,
    /// The rate that a unit's past leaves, in nats per latent dimension, `[units]`, if the layer
    /// has an autoregressive prior or penalty.
    pub rate_given_past: Option<&'a [f64]>,
    /// The downstream use of the units.
    pub unit_use: Option<&'a UnitUse>,
}

impl<'a> HealthEvidence<'a> {
    /// Creates the evidence from the internal measures alone.
    #[must_use]
    pub fn new(diagnostics: &'a Diagnostics) -> Self {
        Self {
            diagnostics,
            drift: None,
            loss_change: None,
            growing: None,
            rate_given_past: None,
            unit_use: None,
        }
    }
}

impl CollapseThresholds {
    /// Returns whether an energy, or a KL in nats, with these values in successive epochs grows
    /// without bound: the last value is above [`CollapseThresholds::growth_floor`], and each value
    /// after the first is larger than the one before by the factor [`CollapseThresholds::growth`].
    ///
    /// ```
    /// use vdn_model::diagnostics::CollapseThresholds;
    /// let thresholds = CollapseThresholds::default();
    /// assert!(thresholds.grew(&[0.4, 0.7, 1.2, 2.0]));
    /// assert!(!thresholds.grew(&[0.7, 1.2, 1.3, 1.4]));
    /// ```
    #[must_use]
    pub fn grew(&self, levels: &[f64]) -> bool {
        levels.last().is_some_and(|&last| last > self.growth_floor)
            && levels.windows(2).all(|pair| pair[1] > self.growth * pair[0])
    }

    /// Returns the modes of each unit, the most serious first.
    ///
    /// ```
    /// use vdn_model::diagnostics::{
    ///     CollapseMode, CollapseThresholds, Diagnostics, HealthEvidence, LayerContext, RowCounts,
    /// };
    /// use vdn_model::units::UnitStatistics;
    /// let mut statistics = UnitStatistics::new();
    /// statistics.merge(8, &[0.0_f64, 1.0], &[0.0, 0.0], &[0.0, 0.0], &[0.0, 0.0]);
    /// let context = LayerContext {
    ///     label: "layer", latent_dims: 1, beta: &[0.0; 2], band: None, prior_variance: &[],
    /// };
    /// let found = Diagnostics::new(&statistics, &RowCounts::new(2, 1), &context)?;
    /// let modes = CollapseThresholds::default().modes(&HealthEvidence::new(&found));
    /// assert_eq!(modes, [vec![CollapseMode::PosteriorCollapse], vec![CollapseMode::Frozen]]);
    /// # Ok::<(), vdn_model::core::ModelError>(())
    /// ```
    #[must_use]
    pub fn modes(&self, evidence: &HealthEvidence<'_>) -> Vec<Vec<CollapseMode>> {
        let d = evidence.diagnostics;
        let mut unread = vec![false; d.units()];
        if let Some(found) = evidence.unit_use {
            for (&unit, is) in found.units.iter().zip(found.unread(self)) {
                if let Some(to) = unread.get_mut(unit) {
                    *to = is;
                }
            }
        }
        let constant =
            evidence.loss_change.is_some_and(|change| change.abs() <= self.constant_loss);
        let of = |x: Option<&[f64]>, unit: usize| x.and_then(|x| x.get(unit)).copied();
        let holds = |mode: CollapseMode, unit: usize| {
            let (rate, mismatch) = (d.rate[unit], d.mismatch[unit]);
            let silent = rate.abs() < self.rate;
            // A measure that is not a number counts as infinitely far from the prior.
            let far = mismatch.is_nan() || mismatch > self.explosion;
            match mode {
                CollapseMode::Explosion => {
                    let grew = evidence.growing.and_then(|g| g.get(unit)).copied();
                    far || grew.unwrap_or(false)
                }
                CollapseMode::VarianceCollapse => d.noise_share[unit] < self.noise_share,
                CollapseMode::Frozen => silent && mismatch >= self.mismatch,
                CollapseMode::PosteriorCollapse => silent && mismatch < self.mismatch,
                CollapseMode::ArCapture => of(evidence.rate_given_past, unit)
                    .is_some_and(|left| !silent && left < self.captured * rate),
                CollapseMode::Unused => unread[unit],
                CollapseMode::Drift => {
                    constant && of(evidence.drift, unit).is_some_and(|drift| drift > self.drift)
                }
            }
        };
        let modes = |unit| CollapseMode::ALL.into_iter().filter(|&m| holds(m, unit)).collect();
        (0..d.units()).map(modes).collect()
    }
}
