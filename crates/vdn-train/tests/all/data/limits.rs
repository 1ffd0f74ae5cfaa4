//! The memory that a file can demand, and the contents that reach a terminal.

use super::support::{gzip, load, plain};
use std::io::{BufWriter, Write as _};
use std::path::Path;
use vdn_train::data::{DataError, IdxArray, Limits, Table, TableOptions};

fn limited(limits: Limits) -> TableOptions {
    TableOptions { limits, ..plain() }
}

#[test]
fn every_limit_is_named_in_one_line() {
    let text = b"date,a,b\nx,1,2\ny,3,4\nz,5,6\n";
    let zipped = gzip(text);
    let all = Limits::default();
    let cases: [(&[u8], Limits, &str); 8] = [
        (text, Limits { file_bytes: 20, ..all }, "f.csv: more than 20 bytes (limit `file_bytes`)"),
        (
            text,
            Limits { content_bytes: 20, ..all },
            "f.csv: more than 20 bytes of content (limit `content_bytes`)",
        ),
        (
            &zipped,
            Limits { content_bytes: 20, ..all },
            "f.csv: more than 20 bytes of content (limit `content_bytes`)",
        ),
        (
            text,
            Limits { row_bytes: 7, ..all },
            "f.csv:1: more than 7 bytes in one row (limit `row_bytes`)",
        ),
        (
            text,
            Limits { row_cells: 2, ..all },
            "f.csv:1: more than 2 cells in one row (limit `row_cells`)",
        ),
        (text, Limits { rows: 2, ..all }, "f.csv:4: more than 2 rows of data (limit `rows`)"),
        (
            text,
            Limits { cells: 5, ..all },
            "f.csv:4: more than 5 numbers in all series (limit `cells`)",
        ),
        (
            text,
            Limits { cells: 0, ..all },
            "f.csv:2: more than 0 numbers in all series (limit `cells`)",
        ),
    ];
    for (text, limits, expected) in cases {
        let error = load(text, &limited(limits)).unwrap_err();
        assert!(matches!(error, DataError::Limit { .. }), "{error:?}");
        assert_eq!(error.to_string(), expected);
    }
    let exact = Limits { rows: 3, cells: 6, file_bytes: text.len() as u64, ..all };
    assert_eq!(load(text, &limited(exact)).unwrap().rows(), 3);
}

#[test]
fn commas_are_no_columns() {
    let text = [&b"date,a\n"[..], &vec![b','; 1 << 20]].concat();
    let error = load(&text, &plain()).unwrap_err().to_string();
    assert_eq!(error, "f.csv:2: more than 262144 cells in one row (limit `row_cells`)");
}

#[cfg(unix)]
#[test]
fn only_files_and_pipes_are_read() {
    for path in ["/dev/zero", "/dev/null", "/dev", "/"] {
        for error in [
            Table::load(path, &plain()).unwrap_err().to_string(),
            IdxArray::load(path).unwrap_err().to_string(),
        ] {
            let expected = format!("{path}: cannot be read: this is a d");
            assert!(error.starts_with(&expected) && error.ends_with(", not a file"), "{error}");
        }
    }
}

#[cfg(unix)]
#[test]
fn a_pipe_is_a_file_of_unknown_length() {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("data_pipe.csv");
    let _ = std::fs::remove_file(&path);
    if !std::process::Command::new("mkfifo").arg(&path).status().is_ok_and(|s| s.success()) {
        // A system without named pipes has nothing to test here.
        return;
    }
    let write = |lines: usize| {
        let path = path.clone();
        std::thread::spawn(move || {
            let mut pipe = BufWriter::new(std::fs::File::options().write(true).open(path)?);
            pipe.write_all(b"date,a\n")?;
            (0..lines).try_for_each(|_| pipe.write_all(b"x,1\n"))?;
            pipe.flush()
        })
    };
    let writer = write(100_000);
    assert_eq!(Table::load(&path, &plain()).unwrap().rows(), 100_000);
    writer.join().unwrap().unwrap();
    let writer = write(1_000_000);
    let limits = Limits { file_bytes: 1000, ..Limits::default() };
    let error = Table::load(&path, &limited(limits)).unwrap_err().to_string();
    assert!(error.ends_with("more than 1000 bytes (limit `file_bytes`)"), "{error}");
    // The writer finds that nobody reads any more.
    assert!(writer.join().unwrap().is_err());
    let _ = std::fs::remove_file(&path);
}

