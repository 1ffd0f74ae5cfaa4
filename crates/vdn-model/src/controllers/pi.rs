//! PI control of the KL of each unit (ControlVAE, Shao et al. 2020).
//!
//! ```text
//! e = target - KL     beta = clamp(P / (1 + exp(e / width)) - I sum e + min, min, max)
//! ```
//!
//! In the paper, `e` is the error of the KL of a whole model: many nats. Here it is the error of
//! one unit, so it is first divided by a width. The sum does not change while beta is at a limit
//! and the error would push it further (anti-windup).

use crate::controllers::{Controller, Lever, Levers, Moment};
use crate::core::error::ModelError;
use crate::core::error::check;
use crate::core::state::ControlState;

/// The settings of a [`Pi`].
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default))]
pub struct PiConfig {
    /// The target KL of each unit in nats, finite and at least 0; 0.2.
    pub target: f64,
    /// `P`, the largest proportional part of beta, finite and at least 0; 1e-3.
    pub proportional: f64,
    /// `I`, the integral part of beta per nat and act, finite and at least 0; 1e-4.
    pub integral: f64,
    /// The error that counts as large, nats, finite and above 0; 0.1.
    pub width: f64,
    /// The smallest beta, finite and at least 0; 0.
    pub min: f64,
    /// The largest beta, finite and at least `min`; 1e-2.
    pub max: f64,
}

impl Default for PiConfig {
    fn default() -> Self {
        let (proportional, integral) = (1e-3, 1e-4);
        Self { target: 0.2, proportional, integral, width: 0.1, min: 0.0, max: 1e-2 }
    }
}

/// Sets one beta per unit, from its KL.
#[derive(Clone, Debug)]
pub struct Pi {
    config: PiConfig,
    sum: Vec<f64>,
    beta: Vec<f64>,
}

impl Pi {
    /// Creates the controller for this many units; each starts with the beta `initial`, as far as
    /// the limits allow.
    ///
    /// # Errors
    /// Fails if a value is outside its domain.
    pub fn new(units: usize, initial: f64, config: PiConfig) -> Result<Self, ModelError> {
        let c = &config;
        check("target", c.target, c.target >= 0.0 && c.target.is_finite(), "at least 0")?;
        check("width", c.width, c.width > 0.0 && c.width.is_finite(), "above 0")?;
        for (name, gain) in [("proportional", c.proportional), ("integral", c.integral)] {
            check(name, gain, gain >= 0.0 && gain.is_finite(), "at least 0")?;
        }
        check("min", c.min, c.min >= 0.0 && c.min.is_finite(), "at least 0")?;
        check("max", c.max, c.max >= c.min && c.max.is_finite(), "at least min")?;
        Ok(Self { sum: vec![0.0; units], beta: vec![initial.max(c.min).min(c.max); units], config })
    }
}

impl Controller for Pi {
    fn name(&self) -> &'static str {
        "pi"
    }

    fn owns(&self) -> &'static [Lever] {
        &[Lever::Beta]
    }

    fn begin(&mut self, _step: u64, levers: &mut Levers) {
        levers.objective.beta.copy_from_slice(&self.beta);
    }

    fn act(&mut self, now: &Moment<'_>, levers: &mut Levers) {
        let c = self.config;
        for ((beta, sum), kl) in self.beta.iter_mut().zip(&mut self.sum).zip(now.monitor.kl()) {
            let error = c.target - kl;
            let proportional = c.proportional / (1.0 + (error / c.width).exp());
            let wanted = |sum: f64| proportional - c.integral * sum + c.min;
            let free = wanted(*sum + error);
            let pushes_out = free > c.max && error < 0.0 || free < c.min && error > 0.0;
            if !pushes_out {
                *sum += error;
            }
            *beta = wanted(*sum).max(c.min).min(c.max);
        }
        levers.objective.beta.copy_from_slice(&self.beta);
    }

    fn report(&self, to: &mut dyn FnMut(&'static str, f64)) {
        to("beta_mean", self.beta.iter().sum::<f64>() / self.beta.len() as f64);
    }

    fn save(&self, state: &mut ControlState) {
        state.put("pi.sum", &self.sum);
        state.put("pi.beta", &self.beta);
    }

    fn restore(&mut self, state: &ControlState) -> Result<(), ModelError> {
        state.fill("pi.sum", &mut self.sum)?;
        state.fill("pi.beta", &mut self.beta)
    }
}
