//! The speed and memory of reading large files. Run one test per process: `for t in wide_hours
//! many_rows long_file; do cargo test --release -p vdn-forecast --test all -- --ignored --exact
//! data::large::$t --nocapture; done`

use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::time::Instant;
use vdn_forecast::data::{SeriesOptions, SeriesTable};

/// Returns the peak memory of the process in bytes.
fn peak() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    1024.0 * line.trim().trim_end_matches(" kB").parse::<f64>().unwrap()
}

fn write(name: &str, rows: impl FnOnce(&mut BufWriter<std::fs::File>)) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    rows(&mut BufWriter::new(std::fs::File::create(&path).unwrap()));
    path
}

/// The date and time `row` hours after 2012-01-01, in months of 28 days and years of twelve months.
fn hour(row: usize) -> String {
    let date = vdn_forecast::data::time::Calendar {
        step: vdn_forecast::data::time::Step::Seconds(3600),
        clock: vdn_forecast::data::time::Clock::File,
        form: vdn_forecast::data::time::DateForm::Iso,
    };
    date.date_after(1_325_376_000_000_000, row)
}

/// Measures reading with the `csv` crate alone, then as series, in MB/s of text, with limits.
fn measure(path: &Path, numbers: usize) {
    let bytes = std::fs::metadata(path).unwrap().len() as f64;
    let start = Instant::now();
    let mut reader = csv::Reader::from_path(path).unwrap();
    let (mut record, mut cells) = (csv::ByteRecord::new(), 0);
    while reader.read_byte_record(&mut record).unwrap() {
        cells += record.len();
    }
    let plain = start.elapsed().as_secs_f64();
    let before = peak();
    let start = Instant::now();
    let table = SeriesTable::load(path, &SeriesOptions::default()).unwrap();
    let seconds = start.elapsed().as_secs_f64();
    let above = peak() - before - 8.0 * numbers as f64;
    println!(
        "{:.0} MB, {cells} cells: {seconds:.2} s, {:.0} MB/s (the csv crate alone {:.0} MB/s), \
         {:.0} MB above the numbers",
        bytes / 1e6,
        bytes / 1e6 / seconds,
        bytes / 1e6 / plain,
        above / 1e6
    );
    assert_eq!(table.columns.iter().map(Vec::len).sum::<usize>(), numbers);
    assert!(table.notes.is_empty() && table.calendar().is_some(), "{:?}", table.notes);
    assert!(seconds < 5.0, "{seconds} s");
    assert!(above < 150e6, "{above} bytes");
    let _ = std::fs::remove_file(path);
}

fn wide(name: &str, rows: usize, columns: usize) {
    let path = write(name, |file| {
        let names: Vec<String> = (0..columns).map(|i| i.to_string()).collect();
        writeln!(file, "date,{}", names.join(",")).unwrap();
        for row in 0..rows {
            write!(file, "{}", hour(row)).unwrap();
            for column in 0..columns {
                write!(file, ",{:.3}", ((row * 31 + column * 17) % 1000) as f64 * 0.123).unwrap();
            }
            writeln!(file).unwrap();
        }
    });
    measure(&path, rows * columns);
}

#[test]
#[ignore = "a file of 60 MB; measures the peak of the whole process"]
fn wide_hours() {
    wide("wide_hours.csv", 26_304, 321);
}

#[test]
#[ignore = "a file of 80 MB; measures the peak of the whole process"]
fn many_rows() {
    wide("many_rows.csv", 200_000, 50);
}

#[test]
#[ignore = "a file of 330 MB; measures the peak of the whole process"]
fn long_file() {
    let (series, rows) = (10_000, 1000);
    let dates: Vec<String> = (0..rows).map(hour).collect();
    let path = write("long_file.csv", |file| {
        writeln!(file, "unique_id,ds,y").unwrap();
        for one in 0..series {
            for (row, date) in dates.iter().enumerate() {
                let value = ((row * 31 + one * 17) % 1000) as f64 * 0.123;
                writeln!(file, "S{one:05},{date},{value:.3}").unwrap();
            }
        }
    });
    measure(&path, series * rows);
}
