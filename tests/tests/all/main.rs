//! Gradients, the reference's numbers and reproducibility across crates, and what sources and
//! documents promise.

mod defaults;
mod gradients;
mod loops;
mod packages;
mod reference;
mod rooms;
mod unmoved_bits;
