//! The split of a series' windows into training, validation and test.
//!
//! A window is identified by its series and by `t`, the row of its first target:
//!
//! ```text
//! current  = y[t - L .. t]                      (L input rows)
//! previous = y[t - L - stride .. t - stride]    (the same, `stride` rows earlier)
//! target   = y[t .. t + H]                      (H rows to predict)
//! ```

use std::fmt;
use std::ops::Range;

use vdn_train::data::DataError;

/// The row counts of the splits in the common long-horizon benchmark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BenchmarkSplit {
    /// ETTh1 and ETTh2: 12, 4 and 4 months of 30 days of hourly rows, that is 8640, 2880 and 2880
    /// rows. Later rows are not used.
    EttHour,
    /// ETTm1 and ETTm2: the same months in quarter-hourly rows, that is 34560, 11520 and 11520
    /// rows.
    EttMinute,
    /// Other series: `⌊0.7 n⌋` training rows, `⌊0.2 n⌋` test rows, and the rows between them for
    /// validation.
    Ratio,
}

impl BenchmarkSplit {
    /// Returns the number of rows before the first validation target, before the first test target,
    /// and in total.
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

/// The rule that splits the windows of a series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Protocol {
    /// The default of this library. Of the `n` possible values of `t`, in order of time, the first
    /// `⌊7n/10⌋` are for training, the values up to `⌊8n/10⌋` for validation, and the rest for
    /// test.
    Spec {
        /// Whether to leave out the last `H - 1` windows of training and of validation, whose
        /// targets extend into the next split. Then no target row is in two splits.
        gap: bool,
    },
    /// The exact behaviour of the authors' published code:
    ///
    /// - The last possible `t` is never used.
    /// - The boundaries are `trunc(fraction * n)` in f64. Because `0.7 + 0.1` is less than 0.8,
    ///   they are one too small for many `n`.
    /// - Targets overlap between splits.
    /// - Short series are skipped.
    Reference {
        /// The share of training windows (0.7).
        train: f64,
        /// The share of validation windows (0.1).
        validation: f64,
    },
    /// The common long-horizon benchmark, for comparison with published tables. It splits rows, not
    /// windows. Targets stay in their split; inputs may extend back into the previous split.
    ///
    /// Published code has no earlier window. The first `stride` training windows are left out if
    /// their earlier input would begin before the data. Validation and test windows are the same as
    /// in the tables.
    Benchmark(BenchmarkSplit),
    /// The ProbTS benchmark: the rows of [`Protocol::Benchmark`], with test windows
    /// [`PROBTS_STRIDE`] rows apart.
    ProbTs(BenchmarkSplit),
}

/// The distance in rows between test windows of the ProbTS benchmark, for every horizon.
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

/// The maximum number of windows of each series in each split; `None`: all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MaxWindows {
    /// The maximum number of training windows.
    pub train: Option<usize>,
    /// The maximum number of validation windows.
    pub validation: Option<usize>,
    /// The maximum number of test windows.
    pub test: Option<usize>,
}

/// The shape of the windows, and their split.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WindowSpec {
    /// The number of input rows `L`, at least 1.
    pub input_len: usize,
    /// The number of rows to predict `H`, at least 1.
    pub horizon: usize,
    /// The number of rows by which the previous window starts earlier.
    pub stride: usize,
    /// Whether windows need `stride` more rows of history, because the earlier window needs its own
    /// predecessor (for an autoregressive term).
    pub extra_lag: bool,
    /// The rule that splits the windows.
    pub protocol: Protocol,
    /// The maximum number of windows `m` of each series in each split. The kept windows are evenly
    /// spaced: number `⌊(2i + 1) n / 2m⌋` of `n`, for `i = 0 .. m`.
    pub max_windows: MaxWindows,
    /// Whether to skip series that are too short instead of failing. ([`Protocol::Reference`]
    /// always skips them.)
    pub skip_short: bool,
}

/// One window: a series and the row of its first target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WindowIndex {
    /// The index of the series.
    pub series: u32,
    /// The row of the first target.
    pub t: u32,
}

/// The values of `t` of one series, before `max_windows` reduces them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeriesRanges {
    /// Training windows.
    pub train: Range<usize>,
    /// Validation windows.
    pub validation: Range<usize>,
    /// Test windows.
    pub test: Range<usize>,
    /// The row of the first validation target. Models may be fitted on the rows before it.
    pub first_validation_target: usize,
    /// The row of the first test target.
    pub first_test_target: usize,
}

/// The windows of all series, ordered by series, then by time.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Splits {
    /// Windows for fitting parameters.
    pub train: Vec<WindowIndex>,
    /// Windows for model selection.
    pub validation: Vec<WindowIndex>,
    /// Windows for the reported scores.
    pub test: Vec<WindowIndex>,
    /// The ranges of the windows of each series; `None` for a skipped series.
    pub ranges: Vec<Option<SeriesRanges>>,
}

impl Splits {
    /// Returns the indices of the series that were skipped because they are too short.
    pub fn skipped(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.ranges.len()).filter(|&series| self.ranges[series].is_none())
    }
}

impl WindowSpec {
    /// Returns the specification of windows of `input_len` rows that predict `horizon` rows, with
    /// the default stride (4) and protocol, and all windows. Short series are an error.
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

    /// Returns the smallest `t`: `L + stride`, or `L + 2 stride` with [`WindowSpec::extra_lag`].
    pub fn first_start(&self) -> usize {
        self.input_len + self.stride * (1 + usize::from(self.extra_lag))
    }

    /// Splits the windows of series with these names and lengths (in rows).
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
    /// - [`DataError::SeriesTooShort`] for the first series that leaves a split empty or, if such
    ///   series are skipped, for the longest series when all of them are too short;
    /// - [`DataError::InvalidOption`] for settings that no series can satisfy;
    /// - [`DataError::BadSeries`] for a series with more than `u32::MAX` rows;
    /// - [`DataError::Mismatch`] if the numbers of names and lengths differ, or are 0.
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

    /// Returns the ranges of a series of `length` rows; `None` if it is too short.
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

    /// Returns the error for a series that is too short, or for settings that no length satisfies.
    fn too_short(&self, name: &str, length: usize) -> Result<DataError, DataError> {
        // With n = 10 H + 10 windows, a tenth of them is more than the gap, so that validation is
        // not empty. The same holds for the tenth of the rows of a benchmark, once the history fits
        // into the training part.
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

/// Adds at most `most` windows of one series in `range`, `apart` rows apart.
fn choose(
    series: u32,
    range: &Range<usize>,
    apart: usize,
    most: Option<usize>,
    windows: &mut Vec<WindowIndex>,
) {
    let n = range.len().div_ceil(apart);
    let m = most.map_or(n, |m| m.min(n));
    // `t` fits into u32: `split` has checked the length of the series.
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

/// Returns the `i`-th of `m` evenly spaced positions among `n`: `⌊(2i + 1) n / 2m⌋`, for
/// `i < m <= n`.
pub(crate) fn evenly_spaced(i: usize, n: usize, m: usize) -> usize {
    // Uses 128 bits: the product of two lengths may exceed 64 bits.
    ((2 * i as u128 + 1) * n as u128 / (2 * m as u128)) as usize
}
