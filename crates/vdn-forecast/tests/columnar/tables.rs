//! The content of tables of all kinds and of other programs.

use super::*;

#[test]
fn one_table_has_the_same_bits_in_each_kind_of_file() {
    let folder = tempfile::tempdir().unwrap();
    let [csv, parquet, feather] = three(folder.path());
    let text = load(&csv, &filled()).unwrap();
    assert_eq!((text.names.len(), text.rows()), (4, ROWS));
    assert_eq!(text.date(0, 3).as_deref(), Some("2020-01-01 03:00:00"));
    for path in [parquet, feather] {
        let other = load(&path, &filled()).unwrap();
        assert_eq!((&other.names, bits(&other)), (&text.names, bits(&text)), "{path:?}");
        assert_eq!(other.calendar(), text.calendar());
        let last = |table: &SeriesTable| table.date(2, ROWS + 5);
        assert_eq!((last(&other), &other.notes), (last(&text), &text.notes));
    }
}

#[test]
fn a_long_table_has_names_from_a_dictionary_and_times_with_a_zone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("long.parquet");
    let keys: DictionaryArray<Int32Type> =
        (0..60).map(|row| if row < 40 { "north" } else { "south" }).collect();
    let hour = |row: i64| 3_600_000 * if row < 40 { row } else { row - 40 };
    let times = TimestampMillisecondArray::from_iter_values((0..60).map(hour));
    let values = Float64Array::from_iter_values((0..60).map(|row| f64::from(row * 7 % 11) + 0.5));
    let table = batch(vec![
        ("unique_id", Arc::new(keys)),
        ("ds", Arc::new(times.with_timezone("Europe/Berlin"))),
        ("y", Arc::new(values)),
    ]);
    parquet(&path, &table, Compression::SNAPPY);
    let found = load(&path, &SeriesOptions::default()).unwrap();
    assert_eq!(
        (&found.names[..], found.columns[1].len()),
        (&["north".into(), "south".into()][..], 20)
    );
    assert_eq!(found.date(0, 1).as_deref(), Some("1970-01-01 02:00:00+01:00"));
}

#[test]
fn days_are_dates() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("days.parquet");
    let days = Date32Array::from_iter_values(18_321..18_341);
    let values = Int64Array::from_iter_values(0..20);
    let table = batch(vec![("date", Arc::new(days)), ("y", Arc::new(values))]);
    parquet(&path, &table, Compression::UNCOMPRESSED);
    let found = load(&path, &SeriesOptions::default()).unwrap();
    assert_eq!(found.date(0, 0).as_deref(), Some("2020-02-29"));
}

#[test]
fn errors_name_file_column_and_row() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bad.parquet");
    let mut values = vec![1.5; 40];
    values[6] = f64::INFINITY;
    let steps = Int64Array::from_iter_values(0..40);
    let table = batch(vec![
        ("step", Arc::new(steps.clone())),
        ("load", Arc::new(Float64Array::from(values))),
    ]);
    parquet(&path, &table, Compression::SNAPPY);
    let error = load(&path, &SeriesOptions::default()).unwrap_err();
    assert!(error.contains("bad.parquet:7: column 2 (`load`)"), "{error}");
    let missing: Float64Array = (0..40).map(|row| (row != 9).then_some(1.0)).collect();
    let table = batch(vec![("step", Arc::new(steps.clone())), ("load", Arc::new(missing))]);
    parquet(&path, &table, Compression::SNAPPY);
    let error = load(&path, &SeriesOptions::default()).unwrap_err();
    assert!(error.contains("bad.parquet:10") && error.contains("(`load`)"), "{error}");
    // Line breaks within texts do not start rows.
    let texts = StringArray::from_iter_values((0..40).map(|row| format!("{row}\nmore")));
    let mut values = vec![1.5; 40];
    values[20] = f64::NEG_INFINITY;
    let table =
        batch(vec![("remark", Arc::new(texts)), ("load", Arc::new(Float64Array::from(values)))]);
    arrow(&path, &table);
    let load_alone = SeriesOptions { columns: Some(vec!["load".into()]), ..filled() };
    let error = load(&path, &load_alone).unwrap_err();
    assert!(error.contains("bad.parquet:21: column 2 (`load`)"), "{error}");
}

