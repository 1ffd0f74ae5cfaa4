//! Files that are either complete or absent: written under a temporary name, synced, then renamed.

use super::file_system::{FileSystem, WritableFile};
use crate::error::store::StoreError;
use std::ffi::{OsStr, OsString};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// The number of names that are tried for a temporary file.
const MOST_TRIES: usize = 1000;

/// Writes `parts` in order to `path`, and makes the file durable.
///
/// A crash at any moment leaves the old file or the new file, never a part. When the function
/// returns, the new file is durable. When it fails, its temporary file is removed, and `path` is
/// the old file. If only the last step failed (syncing the directory), `path` is the complete new
/// file.
///
/// A caller with several buffers can pass them as parts without copying them together.
///
/// # Errors
/// [`StoreError::Write`]: a step failed.
///
/// ```
/// use vdn_train::run::store::{DiskFiles, write_atomically};
///
/// let directory = tempfile::tempdir()?;
/// let path = directory.path().join("summary.json");
/// write_atomically(&DiskFiles, &path, &[b"{\"score\": ", b"0.25}"])?;
/// assert_eq!(std::fs::read(&path)?, b"{\"score\": 0.25}");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn write_atomically(
    files: &dyn FileSystem,
    path: &Path,
    parts: &[&[u8]],
) -> Result<(), StoreError> {
    let temporary = write_temporary(files, path, parts)?;
    if let Err(source) = files.rename(&temporary, path) {
        files.remove(&temporary).ok();
        return Err(StoreError::write(path, "put the new file in place")(source));
    }
    files.sync_directory(parent(path)).map_err(StoreError::write(path, "sync the directory"))
}

/// Writes and syncs a temporary file beside `path`. If it fails, it leaves nothing behind.
fn write_temporary(
    files: &dyn FileSystem,
    path: &Path,
    parts: &[&[u8]],
) -> Result<PathBuf, StoreError> {
    let (temporary, mut file) = create_temporary(files, path)?;
    let mut write = || {
        for part in parts {
            file.write(part).map_err(StoreError::write(path, "write the file"))?;
        }
        file.sync().map_err(StoreError::write(path, "sync the file"))
    };
    let written = write();
    // Some systems require that the file is closed before it is removed or renamed.
    drop(file);
    match written {
        Ok(()) => Ok(temporary),
        Err(error) => {
            // The error that led here is the one to report. A remaining file can be recognised by
            // its name later.
            files.remove(&temporary).ok();
            Err(error)
        }
    }
}

/// Creates a temporary file beside `path`.
fn create_temporary(
    files: &dyn FileSystem,
    path: &Path,
) -> Result<(PathBuf, Box<dyn WritableFile>), StoreError> {
    let mut tries = 0;
    loop {
        let temporary = path.with_file_name(temporary_name(path));
        tries += 1;
        match files.create(&temporary) {
            Ok(file) => return Ok((temporary, file)),
            // A dead process had the same number. The next name is different.
            Err(e) if e.kind() == ErrorKind::AlreadyExists && tries < MOST_TRIES => {}
            Err(error) => return Err(StoreError::write(path, "create the file")(error)),
        }
    }
}

/// Removes the temporary files of interrupted writes in `directory`, and returns their paths.
///
/// A temporary file has a name of the form `.NAME.tmp-PROCESS-NUMBER`. Call the function after a
/// run directory has been opened for writing under its [`RunLock`](super::RunLock). Without the
/// lock it could remove a file that another process is writing. A directory that does not exist has
/// no such files.
///
/// # Errors
/// Returns an error if the directory cannot be read or a file cannot be removed.
///
/// ```
/// use vdn_train::run::store::{DiskFiles, remove_stale_temporaries};
///
/// let directory = tempfile::tempdir()?;
/// std::fs::write(directory.path().join(".history.csv.tmp-4711-0"), "cut o")?;
/// std::fs::write(directory.path().join("history.csv"), "whole")?;
/// assert_eq!(remove_stale_temporaries(&DiskFiles, directory.path())?.len(), 1);
/// assert!(directory.path().join("history.csv").exists());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn remove_stale_temporaries(
    files: &dyn FileSystem,
    directory: &Path,
) -> Result<Vec<PathBuf>, StoreError> {
    let names = match files.list(directory) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        names => names.map_err(StoreError::read(directory, "list the directory"))?,
    };
    let mut removed = Vec::new();
    for name in names.iter().filter(|name| is_temporary(name)) {
        let path = directory.join(name);
        files.remove(&path).map_err(StoreError::write(&path, "remove the temporary file"))?;
        removed.push(path);
    }
    Ok(removed)
}

/// The directory that contains `path`; the current directory for a bare name.
pub(super) fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// A name that no other write of this process, and no other living process, uses.
fn temporary_name(path: &Path) -> OsString {
    static WRITES: AtomicU64 = AtomicU64::new(0);
    let write = WRITES.fetch_add(1, Ordering::Relaxed);
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".tmp-{}-{write}", std::process::id()));
    name
}

fn is_temporary(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    let Some((name, numbers)) = name.rsplit_once(".tmp-") else {
        return false;
    };
    let Some((process, write)) = numbers.split_once('-') else {
        return false;
    };
    let number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    name.len() > 1 && name.starts_with('.') && number(process) && number(write)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::store::DiskFiles;

    #[test]
    fn files_of_a_dead_process_with_our_number_are_not_in_the_way() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        let process = std::process::id();
        for write in 0..200 {
            let name = format!(".file.tmp-{process}-{write}");
            std::fs::write(directory.path().join(name), "of a dead process").unwrap();
        }
        write_atomically(&DiskFiles, &path, &[b"new"]).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
        assert_eq!(remove_stale_temporaries(&DiskFiles, directory.path()).unwrap().len(), 200);
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn only_names_of_temporary_files_are_taken_for_them() {
        assert!(is_temporary(&temporary_name(Path::new("run/weights.safetensors"))));
        assert!(is_temporary(OsStr::new(".a.tmp-1.tmp-22-333")));
        for name in ["a.tmp-1-2", ".tmp-1-2", ".a.tmp", ".a.tmp-1", ".a.tmp--2", ".a.tmp-1-2x", "a"]
        {
            assert!(!is_temporary(OsStr::new(name)), "{name}");
        }
    }
}
