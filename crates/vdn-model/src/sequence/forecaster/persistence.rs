//! What the units remember: the coefficients of their prior, and the persistence that is measured of their posterior.

use super::SequenceForecaster;
use super::particles::for_each_message;
use super::series::Series;
use crate::error::ModelError;
use crate::parameter::Parameters;
use crate::sequence::Posterior;
use crate::sequence::rollout::{Numbers, numbers};
use vdn_autograd::Error;
use vdn_tensor::Element;

/// Sums over pairs of steps for one unit.
#[derive(Clone, Copy, Default)]
struct Sums {
    now: f64,
    before: f64,
    now_square: f64,
    before_square: f64,
    product: f64,
    /// `E Cov_q(z_t, z_{t-k})` and the posterior variances at both ends.
    covariance: f64,
    variances: f64,
}

impl SequenceForecaster {
    /// The coefficients of the prior, one row `[units]` for each lag (none for priors without memory): with order 1 the
    /// learned `phi_i`.
    ///
    /// # Errors
    /// The parameters are those of another model.
    pub fn coefficients<T: Element>(
        &self,
        parameters: &Parameters<T>,
    ) -> Result<Vec<Vec<f64>>, ModelError> {
        let prior = self.layer.prior();
        let double = parameters.cast::<f64>();
        Ok(numbers(&double, prior, prior.order(), self.config.units)?.coefficients)
    }

    /// The measured persistence of each unit at a lag of `lag` steps, `[units]`, between -1 and 1:
    ///
    /// ```text
    /// rho_i = [Cov(mu_t, mu_{t-lag}) + E Cov_q(z_t, z_{t-lag})] / [Var mu + V]
    /// ```
    ///
    /// over all pairs of steps of all sequences: the autocorrelation of the aggregate posterior, by the moments of the
    /// posterior (no sampling). Means and variances are those of both ends of the pairs, averaged. Beside `phi_i^lag`
    /// it shows whether a unit is as persistent as its prior expects. Contexts of steps less than `window` apart share
    /// observations; with `lag >= window` they do not.
    ///
    /// # Errors
    /// A lag of 0, or as long as the series; a series of another model; missing steps, if the posterior is not structured.
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
        let size = series.batch() * units;
        let double = parameters.cast::<f64>();
        let mut known = Vec::new();
        for count in 0..=prior.order() {
            known.push(numbers(&double, prior, count, units)?);
        }
        let structured = self.config.posterior == Posterior::Structured;
        // For each element the means of the last steps and their covariances, the last step first.
        let depth = lag.max(prior.order()) + 1;
        let mut means = vec![vec![0.0; depth]; size];
        let mut covariances = vec![vec![0.0; depth * depth]; size];
        let mut sums = vec![Sums::default(); units];
        for_each_message(&pass, parameters, |t, message, variance| {
            let Numbers { mean: offset, coefficients, deviation } = &known[t.min(prior.order())];
            for (element, (means, p)) in means.iter_mut().zip(&mut covariances).enumerate() {
                let i = element % units;
                let (m, r) = (message[element], variance[element]);
                let s2 = deviation[i] * deviation[i];
                let gain = s2 / (s2 + r);
                // z_t = sum_j a_j z_{t-j} + b + noise of variance v.
                let (keep, b, v) = match structured {
                    false => (0.0, m, r),
                    true if gain == 0.0 => (1.0, offset[i], s2),
                    true => (1.0 - gain, (1.0 - gain) * offset[i] + gain * m, gain * r),
                };
                let a = |j: usize| coefficients.get(j).map_or(0.0, |row| keep * row[i]);
                let mean = b + (0..depth).map(|j| a(j) * means[j]).sum::<f64>();
                let row: Vec<f64> =
                    (0..depth).map(|k| (0..depth).map(|j| a(j) * p[j * depth + k]).sum()).collect();
                let own = v + (0..depth).map(|j| a(j) * row[j]).sum::<f64>();
                for j in (1..depth).rev() {
                    for k in (1..depth).rev() {
                        p[j * depth + k] = p[(j - 1) * depth + k - 1];
                    }
                }
                for k in 1..depth {
                    p[k] = row[k - 1];
                    p[k * depth] = row[k - 1];
                }
                p[0] = own;
                means.rotate_right(1);
                means[0] = mean;
                if t >= lag {
                    let (sums, before) = (&mut sums[i], means[lag]);
                    sums.now += mean;
                    sums.before += before;
                    sums.now_square += mean * mean;
                    sums.before_square += before * before;
                    sums.product += mean * before;
                    sums.covariance += p[lag];
                    sums.variances += 0.5 * (own + p[lag * depth + lag]);
                }
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
