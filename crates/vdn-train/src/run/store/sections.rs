//! The named contents of a checkpoint.

use crate::error::store::StoreError;
use std::path::{Path, PathBuf};

/// The checked sections of a checkpoint file. See [`read_container`](super::read_container) for an
/// example.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sections {
    path: PathBuf,
    sections: Vec<(String, Vec<u8>)>,
}

impl Sections {
    pub(super) fn new(path: &Path, sections: Vec<(String, Vec<u8>)>) -> Self {
        Self { path: path.to_owned(), sections }
    }

    /// The file from which they were read.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All sections with their names, in the order in which they were written.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.sections.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice()))
    }

    /// Returns the section with this name.
    ///
    /// # Errors
    /// [`StoreError::Mismatch`]: there is no such section.
    pub fn get(&self, name: &str) -> Result<&[u8], StoreError> {
        self.position(name).map(|i| self.sections[i].1.as_slice())
    }

    /// Removes and returns the section with this name. This allows its memory to be freed after
    /// use.
    ///
    /// # Errors
    /// [`StoreError::Mismatch`]: there is no such section, or it has been taken.
    pub fn take(&mut self, name: &str) -> Result<Vec<u8>, StoreError> {
        self.position(name).map(|i| self.sections.remove(i).1)
    }

    fn position(&self, name: &str) -> Result<usize, StoreError> {
        let missing = || StoreError::mismatch(&self.path, format!("has no section `{name}`"));
        self.sections.iter().position(|(other, _)| other == name).ok_or_else(missing)
    }
}
