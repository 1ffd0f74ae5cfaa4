//! A table of realistic size.

use super::*;

/// Returns a memory value of this process in bytes.
#[cfg(target_os = "linux")]
fn memory(key: &str) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap();
    1024.0 * line.trim().trim_end_matches(" kB").parse::<f64>().unwrap()
}

/// The table of `large::wide_hours` as Parquet and as Arrow, with the same limits.
/// `cargo test --release -p vdn-forecast --features arrow --test columnar -- --ignored --nocapture`
#[cfg(target_os = "linux")]
#[test]
#[ignore = "a table of 68 MB; measures the peak of the whole process"]
fn a_table_of_whole_size_is_read_in_seconds_and_little_memory() {
    let (rows, columns) = (26_304_i64, 321);
    let folder = tempfile::tempdir().unwrap();
    let names: Vec<String> = (0..columns).map(|column| column.to_string()).collect();
    let hours = (0..rows).map(|row| 1_325_376_000_000_000 + row * 3_600_000_000);
    let times: ArrayRef = Arc::new(TimestampMicrosecondArray::from_iter_values(hours));
    let value = |row: i64, column: i64| ((row * 31 + column * 17) % 1000) as f64 * 0.123;
    let of = |column: i64| -> ArrayRef {
        Arc::new(Float64Array::from_iter_values((0..rows).map(|row| value(row, column))))
    };
    let mut all = vec![("date", times)];
    all.extend(names.iter().map(String::as_str).zip((0..columns).map(of)));
    let table = batch(all);
    let (whole, feather) = (folder.path().join("wide.parquet"), folder.path().join("wide.feather"));
    let snappy = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
    let file = std::fs::File::create(&whole).unwrap();
    let mut writer = ArrowWriter::try_new(file, table.schema(), Some(snappy)).unwrap();
    writer.write(&table).unwrap();
    writer.close().unwrap();
    arrow(&feather, &table);
    drop(table);
    for path in [whole, feather] {
        // Resets the peak.
        std::fs::write("/proc/self/clear_refs", "5").unwrap();
        let (before, start) = (memory("VmRSS:"), std::time::Instant::now());
        let table = load(&path, &SeriesOptions::default()).unwrap();
        let seconds = start.elapsed().as_secs_f64();
        let numbers = 8.0 * table.columns.iter().map(Vec::len).sum::<usize>() as f64;
        let above = memory("VmHWM:") - before - numbers;
        let stored = std::fs::metadata(&path).unwrap().len() as f64;
        println!(
            "{:?}, {:.1} MB: {seconds:.2} s, {:.0} MB above the numbers",
            path.extension().unwrap(),
            stored / 1e6,
            above / 1e6
        );
        assert_eq!(numbers, 8.0 * (rows * columns) as f64);
        assert!(seconds < 5.0, "{seconds} s");
        assert!(above < 150e6, "{above} bytes");
    }
}
