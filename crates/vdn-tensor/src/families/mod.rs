//! The families of distributions that a unit can have: one file each, mathematics only.
//!
//! A formula is written once over [`Real`](crate::Real). Production code evaluates it on SIMD
//! lanes; tests evaluate it on `f64` and on [`Dual`](crate::Dual) numbers. [`Family`] is the common
//! interface of all families. [`sample_into`] draws from any family with addressed noise.

pub mod conditional;
mod draw;
mod excess;
mod family;
pub mod gaussian;
mod laplace;
mod log_normal;
mod logistic;
mod normal;
mod scaled;
mod student_t;

pub(crate) use draw::{GROUP, noise};
pub use draw::{KlEstimate, NoiseKind, kl_estimate, sample_into};
pub use excess::ln_1p_minus;
pub use family::Family;
pub use laplace::Laplace;
pub use log_normal::LogNormal;
pub use logistic::Logistic;
pub use normal::Normal;
pub use scaled::{is_ordinary, mismatch, times_exp};
pub use student_t::StudentT;
