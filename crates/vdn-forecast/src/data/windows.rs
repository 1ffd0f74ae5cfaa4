//! Which windows of a series are for training, validation and test.
//!
//! A window is named by its series and by `t`, the row of its first target:
//!
//! ```text
//! current  = y[t - L .. t]                      (L input rows)
//! previous = y[t - L - stride .. t - stride]    (the same, `stride` rows earlier)
//! target   = y[t .. t + H]                      (H rows to predict)
//! ```

use std::fmt;
use std::ops::Range;

use vdn_train::data::DataError;

/// Row counts of the splits in the common long-horizon benchmark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BenchmarkSplit {
    /// ETTh1, ETTh2: 12, 4 and 4 months of 30 days of hours: 8640, 2880 and 2880 rows. Later
    /// rows are not used.
    EttHour,
    /// ETTm1, ETTm2: the same in quarters of an hour: 34560, 11520 and 11520 rows.
    EttMinute,
    /// All others: training `⌊0.7 n⌋` rows, test `⌊0.2 n⌋`, validation the rows between.
    Ratio,
}

impl BenchmarkSplit {
    /// Rows before the first validation target, before the first test target, and in all.
    fn bounds(self, length: usize) -> Option<[usize; 3]> {
        let fixed = |month: usize| {
            let bounds = [12 * month, 16 * month, 20 * month];
            (length >= bounds[2]).then_some(bounds)
        };
        match self {
            Self::EttHour => fixed(30 * 24),
            Self::EttMinute => fixed(30 * 24 * 4),
            Self::Ratio => Some([7 * length / 10, length - 2 * length / 10, length]),
        }
    }
}

/// How the windows of a series are divided.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Protocol {
    /// This library's default. Of the `n` possible values of `t`, in order of time, the first
    /// `⌊7n/10⌋` are for training, those up to `⌊8n/10⌋` for validation, the rest for test.
    Spec {
        /// Leave out the last `H - 1` windows of training and of validation, whose targets reach
        /// into the next split, so that no target row is shared.
        gap: bool,
    },
    /// Exactly what the authors' published code does: the last possible `t` is never used, the
    /// boundaries are `trunc(fraction * n)` in f64 (`0.7 + 0.1` is less than 0.8, so that many
    /// `n` come out one short), targets overlap between splits, short series are skipped.
    Reference {
        /// Share of training windows (0.7).
        train: f64,
        /// Share of validation windows (0.1).
        validation: f64,
    },
    /// The common long-horizon benchmark, for comparison with published tables: rows are split,
    /// not windows. Targets stay in their split, inputs may reach back into the one before.
    ///
    /// Published code has no earlier window; where the input begins `stride` rows before the
    /// data, the first `stride` training windows are left out. Validation and test windows are
    /// those of the tables.
    Benchmark(BenchmarkSplit),
    /// The rows of [`Protocol::Benchmark`], with test windows [`PROBTS_STRIDE`] rows apart: those
    /// of the ProbTS benchmark.
    ProbTs(BenchmarkSplit),
}

/// Rows from a test window of the ProbTS benchmark to the next one, whatever the horizon.
pub const PROBTS_STRIDE: usize = 96;

impl Protocol {
    /// [`Protocol::Reference`] with its usual shares.
    pub const REFERENCE: Self = Self::Reference { train: 0.7, validation: 0.1 };
}

impl Default for Protocol {
    fn default() -> Self {
        Self::Spec { gap: true }
    }
}

/// How many windows of each series a split takes at most; `None`: all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MaxWindows {
    /// Of training windows.
    pub train: Option<usize>,
    /// Of validation windows.
    pub validation: Option<usize>,
    /// Of test windows.
    pub test: Option<usize>,
}

/// Form of the windows and their division into splits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WindowSpec {
    /// Input rows `L`, at least 1.
    pub input_len: usize,
    /// Rows to predict `H`, at least 1.
    pub horizon: usize,
    /// How many rows earlier the previous window starts.
    pub stride: usize,
    /// Ask for `stride` more rows of history, where the earlier window needs its own predecessor
    /// (an autoregressive term).
    pub extra_lag: bool,
    /// How windows are divided.
    pub protocol: Protocol,
    /// At most so many windows of each series in each split, evenly spaced:
    /// the `⌊(2i + 1) n / 2m⌋`-th of `n`, `i = 0 .. m`.
    pub max_windows: MaxWindows,
    /// Skip series that are too short instead of refusing them.
    /// ([`Protocol::Reference`] always skips.)
    pub skip_short: bool,
}

/// One window: a series and the row of its first target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WindowIndex {
    /// Index of the series.
    pub series: u32,
    /// Row of the first target.
    pub t: u32,
}

/// Values of `t` of one series, before `max_windows` thins them out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeriesRanges {
    /// Training windows.
    pub train: Range<usize>,
    /// Validation windows.
    pub validation: Range<usize>,
    /// Test windows.
    pub test: Range<usize>,
    /// Row of the first validation target: the rows before it may be fitted to.
    pub first_validation_target: usize,
    /// Row of the first test target.
    pub first_test_target: usize,
}

