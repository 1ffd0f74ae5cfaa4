//! The constraint-aware selection of checkpoints: a gate on the units' bands, and a score that
//! weighs the fit against them (spec section 8; both as in the reference).
//!
//! ```text
//! valid  before the gate's epoch, or: high <= 0.12, inside >= 0.50, not (low > 0.48 and inside < 0.58), band <= 6 * 1.5
//! score  nll + 6 relu(low - 0.20)^2 + 12 relu(high - 0.10)^2 + 10 relu(0.58 - inside)^2 + 0.25 relu(band - 1.5)^2
//!            + relu(kl - cap)^2 / cap^2 + 1e6 if not valid
//! ```
//!
//! In a configuration, with the defaults:
//!
//! ```toml
//! [train]
//! selection = "score"
//! [selection]
//! gate_epoch = 4       # the first epoch, counted from 1, that has to pass the gate
//! high_max = 0.12
//! inside_min = 0.50
//! low_max = 0.48
//! inside_target = 0.58
//! band_cap = 1.5
//! low_target = 0.20
//! high_target = 0.10
//! invalid = 1e6
//! # kl_cap = 100.0     # nats per window; left out: the KL costs nothing
//! ```

use crate::error::TrainError;
use crate::evaluate::Validation;
use serde::{Deserialize, Serialize};
use vdn_model::controllers::StackControl;

/// The thresholds of the gate and of the score.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SelectionRule {
    /// The first epoch, counted from 1, that must pass the gate, below 2^63; default 4.
    pub gate_epoch: u64,
    /// The largest share of units above their band, in [0, 1]; default 0.12.
    pub high_max: f64,
    /// The smallest share of units inside their band, in [0, 1]; default 0.50.
    pub inside_min: f64,
    /// The largest share of units below their band, in [0, 1]; default 0.48. It applies only if
    /// fewer units than `inside_target` are inside.
    pub low_max: f64,
    /// The target for the share of units inside, in [0, 1]; default 0.58.
    pub inside_target: f64,
    /// The band penalty (without its weight) up to which there is no cost, finite and at least 0;
    /// default 1.5. The gate rejects penalties above six times this value.
    pub band_cap: f64,
    /// The share of units below up to which there is no cost, in [0, 1]; default 0.20.
    pub low_target: f64,
    /// The share of units above up to which there is no cost, in [0, 1]; default 0.10.
    pub high_target: f64,
    /// The cost of failing the gate, finite and at least 0; default 1e6.
    pub invalid: f64,
    /// The KL in nats per window above which it has a cost, finite and above 0; default: none, for
    /// no cost.
    pub kl_cap: Option<f64>,
}

impl Default for SelectionRule {
    fn default() -> Self {
        Self {
            gate_epoch: 4,
            high_max: 0.12,
            inside_min: 0.50,
            low_max: 0.48,
            inside_target: 0.58,
            band_cap: 1.5,
            low_target: 0.20,
            high_target: 0.10,
            invalid: 1e6,
            kl_cap: None,
        }
    }
}

/// The measurements of an epoch's validation. Missing values count as harmless.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Candidate {
    /// The epoch, from 1.
    pub epoch: Option<u64>,
    /// The predictive score in nats per time step.
    pub nll: Option<f64>,
    /// The squared error, which replaces a missing score.
    pub mse: Option<f64>,
    /// The share of units below their band.
    pub low: Option<f64>,
    /// The share of units above their band.
    pub high: Option<f64>,
    /// The share of units inside their band; if missing, the rest after the other two shares.
    pub inside: Option<f64>,
    /// The band penalty.
    pub band: Option<f64>,
    /// The KL in nats per window.
    pub kl: Option<f64>,
}

impl Candidate {
    /// The share that the two outer shares leave: `clamp(1 - low - high, 0, 1)`.
    #[must_use]
    pub fn inside_from_shares(&self) -> f64 {
        (1.0 - self.low.unwrap_or(0.0) - self.high.unwrap_or(0.0)).clamp(0.0, 1.0)
    }

    fn has_nan(&self) -> bool {
        let Self { epoch: _, nll, mse, low, high, inside, band, kl } = *self;
        [nll, mse, low, high, inside, band, kl].into_iter().flatten().any(f64::is_nan)
    }

    fn inside(&self) -> f64 {
        self.inside.unwrap_or_else(|| self.inside_from_shares())
    }
}

