//! Delimited text: header, rows, and where in the file each of them stands.
//!
//! The rules are those of the `csv` crate: a quote opens a cell only as its first byte, two quotes
//! within are one, what follows the closing quote is plain, and CRLF, LF and a lone CR end a row. A
//! loader of other people's files needs more than a parser: exact line numbers, blank lines between
//! rows reported instead of skipped (skipping one would shift a series in time), quotes that are
//! never closed reported with their place, and limits.
//!
//! One row is in memory at a time. So the rows are divided here, where lines are counted on the way
//! and a row that outgrows its limit is refused before it is complete; the `csv` crate counts only
//! LF as a line and grows its row without end. A test compares the two on random text.

use std::cell::OnceCell;
use std::collections::HashMap;

use crate::data::source::Content;
use crate::error::data::{DataError, excerpt};

/// Bytes of content in memory at a time.
const BUFFER: usize = 1 << 16;

/// The piece of content that is in memory.
struct Buffer {
    bytes: Box<[u8]>,
    /// What is in use of `bytes`.
    at: usize,
    end: usize,
}

impl Buffer {
    fn rest(&self) -> &[u8] {
        &self.bytes[self.at..self.end]
    }
}

/// Where in a row a byte stands.
#[derive(Clone, Copy, PartialEq)]
enum At {
    /// At the start of a cell.
    Start,
    /// In a cell without quotes, or behind its closing quote.
    Plain,
    /// Between quotes.
    Quoted,
    /// Behind a quote that closes the cell unless another one follows.
    MaybeClosed,
}

/// A delimited file being read row by row.
pub(super) struct CsvFile<'a> {
    content: Content<'a>,
    buffer: Buffer,
    delimiter: u8,
    names: Vec<String>,
    /// The columns of each name, for a first question about one.
    places: OnceCell<HashMap<String, Vec<usize>>>,
    /// The cells of the current row, one after the other, without quotes.
    row: Vec<u8>,
    /// Where each cell ends in `row`.
    ends: Vec<usize>,
    /// The line of the next byte, and whether the byte before it is a CR, with which an LF would
    /// make one line end.
    line: usize,
    after_return: bool,
    /// The line on which the current row starts.
    row_line: usize,
}

impl<'a> CsvFile<'a> {
    /// Reads the header.
    ///
    /// A column without a name is called `column <k>`.
    ///
    /// # Errors
    ///
    /// [`DataError::Empty`] without a header; [`DataError::Format`] for UTF-16 and for content with
    /// NUL bytes; [`DataError::HeaderEncoding`] for a name that is not UTF-8;
    /// [`DataError::UnclosedQuote`]; those of [`Content::fill`].
    pub(super) fn open(mut content: Content<'a>, delimiter: u8) -> Result<Self, DataError> {
        let mut bytes = vec![0; BUFFER].into_boxed_slice();
        let end = content.fill(&mut bytes)?;
        let format = |problem: &str| DataError::Format {
            file: content.file().to_owned(),
            problem: problem.to_owned(),
        };
        let start = &bytes[..end];
        if start.starts_with(&[0xff, 0xfe]) || start.starts_with(&[0xfe, 0xff]) {
            return Err(format("the text is UTF-16; save it as UTF-8"));
        }
        if start.starts_with(b"PK\x03\x04") {
            return Err(format("this is a zip archive or a spreadsheet; export it as CSV"));
        }
        if start.iter().take(4096).any(|&byte| byte == 0) {
            return Err(format("the content is binary, not delimited text"));
        }
        let at = if start.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
        let mut this = Self {
            content,
            buffer: Buffer { bytes, at, end },
            delimiter,
            names: Vec::new(),
            places: OnceCell::new(),
            row: Vec::new(),
            ends: Vec::new(),
            line: 1,
            after_return: false,
            row_line: 1,
        };
        this.skip_blank_lines()?;
        if !this.read()? {
            return Err(DataError::Empty { file: this.file().to_owned() });
        }
        for column in 0..this.ends.len() {
            let cell = this.cell(column);
            let Ok(name) = std::str::from_utf8(cell) else {
                return Err(DataError::HeaderEncoding {
                    file: this.file().to_owned(),
                    line: this.row_line,
                    column: column + 1,
                    text: excerpt(cell),
                });
            };
            let name = match name.trim() {
                "" => format!("column {}", column + 1),
                name => name.to_owned(),
            };
            this.names.push(name);
        }
        Ok(this)
    }

