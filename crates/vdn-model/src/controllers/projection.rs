//! Projection onto the energy band: a hard version of the homeostat \[ref\].
//!
//! The factor on a unit's mean head is `s_i = sqrt(lo/mu2)` below the band, `sqrt(hi/mu2)` above it
//! and 1 inside, clamped to `[1/50, 50]`. `mu2` is estimated over the first batches of a control
//! period, 50 at most. Batches weigh by their rows; in the reference they weigh the same whatever
//! their size.

use crate::controllers::observation::Observation;
use crate::controllers::{Controller, Lever, Levers, Moment};
use crate::core::error::ModelError;
use crate::core::error::check;
use crate::core::state::ControlState;

/// The weights of batches of different size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BatchWeights {
    /// By their rows.
    #[default]
    Rows,
    /// Equal weights, as in the reference.
    Equal,
}

/// The settings of a [`Projection`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ProjectionConfig {
    /// The largest factor, at least 1; `None` for no limit. Default: 50.
    pub max_factor: Option<f64>,
    /// The largest number of batches in an estimate. Default: 50.
    pub max_batches: u64,
    /// The smallest energy. Default: 1e-12.
    pub eps: f64,
    /// The weights of batches. Default: `Rows`.
    pub weights: BatchWeights,
}

impl Default for ProjectionConfig {
    fn default() -> Self {
        let weights = BatchWeights::Rows;
        Self { max_factor: Some(50.0), max_batches: 50, eps: 1e-12, weights }
    }
}

/// Returns the factor that moves a unit of energy `energy` to the nearer bound of its band, or 1 if
/// it is inside.
#[must_use]
pub fn projection_factor(energy: f64, [lo, hi]: [f64; 2], max_factor: Option<f64>) -> f64 {
    let s = if energy < lo {
        (lo / energy).sqrt()
    } else if energy > hi {
        (hi / energy).sqrt()
    } else {
        1.0
    };
    max_factor.map_or(s, |m| s.max(1.0 / m).min(m))
}

/// Projects the mean heads of units onto their energy bands.
#[derive(Clone, Debug)]
pub struct Projection {
    config: ProjectionConfig,
    batches: u64,
    weight: f64,
    energy: Vec<f64>,
}

impl Projection {
    /// Creates the controller for this many units.
    ///
    /// # Errors
    /// Fails if a value is outside its domain.
    pub fn new(units: usize, config: ProjectionConfig) -> Result<Self, ModelError> {
        if let Some(m) = config.max_factor {
            check("max_factor", m, m >= 1.0, "at least 1")?;
        }
        check("eps", config.eps, config.eps > 0.0, "above 0")?;
        Ok(Self { config, batches: 0, weight: 0.0, energy: vec![0.0; units] })
    }

    /// Returns the current estimate of the energy, `[units]`, before its floor.
    #[must_use]
    pub fn energy(&self) -> &[f64] {
        &self.energy
    }
}

impl Controller for Projection {
    fn name(&self) -> &'static str {
        "projection"
    }

    fn owns(&self) -> &'static [Lever] {
        &[Lever::Gain]
    }

    fn begin(&mut self, _step: u64, _levers: &mut Levers) {}

    fn observe(&mut self, seen: &Observation) {
        if self.batches >= self.config.max_batches {
            return;
        }
        self.batches += 1;
        let weight = match self.config.weights {
            BatchWeights::Rows => seen.rows as f64,
            BatchWeights::Equal => 1.0,
        };
        self.weight += weight;
        let share = weight / self.weight;
        for (mean, new) in self.energy.iter_mut().zip(&seen.energy) {
            *mean += share * (new - *mean);
        }
    }

    fn act(&mut self, _now: &Moment<'_>, levers: &mut Levers) {
        let Some(band) = &levers.objective.band else { return };
        for (i, energy) in self.energy.iter_mut().enumerate() {
            let bounds = [band.bounds.lo[i], band.bounds.hi[i]];
            let energy_now = energy.max(self.config.eps);
            levers.gain[i] *= projection_factor(energy_now, bounds, self.config.max_factor);
            *energy = 0.0;
        }
        (self.batches, self.weight) = (0, 0.0);
    }

    fn save(&self, state: &mut ControlState) {
        state.put("projection.counts", &[self.batches as f64, self.weight]);
        state.put("projection.energy", &self.energy);
    }

    fn restore(&mut self, state: &ControlState) -> Result<(), ModelError> {
        let mut counts = [0.0; 2];
        state.fill("projection.counts", &mut counts)?;
        (self.batches, self.weight) = (counts[0] as u64, counts[1]);
        state.fill("projection.energy", &mut self.energy)
    }
}
