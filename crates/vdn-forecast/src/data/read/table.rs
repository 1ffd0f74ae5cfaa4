//! [`SeriesTable`]: series in order of time, each from its first value on.

use crate::data::read::columns::Columns;
use crate::data::read::side::{Side, SideNames};
use crate::data::read::{SeriesOptions, TimeColumn, columnar, place, rows, series};
use crate::data::support::Support;
use crate::data::time::{Calendar, Progressions};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use vdn_train::data::{DataError, DelimitedFile, Table};

/// Series of any lengths, in order of time, all values finite, or NaN where they stay missing
/// ([`SeriesOptions::mask`]): `columns[series][row]`.
///
/// A series begins with its first value. Rows are one step of the calendar apart, where times are
/// known.
#[derive(Clone, Debug, Default)]
pub struct SeriesTable {
    /// Names of the series.
    pub names: Vec<String>,
    /// Values, one vector for each series.
    pub columns: Vec<Vec<f64>>,
    /// What was done to the rows, and what is suspicious about them, one sentence each.
    pub notes: Vec<String>,
    pub(in crate::data) file: String,
    pub(in crate::data) calendar: Option<Calendar>,
    pub(in crate::data) rows: Vec<SeriesRows>,
    pub(in crate::data) support: Support,
    pub(in crate::data) side: SideNames,
    /// Whether values may be missing.
    pub(in crate::data) masked: bool,
}

/// Where the rows of a series stand.
#[derive(Clone, Debug, Default)]
pub(in crate::data) struct SeriesRows {
    /// The time of its first row.
    pub(super) start: i64,
    /// What was subtracted from its values.
    pub(super) offset: i128,
    /// Its first row among those of `lines`.
    pub(super) first: usize,
    /// The lines of the rows in the file, 0 where a place has none.
    pub(super) lines: Arc<Progressions>,
    /// Rows that were filled from a later value.
    pub(super) interpolated: Vec<Range<usize>>,
    /// What stands beside the rows of `lines`.
    pub(super) side: Arc<Side>,
}

impl SeriesTable {
    /// Reads the series of a delimited file, plain or gzip, or, with the feature `arrow`, of a
    /// Parquet or Arrow IPC file, in wide or in long form.
    ///
    /// Wide: a column of times, where there is one, and a column for each series. Long: columns of
    /// times, of the names of series, and of their values; the series may have different lengths.
    ///
    /// # Errors
    /// Those of [`DelimitedFile::open`] and [`DelimitedFile::next_row`]; a cell that is no number
    /// ([`DataError::BadCell`]) or missing where no fill policy is chosen
    /// ([`DataError::MissingCell`]); dates of no known form or of two readings, times that come
    /// twice, are irregular or have gaps that are not to be filled ([`DataError::Format`]); columns
    /// that are not there or contradict each other.
    pub fn load(path: impl AsRef<Path>, options: &SeriesOptions) -> Result<Self, DataError> {
        let path = path.as_ref();
        let file = match columnar::open(path, options)? {
            Some(file) => file,
            None => DelimitedFile::open(path, options.form, options.limits)?,
        };
        Self::read(file, options)
    }

    /// The same of content in memory; `file` names it in messages.
    ///
    /// # Errors
    /// As for [`SeriesTable::load`].
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

    /// The longest series' number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.columns.iter().map(Vec::len).max().unwrap_or(0)
    }

    /// The step of the rows and the form of their dates; `None` where times are not known.
    #[must_use]
    pub fn calendar(&self) -> Option<&Calendar> {
        self.calendar.as_ref()
    }

    /// The date of a row of a series, also beyond its last one; `None` where times are not known.
    #[must_use]
    pub fn date(&self, series: usize, row: usize) -> Option<String> {
        let start = self.start(series)?;
        Some(self.calendar.as_ref()?.date_after(start, row))
    }

    /// The time of the first row of a series.
    pub(crate) fn start(&self, series: usize) -> Option<i64> {
        self.calendar.as_ref()?;
        Some(self.rows.get(series)?.start)
    }

    /// What was subtracted from the values of a series, because they are integers beyond 2^53.
    #[must_use]
    pub fn offset(&self, series: usize) -> i128 {
        self.rows.get(series).map_or(0, |rows| rows.offset)
    }

    /// Subtracts `offset` from the values of a series instead of what was subtracted before.
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

    /// The first rows of some series, as many as `rows` says of each length; all that is known of
    /// them stays. A gap that was filled by the line to a value behind these rows is filled with
    /// the last value before it, as any gap at the end is.
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

    /// The names of the columns beside the series.
    pub(crate) fn side_names(&self) -> &SideNames {
        &self.side
    }

    /// A column of numbers beside a series, on rows of which that of the series' first value is
    /// number [`SeriesTable::side_start`].
    pub(in crate::data) fn side(&self, series: usize, column: usize) -> &[f64] {
        self.rows.get(series).map_or(&[], |rows| &rows.side.columns[column])
    }

    /// The row of the columns beside a series in which the series has its first value.
    pub(in crate::data) fn side_start(&self, series: usize) -> usize {
        self.rows.get(series).map_or(0, |rows| rows.first)
    }

    /// The cell of a series in a static column.
    pub(in crate::data) fn category(&self, series: usize, column: usize) -> &str {
        self.rows.get(series).map_or("", |rows| &rows.side.statics[column])
    }

    /// Where a row of a series stands in the file, as `file:line`; `None` where it stands nowhere.
    #[must_use]
    pub fn place(&self, series: usize, row: usize) -> Option<String> {
        let rows = self.rows.get(series)?;
        let line = rows.lines.get(rows.first + row).filter(|&line| line > 0)?;
        Some(format!("{}:{line}", self.file))
    }

    /// Rows of a series that were filled from a later value.
    pub(crate) fn interpolated(&self, series: usize) -> &[Range<usize>] {
        self.rows.get(series).map_or(&[], |rows| &rows.interpolated)
    }
}

impl From<Table> for SeriesTable {
    /// Series without times.
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
    /// `none`, or the name of a column.
    fn from(name: &str) -> Self {
        match name.eq_ignore_ascii_case("none") {
            true => Self::None,
            false => Self::Named(name.to_owned()),
        }
    }
}
