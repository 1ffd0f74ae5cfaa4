//! The output of forecasts: a file of CSV, Parquet or Arrow IPC, according to its name.

use crate::run::forecast_run::Forecasts;
use std::path::Path;
use vdn_train::TrainError;
use vdn_train::run::write_atomically;

/// Returns the extension of a file name, in lower case.
fn ending(path: &Path) -> Option<String> {
    path.extension().map(|ending| ending.to_string_lossy().to_lowercase())
}

impl Forecasts {
    /// Checks that [`Forecasts::write`] supports this file name, before anything is computed.
    ///
    /// # Errors
    /// Fails for Parquet or Arrow in a program without the feature `arrow`.
    pub fn check_name(path: &Path) -> Result<(), TrainError> {
        #[cfg(not(feature = "arrow"))]
        if matches!(ending(path).as_deref(), Some("parquet" | "arrow" | "feather")) {
            return Err(TrainError::format(path, columns::REASON));
        }
        let _ = path;
        Ok(())
    }

    /// Writes the forecasts to a file: Parquet if its name ends in `.parquet`, Arrow IPC if it ends
    /// in `.arrow` or `.feather`, else CSV.
    ///
    /// The columns of the CSV are written with these types:
    ///
    /// - names: text;
    /// - numbers of steps and paths: integers;
    /// - values: `f64` (integers beyond 2^53 are rounded);
    /// - dates: timestamps in microseconds (in UTC if the offset is known);
    /// - months, quarters and years: text.
    ///
    /// # Errors
    /// Fails if the file cannot be written, and for Parquet or Arrow in a program without the
    /// feature `arrow`.
    pub fn write(&self, path: &Path) -> Result<(), TrainError> {
        let bytes = match ending(path).as_deref() {
            Some("parquet") => columns::parquet(&self.csv, self.dated),
            Some("arrow" | "feather") => columns::arrow(&self.csv, self.dated),
            _ => Ok(self.csv.clone().into_bytes()),
        };
        write_atomically(path, &bytes.map_err(|reason| TrainError::format(path, reason))?)
    }
}

#[cfg(not(feature = "arrow"))]
mod columns {
    pub(super) const REASON: &str = "the program was built without the feature `arrow`, which writes \
                                     Parquet and Arrow files; write CSV";

    pub(super) fn parquet(_: &str, _: bool) -> Result<Vec<u8>, String> {
        Err(REASON.to_owned())
    }

    pub(super) fn arrow(_: &str, _: bool) -> Result<Vec<u8>, String> {
        Err(REASON.to_owned())
    }
}

#[cfg(feature = "arrow")]
mod columns {
    use crate::data::time::{DateForm, Moment};
    use arrow_array::{
        ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
    };
    use parquet::arrow::ArrowWriter;
    use parquet::basic::Compression;
    use parquet::file::properties::WriterProperties;
    use std::sync::Arc;
    use vdn_train::data::{DelimitedFile, FileForm, Limits, NumberForm};

    /// The names of text columns in forecasts.
    const TEXTS: [&str; 3] = ["series", "unique_id", "aggregate"];
    /// The names of date columns. In Nixtla's format without dates, they contain steps.
    const DATES: [&str; 2] = ["date", "ds"];
    /// The names of integer columns.
    const COUNTS: [&str; 3] = ["step", "path", "steps"];

    pub(super) fn parquet(csv: &str, dated: bool) -> Result<Vec<u8>, String> {
        let (batch, mut bytes) = (batch(csv, dated)?, Vec::new());
        let snappy = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
        let written = ArrowWriter::try_new(&mut bytes, batch.schema(), Some(snappy))
            .and_then(|mut writer| writer.write(&batch).and_then(|()| writer.close()));
        written.map_err(|error| error.to_string())?;
        Ok(bytes)
    }

    pub(super) fn arrow(csv: &str, dated: bool) -> Result<Vec<u8>, String> {
        let (batch, mut bytes) = (batch(csv, dated)?, Vec::new());
        let written = arrow_ipc::writer::FileWriter::try_new(&mut bytes, &batch.schema())
            .and_then(|mut writer| writer.write(&batch).and_then(|()| writer.finish()));
        written.map_err(|error| error.to_string())?;
        Ok(bytes)
    }

    /// Converts the table to typed columns.
    fn batch(csv: &str, dated: bool) -> Result<RecordBatch, String> {
        let form = FileForm { delimiter: Some(b','), numbers: Some(NumberForm::DecimalPoint) };
        let file = DelimitedFile::from_bytes("forecasts", csv.as_bytes(), form, Limits::default());
        let mut file = file.map_err(|error| error.to_string())?;
        let names = file.names().to_vec();
        let mut cells: Vec<Vec<String>> = vec![Vec::new(); names.len()];
        while file.next_row().map_err(|error| error.to_string())? {
            for (place, column) in cells.iter_mut().enumerate() {
                column.push(String::from_utf8_lossy(file.cell(place)).into_owned());
            }
        }
        let columns = names.iter().zip(cells).map(|(name, cells)| {
            let column = match name.as_str() {
                name if TEXTS.contains(&name) => texts(&cells),
                name if DATES.contains(&name) && dated => dates(&cells),
                name if DATES.contains(&name) => integers(&cells)?,
                name if COUNTS.contains(&name) => integers(&cells)?,
                _ => numbers(&cells)?,
            };
            Ok((name.clone(), column))
        });
        let columns = columns.collect::<Result<Vec<_>, String>>()?;
        RecordBatch::try_from_iter(columns).map_err(|error| error.to_string())
    }

    fn texts(cells: &[String]) -> ArrayRef {
        Arc::new(StringArray::from_iter_values(cells))
    }

    fn integers(cells: &[String]) -> Result<ArrayRef, String> {
        let parse = |cell: &String| cell.parse().map_err(|_| format!("{cell:?} is no integer"));
        let parsed = cells.iter().map(parse).collect::<Result<Vec<i64>, String>>()?;
        Ok(Arc::new(Int64Array::from(parsed)))
    }

    fn numbers(cells: &[String]) -> Result<ArrayRef, String> {
        let parse = |cell: &String| match cell.as_str() {
            "" => Ok(None),
            cell => cell.parse().map(Some).map_err(|_| format!("{cell:?} is no number")),
        };
        let parsed = cells.iter().map(parse).collect::<Result<Vec<Option<f64>>, String>>()?;
        Ok(Arc::new(Float64Array::from(parsed)))
    }

    /// Converts to timestamps if all cells are dates of a day or a time; else to texts.
    fn dates(cells: &[String]) -> ArrayRef {
        let of = |cell: &String| DateForm::Iso.parse(cell).filter(|_| cell.len() >= 10);
        let Some(moments) = cells.iter().map(of).collect::<Option<Vec<Moment>>>() else {
            return texts(cells);
        };
        let utc = moments.first().is_some_and(|moment| moment.offset.is_some());
        if moments.iter().any(|moment| moment.offset.is_some() != utc) {
            return texts(cells);
        }
        let micros = moments
            .iter()
            .map(|moment| moment.clock - 1_000_000 * i64::from(moment.offset.unwrap_or(0)));
        let times = TimestampMicrosecondArray::from_iter_values(micros);
        match utc {
            true => Arc::new(times.with_timezone("UTC")),
            false => Arc::new(times),
        }
    }
}
