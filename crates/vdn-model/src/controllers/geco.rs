//! GECO (Rezende and Viola 2018): the least KL that a constraint on the score allows.
//!
//! The paper minimises `KL + lambda (score - tolerance)` with `ln lambda += gain C`, where `C` is
//! the running mean of `score - tolerance`. Here the score has weight 1 and the KL has weight `beta
//! = 1/lambda`, so the update is `ln beta -= gain C`, clamped to its limits (anti-windup).

use crate::controllers::{Controller, Lever, Levers, Moment};
use crate::core::error::ModelError;
use crate::core::error::check;
use crate::core::state::ControlState;

/// The settings of a [`Geco`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GecoConfig {
    /// The score that is good enough, in nats per time step.
    pub tolerance: f64,
    /// The initial beta.
    pub initial: f64,
    /// The smallest beta, above 0.
    pub min: f64,
    /// The largest beta.
    pub max: f64,
    /// The change of `ln beta` per nat and act.
    pub gain: f64,
}

/// Sets one beta for the whole layer, from the score.
#[derive(Clone, Copy, Debug)]
pub struct Geco {
    config: GecoConfig,
    log_beta: f64,
}

impl Geco {
    /// Creates the controller with these settings.
    ///
    /// # Errors
    /// Fails if a value is outside its domain.
    pub fn new(config: GecoConfig) -> Result<Self, ModelError> {
        let c = &config;
        check("min", c.min, c.min > 0.0 && c.min.is_finite(), "above 0")?;
        check("max", c.max, c.max >= c.min && c.max.is_finite(), "at least min")?;
        check("initial", c.initial, c.initial >= 0.0 && c.initial.is_finite(), "at least 0")?;
        check("gain", c.gain, c.gain >= 0.0 && c.gain.is_finite(), "at least 0")?;
        check("tolerance", c.tolerance, c.tolerance.is_finite(), "finite")?;
        Ok(Self { log_beta: c.initial.max(c.min).min(c.max).ln(), config })
    }
}

impl Controller for Geco {
    fn name(&self) -> &'static str {
        "geco"
    }

    fn owns(&self) -> &'static [Lever] {
        &[Lever::Beta]
    }

    fn begin(&mut self, _step: u64, levers: &mut Levers) {
        levers.objective.beta.fill(self.log_beta.exp());
    }

    fn act(&mut self, now: &Moment<'_>, levers: &mut Levers) {
        let c = self.config;
        let violation = now.monitor.losses().nll - c.tolerance;
        self.log_beta = (self.log_beta - c.gain * violation).max(c.min.ln()).min(c.max.ln());
        self.begin(now.step, levers);
    }

    fn report(&self, to: &mut dyn FnMut(&'static str, f64)) {
        to("beta_mean", self.log_beta.exp());
    }

    fn save(&self, state: &mut ControlState) {
        state.put("geco.log_beta", &[self.log_beta]);
    }

    fn restore(&mut self, state: &ControlState) -> Result<(), ModelError> {
        self.log_beta = state.number("geco.log_beta")?;
        Ok(())
    }
}
