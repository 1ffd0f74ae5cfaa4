//! [`HeadMoments`]: propagation of moments through the gated head.

use crate::modules::head::GatedHead;
use vdn_model::core::Parameters;
use vdn_model::modules::{LayerNorm, Linear};
use vdn_model::units::moments::{
    Covariance, GeluMoments, Moments, NormMoments, cast, gated_moments, gelu_moments, in_parallel,
    not_negative, numbers, scaled_columns, times, times_transposed, wide,
};
use vdn_tensor::Element;

/// The parameters of a head, prepared for the propagation of moments.
///
/// The hidden inputs are `p = A y + c`, where `y` are the normalised activities and
/// `A = F diag(gain)`. The means of the rows of `A` are removed, which changes nothing because `y`
/// has the mean 0. Then `a = GELU(p)`, and the outputs are `S u + sigmoid(G a) D a`.
///
/// In the covariance of `a`, the variances are exact for normal `p`. The entries off the diagonal
/// are the first term of their series, `E g' E g' Cov(p, p)`. So `Cov(G a)` needs only
/// `G diag(E g') A`, that is, two rows for each output, instead of the covariance of all of `p`.
#[derive(Debug)]
pub(crate) struct HeadMoments<T> {
    channels: usize,
    outputs: usize,
    epsilon: f64,
    /// `A`, `[hidden, channels]`; `squares` has the squares of its entries.
    first: Vec<T>,
    squares: Vec<T>,
    /// `c`, `[hidden]`.
    bias: Vec<f64>,
    /// `S/sqrt C`, `[outputs, channels]`.
    direct: Vec<T>,
    direct_bias: Vec<f64>,
    /// `G`, if the head is gated; `delta` is `D`. Both are `[outputs, hidden]`.
    gate: Option<Output<T>>,
    delta: Output<T>,
}

#[derive(Debug)]
struct Output<T> {
    /// The weight in the precision of the model.
    rounded: Vec<T>,
    weight: Vec<f64>,
    bias: Vec<f64>,
}

/// The moments of one window's hidden activities.
struct Hidden {
    gelu: Vec<GeluMoments>,
    /// The variances minus the first term of their series, `[hidden]`.
    excess: Vec<f64>,
}

impl<T: Element> HeadMoments<T> {
    pub(crate) fn new(head: &GatedHead, parameters: &Parameters<T>) -> Self {
        let parts = head.parts();
        let channels = parts.channels;
        let [gain, shift] = parts.norm.parameters().map(|id| numbers(parameters, id));
        let map = |linear: &Linear| Output {
            rounded: parameters.get(linear.weight()).tensor().data().to_vec(),
            weight: numbers(parameters, linear.weight()),
            bias: numbers(parameters, linear.bias()),
        };
        let (hidden, skip) = (map(parts.hidden), map(parts.skip));
        let rows = hidden.weight.chunks_exact(channels);
        let shifted = rows.clone().map(|row| row.iter().zip(&shift).map(|(f, b)| f * b).sum());
        let bias = shifted.zip(&hidden.bias).map(|(x, b): (f64, &f64)| x + b).collect();
        let mut first: Vec<f64> =
            rows.flat_map(|row| row.iter().zip(&gain).map(|(f, g)| f * g)).collect();
        for row in first.chunks_exact_mut(channels) {
            let mean = row.iter().sum::<f64>() / channels as f64;
            row.iter_mut().for_each(|a| *a -= mean);
        }
        let squares: Vec<f64> = first.iter().map(|a| a * a).collect();
        let root = (channels as f64).sqrt();
        let direct: Vec<f64> = skip.weight.iter().map(|s| s / root).collect();
        Self {
            channels,
            outputs: skip.bias.len(),
            epsilon: channels as f64 * LayerNorm::epsilon(),
            first: cast(&first),
            squares: cast(&squares),
            bias,
            direct: cast(&direct),
            direct_bias: skip.bias,
            gate: parts.gate.map(map),
            delta: map(parts.delta),
        }
    }

