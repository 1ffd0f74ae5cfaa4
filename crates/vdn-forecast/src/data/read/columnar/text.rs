//! Conversion of tables of typed columns to lines of text, row by row.
//!
//! The memory needs of a file are checked before it is decoded (`pages.rs`, `blocks.rs`). A panic
//! of the decoding library becomes an error. The text is read under the same limits as text from
//! any other file.

use crate::data::read::columnar::cells::{CellWriter, is_read, quote};
use crate::data::read::columnar::{Kind, blocks, footer, pages};
use crate::data::read::{SeriesOptions, TimeColumn};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_ipc::reader::FileReaderBuilder;
use arrow_schema::{ArrowError, DataType, Field, Schema};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder,
};
use parquet::basic::ConvertedType;
use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;
use std::sync::{Arc, Once};
use vdn_train::data::{DataError, DelimitedFile, FileForm, NumberForm};

/// The number of Parquet rows that are decoded at a time; Arrow files have their own blocks.
const BATCH: usize = 1024;

/// The number of bytes of text that are produced at a time; a longer row is produced whole.
const PIECE: usize = 1 << 16;

type Batches = Box<dyn Iterator<Item = Result<RecordBatch, ArrowError>>>;

/// Opens a file of this kind.
pub(super) fn open(
    path: &Path,
    kind: Kind,
    options: &SeriesOptions,
) -> Result<DelimitedFile<'static>, DataError> {
    let name = path.display().to_string();
    let (limits, file) = (options.limits, name.clone());
    let beyond =
        |limit, most, what| Err(DataError::Limit { place: name.clone(), limit, most, what });
    let bad = |problem: String| DataError::Format { file: name.clone(), problem };
    let read = |source| DataError::Read { file: name.clone(), source };
    let opened = File::open(path).map_err(read)?;
    let stored = opened.metadata().map_err(read)?.len();
    if stored > limits.file_bytes {
        return beyond("file_bytes", limits.file_bytes, "bytes");
    }
    let table = guarded(kind, || match kind {
        Kind::Parquet => parquet(opened, options),
        Kind::Arrow => arrow(opened, options),
    });
    let Table { columns, rows, batches } = table.map_err(&bad)?;
    if rows > limits.rows {
        return beyond("rows", limits.rows, "rows of data");
    }
    let mut text = String::new();
    for (place, column) in columns.iter().enumerate() {
        if place > 0 {
            text.push(',');
        }
        quote(&column.name, &mut text);
    }
    text.push('\n');
    let text = text.into_bytes();
    let most = limits.row_bytes;
    let (batch, row, before, at) = (None, 0, 0, 0);
    let rows = Rows { kind, columns, batches, batch, row, before, rows, text, at, most };
    let form = FileForm { delimiter: Some(b','), numbers: Some(NumberForm::DecimalPoint) };
    DelimitedFile::from_rows(&file, rows, stored, form, limits)
}

/// A column of the file.
struct Column {
    name: String,
    /// Whether the values of the column are read; otherwise its cells are empty.
    is_read: bool,
}

/// The content of a file.
struct Table {
    columns: Vec<Column>,
    rows: u64,
    /// Batches with the columns that are read.
    batches: Batches,
}

/// Returns the columns of a file. A column whose type cannot be read is an error, unless the
/// options name the columns to use and this column is not among them.
fn columns(schema: &Schema, options: &SeriesOptions) -> Result<Vec<Column>, String> {
    let fields = schema.fields().iter().enumerate();
    let column = |(place, field): (usize, &Arc<Field>)| {
        let position = format!("#{}", place + 1);
        let is_called = |name: &String| name.trim() == field.name() || name.trim() == position;
        let is_read = is_read(field.data_type());
        let chosen = options.columns.is_some() || options.target_column.is_some();
        if !is_read && (!chosen || named(options).any(is_called)) {
            return Err(format!(
                "column {} (`{}`) is of the type {}, which is none of numbers, texts, dates and \
                 times; name the columns to take by data.columns, or, in long form, \
                 data.target_column",
                place + 1,
                field.name(),
                field.data_type()
            ));
        }
        Ok(Column { name: field.name().clone(), is_read })
    };
    fields.map(column).collect()
}

