//! The one error type of the data side: what was wrong, and in which file, line and column.

use std::io;

/// Why data could not be loaded, scaled, split or copied into a batch.
///
/// Lines and columns count from 1, as editors and spreadsheets do; the header is on line 1 unless
/// blank lines precede it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// The file could not be opened or read.
    #[error("{file}: cannot be read: {source}")]
    Read {
        /// The file as it was named by the caller.
        file: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// The file begins as gzip but its content cannot be recovered in full.
    #[error("{file}: gzip cut off or damaged after {bytes} bytes of content: {source}")]
    Gzip {
        /// The file as it was named by the caller.
        file: String,
        /// How many bytes came out before the failure.
        bytes: usize,
        /// What the decoder said.
        source: io::Error,
    },
    /// The file holds nothing (or nothing but blank lines).
    #[error("{file}: the file is empty")]
    Empty {
        /// The file as it was named by the caller.
        file: String,
    },
    /// The content is not of the expected kind.
    #[error("{file}: {problem}")]
    Format {
        /// The file as it was named by the caller.
        file: String,
        /// What was found and what was expected.
        problem: String,
    },
    /// A name in the header that is not UTF-8.
    #[error(
        "{file}:{line}: column {column}: the name {text:?} is not UTF-8; save the file as UTF-8"
    )]
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
    #[error("{file}:{line}: column {column}: the quote that opens this cell is never closed")]
    UnclosedQuote {
        /// The file as it was named by the caller.
        file: String,
        /// Line of the quote.
        line: usize,
        /// Column in the file.
        column: usize,
    },
    /// A header without a single row of data.
    #[error("{file}: there is a header but no row of data")]
    NoRows {
        /// The file as it was named by the caller.
        file: String,
    },
    /// No column is left to be a series.
    #[error(
        "{file}: no series beside the date column `{date}`; is the delimiter {delimiter:?} right?"
    )]
    NoSeries {
        /// The file as it was named by the caller.
        file: String,
        /// Name of the date column.
        date: String,
        /// The delimiter the file was read with.
        delimiter: char,
    },
    /// A row with more or fewer cells than the header (0 for a blank line between rows).
    #[error("{file}:{line}: the row has {found} cells, the header {expected}")]
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
    /// A value that is finite where it was read, but not in the precision that is computed in.
    #[error(
        "series `{series}`, row {row}: {value:e} standard deviations from the mean is too large for {precision}"
    )]
    TooLarge {
        /// Name of the series.
        series: String,
        /// The row of the series, from 0.
        row: usize,
        /// The standardised value.
        value: f64,
        /// `f32` or `f64`.
        precision: &'static str,
    },
    /// A cell that is neither a finite number nor a missing value.
    #[error("{file}:{line}: column {column} (`{name}`): {text:?} is not a finite number")]
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
    #[error(
        "{file}:{line}: column {column} (`{name}`): the value is missing (the cell is {text:?}); \
         choose a fill policy to accept missing values"
    )]
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
    /// A column without one present value, under a fill policy that needs one.
    #[error("{file}: column {column} (`{name}`): all {rows} values are missing")]
    AllMissing {
        /// The file as it was named by the caller.
        file: String,
        /// Column in the file.
        column: usize,
        /// Name of the column.
        name: String,
        /// Number of rows.
        rows: usize,
    },
    /// A column asked for by a name that the header does not have.
    #[error("{file}: there is no column `{name}`; the columns are {available}")]
    UnknownColumn {
        /// The file as it was named by the caller.
        file: String,
        /// The name asked for.
        name: String,
        /// The header's names, shortened when many.
        available: String,
    },
    /// A column asked for by a name that the header has several times.
    #[error("{file}: `{name}` names the columns {positions}; ask by position, as in `#{first}`")]
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
    #[error("{0}")]
    InvalidOption(String),
    /// Series whose lengths or names do not go together, or a value that is not finite.
    #[error("series `{series}`: {problem}")]
    BadSeries {
        /// Name of the series.
        series: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A series in which no window fits, or whose validation or test split would be empty.
    #[error("series `{series}` has {length} rows, {needed} are needed: {why}")]
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
    #[error("{op}: {problem}")]
    Mismatch {
        /// The operation.
        op: &'static str,
        /// The sizes given and the sizes expected.
        problem: String,
    },
}

/// At most 60 characters of `bytes`, for messages; invalid UTF-8 becomes U+FFFD.
pub(super) fn excerpt(bytes: &[u8]) -> String {
    const LIMIT: usize = 60;
    let text = String::from_utf8_lossy(bytes);
    match text.char_indices().nth(LIMIT) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.into_owned(),
    }
}
