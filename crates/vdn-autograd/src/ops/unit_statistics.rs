//! Measures of each unit in nats, from the statistics of [`Tape::sample_kl`], without another pass
//! over the data.
//!
//! With `V = mean sigma^2 = D0 + 1 + Lv`:
//!
//! ```text
//! KL = (M2 + D0) / 2 = R + D
//! R  = (ln(C2 + V) - Lv) / 2            rate: an upper bound of the information a unit carries
//! D  = (M2 + V - 1 - ln(C2 + V)) / 2    mismatch of the aggregate posterior with the prior
//! ```
//!
//! `ln(C2 + V)` is evaluated as `ln_1p(C2 + D0 + Lv)`, which is accurate for units near their
//! prior.

use crate::compiled_once::{Definition, compiled_once};
use crate::error::Error;
use crate::op::Shapes;
use crate::ops::sample_kl::UnitOutputs;
use crate::tape::Tape;
use crate::var::Var;
use vdn_tensor::kernels::{Formula, map};
use vdn_tensor::{Element, Real, Shape, ShapeError, View, ViewMut};

/// The rate, from `[C2, D0, Lv]`.
struct Rate;
impl Formula<3, 1> for Rate {
    #[inline(always)]
    fn apply<R: Real>(&self, [c2, d0, lv]: [R; 3]) -> [R; 1] {
        [((c2 + d0 + lv).ln_1p() - lv) * lv.lit(0.5)]
    }
}

/// The gradients of the rate: with respect to `C2` and `D0` (the same), and to `Lv`.
struct RateBackward;
impl Formula<4, 2> for RateBackward {
    #[inline(always)]
    fn apply<R: Real>(&self, [dr, c2, d0, lv]: [R; 4]) -> [R; 2] {
        let half = dr * dr.lit(0.5);
        let d = half / (lv.lit(1.0) + (c2 + d0 + lv));
        [d, d - half]
    }
}

/// The rate as an operation on `[C2, D0, Lv]`.
struct RateOp;

compiled_once!(RateOp);
impl<T: Element> Definition<T> for RateOp {
    fn name(&self) -> &'static str {
        "unit_rate"
    }

    fn output_shapes(&self, inputs: &[&Shape], outputs: &mut Shapes) -> Result<(), ShapeError> {
        if inputs.iter().any(|s| *s != inputs[0]) {
            return Err(ShapeError::new("unit_rate", inputs, "statistics of different layers"));
        }
        outputs.push(*inputs[0]);
        Ok(())
    }

    fn forward(&self, inputs: &[View<'_, T>], outputs: &mut [ViewMut<'_, T>]) {
        map(&Rate, [0, 1, 2].map(|i| inputs[i].data()), [outputs[0].data_mut()]);
    }

    fn backward(
        &self,
        inputs: &[View<'_, T>],
        _outputs: &[View<'_, T>],
        d_outputs: &[Option<View<'_, T>>],
        d_inputs: &mut [Option<ViewMut<'_, T>>],
    ) {
        let Some(dr) = d_outputs[0] else { return };
        let [c2, d0, lv] = [0, 1, 2].map(|i| inputs[i].data());
        vdn_tensor::with_scratch(2 * c2.len(), |scratch: &mut [T]| {
            let (both, last) = scratch.split_at_mut(c2.len());
            map(&RateBackward, [dr.data(), c2, d0, lv], [both, last]);
            for (d_input, from) in d_inputs.iter_mut().zip([&*both, both, last]) {
                if let Some(d) = d_input {
                    d.data_mut().copy_from_slice(from);
                }
            }
        });
    }
}

impl<T: Element> Tape<T> {
    /// The KL of each unit to its prior in nats, averaged over the batch, `[units]`:
    /// `(M2 + D0) / 2` for Gaussian units.
    ///
    /// # Errors
    /// Fails if a variable is stale.
    pub fn unit_kl(&mut self, units: &UnitOutputs) -> Result<Var, Error> {
        if let Some(mean_kl) = units.mean_kl {
            return Ok(mean_kl);
        }
        let sum = self.add(units.m2, units.d0)?;
        self.scale(sum, T::from_f64(0.5))
    }

    /// The weighted KL `sum_i beta_i KL_i` in nats, a scalar. `beta` is `[units]` or one number for
    /// all units.
    ///
    /// # Errors
    /// Fails if `beta` does not fit the units, or a variable is stale.
    pub fn weighted_kl(&mut self, units: &UnitOutputs, beta: Var) -> Result<Var, Error> {
        let kl = self.unit_kl(units)?;
        let weighted = self.mul(kl, beta)?;
        if self.shape(weighted) != self.shape(kl) {
            let reason = "beta has to be [units] or one number";
            return Err(ShapeError::new(
                "weighted_kl",
                &[self.shape(kl), self.shape(beta)],
                reason,
            )
            .into());
        }
        self.sum(weighted)
    }

    /// The rate `R` of each unit in nats, `[units]`: an upper bound of the mutual information
    /// between its input and its sample. It is near 0 for a unit that does not depend on its input,
    /// however large its KL is.
    ///
    /// # Errors
    /// Fails if a variable is stale.
    pub fn unit_rate(&mut self, units: &UnitOutputs) -> Result<Var, Error> {
        self.record_single(RateOp, &[units.c2, units.d0, units.lv])
    }

    /// The mismatch `D = KL - R` of each unit in nats, `[units]`: the cost of the distance between
    /// the aggregate posterior and the prior.
    ///
    /// # Errors
    /// Fails if a variable is stale.
    pub fn unit_mismatch(&mut self, units: &UnitOutputs) -> Result<Var, Error> {
        let kl = self.unit_kl(units)?;
        let rate = self.unit_rate(units)?;
        self.sub(kl, rate)
    }
}
