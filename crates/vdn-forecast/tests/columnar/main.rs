//! Series from Parquet and Arrow IPC, and forecasts to them. The files of other programs beside
//! this one are written by `make.py`. A program of its own: it is built with the feature `arrow`
//! alone, and without the other tests. `cargo test -p vdn-forecast --features arrow --test
//! columnar`

use arrow_array::types::Int32Type;
use arrow_array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Date32Array, Date64Array, Decimal128Array,
    DictionaryArray, Float32Array, Float64Array, Int64Array, NullArray, RecordBatch, StringArray,
    Time32SecondArray, TimestampMicrosecondArray, TimestampMillisecondArray,
    TimestampNanosecondArray, TimestampSecondArray, UInt64Array,
};
use arrow_schema::{DataType, Field, Schema};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::arrow::{ArrowWriter, encode_arrow_schema};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::data_type::{ByteArray, ByteArrayType};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
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
        // Without names of columns those of text, and the one without values, are left out.
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
    let forecasts = Forecasts { csv: csv.to_owned(), dated: true, notes: Vec::new() };
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
    // The names of Nixtla's libraries, times with an offset, an integer that f64 rounds.
    let csv = "unique_id,ds,vdn,vdn-lo-90,vdn-hi-90\na,2020-01-31 01:00:00+01:00,\
               9007199254740993,9007199254740992,9007199254740995\n";
    let path = folder.path().join("nixtla.parquet");
    Forecasts { csv: csv.to_owned(), dated: true, notes: Vec::new() }.write(&path).unwrap();
    let file = std::fs::File::open(path).unwrap();
    let mut reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
    let written = reader.next().unwrap().unwrap();
    let names: Vec<_> = written.schema().fields().iter().map(|f| f.name().clone()).collect();
    assert_eq!(names, ["unique_id", "ds", "vdn", "vdn-lo-90", "vdn-hi-90"]);
    let midnight = TimestampMicrosecondArray::from(vec![1_580_428_800_000_000]);
    assert_eq!(&*written.column(1).clone(), &midnight.with_timezone("UTC") as &dyn Array);
    let large = Float64Array::from(vec![9_007_199_254_740_992.0]);
    assert_eq!(&*written.column(2).clone(), &large as &dyn Array);
    // Without dates the names of Nixtla have steps there.
    let csv = "unique_id,ds,vdn\na,1,0.5\na,2,0.5\n".to_owned();
    let path = folder.path().join("steps.parquet");
    Forecasts { csv, dated: false, notes: Vec::new() }.write(&path).unwrap();
    let file = std::fs::File::open(path).unwrap();
    let mut reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
    let column = reader.next().unwrap().unwrap().column(1).clone();
    assert_eq!(&*column, &Int64Array::from(vec![1, 2]) as &dyn Array);
    // Months are no times of a day.
    let months = "series,step,date,mean\na,1,2020-01,0.1\n".to_owned();
    let path = folder.path().join("months.parquet");
    Forecasts { csv: months, dated: true, notes: Vec::new() }.write(&path).unwrap();
    let file = std::fs::File::open(path).unwrap();
    let mut reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
    let column = reader.next().unwrap().unwrap().column(2).clone();
    assert_eq!(&*column, &StringArray::from(vec!["2020-01"]) as &dyn Array);
}

/// The library looks at the bytes of texts alone that are marked as UTF-8.
#[test]
fn texts_that_are_not_marked_as_utf8_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bytes.parquet");
    let schema =
        Arc::new(parse_message_type("message t { required binary name (JSON); }").unwrap());
    let file = std::fs::File::create(&path).unwrap();
    let mut writer = SerializedFileWriter::new(file, schema, Arc::default()).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    let values = vec![ByteArray::from(vec![0xf0_u8]); 9];
    column.typed::<ByteArrayType>().write_batch(&values, None, None).unwrap();
    column.close().unwrap();
    group.close().unwrap();
    writer.close().unwrap();
    let expected = "column 1 (`name`) has texts that are not marked as UTF-8";
    let error = load(&path, &filled()).unwrap_err();
    assert!(error.contains(expected), "{error}");
    // Bytes that the schema of Arrow beside them calls texts.
    let bytes: ArrayRef = Arc::new(BinaryArray::from_iter_values([[0xf0_u8]; 9]));
    let table = RecordBatch::try_from_iter([("name", bytes)]).unwrap();
    let texts = Schema::new(vec![Field::new("name", DataType::Utf8, false)]);
    let value = KeyValue::new("ARROW:schema".to_owned(), encode_arrow_schema(&texts));
    let properties = WriterProperties::builder().set_key_value_metadata(Some(vec![value])).build();
    let options = ArrowWriterOptions::new().with_properties(properties);
    let options = options.with_skip_arrow_metadata(true);
    let file = std::fs::File::create(&path).unwrap();
    let mut writer = ArrowWriter::try_new_with_options(file, table.schema(), options).unwrap();
    writer.write(&table).unwrap();
    writer.close().unwrap();
    let error = load(&path, &filled()).unwrap_err();
    assert!(error.contains(expected), "{error}");
}

