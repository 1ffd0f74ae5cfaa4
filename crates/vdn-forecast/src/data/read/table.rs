//! [`SeriesTable`]: series in order of time, each beginning with its first value.

use crate::data::read::columns::Columns;
use crate::data::read::side::{Side, SideNames};
use crate::data::read::{SeriesOptions, TimeColumn, columnar, place, rows, series};
use crate::data::support::Support;
use crate::data::time::{Calendar, Progressions};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use vdn_train::data::{DataError, DelimitedFile, Table};

/// Series of any lengths, in order of time: `columns[series][row]`.
///
/// All values are finite, except for missing values that are kept as NaN ([`SeriesOptions::mask`]).
/// A series begins with its first value. If times are known, rows are one step of the calendar
/// apart.
#[derive(Clone, Debug, Default)]
pub struct SeriesTable {
    /// The names of the series.
    pub names: Vec<String>,
    /// The values, one vector for each series.
    pub columns: Vec<Vec<f64>>,
    /// Notes on changes to the rows and on suspicious values, one sentence each.
    pub notes: Vec<String>,
    pub(in crate::data) file: String,
    pub(in crate::data) calendar: Option<Calendar>,
    pub(in crate::data) rows: Vec<SeriesRows>,
    pub(in crate::data) support: Support,
    pub(in crate::data) side: SideNames,
    /// Whether values may be missing.
    pub(in crate::data) masked: bool,
}

/// The times and file positions of a series' rows.
#[derive(Clone, Debug, Default)]
pub(in crate::data) struct SeriesRows {
    /// The time of the first row.
    pub(super) start: i64,
    /// The offset that was subtracted from the values.
    pub(super) offset: i128,
    /// The index of the first row in `lines`.
    pub(super) first: usize,
    /// The lines of the rows in the file; 0 for a place without a row.
    pub(super) lines: Arc<Progressions>,
    /// The rows that were filled from a later value.
    pub(super) interpolated: Vec<Range<usize>>,
    /// The covariates on the rows of `lines`.
    pub(super) side: Arc<Side>,
}

impl SeriesTable {
    /// Reads the series of a file in wide or long form: a delimited file, plain or gzip, or, with
    /// the feature `arrow`, a Parquet or Arrow IPC file.
    ///
    /// - Wide: an optional column of times, and one column for each series.
    /// - Long: columns of times, of series names, and of values. The series may have different
    ///   lengths.
    ///
    /// # Errors
    /// - The errors of [`DelimitedFile::open`] and [`DelimitedFile::next_row`];
    /// - [`DataError::BadCell`] for a cell that is not a number, [`DataError::MissingCell`] for a
    ///   missing one without a fill policy;
    /// - [`DataError::Format`] for dates of unknown or ambiguous form, and for times that repeat,
    ///   are irregular, or have gaps without a fill policy;
    /// - an error for columns that do not exist or contradict each other.
    pub fn load(path: impl AsRef<Path>, options: &SeriesOptions) -> Result<Self, DataError> {
        let path = path.as_ref();
        let file = match columnar::open(path, options)? {
            Some(file) => file,
            None => DelimitedFile::open(path, options.form, options.limits)?,
        };
        Self::read(file, options)
    }

    /// [`SeriesTable::load`] for content in memory; messages refer to it as `file`.
    ///
    /// # Errors
    /// The errors of [`SeriesTable::load`].
    pub fn from_bytes(
        file: &str,
        bytes: &[u8],
        options: &SeriesOptions,
    ) -> Result<Self, DataError> {
        let file = DelimitedFile::from_bytes(file, bytes, options.form, options.limits)?;
        Self::read(file, options)
    }

    fn read(file: DelimitedFile<'_>, options: &SeriesOptions) -> Result<Self, DataError> {
        if let Some(sentinel) = options.sentinels.iter().find(|x| !x.is_finite()) {
            let what = format!("{sentinel} cannot be a sentinel: it is not a finite number");
            return Err(DataError::InvalidOption(what));
        }
        let columns = Columns::find(&file, options)?;
        let raw = rows::read(file, columns, options)?;
        series::finish(place::place(raw, options)?, options)
    }

