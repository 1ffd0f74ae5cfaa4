//! [`LocalObjective`]: a layer's own part of the loss, as differentiable functions of its fused
//! statistics.
//!
//! ```text
//! sum_i beta_i f max(KL_i, floor)  +  w_band f_band band(mu2)  +  w_ar f_ar AR  +  w_C |sum KL - C|
//!     +  constraints on rate, KL and persistence
//! ```
//!
//! The loss is in nats per time step, like the score to which it is added. The objective is plain
//! data: controllers set its numbers between steps.

use crate::objective::constraint::Constraint;
use crate::objective::energy_band::{EnergyBand, Hinge};
use crate::objective::sequence_measures::{SequenceMeasures, fisher};
use vdn_autograd::{Error, Tape, UnitOutputs, Var};
use vdn_tensor::Element;

/// The band penalty.
#[derive(Clone, Debug, PartialEq)]
pub struct BandTerm {
    /// The bands, `[units]`.
    pub bounds: EnergyBand,
    /// The penalty's form and side weights.
    pub hinge: Hinge,
    /// The penalty's weight.
    pub weight: f64,
}

/// The autoregressive penalty.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ArTerm {
    /// The weight before the ramp.
    pub weight: f64,
    /// The ramp's present value, in [0, 1].
    pub ramp: f64,
    /// The coefficient of the earlier window's mean.
    pub phi: f64,
    /// The deviation, above 0.
    pub sigma: f64,
    /// The predecessor with which the earlier window is encoded.
    pub earlier: EarlierWindow,
}

/// The window that stands for the earlier window's predecessor in an encoder of pairs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum EarlierWindow {
    /// Its own predecessor: both windows are encoded in the same way.
    #[default]
    Predecessor,
    /// The earlier window itself, so that its innovation is 0, as in the reference.
    Itself,
}

/// The capacity term `weight |sum_i KL_i - target|`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CapacityTerm {
    /// The weight.
    pub weight: f64,
    /// The target in nats per window.
    pub target: f64,
}

/// The definition of energy and KL for a unit with several latent dimensions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UnitMeasures {
    /// Energy: the mean of `M2` over dimensions. KL: the mean over dimensions, because budgets are
    /// per latent dimension.
    #[default]
    PerDimension,
    /// Energy: the mean square of the pooled mean. KL: the sum over dimensions. As in the
    /// reference.
    Pooled,
}

/// A layer's own part of the loss.
#[derive(Clone, Debug, PartialEq)]
pub struct LocalObjective {
    /// The weight of each unit's KL, `[units]`.
    pub beta: Vec<f64>,
    /// The common factor on all KL weights.
    pub kl_factor: f64,
    /// The KL in nats below which a latent dimension costs nothing.
    pub free_bits: f64,
    /// The capacity target of the layer.
    pub capacity: Option<CapacityTerm>,
    /// The constraint on rates.
    pub rate: Option<Constraint>,
    /// The constraint on KLs.
    pub kl: Option<Constraint>,
    /// The constraint on the persistence: from step to step in layers with a prior over time, from
    /// window to window in others.
    pub persistence: Option<Constraint>,
    /// The energy bands.
    pub band: Option<BandTerm>,
    /// The autoregressive penalty.
    pub autoregression: Option<ArTerm>,
}

/// The values recorded between a layer's current windows and the windows before them, or between
/// the steps of a sequence. Fields are `None` unless a term of the objective needs them.
#[derive(Clone, Copy, Debug, Default)]
pub struct BetweenWindows {
    /// The autoregressive penalty, a scalar.
    pub ar: Option<Var>,
    /// The persistence of each latent dimension, `[units * latent dims]`: from window to window
    /// ([`window_persistence`](crate::objective::window_persistence)) or from step to step
    /// ([`step_persistence`](crate::sequence::step_persistence)).
    pub persistence: Option<Var>,
}

/// The recorded terms of a layer's local objective.
#[derive(Clone, Copy, Debug)]
pub struct LocalTerms {
    /// The sum of all terms, a scalar.
    pub total: Var,
    /// The weighted KL.
    pub weighted_kl: Var,
    /// The band penalty without its weight.
    pub band: Option<Var>,
    /// The autoregressive penalty without its weight.
    pub ar: Option<Var>,
    /// The rate of each latent dimension, if a constraint needs it.
    pub rate: Option<Var>,
    /// The persistence of each latent dimension from window to window or from step to step, if a
    /// constraint needs it.
    pub persistence: Option<Var>,
}

