//! Learning-rate schedules: a factor on the base rate, as a function of the training step.

use crate::error::TrainError;
use serde::{Deserialize, Serialize};

/// The course of the learning rate over the run, after a linear warm-up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decay {
    /// The factor stays at 1.
    #[default]
    Constant,
    /// Half a cosine, from 1 to the final factor.
    Cosine,
    /// A straight line, from 1 to the final factor.
    Linear,
    /// A geometric series, from 1 to the final factor.
    Exponential,
}

/// A linear warm-up, followed by a decay.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Schedule {
    /// The number of steps of the linear warm-up; 0, the default, for none.
    pub warmup_steps: u64,
    /// The decay that follows: `constant` (the default), `cosine`, `linear` or `exponential`.
    pub decay: Decay,
    /// The factor at the end of the run, in `(0, 1]`; default 0.01.
    pub final_factor: f64,
}

impl Default for Schedule {
    fn default() -> Self {
        Self { warmup_steps: 0, decay: Decay::Constant, final_factor: 0.01 }
    }
}

impl Schedule {
    /// Checks every value.
    ///
    /// # Errors
    /// Returns an error that names the first value outside its domain.
    pub fn validate(&self) -> Result<(), TrainError> {
        if self.final_factor > 0.0 && self.final_factor <= 1.0 {
            return Ok(());
        }
        let value = self.final_factor;
        Err(TrainError::config(format!("schedule.final_factor = {value}: has to be in (0, 1]")))
    }

    /// The factor on the base rate at `step` (from 0) of a run of `total` steps.
    ///
    /// ```
    /// use vdn_train::optim::{Decay, Schedule};
    /// let schedule = Schedule { warmup_steps: 10, decay: Decay::Cosine, final_factor: 0.1 };
    /// assert_eq!(schedule.factor(4, 100), 0.5);      // warming up
    /// assert_eq!(schedule.factor(10, 100), 1.0);     // the top
    /// assert!((schedule.factor(100, 100) - 0.1).abs() < 1e-12);
    /// ```
    #[must_use]
    pub fn factor(&self, step: u64, total: u64) -> f64 {
        if step < self.warmup_steps {
            return (step + 1) as f64 / self.warmup_steps as f64;
        }
        let span = total.saturating_sub(self.warmup_steps).max(1);
        let progress = ((step - self.warmup_steps) as f64 / span as f64).min(1.0);
        let end = self.final_factor;
        match self.decay {
            Decay::Constant => 1.0,
            Decay::Cosine => {
                end + (1.0 - end) * 0.5 * (1.0 + (std::f64::consts::PI * progress).cos())
            }
            Decay::Linear => 1.0 + (end - 1.0) * progress,
            Decay::Exponential => end.powf(progress),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_decay_starts_at_one_and_ends_at_its_factor() {
        for decay in [Decay::Cosine, Decay::Linear, Decay::Exponential] {
            let schedule = Schedule { warmup_steps: 5, decay, final_factor: 0.02 };
            assert!((schedule.factor(5, 200) - 1.0).abs() < 1e-12, "{decay:?}");
            for step in [200, 500] {
                assert!((schedule.factor(step, 200) - 0.02).abs() < 1e-12, "{decay:?} at {step}");
            }
            let all: Vec<f64> = (5..=200).map(|s| schedule.factor(s, 200)).collect();
            assert!(all.windows(2).all(|w| w[1] < w[0]), "{decay:?} does not fall");
        }
        let constant = Schedule::default();
        assert!((0..300).all(|s| constant.factor(s, 200) == 1.0));
    }

    #[test]
    fn bad_values_are_refused() {
        for final_factor in [0.0, -1.0, 1.5, f64::NAN] {
            assert!(Schedule { final_factor, ..Schedule::default() }.validate().is_err());
        }
    }
}
