//! Forecasts judged as wholes: what is said about several steps together.
//!
//! A calibrated interval at each step says nothing about tomorrow's total, the week's mean or the
//! peak: those depend on which steps err together. Each contestant gets
//!
//! | score | windows | how |
//! |---|---|---|
//! | mean over the horizon, sums of days and weeks | all | closed form, a mixture of normals |
//! | shares of the units in the variances | all | closed form |
//! | maximum, energy score, variogram score | evenly spaced, [`PATHS`] paths each | `sampled.rs` |
//! | joint log-likelihood | evenly spaced | 32, 256 and 2048 samples, or in closed form |
//!
//! A deterministic forecast gets all of them a second time from *residual paths* (`residual.rs`):
//! its point forecast plus whole residual vectors of validation windows. They carry the dependence
//! between steps that units have to beat.

pub(crate) mod closed;
pub(crate) mod residual;
pub(crate) mod sampled;

use serde::Serialize;
use vdn_train::metrics::{BlockSums, MetricError, PitHistogram};

/// Paths of each window behind the maximum, the energy score and the variogram score.
pub const PATHS: usize = 256;

/// The scores of whole forecasts of one contestant; `None` where there is none.
#[derive(Clone, Debug, Default, Serialize)]
pub struct WholeScores {
    /// Of the mean over the horizon, in standardised units.
    pub horizon_mean: Option<AggregateSummary>,
    /// Of the sums over consecutive blocks of steps, in standardised units; as many entries as
    /// there are kinds of blocks.
    pub block_sums: Vec<BlockSummary>,
    /// Of the largest value over the horizon, by paths.
    pub maximum: Option<AggregateSummary>,
    /// The energy score, by paths.
    pub energy_score: Option<f64>,
    /// Its block standard error.
    pub energy_score_standard_error: Option<f64>,
    /// The variogram score of order 1/2, by paths.
    pub variogram_score: Option<f64>,
    /// Its block standard error.
    pub variogram_score_standard_error: Option<f64>,
    /// The negative joint log-likelihood; `None` for forecasts without a density.
    pub joint_nll: Option<JointSummary>,
    /// The shares of the units in the predictive variance; `None` for forecasts without units.
    pub unit_share: Option<UnitShare>,
    /// How many windows the scores by paths are of.
    pub path_windows: Option<usize>,
    /// Where the means over the horizon fell in their forecasts.
    #[serde(skip)]
    pub horizon_mean_pit: Option<PitHistogram>,
}

/// How an aggregate was forecast.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct AggregateSummary {
    /// CRPS, in the unit of the aggregate.
    pub crps: f64,
    /// Its block standard error.
    pub crps_standard_error: Option<f64>,
    /// Share of windows whose value lies in the central 50 % interval.
    pub cover50: f64,
    /// The same of the central 90 % interval.
    pub cover90: f64,
}

/// How the sums of one kind of blocks were forecast.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BlockSummary {
    /// `day`, `week` or `quarter`.
    pub name: &'static str,
    /// Steps of a block.
    pub steps: usize,
    /// Mean over the whole blocks of the horizon.
    #[serde(flatten)]
    pub scores: AggregateSummary,
}

/// The negative joint log-likelihood of the whole windows, nats per window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct JointSummary {
    /// Exact, where the joint density has a closed form.
    pub closed_form: Option<f64>,
    /// By 32 samples of the units; `None` where the closed form is exact.
    pub samples_32: Option<f64>,
    /// By 256 samples.
    pub samples_256: Option<f64>,
    /// By 2048 samples.
    pub samples_2048: Option<f64>,
    /// Block standard error of the best of them.
    pub standard_error: Option<f64>,
    /// The value of the noise that the units share: the best of them against the same forecast with
    /// independent steps, nats per window; `None` for forecasts without units.
    pub noise_value: Option<f64>,
    /// Its block standard error.
    pub noise_value_standard_error: Option<f64>,
    /// How many windows they are of.
    pub windows: usize,
}

impl JointSummary {
    /// The best of the values: the closed form, else that of the most samples.
    #[must_use]
    pub fn value(&self) -> Option<f64> {
        self.closed_form.or(self.samples_2048)
    }
}

/// The part of the predictive variance that comes from the units' noise.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct UnitShare {
    /// Of single steps.
    pub step: f64,
    /// Of the mean over the horizon.
    pub mean: f64,
}

impl AggregateSummary {
    /// From three neighbouring columns: the CRPS and whether the two intervals hold the value.
    fn of(sums: &BlockSums, first: usize) -> Result<Self, MetricError> {
        let crps = sums.estimate(first)?;
        Ok(Self {
            crps: crps.mean,
            crps_standard_error: crps.standard_error,
            cover50: sums.estimate(first + 1)?.mean,
            cover90: sums.estimate(first + 2)?.mean,
        })
    }
}
