//! The mean negative log-density of a normal distribution.

use super::mean_score::{Likelihood, MeanScore};
use crate::compiled_once::compiled_once;
use crate::elementwise::broadcasting::{evaluate, pull};
use crate::error::Error;
use crate::tape::Tape;
use crate::var::Var;
use vdn_tensor::kernels::Formula;
use vdn_tensor::kernels::likelihood::Density;
use vdn_tensor::{Element, Mask, Real, Shape, View, ViewMut};

const NAME: &str = "gaussian_nll";

struct GaussianNll {
    density: Density,
}

struct Nll(Density);
impl Formula<3, 1> for Nll {
    #[inline(always)]
    fn apply<R: Real>(&self, [mu, sigma, y]: [R; 3]) -> [R; 1] {
        [-self.0.log_density(y - mu, self.0.scale(sigma))]
    }
}

/// `slope` times the derivative of the log-density with respect to the mean.
struct MeanPull {
    density: Density,
    slope: f64,
}
impl Formula<3, 1> for MeanPull {
    #[inline(always)]
    fn apply<R: Real>(&self, [mu, sigma, y]: [R; 3]) -> [R; 1] {
        let spread = self.density.spread(sigma);
        [self.density.mean_slope(y - mu, spread) * mu.lit(self.slope)]
    }
}

/// `slope` times the derivative of the log-density with respect to sigma.
struct SigmaPull {
    density: Density,
    slope: f64,
}
impl Formula<3, 1> for SigmaPull {
    #[inline(always)]
    fn apply<R: Real>(&self, [mu, sigma, y]: [R; 3]) -> [R; 1] {
        let mean_slope = self.density.mean_slope(y - mu, self.density.spread(sigma));
        let plain = self.density.sigma_slope(mean_slope, sigma) * mu.lit(self.slope);
        let finite = plain.abs().lt(plain.lit(f64::INFINITY));
        if finite.all() {
            return [plain];
        }
        let weight = mu.lit(self.slope);
        [R::select(finite, plain, self.density.sigma_pull(weight, mean_slope, sigma))]
    }
}

compiled_once!(MeanScore<GaussianNll, 3>);
impl Likelihood<3> for GaussianNll {
    const NAME: &'static str = NAME;
    /// No operation has this name: Gaussian log-densities come from `log_density`.
    const LOG_PROB: &'static str = "gaussian_log_prob";

    fn scores<T: Element>(&self, shape: &Shape, inputs: [View<'_, T>; 3], scores: &mut [T]) {
        evaluate(NAME, &Nll(self.density), shape, inputs, scores);
    }

    fn gradients<T: Element>(
        &self,
        shape: &Shape,
        inputs: [View<'_, T>; 3],
        slope: f64,
        [d_mu, d_sigma, d_y]: &mut [Option<ViewMut<'_, T>>; 3],
    ) {
        // The slope of the log-density.
        let (density, slope) = (self.density, -slope);
        for (d_input, slope) in [(d_mu, slope), (d_y, -slope)] {
            if let Some(d) = d_input {
                pull(NAME, &MeanPull { density, slope }, shape, inputs, d);
            }
        }
        if let Some(d) = d_sigma {
            pull(NAME, &SigmaPull { density, slope }, shape, inputs, d);
        }
    }
}

impl<T: Element> Tape<T> {
    /// The mean over all elements of `-ln Normal(y; mu, sigma^2)`, in nats; `sigma > 0`. The shapes
    /// broadcast to the shape of `mu` or of `y`.
    ///
    /// # Errors
    /// Fails if the shapes do not broadcast, have no elements, or broadcast to a shape that neither
    /// `mu` nor `y` has; if a sigma is not above 0; or if a variable is stale.
    pub fn gaussian_nll(&mut self, mu: Var, sigma: Var, y: Var) -> Result<Var, Error> {
        self.gaussian_nll_with(mu, sigma, y, Density::default())
    }

    /// The [`Tape::gaussian_nll`] of a guarded density.
    ///
    /// # Errors
    /// Fails as [`Tape::gaussian_nll`] does, or if the floor or `eps` is negative or NaN.
    pub fn gaussian_nll_with(
        &mut self,
        mu: Var,
        sigma: Var,
        y: Var,
        density: Density,
    ) -> Result<Var, Error> {
        check_density(NAME, density)?;
        self.check(NAME, &[mu, sigma, y])?;
        self.check_above_zero(NAME, "sigma", sigma)?;
        self.record_single(MeanScore(GaussianNll { density }), &[mu, sigma, y])
    }
}

/// Refuses invalid guards.
pub(super) fn check_density(name: &'static str, density: Density) -> Result<(), Error> {
    if density.sigma_floor >= 0.0 && density.eps >= 0.0 {
        return Ok(());
    }
    Err(Error::invalid(name, format!("{density:?}: the floor and eps are numbers from 0 on")))
}
