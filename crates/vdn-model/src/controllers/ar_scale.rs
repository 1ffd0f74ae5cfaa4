//! The ramp and the deviation of the autoregressive penalty; the deviation follows the energy bands
//! \[ref\].

use crate::controllers::ramp::Ramp;
use crate::controllers::{Controller, Lever, Levers, Moment};
use crate::objective::ar_penalty::ArScale;

/// Sets the ramp of the penalty and, if the layer has energy bands, its deviation from their
/// centres.
#[derive(Clone, Copy, Debug)]
pub struct ArScaleControl {
    /// The rule that computes the deviation from the bands.
    pub scale: ArScale,
    /// The rise of the penalty's weight.
    pub ramp: Ramp,
}

impl Controller for ArScaleControl {
    fn name(&self) -> &'static str {
        "ar_scale"
    }

    fn owns(&self) -> &'static [Lever] {
        &[Lever::ArScale]
    }

    fn begin(&mut self, step: u64, levers: &mut Levers) {
        let objective = &mut levers.objective;
        if let Some(ar) = &mut objective.autoregression {
            ar.ramp = self.ramp.at(step);
            if let Some(band) = &objective.band {
                ar.sigma = self.scale.from_band(&band.bounds);
            }
        }
    }

    fn act(&mut self, now: &Moment<'_>, levers: &mut Levers) {
        self.begin(now.step, levers);
    }
}
