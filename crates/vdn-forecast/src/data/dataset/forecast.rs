//! Datasets for forecasts beyond the end of the series.

use crate::data::covariates::Covariates;
use crate::data::dataset::{Dataset, ROUNDING, check_domain, missing};
use crate::data::read::SeriesTable;
use crate::data::windows::{Splits, WindowIndex, WindowSpec};
use std::collections::HashMap;
use vdn_train::data::{DataError, Scaler};

impl Dataset {
    /// Builds a dataset for forecasts with a trained model: the series in `names`, standardised
    /// with the model's `scaler`. It has no splits; see [`Dataset::latest_windows`].
    ///
    /// # Errors
    ///
    /// - [`DataError::BadSeries`] for a series that is missing in the table, is too short for one
    ///   window, or has no value in the last window;
    /// - [`DataError::TooLarge`] as for [`Dataset::new`], for the rows of the last window;
    /// - [`DataError::Mismatch`] if the scaler has another number of series than `names`;
    /// - [`DataError::InvalidOption`] for settings that no series can satisfy.
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
        // If several series have the same name, the first one is used.
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

    /// Whether the series is constant, at its training constant, in the rows that the next forecast
    /// starts from.
    pub fn ends_constant(&self, series: usize) -> bool {
        let column = &self.columns[series];
        let last = column.len().saturating_sub(self.spec.first_start());
        column[last..].iter().all(|z| z.is_nan() || z.abs() <= ROUNDING)
    }

    /// Returns the window after the last row of each series that has enough history. Use it only
    /// with [`Dataset::fill_inputs`]: its target lies in the future.
    pub fn latest_windows(&self) -> impl Iterator<Item = WindowIndex> + '_ {
        let first = self.spec.first_start();
        (0_u32..)
            .zip(&self.columns)
            .filter(move |(_, column)| column.len() >= first)
            .map(|(series, column)| WindowIndex { series, t: column.len() as u32 })
    }
}
