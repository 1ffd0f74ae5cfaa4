//! Series to forecast from beyond their ends.

use crate::data::covariates::Covariates;
use crate::data::dataset::{Dataset, ROUNDING, check_domain, missing};
use crate::data::read::SeriesTable;
use crate::data::windows::{Splits, WindowIndex, WindowSpec};
use std::collections::HashMap;
use vdn_train::data::{DataError, Scaler};

impl Dataset {
    /// Series to forecast from with a model that was trained before: the series called `names`,
    /// standardised with its `scaler`. There are no splits; see [`Dataset::latest_windows`].
    ///
    /// # Errors
    ///
    /// [`DataError::BadSeries`] for a series that the table lacks, that is too short for one
    /// window, or that has no value in it; [`DataError::TooLarge`] as for [`Dataset::new`], for the
    /// rows of the last window; [`DataError::Mismatch`] when the scaler is not of as many series as
    /// `names`; [`DataError::InvalidOption`] for settings that no series can satisfy.
    pub fn for_forecast(
        table: impl Into<SeriesTable>,
        spec: WindowSpec,
        names: Vec<String>,
        scaler: Scaler,
    ) -> Result<Self, DataError> {
        let table = table.into();
        spec.check()?;
        if names.len() != scaler.mean().len() {
            let problem = format!("{} series, a scaler of {}", names.len(), scaler.mean().len());
            return Err(DataError::Mismatch { op: "forecast", problem });
        }
        let needed = spec.first_start();
        let mut columns = Vec::with_capacity(names.len());
        // Of series of one name the first one counts.
        let mut places = HashMap::with_capacity(table.names.len());
        for (place, name) in table.names.iter().enumerate() {
            places.entry(name.as_str()).or_insert(place);
        }
        let masked = table.masked;
        let mut rows = SeriesTable {
            file: table.file.clone(),
            calendar: table.calendar.clone(),
            support: table.support,
            side: table.side.clone(),
            masked,
            ..SeriesTable::default()
        };
        for (series, name) in names.iter().enumerate() {
            let bad = |problem| DataError::BadSeries { series: name.clone(), problem };
            let Some(&place) = places.get(name.as_str()) else {
                return Err(bad("the data have no series of this name".to_owned()));
            };
            let mut column = table.columns[place].clone();
            if column.len() < needed {
                let length = column.len();
                return Err(bad(format!("{length} rows, a forecast needs {needed}")));
            }
            scaler.transform_in_place(series, &mut column);
            let last = column.len() - needed..column.len();
            if column[last.clone()].iter().all(|z| z.is_nan()) {
                return Err(bad(format!(
                    "the last {needed} rows, which a forecast starts from, hold no value"
                )));
            }
            check_domain(name, &column, last, |row| {
                table.place(place, row).map_or_else(String::new, |place| format!(" in {place}"))
            })?;
            columns.push(column);
            rows.rows.extend(table.rows.get(place).cloned());
        }
        let (splits, notes) = (Splits::default(), table.notes);
        let (covariates, categories) = (Covariates::default(), Vec::new());
        let filled = missing::filled(&columns);
        Ok(Self {
            names,
            columns,
            filled,
            scaler,
            splits,
            spec,
            rows,
            notes,
            covariates,
            categories,
        })
    }

    /// Whether the rows that the next forecast of a series starts from are all its constant.
    pub fn ends_constant(&self, series: usize) -> bool {
        let column = &self.columns[series];
        let last = column.len().saturating_sub(self.spec.first_start());
        column[last..].iter().all(|z| z.is_nan() || z.abs() <= ROUNDING)
    }

    /// The window that predicts the rows after the last one of each series, for series with
    /// enough history. Good for [`Dataset::fill_inputs`] only: its target is the future.
    pub fn latest_windows(&self) -> impl Iterator<Item = WindowIndex> + '_ {
        let first = self.spec.first_start();
        (0_u32..)
            .zip(&self.columns)
            .filter(move |(_, column)| column.len() >= first)
            .map(|(series, column)| WindowIndex { series, t: column.len() as u32 })
    }
}
