//! Data for any task: files to tables, tables to features and targets, and scaling.
//!
//! | from | to | file |
//! |---|---|---|
//! | delimited text, plain or gzip | rows of a [`DelimitedFile`] | `delimited.rs` (`sniff.rs`) |
//! | wide CSV | [`Table`] | `table.rs` (`fill.rs`) |
//! | columns of numbers and categories | [`Tabular`] | `tabular.rs` |
//! | such columns | inputs of a network, through a [`FeatureEncoding`] | `features.rs` |
//! | IDX files (MNIST) | [`ImageSet`] | `idx.rs` |
//!
//! Files are read as streams, row by row, and never beyond their [`Limits`].
//!
//! All values are `f64`. A batch is filled through a conversion from the caller. Nothing is random:
//! orders and permutations are arguments.

mod cell;
mod dates;
mod delimited;
mod examples;
mod features;
mod fields;
mod file_form;
mod fill;
mod idx;
mod limits;
mod lines;
mod row_split;
mod rows;
mod scaling;
mod sniff;
mod source;
mod table;
mod tabular;

pub use self::cell::{Cell, MISSING_WORDS, NumberForm};
pub use self::dates::Dates;
pub use self::delimited::DelimitedFile;
pub use self::examples::{Examples, Lags, Noun, Request, Split};
pub use self::features::{EncodedColumn, FeatureEncoding, MissingFeature};
pub use self::fields::split_fields;
pub use self::file_form::FileForm;
pub use self::fill::Fill;
pub use self::idx::{IdxArray, ImageSet};
pub use self::limits::Limits;
pub use self::row_split::RowSplit;
pub use self::rows::{RowBatch, RowBuffers, Rows};
pub use self::scaling::{FitScope, LARGEST_STANDARDISED, Scaler};
pub use self::table::{
    ColumnReport, DATE_NAMES, DateColumn, LoadReport, SUSPICIOUS_SENTINEL, Table, TableOptions,
};
pub use self::tabular::{ColumnValues, MOST_CATEGORIES, Tabular, TabularColumn, TabularOptions};
pub use crate::error::DataError;
