//! The file operations of a transaction, as a trait.

use std::ffi::OsString;
use std::fmt::Debug;
use std::io;
use std::path::Path;

/// A file system: the disk ([`DiskFiles`](super::DiskFiles)), or a model in a test that fails or
/// crashes at a chosen operation.
///
/// The guarantees are the guarantees of POSIX:
///
/// * Written bytes are durable after [`WritableFile::sync`].
/// * A new, renamed or removed name is durable after [`sync_directory`](Self::sync_directory) of
///   its directory.
/// * A rename replaces an existing file atomically: at every moment the old file or the new one is
///   there.
///
/// ```
/// use vdn_train::run::store::{DiskFiles, FileSystem};
///
/// let directory = tempfile::tempdir()?;
/// let path = directory.path().join("notes");
/// let files: &dyn FileSystem = &DiskFiles;
/// let mut file = files.create(&path)?;
/// file.write(b"first line\n")?;
/// file.sync()?;
/// files.sync_directory(directory.path())?;
/// assert_eq!(files.open(&path)?.length, 11);
/// # Ok::<(), std::io::Error>(())
/// ```
pub trait FileSystem: Debug + Send + Sync {
    /// Creates a file and opens it for writing.
    ///
    /// # Errors
    /// Returns an error if a file of this name exists or the file cannot be created.
    fn create(&self, path: &Path) -> io::Result<Box<dyn WritableFile>>;

    /// Opens an existing file for writing at its end.
    ///
    /// # Errors
    /// Returns an error if the file does not exist or cannot be written.
    fn append(&self, path: &Path) -> io::Result<Box<dyn WritableFile>>;

    /// Opens a regular file for reading from its start.
    ///
    /// # Errors
    /// Returns an error if the file does not exist, cannot be read, or is not a regular file. A
    /// directory, a pipe or a device does not have a reliable length.
    fn open(&self, path: &Path) -> io::Result<ReadableFile>;

    /// Renames the file `from` to `to`, and replaces an existing file of that name.
    ///
    /// # Errors
    /// Returns an error if the file cannot be renamed. Both names are then unchanged.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// Returns an error if the file does not exist or cannot be removed.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Creates a directory in an existing one. If it exists already, nothing happens.
    ///
    /// # Errors
    /// Returns an error if the directory cannot be created or a file has its name.
    fn create_directory(&self, path: &Path) -> io::Result<()>;

    /// Makes the names in a directory durable.
    ///
    /// # Errors
    /// Returns an error if the directory does not exist or cannot be synced.
    fn sync_directory(&self, path: &Path) -> io::Result<()>;

    /// The names in a directory, in no particular order.
    ///
    /// # Errors
    /// Returns an error if the directory does not exist or cannot be read.
    fn list(&self, directory: &Path) -> io::Result<Vec<OsString>>;
}

/// A file that is open for writing at its end.
pub trait WritableFile: Debug + Send {
    /// Writes all of `bytes` at the end.
    ///
    /// # Errors
    /// Returns an error if the bytes cannot be written. A part of them may be in the file.
    fn write(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Makes all written bytes durable.
    ///
    /// # Errors
    /// Returns an error if the data cannot be made durable. It may be lost, and a second,
    /// successful call proves nothing: systems report a failed write-back once and then forget it.
    fn sync(&mut self) -> io::Result<()>;

    /// Cuts the file to `length` bytes.
    ///
    /// # Errors
    /// Returns an error if the file cannot be cut.
    fn truncate(&mut self, length: u64) -> io::Result<()>;
}

/// A file that is open for reading.
pub struct ReadableFile {
    /// The length of the file in bytes when it was opened.
    pub length: u64,
    /// The bytes, from the start.
    pub reader: Box<dyn io::Read + Send>,
}

impl Debug for ReadableFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReadableFile").field("length", &self.length).finish_non_exhaustive()
    }
}
