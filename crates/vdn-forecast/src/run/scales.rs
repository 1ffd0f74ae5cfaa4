//! The stored properties of a run's series: names, scales, covariates, and the step of their rows.
//!
//! New data are read with them: their rows must have the same step, and large integers get the
//! offset that belongs to the scales.

use crate::data::time::{Calendar, Step};
use crate::data::{Covariates, Dataset, SeriesTable, SideColumn};
use crate::run::directory::RunDirectory;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use vdn_train::TrainError;
use vdn_train::data::Scaler;

/// The name of the file in a run directory.
const FILE: &str = "scaler.json";

/// The names of the series with their means and standard deviations.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct StoredScaler {
    names: Vec<String>,
    mean: Vec<f64>,
    std: Vec<f64>,
    /// The step of the rows, if times are known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    step: Option<Step>,
    /// The series that were constant in the rows that the scaler was fitted to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    constant: Vec<usize>,
    /// The nonzero offsets that were subtracted from the values of series.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    offsets: BTreeMap<String, i128>,
    /// The covariates of the windows.
    #[serde(default, skip_serializing_if = "Covariates::is_empty")]
    covariates: Covariates,
}

impl StoredScaler {
    /// Returns the stored form of series without known times.
    fn new(names: &[String], scaler: &Scaler) -> Self {
        Self {
            names: names.to_vec(),
            mean: scaler.mean().to_vec(),
            std: scaler.std().to_vec(),
            step: None,
            constant: scaler.constant_series().collect(),
            offsets: BTreeMap::new(),
            covariates: Covariates::default(),
        }
    }
}

impl RunDirectory {
    /// Writes the scales of the series, and the step of their rows.
    ///
    /// # Errors
    /// Fails if the file cannot be written.
    pub fn write_scaler(&self, data: &Dataset) -> Result<(), TrainError> {
        let offsets = data.names().iter().enumerate();
        let offsets = offsets.map(|(series, name)| (name.clone(), data.offset(series)));
        let stored = StoredScaler {
            step: data.calendar().map(|calendar| calendar.step),
            offsets: offsets.filter(|&(_, offset)| offset != 0).collect(),
            covariates: data.covariates().clone(),
            ..StoredScaler::new(data.names(), data.scaler())
        };
        self.write_json(FILE, &stored)
    }

    /// Reads the names of the series and their scaler.
    ///
    /// # Errors
    /// Fails if the file cannot be read, or if its content is invalid: the numbers of names, means
    /// and deviations differ, a name occurs twice, a number is not finite, or a deviation is not
    /// above 0.
    pub fn read_scaler(&self) -> Result<(Vec<String>, Scaler), TrainError> {
        let StoredScaler { names, mean, std, constant, .. } = self.read_json(FILE)?;
        let refuse = |reason: String| TrainError::format(&self.file(FILE), reason);
        if names.is_empty() || mean.len() != names.len() || std.len() != names.len() {
            let (names, means, deviations) = (names.len(), mean.len(), std.len());
            let reason = format!("{names} names, {means} means, {deviations} deviations");
            return Err(refuse(format!("{reason}: has to be one of each for every series")));
        }
        let mut seen = HashSet::with_capacity(names.len());
        for (i, name) in names.iter().enumerate() {
            if !seen.insert(name) {
                return Err(refuse(format!("series `{name}` is there twice")));
            }
            let (mean, std) = (mean[i], std[i]);
            if !(mean.is_finite() && std.is_finite() && std > 0.0) {
                return Err(refuse(format!(
                    "series `{name}`: mean {mean}, deviation {std}: has to be finite, the deviation above 0"
                )));
            }
        }
        Ok((names, Scaler::from_parts(mean, std)?.with_constant(&constant)?))
    }

    /// Reads the covariates of the windows.
    ///
    /// # Errors
    /// Fails if `scaler.json` cannot be read, if a column's scale is not finite, or if its
    /// deviation is not above 0.
    pub(crate) fn read_covariates(&self) -> Result<Covariates, TrainError> {
        let StoredScaler { covariates, .. } = self.read_json(FILE)?;
        for SideColumn { name, mean, std } in covariates.past.iter().chain(&covariates.future) {
            if !(mean.is_finite() && std.is_finite() && *std > 0.0) {
                let reason = format!(
                    "covariate `{name}`: mean {mean}, deviation {std}: has to be finite, the \
                     deviation above 0"
                );
                return Err(TrainError::format(&self.file(FILE), reason));
            }
        }
        Ok(covariates)
    }

    /// Gives the series of new data the offsets that belong to the scales of the run.
    ///
    /// # Errors
    /// Fails if `scaler.json` cannot be read.
    pub(crate) fn adapt(&self, table: &mut SeriesTable) -> Result<(), TrainError> {
        let StoredScaler { offsets, .. } = self.read_json(FILE)?;
        for series in 0..table.names.len() {
            let offset = offsets.get(&table.names[series]).copied().unwrap_or(0);
            table.set_offset(series, offset);
        }
        Ok(())
    }

