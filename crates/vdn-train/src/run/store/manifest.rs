//! The manifest: the files of a run, and the epoch to which they belong.

use super::append_log::LogMark;
use super::atomic_file::write_atomically;
use super::checksum::{checksum_of, checksum_of_next};
use super::file_system::FileSystem;
use crate::error::store::StoreError;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::io::{ErrorKind, Read};
use std::path::{Component, Path};

/// The name of the manifest in a run directory.
pub const MANIFEST_FILE: &str = "manifest.json";

/// The longest manifest that is read or written, in bytes: room for several thousand files.
pub const MAX_MANIFEST_BYTES: u64 = 1 << 20;

/// The version of the format.
const VERSION: u32 = 1;

/// The recorded state of one file in a [`Manifest`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileStamp {
    /// The length in bytes.
    pub length: u64,
    /// The CRC-32 of the first `length` bytes.
    pub crc32: u32,
    /// Whether the file only grows. Then bytes after the first `length` were written later and are
    /// allowed.
    pub grows: bool,
}

/// The manifest of a run directory: run, step, epoch, and the length and checksum of every file.
///
/// It is written last. Therefore files of different epochs or of different runs are never mistaken
/// for one run.
///
/// ```
/// use vdn_train::run::store::{DiskFiles, LogMark, Manifest, checksum_of, new_run_id};
///
/// let run = tempfile::tempdir()?;
/// std::fs::write(run.path().join("weights.safetensors"), "epoch 3")?;
/// std::fs::write(run.path().join("history.csv"), "1\n2\n3\n")?;
/// let mut manifest = Manifest::new(new_run_id());
/// (manifest.step, manifest.epoch) = (300, 3);
/// manifest.add_file("weights.safetensors", b"epoch 3");
/// manifest.add_log("history.csv", LogMark { length: 6, crc32: checksum_of(b"1\n2\n3\n") });
/// manifest.write(&DiskFiles, run.path())?;
///
/// Manifest::read(&DiskFiles, run.path())?.verify(&DiskFiles, run.path())?;
/// std::fs::write(run.path().join("weights.safetensors"), "epoch 4")?;
/// let error = manifest.verify(&DiskFiles, run.path()).unwrap_err().to_string();
/// assert!(error.ends_with("weights.safetensors: is not that of epoch 3 of this run"), "{error}");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The identifier of the run, the same in all its manifests. A checkpoint should contain it.
    pub run: String,
    /// The number of steps that were made.
    pub step: u64,
    /// The number of epochs that were completed.
    pub epoch: usize,
    /// Whether the run has reached its end.
    pub finished: bool,
    files: BTreeMap<String, FileStamp>,
}

/// The contents of the file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    format: u32,
    /// The CRC-32 of the manifest as compact JSON.
    crc32: u32,
    manifest: Manifest,
}

impl Manifest {
    /// A manifest of step 0 without files.
    #[must_use]
    pub fn new(run: impl Into<String>) -> Self {
        let files = BTreeMap::new();
        Self { run: run.into(), step: 0, epoch: 0, finished: false, files }
    }

    /// Records a file that is replaced as a whole, from its contents.
    pub fn add_file(&mut self, name: &str, contents: &[u8]) {
        let (length, crc32) = (contents.len() as u64, checksum_of(contents));
        self.files.insert(name.to_owned(), FileStamp { length, crc32, grows: false });
    }

    /// Records an append-only file.
    pub fn add_log(&mut self, name: &str, mark: LogMark) {
        let LogMark { length, crc32 } = mark;
        self.files.insert(name.to_owned(), FileStamp { length, crc32, grows: true });
    }

    /// Records a file as it is in `directory`. This reads the whole file.
    ///
    /// # Errors
    /// [`StoreError::Read`]: the file cannot be read.
    pub fn add_existing(
        &mut self,
        files: &dyn FileSystem,
        directory: &Path,
        name: &str,
    ) -> Result<(), StoreError> {
        let path = directory.join(name);
        let mut file = files.open(&path).map_err(StoreError::read(&path, "open the file"))?;
        let length = file.length;
        let crc32 = checksum_of_next(&mut file.reader, length)
            .map_err(StoreError::read(&path, "read the file"))?
            .value();
        self.files.insert(name.to_owned(), FileStamp { length, crc32, grows: false });
        Ok(())
    }

    /// Removes a file from the manifest, and returns whether it was in it.
    pub fn remove(&mut self, name: &str) -> bool {
        self.files.remove(name).is_some()
    }

    /// The recorded files, by name.
    pub fn files(&self) -> impl Iterator<Item = (&str, FileStamp)> {
        self.files.iter().map(|(name, stamp)| (name.as_str(), *stamp))
    }

    /// Writes the manifest to `directory` atomically. The files should already be durable.
    ///
    /// # Errors
    /// * [`StoreError::Write`]: a step failed, see [`write_atomically`].
    /// * [`StoreError::Mismatch`]: the name of a file leads out of the directory, or the manifest
    ///   is longer than [`MAX_MANIFEST_BYTES`]. Nothing was written.
    pub fn write(&self, files: &dyn FileSystem, directory: &Path) -> Result<(), StoreError> {
        let path = directory.join(MANIFEST_FILE);
        self.check_names(&path)?;
        let stored = Stored { format: VERSION, crc32: self.checksum(), manifest: self.clone() };
        let text = serde_json::to_string_pretty(&stored)
            .map_err(|error| StoreError::mismatch(&path, error.to_string()))?;
        let text = text + "\n";
        if text.len() as u64 > MAX_MANIFEST_BYTES {
            return Err(StoreError::mismatch(&path, too_long(text.len() as u64)));
        }
        write_atomically(files, &path, &[text.as_bytes()])
    }

