//! Errors of storing and loading a run. Every message is one line that names the file.

use crate::one_line::one_line;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use thiserror::Error;

/// A run that could not be stored or loaded.
///
/// Messages contain no control characters, whatever the names and contents of files are.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StoreError {
    /// A file or directory could not be read.
    #[error("{}: cannot {action}: {}", shown(path), one_line(&source.to_string()))]
    Read {
        /// The path.
        path: PathBuf,
        /// The attempted action, for example `read the file`.
        action: &'static str,
        /// The cause.
        source: io::Error,
    },
    /// A file or directory could not be written. Earlier stored data is intact.
    #[error("{}: cannot {action}: {}", shown(path), cause(source))]
    Write {
        /// The path.
        path: PathBuf,
        /// The attempted action, for example `rename the file`.
        action: &'static str,
        /// The cause.
        source: io::Error,
    },
    /// A file does not begin like a file of its format.
    #[error("{}: is not a {expected} (at offset 0: {})", shown(path), one_line(found))]
    Foreign {
        /// The path.
        path: PathBuf,
        /// The expected kind of file, for example `checkpoint`.
        expected: &'static str,
        /// The bytes that were found.
        found: String,
    },
    /// A file has another version of the format.
    #[error("{}: has format version {found}; this program reads version {known}", shown(path))]
    Version {
        /// The path.
        path: PathBuf,
        /// The version that the file states.
        found: u32,
        /// The version that this program reads and writes.
        known: u32,
    },
    /// A file is damaged or truncated.
    #[error("{}: is damaged: {}", shown(path), one_line(reason))]
    Damaged {
        /// The path.
        path: PathBuf,
        /// The place (section, offset) and the problem.
        reason: String,
    },
    /// A file is intact, but it is not the file that belongs here.
    #[error("{}: {}", shown(path), one_line(reason))]
    Mismatch {
        /// The path.
        path: PathBuf,
        /// The difference.
        reason: String,
    },
    /// Another process, or another part of this process, writes to the directory.
    #[error("{}: is being written by another run{}", shown(path), held_by(*holder))]
    Locked {
        /// The directory.
        path: PathBuf,
        /// The process that holds the lock, if it recorded its number.
        holder: Option<u32>,
    },
    /// A setting or an argument outside its domain.
    #[error("{key} = {value}: has to be {domain}")]
    Setting {
        /// The name of the setting.
        key: &'static str,
        /// The value of the setting.
        value: String,
        /// The domain of the setting.
        domain: &'static str,
    },
}

impl StoreError {
    /// Returns whether the contents of the file caused the error, and not the access to it.
    ///
    /// A damaged or foreign file stays bad, so an older checkpoint may replace it. After an error
    /// of the system, or with a file of another version, the file itself may be good.
    ///
    /// ```
    /// use vdn_train::run::store::StoreError;
    ///
    /// let damaged = StoreError::Damaged { path: "a".into(), reason: "cut off".into() };
    /// let newer = StoreError::Version { path: "a".into(), found: 2, known: 1 };
    /// assert!(damaged.is_damage() && !newer.is_damage());
    /// ```
    #[must_use]
    pub fn is_damage(&self) -> bool {
        matches!(self, Self::Damaged { .. } | Self::Foreign { .. })
    }

    pub(crate) fn read(
        path: &Path,
        action: &'static str,
    ) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Read { path, action, source }
    }

    pub(crate) fn write(
        path: &Path,
        action: &'static str,
    ) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Write { path, action, source }
    }

    pub(crate) fn damaged(path: &Path, reason: impl Into<String>) -> Self {
        Self::Damaged { path: path.to_owned(), reason: reason.into() }
    }

    pub(crate) fn mismatch(path: &Path, reason: impl Into<String>) -> Self {
        Self::Mismatch { path: path.to_owned(), reason: reason.into() }
    }
}

/// The form of a path in a message.
fn shown(path: &Path) -> String {
    one_line(&path.to_string_lossy())
}

fn held_by(holder: Option<u32>) -> String {
    holder.map_or_else(String::new, |id| format!(" (process {id})"))
}

/// The information that users need most when their disk is full.
const INTACT: &str = "what was stored before is intact";

/// The cause of a failed write, in words that say what to do about it.
fn cause(source: &io::Error) -> String {
    let words = match source.kind() {
        ErrorKind::StorageFull => "the disk is full",
        ErrorKind::QuotaExceeded => "the disk quota is used up",
        ErrorKind::FileTooLarge => "the file would exceed the file-size limit",
        ErrorKind::ReadOnlyFilesystem => "the file system is read-only",
        ErrorKind::PermissionDenied => "the directory or file is not writable",
        // The run does not exist yet, or no longer, so there is no stored data to reassure the user
        // about.
        ErrorKind::NotFound => return one_line(&source.to_string()),
        _ => return format!("{}; {INTACT}", one_line(&source.to_string())),
    };
    match source.raw_os_error() {
        Some(code) => format!("{words} (os error {code}); {INTACT}"),
        None => format!("{words}; {INTACT}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_message_is_one_short_line_that_names_the_file() {
        let path = PathBuf::from(format!("a\n\u{1b}[2J{}", "z".repeat(5000)));
        let text = "\r\n\u{7}".repeat(2000);
        let fault = || io::Error::other(text.clone());
        let errors = [
            StoreError::Read { path: path.clone(), action: "read", source: fault() },
            StoreError::Write { path: path.clone(), action: "write", source: fault() },
            StoreError::Foreign { path: path.clone(), expected: "checkpoint", found: text.clone() },
            StoreError::Version { path: path.clone(), found: 2, known: 1 },
            StoreError::Damaged { path: path.clone(), reason: text.clone() },
            StoreError::Mismatch { path: path.clone(), reason: text.clone() },
            StoreError::Locked { path, holder: Some(7) },
        ];
        for error in errors {
            let line = error.to_string();
            assert!(line.starts_with(r"a\n\u{1b}[2Jzz"), "{line}");
            assert!(!line.contains(char::is_control), "{line:?}");
            assert!(line.chars().count() < 700, "{line}");
        }
    }
}
