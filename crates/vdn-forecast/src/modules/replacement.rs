//! [`Replacement`]: the outputs of a gated head after the activities of one unit are replaced.
//!
//! A full forward pass for every unit would be dominated by the normalisation and the first linear
//! map over all channels. The changes of both are known in closed form. For one row, let `z` be the
//! base input, `m` its mean, `Q` its sum of squared deviations, and `s^2 = Q/C + eps`. Let `g` and
//! `b` be the scale and shift of the normalisation, and `F` the first map, with bias `f`. Then
//!
//! ```text
//! p = F (g (z - m)/s + b) + f          A = F diag(g)      a = A 1      c = F b + f
//! z_k -> z_k + d   m' = m + d/C        Q' = Q + d (2 (z_k - m) + d (1 - 1/C))
//! p' = (p - c) s/s' + a (m - m')/s' + A_k d/s' + c
//! ```
//!
//! A row costs `3 hidden` multiplications before the activation, instead of `channels * hidden`.
//! The activation and the output maps run as a batch over many units.

use vdn_model::core::{Bindings, Parameters};
use vdn_model::modules::Linear;
use vdn_tensor::{Element, parallel};

/// The parameters of a head, in the form that replacements use.
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
    /// The constant that is added to the variance of `z`.
    pub(crate) epsilon: f64,
}

impl<T: Element> ReplacementWeights<T> {
    /// Returns the weights of a head that normalises with `scale` and `shift` `[channels]`,
    /// followed by the map `first`, and has a parallel map `factor` times `direct`.
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

/// The base inputs of a head, and the effect of replaced channels before the activation.
#[derive(Clone, Debug)]
pub(crate) struct Replacement<'a, T> {
    weights: &'a ReplacementWeights<T>,
    /// The base inputs, `[rows, channels]`.
    base: &'a [T],
    /// Their values before the activation, `[rows, hidden]`.
    hidden: &'a [T],
    /// For each row: the mean, and the sum of squared deviations.
    moments: Vec<[f64; 2]>,
}

impl<'a, T: Element> Replacement<'a, T> {
    /// Takes the base inputs `[rows, channels]`, and their values `hidden` `[rows, hidden]` before
    /// the activation.
    pub(crate) fn new(weights: &'a ReplacementWeights<T>, base: &'a [T], hidden: &'a [T]) -> Self {
        let channels = weights.channels();
        let moments = base.chunks_exact(channels).map(|row| {
            let mean = row.iter().map(|z| z.to_f64()).sum::<f64>() / channels as f64;
            [mean, row.iter().map(|z| (z.to_f64() - mean).powi(2)).sum()]
        });
        Self { weights, base, hidden, moments: moments.collect() }
    }

    /// Returns the number of rows of the base.
    pub(crate) fn rows(&self) -> usize {
        self.moments.len()
    }

    /// Writes the values before the activation to `to` `[blocks, rows, hidden]`. In block `j`, the
    /// channels `first[j] .. first[j] + width` are taken from `other` `[rows, channels]`.
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

    /// Writes the change of a row's outputs through the direct map, if its channels
    /// `first .. first + width` are taken from `other`.
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

/// The tape for the passes of replacements.
#[derive(Debug, Default)]
pub(crate) struct ReplacementTape<T: Element> {
    pub(crate) tape: vdn_autograd::Tape<T>,
    pub(crate) bindings: Bindings,
}
