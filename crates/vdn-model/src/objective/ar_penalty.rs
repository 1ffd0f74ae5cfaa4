//! The reference's autoregressive penalty between two windows \[ref\]. It is not a bound of any
//! likelihood.
//!
//! ```text
//! AR = mean( (cur - phi prev)^2 ) / (2 s^2 + 1e-12)
//! s  = clamp(k sqrt(mean_i c_i), 0.03, 1)       c_i: the centre of unit i's energy band, sqrt(lo hi) or (lo + hi)/2
//! ```
//!
//! `cur` and `prev` are the units' means for a window and for the window `stride` steps earlier.

use crate::objective::energy_band::EnergyBand;
use vdn_autograd::{Error, Tape, Var};
use vdn_tensor::Element;

/// Records the penalty of two values of the same shape; the result is a scalar.
///
/// ```
/// use vdn_autograd::Tape;
/// use vdn_model::objective::ar_penalty;
/// let mut tape = Tape::<f64>::new();
/// let cur = tape.variable([1, 2], &[1.0, 0.5])?;
/// let prev = tape.variable([1, 2], &[1.0, 1.0])?;
/// let penalty = ar_penalty(&mut tape, cur, prev, 0.5, 0.5)?;
/// assert!((tape.scalar(penalty)? - 0.125 / 0.5).abs() < 1e-9);
/// # Ok::<(), vdn_autograd::Error>(())
/// ```
///
/// # Errors
/// Fails if the shapes do not match.
pub fn ar_penalty<T: Element>(
    tape: &mut Tape<T>,
    cur: Var,
    prev: Var,
    phi: f64,
    sigma: f64,
) -> Result<Var, Error> {
    let carried = tape.scale(prev, T::from_f64(phi))?;
    let innovation = tape.sub(cur, carried)?;
    let square = tape.square(innovation)?;
    let mean = tape.mean(square)?;
    tape.scale(mean, T::from_f64(1.0 / (2.0 * sigma * sigma + 1e-12)))
}

/// The definition of the centre of a band.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BandCentre {
    /// `sqrt(lo hi)`.
    #[default]
    Geometric,
    /// `(lo + hi) / 2`.
    Arithmetic,
}

/// The rule that computes the penalty's deviation from the energy bands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ArScale {
    /// The factor `k`.
    pub factor: f64,
    /// The smallest deviation, above 0.
    pub floor: f64,
    /// The largest deviation.
    pub ceiling: f64,
    /// The smallest centre.
    pub eps: f64,
    /// The definition of the centre.
    pub centre: BandCentre,
}

impl Default for ArScale {
    fn default() -> Self {
        let centre = BandCentre::Geometric;
        Self { factor: 0.8, floor: 0.03, ceiling: 1.0, eps: 1e-12, centre }
    }
}

impl ArScale {
    fn limit(&self, deviation: f64) -> f64 {
        deviation.max(self.floor).min(self.ceiling)
    }

    /// Returns the deviation for the centres of these bands.
    #[must_use]
    pub fn from_band(&self, band: &EnergyBand) -> f64 {
        let centre = |(&lo, &hi): (&f64, &f64)| match self.centre {
            BandCentre::Geometric => (lo.max(self.eps) * hi.max(self.eps)).sqrt(),
            BandCentre::Arithmetic => 0.5 * (lo + hi),
        };
        let sum: f64 = band.lo.iter().zip(&band.hi).map(centre).sum();
        let mean = sum / band.len().max(1) as f64;
        self.limit(self.factor * mean.max(self.eps).sqrt())
    }

    /// Returns the deviation for this mean width of the bands.
    #[must_use]
    pub fn from_width(&self, width: f64) -> f64 {
        self.limit(self.factor * width)
    }
}