    /// The file's name, for messages.
    pub(super) fn file(&self) -> &str {
        self.content.file()
    }

    /// The header.
    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    /// Moves to the next row; `false` at the end of the file.
    ///
    /// # Errors
    ///
    /// [`DataError::RaggedRow`] when the row's cells are not as many as the header's, or a blank
    /// line stands before it; [`DataError::UnclosedQuote`]; those of [`Content::fill`].
    pub(super) fn next_row(&mut self) -> Result<bool, DataError> {
        let blank = self.skip_blank_lines()?;
        if !self.read()? {
            return Ok(false);
        }
        let (line, found) = match blank {
            Some(line) => (line, 0),
            None => (self.row_line, self.ends.len()),
        };
        if found != self.names.len() {
            return Err(DataError::RaggedRow {
                file: self.file().to_owned(),
                line,
                found,
                expected: self.names.len(),
            });
        }
        Ok(true)
    }

    /// The text of a cell of the current row; `column` counts from 0.
    pub(super) fn cell(&self, column: usize) -> &[u8] {
        let Some(&end) = self.ends.get(column) else { return &[] };
        let start = column.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.row[start..end]
    }

    /// Error for a cell of the current row that is not a finite number; `column` counts from 0.
    pub(super) fn bad_cell(&self, column: usize) -> DataError {
        DataError::BadCell {
            file: self.file().to_owned(),
            line: self.row_line,
            column: column + 1,
            name: self.names[column].clone(),
            text: excerpt(self.cell(column)),
        }
    }

    /// Error for a missing value in the current row; `column` counts from 0.
    pub(super) fn missing_cell(&self, column: usize) -> DataError {
        DataError::MissingCell {
            file: self.file().to_owned(),
            line: self.row_line,
            column: column + 1,
            name: self.names[column].clone(),
            text: excerpt(self.cell(column)),
        }
    }

    /// Error for more than `most` of `what`, seen in the current row.
    pub(super) fn beyond(&self, limit: &'static str, most: u64, what: &'static str) -> DataError {
        DataError::Limit { place: format!("{}:{}", self.file(), self.row_line), limit, most, what }
    }

    /// Position (from 0) of the column called `name`, or of the `k`-th column for `#k`.
    ///
    /// # Errors
    ///
    /// [`DataError::UnknownColumn`] and [`DataError::AmbiguousColumn`].
    pub(super) fn column(&self, name: &str) -> Result<usize, DataError> {
        let places = self.places.get_or_init(|| {
            let mut places: HashMap<String, Vec<usize>> = HashMap::new();
            for (column, name) in self.names.iter().enumerate() {
                places.entry(name.clone()).or_default().push(column);
            }
            places
        });
        let positions = places.get(name.trim()).map_or(&[][..], Vec::as_slice);
        if let [column] = positions[..] {
            return Ok(column);
        }
        if let [first, ..] = positions[..] {
            let positions: Vec<String> = positions.iter().map(|p| (p + 1).to_string()).collect();
            return Err(DataError::AmbiguousColumn {
                file: self.file().to_owned(),
                name: name.to_owned(),
                positions: positions.join(", "),
                first: first + 1,
            });
        }
        let by_position = name.trim().strip_prefix('#').and_then(|k| k.parse::<usize>().ok());
        match by_position {
            Some(k) if (1..=self.names.len()).contains(&k) => Ok(k - 1),
            _ => Err(DataError::UnknownColumn {
                file: self.file().to_owned(),
                name: name.to_owned(),
                available: self.available(),
            }),
        }
    }

    fn available(&self) -> String {
        const SHOWN: usize = 30;
        let mut text: Vec<String> =
            self.names.iter().take(SHOWN).map(|name| format!("`{name}`")).collect();
        if self.names.len() > SHOWN {
            text.push(format!("and {} more", self.names.len() - SHOWN));
        }
        text.join(", ")
    }