#[test]
fn messages_are_short_lines_without_control_characters() {
    let long = "n".repeat(1_000_000);
    let names = ["a\u{1b}[2Jb", "\"a\nb\"", "a\u{202e}b", &long];
    for name in names {
        let cells: [&str; 4] = ["!", "", "\u{1b}]0;title\u{7}", &long];
        for cell in cells {
            let text = format!("date,{name}\nx,{cell}\n");
            let error = load(text.as_bytes(), &plain()).unwrap_err().to_string();
            assert!(!error.chars().any(|c| c.is_control() || c == '\u{202e}'), "{error}");
            assert!(error.chars().count() <= 500, "{}", error.len());
        }
        let wanted = TableOptions { columns: Some(vec![name.to_owned()]), ..plain() };
        let error = load(b"date,a\nx,1\n", &wanted).unwrap_err().to_string();
        assert!(error.chars().count() <= 500 && error.lines().count() == 1, "{}", error.len());
        let report = load(format!("{name}\n-9999\n").as_bytes(), &plain()).unwrap().report;
        let report = report.to_string();
        assert!(report.lines().count() == 1 && report.len() < 1000, "{}", report.len());
        assert!(!report.trim_end().chars().any(char::is_control), "{report}");
    }
}

/// With this many columns, a search of all names for each of them would take minutes.
#[test]
fn columns_are_found_by_name_without_a_search_for_each() {
    let names: Vec<String> = (0..250_000).map(|i| format!("s{i}")).collect();
    let values = vec!["1"; names.len()].join(",");
    let text = format!("{}\n{values}\n", names.join(","));
    let wanted = TableOptions { columns: Some(names.clone()), ..plain() };
    let table = load(text.as_bytes(), &wanted).unwrap();
    assert!(table.names == names);
}

/// Run separately: `cargo test -p vdn-train --test all data::limits -- --ignored --nocapture`.
#[cfg(target_os = "linux")]
#[test]
#[ignore = "writes a file of 90 MB, and measures the peak of the whole process"]
fn memory_of_a_wide_file_is_little_more_than_its_numbers() {
    let peak = || {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1024.0
    };
    let (rows, columns) = (200_000, 50);
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("data_wide.csv");
    let mut file = BufWriter::new(std::fs::File::create(&path).unwrap());
    let names: Vec<String> = (0..columns).map(|i| format!("s{i}")).collect();
    writeln!(file, "date,{}", names.join(",")).unwrap();
    for row in 0..rows {
        write!(file, "2016-07-01 {row:08}").unwrap();
        for column in 0..columns {
            write!(file, ",{:.5}", ((row * 31 + column * 17) % 1000) as f64 * 0.12345).unwrap();
        }
        writeln!(file).unwrap();
    }
    drop(file);
    let before = peak();
    let start = std::time::Instant::now();
    let table = Table::load(&path, &plain()).unwrap();
    let seconds = start.elapsed().as_secs_f64();
    let numbers = (rows * columns * 8) as f64 / f64::from(1 << 20);
    let length = std::fs::metadata(&path).unwrap().len() >> 20;
    let above = peak() - before - numbers;
    println!(
        "{length} MiB of text, {numbers:.0} MiB of numbers, {above:.0} MiB above, {seconds:.1} s"
    );
    assert_eq!((table.rows(), table.names.len()), (rows, columns));
    assert!(above < 150.0, "{above} MiB");
    let _ = std::fs::remove_file(&path);
}
