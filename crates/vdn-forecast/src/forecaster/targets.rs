//! The targets of a batch, and the score of those that are missing or have a lower limit.
//!
//! A missing target adds nothing to a score, and is not counted in its mean.
//!
//! Quantities that are never negative have a lower limit.
//! What is forecast is `max(X, f)` with a normal `X`, given the units. A target above the limit `f`
//! has the density of `X` there, one on the limit the probability of all that lies below:
//!
//! ```text
//! ln p(y) = ln Normal(y; m, s^2)   y > f            ln p(f) = ln Φ((f - m) / s)
//! ```
//!
//! This is the likelihood of a censored regression (J. Tobin, "Estimation of Relationships for
//! Limited Dependent Variables", Econometrica 26, 1958). The scores of mixtures over samples are
//! formed from it as from normal densities.

use crate::forecaster::{Batch, Forecaster, Pass};
use vdn_autograd::{Error, Score, Tape, Var};
use vdn_model::core::Graph;
use vdn_tensor::Element;

/// `ln(2 pi) / 2`.
const HALF_LN_TAU: f64 = 0.918_938_533_204_672_8;

/// The targets of a batch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Targets {
    /// `[batch, horizon]`; 0 where a target is missing.
    pub(super) y: Var,
    /// Of series with a lower limit.
    pub(super) limited: Option<Limited>,
    /// Where targets are missing.
    pub(super) seen: Option<Seen>,
}

/// What is known of targets with a lower limit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limited {
    /// 1 where the target is on its limit, else 0, `[batch, horizon]`.
    on: Var,
    /// The limits, `[batch, 1]`.
    floor: Var,
}

/// Which targets are there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    /// 1 where the target is there, else 0, `[batch, horizon]`.
    pub(super) mask: Var,
    /// One over the number of targets of each window, `[1, batch]`.
    shares: Var,
    /// The number of targets of each window, `[batch]`.
    pub(super) counts: Var,
    /// Targets that are there, at least 1.
    pub(super) count: usize,
}

impl Targets {
    /// Records the targets of `rows` windows; a missing one is NaN.
    pub(super) fn record<T: Element>(
        tape: &mut Tape<T>,
        batch: &Batch<'_, T>,
        rows: usize,
    ) -> Result<Self, Error> {
        let horizon = batch.target.len() / rows.max(1);
        let is_missing = |y: &T| y.to_f64().is_nan();
        let seen = match batch.target.iter().any(is_missing) {
            true => Some(Seen::record(tape, batch.target, [rows, horizon])?),
            false => None,
        };
        let y = match seen {
            None => tape.constant([rows, horizon], batch.target)?,
            Some(_) => tape.constant_with([rows, horizon], |to| {
                let each = to.iter_mut().zip(batch.target);
                each.for_each(|(to, y)| *to = if is_missing(y) { T::ZERO } else { *y });
            })?,
        };
        let Some(floors) = batch.beside.floor else { return Ok(Self { y, limited: None, seen }) };
        let floor = tape.constant_with([rows, 1], |to| {
            to.iter_mut().zip(floors).for_each(|(to, &floor)| *to = T::from_f64(floor));
        })?;
        let on = tape.constant_with([rows, horizon], |to| {
            let windows = to.chunks_exact_mut(horizon).zip(batch.target.chunks_exact(horizon));
            for ((to, window), &floor) in windows.zip(floors) {
                let floor = T::from_f64(floor).to_f64();
                for (to, y) in to.iter_mut().zip(window) {
                    *to = if y.to_f64() <= floor { T::ONE } else { T::ZERO };
                }
            }
        })?;
        Ok(Self { y, limited: Some(Limited { on, floor }), seen })
    }

    /// Whether all targets are there and none has a limit.
    pub(super) fn is_plain(&self) -> bool {
        self.limited.is_none() && self.seen.is_none()
    }

