//! The negative log-likelihood of a mixture over sample paths, in three predictive scores.
//!
//! With `l[s, h] = ln Normal(y_h; m_{s,h}, sigma_{s,h}^2)` and weights `w_s` (uniform by default),
//! all in nats per time step:
//!
//! | score | value | meaning |
//! |---|---|---|
//! | `tempered` | `-ln sum_s w_s exp(mean_h l[s,h])` | the score of the published research code: the likelihood to the power `1/H` |
//! | `marginal` | `-mean_h ln sum_s w_s exp(l[s,h])` | a composite likelihood: the predictive density of each step (default) |
//! | `joint` | `-1/H ln sum_s w_s exp(sum_h l[s,h])` | the density of the whole path; times `H` it is in nats per window |
//!
//! For the same numbers, `joint <= tempered` holds only up to `ln S`. The three agree if `S = 1`. A
//! log-mean-exp over `S` samples has a bias of about `Var(w)/(2 S)`, so compare scores at equal
//! `S`.

use crate::metrics::error::MetricError;
use crate::metrics::mixture::LogMeanExp;
use crate::metrics::window::WindowPrediction;
use vdn_autograd::Score;

/// The negative log-likelihood of one window in nats per time step, by each of the three scores.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WindowNll {
    /// [`Score::Tempered`].
    pub tempered: f64,
    /// [`Score::Marginal`].
    pub marginal: f64,
    /// [`Score::Joint`], per time step. Times `H` it is in nats per window.
    pub joint: f64,
}

impl WindowNll {
    /// The value of one score.
    #[must_use]
    pub fn of(&self, score: Score) -> f64 {
        match score {
            Score::Tempered => self.tempered,
            Score::Marginal => self.marginal,
            Score::Joint => self.joint,
        }
    }
}

/// The negative log-likelihood of `target [H]` under `prediction`.
///
/// # Errors
/// Returns an error when an input is not finite or outside its domain, or a log-likelihood
/// overflows.
///
/// ```
/// use vdn_train::metrics::{WindowPrediction, window_nll};
/// let prediction = WindowPrediction::gaussian(&[0.0, 1.0], &[1.0, 1.0])?;
/// let nll = window_nll(&prediction, &[0.0, 1.0])?;
/// assert!((nll.marginal - 0.918_938_533_204_672_7).abs() < 1e-15);
/// assert_eq!(nll.joint, nll.tempered);
/// # Ok::<(), vdn_train::metrics::MetricError>(())
/// ```
pub fn window_nll(
    prediction: &WindowPrediction<'_>,
    target: &[f64],
) -> Result<WindowNll, MetricError> {
    prediction.check("nll", target)?;
    window_nll_checked(prediction, target)
}

/// Like [`window_nll`], for inputs that were checked before.
pub(crate) fn window_nll_checked(
    prediction: &WindowPrediction<'_>,
    target: &[f64],
) -> Result<WindowNll, MetricError> {
    let horizon = target.len() as f64;
    let samples = prediction.samples();
    let mut path = vec![0.0; samples];
    let mut weights = vec![0.0; samples];
    let mut marginal = 0.0;
    let mut not_finite = None;
    prediction.for_each_step(|h, mixture| {
        let mut step = LogMeanExp::default();
        for s in 0..samples {
            let log_density = mixture.component_ln_pdf(s, target[h]);
            weights[s] = mixture.weight(s);
            path[s] += log_density;
            step.add(log_density, weights[s]);
        }
        let value = -step.value();
        if !value.is_finite() && not_finite.is_none() {
            not_finite = Some((h, value));
        }
        marginal += value;
    });
    if let Some((h, value)) = not_finite {
        return Err(MetricError::Score {
            metric: "nll (marginal)",
            window: 0,
            step: Some(h),
            value,
        });
    }
    let (mut tempered, mut joint) = (LogMeanExp::default(), LogMeanExp::default());
    for (total, weight) in path.iter().zip(&weights) {
        tempered.add(total / horizon, *weight);
        joint.add(*total, *weight);
    }
    let nll = WindowNll {
        tempered: -tempered.value(),
        marginal: marginal / horizon,
        joint: -joint.value() / horizon,
    };
    for (metric, value) in [("nll (tempered)", nll.tempered), ("nll (joint)", nll.joint)] {
        if !value.is_finite() {
            return Err(MetricError::Score { metric, window: 0, step: None, value });
        }
    }
    Ok(nll)
}
