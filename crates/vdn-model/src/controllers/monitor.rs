//! [`Monitor`]: the running means that controllers share.
//!
//! A running mean starts at the first value, then follows `(1 - a) mean + a new` \[ref\]. `a` is
//! [`MonitorConfig::rate`] for the measures of units and 0.1 for the terms of the loss.

use crate::controllers::observation::{LossValues, Observation};
use crate::core::error::ModelError;
use crate::core::state::ControlState;

/// The rate of the running means of the loss's terms.
const LOSS_RATE: f64 = 0.1;

/// The rate of the running means, and the thresholds above which units are alive.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MonitorConfig {
    /// The rate of the units' running means, in (0, 1]. Default: 0.05.
    pub rate: f64,
    /// The energy above which a unit is alive in a step. Default: 1e-4.
    pub alive_energy: f64,
    /// The KL in nats above which a unit is alive in a step. Default: 1e-4.
    pub alive_kl: f64,
}

impl Default for MonitorConfig {
    fn default() -> Self {
        Self { rate: 0.05, alive_energy: 1e-4, alive_kl: 1e-4 }
    }
}

/// Running means over training steps.
#[derive(Clone, Debug)]
pub struct Monitor {
    config: MonitorConfig,
    started: bool,
    energy: Vec<f64>,
    kl: Vec<f64>,
    alive: Vec<f64>,
    losses: LossValues,
}

#[inline]
fn follow(mean: &mut f64, new: f64, rate: f64) {
    *mean = (1.0 - rate) * *mean + rate * new;
}

impl Monitor {
    /// Creates a monitor for this many units, before the first step. A unit is alive in a step if
    /// both its energy and its KL are above their thresholds.
    #[must_use]
    pub fn new(units: usize, config: MonitorConfig) -> Self {
        let zero = || vec![0.0; units];
        let losses = LossValues::default();
        let (energy, kl, alive) = (zero(), zero(), zero());
        Self { config, started: false, energy, kl, alive, losses }
    }

    /// Adds a step.
    pub fn observe(&mut self, seen: &Observation) {
        let (rate, loss_rate) =
            if self.started { (self.config.rate, LOSS_RATE) } else { (1.0, 1.0) };
        self.started = true;
        for i in 0..self.energy.len() {
            let (energy, kl) = (seen.energy[i], seen.kl[i]);
            let alive = energy > self.config.alive_energy && kl > self.config.alive_kl;
            follow(&mut self.energy[i], energy, rate);
            follow(&mut self.kl[i], kl, rate);
            follow(&mut self.alive[i], f64::from(u8::from(alive)), rate);
        }
        let (mean, new) = (&mut self.losses, &seen.losses);
        for (mean, new) in [
            (&mut mean.nll, new.nll),
            (&mut mean.mse, new.mse),
            (&mut mean.weighted_kl, new.weighted_kl),
            (&mut mean.weighted_band, new.weighted_band),
            (&mut mean.ar, new.ar),
        ] {
            follow(mean, new, loss_rate);
        }
    }

    /// Rescales the running means after factors on the units' mean heads: energies by the squared
    /// factors, the KL by the change of the energy.
    pub(super) fn rescale(&mut self, gain: &[f64]) {
        for i in 0..gain.len() {
            let factor = gain[i] * gain[i];
            self.kl[i] += 0.5 * (factor - 1.0) * self.energy[i];
            self.energy[i] *= factor;
        }
    }

    /// Returns whether a step has been observed.
    #[must_use]
    pub fn started(&self) -> bool {
        self.started
    }

    /// Returns the running mean of the energy, `[units]`.
    #[must_use]
    pub fn energy(&self) -> &[f64] {
        &self.energy
    }

    /// Returns the running mean of the KL in nats, `[units]`.
    #[must_use]
    pub fn kl(&self) -> &[f64] {
        &self.kl
    }

    /// Returns the running share of steps in which a unit was alive, `[units]`.
    #[must_use]
    pub fn alive(&self) -> &[f64] {
        &self.alive
    }

    /// Returns the running means of the loss's terms.
    #[must_use]
    pub fn losses(&self) -> &LossValues {
        &self.losses
    }

    pub(super) fn save(&self, state: &mut ControlState) {
        state.put("monitor.started", &[f64::from(u8::from(self.started))]);
        state.put("monitor.energy", &self.energy);
        state.put("monitor.kl", &self.kl);
        state.put("monitor.alive", &self.alive);
        let l = &self.losses;
        state.put("monitor.losses", &[l.nll, l.mse, l.weighted_kl, l.weighted_band, l.ar]);
    }

    pub(super) fn restore(&mut self, state: &ControlState) -> Result<(), ModelError> {
        self.started = state.number("monitor.started")? != 0.0;
        state.fill("monitor.energy", &mut self.energy)?;
        state.fill("monitor.kl", &mut self.kl)?;
        state.fill("monitor.alive", &mut self.alive)?;
        let mut l = [0.0; 5];
        state.fill("monitor.losses", &mut l)?;
        let [nll, mse, weighted_kl, weighted_band, ar] = l;
        self.losses = LossValues { nll, mse, weighted_kl, weighted_band, ar };
        Ok(())
    }
}
