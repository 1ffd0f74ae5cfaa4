//! The data part of a configuration.

use crate::config::data_names::{FillPolicy, ProtocolName, ScalingRows};
use crate::data::time::is_zone;
use crate::data::{
    BenchmarkSplit, BlockLength, DEMO_HORIZON, DEMO_INPUT_LEN, DEMO_SEASON, Dataset, Duplicates,
    MaxWindows, Protocol, SeriesOptions, SeriesTable, Support, TimeColumn, WindowSpec,
    block_lengths, demo_series, seasonal_period,
};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use vdn_train::TrainError;
use vdn_train::data::{FileForm, Fill, FitScope};

/// What is read and how it is cut into windows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DataConfig {
    /// A delimited file, plain or gzip, wide (a column for each series) or long (columns of names,
    /// times and values); none: the embedded demo series.
    pub file: Option<PathBuf>,
    /// What separates cells: one ASCII character, or `tab`; none: found from the content.
    pub delimiter: Option<String>,
    /// What stands before the decimals of numbers, `.` or `,`; none: found from the content.
    pub decimal: Option<String>,
    /// The series to take, by name or `#k`; none: all.
    pub columns: Option<Vec<String>>,
    /// The column of times, by name or `#k`; `none`: rows are taken at equal distances, as they
    /// stand; left out: the column that holds dates, if there is one.
    pub date: Option<String>,
    /// How dates are written, a pattern of `strptime` as in `%d.%m.%Y %H:%M`; none: found from the
    /// dates.
    pub date_format: Option<String>,
    /// The time zone of the file's clock, as in `Europe/Berlin`; none: that of the dates' offsets,
    /// or unknown.
    pub zone: Option<String>,
    /// In long form, the column that names the series; none: found.
    pub id_column: Option<String>,
    /// In long form, the column with the values; none: the only one, or `y`.
    pub target_column: Option<String>,
    /// What becomes of rows with one time: `error`, the default, refuses them; `mean`, `last`.
    pub duplicates: Duplicates,
    /// How missing values and missing rows are filled: `error`, the default, refuses them;
    /// `forward`, `linear`, `zero`; `mask` leaves them missing, and they are neither trained on nor
    /// scored. A series begins with its first value.
    pub fill: FillPolicy,
    /// Numbers that stand for a missing value, finite; none.
    pub sentinels: Vec<f64>,
    /// Whether windows have the cycles of the calendar beside their values (`data.past` and the
    /// like say what else): the phases of day, week and year at which the forecast begins, as sines
    /// and cosines, as far as the step of the rows goes through them, where times are known; false.
    pub calendar: bool,
    /// Columns of numbers beside the series that are known until a forecast begins, by name or
    /// `#k`; none.
    pub past: Vec<String>,
    /// Columns of numbers beside the series that are known ahead, as plans and holidays are; none.
    /// `vdn forecast` finds them in rows behind the last observation.
    pub future: Vec<String>,
    /// In long form, columns that do not change within a series, whose cells are categories; none.
    #[serde(rename = "static")]
    pub statics: Vec<String>,
    /// Which values the series can have: `real`, the default, or `non_negative`, numbers from 0 up;
    /// then a negative value is refused and none is ever forecast.
    pub support: Support,
    /// Rows of an input window, `L`, 1 to 2^24; 180.
    pub input_len: usize,
    /// Rows to forecast, `H`, 1 to 2^24; 28.
    pub horizon: usize,
    /// Rows from the start of the second, earlier input window to the start of the first; 4.
    pub stride: usize,
    /// Whether windows start at `L + 2 stride` instead of `L + stride`, so that the earlier window
    /// has a predecessor too; false, in a file that leaves it out: where a controller needs it.
    pub extra_lag: bool,
    /// How windows are divided; `spec`, with the reference's values `reference`.
    pub protocol: ProtocolName,
    /// The rows that means and deviations are taken of: `training`, the default, or
    /// `with_validation`, the default of the protocol `reference`.
    pub scaling: ScalingRows,
    /// At most so many training windows of each series, evenly spaced, at least 1; none: all.
    pub max_train: Option<usize>,
    /// At most so many validation windows of each series, evenly spaced, at least 1; none: all.
    pub max_validation: Option<usize>,
    /// At most so many test windows of each series, evenly spaced, at least 1; none: all.
    pub max_test: Option<usize>,
    /// The period of the seasonal naive baseline in rows, at least 1; none: of the periods of the
    /// calendar, the one that forecasts the training windows best.
    pub season: Option<usize>,
}

