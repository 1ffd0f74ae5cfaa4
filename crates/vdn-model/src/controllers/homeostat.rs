//! The homeostat: rescales the mean head of each unit towards its energy band \[ref\].
//!
//! ```text
//! s_i   = clamp((target_i / mu2_i)^(eta/2), 1/m, m)       target = lo below the band, hi above, inside: see below
//! eta   = clamp(gain (1 + 2 f), 0, 0.5)                   f: the share of units out of their band
//! ```
//!
//! `mu2` is the running mean of the energy. Inside a band the target is `mu2` itself (no change) or
//! the geometric or arithmetic centre of the band ([`InsideTarget`]).

use crate::controllers::{Controller, Lever, Levers, Moment};
use crate::core::error::ModelError;
use crate::core::error::check;
use crate::core::state::ControlState;
use crate::objective::energy_band::EnergyBand;

/// The smallest energy used as a divisor.
const EPSILON: f64 = 1e-12;

/// The target of units that are inside their band.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum InsideTarget {
    /// Their own energy: they are not changed.
    #[default]
    Energy,
    /// The geometric centre, `sqrt(lo hi)`.
    Geometric,
    /// The arithmetic centre, `(lo + hi) / 2`.
    Arithmetic,
}

/// The settings of a [`Homeostat`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HomeostatConfig {
    /// `eta` when every unit is inside its band, in [0, 0.5]. Default: 0.15.
    pub gain: f64,
    /// The largest factor of one act, at least 1; `None` for no limit. Default: 2.
    pub max_factor: Option<f64>,
    /// The target of units that are inside their band. Default: `Energy`.
    pub inside: InsideTarget,
}

impl Default for HomeostatConfig {
    fn default() -> Self {
        Self { gain: 0.15, max_factor: Some(2.0), inside: InsideTarget::Energy }
    }
}

/// Returns the target of a unit of energy `energy`. `eps` is the smallest energy that counts.
#[must_use]
pub fn homeostat_target(energy: f64, [lo, hi]: [f64; 2], inside: InsideTarget, eps: f64) -> f64 {
    let energy = energy.max(eps);
    if energy < lo {
        lo
    } else if energy > hi {
        hi
    } else {
        match inside {
            InsideTarget::Energy => energy,
            InsideTarget::Geometric => (lo.max(eps) * hi.max(eps)).sqrt(),
            InsideTarget::Arithmetic => 0.5 * (lo + hi),
        }
    }
}

/// Returns the factor on the mean head of a unit of energy `energy` that is pulled to `target` with
/// strength `eta`.
#[must_use]
pub fn homeostat_factor(
    energy: f64,
    target: f64,
    eta: f64,
    max_factor: Option<f64>,
    eps: f64,
) -> f64 {
    let factor = (target / energy.max(eps)).powf(0.5 * eta);
    match max_factor {
        Some(m) => factor.max(1.0 / m).min(m),
        None => factor,
    }
}

/// Rescales the mean heads of units towards their energy bands.
#[derive(Clone, Debug)]
pub struct Homeostat {
    config: HomeostatConfig,
    last: [f64; 3],
}

impl Homeostat {
    /// Creates the controller with these settings.
    ///
    /// # Errors
    /// Fails if a value is outside its domain.
    pub fn new(config: HomeostatConfig) -> Result<Self, ModelError> {
        let gain = config.gain;
        check("gain", gain, (0.0..=0.5).contains(&gain), "in [0, 0.5]")?;
        if let Some(m) = config.max_factor {
            check("max_factor", m, m >= 1.0, "at least 1")?;
        }
        Ok(Self { config, last: [f64::NAN; 3] })
    }

    fn strength(&self, energy: &[f64], band: &EnergyBand) -> f64 {
        let outside = energy.iter().zip(band.lo.iter().zip(&band.hi));
        let outside = outside.filter(|&(e, (lo, hi))| e < lo || e > hi).count();
        let share = outside as f64 / energy.len().max(1) as f64;
        (self.config.gain * (1.0 + 2.0 * share)).clamp(0.0, 0.5)
    }
}

impl Controller for Homeostat {
    fn name(&self) -> &'static str {
        "homeostat"
    }

    fn owns(&self) -> &'static [Lever] {
        &[Lever::Gain]
    }

    fn begin(&mut self, _step: u64, _levers: &mut Levers) {}

    fn act(&mut self, now: &Moment<'_>, levers: &mut Levers) {
        let Some(band) = &levers.objective.band else { return };
        let (energy, band) = (now.monitor.energy(), &band.bounds);
        let eta = self.strength(energy, band);
        let (mut least, mut largest) = (f64::INFINITY, f64::NEG_INFINITY);
        for i in 0..energy.len() {
            let bounds = [band.lo[i], band.hi[i]];
            let target = homeostat_target(energy[i], bounds, self.config.inside, EPSILON);
            let s = homeostat_factor(energy[i], target, eta, self.config.max_factor, EPSILON);
            levers.gain[i] *= s;
            (least, largest) = (least.min(s), largest.max(s));
        }
        self.last = [eta, least, largest];
    }

    fn report(&self, to: &mut dyn FnMut(&'static str, f64)) {
        for (name, value) in ["eta", "s_min", "s_max"].into_iter().zip(self.last) {
            to(name, value);
        }
    }

    fn save(&self, state: &mut ControlState) {
        state.put_shown("homeostat.last", &self.last);
    }

    fn restore(&mut self, state: &ControlState) -> Result<(), ModelError> {
        state.fill_shown("homeostat.last", &mut self.last);
        Ok(())
    }
}
