//! What a [`Dataset`] knows of windows beside their values: covariates, categories, lower limits.

use crate::data::covariates::{Covariates, StaticColumn};
use crate::data::dataset::Dataset;
use crate::data::support::Support;
use crate::data::time::Calendar;
use crate::data::windows::{Splits, WindowIndex, WindowSpec};
use std::collections::HashSet;
use vdn_train::data::DataError;

impl Dataset {
    /// The same series, whose windows have the cycles of the calendar beside their values; where
    /// there are none, as times are not known or far apart, a note says so.
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

    /// Takes the categories of a run whose static columns are these, and know all of these
    /// categories and more. Nothing happens for other covariates.
    ///
    /// # Errors
    ///
    /// [`DataError::BadSeries`] for a series with windows whose category is not among them.
    pub(crate) fn take_categories(&mut self, of: &Covariates) -> Result<(), DataError> {
        let known = |(own, of): (&StaticColumn, &StaticColumn)| {
            let all: HashSet<&String> = of.categories.iter().collect();
            own.name == of.name && own.categories.iter().all(|one| all.contains(one))
        };
        let own = &self.covariates.statics;
        if *own == of.statics || own.len() != of.statics.len() {
            return Ok(());
        }
        // Others are refused as they are.
        if own.iter().zip(&of.statics).all(known) {
            self.covariates.statics.clone_from(&of.statics);
            self.number_categories()?;
        }
        Ok(())
    }

    /// Numbers the categories of series with windows.
    pub(super) fn number_categories(&mut self) -> Result<(), DataError> {
        let mut used = vec![false; self.names.len()];
        let Splits { train, validation, test, .. } = &self.splits;
        for window in train.iter().chain(validation).chain(test) {
            used[window.series as usize] = true;
        }
        // A series without windows has categories that nothing is learnt of.
        let of = |(series, used): (usize, &bool)| match used {
            true => self.covariates.categories_of(&self.rows, series),
            false => Ok(Vec::new()),
        };
        self.categories = used.iter().enumerate().map(of).collect::<Result<_, _>>()?;
        Ok(())
    }

    /// The same series with the covariates that a model was trained with, for a forecast.
    ///
    /// # Errors
    ///
    /// [`DataError::Mismatch`] where times are not known and cycles are asked for;
    /// [`DataError::BadSeries`] for a column that is not known as far ahead as is forecast, or a
    /// category that training did not see.
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

    /// What windows have beside their values.
    pub fn covariates(&self) -> &Covariates {
        &self.covariates
    }

    /// Numbers beside the values of a window.
    pub fn covariate_numbers(&self) -> usize {
        self.covariates.numbers(self.spec.input_len, self.spec.horizon)
    }

    /// Writes the numbers beside the values of windows, `[windows, covariate_numbers]`, row-major,
    /// as they are `lag` strides before the windows.
    ///
    /// # Errors
    ///
    /// As for [`Dataset::fill_batch`].
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

    /// The categories of windows among all, `[windows, static columns]`, row-major.
    pub(crate) fn categories_of(&self, windows: &[WindowIndex]) -> impl Iterator<Item = usize> {
        windows.iter().flat_map(|window| self.categories[window.series as usize].iter().copied())
    }

    /// The lower limit of a series, standardised; `None` for a series that can have any value.
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
                // What was subtracted from the values was subtracted from 0, too.
                Some(self.scaler.transform(series, 0.0 - self.offset(series) as f64))
            }
        }
    }

    /// The lower limits of windows, `[windows]`; `None` where series can have any value.
    pub(crate) fn floors(&self, windows: &[WindowIndex]) -> Option<Vec<f64>> {
        windows.iter().map(|window| self.floor(window.series as usize)).collect()
    }

    /// Which values the series can have.
    pub fn support(&self) -> Support {
        self.rows.support
    }
}
