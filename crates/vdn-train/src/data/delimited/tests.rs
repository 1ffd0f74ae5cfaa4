use super::{DelimitedFile, FileForm};
use crate::data::limits::Limits;
use crate::data::source::Content;

fn comma() -> FileForm {
    FileForm { delimiter: Some(b','), ..FileForm::default() }
}

type Rows = Vec<Vec<Vec<u8>>>;

fn rows(text: &[u8]) -> Option<Rows> {
    let content = Content::of_bytes("f", text, Limits::default()).ok()?;
    let mut file = DelimitedFile::start(content, comma()).ok()?;
    let mut rows = Vec::new();
    file.skip_blank_lines().ok()?;
    if !file.read().ok()? {
        return None;
    }
    loop {
        rows.push((0..file.row.cells).map(|column| file.cell(column).to_vec()).collect());
        file.skip_blank_lines().ok()?;
        if !file.read().ok()? {
            return Some(rows);
        }
    }
}

fn rows_of_the_csv_crate(text: &[u8]) -> Rows {
    let mut builder = ::csv::ReaderBuilder::new();
    let mut reader = builder.has_headers(false).flexible(true).from_reader(text);
    let rows = reader.byte_records().map(|row| row.unwrap());
    rows.map(|row| row.iter().map(<[u8]>::to_vec).collect()).collect()
}

#[test]
fn rows_are_those_of_the_csv_crate() {
    let mut state = 1_u64;
    let mut compared = 0;
    for _ in 0..40_000 {
        let mut text = Vec::new();
        for _ in 0..12 {
            // Knuth's generator (MMIX).
            state = state.wrapping_mul(6_364_136_223_846_793_005);
            state = state.wrapping_add(1_442_695_040_888_963_407);
            text.push(b"a,\"\n\r,b\" "[(state >> 33) as usize % 9]);
        }
        // A quote that is never closed is refused here.
        let Some(found) = rows(&text) else { continue };
        compared += 1;
        let shown = String::from_utf8_lossy(&text);
        assert_eq!(found, rows_of_the_csv_crate(&text), "{shown:?}");
    }
    assert!(compared > 10_000, "{compared}");
}

#[test]
fn pieces_of_content_join_where_they_may() {
    // A row of three bytes and a line end of two: every place of the 64 KiB is hit.
    for ending in ["\n", "\r\n", "\r"] {
        for shift in 0..7 {
            let mut text = "h".repeat(shift) + ",k" + ending;
            let mut expected = vec![vec!["h".repeat(shift).into_bytes(), b"k".to_vec()]];
            for _ in 0..30_000 {
                text += "1,\"\"\"2\"";
                text += ending;
                expected.push(vec![b"1".to_vec(), b"\"2".to_vec()]);
            }
            assert!(rows(text.as_bytes()) == Some(expected), "{ending:?} {shift}");
        }
    }
}

#[test]
fn large_rows_are_refused_before_they_are_complete() {
    let cases = [
        (Limits { row_bytes: 8, ..Limits::default() }, "bytes in one row (limit `row_bytes`)"),
        (Limits { row_cells: 4, ..Limits::default() }, "cells in one row (limit `row_cells`)"),
    ];
    for (limits, expected) in cases {
        let content = Content::of_bytes("f", b"a,b\n1,2\n,,,,,,,,\n", limits).unwrap();
        let mut file = DelimitedFile::new(content, comma()).unwrap();
        assert!(file.next_row().unwrap());
        let error = file.next_row().unwrap_err().to_string();
        assert!(error.starts_with("f:3: more than ") && error.ends_with(expected), "{error}");
    }
}