    /// Rejects data with another step between rows than the training data of the run. Returns a
    /// note if only one of the two has times, because then the steps cannot be compared.
    ///
    /// # Errors
    /// Fails if both steps are known and differ, and if `scaler.json` cannot be read.
    pub(crate) fn expect_step(
        &self,
        calendar: Option<&Calendar>,
        data: &str,
    ) -> Result<Option<String>, TrainError> {
        let StoredScaler { step, .. } = self.read_json(FILE)?;
        // The step does not depend on whether dates are the last ones of their months.
        let plain = |step: Step| match step {
            Step::Months { count, .. } | Step::LastWorkingDays(count) => {
                Step::Months { count, end: false }
            }
            other => other,
        };
        match (step, calendar) {
            (Some(step), Some(calendar)) if plain(step) != plain(calendar.step) => {
                let reason = format!(
                    "its rows are {} apart, those that the run was trained on {step}",
                    calendar.step
                );
                Err(TrainError::format(Path::new(data), reason))
            }
            (Some(step), None) => Ok(Some(format!(
                "the rows have no times: they are taken as {step} apart, like those that the run \
                 was trained on, and forecasts have no dates"
            ))),
            (None, Some(calendar)) => Ok(Some(format!(
                "the rows are {} apart; the distance of those that the run was trained on \
                 is not known",
                calendar.step
            ))),
            _ => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vdn_train::run::MOST_JSON_BYTES;

    #[test]
    fn scales_that_were_tampered_with_are_refused_in_one_line() {
        let directory = tempfile::tempdir().unwrap();
        let run = RunDirectory::create(&directory.path().join("run")).unwrap();
        let cases = [
            (r#"{"names": [], "mean": [], "std": []}"#, "0 names"),
            (r#"{"names": ["a"], "mean": [0.0, 1.0], "std": [1.0]}"#, "1 names, 2 means, 1 dev"),
            (r#"{"names": ["a", "b"], "mean": [0.0, 1.0], "std": [1.0]}"#, "2 names, 2 means, 1"),
            (
                r#"{"names": ["a", "a"], "mean": [0.0, 1.0], "std": [1.0, 1.0]}"#,
                "`a` is there twice",
            ),
            (r#"{"names": ["a", "b"], "mean": [0.0, 1.0], "std": [1.0, 0.0]}"#, "`b`: mean 1, dev"),
            (r#"{"names": ["a"], "mean": [0.0], "std": [-1.0]}"#, "`a`: mean 0, deviation -1"),
            (r#"{"names": ["a"], "mean": [null], "std": [1.0]}"#, "null"),
            (r#"{"names": ["a"], "mean": [0.0], "std": [1e999]}"#, "out of range"),
            (r#"{"names": ["a"], "mean": [0.0]}"#, "std"),
        ];
        let path = run.file("scaler.json");
        for (text, reason) in cases {
            std::fs::write(&path, text).unwrap();
            let error = run.read_scaler().unwrap_err().to_string();
            assert!(error.starts_with(&path.display().to_string()), "{text}: {error}");
            assert!(error.contains(reason) && error.lines().count() == 1, "{text}: {error}");
        }
        let file = std::fs::File::create(&path).unwrap();
        file.set_len(MOST_JSON_BYTES + 1).unwrap();
        let error = run.read_scaler().unwrap_err().to_string();
        assert!(error.ends_with("67108865 bytes, at most 67108864 are read"), "{error}");
        let names = ["a".to_owned(), "b".to_owned()];
        let scaler = Scaler::from_parts(vec![0.5, -1.0], vec![2.0, 0.25]).unwrap();
        run.write_json(FILE, &StoredScaler::new(&names, &scaler)).unwrap();
        assert_eq!(run.read_scaler().unwrap(), (names.to_vec(), scaler));
    }

    #[test]
    fn names_are_not_searched_once_for_each_name() {
        // With this many names, a comparison of each with all others would take minutes.
        const COUNT: usize = 400_000;
        let directory = tempfile::tempdir().unwrap();
        let run = RunDirectory::create(&directory.path().join("run")).unwrap();
        let mut names: Vec<String> = (0..COUNT).map(|i| format!("series {i}")).collect();
        let scaler = Scaler::identity(names.len());
        run.write_json(FILE, &StoredScaler::new(&names, &scaler)).unwrap();
        assert_eq!(run.read_scaler().unwrap().0, names);
        names[COUNT - 1] = names[0].clone();
        run.write_json(FILE, &StoredScaler::new(&names, &scaler)).unwrap();
        let error = run.read_scaler().unwrap_err().to_string();
        assert!(error.ends_with("series `series 0` is there twice"), "{error}");
    }
}