#[test]
fn files_of_other_programs_hold_what_their_csv_holds() {
    for name in ["pandas_index.parquet", "pandas.feather"] {
        let found = assert_same(&outside(name), &outside("pandas_index.csv"), &filled());
        assert_eq!(found.names, ["load", "price, net", "people"]);
        assert_eq!(found.date(0, 1).as_deref(), Some("2021-03-01 01:00:00"));
    }
    let long =
        SeriesOptions { future: vec!["plan".into()], statics: vec!["kind".into()], ..filled() };
    for name in [
        "polars_long.parquet",
        "polars_long_uncompressed.arrow",
        "polars_long_lz4.arrow",
        "polars_long_zstd.arrow",
    ] {
        let found = assert_same(&outside(name), &outside("polars_long.csv"), &long);
        assert_eq!(found.names, ["north", "south, old"]);
        assert_eq!((found.columns[0].len(), found.columns[1].len()), (26, 20));
        assert_eq!(found.date(1, 9).as_deref(), Some("2020-02-29"));
    }
    for name in [
        "pyarrow_none.parquet",
        "pyarrow_snappy.parquet",
        "pyarrow_gzip.parquet",
        "pyarrow_lz4.parquet",
        "pyarrow_zstd.parquet",
        "pyarrow_v2.parquet",
        "pyarrow_uncompressed.feather",
        "pyarrow_lz4.feather",
        "pyarrow_zstd.feather",
    ] {
        let names = ["large", "price", "cents", "flag"].map(str::to_owned);
        let some = SeriesOptions { columns: Some(names.to_vec()), ..filled() };
        let found = assert_same(&outside(name), &outside("pyarrow.csv"), &some);
        assert_eq!(found.offset(0), 9_007_199_254_740_993);
        assert_eq!((found.columns[0][1], found.columns[1][8]), (3.0, 3.21));
        // Clocks skip an hour in between; dates have the offset of the last row.
        assert_eq!(found.date(0, 12).as_deref(), Some("2021-03-28 02:00:00+02:00"));
        // If columns are not named, text columns and the one without values are left out.
        let found = assert_same(&outside(name), &outside("pyarrow.csv"), &filled());
        assert_eq!(found.names, names);
    }
}

#[test]
fn what_is_not_read_is_named() {
    let error = load(&outside("pyarrow_brotli.parquet"), &filled()).unwrap_err();
    assert!(error.contains("column 1 (`cents`) is compressed by BROTLI"), "{error}");
    for name in ["pyarrow_lists.parquet", "pyarrow_lists.feather"] {
        let path = outside(name);
        let error = load(&path, &filled()).unwrap_err();
        assert!(error.contains(&format!("{name}: column 2 (`parts`) is of the type")), "{error}");
        assert!(error.contains("data.columns") && error.lines().count() == 1, "{error}");
        let take = |name: &str| SeriesOptions { columns: Some(vec![name.into()]), ..filled() };
        let found = load(&path, &take("y")).unwrap();
        assert_eq!((&found.names[..], found.rows()), (&["y".to_owned()][..], 48));
        for column in ["parts", "#2"] {
            let error = load(&path, &take(column)).unwrap_err();
            assert!(error.contains("column 2 (`parts`) is of the type"), "{error}");
        }
    }
    // Texts whose stated lengths alone claim memory.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("delta.parquet");
    let texts: ArrayRef = Arc::new(StringArray::from_iter_values((0..9).map(|x| x.to_string())));
    for encoding in [Encoding::DELTA_BYTE_ARRAY, Encoding::DELTA_LENGTH_BYTE_ARRAY] {
        let properties = WriterProperties::builder().set_dictionary_enabled(false);
        let properties = properties.set_encoding(encoding).build();
        let table = batch(vec![("name", texts.clone())]);
        let file = std::fs::File::create(&path).unwrap();
        let mut writer = ArrowWriter::try_new(file, table.schema(), Some(properties)).unwrap();
        writer.write(&table).unwrap();
        writer.close().unwrap();
        let error = load(&path, &filled()).unwrap_err();
        assert!(error.contains("column 1 (`name`) has texts in a delta encoding"), "{error}");
    }
}

