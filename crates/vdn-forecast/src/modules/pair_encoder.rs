//! The pair encoder: two windows of one series, the current one and one a few steps earlier.
//!
//! Each window is split into a trend (moving average, ends replicated) and the seasonal rest; both are projected and
//! added. What the two windows share persists, what differs is an innovation, and a gate mixes them:
//!
//! ```text
//! e(x) = W_s (x - trend(x)) + W_t trend(x) + biases           a = e(current)  b = e(previous)
//! h = LayerNorm(GELU( P (a + b)/2 + sigmoid(G [a, b, a - b]) * I (a - b) ))
//! ```

use vdn_autograd::{Error, Var};
use vdn_model::core::{Builder, Graph};
use vdn_model::modules::{LayerNorm, Linear};
use vdn_tensor::Element;

/// The kernel that is asked for by none.
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
    /// An encoder of windows of `input_len` into contexts of `width`. `kernel` is the width of the moving average (25
    /// if `None`), limited to the window and made odd.
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

    /// The odd width of the moving average that is used when `requested` is asked for.
    #[must_use]
    pub fn effective_kernel(input_len: usize, requested: Option<usize>) -> usize {
        let kernel = requested.unwrap_or(DEFAULT_KERNEL).clamp(1, input_len.max(1));
        if kernel.is_multiple_of(2) { kernel - 1 } else { kernel }
    }

    /// Records the encoder: both windows are `[batch, input_len]`, the context `[batch, width]`.
    ///
    /// # Errors
    /// A window of another length.
    pub fn forward<T: Element>(
        &self,
        graph: &mut Graph<'_, T>,
        current: Var,
        previous: Var,
    ) -> Result<Var, Error> {
        self.forward_beside(graph, current, previous, None)
    }

    /// [`PairEncoder::forward`], with what is known beside the windows, `[batch, width]`, added
    /// before the activation.
    ///
    /// # Errors
    /// A window of another length, or a part of another width.
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

    /// Weight and bias of `e` as one linear map. The moving average is linear, `trend(x) = A x`, so
    /// `W_s (x - A x) + W_t A x = (W_s + (W_t - W_s) A) x`: smoothing a difference of weights replaces smoothing the
    /// windows and the second product. Parameters and their gradients are those of the two maps.
    fn projection<T: Element>(&self, graph: &mut Graph<'_, T>) -> Result<[Var; 2], Error> {
        let [seasonal, trend] = [&self.seasonal, &self.trend]
            .map(|map| [graph.parameter(map.weight()), graph.parameter(map.bias())]);
        let tape = &mut *graph.tape;
        let difference = tape.sub(trend[0], seasonal[0])?;
        let smoothed = tape.moving_average_adjoint(difference, self.kernel)?;
        Ok([tape.add(seasonal[0], smoothed)?, tape.add(seasonal[1], trend[1])?])
    }
}
