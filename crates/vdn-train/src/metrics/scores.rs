//! The scores of a whole test set: windows are added one at a time, and the results are means with
//! block standard errors.

use crate::metrics::block::{BlockSums, Estimate};
use crate::metrics::coverage::PitHistogram;
use crate::metrics::error::MetricError;
use crate::metrics::scorer::{ScoreSettings, Scorer, WindowScores};
use crate::metrics::window::WindowPrediction;
use vdn_autograd::Score;

/// The number of bins of the PIT histogram.
const PIT_BINS: usize = 20;

/// Accumulates scores. Every window has the same weight, whatever its batch (but see
/// [`Scores::push_weighted`]). The order of pushing determines the order of summation. Memory does
/// not grow with the number of windows, except for one row per block.
///
/// ```
/// use vdn_train::metrics::{ScoreSettings, Scores, WindowPrediction};
/// let mut scores = Scores::new(ScoreSettings::default(), 2)?;
/// for y in [0.1, -0.4, 1.2, 0.3] {
///     let prediction = WindowPrediction::new(&[-0.2, 0.2], &[0.9], None, 1)?;
///     scores.push(&prediction, &[y])?;
/// }
/// let summary = scores.summary()?;
/// assert_eq!((summary.windows, summary.blocks), (4, 2));
/// assert!((summary.mse.mean - 0.425).abs() < 1e-12);
/// # Ok::<(), vdn_train::metrics::MetricError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Scores {
    scorer: Scorer,
    sums: Option<BlockSums>,
    pit: PitHistogram,
    block: usize,
    horizon: usize,
    /// Whether windows may have fewer steps.
    partial: bool,
    /// The number of windows so far.
    windows: usize,
}

/// The pinball loss at one level.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TauSummary {
    /// The level.
    pub tau: f64,
    /// The loss with the quantile of the mixture itself.
    pub mixture: Estimate,
    /// The loss with the quantile of the moment-matched Gaussian (the definition of the published
    /// research code).
    pub gaussian: Estimate,
}

/// The coverage and width of one central interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct IntervalSummary {
    /// The nominal coverage.
    pub level: f64,
    /// The observed share of targets inside the interval.
    pub coverage: Estimate,
    /// The mean width in the unit of the target.
    pub width: Estimate,
}

/// Means over all windows and steps, with block standard errors (see [`super::block`]).
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// The number of windows.
    pub windows: usize,
    /// The number of blocks for the standard errors.
    pub blocks: usize,
    /// The number of steps per window.
    pub horizon: usize,
    /// The squared error of the point forecast.
    pub mse: Estimate,
    /// The absolute error of the point forecast.
    pub mae: Estimate,
    /// The negative log-likelihood in nats per time step, `tempered`.
    pub nll_tempered: Estimate,
    /// The negative log-likelihood in nats per time step, `marginal`.
    pub nll_marginal: Estimate,
    /// The negative log-likelihood in nats per time step, `joint`.
    pub nll_joint: Estimate,
    /// The negative log-likelihood in nats per window, `joint`.
    pub nll_joint_per_window: Estimate,
    /// The exact CRPS of the mixture.
    pub crps: Estimate,
    /// The CRPS of the moment-matched Gaussian.
    pub gaussian_crps: Estimate,
    /// The variance of the predictive mixture.
    pub variance: Estimate,
    /// The normalised quantile loss (dimensionless, see [`super::pinball`]); `None` without levels
    /// or if all targets are zero.
    pub quantile_loss: Option<Estimate>,
    /// The pinball losses, one per requested level.
    pub pinball: Vec<TauSummary>,
    /// The coverage and width of each requested interval.
    pub intervals: Vec<IntervalSummary>,
    /// The histogram of the PIT values of all targets, in 20 bins.
    pub pit: PitHistogram,
    /// The mean absolute deviation of the PIT's distribution function from uniform, over the inner
    /// bin edges.
    pub calibration_error: f64,
}

impl Summary {
    /// The negative log-likelihood by one score, in nats per time step.
    #[must_use]
    pub fn nll(&self, score: Score) -> Estimate {
        match score {
            Score::Tempered => self.nll_tempered,
            Score::Marginal => self.nll_marginal,
            Score::Joint => self.nll_joint,
        }
    }
}

impl Scores {
    /// Creates an empty accumulator. Standard errors come from blocks of `block` consecutive
    /// windows; see [`super::overlap_block`].
    ///
    /// # Errors
    /// Returns an error when a level is not in (0, 1) or `block` is 0.
    pub fn new(settings: ScoreSettings, block: usize) -> Result<Self, MetricError> {
        BlockSums::new(1, block)?;
        let (scorer, pit) = (Scorer::new(settings)?, PitHistogram::new(PIT_BINS)?);
        Ok(Self { scorer, sums: None, pit, block, horizon: 0, partial: false, windows: 0 })
    }

