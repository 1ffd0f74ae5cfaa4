//! Deterministic parts of a network: affine maps, layer normalisation, a small encoder.

pub(crate) mod layer_norm;
pub(crate) mod linear;
pub(crate) mod mlp;

pub use layer_norm::LayerNorm;
pub use linear::Linear;
pub use mlp::MlpEncoder;