impl LocalObjective {
    /// Creates an objective with only the KL of this many units, each weighted by `beta`.
    #[must_use]
    pub fn new(units: usize, beta: f64) -> Self {
        Self {
            beta: vec![beta; units],
            kl_factor: 1.0,
            free_bits: 0.0,
            capacity: None,
            rate: None,
            kl: None,
            persistence: None,
            band: None,
            autoregression: None,
        }
    }

    /// Records the constraints of a layer along a sequence, a scalar: on the rate given the past,
    /// and on the persistence. Returns `None` if the layer has no constraints.
    ///
    /// # Errors
    /// Fails if the measures belong to another layer.
    pub fn record_sequence<T: Element>(
        &self,
        tape: &mut Tape<T>,
        measures: &SequenceMeasures,
    ) -> Result<Option<Var>, Error> {
        let rate = self.rate.as_ref().map(|rate| rate.term(tape, measures.rate)).transpose()?;
        let Some(persistence) = &self.persistence else { return Ok(rate) };
        let transformed = fisher(tape, measures.persistence)?;
        let term = persistence.term(tape, transformed)?;
        Ok(Some(match rate {
            Some(rate) => tape.add(rate, term)?,
            None => term,
        }))
    }

    /// Records the objective. `energy` is the energy of each unit, `[units]`; `between` holds the
    /// values recorded between windows.
    ///
    /// # Errors
    /// Fails if the statistics belong to another layer.
    pub fn record<T: Element>(
        &self,
        tape: &mut Tape<T>,
        units: &UnitOutputs,
        energy: Var,
        between: BetweenWindows,
    ) -> Result<LocalTerms, Error> {
        let BetweenWindows { ar, persistence } = between;
        let kl = tape.unit_kl(units)?;
        let dims = tape.shape(kl).numel();
        let per_unit = dims / self.beta.len().max(1);
        let beta = tape.constant_with([dims], |to| {
            for (to, beta) in to.chunks_mut(per_unit.max(1)).zip(&self.beta) {
                to.fill(T::from_f64(self.kl_factor * beta));
            }
        })?;
        let mut charged = kl;
        if self.free_bits > 0.0 {
            let excess = tape.add_scalar(kl, T::from_f64(-self.free_bits))?;
            let excess = tape.relu(excess)?;
            charged = tape.add_scalar(excess, T::from_f64(self.free_bits))?;
        }
        let weighted = tape.mul(charged, beta)?;
        let weighted_kl = tape.sum(weighted)?;
        let mut total = weighted_kl;
        let mut terms = LocalTerms { total, weighted_kl, band: None, ar, rate: None, persistence };
        if let Some(CapacityTerm { weight, target }) = self.capacity {
            let sum = tape.sum(kl)?;
            let gap = tape.add_scalar(sum, T::from_f64(-target))?;
            let over = tape.relu(gap)?;
            let under = tape.neg(gap)?;
            let under = tape.relu(under)?;
            let distance = tape.add(over, under)?;
            let scaled = tape.scale(distance, T::from_f64(weight))?;
            total = tape.add(total, scaled)?;
        }
        if let Some(constraint) = &self.rate {
            let rate = tape.unit_rate(units)?;
            terms.rate = Some(rate);
            let term = constraint.term(tape, rate)?;
            total = tape.add(total, term)?;
        }
        if let Some(constraint) = &self.kl {
            let term = constraint.term(tape, kl)?;
            total = tape.add(total, term)?;
        }
        if let (Some(constraint), Some(rho)) = (&self.persistence, persistence) {
            let transformed = fisher(tape, rho)?;
            let term = constraint.term(tape, transformed)?;
            total = tape.add(total, term)?;
        }
        if let Some(band) = &self.band {
            let penalty = band.hinge.penalty(tape, energy, &band.bounds)?;
            terms.band = Some(penalty);
            let scaled = tape.scale(penalty, T::from_f64(band.weight))?;
            total = tape.add(total, scaled)?;
        }
        if let (Some(ArTerm { weight, ramp, .. }), Some(ar)) = (self.autoregression, ar) {
            let scaled = tape.scale(ar, T::from_f64(weight * ramp))?;
            total = tape.add(total, scaled)?;
        }
        Ok(LocalTerms { total, ..terms })
    }
}
