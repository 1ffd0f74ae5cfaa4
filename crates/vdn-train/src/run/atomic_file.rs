//! Files that are there whole or not at all.

use crate::error::TrainError;
use crate::run::store::{self, DiskFiles};
use std::path::Path;

/// Writes `contents` to `path`. A crash at any moment leaves the old file or the new one, never a
/// part.
///
/// # Errors
/// The file cannot be written, synced or renamed; the error names it.
pub fn write_atomically(path: &Path, contents: &[u8]) -> Result<(), TrainError> {
    Ok(store::write_atomically(&DiskFiles, path, &[contents])?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_replaced_and_nothing_else_is_left() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("weights");
        write_atomically(&path, b"one").unwrap();
        write_atomically(&path, b"two").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_missing_directory_is_named() {
        let error = write_atomically(Path::new("no/such/place/file"), b"").unwrap_err();
        assert!(error.to_string().starts_with("no/such/place/file: "), "{error}");
    }
}
