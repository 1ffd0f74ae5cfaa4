//! [`gated_moments`]: the moments of `sigmoid(g) d` for jointly normal `g` and `d`.

use crate::units::moments::quadrature::hermite;

/// The moments of `sigmoid(g) d`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GatedMoments {
    /// `E sigmoid(g) d`.
    pub mean: f64,
    /// `Var sigmoid(g) d`.
    pub variance: f64,
    /// `E sigmoid'(g) d`. By Stein's lemma it is the factor of `Cov(x, g)` in
    /// `Cov(x, sigmoid(g) d)` for a jointly normal `x`.
    pub by_gate: f64,
    /// `E sigmoid(g)`: the factor of `Cov(x, d)`.
    pub by_value: f64,
}

/// Returns the moments of `sigmoid(g) d` for jointly normal `g` and `d`. Each is given by its mean
/// and variance; `covariance` is the covariance of the two.
///
/// Given `g`, the value `d` is normal with mean `m + c (g - E g)/Var g` and variance
/// `Var d - c^2/Var g`. All moments are therefore means over `g` alone. They are computed by a
/// Gauss-Hermite rule of 32 nodes. Its error, relative to `1 + E d^2`, is 1e-11 if the deviation of
/// `g` is at most 0.7, 1e-5 at 2 and 1e-3 at 5.
///
/// ```
/// use vdn_model::units::moments::gated_moments;
/// // A gate that is certain scales.
/// let half = gated_moments([0.0, 0.0], [3.0, 4.0], 0.0);
/// assert!((half.mean - 1.5).abs() < 1e-14 && (half.variance - 1.0).abs() < 1e-14);
/// ```
#[must_use]
pub fn gated_moments(gate: [f64; 2], value: [f64; 2], covariance: f64) -> GatedMoments {
    let deviation = gate[1].sqrt();
    // The covariance of the value and the gate, per deviation of the gate. Rounding must not take
    // it beyond the limit of Cauchy and Schwarz.
    let limit = value[1].sqrt();
    let along = if deviation > 0.0 { covariance / deviation } else { 0.0 };
    let along = if along.abs() > limit { limit.copysign(along) } else { along };
    let rest = value[1] - along * along;
    let at = |t: f64| {
        let x = deviation.mul_add(t, gate[0]);
        let open = 1.0 / (1.0 + (-x).exp());
        [open, along.mul_add(t, value[0])]
    };
    let (mut mean, mut by_gate, mut by_value) = (0.0, 0.0, 0.0);
    for &(t, weight) in hermite() {
        let [open, value] = at(t);
        mean += weight * open * value;
        by_gate += weight * open * (1.0 - open) * value;
        by_value += weight * open;
    }
    let mut variance = 0.0;
    for &(t, weight) in hermite() {
        let [open, value] = at(t);
        let off = open.mul_add(value, -mean);
        variance += weight * (off * off + open * open * rest);
    }
    GatedMoments { mean, variance, by_gate, by_value }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The trapezium rule over two independent standard normals `s` and `t`: `g = m + a s`,
    /// `d = m' + b s + e t`.
    fn by_trapezium(gate: [f64; 2], value: [f64; 2], covariance: f64) -> [f64; 4] {
        let (steps, reach) = (1200, 10.0);
        let h = 2.0 * reach / f64::from(steps);
        let a = gate[1].sqrt();
        let b = covariance / a;
        let e = (value[1] - b * b).sqrt();
        let density = |x: f64| h * (-0.5 * x * x).exp() / std::f64::consts::TAU.sqrt();
        let mut sums = [0.0; 4];
        for i in 0..=steps {
            let s = -reach + h * f64::from(i);
            let open = 1.0 / (1.0 + (-(gate[0] + a * s)).exp());
            for j in 0..=steps / 10 {
                // The square is a polynomial in t, so a coarse rule is exact to rounding.
                let t = -reach + 10.0 * h * f64::from(j);
                let d = value[0] + b * s + e * t;
                let weight = density(s) * 10.0 * density(t);
                let terms = [open * d, (open * d).powi(2), open * (1.0 - open) * d, open];
                sums.iter_mut().zip(terms).for_each(|(sum, term)| *sum += weight * term);
            }
        }
        [sums[0], sums[1] - sums[0] * sums[0], sums[2], sums[3]]
    }

    #[test]
    fn moments_are_those_of_a_rule_over_both_variables() {
        for (gate, bound) in [([0.3, 0.5], 1e-11), ([-1.5, 4.0], 1e-5), ([2.0, 25.0], 1e-3)] {
            for value in [[0.0, 1.0], [2.0, 0.3], [-1.0, 9.0]] {
                for share in [-0.9, 0.0, 0.4] {
                    let covariance = share * f64::sqrt(gate[1] * value[1]);
                    let got = gated_moments(gate, value, covariance);
                    let want = by_trapezium(gate, value, covariance);
                    let got = [got.mean, got.variance, got.by_gate, got.by_value];
                    let size = 1.0 + value[1] + value[0] * value[0];
                    for (got, want) in got.into_iter().zip(want) {
                        assert!(
                            (got - want).abs() < bound * size,
                            "{gate:?} {value:?}: {got} {want}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn covariances_follow_by_the_lemma_of_stein() {
        // x = g itself and x = d: Cov(x, f) = E x f - E x E f, with the same rule over both.
        let (gate, value, covariance) = ([0.4, 0.8], [1.1, 0.6], 0.3);
        let got = gated_moments(gate, value, covariance);
        let along = covariance / gate[1].sqrt();
        let (mut with_gate, mut with_value) = (0.0, 0.0);
        for &(t, weight) in hermite() {
            let g = gate[0] + gate[1].sqrt() * t;
            let open = 1.0 / (1.0 + (-g).exp());
            let (mean, rest) = (value[0] + along * t, value[1] - along * along);
            with_gate += weight * (g - gate[0]) * open * mean;
            with_value += weight * open * ((mean - value[0]) * mean + rest);
        }
        let by =
            |with_gate: f64, with_value: f64| with_gate * got.by_gate + with_value * got.by_value;
        assert!((by(gate[1], covariance) - with_gate).abs() < 1e-12);
        assert!((by(covariance, value[1]) - with_value).abs() < 1e-12);
    }

    #[test]
    fn a_certain_gate_and_full_correlation_are_no_exception() {
        let certain = gated_moments([1.0, 0.0], [2.0, 0.5], 0.0);
        let open = 1.0 / (1.0 + (-1.0f64).exp());
        assert!((certain.mean - 2.0 * open).abs() < 1e-14);
        assert!((certain.variance - 0.5 * open * open).abs() < 1e-14);
        // Rounding may leave a covariance beyond the limit that the variances impose.
        let beyond = gated_moments([0.0, 1.0], [0.0, 1.0], 1.0 + 1e-12);
        assert!(
            (beyond.variance - gated_moments([0.0, 1.0], [0.0, 1.0], 1.0).variance).abs() < 1e-11
        );
        assert!(gated_moments([f64::NAN, 1.0], [0.0, 1.0], 0.0).mean.is_nan());
    }
}
