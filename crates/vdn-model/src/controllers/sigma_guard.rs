//! The guard of the parameter `log sigma` \[ref\]: clamps it to `[ln floor, ln ceiling]` and raises
//! it for dead units.
//!
//! A unit is dead if its running alive share is below a threshold. In `per_unit` mode its `log
//! sigma` then grows by the kick, followed by the same clamp. In the reference the kick never
//! happens, because a shape error is swallowed; [`SigmaKick::Never`] reproduces this. The guard
//! does nothing to layers whose deviations come from a head.

use crate::controllers::{Controller, Lever, Levers, Moment};
use crate::core::error::ModelError;
use crate::core::error::check;
use crate::core::state::ControlState;

/// Whether the deviations of dead units are raised.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SigmaKick {
    /// They are raised.
    #[default]
    Dead,
    /// They are never raised, as in the reference.
    Never,
}

/// The settings of a [`SigmaGuard`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SigmaGuardConfig {
    /// The smallest deviation, above 0. Default: 0.15.
    pub floor: f64,
    /// The largest deviation. Default: 5.
    pub ceiling: f64,
    /// The amount added to a dead unit's `log sigma`. Default: 0.02.
    pub kick: f64,
    /// The alive share below which a unit is dead. Default: 0.05.
    pub alive_min: f64,
    /// Whether the deviations of dead units are raised. Default: `Dead`.
    pub dead: SigmaKick,
}

impl Default for SigmaGuardConfig {
    fn default() -> Self {
        Self { floor: 0.15, ceiling: 5.0, kick: 0.02, alive_min: 0.05, dead: SigmaKick::Dead }
    }
}

/// Guards the parameter `log sigma`.
#[derive(Clone, Debug)]
pub struct SigmaGuard {
    config: SigmaGuardConfig,
    dead: usize,
}

impl SigmaGuard {
    /// Creates the controller with these settings.
    ///
    /// # Errors
    /// Fails if a value is outside its domain.
    pub fn new(config: SigmaGuardConfig) -> Result<Self, ModelError> {
        let SigmaGuardConfig { floor, ceiling, .. } = config;
        check("floor", floor, floor > 0.0, "above 0")?;
        check("ceiling", ceiling, ceiling >= floor, "at least floor")?;
        Ok(Self { config, dead: 0 })
    }
}

impl Controller for SigmaGuard {
    fn name(&self) -> &'static str {
        "sigma_guard"
    }

    fn owns(&self) -> &'static [Lever] {
        &[Lever::Sigma]
    }

    fn begin(&mut self, _step: u64, _levers: &mut Levers) {}

    fn act(&mut self, now: &Moment<'_>, levers: &mut Levers) {
        let c = self.config;
        levers.sigma.range = Some([c.floor.ln(), c.ceiling.ln()]);
        self.dead = 0;
        for (kick, &alive) in levers.sigma.kick.iter_mut().zip(now.monitor.alive()) {
            let dead = alive < c.alive_min;
            self.dead += usize::from(dead);
            *kick = if dead && c.dead == SigmaKick::Dead { c.kick } else { 0.0 };
        }
    }

    fn report(&self, to: &mut dyn FnMut(&'static str, f64)) {
        to("dead", self.dead as f64);
        to("floor", self.config.floor);
        to("ceiling", self.config.ceiling);
    }

    fn save(&self, state: &mut ControlState) {
        state.put_shown("sigma_guard.dead", &[self.dead as f64]);
    }

    fn restore(&mut self, state: &ControlState) -> Result<(), ModelError> {
        let mut dead = [0.0];
        state.fill_shown("sigma_guard.dead", &mut dead);
        self.dead = dead[0] as usize;
        Ok(())
    }
}
