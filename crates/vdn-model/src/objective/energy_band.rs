//! Energy bands of units, and the hinge penalty outside them \[ref\].
//!
//! ```text
//! homogeneous    t_i = t                        heterogeneous  t_i = t exp(e_i), e_i equally spaced in [-ln r, ln r]
//! lo_i = a t_i   hi_i = b t_i                   a = 0.8, b = 1.6
//! absolute       mean_i [ w_l relu(lo - mu2)^2 + w_h relu(mu2 - hi)^2 ]
//! relative       each relu divided by max(lo, eps) or max(hi, eps) first, eps = 1e-3
//! ```
//!
//! `mu2` is the energy of a unit, the batch mean of `mu^2` (the fused statistic `M2`).

use crate::core::error::ModelError;
use crate::core::error::check;
use vdn_autograd::{Error, Tape, Var};
use vdn_tensor::Element;
use vdn_tensor::noise::NoiseKey;

/// The target of a heterogeneous band in a layer with a single unit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SingleUnit {
    /// The middle, `t`.
    #[default]
    Centre,
    /// The low end, `t / r`, as the reference does.
    LowEnd,
}

/// The distribution of targets over units.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum BandShape {
    /// The same target for all units.
    Homogeneous,
    /// A geometric series from `t / spread` to `t * spread`.
    Heterogeneous {
        /// The spread `r`; below 1 it counts as 1.
        spread: f64,
        /// Shuffles the targets over the units with this seed; `None`: ascending.
        shuffled: Option<u64>,
        /// The target of a single unit.
        single: SingleUnit,
    },
}

/// The settings of a layer's energy bands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BandConfig {
    /// The energy around which bands lie, above 0. Default: 0.03.
    pub target: f64,
    /// `lo / t`, above 0. Default: 0.8.
    pub low_factor: f64,
    /// `hi / t`, above `lo / t`. Default: 1.6.
    pub high_factor: f64,
    /// The distribution of targets over units. Default: `Heterogeneous`, with a spread of 8.
    pub shape: BandShape,
}

impl Default for BandConfig {
    /// Returns the reference's settings: 0.03, factors 0.8 and 1.6, spread 8.
    fn default() -> Self {
        let single = SingleUnit::Centre;
        Self {
            target: 0.03,
            low_factor: 0.8,
            high_factor: 1.6,
            shape: BandShape::Heterogeneous { spread: 8.0, shuffled: None, single },
        }
    }
}

/// The bounds of each unit's energy, both `[units]`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EnergyBand {
    /// Lower bounds.
    pub lo: Vec<f64>,
    /// Upper bounds.
    pub hi: Vec<f64>,
}

impl EnergyBand {
    /// Creates the bands of this many units.
    ///
    /// ```
    /// use vdn_model::controllers::{BandConfig, EnergyBand};
    /// let band = EnergyBand::new(3, &BandConfig::default())?;
    /// assert!((band.lo[1] - 0.8 * 0.03).abs() < 1e-15);
    /// assert!((band.hi[2] - 1.6 * 0.03 * 8.0).abs() < 1e-14);
    /// # Ok::<(), vdn_model::core::ModelError>(())
    /// ```
    ///
    /// # Errors
    /// Fails if a value is outside its domain.
    pub fn new(units: usize, config: &BandConfig) -> Result<Self, ModelError> {
        let BandConfig { target, low_factor: low, high_factor: high, shape } = *config;
        check("target", target, target > 0.0 && target.is_finite(), "above 0")?;
        check("low_factor", low, low > 0.0 && low.is_finite(), "above 0")?;
        check("high_factor", high, high > low && high.is_finite(), "above low_factor")?;
        let mut targets = vec![target; units];
        if let BandShape::Heterogeneous { spread, shuffled, single } = shape {
            check("spread", spread, spread.is_finite(), "finite")?;
            let s = spread.max(1.0).ln();
            let step = if units > 1 { 2.0 * s / (units - 1) as f64 } else { 0.0 };
            for (i, t) in targets.iter_mut().enumerate() {
                // Each exponent is computed from the nearer end, so that the series is symmetric to
                // rounding.
                let e = if 2 * i < units {
                    -s + step * i as f64
                } else {
                    s - step * (units - 1 - i) as f64
                };
                *t = match (units, single) {
                    (1, SingleUnit::Centre) => target,
                    _ => target * e.exp(),
                };
            }
            if let Some(seed) = shuffled {
                shuffle(&mut targets, NoiseKey::new(seed, 0, 0));
            }
        }
        let times = |factor: f64| targets.iter().map(|t| factor * t).collect();
        Ok(Self { lo: times(low), hi: times(high) })
    }

