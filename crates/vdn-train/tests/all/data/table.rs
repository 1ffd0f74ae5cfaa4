//! Loading wide tables: every accepted form, and what is reported about them.

use super::support::{date, filled, gzip, load, plain, select, summary};
use vdn_train::data::{DataError, DateColumn, Fill, Table, TableOptions};

#[test]
fn accepted_forms() {
    let members = [gzip(b"date,a\nx,1\n"), gzip(b"y,2\n")].concat();
    let zipped = gzip(b"date,a\nx,1\n");
    let cases: Vec<(&str, &[u8], TableOptions, &str)> = vec![
        ("LF", b"date,a,b\nx,1,2\ny,3,4\n", plain(), "a,b | x,y | [[1.0, 3.0], [2.0, 4.0]]"),
        ("CRLF", b"date,a\r\nx,1\r\ny,2\r\n", plain(), "a | x,y | [[1.0, 2.0]]"),
        ("CR", b"date,a\rx,1\ry,2\r", plain(), "a | x,y | [[1.0, 2.0]]"),
        ("no last line end", b"date,a\nx,1", plain(), "a | x | [[1.0]]"),
        ("blank lines at both ends", b"\r\n\ndate,a\nx,1\n\n\r\n", plain(), "a | x | [[1.0]]"),
        ("BOM", b"\xef\xbb\xbfdate,a\nx,1\n", plain(), "a | x | [[1.0]]"),
        ("gzip", &zipped, plain(), "a | x | [[1.0]]"),
        ("gzip of two members", &members, plain(), "a | x,y | [[1.0, 2.0]]"),
        ("blanks", b" Date , a \n 2020 , 1 \n", plain(), "a | 2020 | [[1.0]]"),
        ("timestamp", b"TimeStamp,a\nx,1\n", plain(), "a | x | [[1.0]]"),
        ("ds", b"ds,a\nx,1\n", plain(), "a | x | [[1.0]]"),
        ("no dates", b"a,b\n1,2\n", plain(), "a,b | - | [[1.0], [2.0]]"),
        ("a date not first", b"a,date\n1,2\n", plain(), "a,date | - | [[1.0], [2.0]]"),
        (
            "date by name",
            b"a,when\n1,x\n",
            date(DateColumn::Named("when".into())),
            "a | x | [[1.0]]",
        ),
        (
            "date by place",
            b"a,when\n1,x\n",
            date(DateColumn::Named("#2".into())),
            "a | x | [[1.0]]",
        ),
        ("date denied", b"date,a\n7,1\n", date(DateColumn::None), "date,a | - | [[7.0], [1.0]]"),
        ("no name", b",b\n1,2\n", plain(), "column 1,b | - | [[1.0], [2.0]]"),
        ("a date in Latin-1", b"date,a\n\xe9,1\n", plain(), "a | \u{fffd} | [[1.0]]"),
        ("U+FFFD", "date,W/m\u{fffd}\nx,1\n".as_bytes(), plain(), "W/m\u{fffd} | x | [[1.0]]"),
        ("quotes", b"date,\"a,b\"\n\"x\ny\",\"1\"\n", plain(), "a,b | x\ny | [[1.0]]"),
        ("a closed quote as the last byte", b"date,a\nx,\"1\"", plain(), "a | x | [[1.0]]"),
        (
            "quotes that open nothing",
            b"a,note\n1,5\" pipe\n2,\"\"\n3,\"say \"\"so\"\" \"",
            select(&["a"]),
            "a | - | [[1.0, 2.0, 3.0]]",
        ),
        (
            "dates are labels",
            b"date,a\n1990/1/1 0:00,1\n,2\n",
            plain(),
            "a | 1990/1/1 0:00, | [[1.0, 2.0]]",
        ),
        (
            "selected, in order",
            b"date,a,b,c\nx,1,!,3\n",
            select(&["c", "a"]),
            "c,a | x | [[3.0], [1.0]]",
        ),
        ("selected by place", b"date,a,a\nx,1,2\n", select(&["#3"]), "a | x | [[2.0]]"),
        ("names that repeat", b"date,a,a\nx,1,2\n", plain(), "a,a | x | [[1.0], [2.0]]"),
        ("a name before a place", b"date,#3,b\nx,1,2\n", select(&["#3"]), "#3 | x | [[1.0]]"),
        ("semicolons", b"date;a\nx;1\n", plain(), "a | x | [[1.0]]"),
        (
            "filled",
            b"date,a\nx,1\ny,\nz,3\n",
            filled(Fill::Linear),
            "a | x,y,z | [[1.0, 2.0, 3.0]]",
        ),
        (
            "words",
            b"a,b\n1,NaN\nNA,2\nnull,n/a\n",
            filled(Fill::Value(0.5)),
            "a,b | - | [[1.0, 0.5, 0.5], [0.5, 2.0, 0.5]]",
        ),
        ("trailing", b"a\n2\nNaN\n\"\"\n", filled(Fill::Forward), "a | - | [[2.0, 2.0, 2.0]]"),
        ("tabs", b"date\ta\nx\t1.5\n", plain(), "a | x | [[1.5]]"),
        ("bars", b"date|a\nx|1\n", plain(), "a | x | [[1.0]]"),
        ("decimal commas", b"date;a\nx;1,5\ny;1.234,5\n", plain(), "a | x,y | [[1.5, 1234.5]]"),
        (
            "thousands",
            b"date,a\nx,\"9,646.00\"\ny,\"10,928\"\n",
            plain(),
            "a | x,y | [[9646.0, 10928.0]]",
        ),
        ("a last delimiter", b"date,a,\nx,1,\ny,2,\n", plain(), "a | x,y | [[1.0, 2.0]]"),
        ("a last delimiter of the header", b"date,a,\nx,1\n", plain(), "a | x | [[1.0]]"),
        (
            "a last delimiter of the rows",
            b"date,a\nx,1,\ny,2,,\n",
            plain(),
            "a | x,y | [[1.0, 2.0]]",
        ),
        ("empty rows at the end", b"date,a\nx,1\n,\n,\n", plain(), "a | x | [[1.0]]"),
        (
            "rows of missing values",
            b"a,b\n1,2\n,\n,\n5,6\n",
            filled(Fill::Forward),
            "a,b | - | [[1.0, 1.0, 1.0, 5.0], [2.0, 2.0, 2.0, 6.0]]",
        ),
    ];
    let mut wrong = Vec::new();
    for (name, text, options, expected) in cases {
        match load(text, &options) {
            Ok(table) if summary(&table) == expected => {}
            Ok(table) => wrong.push(format!("{name}: {}\n   not {expected}", summary(&table))),
            Err(error) => wrong.push(format!("{name}: {error}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_report_counts_filled_and_suspicious_cells() {
    let text = b"date,a,b,c\nv,-9999,1,2\nw,,-9999.0,-1\nx,,NaN,3\ny,4,5,-1\nz,-9999,,6\n";
    let options = TableOptions { fill: Fill::Linear, sentinels: vec![-1.0], ..plain() };
    let table = load(text, &options).unwrap();
    let counts: Vec<_> = table
        .report
        .columns
        .iter()
        .map(|c| (c.name.as_str(), c.filled, c.sentinels, c.longest_gap, c.suspicious))
        .collect();
    assert_eq!(counts, [("a", 2, 0, 2, 2), ("b", 2, 0, 1, 1), ("c", 2, 2, 1, 0)]);
    assert_eq!((table.report.filled(), table.report.suspicious()), (6, 3));
    assert_eq!(table.columns[2], [2.0, 2.5, 3.0, 4.5, 6.0]);
    let printed = table.report.to_string();
    assert_eq!(printed.lines().count(), 5, "{printed}");
    assert!(printed.contains("a: 2 cells are -9999, kept as numbers"), "{printed}");

    let text = b"date,a\nv,1\nw,\nx,-9999\ny,4\nz,-9999\n";
    let named = TableOptions { sentinels: vec![-9999.0], ..filled(Fill::Forward) };
    let table = load(text, &named).unwrap();
    assert_eq!(table.columns[0], [1.0, 1.0, 1.0, 4.0, 4.0]);
    assert_eq!(table.report.suspicious(), 0);
    let clean = load(b"a\n1\n", &plain()).unwrap();
    assert_eq!(clean.report.to_string(), "");
}

#[test]
fn tables_in_memory_are_checked() {
    let names = |n: usize| (0..n).map(|i| format!("s{i}")).collect::<Vec<_>>();
    let good = Table::new(names(2), vec![vec![1.0, -9999.0], vec![2.0, 3.0]]).unwrap();
    assert_eq!((good.rows(), good.report.suspicious()), (2, 1));
    let cases = [
        (names(1), vec![], "table: 1 names for 0 columns"),
        (names(0), vec![], "table: 0 names for 0 columns"),
        (names(2), vec![vec![1.0], vec![]], "series `s1`: 0 values where `s0` has 1"),
        (names(1), vec![vec![1.0, f64::NAN]], "series `s0`: the value of row 1 (from 0) is NaN"),
    ];
    for (names, columns, expected) in cases {
        assert_eq!(Table::new(names, columns).unwrap_err().to_string(), expected);
    }
}

#[test]
fn a_wide_table_keeps_every_cell_in_its_place() {
    let (rows, columns) = (300, 862);
    let value = |row: usize, column: usize| (row * columns + column) as f64 * 0.125 - 7.0;
    let mut text = String::from("date");
    for column in 0..columns {
        text += &format!(",s{column}");
    }
    for row in 0..rows {
        text += &format!("\n2016-07-01 {row}");
        for column in 0..columns {
            text += &format!(",{}", value(row, column));
        }
    }
    let table = load(&gzip(text.as_bytes()), &plain()).unwrap();
    assert_eq!((table.rows(), table.names.len()), (rows, columns));
    for (column, values) in table.columns.iter().enumerate() {
        for (row, &found) in values.iter().enumerate() {
            assert_eq!(found, value(row, column), "row {row}, column {column}");
        }
    }
}

#[test]
fn files_are_read_and_named() {
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"));
    // Gzip under a plain name: the content decides.
    let path = folder.join("data_table_gzip.csv");
    std::fs::write(&path, gzip(b"date,a\nx,1\ny,!\n")).unwrap();
    let error = Table::load(&path, &plain()).unwrap_err().to_string();
    let expected = format!("{}:3: column 2 (`a`): \"!\" is not a finite number", path.display());
    assert_eq!(error, expected);
    let absent = folder.join("data_table_absent.csv");
    for path in [absent.as_path(), folder] {
        let error = Table::load(path, &plain()).unwrap_err();
        let named = error.to_string().starts_with(&format!("{}: cannot be read: ", path.display()));
        assert!(named && matches!(error, DataError::Read { .. }), "{error}");
    }
}
