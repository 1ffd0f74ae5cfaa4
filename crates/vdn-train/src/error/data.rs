//! The one error type of the data side: what was wrong, and in which file, line and column.

use crate::one_line::write_message;
use std::{fmt, io};

/// Why data could not be loaded, scaled, split or copied into a batch.
///
/// Lines and columns count from 1, as editors and spreadsheets do; the header is on line 1 unless
/// blank lines precede it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// The file could not be opened or read.
    Read {
        /// The file as it was named by the caller.
        file: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// The file begins as gzip but its content cannot be recovered in full.
    Gzip {
        /// The file as it was named by the caller.
        file: String,
        /// How many bytes came out before the failure.
        bytes: usize,
        /// What the decoder said.
        source: io::Error,
    },
    /// The file holds nothing (or nothing but blank lines).
    Empty {
        /// The file as it was named by the caller.
        file: String,
    },
    /// The content is not of the expected kind.
    Format {
        /// The file as it was named by the caller.
        file: String,
        /// What was found and what was expected.
        problem: String,
    },
    /// A name in the header that is not UTF-8.
    HeaderEncoding {
        /// The file as it was named by the caller.
        file: String,
        /// Line of the header.
        line: usize,
        /// Column in the file.
        column: usize,
        /// The name, with U+FFFD for what is not UTF-8, shortened when long.
        text: String,
    },
    /// A quoted cell that the rest of the file belongs to.
    UnclosedQuote {
        /// The file as it was named by the caller.
        file: String,
        /// Line of the quote.
        line: usize,
        /// Column in the file.
        column: usize,
    },
    /// A header without a single row of data.
    NoRows {
        /// The file as it was named by the caller.
        file: String,
    },
    /// No column is left to be a series.
    NoSeries {
        /// The file as it was named by the caller.
        file: String,
        /// Name of the date column.
        date: String,
        /// The delimiter the file was read with.
        delimiter: char,
    },
    /// A row with more or fewer cells than the header (0 for a blank line between rows).
    RaggedRow {
        /// The file as it was named by the caller.
        file: String,
        /// Line on which the row starts.
        line: usize,
        /// Cells in the row.
        found: usize,
        /// Cells in the header.
        expected: usize,
    },
    /// A value that is finite where it was read, but too large to be computed with once it is
    /// standardised.
    TooLarge {
        /// Name of the series.
        series: String,
        /// The row of the series, from 0.
        row: usize,
        /// File, line and split, as they are known: empty, or as in ` in f.csv:17 (test)`.
        place: String,
        /// The standardised value.
        value: f64,
        /// The largest magnitude that is accepted.
        most: f64,
    },
    /// A file that is larger than one of the [`Limits`](crate::data::Limits) of reading.
    Limit {
        /// The file as it was named by the caller, with the line where there is one.
        place: String,
        /// Which limit, a field of [`Limits`](crate::data::Limits).
        limit: &'static str,
        /// The limit.
        most: u64,
        /// What is counted, as in `bytes in one row`.
        what: &'static str,
    },
    /// A cell that is neither a finite number nor a missing value.
    BadCell {
        /// The file as it was named by the caller.
        file: String,
        /// Line on which the row starts.
        line: usize,
        /// Column in the file.
        column: usize,
        /// Name of the column.
        name: String,
        /// The cell's text, shortened when long.
        text: String,
    },
    /// A missing value, where no fill policy was chosen.
    MissingCell {
        /// The file as it was named by the caller.
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
        /// The file as it was named by the caller.
        file: String,
        /// Line on which the row starts.
        line: usize,
        /// Column in the file.
        column: usize,
        /// Name of the column.
        name: String,
        /// Whether the column is a target, which every row needs.
        target: bool,
    },
    /// A column that begins with missing values, under a fill policy that needs one before them.
    LeadingGap {
        /// The file as it was named by the caller.
        file: String,
        /// Column in the file.
        column: usize,
        /// Name of the column.
        name: String,
        /// How many values are missing before the first one.
        missing: usize,
        /// Number of rows.
        rows: usize,
    },
    /// A column asked for by a name that the header does not have.
    UnknownColumn {
        /// The file as it was named by the caller.
        file: String,
        /// The name asked for.
        name: String,
        /// The header's names, shortened when many.
        available: String,
    },
    /// A column asked for by a name that the header has several times.
    AmbiguousColumn {
        /// The file as it was named by the caller.
        file: String,
        /// The name asked for.
        name: String,
        /// Where the name stands.
        positions: String,
        /// The first of these positions.
        first: usize,
    },
    /// A setting that contradicts itself or the data.
    InvalidOption(String),
    /// Series whose lengths or names do not go together, or a value that is not finite.
    BadSeries {
        /// Name of the series.
        series: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A series in which no window fits, or whose validation or test split would be empty.
    SeriesTooShort {
        /// Name of the series.
        series: String,
        /// Its length in rows.
        length: usize,
        /// The smallest greater length that would do.
        needed: usize,
        /// The window settings that ask for it.
        why: String,
    },
    /// A buffer, index or permutation that does not fit the data it is used with.
    Mismatch {
        /// The operation.
        op: &'static str,
        /// The sizes given and the sizes expected.
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
                format!("{file}:{line}: the row has {found} cells, the header {expected}")
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

/// One line without control characters, at most about 500 characters long: names and cells come
/// from files and may hold anything.
impl fmt::Display for DataError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_message(f, &self.text())
    }
}

/// At most 60 characters of `bytes`, for messages; invalid UTF-8 becomes U+FFFD.
pub(crate) fn excerpt(bytes: &[u8]) -> String {
    const LIMIT: usize = 60;
    let text = String::from_utf8_lossy(bytes);
    match text.char_indices().nth(LIMIT) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.into_owned(),
    }
}
