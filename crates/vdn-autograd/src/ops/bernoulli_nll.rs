//! The mean negative log-probability of outcomes of a Bernoulli distribution, given by its logit.

use crate::compiled_once::{Definition, compiled_once};
use crate::elementwise::broadcasting::{evaluate, pull, scored_shape};
use crate::error::Error;
use crate::op::Shapes;
use crate::tape::Tape;
use crate::var::Var;
use vdn_tensor::kernels::{Formula, sum_all};
use vdn_tensor::{Element, Real, Shape, ShapeError, View, ViewMut, with_scratch};

const NAME: &str = "bernoulli_nll";

struct BernoulliNll;

/// `y softplus(-logit) + (1 - y) softplus(logit)`: no difference of large numbers.
struct Nll;
impl Formula<2, 1> for Nll {
    #[inline(always)]
    fn apply<R: Real>(&self, [logit, y]: [R; 2]) -> [R; 1] {
        [y * (-logit).softplus() + (y.lit(1.0) - y) * logit.softplus()]
    }
}

/// `slope` times the derivative with respect to the logit, `(1 - y) sigmoid(logit) - y
/// sigmoid(-logit)`.
struct LogitPull {
    slope: f64,
}
impl Formula<2, 1> for LogitPull {
    #[inline(always)]
    fn apply<R: Real>(&self, [logit, y]: [R; 2]) -> [R; 1] {
        let slope = (y.lit(1.0) - y) * logit.sigmoid() - y * (-logit).sigmoid();
        [slope * y.lit(self.slope)]
    }
}

/// `slope` times the derivative with respect to `y`, which is minus the logit.
struct OutcomePull {
    slope: f64,
}
impl Formula<2, 1> for OutcomePull {
    #[inline(always)]
    fn apply<R: Real>(&self, [logit, _]: [R; 2]) -> [R; 1] {
        [-logit * logit.lit(self.slope)]
    }
}

compiled_once!(BernoulliNll);
impl<T: Element> Definition<T> for BernoulliNll {
    fn name(&self) -> &'static str {
        NAME
    }

    fn output_shapes(&self, inputs: &[&Shape], outputs: &mut Shapes) -> Result<(), ShapeError> {
        scored_shape(NAME, inputs)?;
        outputs.push(Shape::SCALAR);
        Ok(())
    }

    fn forward(&self, inputs: &[View<'_, T>], outputs: &mut [ViewMut<'_, T>]) {
        let &[logit, y] = inputs else { return };
        let Ok(shape) = scored_shape(NAME, &[logit.shape(), y.shape()]) else { return };
        with_scratch(shape.numel(), |scores: &mut [T]| {
            evaluate(NAME, &Nll, &shape, [logit, y], scores);
            outputs[0].data_mut()[0] = sum_all(scores) / T::from_f64(shape.numel() as f64);
        });
    }

    fn backward(
        &self,
        inputs: &[View<'_, T>],
        _outputs: &[View<'_, T>],
        d_outputs: &[Option<View<'_, T>>],
        d_inputs: &mut [Option<ViewMut<'_, T>>],
    ) {
        let (&[logit, y], [d_logit, d_y]) = (inputs, d_inputs) else { return };
        let Ok(shape) = scored_shape(NAME, &[logit.shape(), y.shape()]) else { return };
        let Some(d) = d_outputs[0].and_then(|d| d.item()) else { return };
        let slope = d.to_f64() / shape.numel() as f64;
        if let Some(d_logit) = d_logit {
            pull(NAME, &LogitPull { slope }, &shape, [logit, y], d_logit);
        }
        if let Some(d_y) = d_y {
            pull(NAME, &OutcomePull { slope }, &shape, [logit, y], d_y);
        }
    }
}

impl<T: Element> Tape<T> {
    /// The mean over all elements of `-ln p(y)` in nats, where `p(1) = sigmoid(logit)`. `y` is 0, 1
    /// or a probability between; the shapes broadcast to that of the logits or of `y`.
    ///
    /// # Errors
    /// The shapes do not fit, or have no elements; an outcome is not in [0, 1]; a variable is
    /// stale.
    pub fn bernoulli_nll(&mut self, logit: Var, y: Var) -> Result<Var, Error> {
        self.check(NAME, &[logit, y])?;
        self.check_values(NAME, y, |y| {
            (!(0.0..=1.0).contains(&y)).then(|| "is not an outcome in [0, 1]".to_owned())
        })?;
        self.record_single(BernoulliNll, &[logit, y])
    }
}
