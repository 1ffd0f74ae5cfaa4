//! The checkpoint file: damage at every byte, and headers with wrong lengths.

use crate::store::crash_files::CrashFiles;
use std::io::{self, ErrorKind, Read};
use std::path::Path;
use vdn_train::run::store::{
    FORMAT_VERSION, FileSystem, MAGIC, ReadableFile, Sections, StoreError, WritableFile,
    checksum_of, read_container, write_container,
};

const PATH: &str = "run/state.vdn";

/// A read-only disk with one file. It counts the bytes that are read, and may state another length.
#[derive(Debug)]
struct OneFile {
    bytes: Vec<u8>,
    length: u64,
}

impl FileSystem for OneFile {
    fn open(&self, _: &Path) -> io::Result<ReadableFile> {
        // The bytes are followed by an endless row of zeros, as in a sparse file.
        let reader = io::Cursor::new(self.bytes.clone()).chain(io::repeat(0)).take(self.length);
        Ok(ReadableFile { length: self.length, reader: Box::new(reader) })
    }
    fn create(&self, _: &Path) -> io::Result<Box<dyn WritableFile>> {
        Err(ErrorKind::Unsupported.into())
    }
    fn append(&self, _: &Path) -> io::Result<Box<dyn WritableFile>> {
        Err(ErrorKind::Unsupported.into())
    }
    fn rename(&self, _: &Path, _: &Path) -> io::Result<()> {
        Err(ErrorKind::Unsupported.into())
    }
    fn remove(&self, _: &Path) -> io::Result<()> {
        Err(ErrorKind::Unsupported.into())
    }
    fn create_directory(&self, _: &Path) -> io::Result<()> {
        Err(ErrorKind::Unsupported.into())
    }
    fn sync_directory(&self, _: &Path) -> io::Result<()> {
        Err(ErrorKind::Unsupported.into())
    }
    fn list(&self, _: &Path) -> io::Result<Vec<std::ffi::OsString>> {
        Err(ErrorKind::Unsupported.into())
    }
}

fn read(bytes: &[u8]) -> Result<Sections, StoreError> {
    read_as(bytes, bytes.len() as u64)
}

fn read_as(bytes: &[u8], length: u64) -> Result<Sections, StoreError> {
    let result = read_container(&OneFile { bytes: bytes.to_vec(), length }, Path::new(PATH));
    if let Err(error) = &result {
        let line = error.to_string();
        assert!(line.starts_with(PATH) && !line.contains(char::is_control), "{line:?}");
    }
    result
}

fn written(sections: &[(&str, &[u8])]) -> Vec<u8> {
    let files = CrashFiles::new(None);
    let length = write_container(&files, Path::new(PATH), sections).unwrap();
    let bytes = files.contents(PATH).unwrap();
    assert_eq!(bytes.len() as u64, length);
    bytes
}

fn small() -> Vec<u8> {
    written(&[("weights", &[7; 33]), ("empty", b""), ("état", b"{\"step\": 12}"), ("z", b"\0")])
}

/// A file with this table and these bytes, and with correct checksums.
fn forged(version: u32, table: &[u8], table_length: u64, length: u64, body: &[u8]) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend(version.to_le_bytes());
    bytes.extend(checksum_of(&bytes).to_le_bytes());
    bytes.extend(table_length.to_le_bytes());
    bytes.extend(length.to_le_bytes());
    bytes.extend(checksum_of(table).to_le_bytes());
    bytes.extend(checksum_of(&bytes[16..]).to_le_bytes());
    bytes.extend(table);
    bytes.extend(body);
    bytes
}

fn entry(name: &[u8], length: u64, checksum: u32) -> Vec<u8> {
    let mut bytes = (name.len() as u16).to_le_bytes().to_vec();
    bytes.extend(name);
    bytes.extend(length.to_le_bytes());
    bytes.extend(checksum.to_le_bytes());
    bytes
}

#[test]
fn sections_come_back_as_they_were() {
    let sections = read(&small()).unwrap();
    let names: Vec<(&str, usize)> = sections.iter().map(|(name, b)| (name, b.len())).collect();
    assert_eq!(names, [("weights", 33), ("empty", 0), ("état", 12), ("z", 1)]);
    assert_eq!(read(&written(&[])).unwrap().iter().count(), 0);
}

#[test]
fn every_flipped_bit_and_every_changed_byte_is_refused() {
    let bytes = small();
    let mut count = 0;
    for at in 0..bytes.len() {
        for change in 1..=255 {
            let mut damaged = bytes.clone();
            damaged[at] ^= change;
            let error = read(&damaged).expect_err(&format!("byte {at} ^ {change}"));
            assert!(error.is_damage(), "byte {at} ^ {change}: {error}");
            count += 1;
        }
    }
    println!("container: {count} changed bytes");
}

