//! Predictive distributions, also under interventions on the latents.

use crate::forecaster::aggregate::Aggregation;
use crate::forecaster::{Batch, Forecaster};
use vdn_autograd::Noise;
use vdn_model::core::{Graph, ModelError, mixture_quantile};
use vdn_model::units::{Intervention, LayerOutputs, StackPass};
use vdn_tensor::Element;
use vdn_train::metrics::floor::rectified_mean;
use vdn_train::metrics::{MedianConvention, SharedPart, sample_median};

/// The predictive distribution of a batch: for each window and step, a mixture of normal
/// distributions with one component per sample.
#[derive(Clone, Debug)]
pub struct Prediction {
    /// The number of samples, of windows and of steps.
    pub shape: [usize; 3],
    /// The samples' predictions, `[samples, batch, horizon]`.
    pub means: Vec<f64>,
    /// The output deviations, `[batch, horizon]`, the same for all samples.
    pub sigma: Vec<f64>,
    /// The samples' weights, `[samples, batch]`. `None`: equal weights.
    pub weights: Option<Vec<f64>>,
    /// The aggregation of the samples into a point forecast.
    pub aggregation: Aggregation,
    /// The part of the deviations `sigma` that the steps of a window share, if their joint
    /// distribution has a closed form. `None`: given the sample, steps are independent.
    pub shared: Option<SharedNoise>,
    /// The lower limits of the forecast quantity, `[batch]`. The probability of a step below its
    /// limit is moved to the limit. `None`: there are no limits.
    ///
    /// Means, quantiles, paths and point forecasts refer to the limited quantity. Likelihoods refer
    /// to the distribution without limits.
    pub floor: Option<Vec<f64>>,
}

/// Noise that the steps of a window share, in closed form. Step `h` is
/// `mean_h + sum_n loading_hn eps_n + own_h e_h` with independent standard normal `eps` and `e`.
///
/// With the probability `apart` the steps of a window are independent instead, each with the same
/// mean and deviation. This keeps a positive density for windows that contradict the dependence.
#[derive(Clone, Debug, PartialEq)]
pub struct SharedNoise {
    /// The number of shared noise variables; the same as the number of units.
    pub causes: usize,
    /// The loadings of the steps on the shared noise, `[batch, horizon, causes]`.
    pub loadings: Vec<f64>,
    /// The deviations of the noise of single steps, `[batch, horizon]`. Their squares plus the sum
    /// of the squared loadings equal the squares of [`Prediction::sigma`].
    pub own: Vec<f64>,
    /// The probability that the steps of a window are independent, in [0, 1).
    pub apart: f64,
}

impl SharedNoise {
    /// Returns the loadings `[horizon, causes]` and the steps' own deviations `[horizon]` of one
    /// window.
    pub(crate) fn row(&self, row: usize, horizon: usize) -> (&[f64], &[f64]) {
        let loadings = &self.loadings[row * horizon * self.causes..][..horizon * self.causes];
        (loadings, &self.own[row * horizon..][..horizon])
    }

    /// Returns the shared noise of one window in the form that the metrics take.
    pub(crate) fn part(&self, row: usize, horizon: usize) -> SharedPart<'_> {
        let (loadings, own) = self.row(row, horizon);
        SharedPart { loadings, own, apart: self.apart }
    }
}

/// The distribution of one step of one window.
struct Step {
    means: Vec<f64>,
    weights: Option<Vec<f64>>,
    sigma: f64,
    floor: Option<f64>,
}

impl Prediction {
    /// Returns the samples' predictions and weights for one window and step.
    fn mixture(&self, window: usize, step: usize) -> (Vec<f64>, Option<Vec<f64>>) {
        let [samples, batch, horizon] = self.shape;
        let means =
            (0..samples).map(|s| self.means[(s * batch + window) * horizon + step]).collect();
        let weights = self.weights.as_ref();
        (means, weights.map(|w| (0..samples).map(|s| w[s * batch + window]).collect()))
    }

    /// Returns the point forecast of each window and step, `[batch, horizon]`.
    #[must_use]
    pub fn point(&self) -> Vec<f64> {
        match self.aggregation {
            Aggregation::Median => self.quantile(0.5),
            Aggregation::LowerMedian => self.for_each_step(|Step { means, floor, .. }| {
                let median = sample_median(&mut means.to_vec(), MedianConvention::LowerMiddle);
                floor.map_or(median, |floor| median.max(floor))
            }),
            Aggregation::Mean | Aggregation::Score => self.mean(),
        }
    }

