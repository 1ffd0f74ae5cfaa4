//! Parquet and Arrow IPC files: tables of typed columns, converted to rows of text.
//!
//! Columns become lines of text (`text.rs`), whose numbers read back to the same bits. So the code
//! for delimited text also detects and checks the times, names, series and missing values of these
//! files. Messages count rows from 1, without a header.
//!
//! The first bytes of a file determine its kind. A program without the feature `arrow` recognises
//! these kinds and rejects them.

#[cfg(feature = "arrow")]
mod blocks;
#[cfg(feature = "arrow")]
mod cells;
#[cfg(feature = "arrow")]
mod footer;
#[cfg(feature = "arrow")]
mod pages;
#[cfg(feature = "arrow")]
mod text;
#[cfg(feature = "arrow")]
mod thrift;

use crate::data::read::SeriesOptions;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use vdn_train::data::{DataError, DelimitedFile};

/// A file format with typed columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Parquet,
    Arrow,
}

impl Kind {
    /// Returns the kind of a regular file. `None` for text, and for a pipe, which can be read only
    /// once.
    fn of(path: &Path) -> Option<Self> {
        // Opening a pipe here would consume its beginning.
        let mut file = path.is_file().then(|| File::open(path).ok())??;
        let mut start = [0; 6];
        file.read_exact(&mut start).ok()?;
        match &start {
            b"ARROW1" => Some(Self::Arrow),
            [b'P', b'A', b'R', b'1', ..] => Some(Self::Parquet),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Parquet => "Parquet",
            Self::Arrow => "Arrow",
        }
    }
}

/// Opens a file of typed columns. Returns `None` for other files.
///
/// # Errors
/// The errors of [`DelimitedFile::open`]; a column whose type is not numeric, text or time; a
/// program without the feature `arrow`.
pub(super) fn open(
    path: &Path,
    options: &SeriesOptions,
) -> Result<Option<DelimitedFile<'static>>, DataError> {
    let Some(kind) = Kind::of(path) else { return Ok(None) };
    #[cfg(feature = "arrow")]
    {
        text::open(path, kind, options).map(Some)
    }
    #[cfg(not(feature = "arrow"))]
    {
        let _ = options;
        let problem = format!(
            "this is a {} file, and the program was built without the feature `arrow`, which reads \
             them: build it by `cargo build --release -p vdn-cli --features arrow`, or export the \
             table as CSV",
            kind.name()
        );
        Err(DataError::Format { file: path.display().to_string(), problem })
    }
}
