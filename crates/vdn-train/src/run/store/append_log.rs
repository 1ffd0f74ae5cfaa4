//! Files that only grow, such as the history of a run.

use super::atomic_file::parent;
use super::checksum::{Checksum, checksum_of_next};
use super::file_system::{FileSystem, WritableFile};
use crate::error::store::StoreError;
use serde::{Deserialize, Serialize};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// A state of an append-only file: its length, and the checksum of its bytes.
///
/// A checkpoint stores this pair instead of the whole file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogMark {
    /// The length in bytes.
    pub length: u64,
    /// The CRC-32 of the first `length` bytes.
    pub crc32: u32,
}

impl LogMark {
    /// The state of a file before anything was written.
    pub const EMPTY: Self = Self { length: 0, crc32: 0 };
}

/// An append-only file whose durable length is known.
///
/// An interrupted run may have written more than its last checkpoint recorded. If the file is
/// opened at the mark of that checkpoint, it is cut to the mark, and the resumed run writes the
/// same bytes again.
///
/// ```
/// use vdn_train::run::store::{AppendLog, DiskFiles, LogMark};
///
/// let run = tempfile::tempdir()?;
/// let path = run.path().join("history.csv");
/// let mut log = AppendLog::open(&DiskFiles, &path, LogMark::EMPTY)?;
/// log.append(b"epoch,loss\n1,0.5\n")?;
/// let mark = log.sync()?; // Belongs in the checkpoint.
/// log.append(b"2,0.")?; // The program is killed here.
/// drop(log);
///
/// let mut log = AppendLog::open(&DiskFiles, &path, mark)?;
/// log.append(b"2,0.25\n")?;
/// log.sync()?;
/// assert_eq!(std::fs::read_to_string(&path)?, "epoch,loss\n1,0.5\n2,0.25\n");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct AppendLog {
    path: PathBuf,
    file: Box<dyn WritableFile>,
    length: u64,
    checksum: Checksum,
    /// Whether bytes of a failed append may follow the first `length` bytes.
    torn: bool,
    /// Whether a sync failed. Then the contents of the file are unknown until it is read again.
    lost: bool,
}

impl AppendLog {
    /// Opens the file in the state of `mark` and removes all bytes after it. With
    /// [`LogMark::EMPTY`], the file is created if it does not exist.
    ///
    /// # Errors
    /// * [`StoreError::Mismatch`]: the file is shorter than the mark, or its first bytes have
    ///   another checksum. The file is unchanged.
    /// * [`StoreError::Read`], [`StoreError::Write`]: the file cannot be read, created or cut.
    pub fn open(files: &dyn FileSystem, path: &Path, mark: LogMark) -> Result<Self, StoreError> {
        let (mut file, length, checksum) = match files.open(path) {
            Err(error) if error.kind() == ErrorKind::NotFound && mark == LogMark::EMPTY => {
                let file =
                    files.create(path).map_err(StoreError::write(path, "create the file"))?;
                (file, 0, Checksum::default())
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let reason = format!("is missing; the checkpoint recorded {} bytes", mark.length);
                return Err(StoreError::mismatch(path, reason));
            }
            Err(error) => return Err(StoreError::read(path, "open the file")(error)),
            Ok(mut read) => {
                let checksum = check_start(path, &mut read.reader, read.length, mark)?;
                let file = files.append(path);
                (file.map_err(StoreError::write(path, "open the file"))?, read.length, checksum)
            }
        };
        if length > mark.length {
            file.truncate(mark.length).map_err(StoreError::write(path, "cut the file"))?;
        }
        // This is necessary even for an existing file: its creator may have failed before the name
        // was durable.
        let directory = parent(path);
        files.sync_directory(directory).map_err(StoreError::write(path, "sync the directory"))?;
        let (path, length) = (path.to_owned(), mark.length);
        Ok(Self { path, file, length, checksum, torn: false, lost: false })
    }

    /// Appends bytes. They are durable after the next [`sync`](Self::sync).
    ///
    /// # Errors
    /// [`StoreError::Write`]: the bytes could not be written. None of them counts: the next call
    /// removes the bytes that reached the file. After a failed [`sync`](Self::sync), every call
    /// fails.
    pub fn append(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.mend()?;
        self.torn = true;
        self.file.write(bytes).map_err(StoreError::write(&self.path, "append to the file"))?;
        self.torn = false;
        self.length += bytes.len() as u64;
        self.checksum.update(bytes);
        Ok(())
    }

    /// Makes all appended bytes durable, and returns the mark for a checkpoint.
    ///
    /// # Errors
    /// [`StoreError::Write`]: the data may be lost, and the log refuses further calls. The file
    /// must be opened at an earlier mark, because after a failed sync a second, successful sync
    /// proves nothing.
    pub fn sync(&mut self) -> Result<LogMark, StoreError> {
        self.mend()?;
        self.lost = true;
        self.file.sync().map_err(StoreError::write(&self.path, "sync the file"))?;
        self.lost = false;
        Ok(self.mark())
    }

    /// The length and checksum of everything appended so far, durable or not.
    #[must_use]
    pub fn mark(&self) -> LogMark {
        LogMark { length: self.length, crc32: self.checksum.value() }
    }

    /// The length of everything appended so far, durable or not.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.length
    }

    /// Returns whether nothing was appended yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Removes the bytes of a failed append. Returns an error after a failed sync.
    fn mend(&mut self) -> Result<(), StoreError> {
        if self.lost {
            let source = std::io::Error::other("an earlier sync failed; resume the run");
            return Err(StoreError::write(&self.path, "go on with the file")(source));
        }
        if self.torn {
            let cut = self.file.truncate(self.length);
            cut.map_err(StoreError::write(&self.path, "cut off what a failed write left"))?;
            self.torn = false;
        }
        Ok(())
    }
}

/// Checks that a file of `length` bytes starts with the bytes of `mark`, and returns their running
/// checksum.
fn check_start(
    path: &Path,
    reader: &mut dyn std::io::Read,
    length: u64,
    mark: LogMark,
) -> Result<Checksum, StoreError> {
    if length < mark.length {
        let reason = format!("has {length} bytes; the checkpoint recorded {}", mark.length);
        return Err(StoreError::mismatch(path, reason));
    }
    let checksum = checksum_of_next(reader, mark.length)
        .map_err(StoreError::read(path, "read what was appended"))?;
    if checksum.value() != mark.crc32 {
        let reason = format!("its first {} bytes are not those of the checkpoint", mark.length);
        return Err(StoreError::mismatch(path, reason));
    }
    Ok(checksum)
}