    /// Returns the number of units.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lo.len()
    }

    /// Returns whether there are no units.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lo.is_empty()
    }

    /// Returns the shares of units below and above their bands.
    #[must_use]
    pub fn outside(&self, energy: &[f64]) -> [f64; 2] {
        let (mut low, mut high) = (0usize, 0usize);
        for i in 0..energy.len() {
            low += usize::from(energy[i] < self.lo[i]);
            high += usize::from(energy[i] > self.hi[i]);
        }
        let n = energy.len().max(1) as f64;
        [low as f64 / n, high as f64 / n]
    }
}

/// Shuffles by Fisher and Yates's algorithm with addressed random words.
fn shuffle(values: &mut [f64], key: NoiseKey) {
    for i in (1..values.len()).rev() {
        let [word, ..] = key.block(i as u32, 0);
        // 32 random bits choose among far fewer places: the bias is below the number of units /
        // 2^32.
        values.swap(i, ((u64::from(word) * (i as u64 + 1)) >> 32) as usize);
    }
}

/// The scale on which a violation is measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum HingeForm {
    /// The distance from the bound.
    Absolute,
    /// The distance as a share of the bound, or of `eps` if that is larger.
    Relative {
        /// The smallest bound used as a divisor, above 0.
        eps: f64,
    },
}

/// The hinge penalty of energies outside their bands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hinge {
    /// The scale on which a violation is measured.
    pub form: HingeForm,
    /// The weight of violations below the band.
    pub weight_low: f64,
    /// The weight of violations above the band.
    pub weight_high: f64,
}

impl Hinge {
    /// Returns the penalty of the energies `[units]` outside `band`: the mean over units.
    #[must_use]
    pub fn value(&self, energy: &[f64], band: &EnergyBand) -> f64 {
        let relative = |excess: f64, bound: f64| match self.form {
            HingeForm::Absolute => excess.max(0.0),
            HingeForm::Relative { eps } => excess.max(0.0) / bound.max(eps),
        };
        let mut sum = 0.0;
        for (e, (lo, hi)) in energy.iter().zip(band.lo.iter().zip(&band.hi)) {
            sum += self.weight_low * relative(lo - e, *lo).powi(2);
            sum += self.weight_high * relative(e - hi, *hi).powi(2);
        }
        sum / energy.len().max(1) as f64
    }

    /// Records the penalty of the energies `[units]` outside `band`, a scalar: the mean over units.
    ///
    /// # Errors
    /// Fails if `energy` and the band have different numbers of units.
    pub fn penalty<T: Element>(
        &self,
        tape: &mut Tape<T>,
        energy: Var,
        band: &EnergyBand,
    ) -> Result<Var, Error> {
        let n = band.len();
        let divisor = |bound: f64| match self.form {
            HingeForm::Absolute => 1.0,
            HingeForm::Relative { eps } => bound.max(eps),
        };
        let mut side = |bounds: &[f64], below: bool, weight: f64| -> Result<Var, Error> {
            let fill = |f: &dyn Fn(f64) -> f64, to: &mut [T]| {
                to.iter_mut().zip(bounds).for_each(|(to, &b)| *to = T::from_f64(f(b)));
            };
            let bound = tape.constant_with([n], |to| fill(&|b| b, to))?;
            let excess = if below { tape.sub(bound, energy)? } else { tape.sub(energy, bound)? };
            let mut excess = tape.relu(excess)?;
            if let HingeForm::Relative { .. } = self.form {
                let by = tape.constant_with([n], |to| fill(&divisor, to))?;
                excess = tape.div(excess, by)?;
            }
            let square = tape.square(excess)?;
            tape.scale(square, T::from_f64(weight))
        };
        let low = side(&band.lo, true, self.weight_low)?;
        let high = side(&band.hi, false, self.weight_high)?;
        let sum = tape.add(low, high)?;
        tape.mean(sum)
    }
}
