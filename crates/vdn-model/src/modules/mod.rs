//! Deterministic parts of a network: affine maps, embeddings, layer normalisation, a small encoder.

pub(crate) mod embedding;
pub(crate) mod layer_norm;
pub(crate) mod linear;
pub(crate) mod mlp;

pub use embedding::Embedding;
pub use layer_norm::LayerNorm;
pub use linear::Linear;
pub use mlp::MlpEncoder;
