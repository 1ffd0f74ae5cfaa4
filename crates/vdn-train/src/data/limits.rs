//! Limits of reading files: they bound the memory that a small or endless file can cause.

/// Limits of reading a file. A file that exceeds one of them is refused in one line that names the
/// file and the limit; none of its content is kept.
///
/// The defaults are far above the common data sets (the largest has 862 series of 17 544 rows: 15
/// million cells, 131 MB of text). They bound the memory for malicious files: gzip can expand a
/// thousandfold, and a row of commas makes a series of every byte.
///
/// ```
/// use vdn_train::data::{Limits, Table, TableOptions};
///
/// let limits = Limits { row_bytes: 8, ..Limits::default() };
/// let options = TableOptions { limits, ..TableOptions::default() };
/// let error = Table::from_bytes("f.csv", b"date,load\nx,1\n", &options).unwrap_err();
/// assert_eq!(error.to_string(), "f.csv:1: more than 8 bytes in one row (limit `row_bytes`)");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The largest size of the stored file in bytes: 4 GiB.
    pub file_bytes: u64,
    /// The largest size of the content after decompression in bytes: 4 GiB.
    pub content_bytes: u64,
    /// The largest number of bytes of content per byte of gzip, and of text per byte of a columnar
    /// file (Parquet, Arrow), beyond the first 64 MiB of content: 200. Series of measurements have
    /// 3 to 20; gzip reaches 1032 on constant text.
    pub expansion: u64,
    /// The largest number of bytes in one row of a delimited file, including the header: 16 MiB.
    pub row_bytes: u64,
    /// The largest number of cells in one row: 2^18 (262 144).
    pub row_cells: u64,
    /// The largest number of rows of data: 2^28.
    pub rows: u64,
    /// The largest number of values in all selected series: 2^28, which take 2.1 GB.
    pub cells: u64,
}

impl Limits {
    /// The content to which gzip may expand before [`Limits::expansion`] applies: 64 MiB.
    pub const FREE_EXPANSION: u64 = 64 << 20;
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            file_bytes: 4 << 30,
            content_bytes: 4 << 30,
            expansion: 200,
            row_bytes: 16 << 20,
            row_cells: 1 << 18,
            rows: 1 << 28,
            cells: 1 << 28,
        }
    }
}