impl Default for DataConfig {
    fn default() -> Self {
        Self {
            file: None,
            delimiter: None,
            decimal: None,
            columns: None,
            date: None,
            date_format: None,
            zone: None,
            id_column: None,
            target_column: None,
            duplicates: Duplicates::Error,
            fill: FillPolicy::Error,
            sentinels: Vec::new(),
            calendar: false,
            past: Vec::new(),
            future: Vec::new(),
            statics: Vec::new(),
            support: Support::Real,
            input_len: DEMO_INPUT_LEN,
            horizon: DEMO_HORIZON,
            stride: 4,
            extra_lag: false,
            protocol: ProtocolName::Spec,
            scaling: ScalingRows::Training,
            max_train: None,
            max_validation: None,
            max_test: None,
            season: None,
        }
    }
}

impl DataConfig {
    /// The defaults of the reference implementation.
    #[must_use]
    pub fn reference() -> Self {
        Self {
            protocol: ProtocolName::Reference,
            scaling: ScalingRows::WithValidation,
            ..Self::default()
        }
    }

    /// Checks every value that can be wrong before the file is read.
    ///
    /// # Errors
    /// The first that is wrong, named.
    pub fn validate(&self) -> Result<(), TrainError> {
        for (name, value) in [("input_len", self.input_len), ("horizon", self.horizon)] {
            if value == 0 {
                return Err(TrainError::config(format!("data.{name} = 0: has to be at least 1")));
            }
            if value > 1 << 24 {
                let reason = format!("data.{name} = {value}: has to be at most 2^24");
                return Err(TrainError::config(reason));
            }
        }
        if let Some(sentinel) = self.sentinels.iter().find(|x| !x.is_finite()) {
            let reason = format!("data.sentinels = {sentinel}: has to be finite");
            return Err(TrainError::config(reason));
        }
        let counts = [
            ("max_train", self.max_train),
            ("max_validation", self.max_validation),
            ("max_test", self.max_test),
        ];
        for (name, value) in counts.into_iter().chain([("season", self.season)]) {
            if value == Some(0) {
                return Err(TrainError::config(format!("data.{name} = 0: has to be at least 1")));
            }
        }
        if let Some(zone) = &self.zone
            && !is_zone(zone)
        {
            let domain = "has to be the name of a time zone, like Europe/Berlin";
            return Err(TrainError::config(format!("data.zone = {zone:?}: {domain}")));
        }
        FileForm::of_settings(self.delimiter.as_deref(), self.decimal.as_deref()).map(|_| ())
    }

    /// Reads the series.
    ///
    /// # Errors
    /// Those of [`SeriesTable::load`].
    pub fn load_table(&self) -> Result<SeriesTable, TrainError> {
        let options = SeriesOptions {
            form: FileForm::of_settings(self.delimiter.as_deref(), self.decimal.as_deref())?,
            time: self.date.as_deref().map_or(TimeColumn::Auto, TimeColumn::from),
            date_format: self.date_format.clone(),
            zone: self.zone.clone(),
            id_column: self.id_column.clone(),
            target_column: self.target_column.clone(),
            columns: self.columns.clone(),
            duplicates: self.duplicates,
            fill: match self.fill {
                FillPolicy::Error => Fill::Error,
                FillPolicy::Forward | FillPolicy::Mask => Fill::Forward,
                FillPolicy::Linear => Fill::Linear,
                FillPolicy::Zero => Fill::Value(0.0),
            },
            sentinels: self.sentinels.clone(),
            mask: self.fill == FillPolicy::Mask,
            past: self.past.clone(),
            future: self.future.clone(),
            statics: self.statics.clone(),
            support: self.support,
            ..SeriesOptions::default()
        };
        Ok(match &self.file {
            Some(file) => SeriesTable::load(file, &options)?,
            None => demo_series(&options)?,
        })
    }

    /// The name that messages use for the data.
    #[must_use]
    pub fn name(&self) -> String {
        match &self.file {
            Some(file) => file.display().to_string(),
            None => "embedded demo (Seattle weather, 2012 to 2015, daily)".to_owned(),
        }
    }

    /// The windows that are asked for.
    #[must_use]
    pub fn window_spec(&self) -> WindowSpec {
        let protocol = match self.protocol {
            ProtocolName::Spec => Protocol::Spec { gap: true },
            ProtocolName::SpecOverlapping => Protocol::Spec { gap: false },
            ProtocolName::Reference => Protocol::REFERENCE,
            ProtocolName::BenchmarkEttHour => Protocol::Benchmark(BenchmarkSplit::EttHour),
            ProtocolName::BenchmarkEttMinute => Protocol::Benchmark(BenchmarkSplit::EttMinute),
            ProtocolName::BenchmarkRatio => Protocol::Benchmark(BenchmarkSplit::Ratio),
            ProtocolName::Probts => Protocol::ProbTs(self.split_of_name()),
        };
        WindowSpec {
            stride: self.stride,
            extra_lag: self.extra_lag,
            protocol,
            max_windows: MaxWindows {
                train: self.max_train,
                validation: self.max_validation,
                test: self.max_test,
            },
            ..WindowSpec::new(self.input_len, self.horizon)
        }
    }

