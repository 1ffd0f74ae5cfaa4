//! The start of a network for counts at the moments of the training targets.
//!
//! Other targets are standardised, so a network that starts near 0 starts near their mean. Counts
//! are not standardised. Without a better start, a network for large counts spends its training on
//! the way from 0 to the logarithm of their mean.

use crate::network::TaskNetwork;
use vdn_model::core::{ModelError, Parameters};
use vdn_tensor::Element;

impl TaskNetwork {
    /// Starts the outputs of a network for counts at the means and variances of the training
    /// targets, one pair for each target. Log-rates start at the logarithm of the mean. Dispersions
    /// start at `(variance - mean) / mean^2`, limited to [1e-3, 10].
    ///
    /// `vdn_tasks::run` calls this method before it trains. Without it, log-rates start near 0, and
    /// a network for large counts spends its training on the way to their logarithm. The method
    /// does not change networks with other likelihoods.
    ///
    /// ```
    /// use vdn_tasks::network::{Likelihood, NetworkConfig, TaskNetwork, Variant};
    /// let config = NetworkConfig { likelihood: Likelihood::Poisson, ..NetworkConfig::default() };
    /// let (network, mut parameters) =
    ///     TaskNetwork::new::<f32>(config, Variant::Variational, [3, 1], 0)?;
    /// network.start_at(&mut parameters, &[[5e7, 1e14]])?;
    /// // A mean of 0 has no logarithm.
    /// assert!(network.start_at(&mut parameters, &[[0.0, 1.0]]).is_err());
    /// # Ok::<(), vdn_model::core::ModelError>(())
    /// ```
    ///
    /// # Errors
    /// Fails if the number of pairs differs from the number of targets, if a mean is not finite and
    /// above 0, or if a variance is negative or not a number.
    pub fn start_at<T: Element>(
        &self,
        parameters: &mut Parameters<T>,
        targets: &[[f64; 2]],
    ) -> Result<(), ModelError> {
        if !self.config.likelihood.is_of_counts() {
            return Ok(());
        }
        let good = |&[mean, variance]: &[f64; 2]| mean > 0.0 && mean.is_finite() && variance >= 0.0;
        if targets.len() != self.widths[1] || !targets.iter().all(good) {
            let reason = format!(
                "a start needs {} means above 0 with their variances, not {targets:?}",
                self.widths[1]
            );
            return Err(ModelError::Batch(reason));
        }
        let rates = parameters.data_mut(self.head.delta.bias().index());
        rates.iter_mut().zip(targets).for_each(|(to, [mean, _])| *to = T::from_f64(mean.ln()));
        if let Some(base) = &self.head.base {
            parameters.data_mut(base.bias().index()).fill(T::ZERO);
        }
        if let Some(scale) = &self.scale {
            let to = parameters.data_mut(scale.from_context.bias().index());
            for (to, [mean, variance]) in to.iter_mut().zip(targets) {
                let dispersion = (variance - mean) / (mean * mean);
                *to = T::from_f64(dispersion.clamp(1e-3, 10.0).ln());
            }
        }
        Ok(())
    }
}
