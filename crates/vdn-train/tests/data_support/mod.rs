//! What the tests of the table loader share.
#![allow(dead_code, unreachable_pub, reason = "each test crate uses a part of it")]

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use vdn_train::data::{DataError, DateColumn, Fill, Table, TableOptions};

pub fn load(text: &[u8], options: &TableOptions) -> Result<Table, DataError> {
    Table::from_bytes("f.csv", text, options)
}

pub fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

pub fn plain() -> TableOptions {
    TableOptions::default()
}

pub fn filled(fill: Fill) -> TableOptions {
    TableOptions { fill, ..plain() }
}

pub fn date(date: DateColumn) -> TableOptions {
    TableOptions { date, ..plain() }
}

pub fn select(columns: &[&str]) -> TableOptions {
    TableOptions { columns: Some(columns.iter().map(|&c| c.to_owned()).collect()), ..plain() }
}

/// Names, dates (`-` without a date column) and values in one line.
pub fn summary(table: &Table) -> String {
    let dates = table.dates.as_ref().map_or("-".to_owned(), |dates| dates.join(","));
    format!("{} | {dates} | {:?}", table.names.join(","), table.columns)
}
