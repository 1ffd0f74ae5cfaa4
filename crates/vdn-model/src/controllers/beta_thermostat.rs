//! A thermostat for the KL weight of each unit, in log space \[ref\].
//!
//! ```text
//! err      = KL - C_min below C_min, KL - C_max above C_max, 0 inside      (running means; nats)
//! err     -= |err| + emergency                                             when alive < alive_min
//! ln beta += gain err;  beta clamped to [min, max], then to [ratio_min, ratio_max] times the mean beta
//! ```
//!
//! `alive` is the running mean of the share of rows whose KL is above a threshold. By default the
//! thermostat acts on the mean over the control period. The reference uses only the last batch of
//! each period.

use crate::controllers::observation::Observation;
use crate::controllers::{Controller, Lever, Levers, Moment, Needs};
use crate::core::error::ModelError;
use crate::core::error::check;
use crate::core::state::ControlState;
use crate::objective::LIVING;

/// The steps that a thermostat takes into account when it acts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sees {
    /// The mean over the steps since the last act.
    #[default]
    Period,
    /// The last step alone, as in the reference.
    LastBatch,
}

/// The settings of a [`BetaThermostat`].
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default))]
pub struct ThermostatConfig {
    /// The initial beta of every unit, finite and at least 0; 1e-3.
    pub initial: f64,
    /// The smallest beta, above 0; 1e-6.
    pub min: f64,
    /// The largest beta, at least `min`; 1e-2.
    pub max: f64,
    /// The smallest beta as a share of the mean over the units, in [0, 1]; 0.25.
    pub ratio_min: f64,
    /// The largest beta as a share of the mean over the units, finite and at least 1; 4.
    pub ratio_max: f64,
    /// `C_min`, nats per unit, at least 0; 0.05.
    pub low: f64,
    /// `C_max`, nats per unit, finite and at least `low`; 0.30.
    pub high: f64,
    /// The rate of the running means, in (0, 1]; 0.1.
    pub smoothing: f64,
    /// The change of `ln beta` per nat of error, finite and at least 0; 0.2.
    pub gain: f64,
    /// The alive share below which a unit is in an emergency, in [0, 1]; 0.05.
    pub alive_min: f64,
    /// The amount that an emergency subtracts from the error, in nats, finite and at least 0; 0.5.
    pub emergency: f64,
    /// The steps that it takes into account; the mean over the period. Not a setting of a file.
    #[cfg_attr(feature = "serde", serde(skip))]
    pub sees: Sees,
}

impl Default for ThermostatConfig {
    fn default() -> Self {
        Self {
            initial: 1e-3,
            min: 1e-6,
            max: 1e-2,
            ratio_min: 0.25,
            ratio_max: 4.0,
            low: LIVING[0],
            high: LIVING[1],
            smoothing: 0.1,
            gain: 0.2,
            alive_min: 0.05,
            emergency: 0.5,
            sees: Sees::Period,
        }
    }
}

/// Sets one beta per unit.
#[derive(Clone, Debug)]
pub struct BetaThermostat {
    config: ThermostatConfig,
    beta: Vec<f64>,
    log_beta: Vec<f64>,
    started: bool,
    kl: Vec<f64>,
    alive: Vec<f64>,
    steps: f64,
    seen_kl: Vec<f64>,
    seen_alive: Vec<f64>,
}

impl BetaThermostat {
    /// Creates the controller for a layer with this many units.
    ///
    /// # Errors
    /// Fails if a value is outside its domain.
    pub fn new(units: usize, config: ThermostatConfig) -> Result<Self, ModelError> {
        let c = &config;
        check("min", c.min, c.min > 0.0 && c.min.is_finite(), "above 0")?;
        check("max", c.max, c.max >= c.min && c.max.is_finite(), "at least min")?;
        check("initial", c.initial, c.initial >= 0.0 && c.initial.is_finite(), "at least 0")?;
        check("ratio_min", c.ratio_min, (0.0..=1.0).contains(&c.ratio_min), "in [0, 1]")?;
        check(
            "ratio_max",
            c.ratio_max,
            c.ratio_max >= 1.0 && c.ratio_max.is_finite(),
            "at least 1",
        )?;
        check("low", c.low, c.low >= 0.0 && c.low.is_finite(), "at least 0")?;
        check("high", c.high, c.high >= c.low && c.high.is_finite(), "at least low")?;
        check("smoothing", c.smoothing, c.smoothing > 0.0 && c.smoothing <= 1.0, "in (0, 1]")?;
        check("gain", c.gain, c.gain >= 0.0 && c.gain.is_finite(), "at least 0")?;
        let alive = c.alive_min;
        check("alive_min", alive, (0.0..=1.0).contains(&alive), "in [0, 1]")?;
        let emergency = c.emergency;
        check("emergency", emergency, emergency >= 0.0 && emergency.is_finite(), "at least 0")?;
        let log_beta = c.initial.max(c.min).min(c.max).ln();
        let zero = || vec![0.0; units];
        Ok(Self {
            config,
            beta: vec![log_beta.exp().max(c.min).min(c.max); units],
            log_beta: vec![log_beta; units],
            started: false,
            kl: zero(),
            alive: zero(),
            steps: 0.0,
            seen_kl: zero(),
            seen_alive: zero(),
        })
    }

