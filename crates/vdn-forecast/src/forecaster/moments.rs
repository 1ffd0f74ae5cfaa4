//! [`Forecaster::predict_moments`]: the mean and the variance of a forecast, without sampling.

use crate::forecaster::aggregate::Aggregation;
use crate::forecaster::{Batch, Forecaster, Head, Prediction, Variant};
use crate::modules::head_moments::HeadMoments;
use vdn_autograd::{Tape, Var};
use vdn_model::core::{Bindings, Graph, Mode, ModelError, Parameters};
use vdn_model::units::moments::Moments;
use vdn_model::units::{Intervention, StackPass};
use vdn_tensor::Element;
use vdn_tensor::noise::NoiseKey;

/// The number of windows that are processed together in a model of one layer, where covariances are
/// diagonal. It bounds memory. In a deeper stack the covariances are full matrices over all
/// channels, and windows are processed one by one.
const TOGETHER: usize = 16;

/// The mean and the variance of the predictive distribution of every window and step,
/// `[batch, horizon]` each, in the units of the input series.
#[derive(Clone, Debug, PartialEq)]
pub struct PredictiveMoments {
    /// The number of windows and of steps.
    pub shape: [usize; 2],
    /// The means, `[batch, horizon]`.
    pub mean: Vec<f64>,
    /// The variances: the sum of the variance from the units' samples and the variance of the
    /// output noise.
    pub variance: Vec<f64>,
    /// The part of the variances that comes from the units' samples.
    pub of_units: Vec<f64>,
    /// The lower limits of the windows' series, `[batch]`. The moments ignore them. `None`: the
    /// values have no limit.
    pub floor: Option<Vec<f64>>,
}

impl PredictiveMoments {
    /// Returns the normal distributions with these moments, as a prediction of one sample. The
    /// lower limits of the series apply to it.
    #[must_use]
    pub fn normal(self) -> Prediction {
        let [batch, horizon] = self.shape;
        Prediction {
            shape: [1, batch, horizon],
            means: self.mean,
            sigma: self.variance.into_iter().map(f64::sqrt).collect(),
            weights: None,
            aggregation: Aggregation::Mean,
            shared: None,
            floor: self.floor,
        }
    }
}

/// The parts of a forecast other than the units, as numbers.
struct Around {
    /// The encoder's context of every window, `[batch, hidden]`.
    h: Vec<f64>,
    /// The direct contributions of skip and covariates, `[batch, horizon]`.
    direct: Option<Vec<f64>>,
    /// The output deviations, `[batch, horizon]`, in normalised units.
    sigma: Vec<f64>,
    /// The centres of the windows, `[batch]`; `scale` has their scales, `[batch]`.
    centre: Vec<f64>,
    scale: Vec<f64>,
}

impl Forecaster {
    /// Returns the mean and variance of the forecasts of a batch in closed form. No sample is
    /// drawn, so there is no sampling error.
    ///
    /// The result is exact for a model of one layer whose head has only its direct path. Other
    /// models use the approximations of [the module on moments](vdn_model::units::moments).
    ///
    /// In a model of one layer with `N` channels, a window costs `2 H head_hidden N`
    /// multiplications (`head_hidden N` for each of its `H` steps and their gates). This is about
    /// the cost of `2 H` samples. Every layer above the first costs one to four products of `N^3`.
    ///
    /// For a deterministic twin, the variance is only that of its output noise.
    ///
    /// ```
    /// use vdn_forecast::forecaster::{Batch, Forecaster, ForecasterConfig};
    /// let config = ForecasterConfig { input_len: 24, horizon: 6, units: 16, ..ForecasterConfig::default() };
    /// let (model, parameters) = Forecaster::new::<f32>(config, 7)?;
    /// let window: Vec<f32> = (0..24).map(|t| (t as f32 / 3.0).sin()).collect();
    /// let batch = Batch { current: &window, previous: &window, ..Batch::default() };
    /// let moments = model.predict_moments(&parameters, &batch)?;
    /// assert_eq!(moments.shape, [1, 6]);
    /// // A joint head divides the variance of a step between units and noise of its own.
    /// assert!(moments.of_units.iter().zip(&moments.variance).all(|(u, v)| 0.0 < *u && u < v));
    /// # Ok::<(), vdn_model::core::ModelError>(())
    /// ```
    ///
    /// # Errors
    /// Fails for a batch that does not fit the model, for aggregation by scores (its weights depend
    /// on samples), for pooled dimensions, for log-normal units, and for a moment that is not
    /// finite.
    pub fn predict_moments<T: Element>(
        &self,
        parameters: &Parameters<T>,
        batch: &Batch<'_, T>,
    ) -> Result<PredictiveMoments, ModelError> {
        if self.config.aggregation == Aggregation::Score {
            let reason = "score: the weights depend on samples, there are no moments without them";
            return Err(ModelError::config("aggregation", reason));
        }
        let rows = self.rows(batch)?;
        let (mut tape, mut bindings) = (Tape::new(), Bindings::new());
        tape.no_grad(|tape| {
            let key = NoiseKey::new(0, 0, 0);
            let mut graph = Graph::new(tape, parameters, &mut bindings, Mode::Evaluate, key);
            let found = match (&self.head, self.config.variant) {
                (Head::Gated(head), Variant::Variational) => {
                    let around = self.around(&mut graph, batch, rows)?;
                    let head = HeadMoments::new(head, parameters);
                    self.of_units(parameters, &head, &around)?
                }
                _ => self.of_closed_form(&mut graph, batch, rows)?,
            };
            let found =
                PredictiveMoments { floor: batch.beside.floor.map(<[f64]>::to_vec), ..found };
            if found.mean.iter().chain(&found.variance).all(|x| x.is_finite()) {
                return Ok(found);
            }
            let report = self.non_finite_report(&graph, "a moment of a prediction");
            Err(ModelError::NonFinite(report))
        })
    }

