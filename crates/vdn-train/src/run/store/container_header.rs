//! The start of a checkpoint file: its format, and the position of its sections.
//!
//! ```text
//! offset  bytes
//!      0      8  magic
//!      8      4  format version
//!     12      4  CRC-32 of bytes 0..12
//!     16      8  length of the table
//!     24      8  length of the whole file
//!     32      4  CRC-32 of the table
//!     36      4  CRC-32 of bytes 16..36
//!     40         the table: for each section 2 bytes length of the name, the name (UTF-8),
//!                8 bytes length of the section, 4 bytes CRC-32 of the section
//!                the sections, one after the other, in the order of the table
//! ```
//!
//! All numbers are little-endian. Every byte of the file is covered by one checksum. The version
//! has its own checksum, which no later version may move. Therefore a damaged version number is not
//! taken for a newer version, and a newer file is not reported as damaged.

use super::checksum::checksum_of;
use crate::error::store::StoreError;
use std::collections::BTreeSet;
use std::path::Path;

/// The first bytes of a checkpoint file. The first byte is not text. Programs that translate line
/// ends damage the line ends here, which makes such damage visible.
pub const MAGIC: [u8; 8] = *b"\x89VDN\r\n\x1a\n";

/// The version of the checkpoint format that this library reads and writes.
pub const FORMAT_VERSION: u32 = 1;

/// The longest table of sections, in bytes: room for a thousand sections.
pub const MAX_TABLE_BYTES: u64 = 1 << 16;

/// The length of everything before the table.
pub(super) const FIXED: usize = 40;

/// The numbers after the version.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lengths {
    pub(super) table: u64,
    pub(super) file: u64,
    pub(super) table_checksum: u32,
}

/// One entry of the table.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) length: u64,
    pub(super) checksum: u32,
}

/// The header and the table of a file with these sections, and the length of the file.
pub(super) fn encode(
    path: &Path,
    sections: &[(&str, &[u8])],
) -> Result<(Vec<u8>, u64), StoreError> {
    let mut table = Vec::new();
    let mut names = BTreeSet::new();
    let mut length = FIXED as u64;
    for (name, bytes) in sections {
        if let Some(fault) = name_fault(name, &mut names) {
            return Err(StoreError::mismatch(path, format!("section `{name}`: {fault}")));
        }
        table.extend((name.len() as u16).to_le_bytes());
        table.extend(name.as_bytes());
        table.extend((bytes.len() as u64).to_le_bytes());
        table.extend(checksum_of(bytes).to_le_bytes());
        length += bytes.len() as u64;
    }
    length += table.len() as u64;
    if table.len() as u64 > MAX_TABLE_BYTES {
        let reason = format!("{} sections are more than the table can list", sections.len());
        return Err(StoreError::mismatch(path, reason));
    }
    let mut header = Vec::with_capacity(FIXED + table.len());
    header.extend(MAGIC);
    header.extend(FORMAT_VERSION.to_le_bytes());
    header.extend(checksum_of(&header).to_le_bytes());
    header.extend((table.len() as u64).to_le_bytes());
    header.extend(length.to_le_bytes());
    header.extend(checksum_of(&table).to_le_bytes());
    header.extend(checksum_of(&header[16..]).to_le_bytes());
    header.extend(table);
    Ok((header, length))
}

/// Checks and reads everything before the table. `start` is shorter than [`FIXED`] if the file is.
pub(super) fn decode_fixed(path: &Path, start: &[u8]) -> Result<Lengths, StoreError> {
    let magic = &start[..start.len().min(MAGIC.len())];
    if start.is_empty() || !MAGIC.starts_with(magic) {
        let found = match magic {
            [] => "the file is empty".to_owned(),
            bytes => format!("it starts with \"{}\"", bytes.escape_ascii()),
        };
        return Err(StoreError::Foreign { path: path.to_owned(), expected: "checkpoint", found });
    }
    let cut = || {
        let reason =
            format!("it ends at offset {}, inside of the header of {FIXED} bytes", start.len());
        StoreError::damaged(path, reason)
    };
    let version = start.first_chunk::<16>().ok_or_else(cut)?;
    if checksum_of(&version[..12]) != u32_at(version, 12) {
        return Err(StoreError::damaged(
            path,
            "header (offset 8): the version's checksum is wrong",
        ));
    }
    let found = u32_at(version, 8);
    if found != FORMAT_VERSION {
        return Err(StoreError::Version { path: path.to_owned(), found, known: FORMAT_VERSION });
    }
    let fixed = start.first_chunk::<FIXED>().ok_or_else(cut)?;
    if checksum_of(&fixed[16..36]) != u32_at(fixed, 36) {
        return Err(StoreError::damaged(path, "header (offset 16): its checksum is wrong"));
    }
    Ok(Lengths {
        table: u64_at(fixed, 16),
        file: u64_at(fixed, 24),
        table_checksum: u32_at(fixed, 32),
    })
}

/// Checks and reads the table.
pub(super) fn decode_table(
    path: &Path,
    table: &[u8],
    lengths: &Lengths,
) -> Result<Vec<Entry>, StoreError> {
    if checksum_of(table) != lengths.table_checksum {
        let reason = format!("table (offset {FIXED}): its checksum is wrong");
        return Err(StoreError::damaged(path, reason));
    }
    let mut entries: Vec<Entry> = Vec::new();
    let mut names = BTreeSet::new();
    let mut end = Some(FIXED as u64 + table.len() as u64);
    let mut rest = table;
    while !rest.is_empty() {
        let offset = FIXED + table.len() - rest.len();
        let refuse =
            |fault: &str| StoreError::damaged(path, format!("table (offset {offset}): {fault}"));
        let (entry, after) = decode_entry(rest).ok_or_else(|| refuse("an entry is cut off"))?;
        if let Some(fault) = name_fault(&entry.name, &mut names) {
            return Err(refuse(&format!("section `{}`: {fault}", entry.name)));
        }
        end = end.and_then(|end| end.checked_add(entry.length));
        entries.push(entry);
        rest = after;
    }
    if end != Some(lengths.file) {
        let reason =
            format!("table (offset {FIXED}): the sections do not add up to the file's length");
        return Err(StoreError::damaged(path, reason));
    }
    Ok(entries)
}

/// The first entry of `bytes`, and the bytes after it.
fn decode_entry(bytes: &[u8]) -> Option<(Entry, &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<2>()?;
    let (name, rest) = rest.split_at_checked(usize::from(u16::from_le_bytes(*length)))?;
    let (length, rest) = rest.split_first_chunk::<8>()?;
    let (checksum, rest) = rest.split_first_chunk::<4>()?;
    let entry = Entry {
        name: std::str::from_utf8(name).ok()?.to_owned(),
        length: u64::from_le_bytes(*length),
        checksum: u32::from_le_bytes(*checksum),
    };
    Some((entry, rest))
}

/// The fault of a section's name; a valid name is added to `names`.
fn name_fault(name: &str, names: &mut BTreeSet<String>) -> Option<&'static str> {
    match name {
        "" => Some("the name is empty"),
        _ if name.len() > 255 => Some("the name is longer than 255 bytes"),
        _ if name.contains(char::is_control) => Some("the name contains a control character"),
        _ if !names.insert(name.to_owned()) => Some("the name occurs twice"),
        _ => None,
    }
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(std::array::from_fn(|i| bytes[at + i]))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(std::array::from_fn(|i| bytes[at + i]))
}
