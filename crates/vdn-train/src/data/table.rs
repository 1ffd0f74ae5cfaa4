//! Time series in wide form: one row per time step, one column per series.

use std::collections::HashSet;
use std::fmt;
use std::path::Path;

use crate::data::cell::Cell;
use crate::data::dates::Dates;
use crate::data::delimited::DelimitedFile;
use crate::data::file_form::FileForm;
use crate::data::fill::{Fill, fill};
use crate::data::limits::Limits;
use crate::data::lines::Lines;
use crate::data::source::Content;
use crate::error::data::DataError;
use crate::one_line::one_line;

/// The header names (in any case) by which a first column is recognised as the date column.
pub const DATE_NAMES: [&str; 5] = ["date", "time", "timestamp", "datetime", "ds"];

/// A value that measuring stations write for "no measurement". It is reported if it is kept.
pub const SUSPICIOUS_SENTINEL: f64 = -9999.0;

/// The column of dates.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum DateColumn {
    /// The first column, if its name is one of [`DATE_NAMES`]; otherwise none.
    #[default]
    Auto,
    /// The column with this name, wherever it is, or the `k`-th one for `#k`.
    Named(String),
    /// No column: every column is a series.
    None,
}

/// The options of reading a wide file.
#[derive(Debug, Clone, PartialEq)]
pub struct TableOptions {
    /// The column of dates; default: automatic.
    pub date: DateColumn,
    /// The selected series in this order, by name or by position in the file (`#k`, from 1). `None`
    /// selects all. Cells of other columns are ignored.
    pub columns: Option<Vec<String>>,
    /// The form of the file. A part that is `None` is found from the content.
    pub form: FileForm,
    /// The treatment of missing values; default: an error.
    pub fill: Fill,
    /// Numbers that stand for a missing value; default: none.
    pub sentinels: Vec<f64>,
    /// The limits of reading.
    pub limits: Limits,
}

impl Default for TableOptions {
    fn default() -> Self {
        Self {
            date: DateColumn::Auto,
            columns: None,
            form: FileForm::default(),
            fill: Fill::Error,
            sentinels: Vec::new(),
            limits: Limits::default(),
        }
    }
}

/// A report on reading one series.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ColumnReport {
    /// The name of the series.
    pub name: String,
    /// The number of missing values that were filled, including sentinels.
    pub filled: usize,
    /// The number of filled values that were sentinels.
    pub sentinels: usize,
    /// The length of the longest run of filled values.
    pub longest_gap: usize,
    /// The number of cells equal to [`SUSPICIOUS_SENTINEL`] that were kept as numbers.
    pub suspicious: usize,
}

/// A report on reading a file. It prints one line for each finding about a series.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LoadReport {
    /// One entry per series, in the order of the table.
    pub columns: Vec<ColumnReport>,
}

impl LoadReport {
    /// The number of filled cells in all series together.
    pub fn filled(&self) -> usize {
        self.columns.iter().map(|column| column.filled).sum()
    }

    /// The number of suspicious sentinels that were kept in all series together.
    pub fn suspicious(&self) -> usize {
        self.columns.iter().map(|column| column.suspicious).sum()
    }
}

impl fmt::Display for LoadReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for column in &self.columns {
            let ColumnReport { filled, sentinels, longest_gap, suspicious, .. } = column;
            let name = one_line(&column.name);
            if *filled > 0 {
                writeln!(
                    f,
                    "{name}: {filled} missing values filled ({sentinels} of them sentinels), \
                     longest gap {longest_gap} rows"
                )?;
            }
            if *suspicious > 0 {
                writeln!(
                    f,
                    "{name}: {suspicious} cells are {SUSPICIOUS_SENTINEL}, kept as numbers; \
                     naming the value as a sentinel treats them as missing"
                )?;
            }
        }
        Ok(())
    }
}

/// Series of equal length: `columns[series][row]`, all values finite.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// The texts of the date column, row by row, as in the file. They are labels only; their form
    /// is not checked.
    pub dates: Option<Dates>,
    /// The names of the series.
    pub names: Vec<String>,
    /// The values, one vector per series.
    pub columns: Vec<Vec<f64>>,
    /// A report on filled and suspicious values.
    pub report: LoadReport,
    lines: Lines,
}

