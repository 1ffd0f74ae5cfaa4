//! Minima of smooth functions of a few numbers.

/// The end of a search.
pub(crate) struct Found<const N: usize> {
    pub(crate) at: [f64; N],
    pub(crate) rounds: usize,
    /// The length of the gradient there.
    pub(crate) slope: f64,
}

fn dot<const N: usize>(a: &[f64; N], b: &[f64; N]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// The minimum that the method of Broyden, Fletcher, Goldfarb and Shanno (1970) finds of a function
/// that gives its value and its gradient; it ends where the gradient is below 1e-5 or steps no
/// longer lower the value.
pub(crate) fn minimum<const N: usize>(
    start: [f64; N],
    mut f: impl FnMut(&[f64; N]) -> (f64, [f64; N]),
) -> Found<N> {
    let mut inverse = [[0.0; N]; N];
    (0..N).for_each(|i| inverse[i][i] = 1.0);
    let mut at = start;
    let (mut value, mut gradient) = f(&at);
    for rounds in 0..500 {
        let length = dot(&gradient, &gradient).sqrt();
        if length < 1e-5 {
            return Found { at, rounds, slope: length };
        }
        let mut step: [f64; N] = std::array::from_fn(|i| -dot(&inverse[i], &gradient));
        // Steps are at most 1/2: far from the minimum, curvatures are not informative.
        let far = dot(&step, &step).sqrt();
        step.iter_mut().for_each(|s| *s *= (0.5 / far).min(1.0));
        let slope = dot(&step, &gradient);
        let mut factor = 1.0;
        let (next, (lower, there)) = loop {
            let next = std::array::from_fn(|i| at[i] + factor * step[i]);
            let found = f(&next);
            if found.0 <= value + 1e-4 * factor * slope {
                break (next, found);
            }
            factor *= 0.5;
            if factor < 1e-6 {
                return Found { at, rounds, slope: length };
            }
        };
        let s: [f64; N] = std::array::from_fn(|i| next[i] - at[i]);
        let y: [f64; N] = std::array::from_fn(|i| there[i] - gradient[i]);
        let sy = dot(&s, &y);
        if sy > 1e-12 {
            if rounds == 0 {
                let scale = sy / dot(&y, &y);
                (0..N).for_each(|i| inverse[i][i] = scale);
            }
            let hy: [f64; N] = std::array::from_fn(|i| dot(&inverse[i], &y));
            let square = (1.0 + dot(&y, &hy) / sy) / sy;
            for i in 0..N {
                for j in 0..N {
                    inverse[i][j] += square * s[i] * s[j] - (hy[i] * s[j] + s[i] * hy[j]) / sy;
                }
            }
        }
        (at, value, gradient) = (next, lower, there);
    }
    Found { at, rounds: 500, slope: dot(&gradient, &gradient).sqrt() }
}

/// Standard errors of an estimate, where `f` is the negative log-likelihood times `scale`: by the
/// curvature there.
pub(crate) fn standard_errors<const N: usize>(
    at: &[f64; N],
    scale: f64,
    f: impl Fn(&[f64; N]) -> f64,
) -> [f64; N] {
    let h = 1e-3;
    let mut matrix = [[0.0; N]; N];
    for i in 0..N {
        for j in 0..=i {
            let corner = |a: f64, b: f64| {
                let mut at = *at;
                at[i] += a * h;
                at[j] += b * h;
                f(&at)
            };
            let sum = corner(1.0, 1.0) - corner(1.0, -1.0) - corner(-1.0, 1.0) + corner(-1.0, -1.0);
            (matrix[i][j], matrix[j][i]) = (sum / (4.0 * h * h), sum / (4.0 * h * h));
        }
    }
    // The inverse by Gauss and Jordan; the matrix is positive definite, so no pivot is 0.
    for k in 0..N {
        let pivot = matrix[k][k];
        assert!(pivot > 0.0, "no maximum of the likelihood: {pivot}");
        matrix[k][k] = 1.0;
        matrix[k].iter_mut().for_each(|x| *x /= pivot);
        let row = matrix[k];
        for (i, other) in matrix.iter_mut().enumerate() {
            if i != k {
                let factor = std::mem::replace(&mut other[k], 0.0);
                other.iter_mut().zip(row).for_each(|(x, r)| *x -= factor * r);
            }
        }
    }
    std::array::from_fn(|i| (scale * matrix[i][i]).sqrt())
}
