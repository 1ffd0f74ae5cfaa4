//! Refusals of numbers outside the domain of an operation. The errors name the operation, the
//! number and its position.
//!
//! Only numbers that would fail silently, or fail elsewhere, are refused here. NaN is not refused:
//! results computed from it are NaN, and [`Tape::first_non_finite`] names the first value that
//! contains one.

use crate::error::Error;
use crate::tape::Tape;
use crate::var::Var;
use vdn_tensor::Element;

impl<T: Element> Tape<T> {
    /// Refuses the first number of `var` for which `wrong` returns a reason. The variable must not
    /// be stale.
    pub(crate) fn check_values(
        &self,
        name: &'static str,
        var: Var,
        wrong: impl Fn(f64) -> Option<String>,
    ) -> Result<(), Error> {
        if self.shared.is_released(self.node(name, var)) {
            return Err(Error::invalid(name, "a shared tensor that was released"));
        }
        for (position, x) in self.value(var).data().iter().enumerate() {
            if let Some(reason) = wrong(x.to_f64()) {
                return Err(Error::invalid(name, format!("{x} at position {position} {reason}")));
            }
        }
        Ok(())
    }

    /// Refuses counts that are not whole numbers from 0 on, or that require a gradient. The
    /// variable must not be stale.
    pub(crate) fn check_counts(&self, name: &'static str, y: Var) -> Result<(), Error> {
        if self.requires_grad(y) {
            return Err(Error::invalid(name, "counts have no gradient, but y wants one"));
        }
        self.check_values(name, y, |y| {
            let fits = y >= 0.0 && y.is_finite() && y.fract() == 0.0;
            (!fits).then(|| "is not a count from 0 on".to_owned())
        })
    }

    /// Refuses numbers of the input called `what` that are not above 0: deviations, scales, degrees
    /// of freedom. The variable must not be stale.
    pub(crate) fn check_above_zero(
        &self,
        name: &'static str,
        what: &'static str,
        var: Var,
    ) -> Result<(), Error> {
        if self.shared.is_released(self.node(name, var)) {
            return Err(Error::invalid(name, "a shared tensor that was released"));
        }
        let data = self.value(var).data();
        // There is no early exit inside a block, so that blocks are compared with SIMD
        // instructions.
        let wrong = |block: &[T]| block.iter().fold(false, |found, x| found | (*x <= T::ZERO));
        if !data.chunks(256).any(wrong) {
            return Ok(());
        }
        let at = data.iter().position(|x| *x <= T::ZERO).unwrap_or_default();
        let reason = format!("{what} is {} at position {at}: has to be above 0", data[at]);
        Err(Error::invalid(name, reason))
    }
}
