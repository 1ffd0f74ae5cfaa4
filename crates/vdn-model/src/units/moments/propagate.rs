//! The passage of moments through layers of units.
//!
//! A layer of a stack takes the moments of the activities below through the same steps as a forward
//! pass:
//!
//! 1. normalisation ([`NormMoments`]) and activation ([`Moments::gelu`]), which give the context,
//!    and its covariance with the activities below;
//! 2. one affine map for the means of distributional and deterministic units together;
//! 3. the units' own noise, added to the diagonal of the covariance;
//! 4. the residual, which also needs the covariance of step 1.

use crate::core::error::ModelError;
use crate::core::parameter::{ParameterId, Parameters};
use crate::modules::layer_norm::LayerNorm;
use crate::modules::linear::Linear;
use crate::priors::Prior;
use crate::units::layer::{UnitFamily, VariationalLayer};
use crate::units::moments::dense::in_parallel;
use crate::units::moments::norm::NormMoments;
use crate::units::moments::{Affine, Covariance, Moments, Side};
use crate::units::stack::{Activation, Residual, Stack, StackLayer};
use vdn_autograd::LocationScale;
use vdn_tensor::Element;
use vdn_tensor::families::gaussian::{LOGVAR_MAX, LOGVAR_MIN};

/// Returns the numbers of a parameter.
fn stored<T: Element>(parameters: &Parameters<T>, id: ParameterId) -> &[T] {
    parameters.get(id).tensor().data()
}

/// Returns the numbers of a parameter in double precision.
pub fn numbers<T: Element>(parameters: &Parameters<T>, id: ParameterId) -> Vec<f64> {
    super::wide(stored(parameters, id))
}

fn affine<'a, T: Element>(map: &Linear, parameters: &'a Parameters<T>) -> Affine<'a, T> {
    Affine { weight: stored(parameters, map.weight()), bias: stored(parameters, map.bias()) }
}

/// The degrees of freedom above which Student's t has a fourth moment. Without it, the variance
/// over a layer, by which norms divide, has no variance of its own.
const MIN_DEGREES_OF_FREEDOM: f64 = 4.0;

impl VariationalLayer {
    /// Returns mean and covariance of the layer's activities from those of its context:
    /// `E z = W E h + b` and `Cov z = W Cov(h) W^T + E diag sigma^2`.
    ///
    /// If `log sigma` is a function of the context, it is treated as normal, so that
    /// `E sigma^2 = e^(2 E log sigma + 2 Var log sigma)`. For families other than the normal, this
    /// is multiplied by the variance of the standard member.
    ///
    /// ```
    /// use vdn_model::core::{Builder, Parameters};
    /// use vdn_model::units::{LayerConfig, VariationalLayer};
    /// use vdn_model::units::moments::Moments;
    /// let mut parameters = Parameters::<f64>::new();
    /// let config = LayerConfig { inputs: 2, units: 3, initial_sigma: 0.5, ..LayerConfig::default() };
    /// let layer = VariationalLayer::new(&mut Builder::new(&mut parameters, 0), config)?;
    /// let z = layer.moments(&parameters, &Moments::certain(&[0.0, 0.0]))?;
    /// assert!((z.variance(1) - 0.25).abs() < 1e-12 && z.covariance(0, 1) == 0.0);
    /// # Ok::<(), vdn_model::core::ModelError>(())
    /// ```
    ///
    /// # Errors
    /// Fails if the context has another width, for pooled latent dimensions, and for log-normal
    /// units.
    pub fn moments<T: Element>(
        &self,
        parameters: &Parameters<T>,
        context: &Moments,
    ) -> Result<Moments, ModelError> {
        let context = std::slice::from_ref(context);
        self.check_moments(context)?;
        let z = affine(self.mean_map(), parameters).through(context).remove(0);
        let noise = self.noise_variances(parameters, context).remove(0);
        Ok(with_noise(z, noise))
    }

