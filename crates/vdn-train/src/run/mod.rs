//! The output of a run: files that are either complete or absent, weights, and the state of
//! controllers.

pub(crate) mod atomic_file;
mod bounded;
mod run_files;
mod run_folder;
pub mod store;
pub(crate) mod tensors;
pub(crate) mod weights_file;

pub use atomic_file::write_atomically;
pub use bounded::read_bounded;
pub use run_files::RunFiles;
pub use run_folder::{MOST_JSON_BYTES, RunFolder};
pub use tensors::Tensors;
pub use weights_file::{load_control, load_weights, save_control, save_weights};