/// The windows of all series, series after series, in order of time.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Splits {
    /// Windows to fit parameters to.
    pub train: Vec<WindowIndex>,
    /// Windows to choose by.
    pub validation: Vec<WindowIndex>,
    /// Windows to report on.
    pub test: Vec<WindowIndex>,
    /// Where the windows of each series lie; `None` for a series that was skipped.
    pub ranges: Vec<Option<SeriesRanges>>,
}

impl Splits {
    /// Indices of the series that were skipped because they are too short.
    pub fn skipped(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.ranges.len()).filter(|&series| self.ranges[series].is_none())
    }
}

impl WindowSpec {
    /// Windows of `input_len` rows that predict `horizon`, with the default stride (4) and
    /// protocol, all windows, and no patience with short series.
    pub fn new(input_len: usize, horizon: usize) -> Self {
        Self {
            input_len,
            horizon,
            stride: 4,
            extra_lag: false,
            protocol: Protocol::default(),
            max_windows: MaxWindows::default(),
            skip_short: false,
        }
    }

    /// Smallest `t`: `L + stride`, or `L + 2 stride` with [`WindowSpec::extra_lag`].
    pub fn first_start(&self) -> usize {
        self.input_len + self.stride * (1 + usize::from(self.extra_lag))
    }

    /// Divides the windows of series with these names and lengths (in rows).
    ///
    /// ```
    /// use vdn_forecast::data::{Protocol, WindowSpec};
    ///
    /// let spec = WindowSpec { protocol: Protocol::Spec { gap: false }, ..WindowSpec::new(8, 2) };
    /// let splits = spec.split(&["load".to_owned()], &[33])?;
    /// // t = 12 ..= 31: 20 windows, of which 14, 2 and 4.
    /// let counts = [splits.train.len(), splits.validation.len(), splits.test.len()];
    /// assert_eq!(counts, [14, 2, 4]);
    /// # Ok::<(), vdn_train::data::DataError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`DataError::SeriesTooShort`] for the first series that leaves a split empty (unless such
    /// series are skipped), and for the longest one when all of them do;
    /// [`DataError::InvalidOption`] for settings that no series can satisfy;
    /// [`DataError::Mismatch`] when there are not as many lengths as names, or none.
    pub fn split(&self, names: &[String], lengths: &[usize]) -> Result<Splits, DataError> {
        self.check()?;
        if names.len() != lengths.len() || names.is_empty() {
            let problem = format!("{} names for {} series", names.len(), lengths.len());
            return Err(DataError::Mismatch { op: "windows", problem });
        }
        let skip = self.skip_short || matches!(self.protocol, Protocol::Reference { .. });
        let mut splits = Splits::default();
        for (index, (name, &length)) in (0_u32..).zip(names.iter().zip(lengths)) {
            if u32::try_from(length).is_err() {
                let problem = format!("{length} rows are more than {}", u32::MAX);
                return Err(DataError::BadSeries { series: name.clone(), problem });
            }
            let ranges = self.ranges(length);
            if let Some(ranges) = &ranges {
                let most = &self.max_windows;
                let apart = match self.protocol {
                    Protocol::ProbTs(_) => PROBTS_STRIDE,
                    _ => 1,
                };
                choose(index, &ranges.train, 1, most.train, &mut splits.train);
                choose(index, &ranges.validation, 1, most.validation, &mut splits.validation);
                choose(index, &ranges.test, apart, most.test, &mut splits.test);
            } else if !skip {
                return Err(self.too_short(name, length)?);
            }
            splits.ranges.push(ranges);
        }
        if splits.ranges.iter().all(Option::is_none) {
            let longest = (0..lengths.len()).max_by_key(|&series| lengths[series]).unwrap_or(0);
            return Err(self.too_short(&names[longest], lengths[longest])?);
        }
        Ok(splits)
    }

    /// The splits of a series of `length` rows; `None` when it is too short.
    fn ranges(&self, length: usize) -> Option<SeriesRanges> {
        let (first, horizon) = (self.first_start(), self.horizon);
        let ranges = match self.protocol {
            Protocol::Spec { gap } => {
                let end = (length + 1).checked_sub(horizon)?;
                let n = end.checked_sub(first)?;
                let (validation, test) = (first + 7 * n / 10, first + 8 * n / 10);
                let margin = if gap { horizon - 1 } else { 0 };
                SeriesRanges {
                    train: first..validation.saturating_sub(margin),
                    validation: validation..test.saturating_sub(margin),
                    test: test..end,
                    first_validation_target: validation,
                    first_test_target: test,
                }
            }
            Protocol::Reference { train, validation } => {
                let end = length.checked_sub(horizon)?;
                let n = end.checked_sub(first).filter(|&n| n > 0)?;
                let part = |fraction: f64| first + (fraction * n as f64) as usize;
                let (validation, test) = (part(train), part(train + validation));
                return Some(SeriesRanges {
                    train: first..validation,
                    validation: validation..test,
                    test: test..end,
                    first_validation_target: validation,
                    first_test_target: test,
                });
            }
            Protocol::Benchmark(split) | Protocol::ProbTs(split) => {
                let [validation, test, end] = split.bounds(length)?;
                let starts =
                    |from: usize, to: usize| from.max(first)..(to + 1).saturating_sub(horizon);
                SeriesRanges {
                    train: starts(0, validation),
                    validation: starts(validation, test),
                    test: starts(test, end),
                    first_validation_target: validation,
                    first_test_target: test,
                }
            }
        };
        let complete =
            [&ranges.train, &ranges.validation, &ranges.test].iter().all(|range| !range.is_empty());
        complete.then_some(ranges)
    }

