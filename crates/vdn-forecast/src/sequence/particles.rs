//! [`Particles`]: the predictive likelihood of sequences and the distribution of their last
//! latents, by importance sampling over time with resampling.
//!
//! Each particle draws `z_t` from the model's posterior `q(z_t | z_{t-1}, h_t)` and has the weight
//! `p(x_t | z_t) p(z_t | z_{t-1}) / q(z_t | z_{t-1}, h_t)`. The weighted mean of these weights
//! estimates `p(x_t | x_1 .. x_{t-1})`. The product of the means over time is an unbiased estimate
//! of the likelihood (Del Moral 2004). So the expectation of its logarithm is a lower bound, which
//! rises to the log-likelihood as the number of particles grows (Maddison et al. 2017; Naesseth et
//! al. 2018). This holds for every posterior, so models with different posteriors and priors are
//! comparable.

use crate::sequence::SequenceForecaster;
use crate::sequence::blocks::{BLOCK, Pass};
use crate::sequence::series::Series;
use vdn_autograd::{Error, ObservationFamily, Tape};
use vdn_model::core::{Bindings, Graph, Mode, ModelError, Parameters};
use vdn_model::sequence::{Numbers, Posterior, numbers};
use vdn_tensor::Element;
use vdn_tensor::families::{Family, Normal};
use vdn_tensor::noise::NoiseKey;

/// Separates the noise of particles from the noise of training.
const PARTICLES: u64 = 0x7061_7274;
/// Separates the noise of resampling from the noise of the latents.
const RESAMPLING: u64 = 0x7265_7361;

/// The number of particles, and their noise.
#[derive(Clone, Copy, Debug)]
pub struct ParticleConfig {
    /// The number of particles of each sequence, `S`.
    pub particles: usize,
    /// The noise of the particles.
    pub noise: NoiseKey,
}

/// The result of [`SequenceForecaster::filter`].
#[derive(Clone, Debug)]
pub struct Particles {
    /// The estimates of `ln p(x_t | x_1 .. x_{t-1})` in nats, `[steps][batch]`; 0 for a missing
    /// step.
    pub log_predictive: Vec<Vec<f64>>,
    /// The last latents, the last step first, as many as the prior's order. Each is
    /// `[particles, batch, units]`, with equal weights.
    pub latents: Vec<Vec<f64>>,
    /// The last observations, the last step first, as many as the emission reads. Each is
    /// `[batch, channels]`; NaN marks a missing one.
    pub(super) observations: Vec<Vec<f64>>,
    pub(super) particles: usize,
    pub(super) batch: usize,
}

impl Particles {
    /// Returns the estimate of the log-likelihood of each sequence in nats, `[batch]`. It is a
    /// lower bound in expectation.
    #[must_use]
    pub fn log_likelihood(&self) -> Vec<f64> {
        let mut sum = vec![0.0; self.batch];
        for step in &self.log_predictive {
            for (sum, l) in sum.iter_mut().zip(step) {
                *sum += l;
            }
        }
        sum
    }
}

/// The messages of one step: means and variances, `[batch, units]` each.
struct Moments {
    mean: Vec<f64>,
    variance: Vec<f64>,
}

/// Calls `f` with the messages of each step (for a mean-field model, its posteriors), block by
/// block.
pub(super) fn for_each_message<T: Element>(
    pass: &Pass<'_, T>,
    parameters: &Parameters<T>,
    mut f: impl FnMut(usize, &[f64], &[f64]) -> Result<(), ModelError>,
) -> Result<(), ModelError> {
    let size = pass.series.batch() * pass.model.config.units;
    let (mut tape, mut bindings) = (Tape::new(), Bindings::new());
    tape.set_recording_gradients(false);
    let mut moments = Moments { mean: Vec::new(), variance: Vec::new() };
    for block in 0..pass.blocks() {
        tape.reset();
        let key = NoiseKey::new(0, 0, 0);
        let mut graph = Graph::new(&mut tape, parameters, &mut bindings, Mode::Evaluate, key);
        let message = pass.messages(&mut graph, pass.range(block))?;
        moments.mean.clear();
        moments.variance.clear();
        moments.mean.extend(tape.value(message.mean).data().iter().map(|m| m.to_f64()));
        moments.variance.extend(tape.value(message.logvar).data().iter().map(|v| v.to_f64().exp()));
        let steps = moments.mean.chunks_exact(size).zip(moments.variance.chunks_exact(size));
        for (i, (mean, variance)) in steps.enumerate() {
            f(block * BLOCK + i, mean, variance)?;
        }
    }
    Ok(())
}

/// `ln Normal(x; 0, variance)` without the constant.
fn log_normal(x: f64, variance: f64) -> f64 {
    -0.5 * (variance.ln() + x * x / variance)
}