/// Returns the column names in the options.
fn named(options: &SeriesOptions) -> impl Iterator<Item = &String> {
    let time = match &options.time {
        TimeColumn::Named(name) => Some(name),
        _ => None,
    };
    let lists = [&options.past, &options.future, &options.statics];
    lists
        .into_iter()
        .flatten()
        .chain(options.columns.iter().flatten())
        .chain(options.id_column.iter().chain(&options.target_column))
        .chain(time)
}

/// Returns the positions of the columns that are read.
fn places(columns: &[Column]) -> Vec<usize> {
    (0..columns.len()).filter(|&place| columns[place].is_read).collect()
}

fn parquet(file: File, options: &SeriesOptions) -> Result<Table, String> {
    let failed = |error: parquet::errors::ParquetError| error.to_string();
    footer::check(&file)?;
    let found = ArrowReaderMetadata::load(&file, ArrowReaderOptions::new()).map_err(failed)?;
    let columns = columns(found.schema(), options)?;
    let read: Vec<bool> = columns.iter().map(|column| column.is_read).collect();
    pages::check(&file, found.metadata(), &read, &options.limits)?;
    let rows = found.metadata().file_metadata().num_rows();
    let groups = found.metadata().row_groups().iter().map(|group| group.num_rows());
    let of_groups = groups.fold(0, i64::saturating_add);
    if rows != of_groups {
        return Err(format!("the file says {rows} rows, its row groups {of_groups}"));
    }
    let rows = u64::try_from(rows).map_err(|_| "its tables are damaged")?;
    check_texts(&found, &columns)?;
    // Decodes texts as views: a long text in a dictionary is in memory once, however often it
    // occurs.
    let fields = found.schema().fields().iter().map(|field| match plain(field.data_type()) {
        Some(values) => Arc::new(Field::clone(field).with_data_type(values)),
        None => Arc::clone(field),
    });
    let schema =
        Schema::new_with_metadata(fields.collect::<Vec<_>>(), found.schema().metadata().clone());
    let as_views = ArrowReaderOptions::new().with_schema(Arc::new(schema));
    let metadata =
        ArrowReaderMetadata::try_new(Arc::clone(found.metadata()), as_views).map_err(failed)?;
    let mask = ProjectionMask::roots(metadata.parquet_schema(), places(&columns));
    let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata);
    let batches = builder.with_projection(mask).with_batch_size(BATCH).build().map_err(failed)?;
    Ok(Table { columns, rows, batches: Box::new(batches) })
}

/// Rejects texts that the file does not mark as UTF-8: the library validates only marked texts.
fn check_texts(found: &ArrowReaderMetadata, columns: &[Column]) -> Result<(), String> {
    let (schema, fields) = (found.parquet_schema(), found.schema().fields());
    for leaf in 0..schema.num_columns() {
        let root = schema.get_column_root_idx(leaf);
        let (Some(column), Some(field)) = (columns.get(root), fields.get(root)) else { continue };
        let values = plain(field.data_type()).unwrap_or_else(|| field.data_type().clone());
        let is_marked = schema.column(leaf).converted_type() == ConvertedType::UTF8;
        if column.is_read && values == DataType::Utf8View && !is_marked {
            return Err(format!(
                "column {} (`{}`) has texts that are not marked as UTF-8, which are not read",
                root + 1,
                column.name
            ));
        }
    }
    Ok(())
}

/// Returns the type to decode values of this type to, if it is another one.
fn plain(of: &DataType) -> Option<DataType> {
    match of {
        DataType::Utf8 | DataType::LargeUtf8 => Some(DataType::Utf8View),
        DataType::Dictionary(_, values) => {
            Some(plain(values).unwrap_or_else(|| DataType::clone(values)))
        }
        _ => None,
    }
}

fn arrow(file: File, options: &SeriesOptions) -> Result<Table, String> {
    let failed = |error: ArrowError| error.to_string();
    let rows = blocks::check(&file, &options.limits)?;
    let open = |file: File, places: Option<Vec<usize>>| {
        let builder = match places {
            Some(places) => FileReaderBuilder::new().with_projection(places),
            None => FileReaderBuilder::new(),
        };
        builder.build(BufReader::new(file)).map_err(failed)
    };
    let whole = open(file.try_clone().map_err(|error| error.to_string())?, None)?;
    let columns = columns(&whole.schema(), options)?;
    let places = places(&columns);
    let reader = match places.len() == columns.len() {
        true => whole,
        false => open(file, Some(places))?,
    };
    Ok(Table { columns, rows, batches: Box::new(reader) })
}

