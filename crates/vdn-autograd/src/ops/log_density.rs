//! The logarithm of a density with location and scale, element by element: Gaussian or Student's t.
//! (The mean over elements, with a deviation in place of its logarithm, is `gaussian_nll`.)

use crate::compiled_once::{Definition, compiled_once};
use crate::elementwise::broadcasting::{evaluate, one_sided_shape, pull_all};
use crate::error::Error;
use crate::op::Shapes;
use crate::tape::Tape;
use crate::var::Var;
use vdn_tensor::families::{Family, Normal, StudentT};
use vdn_tensor::kernels::Formula;
use vdn_tensor::{Element, Real, Shape, ShapeError, View, ViewMut};

const NAME: &str = "log_density";

/// A family of densities for observations.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum ObservationFamily {
    /// `Normal(location, scale^2)`.
    #[default]
    Gaussian,
    /// Student's t with fixed degrees of freedom, shifted by the location and multiplied by the
    /// scale.
    StudentT(StudentT),
}

struct LogDensity(ObservationFamily);

struct Value<F>(F);
impl<F: Family> Formula<3, 1> for Value<F> {
    #[inline(always)]
    fn apply<R: Real>(&self, [location, log_scale, y]: [R; 3]) -> [R; 1] {
        [self.0.log_density([location, log_scale], y)]
    }
}

struct Pull<F>(F);
impl<F: Family> Formula<4, 3> for Pull<F> {
    #[inline(always)]
    fn apply<R: Real>(&self, [location, log_scale, y, d]: [R; 4]) -> [R; 3] {
        let [by_location, by_scale, by_y] = self.0.log_density_gradient([location, log_scale], y);
        [by_location * d, by_scale * d, by_y * d]
    }
}

compiled_once!(LogDensity);
impl<T: Element> Definition<T> for LogDensity {
    fn name(&self) -> &'static str {
        NAME
    }

    fn output_shapes(&self, inputs: &[&Shape], outputs: &mut Shapes) -> Result<(), ShapeError> {
        if inputs.len() != 3 {
            return Err(ShapeError::new(NAME, inputs, "needs 3 inputs"));
        }
        outputs.push(one_sided_shape(NAME, inputs)?);
        Ok(())
    }

    fn forward(&self, inputs: &[View<'_, T>], outputs: &mut [ViewMut<'_, T>]) {
        let &[location, log_scale, y] = inputs else { return };
        let (shape, inputs) = (*outputs[0].shape(), [location, log_scale, y]);
        let to = outputs[0].data_mut();
        match self.0 {
            ObservationFamily::Gaussian => evaluate(NAME, &Value(Normal), &shape, inputs, to),
            ObservationFamily::StudentT(t) => evaluate(NAME, &Value(t), &shape, inputs, to),
        }
    }

    fn backward(
        &self,
        inputs: &[View<'_, T>],
        _outputs: &[View<'_, T>],
        d_outputs: &[Option<View<'_, T>>],
        d_inputs: &mut [Option<ViewMut<'_, T>>],
    ) {
        let (&[location, log_scale, y], Some(d)) = (inputs, d_outputs[0]) else { return };
        let (shape, sources) = (*d.shape(), [location, log_scale, y, d]);
        match self.0 {
            ObservationFamily::Gaussian => pull_all(NAME, &Pull(Normal), &shape, sources, d_inputs),
            ObservationFamily::StudentT(t) => pull_all(NAME, &Pull(t), &shape, sources, d_inputs),
        }
    }
}

impl<T: Element> Tape<T> {
    /// The log-density `ln p(y)` in nats of `family` with this location and `scale = e^log_scale`,
    /// element by element. The shapes broadcast to the shape of the locations or of `y`: for
    /// instance `[samples, batch, outputs]` and `[batch, outputs]`.
    ///
    /// ```
    /// use vdn_autograd::{ObservationFamily, Tape};
    /// let mut tape = Tape::<f64>::new();
    /// let [zero, one] = [tape.constant([], &[0.0])?, tape.constant([], &[1.0])?];
    /// let density = tape.log_density(ObservationFamily::Gaussian, zero, zero, one)?;
    /// assert!((tape.scalar(density)? + 0.5 * (1.0 + std::f64::consts::TAU.ln())).abs() < 1e-15);
    /// # Ok::<(), vdn_autograd::Error>(())
    /// ```
    ///
    /// # Errors
    /// Fails if the shapes do not broadcast, or broadcast to a shape that neither locations nor `y`
    /// have, or if a variable is stale.
    pub fn log_density(
        &mut self,
        family: ObservationFamily,
        location: Var,
        log_scale: Var,
        y: Var,
    ) -> Result<Var, Error> {
        self.record_single(LogDensity(family), &[location, log_scale, y])
    }
}