    /// The line on which the current row starts.
    pub(super) fn row_line(&self) -> usize {
        self.row_line
    }

    /// The next byte, which stays; `None` at the end of the file.
    fn peek(&mut self) -> Result<Option<u8>, DataError> {
        let Buffer { bytes, at, end } = &mut self.buffer;
        if at == end {
            (*at, *end) = (0, self.content.fill(bytes)?);
        }
        Ok(self.buffer.rest().first().copied())
    }

    /// Moves behind the next byte, which is an LF or a CR, and counts lines.
    fn pass_line_end(&mut self, byte: u8) {
        self.buffer.at += 1;
        // The LF of a CRLF was counted with the CR.
        self.line += usize::from(byte == b'\r' || !self.after_return);
        self.after_return = byte == b'\r';
    }

    /// Moves behind line ends; the line of the first blank line among them.
    fn skip_blank_lines(&mut self) -> Result<Option<usize>, DataError> {
        let mut blank = None;
        while let Some(byte @ (b'\r' | b'\n')) = self.peek()? {
            if byte == b'\r' || !self.after_return {
                blank.get_or_insert(self.line);
            }
            self.pass_line_end(byte);
        }
        Ok(blank)
    }

    /// Reads a row from its first byte on; `false` at the end of the file.
    fn read(&mut self) -> Result<bool, DataError> {
        self.row.clear();
        self.ends.clear();
        self.row_line = self.line;
        let mut at = At::Start;
        // Line and column of the last opening quote.
        let mut quote = (0, 0);
        let mut empty = true;
        while let Some(byte) = self.peek()? {
            empty = false;
            at = match (at, byte) {
                (At::Quoted, b'\r' | b'\n') => {
                    self.row.push(byte);
                    self.pass_line_end(byte);
                    At::Quoted
                }
                (_, b'\r' | b'\n') => {
                    self.pass_line_end(byte);
                    self.ends.push(self.row.len());
                    return self.check_size().map(|()| true);
                }
                (At::Quoted, b'"') => self.pass(At::MaybeClosed),
                (At::MaybeClosed, b'"') => {
                    self.row.push(byte);
                    self.pass(At::Quoted)
                }
                (At::Start, b'"') => {
                    quote = (self.line, self.ends.len() + 1);
                    self.pass(At::Quoted)
                }
                (At::Quoted, _) => self.take(|byte| matches!(byte, b'"' | b'\r' | b'\n'), at),
                (_, byte) if byte == self.delimiter => {
                    self.ends.push(self.row.len());
                    self.pass(At::Start)
                }
                _ => {
                    let delimiter = self.delimiter;
                    let ends = |byte| matches!(byte, b'\r' | b'\n') || byte == delimiter;
                    self.take(ends, At::Plain)
                }
            };
            self.check_size()?;
        }
        if at == At::Quoted {
            let ((line, column), file) = (quote, self.file().to_owned());
            return Err(DataError::UnclosedQuote { file, line, column });
        }
        if !empty {
            self.ends.push(self.row.len());
        }
        Ok(!empty)
    }

    /// Moves behind the next byte, which ends no line.
    fn pass(&mut self, at: At) -> At {
        self.buffer.at += 1;
        self.after_return = false;
        at
    }

    /// Takes the bytes before the next one that `ends` them into the row, as far as they are here.
    fn take(&mut self, ends: impl Fn(u8) -> bool, at: At) -> At {
        let rest = self.buffer.rest();
        let length = rest.iter().position(|&byte| ends(byte)).unwrap_or(rest.len());
        self.row.extend_from_slice(&rest[..length]);
        self.buffer.at += length;
        self.after_return = false;
        at
    }

    /// Refuses a row that is larger than the limits.
    fn check_size(&self) -> Result<(), DataError> {
        let limits = self.content.limits();
        let (bytes, cells) = (self.row.len() + self.ends.len(), self.ends.len());
        if bytes as u64 > limits.row_bytes {
            return Err(self.beyond("row_bytes", limits.row_bytes, "bytes in one row"));
        }
        if cells as u64 > limits.row_cells {
            return Err(self.beyond("row_cells", limits.row_cells, "cells in one row"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
