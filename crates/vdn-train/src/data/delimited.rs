//! Delimited text: the header, the rows, and their positions in the file.
//!
//! `csv-core` divides the text into rows and cells. A quote opens a cell only as its first byte.
//! Two quotes in a quoted cell stand for one. Text after the closing quote is plain. CRLF, LF and a
//! lone CR end a row.
//!
//! A loader of untrusted files needs more than that, so this module drives `csv-core` piece by
//! piece:
//!
//! * It counts exact line numbers.
//! * It reports blank lines between rows. To skip one would shift a series in time.
//! * It reports quotes that are never closed, with their position.
//! * It enforces limits.
//!
//! Only one row is in memory at a time, besides a sample of the first rows. The form of the file is
//! found from this sample. A test compares the rows with the rows of the `csv` crate on random
//! text.

mod header;
mod lookup;
mod rows;

use std::cell::OnceCell;
use std::collections::{HashMap, VecDeque};
use std::path::Path;

use crate::data::cell::{Cell, NumberForm};
use crate::data::file_form::FileForm;
use crate::data::limits::Limits;
use crate::data::sniff::{DELIMITERS, delimiter};
use crate::data::source::Content;
use crate::error::data::DataError;
use csv_core::{Reader, ReaderBuilder};

/// The number of bytes of content in memory at a time.
const BUFFER: usize = 1 << 16;

/// The piece of content in memory.
struct Buffer {
    bytes: Box<[u8]>,
    /// The part of `bytes` that is in use.
    at: usize,
    end: usize,
}

impl Buffer {
    fn rest(&self) -> &[u8] {
        &self.bytes[self.at..self.end]
    }
}

/// A row: its cells in order, without quotes, and its line.
#[derive(Clone, Default)]
struct Record {
    text: Vec<u8>,
    /// The number of bytes of `text` in use.
    length: usize,
    /// The end of each cell in `text`.
    ends: Vec<usize>,
    /// The number of cells, of `ends`, in use.
    cells: usize,
    /// The line on which the row starts.
    line: usize,
}

impl Record {
    fn cell(&self, column: usize) -> &[u8] {
        if column >= self.cells {
            return &[];
        }
        let start = column.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.text[start..self.ends[column]]
    }

    fn is_blank(&self, mut columns: std::ops::Range<usize>) -> bool {
        columns.all(|column| self.cell(column).trim_ascii().is_empty())
    }
}

/// A delimited file, plain or gzip, that is read row by row.
///
/// Its form is found from the first rows unless it is given. Rows of nothing but delimiters at the
/// end of the file are left out. Cells without text beyond the last column of the header are left
/// out, too. [`DelimitedFile::notes`] says what was left out.
///
/// ```
/// use vdn_train::data::{Cell, DelimitedFile, FileForm, Limits};
///
/// let text = b"day;load\n1;2,5\n2;3,25\n";
/// let (form, limits) = (FileForm::default(), Limits::default());
/// let mut file = DelimitedFile::from_bytes("f.csv", text, form, limits)?;
/// assert_eq!(file.names(), ["day", "load"]);
/// assert!(file.next_row()?);
/// assert_eq!((file.cell(0), file.number(1)), (&b"1"[..], Cell::Number(2.5)));
/// assert_eq!(file.row_line(), 2);
/// # Ok::<(), vdn_train::data::DataError>(())
/// ```
pub struct DelimitedFile<'a> {
    content: Content<'a>,
    buffer: Buffer,
    delimiter: u8,
    /// The number of cells in most of the first rows; 0 for a single column.
    usual_cells: usize,
    parser: Reader,
    numbers: NumberForm,
    names: Vec<String>,
    /// The number of header cells beyond the columns, which have no name.
    unnamed: usize,
    /// The columns of each name, computed when a name is first looked up.
    places: OnceCell<HashMap<String, Vec<usize>>>,
    row: Record,
    /// The first rows, before they are returned.
    sample: VecDeque<Record>,
    /// An error in the sample, which is returned when its row is reached.
    failed: Option<DataError>,
    /// The rows of nothing but delimiters: the line of the first one, and their number.
    blank_rows: Option<(usize, usize)>,
    /// The row after these rows.
    held: Option<Record>,
    /// Whether rows have delimiters beyond the last column of the header.
    trailing: bool,
    /// The line of the next byte, and whether the previous byte is a CR. Together with an LF, a CR
    /// is one line end.
    line: usize,
    after_return: bool,
    /// Whether rows are counted instead of lines.
    by_rows: bool,
    notes: Vec<String>,
}

impl DelimitedFile<'static> {
    /// Opens a regular file or a pipe, and reads its header and a sample of its rows.
    ///
    /// # Errors
    ///
    /// Returns
    ///
    /// * [`DataError::Read`], [`DataError::Gzip`] or [`DataError::Limit`];
    /// * [`DataError::Empty`] without a header;
    /// * [`DataError::Format`] for UTF-16, for content with NUL bytes, and for numbers whose form
    ///   is ambiguous;
    /// * [`DataError::HeaderEncoding`] for a name that is not UTF-8;
    /// * [`DataError::UnclosedQuote`];
    /// * [`DataError::InvalidOption`] for an invalid delimiter.
    pub fn open(path: impl AsRef<Path>, form: FileForm, limits: Limits) -> Result<Self, DataError> {
        Self::new(Content::open(path.as_ref(), limits)?, form)
    }
}

