//! The error type of data: the problem, with its file, line and column.

use crate::one_line::write_message;
use std::{fmt, io};

/// An error of loading, scaling or splitting data, or of copying it into a batch.
///
/// Lines and columns count from 1, as in editors and spreadsheets. The header is on line 1 unless
/// blank lines precede it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// The file could not be opened or read.
    Read {
        /// The name of the file as the caller gave it.
        file: String,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The file begins as gzip, but its content cannot be recovered in full.
    Gzip {
        /// The name of the file as the caller gave it.
        file: String,
        /// The number of bytes that were decoded before the failure.
        bytes: usize,
        /// The error of the decoder.
        source: io::Error,
    },
    /// The file is empty or has only blank lines.
    Empty {
        /// The name of the file as the caller gave it.
        file: String,
    },
    /// The content is not of the expected kind.
    Format {
        /// The name of the file as the caller gave it.
        file: String,
        /// The found and the expected content.
        problem: String,
    },
    /// A name in the header that is not UTF-8.
    HeaderEncoding {
        /// The name of the file as the caller gave it.
        file: String,
        /// Line of the header.
        line: usize,
        /// Column in the file.
        column: usize,
        /// The name, shortened if it is long, with U+FFFD in place of bytes that are not UTF-8.
        text: String,
    },
    /// A quoted cell without a closing quote, which contains the rest of the file.
    UnclosedQuote {
        /// The name of the file as the caller gave it.
        file: String,
        /// Line of the quote.
        line: usize,
        /// Column in the file.
        column: usize,
    },
    /// A header without a row of data.
    NoRows {
        /// The name of the file as the caller gave it.
        file: String,
    },
    /// No column is left that could be a series.
    NoSeries {
        /// The name of the file as the caller gave it.
        file: String,
        /// Name of the date column.
        date: String,
        /// The delimiter with which the file was read.
        delimiter: char,
    },
    /// A row with more or fewer cells than the header (0 for a blank line between rows).
    RaggedRow {
        /// The name of the file as the caller gave it.
        file: String,
        /// Line on which the row starts.
        line: usize,
        /// Cells in the row.
        found: usize,
        /// Cells in the header.
        expected: usize,
    },
    /// A value that is finite in the file, but too large for computations after it is standardised.
    TooLarge {
        /// Name of the series.
        series: String,
        /// The row of the series, from 0.
        row: usize,
        /// The file, line and split as far as they are known: empty, or for example
        /// ` in f.csv:17 (test)`.
        place: String,
        /// The standardised value.
        value: f64,
        /// The largest magnitude that is accepted.
        most: f64,
    },
    /// A file that is larger than one of the [`Limits`](crate::data::Limits) of reading.
    Limit {
        /// The name of the file as the caller gave it, with the line if there is one.
        place: String,
        /// The name of the limit, a field of [`Limits`](crate::data::Limits).
        limit: &'static str,
        /// The limit.
        most: u64,
        /// The quantity that is limited, for example `bytes in one row`.
        what: &'static str,
    },
    /// A cell that is neither a finite number nor a missing value.
    BadCell {
        /// The name of the file as the caller gave it.
        file: String,
        /// Line on which the row starts.
        line: usize,
        /// Column in the file.
        column: usize,
        /// Name of the column.
        name: String,
        /// The cell's text, shortened if it is long.
        text: String,
    },
    /// A missing value without a fill policy.
    MissingCell {
        /// The name of the file as the caller gave it.
        file: String,
        /// Line on which the row starts.
        line: usize,
        /// Column in the file.
        column: usize,
        /// Name of the column.
        name: String,
        /// The cell's text: empty, a word for "missing", or a named sentinel.
        text: String,
    },
    /// A missing value in a table of rows.
    MissingInRow {
        /// The name of the file as the caller gave it.
        file: String,
        /// Line on which the row starts.
        line: usize,
        /// Column in the file.
        column: usize,
        /// Name of the column.
        name: String,
        /// Whether the column is a target. Every row needs its targets.
        target: bool,
    },
    /// A column that begins with missing values, under a fill policy that needs an earlier value.
    LeadingGap {
        /// The name of the file as the caller gave it.
        file: String,
        /// Column in the file.
        column: usize,
        /// Name of the column.
        name: String,
        /// The number of missing values before the first value.
        missing: usize,
        /// Number of rows.
        rows: usize,
    },
    /// A requested column that the header does not have.
    UnknownColumn {
        /// The name of the file as the caller gave it.
        file: String,
        /// The requested name.
        name: String,
        /// The names in the header, shortened if there are many.
        available: String,
    },
    /// A requested column whose name is in the header several times.
    AmbiguousColumn {
        /// The name of the file as the caller gave it.
        file: String,
        /// The requested name.
        name: String,
        /// The positions of the name.
        positions: String,
        /// The first of these positions.
        first: usize,
    },
    /// A setting that contradicts itself or the data.
    InvalidOption(String),
    /// Series whose lengths or names do not match, or a value that is not finite.
    BadSeries {
        /// Name of the series.
        series: String,
        /// The problem with the series.
        problem: String,
    },
    /// A series that is too short for a window, or whose validation or test split would be empty.
    SeriesTooShort {
        /// Name of the series.
        series: String,
        /// Its length in rows.
        length: usize,
        /// The smallest sufficient length.
        needed: usize,
        /// The window settings that require this length.
        why: String,
    },
    /// A buffer, index or permutation that does not fit the data.
    Mismatch {
        /// The operation.
        op: &'static str,
        /// The given sizes and the expected sizes.
        problem: String,
    },
}

