//! [`LayerControl`]: the controllers of one layer, their timing, and their effect on its
//! parameters.
//!
//! A trainer calls [`LayerControl::observe`] after each forward pass and [`LayerControl::act`]
//! after the optimiser's step. The second call may rescale rows of the mean head. Running means and the
//! optimiser's moments were measured for the old rows, so they are rescaled, too ([`Rescaling`]);
//! otherwise controllers would correct the same error again.

use crate::controllers::levers::{Lever, Levers};
use crate::controllers::monitor::{Monitor, MonitorConfig};
use crate::controllers::observation::{LossValues, Observation};
use crate::controllers::{Controller, Moment, Needs};
use crate::core::error::ModelError;
use crate::core::parameter::Parameters;
use crate::core::state::ControlState;
use crate::objective::local_objective::UnitMeasures;
use crate::objective::sequence_measures::SequenceMeasures;
use crate::units::UnitLayer;
use crate::units::layer::{LayerOutput, VariationalLayer};
use vdn_autograd::{Tape, Var};
use vdn_tensor::Element;

/// The timing of a controller: it acts every `every` steps after a warm-up of `warmup` steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// The number of steps before the first act.
    pub warmup: u64,
    /// The number of steps from one act to the next, at least 1.
    pub every: u64,
}

impl Timing {
    /// Acts after every step.
    pub const ALWAYS: Self = Self { warmup: 0, every: 1 };

    fn is_due(self, step: u64) -> bool {
        step >= self.warmup && step.is_multiple_of(self.every)
    }
}

/// The state that follows a rescaling of the mean head's rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rescaling {
    /// Running means and the optimiser's moments are rescaled, too.
    #[default]
    Follow,
    /// Nothing is rescaled, as in the reference.
    Ignore,
}

/// The settings by which a layer is monitored.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LayerControlConfig {
    /// The initial KL weight of every unit, unless a controller sets it. Default: 1e-4.
    pub beta: f64,
    /// The definition of a unit's energy and KL. Default: `PerDimension`.
    pub measures: UnitMeasures,
    /// The state that follows a rescaling of weights. Default: `Follow`.
    pub rescaling: Rescaling,
    /// The rate of the units' running means, in (0, 1]. Default: 0.05.
    pub smoothing: f64,
    /// The energy above which a unit is alive. Default: 1e-4.
    pub alive_energy: f64,
    /// The KL in nats above which a unit, or a row of it, is alive. Default: 1e-4.
    pub alive_kl: f64,
}

impl Default for LayerControlConfig {
    fn default() -> Self {
        Self {
            beta: 1e-4,
            measures: UnitMeasures::PerDimension,
            rescaling: Rescaling::Follow,
            smoothing: 0.05,
            alive_energy: 1e-4,
            alive_kl: 1e-4,
        }
    }
}

/// The controllers of one layer.
#[derive(Debug)]
pub struct LayerControl {
    config: LayerControlConfig,
    levers: Levers,
    monitor: Monitor,
    observation: Observation,
    controllers: Vec<(Box<dyn Controller>, Timing)>,
    step: u64,
}

impl LayerControl {
    /// Creates the control of a layer of `units` units with `latent_dims` dimensions each, without
    /// controllers.
    #[must_use]
    pub fn new(units: usize, latent_dims: usize, config: LayerControlConfig) -> Self {
        let LayerControlConfig { smoothing: rate, alive_energy, alive_kl, .. } = config;
        let running = MonitorConfig { rate, alive_energy, alive_kl };
        Self {
            config,
            levers: Levers::new(units, config.beta),
            monitor: Monitor::new(units, running),
            observation: Observation::new(units, units * latent_dims),
            controllers: Vec::new(),
            step: 0,
        }
    }

    /// Adds a controller after the existing ones.
    ///
    /// # Errors
    /// Fails if another controller already owns one of its levers (the message names both), or if
    /// the period is 0.
    pub fn add(
        &mut self,
        controller: impl Controller + 'static,
        timing: Timing,
    ) -> Result<(), ModelError> {
        self.add_boxed(Box::new(controller), timing)
    }

