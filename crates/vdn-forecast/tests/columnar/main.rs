//! Series from Parquet and Arrow IPC, and forecasts to them. The files of other programs beside this
//! one are written by `make.py`. A program of its own: it is built with the feature `arrow` alone,
//! and without the other tests.
//! `cargo test -p vdn-forecast --features arrow --test columnar`

use arrow_array::types::Int32Type;
use arrow_array::{
    Array, ArrayRef, BooleanArray, Date32Array, DictionaryArray, Float32Array, Float64Array,
    Int64Array, NullArray, RecordBatch, StringArray, TimestampMicrosecondArray,
    TimestampMillisecondArray,
};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::properties::WriterProperties;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use vdn_forecast::config::RunConfig;
use vdn_forecast::data::{SeriesOptions, SeriesTable};
use vdn_forecast::run::{Forecasts, RunDirectory, train_run};
use vdn_tensor::noise::NoiseKey;
use vdn_train::data::{Fill, Limits};

const ROWS: usize = 3000;

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, c)| (n, c, true)))
        .unwrap()
}

fn parquet(path: &Path, batch: &RecordBatch, compression: Compression) {
    let file = std::fs::File::create(path).unwrap();
    let properties = WriterProperties::builder().set_compression(compression);
    let properties = properties.set_max_row_group_row_count(Some(700)).build();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties)).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
}

/// As pandas and Polars write it: compressed by LZ4.
fn arrow(path: &Path, batch: &RecordBatch) {
    let file = std::fs::File::create(path).unwrap();
    let options = arrow_ipc::writer::IpcWriteOptions::default()
        .try_with_compression(Some(arrow_ipc::CompressionType::LZ4_FRAME))
        .unwrap();
    let mut writer =
        arrow_ipc::writer::FileWriter::try_new_with_options(file, &batch.schema(), options)
            .unwrap();
    for start in (0..batch.num_rows()).step_by(900) {
        writer.write(&batch.slice(start, 900.min(batch.num_rows() - start))).unwrap();
    }
    writer.finish().unwrap();
}

fn load(path: &Path, options: &SeriesOptions) -> Result<SeriesTable, String> {
    SeriesTable::load(path, options).map_err(|error| error.to_string())
}

fn filled() -> SeriesOptions {
    SeriesOptions { fill: Fill::Forward, ..SeriesOptions::default() }
}

/// Numbers of all magnitudes.
fn numbers() -> Vec<f64> {
    let mut x = vec![0.0; ROWS];
    NoiseKey::new(5, 0, 0).fill_normal(0, &mut x);
    x.iter().enumerate().map(|(row, x)| x * 10_f64.powi(row as i32 % 13 - 6)).collect()
}

/// The same table as CSV, Parquet and Arrow.
fn three(folder: &Path) -> [PathBuf; 3] {
    let floats = numbers();
    let missing = |row: usize| row % 97 == 5;
    let wide: Vec<Option<f64>> =
        floats.iter().enumerate().map(|(row, x)| (!missing(row)).then_some(*x)).collect();
    let small: Vec<f32> = floats.iter().map(|x| *x as f32).collect();
    let whole: Vec<i64> = (0..ROWS as i64).map(|row| row * 7919 % 4001 - 2000).collect();
    let truth: Vec<bool> = (0..ROWS).map(|row| row % 3 == 0).collect();
    let start = 1_577_836_800_000_000_i64; // 2020-01-01
    let times = (0..ROWS as i64).map(|row| start + row * 3_600_000_000);
    let table = batch(vec![
        ("when", Arc::new(TimestampMicrosecondArray::from_iter_values(times.clone()))),
        ("wide, \"of all\"", Arc::new(Float64Array::from(wide.clone()))),
        ("small", Arc::new(Float32Array::from(small.clone()))),
        ("whole", Arc::new(Int64Array::from(whole.clone()))),
        ("truth", Arc::new(BooleanArray::from(truth.clone()))),
    ]);
    let mut text = "when,\"wide, \"\"of all\"\"\",small,whole,truth\n".to_owned();
    for (row, time) in times.enumerate() {
        let at = time / 1_000_000 - start / 1_000_000;
        let day = [31, 29, 31, 30, 31].iter().try_fold((1, at / 86_400), |(month, left), n| {
            if left < *n { Err((month, left)) } else { Ok((month + 1, left - n)) }
        });
        let (month, day) = day.unwrap_or_else(|found| found);
        let cell = wide[row].map_or_else(String::new, |x| x.to_string());
        text += &format!(
            "2020-{month:02}-{:02} {:02}:00:00,{cell},{},{},{}\n",
            day + 1,
            at / 3600 % 24,
            small[row],
            whole[row],
            u8::from(truth[row])
        );
    }
    let paths = ["t.csv", "t.parquet", "t.feather"].map(|name| folder.join(name));
    std::fs::write(&paths[0], text).unwrap();
    parquet(&paths[1], &table, Compression::ZSTD(ZstdLevel::default()));
    arrow(&paths[2], &table);
    paths
}

