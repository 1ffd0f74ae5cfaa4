//! The scores of the ProbTS benchmark (Zhang and others 2024, arXiv 2310.07446), for comparison
//! with its tables.
//!
//! A window has all series together. With the linearly interpolated quantiles `yhat_q` of sampled
//! paths, its scores are
//!
//! ```text
//! CRPS = mean over q = k/Q, k = 1 .. Q-1, of  sum 2 |(yhat_q - y) (1{y <= yhat_q} - q)| / sum |y|
//! NMAE = sum |yhat_0.5 - y| / sum |y|
//! ```
//!
//! All sums run over the steps and the series of the window, on the original scale of the data. The
//! scores of a test set are means over its windows.
//!
//! The benchmark's CRPS is a normalised quantile loss: it depends on the position of zero and on
//! `Q` (10 in the benchmark's code, 20 in some papers that use it). Do not mix it with
//! [`mixture_crps`](super::mixture_crps). [`super::pinball`] computes one ratio over a whole test
//! set instead.

use crate::metrics::crps::SortedSample;
use crate::metrics::error::MetricError;
use crate::metrics::paths::Paths;
use crate::metrics::pinball::pinball_loss;

/// `Q` of the finer levels. Every second one is a level of `Q = 10`.
const FINE: usize = 20;

/// The sums of one window over steps and series.
///
/// ```
/// use vdn_train::metrics::{Paths, ProbTsWindow};
/// let mut window = ProbTsWindow::default();
/// // Two series; a point forecast is one path, and its CRPS is its NMAE.
/// window.push(&Paths::new(&[1.0, 2.0], 2)?, &[2.0, 2.0])?;
/// window.push(&Paths::new(&[-5.0, 7.0], 2)?, &[-6.0, 6.0])?;
/// let score = window.score().expect("targets that are not all 0");
/// assert_eq!(score.nmae, 3.0 / 16.0);
/// assert!((score.crps_q10 - score.nmae).abs() < 1e-15);
/// # Ok::<(), vdn_train::metrics::MetricError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ProbTsWindow {
    /// Twice the pinball loss, by level.
    losses: [f64; FINE - 1],
    absolute_error: f64,
    absolute_target: f64,
}

/// The scores of one window, dimensionless.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ProbTsScore {
    /// The normalised quantile loss at nine levels, `Q = 10`.
    pub crps_q10: f64,
    /// The normalised quantile loss at nineteen levels, `Q = 20`.
    pub crps_q20: f64,
    /// The normalised absolute error of the median.
    pub nmae: f64,
}

impl ProbTsWindow {
    /// Adds a series: `paths [n, H]` against `target [H]`, both on the original scale.
    ///
    /// # Errors
    /// Returns an error when the target is not `[H]`, or a number is not finite.
    pub fn push(&mut self, paths: &Paths<'_>, target: &[f64]) -> Result<(), MetricError> {
        const METRIC: &str = "probts";
        if target.len() != paths.horizon() {
            let shape = [paths.count(), paths.horizon()];
            let detail = format!("paths {shape:?}, target [{}]", target.len());
            return Err(MetricError::shape(METRIC, detail));
        }
        for (step, &y) in target.iter().enumerate() {
            if !y.is_finite() {
                return Err(MetricError::Input {
                    metric: METRIC,
                    window: 0,
                    step,
                    sample: 0,
                    quantity: "target",
                    value: y,
                    expected: "a finite number",
                });
            }
            let sample = SortedSample::new(paths.of_each(|path| path[step]))?;
            for (k, loss) in (1..).zip(&mut self.losses) {
                let level = f64::from(k) / FINE as f64;
                *loss += 2.0 * pinball_loss(level, y, sample.quantile(level)?);
            }
            self.absolute_error += (sample.quantile(0.5)? - y).abs();
            self.absolute_target += y.abs();
        }
        Ok(())
    }

    /// The sums of two parts of a window, for example of different series.
    #[must_use]
    pub fn joined(mut self, other: &Self) -> Self {
        self.losses.iter_mut().zip(other.losses).for_each(|(own, more)| *own += more);
        self.absolute_error += other.absolute_error;
        self.absolute_target += other.absolute_target;
        self
    }

    /// The scores of the window; `None` if all targets are 0 or a sum overflows.
    #[must_use]
    pub fn score(&self) -> Option<ProbTsScore> {
        let scale = self.absolute_target;
        let mean = |losses: &mut dyn Iterator<Item = &f64>, count: usize| {
            losses.sum::<f64>() / (count as f64 * scale)
        };
        let score = ProbTsScore {
            crps_q10: mean(&mut self.losses.iter().skip(1).step_by(2), FINE / 2 - 1),
            crps_q20: mean(&mut self.losses.iter(), FINE - 1),
            nmae: self.absolute_error / scale,
        };
        let finite = score.crps_q10.is_finite() && score.crps_q20.is_finite();
        (scale > 0.0 && finite && score.nmae.is_finite()).then_some(score)
    }
}
