//! The ground: parameters and how they start, the graph of a pass, the addresses of noise, errors.
//!
//! Everything else in the crate records operations on a [`Graph`] and finds its tensors in
//! [`Parameters`].

pub(crate) mod error;
pub(crate) mod fnv1a;
pub(crate) mod graph;
pub(crate) mod init;
pub(crate) mod mixture;
pub(crate) mod parameter;
pub(crate) mod state;
pub mod streams;
#[cfg(feature = "safetensors")]
pub mod weights;

pub use error::ModelError;
pub use graph::{Bindings, Graph, Mode};
pub use init::{Builder, Init};
pub use mixture::mixture_quantile;
pub use parameter::{Parameter, ParameterId, ParameterKey, Parameters};
pub use state::ControlState;
pub use streams::{Purpose, Stream};
