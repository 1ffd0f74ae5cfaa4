//! Delimited text: header, rows, and where in the file each of them stands.
//!
//! A thin layer over the `csv` crate that adds what a loader of other people's files needs: exact
//! line numbers, blank lines between rows reported instead of skipped (skipping one would shift a
//! series in time), quotes that are never closed reported instead of swallowing the rest of the
//! file, and the words that stand for a missing value. The whole content is in memory, so a line
//! number is counted only when an error needs it.

use ::csv::{ByteRecord, Reader, ReaderBuilder};

use crate::data::error::{DataError, excerpt};

/// Words that stand for a missing value, compared without regard to case; so does an empty cell.
pub const MISSING_WORDS: [&str; 4] = ["nan", "na", "n/a", "null"];

/// What a cell holds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Cell {
    /// A finite number.
    Number(f64),
    /// Empty, or one of [`MISSING_WORDS`].
    Missing,
    /// Anything else, including infinities and numbers beyond the range of `f64`.
    Bad,
}

impl Cell {
    /// Reads a cell; blanks around the number do not matter.
    pub(super) fn parse(bytes: &[u8]) -> Self {
        let bytes = bytes.trim_ascii();
        if bytes.is_empty() {
            return Self::Missing;
        }
        let Ok(text) = std::str::from_utf8(bytes) else { return Self::Bad };
        match text.parse::<f64>() {
            Ok(value) if value.is_finite() => Self::Number(value),
            _ if MISSING_WORDS.iter().any(|word| text.eq_ignore_ascii_case(word)) => Self::Missing,
            _ => Self::Bad,
        }
    }
}

/// A delimited file being read row by row.
pub(super) struct CsvFile<'a> {
    file: &'a str,
    bytes: &'a [u8],
    delimiter: u8,
    reader: Reader<&'a [u8]>,
    names: Vec<String>,
    record: ByteRecord,
    row_start: usize,
}