    /// Returns the number of rows of the longest series.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.columns.iter().map(Vec::len).max().unwrap_or(0)
    }

    /// Returns the step of the rows and the form of their dates; `None` if times are not known.
    #[must_use]
    pub fn calendar(&self) -> Option<&Calendar> {
        self.calendar.as_ref()
    }

    /// Returns the date of a row of a series, also of rows beyond its end; `None` if times are not
    /// known.
    #[must_use]
    pub fn date(&self, series: usize, row: usize) -> Option<String> {
        let start = self.start(series)?;
        Some(self.calendar.as_ref()?.date_after(start, row))
    }

    /// Returns the time of the first row of a series.
    pub(crate) fn start(&self, series: usize) -> Option<i64> {
        self.calendar.as_ref()?;
        Some(self.rows.get(series)?.start)
    }

    /// Returns the offset that was subtracted from the values of a series. It is 0, unless they are
    /// integers beyond 2^53.
    #[must_use]
    pub fn offset(&self, series: usize) -> i128 {
        self.rows.get(series).map_or(0, |rows| rows.offset)
    }

    /// Changes the offset of a series to `offset`, and adjusts its values.
    pub(crate) fn set_offset(&mut self, series: usize, offset: i128) {
        let (Some(rows), Some(column)) = (self.rows.get_mut(series), self.columns.get_mut(series))
        else {
            return;
        };
        let more = (rows.offset - offset) as f64;
        if more != 0.0 {
            column.iter_mut().for_each(|value| *value += more);
        }
        rows.offset = offset;
    }

    /// Returns a table with the first rows of some series: `rows` maps the length of a series to
    /// the number of its rows to keep. Dates and covariates are kept. A gap that was interpolated
    /// towards a value after these rows is filled with the last value before it, as any gap at the
    /// end of a series.
    pub(crate) fn first_rows(&self, series: &[usize], rows: impl Fn(usize) -> usize) -> Self {
        let mut some = Self {
            file: self.file.clone(),
            calendar: self.calendar.clone(),
            support: self.support,
            side: self.side.clone(),
            masked: self.masked,
            ..Self::default()
        };
        for &one in series {
            let column = &self.columns[one];
            let end = rows(column.len());
            let mut column = column[..end].to_vec();
            let mut own = self.rows.get(one).cloned();
            if let Some(own) = &mut own {
                let open = own.interpolated.iter().find(|gap| gap.start < end && end <= gap.end);
                if let Some(gap) = open {
                    let before = column[gap.start - 1];
                    column[gap.start..].fill(before);
                }
                own.interpolated.retain(|gap| gap.end < end);
            }
            some.names.push(self.names[one].clone());
            some.columns.push(column);
            some.rows.extend(own);
        }
        some
    }

    /// Returns the names of the covariate columns.
    pub(crate) fn side_names(&self) -> &SideNames {
        &self.side
    }

    /// Returns a numeric covariate column of a series. The first value of the series is in row
    /// [`SeriesTable::side_start`] of it.
    pub(in crate::data) fn side(&self, series: usize, column: usize) -> &[f64] {
        self.rows.get(series).map_or(&[], |rows| &rows.side.columns[column])
    }

    /// Returns the row of the covariate columns in which the series has its first value.
    pub(in crate::data) fn side_start(&self, series: usize) -> usize {
        self.rows.get(series).map_or(0, |rows| rows.first)
    }

    /// Returns the cell of a series in a static column.
    pub(in crate::data) fn category(&self, series: usize, column: usize) -> &str {
        self.rows.get(series).map_or("", |rows| &rows.side.statics[column])
    }

    /// Returns the position of a row in the file, as `file:line`; `None` for a row that is not in
    /// the file.
    #[must_use]
    pub fn place(&self, series: usize, row: usize) -> Option<String> {
        let rows = self.rows.get(series)?;
        let line = rows.lines.get(rows.first + row).filter(|&line| line > 0)?;
        Some(format!("{}:{line}", self.file))
    }

    /// Returns the rows of a series that were filled from a later value.
    pub(crate) fn interpolated(&self, series: usize) -> &[Range<usize>] {
        self.rows.get(series).map_or(&[], |rows| &rows.interpolated)
    }
}

impl From<Table> for SeriesTable {
    /// Converts to series without times.
    fn from(table: Table) -> Self {
        let line = |row| table.place(row).and_then(|place| place.rsplit(':').next()?.parse().ok());
        let lines: Progressions = (0..table.rows()).map(|row| line(row).unwrap_or(0)).collect();
        let place = table.place(0).unwrap_or_default();
        let file = place.rsplit_once(':').map_or("", |(file, _)| file).to_owned();
        let one = SeriesRows { lines: Arc::new(lines), ..SeriesRows::default() };
        Self {
            rows: vec![one; table.names.len()],
            notes: table.report.to_string().lines().map(str::to_owned).collect(),
            names: table.names,
            columns: table.columns,
            file,
            calendar: None,
            support: Support::Real,
            side: SideNames::default(),
            masked: false,
        }
    }
}

impl From<&str> for TimeColumn {
    /// Converts `none` to [`TimeColumn::None`], any other text to the name of a column.
    fn from(name: &str) -> Self {
        match name.eq_ignore_ascii_case("none") {
            true => Self::None,
            false => Self::Named(name.to_owned()),
        }
    }
}
