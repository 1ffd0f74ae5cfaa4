//! Files of a run that are read whole, with a size limit from the caller.

use crate::bounded_file;
use crate::error::TrainError;
use std::path::Path;

/// Reads a file of at most `most` bytes: a regular file or a pipe.
///
/// The size is compared with the limit before anything is read, so a wrong file cannot exhaust the
/// memory.
///
/// ```
/// let directory = tempfile::tempdir()?;
/// let path = directory.path().join("scaler.json");
/// std::fs::write(&path, "{}")?;
/// assert_eq!(vdn_train::run::read_bounded(&path, 1 << 20)?, b"{}");
/// let error = vdn_train::run::read_bounded(&path, 1).unwrap_err().to_string();
/// assert!(error.ends_with("scaler.json: the file holds 2 bytes, at most 1 are read"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// Returns an error that names the file if it cannot be read, is larger, or is a directory or a
/// device.
pub fn read_bounded(path: &Path, most: u64) -> Result<Vec<u8>, TrainError> {
    bounded_file::read(path, most).map_err(TrainError::io(path))
}