    fn check_moments(&self, contexts: &[Moments]) -> Result<(), ModelError> {
        let config = self.config();
        if config.pooling.is_some() && config.latent_dims > 1 {
            let reason = "moments are not carried through a pool";
            return Err(ModelError::config("pooling", reason));
        }
        if config.family == UnitFamily::LogNormal {
            let reason = "moments are not carried through log-normal units";
            return Err(ModelError::config("family", reason));
        }
        if let UnitFamily::StudentT { degrees_of_freedom: nu } = config.family
            && nu <= MIN_DEGREES_OF_FREEDOM
        {
            let reason = format!(
                "{nu}: moments are carried through Student's t of more than {MIN_DEGREES_OF_FREEDOM} degrees of freedom only, \
                 below the next layer is far from normal"
            );
            return Err(ModelError::config("degrees_of_freedom", reason));
        }
        for context in contexts {
            if context.len() != config.inputs {
                let reason =
                    format!("moments of {}, the layer has {}", context.len(), config.inputs);
                return Err(ModelError::config("inputs", reason));
            }
        }
        Ok(())
    }

    /// Returns the mean variance of each activity's own noise, for every context.
    fn noise_variances<T: Element>(
        &self,
        parameters: &Parameters<T>,
        contexts: &[Moments],
    ) -> Vec<Vec<f64>> {
        let config = self.config();
        let n = config.units * config.latent_dims;
        let standard = self.location_scale().map_or(1.0, LocationScale::standard_variance);
        // The limits of the deviations are on the prior's scale.
        let prior: Vec<f64> = match self.prior() {
            Prior::LearnedNormal(prior) => {
                let log_scale = numbers(parameters, prior.log_scale());
                log_scale.iter().map(|l| (2.0 * l).exp()).collect()
            }
            _ => vec![1.0; n],
        };
        let [least, most] = [LOGVAR_MIN, LOGVAR_MAX].map(f64::exp);
        let limited =
            |square: f64, i: usize| standard * prior[i] * (square / prior[i]).clamp(least, most);
        match self.log_sigma_map() {
            Ok(head) => {
                let head = affine(head, parameters);
                let all = head.means(contexts).into_iter().zip(head.variances(contexts));
                let square = |mean: &f64, variance: &f64| {
                    (2.0 * (mean + super::not_negative(*variance))).exp()
                };
                all.map(|(means, variances)| {
                    let pairs = means.iter().zip(&variances).enumerate();
                    pairs.map(|(i, (m, v))| limited(square(m, v), i)).collect()
                })
                .collect()
            }
            Err(id) => {
                let log_sigma = numbers(parameters, id);
                let square = |i: usize| (2.0 * log_sigma[i % log_sigma.len()]).exp();
                let one: Vec<f64> = (0..n).map(|i| limited(square(i), i)).collect();
                vec![one; contexts.len()]
            }
        }
    }
}

/// Adds independent noise to the first activities.
fn with_noise(z: Moments, noise: Vec<f64>) -> Moments {
    let n = z.len();
    let mut variances = noise;
    variances.resize(n, 0.0);
    let Moments { mean, covariance } = z;
    let covariance = match covariance {
        Covariance::Diagonal(mut own) => {
            own.iter_mut().zip(variances).for_each(|(own, v)| *own += v);
            Covariance::Diagonal(own)
        }
        Covariance::Full(mut all) => {
            all.iter_mut().step_by(n + 1).zip(variances).for_each(|(own, v)| *own += v);
            Covariance::Full(all)
        }
    };
    Moments { mean, covariance }
}

impl StackLayer {
    /// Returns the moments of the heads' input, and its covariance with the activities below.
    fn context_moments<T: Element>(
        &self,
        parameters: &Parameters<T>,
        below: &Moments,
    ) -> (Moments, Covariance) {
        let (normed, mut cross) = match self.norm() {
            Some(norm) => {
                let [gain, bias] = norm.parameters().map(|id| numbers(parameters, id));
                NormMoments::new(below, LayerNorm::epsilon()).apply(below, &gain, &bias)
            }
            None => (below.clone(), below.covariance.clone()),
        };
        match self.config().activation {
            Activation::Identity => (normed, cross),
            Activation::Gelu => {
                let (context, slopes) = normed.gelu_with_slopes();
                cross.scale_rows(&slopes);
                (context, cross)
            }
        }
    }