    /// `ln p` of each target, 0 of a missing one, `[samples, batch, horizon]` or `[batch, horizon]`
    /// as `mean` is.
    fn log_densities<T: Element>(
        &self,
        tape: &mut Tape<T>,
        mean: Var,
        sigma: Var,
    ) -> Result<Var, Error> {
        let residual = tape.sub(self.y, mean)?;
        let standard = tape.div(residual, sigma)?;
        let exponent = log_density(tape, standard)?;
        let log_sigma = tape.ln(sigma)?;
        let mut found = tape.sub(exponent, log_sigma)?;
        if let Some(limited) = self.limited {
            let mass = tape.ln_normal_cdf(standard)?;
            found = tape.where_mask(limited.on, mass, found)?;
        }
        match self.seen {
            Some(seen) => tape.mul(found, seen.mask),
            None => Ok(found),
        }
    }

    /// The sum of `x` over targets, divided by their number, a scalar; `x` is `[samples, batch,
    /// horizon]` with one sample, or `[batch, horizon]`, and 0 where a target is missing.
    fn mean_of<T: Element>(&self, tape: &mut Tape<T>, x: Var) -> Result<Var, Error> {
        match self.seen {
            None => tape.mean(x),
            Some(seen) => {
                let sum = tape.sum(x)?;
                tape.scale(sum, T::from_f64(1.0 / seen.count as f64))
            }
        }
    }

    /// The negative mean of `ln p` over all targets and samples, in nats per step, a scalar.
    pub(super) fn nll<T: Element>(
        &self,
        tape: &mut Tape<T>,
        mean: Var,
        sigma: Var,
    ) -> Result<Var, Error> {
        let mut found = self.log_densities(tape, mean, sigma)?;
        if tape.shape(found).rank() == 3 {
            found = tape.mean_axis(found, 0)?;
        }
        let found = self.mean_of(tape, found)?;
        tape.neg(found)
    }

    /// The log-density of all targets of each window, `[samples, batch]`.
    pub(super) fn of_windows<T: Element>(
        &self,
        tape: &mut Tape<T>,
        mean: Var,
        sigma: Var,
    ) -> Result<Var, Error> {
        let found = self.log_densities(tape, mean, sigma)?;
        tape.sum_axis(found, 2)
    }

    /// The negative score of the mixture over the samples of a pass, in nats per step, a scalar.
    pub(super) fn mixture_nll<T: Element>(
        &self,
        tape: &mut Tape<T>,
        pass: &Pass,
        score: Score,
    ) -> Result<Var, Error> {
        let each = self.log_densities(tape, pass.y, pass.sigma)?;
        let shape = *tape.shape(each);
        let &[samples, rows, horizon] = shape.dims() else {
            return Err(Error::invalid("targets", format!("predictions are {shape}")));
        };
        let weights = match pass.scores {
            Some(scores) => {
                let all = tape.logsumexp(scores, 0)?;
                tape.sub(scores, all)?
            }
            None => {
                let equal = T::from_f64(-(samples as f64).ln());
                tape.constant_with([samples, rows], |to| to.fill(equal))?
            }
        };
        let count = self.seen.map_or(rows * horizon, |seen| seen.count) as f64;
        // What is summed over windows, and what it is divided by.
        let (paths, terms) = match score {
            Score::Marginal => {
                let weights = tape.reshape(weights, [samples, rows, 1])?;
                (tape.add(each, weights)?, count)
            }
            Score::Tempered => {
                let means = match self.seen {
                    None => tape.mean_axis(each, 2)?,
                    Some(seen) => {
                        let sums = tape.sum_axis(each, 2)?;
                        tape.mul(sums, seen.shares)?
                    }
                };
                (tape.add(means, weights)?, if self.seen.is_some() { count } else { rows as f64 })
            }
            Score::Joint => {
                let sums = tape.sum_axis(each, 2)?;
                (tape.add(sums, weights)?, count)
            }
        };
        let mut mixed = tape.logsumexp(paths, 0)?;
        if let (Score::Tempered, Some(seen)) = (score, self.seen) {
            // Means of windows; each of their targets counts.
            mixed = tape.mul(mixed, seen.counts)?;
        }
        let sum = tape.sum(mixed)?;
        tape.scale(sum, T::from_f64(-1.0 / terms))
    }

