//! Opens untrusted files: only regular files and pipes, and only up to a size limit.
//!
//! A path may name a device that never ends (`/dev/zero`), a directory, or a file larger than
//! memory. A caller that reads a whole file sets the maximum size; a larger file is refused before
//! any of it is in memory.

use std::fs::{File, FileType, Metadata};
use std::io::{self, Read as _};
use std::path::Path;

/// Opens a regular file or a pipe of at most `most` bytes. The length of a pipe is unknown in
/// advance, so its reader must count.
///
/// # Errors
/// Returns an error if there is no such file, if it cannot be opened, if it is of another kind, or
/// if it is larger.
pub(crate) fn open(path: &Path, most: u64) -> io::Result<(File, Metadata)> {
    // The check comes before opening, because opening a device can have effects and opening a
    // socket fails.
    let metadata = std::fs::metadata(path)?;
    let kind = metadata.file_type();
    if !kind.is_file() && !is_pipe(kind) {
        let what = if kind.is_dir() { "a directory" } else { "a device or a socket" };
        return Err(io::Error::other(format!("this is {what}, not a file")));
    }
    if kind.is_file() && metadata.len() > most {
        return Err(too_large(&format!("{} bytes", metadata.len()), most));
    }
    Ok((File::open(path)?, metadata))
}

/// Reads a whole file of at most `most` bytes.
///
/// # Errors
/// Returns the errors of [`open`], and an error if a pipe holds more.
pub(crate) fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let (file, metadata) = open(path, most)?;
    let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or(0));
    file.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Err(too_large("more bytes", most));
    }
    Ok(bytes)
}

fn too_large(held: &str, most: u64) -> io::Error {
    io::Error::other(format!("the file holds {held}, at most {most} are read"))
}

#[cfg(unix)]
fn is_pipe(kind: FileType) -> bool {
    use std::os::unix::fs::FileTypeExt as _;
    kind.is_fifo()
}

#[cfg(not(unix))]
fn is_pipe(_: FileType) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read_up_to_the_limit() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        std::fs::write(&path, b"12345").unwrap();
        assert_eq!(read(&path, 5).unwrap(), b"12345");
        let error = read(&path, 4).unwrap_err().to_string();
        assert_eq!(error, "the file holds 5 bytes, at most 4 are read");
        let error = read(directory.path(), 4).unwrap_err().to_string();
        assert_eq!(error, "this is a directory, not a file");
        assert!(read(&directory.path().join("none"), 4).is_err());
    }

    #[cfg(unix)]
    #[test]
    fn devices_are_refused() {
        for device in ["/dev/zero", "/dev/null", "/dev/urandom"] {
            let error = read(Path::new(device), 100).unwrap_err().to_string();
            assert_eq!(error, "this is a device or a socket, not a file", "{device}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_pipe_is_read_up_to_the_limit() {
        use std::io::Write as _;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&path).status();
        if !made.is_ok_and(|status| status.success()) {
            // A system without named pipes has nothing to test here.
            return;
        }
        for (most, good) in [(5, true), (4, false)] {
            let writer = path.clone();
            let writer = std::thread::spawn(move || {
                let mut pipe = File::options().write(true).open(writer)?;
                pipe.write_all(b"12345")
            });
            assert_eq!(read(&path, most).is_ok(), good, "{most}");
            // The reader may be gone before everything is written.
            let _ = writer.join().unwrap();
        }
    }
}
