//! The foundation of the crate: parameters and their initial values, the graph of a pass, noise
//! streams, errors.
//!
//! Everything else in the crate records its operations on a [`Graph`] and reads its tensors from
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