    /// Returns the moments of the layer's activities from those of the layer below.
    fn moments<T: Element>(
        &self,
        parameters: &Parameters<T>,
        below: &[Moments],
    ) -> Result<Vec<Moments>, ModelError> {
        let seen = in_parallel(below.len(), |i| self.context_moments(parameters, &below[i]));
        let (contexts, cross): (Vec<_>, Vec<_>) = seen.into_iter().unzip();
        let inputs = self.config().layer.inputs;
        if let Some(units) = self.units() {
            units.check_moments(&contexts)?;
        }
        // Both kinds of units are affine in the context: one map gives all covariances. Then the
        // noise of the first kind is added.
        let (mut weight, mut bias) = (Vec::new(), Vec::new());
        let maps = [self.units().map(VariationalLayer::mean_map), self.deterministic()];
        for map in maps.into_iter().flatten() {
            let Affine { weight: w, bias: b } = affine(map, parameters);
            weight.extend_from_slice(w);
            bias.extend_from_slice(b);
        }
        let map = Affine { weight: &weight, bias: &bias };
        let mut all = map.through(&contexts);
        if let Some(units) = self.units() {
            let noise = units.noise_variances(parameters, &contexts);
            all = all.into_iter().zip(noise).map(|(z, noise)| with_noise(z, noise)).collect();
        }
        let Some(residual) = self.residual() else { return Ok(all) };
        let projected = match residual {
            Residual::Same => None,
            Residual::Projected(map) => Some(affine(map, parameters)),
        };
        let side = projected.map_or(Side::Same, |map| Side::Map(map.weight));
        let means = match projected {
            Some(map) => map.means(below),
            None => below.iter().map(|x| x.mean.clone()).collect(),
        };
        let channels = bias.len();
        let added = all.into_iter().zip(means).enumerate().map(|(i, (own, direct))| {
            let mean = own.mean.iter().zip(&direct).map(|(a, b)| a + b).collect();
            if below[i].covariance.is_zero() {
                return Moments { mean, covariance: own.covariance };
            }
            let shape = [inputs, inputs];
            let straight = below[i].covariance.between(side, shape, side);
            let mixed = cross[i].between(Side::Map(&weight), shape, side);
            let covariance = own.covariance.plus(straight).plus(mixed.with_transpose(channels));
            Moments { mean, covariance }
        });
        Ok(added.collect())
    }
}

impl Stack {
    /// Returns mean and covariance of the last layer's activities for one context `h` `[inputs]`,
    /// without samples. The result is exact as far as [the module](crate::units::moments) says.
    ///
    /// Cost: the first layer takes one product with its weights. The layer above it, whose context
    /// is independent activities, takes one product of `channels x channels x channels`. Layers
    /// whose context is not independent take two, one more for deviations that depend on their
    /// input, and one more for a residual.
    ///
    /// # Errors
    /// Fails if the context has another width, for pooled latent dimensions, and for log-normal
    /// units.
    pub fn moments<T: Element>(
        &self,
        parameters: &Parameters<T>,
        h: &[f64],
    ) -> Result<Moments, ModelError> {
        Ok(self.moments_of(parameters, vec![Moments::certain(h)])?.remove(0))
    }

    /// Does what [`Stack::moments`] does, for several contexts.
    pub fn moments_of<T: Element>(
        &self,
        parameters: &Parameters<T>,
        contexts: Vec<Moments>,
    ) -> Result<Vec<Moments>, ModelError> {
        let mut all = contexts;
        for layer in self.layers() {
            all = layer.moments(parameters, &all)?;
        }
        Ok(all)
    }
}
