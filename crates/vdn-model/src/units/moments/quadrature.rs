//! Gauss quadrature rules: nodes and weights by Newton's method on the three-term recurrences.

use std::sync::OnceLock;

/// The number of nodes of the Gauss-Legendre rule.
pub(super) const LEGENDRE: usize = 32;
/// The number of nodes of the Gauss-Hermite rule.
pub(super) const HERMITE: usize = 32;

/// Returns nodes and weights of the Gauss-Legendre rule on [-1, 1].
pub(super) fn legendre() -> &'static [(f64, f64); LEGENDRE] {
    static RULE: OnceLock<[(f64, f64); LEGENDRE]> = OnceLock::new();
    RULE.get_or_init(|| {
        let n = LEGENDRE as f64;
        let mut rule = [(0.0, 0.0); LEGENDRE];
        for (i, pair) in rule.iter_mut().enumerate() {
            let start = (std::f64::consts::PI * (i as f64 + 0.75) / (n + 0.5)).cos();
            let polynomial = |x: f64| {
                let (mut before, mut value) = (1.0, x);
                for k in 2..=LEGENDRE {
                    let k = k as f64;
                    (before, value) =
                        (value, ((2.0 * k - 1.0) * x * value - (k - 1.0) * before) / k);
                }
                [value, n * (x * value - before) / (x * x - 1.0)]
            };
            let (x, slope) = root(start, polynomial);
            *pair = (x, 2.0 / ((1.0 - x * x) * slope * slope));
        }
        rule
    })
}

/// Returns nodes and weights of the Gauss-Hermite rule for the standard normal:
/// `E f(t) ~ sum_k w_k f(t_k)`.
pub(super) fn hermite() -> &'static [(f64, f64); HERMITE] {
    static RULE: OnceLock<[(f64, f64); HERMITE]> = OnceLock::new();
    RULE.get_or_init(|| {
        // Orthonormal polynomials: sqrt(k + 1) p_{k+1} = t p_k - sqrt(k) p_{k-1}, p_n' = sqrt(n)
        // p_{n-1}.
        let last_two = |t: f64| {
            let (mut before, mut value) = (0.0, 1.0);
            for k in 0..HERMITE {
                let k = k as f64;
                (before, value) = (value, (t * value - k.sqrt() * before) / (k + 1.0).sqrt());
            }
            [value, before]
        };
        let n = HERMITE as f64;
        let polynomial = |t: f64| {
            let [value, before] = last_two(t);
            [value, n.sqrt() * before]
        };
        let mut rule = [(0.0, 0.0); HERMITE];
        // From the largest root down; known roots are divided out.
        let mut roots: Vec<f64> = Vec::with_capacity(HERMITE);
        for i in 0..HERMITE / 2 {
            let start = roots.last().map_or((4.0 * n + 2.0).sqrt(), |&last: &f64| last - 1e-9);
            let mut t = start;
            for _ in 0..500 {
                let [value, slope] = polynomial(t);
                let known: f64 = roots.iter().map(|r| 1.0 / (t - r)).sum();
                let step = value / (slope - value * known);
                t -= step;
                if step.abs() < 1e-15 * (1.0 + t.abs()) {
                    break;
                }
            }
            roots.push(t);
            // One more iteration without this division, which rounds.
            let (t, _) = root(t, polynomial);
            let [_, before] = last_two(t);
            let weight = 1.0 / (n * before * before);
            (rule[i], rule[HERMITE - 1 - i]) = ((t, weight), (-t, weight));
        }
        rule
    })
}

/// Returns a root found by Newton's method, and the slope there.
fn root(mut x: f64, polynomial: impl Fn(f64) -> [f64; 2]) -> (f64, f64) {
    let mut slope = 1.0;
    for _ in 0..100 {
        let value;
        [value, slope] = polynomial(x);
        let step = value / slope;
        x -= step;
        if step.abs() < 1e-16 {
            break;
        }
    }
    (x, slope)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_exact_for_polynomials_up_to_twice_their_nodes() {
        let mut moment = 1.0;
        for power in (0..40).step_by(2) {
            let sum: f64 = hermite().iter().map(|(t, w)| w * t.powi(power)).sum();
            // The moment (power - 1)!! reaches 1e23; all terms have the same sign.
            assert!((sum / moment - 1.0).abs() < 1e-12, "{power}: {sum} {moment}");
            moment *= f64::from(power + 1);
            let sum: f64 = legendre().iter().map(|(x, w)| w * x.powi(power)).sum();
            assert!((sum - 2.0 / f64::from(power + 1)).abs() < 1e-14, "{power}: {sum}");
        }
        let nodes: Vec<f64> = hermite().iter().map(|(t, _)| *t).collect();
        assert!(nodes.windows(2).all(|pair| pair[0] > pair[1]), "{nodes:?}");
    }
}
