//! Moments through layers of units.

use super::Moments;
use crate::error::ModelError;
use crate::layer::{LayerPrior, UnitFamily, VariationalLayer};
use crate::linear::Linear;
use crate::parameter::{ParameterId, Parameters};
use crate::stack::{Activation, Stack, StackLayer};
use vdn_tensor::Element;

/// The numbers of a parameter in double precision.
fn numbers<T: Element>(parameters: &Parameters<T>, id: ParameterId) -> Vec<f64> {
    parameters.get(id).tensor().data().iter().map(|x| x.to_f64()).collect()
}

fn through<T: Element>(x: &Moments, map: &Linear, parameters: &Parameters<T>) -> Moments {
    x.affine(&numbers(parameters, map.weight()), &numbers(parameters, map.bias()))
}

impl VariationalLayer {
    /// Mean and covariance of the layer's activities from those of its context: `E z = W E h + b`, `Cov z = W Cov(h) W^T + E
    /// diag sigma^2`. Where `log sigma` is a function of the context it is taken as normal, so that `E sigma^2 = e^(2 E log
    /// sigma + 2 Var log sigma)`.
    ///
    /// ```
    /// use vdn_model::{Builder, LayerConfig, Parameters, VariationalLayer, moments::Moments};
    /// let mut parameters = Parameters::<f64>::new();
    /// let config = LayerConfig { inputs: 2, units: 3, initial_sigma: 0.5, ..LayerConfig::default() };
    /// let layer = VariationalLayer::new(&mut Builder::new(&mut parameters, 0), config, 0)?;
    /// let z = layer.moments(&parameters, &Moments::certain(&[0.0, 0.0]))?;
    /// assert!((z.variance(1) - 0.25).abs() < 1e-12 && z.covariance[1] == 0.0);
    /// # Ok::<(), vdn_model::ModelError>(())
    /// ```
    ///
    /// # Errors
    /// A context of another width; several latent dimensions pooled; units that are not normal with the standard prior.
    pub fn moments<T: Element>(
        &self,
        parameters: &Parameters<T>,
        context: &Moments,
    ) -> Result<Moments, ModelError> {
        let config = self.config();
        if config.pooling.is_some() && config.latent_dims > 1 {
            let reason = "moments are not carried through a pool";
            return Err(ModelError::config("pooling", reason));
        }
        if config.family != UnitFamily::Normal || config.prior != LayerPrior::Standard {
            let reason = "moments are carried through normal units with the standard prior";
            return Err(ModelError::config("family", reason));
        }
        if context.len() != config.inputs {
            let reason = format!("moments of {}, the layer has {}", context.len(), config.inputs);
            return Err(ModelError::config("hidden", reason));
        }
        let mut z = through(context, self.mean_map(), parameters);
        let n = z.len();
        let variances: Vec<f64> = match self.log_sigma_map() {
            Ok(head) => {
                let log_sigma = through(context, head, parameters);
                (0..n)
                    .map(|i| (2.0 * (log_sigma.mean[i] + log_sigma.variance(i).max(0.0))).exp())
                    .collect()
            }
            Err(id) => {
                let log_sigma = numbers(parameters, id);
                (0..n).map(|i| (2.0 * log_sigma[i % log_sigma.len()]).exp()).collect()
            }
        };
        for (i, variance) in variances.into_iter().enumerate() {
            z.covariance[i * n + i] += variance.clamp(1e-8, 100.0);
        }
        Ok(z)
    }
}

impl StackLayer {
    fn moments<T: Element>(
        &self,
        parameters: &Parameters<T>,
        below: &Moments,
    ) -> Result<Moments, ModelError> {
        let config = self.config();
        if config.layer_norm || config.residual {
            let reason = "moments are carried through layers without norms and residuals only";
            return Err(ModelError::config("layer_norm", reason));
        }
        let context = match config.activation {
            Activation::Identity => below.clone(),
            Activation::Gelu => below.gelu(),
        };
        let Some(map) = self.deterministic() else {
            return match self.units() {
                Some(units) => units.moments(parameters, &context),
                None => Err(ModelError::config("units", "a layer without units")),
            };
        };
        let Some(units) = self.units() else { return Ok(through(&context, map, parameters)) };
        // Both kinds are affine in the context: one map gives all covariances, then the noise of the first is added.
        let [weight, bias] = units.mean_parameters();
        let mut all = [numbers(parameters, weight), numbers(parameters, bias)];
        all[0].extend(numbers(parameters, map.weight()));
        all[1].extend(numbers(parameters, map.bias()));
        let mut joint = context.affine(&all[0], &all[1]);
        let own = units.moments(parameters, &context)?;
        let width = joint.len();
        for i in 0..own.len() {
            joint.covariance[i * width + i] = own.variance(i);
        }
        Ok(joint)
    }
}

impl Stack {
    /// Mean and covariance of the last layer's activities for one context `h` `[inputs]`, without a sample: exact as far as
    /// [the module](crate::moments) says.
    ///
    /// # Errors
    /// A context of another width; a layer with a norm, a residual or pooled dimensions.
    pub fn moments<T: Element>(
        &self,
        parameters: &Parameters<T>,
        h: &[f64],
    ) -> Result<Moments, ModelError> {
        let mut x = Moments::certain(h);
        for layer in self.layers() {
            x = layer.moments(parameters, &x)?;
        }
        Ok(x)
    }
}