/// Returns the log-density of one observation.
pub(super) fn log_density(family: ObservationFamily, parameters: [f64; 2], y: f64) -> f64 {
    match family {
        ObservationFamily::StudentT(t) => t.log_density(parameters, y),
        _ => Normal.log_density(parameters, y),
    }
}

impl SequenceForecaster {
    /// Runs a particle filter over the sequences. It returns their predictive likelihoods and their
    /// latents at the end.
    ///
    /// Particles are resampled (systematically; Kitagawa 1996) if their effective number falls
    /// below half. Memory does not depend on the number of steps.
    ///
    /// # Errors
    /// Fails for a series of another model, for zero particles, and for missing steps with a
    /// posterior other than the structured one.
    pub fn filter<T: Element>(
        &self,
        parameters: &Parameters<T>,
        series: Series<'_, T>,
        how: ParticleConfig,
    ) -> Result<Particles, ModelError> {
        let pass = self.pass(series, how.particles)?;
        let missing = series.count_seen() < series.batch() * series.steps();
        if missing && self.config.posterior != Posterior::Structured {
            let reason = "missing steps need the structured posterior";
            return Err(Error::invalid("sequence_forecaster", reason).into());
        }
        let how = ParticleConfig { noise: how.noise.fold_in(PARTICLES), ..how };
        let mut cloud = Cloud::new(self, parameters, series, how)?;
        let mut log_predictive = Vec::with_capacity(series.steps());
        for_each_message(&pass, parameters, |t, mean, variance| {
            log_predictive.push(cloud.step(t, mean, variance)?);
            Ok(())
        })?;
        (0..series.batch()).for_each(|b| cloud.resample(series.steps(), b));
        let mut observations = Vec::new();
        for lag in 0..self.config.emission_lags {
            let mut row = vec![f64::NAN; series.batch() * self.config.channels];
            if let Some(t) = series.steps().checked_sub(lag + 1) {
                for (b, row) in row.chunks_exact_mut(self.config.channels).enumerate() {
                    for (to, x) in row.iter_mut().zip(series.observed(b, t)) {
                        *to = x.to_f64();
                    }
                }
            }
            observations.push(row);
        }
        Ok(Particles {
            log_predictive,
            latents: cloud.history,
            observations,
            particles: how.particles,
            batch: series.batch(),
        })
    }
}

/// The particles of all sequences at one step.
struct Cloud<'a, T: Element> {
    model: &'a SequenceForecaster,
    parameters: &'a Parameters<T>,
    series: Series<'a, T>,
    how: ParticleConfig,
    prior: Vec<Numbers<f64>>,
    log_scale: Vec<f64>,
    /// The last latents, the last one first, `[particles, batch, units]`.
    history: Vec<Vec<f64>>,
    /// The logarithms of the weights, `[batch, particles]`. The weights of a sequence sum to 1.
    log_weights: Vec<f64>,
    tape: Tape<T>,
    bindings: Bindings,
}

impl<'a, T: Element> Cloud<'a, T> {
    fn new(
        model: &'a SequenceForecaster,
        parameters: &'a Parameters<T>,
        series: Series<'a, T>,
        how: ParticleConfig,
    ) -> Result<Self, Error> {
        let double = parameters.cast::<f64>();
        let (prior, units) = (model.layer.prior(), model.config.units);
        let known = (0..=prior.order()).map(|known| numbers(&double, prior, known, units));
        let even = -(how.particles as f64).ln();
        let mut tape = Tape::new();
        tape.set_recording_gradients(false);
        Ok(Self {
            model,
            parameters,
            series,
            how,
            prior: known.collect::<Result<_, _>>()?,
            log_scale: double.get(model.emission.log_scale()).tensor().data().to_vec(),
            history: Vec::new(),
            log_weights: vec![even; how.particles * series.batch()],
            tape,
            bindings: Bindings::new(),
        })
    }

