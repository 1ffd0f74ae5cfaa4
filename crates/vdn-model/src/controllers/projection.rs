//! Projection onto the energy band: the hard version of the homeostat \[ref\].
//!
//! `s_i = sqrt(lo/mu2)` below the band, `sqrt(hi/mu2)` above, 1 inside; clamped to `[1/50, 50]`. `mu2` is estimated over
//! the first batches of a control period, at most 50, weighted by their rows (the reference: alike whatever their size).

use crate::controllers::observation::Observation;
use crate::controllers::{Controller, Lever, Levers, Moment};
use crate::core::error::ModelError;
use crate::core::error::check;
use crate::core::state::ControlState;

/// How batches of different size weigh.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BatchWeights {
    /// By their rows.
    #[default]
    Rows,
    /// All the same, as in the reference.
    Equal,
}

/// The settings of a [`Projection`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ProjectionConfig {
    /// The largest factor, at least 1; `None`: no limit. Default: 50.
    pub max_factor: Option<f64>,
    /// Batches that an estimate takes at most. Default: 50.
    pub max_batches: u64,
    /// The least energy. Default: 1e-12.
    pub eps: f64,
    /// How batches weigh.
    pub weights: BatchWeights,
}

impl Default for ProjectionConfig {
    fn default() -> Self {
        let weights = BatchWeights::Rows;
        Self { max_factor: Some(50.0), max_batches: 50, eps: 1e-12, weights }
    }
}

/// The factor that puts a unit of energy `energy` on the nearer bound of its band, if it is outside.
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

/// Projects mean heads.
#[derive(Clone, Debug)]
pub struct Projection {
    config: ProjectionConfig,
    batches: u64,
    weight: f64,
    energy: Vec<f64>,
}

impl Projection {
    /// For so many units.
    ///
    /// # Errors
    /// A value outside its domain.
    pub fn new(units: usize, config: ProjectionConfig) -> Result<Self, ModelError> {
        if let Some(m) = config.max_factor {
            check("max_factor", m, m >= 1.0, "at least 1")?;
        }
        check("eps", config.eps, config.eps > 0.0, "above 0")?;
        Ok(Self { config, batches: 0, weight: 0.0, energy: vec![0.0; units] })
    }

    /// The estimate so far, `[units]`, before its floor.
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