    /// Returns the mean of the mixture, `[batch, horizon]`.
    #[must_use]
    pub fn mean(&self) -> Vec<f64> {
        self.for_each_step(|Step { mut means, weights, sigma, floor }| {
            if let Some(floor) = floor {
                means.iter_mut().for_each(|mean| *mean = rectified_mean(*mean, sigma, floor));
            }
            match weights {
                Some(weights) => means.iter().zip(weights).map(|(m, w)| m * w).sum(),
                None => means.iter().sum::<f64>() / means.len() as f64,
            }
        })
    }

    /// Returns the quantile `tau` (in (0, 1)) of the mixture, `[batch, horizon]`.
    #[must_use]
    pub fn quantile(&self, tau: f64) -> Vec<f64> {
        self.for_each_step(|Step { means, weights, sigma, floor }| {
            let quantile = mixture_quantile(&means, weights.as_deref(), sigma, tau);
            floor.map_or(quantile, |floor| quantile.max(floor))
        })
    }

    /// Returns the log-likelihood of the target of each window, in nats per window. `target` is
    /// `[batch, horizon]`; NaN marks a missing value, which is not counted.
    ///
    /// For a mixture this is the (weighted) mean over samples of `ln p(y | z_s)`, summed over the
    /// horizon. It is a lower bound of the log-density of the mixture. For a closed form
    /// ([`Prediction::shared`]) it is the log-density of the window.
    ///
    /// # Panics
    /// Panics if the length of `target` differs from that of the predictions.
    #[must_use]
    pub fn log_likelihood(&self, target: &[f64]) -> Vec<f64> {
        let [_, batch, horizon] = self.shape;
        assert_eq!(target.len(), batch * horizon, "targets of other windows");
        (0..batch)
            .map(|row| self.window_log_likelihood(row, &target[row * horizon..][..horizon]))
            .collect()
    }

    /// Returns [`Prediction::log_likelihood`] of one window: the one in row `row` of the batch,
    /// with the target `[horizon]`.
    ///
    /// ```
    /// use vdn_forecast::forecaster::{Aggregation, Prediction};
    /// let prediction = Prediction {
    ///     shape: [2, 1, 2],
    ///     means: vec![0.0, 1.0, 2.0, 1.0],
    ///     sigma: vec![1.0, 0.5],
    ///     weights: None,
    ///     aggregation: Aggregation::Mean,
    ///     shared: None,
    ///     floor: None,
    /// };
    /// let found = prediction.window_log_likelihood(0, &[0.0, 1.0]);
    /// let expected = -std::f64::consts::TAU.ln() - 0.5_f64.ln() - 0.5 * (0.0 + 4.0) / 2.0;
    /// assert!((found - expected).abs() < 1e-12);
    /// // By weights of the samples the second one counts three times as much as the first.
    /// let weighted = Prediction { weights: Some(vec![0.25, 0.75]), ..prediction };
    /// let found = weighted.window_log_likelihood(0, &[0.0, 1.0]);
    /// assert!((found - (expected - 0.5 * 4.0 * 0.25)).abs() < 1e-12);
    /// ```
    ///
    /// # Panics
    /// Panics if the row does not exist, or if the length of `target` is not the horizon.
    #[must_use]
    pub fn window_log_likelihood(&self, row: usize, target: &[f64]) -> f64 {
        let [samples, batch, horizon] = self.shape;
        assert_eq!(target.len(), horizon, "a target of another horizon");
        if let Some(shared) = &self.shared {
            let means = &self.means[row * horizon..][..horizon];
            let residuals: Vec<f64> = target.iter().zip(means).map(|(y, m)| y - m).collect();
            return shared.log_density(row, &residuals);
        }
        let sigma = &self.sigma[row * horizon..][..horizon];
        let half_log_tau = 0.5 * std::f64::consts::TAU.ln();
        let of_sample = |s: usize| -> f64 {
            let means = &self.means[(s * batch + row) * horizon..][..horizon];
            let terms = means.iter().zip(sigma).zip(target);
            let terms = terms.filter(|(_, y)| !y.is_nan());
            terms
                .map(|((m, sigma), y)| -0.5 * ((y - m) / sigma).powi(2) - sigma.ln() - half_log_tau)
                .sum()
        };
        match &self.weights {
            Some(weights) => (0..samples).map(|s| weights[s * batch + row] * of_sample(s)).sum(),
            None => (0..samples).map(of_sample).sum::<f64>() / samples as f64,
        }
    }

    fn for_each_step(&self, f: impl Fn(Step) -> f64) -> Vec<f64> {
        let [_, batch, horizon] = self.shape;
        let mut out = Vec::with_capacity(batch * horizon);
        for window in 0..batch {
            for step in 0..horizon {
                let (means, weights) = self.mixture(window, step);
                let sigma = self.sigma[window * horizon + step];
                let floor = self.floor.as_ref().map(|floor| floor[window]);
                out.push(f(Step { means, weights, sigma, floor }));
            }
        }
        out
    }
}