    /// The benchmark's split for the data set that the file is named after.
    fn split_of_name(&self) -> BenchmarkSplit {
        let name = self.file.as_ref().and_then(|file| file.file_name());
        let name = name.map(|name| name.to_string_lossy().to_ascii_lowercase());
        match name.as_deref().and_then(|name| name.split('.').next()) {
            Some("etth1" | "etth2") => BenchmarkSplit::EttHour,
            Some("ettm1" | "ettm2") => BenchmarkSplit::EttMinute,
            _ => BenchmarkSplit::Ratio,
        }
    }

    /// What a protocol took from the name of the file, and where it departs from published tables.
    #[must_use]
    pub fn protocol_note(&self) -> Option<String> {
        if self.protocol != ProtocolName::Probts {
            return None;
        }
        let rows = match self.split_of_name() {
            BenchmarkSplit::EttHour => "12, 4 and 4 months of hours, as the file's name asks for",
            BenchmarkSplit::EttMinute => {
                "12, 4 and 4 months of quarter-hours, as the file's name asks for"
            }
            BenchmarkSplit::Ratio => "70, 10 and 20 % of the rows",
        };
        let length = match self.input_len {
            96 => String::new(),
            other => format!("; published tables are of 96 input rows, here they are {other}"),
        };
        Some(format!("protocol probts: {rows}{length}"))
    }

    /// Cuts a table into standardised windows.
    ///
    /// ```
    /// use vdn_forecast::config::RunConfig;
    /// let config = RunConfig::default();
    /// let table = config.data.load_table()?;
    /// assert!(config.data.dataset(table).is_ok());
    /// # Ok::<(), vdn_train::TrainError>(())
    /// ```
    ///
    /// # Errors
    /// Those of [`Dataset::from_table`]: series that are too short (of series of several lengths,
    /// those that are too short are left out), values that are not finite.
    pub fn dataset(&self, table: SeriesTable) -> Result<Dataset, TrainError> {
        let scope = match self.scaling {
            ScalingRows::WithValidation => FitScope::IncludeValidation,
            ScalingRows::Training => FitScope::Training,
        };
        // Series that begin or end at times of their own may be too short; a table of one length is
        // refused whole.
        let lengths = || table.columns.iter().map(Vec::len);
        let skip_short = lengths().min() != lengths().max();
        let spec = WindowSpec { skip_short, ..self.window_spec() };
        self.cut(table, spec, scope)
    }

    /// [`Dataset::from_table`], with the cycles of the calendar where they are asked for.
    pub(crate) fn cut(
        &self,
        table: SeriesTable,
        spec: WindowSpec,
        scope: FitScope,
    ) -> Result<Dataset, TrainError> {
        let data = Dataset::from_table(table, spec, scope)?;
        Ok(if self.calendar { data.with_cycles() } else { data })
    }

    /// The blocks of steps whose sums forecasts are judged by: days and weeks, where the calendar
    /// has them, else a quarter of the horizon.
    #[must_use]
    pub fn blocks_of(&self, data: &Dataset) -> Vec<BlockLength> {
        let file = self.file.as_ref().map(|file| file.to_string_lossy());
        let step = data.calendar().map(|calendar| calendar.step);
        block_lengths(file.as_deref().unwrap_or_default(), step, self.horizon)
    }

    /// The period of the seasonal naive baseline, and why it is that.
    #[must_use]
    pub fn season_of(&self, data: &Dataset) -> (usize, String) {
        if let Some(season) = self.season {
            return (season, "as configured".to_owned());
        }
        let Some(file) = &self.file else { return (DEMO_SEASON, "daily data, years".to_owned()) };
        let ranges = data.splits().ranges.iter();
        let training: Vec<usize> = ranges
            .map(|ranges| ranges.as_ref().map_or(0, |ranges| ranges.first_validation_target))
            .collect();
        let step = data.calendar().map(|calendar| calendar.step);
        let name = file.to_string_lossy();
        let found = seasonal_period(&name, step, data.filled(), &training, self.horizon);
        match found.period {
            Some(period) => (period, found.reason),
            None => (1, format!("none is known ({}), the last value is repeated", found.reason)),
        }
    }
}