    /// Returns the mean and variance of every output, `[outputs]` each, for the activities of every
    /// window.
    pub(crate) fn moments(&self, z: &[Moments]) -> Vec<[Vec<f64>; 2]> {
        let n = self.channels;
        let norms = in_parallel(z.len(), |i| NormMoments::new(&z[i], self.epsilon));
        let each = |f: &dyn Fn(usize) -> Vec<f64>| -> Vec<T> {
            cast(&(0..z.len()).flat_map(f).collect::<Vec<f64>>())
        };
        let means = each(&|i| z[i].mean.clone());
        let centres = each(&|i| norms[i].centre.clone());
        let with_scale = each(&|i| norms[i].with_scale.clone());
        let product = |x: &[T], map: &[T]| wide(&times_transposed(x, map, n));
        let [along, bent] = [&centres, &with_scale].map(|x| product(x, &self.first));
        let [direct, direct_bent] = [&means, &with_scale].map(|x| product(x, &self.direct));
        let spread = self.spread(z);
        let hidden = self.bias.len();
        let activities = in_parallel(z.len(), |i| {
            let own = i * hidden..(i + 1) * hidden;
            self.hidden(&norms[i], &along[own.clone()], &bent[own.clone()], &spread[own])
        });
        // The maps of the outputs on the normalised activities, for all windows: G diag(E g') A and
        // D diag(E g') A.
        let outputs: Vec<&Output<T>> = self.gate.iter().chain([&self.delta]).collect();
        let rows = outputs.len() * self.outputs;
        let mut outer: Vec<T> = Vec::with_capacity(z.len() * rows * hidden);
        for Hidden { gelu, .. } in &activities {
            let slopes: Vec<f64> = gelu.iter().map(|g| g.slope).collect();
            for output in &outputs {
                outer.extend(scaled_columns(&output.rounded, &slopes));
            }
        }
        let inner = times(&outer, &self.first, hidden);
        in_parallel(z.len(), |i| {
            let own = i * hidden..(i + 1) * hidden;
            let steps = i * self.outputs..(i + 1) * self.outputs;
            let window = Window {
                z: &z[i],
                norm: &norms[i],
                hidden: &activities[i],
                along: &along[own.clone()],
                bent: &bent[own],
                direct: &direct[steps.clone()],
                direct_bent: &direct_bent[steps],
                rows: &inner[i * rows * n..(i + 1) * rows * n],
            };
            self.window(&window)
        })
    }

    /// The diagonal of `A S A^T` for every window, `[windows, hidden]`.
    fn spread(&self, z: &[Moments]) -> Vec<f64> {
        let n = self.channels;
        let mut diagonal = Vec::new();
        for z in z {
            let Covariance::Diagonal(variances) = &z.covariance else { break };
            diagonal.extend_from_slice(variances);
        }
        if diagonal.len() == z.len() * n {
            return wide(&times_transposed(&cast::<T>(&diagonal), &self.squares, n));
        }
        let of = |z: &Moments| self.quadratic(&self.first, &carried(&self.first, &z.covariance, n));
        z.iter().flat_map(of).collect()
    }

    /// The dot products of the rows of `a` with the rows of `b`, `[rows, channels]` both.
    fn quadratic(&self, a: &[T], b: &[T]) -> Vec<f64> {
        let n = self.channels;
        a.chunks_exact(n).zip(b.chunks_exact(n)).map(|(a, b)| dot(a, b)).collect()
    }

    fn hidden(&self, norm: &NormMoments, along: &[f64], bent: &[f64], spread: &[f64]) -> Hidden {
        let factor = norm.factor;
        let all = self.bias.iter().zip(along).zip(bent).zip(spread);
        let (gelu, excess) = all
            .map(|(((bias, k), w), v)| {
                let mean = bias + norm.mean_factor() * k - factor * w;
                let variance = norm.bend([*k, *w], [*k, *w], *v);
                let variance = not_negative(variance);
                let gelu = gelu_moments(mean, variance);
                (gelu, not_negative(gelu.variance - gelu.slope * gelu.slope * variance))
            })
            .unzip();
        Hidden { gelu, excess }
    }

