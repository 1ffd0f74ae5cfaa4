//! Several units observed through a mixing emission, learned up to sign and order.
//!
//! `x_t = Q D z_t + Normal(0, r)`: three stationary units of variance 1. Their emission is an
//! unknown rotation `Q` (its first columns, in more channels than units) with unknown lengths `D`.
//!
//! Because `Q^T Q = 1` and the noise is the same in all channels, the message of `x_t` about `z_t`
//! is a product over units, `Normal(D^-1 Q^T x_t, r D^-2)`. The structured posterior, whose units
//! are independent, therefore contains the exact posterior for every `Q, D, r`. For an emission
//! that is not orthogonal it does not.

use crate::sequences::kalman::series;
use crate::sequences::search::{Found, minimum, standard_errors};
use vdn_autograd::{Error, ObservationFamily, Tape, Var};
use vdn_model::core::{Bindings, Builder, Graph, Init, Mode, ParameterId, Parameters};
use vdn_model::priors::{OrderOne, OrderOneConfig, Prior};
use vdn_model::sequence::{Message, Unroll, smooth};
use vdn_tensor::noise::NoiseKey;

const UNITS: usize = 3;
const CHANNELS: usize = 4;
/// The planes whose rotations take the first axes to any direction: one axis of the units, one
/// after it.
const PLANES: [[usize; 2]; 6] = [[0, 1], [0, 2], [0, 3], [1, 2], [1, 3], [2, 3]];

/// Persistence `atanh phi` (3), tangents of half the angles (6), logarithms of lengths (3),
/// logarithm of the noise's deviation.
const NUMBERS: usize = 2 * UNITS + PLANES.len() + 1;
type Numbers = [f64; NUMBERS];

const PHI: [f64; UNITS] = [0.95, 0.6, -0.7];

fn truth() -> Numbers {
    let [a, b, c] = PHI.map(f64::atanh);
    [a, b, c, 0.3, -0.5, 0.2, 0.7, -0.1, 0.4, 0.2, 0.0, -0.2, 0.5 * 0.4f64.ln()]
}

/// Cosine and sine of the angle whose half has the tangent `t`.
fn turn(t: f64) -> [f64; 2] {
    [(1.0 - t * t) / (1.0 + t * t), 2.0 * t / (1.0 + t * t)]
}

/// The emission's columns, one for each unit.
fn columns(numbers: &Numbers) -> [[f64; CHANNELS]; UNITS] {
    let mut columns = [[0.0; CHANNELS]; UNITS];
    for (unit, column) in columns.iter_mut().enumerate() {
        column[unit] = numbers[UNITS + PLANES.len() + unit].exp();
        for ([i, j], t) in PLANES.iter().zip(&numbers[UNITS..]) {
            let [c, s] = turn(*t);
            (column[*i], column[*j]) =
                (c * column[*i] - s * column[*j], s * column[*i] + c * column[*j]);
        }
    }
    columns
}

/// Series, `[steps][count][channels]`.
fn data([count, steps]: [usize; 2], seed: u64) -> Vec<f64> {
    let numbers = truth();
    let (columns, deviation) = (columns(&numbers), numbers[NUMBERS - 1].exp());
    let mut x = vec![0.0; steps * count * CHANNELS];
    NoiseKey::new(seed, 0, 0).fill_normal(0, &mut x);
    x.iter_mut().for_each(|x| *x *= deviation);
    for (unit, column) in columns.iter().enumerate() {
        for b in 0..count {
            let seed = seed + 1 + (unit * count + b) as u64;
            for (t, z) in series(PHI[unit], 0.0, steps, seed).into_iter().enumerate() {
                let row = &mut x[(t * count + b) * CHANNELS..][..CHANNELS];
                row.iter_mut().zip(column).for_each(|(x, c)| *x += c * z);
            }
        }
    }
    x
}