impl SelectionRule {
    /// Checks every value.
    ///
    /// ```
    /// use vdn_train::train::SelectionRule;
    /// let rule = SelectionRule { high_max: 1.2, ..SelectionRule::default() };
    /// let reason = rule.validate().unwrap_err().to_string();
    /// assert!(reason.contains("selection.high_max = 1.2: has to be in [0, 1]"));
    /// ```
    ///
    /// # Errors
    /// Returns an error that names the first wrong value. Shares are in [0, 1], `band_cap` and
    /// `invalid` are at least 0, `kl_cap` is above 0, and all of them are finite.
    pub fn validate(&self) -> Result<(), TrainError> {
        let refuse = |name: &str, value: f64, domain: &str| {
            Err(TrainError::config(format!("selection.{name} = {value}: has to be {domain}")))
        };
        for (name, share) in [
            ("high_max", self.high_max),
            ("inside_min", self.inside_min),
            ("low_max", self.low_max),
            ("inside_target", self.inside_target),
            ("low_target", self.low_target),
            ("high_target", self.high_target),
        ] {
            if !(0.0..=1.0).contains(&share) {
                return refuse(name, share, "in [0, 1]");
            }
        }
        for (name, value) in [("band_cap", self.band_cap), ("invalid", self.invalid)] {
            if !(value >= 0.0 && value.is_finite()) {
                return refuse(name, value, "at least 0 and finite");
            }
        }
        match self.kl_cap {
            Some(cap) if !(cap > 0.0 && cap.is_finite()) => {
                refuse("kl_cap", cap, "above 0 and finite")
            }
            // TOML integers are smaller than this.
            _ if self.gate_epoch > i64::MAX as u64 => {
                let epoch = self.gate_epoch;
                Err(TrainError::config(format!(
                    "selection.gate_epoch = {epoch}: has to be below 2^63"
                )))
            }
            _ => Ok(()),
        }
    }

    /// Whether an epoch passes the gate.
    #[must_use]
    pub fn valid(&self, seen: &Candidate) -> bool {
        let (low, high) = (seen.low.unwrap_or(0.0), seen.high.unwrap_or(0.0));
        let inside = seen.inside();
        let failed = high > self.high_max
            || inside < self.inside_min
            || (low > self.low_max && inside < self.inside_target)
            || seen.band.unwrap_or(0.0) > 6.0 * self.band_cap;
        !failed && !seen.has_nan() || seen.epoch.is_some_and(|epoch| epoch < self.gate_epoch)
    }

    /// The score of an epoch; smaller is better. It is infinite if a measure is NaN.
    ///
    /// ```
    /// use vdn_train::train::{Candidate, SelectionRule};
    /// let rule = SelectionRule::default();
    /// let good = Candidate { nll: Some(0.7), low: Some(0.1), high: Some(0.1), ..Candidate::default() };
    /// assert_eq!(rule.score(&good), 0.7);
    /// let bad = Candidate { high: Some(0.2), ..good };
    /// assert!(rule.score(&bad) > 1e5);
    /// ```
    #[must_use]
    pub fn score(&self, seen: &Candidate) -> f64 {
        if seen.has_nan() {
            return f64::INFINITY;
        }
        let excess = |x: f64| x.max(0.0).powi(2);
        let base = seen.nll.or(seen.mse).unwrap_or(1e18);
        let (low, high) = (seen.low.unwrap_or(0.0), seen.high.unwrap_or(0.0));
        let mut score = base
            + 6.0 * excess(low - self.low_target)
            + 12.0 * excess(high - self.high_target)
            + 10.0 * excess(self.inside_target - seen.inside())
            + 0.25 * excess(seen.band.unwrap_or(0.0) - self.band_cap);
        if let Some(cap) = self.kl_cap {
            score += excess(seen.kl.unwrap_or(0.0) - cap) / (cap * cap + 1e-12);
        }
        if !self.valid(seen) {
            score += self.invalid;
        }
        score
    }
}

/// The input of the selection score. Shares and penalty are means over the units of all layers with
/// bands; without energy bands the input is the fit and the KL alone.
pub(crate) fn candidate(
    epoch: usize,
    validation: &Validation,
    control: &StackControl,
) -> Candidate {
    let mut seen = Candidate {
        epoch: Some(epoch as u64),
        nll: Some(validation.score),
        mse: validation.mse,
        kl: Some(validation.kl()),
        ..Candidate::default()
    };
    let banded = || {
        validation.layers.iter().filter_map(|layer| {
            let objective = &control.layer(layer.layer)?.levers().objective;
            Some((layer, objective.band.as_ref()?))
        })
    };
    let units: usize = banded().map(|(_, band)| band.bounds.len()).sum();
    for (layer, band) in banded() {
        let energy = layer.statistics.energy();
        let k = energy.len() / band.bounds.len().max(1);
        let energy: Vec<f64> =
            energy.chunks_exact(k.max(1)).map(|e| e.iter().sum::<f64>() / k as f64).collect();
        let [low, high] = band.bounds.outside(&energy);
        let share = band.bounds.len() as f64 / units as f64;
        let add = |sum: &mut Option<f64>, x: f64| *sum = Some(sum.unwrap_or(0.0) + share * x);
        add(&mut seen.low, low);
        add(&mut seen.high, high);
        add(&mut seen.band, band.hinge.value(&energy, &band.bounds));
    }
    seen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_a_number_is_never_good() {
        let rule = SelectionRule { kl_cap: Some(10.0), ..SelectionRule::default() };
        let good = Candidate { epoch: Some(9), nll: Some(0.7), ..Candidate::default() };
        assert!(rule.valid(&good) && rule.score(&good) == 0.7);
        let nan = Some(f64::NAN);
        for bad in [
            Candidate { nll: nan, ..good },
            Candidate { low: nan, ..good },
            Candidate { high: nan, ..good },
            Candidate { inside: nan, ..good },
            Candidate { band: nan, ..good },
            Candidate { kl: nan, ..good },
        ] {
            assert!(!rule.valid(&bad) && rule.score(&bad) == f64::INFINITY, "{bad:?}");
        }
    }
}
