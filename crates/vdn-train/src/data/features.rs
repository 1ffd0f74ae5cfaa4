//! [`FeatureEncoding`]: converts the columns of a table to the inputs of a network.
//!
//! | column | inputs |
//! |---|---|
//! | numbers | one, standardised by the training rows; with missing training values, a flag |
//! | numbers that do not vary in training | none |
//! | categories | one for each category of the training rows: 1 in its rows, otherwise 0 |
//!
//! The flag is 1 where the value is missing, otherwise 0.
//!
//! A linear first layer on such inputs is an embedding of the category, so there is no other
//! embedding. A category that the training rows do not have becomes a row of zeros.

use crate::data::scaling::{LARGEST_STANDARDISED, Scaler};
use crate::data::tabular::{ColumnValues, Tabular, TabularColumn};
use crate::error::data::DataError;
use serde::{Deserialize, Serialize};

/// The treatment of missing features.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MissingFeature {
    /// A missing value is refused with its line and column.
    #[default]
    Error,
    /// A missing value becomes the mean of the training rows, and an additional input marks it. A
    /// missing category becomes a row of zeros.
    Mean,
}

/// The encoding of one column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum EncodedColumn {
    /// `(x - mean) / std`.
    Number {
        /// The name of the column.
        name: String,
        /// The mean of the training rows.
        mean: f64,
        /// The standard deviation of the training rows.
        std: f64,
        /// Whether an additional input marks missing values.
        flag: bool,
    },
    /// No input, because the training rows have only one value.
    Constant {
        /// The name of the column.
        name: String,
    },
    /// One input for each category.
    Category {
        /// The name of the column.
        name: String,
        /// The categories of the training rows.
        levels: Vec<String>,
    },
}

impl EncodedColumn {
    /// The name of the column.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Number { name, .. } | Self::Constant { name } | Self::Category { name, .. } => {
                name
            }
        }
    }

    /// The number of inputs.
    #[must_use]
    pub fn width(&self) -> usize {
        match self {
            Self::Number { flag, .. } => 1 + usize::from(*flag),
            Self::Constant { .. } => 0,
            Self::Category { levels, .. } => levels.len(),
        }
    }
}

/// The encoding of the features of a table as inputs, fitted to training rows.
///
/// ```
/// use vdn_train::data::{FeatureEncoding, MissingFeature, Tabular, TabularOptions};
///
/// let text = b"y,size,kind\n1,10,a\n2,30,b\n3,20,c\n";
/// let options = TabularOptions { targets: vec!["y".into()], ..TabularOptions::default() };
/// let table = Tabular::from_bytes("f.csv", text, &options)?;
/// // The third row is no training row: its size is the mean, its kind is new.
/// let encoding = FeatureEncoding::fit(&table, &[0, 1], MissingFeature::Error)?;
/// assert_eq!(encoding.width(), 3);
/// assert_eq!(encoding.encode(&table)?, [-1.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 0.0, 0.0]);
/// # Ok::<(), vdn_train::data::DataError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FeatureEncoding {
    /// Each column, in the order of the table.
    pub columns: Vec<EncodedColumn>,
    /// The treatment of missing values.
    pub missing: MissingFeature,
}

impl FeatureEncoding {
    /// Fits the encoding to training rows.
    ///
    /// Returns an error if:
    ///
    /// * there are no rows or a row does not exist
    /// * a value is missing and missing values are errors
    /// * a column has no value in the training rows
    /// * no column varies
    pub fn fit(
        table: &Tabular,
        train: &[usize],
        missing: MissingFeature,
    ) -> Result<Self, DataError> {
        let rows = table.rows();
        if let Some(row) = train.iter().find(|&&row| row >= rows) {
            let problem = format!("there is no row {row}, only {rows}");
            return Err(DataError::Mismatch { op: "feature encoding", problem });
        }
        let columns = table.features().iter().map(|column| {
            let lacks = |&&row: &&usize| column.is_missing(row);
            let gap = train.iter().find(lacks);
            if let (Some(&row), MissingFeature::Error) = (gap, missing) {
                return Err(table.missing(column, row));
            }
            encoded(column, train, gap.is_some())
        });
        let columns = columns.collect::<Result<Vec<_>, _>>()?;
        let found = Self { columns, missing };
        if found.width() == 0 {
            let problem = "no feature varies in the training rows".to_owned();
            return Err(DataError::Mismatch { op: "feature encoding", problem });
        }
        Ok(found)
    }

    /// The number of inputs.
    #[must_use]
    pub fn width(&self) -> usize {
        self.columns.iter().map(EncodedColumn::width).sum()
    }

