//! Reading series from Parquet and Arrow IPC, and writing forecasts to them. `make.py` wrote the
//! files of other programs in this folder. This is a separate test program, which is built only
//! with the feature `arrow`, without the other tests:
//! `cargo test -p vdn-forecast --features arrow --test columnar`

mod damage;
#[cfg(target_os = "linux")]
mod large;
mod tables;
mod written;

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

/// Compressed by LZ4, as pandas and Polars write it.
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

fn outside(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/columnar").join(name)
}

/// Compares the names, bits, times and offsets of two files.
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