#[test]
fn every_truncation_and_every_extension_is_refused_with_its_offset() {
    let bytes = small();
    for length in 0..bytes.len() {
        let error = read(&bytes[..length]).expect_err(&length.to_string()).to_string();
        let offset = format!("ends at offset {length}");
        let expected = if length == 0 { "the file is empty" } else { &offset };
        // A file that is shorter than the magic bytes is still recognised as the start of a
        // checkpoint.
        assert!(error.contains(expected), "{length}: {error}");
    }
    let error = read(&bytes[..bytes.len() - 10]).unwrap_err().to_string();
    assert!(error.ends_with(", in section `état`"), "{error}");
    for extra in [1, 7, 100] {
        let mut long = bytes.clone();
        long.resize(bytes.len() + extra, 0);
        let error = read(&long).unwrap_err().to_string();
        assert!(error.contains(&format!("{extra} bytes follow its end")), "{error}");
    }
}

#[test]
fn foreign_and_other_versions_are_told_apart_from_damage() {
    let cases: [(&[u8], &str); 4] = [
        (b"", "is not a checkpoint (at offset 0: the file is empty)"),
        (b"PK\x03\x04 and more", r#"starts with "PK\x03\x04 and""#),
        (b"\x1b[2Jboo", r#"starts with "\x1b[2Jboo""#),
        (&[0; 500], "is not a checkpoint"),
    ];
    for (bytes, expected) in cases {
        let error = read(bytes).unwrap_err();
        assert!(matches!(error, StoreError::Foreign { .. }), "{error}");
        assert!(error.to_string().contains(expected), "{error}");
    }
    for version in [0, FORMAT_VERSION + 1, u32::MAX] {
        let error = read(&forged(version, b"", 0, 40, b"")).unwrap_err();
        assert!(matches!(error, StoreError::Version { .. }) && !error.is_damage(), "{error}");
    }
    assert!(read(&forged(FORMAT_VERSION, b"", 0, 40, b"")).is_ok());
}

#[test]
fn a_small_file_cannot_ask_for_memory() {
    let huge = [1 << 40, 1 << 62, u64::MAX - 41, u64::MAX];
    for claim in huge {
        // A long table.
        let error = read(&forged(1, b"", claim, 40, b"")).unwrap_err().to_string();
        assert!(error.contains("is too long"), "{claim}: {error}");
        // A long section that adds up, and one that does not.
        let table = entry(b"weights", claim, 0);
        let length = claim.wrapping_add(40 + table.len() as u64);
        let error = read(&forged(1, &table, table.len() as u64, length, b"1234")).unwrap_err();
        assert!(error.is_damage(), "{claim}: {error}");
        // Two lengths that overflow.
        let mut two = entry(b"a", claim, 0);
        two.extend(entry(b"b", claim.wrapping_neg(), checksum_of(b"")));
        let length = 40 + two.len() as u64;
        let error = read(&forged(1, &two, two.len() as u64, length, b"")).unwrap_err();
        assert!(error.to_string().contains("do not add up"), "{claim}: {error}");
    }
    // A table that is longer than the file, but not longer than the limit.
    let error = read(&forged(1, b"", 60_000, 40, b"")).unwrap_err().to_string();
    assert!(error.contains("inside of the table"), "{error}");
    // A sparse file with the stated length: an error, not an abort.
    let table = entry(b"weights", 1 << 60, 0);
    let length = (1 << 60) + 40 + table.len() as u64;
    let error = read_as(&forged(1, &table, table.len() as u64, length, b""), length).unwrap_err();
    assert!(matches!(error, StoreError::Read { .. }) && !error.is_damage(), "{error}");
    assert!(error.to_string().contains("cannot hold the file in memory"), "{error}");
}

#[test]
fn tables_with_bad_names_are_refused() {
    let sum = checksum_of(b"");
    let long = "x".repeat(256);
    let cases: [(&[u8], &str); 4] = [
        (b"", "is empty"),
        (b"a\nb", r"section `a\nb`: the name contains a control character"),
        (b"\xff", "an entry is cut off"),
        (long.as_bytes(), "longer than 255"),
    ];
    for (name, expected) in cases {
        let table = entry(name, 0, sum);
        let length = 40 + table.len() as u64;
        let error =
            read(&forged(1, &table, table.len() as u64, length, b"")).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    let twice = [entry(b"a", 0, sum), entry(b"a", 0, sum)].concat();
    let length = 40 + twice.len() as u64;
    let error = read(&forged(1, &twice, twice.len() as u64, length, b"")).unwrap_err().to_string();
    assert!(error.contains("(offset 55): section `a`: the name occurs twice"), "{error}");

    let files = CrashFiles::new(None);
    let names: Vec<String> = (0..5000).map(|i| format!("section-{i}")).collect();
    let many: Vec<(&str, &[u8])> =
        names.iter().map(|name| (name.as_str(), b"".as_slice())).collect();
    let bad: [&[(&str, &[u8])]; 4] =
        [&[("", b"")], &[("a", b""), ("a", b"")], &[("\u{1b}", b"")], &many];
    for sections in bad {
        write_container(&files, Path::new(PATH), sections).unwrap_err();
    }
    assert_eq!(files.operations(), 0, "nothing was written");
}