fn bits(table: &SeriesTable) -> Vec<Vec<u64>> {
    table.columns.iter().map(|column| column.iter().map(|x| x.to_bits()).collect()).collect()
}

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
    let values = Float64Array::from_iter_values((0..60).map(f64::from));
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
    // Lines within texts are no rows.
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

fn outside(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/columnar").join(name)
}

/// Names, bits, times and offsets of two files.
fn assert_same(path: &Path, csv: &Path, options: &SeriesOptions) -> SeriesTable {
    let (found, text) = (load(path, options).unwrap(), load(csv, options).unwrap());
    assert_eq!((&found.names, bits(&found)), (&text.names, bits(&text)), "{path:?}");
    assert_eq!(found.calendar(), text.calendar(), "{path:?}");
    for (series, column) in found.columns.iter().enumerate() {
        for row in [0, 1, column.len() + 3] {
            assert_eq!(found.date(series, row), text.date(series, row), "{path:?}");
        }
        assert_eq!(found.offset(series), text.offset(series), "{path:?}");
    }
    found
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
        // Clocks skip an hour on the way; dates have the offset of the last row.
        assert_eq!(found.date(0, 12).as_deref(), Some("2021-03-28 02:00:00+02:00"));
        // Without names of columns the one without values is refused, as in CSV.
        let error = load(&outside(name), &filled()).unwrap_err().replace(name, "pyarrow.csv");
        assert_eq!(error, load(&outside("pyarrow.csv"), &filled()).unwrap_err());
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
    // Texts whose lengths alone ask for memory.
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

/// Damage within the fields that say how much is there.
#[test]
fn a_small_file_does_not_get_what_it_asks_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("zeros");
    // A page, and a block, of 80 MB in some kilobytes.
    let zeros = batch(vec![("y", Arc::new(Float64Array::from(vec![0.0; 10_000_000])))]);
    let properties = WriterProperties::builder()
        .set_dictionary_enabled(false)
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_data_page_size_limit(1 << 30)
        .set_data_page_row_count_limit(1 << 30)
        .set_max_row_group_row_count(None)
        .set_write_batch_size(1 << 24)
        .build();
    let file = std::fs::File::create(&path).unwrap();
    let mut writer = ArrowWriter::try_new(file, zeros.schema(), Some(properties)).unwrap();
    writer.write(&zeros).unwrap();
    writer.close().unwrap();
    assert!(std::fs::metadata(&path).unwrap().len() < 20_000);
    let error = load(&path, &filled()).unwrap_err();
    assert!(error.contains("row group 1") && error.contains("`expansion`"), "{error}");
    let options = arrow_ipc::writer::IpcWriteOptions::default()
        .try_with_compression(Some(arrow_ipc::CompressionType::ZSTD))
        .unwrap();
    let write = |table: &RecordBatch, options: &arrow_ipc::writer::IpcWriteOptions| {
        let file = std::fs::File::create(&path).unwrap();
        let (schema, options) = (table.schema(), options.clone());
        let mut writer =
            arrow_ipc::writer::FileWriter::try_new_with_options(file, &schema, options).unwrap();
        writer.write(table).unwrap();
        writer.finish().unwrap();
    };
    write(&zeros, &options);
    assert!(std::fs::metadata(&path).unwrap().len() < 20_000);
    let error = load(&path, &filled()).unwrap_err();
    assert!(error.contains("a block unpacks") && error.contains("`expansion`"), "{error}");
    // A buffer that says it unpacks to a petabyte.
    write(&zeros.slice(0, 1000), &options);
    assert_eq!(load(&path, &filled()).unwrap().rows(), 1000);
    let mut bytes = std::fs::read(&path).unwrap();
    let length = 8000_i64.to_le_bytes();
    let at = bytes.windows(8).position(|eight| eight == length).unwrap();
    bytes[at..at + 8].copy_from_slice(&(1_i64 << 50).to_le_bytes());
    std::fs::write(&path, bytes).unwrap();
    let error = load(&path, &filled()).unwrap_err();
    assert!(error.contains("a block unpacks"), "{error}");
    // Rows without any bytes.
    let nothing = batch(vec![("y", Arc::new(NullArray::new(1 << 40)))]);
    write(&nothing, &arrow_ipc::writer::IpcWriteOptions::default());
    let error = load(&path, &filled()).unwrap_err();
    assert!(error.contains("more than 268435456 rows of data (limit `rows`)"), "{error}");
    // A text of a megabyte in each of many rows, once in a dictionary.
    let long = "x".repeat(1 << 20);
    let texts: DictionaryArray<Int32Type> = (0..100).map(|_| long.as_str()).collect();
    let table = batch(vec![
        ("day", Arc::new(Date32Array::from_iter_values(0..100))),
        ("remark", Arc::new(texts)),
        ("y", Arc::new(Float64Array::from(vec![0.5; 100]))),
    ]);
    parquet(&path, &table, Compression::ZSTD(ZstdLevel::default()));
    let error = load(&path, &filled()).unwrap_err();
    let expected = "more than 200 bytes of text for each byte of the file (limit `expansion`)";
    assert!(error.contains(expected), "{error}");
}

