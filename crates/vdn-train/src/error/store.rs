//! Errors of storing and loading a run. Every message is one line that names the file.

use crate::one_line::one_line;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use thiserror::Error;

/// A run that could not be stored or loaded.
///
/// Messages contain no control characters, however files are named and whatever they contain.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StoreError {
    /// A file or directory could not be read.
    #[error("{}: cannot {action}: {}", shown(path), one_line(&source.to_string()))]
    Read {
        /// Which.
        path: PathBuf,
        /// What was attempted, for example `read the file`.
        action: &'static str,
        /// Why it failed.
        source: io::Error,
    },
    /// A file or directory could not be written. What had been stored before is intact.
    #[error("{}: cannot {action}: {}", shown(path), cause(source))]
    Write {
        /// Which.
        path: PathBuf,
        /// What was attempted, for example `rename the file`.
        action: &'static str,
        /// Why it failed.
        source: io::Error,
    },
    /// A file does not start as its format does.
    #[error("{}: is not a {expected} (at offset 0: {})", shown(path), one_line(found))]
    Foreign {
        /// Which.
        path: PathBuf,
        /// What was expected, for example `checkpoint`.
        expected: &'static str,
        /// What is there.
        found: String,
    },
    /// A file was written by another version of the format.
    #[error("{}: has format version {found}; this program reads version {known}", shown(path))]
    Version {
        /// Which.
        path: PathBuf,
        /// The version that the file states.
        found: u32,
        /// The version that this program reads and writes.
        known: u32,
    },
    /// A file is damaged or truncated.
    #[error("{}: is damaged: {}", shown(path), one_line(reason))]
    Damaged {
        /// Which.
        path: PathBuf,
        /// Where (section, offset) and what.
        reason: String,
    },
    /// A file is whole but not the one that belongs here.
    #[error("{}: {}", shown(path), one_line(reason))]
    Mismatch {
        /// Which.
        path: PathBuf,
        /// What does not fit.
        reason: String,
    },
    /// Another process, or another part of this one, writes the directory.
    #[error("{}: is being written by another run{}", shown(path), held_by(*holder))]
    Locked {
        /// The directory.
        path: PathBuf,
        /// The process that holds the lock, if it left its number.
        holder: Option<u32>,
    },
    /// A setting, or an argument, outside of its domain.
    #[error("{key} = {value}: has to be {domain}")]
    Setting {
        /// Its name.
        key: &'static str,
        /// Its value.
        value: String,
        /// What it may be.
        domain: &'static str,
    },
}

impl StoreError {
    /// Returns whether the file's contents are at fault, not the way to them.
    ///
    /// A damaged or foreign file will not get better: an older checkpoint may stand in for it.
    /// After an error of the system, or for a file of another version, the file may well be good.
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

/// A path in a message.
fn shown(path: &Path) -> String {
    one_line(&path.to_string_lossy())
}

fn held_by(holder: Option<u32>) -> String {
    holder.map_or_else(String::new, |id| format!(" (process {id})"))
}

/// What everyone wants to know whose disk is full.
const INTACT: &str = "what was stored before is intact";

/// Why a write failed, in words that say what to do about it.
fn cause(source: &io::Error) -> String {
    let words = match source.kind() {
        ErrorKind::StorageFull => "the disk is full",
        ErrorKind::QuotaExceeded => "the disk quota is used up",
        ErrorKind::FileTooLarge => "the file would exceed the file-size limit",
        ErrorKind::ReadOnlyFilesystem => "the file system is read-only",
        ErrorKind::PermissionDenied => "the directory or file is not writable",
        // There is no run yet, or no longer: nothing to be reassured about.
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