impl<'a> DelimitedFile<'a> {
    /// Like [`DelimitedFile::open`], for content in memory. `file` names it in messages.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`DelimitedFile::open`].
    pub fn from_bytes(
        file: &str,
        bytes: &'a [u8],
        form: FileForm,
        limits: Limits,
    ) -> Result<Self, DataError> {
        Self::new(Content::of_bytes(file, bytes, limits)?, form)
    }

    /// Like [`DelimitedFile::open`], for text that a program generates from a file of `stored`
    /// bytes: a header, and the rows of a table. Messages count rows instead of lines, with the
    /// header as row 0.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`DelimitedFile::open`]. [`Limits::expansion`] refers to the stored
    /// bytes.
    pub fn from_rows(
        file: &str,
        rows: impl std::io::Read + 'a,
        stored: u64,
        form: FileForm,
        limits: Limits,
    ) -> Result<Self, DataError> {
        let this = Self::start(Content::of_rows(file, rows, stored, limits), form)?;
        Self { line: 0, by_rows: true, ..this }.find_form(form)
    }

    pub(super) fn new(content: Content<'a>, form: FileForm) -> Result<Self, DataError> {
        Self::start(content, form)?.find_form(form)
    }

    /// Reads the header and the sample.
    fn find_form(mut self, form: FileForm) -> Result<Self, DataError> {
        let this = &mut self;
        this.skip_blank_lines()?;
        if !this.read()? {
            return Err(DataError::Empty { file: this.file().to_owned() });
        }
        this.take_header()?;
        this.refuse_preamble()?;
        this.take_sample();
        this.drop_unnamed_columns();
        if form.numbers.is_none() {
            this.find_number_form()?;
        }
        Ok(self)
    }

    /// Creates a file before its first row is read.
    fn start(mut content: Content<'a>, form: FileForm) -> Result<Self, DataError> {
        form.check()?;
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
        // Spreadsheets understand such a first line: `sep=;`.
        let told = told_delimiter(&start[at..]);
        let at = at + told.map_or(0, |(_, length)| length);
        let (delimiter, usual_cells) = match form.delimiter.or(told.map(|(sign, _)| sign)) {
            Some(delimiter) => (delimiter, 0),
            None => delimiter(&start[at..]),
        };
        Ok(Self {
            content,
            buffer: Buffer { bytes, at, end },
            delimiter,
            usual_cells,
            parser: ReaderBuilder::new().delimiter(delimiter).build(),
            numbers: form.numbers.unwrap_or_default(),
            names: Vec::new(),
            unnamed: 0,
            places: OnceCell::new(),
            row: Record::default(),
            sample: VecDeque::new(),
            failed: None,
            blank_rows: None,
            held: None,
            trailing: false,
            line: 1 + usize::from(told.is_some()),
            after_return: false,
            by_rows: false,
            notes: Vec::new(),
        })
    }

    /// The file's name, for messages.
    #[must_use]
    pub fn file(&self) -> &str {
        self.content.file()
    }

    /// The column names from the header.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The delimiter between cells.
    #[must_use]
    pub fn delimiter(&self) -> u8 {
        self.delimiter
    }

    /// The form of numbers.
    #[must_use]
    pub fn numbers(&self) -> NumberForm {
        self.numbers
    }

    /// Notes on omissions and assumptions, one sentence each. The list is complete at the end of
    /// the file.
    #[must_use]
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The number of rows in the sample (up to 1000) that were not returned yet. Before the first
    /// call of [`DelimitedFile::next_row`], these are the first rows of the file.
    #[must_use]
    pub fn sample_rows(&self) -> usize {
        self.sample.len()
    }

    /// The text of a cell of the sample; rows and columns count from 0.
    #[must_use]
    pub fn sample_cell(&self, row: usize, column: usize) -> &[u8] {
        self.sample.get(row).map_or(&[][..], |row| row.cell(column))
    }

    /// The line of a row of the sample.
    #[must_use]
    pub fn sample_line(&self, row: usize) -> usize {
        self.sample.get(row).map_or(0, |row| row.line)
    }

    /// Moves to the next row; `false` at the end of the file.
    ///
    /// # Errors
    ///
    /// [`DataError::RaggedRow`] if the row and the header differ in their numbers of cells, or if
    /// there is a blank line before the row; [`DataError::UnclosedQuote`], [`DataError::Read`],
    /// [`DataError::Gzip`], [`DataError::Limit`].
    pub fn next_row(&mut self) -> Result<bool, DataError> {
        if let Some(row) = self.sample.pop_front() {
            self.row = row;
            return Ok(true);
        }
        match self.failed.take() {
            Some(error) => Err(error),
            None => self.read_row(),
        }
    }

    /// The text of a cell of the current row; `column` counts from 0.
    #[must_use]
    pub fn cell(&self, column: usize) -> &[u8] {
        self.row.cell(column)
    }

    /// The number in a cell of the current row; `column` counts from 0.
    #[must_use]
    pub fn number(&self, column: usize) -> Cell {
        self.numbers.parse(self.row.cell(column))
    }

    /// The line on which the current row starts.
    #[must_use]
    pub fn row_line(&self) -> usize {
        self.row.line
    }
}

/// The delimiter in a first line such as `sep=;`, and the length of that line.
fn told_delimiter(start: &[u8]) -> Option<(u8, usize)> {
    let rest = start.strip_prefix(b"sep=").or_else(|| start.strip_prefix(b"SEP="))?;
    let (&sign, rest) = rest.split_first()?;
    let end = match rest {
        [b'\r', b'\n', ..] => 2,
        [b'\n' | b'\r', ..] => 1,
        _ => return None,
    };
    DELIMITERS.contains(&sign).then_some((sign, 5 + end))
}

#[cfg(test)]
mod tests;
