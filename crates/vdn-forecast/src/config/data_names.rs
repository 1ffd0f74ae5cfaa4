//! Settings of `[data]` that are chosen by name.

use serde::{Deserialize, Serialize};
use vdn_train::TrainError;
use vdn_train::config::read_at;

/// The treatment of missing values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FillPolicy {
    /// Rejects them with an error that names line and column.
    #[default]
    Error,
    /// Repeats the last value before the gap.
    Forward,
    /// Interpolates linearly across the gap. Windows whose forecast begins inside a gap are
    /// skipped, because their inputs would contain information on a later value.
    Linear,
    /// Fills with zero.
    Zero,
    /// Leaves a missing value missing. It is excluded as a target. In an input, the last value
    /// before it is repeated.
    Mask,
}

impl FillPolicy {
    /// Returns the policy with this name.
    ///
    /// # Errors
    /// Fails if no policy has this name; the message lists all names.
    pub fn of_name(name: &str) -> Result<Self, TrainError> {
        read_at("fill", toml::Value::from(name))
    }
}

/// The split of the windows of a series into training, validation and test.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProtocolName {
    /// 70, 10 and 20 % of the windows, with no target shared between splits.
    #[default]
    Spec,
    /// 70, 10 and 20 % without the gap: the last targets of a split overlap the first ones of the
    /// next split.
    SpecOverlapping,
    /// The split of the reference implementation: one window fewer, with overlapping targets.
    Reference,
    /// The common benchmark for hourly ETT: 12, 4 and 4 months.
    BenchmarkEttHour,
    /// The common benchmark for quarter-hourly ETT: 12, 4 and 4 months.
    BenchmarkEttMinute,
    /// The common benchmark for other series: 70, 10 and 20 % of the rows.
    BenchmarkRatio,
    /// The ProbTS benchmark. The file name (`ETTh1`, `ETTh2`, `ETTm1`, `ETTm2`) selects the ETT
    /// split; other files use 70, 10 and 20 % of the rows. Test windows are 96 rows apart, and the
    /// scores of ProbTS are reported beside the others.
    Probts,
}

/// The rows that give the mean and standard deviation for scaling.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScalingRows {
    /// The rows before the first validation target.
    #[default]
    Training,
    /// The training and validation rows, as in the reference.
    WithValidation,
}