/// The log-likelihood in nats by the filter of Kalman (1960) with the latents of all units as its
/// state, one channel after the other (their noise is independent). It knows nothing of rotations.
fn log_likelihood(numbers: &Numbers, x: &[f64], count: usize) -> f64 {
    let columns = columns(numbers);
    let phi: [f64; UNITS] = std::array::from_fn(|i| numbers[i].tanh());
    let noise = (2.0 * numbers[NUMBERS - 1]).exp();
    let mut means = vec![[0.0; UNITS]; count];
    let mut p = [[0.0; UNITS]; UNITS];
    (0..UNITS).for_each(|i| p[i][i] = 1.0);
    let mut total = 0.0;
    for rows in x.chunks_exact(count * CHANNELS) {
        for channel in 0..CHANNELS {
            let c: [f64; UNITS] = std::array::from_fn(|i| columns[i][channel]);
            let pc: [f64; UNITS] =
                std::array::from_fn(|i| (0..UNITS).map(|j| p[i][j] * c[j]).sum());
            let f = noise + (0..UNITS).map(|i| c[i] * pc[i]).sum::<f64>();
            let constant = (std::f64::consts::TAU * f).ln();
            for (mean, row) in means.iter_mut().zip(rows.chunks_exact(CHANNELS)) {
                let innovation = row[channel] - (0..UNITS).map(|i| c[i] * mean[i]).sum::<f64>();
                total -= 0.5 * (constant + innovation * innovation / f);
                (0..UNITS).for_each(|i| mean[i] += pc[i] / f * innovation);
            }
            for i in 0..UNITS {
                (0..UNITS).for_each(|j| p[i][j] -= pc[i] * pc[j] / f);
            }
        }
        for i in 0..UNITS {
            means.iter_mut().for_each(|mean| mean[i] *= phi[i]);
            (0..UNITS).for_each(|j| p[i][j] *= phi[i] * phi[j]);
            p[i][i] += 1.0 - phi[i] * phi[i];
        }
    }
    total
}

/// The model in the library's types.
struct Model {
    parameters: Parameters<f64>,
    prior: OrderOne,
    /// In the order of [`Numbers`].
    ids: [ParameterId; 4],
}

impl Model {
    fn new() -> Self {
        let mut parameters = Parameters::new();
        let mut builder = Builder::new(&mut parameters, 0);
        let prior =
            OrderOne::new(&mut builder, UNITS, OrderOneConfig::default()).expect("in range");
        let tangents = builder.add("tangents", [PLANES.len()], Init::Constant(0.0));
        let lengths = builder.add("lengths", [UNITS], Init::Constant(0.0));
        let log_scale = builder.add("log_scale", [1], Init::Constant(0.0));
        let ids = [prior.persistence(), tangents, lengths, log_scale];
        Self { parameters, prior, ids }
    }

    /// `Q`, `[channels, channels]`, of which the first columns are used: a product of plane
    /// rotations.
    fn rotation(&self, graph: &mut Graph<'_, f64>) -> Result<Var, Error> {
        let all = graph.parameter(self.ids[1]);
        let mut eye = [0.0; CHANNELS * CHANNELS];
        (0..CHANNELS).for_each(|i| eye[i * (CHANNELS + 1)] = 1.0);
        let mut product = graph.tape.constant([CHANNELS, CHANNELS], &eye)?;
        for (plane, [i, j]) in PLANES.into_iter().enumerate() {
            let t = graph.tape.slice_axis(all, 0, plane, 1)?;
            let square = graph.tape.square(t)?;
            let one = graph.tape.add_scalar(square, 1.0)?;
            // cos - 1 and sin.
            let parts = [(square, -2.0), (t, 2.0)].map(|(x, factor)| {
                let part = graph.tape.div(x, one)?;
                graph.tape.scale(part, factor)
            });
            let (mut on, mut off) = ([0.0; CHANNELS * CHANNELS], [0.0; CHANNELS * CHANNELS]);
            (on[i * (CHANNELS + 1)], on[j * (CHANNELS + 1)]) = (1.0, 1.0);
            (off[i * CHANNELS + j], off[j * CHANNELS + i]) = (-1.0, 1.0);
            let mut turned = graph.tape.constant([CHANNELS, CHANNELS], &eye)?;
            for (part, places) in parts.into_iter().zip([on, off]) {
                let places = graph.tape.constant([CHANNELS, CHANNELS], &places)?;
                let part = graph.tape.mul(part?, places)?;
                turned = graph.tape.add(turned, part)?;
            }
            product = graph.tape.matmul(turned, product, false, false)?;
        }
        Ok(product)
    }

