//! [`DataConfig`]: the `[data]` table of a configuration.

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

/// The data to read, and how to cut them into windows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DataConfig {
    /// The data file: delimited text, plain or gzip. It is wide (one column per series) or long
    /// (columns of names, times and values). Default: none, which means the embedded demo series.
    pub file: Option<PathBuf>,
    /// The separator of cells: one ASCII character, or `tab`. Default: none, which means it is
    /// detected from the content.
    pub delimiter: Option<String>,
    /// The decimal mark of numbers, `.` or `,`. Default: none, which means it is detected from the
    /// content.
    pub decimal: Option<String>,
    /// The series to use, each by name or `#k`. Default: none, which means all.
    pub columns: Option<Vec<String>>,
    /// The column of times, by name or `#k`. `none` treats the rows as equally spaced, in file
    /// order. Default: none set, which means the column that holds dates, if there is one.
    pub date: Option<String>,
    /// The format of dates, a `strptime` pattern such as `%d.%m.%Y %H:%M`. Default: none, which
    /// means it is detected from the dates.
    pub date_format: Option<String>,
    /// The time zone of the file's clock, such as `Europe/Berlin`. Default: none, which means the
    /// UTC offset of the dates, or an unknown zone.
    pub zone: Option<String>,
    /// In long form, the column with the name of the series. Default: none, which means it is
    /// detected.
    pub id_column: Option<String>,
    /// In long form, the column with the values. Default: none, which means the only remaining
    /// column, or `y`.
    pub target_column: Option<String>,
    /// The treatment of rows with the same time: `error` (the default) rejects them, `mean`
    /// averages them, `last` keeps the last one.
    pub duplicates: Duplicates,
    /// The treatment of missing values and missing rows:
    ///
    /// - `error`, the default, rejects them;
    /// - `forward`, `linear` and `zero` fill them;
    /// - `mask` leaves them missing, and excludes them from training and scoring.
    ///
    /// A series begins with its first value.
    pub fill: FillPolicy,
    /// Numbers that stand for a missing value. They have to be finite. Default: none.
    pub sentinels: Vec<f64>,
    /// Whether windows get calendar features: sine and cosine of the phase of the day, week and
    /// year at the start of the forecast. A cycle is used only if the step of the rows resolves it
    /// and times are known. `data.past` and `data.future` add other covariates. Default: false.
    pub calendar: bool,
    /// Columns of numeric covariates that are known until the forecast begins, by name or `#k`.
    /// Default: none.
    pub past: Vec<String>,
    /// Columns of numeric covariates that are known ahead, such as plans and holidays.
    /// `vdn forecast` reads their future values from rows after the last observation. Default:
    /// none.
    pub future: Vec<String>,
    /// In long form, categorical columns that are constant within a series. Default: none.
    #[serde(rename = "static")]
    pub statics: Vec<String>,
    /// The possible values of the series: `real` (the default), or `non_negative`. With
    /// `non_negative`, a negative value in the data is an error, and no forecast is negative.
    pub support: Support,
    /// The number of rows in an input window (input length), `L`, 1 to 2^24. Default: 180.
    pub input_len: usize,
    /// The number of rows to forecast, `H`, 1 to 2^24. Default: 28.
    pub horizon: usize,
    /// The number of rows by which the second input window starts before the first one. Default: 4.
    pub stride: usize,
    /// Whether windows start at `L + 2 stride` instead of `L + stride`, so that the earlier window
    /// has a predecessor, too. Default: false; in a file that omits the key, true if a controller
    /// needs it.
    pub extra_lag: bool,
    /// The split of windows into training, validation and test. Default: `spec`; with the
    /// reference's values, `reference`.
    pub protocol: ProtocolName,
    /// The rows that give the means and standard deviations for scaling: `training` (the default),
    /// or `with_validation` (the default of the protocol `reference`).
    pub scaling: ScalingRows,
    /// The maximum number of training windows of each series, at least 1, evenly spaced. Default:
    /// none, which means all.
    pub max_train: Option<usize>,
    /// The maximum number of validation windows of each series, at least 1, evenly spaced. Default:
    /// none, which means all.
    pub max_validation: Option<usize>,
    /// The maximum number of test windows of each series, at least 1, evenly spaced. Default: none,
    /// which means all.
    pub max_test: Option<usize>,
    /// The period of the seasonal naive baseline in rows, at least 1. Default: none, which means
    /// the calendar period that forecasts the training windows best.
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
    /// Returns the defaults of the reference implementation.
    #[must_use]
    pub fn reference() -> Self {
        Self {
            protocol: ProtocolName::Reference,
            scaling: ScalingRows::WithValidation,
            ..Self::default()
        }
    }

    /// Checks every value that can be checked before the file is read.
    ///
    /// # Errors
    /// Fails on the first invalid value, and names its key.
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
    /// The errors of [`SeriesTable::load`].
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

    /// Returns the name of the data in messages.
    #[must_use]
    pub fn name(&self) -> String {
        match &self.file {
            Some(file) => file.display().to_string(),
            None => "embedded demo (Seattle weather, 2012 to 2015, daily)".to_owned(),
        }
    }

    /// Returns the window specification of these settings.
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

    /// Returns the benchmark split of the data set that the file is named after.
    fn split_of_name(&self) -> BenchmarkSplit {
        let name = self.file.as_ref().and_then(|file| file.file_name());
        let name = name.map(|name| name.to_string_lossy().to_ascii_lowercase());
        match name.as_deref().and_then(|name| name.split('.').next()) {
            Some("etth1" | "etth2") => BenchmarkSplit::EttHour,
            Some("ettm1" | "ettm2") => BenchmarkSplit::EttMinute,
            _ => BenchmarkSplit::Ratio,
        }
    }

    /// Returns a note on the `probts` protocol: the split that it derives from the file name, and
    /// how it differs from published tables. `None` for other protocols.
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
    /// The errors of [`Dataset::from_table`]: series that are too short, or values that are not
    /// finite. If series differ in length, those that are too short are skipped instead.
    pub fn dataset(&self, table: SeriesTable) -> Result<Dataset, TrainError> {
        let scope = match self.scaling {
            ScalingRows::WithValidation => FitScope::IncludeValidation,
            ScalingRows::Training => FitScope::Training,
        };
        // Series that begin or end at different times may be too short one by one. In a table of
        // equal lengths, all series are too short together: that is an error.
        let lengths = || table.columns.iter().map(Vec::len);
        let skip_short = lengths().min() != lengths().max();
        let spec = WindowSpec { skip_short, ..self.window_spec() };
        self.cut(table, spec, scope)
    }

    /// [`Dataset::from_table`], with calendar features if `calendar` is set.
    pub(crate) fn cut(
        &self,
        table: SeriesTable,
        spec: WindowSpec,
        scope: FitScope,
    ) -> Result<Dataset, TrainError> {
        let data = Dataset::from_table(table, spec, scope)?;
        Ok(if self.calendar { data.with_cycles() } else { data })
    }

    /// Returns the block lengths (in steps) whose sums score forecasts: days and weeks if the
    /// calendar has them, else a quarter of the horizon.
    #[must_use]
    pub fn blocks_of(&self, data: &Dataset) -> Vec<BlockLength> {
        let file = self.file.as_ref().map(|file| file.to_string_lossy());
        let step = data.calendar().map(|calendar| calendar.step);
        block_lengths(file.as_deref().unwrap_or_default(), step, self.horizon)
    }

    /// Returns the period of the seasonal naive baseline, and the reason for the choice.
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
