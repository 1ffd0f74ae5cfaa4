//! Baseline forecasts that any model should beat: seasonal naive and closed-form ridge regression.
//! They use the same windows and metrics as the models (a Gaussian forecast is a mixture with one
//! component).
//!
//! | file | concept |
//! |---|---|
//! | [`windows`] | the arrays `x [n, L]`, `y [n, H]` of a split, and the normalisation of windows |
//! | [`seasonal_naive`] | the value one or more whole seasons ago |
//! | [`ridge`] | the linear map from `L` to `H` values, penalty chosen on validation |
//! | [`cholesky`] | the factorisation that ridge regression uses |
//! | [`residuals`] | per-step Gaussian deviations and empirical quantiles of validation residuals |

pub mod cholesky;
mod error;
mod linear_map;
pub mod residuals;
pub mod ridge;
pub mod seasonal_naive;
pub mod windows;

pub use cholesky::Cholesky;
pub use error::BaselineError;
pub use residuals::{Forecast, Residuals};
pub use ridge::{Ridge, RidgeMoments, RidgeSettings};
pub use seasonal_naive::{SeasonalNaive, SeriesWindows};
pub use windows::{Centre, Normalisation, Windows};
