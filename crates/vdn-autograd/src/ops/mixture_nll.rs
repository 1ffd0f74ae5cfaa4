//! The negative log-score of a forecast's samples as a mixture distribution, as one fused
//! operation.
//!
//! A forecast with `S` samples is a mixture of `S` normals. Composed of small operations, its
//! log-score would write several arrays of size `[samples, batch, horizon]`; the fused kernels
//! ([`vdn_tensor::kernels::likelihood`]) write only the gradient.

use super::gaussian_nll::check_density;
use crate::compiled_once::{Definition, compiled_once};
use crate::error::Error;
use crate::op::Shapes;
use crate::tape::Tape;
use crate::var::Var;
use vdn_tensor::kernels::likelihood::{
    Density, Mixture, MixtureGradients, Score, mixture_nll, mixture_nll_backward,
};
use vdn_tensor::kernels::{sum_all, sum_axis};
use vdn_tensor::{Element, Shape, ShapeError, View, ViewMut, with_scratch};

const NAME: &str = "mixture_nll";

/// The settings of [`Tape::mixture_nll_with`].
#[derive(Clone, Copy, Debug)]
pub struct MixtureNll {
    /// The rule that turns log-densities into a score.
    pub score: Score,
    /// The guard of the density; the default is no guard.
    pub density: Density,
    /// The logarithms of the samples' weights, `[samples, batch]`, normalised over samples by the
    /// operation; `None` for equal weights.
    pub log_weights: Option<Var>,
}

impl MixtureNll {
    /// Creates settings with equal weights and no guard.
    #[must_use]
    pub fn new(score: Score) -> Self {
        Self { score, density: Density::default(), log_weights: None }
    }
}

/// The inputs are the means, sigma, y and, optionally, the log-weights. The outputs after the first
/// are the scores of rows, and data for the backward pass.
struct MixtureNllOp {
    score: Score,
    density: Density,
}

impl MixtureNllOp {
    fn mixture<'a, T: Element>(&self, inputs: &[View<'a, T>]) -> Mixture<'a, T> {
        let mut dims = [1; 3];
        dims.copy_from_slice(inputs[0].shape().dims());
        let [mu, sigma, y] = [0, 1, 2].map(|i| inputs[i].data());
        let log_weights = inputs.get(3).map(View::data);
        Mixture { dims, mu, sigma, y, log_weights, density: self.density, score: self.score }
    }
}

