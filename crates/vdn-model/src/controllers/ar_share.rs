//! The share of the loss that the autoregressive penalty takes.
//!
//! ```text
//! share = l AR / (|score| + KL term + band term + l AR)       l = lambda ramp, running means of the loss's terms
//! x     = -gain (share - target) - gain max(0, share - cap)   lambda <- clamp(lambda exp(x), min, max)
//! ```
//!
//! By default the rule acts on the terms that are in the loss. It acts more strongly the larger the
//! share is, and not at all while the penalty has no weight. The reference \[ref\] differs in three
//! ways:
//!
//! * It uses the squared error in place of the score.
//! * Above the cap it uses `-2 gain (share - cap)` instead, which acts *less* than the normal rule
//!   up to `2 cap - target`.
//! * It also adapts a penalty of weight 0, whose weight then drifts to its maximum.

use crate::controllers::{Controller, Lever, Levers, Moment};
use crate::core::error::ModelError;
use crate::core::error::check;
use crate::core::state::ControlState;

/// The rule that moves the weight.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ArShareRule {
    /// Monotone in the share, computed from the loss's own terms, and inactive while the penalty
    /// is.
    #[default]
    Monotone,
    /// The rule of the reference.
    Reference,
}

/// The settings of an [`ArShare`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ArShareConfig {
    /// The initial weight. Default: 1.
    pub weight: f64,
    /// Whether the weight adapts. Default: `true`.
    pub adapt: bool,
    /// The target share. Default: 0.2.
    pub target: f64,
    /// The share above which the rule acts doubly; `None` for no cap. Default: 0.3.
    pub cap: Option<f64>,
    /// The change of the weight's logarithm per unit of share. Default: 0.1.
    pub gain: f64,
    /// The smallest weight, above 0. Default: 0.25.
    pub min: f64,
    /// The largest weight. Default: 10.
    pub max: f64,
    /// The rule that moves the weight. Default: `Monotone`.
    pub rule: ArShareRule,
}

impl Default for ArShareConfig {
    fn default() -> Self {
        Self {
            weight: 1.0,
            adapt: true,
            target: 0.20,
            cap: Some(0.30),
            gain: 0.10,
            min: 0.25,
            max: 10.0,
            rule: ArShareRule::Monotone,
        }
    }
}

/// Adapts the weight of the autoregressive penalty to its share of the loss.
#[derive(Clone, Debug)]
pub struct ArShare {
    config: ArShareConfig,
    weight: f64,
    share: f64,
}

impl ArShare {
    /// Creates the controller with these settings.
    ///
    /// # Errors
    /// Fails if a value is outside its domain.
    pub fn new(config: ArShareConfig) -> Result<Self, ModelError> {
        let c = &config;
        check("weight", c.weight, c.weight >= 0.0 && c.weight.is_finite(), "at least 0")?;
        check("gain", c.gain, c.gain >= 0.0 && c.gain.is_finite(), "at least 0")?;
        check("min", c.min, c.min > 0.0 && c.min.is_finite(), "above 0")?;
        check("max", c.max, c.max >= c.min && c.max.is_finite(), "at least min")?;
        check("target", c.target, (0.0..1.0).contains(&c.target), "in [0, 1)")?;
        if let Some(cap) = c.cap {
            check("cap", cap, cap >= c.target && cap.is_finite(), "at least target")?;
        }
        Ok(Self { weight: c.weight, config, share: f64::NAN })
    }

    /// Returns the weight before the ramp.
    #[must_use]
    pub fn weight(&self) -> f64 {
        self.weight
    }
}

impl Controller for ArShare {
    fn name(&self) -> &'static str {
        "ar_share"
    }

    fn owns(&self) -> &'static [Lever] {
        &[Lever::ArWeight]
    }

    fn begin(&mut self, _step: u64, levers: &mut Levers) {
        if let Some(ar) = &mut levers.objective.autoregression {
            ar.weight = self.weight;
        }
    }

    fn act(&mut self, now: &Moment<'_>, levers: &mut Levers) {
        let c = self.config;
        let l = now.monitor.losses();
        let effective = match &levers.objective.autoregression {
            // The ramp of the step that was just made.
            Some(ar) => self.weight * ar.ramp,
            None => 0.0,
        };
        let idle = c.rule == ArShareRule::Monotone && effective * l.ar == 0.0;
        if !c.adapt || idle {
            return;
        }
        let weighted = effective * l.ar;
        let fit = match c.rule {
            ArShareRule::Monotone => l.nll.abs(),
            ArShareRule::Reference => l.mse,
        };
        let share = weighted / (fit + l.weighted_kl + l.weighted_band + weighted).max(1e-12);
        let excess = c.cap.map_or(0.0, |cap| (share - cap).max(0.0));
        let x = match c.rule {
            ArShareRule::Monotone => -c.gain * (share - c.target) - c.gain * excess,
            ArShareRule::Reference if excess > 0.0 => -2.0 * c.gain * excess,
            ArShareRule::Reference => -c.gain * (share - c.target),
        };
        self.weight = (self.weight * x.exp()).max(c.min).min(c.max);
        self.share = share;
        self.begin(now.step, levers);
    }

    fn report(&self, to: &mut dyn FnMut(&'static str, f64)) {
        to("ar_share", self.share);
        to("ar_weight", self.weight);
    }

    fn save(&self, state: &mut ControlState) {
        state.put("ar_share.weight", &[self.weight]);
        state.put_shown("ar_share.share", &[self.share]);
    }

    fn restore(&mut self, state: &ControlState) -> Result<(), ModelError> {
        state.fill_shown("ar_share.share", std::slice::from_mut(&mut self.share));
        self.weight = state.number("ar_share.weight")?;
        Ok(())
    }
}
