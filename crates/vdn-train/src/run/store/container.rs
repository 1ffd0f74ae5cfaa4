//! The checkpoint file: named sections of bytes, each with a checksum.
//!
//! A header of fixed length is followed by a table, and the table by the sections;
//! `container_header.rs` describes the layout. Reading trusts nothing: every length in the file is
//! compared with the actual length of the file before memory is allocated, and nothing is returned
//! until everything is checked.

use super::atomic_file::write_atomically;
use super::checksum::checksum_of;
use super::container_header::{
    Entry, FIXED, Lengths, MAX_TABLE_BYTES, decode_fixed, decode_table, encode,
};
use super::file_system::FileSystem;
use super::sections::Sections;
use crate::error::store::StoreError;
use std::io::{ErrorKind, Read};
use std::path::Path;

/// Writes `sections` to a checkpoint file as one transaction, and returns the length of the file.
///
/// The sections are written without copying them.
///
/// # Errors
/// * [`StoreError::Write`]: a step failed, see [`write_atomically`].
/// * [`StoreError::Mismatch`]: a name is empty, longer than 255 bytes, contains a control character
///   or occurs twice, or the names need more than [`MAX_TABLE_BYTES`]. Nothing was written.
pub fn write_container(
    files: &dyn FileSystem,
    path: &Path,
    sections: &[(&str, &[u8])],
) -> Result<u64, StoreError> {
    let (header, length) = encode(path, sections)?;
    let parts: Vec<&[u8]> = std::iter::once(header.as_slice())
        .chain(sections.iter().map(|(_, bytes)| *bytes))
        .collect();
    write_atomically(files, path, &parts)?;
    Ok(length)
}

/// Reads and checks a checkpoint file.
///
/// It needs memory for the bytes of the file, once, and less than a megabyte more. A header cannot
/// demand more, because its lengths must add up to the actual length of the file.
///
/// # Errors
/// * [`StoreError::Read`]: the file cannot be read, or there is not enough memory for it.
/// * [`StoreError::Foreign`]: the file is not a checkpoint.
/// * [`StoreError::Version`]: the file was written by another version of the format.
/// * [`StoreError::Damaged`]: the file is truncated or changed. The message names the section and
///   the offset.
///
/// ```
/// use vdn_train::run::store::{DiskFiles, read_container, write_container};
///
/// let directory = tempfile::tempdir()?;
/// let path = directory.path().join("state.vdn");
/// write_container(&DiskFiles, &path, &[("weights", b"\x01\x02\x03"), ("step", b"12")])?;
/// let mut sections = read_container(&DiskFiles, &path)?;
/// assert_eq!(sections.get("step")?, b"12");
/// assert_eq!(sections.take("weights")?, [1, 2, 3]);
/// assert!(sections.get("moments").is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn read_container(files: &dyn FileSystem, path: &Path) -> Result<Sections, StoreError> {
    let mut file = files.open(path).map_err(StoreError::read(path, "open the file"))?;
    let reader = &mut file.reader;
    let start = read(reader, path, "header", 0, file.length.min(FIXED as u64))?;
    let lengths = decode_fixed(path, &start)?;
    let fixed = FIXED as u64;
    if lengths.table > MAX_TABLE_BYTES {
        let reason = format!("header (offset 16): a table of {} bytes is too long", lengths.table);
        return Err(StoreError::damaged(path, reason));
    }
    if lengths.table > file.length - fixed {
        let reason = format!("it ends at offset {}, inside of the table of sections", file.length);
        return Err(StoreError::damaged(path, reason));
    }
    let table = read(reader, path, "table", fixed, lengths.table)?;
    let entries = decode_table(path, &table, &lengths)?;
    check_length(path, file.length, &lengths, &entries)?;
    let mut sections = Vec::new();
    let mut offset = fixed + lengths.table;
    for Entry { name, length, checksum } in entries {
        let bytes = read(reader, path, &format!("section `{name}`"), offset, length)?;
        let found = checksum_of(&bytes);
        if found != checksum {
            let place = format!("section `{name}` (offset {offset}, {length} bytes)");
            let reason = format!("{place}: its checksum is {found:08x}, not {checksum:08x}");
            return Err(StoreError::damaged(path, reason));
        }
        offset += length;
        sections.push((name, bytes));
    }
    Ok(Sections::new(path, sections))
}

/// Compares the actual length of the file with the length in its header.
fn check_length(
    path: &Path,
    length: u64,
    lengths: &Lengths,
    entries: &[Entry],
) -> Result<(), StoreError> {
    if length > lengths.file {
        let reason =
            format!("{} bytes follow its end at offset {}", length - lengths.file, lengths.file);
        return Err(StoreError::damaged(path, reason));
    }
    let mut end = FIXED as u64 + lengths.table;
    for entry in entries {
        // No overflow: the sum was checked to be the stated length.
        end += entry.length;
        if end > length {
            let of = lengths.file;
            let reason = format!("it ends at offset {length} of {of}, in section `{}`", entry.name);
            return Err(StoreError::damaged(path, reason));
        }
    }
    Ok(())
}

/// Reads `length` bytes. The caller has compared this number with the file's length.
fn read(
    reader: &mut dyn Read,
    path: &Path,
    place: &str,
    offset: u64,
    length: u64,
) -> Result<Vec<u8>, StoreError> {
    let no_memory =
        || StoreError::read(path, "hold the file in memory")(ErrorKind::OutOfMemory.into());
    let size = usize::try_from(length).map_err(|_| no_memory())?;
    let mut bytes = Vec::new();
    // A sparse file can be longer than memory. This must be an error, not an abort.
    bytes.try_reserve_exact(size).map_err(|_| no_memory())?;
    bytes.resize(size, 0);
    reader.read_exact(&mut bytes).map_err(|error| match error.kind() {
        ErrorKind::UnexpectedEof => {
            let reason =
                format!("{place} (offset {offset}): the file became shorter while it was read");
            StoreError::damaged(path, reason)
        }
        _ => StoreError::read(path, "read the file")(error),
    })?;
    Ok(bytes)
}