    /// Reads the manifest of `directory`, without checking the files that it lists.
    ///
    /// # Errors
    /// * [`StoreError::Read`]: the manifest cannot be read; it may not exist.
    /// * [`StoreError::Version`]: the manifest has another version of the format.
    /// * [`StoreError::Damaged`]: the manifest is too long, is not JSON, has other fields, does not
    ///   have the checksum that it states, or names a file outside of the directory.
    pub fn read(files: &dyn FileSystem, directory: &Path) -> Result<Self, StoreError> {
        #[derive(Deserialize)]
        struct Format {
            format: u32,
        }
        let path = directory.join(MANIFEST_FILE);
        let file = files.open(&path).map_err(StoreError::read(&path, "open the file"))?;
        if file.length > MAX_MANIFEST_BYTES {
            return Err(StoreError::damaged(&path, too_long(file.length)));
        }
        let mut text = Vec::new();
        let mut reader = file.reader.take(MAX_MANIFEST_BYTES);
        reader.read_to_end(&mut text).map_err(StoreError::read(&path, "read the file"))?;
        let refuse = |error: serde_json::Error| StoreError::damaged(&path, error.to_string());
        let Format { format } = serde_json::from_slice(&text).map_err(refuse)?;
        if format != VERSION {
            return Err(StoreError::Version { path, found: format, known: VERSION });
        }
        let stored: Stored = serde_json::from_slice(&text).map_err(refuse)?;
        let manifest = stored.manifest;
        if manifest.checksum() != stored.crc32 {
            return Err(StoreError::damaged(&path, "its checksum is wrong"));
        }
        manifest.check_names(&path)?;
        Ok(manifest)
    }

    /// Checks every file in `directory` against the manifest.
    ///
    /// # Errors
    /// * [`StoreError::Mismatch`]: the first file, by name, that is missing, shorter, longer or of
    ///   another epoch or run.
    /// * [`StoreError::Read`]: a file cannot be read.
    pub fn verify(&self, files: &dyn FileSystem, directory: &Path) -> Result<(), StoreError> {
        let epoch = format!("epoch {} of this run", self.epoch);
        for (name, stamp) in &self.files {
            let path = directory.join(name);
            let refuse = |reason: String| Err(StoreError::mismatch(&path, reason));
            let mut file = match files.open(&path) {
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    return refuse(format!("is missing; {epoch} has it"));
                }
                file => file.map_err(StoreError::read(&path, "open the file"))?,
            };
            let (length, expected) = (file.length, stamp.length);
            if length < expected || (length > expected && !stamp.grows) {
                let lengths = format!("it has {length} bytes, not {expected}");
                return refuse(format!("is not that of {epoch}: {lengths}"));
            }
            let checksum = checksum_of_next(&mut file.reader, expected)
                .map_err(StoreError::read(&path, "read the file"))?;
            if checksum.value() != stamp.crc32 {
                return refuse(format!("is not that of {epoch}"));
            }
        }
        Ok(())
    }

    /// Checks that this is the manifest of the run with identifier `run`.
    ///
    /// # Errors
    /// [`StoreError::Mismatch`]: the manifest belongs to another run.
    pub fn expect_run(&self, directory: &Path, run: &str) -> Result<(), StoreError> {
        if self.run == run {
            return Ok(());
        }
        let reason = format!("is that of run {}, not of run {run}", self.run);
        Err(StoreError::mismatch(&directory.join(MANIFEST_FILE), reason))
    }

    /// The checksum of the values, independent of their layout in the file.
    fn checksum(&self) -> u32 {
        // Strings, numbers and maps with string keys can always be written as JSON.
        checksum_of(&serde_json::to_vec(self).unwrap_or_default())
    }

    /// Allows only files inside the directory: a manifest must not make a reader open any other
    /// file.
    fn check_names(&self, path: &Path) -> Result<(), StoreError> {
        let inside = |name: &String| {
            let mut parts = Path::new(name).components();
            !name.is_empty() && parts.all(|part| matches!(part, Component::Normal(_)))
        };
        match self.files.keys().find(|name| !inside(name)) {
            Some(name) => {
                Err(StoreError::mismatch(path, format!("`{name}` is not a file of the run")))
            }
            None => Ok(()),
        }
    }
}

/// Creates an identifier for a run: 32 hexadecimal digits, different for every call on every
/// machine.
///
/// ```
/// use vdn_train::run::store::new_run_id;
///
/// assert_eq!(new_run_id().len(), 32);
/// assert_ne!(new_run_id(), new_run_id());
/// ```
#[must_use]
pub fn new_run_id() -> String {
    // The keys of the standard library's hash maps come from the operating system's randomness.
    let part =
        |i: u32| RandomState::new().hash_one((std::process::id(), std::time::SystemTime::now(), i));
    format!("{:016x}{:016x}", part(0), part(1))
}

fn too_long(length: u64) -> String {
    format!("it has {length} bytes; a manifest has at most {MAX_MANIFEST_BYTES}")
}
