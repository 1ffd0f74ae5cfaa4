//! The weight of the band penalty: a ramp, and "focus low" \[ref\].
//!
//! `weight = lambda ramp(step)`; the weight above the band is 1, but 0.3 while more than 0.35 of the units lie below
//! theirs by the running mean of the energy, once the warm-up is over.

use crate::controllers::ramp::Ramp;
use crate::controllers::{Controller, Lever, Levers, Moment};

/// Spares units above their band while too many are below.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FocusLow {
    /// The share of units below from which on it acts.
    pub threshold: f64,
    /// The weight above the band then.
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
    /// With this weight after the ramp.
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
