//! Covariates, categories and lower limits of a [`Dataset`]'s windows.

use crate::data::covariates::{Covariates, StaticColumn};
use crate::data::dataset::Dataset;
use crate::data::support::Support;
use crate::data::time::Calendar;
use crate::data::windows::{Splits, WindowIndex, WindowSpec};
use std::collections::HashSet;
use vdn_train::data::DataError;

impl Dataset {
    /// Returns the dataset with calendar cycles as covariates. If there are none, because times are
    /// not known or too far apart, a note says so.
    ///
    /// ```
    /// use vdn_forecast::config::RunConfig;
    /// let config = RunConfig::default();
    /// let data = config.data.dataset(config.data.load_table()?)?.with_cycles();
    /// // Sine and cosine of week and year: the demo has daily rows.
    /// assert_eq!(data.covariates().numbers(180, 28), 4);
    /// # Ok::<(), vdn_train::TrainError>(())
    /// ```
    #[must_use]
    pub fn with_cycles(mut self) -> Self {
        self.covariates.cycles = self.rows.calendar().map_or_else(Vec::new, Calendar::cycles);
        if self.covariates.cycles.is_empty() {
            let why = match self.rows.calendar() {
                None => "the rows have no dates",
                Some(_) => "no cycle of the calendar is as long as two steps",
            };
            self.notes.push(format!("data.calendar adds nothing: {why}"));
        }
        self
    }

    /// Takes over the categories of a run, if the static columns are the same and the run's
    /// categories include all of this dataset's. Other covariates are left unchanged.
    ///
    /// # Errors
    ///
    /// [`DataError::BadSeries`] for a series with windows whose category is not among the run's
    /// categories.
    pub(crate) fn take_categories(&mut self, of: &Covariates) -> Result<(), DataError> {
        let known = |(own, of): (&StaticColumn, &StaticColumn)| {
            let all: HashSet<&String> = of.categories.iter().collect();
            own.name == of.name && own.categories.iter().all(|one| all.contains(one))
        };
        let own = &self.covariates.statics;
        if *own == of.statics || own.len() != of.statics.len() {
            return Ok(());
        }
        // Covariates that differ in another way are rejected elsewhere.
        if own.iter().zip(&of.statics).all(known) {
            self.covariates.statics.clone_from(&of.statics);
            self.number_categories()?;
        }
        Ok(())
    }

    /// Assigns category numbers to the series that have windows.
    pub(super) fn number_categories(&mut self) -> Result<(), DataError> {
        let mut used = vec![false; self.names.len()];
        let Splits { train, validation, test, .. } = &self.splits;
        for window in train.iter().chain(validation).chain(test) {
            used[window.series as usize] = true;
        }
        // A series without windows may have categories that do not occur in training.
        let of = |(series, used): (usize, &bool)| match used {
            true => self.covariates.categories_of(&self.rows, series),
            false => Ok(Vec::new()),
        };
        self.categories = used.iter().enumerate().map(of).collect::<Result<_, _>>()?;
        Ok(())
    }

    /// Returns the dataset with the covariates of a trained model, for a forecast.
    ///
    /// # Errors
    ///
    /// [`DataError::Mismatch`] if the model uses calendar cycles and the times of the data are not
    /// known; [`DataError::BadSeries`] for a column that is not known for the whole horizon, and
    /// for a category that does not occur in training.
    pub(crate) fn with_covariates(mut self, covariates: Covariates) -> Result<Self, DataError> {
        if !covariates.cycles.is_empty() && self.rows.calendar().is_none() {
            let problem = "the model knows the calendar, the data have no times: add a column of \
                           times, or train without data.calendar"
                .to_owned();
            return Err(DataError::Mismatch { op: "forecast", problem });
        }
        covariates.check_names(&self.rows)?;
        for (series, column) in self.columns.iter().enumerate() {
            let (rows, horizon) = (column.len(), self.spec.horizon);
            covariates.check_ahead(&self.rows, series, rows, horizon)?;
            let last = rows.saturating_sub(self.spec.first_start())..rows;
            covariates.check_domain(&self.rows, series, (last, horizon), |_| String::new())?;
        }
        let of = |series| covariates.categories_of(&self.rows, series);
        self.categories = (0..self.names.len()).map(of).collect::<Result<_, _>>()?;
        self.covariates = covariates;
        Ok(self)
    }

    /// Returns the covariates of the windows.
    pub fn covariates(&self) -> &Covariates {
        &self.covariates
    }

    /// Returns the number of numeric covariates of a window.
    pub fn covariate_numbers(&self) -> usize {
        self.covariates.numbers(self.spec.input_len, self.spec.horizon)
    }

    /// Writes the numeric covariates of windows, `[windows, covariate_numbers]`, row-major, for
    /// windows `lag` strides earlier.
    ///
    /// # Errors
    ///
    /// The errors of [`Dataset::fill_batch`].
    pub fn fill_covariates<T>(
        &self,
        windows: &[WindowIndex],
        lag: usize,
        out: &mut [T],
        convert: impl Fn(f64) -> T + Copy,
    ) -> Result<(), DataError> {
        let (op, width) = ("fill_covariates", self.covariate_numbers());
        if windows.len().checked_mul(width) != Some(out.len()) {
            let count = windows.len();
            let problem =
                format!("the buffer has {} elements, [{count}, {width}] needs others", out.len());
            return Err(DataError::Mismatch { op, problem });
        }
        if width == 0 {
            return Ok(());
        }
        let WindowSpec { input_len, horizon, stride, .. } = self.spec;
        for (window, out) in windows.iter().zip(out.chunks_exact_mut(width)) {
            let series = window.series as usize;
            let filled = (window.t as usize).checked_sub(lag * stride).is_some_and(|t| {
                self.covariates.fill(&self.rows, series, [input_len, horizon, t], out, convert)
            });
            if !filled {
                return Err(DataError::Mismatch { op, problem: self.outside(*window, input_len) });
            }
        }
        Ok(())
    }

    /// Returns the categories of windows, numbered among all categories,
    /// `[windows, static columns]`, row-major.
    pub(crate) fn categories_of(&self, windows: &[WindowIndex]) -> impl Iterator<Item = usize> {
        windows.iter().flat_map(|window| self.categories[window.series as usize].iter().copied())
    }

    /// Returns the standardised lower limit of a series; `None` for a series without a limit.
    ///
    /// ```
    /// use vdn_forecast::config::RunConfig;
    /// let config = RunConfig::from_toml("[data]\nsupport = \"non_negative\"\ncolumns = [\"wind\"]\n")?;
    /// let data = config.data.dataset(config.data.load_table()?)?;
    /// assert_eq!(data.floor(0), Some(data.scaler().transform(0, 0.0)));
    /// # Ok::<(), vdn_train::TrainError>(())
    /// ```
    pub fn floor(&self, series: usize) -> Option<f64> {
        match self.rows.support {
            Support::Real => None,
            Support::NonNegative => {
                // The offset that was subtracted from the values is subtracted from the limit 0,
                // too.
                Some(self.scaler.transform(series, 0.0 - self.offset(series) as f64))
            }
        }
    }

    /// Returns the lower limits of windows, `[windows]`; `None` if series have no limit.
    pub(crate) fn floors(&self, windows: &[WindowIndex]) -> Option<Vec<f64>> {
        windows.iter().map(|window| self.floor(window.series as usize)).collect()
    }

    /// Returns the support: the possible values of the series.
    pub fn support(&self) -> Support {
        self.rows.support
    }
}
