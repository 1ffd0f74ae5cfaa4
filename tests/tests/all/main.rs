//! Tests across crates: gradients, the reference's numbers, reproducibility, and promises of the
//! sources and documents.

mod defaults;
mod gradients;
mod loops;
mod packages;
mod reference;
mod rooms;
mod unmoved_bits;
