//! All scores of one window. Windows are independent, so a caller may score them on any number of
//! threads and pass the results to [`super::Scores`] in order.

use crate::metrics::coverage::central_interval;
use crate::metrics::crps::{gaussian_crps, mixture_crps_with};
use crate::metrics::error::{MetricError, open_probability};
use crate::metrics::likelihood::{WindowNll, window_nll_checked};
use crate::metrics::normal;
use crate::metrics::pinball::{pinball_loss, quantile_levels, step_quantile_loss};
use crate::metrics::point::PointForecast;
use crate::metrics::window::WindowPrediction;

/// The settings of the scores.
#[derive(Clone, Debug, PartialEq)]
pub struct ScoreSettings {
    /// The point forecast of MSE and MAE. Default: `Mean`.
    pub point: PointForecast,
    /// The levels of the pinball loss, in (0, 1). Default: 0.1, 0.5 and 0.9.
    pub taus: Vec<f64>,
    /// The nominal coverages of the central intervals, in (0, 1). Default: 0.5, 0.8, 0.9 and 0.95.
    pub intervals: Vec<f64>,
    /// The levels of the normalised quantile loss, in (0, 1). An empty list omits this loss, the
    /// most expensive score. Default: the 19 levels that divide into 20 equal parts.
    pub quantile_levels: Vec<f64>,
}

impl Default for ScoreSettings {
    /// Mean forecast; pinball loss at 0.1, 0.5, 0.9; intervals of 50, 80, 90, 95 %; the nineteen
    /// levels 0.05, ..., 0.95.
    fn default() -> Self {
        Self {
            point: PointForecast::Mean,
            taus: vec![0.1, 0.5, 0.9],
            intervals: vec![0.5, 0.8, 0.9, 0.95],
            quantile_levels: quantile_levels(20).unwrap_or_default(),
        }
    }
}

/// The scores of one window. Every number except the PIT values is a mean over its `H` steps.
#[derive(Clone, Debug, PartialEq)]
pub struct WindowScores {
    /// The squared error of the point forecast.
    pub mse: f64,
    /// The absolute error of the point forecast.
    pub mae: f64,
    /// The negative log-likelihood in nats per time step.
    pub nll: WindowNll,
    /// The exact CRPS of the mixture.
    pub crps: f64,
    /// The CRPS of the Gaussian with the mixture's mean and variance.
    pub gaussian_crps: f64,
    /// The variance of the predictive mixture.
    pub variance: f64,
    /// The pinball losses at [`ScoreSettings::taus`], with quantiles that invert the mixture.
    pub pinball: Vec<f64>,
    /// The pinball losses with the quantiles of the moment-matched Gaussian.
    pub gaussian_pinball: Vec<f64>,
    /// The share of steps whose target is in the interval, for each of
    /// [`ScoreSettings::intervals`].
    pub covered: Vec<f64>,
    /// The mean width of those intervals.
    pub width: Vec<f64>,
    /// The numerator of the normalised quantile loss.
    pub quantile_loss: f64,
    /// The mean of `|y|`, the denominator of the normalised quantile loss.
    pub target_scale: f64,
    /// The PIT values `cdf(y_h)`, `[H]`.
    pub pit: Vec<f64>,
}

/// The settings with all precomputed values that do not depend on the window.
#[derive(Clone, Debug)]
pub struct Scorer {
    settings: ScoreSettings,
    /// The distinct levels in ascending order, with their standard normal quantiles.
    levels: Vec<(f64, f64)>,
    /// The positions in `levels` of the levels of each score.
    tau_places: Vec<usize>,
    interval_places: Vec<[usize; 2]>,
    quantile_places: Vec<usize>,
}

impl Scorer {
    /// Creates a scorer with `settings`.
    ///
    /// # Errors
    /// Returns an error when a level is not strictly between 0 and 1.
    pub fn new(settings: ScoreSettings) -> Result<Self, MetricError> {
        let mut all = Vec::new();
        let groups = [
            ("tau", &settings.taus),
            ("interval", &settings.intervals),
            ("quantile level", &settings.quantile_levels),
        ];
        for (name, levels) in groups {
            for level in levels {
                let level = open_probability("scores", name, *level)?;
                if name == "interval" {
                    all.extend(central_interval(level));
                } else {
                    all.push(level);
                }
            }
        }
        all.sort_unstable_by(f64::total_cmp);
        all.dedup();
        let place = |level: f64| all.partition_point(|l| *l < level);
        let tau_places = settings.taus.iter().map(|t| place(*t)).collect();
        let interval_places =
            settings.intervals.iter().map(|l| central_interval(*l).map(place)).collect();
        let quantile_places = settings.quantile_levels.iter().map(|q| place(*q)).collect();
        let levels = all.iter().map(|l| (*l, normal::quantile(*l))).collect();
        Ok(Self { settings, levels, tau_places, interval_places, quantile_places })
    }