    /// Returns the parts of the forecast other than units and head.
    fn around<T: Element>(
        &self,
        graph: &mut Graph<'_, T>,
        batch: &Batch<'_, T>,
        rows: usize,
    ) -> Result<Around, ModelError> {
        let [current, previous, centre, scale] = self.record_inputs(graph, batch, rows)?;
        let side = self.record_covariates(graph, batch, rows)?;
        let h = self.context(graph, [current, previous], side)?;
        let direct = self.direct(graph, current, side)?;
        let sigma = self.output_noise.forward(graph, h)?;
        let double = |var: Var| -> Vec<f64> {
            graph.tape.value(var).data().iter().map(|x| x.to_f64()).collect()
        };
        let mut sigma = double(sigma);
        if sigma.len() == self.config.horizon {
            sigma = sigma.repeat(rows);
        }
        let [h, centre, scale] = [h, centre, scale].map(double);
        Ok(Around { h, direct: direct.map(double), sigma, centre, scale })
    }

    fn of_units<T: Element>(
        &self,
        parameters: &Parameters<T>,
        head: &HeadMoments<T>,
        around: &Around,
    ) -> Result<PredictiveMoments, ModelError> {
        let horizon = self.config.horizon;
        let rows = around.centre.len();
        let mut found = PredictiveMoments {
            shape: [rows, horizon],
            mean: Vec::with_capacity(rows * horizon),
            variance: Vec::with_capacity(rows * horizon),
            of_units: Vec::with_capacity(rows * horizon),
            floor: None,
        };
        let together = if self.config.depth == 1 { TOGETHER } else { 1 };
        for contexts in around.h.chunks(together * self.config.hidden) {
            let contexts = contexts.chunks_exact(self.config.hidden).map(Moments::certain);
            let z = self.stack.moments_of(parameters, contexts.collect())?;
            for [mean, variance] in head.moments(&z) {
                let row = found.mean.len() / horizon;
                let (centre, scale) = (around.centre[row], around.scale[row]);
                for (step, (mean, variance)) in mean.into_iter().zip(variance).enumerate() {
                    let at = row * horizon + step;
                    let direct = around.direct.as_ref().map_or(0.0, |direct| direct[at]);
                    let noise = around.sigma[at] * scale;
                    let of_units = variance * scale * scale;
                    found.mean.push((mean + direct).mul_add(scale, centre));
                    found.of_units.push(of_units);
                    found.variance.push(noise.mul_add(noise, of_units));
                }
            }
        }
        Ok(found)
    }

    /// The moments of a twin or a joint head.
    fn of_closed_form<T: Element>(
        &self,
        graph: &mut Graph<'_, T>,
        batch: &Batch<'_, T>,
        rows: usize,
    ) -> Result<PredictiveMoments, ModelError> {
        let pass = self.forward_scored(graph, batch, Intervention::None, StackPass::default())?;
        let squares = |var: Var| -> Vec<f64> {
            let found = graph.tape.value(var).data().iter().map(|x| x.to_f64().powi(2));
            let found: Vec<f64> = found.collect();
            if found.len() == self.config.horizon { found.repeat(rows) } else { found }
        };
        let mean: Vec<f64> = graph.tape.value(pass.y).data().iter().map(|x| x.to_f64()).collect();
        let own = squares(pass.sigma);
        let variance = pass.joint.map_or_else(|| own.clone(), |joint| squares(joint.total));
        Ok(PredictiveMoments {
            shape: [rows, self.config.horizon],
            mean,
            of_units: variance.iter().zip(&own).map(|(all, own)| (all - own).max(0.0)).collect(),
            variance,
            floor: None,
        })
    }
}
