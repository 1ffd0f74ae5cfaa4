//! [`SequenceForecast`]: free generation beyond the end of sequences, as a mixture of densities.

use crate::sequence::SequenceForecaster;
use crate::sequence::particles::{Particles, log_density};
use crate::sequence::series::finite_covariates;
use crate::sequence::student_t;
use vdn_autograd::{Error, ObservationFamily, Tape};
use vdn_model::core::{Bindings, Graph, Mode, ModelError, Parameters};
use vdn_model::sequence::{Rollout, rollout};
use vdn_tensor::Element;
use vdn_tensor::families::{Family, Normal};
use vdn_tensor::math::double::erf;
use vdn_tensor::noise::NoiseKey;

/// Separates the noise of the future from the noise of the particles.
const FUTURE: u64 = 0x6675_7475;
/// Separates the noise of observations from the noise of latents.
const OBSERVATIONS: u64 = 0x6f62_7365;

/// Predictive distributions, one for each sequence, step ahead and channel. Each is the uniform
/// mixture, over trajectories, of the emission's density.
#[derive(Clone, Debug)]
pub struct SequenceForecast {
    /// The locations, `[horizon, batch, channels, trajectories]`.
    locations: Vec<f64>,
    shape: [usize; 4],
    scale: Vec<f64>,
    family: ObservationFamily,
}

impl SequenceForecast {
    /// Returns the number of steps ahead.
    #[must_use]
    pub fn horizon(&self) -> usize {
        self.shape[0]
    }

    /// Returns the locations of the mixture of sequence `b`, step `h` ahead (from 0) and channel
    /// `d`, one for each trajectory.
    ///
    /// # Panics
    /// Panics if an index is out of range.
    #[must_use]
    pub fn locations(&self, b: usize, h: usize, d: usize) -> &[f64] {
        let [horizon, batch, channels, trajectories] = self.shape;
        assert!(
            h < horizon && b < batch && d < channels,
            "forecast: [{b}, {h}, {d}] of [{batch} sequences, {horizon} steps, {channels} channels]"
        );
        &self.locations[((h * batch + b) * channels + d) * trajectories..][..trajectories]
    }

    /// Returns the scale of a channel, which all components share.
    #[must_use]
    pub fn scale(&self, d: usize) -> f64 {
        self.scale[d]
    }

    /// Returns the mean of the locations. It is the mean of the distribution if that exists (for
    /// Student's t, above one degree of freedom).
    #[must_use]
    pub fn mean(&self, b: usize, h: usize, d: usize) -> f64 {
        let locations = self.locations(b, h, d);
        locations.iter().sum::<f64>() / locations.len() as f64
    }

    /// Returns `P(Y <= y)`.
    #[must_use]
    pub fn cdf(&self, b: usize, h: usize, d: usize, y: f64) -> f64 {
        let (locations, scale) = (self.locations(b, h, d), self.scale[d]);
        let one = |location: &f64| {
            let x = (y - location) / scale;
            match self.family {
                ObservationFamily::StudentT(t) => student_t::cdf(t.degrees_of_freedom(), x),
                _ => 0.5 * (1.0 + erf(x * std::f64::consts::FRAC_1_SQRT_2)),
            }
        };
        locations.iter().map(one).sum::<f64>() / locations.len() as f64
    }

    /// Returns `ln p(y)` of the mixture in nats.
    #[must_use]
    pub fn log_density(&self, b: usize, h: usize, d: usize, y: f64) -> f64 {
        let (locations, log_scale) = (self.locations(b, h, d), self.scale[d].ln());
        let all: Vec<f64> =
            locations.iter().map(|&l| log_density(self.family, [l, log_scale], y)).collect();
        let largest = all.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = all.iter().map(|l| (l - largest).exp()).sum();
        largest + (sum / all.len() as f64).ln()
    }

    /// Returns the quantile `tau` of the mixture. It inverts the distribution function by
    /// bisection, to about 1e-12 of the width of the mixture.
    ///
    /// # Errors
    /// Fails if `tau` is not between 0 and 1.
    pub fn quantile(&self, b: usize, h: usize, d: usize, tau: f64) -> Result<f64, ModelError> {
        if !(tau > 0.0 && tau < 1.0) {
            let reason = format!("quantile {tau}, has to be between 0 and 1");
            return Err(Error::invalid("sequence_forecast", reason).into());
        }
        let (locations, scale) = (self.locations(b, h, d), self.scale[d]);
        let (mut low, mut high) = locations
            .iter()
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), &m| (a.min(m), b.max(m)));
        // Moves the bounds out at doubling distances, until the tails have less than tau and 1 -
        // tau.
        let mut reach = scale;
        while self.cdf(b, h, d, low) > tau && reach.is_finite() {
            low -= reach;
            reach *= 2.0;
        }
        reach = scale;
        while self.cdf(b, h, d, high) < tau && reach.is_finite() {
            high += reach;
            reach *= 2.0;
        }
        let width = 1e-12 * (high - low);
        while high - low > width {
            let middle = 0.5 * (low + high);
            if middle <= low || middle >= high {
                break;
            }
            if self.cdf(b, h, d, middle) < tau { low = middle } else { high = middle }
        }
        Ok(0.5 * (low + high))
    }

    /// Returns the central interval of this level, from quantile `(1 - level)/2` to
    /// `(1 + level)/2`.
    ///
    /// # Errors
    /// Fails if the level is not between 0 and 1.
    pub fn interval(
        &self,
        b: usize,
        h: usize,
        d: usize,
        level: f64,
    ) -> Result<[f64; 2], ModelError> {
        let tail = 0.5 * (1.0 - level);
        Ok([self.quantile(b, h, d, tail)?, self.quantile(b, h, d, 1.0 - tail)?])
    }
}