    /// The mean of squares of `residual` `[batch, horizon]` over the targets, a scalar.
    pub(super) fn mean_square<T: Element>(
        &self,
        tape: &mut Tape<T>,
        residual: Var,
    ) -> Result<Var, Error> {
        let mut squares = tape.square(residual)?;
        if let Some(seen) = self.seen {
            squares = tape.mul(squares, seen.mask)?;
        }
        self.mean_of(tape, squares)
    }
}

impl Seen {
    fn record<T: Element>(
        tape: &mut Tape<T>,
        targets: &[T],
        [rows, horizon]: [usize; 2],
    ) -> Result<Self, Error> {
        let is_there = |y: &&T| !y.to_f64().is_nan();
        let mask = tape.constant_with([rows, horizon], |to| {
            let each = to.iter_mut().zip(targets);
            each.for_each(|(to, y)| *to = if is_there(&y) { T::ONE } else { T::ZERO });
        })?;
        let shares = tape.constant_with([1, rows], |to| {
            for (to, window) in to.iter_mut().zip(targets.chunks_exact(horizon)) {
                let count = window.iter().filter(is_there).count().max(1);
                *to = T::from_f64(1.0 / count as f64);
            }
        })?;
        let counts = tape.constant_with([rows], |to| {
            for (to, window) in to.iter_mut().zip(targets.chunks_exact(horizon)) {
                *to = T::from_f64(window.iter().filter(is_there).count() as f64);
            }
        })?;
        let count = targets.iter().filter(is_there).count().max(1);
        Ok(Self { mask, shares, counts, count })
    }
}

impl Limited {
    /// The means of what is forecast, `E max(X, f)`, of the shape of `mean`.
    pub(super) fn means<T: Element>(
        self,
        tape: &mut Tape<T>,
        mean: Var,
        sigma: Var,
    ) -> Result<Var, Error> {
        let distance = tape.sub(mean, self.floor)?;
        let above = tape.div(distance, sigma)?;
        let density = log_density(tape, above)?;
        let density = tape.exp(density)?;
        let share = tape.ln_normal_cdf(above)?;
        let share = tape.exp(share)?;
        let part = tape.mul(above, share)?;
        let excess = tape.add(density, part)?;
        let excess = tape.mul(excess, sigma)?;
        tape.add(excess, self.floor)
    }

    /// Residuals in deviations, `[batch, horizon]`, with the mean of what lies below the limit,
    /// `E[Z | Z < z] = -φ(z)/Φ(z)`, in the place of those of targets on it.
    pub(super) fn residuals<T: Element>(
        self,
        tape: &mut Tape<T>,
        standard: Var,
    ) -> Result<Var, Error> {
        let density = log_density(tape, standard)?;
        let mass = tape.ln_normal_cdf(standard)?;
        let ratio = tape.sub(density, mass)?;
        let ratio = tape.exp(ratio)?;
        let below = tape.neg(ratio)?;
        tape.where_mask(self.on, below, standard)
    }
}

/// The log-density of a standard normal.
fn log_density<T: Element>(tape: &mut Tape<T>, x: Var) -> Result<Var, Error> {
    let square = tape.square(x)?;
    let half = tape.scale(square, T::from_f64(-0.5))?;
    tape.add_scalar(half, T::from_f64(-HALF_LN_TAU))
}

