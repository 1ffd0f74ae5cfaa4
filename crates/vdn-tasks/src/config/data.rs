//! The table `[data]`: the file, its columns, and the division of its rows.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use vdn_train::TrainError;
use vdn_train::data::{FileForm, MissingFeature, TabularOptions};

/// The rows of a task: a table, or images with labels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TaskDataConfig {
    /// A delimited file with a header, plain or gzip; default: none, for images.
    pub file: Option<PathBuf>,
    /// The columns to predict, by name or by position (`#k`, from 1). Default: none; a table needs
    /// at least one, and classification takes exactly one.
    pub target: Vec<String>,
    /// Columns that are left out; default: none.
    pub ignore: Vec<String>,
    /// Columns of categories whose cells look like numbers; default: none.
    pub categories: Vec<String>,
    /// The treatment of a missing feature: `error` (the default), or `mean` for the mean of the
    /// training rows with an additional input that marks it. A missing target is always refused.
    pub missing: MissingFeature,
    /// Numbers that stand for a missing value; default: none.
    pub sentinels: Vec<f64>,
    /// The delimiter between cells: one character, or `tab`; default: none, to find it from the
    /// file.
    pub delimiter: Option<String>,
    /// The decimal sign: `.` or `,`; default: none, to find it from the file.
    pub decimal: Option<String>,
    /// A file of published splits with the columns `split` and `test_rows`; default: none, for one
    /// split by shares.
    pub splits: Option<PathBuf>,
    /// One of these splits, counted from 0; default: none, to run all of them, one after the other.
    pub split: Option<usize>,
    /// Images in the IDX format, plain or gzip; default: none, for a table.
    pub images: Option<PathBuf>,
    /// The labels of the images; default: none, for a table.
    pub labels: Option<PathBuf>,
    /// Images for the test; default: none, for a share of the other images.
    pub test_images: Option<PathBuf>,
    /// The labels of the test images; default: none.
    pub test_labels: Option<PathBuf>,
    /// The share of test rows if no file names them, in (0, 1); default 0.1.
    pub test: f64,
    /// The share of the training rows by which the number of epochs is chosen, in (0, 1); default
    /// 0.1.
    pub validation: f64,
    /// The seed of the order in which rows are divided, below 2^63; default 0. It is independent of
    /// the seed of training, so runs with different seeds have the same rows.
    pub seed: u64,
}

impl Default for TaskDataConfig {
    fn default() -> Self {
        Self {
            file: None,
            target: Vec::new(),
            ignore: Vec::new(),
            categories: Vec::new(),
            missing: MissingFeature::Error,
            sentinels: Vec::new(),
            delimiter: None,
            decimal: None,
            splits: None,
            split: None,
            images: None,
            labels: None,
            test_images: None,
            test_labels: None,
            test: 0.1,
            validation: 0.1,
            seed: 0,
        }
    }
}

impl TaskDataConfig {
    /// The name of the data in messages and reports.
    #[must_use]
    pub fn name(&self) -> String {
        let file = self.file.as_ref().or(self.images.as_ref());
        file.map_or_else(|| "no data".to_owned(), |file| file.display().to_string())
    }

    /// The options of reading the file.
    ///
    /// # Errors
    /// Returns an error for an invalid delimiter or decimal sign.
    pub fn options(&self) -> Result<TabularOptions, TrainError> {
        Ok(TabularOptions {
            targets: self.target.clone(),
            ignore: self.ignore.clone(),
            categories: self.categories.clone(),
            sentinels: self.sentinels.clone(),
            form: FileForm::of_settings(self.delimiter.as_deref(), self.decimal.as_deref())?,
            ..TabularOptions::default()
        })
    }

    /// Checks every value, and that there is one source of rows.
    ///
    /// # Errors
    /// Returns an error that names the key of the first wrong value.
    pub fn validate(&self) -> Result<(), TrainError> {
        let refuse = |reason: String| Err(TrainError::config(reason));
        self.options()?;
        for (key, share) in [("test", self.test), ("validation", self.validation)] {
            if !(share > 0.0 && share < 1.0) {
                return refuse(format!("data.{key} = {share}: has to be in (0, 1)"));
            }
        }
        if self.seed > i64::MAX as u64 {
            return refuse(format!("data.seed = {}: has to be below 2^63", self.seed));
        }
        if let Some(sentinel) = self.sentinels.iter().find(|x| !x.is_finite()) {
            return refuse(format!("data.sentinels: {sentinel} is not a finite number"));
        }
        match (&self.file, &self.images) {
            (None, None) => return refuse("data.file: a task needs a file, or images".into()),
            (Some(_), Some(_)) => {
                return refuse("data.file and data.images: one excludes the other".into());
            }
            (Some(_), None) if self.target.is_empty() => {
                return refuse("data.target: names no column to predict".into());
            }
            (Some(_), None) if self.labels.is_some() || self.test_images.is_some() => {
                return refuse("data.labels and data.test_images are those of images".into());
            }
            (None, Some(_)) if self.labels.is_none() => {
                return refuse("data.labels: images need labels".into());
            }
            (None, Some(_)) if self.splits.is_some() => {
                return refuse("data.splits are those of a table".into());
            }
            _ => {}
        }
        if self.test_images.is_some() != self.test_labels.is_some() {
            return refuse("data.test_images and data.test_labels come together".into());
        }
        if self.split.is_some() && self.splits.is_none() {
            return refuse("data.split: there is no file of splits (data.splits)".into());
        }
        Ok(())
    }

    /// The same configuration with absolute paths, which are valid in any working directory.
    ///
    /// # Errors
    /// Returns an error if a path cannot be made absolute.
    pub fn absolute(mut self) -> Result<Self, TrainError> {
        let paths = [
            &mut self.file,
            &mut self.splits,
            &mut self.images,
            &mut self.labels,
            &mut self.test_images,
            &mut self.test_labels,
        ];
        for path in paths.into_iter().flatten() {
            *path = std::path::absolute(&*path).map_err(TrainError::io(path))?;
        }
        Ok(self)
    }
}