    /// Does what [`LayerControl::add`] does for a controller whose type is not known at compile
    /// time.
    ///
    /// # Errors
    /// Fails as [`LayerControl::add`] does.
    pub fn add_boxed(
        &mut self,
        mut controller: Box<dyn Controller>,
        timing: Timing,
    ) -> Result<(), ModelError> {
        if timing.every == 0 {
            return Err(ModelError::domain("every", 0, "at least 1"));
        }
        for (other, _) in &self.controllers {
            let shared = other.owns().iter().find(|lever| controller.owns().contains(lever));
            if let Some(lever) = shared {
                let (a, b, what) = (other.name(), controller.name(), lever.name());
                return Err(ModelError::config(
                    "controllers",
                    format!("{a} and {b} both move {what}"),
                ));
            }
        }
        controller.begin(self.step, &mut self.levers);
        self.controllers.push((controller, timing));
        Ok(())
    }

    /// Returns the levers, which the loss reads.
    #[must_use]
    pub fn levers(&self) -> &Levers {
        &self.levers
    }

    /// Returns the levers for changes by hand.
    pub fn levers_mut(&mut self) -> &mut Levers {
        &mut self.levers
    }

    /// Returns the running means.
    #[must_use]
    pub fn monitor(&self) -> &Monitor {
        &self.monitor
    }

    /// Returns the observation of the last step.
    #[must_use]
    pub fn observation(&self) -> &Observation {
        &self.observation
    }

    /// Returns the settings by which the layer is monitored.
    #[must_use]
    pub fn config(&self) -> &LayerControlConfig {
        &self.config
    }

    /// Returns the number of training steps observed.
    #[must_use]
    pub fn step(&self) -> u64 {
        self.step
    }

    /// Returns what its controllers need recorded in a step.
    #[must_use]
    pub fn needs(&self) -> Needs {
        Needs { kl_rows: self.controllers.iter().any(|(c, _)| c.needs().kl_rows) }
    }

    /// Returns whether a controller owns this lever.
    #[must_use]
    pub fn moves(&self, lever: Lever) -> bool {
        self.controllers.iter().any(|(c, _)| c.owns().contains(&lever))
    }

