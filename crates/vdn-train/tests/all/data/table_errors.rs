//! Every error of the table loader, with its exact line and column.

use super::support::{date, filled, gzip, load, plain, select, summary};
use vdn_train::data::{DataError, DateColumn, FileForm, Fill, TableOptions};

#[test]
fn errors_say_where_and_what() {
    let long = format!("a\n{}\n", "x".repeat(70));
    let long_error =
        format!("f.csv:2: column 1 (`a`): \"{}…\" is not a finite number", "x".repeat(60));
    let cut = {
        let content: Vec<u8> =
            (0..2000_u32).flat_map(|i| format!("{}\n", i * i).into_bytes()).collect();
        let whole = gzip(&content);
        whole[..whole.len() / 2].to_vec()
    };
    let (empty, zipped) = (gzip(b""), gzip(b"date,a\nx,!\n"));
    let mut damaged = gzip(b"date,a\nx,1\n");
    let checksum = damaged.len() - 8;
    damaged[checksum] ^= 1;
    let sentinel = |sentinel| TableOptions { sentinels: vec![sentinel], ..plain() };
    let missing = "; choose a fill policy to accept missing values";
    let cases: Vec<(&str, &[u8], TableOptions, String)> = vec![
        ("empty", b"", plain(), "f.csv: the file is empty".into()),
        ("blank lines only", b"\n\r\n", plain(), "f.csv: the file is empty".into()),
        ("BOM only", b"\xef\xbb\xbf", plain(), "f.csv: the file is empty".into()),
        ("header only", b"date,a\n", plain(), "f.csv: there is a header but no row of data".into()),
        ("empty gzip", &empty, plain(), "f.csv: the file is empty".into()),
        ("cut gzip", &cut, plain(), "f.csv: gzip cut off or damaged after ".into()),
        (
            "gzip checksum",
            &damaged,
            plain(),
            "f.csv: gzip cut off or damaged after 11 bytes".into(),
        ),
        (
            "UTF-16",
            b"\xff\xfed\0a\0",
            plain(),
            "f.csv: the text is UTF-16; save it as UTF-8".into(),
        ),
        ("zip", b"PK\x03\x04....", plain(), "f.csv: this is a zip archive or a spreadsheet".into()),
        (
            "binary",
            b"\x89PNG\0",
            plain(),
            "f.csv: the content is binary, not delimited text".into(),
        ),
        (
            "date alone",
            b"date;a\nx;1\n",
            TableOptions {
                form: FileForm { delimiter: Some(b','), ..FileForm::default() },
                ..date(DateColumn::Named("#1".into()))
            },
            "f.csv: no series beside the date column `date;a`; is the delimiter ',' right?".into(),
        ),
        (
            "a header in Latin-1",
            b"\ndate,a,W/m\xb2\nx,1,2\n",
            plain(),
            "f.csv:2: column 3: the name \"W/m\u{fffd}\" is not UTF-8; save the file as UTF-8"
                .into(),
        ),
        (
            "an open quote in the header",
            b"date,\"a\nx,1\ny,2\n",
            plain(),
            "f.csv:1: column 2: the quote that opens this cell is never closed".into(),
        ),
        (
            "an open quote in the last column",
            b"date,a\nx,1\ny,\"2\nz,3\n",
            plain(),
            "f.csv:3: column 2: the quote that opens this cell is never closed".into(),
        ),
        (
            "an open quote in a column that is not taken",
            b"a,note\r\n1,fine\r\n2,\"two\nlines\"\r\n3,\"oh, \"\"no\r\n4,lost\r\n",
            select(&["a"]),
            "f.csv:5: column 2: the quote that opens this cell is never closed".into(),
        ),
        (
            "an open quote as the last byte",
            b"date,a\nx,\"",
            plain(),
            "f.csv:2: column 2: the quote".into(),
        ),
        (
            "text",
            b"date,a,b\nx,1,2\ny,3,oops\n",
            plain(),
            "f.csv:3: column 3 (`b`): \"oops\" is not a finite number".into(),
        ),
        (
            "infinite",
            b"date,a\nx,inf\n",
            plain(),
            "f.csv:2: column 2 (`a`): \"inf\" is not a finite number".into(),
        ),
        (
            "too large",
            b"date,a\nx,1e999\n",
            plain(),
            "f.csv:2: column 2 (`a`): \"1e999\" is not".into(),
        ),
        (
            "infinite, with a fill",
            b"a\n-inf\n",
            filled(Fill::Forward),
            "f.csv:2: column 1 (`a`): \"-inf\" is".into(),
        ),
        (
            "not UTF-8",
            b"a\n\xff1\n",
            plain(),
            "f.csv:2: column 1 (`a`): \"\u{fffd}1\" is not a finite".into(),
        ),
        (
            "control bytes",
            b"a\n1\x1b[2J\n",
            plain(),
            "f.csv:2: column 1 (`a`): \"1\\u{1b}[2J\" is".into(),
        ),
        ("a long cell", long.as_bytes(), plain(), long_error),
        (
            "an unnamed date",
            b"day,a\n2020-01-01,1\n",
            plain(),
            "f.csv:2: column 1 (`day`): \"2020-01-01\"".into(),
        ),
        (
            "after CRLF",
            b"date,a\r\nx,1\r\ny,!\r\n",
            plain(),
            "f.csv:3: column 2 (`a`): \"!\"".into(),
        ),
        ("after CR", b"date,a\rx,1\ry,2\rz,!\r", plain(), "f.csv:4: column 2 (`a`): \"!\"".into()),
        (
            "after blank lines",
            b"\n\r\ndate,a\nx,!\n",
            plain(),
            "f.csv:4: column 2 (`a`): \"!\"".into(),
        ),
        (
            "after a cell of two lines",
            b"date,a\n\"x\ny\",1\nz,!\n",
            plain(),
            "f.csv:4: column 2 (`a`): \"!\"".into(),
        ),
        (
            "with a BOM",
            b"\xef\xbb\xbfdate,a\nx,!\n",
            plain(),
            "f.csv:2: column 2 (`a`): \"!\"".into(),
        ),
        ("no last line end", b"date,a\nx,1\ny,!", plain(), "f.csv:3: column 2 (`a`): \"!\"".into()),
        ("in gzip", &zipped, plain(), "f.csv:2: column 2 (`a`): \"!\"".into()),
        (
            "short row",
            b"date,a,b\nx,1,2\ny,3\n",
            plain(),
            "f.csv:3: the row has 2 cells, the header 3".into(),
        ),
        (
            "long row",
            b"date,a\nx,1,2\n",
            plain(),
            "f.csv:2: the row has 3 cells, the header 2".into(),
        ),
        (
            "decimal comma",
            b"date,a\nx,1,5\n",
            plain(),
            "f.csv:2: the row has 3 cells, the header 2".into(),
        ),
        (
            "blank row",
            b"date,a\nx,1\n\ny,2\n",
            plain(),
            "f.csv:3: the row has 0 cells, the header 2".into(),
        ),
        (
            "blank CRLF row",
            b"a\r\n1\r\n\r\n2\r\n",
            plain(),
            "f.csv:3: the row has 0 cells, the header 1".into(),
        ),
        (
            "blank first row",
            b"a\n\n1\n",
            plain(),
            "f.csv:2: the row has 0 cells, the header 1".into(),
        ),
        (
            "row of blanks",
            b"date,a\n  \nx,1\n",
            plain(),
            "f.csv:2: the row has 1 cells, the header 2".into(),
        ),
        (
            "missing",
            b"date,a,b\nx,1,2\ny,,3\n",
            plain(),
            format!("f.csv:3: column 2 (`a`): the value is missing (the cell is \"\"){missing}"),
        ),
        (
            "missing word",
            b"a,b\n1,NaN\n",
            plain(),
            format!("f.csv:2: column 2 (`b`): the value is missing (the cell is \"NaN\"){missing}"),
        ),
        (
            "leading",
            b"a\nNaN\n2\n\"\"\n",
            filled(Fill::Forward),
            "f.csv: column 1 (`a`): the first 1 values are missing, and nothing before".into(),
        ),
        (
            "text before the header",
            b"Prices of an office\ndate;a;b\nx;1;2\ny;3;4\n",
            plain(),
            "f.csv:1: the header has 1 cell, the rows 3; remove text before the header".into(),
        ),
        (
            "text after the table",
            b"date,a\nx,1\nSource: an office\n",
            plain(),
            "f.csv:3: the row has 1 cells, the header 2; remove text that is not part".into(),
        ),
        (
            "numbers that can be two",
            b"date\ta\nx\t1,234\ny\t1,235\n",
            plain(),
            "f.csv: \"1,234\" can be 1.234 or 1234: say which by data.decimal".into(),
        ),
        (
            "sentinel",
            b"a\n1\n-9999.0\n",
            sentinel(-9999.0),
            format!(
                "f.csv:3: column 1 (`a`): the value is missing (the cell is \"-9999.0\"){missing}"
            ),
        ),
        (
            "none present",
            b"a,b\n1,\n2,\n",
            filled(Fill::Forward),
            "f.csv: column 2 (`b`): all 2 values are missing".into(),
        ),
        (
            "unknown",
            b"date,a,b\nx,1,2\n",
            select(&["c"]),
            "f.csv: there is no column `c`; the columns are `date`, `a`, `b`".into(),
        ),
        (
            "no such place",
            b"date,a\nx,1\n",
            select(&["#3"]),
            "f.csv: there is no column `#3`; the".into(),
        ),
        (
            "place 0",
            b"date,a\nx,1\n",
            select(&["#0"]),
            "f.csv: there is no column `#0`; the".into(),
        ),
        (
            "unknown date",
            b"date,a\nx,1\n",
            date(DateColumn::Named("t".into())),
            "f.csv: there is no column `t`; the".into(),
        ),
        (
            "ambiguous",
            b"date,a,b,a\nx,1,2,3\n",
            select(&["a"]),
            "f.csv: `a` names the columns 2, 4; ask by position, as in `#2`".into(),
        ),
        ("twice", b"date,a\nx,1\n", select(&["a", "#2"]), "column `#2` is selected twice".into()),
        (
            "date as series",
            b"date,a\nx,1\n",
            select(&["date"]),
            "column `date` is selected as a series but holds the dates".into(),
        ),
        ("nothing selected", b"date,a\nx,1\n", select(&[]), "no column is selected".into()),
        (
            "fill with NaN",
            b"a\n1\n",
            filled(Fill::Value(f64::NAN)),
            "missing values cannot be filled with NaN".into(),
        ),
        (
            "sentinel NaN",
            b"a\n1\n",
            sentinel(f64::NAN),
            "NaN cannot be a sentinel: it is not a finite number".into(),
        ),
        (
            "delimiter",
            b"a\n1\n",
            TableOptions {
                form: FileForm { delimiter: Some(b'\n'), ..FileForm::default() },
                ..plain()
            },
            "the byte 10 cannot be a delimiter".into(),
        ),
    ];
    let mut wrong = Vec::new();
    for (name, text, options, expected) in cases {
        match load(text, &options) {
            Ok(table) => wrong.push(format!("{name}: accepted as {}", summary(&table))),
            Err(error) if error.to_string().starts_with(&expected) => {}
            Err(error) => wrong.push(format!("{name}: {error}\n   not {expected}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_cut_of_a_gzip_stream_is_an_error() {
    let whole = gzip(b"date,a\nx,1\ny,2\nz,3\n");
    for length in 2..whole.len() {
        let result = load(&whole[..length], &plain());
        assert!(matches!(result, Err(DataError::Gzip { .. })), "{length} bytes: {result:?}");
    }
}