    /// The settings.
    #[must_use]
    pub fn settings(&self) -> &ScoreSettings {
        &self.settings
    }

    /// Scores `prediction` against `target [H]`. `index` is the window's number in error messages.
    ///
    /// # Errors
    /// Returns an error when the target is not `[H]`, when a number is NaN, infinite or outside its
    /// domain, or when a score overflows. The error names the metric, the window and the step.
    pub fn window(
        &self,
        index: usize,
        prediction: &WindowPrediction<'_>,
        target: &[f64],
    ) -> Result<WindowScores, MetricError> {
        self.scored(prediction, target).map_err(|error| error.in_window(index))
    }

    fn scored(
        &self,
        prediction: &WindowPrediction<'_>,
        target: &[f64],
    ) -> Result<WindowScores, MetricError> {
        prediction.check("scores", target)?;
        let settings = &self.settings;
        let mut scores = WindowScores {
            mse: 0.0,
            mae: 0.0,
            nll: window_nll_checked(prediction, target)?,
            crps: 0.0,
            gaussian_crps: 0.0,
            variance: 0.0,
            pinball: vec![0.0; settings.taus.len()],
            gaussian_pinball: vec![0.0; settings.taus.len()],
            covered: vec![0.0; settings.intervals.len()],
            width: vec![0.0; settings.intervals.len()],
            quantile_loss: 0.0,
            target_scale: 0.0,
            pit: Vec::with_capacity(target.len()),
        };
        let mut scratch = Vec::with_capacity(prediction.samples());
        let mut quantiles = vec![0.0; self.levels.len()];
        let mut ladder = Vec::with_capacity(self.quantile_places.len());
        let mut overflow = None;
        prediction.for_each_step(|h, mixture| {
            let y = target[h];
            let error = settings.point.of(&mixture, &mut scratch) - y;
            let crps = mixture_crps_with(&mixture, y, &mut scratch);
            let (mean, variance) = (mixture.mean(), mixture.variance());
            let deviation = variance.sqrt();
            let step = [("mse", error * error), ("crps", crps), ("variance", variance)];
            if let Some((metric, value)) = step.into_iter().find(|(_, v)| !v.is_finite()) {
                overflow.get_or_insert((metric, h, value));
                return;
            }
            scores.mse += error * error;
            scores.mae += error.abs();
            scores.crps += crps;
            // A limited quantity may have all of its mass at the limit.
            scores.gaussian_crps += match deviation > 0.0 {
                true => gaussian_crps(mean, deviation, y),
                false => (y - mean).abs(),
            };
            scores.variance += variance;
            scores.pit.push(mixture.pit(y));
            mixture.quantiles_at(&self.levels, &mut quantiles);
            for (k, place) in self.tau_places.iter().enumerate() {
                let (tau, z) = self.levels[*place];
                scores.pinball[k] += pinball_loss(tau, y, quantiles[*place]);
                scores.gaussian_pinball[k] += pinball_loss(tau, y, mean + deviation * z);
            }
            for (k, places) in self.interval_places.iter().enumerate() {
                let [low, high] = places.map(|place| quantiles[place]);
                scores.covered[k] += f64::from(u8::from(low <= y && y <= high));
                scores.width[k] += high - low;
            }
            if !self.quantile_places.is_empty() {
                ladder.clear();
                ladder.extend(self.quantile_places.iter().map(|place| quantiles[*place]));
                scores.quantile_loss += step_quantile_loss(&settings.quantile_levels, &ladder, y);
            }
            scores.target_scale += y.abs();
        });
        if let Some((metric, h, value)) = overflow {
            return Err(MetricError::Score { metric, window: 0, step: Some(h), value });
        }
        scores.divide(target.len() as f64);
        Ok(scores)
    }
}

impl WindowScores {
    fn divide(&mut self, steps: f64) {
        let single = [
            &mut self.mse,
            &mut self.mae,
            &mut self.crps,
            &mut self.gaussian_crps,
            &mut self.variance,
            &mut self.quantile_loss,
            &mut self.target_scale,
        ];
        let lists =
            [&mut self.pinball, &mut self.gaussian_pinball, &mut self.covered, &mut self.width];
        single.into_iter().chain(lists.into_iter().flatten()).for_each(|value| *value /= steps);
    }

    /// The scores in the fixed order of columns that [`super::Scores`] accumulates: the single
    /// numbers, then the lists.
    pub(super) fn columns(&self) -> Vec<f64> {
        let mut columns = vec![
            self.mse,
            self.mae,
            self.nll.tempered,
            self.nll.marginal,
            self.nll.joint,
            self.crps,
            self.gaussian_crps,
            self.variance,
            self.quantile_loss,
            self.target_scale,
        ];
        for list in [&self.pinball, &self.gaussian_pinball, &self.covered, &self.width] {
            columns.extend_from_slice(list);
        }
        columns
    }
}