impl Forecaster {
    /// The means of what a pass forecasts, `[samples, batch, horizon]`.
    pub(super) fn forecast_means<T: Element>(
        &self,
        graph: &mut Graph<'_, T>,
        pass: &Pass,
        targets: &Targets,
    ) -> Result<Var, Error> {
        let total = pass.joint.map_or(pass.sigma, |joint| joint.total);
        match targets.limited {
            Some(limited) => limited.means(graph.tape, pass.y, total),
            None => Ok(pass.y),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forecaster::{Batch, Beside};
    use vdn_autograd::check_gradients;
    use vdn_model::units::{LayerOutputs, MAX_DEPTH};
    use vdn_tensor::Tensor;
    use vdn_tensor::noise::NoiseKey;
    use vdn_train::metrics::{Mixture, WindowPrediction, window_nll};

    const SAMPLES: usize = 3;
    const ROWS: usize = 2;
    const HORIZON: usize = 4;
    const FLOORS: [f64; ROWS] = [-0.4, 0.1];

    /// Predictions, deviations of steps, scores of samples, and targets of which some are on their
    /// limits.
    fn numbers() -> [Vec<f64>; 4] {
        let normal = |stream: u32, len: usize| {
            let mut x = vec![0.0; len];
            NoiseKey::new(5, stream, 0).fill_normal(0, &mut x);
            x
        };
        let means = normal(0, SAMPLES * ROWS * HORIZON);
        let sigma = normal(1, HORIZON).iter().map(|x| 0.3 + f64::abs(*x)).collect();
        let mut targets = normal(2, ROWS * HORIZON);
        for (at, y) in targets.iter_mut().enumerate() {
            let floor = FLOORS[at / HORIZON];
            *y = if at % 2 == 0 { floor } else { floor + 0.1 + y.abs() };
        }
        [means, sigma, normal(3, SAMPLES * ROWS), targets]
    }

    fn targets(tape: &mut Tape<f64>, y: &[f64]) -> Targets {
        let beside = Beside { floor: Some(&FLOORS), ..Beside::default() };
        let batch = Batch { target: y, beside, ..Batch::default() };
        Targets::record(tape, &batch, ROWS).unwrap()
    }

    fn pass(y: Var, sigma: Var, scores: Option<Var>) -> Pass {
        let layers: LayerOutputs = [None; MAX_DEPTH];
        let activities = [None; MAX_DEPTH];
        Pass { y, sigma, scores, layers, activities, z: y, scale: y, joint: None }
    }

    #[test]
    fn scores_of_mixtures_are_those_of_the_metrics() {
        let [means, sigma, scores, y] = numbers();
        compare(&means, &sigma, &scores, &y);
        // Targets that are missing: one on its limit, one above it, in one window.
        let mut y = y;
        (y[2], y[3]) = (f64::NAN, f64::NAN);
        compare(&means, &sigma, &scores, &y);
    }

    fn compare(means: &[f64], sigma: &[f64], scores: &[f64], y: &[f64]) {
        for (score, weighted) in [
            (Score::Marginal, false),
            (Score::Marginal, true),
            (Score::Tempered, false),
            (Score::Joint, true),
        ] {
            let mut tape = Tape::<f64>::new();
            let target = targets(&mut tape, y);
            let mean = tape.constant([SAMPLES, ROWS, HORIZON], means).unwrap();
            let deviation = tape.constant([HORIZON], sigma).unwrap();
            let logits = tape.constant([SAMPLES, ROWS], scores).unwrap();
            let weights = tape.softmax_axis(logits, 0).unwrap();
            let pass = pass(mean, deviation, weighted.then_some(logits));
            let found = target.mixture_nll(&mut tape, &pass, score).unwrap();
            let weights = tape.value(weights).data().to_vec();
            // Each window over its observed steps, weighted by their number.
            let (mut sum, mut total) = (0.0, 0.0);
            for row in 0..ROWS {
                let target = &y[row * HORIZON..][..HORIZON];
                let seen: Vec<usize> = (0..HORIZON).filter(|&h| !target[h].is_nan()).collect();
                let of = |values: &[f64]| -> Vec<f64> { seen.iter().map(|&h| values[h]).collect() };
                let path = |s: usize| of(&means[(s * ROWS + row) * HORIZON..][..HORIZON]);
                let own: Vec<f64> = (0..SAMPLES).flat_map(path).collect();
                let weights: Vec<f64> = (0..SAMPLES).map(|s| weights[s * ROWS + row]).collect();
                let weights = weighted.then_some(&weights[..]);
                let deviations = of(sigma);
                let window = WindowPrediction::new(&own, &deviations, weights, seen.len()).unwrap();
                let window = window.with_floor(FLOORS[row]).unwrap();
                let nll = window_nll(&window, &of(target)).unwrap().of(score);
                let steps = seen.len() as f64;
                sum += steps * nll;
                total += steps;
            }
            let expected = sum / total;
            let found = tape.scalar(found).unwrap();
            assert!((found - expected).abs() < 1e-13, "{score:?} {weighted}: {found} {expected}");
        }
    }

    #[test]
    fn means_are_those_of_the_metrics() {
        let [means, sigma, _, y] = numbers();
        let mut tape = Tape::<f64>::new();
        let limited = targets(&mut tape, &y).limited.unwrap();
        let mean = tape.constant([SAMPLES, ROWS, HORIZON], &means).unwrap();
        let deviation = tape.constant([HORIZON], &sigma).unwrap();
        let found = limited.means(&mut tape, mean, deviation).unwrap();
        for (at, found) in tape.value(found).data().iter().enumerate() {
            let (step, row) = (at % HORIZON, at / HORIZON % ROWS);
            let one = Mixture::new(&means[at..=at], &sigma[step..=step], None).unwrap();
            // Near -3 the rounding of `erf` is 1e-13 of the probability.
            assert!((found - one.with_floor(FLOORS[row]).mean()).abs() < 1e-13, "{at}");
        }
    }

    #[test]
    fn gradients_are_exact_and_residuals_are_means_of_what_lies_below() {
        let [means, sigma, _, y] = numbers();
        let inputs = [
            Tensor::from_slice([ROWS, HORIZON], &means[..ROWS * HORIZON]).unwrap(),
            Tensor::from_slice([HORIZON], &sigma).unwrap(),
        ];
        let report =
            check_gradients(&inputs, |tape, vars| targets(tape, &y).nll(tape, vars[0], vars[1]));
        let report = report.unwrap();
        assert!(report.passed(), "{report}");
        // Of a target that is missing nothing is learnt: there the forecast may be any number.
        let (mut gaps, missing) = (y.clone(), [1, 2, 7]);
        missing.iter().for_each(|&at| gaps[at] = f64::NAN);
        let report =
            check_gradients(&inputs, |tape, vars| targets(tape, &gaps).nll(tape, vars[0], vars[1]));
        let report = report.unwrap();
        assert!(report.passed(), "{report}");
        let nll = |means: &[f64]| {
            let mut tape = Tape::<f64>::new();
            let target = targets(&mut tape, &gaps);
            let mean = tape.constant([ROWS, HORIZON], means).unwrap();
            let deviation = tape.constant([HORIZON], &sigma).unwrap();
            let found = target.nll(&mut tape, mean, deviation).unwrap();
            tape.scalar(found).unwrap().to_bits()
        };
        let means = means[..ROWS * HORIZON].to_vec();
        for at in 0..ROWS * HORIZON {
            let mut moved = means.clone();
            moved[at] += 3.0;
            assert_eq!(nll(&moved) == nll(&means), missing.contains(&at), "{at}");
        }
        let mut tape = Tape::<f64>::new();
        let limited = targets(&mut tape, &y).limited.unwrap();
        let standard = tape.constant([ROWS, HORIZON], &means[..ROWS * HORIZON]).unwrap();
        let found = limited.residuals(&mut tape, standard).unwrap();
        for (at, found) in tape.value(found).data().iter().enumerate() {
            // The mean of -max(Z - a, 0) over Z > a, less a, with the signs turned.
            let a = -means[at];
            let below = Mixture::new(&[0.0], &[1.0], None).unwrap();
            let share = 1.0 - below.cdf(a);
            let expected = match at % 2 {
                0 => -(a + (below.with_floor(a).mean() - a) / share),
                _ => means[at],
            };
            assert!((found - expected).abs() < 1e-12, "{at}: {found} {expected}");
        }
    }
}
