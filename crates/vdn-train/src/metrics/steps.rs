//! The scores of one window step by step. Tables by step of the horizon and by series average them.
//!
//! [`super::Scorer`] averages over the steps of a window at once, which is enough for the summary
//! of a test set.

use crate::metrics::coverage::central_interval;
use crate::metrics::crps::mixture_crps_with;
use crate::metrics::error::{MetricError, open_probability};
use crate::metrics::normal;
use crate::metrics::point::PointForecast;
use crate::metrics::window::WindowPrediction;

/// The scores of one step, in the unit of the target (the squared error in its square).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct StepScore {
    /// The squared error of the point forecast.
    pub squared_error: f64,
    /// The absolute error of the point forecast.
    pub absolute_error: f64,
    /// The exact CRPS of the predictive mixture.
    pub crps: f64,
    /// Whether the target is inside the central interval, 1 or 0.
    pub covered: f64,
    /// The width of that interval.
    pub width: f64,
}

/// Scores each step of `prediction` against `target [H]`. The result is `[H]`; `level` is the
/// nominal coverage of the central interval, in (0, 1).
///
/// ```
/// use vdn_train::metrics::{PointForecast, WindowPrediction, step_scores};
/// let prediction = WindowPrediction::gaussian(&[0.0, 1.0], &[1.0, 2.0])?;
/// let scores = step_scores(&prediction, &[0.5, 9.0], PointForecast::Mean, 0.9)?;
/// assert_eq!((scores[0].squared_error, scores[1].absolute_error), (0.25, 8.0));
/// assert_eq!((scores[0].covered, scores[1].covered), (1.0, 0.0));
/// assert!((scores[1].width - 4.0 * 1.644_853_626_951).abs() < 1e-9);
/// # Ok::<(), vdn_train::metrics::MetricError>(())
/// ```
///
/// # Errors
/// Returns an error when the target is not `[H]`, when a number is not finite or outside its
/// domain, when `level` is not in (0, 1), or when a score overflows. The error names the metric and
/// the step.
pub fn step_scores(
    prediction: &WindowPrediction<'_>,
    target: &[f64],
    point: PointForecast,
    level: f64,
) -> Result<Vec<StepScore>, MetricError> {
    const METRIC: &str = "scores by step";
    let level = open_probability(METRIC, "interval", level)?;
    prediction.check(METRIC, target)?;
    let levels = central_interval(level).map(|tau| (tau, normal::quantile(tau)));
    let (mut scores, mut scratch) = (Vec::with_capacity(target.len()), Vec::new());
    let mut overflow = None;
    prediction.for_each_step(|h, mixture| {
        let y = target[h];
        let error = point.of(&mixture, &mut scratch) - y;
        let crps = mixture_crps_with(&mixture, y, &mut scratch);
        let mut ends = [0.0; 2];
        mixture.quantiles_at(&levels, &mut ends);
        let [low, high] = ends;
        let score = StepScore {
            squared_error: error * error,
            absolute_error: error.abs(),
            crps,
            covered: f64::from(u8::from(low <= y && y <= high)),
            width: high - low,
        };
        let finite = [("mse", score.squared_error), ("crps", crps), ("width", score.width)];
        if let Some((metric, value)) = finite.into_iter().find(|(_, value)| !value.is_finite()) {
            overflow.get_or_insert((metric, h, value));
        }
        scores.push(score);
    });
    match overflow {
        Some((metric, step, value)) => {
            Err(MetricError::Score { metric, window: 0, step: Some(step), value })
        }
        None => Ok(scores),
    }
}
