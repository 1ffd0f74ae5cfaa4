//! [`SequenceMeasures`]: the recorded measures of units along a sequence, which constraints read.

use vdn_autograd::{Error, Tape, Var};
use vdn_tensor::Element;

/// The recorded measures, both `[units]`.
#[derive(Clone, Copy, Debug)]
pub struct SequenceMeasures {
    /// The rate given the past, nats per step.
    pub rate: Var,
    /// The persistence, in (-1, 1).
    pub persistence: Var,
}

/// Records Fisher's transform `atanh rho = ln[(1 + rho)/(1 - rho)]/2`.
///
/// # Errors
/// Fails if the tape is full.
pub(crate) fn fisher<T: Element>(tape: &mut Tape<T>, rho: Var) -> Result<Var, Error> {
    let above = tape.add_scalar(rho, T::ONE)?;
    let below = tape.neg(rho)?;
    let below = tape.add_scalar(below, T::ONE)?;
    let ratio = tape.div(above, below)?;
    let twice = tape.ln(ratio)?;
    tape.scale(twice, T::from_f64(0.5))
}
