//! [`PriorScale`]: the scale of an autoregressive prior.

use crate::core::error::ModelError;

/// The deviation `s_i` of the innovations of an autoregressive prior.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum PriorScale {
    /// Tied to the coefficients so that every unit has a stationary variance of 1 (order 1:
    /// `s^2 = 1 - phi^2`).
    #[default]
    Stationary,
    /// Learned for each unit, from this initial value.
    Free(f64),
}

impl PriorScale {
    pub(super) fn validate(self) -> Result<(), ModelError> {
        match self {
            Self::Free(start) if !(start > 0.0 && start.is_finite()) => {
                Err(ModelError::domain("prior_scale", start, "above 0"))
            }
            _ => Ok(()),
        }
    }
}
