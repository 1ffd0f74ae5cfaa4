//! A unit under a conditional prior: the prior `Normal(c, s^2)` of a step given the previous step,
//! times a Gaussian message.
//!
//! The message is `Normal(z; m, r)`. Let `d = ln s^2 - ln r`, `e = m - c` and the gain
//! `g = sigmoid(d)`. The posterior, proportional to `Normal(z; c, s^2) Normal(z; m, r)`, is
//! `Normal(c + g e, s^2 (1 - g))`. Its divergence from the prior is
//! `[-ln(1 - g) - g + g^2 e^2/s^2]/2`.
//!
//! [`Real::gain`] computes the gain, its complement and `-ln(1 - g) - g`.

use crate::real::Real;

/// Returns the distance `e` from the prior's mean to the message's; 0 if the message is missing,
/// whatever its mean is.
#[inline(always)]
pub fn distance<R: Real>(gain: R, m: R, c: R) -> R {
    let zero = gain.lit(0.0);
    R::select(zero.lt(gain), m - c, zero)
}

/// Returns the divergence from the prior in nats. `precision` is `1/s^2`, and `excess` is
/// `-ln(1 - g) - g`.
#[inline(always)]
pub fn divergence<R: Real>(gain: R, e: R, precision: R, excess: R) -> R {
    let pull = gain * e;
    (pull * pull).mul_add(precision, excess) * gain.lit(0.5)
}

/// Returns the derivatives of a loss with respect to `m`, `c`, `d` and `ln s^2` (at fixed `d`),
/// from its slopes with respect to the draw and to the divergence. `spread` is `s sqrt(1 - g) eps`.
#[inline(always)]
pub fn pull<R: Real>(
    [gain, rest]: [R; 2],
    e: R,
    precision: R,
    spread: R,
    [dz, dk]: [R; 2],
) -> [R; 4] {
    let half = gain.lit(0.5);
    let (noise, cost, scaled) = (dz * spread * half, dk * gain * gain, e * precision);
    let w = e * scaled;
    let by_m = dz.mul_add(gain, cost * scaled);
    let by_d = gain.mul_add((dz * rest).mul_add(e, -noise), cost * rest.mul_add(w, half));
    [by_m, dz - by_m, by_d, noise - cost * w * half]
}