/// Series, a plan, a category: the weights that a run learns from both kinds of file.
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

#[test]
fn what_a_small_file_asks_of_memory_is_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("constant.parquet");
    let table = batch(vec![("y", Arc::new(Float64Array::from(vec![0.25; 100_000])))]);
    parquet(&path, &table, Compression::ZSTD(ZstdLevel::default()));
    assert!(std::fs::metadata(&path).unwrap().len() < 200_000);
    let limits = Limits { content_bytes: 100_000, ..Limits::default() };
    let error = load(&path, &SeriesOptions { limits, ..filled() }).unwrap_err();
    assert!(error.contains("constant.parquet") && error.contains("`content_bytes`"), "{error}");
    let limits = Limits { file_bytes: 100, ..Limits::default() };
    let error = load(&path, &SeriesOptions { limits, ..filled() }).unwrap_err();
    assert!(error.contains("`file_bytes`"), "{error}");
}

/// Every eighth byte, each with another value, and files that are cut off: an error in one line,
/// or the numbers of a file whose damage does not show.
#[test]
fn damaged_files_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let [_, whole, _] = three(folder.path());
    let small = folder.path().join("small.parquet");
    let feather = folder.path().join("small.feather");
    let rows: Vec<f64> = numbers()[..50].to_vec();
    let table = batch(vec![
        ("step", Arc::new(Int64Array::from_iter_values(0..50))),
        ("y", Arc::new(Float64Array::from(rows))),
        ("kind", Arc::new(StringArray::from_iter_values((0..50).map(|_| "a")))),
    ]);
    parquet(&small, &table, Compression::SNAPPY);
    arrow(&feather, &table);
    let options = SeriesOptions { columns: Some(vec!["y".to_owned()]), ..filled() };
    let mut refused = 0;
    let damaged = folder.path().join("damaged");
    for file in [&small, &feather] {
        let bytes = std::fs::read(file).unwrap();
        assert!(load(file, &options).is_ok());
        for (place, value) in (6..bytes.len()).step_by(8).zip((1..=255_u8).cycle().step_by(7)) {
            let mut bytes = bytes.clone();
            bytes[place] ^= value;
            std::fs::write(&damaged, &bytes).unwrap();
            if let Err(error) = load(&damaged, &options) {
                refused += 1;
                assert_eq!(error.lines().count(), 1, "{error}");
            }
        }
        for length in (6..bytes.len()).step_by(bytes.len() / 20) {
            std::fs::write(&damaged, &bytes[..length]).unwrap();
            let error = load(&damaged, &options).unwrap_err();
            assert!(error.lines().count() == 1, "{error}");
        }
    }
    assert!(refused > 20, "{refused}");
    let bytes = std::fs::read(&whole).unwrap();
    std::fs::write(&damaged, &bytes[..bytes.len() / 2]).unwrap();
    assert!(load(&damaged, &filled()).is_err());
}

