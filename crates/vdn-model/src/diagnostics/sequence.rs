//! [`SequenceDiagnostics`]: the measures of every unit along a sequence, under a prior over time:
//! its information, the part that its past explains, and whether it is living.
//!
//! The sums run over all steps `t` after the first `p` (the prior's order) of all sequences.
//! `Normal(m_t, P_t)` is the posterior of `z_t` given the inputs, and `v_t` is the variance of
//! `q(z_t | z_{t-1} ..)`. With `C2 = Var m` and `V = E P`, all in nats per step:
//!
//! ```text
//! KL  = E KL(q(z_t | past, inputs) || p(z_t | past)) = R' + D'                           what the bound pays
//! R'  = [ln W - E ln v]/2        W = Var(z_t - best linear function of the past)         rate given the past
//! D'  = E KL(Normal(that function, W) || p(z_t | past))                                  mismatch of the transitions
//! R   = [ln(C2 + V) - E ln P]/2      D = KL(Normal(E m, C2 + V) || stationary prior)     as if there were no past
//! rho = Cov(z_t, z_{t-1}) / mean of both variances       signal to noise C2/V
//! ```
//!
//! All measures follow from the messages through the posterior's moments. Nothing is sampled.

use crate::diagnostics::collapse::{CollapseMode, CollapseThresholds};
use crate::diagnostics::living::{Living, UnitBudget};

/// The measures of units along a sequence, each `[units]`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SequenceDiagnostics {
    /// The number of steps behind the measures, over all sequences.
    pub rows: usize,
    /// The coefficients of the prior, one row `[units]` for each lag; empty for priors without
    /// memory.
    pub coefficients: Vec<Vec<f64>>,
    /// The measured autocorrelation at lag 1, `rho`.
    pub persistence: Vec<f64>,
    /// The divergence from the prior given the past in nats per step: the unit's cost in the bound.
    pub kl: Vec<f64>,
    /// `R'` in nats per step: an upper bound of the information about the inputs that `z_t` adds to
    /// the past latents.
    pub rate_given_past: Vec<f64>,
    /// `D'` in nats per step: a cost without information.
    pub mismatch_given_past: Vec<f64>,
    /// `R` in nats: an upper bound of the information about the inputs in `z_t`, new or not.
    pub rate: Vec<f64>,
    /// `D` in nats: the distance of the aggregate posterior from the prior's stationary
    /// distribution.
    pub mismatch: Vec<f64>,
    /// The mean square of the posterior means, on the scale of the prior's stationary distribution.
    pub energy: Vec<f64>,
    /// The root of the mean posterior variance, on the same scale.
    pub sigma: Vec<f64>,
    /// The signal-to-noise ratio, `C2 / V`.
    pub signal_to_noise: Vec<f64>,
    /// The share of noise in the variance of the samples, `V / (C2 + V)`.
    pub noise_share: Vec<f64>,
}

impl SequenceDiagnostics {
    /// Returns the number of units.
    #[must_use]
    pub fn units(&self) -> usize {
        self.kl.len()
    }

    /// Returns the sum of all KLs in nats per step.
    #[must_use]
    pub fn total_kl(&self) -> f64 {
        self.kl.iter().sum()
    }

    /// Returns the collapse modes of each unit, the most serious first. One pass cannot show drift,
    /// growth over epochs or downstream use, so these modes are never reported.
    ///
    /// | mode | holds when |
    /// |---|---|
    /// | `explosion` | `D` or `D'` above the threshold, or not a number |
    /// | `variance_collapse` | `V/(C2 + V)` below the threshold |
    /// | `frozen` | `R`, `R'` below the rate's threshold, `D'` at least the mismatch's |
    /// | `posterior_collapse` | `R`, `R'` below the rate's threshold, `D'` below the mismatch's |
    /// | `ar_capture` | `R` at least the threshold, `R'` below a share of `R` |
    #[must_use]
    pub fn modes(&self, thresholds: &CollapseThresholds) -> Vec<Vec<CollapseMode>> {
        let holds = |mode: CollapseMode, unit: usize| {
            let (rate, new) = (self.rate[unit], self.rate_given_past[unit]);
            let (mismatch, paid) = (self.mismatch[unit], self.mismatch_given_past[unit]);
            let silent = rate.abs() < thresholds.rate && new.abs() < thresholds.rate;
            let far = |x: f64| x.is_nan() || x > thresholds.explosion;
            match mode {
                CollapseMode::Explosion => far(mismatch) || far(paid),
                CollapseMode::VarianceCollapse => self.noise_share[unit] < thresholds.noise_share,
                CollapseMode::Frozen => silent && paid >= thresholds.mismatch,
                CollapseMode::PosteriorCollapse => silent && paid < thresholds.mismatch,
                CollapseMode::ArCapture => {
                    rate >= thresholds.rate && new < thresholds.captured * rate
                }
                CollapseMode::Unused | CollapseMode::Drift => false,
            }
        };
        let modes = |unit| CollapseMode::ALL.into_iter().filter(|&m| holds(m, unit)).collect();
        (0..self.units()).map(modes).collect()
    }

