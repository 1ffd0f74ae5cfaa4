//! Checksums of files and of their parts.

use flate2::Crc;
use std::io::{self, ErrorKind, Read};

/// A running CRC-32 (as in gzip) of bytes that arrive in pieces.
///
/// CRC-32 detects every error of up to 32 consecutive bits, and therefore every changed byte. It
/// misses other damage once in four billion cases. It protects against accidents, not against
/// forgery. The implementation is already a dependency (gzip needs it) and processes several
/// gigabytes per second.
///
/// ```
/// use vdn_train::run::store::{Checksum, checksum_of};
///
/// let mut sum = Checksum::default();
/// sum.update(b"12345");
/// sum.update(b"6789");
/// assert_eq!(sum.value(), 0xcbf4_3926); // The check value that the catalogue of CRCs lists.
/// assert_eq!(sum.value(), checksum_of(b"123456789"));
/// ```
#[derive(Debug, Default)]
pub struct Checksum(Crc);

impl Checksum {
    /// Adds bytes at the end.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The checksum of all bytes so far.
    #[must_use]
    pub fn value(&self) -> u32 {
        self.0.sum()
    }
}

/// The CRC-32 of `bytes`.
#[must_use]
pub fn checksum_of(bytes: &[u8]) -> u32 {
    let mut sum = Checksum::default();
    sum.update(bytes);
    sum.value()
}

/// The checksum of the next `length` bytes of `reader`, computed with little memory.
pub(super) fn checksum_of_next(reader: &mut dyn Read, length: u64) -> io::Result<Checksum> {
    let mut sum = Checksum::default();
    let mut buffer = vec![0; 1 << 16];
    let mut left = length;
    while left > 0 {
        let size = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        match reader.read(&mut buffer[..size]) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(read) => {
                sum.update(&buffer[..read]);
                left -= read as u64;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(sum)
}
