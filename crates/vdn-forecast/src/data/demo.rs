//! The series that come with the library, so that a first run needs no download.
//!
//! Where the file comes from and why it may be copied stands in `demo_seattle_weather.md`.

use crate::data::read::{SeriesOptions, SeriesTable};
use vdn_train::data::DataError;
use vdn_train::data::{Table, TableOptions};

const NAME: &str = "demo_seattle_weather.csv";

const SEATTLE_WEATHER: &[u8] = include_bytes!("demo_seattle_weather.csv");

/// Input length that suits the demo series: half a year of days.
pub const DEMO_INPUT_LEN: usize = 180;

/// Horizon that suits the demo series: four weeks.
pub const DEMO_HORIZON: usize = 28;

/// Seasonal period of the demo series: a year of days.
pub const DEMO_SEASON: usize = 365;

/// Daily weather of Seattle, 2012 to 2015: precipitation (mm), highest and lowest temperature
/// (°C) and wind (m/s), 1461 rows without a gap.
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
/// None in practice; the signature is that of every loader.
pub fn demo() -> Result<Table, DataError> {
    Table::from_bytes(NAME, SEATTLE_WEATHER, &TableOptions::default())
}

/// The same series with their dates, read with these options: only some columns, sentinels.
///
/// # Errors
///
/// As for [`SeriesTable::load`]: a column that is not there.
pub fn demo_series(options: &SeriesOptions) -> Result<SeriesTable, DataError> {
    SeriesTable::from_bytes(NAME, SEATTLE_WEATHER, options)
}