/// Series, a plan and a category: a run learns the same weights from both kinds of file.
#[test]
fn a_run_learns_the_same_from_csv_and_parquet() {
    let settings = "[data]\ninput_len = 4\nhorizon = 2\nfuture = [\"plan\"]\nstatic = \
        [\"kind\"]\ncalendar = true\nfill = \"forward\"\n[model]\nunits = 2\nhidden = 4\n\
        [train]\nepochs = 2\nbatch = 8\n[diagnostics]\nwindows = 0\n";
    let folder = tempfile::tempdir().unwrap();
    let weights = |name: &str| {
        let mut config = RunConfig::from_toml(settings).unwrap();
        config.data.file = Some(outside(name));
        let out = folder.path().join(name);
        train_run(&config, Some(&out), |_, _| {}).unwrap();
        std::fs::read(RunDirectory::open(&out).unwrap().weights(false)).unwrap()
    };
    let csv = weights("polars_long.csv");
    assert_eq!(weights("polars_long.parquet"), csv);
    assert_eq!(weights("polars_long_lz4.arrow"), csv);
}

/// A pipe is read once, from its first byte.
#[cfg(unix)]
#[test]
fn a_named_pipe_is_read_as_a_file_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&path).status().unwrap();
    assert!(made.success());
    let own = path.clone();
    let writer = std::thread::spawn(move || {
        let text: String = (0..300).map(|row| format!("{row}\n")).collect();
        std::fs::write(own, format!("y\n{text}"))
    });
    let table = load(&path, &filled()).unwrap();
    writer.join().unwrap().unwrap();
    assert_eq!(table.rows(), 300);
}

/// The texts of values, seen as names of series.
#[test]
fn values_of_all_types_are_written_as_what_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.arrow");
    // Each value stands in three rows.
    let names = |keys: ArrayRef| -> Vec<String> {
        let rows = keys.len();
        let days = Date32Array::from_iter_values((0..rows as i32).map(|row| row % 3));
        let values = Float64Array::from_iter_values((0..rows).map(|row| row as f64));
        arrow(&path, &batch(vec![("key", keys), ("ds", Arc::new(days)), ("y", Arc::new(values))]));
        let options = SeriesOptions {
            id_column: Some("key".to_owned()),
            target_column: Some("y".to_owned()),
            time: "ds".into(),
            ..filled()
        };
        load(&path, &options).unwrap().names
    };
    let large = UInt64Array::from(vec![u64::MAX; 3]);
    assert_eq!(names(Arc::new(large)), ["18446744073709551615"]);
    let hundreds = Decimal128Array::from(vec![-1234; 3]).with_precision_and_scale(10, -2).unwrap();
    assert_eq!(names(Arc::new(hundreds)), ["-123400"]);
    let cents = Decimal128Array::from(vec![-5; 3]).with_precision_and_scale(10, 2).unwrap();
    assert_eq!(names(Arc::new(cents)), ["-0.05"]);
    let dates = Date64Array::from(vec![86_400_000, 86_400_000, 86_400_000]);
    assert_eq!(names(Arc::new(dates)), ["1970-01-02"]);
    let times = Date64Array::from(vec![86_400_000 + 3_600_000; 3]);
    assert_eq!(names(Arc::new(times)), ["1970-01-02 01:00:00"]);
    let seconds = Time32SecondArray::from(vec![3661; 3]);
    assert_eq!(names(Arc::new(seconds)), ["01:01:01"]);
    let before = TimestampNanosecondArray::from(vec![-1_000_000_000; 3]);
    assert_eq!(names(Arc::new(before)), ["1969-12-31 23:59:59"]);
    let seconds = TimestampSecondArray::from(vec![-86_400; 3]).with_timezone("+05:30");
    assert_eq!(names(Arc::new(seconds)), ["1969-12-31 05:30:00+05:30"]);
    let keys: DictionaryArray<Int32Type> = ["b", "b", "b", "a", "a", "a"].into_iter().collect();
    assert_eq!(names(Arc::new(keys)), ["b", "a"]);
    let nowhere = TimestampSecondArray::from(vec![0; 3]).with_timezone("Mars/Base");
    arrow(&path, &batch(vec![("when", Arc::new(nowhere))]));
    let error = load(&path, &filled()).unwrap_err();
    assert!(error.contains("column 1 (`when`): no time zone is called \"Mars/Base\""), "{error}");
}
