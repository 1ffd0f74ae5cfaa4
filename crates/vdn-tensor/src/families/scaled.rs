//! Products with a power of e that may exceed the range of the number type although the product
//! does not.
//!
//! Evaluated as written, `x e^a` is NaN for `x = 0` if `e^a` overflows (for instance, for a
//! posterior that equals a prior with a log-variance of -100 in `f32`), and infinite for a small
//! `x`. If the power is ordinary, the functions here evaluate the product as written, bit for bit.
//! Otherwise they multiply the power in four steps, each of which stays between `x` and the result.

use crate::real::{Mask, Real};

/// The bounds between which powers and squares are ordinary in `f32` and `f64`: products with them
/// lose no digits.
const LOW: f64 = 1e-36;
const HIGH: f64 = 1e36;

/// Returns whether `x`, which is not negative, is far from both ends of the range of numbers.
#[inline(always)]
pub fn is_ordinary<R: Real>(x: R) -> R::Mask {
    x.gt(x.lit(LOW)) & x.lt(x.lit(HIGH))
}

/// Returns `x e^exponent`; 0 for `x = 0` and infinite for an infinite `x`, whatever the exponent
/// is.
///
/// ```
/// use vdn_tensor::families::times_exp;
/// assert_eq!(times_exp(0.0_f64, 1e4), 0.0);
/// assert!((times_exp(1e-300_f64, 1000.0) / 1.970_071_114_017e134 - 1.0).abs() < 1e-9);
/// ```
#[inline(always)]
pub fn times_exp<R: Real>(x: R, exponent: R) -> R {
    let power = exponent.exp();
    let (plain, ordinary) = (x * power, is_ordinary(power));
    if ordinary.all() {
        return plain;
    }
    let quarter = (exponent * exponent.lit(0.25)).exp();
    let stepped = x * quarter * quarter * quarter * quarter;
    let size = x.abs();
    let moves = size.gt(x.lit(0.0)) & size.lt(x.lit(f64::INFINITY));
    let still = R::select(exponent.le(exponent), x, exponent);
    R::select(ordinary, plain, R::select(moves, stepped, still))
}

/// Returns `distance^2 e^-logvar`: the square of a distance in deviations.
#[inline(always)]
pub fn mismatch<R: Real>(distance: R, logvar: R) -> R {
    let (square, precision) = (distance * distance, (-logvar).exp());
    let near = square.le(square.lit(0.0)) & precision.lt(precision.lit(HIGH));
    let ordinary = (is_ordinary(square) & is_ordinary(precision)) | near;
    if ordinary.all() {
        return square * precision;
    }
    let deviations = times_exp(distance, logvar * logvar.lit(-0.5));
    R::select(ordinary, square * precision, deviations * deviations)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_out_of_range_are_taken_in_steps() {
        let cases = [
            (0.0, 1e5, 0.0),
            (0.0, f64::INFINITY, 0.0),
            (1e-300, 1000.0, 1.970_071_114_017_046_9e134),
            (1e300, -1000.0, 5.075_958_897_549_456e-135),
            (-1e-300, 1000.0, -1.970_071_114_017_046_9e134),
            (f64::INFINITY, -1e5, f64::INFINITY),
            (3.0, 2.0, 3.0 * 2f64.exp()),
        ];
        for (x, exponent, want) in cases {
            let got = times_exp(x, exponent);
            assert!(got == want || (got / want - 1.0).abs() < 1e-13, "{x} {exponent}: {got}");
        }
        assert!(times_exp(f64::NAN, 1e4).is_nan() && times_exp(1.0, f64::NAN).is_nan());
        assert!(times_exp(0.0, f64::NAN).is_nan());
    }

    #[test]
    fn distances_in_deviations_have_their_limits() {
        // 1e-25 at log-variance -115: (1e-25 e^57.5)^2.
        let want = (1e-25 * 57.5_f64.exp()).powi(2);
        for (distance, logvar, want) in [(0.0, -1e5, 0.0), (1e-25, -115.0, want), (2.0, 0.0, 4.0)] {
            let got = mismatch(distance, logvar);
            assert!(got == want || (got / want - 1.0).abs() < 1e-13, "{distance} {logvar}: {got}");
        }
    }
}
