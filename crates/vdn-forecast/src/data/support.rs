//! Which values series can have.

use serde::{Deserialize, Serialize};

/// Which values the series of a run can have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Support {
    /// Any number.
    #[default]
    Real,
    /// Numbers from 0 up. A forecast is a rectified normal distribution: what a normal distribution
    /// has below 0 is on 0 ([`vdn_train::metrics::floor`]).
    NonNegative,
}