impl<'a> CsvFile<'a> {
    /// Reads the header of `bytes`; `file` is for messages.
    ///
    /// A column without a name is called `column <k>`.
    ///
    /// # Errors
    ///
    /// [`DataError::Empty`] without a header; [`DataError::Format`] for UTF-16 and for content with
    /// NUL bytes; [`DataError::HeaderEncoding`] for a name that is not UTF-8;
    /// [`DataError::UnclosedQuote`].
    pub(super) fn open(file: &'a str, bytes: &'a [u8], delimiter: u8) -> Result<Self, DataError> {
        let format = |problem: &str| DataError::Format {
            file: file.to_owned(),
            problem: problem.to_owned(),
        };
        if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
            return Err(format("the text is UTF-16; save it as UTF-8"));
        }
        if bytes.starts_with(b"PK\x03\x04") {
            return Err(format("this is a zip archive or a spreadsheet; export it as CSV"));
        }
        if bytes.iter().take(4096).any(|&byte| byte == 0) {
            return Err(format("the content is binary, not delimited text"));
        }
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let reader = ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(delimiter)
            .from_reader(bytes);
        let mut this = Self {
            file,
            bytes,
            delimiter,
            reader,
            names: Vec::new(),
            record: ByteRecord::new(),
            row_start: 0,
        };
        if !this.read()? {
            return Err(DataError::Empty { file: file.to_owned() });
        }
        for (column, cell) in (1..).zip(&this.record) {
            let Ok(name) = std::str::from_utf8(cell) else {
                return Err(DataError::HeaderEncoding {
                    file: file.to_owned(),
                    line: this.header_line(),
                    column,
                    text: excerpt(cell),
                });
            };
            this.names.push(match name.trim() {
                "" => format!("column {column}"),
                name => name.to_owned(),
            });
        }
        Ok(this)
    }

    /// The file's name, for messages.
    pub(super) fn file(&self) -> &'a str {
        self.file
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
    /// line stands before it; [`DataError::UnclosedQuote`].
    pub(super) fn next_row(&mut self) -> Result<bool, DataError> {
        if !self.read()? {
            return Ok(false);
        }
        // Between two rows there is exactly one line end; a second one is a blank line, which `csv`
        // skips.
        let found = match self.bytes.get(self.row_start) {
            Some(b'\r' | b'\n') => 0,
            _ => self.record.len(),
        };
        if found != self.names.len() {
            return Err(DataError::RaggedRow {
                file: self.file.to_owned(),
                line: self.line(),
                found,
                expected: self.names.len(),
            });
        }
        Ok(true)
    }

    /// The text of a cell of the current row; `column` counts from 0.
    pub(super) fn cell(&self, column: usize) -> &[u8] {
        self.record.get(column).unwrap_or_default()
    }

    /// Error for a cell of the current row that is not a finite number; `column` counts from 0.
    pub(super) fn bad_cell(&self, column: usize) -> DataError {
        DataError::BadCell {
            file: self.file.to_owned(),
            line: self.line(),
            column: column + 1,
            name: self.names[column].clone(),
            text: excerpt(self.cell(column)),
        }
    }

    /// Error for a missing value in the current row; `column` counts from 0.
    pub(super) fn missing_cell(&self, column: usize) -> DataError {
        DataError::MissingCell {
            file: self.file.to_owned(),
            line: self.line(),
            column: column + 1,
            name: self.names[column].clone(),
            text: excerpt(self.cell(column)),
        }
    }

    /// Position (from 0) of the column called `name`, or of the `k`-th column for `#k`.
    ///
    /// # Errors
    ///
    /// [`DataError::UnknownColumn`] and [`DataError::AmbiguousColumn`].
    pub(super) fn column(&self, name: &str) -> Result<usize, DataError> {
        let positions: Vec<usize> =
            (0..self.names.len()).filter(|&column| self.names[column] == name.trim()).collect();
        if let [column] = positions[..] {
            return Ok(column);
        }
        if let [first, ..] = positions[..] {
            let positions: Vec<String> = positions.iter().map(|p| (p + 1).to_string()).collect();
            return Err(DataError::AmbiguousColumn {
                file: self.file.to_owned(),
                name: name.to_owned(),
                positions: positions.join(", "),
                first: first + 1,
            });
        }
        let by_position = name.trim().strip_prefix('#').and_then(|k| k.parse::<usize>().ok());
        match by_position {
            Some(k) if (1..=self.names.len()).contains(&k) => Ok(k - 1),
            _ => Err(DataError::UnknownColumn {
                file: self.file.to_owned(),
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

    fn read(&mut self) -> Result<bool, DataError> {
        let mut start = usize::try_from(self.reader.position().byte()).unwrap_or(usize::MAX);
        // The reader may stop between the two bytes of a CRLF.
        if start > 0 && self.bytes.get(start - 1..=start) == Some(b"\r\n") {
            start += 1;
        }
        self.row_start = start;
        let found = self.reader.read_byte_record(&mut self.record).map_err(|error| {
            DataError::Format { file: self.file.to_owned(), problem: error.to_string() }
        })?;
        // A quote that is never closed makes one cell of all that follows it.
        let end = usize::try_from(self.reader.position().byte()).unwrap_or(usize::MAX);
        if found && end >= self.bytes.len() {
            self.check_quotes()?;
        }
        Ok(found)
    }

    /// Refuses a last row that ends inside a quoted cell, by the rules of the `csv` crate: a quote
    /// opens a cell only as its first byte, two quotes within are one, and what follows the closing
    /// quote is plain.
    fn check_quotes(&self) -> Result<(), DataError> {
        enum At {
            Start,
            Plain,
            /// Since this byte.
            Quoted(usize),
            /// Behind a quote within a cell that was opened at this byte.
            MaybeClosed(usize),
        }
        let (mut at, mut column) = (At::Start, 1);
        for (place, &byte) in self.bytes.iter().enumerate().skip(self.row_start) {
            at = match (at, byte) {
                (At::Quoted(open), b'"') => At::MaybeClosed(open),
                (At::Quoted(open), _) | (At::MaybeClosed(open), b'"') => At::Quoted(open),
                (At::Start, b'"') => At::Quoted(place),
                (_, b'\r' | b'\n') => {
                    column = 1;
                    At::Start
                }
                (_, byte) if byte == self.delimiter => {
                    column += 1;
                    At::Start
                }
                _ => At::Plain,
            };
        }
        match at {
            At::Quoted(open) => Err(DataError::UnclosedQuote {
                file: self.file.to_owned(),
                line: self.line_of(open),
                column,
            }),
            _ => Ok(()),
        }
    }

    /// Line on which the current row starts.
    fn line(&self) -> usize {
        self.line_of(self.row_start)
    }

    /// Line on which the header starts, which blank lines may precede.
    fn header_line(&self) -> usize {
        let blank = self.bytes.iter().take_while(|&&byte| matches!(byte, b'\r' | b'\n')).count();
        self.line_of(blank)
    }

    /// Line of a byte: CRLF, LF and a lone CR all end a line.
    fn line_of(&self, place: usize) -> usize {
        let before = &self.bytes[..place.min(self.bytes.len())];
        let line_feeds = before.iter().filter(|&&byte| byte == b'\n').count();
        let lone_returns =
            before.windows(2).filter(|pair| pair[0] == b'\r' && pair[1] != b'\n').count()
                + usize::from(before.last() == Some(&b'\r'));
        1 + line_feeds + lone_returns
    }
}

#[cfg(test)]
mod tests {
    use super::Cell;

    #[test]
    fn cells_are_numbers_missing_or_bad() {
        let cases: [(&[u8], Cell); 22] = [
            (b"1", Cell::Number(1.0)),
            (b" -2.5 ", Cell::Number(-2.5)),
            (b"+3e-2", Cell::Number(0.03)),
            (b".5", Cell::Number(0.5)),
            (b"1e-400", Cell::Number(0.0)),
            (b"", Cell::Missing),
            (b"  \t", Cell::Missing),
            (b"NaN", Cell::Missing),
            (b"nan", Cell::Missing),
            (b" NA ", Cell::Missing),
            (b"N/A", Cell::Missing),
            (b"NULL", Cell::Missing),
            (b"inf", Cell::Bad),
            (b"-Infinity", Cell::Bad),
            (b"-nan", Cell::Bad),
            (b"1e400", Cell::Bad),
            (b"1,5", Cell::Bad),
            (b"0x10", Cell::Bad),
            (b"1_000", Cell::Bad),
            (b"abc", Cell::Bad),
            (b"\xff", Cell::Bad),
            (b"2020-01-01", Cell::Bad),
        ];
        let wrong: Vec<String> = cases
            .iter()
            .filter(|(text, expected)| Cell::parse(text) != *expected)
            .map(|(text, expected)| {
                format!(
                    "{:?}: {:?}, not {expected:?}",
                    String::from_utf8_lossy(text),
                    Cell::parse(text)
                )
            })
            .collect();
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}
