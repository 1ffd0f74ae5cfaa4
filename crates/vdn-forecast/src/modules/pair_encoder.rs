//! The pair encoder: its inputs are two windows of one series, the current one and one a few steps
//! earlier.
//!
//! Each window is split into a trend (a moving average with replicated ends) and the seasonal rest.
//! Both parts are projected and added. The mean of the two projections is the persistent part,
//! their difference is the innovation, and a gate mixes the two:
//!
//! ```text
//! e(x) = W_s (x - trend(x)) + W_t trend(x) + biases           a = e(current)  b = e(previous)
//! h = LayerNorm(GELU( P (a + b)/2 + sigmoid(G [a, b, a - b]) * I (a - b) ))
//! ```

use vdn_autograd::{Error, Var};
use vdn_model::core::{Builder, Graph};
use vdn_model::modules::{LayerNorm, Linear};
use vdn_tensor::Element;

/// The default kernel width.
pub(crate) const DEFAULT_KERNEL: usize = 25;

/// The pair encoder.
#[derive(Clone, Debug)]
pub struct PairEncoder {
    label: String,
    kernel: usize,
    seasonal: Linear,
    trend: Linear,
    persist: Linear,
    innovation: Linear,
    gate: Linear,
    norm: LayerNorm,
}

impl PairEncoder {
    /// Builds an encoder of windows of `input_len` into contexts of `width`. `kernel` is the width
    /// of the moving average (25 if `None`). A width beyond the window is reduced to it, and an
    /// even width is made odd.
    pub fn new<T: Element>(
        builder: &mut Builder<'_, T>,
        input_len: usize,
        width: usize,
        kernel: Option<usize>,
    ) -> Self {
        Self {
            label: builder.label().to_owned(),
            kernel: Self::effective_kernel(input_len, kernel),
            seasonal: Linear::new(builder, "seasonal_proj", input_len, width),
            trend: Linear::new(builder, "trend_proj", input_len, width),
            persist: Linear::new(builder, "persist_proj", width, width),
            innovation: Linear::new(builder, "innov_proj", width, width),
            gate: Linear::new(builder, "mix_gate", 3 * width, width),
            norm: LayerNorm::new(builder, "out_norm", width),
        }
    }

    /// Returns the odd width of the moving average that is used for the width `requested`.
    #[must_use]
    pub fn effective_kernel(input_len: usize, requested: Option<usize>) -> usize {
        let kernel = requested.unwrap_or(DEFAULT_KERNEL).clamp(1, input_len.max(1));
        if kernel.is_multiple_of(2) { kernel - 1 } else { kernel }
    }

    /// Records the encoder. Both windows are `[batch, input_len]`, the context is `[batch, width]`.
    ///
    /// # Errors
    /// Fails for a window of the wrong length.
    pub fn forward<T: Element>(
        &self,
        graph: &mut Graph<'_, T>,
        current: Var,
        previous: Var,
    ) -> Result<Var, Error> {
        self.forward_beside(graph, current, previous, None)
    }

    /// [`PairEncoder::forward`] with a contribution of covariates, `[batch, width]`, that is added
    /// before the activation.
    ///
    /// # Errors
    /// Fails for a window of the wrong length, and for a contribution of the wrong width.
    pub fn forward_beside<T: Element>(
        &self,
        graph: &mut Graph<'_, T>,
        current: Var,
        previous: Var,
        beside: Option<Var>,
    ) -> Result<Var, Error> {
        graph.labelled(&self.label, |graph| {
            let [weight, bias] = self.projection(graph)?;
            let a = graph.tape.affine(current, weight, Some(bias))?;
            let b = graph.tape.affine(previous, weight, Some(bias))?;
            let difference = graph.tape.sub(a, b)?;
            let sum = graph.tape.add(a, b)?;
            let middle = graph.tape.scale(sum, T::from_f64(0.5))?;
            let persist = self.persist.forward(graph, middle)?;
            let innovation = self.innovation.forward(graph, difference)?;
            let gate = graph.tape.concat(&[a, b, difference], 1)?;
            let gate = self.gate.forward(graph, gate)?;
            let gate = graph.tape.sigmoid(gate)?;
            let gated = graph.tape.mul(gate, innovation)?;
            let mut mixed = graph.tape.add(persist, gated)?;
            if let Some(beside) = beside {
                mixed = graph.tape.add(mixed, beside)?;
            }
            let active = graph.tape.gelu(mixed)?;
            self.norm.forward(graph, active)
        })
    }

    /// Records the weight and bias of `e` as one linear map. The moving average is linear,
    /// `trend(x) = A x`, so `W_s (x - A x) + W_t A x = (W_s + (W_t - W_s) A) x`. Smoothing the
    /// difference of the weights replaces smoothing the windows and the second product. The
    /// parameters are still those of the two maps.
    fn projection<T: Element>(&self, graph: &mut Graph<'_, T>) -> Result<[Var; 2], Error> {
        let [seasonal, trend] = [&self.seasonal, &self.trend]
            .map(|map| [graph.parameter(map.weight()), graph.parameter(map.bias())]);
        let tape = &mut *graph.tape;
        let difference = tape.sub(trend[0], seasonal[0])?;
        let smoothed = tape.moving_average_adjoint(difference, self.kernel)?;
        Ok([tape.add(seasonal[0], smoothed)?, tape.add(seasonal[1], trend[1])?])
    }
}