/// Groups of columns that say they have more children than there are, or lie in each other: the
/// library reserves what they say, and calls itself.
#[test]
fn damaged_footers_are_refused_before_the_library_reads_them() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("footer.parquet");
    let error = |elements: &[&[u8]]| {
        let count = elements.len() as u8;
        let mut footer = vec![0x15, 2, 0x19, 0xfc, count];
        assert!(count < 128);
        elements.iter().for_each(|element| footer.extend_from_slice(element));
        footer.push(0);
        let mut file = b"PAR1".to_vec();
        file.extend_from_slice(&footer);
        file.extend_from_slice(&(footer.len() as u32).to_le_bytes());
        file.extend_from_slice(b"PAR1");
        std::fs::write(&path, file).unwrap();
        load(&path, &filled()).unwrap_err()
    };
    // A name, and 2^31 - 1 children.
    let many = error(&[&[0x48, 1, b'r', 0x15, 0xfe, 0xff, 0xff, 0xff, 0x0f, 0]]);
    assert!(many.contains("its footer is damaged"), "{many}");
    let group: &[u8] = &[0x48, 1, b'g', 0x15, 2, 0];
    let deep = error(&[group; 100]);
    assert!(deep.contains("its columns are nested more than 64 deep"), "{deep}");
    let open = error(&[group; 10]);
    assert!(open.contains("its footer is damaged"), "{open}");
}

/// What a reader could take for another header is damage, and rows that are not there are missed.
#[test]
fn headers_and_numbers_of_rows_are_read_strictly() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("patched.parquet");
    let whole: Vec<f64> = (0..50).map(f64::from).collect();
    let table = batch(vec![("y", Arc::new(Float64Array::from(whole)))]);
    parquet(&path, &table, Compression::UNCOMPRESSED);
    assert_eq!(load(&path, &filled()).unwrap().rows(), 50);
    let bytes = std::fs::read(&path).unwrap();
    let error = |patches: &[(usize, u8)]| {
        let mut bytes = bytes.clone();
        patches.iter().for_each(|&(at, value)| bytes[at] = value);
        std::fs::write(&path, bytes).unwrap();
        load(&path, &filled()).unwrap_err()
    };
    // The first field of the first header, its kind, with another type; its second one again.
    assert_eq!((bytes[4], bytes[6]), (0x15, 0x15));
    for patch in [(4, 0x16), (6, 0x05)] {
        let error = error(&[patch]);
        assert!(error.contains("column 1 (`y`) is damaged: the header of a page"), "{error}");
    }
    // 50 rows, in the footer and in its row group.
    let rows: Vec<usize> = bytes
        .windows(2)
        .enumerate()
        .filter(|(_, two)| *two == [0x16, 2 * 50])
        .map(|(at, _)| at + 1)
        .collect();
    let one = error(&[(rows[0], 2 * 51)]);
    assert!(one.contains("rows, its row groups"), "{one}");
    let all: Vec<(usize, u8)> = rows.iter().map(|&at| (at, 2 * 51)).collect();
    let both = error(&all);
    assert!(both.contains("says 51 rows and holds 50") || both.contains("EOF"), "{both}");
}

/// A pipe is read once, from its first byte on.
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

/// The texts that values stand for, seen as names of series.
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

/// A number of this process' memory in bytes.
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
        // The peak from here on.
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
