//! The mean negative log-density of a normal distribution.

use crate::compiled_once::{Definition, compiled_once};
use crate::elementwise::broadcasting::{evaluate, pull, scored_shape};
use crate::error::Error;
use crate::op::Shapes;
use crate::tape::Tape;
use crate::var::Var;
use vdn_tensor::kernels::likelihood::Density;
use vdn_tensor::kernels::{Formula, broadcast_shape, sum_all};
use vdn_tensor::{Element, Mask, Real, Shape, ShapeError, View, ViewMut, with_scratch};

const NAME: &str = "gaussian_nll";

struct GaussianNll {
    density: Density,
}

struct LogDensity(Density);
impl Formula<3, 1> for LogDensity {
    #[inline(always)]
    fn apply<R: Real>(&self, [mu, sigma, y]: [R; 3]) -> [R; 1] {
        [self.0.log_density(y - mu, self.0.scale(sigma))]
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

compiled_once!(GaussianNll);
impl<T: Element> Definition<T> for GaussianNll {
    fn name(&self) -> &'static str {
        NAME
    }

    fn output_shapes(&self, inputs: &[&Shape], outputs: &mut Shapes) -> Result<(), ShapeError> {
        scored_shape(NAME, inputs)?;
        outputs.push(Shape::SCALAR);
        Ok(())
    }

    fn forward(&self, inputs: &[View<'_, T>], outputs: &mut [ViewMut<'_, T>]) {
        let (&[mu, sigma, y], Some(shape)) = (inputs, common(inputs)) else { return };
        with_scratch(shape.numel(), |log_density: &mut [T]| {
            evaluate(NAME, &LogDensity(self.density), &shape, [mu, sigma, y], log_density);
            outputs[0].data_mut()[0] = -sum_all(log_density) / T::from_f64(shape.numel() as f64);
        });
    }

    fn backward(
        &self,
        inputs: &[View<'_, T>],
        _outputs: &[View<'_, T>],
        d_outputs: &[Option<View<'_, T>>],
        d_inputs: &mut [Option<ViewMut<'_, T>>],
    ) {
        let (&[mu, sigma, y], Some(shape)) = (inputs, common(inputs)) else { return };
        let (Some(d_nll), [d_mu, d_sigma, d_y]) = (d_outputs[0], d_inputs) else { return };
        let slope = -d_nll.data()[0].to_f64() / shape.numel() as f64;
        let density = self.density;
        for (d_input, slope) in [(d_mu, slope), (d_y, -slope)] {
            if let Some(d) = d_input {
                pull(NAME, &MeanPull { density, slope }, &shape, [mu, sigma, y], d);
            }
        }
        if let Some(d) = d_sigma {
            pull(NAME, &SigmaPull { density, slope }, &shape, [mu, sigma, y], d);
        }
    }
}

/// The shape that the inputs broadcast to; they did when recorded.
fn common<T: Element>(inputs: &[View<'_, T>]) -> Option<Shape> {
    let &[mu, sigma, y] = inputs else { return None };
    broadcast_shape(NAME, &[mu.shape(), sigma.shape(), y.shape()]).ok()
}

impl<T: Element> Tape<T> {
    /// The mean over all elements of `-ln Normal(y; mu, sigma^2)`, in nats. `sigma > 0`. The shapes
    /// broadcast to that of `mu` or that of `y`.
    ///
    /// # Errors
    /// The shapes do not broadcast, broadcast to one that neither `mu` nor `y` has, or have no
    /// elements; a sigma is negative; a variable is stale.
    pub fn gaussian_nll(&mut self, mu: Var, sigma: Var, y: Var) -> Result<Var, Error> {
        self.gaussian_nll_with(mu, sigma, y, Density::default())
    }

    /// [`Tape::gaussian_nll`] with a guarded density.
    ///
    /// # Errors
    /// As [`Tape::gaussian_nll`]; the floor or `eps` is negative or NaN.
    pub fn gaussian_nll_with(
        &mut self,
        mu: Var,
        sigma: Var,
        y: Var,
        density: Density,
    ) -> Result<Var, Error> {
        check_density(NAME, density)?;
        self.check(NAME, &[mu, sigma, y])?;
        self.check_not_negative(NAME, "sigma", sigma)?;
        self.record_single(GaussianNll { density }, &[mu, sigma, y])
    }
}

/// Refuses guards without a meaning.
pub(super) fn check_density(name: &'static str, density: Density) -> Result<(), Error> {
    if density.sigma_floor >= 0.0 && density.eps >= 0.0 {
        return Ok(());
    }
    Err(Error::invalid(name, format!("{density:?}: the floor and eps are numbers from 0 on")))
}