impl DataError {
    fn text(&self) -> String {
        match self {
            Self::Read { file, source, .. } => format!("{file}: cannot be read: {source}"),
            Self::Gzip { file, bytes, source, .. } => {
                format!("{file}: gzip cut off or damaged after {bytes} bytes of content: {source}")
            }
            Self::Empty { file, .. } => format!("{file}: the file is empty"),
            Self::Format { file, problem, .. } => format!("{file}: {problem}"),
            Self::HeaderEncoding { file, line, column, text, .. } => format!(
                "{file}:{line}: column {column}: the name {text:?} is not UTF-8; \
                 save the file as UTF-8"
            ),
            Self::UnclosedQuote { file, line, column, .. } => format!(
                "{file}:{line}: column {column}: the quote that opens this cell is never closed"
            ),
            Self::NoRows { file, .. } => format!("{file}: there is a header but no row of data"),
            Self::NoSeries { file, date, delimiter, .. } => format!(
                "{file}: no series beside the date column `{date}`; is the delimiter \
                 {delimiter:?} right?"
            ),
            Self::RaggedRow { file, line, found: 1, expected } => format!(
                "{file}:{line}: the row has 1 cells, the header {expected}; remove text that is \
                 not part of the table"
            ),
            Self::RaggedRow { file, line, found, expected } => {
                let what = match found {
                    0 => "remove the blank line",
                    _ if found > expected => "quote cells that contain the delimiter",
                    _ => "fill it up, or remove it if it is not part of the table",
                };
                format!("{file}:{line}: the row has {found} cells, the header {expected}; {what}")
            }
            Self::TooLarge { series, row, place, value, most, .. } => format!(
                "series `{series}`, row {row} (from 0){place}: {value:e} standard deviations from \
                 the mean; at most {most:e} can be computed with"
            ),
            Self::BadCell { file, line, column, name, text, .. } => format!(
                "{file}:{line}: column {column} (`{name}`): {text:?} is not a finite number"
            ),
            Self::MissingCell { file, line, column, name, text, .. } => format!(
                "{file}:{line}: column {column} (`{name}`): the value is missing (the cell is \
                 {text:?}); choose a fill policy to accept missing values"
            ),
            Self::MissingInRow { file, line, column, name, target: false } => format!(
                "{file}:{line}: column {column} (`{name}`): the value is missing; missing = \
                 \"mean\" (`--missing mean`) takes the mean of the training rows"
            ),
            Self::MissingInRow { file, line, column, name, target: true } => format!(
                "{file}:{line}: column {column} (`{name}`): the value is missing; every row needs \
                 its target"
            ),
            Self::LeadingGap { file, column, name, missing, rows } if missing == rows => {
                format!("{file}: column {column} (`{name}`): all {rows} values are missing")
            }
            Self::LeadingGap { file, column, name, missing, .. } => format!(
                "{file}: column {column} (`{name}`): the first {missing} values are missing, and \
                 nothing before them can fill them"
            ),
            Self::UnknownColumn { file, name, available, .. } => {
                format!("{file}: there is no column `{name}`; the columns are {available}")
            }
            Self::AmbiguousColumn { file, name, positions, first, .. } => format!(
                "{file}: `{name}` names the columns {positions}; ask by position, as in `#{first}`"
            ),
            Self::InvalidOption(what) => what.clone(),
            Self::BadSeries { series, problem, .. } => format!("series `{series}`: {problem}"),
            Self::SeriesTooShort { series, length, needed, why, .. } => {
                format!("series `{series}` has {length} rows, {needed} are needed: {why}")
            }
            Self::Mismatch { op, problem, .. } => format!("{op}: {problem}"),
            Self::Limit { place, limit, most, what } => {
                format!("{place}: more than {most} {what} (limit `{limit}`)")
            }
        }
    }
}

/// One line without control characters, at most about 500 characters long. Names and cells come
/// from files and may contain anything.
impl fmt::Display for DataError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_message(f, &self.text())
    }
}

/// At most 60 characters of `bytes` for messages. Invalid UTF-8 becomes U+FFFD.
pub(crate) fn excerpt(bytes: &[u8]) -> String {
    const LIMIT: usize = 60;
    let text = String::from_utf8_lossy(bytes);
    match text.char_indices().nth(LIMIT) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.into_owned(),
    }
}