    /// Returns the mean and variance of every output of one window.
    fn window(&self, window: &Window<'_, T>) -> [Vec<f64>; 2] {
        let n = self.channels;
        let Window { z, norm, hidden, along, bent, direct, direct_bent, rows } = window;
        // The rows of the direct path, of the gated path, and of the gate (if there is one), and
        // these rows times the covariance.
        let (gate_rows, delta_rows) = rows.split_at(rows.len() - self.outputs * n);
        let all = carried(&[&self.direct, delta_rows, gate_rows].concat(), &z.covariance, n);
        let (with_direct, all) = all.split_at(self.outputs * n);
        let (with_delta, with_gate) = all.split_at(self.outputs * n);
        let of_direct = self.quadratic(&self.direct, with_direct);
        let of_delta = self.quadratic(delta_rows, with_delta);
        let direct_delta = self.quadratic(&self.direct, with_delta);
        let of_gate = self.quadratic(gate_rows, with_gate);
        let gate_delta = self.quadratic(gate_rows, with_delta);
        let direct_gate = self.quadratic(&self.direct, with_gate);
        let (mut means, mut variances) = (Vec::new(), Vec::new());
        for step in 0..self.outputs {
            let mean = self.direct_bias[step] + direct[step];
            let delta = self.delta.row(step, hidden, along, bent);
            let delta_variance =
                norm.bend(delta.bend, delta.bend, of_delta[step]) + delta.excess(&delta, hidden);
            let to_direct = |row: &Row<'_>, product: f64| {
                norm.factor * (product - row.bend[0] * direct_bent[step])
            };
            let by_delta = to_direct(&delta, direct_delta[step]);
            let Some(gate) = &self.gate else {
                means.push(mean + delta.mean);
                variances.push(of_direct[step] + delta_variance + 2.0 * by_delta);
                continue;
            };
            let gate = gate.row(step, hidden, along, bent);
            let gate_variance =
                norm.bend(gate.bend, gate.bend, of_gate[step]) + gate.excess(&gate, hidden);
            let both =
                norm.bend(gate.bend, delta.bend, gate_delta[step]) + gate.excess(&delta, hidden);
            let by_gate = to_direct(&gate, direct_gate[step]);
            let [gate_variance, delta_variance] = [gate_variance, delta_variance].map(not_negative);
            let gated =
                gated_moments([gate.mean, gate_variance], [delta.mean, delta_variance], both);
            means.push(mean + gated.mean);
            let together = gated.by_gate * by_gate + gated.by_value * by_delta;
            variances.push(of_direct[step] + gated.variance + 2.0 * together);
        }
        [means, variances.into_iter().map(not_negative).collect()]
    }
}

/// The intermediate results of one window.
struct Window<'a, T> {
    z: &'a Moments,
    norm: &'a NormMoments,
    hidden: &'a Hidden,
    /// `A d`, `[hidden]`; `bent` is `A S d/(C q0)`, `[hidden]`.
    along: &'a [f64],
    bent: &'a [f64],
    /// The direct path: its mean without bias, `[outputs]`; `direct_bent` is its `S S' d/(C q0)`,
    /// `[outputs]`.
    direct: &'a [f64],
    direct_bent: &'a [f64],
    /// The maps of the gate and of `delta`, `[gate and delta, channels]`.
    rows: &'a [T],
}

/// One output of the gate or of `delta`, the path that it multiplies.
struct Row<'a> {
    weight: &'a [f64],
    mean: f64,
    /// The products of its row on the normalised activities with `d` and with `S d/(C q0)`.
    bend: [f64; 2],
}

impl<T> Output<T> {
    fn row(&self, step: usize, hidden: &Hidden, along: &[f64], bent: &[f64]) -> Row<'_> {
        let width = hidden.gelu.len();
        let weight = &self.weight[step * width..][..width];
        let (mut mean, mut bend) = (self.bias[step], [0.0; 2]);
        for (i, (weight, gelu)) in weight.iter().zip(&hidden.gelu).enumerate() {
            mean += weight * gelu.mean;
            bend[0] += weight * gelu.slope * along[i];
            bend[1] += weight * gelu.slope * bent[i];
        }
        Row { weight, mean, bend }
    }
}

impl Row<'_> {
    fn excess(&self, other: &Self, hidden: &Hidden) -> f64 {
        let all = self.weight.iter().zip(other.weight).zip(&hidden.excess);
        all.map(|((a, b), excess)| a * b * excess).sum()
    }
}

/// The rows times a covariance.
fn carried<T: Element>(rows: &[T], covariance: &Covariance, n: usize) -> Vec<T> {
    match covariance {
        Covariance::Diagonal(variances) => scaled_columns(rows, variances),
        Covariance::Full(all) => times(rows, &cast::<T>(all), n),
    }
}

/// A dot product in double precision, in eight partial sums.
fn dot<T: Element>(a: &[T], b: &[T]) -> f64 {
    let (a, b) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    let mut sums = [0.0; 8];
    for (a, b) in a.0.iter().zip(b.0) {
        for i in 0..8 {
            sums[i] += a[i].to_f64() * b[i].to_f64();
        }
    }
    let rest: f64 = a.1.iter().zip(b.1).map(|(a, b)| a.to_f64() * b.to_f64()).sum();
    sums.iter().sum::<f64>() + rest
}