    /// Observes a step on the tape of its forward pass: the layer's output and the terms of the
    /// loss.
    ///
    /// # Panics
    /// Panics if the output belongs to another layer.
    pub fn observe<'a, T: Element>(
        &mut self,
        tape: &Tape<T>,
        layer: impl Into<UnitLayer<'a>>,
        output: &LayerOutput,
        losses: LossValues,
    ) {
        self.observe_adjusted(tape, layer, output, losses, |_| {});
    }

    /// Does what [`LayerControl::observe`] does, but lets `adjust` change the observation before
    /// the running means and the controllers see it. A trainer on several machines averages the
    /// observation over them here.
    ///
    /// # Panics
    /// Panics if the output belongs to another layer.
    pub fn observe_adjusted<'a, T: Element>(
        &mut self,
        tape: &Tape<T>,
        layer: impl Into<UnitLayer<'a>>,
        output: &LayerOutput,
        losses: LossValues,
        adjust: impl FnOnce(&mut Observation),
    ) {
        let layer = layer.into();
        let k = layer.latent_dims();
        let seen = &mut self.observation;
        let shape = tape.shape(output.mu);
        seen.rows = shape.rows();
        seen.losses = losses;
        let value = |var| tape.value(var).data();
        let [m2, c2, d0, lv] =
            [output.units.m2, output.units.c2, output.units.d0, output.units.lv].map(value);
        for i in 0..seen.kl_dims.len() {
            let [m2, c2, d0, lv] = [m2[i], c2[i], d0[i], lv[i]].map(T::to_f64);
            seen.kl_dims[i] = 0.5 * (m2 + d0);
            seen.rate_dims[i] = 0.5 * ((c2 + d0 + lv).ln_1p() - lv);
        }
        if let Some(mean_kl) = output.units.mean_kl {
            for (to, kl) in seen.kl_dims.iter_mut().zip(value(mean_kl)) {
                *to = kl.to_f64();
            }
        }
        let pooled = self.config.measures == UnitMeasures::Pooled && k > 1;
        let divisor = if pooled { 1.0 } else { k as f64 };
        for (unit, (energy, kl)) in seen.energy.iter_mut().zip(&mut seen.kl).enumerate() {
            let dims = unit * k..(unit + 1) * k;
            *kl = seen.kl_dims[dims.clone()].iter().sum::<f64>() / divisor;
            *energy = m2[dims].iter().map(|x| x.to_f64()).sum::<f64>() / k as f64;
        }
        if pooled {
            let factor = layer.variational().map_or(1.0, VariationalLayer::pool_factor);
            pooled_energy(value(output.mu), k, factor, &mut seen.energy);
        }
        if let Some(kl) = output.units.kl {
            alive_share(value(kl), k, divisor * self.config.alive_kl, &mut seen.alive);
        } else {
            // Without the KL of each row, a unit is alive either in all rows or in none.
            for (alive, &kl) in seen.alive.iter_mut().zip(&seen.kl) {
                *alive = f64::from(u8::from(kl > self.config.alive_kl));
            }
        }
        adjust(&mut self.observation);
        self.take_in();
    }

    /// Receives the persistence of each latent dimension from window to window, or from step to
    /// step, `[units * latent dims]`
    /// ([`LocalTerms::persistence`](crate::objective::LocalTerms::persistence)). Call it before the
    /// step is observed.
    ///
    /// # Panics
    /// Panics if the persistence belongs to another layer.
    pub fn see_persistence<T: Element>(&mut self, tape: &Tape<T>, persistence: Var) {
        let (values, to) = (tape.value(persistence).data(), &mut self.observation.persistence);
        assert_eq!(values.len(), to.len(), "persistence of another layer");
        to.iter_mut().zip(values).for_each(|(to, x)| *to = x.to_f64());
    }

    /// Observes a step of a layer along a sequence: its rates given the past, and its persistence.
    ///
    /// # Panics
    /// Panics if the measures belong to another layer.
    pub fn observe_sequence<T: Element>(&mut self, tape: &Tape<T>, measures: &SequenceMeasures) {
        let seen = &mut self.observation;
        let pairs =
            [(measures.rate, &mut seen.rate_dims), (measures.persistence, &mut seen.persistence)];
        for (var, to) in pairs {
            let values = tape.value(var).data();
            assert_eq!(values.len(), to.len(), "measures of another layer");
            to.iter_mut().zip(values).for_each(|(to, x)| *to = x.to_f64());
        }
        self.take_in();
    }

    /// Observes a step that was measured elsewhere: `fill` writes the observation.
    pub fn observe_with(&mut self, fill: impl FnOnce(&mut Observation)) {
        fill(&mut self.observation);
        self.take_in();
    }

    fn take_in(&mut self) {
        self.monitor.observe(&self.observation);
        for (controller, _) in &mut self.controllers {
            controller.observe(&self.observation);
        }
        self.step += 1;
    }

    /// Lets every controller that is due act on the levers alone. Layers along sequences use it: no
    /// controller changes their parameters directly.
    pub fn act_on_levers(&mut self) {
        self.levers.clear_actions();
        let moment = Moment { step: self.step, monitor: &self.monitor };
        for (controller, timing) in &mut self.controllers {
            if timing.is_due(self.step) {
                controller.act(&moment, &mut self.levers);
            }
        }
    }

    /// Lets every controller that is due act, and applies the result to the layer's parameters in a
    /// stack. Along a sequence only the levers change.
    ///
    /// Returns the factors on the rows of the layer's mean head (parameters
    /// [`VariationalLayer::mean_parameters`], `latent dims` rows per factor) if they changed and
    /// the optimiser's moments are to follow.
    pub fn act<'a, T: Element>(
        &mut self,
        layer: impl Into<UnitLayer<'a>>,
        parameters: &mut Parameters<T>,
    ) -> Option<&[f64]> {
        self.act_on_levers();
        let layer = layer.into().variational()?;
        layer.guard_sigma(parameters, &self.levers.sigma);
        let changed = self.levers.gain.iter().any(|&s| s != 1.0);
        if !changed {
            return None;
        }
        layer.rescale_means(parameters, &self.levers.gain);
        if self.config.rescaling == Rescaling::Ignore {
            return None;
        }
        for (controller, _) in &mut self.controllers {
            controller.rescaled(&self.levers.gain, self.monitor.energy());
        }
        self.monitor.rescale(&self.levers.gain);
        Some(&self.levers.gain)
    }

    /// Calls `to` with the controller, name and value of every number that a controller reports
    /// about its last act.
    pub fn report(&self, mut to: impl FnMut(&'static str, &'static str, f64)) {
        for (controller, _) in &self.controllers {
            let name = controller.name();
            controller.report(&mut |what, value| to(name, what, value));
        }
    }

    /// Returns a number that a controller reports, by its name.
    #[must_use]
    pub fn reported(&self, controller: &str, what: &str) -> Option<f64> {
        let mut found = None;
        self.report(|c, w, value| {
            if c == controller && w == what {
                found = Some(value);
            }
        });
        found
    }

    /// Returns the state that a checkpoint has to store with the weights.
    #[must_use]
    pub fn state(&self) -> ControlState {
        let mut state = ControlState::new();
        state.put("step", &[self.step as f64]);
        self.monitor.save(&mut state);
        for (controller, _) in &self.controllers {
            controller.save(&mut state);
        }
        state
    }

    /// Restores a state of the same controllers.
    ///
    /// # Errors
    /// Fails if the state belongs to other controllers.
    pub fn restore(&mut self, state: &ControlState) -> Result<(), ModelError> {
        self.step = state.number("step")? as u64;
        self.monitor.restore(state)?;
        for (controller, _) in &mut self.controllers {
            controller.restore(state)?;
            controller.begin(self.step, &mut self.levers);
        }
        Ok(())
    }
}