#[test]
fn forecasts_are_written_as_typed_columns() {
    let folder = tempfile::tempdir().unwrap();
    let csv = "series,step,date,mean,q0.5\n\"a, b\",1,2020-01-31,0.1,-1e-7\n\"a, b\",2,\
               2020-02-01,12345678901234567890,3\n";
    let forecasts = Forecasts { csv: csv.to_owned(), notes: Vec::new() };
    for name in ["f.parquet", "f.arrow", "f.csv"] {
        forecasts.write(&folder.path().join(name)).unwrap();
    }
    assert_eq!(std::fs::read_to_string(folder.path().join("f.csv")).unwrap(), csv);
    let file = std::fs::File::open(folder.path().join("f.parquet")).unwrap();
    let mut reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
    let written = reader.next().unwrap().unwrap();
    let file = std::fs::File::open(folder.path().join("f.arrow")).unwrap();
    let mut reader = arrow_ipc::reader::FileReader::try_new(file, None).unwrap();
    assert_eq!(reader.next().unwrap().unwrap(), written);
    let expected = RecordBatch::try_from_iter(vec![
        ("series", Arc::new(StringArray::from(vec!["a, b"; 2])) as ArrayRef),
        ("step", Arc::new(Int64Array::from(vec![1, 2]))),
        (
            "date",
            Arc::new(TimestampMicrosecondArray::from(vec![
                1_580_428_800_000_000,
                1_580_515_200_000_000,
            ])),
        ),
        ("mean", Arc::new(Float64Array::from(vec![0.1, 12345678901234567890.0]))),
        ("q0.5", Arc::new(Float64Array::from(vec![-1e-7, 3.0]))),
    ]);
    assert_eq!(written.columns(), expected.unwrap().columns());
    // The names of Nixtla's libraries, times with an offset, an integer that f64 would round.
    let csv = "unique_id,ds,vdn,vdn-lo-90,vdn-hi-90\na,2020-01-31 01:00:00+01:00,\
               9007199254740993,9007199254740992,9007199254740995\n";
    let path = folder.path().join("nixtla.parquet");
    Forecasts { csv: csv.to_owned(), notes: Vec::new() }.write(&path).unwrap();
    let file = std::fs::File::open(path).unwrap();
    let mut reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
    let written = reader.next().unwrap().unwrap();
    let names: Vec<_> = written.schema().fields().iter().map(|f| f.name().clone()).collect();
    assert_eq!(names, ["unique_id", "ds", "vdn", "vdn-lo-90", "vdn-hi-90"]);
    let midnight = TimestampMicrosecondArray::from(vec![1_580_428_800_000_000]);
    assert_eq!(&*written.column(1).clone(), &midnight.with_timezone("UTC") as &dyn Array);
    let large = Int64Array::from(vec![9_007_199_254_740_993]);
    assert_eq!(&*written.column(2).clone(), &large as &dyn Array);
    // Months are no times of a day.
    let months = "series,step,date,mean\na,1,2020-01,0.1\n".to_owned();
    let path = folder.path().join("months.parquet");
    Forecasts { csv: months, notes: Vec::new() }.write(&path).unwrap();
    let file = std::fs::File::open(path).unwrap();
    let mut reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
    let column = reader.next().unwrap().unwrap().column(2).clone();
    assert_eq!(&*column, &StringArray::from(vec!["2020-01"]) as &dyn Array);
}