    /// Returns the KL weights, `[units]`.
    #[must_use]
    pub fn beta(&self) -> &[f64] {
        &self.beta
    }

    /// Returns the running mean of the KL at the updates, `[units]`.
    #[must_use]
    pub fn kl(&self) -> &[f64] {
        &self.kl
    }

    /// Returns the running mean of the alive share at the updates, `[units]`.
    #[must_use]
    pub fn alive(&self) -> &[f64] {
        &self.alive
    }

    /// Makes one update from the observations collected so far.
    fn update(&mut self) {
        let c = self.config;
        let a = if self.started { c.smoothing } else { 1.0 };
        self.started = true;
        let mut sum = 0.0;
        for i in 0..self.beta.len() {
            self.kl[i] = (1.0 - a) * self.kl[i] + a * self.seen_kl[i];
            self.alive[i] = (1.0 - a) * self.alive[i] + a * self.seen_alive[i];
            let kl = self.kl[i];
            let mut error = (kl - c.low).min(0.0) + (kl - c.high).max(0.0);
            if self.alive[i] < c.alive_min {
                error -= error.abs() + c.emergency;
            }
            let beta = (self.log_beta[i] + c.gain * error).exp().max(c.min).min(c.max);
            self.beta[i] = beta;
            sum += beta;
        }
        let mean = sum / self.beta.len() as f64;
        let (low, high) = (c.min.max(mean * c.ratio_min), c.max.min(mean * c.ratio_max));
        for (beta, log_beta) in self.beta.iter_mut().zip(&mut self.log_beta) {
            *beta = beta.max(low).min(high);
            *log_beta = beta.ln();
        }
    }
}

impl Controller for BetaThermostat {
    fn name(&self) -> &'static str {
        "beta_thermostat"
    }

    fn owns(&self) -> &'static [Lever] {
        &[Lever::Beta]
    }

    fn needs(&self) -> Needs {
        Needs { kl_rows: true }
    }

    fn begin(&mut self, _step: u64, levers: &mut Levers) {
        levers.objective.beta.copy_from_slice(&self.beta);
    }

    fn observe(&mut self, seen: &Observation) {
        self.steps = match self.config.sees {
            Sees::Period => self.steps + 1.0,
            Sees::LastBatch => 1.0,
        };
        let share = 1.0 / self.steps;
        for i in 0..self.beta.len() {
            self.seen_kl[i] += share * (seen.kl[i] - self.seen_kl[i]);
            self.seen_alive[i] += share * (seen.alive[i] - self.seen_alive[i]);
        }
        if self.config.sees == Sees::LastBatch {
            self.seen_kl.copy_from_slice(&seen.kl);
            self.seen_alive.copy_from_slice(&seen.alive);
        }
    }

    fn act(&mut self, _now: &Moment<'_>, levers: &mut Levers) {
        if self.steps == 0.0 {
            return;
        }
        self.update();
        self.steps = 0.0;
        levers.objective.beta.copy_from_slice(&self.beta);
    }

    fn rescaled(&mut self, gain: &[f64], energy: &[f64]) {
        for i in 0..gain.len() {
            self.kl[i] += 0.5 * (gain[i] * gain[i] - 1.0) * energy[i];
        }
    }

    fn report(&self, to: &mut dyn FnMut(&'static str, f64)) {
        to("beta_mean", self.beta.iter().sum::<f64>() / self.beta.len() as f64);
    }

    fn save(&self, state: &mut ControlState) {
        state.put("beta_thermostat.beta", &self.beta);
        state.put("beta_thermostat.started", &[f64::from(u8::from(self.started)), self.steps]);
        state.put("beta_thermostat.kl", &self.kl);
        state.put("beta_thermostat.alive", &self.alive);
        state.put("beta_thermostat.seen_kl", &self.seen_kl);
        state.put("beta_thermostat.seen_alive", &self.seen_alive);
    }

    fn restore(&mut self, state: &ControlState) -> Result<(), ModelError> {
        state.fill("beta_thermostat.beta", &mut self.beta)?;
        let mut counts = [0.0; 2];
        state.fill("beta_thermostat.started", &mut counts)?;
        (self.started, self.steps) = (counts[0] != 0.0, counts[1]);
        for (beta, log_beta) in self.beta.iter().zip(&mut self.log_beta) {
            *log_beta = beta.ln();
        }
        state.fill("beta_thermostat.kl", &mut self.kl)?;
        state.fill("beta_thermostat.alive", &mut self.alive)?;
        state.fill("beta_thermostat.seen_kl", &mut self.seen_kl)?;
        state.fill("beta_thermostat.seen_alive", &mut self.seen_alive)
    }
}
