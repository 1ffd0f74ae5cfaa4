//! Calibration of the common scale of the energy bands; their relative shape stays as it is
//! \[ref\].
//!
//! ```text
//! lo = base_lo s_lo      hi = max(base_hi s_hi, 1.05 lo)
//! q_lo = quantile_20%(mu2 / base_lo)      q_hi = quantile_90%(mu2 / base_hi)
//! q    <- min(q, 1.02 s), then max(q, s / 1.10)
//! q    <- min(q, s)            while inside-mass < 0.58 or the share above its bands is over its cap
//! q_lo <- min(q_lo, 0.98 s_lo) while the share below is over 0.48
//! ln s <- 0.7 ln s + 0.3 ln clamp(q, 0.02, 3), clamped to [0.02, 3]
//! ```
//!
//! The reference also requires `s_hi >= 1.05 s_lo` of the *scales*, although the bounds already
//! differ by a factor. Bands then widen, and `s_hi` can exceed its maximum. By default the
//! constraint applies to the bounds alone, as above.

use crate::controllers::{Controller, Lever, Levers, Moment};
use crate::core::error::ModelError;
use crate::core::error::check;
use crate::core::state::ControlState;
use crate::objective::energy_band::EnergyBand;

/// The least ratio `hi / lo`.
const LEAST_RATIO: f64 = 1.05;
/// The factor on the lower scale while too many units are below their bands.
const PULL_DOWN: f64 = 0.98;

/// The constraint between the two scales.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ScaleRule {
    /// No constraint on the scales; the bounds keep their distance.
    #[default]
    Bounds,
    /// `s_hi >= 1.05 s_lo`, as in the reference.
    Scales,
}

/// The settings of a [`BandCalibration`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BandCalibrationConfig {
    /// The share of units that may lie below their band: the quantile that moves the lower scale.
    /// Default: 0.2.
    pub share_low: f64,
    /// The share of units that may lie above their band: 1 minus the quantile that moves the upper
    /// scale. Default: 0.1.
    pub share_high: f64,
    /// The largest factor by which one act may lower a scale. Default: 1.1.
    pub fall_cap: f64,
    /// The largest factor by which one act may raise a scale. Default: 1.02.
    pub rise_cap: f64,
    /// The inside-mass below which scales may not grow. Default: 0.58.
    pub inside_min: f64,
    /// The share of units above their bands from which scales may not grow. Default: 0.12.
    pub high_max: f64,
    /// The share of units below their bands from which the lower scale is pulled down. Default:
    /// 0.48.
    pub low_max: f64,
    /// The smallest scale. Default: 0.02.
    pub scale_min: f64,
    /// The largest scale. Default: 3.
    pub scale_max: f64,
    /// The share of the old scale that each act keeps, in log space. Default: 0.7.
    pub smoothing: f64,
    /// The constraint between the two scales. Default: `Bounds`.
    pub rule: ScaleRule,
}

impl Default for BandCalibrationConfig {
    fn default() -> Self {
        Self {
            share_low: 0.20,
            share_high: 0.10,
            fall_cap: 1.10,
            rise_cap: 1.02,
            inside_min: 0.58,
            high_max: 0.12,
            low_max: 0.48,
            scale_min: 0.02,
            scale_max: 3.0,
            smoothing: 0.70,
            rule: ScaleRule::Bounds,
        }
    }
}

/// Calibrates the energy bands of a layer.
#[derive(Clone, Debug)]
pub struct BandCalibration {
    config: BandCalibrationConfig,
    base: EnergyBand,
    scales: [f64; 2],
    last: [f64; 5],
    scratch: Vec<f64>,
}

/// Returns the quantile `q` of `values`, interpolated linearly between ranks. Sorts `values`.
fn quantile(values: &mut [f64], q: f64) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let rank = q * (values.len() - 1) as f64;
    let below = rank.floor() as usize;
    let above = (below + 1).min(values.len() - 1);
    values[below] + (rank - below as f64) * (values[above] - values[below])
}

impl BandCalibration {
    /// Creates the controller for the bands `base`, with both scales at 1.
    ///
    /// # Errors
    /// Fails if a value is outside its domain or there are no units.
    pub fn new(base: EnergyBand, config: BandCalibrationConfig) -> Result<Self, ModelError> {
        let c = &config;
        let share = |x: f64| (0.0..=1.0).contains(&x);
        check("share_low", c.share_low, share(c.share_low), "in [0, 1]")?;
        check("share_high", c.share_high, share(c.share_high), "in [0, 1]")?;
        check("smoothing", c.smoothing, share(c.smoothing), "in [0, 1]")?;
        check("scale_min", c.scale_min, c.scale_min > 0.0, "above 0")?;
        check("scale_max", c.scale_max, c.scale_max >= c.scale_min, "at least scale_min")?;
        check("fall_cap", c.fall_cap, c.fall_cap >= 1.0, "at least 1")?;
        check("rise_cap", c.rise_cap, c.rise_cap >= 1.0, "at least 1")?;
        if base.is_empty() {
            return Err(ModelError::config("base", "a layer without units"));
        }
        let scratch = vec![0.0; base.len()];
        Ok(Self { config, base, scales: [1.0; 2], last: [f64::NAN; 5], scratch })
    }

