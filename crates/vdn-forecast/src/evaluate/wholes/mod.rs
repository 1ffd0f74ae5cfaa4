//! Scores of whole forecasts, that is, of statements about several steps together.
//!
//! Calibrated intervals for single steps do not imply calibrated intervals for tomorrow's total,
//! the week's mean or the peak, because these depend on the dependence between the errors of steps.
//! Each contestant gets these scores:
//!
//! | score | windows | method |
//! |---|---|---|
//! | mean over the horizon, sums of days and weeks | all | closed form, a mixture of normals |
//! | shares of the units in the variances | all | closed form |
//! | maximum, energy score, variogram score | evenly spaced, [`PATHS`] paths each | `sampled.rs` |
//! | joint log-likelihood | evenly spaced | 32, 256 and 2048 samples, or in closed form |
//!
//! A deterministic forecast also gets all scores from *residual paths* (`residual.rs`): its point
//! forecast plus whole residual vectors of validation windows. They contain the dependence between
//! steps, so they are the benchmark for the units.

pub(crate) mod closed;
pub(crate) mod residual;
pub(crate) mod sampled;

use serde::Serialize;
use vdn_train::metrics::{BlockSums, MetricError, PitHistogram};

/// The number of paths of each window for the maximum, the energy score and the variogram score.
pub const PATHS: usize = 256;

/// The scores of the whole forecasts of one contestant; `None` for scores that it does not have.
#[derive(Clone, Debug, Default, Serialize)]
pub struct WholeScores {
    /// The scores of the mean over the horizon, in standardised units.
    pub horizon_mean: Option<AggregateSummary>,
    /// The scores of the sums over consecutive blocks of steps, in standardised units; one entry
    /// for each kind of block.
    pub block_sums: Vec<BlockSummary>,
    /// The scores of the largest value over the horizon, by paths.
    pub maximum: Option<AggregateSummary>,
    /// The energy score, by paths.
    pub energy_score: Option<f64>,
    /// The block standard error of the energy score.
    pub energy_score_standard_error: Option<f64>,
    /// The variogram score of order 1/2, by paths.
    pub variogram_score: Option<f64>,
    /// The block standard error of the variogram score.
    pub variogram_score_standard_error: Option<f64>,
    /// The negative joint log-likelihood; `None` for forecasts without a density.
    pub joint_nll: Option<JointSummary>,
    /// The shares of the units in the predictive variance; `None` for forecasts without units.
    pub unit_share: Option<UnitShare>,
    /// The number of windows in the scores by paths.
    pub path_windows: Option<usize>,
    /// The PIT histogram of the means over the horizon.
    #[serde(skip)]
    pub horizon_mean_pit: Option<PitHistogram>,
}

/// The scores of the forecasts of an aggregate.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct AggregateSummary {
    /// The CRPS, in the unit of the aggregate.
    pub crps: f64,
    /// The block standard error of the CRPS.
    pub crps_standard_error: Option<f64>,
    /// The share of windows whose value is in the central 50 % interval.
    pub cover50: f64,
    /// The share of windows whose value is in the central 90 % interval.
    pub cover90: f64,
}

/// The scores of the sums over one kind of block.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BlockSummary {
    /// `day`, `week` or `quarter`.
    pub name: &'static str,
    /// The number of steps of a block.
    pub steps: usize,
    /// The mean scores over the complete blocks of the horizon.
    #[serde(flatten)]
    pub scores: AggregateSummary,
}

/// The negative joint log-likelihood of whole windows, in nats per window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct JointSummary {
    /// The exact value, if the joint density has a closed form.
    pub closed_form: Option<f64>,
    /// The estimate from 32 samples of the units; `None` if the closed form is exact.
    pub samples_32: Option<f64>,
    /// The estimate from 256 samples.
    pub samples_256: Option<f64>,
    /// The estimate from 2048 samples.
    pub samples_2048: Option<f64>,
    /// The block standard error of the best of these values.
    pub standard_error: Option<f64>,
    /// The value of the noise that the units share: the best of these values compared with the same
    /// forecast with independent steps, in nats per window; `None` for forecasts without units.
    pub noise_value: Option<f64>,
    /// The block standard error of `noise_value`.
    pub noise_value_standard_error: Option<f64>,
    /// The number of windows.
    pub windows: usize,
}

impl JointSummary {
    /// Returns the best value: the closed form, else the estimate from the most samples.
    #[must_use]
    pub fn value(&self) -> Option<f64> {
        self.closed_form.or(self.samples_2048)
    }
}

/// The part of the predictive variance that comes from the units' noise.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct UnitShare {
    /// The share in the variance of single steps.
    pub step: f64,
    /// The share in the variance of the mean over the horizon.
    pub mean: f64,
}

impl AggregateSummary {
    /// Reads three consecutive columns: the CRPS, and the coverages of the two intervals.
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