    pub(super) fn check(&self) -> Result<(), DataError> {
        let invalid = |what: String| Err(DataError::InvalidOption(what));
        if self.input_len == 0 || self.horizon == 0 {
            return invalid(format!(
                "input length {} and horizon {} must be at least 1",
                self.input_len, self.horizon
            ));
        }
        // Keeps every sum below in range, also on 32-bit machines.
        const LARGEST: usize = 1 << 24;
        if self.input_len.max(self.horizon).max(self.stride) > LARGEST {
            return invalid(format!("{self}: none of them may exceed {LARGEST}"));
        }
        let MaxWindows { train, validation, test } = self.max_windows;
        if [train, validation, test].contains(&Some(0)) {
            return invalid("at most 0 windows of each series leave nothing".to_owned());
        }
        if let Protocol::Reference { train, validation } = self.protocol {
            let valid = train >= 0.0 && validation >= 0.0 && train + validation <= 1.0;
            if !valid {
                return invalid(format!(
                    "shares of {train} training and {validation} validation windows"
                ));
            }
        }
        Ok(())
    }

    /// The error for a series that is too short, or for settings that no length satisfies.
    fn too_short(&self, name: &str, length: usize) -> Result<DataError, DataError> {
        // With the tenth part of n = 10 H + 10 windows, validation is not empty with a gap either;
        // a benchmark's tenth of rows likewise, once the history fits into the training part.
        let enough = 20 * (self.first_start() + self.horizon + 1);
        let needed = match self.protocol {
            Protocol::Benchmark(split @ (BenchmarkSplit::EttHour | BenchmarkSplit::EttMinute))
            | Protocol::ProbTs(split @ (BenchmarkSplit::EttHour | BenchmarkSplit::EttMinute)) => {
                let hour = if split == BenchmarkSplit::EttHour { 1 } else { 4 };
                let rows = 20 * 30 * 24 * hour;
                self.ranges(rows).map(|_| rows)
            }
            _ => (length + 1..=enough).find(|&rows| self.ranges(rows).is_some()),
        };
        match needed {
            Some(needed) if needed > length => Ok(DataError::SeriesTooShort {
                series: name.to_owned(),
                length,
                needed,
                why: self.to_string(),
            }),
            _ => Err(DataError::InvalidOption(format!("{self}: this leaves a split empty"))),
        }
    }
}

/// Adds the windows of one series in `range`, `apart` rows apart, at most `most` of them.
fn choose(
    series: u32,
    range: &Range<usize>,
    apart: usize,
    most: Option<usize>,
    windows: &mut Vec<WindowIndex>,
) {
    let n = range.len().div_ceil(apart);
    let m = most.map_or(n, |m| m.min(n));
    // t fits: `split` has checked the length of the series.
    windows.extend(
        (0..m).map(|i| WindowIndex {
            series,
            t: (range.start + apart * evenly_spaced(i, n, m)) as u32,
        }),
    );
}

impl fmt::Display for WindowSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lag = if self.extra_lag { " (twice)" } else { "" };
        write!(
            f,
            "input {}, horizon {}, stride {}{lag}",
            self.input_len, self.horizon, self.stride
        )?;
        match self.protocol {
            Protocol::Spec { gap: true } => {
                write!(f, ", at least one window in each split, no target in two splits")
            }
            Protocol::Spec { gap: false } => write!(f, ", at least one window in each split"),
            Protocol::Reference { .. } => write!(f, ", the reference's windows"),
            Protocol::Benchmark(split) => write!(f, ", benchmark split {split:?}"),
            Protocol::ProbTs(split) => write!(f, ", ProbTS's windows, benchmark split {split:?}"),
        }
    }
}

/// The `i`-th of `m` evenly spaced places among `n`: `⌊(2i + 1) n / 2m⌋`, for `i < m <= n`.
pub(crate) fn evenly_spaced(i: usize, n: usize, m: usize) -> usize {
    // In 128 bits: the product of two lengths may exceed 64.
    ((2 * i as u128 + 1) * n as u128 / (2 * m as u128)) as usize
}
