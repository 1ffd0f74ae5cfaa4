//! [`Tabular`]: a delimited file as columns of numbers and columns of categories.
//!
//! ```text
//! price,rooms,district          targets = ["price"]
//! 320,4,north                   rooms     numbers      4, 3
//! 250,3,south                   district  categories   north, south
//! ```
//!
//! A column has either numbers or categories. It is a column of categories if it is named as one or
//! if none of its cells is a number. A column with both is refused with line and column, because
//! otherwise a typing error in a column of numbers would turn it into categories.
//! [`FeatureEncoding`](crate::data::FeatureEncoding) encodes the columns.

use crate::data::cell::Cell;
use crate::data::delimited::DelimitedFile;
use crate::data::file_form::FileForm;
use crate::data::limits::Limits;
use crate::error::data::{DataError, excerpt};
use std::collections::{HashMap, HashSet};
use std::path::Path;

/// The largest number of categories in one column. With more, the cells are texts from which
/// nothing can be learned.
pub const MOST_CATEGORIES: usize = 1000;

/// The options of reading a table.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TabularOptions {
    /// The columns to predict, by name or by position (`#k`, from 1).
    pub targets: Vec<String>,
    /// Columns that are left out. Their cells are ignored.
    pub ignore: Vec<String>,
    /// Columns of categories, even if their cells look like numbers.
    pub categories: Vec<String>,
    /// The selected features in this order. `None` selects all columns except targets and columns
    /// that are left out.
    pub features: Option<Vec<String>>,
    /// Whether targets may be missing. If so, a table without the target columns is accepted.
    pub targets_optional: bool,
    /// Numbers that stand for a missing value.
    pub sentinels: Vec<f64>,
    /// The form of the file. A part that is `None` is found from the content.
    pub form: FileForm,
    /// The limits of reading.
    pub limits: Limits,
}

/// The cells of a column.
#[derive(Debug, Clone, PartialEq)]
pub enum ColumnValues {
    /// Finite numbers, or NaN if a value is missing.
    Numbers(Vec<f64>),
    /// Categories. `None` stands for a missing value.
    Categories {
        /// The categories, in numerical order if all are numbers, otherwise in alphabetical order.
        levels: Vec<String>,
        /// The index in `levels` of each row's category.
        codes: Vec<Option<u32>>,
    },
}

/// A column of a table.
#[derive(Debug, Clone, PartialEq)]
pub struct TabularColumn {
    /// The name in the header, or the position (`#k`) if the header has none.
    pub name: String,
    /// The cells.
    pub values: ColumnValues,
    /// The position in the file, from 1.
    pub column: usize,
}

/// A table with features and targets by name.
///
/// ```
/// use vdn_train::data::{ColumnValues, Tabular, TabularOptions};
///
/// let text = b"price,rooms,district\n320,4,north\n250,3,south\n";
/// let options = TabularOptions { targets: vec!["price".into()], ..TabularOptions::default() };
/// let table = Tabular::from_bytes("houses.csv", text, &options)?;
/// assert_eq!(table.rows(), 2);
/// assert_eq!(table.targets()[0].values, ColumnValues::Numbers(vec![320.0, 250.0]));
/// let ColumnValues::Categories { levels, codes } = &table.features()[1].values else { panic!() };
/// assert_eq!((&levels[..], &codes[..]), (&["north".to_owned(), "south".to_owned()][..], &[Some(0), Some(1)][..]));
/// # Ok::<(), vdn_train::data::DataError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Tabular {
    file: String,
    features: Vec<TabularColumn>,
    targets: Vec<TabularColumn>,
    lines: Vec<usize>,
    notes: Vec<String>,
}

impl Tabular {
    /// Reads a delimited file with a header, plain or gzip.
    ///
    /// # Errors
    /// Returns the errors of [`DelimitedFile`], and an error if
    ///
    /// * a column does not exist, is named twice, or is both a target and left out;
    /// * a column has numbers and other texts, or an infinite number (with line and column);
    /// * a column has too many categories;
    /// * there are no features or no rows.
    pub fn load(path: impl AsRef<Path>, options: &TabularOptions) -> Result<Self, DataError> {
        Self::read(DelimitedFile::open(path, options.form, options.limits)?, options)
    }