impl Forecaster {
    /// Returns the predictive distribution of a batch, and the outputs of each layer of units.
    ///
    /// The caller disables gradients ([`Tape::no_grad`](vdn_autograd::Tape::no_grad)). A model
    /// [with a closed form](Forecaster::has_closed_form) returns that form; otherwise the
    /// distribution is a mixture over samples.
    ///
    /// # Errors
    /// Fails for a batch that does not fit the model, and for a prediction that is not finite. The
    /// message names the operation, layer and unit.
    pub fn predict<T: Element>(
        &self,
        graph: &mut Graph<'_, T>,
        batch: &Batch<'_, T>,
        intervention: Intervention,
    ) -> Result<(Prediction, LayerOutputs), ModelError> {
        if self.has_closed_form() {
            let pass = self.forward_scored(graph, batch, intervention, StackPass::default())?;
            if let Some(joint) = &pass.joint {
                let floor = batch.beside.floor.map(<[f64]>::to_vec);
                let prediction = self.closed_prediction(graph.tape, &pass, joint);
                let prediction = Prediction { floor, ..prediction };
                self.check_finite(graph, &prediction)?;
                return Ok((prediction, pass.layers));
            }
        }
        self.predict_under(graph, batch, intervention, StackPass::default())
    }

    fn check_finite<T: Element>(
        &self,
        graph: &Graph<'_, T>,
        prediction: &Prediction,
    ) -> Result<(), ModelError> {
        let shared = prediction.shared.iter().flat_map(|shared| &shared.own);
        let positive = prediction.sigma.iter().chain(shared).all(|x| x.is_finite() && *x > 0.0);
        if positive && prediction.means.iter().all(|x| x.is_finite()) {
            return Ok(());
        }
        Err(ModelError::NonFinite(self.non_finite_report(graph, "a prediction")))
    }

    /// Returns the predictive distribution of a batch from `samples` samples of the units, instead
    /// of the configured number. Without distributional units there is one sample.
    ///
    /// For a model with a closed form, the samples have dependent steps: [`SharedNoise::apart`] is
    /// ignored.
    ///
    /// # Errors
    /// The errors of [`Forecaster::predict`].
    pub fn predict_samples<T: Element>(
        &self,
        graph: &mut Graph<'_, T>,
        batch: &Batch<'_, T>,
        samples: usize,
    ) -> Result<Prediction, ModelError> {
        let pass = StackPass { samples: Some(samples), ..StackPass::default() };
        Ok(self.predict_under(graph, batch, Intervention::None, pass)?.0)
    }

    /// Returns the predictive distribution from `samples` samples, where `noise` replaces the first
    /// layer's own noise. Other implementations' draws can be compared in this way.
    ///
    /// # Errors
    /// The errors of [`Forecaster::predict`]; noise of the wrong shape.
    pub fn predict_given<T: Element>(
        &self,
        graph: &mut Graph<'_, T>,
        batch: &Batch<'_, T>,
        (samples, noise): (usize, Noise),
    ) -> Result<Prediction, ModelError> {
        let pass = StackPass::of_first(samples, noise);
        Ok(self.predict_under(graph, batch, Intervention::None, pass)?.0)
    }

    fn predict_under<T: Element>(
        &self,
        graph: &mut Graph<'_, T>,
        batch: &Batch<'_, T>,
        intervention: Intervention,
        pass: StackPass,
    ) -> Result<(Prediction, LayerOutputs), ModelError> {
        let pass = self.forward(graph, batch, intervention, pass)?;
        let weights = match pass.scores {
            Some(scores) => Some(graph.tape.softmax_axis(scores, 0)?),
            None => None,
        };
        let y = graph.tape.value(pass.y);
        let dims = y.shape().dims();
        let shape = [dims[0], dims[1], dims[2]];
        let double = |x: &[T]| -> Vec<f64> { x.iter().map(|x| x.to_f64()).collect() };
        let means = double(y.data());
        let deviations = double(graph.tape.value(pass.sigma).data());
        let sigma =
            if deviations.len() == shape[2] { deviations.repeat(shape[1]) } else { deviations };
        let weights = weights.map(|w| double(graph.tape.value(w).data()));
        let aggregation = self.config.aggregation;
        let (shared, floor) = (None, batch.beside.floor.map(<[f64]>::to_vec));
        let prediction = Prediction { shape, means, sigma, weights, aggregation, shared, floor };
        self.check_finite(graph, &prediction)?;
        Ok((prediction, pass.layers))
    }
}