/// Writes the mean over rows of the squared pooled mean: `factor` times the sum over each unit's
/// `k` means.
fn pooled_energy<T: Element>(mu: &[T], k: usize, factor: f64, to: &mut [f64]) {
    let units = to.len();
    let rows = mu.len() / (units * k);
    to.fill(0.0);
    for row in mu.chunks_exact(units * k) {
        for (to, dims) in to.iter_mut().zip(row.chunks_exact(k)) {
            let pooled = factor * dims.iter().map(|x| x.to_f64()).sum::<f64>();
            *to += pooled * pooled / rows as f64;
        }
    }
}

/// Writes the share of rows in which the KL, summed over each unit's `k` dimensions, is above
/// `threshold`.
fn alive_share<T: Element>(kl: &[T], k: usize, threshold: f64, to: &mut [f64]) {
    let units = to.len();
    let share = 1.0 / (kl.len() / (units * k)) as f64;
    let threshold_of_one = T::from_f64(threshold);
    to.fill(0.0);
    for row in kl.chunks_exact(units * k) {
        if k == 1 {
            for (to, &kl) in to.iter_mut().zip(row) {
                *to += f64::from(u8::from(kl > threshold_of_one));
            }
            continue;
        }
        for (to, dims) in to.iter_mut().zip(row.chunks_exact(k)) {
            let sum: f64 = dims.iter().map(|x| x.to_f64()).sum();
            *to += f64::from(u8::from(sum > threshold));
        }
    }
    to.iter_mut().for_each(|x| *x *= share);
}
