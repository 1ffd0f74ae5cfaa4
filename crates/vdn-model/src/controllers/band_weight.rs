//! The weight of the band penalty: a ramp, and the reference's "focus low" rule \[ref\].
//!
//! `weight = lambda ramp(step)`. The side weight above the band is 1. After the warm-up it is 0.3
//! while more than 0.35 of the units lie below their bands, judged by the running mean of the
//! energy.

use crate::controllers::ramp::Ramp;
use crate::controllers::{Controller, Lever, Levers, Moment};

/// Lowers the penalty above the band while too many units are below theirs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FocusLow {
    /// The share of units below their bands from which the rule acts.
    pub threshold: f64,
    /// The side weight above the band while the rule acts.
    pub weight_high: f64,
}

impl Default for FocusLow {
    fn default() -> Self {
        Self { threshold: 0.35, weight_high: 0.3 }
    }
}

/// Sets the weight of the band penalty.
#[derive(Clone, Debug)]
pub struct BandWeight {
    weight: f64,
    ramp: Ramp,
    focus: Option<FocusLow>,
}

impl BandWeight {
    /// Creates the controller; the penalty has this weight after the ramp.
    #[must_use]
    pub fn new(weight: f64, ramp: Ramp, focus: Option<FocusLow>) -> Self {
        Self { weight, ramp, focus }
    }
}

impl Controller for BandWeight {
    fn name(&self) -> &'static str {
        "band_weight"
    }

    fn owns(&self) -> &'static [Lever] {
        &[Lever::BandWeight]
    }

    fn begin(&mut self, step: u64, levers: &mut Levers) {
        if let Some(band) = &mut levers.objective.band {
            band.weight = self.weight * self.ramp.at(step);
            band.hinge.weight_high = 1.0;
        }
    }

    fn act(&mut self, now: &Moment<'_>, levers: &mut Levers) {
        self.begin(now.step, levers);
        let (Some(focus), Some(band)) = (self.focus, &mut levers.objective.band) else { return };
        if now.step >= self.ramp.warmup && now.monitor.started() {
            let [low, _] = band.bounds.outside(now.monitor.energy());
            if low > focus.threshold {
                band.hinge.weight_high = focus.weight_high;
            }
        }
    }
}
