//! The memory of the units: the coefficients of their prior, and the measured persistence of their
//! posterior.

use crate::sequence::SequenceForecaster;
use crate::sequence::particles::for_each_message;
use crate::sequence::series::Series;
use vdn_autograd::Error;
use vdn_model::core::{ModelError, Parameters};
use vdn_model::sequence::{Chain, ChainMoments, numbers};
use vdn_tensor::Element;

/// Sums over pairs of steps for one unit.
#[derive(Clone, Copy, Default)]
struct Sums {
    now: f64,
    before: f64,
    now_square: f64,
    before_square: f64,
    product: f64,
    /// `E Cov_q(z_t, z_{t-k})`; `variances` has the mean of the posterior variances at both ends.
    covariance: f64,
    variances: f64,
}

impl SequenceForecaster {
    /// Returns the coefficients of the prior, one row `[units]` for each lag (empty for priors
    /// without memory). With order 1 they are the learned `phi_i`.
    ///
    /// # Errors
    /// Fails for parameters of another model.
    pub fn coefficients<T: Element>(
        &self,
        parameters: &Parameters<T>,
    ) -> Result<Vec<Vec<f64>>, ModelError> {
        let prior = self.layer.prior();
        let double = parameters.cast::<f64>();
        Ok(numbers(&double, prior, prior.order(), self.config.units)?.coefficients)
    }

    /// Returns the measured persistence of each unit at a lag of `lag` steps, `[units]`, between -1
    /// and 1:
    ///
    /// ```text
    /// rho_i = [Cov(mu_t, mu_{t-lag}) + E Cov_q(z_t, z_{t-lag})] / [Var mu + V]
    /// ```
    ///
    /// over all pairs of steps of all sequences. This is the autocorrelation of the aggregate
    /// posterior, computed from the moments of the posterior without sampling. Means and variances
    /// are averaged over both ends of the pairs.
    ///
    /// A comparison with `phi_i^lag` shows whether a unit is as persistent as its prior expects.
    /// The contexts of steps less than `window` apart share observations; with `lag >= window` they
    /// do not.
    ///
    /// # Errors
    /// Fails for a lag of 0 or at least the length of the series, for a series of another model,
    /// and for missing steps with a posterior other than the structured one.
    pub fn persistence<T: Element>(
        &self,
        parameters: &Parameters<T>,
        series: Series<'_, T>,
        lag: usize,
    ) -> Result<Vec<f64>, ModelError> {
        if lag == 0 || lag >= series.steps() {
            let reason = format!("a lag of {lag} in a series of {} steps", series.steps());
            return Err(Error::invalid("persistence", reason).into());
        }
        let pass = self.pass(series, 1)?;
        pass.refuse_missing(0..pass.series.steps())?;
        let (units, prior) = (self.config.units, self.layer.prior());
        let depth = lag.max(prior.order()) + 1;
        let size = [series.batch() * units, units];
        let mut chain = Chain::new(parameters, (prior, self.config.posterior), size, depth)?;
        let mut sums = vec![Sums::default(); units];
        for_each_message(&pass, parameters, |t, message, variance| {
            chain.push(message, variance);
            if t < lag {
                return Ok(());
            }
            for (unit, ChainMoments { means, covariances, .. }) in chain.elements() {
                let (sums, [mean, before]) = (&mut sums[unit], [means[0], means[lag]]);
                sums.now += mean;
                sums.before += before;
                sums.now_square += mean * mean;
                sums.before_square += before * before;
                sums.product += mean * before;
                sums.covariance += covariances[lag];
                sums.variances += 0.5 * (covariances[0] + covariances[lag * depth + lag]);
            }
            Ok(())
        })?;
        let pairs = (series.batch() * (series.steps() - lag)) as f64;
        let rho = |s: &Sums| {
            let (now, before) = (s.now / pairs, s.before / pairs);
            let covariance = s.product / pairs - now * before;
            let squares = 0.5 * (s.now_square + s.before_square) / pairs;
            let spread = squares - 0.5 * (now * now + before * before);
            (covariance + s.covariance / pairs) / (spread + s.variances / pairs)
        };
        Ok(sums.iter().map(rho).collect())
    }
}
