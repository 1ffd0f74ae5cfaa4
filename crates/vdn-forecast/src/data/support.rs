//! The possible values of series.

use serde::{Deserialize, Serialize};

/// The possible values of the series of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Support {
    /// Any real number.
    #[default]
    Real,
    /// Numbers from 0 up. A forecast is a rectified normal distribution: the probability of a
    /// normal distribution below 0 is moved to 0 ([`vdn_train::metrics::floor`]).
    NonNegative,
}