    /// Returns the lower and the upper scale.
    #[must_use]
    pub fn scales(&self) -> [f64; 2] {
        self.scales
    }

    /// Sets both scales.
    pub fn set_scales(&mut self, scales: [f64; 2]) {
        self.scales = scales;
    }

    fn bounds(&self, i: usize) -> [f64; 2] {
        let lo = self.base.lo[i] * self.scales[0];
        [lo, (self.base.hi[i] * self.scales[1]).max(LEAST_RATIO * lo)]
    }

    /// Writes the bands at the current scales.
    pub fn write(&self, to: &mut EnergyBand) {
        for i in 0..self.base.len() {
            [to.lo[i], to.hi[i]] = self.bounds(i);
        }
    }

    /// Takes one step, given the running mean of the energies.
    pub fn update(&mut self, energy: &[f64]) {
        let c = self.config;
        let [a, b] = self.scales;
        let (mut low, mut high) = (0usize, 0usize);
        for (i, &e) in energy.iter().enumerate() {
            let [lo, hi] = self.bounds(i);
            low += usize::from(e < lo);
            high += usize::from(e > hi);
        }
        let n = energy.len() as f64;
        let (low, high) = (low as f64 / n, high as f64 / n);
        let inside = (1.0 - low - high).clamp(0.0, 1.0);
        let mut proposal = |base: &[f64], q: f64, scale: f64| {
            for (to, (e, base)) in self.scratch.iter_mut().zip(energy.iter().zip(base)) {
                *to = (e / base.max(1e-12)).clamp(1e-6, 1e6);
            }
            quantile(&mut self.scratch, q).min(scale * c.rise_cap).max(scale / c.fall_cap)
        };
        let mut q_lo = proposal(&self.base.lo, c.share_low, a);
        let mut q_hi = proposal(&self.base.hi, 1.0 - c.share_high, b);
        if inside < c.inside_min || high > c.high_max {
            (q_lo, q_hi) = (q_lo.min(a), q_hi.min(b));
        }
        if low > c.low_max {
            q_lo = q_lo.min(PULL_DOWN * a);
        }
        let limit = |x: f64| x.max(c.scale_min).min(c.scale_max);
        (q_lo, q_hi) = (limit(q_lo), limit(q_hi));
        let smooth = |old: f64, new: f64| {
            let (old, new) = (old.max(1e-6).ln(), new.max(1e-6).ln());
            limit((c.smoothing * old + (1.0 - c.smoothing) * new).exp())
        };
        self.scales = [smooth(a, q_lo), smooth(b, q_hi)];
        if c.rule == ScaleRule::Scales {
            self.scales[1] = self.scales[1].max(LEAST_RATIO * self.scales[0]);
        }
        self.last = [q_lo, q_hi, low, high, inside];
    }
}

impl Controller for BandCalibration {
    fn name(&self) -> &'static str {
        "band_calibration"
    }

    fn owns(&self) -> &'static [Lever] {
        &[Lever::BandBounds]
    }

    fn begin(&mut self, _step: u64, levers: &mut Levers) {
        if let Some(band) = &mut levers.objective.band {
            self.write(&mut band.bounds);
        }
    }

    fn act(&mut self, now: &Moment<'_>, levers: &mut Levers) {
        self.update(now.monitor.energy());
        self.begin(now.step, levers);
    }

    fn report(&self, to: &mut dyn FnMut(&'static str, f64)) {
        to("s_lo", self.scales[0]);
        to("s_hi", self.scales[1]);
        for (name, value) in ["q_lo", "q_hi", "low", "high", "inside"].into_iter().zip(self.last) {
            to(name, value);
        }
    }

    fn save(&self, state: &mut ControlState) {
        state.put("band_calibration.scales", &self.scales);
        state.put_shown("band_calibration.last", &self.last);
    }

    fn restore(&mut self, state: &ControlState) -> Result<(), ModelError> {
        state.fill_shown("band_calibration.last", &mut self.last);
        state.fill("band_calibration.scales", &mut self.scales)
    }
}