    /// Converts this accumulator to one for windows of `horizon` steps with missing steps. Each
    /// window is the mean over its available steps, with their number as its weight, so every step
    /// has the same weight.
    ///
    /// ```
    /// use vdn_train::metrics::{ScoreSettings, Scores, WindowPrediction};
    /// let mut scores = Scores::new(ScoreSettings::default(), 1)?.with_missing_steps(2);
    /// scores.push(&WindowPrediction::new(&[0.0, 0.0], &[1.0, 1.0], None, 2)?, &[1.0, 1.0])?;
    /// scores.push(&WindowPrediction::new(&[0.0], &[1.0], None, 1)?, &[3.0])?;
    /// assert_eq!(scores.summary()?.mse.mean, 11.0 / 3.0);
    /// # Ok::<(), vdn_train::metrics::MetricError>(())
    /// ```
    #[must_use]
    pub fn with_missing_steps(self, horizon: usize) -> Self {
        Self { horizon, partial: true, ..self }
    }

    /// The scorer of single windows. Share it with threads, and [`Scores::push_scores`] the results
    /// in order.
    #[must_use]
    pub fn scorer(&self) -> &Scorer {
        &self.scorer
    }

    /// The number of windows so far.
    #[must_use]
    pub fn windows(&self) -> usize {
        self.windows
    }

    /// Starts another series with the next window. Blocks do not extend across series.
    pub fn start_series(&mut self) {
        if let Some(sums) = &mut self.sums {
            sums.start_series();
        }
    }

    /// Scores the next window of the current series, in time order, against `target [H]`.
    ///
    /// # Errors
    /// Returns the errors of [`Scorer::window`], and an error when the horizon differs from the
    /// horizon of earlier windows. Nothing is added then.
    pub fn push(
        &mut self,
        prediction: &WindowPrediction<'_>,
        target: &[f64],
    ) -> Result<(), MetricError> {
        let scores = self.scorer.window(self.windows, prediction, target)?;
        self.push_scores(&scores)
    }

    /// Adds the scores of the next window, computed by this accumulator's [`Scores::scorer`].
    ///
    /// # Errors
    /// Returns an error when the scores have another horizon or other levels than earlier windows,
    /// or when a number is not finite.
    pub fn push_scores(&mut self, scores: &WindowScores) -> Result<(), MetricError> {
        self.push_weighted(scores, 1.0)
    }

    /// Like [`Scores::push_scores`], with a weight above 0 in all means. The PIT histogram counts
    /// every window once.
    ///
    /// # Errors
    /// Returns the errors of [`Scores::push_scores`].
    pub fn push_weighted(&mut self, scores: &WindowScores, weight: f64) -> Result<(), MetricError> {
        let horizon = scores.pit.len();
        let fits = match self.partial {
            true => horizon <= self.horizon,
            false => self.windows == 0 || horizon == self.horizon,
        };
        if !fits {
            let detail = format!(
                "window {} has horizon {horizon}, those before {}",
                self.windows, self.horizon
            );
            return Err(MetricError::shape("scores", detail));
        }
        let columns = scores.columns();
        let mut pit = self.pit.clone();
        for value in &scores.pit {
            pit.push(*value)?;
        }
        let sums = match &mut self.sums {
            Some(sums) => sums,
            none => none.insert(BlockSums::new(columns.len(), self.block)?),
        };
        let share = if self.partial { horizon as f64 / self.horizon as f64 } else { 1.0 };
        sums.push_weighted(&columns, share * weight)?;
        self.pit = pit;
        if !self.partial {
            self.horizon = horizon;
        }
        self.windows += 1;
        Ok(())
    }

    /// The means and their standard errors so far.
    ///
    /// # Errors
    /// Returns an error when nothing was pushed.
    pub fn summary(&self) -> Result<Summary, MetricError> {
        let empty = MetricError::Empty { operation: "scores" };
        let (Some(sums), Some(calibration_error)) = (&self.sums, self.pit.calibration_error())
        else {
            return Err(empty);
        };
        let settings = self.scorer.settings();
        let (taus, intervals) = (settings.taus.len(), settings.intervals.len());
        let column = |index| sums.estimate(index);
        // The same order as in `WindowScores::columns`.
        let [numerator, denominator, lists] = [8, 9, 10];
        let nll_joint = column(4)?;
        let steps = self.horizon as f64;
        let quantile_loss =
            match settings.quantile_levels.is_empty() || column(denominator)?.mean == 0.0 {
                true => None,
                false => Some(sums.ratio(numerator, denominator)?),
            };
        let pinball = settings.taus.iter().enumerate().map(|(k, tau)| {
            let (mixture, gaussian) = (column(lists + k)?, column(lists + taus + k)?);
            Ok(TauSummary { tau: *tau, mixture, gaussian })
        });
        let first = lists + 2 * taus;
        let intervals = settings.intervals.iter().enumerate().map(|(k, level)| {
            let (coverage, width) = (column(first + k)?, column(first + intervals + k)?);
            Ok(IntervalSummary { level: *level, coverage, width })
        });
        Ok(Summary {
            windows: self.windows,
            blocks: sums.blocks(),
            horizon: self.horizon,
            mse: column(0)?,
            mae: column(1)?,
            nll_tempered: column(2)?,
            nll_marginal: column(3)?,
            nll_joint,
            nll_joint_per_window: Estimate {
                mean: nll_joint.mean * steps,
                standard_error: nll_joint.standard_error.map(|e| e * steps),
            },
            crps: column(5)?,
            gaussian_crps: column(6)?,
            variance: column(7)?,
            quantile_loss,
            pinball: pinball.collect::<Result<_, MetricError>>()?,
            intervals: intervals.collect::<Result<_, MetricError>>()?,
            pit: self.pit.clone(),
            calibration_error,
        })
    }
}
