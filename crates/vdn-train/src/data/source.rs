//! The content of a file, piece by piece, decompressed if it is gzip.
//!
//! Gzip is recognised by its first two bytes and not by the name of the file: `series.csv` may be
//! compressed, and a download tool may have unpacked `series.csv.gz` without changing the name.
//!
//! A file is never in memory as a whole. The bytes that have been read, stored and decompressed,
//! are counted and compared with the [`Limits`]: a small gzip file can expand to more than any
//! memory, and a pipe may never end.

use std::cell::Cell;
use std::io::{self, Read};
use std::path::Path;
use std::rc::Rc;

use flate2::read::MultiGzDecoder;

use crate::bounded_file;
use crate::data::limits::Limits;
use crate::error::data::DataError;

/// The first two bytes of every gzip member (RFC 1952, section 2.3.1).
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// A reader that counts the bytes that are read through it.
struct Counted<R> {
    inner: R,
    count: Rc<Cell<u64>>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(to)?;
        self.count.set(self.count.get() + read as u64);
        Ok(read)
    }
}

/// The content of a file during reading.
pub(super) struct Content<'a> {
    file: String,
    limits: Limits,
    input: Box<dyn Read + 'a>,
    gzip: bool,
    /// Whether a program generates the content from the stored file.
    made: bool,
    /// The number of bytes of the file that were read.
    stored: Rc<Cell<u64>>,
    /// The number of bytes of content that were read.
    content: u64,
}

impl Content<'static> {
    /// Opens a regular file or a pipe.
    pub(super) fn open(path: &Path, limits: Limits) -> Result<Self, DataError> {
        let file = path.display().to_string();
        match bounded_file::open(path, limits.file_bytes) {
            Ok((opened, _)) => Self::new(file, opened, limits),
            Err(source) => Err(DataError::Read { file, source }),
        }
    }
}

impl<'a> Content<'a> {
    /// Creates content from memory. `file` names it in messages.
    pub(super) fn of_bytes(file: &str, bytes: &'a [u8], limits: Limits) -> Result<Self, DataError> {
        Self::new(file.to_owned(), bytes, limits)
    }

    /// Creates content from text that a program generates from a file of `stored` bytes.
    pub(super) fn of_rows(file: &str, rows: impl Read + 'a, stored: u64, limits: Limits) -> Self {
        let (file, stored) = (file.to_owned(), Rc::new(Cell::new(stored)));
        Self { file, limits, input: Box::new(rows), gzip: false, made: true, stored, content: 0 }
    }

    fn new(file: String, input: impl Read + 'a, limits: Limits) -> Result<Self, DataError> {
        let stored = Rc::new(Cell::new(0));
        let mut input = Counted { inner: input, count: Rc::clone(&stored) };
        let mut start = Vec::with_capacity(GZIP_MAGIC.len());
        if let Err(source) = input.by_ref().take(GZIP_MAGIC.len() as u64).read_to_end(&mut start) {
            return Err(DataError::Read { file, source });
        }
        let gzip = start == GZIP_MAGIC;
        let whole = io::Cursor::new(start).chain(input);
        let input: Box<dyn Read + 'a> = match gzip {
            true => Box::new(MultiGzDecoder::new(whole)),
            false => Box::new(whole),
        };
        Ok(Self { file, limits, input, gzip, made: false, stored, content: 0 })
    }

    /// The name of the file in messages.
    pub(super) fn file(&self) -> &str {
        &self.file
    }

    /// The limits of reading.
    pub(super) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Fills `to` from the start with the next bytes. The result is less than its length only at
    /// the end.
    ///
    /// # Errors
    ///
    /// [`DataError::Read`]; [`DataError::Gzip`] for a stream that is truncated or has a wrong
    /// checksum; [`DataError::Limit`].
    pub(super) fn fill(&mut self, to: &mut [u8]) -> Result<usize, DataError> {
        let mut filled = 0;
        while filled < to.len() {
            match self.input.read(&mut to[filled..]) {
                Ok(0) => break,
                Ok(read) => {
                    filled += read;
                    self.content += read as u64;
                    self.check()?;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) if self.gzip => {
                    let (file, bytes) = (self.file.clone(), self.content as usize);
                    return Err(DataError::Gzip { file, bytes, source });
                }
                Err(source) => return Err(DataError::Read { file: self.file.clone(), source }),
            }
        }
        Ok(filled)
    }

    /// Reads the rest.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`Content::fill`].
    #[cfg(test)]
    fn rest(&mut self) -> Result<Vec<u8>, DataError> {
        let (mut all, mut piece) = (Vec::new(), [0; 1000]);
        loop {
            let read = self.fill(&mut piece)?;
            all.extend_from_slice(&piece[..read]);
            if read < piece.len() {
                return Ok(all);
            }
        }
    }

    fn check(&self) -> Result<(), DataError> {
        let Limits { file_bytes, content_bytes, expansion, .. } = self.limits;
        let (stored, content) = (self.stored.get(), self.content);
        let limit = |limit, most, what| {
            Err(DataError::Limit { place: self.file.clone(), limit, most, what })
        };
        if stored > file_bytes {
            return limit("file_bytes", file_bytes, "bytes");
        }
        if content > content_bytes {
            return limit("content_bytes", content_bytes, "bytes of content");
        }
        let expanded = content.saturating_sub(Limits::FREE_EXPANSION);
        if (self.gzip || self.made) && expanded > stored.saturating_mul(expansion) {
            let what = match self.made {
                true => "bytes of text for each byte of the file",
                false => "bytes of content for each byte of gzip",
            };
            return limit("expansion", expansion, what);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use std::io::Write as _;

    fn gzip_of_zeros(bytes: u64) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        io::copy(&mut io::repeat(b'0').take(bytes), &mut encoder).unwrap();
        encoder.flush().unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn gzip_expands_up_to_the_ratio() {
        let limits = Limits::default();
        let read = |bytes: &[u8], limits| {
            let mut content = Content::of_bytes("f", bytes, limits)?;
            let (mut total, mut piece) = (0, vec![0; 1 << 16]);
            loop {
                match content.fill(&mut piece)? {
                    0 => return Ok(total),
                    read => total += read as u64,
                }
            }
        };
        let free = Limits::FREE_EXPANSION;
        let small = gzip_of_zeros(free);
        assert!(small.len() < 100_000, "{}", small.len());
        assert_eq!(read(&small, limits).ok(), Some(free));
        let error: DataError = read(&gzip_of_zeros(2 * free), limits).unwrap_err();
        let expected =
            "f: more than 200 bytes of content for each byte of gzip (limit `expansion`)";
        assert_eq!(error.to_string(), expected);
        let wide = Limits { expansion: 1100, ..limits };
        assert_eq!(read(&gzip_of_zeros(2 * free), wide).ok(), Some(2 * free));
        let error = read(&small, Limits { content_bytes: 1000, ..limits }).unwrap_err();
        let expected = "f: more than 1000 bytes of content (limit `content_bytes`)";
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn stored_bytes_are_counted_where_no_length_is_known() {
        let limits = Limits { file_bytes: 10, ..Limits::default() };
        let mut endless = Content::new("pipe".to_owned(), io::repeat(b'1'), limits).unwrap();
        let error = endless.rest().unwrap_err().to_string();
        assert_eq!(error, "pipe: more than 10 bytes (limit `file_bytes`)");
        let mut exact = Content::new("pipe".to_owned(), &[b'1'; 10][..], limits).unwrap();
        assert_eq!(exact.rest().unwrap(), [b'1'; 10]);
    }
}
