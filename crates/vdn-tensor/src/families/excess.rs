//! The difference between a logarithm and its tangent, without cancellation: the counterpart of
//! [`exp_m1_minus`](super::gaussian::exp_m1_minus).

use crate::real::Real;

/// The number of terms of the series below. At `|w| = 1/7` the first omitted term is
/// `3 / 25 * 7^-22 = 3e-20` of the result.
const TERMS: u32 = 11;

/// Returns `ln(1 + y) - y` for all `y > -1`; the result is never positive.
///
/// With `w = y / (2 + y)`, `ln(1 + y) = 2 atanh w` and `2 w - y = -y w`. The difference is
/// therefore `-y w + 2 w^3 (1/3 + w^2/5 + w^4/7 + ...)`, which is used for `|y| < 1/4`.
///
/// ```
/// use vdn_tensor::families::ln_1p_minus;
/// assert!((ln_1p_minus(1e-8_f64) / -0.5e-16 - 1.0).abs() < 1e-8);
/// assert!((ln_1p_minus(1.0_f64) - (2f64.ln() - 1.0)).abs() < 1e-16);
/// ```
#[inline(always)]
pub fn ln_1p_minus<R: Real>(y: R) -> R {
    let w = y / (y + y.lit(2.0));
    let square = w * w;
    let mut series = y.lit(1.0 / f64::from(2 * TERMS + 1));
    for k in (1..TERMS).rev() {
        series = series.mul_add(square, y.lit(1.0 / f64::from(2 * k + 1)));
    }
    let near = w * (square * (series + series) - y);
    R::select(y.abs().lt(y.lit(0.25)), near, y.ln_1p() - y)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_formulas_agree_where_they_meet_and_the_series_is_exact_near_zero() {
        for y in [0.25_f64, -0.25, 0.2, -0.2] {
            let (inside, direct) = (ln_1p_minus(y * (1.0 - 1e-15)), y.ln_1p() - y);
            // The direct difference loses a factor |y| / (y^2/2) = 8 to 10 of its 2^-53.
            assert!((inside / direct - 1.0).abs() < 32.0 * f64::EPSILON, "{y}: {inside} {direct}");
        }
        for e in 4..60 {
            let y = 10_f64.powi(-e);
            for y in [y, -y] {
                let want = y * y * (-0.5 + y * (1.0 / 3.0 - y * (0.25 - y / 5.0)));
                assert!((ln_1p_minus(y) / want - 1.0).abs() < 1e-14, "{y}");
            }
        }
    }
}