thread_local! {
    /// Whether a panic of this thread becomes an error. The panic hook then prints nothing.
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Returns the result of `act`, and turns a panic of the library into an error. The first call
/// installs a panic hook, which passes on all other panics.
fn guarded<V>(kind: Kind, act: impl FnOnce() -> Result<V, String>) -> Result<V, String> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !GUARDED.get() {
                before(info);
            }
        }));
    });
    GUARDED.set(true);
    let result = panic::catch_unwind(AssertUnwindSafe(act));
    GUARDED.set(false);
    match result {
        Ok(result) => result,
        Err(_) => Err(format!("the {} file is damaged", kind.name())),
    }
}

/// A reader of the rows of a file as lines.
struct Rows {
    kind: Kind,
    columns: Vec<Column>,
    batches: Batches,
    /// The current batch: its number of rows, and a writer for each of its columns.
    batch: Option<(usize, Vec<CellWriter>)>,
    /// The next row of the current batch; `before` is the number of rows in the batches before it.
    row: usize,
    before: u64,
    /// The number of rows that the file states.
    rows: u64,
    /// Lines that were not read yet, from `at` on.
    text: Vec<u8>,
    at: usize,
    /// The maximum number of bytes of a row.
    most: u64,
}

impl Rows {
    /// Produces lines, up to one piece of text; nothing at the end of the file.
    fn make(&mut self) -> Result<(), String> {
        let mut text = String::new();
        while text.len() < PIECE {
            match &self.batch {
                Some((rows, _)) if self.row == *rows => {
                    self.before += *rows as u64;
                    self.batch = None;
                }
                Some((_, writers)) => {
                    let start = text.len();
                    self.line(writers, &mut text)?;
                    // An empty line would be skipped; quotes make it a row.
                    if self.columns.len() == 1 && text.len() == start {
                        text.push_str("\"\"");
                    }
                    text.push('\n');
                    self.row += 1;
                }
                None => {
                    let next = self.batches.next().transpose();
                    let Some(batch) = next.map_err(|error| error.to_string())? else { break };
                    (self.batch, self.row) = (Some((batch.num_rows(), self.writers(&batch)?)), 0);
                }
            }
        }
        if text.is_empty() && self.before != self.rows {
            return Err(format!("the file says {} rows and holds {}", self.rows, self.before));
        }
        (self.text, self.at) = (text.into_bytes(), 0);
        Ok(())
    }

    /// Returns the writers for the columns of a batch.
    fn writers(&self, batch: &RecordBatch) -> Result<Vec<CellWriter>, String> {
        let read = self.columns.iter().enumerate().filter(|(_, column)| column.is_read);
        if batch.num_columns() != read.clone().count() {
            return Err("the file is damaged: a batch has other columns".to_owned());
        }
        let writer = |((place, column), values): ((usize, &Column), &ArrayRef)| {
            let wrong = |what| format!("column {} (`{}`): {what}", place + 1, column.name);
            CellWriter::new(values.as_ref()).map_err(wrong)
        };
        read.zip(batch.columns()).map(writer).collect()
    }

    /// Writes the cells of the next row.
    fn line(&self, writers: &[CellWriter], text: &mut String) -> Result<(), String> {
        let (start, mut writers) = (text.len(), writers.iter());
        for (place, column) in self.columns.iter().enumerate() {
            if place > 0 {
                text.push(',');
            }
            let Some(writer) = column.is_read.then(|| writers.next()).flatten() else { continue };
            let wrong = |what: String| {
                let row = self.before + self.row as u64 + 1;
                format!("row {row}, column {} (`{}`): {what}", place + 1, column.name)
            };
            writer.write(self.row, text).map_err(wrong)?;
            // Quotes within a text are doubled.
            if (text.len() - start) as u64 > self.most.saturating_mul(2) {
                let most = self.most;
                return Err(wrong(format!(
                    "more than {most} bytes in one row (limit `row_bytes`)"
                )));
            }
        }
        Ok(())
    }
}

impl Read for Rows {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        if self.at == self.text.len() {
            guarded(self.kind, || self.make()).map_err(io::Error::other)?;
        }
        let read = (&self.text[self.at..]).read(to)?;
        self.at += read;
        Ok(read)
    }
}
