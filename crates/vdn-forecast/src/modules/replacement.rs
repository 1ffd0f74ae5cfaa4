//! [`Replacement`]: what a gated head says when one unit's activities are replaced and all others stay.
//!
//! A whole forward pass for every unit would be dominated by the normalisation and the first linear map over all channels.
//! Both change in a way that is known in closed form. With the base input `z` of a row, its mean `m` and its sum of
//! squared deviations `Q`, `s^2 = Q/C + eps`, the normalisation's scale `g` and shift `b`, and the first map `F`
//!
//! ```text
//! p = F (g (z - m)/s + b) + f          A = F diag(g)      a = A 1      c = F b + f
//! z_k -> z_k + d   m' = m + d/C        Q' = Q + d (2 (z_k - m) + d (1 - 1/C))
//! p' = (p - c) s/s' + a (m - m')/s' + A_k d/s' + c
//! ```
//!
//! so that a row costs `3 hidden` multiplications before the activation, in place of `channels * hidden`. What is left,
//! activation and output maps, runs as a batch over many units.

use vdn_model::core::{Bindings, Parameters};
use vdn_model::modules::Linear;
use vdn_tensor::{Element, parallel};

/// A head's parameters, as replacements need them.
#[derive(Clone, Debug)]
pub(crate) struct ReplacementWeights<T> {
    /// `A` transposed, `[channels, hidden]`.
    pub(crate) columns: Vec<T>,
    /// `a`, `[hidden]`.
    pub(crate) row_sums: Vec<T>,
    /// `c`, `[hidden]`.
    pub(crate) constant: Vec<T>,
    /// The direct map, transposed and scaled, `[channels, outputs]`.
    pub(crate) direct: Vec<T>,
    /// What is added to the variance of `z`.
    pub(crate) epsilon: f64,
}

impl<T: Element> ReplacementWeights<T> {
    /// Of a head that normalises with `scale` and `shift` `[channels]`, maps by `first` and, beside it, by `factor` times
    /// `direct`.
    pub(crate) fn new(
        parameters: &Parameters<T>,
        [scale, shift]: [&[T]; 2],
        [first, direct]: [&Linear; 2],
        factor: f64,
        epsilon: f64,
    ) -> Self {
        let of = |id| parameters.get(id).tensor().data();
        let (weight, bias) = (of(first.weight()), of(first.bias()));
        let (channels, hidden) = (scale.len(), bias.len());
        let mut columns = vec![T::ZERO; channels * hidden];
        let (mut row_sums, mut constant) = (Vec::new(), Vec::new());
        for (j, row) in weight.chunks_exact(channels).enumerate() {
            let (mut sum, mut shifted) = (0.0, bias[j].to_f64());
            for (k, &w) in row.iter().enumerate() {
                let scaled = w.to_f64() * scale[k].to_f64();
                columns[k * hidden + j] = T::from_f64(scaled);
                sum += scaled;
                shifted += w.to_f64() * shift[k].to_f64();
            }
            row_sums.push(T::from_f64(sum));
            constant.push(T::from_f64(shifted));
        }
        let from = of(direct.weight());
        let outputs = from.len() / channels;
        let mut transposed = vec![T::ZERO; from.len()];
        for (h, row) in from.chunks_exact(channels).enumerate() {
            for (k, &w) in row.iter().enumerate() {
                transposed[k * outputs + h] = T::from_f64(factor * w.to_f64());
            }
        }
        Self { columns, row_sums, constant, direct: transposed, epsilon }
    }

    fn hidden(&self) -> usize {
        self.constant.len()
    }

    fn channels(&self) -> usize {
        self.columns.len() / self.hidden()
    }

    fn outputs(&self) -> usize {
        self.direct.len() / self.channels()
    }
}

