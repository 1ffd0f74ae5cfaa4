//! Predictive distributions, and interventions on the latent.

use crate::forecaster::aggregate::Aggregation;
use crate::forecaster::{Batch, Forecaster};
use vdn_autograd::Noise;
use vdn_model::core::{Graph, ModelError, mixture_quantile};
use vdn_model::units::{Intervention, LayerOutputs, StackPass};
use vdn_tensor::Element;
use vdn_train::metrics::floor::rectified_mean;
use vdn_train::metrics::{MedianConvention, SharedPart, sample_median};

/// The predictive distribution of a batch: for each window and step a mixture over samples of normals.
#[derive(Clone, Debug)]
pub struct Prediction {
    /// Samples, windows, steps.
    pub shape: [usize; 3],
    /// The samples' predictions, `[samples, batch, horizon]`.
    pub means: Vec<f64>,
    /// The output deviations, `[batch, horizon]`, the same for all samples.
    pub sigma: Vec<f64>,
    /// The samples' weights, `[samples, batch]`; `None`: all the same.
    pub weights: Option<Vec<f64>>,
    /// How the samples become a point forecast.
    pub aggregation: Aggregation,
    /// What of the deviations `sigma` the steps of a window share, where the joint distribution has
    /// a closed form; `None`: steps are independent in each sample.
    pub shared: Option<SharedNoise>,
    /// The lower limits of what is forecast, `[batch]`: what the distribution of a step has below
    /// is on the limit. `None`: there are none. Means, quantiles, paths and point forecasts are
    /// those of the limited quantity; likelihoods are of the distribution itself.
    pub floor: Option<Vec<f64>>,
}

/// Noise that the steps of a window share, in closed form: step `h` is
/// `mean_h + sum_n loading_hn eps_n + own_h e_h` with independent standard normals `eps` and `e`.
/// With the probability `apart` the steps of a window are independent instead, each with the same
/// mean and deviation, so that a window far from what the dependence expects stays possible.
#[derive(Clone, Debug, PartialEq)]
pub struct SharedNoise {
    /// The number of shared causes, as many as units.
    pub causes: usize,
    /// `[batch, horizon, causes]`.
    pub loadings: Vec<f64>,
    /// The deviations of the noise of single steps, `[batch, horizon]`. With the squares of the
    /// loadings their squares add up to those of [`Prediction::sigma`].
    pub own: Vec<f64>,
    /// The probability that the steps of a window are independent, in [0, 1).
    pub apart: f64,
}

impl SharedNoise {
    /// The loadings `[horizon, causes]` and the steps' own deviations `[horizon]` of one window.
    pub(crate) fn row(&self, row: usize, horizon: usize) -> (&[f64], &[f64]) {
        let loadings = &self.loadings[row * horizon * self.causes..][..horizon * self.causes];
        (loadings, &self.own[row * horizon..][..horizon])
    }

    /// What one window's steps share, as metrics want it.
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
    /// The samples' predictions and weights for one window and step.
    fn mixture(&self, window: usize, step: usize) -> (Vec<f64>, Option<Vec<f64>>) {
        let [samples, batch, horizon] = self.shape;
        let means =
            (0..samples).map(|s| self.means[(s * batch + window) * horizon + step]).collect();
        let weights = self.weights.as_ref();
        (means, weights.map(|w| (0..samples).map(|s| w[s * batch + window]).collect()))
    }

    /// The point forecast of each window and step, `[batch, horizon]`.
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

    /// The mean of the mixture, `[batch, horizon]`.
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

    /// The quantile `tau` (in (0, 1)) of the mixture, `[batch, horizon]`.
    #[must_use]
    pub fn quantile(&self, tau: f64) -> Vec<f64> {
        self.for_each_step(|Step { means, weights, sigma, floor }| {
            let quantile = mixture_quantile(&means, weights.as_deref(), sigma, tau);
            floor.map_or(quantile, |floor| quantile.max(floor))
        })
    }

    /// The log-likelihood of what came after each window (NaN: missing, and not counted), `[batch,
    /// horizon]`, in nats per window: the (weighted) mean over samples of `ln p(y | z_s)`, summed
    /// over the horizon. It is a lower bound of the logarithm of the mixture. Of a closed form
    /// ([`Prediction::shared`]) it is the log-density of the window.
    ///
    /// # Panics
    /// `target` has another length than the predictions.
    #[must_use]
    pub fn log_likelihood(&self, target: &[f64]) -> Vec<f64> {
        let [_, batch, horizon] = self.shape;
        assert_eq!(target.len(), batch * horizon, "targets of other windows");
        (0..batch)
            .map(|row| self.window_log_likelihood(row, &target[row * horizon..][..horizon]))
            .collect()
    }

    /// The same of one window, the one in row `row` of the batch, whose target is `[horizon]`.
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
    /// There is no such row, or `target` has another length than a prediction.
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
    /// The predictive distribution of a batch, and what each layer of units gave. Recorded without
    /// gradients by the caller ([`Tape::no_grad`](vdn_autograd::Tape::no_grad)). A model
    /// [with a closed form](Forecaster::has_closed_form) gives that; else the distribution is a
    /// mixture over samples.
    ///
    /// # Errors
    /// A batch that does not fit the model; a prediction that is not finite (with operation, layer and unit).
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

    /// The predictive distribution of a batch by so many samples of the units (one, where no unit
    /// is a distribution), instead of as many as the configuration says. Of a model with a closed
    /// form they are samples of dependent steps: [`SharedNoise::apart`] is left out.
    ///
    /// # Errors
    /// Those of [`Forecaster::predict`].
    pub fn predict_samples<T: Element>(
        &self,
        graph: &mut Graph<'_, T>,
        batch: &Batch<'_, T>,
        samples: usize,
    ) -> Result<Prediction, ModelError> {
        let pass = StackPass { samples: Some(samples), ..StackPass::default() };
        Ok(self.predict_under(graph, batch, Intervention::None, pass)?.0)
    }

    /// The predictive distribution of so many samples, with this noise in the place of the first layer's own: to compare it with
    /// what others draw.
    ///
    /// # Errors
    /// Those of [`Forecaster::predict`]; noise of another shape.
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
