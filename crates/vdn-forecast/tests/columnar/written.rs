//! Forecasts written as typed columns.

use super::*;

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
    // The names of Nixtla's libraries, times with an offset, and an integer that f64 rounds.
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
    // Without dates, Nixtla's column `ds` contains steps.
    let csv = "unique_id,ds,vdn\na,1,0.5\na,2,0.5\n".to_owned();
    let path = folder.path().join("steps.parquet");
    Forecasts { csv, dated: false, notes: Vec::new() }.write(&path).unwrap();
    let file = std::fs::File::open(path).unwrap();
    let mut reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
    let column = reader.next().unwrap().unwrap().column(1).clone();
    assert_eq!(&*column, &Int64Array::from(vec![1, 2]) as &dyn Array);
    // Months are not timestamps.
    let months = "series,step,date,mean\na,1,2020-01,0.1\n".to_owned();
    let path = folder.path().join("months.parquet");
    Forecasts { csv: months, dated: true, notes: Vec::new() }.write(&path).unwrap();
    let file = std::fs::File::open(path).unwrap();
    let mut reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
    let column = reader.next().unwrap().unwrap().column(2).clone();
    assert_eq!(&*column, &StringArray::from(vec!["2020-01"]) as &dyn Array);
}
