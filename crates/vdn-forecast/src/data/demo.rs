//! The embedded demo series, so that a first run needs no download.
//!
//! `demo_seattle_weather.md` documents the source and the licence of the file.

use crate::data::read::{SeriesOptions, SeriesTable};
use vdn_train::data::DataError;
use vdn_train::data::{Table, TableOptions};

const NAME: &str = "demo_seattle_weather.csv";

const SEATTLE_WEATHER: &[u8] = include_bytes!("demo_seattle_weather.csv");

/// The input length for the demo series: half a year of days.
pub const DEMO_INPUT_LEN: usize = 180;

/// The horizon for the demo series: four weeks.
pub const DEMO_HORIZON: usize = 28;

/// The seasonal period of the demo series: a year of days.
pub const DEMO_SEASON: usize = 365;

/// Returns the daily weather of Seattle, 2012 to 2015: precipitation (mm), highest and lowest
/// temperature (°C) and wind (m/s). The table has 1461 rows without gaps.
///
/// ```
/// let table = vdn_forecast::data::demo()?;
/// assert_eq!(table.names, ["precipitation", "temp_max", "temp_min", "wind"]);
/// assert_eq!(table.rows(), 1461);
/// # Ok::<(), vdn_train::data::DataError>(())
/// ```
///
/// # Errors
///
/// Never fails in practice; the signature matches the other loaders.
pub fn demo() -> Result<Table, DataError> {
    Table::from_bytes(NAME, SEATTLE_WEATHER, &TableOptions::default())
}

/// Returns the demo series with their dates, read with these options (for example, selected columns
/// or sentinels).
///
/// # Errors
///
/// The errors of [`SeriesTable::load`], such as a column that does not exist.
pub fn demo_series(options: &SeriesOptions) -> Result<SeriesTable, DataError> {
    SeriesTable::from_bytes(NAME, SEATTLE_WEATHER, options)
}
