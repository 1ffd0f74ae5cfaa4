//! [`TaskEncoding`]: the properties of the data that a network needs to be used on other data: the
//! file `encoding.json` of a run.

use serde::{Deserialize, Serialize};
use vdn_train::TrainError;
use vdn_train::data::{
    ColumnValues, FeatureEncoding, LARGEST_STANDARDISED, Scaler, Tabular, TabularColumn,
};

/// The source of the inputs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InputEncoding {
    /// From the columns of a table.
    Table(FeatureEncoding),
    /// From the bytes of images, divided by 255.
    Images {
        /// The number of pixel rows.
        height: usize,
        /// The number of pixels in a row.
        width: usize,
    },
}

/// A target and its scale. The network sees `(y - mean) / std`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TargetScale {
    /// The name of the column.
    pub name: String,
    /// The mean of the training rows; 0 for counts.
    pub mean: f64,
    /// The standard deviation of the training rows; 1 for counts.
    pub std: f64,
}

/// The allowed deviations of targets. Scores contain squared errors, which must lie in the range of
/// numbers from 1e-308 to 1e308 for errors from 1e-15 to 1e15 deviations.
const SCALES: std::ops::RangeInclusive<f64> = 1e-100..=1e100;

/// The kind of targets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TargetEncoding {
    /// Numbers.
    Numbers(Vec<TargetScale>),
    /// One of these classes.
    Classes {
        /// The name of the column.
        name: String,
        /// The names of the classes, in their order.
        classes: Vec<String>,
    },
}

/// The encoding of rows as inputs and targets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskEncoding {
    /// The inputs.
    pub inputs: InputEncoding,
    /// The targets.
    pub targets: TargetEncoding,
    /// The number of rows to which it was fitted.
    pub training_rows: usize,
}

impl TaskEncoding {
    /// The probability that a row is of a kind that no training row is: `1 / (n + 2)` by the rule
    /// of succession, for `n` training rows.
    #[must_use]
    pub fn outlier_share(&self) -> f64 {
        1.0 / (self.training_rows as f64 + 2.0)
    }

    /// The widths of the network's inputs and outputs.
    #[must_use]
    pub fn widths(&self) -> [usize; 2] {
        let inputs = match &self.inputs {
            InputEncoding::Table(features) => features.width(),
            InputEncoding::Images { height, width } => height * width,
        };
        let outputs = match &self.targets {
            TargetEncoding::Numbers(scales) => scales.len(),
            TargetEncoding::Classes { classes, .. } => classes.len(),
        };
        [inputs, outputs]
    }
}

impl TargetEncoding {
    /// The scales of numeric targets, fitted to training rows. With `counts`, targets are not
    /// scaled and must be whole numbers, at least 0.
    ///
    /// # Errors
    /// Returns an error with line and column if a target is missing, is not a number, or is not a
    /// count where one is required. Also returns an error if, in the training rows, a target does
    /// not vary or its deviation is outside of [1e-100, 1e100].
    pub fn numbers(table: &Tabular, train: &[usize], counts: bool) -> Result<Self, TrainError> {
        let scale = |column: &TabularColumn| {
            let values = numbers(table, column)?;
            let name = column.name.clone();
            if counts {
                expect_counts(table, &name, values)?;
                return Ok(TargetScale { name, mean: 0.0, std: 1.0 });
            }
            let of = || train.iter().map(|&row| &values[row]);
            let scaler = Scaler::fit(std::slice::from_ref(&name), |_| of())?;
            if scaler.constant_series().next().is_some() {
                let reason = format!("the target `{name}` has one value in all training rows");
                return Err(TrainError::config(reason));
            }
            let (mean, std) = (scaler.mean()[0], scaler.std()[0]);
            if !SCALES.contains(&std) {
                let reason = format!(
                    "the target `{name}` has the deviation {std:.1e}: has to be in [{:e}, {:e}], \
                     so that squared errors are numbers; give it in another unit",
                    SCALES.start(),
                    SCALES.end()
                );
                return Err(TrainError::config(reason));
            }
            Ok(TargetScale { name, mean, std })
        };
        Ok(Self::Numbers(table.targets().iter().map(scale).collect::<Result<_, _>>()?))
    }