compiled_once!(MixtureNllOp);
impl<T: Element> Definition<T> for MixtureNllOp {
    fn name(&self) -> &'static str {
        NAME
    }

    fn output_shapes(&self, inputs: &[&Shape], outputs: &mut Shapes) -> Result<(), ShapeError> {
        let refuse = |reason: &str| Err(ShapeError::new(NAME, inputs, reason));
        let &[samples, batch, horizon] = inputs[0].dims() else {
            return refuse("the means need the shape [samples, batch, horizon]");
        };
        if samples * batch * horizon == 0 {
            return refuse("there is nothing to score");
        }
        let whole: &[usize] = &[samples, batch, horizon];
        let sigma = inputs[1].dims();
        if ![&whole[2..], &whole[1..], whole, &[1, batch, horizon]].contains(&sigma) {
            return refuse(
                "sigma needs the shape [horizon], [batch, horizon] or that of the means",
            );
        }
        if inputs[2].dims() != &whole[1..] {
            return refuse("y needs the shape [batch, horizon]");
        }
        if inputs.get(3).is_some_and(|weights| weights.dims() != &whole[..2]) {
            return refuse("the log-weights need the shape [samples, batch]");
        }
        outputs.push(Shape::SCALAR);
        outputs.push_workspace(Shape::from([batch]));
        let saved = if self.score == Score::Marginal { horizon } else { samples };
        outputs.push_workspace(Shape::new(&[batch, saved])?);
        Ok(())
    }

    fn forward(&self, inputs: &[View<'_, T>], outputs: &mut [ViewMut<'_, T>]) {
        let [nll, rows, saved] = outputs else { return };
        let rows = rows.data_mut();
        mixture_nll(&self.mixture(inputs), saved.data_mut(), rows);
        nll.data_mut()[0] = sum_all(rows) / T::from_f64(rows.len() as f64);
    }

    fn backward(
        &self,
        inputs: &[View<'_, T>],
        outputs: &[View<'_, T>],
        d_outputs: &[Option<View<'_, T>>],
        d_inputs: &mut [Option<ViewMut<'_, T>>],
    ) {
        let Some(d_nll) = d_outputs[0] else { return };
        let mixture = self.mixture(inputs);
        let [_, batch, horizon] = mixture.dims;
        let slope = d_nll.data()[0] / T::from_f64(batch as f64);
        let saved = outputs[2].data();
        let mut parts = d_inputs.iter_mut().map(|d| d.as_mut().map(ViewMut::data_mut));
        let [mu, sigma, y, log_weights] = std::array::from_fn(|_| parts.next().flatten());
        let run = |sigma: Option<&mut [T]>| {
            let gradients = MixtureGradients { mu, sigma, y, log_weights };
            mixture_nll_backward(&mixture, saved, slope, gradients);
        };
        match sigma {
            Some(sigma) if sigma.len() < batch * horizon => {
                with_scratch(batch * horizon, |rows: &mut [T]| {
                    run(Some(rows));
                    sum_axis(rows, (1, batch, horizon), sigma);
                });
            }
            sigma => run(sigma),
        }
    }
}

impl<T: Element> Tape<T> {
    /// The mean over the batch of the negative log-score of `y` `[batch, horizon]`, in nats per
    /// time step, under the mixture over samples of `Normal(mu, sigma^2)`. The joint score is
    /// divided by the horizon, too. `mu` is `[samples, batch, horizon]`. `sigma > 0` is
    /// `[horizon]`, `[batch, horizon]` or of the shape of `mu`.
    ///
    /// ```
    /// use vdn_autograd::{Score, Tape};
    /// let mut tape = Tape::<f64>::new();
    /// let mu = tape.variable([2, 1, 1], &[-1.0, 1.0])?;
    /// let sigma = tape.constant([1], &[1.0])?;
    /// let y = tape.constant([1, 1], &[0.0])?;
    /// let nll = tape.mixture_nll(mu, sigma, y, Score::Marginal)?;
    /// // Both components have the density of a standard normal at 1.
    /// assert!((tape.scalar(nll)? - 1.418_938_533_204_672_7).abs() < 1e-14);
    /// # Ok::<(), vdn_autograd::Error>(())
    /// ```
    ///
    /// # Errors
    /// Fails if the shapes do not fit, if a sigma is not above 0, or if a variable is stale.
    pub fn mixture_nll(&mut self, mu: Var, sigma: Var, y: Var, score: Score) -> Result<Var, Error> {
        self.mixture_nll_with(mu, sigma, y, MixtureNll::new(score))
    }

    /// The [`Tape::mixture_nll`] with weights and a guarded density.
    ///
    /// # Errors
    /// Fails as [`Tape::mixture_nll`] does, or if the floor or `eps` of the density is negative or
    /// NaN.
    pub fn mixture_nll_with(
        &mut self,
        mu: Var,
        sigma: Var,
        y: Var,
        options: MixtureNll,
    ) -> Result<Var, Error> {
        let MixtureNll { score, density, log_weights } = options;
        check_density(NAME, density)?;
        self.check(NAME, &[mu, sigma, y])?;
        self.check_above_zero(NAME, "sigma", sigma)?;
        let op = MixtureNllOp { score, density };
        match log_weights {
            Some(log_weights) => self.record_single(op, &[mu, sigma, y, log_weights]),
            None => self.record_single(op, &[mu, sigma, y]),
        }
    }
}
