//! The real file system.

use super::file_system::{FileSystem, ReadableFile, WritableFile};
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Seek, SeekFrom, Write};
use std::path::Path;

/// The files of the operating system. See [`FileSystem`] for an example.
#[derive(Clone, Copy, Debug, Default)]
pub struct DiskFiles;

impl FileSystem for DiskFiles {
    fn create(&self, path: &Path) -> io::Result<Box<dyn WritableFile>> {
        Ok(Box::new(DiskFile(File::create_new(path)?)))
    }

    fn append(&self, path: &Path) -> io::Result<Box<dyn WritableFile>> {
        regular(path)?;
        let mut file = OpenOptions::new().write(true).open(path)?;
        file.seek(SeekFrom::End(0))?;
        Ok(Box::new(DiskFile(file)))
    }

    fn open(&self, path: &Path) -> io::Result<ReadableFile> {
        // The check comes before opening, because opening a pipe waits for a writer.
        regular(path)?;
        let file = File::open(path)?;
        Ok(ReadableFile { length: file.metadata()?.len(), reader: Box::new(file) })
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn create_directory(&self, path: &Path) -> io::Result<()> {
        match fs::create_dir(path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
            other => other,
        }
    }

    #[cfg(unix)]
    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        match File::open(path)?.sync_all() {
            // Some network file systems do not support this operation; nothing more can be done
            // there.
            Err(e) if matches!(e.kind(), ErrorKind::InvalidInput | ErrorKind::Unsupported) => {
                Ok(())
            }
            other => other,
        }
    }

    /// Windows cannot sync a directory. Its file systems keep a journal of names.
    #[cfg(not(unix))]
    fn sync_directory(&self, _path: &Path) -> io::Result<()> {
        Ok(())
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<OsString>> {
        fs::read_dir(directory)?.map(|entry| entry.map(|e| e.file_name())).collect()
    }
}

/// Refuses directories, pipes and devices.
fn regular(path: &Path) -> io::Result<()> {
    match fs::metadata(path)?.is_file() {
        true => Ok(()),
        false => Err(io::Error::new(ErrorKind::InvalidInput, "is not a regular file")),
    }
}

/// A file that is positioned at its end instead of opened for appending, because some systems do
/// not cut files that are open only for appending. A file has one writing process, so nobody else
/// moves its end.
#[derive(Debug)]
struct DiskFile(File);

impl WritableFile for DiskFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.0.sync_all()
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.0.set_len(length)?;
        self.0.seek(SeekFrom::End(0)).map(|_| ())
    }
}