    /// The evidence lower bound in nats by the structured posterior, smoothed, for each sample; the
    /// gradient of their mean.
    fn bound(
        &mut self,
        tape: &mut Tape<f64>,
        numbers: &Numbers,
        x: &[f64],
        count: usize,
        samples: usize,
    ) -> Result<(Vec<f64>, Numbers), Error> {
        let mut from = 0;
        for id in self.ids {
            let data = self.parameters.data_mut(id.index());
            data.copy_from_slice(&numbers[from..from + data.len()]);
            from += data.len();
        }
        tape.reset();
        let (mut bindings, key) = (Bindings::new(), NoiseKey::new(5, 0, 0));
        let mut graph = Graph::new(tape, &self.parameters, &mut bindings, Mode::Train, key);
        let [lengths, log_scale] = [2, 3].map(|i| graph.parameter(self.ids[i]));
        let rotation = self.rotation(&mut graph)?;
        let rotation = graph.tape.slice_axis(rotation, 1, 0, UNITS)?;
        let length = graph.tape.exp(lengths)?;
        // x D^-1 Q^T has the messages' means; the log-variances are ln r - 2 ln D.
        let emission = graph.tape.mul(rotation, length)?;
        let inverse = graph.tape.div(rotation, length)?;
        let difference = graph.tape.sub(log_scale, lengths)?;
        let logvar = graph.tape.scale(difference, 2.0)?;
        let mut messages = Vec::new();
        for rows in x.chunks_exact(count * CHANNELS) {
            let rows = graph.tape.constant([count, CHANNELS], rows)?;
            let mean = graph.tape.matmul(rows, inverse, false, false)?;
            messages.push(Message { mean, logvar, gap: 1 });
        }
        let prior = Prior::OrderOne(self.prior);
        let out = smooth(&mut graph, prior, &messages, Unroll::new(samples, key))?;
        let z = graph.tape.concat(&out.z, 1)?;
        let kl = graph.tape.concat(&out.kl, 1)?;
        let kl = graph.tape.sum_axis(kl, 2)?;
        let locations = graph.tape.affine(z, emission, None)?;
        let x = graph.tape.constant([x.len() / CHANNELS, CHANNELS], x)?;
        let gaussian = ObservationFamily::Gaussian;
        let fit = graph.tape.log_density(gaussian, locations, log_scale, x)?;
        let fit = graph.tape.sum_axis(fit, 2)?;
        let bounds = graph.tape.sub(fit, kl)?;
        let bounds = graph.tape.sum_axis(bounds, 1)?;
        let bound = graph.tape.mean(bounds)?;
        tape.backward(bound)?;
        let mut gradient = [0.0; NUMBERS];
        let parts = self.ids.iter().flat_map(|id| {
            let var = bindings.get(id.index()).expect("it takes part");
            tape.gradient(var).expect("it takes part").data().to_vec()
        });
        gradient.iter_mut().zip(parts).for_each(|(to, from)| *to = from);
        Ok((tape.value(bounds).data().to_vec(), gradient))
    }
}

/// Cosines of the angles between the emission's columns of two models, `[learned][other]`.
fn cosines(learned: &Numbers, other: &Numbers) -> [[f64; UNITS]; UNITS] {
    let [a, b] = [learned, other].map(columns);
    let norm = |x: &[f64]| x.iter().map(|x| x * x).sum::<f64>().sqrt();
    let cosine =
        |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>() / norm(a) / norm(b);
    std::array::from_fn(|i| std::array::from_fn(|j| cosine(&a[i], &b[j])))
}

/// Returns the order of the learned units that fits `cosines` best, whatever their signs: the index
/// of the learned unit for each other unit.
fn order(cosines: &[[f64; UNITS]; UNITS]) -> [usize; UNITS] {
    let fit = |order: &[usize; UNITS]| (0..UNITS).map(|i| cosines[order[i]][i].abs()).sum::<f64>();
    let orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
    orders.into_iter().max_by(|a, b| fit(a).total_cmp(&fit(b))).expect("there are six")
}

/// Returns the start of learning: all units alike, axes along some channels.
fn start(tangents: [f64; 6]) -> Numbers {
    let mut numbers = [0.0; NUMBERS];
    numbers[..UNITS].fill(0.5f64.atanh());
    numbers[UNITS..UNITS + PLANES.len()].copy_from_slice(&tangents);
    numbers
}

const STARTS: [[f64; 6]; 3] =
    [[0.0; 6], [1.0, 0.0, 0.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0, 0.0, 0.0]];

fn mean(x: &[f64]) -> f64 {
    x.iter().sum::<f64>() / x.len() as f64
}