    /// The names of the columns, in the order that a table must have.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.columns.iter().map(|column| column.name().to_owned()).collect()
    }

    /// The same encoding without the columns that have no input. A table for prediction does not
    /// need them.
    #[must_use]
    pub fn without_constant(&self) -> Self {
        let varies = |column: &&EncodedColumn| !matches!(column, EncodedColumn::Constant { .. });
        Self { columns: self.columns.iter().filter(varies).cloned().collect(), ..self.clone() }
    }

    /// The names of the columns of categories.
    #[must_use]
    pub fn categories(&self) -> Vec<String> {
        let category = |column: &&EncodedColumn| matches!(column, EncodedColumn::Category { .. });
        self.columns.iter().filter(category).map(|column| column.name().to_owned()).collect()
    }

    /// The names of the columns without an input.
    #[must_use]
    pub fn constant(&self) -> Vec<&str> {
        let constant = |column: &&EncodedColumn| matches!(column, EncodedColumn::Constant { .. });
        self.columns.iter().filter(constant).map(EncodedColumn::name).collect()
    }

    /// Encodes all rows of a table as inputs, `[rows, width]` row-major.
    ///
    /// # Errors
    /// Returns an error if:
    ///
    /// * the number of columns differs
    /// * a column has texts instead of numbers
    /// * a value is missing and missing values are errors
    /// * a number is more than [`LARGEST_STANDARDISED`] deviations of the training rows from their
    ///   mean
    pub fn encode(&self, table: &Tabular) -> Result<Vec<f64>, DataError> {
        let (width, rows) = (self.width(), table.rows());
        let mismatch = |problem| DataError::Mismatch { op: "feature encoding", problem };
        if table.features().len() != self.columns.len() {
            let (found, wanted) = (table.features().len(), self.columns.len());
            return Err(mismatch(format!("{found} features where {wanted} are expected")));
        }
        let mut inputs = vec![0.0; rows * width];
        let mut at = 0;
        for (own, column) in self.columns.iter().zip(table.features()) {
            for row in 0..rows {
                if column.is_missing(row) && self.missing == MissingFeature::Error {
                    return Err(table.missing(column, row));
                }
                let to = &mut inputs[row * width + at..];
                match (own, &column.values) {
                    (EncodedColumn::Constant { .. }, _) => {}
                    (
                        EncodedColumn::Number { mean, std, flag, .. },
                        ColumnValues::Numbers(values),
                    ) => {
                        let missing = values[row].is_nan();
                        to[0] = if missing { 0.0 } else { (values[row] - mean) / std };
                        if *flag {
                            to[1] = f64::from(u8::from(missing));
                        }
                        if to[0].is_nan() || to[0].abs() > LARGEST_STANDARDISED {
                            let (line, name) = (table.line(row), &column.name);
                            let problem = format!(
                                "{}:{line}: `{name}`: {:?} is too far from the training rows",
                                table.file(),
                                values[row]
                            );
                            return Err(mismatch(problem));
                        }
                    }
                    (
                        EncodedColumn::Category { levels, .. },
                        ColumnValues::Categories { levels: found, codes },
                    ) => {
                        let text = codes[row].map(|code| &found[code as usize]);
                        let place = text.and_then(|text| levels.iter().position(|l| l == text));
                        if let Some(place) = place {
                            to[place] = 1.0;
                        }
                    }
                    // A column without any value.
                    (EncodedColumn::Category { .. }, ColumnValues::Numbers(values))
                        if values[row].is_nan() => {}
                    (EncodedColumn::Number { name, .. }, _) => {
                        return Err(mismatch(format!("`{name}` holds texts, not numbers")));
                    }
                    (EncodedColumn::Category { name, .. }, _) => {
                        return Err(mismatch(format!("`{name}` holds numbers, not categories")));
                    }
                }
            }
            at += own.width();
        }
        Ok(inputs)
    }
}

fn encoded(
    column: &TabularColumn,
    train: &[usize],
    flag: bool,
) -> Result<EncodedColumn, DataError> {
    let name = column.name.clone();
    match &column.values {
        ColumnValues::Numbers(values) => {
            let there = || train.iter().map(|&row| &values[row]).filter(|x| !x.is_nan());
            let scaler = Scaler::fit(std::slice::from_ref(&name), |_| there())?;
            if scaler.constant_series().next().is_some() && !flag {
                return Ok(EncodedColumn::Constant { name });
            }
            Ok(EncodedColumn::Number { name, mean: scaler.mean()[0], std: scaler.std()[0], flag })
        }
        ColumnValues::Categories { levels, codes } => {
            let mut seen = vec![false; levels.len()];
            train.iter().filter_map(|&row| codes[row]).for_each(|code| seen[code as usize] = true);
            let of = |(level, _): (&String, &bool)| level.clone();
            let seen: Vec<String> =
                levels.iter().zip(&seen).filter(|(_, seen)| **seen).map(of).collect();
            Ok(match seen.len() {
                0 | 1 => EncodedColumn::Constant { name },
                _ => EncodedColumn::Category { name, levels: seen },
            })
        }
    }
}
