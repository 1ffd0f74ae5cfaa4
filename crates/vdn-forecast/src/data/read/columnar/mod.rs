//! Parquet and Arrow IPC: tables of typed columns, read as the rows of text that they stand for.
//!
//! What is found and checked in delimited text (times, names, series, missing values) is found and
//! checked here by the same code: columns become lines of text (`text.rs`), whose numbers read back
//! to the same bits. Rows count from 1 in messages, without the header.
//!
//! Which kind a file is of is found from its first bytes. A program without the feature `arrow`
//! knows these kinds by name, and refuses them.

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

/// A kind of file with typed columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Parquet,
    Arrow,
}

impl Kind {
    /// The kind of a regular file; `None` for text, and for a pipe, which can be read once only.
    fn of(path: &Path) -> Option<Self> {
        // A pipe that is opened here would not be there for who reads it.
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

/// Opens a file of typed columns; `None` if it is none.
///
/// # Errors
/// As for [`DelimitedFile::open`]; a column of a type without numbers, texts or times; a program
/// without the feature `arrow`.
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