    /// Like [`Tabular::load`], for content in memory. `file` names it in messages.
    ///
    /// # Errors
    /// Returns the errors of [`Tabular::load`].
    pub fn from_bytes(
        file: &str,
        bytes: &[u8],
        options: &TabularOptions,
    ) -> Result<Self, DataError> {
        let content = DelimitedFile::from_bytes(file, bytes, options.form, options.limits)?;
        Self::read(content, options)
    }

    fn read(mut file: DelimitedFile<'_>, options: &TabularOptions) -> Result<Self, DataError> {
        let place = |file: &DelimitedFile<'_>, names: &[String]| {
            names.iter().map(|name| file.column(name)).collect::<Result<Vec<usize>, _>>()
        };
        let targets = match place(&file, &options.targets) {
            Err(DataError::UnknownColumn { .. }) if options.targets_optional => Vec::new(),
            found => found?,
        };
        let left_out = place(&file, &options.ignore)?;
        // A target that does not exist is not a column of categories either.
        let named: HashSet<&String> = options.targets.iter().collect();
        let absent = |name: &&String| targets.is_empty() && named.contains(*name);
        let categories: Vec<String> =
            options.categories.iter().filter(|name| !absent(name)).cloned().collect();
        let categories = place(&file, &categories)?;
        let outside: HashSet<usize> = targets.iter().chain(&left_out).copied().collect();
        let features = match &options.features {
            Some(names) => place(&file, names)?,
            None => {
                let all = 0..file.names().len();
                all.filter(|c| !outside.contains(c)).collect()
            }
        };
        let mismatch = |problem: String| Err(DataError::Mismatch { op: "tabular", problem });
        let left_out: HashSet<usize> = left_out.into_iter().collect();
        let mut seen = HashSet::new();
        for c in &targets {
            let name = &file.names()[*c];
            if !seen.insert(c) {
                return mismatch(format!("the target {name} is named twice"));
            }
            if left_out.contains(c) {
                return mismatch(format!("the target {name} is left out, too"));
            }
        }
        if features.is_empty() {
            return mismatch("no column is left to be a feature".to_owned());
        }
        let categories: HashSet<usize> = categories.into_iter().collect();
        let mut columns: Vec<Reading> = targets
            .iter()
            .chain(&features)
            .enumerate()
            .map(|(at, &c)| Reading::new(c, at < targets.len(), categories.contains(&c)))
            .collect();
        let mut lines = Vec::new();
        while file.next_row()? {
            lines.push(file.row_line());
            let cells = (lines.len() as u64).saturating_mul(columns.len() as u64);
            if cells > options.limits.cells {
                return Err(file.beyond("cells", options.limits.cells, "cells of a table"));
            }
            for column in &mut columns {
                column.take(&file, &options.sentinels)?;
            }
        }
        if lines.is_empty() {
            return Err(DataError::NoRows { file: file.file().to_owned() });
        }
        let name = |c: usize| match file.names()[c].trim() {
            "" => format!("#{}", c + 1),
            name => name.to_owned(),
        };
        let mut columns: Vec<TabularColumn> =
            columns.into_iter().map(|column| column.finish(name)).collect();
        let features = columns.split_off(targets.len());
        let notes = file.notes().to_vec();
        Ok(Self { file: file.file().to_owned(), features, targets: columns, lines, notes })
    }

    /// The name of the file as it was given.
    #[must_use]
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.lines.len()
    }

    /// The columns that are not targets.
    #[must_use]
    pub fn features(&self) -> &[TabularColumn] {
        &self.features
    }

    /// The targets in the requested order; empty if they are optional and missing.
    #[must_use]
    pub fn targets(&self) -> &[TabularColumn] {
        &self.targets
    }

    /// The reader's notes on omissions and assumptions, one sentence each.
    #[must_use]
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The line of a row in the file.
    #[must_use]
    pub fn line(&self, row: usize) -> usize {
        self.lines[row]
    }

    /// The error for a missing value of a column in a row.
    #[must_use]
    pub fn missing(&self, column: &TabularColumn, row: usize) -> DataError {
        let target = self.targets.iter().any(|own| own.column == column.column);
        DataError::MissingInRow {
            file: self.file.clone(),
            line: self.lines[row],
            column: column.column,
            name: column.name.clone(),
            target,
        }
    }
}

impl TabularColumn {
    /// Whether the value of a row is missing.
    #[must_use]
    pub fn is_missing(&self, row: usize) -> bool {
        match &self.values {
            ColumnValues::Numbers(values) => values[row].is_nan(),
            ColumnValues::Categories { codes, .. } => codes[row].is_none(),
        }
    }
}