/// Draws one observation.
fn draw(family: ObservationFamily, parameters: [f64; 2], noise: [f64; 2]) -> f64 {
    match family {
        ObservationFamily::StudentT(t) => t.sample(parameters, noise),
        _ => Normal.sample(parameters, noise),
    }
}

impl SequenceForecaster {
    /// Generates `horizon` steps beyond the end of every sequence from each of its particles
    /// ([`rollout`]), with the future covariates `covariates [batch, horizon, covariates]`. If the
    /// emission reads earlier observations, each trajectory uses its own draws.
    ///
    /// # Errors
    /// Fails for particles of another model, for covariates of the wrong shape, and for zero steps.
    pub fn forecast<T: Element>(
        &self,
        parameters: &Parameters<T>,
        particles: &Particles,
        covariates: &[T],
        horizon: usize,
        noise: NoiseKey,
    ) -> Result<SequenceForecast, ModelError> {
        let (count, batch) = (particles.particles, particles.batch);
        let config = &self.config;
        let (channels, units, width) = (config.channels, config.units, config.covariates);
        let size = count * batch * units;
        let order = self.layer.prior().order();
        let fits = particles.latents.len() <= order
            && particles.latents.iter().all(|z| z.len() == size)
            && particles.observations.len() == config.emission_lags
            && particles.observations.iter().all(|x| x.len() == batch * channels);
        if !fits || horizon == 0 || covariates.len() != batch * horizon * width {
            return Err(ModelError::Batch(format!(
                "forecast: {horizon} steps, {} covariates, particles [{count}, {batch}, units] of {} lags: needs \
                 [{batch}, steps, {width}] covariates and particles of this model ({units} units, order {order})",
                covariates.len(),
                particles.latents.len()
            )));
        }
        finite_covariates(covariates, [batch, horizon, width])?;
        let noise = noise.fold_in(FUTURE);
        let log_scale: Vec<f64> = parameters
            .get(self.emission.log_scale())
            .tensor()
            .data()
            .iter()
            .map(|l| l.to_f64())
            .collect();
        // The observations of each trajectory, the last one first,
        // `[trajectories, batch, channels]`.
        let mut seen: Vec<Vec<f64>> =
            particles.observations.iter().map(|x| x.repeat(count)).collect();
        let (mut tape, mut bindings) = (Tape::<T>::new(), Bindings::new());
        tape.set_recording_gradients(false);
        let mut out = SequenceForecast {
            locations: vec![0.0; horizon * batch * channels * count],
            shape: [horizon, batch, channels, count],
            scale: log_scale.iter().map(|l| l.exp()).collect(),
            family: self.emission.family,
        };
        let emission_width = config.emission_features();
        let mut emit = |h: usize, z: &[f64]| -> Result<(), Error> {
            tape.reset();
            let mut graph = Graph::new(&mut tape, parameters, &mut bindings, Mode::Evaluate, noise);
            let z = graph.tape.constant_with([count, batch, units], |to| {
                to.iter_mut().zip(z).for_each(|(to, &z)| *to = T::from_f64(z));
            })?;
            let features = match emission_width {
                0 => None,
                _ => Some(graph.tape.constant_with([count, batch, emission_width], |to| {
                    for (row, to) in to.chunks_exact_mut(emission_width).enumerate() {
                        let (past, calendar) = to.split_at_mut(emission_width - width);
                        for (to, x) in past.chunks_exact_mut(channels + 1).zip(&seen) {
                            let x = &x[row * channels..][..channels];
                            let known = !x[0].is_nan();
                            for (to, &x) in to.iter_mut().zip(x) {
                                *to = if known { T::from_f64(x) } else { T::ZERO };
                            }
                            to[channels] = if known { T::ONE } else { T::ZERO };
                        }
                        let at = ((row % batch) * horizon + h) * width;
                        calendar.copy_from_slice(&covariates[at..at + width]);
                    }
                })?),
            };
            let locations = self.emission.locations(&mut graph, z, features)?;
            let locations = tape.value(locations).data();
            for (i, location) in locations.iter().enumerate() {
                let (d, row) = (i % channels, i / channels);
                let (s, b) = (row / batch, row % batch);
                let to = ((h * batch + b) * channels + d) * count + s;
                out.locations[to] = location.to_f64();
            }
            if let Some(oldest) = seen.pop() {
                let mut next = oldest;
                let mut normals = vec![0.0_f64; 2 * next.len()];
                noise.fold_in(OBSERVATIONS).fold_in(h as u64).fill_normal(0, &mut normals);
                for (i, (next, location)) in next.iter_mut().zip(locations).enumerate() {
                    let parameters = [location.to_f64(), log_scale[i % channels]];
                    let pair = [normals[2 * i], normals[2 * i + 1]];
                    *next = draw(self.emission.family, parameters, pair);
                }
                seen.insert(0, next);
            }
            Ok(())
        };
        let double = parameters.cast::<f64>();
        let start: Vec<&[f64]> = particles.latents.iter().map(Vec::as_slice).collect();
        let how = Rollout { trajectories: count * batch, units, steps: horizon as u64, noise };
        let mut failed = None;
        rollout(&double, self.layer.prior(), &start, how, |h, z| {
            if failed.is_none() {
                failed = emit(h as usize, z).err();
            }
        })?;
        match failed {
            Some(error) => Err(error.into()),
            None => Ok(out),
        }
    }
}