/// The base inputs of a head, and what replacing their channels changes before the activation.
#[derive(Clone, Debug)]
pub(crate) struct Replacement<'a, T> {
    weights: &'a ReplacementWeights<T>,
    /// The base inputs, `[rows, channels]`.
    base: &'a [T],
    /// Their values before the activation, `[rows, hidden]`.
    hidden: &'a [T],
    /// Of each row: mean, and sum of squared deviations.
    moments: Vec<[f64; 2]>,
}

impl<'a, T: Element> Replacement<'a, T> {
    /// Of base inputs `[rows, channels]` that are `hidden` `[rows, hidden]` before the activation.
    pub(crate) fn new(weights: &'a ReplacementWeights<T>, base: &'a [T], hidden: &'a [T]) -> Self {
        let channels = weights.channels();
        let moments = base.chunks_exact(channels).map(|row| {
            let mean = row.iter().map(|z| z.to_f64()).sum::<f64>() / channels as f64;
            [mean, row.iter().map(|z| (z.to_f64() - mean).powi(2)).sum()]
        });
        Self { weights, base, hidden, moments: moments.collect() }
    }

    /// Rows of the base.
    pub(crate) fn rows(&self) -> usize {
        self.moments.len()
    }

    /// The values before the activation when, in block `j` of `to` `[blocks, rows, hidden]`, channels
    /// `first[j] .. first[j] + width` are those of `other` `[rows, channels]`.
    pub(crate) fn fill_hidden(&self, first: &[usize], width: usize, other: &[T], to: &mut [T]) {
        let (rows, hidden) = (self.rows(), self.weights.hidden());
        let channels = self.weights.channels() as f64;
        parallel::for_each_chunk(to, hidden, |place, to| {
            let (first, row) = (first[place / rows], place % rows);
            let [mut mean, mut squares] = self.moments[row];
            let spread = (squares / channels + self.weights.epsilon).sqrt();
            let (old_mean, start) = (mean, row * self.weights.channels() + first);
            let delta = |k: usize| other[start + k].to_f64() - self.base[start + k].to_f64();
            for k in 0..width {
                let d = delta(k);
                let from_mean = self.base[start + k].to_f64() - mean;
                squares += d * (2.0 * from_mean + d * (1.0 - 1.0 / channels));
                mean += d / channels;
            }
            let inverse = 1.0 / (squares.max(0.0) / channels + self.weights.epsilon).sqrt();
            let kept = T::from_f64(spread * inverse);
            let shift = T::from_f64((old_mean - mean) * inverse);
            let (constant, sums) = (&self.weights.constant[..hidden], &self.weights.row_sums);
            let base = &self.hidden[row * hidden..][..hidden];
            for (((to, &p), &c), &a) in to.iter_mut().zip(base).zip(constant).zip(sums) {
                *to = (p - c) * kept + a * shift + c;
            }
            for k in 0..width {
                let d = T::from_f64(delta(k) * inverse);
                let column = &self.weights.columns[(first + k) * hidden..][..hidden];
                for (to, &a) in to.iter_mut().zip(column) {
                    *to += a * d;
                }
            }
        });
    }

    /// What the direct map adds to the outputs of a row when its channels `first .. first + width` are those of `other`.
    pub(crate) fn direct_change(
        &self,
        row: usize,
        first: usize,
        width: usize,
        other: &[T],
        to: &mut [f64],
    ) {
        let outputs = self.weights.outputs();
        to.fill(0.0);
        for k in first..first + width {
            let at = row * self.weights.channels() + k;
            let d = other[at].to_f64() - self.base[at].to_f64();
            let column = &self.weights.direct[k * outputs..][..outputs];
            for (to, s) in to.iter_mut().zip(column) {
                *to += d * s.to_f64();
            }
        }
    }
}

/// Room for the passes of replacements.
#[derive(Debug, Default)]
pub(crate) struct ReplacementTape<T: Element> {
    pub(crate) tape: vdn_autograd::Tape<T>,
    pub(crate) bindings: Bindings,
}
