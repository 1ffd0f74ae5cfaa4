//! The lock that gives each run directory a single writer.

use crate::error::store::StoreError;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;

/// The name of the lock file in a run directory.
pub const LOCK_FILE: &str = "run.lock";

/// The right to write to a run directory, until it is dropped.
///
/// The lock is a lock of the operating system on the open file `run.lock`. It ends with the
/// process, even if the process is killed, so a killed run never blocks the next one. The file
/// itself stays and has no meaning. The lock also excludes another thread of the same process. It
/// does not work between machines that share a network file system without locks.
///
/// ```
/// use vdn_train::run::store::RunLock;
///
/// let run = tempfile::tempdir()?;
/// let lock = RunLock::acquire(run.path())?;
/// let error = RunLock::acquire(run.path()).unwrap_err().to_string();
/// assert!(error.contains("is being written by another run (process "), "{error}");
/// drop(lock);
/// assert!(RunLock::acquire(run.path()).is_ok());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct RunLock {
    file: File,
}

impl RunLock {
    /// Takes the lock of an existing directory, without waiting.
    ///
    /// # Errors
    /// * [`StoreError::Locked`]: another process, or another part of this process, holds the lock.
    /// * [`StoreError::Write`]: the lock file cannot be created or locked.
    pub fn acquire(directory: &Path) -> Result<Self, StoreError> {
        let path = directory.join(LOCK_FILE);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let mut file =
            options.open(&path).map_err(StoreError::write(&path, "open the lock file"))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(StoreError::Locked {
                    path: directory.to_owned(),
                    holder: holder(&mut file),
                });
            }
            Err(TryLockError::Error(source)) => {
                return Err(StoreError::write(&path, "lock the file")(source));
            }
        }
        // The number is only used in the message to a second process. A full disk is no reason to
        // refuse, because resuming may free space.
        let id = format!("{}\n", std::process::id());
        file.set_len(0).and_then(|()| file.write_all(id.as_bytes())).ok();
        Ok(Self { file })
    }
}

impl Drop for RunLock {
    fn drop(&mut self) {
        self.file.set_len(0).ok();
        // Explicit, because a copy of the descriptor in a child process would keep the lock.
        self.file.unlock().ok();
    }
}

/// The process number that the holder wrote to the file.
fn holder(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.rewind().ok()?;
    file.take(16).read_to_string(&mut text).ok()?;
    text.trim_end().parse().ok()
}
