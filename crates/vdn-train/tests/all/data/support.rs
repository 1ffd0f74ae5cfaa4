//! Shared helpers of the tests of the table loader.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use vdn_train::data::{DataError, DateColumn, Fill, Table, TableOptions};

pub(crate) fn load(text: &[u8], options: &TableOptions) -> Result<Table, DataError> {
    Table::from_bytes("f.csv", text, options)
}

pub(crate) fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

pub(crate) fn plain() -> TableOptions {
    TableOptions::default()
}

pub(crate) fn filled(fill: Fill) -> TableOptions {
    TableOptions { fill, ..plain() }
}

pub(crate) fn date(date: DateColumn) -> TableOptions {
    TableOptions { date, ..plain() }
}

pub(crate) fn select(columns: &[&str]) -> TableOptions {
    TableOptions { columns: Some(columns.iter().map(|&c| c.to_owned()).collect()), ..plain() }
}

/// Names, dates (`-` without a date column) and values in one line.
pub(crate) fn summary(table: &Table) -> String {
    let dates = table
        .dates
        .as_ref()
        .map_or("-".to_owned(), |dates| dates.iter().collect::<Vec<_>>().join(","));
    format!("{} | {dates} | {:?}", table.names.join(","), table.columns)
}
