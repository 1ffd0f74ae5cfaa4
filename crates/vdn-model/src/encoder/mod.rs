//! Encoders: from an input to the context vector `h` that the units' posteriors depend on.

mod mlp;
mod pair;

pub use mlp::MlpEncoder;
pub use pair::PairEncoder;