impl Table {
    /// Creates a table from series in memory.
    ///
    /// # Errors
    ///
    /// [`DataError::Mismatch`] if there are no series or the numbers of names and columns differ;
    /// [`DataError::BadSeries`] if lengths differ or a value is not finite.
    pub fn new(names: Vec<String>, columns: Vec<Vec<f64>>) -> Result<Self, DataError> {
        let bad = |series: &str, problem: String| {
            Err(DataError::BadSeries { series: series.to_owned(), problem })
        };
        if names.len() != columns.len() || names.is_empty() {
            let problem = format!("{} names for {} columns", names.len(), columns.len());
            return Err(DataError::Mismatch { op: "table", problem });
        }
        let rows = columns[0].len();
        for (name, column) in names.iter().zip(&columns) {
            if column.len() != rows {
                let problem = format!("{} values where `{}` has {rows}", column.len(), names[0]);
                return bad(name, problem);
            }
            if let Some(row) = column.iter().position(|value| !value.is_finite()) {
                return bad(name, format!("the value of row {row} (from 0) is {}", column[row]));
            }
        }
        let suspicious = |column: &[f64]| column.iter().filter(|&&v| is_suspicious(v)).count();
        let columns_report = names.iter().zip(&columns).map(|(name, column)| ColumnReport {
            name: name.clone(),
            suspicious: suspicious(column),
            ..ColumnReport::default()
        });
        let report = LoadReport { columns: columns_report.collect() };
        Ok(Self { dates: None, names, columns, report, lines: Lines::default() })
    }

    /// Reads a wide delimited file, plain or gzip.
    ///
    /// # Errors
    ///
    /// Returns an error in these cases:
    ///
    /// * The file cannot be read or is not such a table: [`DataError::Read`], [`DataError::Gzip`],
    ///   [`DataError::Format`], [`DataError::Empty`], [`DataError::NoRows`],
    ///   [`DataError::NoSeries`].
    /// * The header, a row or a cell is wrong (with file, line and column):
    ///   [`DataError::HeaderEncoding`], [`DataError::UnclosedQuote`], [`DataError::RaggedRow`],
    ///   [`DataError::BadCell`], [`DataError::MissingCell`], [`DataError::LeadingGap`].
    /// * A requested column does not exist or is not unique: [`DataError::UnknownColumn`],
    ///   [`DataError::AmbiguousColumn`].
    /// * The file is larger than its limits: [`DataError::Limit`].
    /// * The options contradict each other: [`DataError::InvalidOption`].
    pub fn load(path: impl AsRef<Path>, options: &TableOptions) -> Result<Self, DataError> {
        Self::parse(Content::open(path.as_ref(), options.limits)?, options)
    }

    /// Reads the content of a wide delimited file, plain or gzip; `file` names it in messages.
    ///
    /// ```
    /// use vdn_train::data::{Fill, Table, TableOptions};
    ///
    /// let text = b"date,load,price\n2020-01-01,3,0.5\n2020-01-02,,0.7\n2020-01-03,5,0.6\n";
    /// let options = TableOptions { fill: Fill::Linear, ..TableOptions::default() };
    /// let table = Table::from_bytes("example.csv", text, &options)?;
    /// assert_eq!(table.names, ["load", "price"]);
    /// assert_eq!(table.columns[0], [3.0, 4.0, 5.0]);
    /// assert_eq!(table.report.filled(), 1);
    /// # Ok::<(), vdn_train::data::DataError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Returns the errors of [`Table::load`].
    pub fn from_bytes(file: &str, bytes: &[u8], options: &TableOptions) -> Result<Self, DataError> {
        Self::parse(Content::of_bytes(file, bytes, options.limits)?, options)
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.columns.first().map_or(0, Vec::len)
    }

    /// The position of a row (counted from 0) as `file:line`; `None` for a table that was not read
    /// from a file.
    #[must_use]
    pub fn place(&self, row: usize) -> Option<String> {
        self.lines.place(row)
    }