/// A column during reading.
struct Reading {
    column: usize,
    /// Whether the column is a target.
    target: bool,
    /// Whether the column is named as a column of categories.
    named: bool,
    numbers: Vec<f64>,
    /// The categories by their text; empty for a column of numbers.
    levels: HashMap<String, u32>,
    codes: Vec<Option<u32>>,
    kind: Option<Kind>,
}

/// The kind of the first cell with a value.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Number,
    Category,
}

impl Reading {
    fn new(column: usize, target: bool, named: bool) -> Self {
        let kind = named.then_some(Kind::Category);
        let (numbers, levels, codes) = (Vec::new(), HashMap::new(), Vec::new());
        Self { column, target, named, numbers, levels, codes, kind }
    }

    fn take(&mut self, file: &DelimitedFile<'_>, sentinels: &[f64]) -> Result<(), DataError> {
        let cell = match file.number(self.column) {
            Cell::Number(x) if sentinels.contains(&x) => Cell::Missing,
            other => other,
        };
        let found = match cell {
            Cell::Missing => None,
            _ if self.named => Some(Kind::Category),
            Cell::Number(_) => Some(Kind::Number),
            Cell::Bad => Some(Kind::Category),
        };
        if let (Some(kind), Some(found)) = (self.kind, found)
            && kind != found
        {
            return Err(match found {
                Kind::Category => file.bad_cell(self.column),
                Kind::Number => {
                    let (line, name) = (file.row_line(), &file.names()[self.column]);
                    let (file, column) = (file.file(), self.column + 1);
                    let problem = format!(
                        "{file}:{line}: column {column} (`{name}`): a number in a column of \
                         texts; name the column as one of categories, or correct the cell"
                    );
                    DataError::Mismatch { op: "tabular", problem }
                }
            });
        }
        self.kind = self.kind.or(found);
        let code = match found {
            Some(Kind::Category) => Some(self.level(file)?),
            _ => None,
        };
        self.codes.push(code);
        self.numbers.push(match cell {
            Cell::Number(x) => x,
            Cell::Missing | Cell::Bad => f64::NAN,
        });
        Ok(())
    }

    /// The index of the current cell's category.
    fn level(&mut self, file: &DelimitedFile<'_>) -> Result<u32, DataError> {
        let text = String::from_utf8_lossy(file.cell(self.column).trim_ascii()).into_owned();
        let known = self.levels.len();
        if let Some(&level) = self.levels.get(&text) {
            return Ok(level);
        }
        if known == MOST_CATEGORIES {
            let (line, name) = (file.row_line(), excerpt(file.names()[self.column].as_bytes()));
            let (file, column) = (file.file(), self.column + 1);
            let remedy = match self.target {
                true => "classes of which each has few rows cannot be learned".to_owned(),
                false => format!(
                    "dates, names and identifiers tell nothing of other rows; leave the column out \
                     (`--ignore {name}`)"
                ),
            };
            let problem = format!(
                "{file}:{line}: column {column} (`{name}`): more than {MOST_CATEGORIES} \
                 categories; {remedy}"
            );
            return Err(DataError::Mismatch { op: "tabular", problem });
        }
        self.levels.insert(text, known as u32);
        Ok(known as u32)
    }

    fn finish(self, name: impl Fn(usize) -> String) -> TabularColumn {
        let (column, name) = (self.column + 1, name(self.column));
        if self.kind != Some(Kind::Category) {
            return TabularColumn { name, values: ColumnValues::Numbers(self.numbers), column };
        }
        let mut levels: Vec<(String, u32)> = self.levels.into_iter().collect();
        let number = |text: &str| text.parse::<f64>().ok().filter(|x| x.is_finite());
        let numbers = levels.iter().all(|(text, _)| number(text).is_some());
        levels.sort_by(|(a, _), (b, _)| match (number(a), number(b)) {
            (Some(x), Some(y)) if numbers => x.total_cmp(&y).then_with(|| a.cmp(b)),
            _ => a.cmp(b),
        });
        let mut place = vec![0; levels.len()];
        for (to, (_, from)) in levels.iter().enumerate() {
            place[*from as usize] = to as u32;
        }
        let codes = self.codes.iter().map(|code| code.map(|code| place[code as usize])).collect();
        let levels = levels.into_iter().map(|(text, _)| text).collect();
        TabularColumn { name, values: ColumnValues::Categories { levels, codes }, column }
    }
}
