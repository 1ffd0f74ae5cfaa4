//! Free bits (Kingma et al. 2016): a KL below `floor` costs nothing, `sum_i beta_i max(KL_i, floor)`.

use crate::controllers::{Controller, Lever, Levers, Moment};
use crate::core::error::ModelError;
use crate::core::error::check;

/// Leaves each latent dimension some nats free of charge.
#[derive(Clone, Copy, Debug)]
pub struct FreeBits {
    floor: f64,
}

impl FreeBits {
    /// `floor` nats per latent dimension.
    ///
    /// # Errors
    /// A negative floor.
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