    /// The classes of the single target of a table.
    ///
    /// # Errors
    /// Returns an error if there is not exactly one target, if a class is missing (with its line),
    /// if there are fewer than two classes, or if there are fewer than two rows per class on
    /// average.
    pub fn classes(table: &Tabular) -> Result<Self, TrainError> {
        let [column] = table.targets() else {
            let count = table.targets().len();
            let reason = format!("data.target: classification takes one column, not {count}");
            return Err(TrainError::config(reason));
        };
        let ColumnValues::Categories { levels, .. } = &column.values else {
            let reason = format!("the target `{}` has no value", column.name);
            return Err(TrainError::config(reason));
        };
        if levels.len() < 2 {
            let reason = format!("the target `{}` has one class alone", column.name);
            return Err(TrainError::config(reason));
        }
        let rows = table.rows();
        if levels.len() * 2 > rows {
            let reason = format!(
                "the target `{}` has {} classes in {rows} rows ({}, {}, ...): with fewer than two \
                 rows a class nothing can be learned; --task regression predicts numbers",
                column.name,
                levels.len(),
                levels[0],
                levels[1]
            );
            return Err(TrainError::config(reason));
        }
        Ok(Self::Classes { name: column.name.clone(), classes: levels.clone() })
    }

    /// The targets of all rows of a table in the network's form, `[rows, columns]`.
    ///
    /// # Errors
    /// Returns an error with the line if a target is missing, is more than [`LARGEST_STANDARDISED`]
    /// deviations of the training rows from their mean, or is an unknown class. Also returns an
    /// error for other columns.
    pub fn encode(&self, table: &Tabular) -> Result<Vec<f64>, TrainError> {
        let (rows, columns) = (table.rows(), table.targets().len());
        let mut targets = vec![0.0; rows * columns];
        match self {
            Self::Numbers(scales) => {
                for (at, (column, scale)) in table.targets().iter().zip(scales).enumerate() {
                    for (row, y) in numbers(table, column)?.iter().enumerate() {
                        let to = &mut targets[row * columns + at];
                        *to = (y - scale.mean) / scale.std;
                        if to.is_nan() || to.abs() > LARGEST_STANDARDISED {
                            let (file, line) = (table.file(), table.line(row));
                            return Err(TrainError::config(format!(
                                "{file}:{line}: `{}`: {y:?} is too far from the training rows",
                                column.name
                            )));
                        }
                    }
                }
            }
            Self::Classes { classes, .. } => {
                for column in table.targets() {
                    let (levels, codes) = match &column.values {
                        ColumnValues::Categories { levels, codes } => (levels, codes),
                        ColumnValues::Numbers(_) => return Err(table.missing(column, 0).into()),
                    };
                    for (row, code) in codes.iter().enumerate() {
                        let Some(code) = code else {
                            return Err(table.missing(column, row).into());
                        };
                        let text = &levels[*code as usize];
                        let Some(class) = classes.iter().position(|class| class == text) else {
                            let (file, line) = (table.file(), table.line(row));
                            let name = &column.name;
                            return Err(TrainError::config(format!(
                                "{file}:{line}: `{name}`: the class {text:?} was not trained"
                            )));
                        };
                        targets[row] = class as f64;
                    }
                }
            }
        }
        Ok(targets)
    }
}

/// Checks that all targets of a table are counts.
///
/// # Errors
/// Returns an error with the line of the first target that is not a count, is missing or is not a
/// number.
pub(crate) fn expect_all_counts(table: &Tabular) -> Result<(), TrainError> {
    let mut each = table.targets().iter();
    each.try_for_each(|column| expect_counts(table, &column.name, numbers(table, column)?))
}

fn expect_counts(table: &Tabular, name: &str, values: &[f64]) -> Result<(), TrainError> {
    let bad = |y: &f64| *y < 0.0 || y.fract() != 0.0;
    let Some(row) = values.iter().position(bad) else { return Ok(()) };
    let (file, line, y) = (table.file(), table.line(row), values[row]);
    Err(TrainError::config(format!(
        "{file}:{line}: `{name}`: {y:?} is not a count from 0 on, which the likelihoods of \
         counts (poisson, negative_binomial) take"
    )))
}

/// The numbers of a target, without missing values.
fn numbers<'a>(table: &Tabular, column: &'a TabularColumn) -> Result<&'a [f64], TrainError> {
    match &column.values {
        ColumnValues::Numbers(values) => match values.iter().position(|y| y.is_nan()) {
            Some(row) => Err(table.missing(column, row).into()),
            None => Ok(values),
        },
        ColumnValues::Categories { .. } => Err(TrainError::config(format!(
            "the target `{}` holds texts: regression takes numbers; --task classification takes \
             classes",
            column.name
        ))),
    }
}
