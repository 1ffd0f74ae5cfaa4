//! Settings of `[data]` that are chosen by name.

use serde::{Deserialize, Serialize};
use vdn_train::TrainError;
use vdn_train::config::read_at;

/// What becomes of missing values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FillPolicy {
    /// They are an error that names line and column.
    #[default]
    Error,
    /// The last value before the gap.
    Forward,
    /// The straight line across the gap; windows that begin to forecast inside it are left out,
    /// because their inputs would know a later value.
    Linear,
    /// Zero.
    Zero,
    /// Not at all: a missing value stays missing. It is no target, and in an input the last value
    /// before it stands for it.
    Mask,
}

impl FillPolicy {
    /// The policy of this name.
    ///
    /// # Errors
    /// There is none; the message names all.
    pub fn of_name(name: &str) -> Result<Self, TrainError> {
        read_at("fill", toml::Value::from(name))
    }
}

/// How the windows of a series are divided into training, validation and test.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProtocolName {
    /// 70, 10 and 20 % of the windows, with no target shared between splits.
    #[default]
    Spec,
    /// The same without the gap: the last targets of a split overlap the next split's first ones.
    SpecOverlapping,
    /// As the reference implementation: one window short, with overlapping targets.
    Reference,
    /// The common benchmark for hourly ETT: 12, 4 and 4 months.
    BenchmarkEttHour,
    /// The common benchmark for quarter-hourly ETT: 12, 4 and 4 months.
    BenchmarkEttMinute,
    /// The common benchmark for other series: 70, 10 and 20 % of the rows.
    BenchmarkRatio,
    /// The ProbTS benchmark: the rows of the benchmark that the file's name stands for (`ETTh1`,
    /// `ETTh2`, `ETTm1`, `ETTm2`, else 70, 10 and 20 %), test windows 96 rows apart, and its scores
    /// beside the others.
    Probts,
}

/// What series are standardised with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScalingRows {
    /// The rows before the first validation target.
    #[default]
    Training,
    /// Those and the validation rows, as the reference does.
    WithValidation,
}
