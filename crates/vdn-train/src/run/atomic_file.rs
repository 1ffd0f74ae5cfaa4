//! Files that are there whole or not at all: written under a temporary name, synced, then renamed.

use crate::error::TrainError;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

/// Writes `contents` to `path`. A crash at any moment leaves the old file or the new one, never a part.
///
/// # Errors
/// The file cannot be written, synced or renamed; the error names it.
pub fn write_atomically(path: &Path, contents: &[u8]) -> Result<(), TrainError> {
    // No two writers share a temporary file, so that of two at once the last rename wins with a whole file.
    static WRITES: AtomicU64 = AtomicU64::new(0);
    let mut name = path.file_name().unwrap_or_default().to_owned();
    let write = WRITES.fetch_add(1, Ordering::Relaxed);
    name.push(format!(".{}-{write}.tmp", std::process::id()));
    let temporary = path.with_file_name(name);
    let write = || -> std::io::Result<()> {
        let mut file = File::create(&temporary)?;
        file.write_all(contents)?;
        file.sync_all()?;
        std::fs::rename(&temporary, path)?;
        // The rename itself is durable once the directory is synced; not every system can open a directory.
        if let Some(Ok(directory)) = path.parent().map(File::open) {
            directory.sync_all().ok();
        }
        Ok(())
    };
    write().map_err(|source| {
        std::fs::remove_file(&temporary).ok();
        TrainError::Io { path: path.to_owned(), source }
    })
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
