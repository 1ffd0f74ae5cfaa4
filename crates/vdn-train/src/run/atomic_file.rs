//! Files that are either complete or absent.

use crate::error::TrainError;
use crate::run::store::{self, DiskFiles};
use std::path::Path;

/// Writes `contents` to `path`. A crash at any moment leaves the old file or the new file, never a
/// part.
///
/// # Errors
/// Returns an error that names the file if it cannot be written, synced or renamed.
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