    fn parse(content: Content<'_>, options: &TableOptions) -> Result<Self, DataError> {
        options.check()?;
        let mut csv = DelimitedFile::new(content, options.form)?;
        let date = options.date_column(&csv)?;
        let selected = options.series_columns(&csv, date)?;
        let mut table = Self {
            dates: date.map(|_| Dates::new()),
            names: selected.iter().map(|&column| csv.names()[column].clone()).collect(),
            columns: vec![Vec::new(); selected.len()],
            report: LoadReport::default(),
            lines: Lines::new(csv.file()),
        };
        table.report.columns = table
            .names
            .iter()
            .map(|name| ColumnReport { name: name.clone(), ..ColumnReport::default() })
            .collect();
        let Limits { rows: most, cells, .. } = options.limits;
        let mut rows = 0;
        while csv.next_row()? {
            if rows as u64 >= most {
                return Err(csv.beyond("rows", most, "rows of data"));
            }
            if (rows as u64 + 1).saturating_mul(selected.len() as u64) > cells {
                return Err(csv.beyond("cells", cells, "numbers in all series"));
            }
            table.lines.push(rows, csv.row_line());
            rows += 1;
            if let (Some(date), Some(dates)) = (date, &mut table.dates) {
                dates.push(&String::from_utf8_lossy(csv.cell(date).trim_ascii()));
            }
            let series = table.columns.iter_mut().zip(&mut table.report.columns);
            for (&column, (values, report)) in selected.iter().zip(series) {
                values.push(options.value(&csv, column, report)?);
            }
        }
        if table.rows() == 0 {
            return Err(DataError::NoRows { file: csv.file().to_owned() });
        }
        // Columns grow by doubling, so release unused memory.
        table.columns.iter_mut().for_each(Vec::shrink_to_fit);
        table.dates.iter_mut().for_each(Dates::shrink);
        let series = table.columns.iter_mut().zip(&mut table.report.columns);
        for (&column, (values, report)) in selected.iter().zip(series) {
            let leading = values.iter().take_while(|value| value.is_nan()).count();
            let filled = fill(values, options.fill).ok_or_else(|| DataError::LeadingGap {
                file: csv.file().to_owned(),
                column: column + 1,
                name: report.name.clone(),
                missing: leading,
                rows: values.len(),
            })?;
            report.filled = filled.cells;
            report.longest_gap = filled.longest_gap;
        }
        Ok(table)
    }
}

impl TableOptions {
    fn check(&self) -> Result<(), DataError> {
        let invalid = |what: String| Err(DataError::InvalidOption(what));
        if let Fill::Value(value) = self.fill
            && !value.is_finite()
        {
            return invalid(format!("missing values cannot be filled with {value}"));
        }
        if let Some(sentinel) = self.sentinels.iter().find(|sentinel| !sentinel.is_finite()) {
            return invalid(format!("{sentinel} cannot be a sentinel: it is not a finite number"));
        }
        self.form.check()
    }

    fn date_column(&self, csv: &DelimitedFile<'_>) -> Result<Option<usize>, DataError> {
        match &self.date {
            DateColumn::None => Ok(None),
            DateColumn::Named(name) => csv.column(name).map(Some),
            DateColumn::Auto => {
                let first = &csv.names()[0];
                let is_date = DATE_NAMES.iter().any(|name| first.eq_ignore_ascii_case(name));
                Ok(is_date.then_some(0))
            }
        }
    }

    fn series_columns(
        &self,
        csv: &DelimitedFile<'_>,
        date: Option<usize>,
    ) -> Result<Vec<usize>, DataError> {
        let Some(wanted) = &self.columns else {
            let all: Vec<usize> = (0..csv.names().len()).filter(|&c| Some(c) != date).collect();
            return match date {
                Some(date) if all.is_empty() => Err(DataError::NoSeries {
                    file: csv.file().to_owned(),
                    date: csv.names()[date].clone(),
                    delimiter: char::from(csv.delimiter()),
                }),
                _ => Ok(all),
            };
        };
        if wanted.is_empty() {
            return Err(DataError::InvalidOption("no column is selected".to_owned()));
        }
        let mut selected = Vec::with_capacity(wanted.len());
        let mut taken = HashSet::with_capacity(wanted.len());
        for name in wanted {
            let column = csv.column(name)?;
            if !taken.insert(column) {
                let what = format!("column `{name}` is selected twice");
                return Err(DataError::InvalidOption(what));
            }
            if Some(column) == date {
                let what = format!("column `{name}` is selected as a series but holds the dates");
                return Err(DataError::InvalidOption(what));
            }
            selected.push(column);
        }
        Ok(selected)
    }

    /// The value of a cell. NaN stands for a missing value until the column is filled.
    fn value(
        &self,
        csv: &DelimitedFile<'_>,
        column: usize,
        report: &mut ColumnReport,
    ) -> Result<f64, DataError> {
        match csv.number(column) {
            Cell::Number(value) if self.sentinels.contains(&value) => report.sentinels += 1,
            Cell::Number(value) => {
                report.suspicious += usize::from(is_suspicious(value));
                return Ok(value);
            }
            Cell::Missing => {}
            Cell::Bad => return Err(csv.bad_cell(column)),
        }
        if self.fill == Fill::Error {
            return Err(csv.missing_cell(column));
        }
        Ok(f64::NAN)
    }
}

fn is_suspicious(value: f64) -> bool {
    value == SUSPICIOUS_SENTINEL
}
