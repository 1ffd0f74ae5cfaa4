//! Persistence from window to window: the autocorrelation of units between a window and the window
//! `stride` rows earlier, as a differentiable function.
//!
//! ```text
//! rho_i = 2 Cov(mu_t, mu_{t-stride}) / (Var mu_t + Var mu_{t-stride} + 2 V)         over the batch, V = mean sigma_t^2
//! ```
//!
//! The samples of two windows are drawn independently, so their covariance is the covariance of the
//! means. `V` is the mean variance of either window.
//!
//! With the rate `R`, `abs(rho) <= C2/(C2 + V) <= 1 - exp(-2 R)`: a unit with little information
//! cannot be persistent from window to window. Along a sequence with a prior over time it can:
//! [`sequence_measures`](crate::sequence::measures).

use vdn_autograd::{Error, Tape, UnitOutputs, Var};
use vdn_tensor::Element;

/// Records the autocorrelation of units' samples between windows, `[units * latent dims]`. `now`
/// and `before` are the means of the posteriors, `[batch, units * latent dims]` each; `units` holds
/// the statistics that belong to `now`.
///
/// ```
/// use vdn_autograd::{Noise, SampleKl, Tape};
/// use vdn_model::objective::window_persistence;
/// use vdn_tensor::noise::NoiseKey;
/// let mut tape = Tape::<f64>::new();
/// let now = tape.variable([2, 1], &[1.0, -1.0])?;
/// let before = tape.variable([2, 1], &[0.5, -0.5])?;
/// let logvar = tape.variable([1], &[0.0])?;
/// let noise = Noise::Addressed(NoiseKey::new(1, 0, 0));
/// let units = tape.sample_kl(now, logvar, SampleKl::new(1, noise))?;
/// let rho = window_persistence(&mut tape, now, before, &units)?;
/// // 2 * 0.5 / (1 + 0.25 + 2 * 1)
/// assert!((tape.value(rho).data()[0] - 1.0 / 3.25).abs() < 1e-12);
/// # Ok::<(), vdn_autograd::Error>(())
/// ```
///
/// # Errors
/// Fails if the shapes do not match.
pub fn window_persistence<T: Element>(
    tape: &mut Tape<T>,
    now: Var,
    before: Var,
    units: &UnitOutputs,
) -> Result<Var, Error> {
    let mut centred = |x: Var| -> Result<Var, Error> {
        let mean = tape.mean_axis(x, 0)?;
        tape.sub(x, mean)
    };
    let (now, before) = (centred(now)?, centred(before)?);
    let product = tape.mul(now, before)?;
    let covariance = tape.mean_axis(product, 0)?;
    let covariance = tape.scale(covariance, T::from_f64(2.0))?;
    let [a, b] = [tape.square(now)?, tape.square(before)?];
    let squares = tape.add(a, b)?;
    let spread = tape.mean_axis(squares, 0)?;
    // V = D0 + 1 + Lv.
    let variance = tape.add(units.d0, units.lv)?;
    let variance = tape.add_scalar(variance, T::ONE)?;
    let variance = tape.scale(variance, T::from_f64(2.0))?;
    let whole = tape.add(spread, variance)?;
    tape.div(covariance, whole)
}
