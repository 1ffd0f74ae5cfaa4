//! Free bits (Kingma et al. 2016): a KL below `floor` costs nothing; the loss has `sum_i beta_i
//! max(KL_i, floor)`.

use crate::controllers::{Controller, Lever, Levers, Moment};
use crate::core::error::ModelError;
use crate::core::error::check;

/// Exempts the first nats of each latent dimension from the KL cost.
#[derive(Clone, Copy, Debug)]
pub struct FreeBits {
    floor: f64,
}

impl FreeBits {
    /// Creates the controller with `floor` free nats per latent dimension.
    ///
    /// # Errors
    /// Fails if the floor is negative.
    pub fn new(floor: f64) -> Result<Self, ModelError> {
        check("floor", floor, floor >= 0.0 && floor.is_finite(), "at least 0")?;
        Ok(Self { floor })
    }
}

impl Controller for FreeBits {
    fn name(&self) -> &'static str {
        "free_bits"
    }

    fn owns(&self) -> &'static [Lever] {
        &[Lever::FreeBits]
    }

    fn begin(&mut self, _step: u64, levers: &mut Levers) {
        levers.objective.free_bits = self.floor;
    }

    fn act(&mut self, _now: &Moment<'_>, _levers: &mut Levers) {}
}
