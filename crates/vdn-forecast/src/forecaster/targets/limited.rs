//! [`Limited`]: targets on the lower limit of their series, and means of the limited quantity.

use crate::forecaster::targets::log_density;
use vdn_autograd::{Error, Tape, Var};
use vdn_tensor::Element;

/// The lower limits of a batch's series, and the targets on them.
#[derive(Clone, Copy, Debug)]
pub(in crate::forecaster) struct Limited {
    /// 1 where the target is on its limit, else 0, `[batch, horizon]`.
    pub(super) on: Var,
    /// The limits, `[batch, 1]`.
    floor: Var,
}

impl Limited {
    /// Records the limits of windows, `[batch]`, and the mask of the targets `[batch, horizon]` on
    /// them.
    pub(super) fn record<T: Element>(
        tape: &mut Tape<T>,
        targets: &[T],
        floors: &[f64],
        [rows, horizon]: [usize; 2],
    ) -> Result<Self, Error> {
        let floor = tape.constant_with([rows, 1], |to| {
            to.iter_mut().zip(floors).for_each(|(to, &floor)| *to = T::from_f64(floor));
        })?;
        let on = tape.constant_with([rows, horizon], |to| {
            let windows = to.chunks_exact_mut(horizon).zip(targets.chunks_exact(horizon));
            for ((to, window), &floor) in windows.zip(floors) {
                let floor = T::from_f64(floor).to_f64();
                for (to, y) in to.iter_mut().zip(window) {
                    *to = if y.to_f64() <= floor { T::ONE } else { T::ZERO };
                }
            }
        })?;
        Ok(Self { on, floor })
    }

    /// Records the means of the limited quantity, `E max(X, f)`, with the shape of `mean`.
    pub(in crate::forecaster) fn means<T: Element>(
        self,
        tape: &mut Tape<T>,
        mean: Var,
        sigma: Var,
    ) -> Result<Var, Error> {
        let distance = tape.sub(mean, self.floor)?;
        let above = tape.div(distance, sigma)?;
        let density = log_density(tape, above)?;
        let density = tape.exp(density)?;
        let share = tape.ln_normal_cdf(above)?;
        let share = tape.exp(share)?;
        let part = tape.mul(above, share)?;
        let excess = tape.add(density, part)?;
        let excess = tape.mul(excess, sigma)?;
        tape.add(excess, self.floor)
    }

    /// Records the residuals in deviations, `[batch, horizon]`. For a target on its limit, the
    /// residual is the mean below the limit, `E[Z | Z < z] = -φ(z)/Φ(z)`.
    pub(in crate::forecaster) fn residuals<T: Element>(
        self,
        tape: &mut Tape<T>,
        standard: Var,
    ) -> Result<Var, Error> {
        let density = log_density(tape, standard)?;
        let mass = tape.ln_normal_cdf(standard)?;
        let ratio = tape.sub(density, mass)?;
        let ratio = tape.exp(ratio)?;
        let below = tape.neg(ratio)?;
        tape.where_mask(self.on, below, standard)
    }
}