    /// Advances to step `t` and returns `ln p(x_t | before)` for each sequence.
    fn step(&mut self, t: usize, mean: &[f64], variance: &[f64]) -> Result<Vec<f64>, ModelError> {
        let (batch, particles) = (self.series.batch(), self.how.particles);
        let units = self.model.config.units;
        let structured = self.model.config.posterior == Posterior::Structured;
        let mut z = vec![0.0; particles * batch * units];
        self.how.noise.fold_in(t as u64).fill_normal(0, &mut z);
        let mut log_ratio = vec![0.0; particles * batch];
        let Numbers { mean: offset, coefficients, deviation } = &self.prior[self.history.len()];
        for (row, z) in z.chunks_exact_mut(units).enumerate() {
            let b = row % batch;
            for (i, z) in z.iter_mut().enumerate() {
                let mut c = offset[i];
                for (coefficients, before) in coefficients.iter().zip(&self.history) {
                    c += coefficients[i] * before[row * units + i];
                }
                let s2 = deviation[i] * deviation[i];
                let (m, r) = (mean[b * units + i], variance[b * units + i]);
                if !structured {
                    *z = m + r.sqrt() * *z;
                    log_ratio[row] += log_normal(*z - c, s2) - log_normal(*z - m, r);
                } else if r == f64::INFINITY {
                    *z = c + deviation[i] * *z;
                } else {
                    // q is p times the message, divided by the message's mean under p, which is
                    // Normal(m; c, s^2 + r).
                    let gain = s2 / (s2 + r);
                    *z = c + gain * (m - c) + (gain * r).sqrt() * *z;
                    log_ratio[row] += log_normal(m - c, s2 + r) - log_normal(*z - m, r);
                }
            }
        }
        self.weigh(t, &z, &mut log_ratio)?;
        let order = self.model.layer.prior().order();
        self.history.insert(0, z);
        self.history.truncate(order.max(1));
        if order == 0 {
            self.history.clear();
        }
        let mut log_predictive = Vec::with_capacity(batch);
        for b in 0..batch {
            let weights = &mut self.log_weights[b * particles..][..particles];
            for (s, weight) in weights.iter_mut().enumerate() {
                *weight += log_ratio[s * batch + b];
            }
            let largest = weights.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let sum: f64 = weights.iter().map(|w| (w - largest).exp()).sum();
            let total = largest + sum.ln();
            if !total.is_finite() {
                let reason = format!("filter: no particle of sequence {b} explains step {t}");
                return Err(ModelError::NonFinite(reason));
            }
            // A missing step changes no weight. Its logarithm is exactly 0, without rounding
            // errors.
            log_predictive.push(if self.series.seen(b, t) { total } else { 0.0 });
            weights.iter_mut().for_each(|w| *w -= total);
            let effective = 1.0 / weights.iter().map(|w| (2.0 * w).exp()).sum::<f64>();
            if effective < 0.5 * particles as f64 {
                self.resample(t, b);
            }
        }
        Ok(log_predictive)
    }

    /// Adds `ln p(x_t | z)` to the logarithms of the weights, `[particles, batch]`.
    fn weigh(&mut self, t: usize, z: &[f64], log_ratio: &mut [f64]) -> Result<(), Error> {
        let (batch, particles) = (self.series.batch(), self.how.particles);
        let config = &self.model.config;
        self.tape.reset();
        let key = NoiseKey::new(0, 0, 0);
        let mut graph =
            Graph::new(&mut self.tape, self.parameters, &mut self.bindings, Mode::Evaluate, key);
        let latents = graph.tape.constant_with([particles, batch, config.units], |to| {
            to.iter_mut().zip(z).for_each(|(to, &z)| *to = T::from_f64(z));
        })?;
        let (width, lags, series) = (config.emission_features(), config.emission_lags, self.series);
        let features = match width {
            0 => None,
            _ => Some(graph.tape.constant_with([batch, width], |to| {
                for (b, to) in to.chunks_exact_mut(width).enumerate() {
                    series.features(b, t, 1, lags, to);
                }
            })?),
        };
        let locations = self.model.emission.locations(&mut graph, latents, features)?;
        let locations = self.tape.value(locations).data().chunks_exact(config.channels);
        for (row, (locations, l)) in locations.zip(log_ratio).enumerate() {
            let b = row % batch;
            if !series.seen(b, t) {
                continue;
            }
            for ((location, y), &log_scale) in
                locations.iter().zip(series.observed(b, t)).zip(&self.log_scale)
            {
                let parameters = [location.to_f64(), log_scale];
                *l += log_density(self.model.emission.family, parameters, y.to_f64());
            }
        }
        Ok(())
    }

    /// Replaces the particles of sequence `b` by draws with equal weights.
    fn resample(&mut self, t: usize, b: usize) {
        let (batch, particles) = (self.series.batch(), self.how.particles);
        let units = self.model.config.units;
        let mut start = [0.0_f64];
        let key = self.how.noise.fold_in(RESAMPLING).fold_in(t as u64).fold_in(b as u64);
        key.fill_uniform(0, &mut start);
        let weights = &mut self.log_weights[b * particles..][..particles];
        let (mut parents, mut sum, mut parent) = (Vec::with_capacity(particles), 0.0, 0);
        let mut reach = weights[0].exp();
        for s in 0..particles {
            let at = (s as f64 + 1.0 - start[0]) / particles as f64;
            while at > sum + reach && parent + 1 < particles {
                sum += reach;
                parent += 1;
                reach = weights[parent].exp();
            }
            parents.push(parent);
        }
        weights.fill(-(particles as f64).ln());
        let place = |s: usize| (s * batch + b) * units;
        for latents in &mut self.history {
            let old = latents.clone();
            for (s, &parent) in parents.iter().enumerate() {
                latents[place(s)..][..units].copy_from_slice(&old[place(parent)..][..units]);
            }
        }
    }
}