    /// Judges which units are living: no mode of [`SequenceDiagnostics::modes`] holds, and the rate
    /// given the past in nats per step is within the budget. A rate budget along a sequence
    /// constrains the same rate. The result prints as one sentence, with reasons.
    #[must_use]
    pub fn living(&self, thresholds: &CollapseThresholds, budget: &UnitBudget) -> Living {
        Living::of(self.modes(thresholds), &self.rate_given_past, &[], budget)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostics::Reason;

    fn unit(rate: f64, rate_given_past: f64, mismatch_given_past: f64) -> SequenceDiagnostics {
        SequenceDiagnostics {
            kl: vec![rate_given_past + mismatch_given_past],
            rate_given_past: vec![rate_given_past],
            mismatch_given_past: vec![mismatch_given_past],
            rate: vec![rate],
            mismatch: vec![0.0],
            noise_share: vec![0.5],
            ..SequenceDiagnostics::default()
        }
    }

    #[test]
    fn every_mode_has_its_border() {
        use CollapseMode::{ArCapture, Explosion, Frozen, PosteriorCollapse, VarianceCollapse};
        let of = |d: &SequenceDiagnostics| d.modes(&CollapseThresholds::default()).remove(0);
        assert_eq!(of(&unit(0.4, 0.11, 0.0)), []);
        assert_eq!(of(&unit(0.4, 0.099, 0.0)), [ArCapture]);
        assert_eq!(of(&unit(0.0099, 0.0, 0.0099)), [PosteriorCollapse]);
        assert_eq!(of(&unit(0.0099, 0.0, 0.0101)), [Frozen]);
        assert_eq!(of(&unit(0.0101, 0.0, 0.0)), [ArCapture]);
        // New information that hardly shows in the whole is information.
        assert_eq!(of(&unit(0.005, 0.3, 0.0)), []);
        assert_eq!(of(&unit(0.4, 0.3, 3.1)), [Explosion]);
        assert_eq!(
            of(&SequenceDiagnostics { mismatch: vec![3.1], ..unit(0.4, 0.3, 0.0) }),
            [Explosion]
        );
        assert_eq!(of(&unit(f64::NAN, f64::NAN, f64::NAN)), [Explosion]);
        let noiseless = SequenceDiagnostics { noise_share: vec![0.0099], ..unit(2.0, 1.0, 0.0) };
        assert_eq!(of(&noiseless), [VarianceCollapse]);
    }

    #[test]
    fn the_budget_is_of_the_rate_given_the_past() {
        let thresholds = CollapseThresholds::default();
        let judge = |d: &SequenceDiagnostics| {
            d.living(&thresholds, &UnitBudget::default()).reasons(0).to_vec()
        };
        assert_eq!(judge(&unit(0.6, 0.2, 0.0)), []);
        assert_eq!(judge(&unit(0.6, 0.31, 0.0)), [Reason::RateAbove]);
        let captured = Reason::Collapse(CollapseMode::ArCapture);
        assert_eq!(judge(&unit(0.6, 0.04, 0.0)), [captured, Reason::RateBelow]);
        let shown = unit(0.6, 0.04, 0.0).living(&thresholds, &UnitBudget::default()).to_string();
        assert_eq!(shown, "0 of 1 units living; 1 ar_capture");
    }
}