fn learns_units(size: [usize; 2], samples: usize, starts: &[[f64; 6]]) {
    let [count, steps] = size;
    let x = data(size, 900);
    // In nats per step and series.
    let scale = 1.0 / (count * steps) as f64;
    let exact = |numbers: &Numbers| -scale * log_likelihood(numbers, &x, count);
    let mle = minimum(truth(), |numbers| {
        let gradient = std::array::from_fn(|i| {
            let side = |h: f64| {
                let mut numbers = *numbers;
                numbers[i] += h;
                exact(&numbers)
            };
            // Of order 4: errors of 1e-10, and rounding of 1e-11.
            (8.0 * (side(1e-3) - side(-1e-3)) - side(2e-3) + side(-2e-3)) / 12e-3
        });
        (exact(numbers), gradient)
    });
    assert!(mle.slope < 1e-4, "no maximum of the likelihood: {}", mle.slope);
    let moved = mle.at.iter().zip(truth()).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    assert!(moved > 1e-4, "the likelihood's maximum is the truth to {moved}: nothing was searched");
    let errors = standard_errors(&mle.at, scale, exact);
    let phi = |numbers: &Numbers, i: usize| numbers[i].tanh();
    let (mut model, mut tape) = (Model::new(), Tape::new());
    let (mut orders, mut signs) = (Vec::new(), Vec::new());
    for &tangents in starts {
        let Found { at: learned, rounds, slope } = minimum(start(tangents), |numbers| {
            let (bounds, gradient) =
                model.bound(&mut tape, numbers, &x, count, samples).expect("it is a model");
            (-scale * mean(&bounds), gradient.map(|g| -scale * g))
        });
        println!("{rounds} rounds, slope {slope:.1e}");
        assert!(slope < 1e-4, "not learned to the end: {slope}");
        let cosines = cosines(&learned, &mle.at);
        let order = order(&cosines);
        for (i, &unit) in order.iter().enumerate() {
            let (got, best) = (phi(&learned, unit), phi(&mle.at, i));
            let error = errors[i] * (1.0 - best * best);
            let cosine = cosines[unit][i];
            println!(
                "phi {:5.2}: likelihood {best:.4} +- {error:.4}, structured {got:.4} (unit {unit}, cosine {cosine:.5})",
                PHI[i]
            );
            assert!((got - best).abs() <= 0.01, "{got} {best}");
            assert!((got - PHI[i]).abs() <= 3.0 * error, "{got} {} +- {error}", PHI[i]);
            // Both are of the same data, so that errors of sampling cancel: an angle of 0.045, as
            // phi within 0.01.
            assert!(cosine.abs() > 0.999, "{cosine}");
            signs.push(cosine > 0.0);
        }
        orders.push(order);
    }
    assert!(signs.contains(&true) && signs.contains(&false), "one sign only");
    assert!(orders.iter().any(|order| *order != orders[0]), "one order only: {orders:?}");
}

#[test]
fn independent_units_are_exact_for_every_orthogonal_emission() {
    let (count, steps, samples) = (4, 200, 64);
    let x = data([count, steps], 700);
    let (mut model, mut tape) = (Model::new(), Tape::new());
    for numbers in [truth(), start(STARTS[1]), start([0.4, -0.9, 0.1, 0.3, 0.6, -0.2])] {
        let (bounds, _) = model.bound(&mut tape, &numbers, &x, count, samples).expect("a model");
        let (bound, n) = (mean(&bounds), samples as f64);
        let variance = bounds.iter().map(|b| (b - bound).powi(2)).sum::<f64>() / (n - 1.0);
        let error = (variance / n).sqrt();
        let gap = log_likelihood(&numbers, &x, count) - bound;
        println!("likelihood less bound {gap:.2} +- {error:.2} nats in {} steps", count * steps);
        assert!(gap.abs() <= 3.5 * error && error < 0.01 * (count * steps) as f64, "{gap} {error}");
    }
}

#[test]
fn several_units_are_learned_up_to_sign_and_order() {
    learns_units([16, 250], 8, &STARTS[..2]);
}

/// `cargo test --release -p vdn-model --test all -- --ignored --nocapture several_units`
#[test]
#[ignore = "20 series of 20 000 steps"]
fn several_units_at_full_size() {
    learns_units([20, 20_000], 1, &STARTS);
}
