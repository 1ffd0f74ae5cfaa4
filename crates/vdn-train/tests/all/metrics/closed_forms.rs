//! The metrics against naive oracles: numerical integration, brute force, closed forms and
//! simulation.

use vdn_autograd::Score;
use vdn_train::metrics::{
    MetricError, Mixture, SortedSample, WindowPrediction, gaussian_crps, mixture_crps, normal,
    sample_crps, window_nll,
};

use super::lcg::Lcg;

/// The means, deviations (one or `S`) and weights of the mixtures of every test.
type Case<'a> = (&'a [f64], &'a [f64], Option<&'a [f64]>);

const MIXTURES: &[Case<'static>] = &[
    (&[0.7], &[1.3], None),
    (&[-1.0, 1.0], &[0.5], None),
    (&[0.0, 0.1, -0.2, 3.0], &[0.8], None),
    (&[0.0, 0.1, -0.2, 3.0], &[0.3, 1.5, 0.7, 0.1], None),
    (&[2.0, -1.0, 0.5], &[0.9], Some(&[0.2, 0.5, 0.3])),
    (&[2.0, -1.0, 0.5], &[0.4, 2.0, 1.0], Some(&[0.05, 0.9, 0.05])),
    (&[1.0, 1.0, 1.0], &[0.6], None),
    (&[1.0, 5.0, 9.0], &[0.6, 0.2, 0.3], Some(&[0.0, 0.4, 0.6])),
];

fn mixtures() -> impl Iterator<Item = (usize, Mixture<'static>)> {
    MIXTURES.iter().enumerate().map(|(i, (m, s, w))| (i, Mixture::new(m, s, *w).unwrap()))
}

/// Simpson's rule with `n` (even) intervals.
fn simpson(a: f64, b: f64, n: usize, f: impl Fn(f64) -> f64) -> f64 {
    let h = (b - a) / n as f64;
    let inner: f64 = (1..n).map(|i| if i % 2 == 1 { 4.0 } else { 2.0 } * f(a + i as f64 * h)).sum();
    h / 3.0 * (f(a) + inner + f(b))
}

#[test]
fn crps_is_the_integral_of_its_definition() {
    let mut bad = Vec::new();
    for (i, mixture) in mixtures() {
        for y in [-4.0, -0.3, 0.0, 0.9, 2.95, 8.0] {
            // Split at y, where the integrand jumps. 40 units out every tail is below 1e-200. The
            // interval is 0.0024, compared with the narrowest deviation 0.1: Simpson's error
            // (h/sigma)^4 / 180 times the scale is below 1e-8.
            let below = simpson(y - 48.0, y, 20_000, |x| mixture.cdf(x).powi(2));
            let above = simpson(y, y + 48.0, 20_000, |x| (1.0 - mixture.cdf(x)).powi(2));
            let (got, want) = (mixture_crps(&mixture, y), below + above);
            if (got - want).abs() > 1e-8 {
                bad.push((i, y, got, want));
            }
        }
    }
    assert!(bad.is_empty(), "(mixture, y, got, want): {bad:?}");
}

#[test]
fn gaussian_crps_in_closed_form_and_as_a_mixture_of_one_or_of_equals() {
    for (mean, sigma, y) in [(0.0, 1.0, 0.0), (1.5, 0.2, 1.1), (-2.0, 3.0, 7.0), (0.0, 1e-3, 5.0)] {
        let z: f64 = (y - mean) / sigma;
        let want = sigma
            * (z * (2.0 * normal::cdf(z) - 1.0) + 2.0 * normal::pdf(z)
                - 1.0 / std::f64::consts::PI.sqrt());
        for means in [&[mean][..], &[mean, mean, mean]] {
            for sigmas in [vec![sigma], vec![sigma; means.len()]] {
                let mixture = Mixture::new(means, &sigmas, None).unwrap();
                let got = mixture_crps(&mixture, y);
                assert!(
                    (got - want).abs() < 1e-14 * (1.0 + want),
                    "{mean} {sigma} {y}: {got} {want}"
                );
            }
        }
        assert!((gaussian_crps(mean, sigma, y) - want).abs() < 1e-14 * (1.0 + want));
    }
}

#[test]
fn shared_and_repeated_sigmas_and_given_uniform_weights_agree() {
    for (means, sigma, _) in MIXTURES.iter().filter(|(_, s, w)| s.len() == 1 && w.is_none()) {
        let repeated = vec![sigma[0]; means.len()];
        let weights = vec![1.0 / means.len() as f64; means.len()];
        let reference = Mixture::new(means, sigma, None).unwrap();
        for (sigma, weights) in
            [(&repeated[..], None), (sigma, Some(&weights[..])), (&repeated, Some(&weights))]
        {
            let other = Mixture::new(means, sigma, weights).unwrap();
            for y in [-1.0, 0.2, 4.0] {
                let pairs = [
                    (mixture_crps(&other, y), mixture_crps(&reference, y)),
                    (other.cdf(y), reference.cdf(y)),
                    (other.ln_pdf(y), reference.ln_pdf(y)),
                    (other.variance(), reference.variance()),
                ];
                for (got, want) in pairs {
                    assert!((got - want).abs() < 1e-14 * (1.0 + want.abs()), "{got} {want}");
                }
            }
        }
    }
}

#[test]
fn moments_density_and_distribution_function_are_consistent() {
    for (i, mixture) in mixtures() {
        // +-30 around the components covers 15 of the widest deviations; see the first test for
        // Simpson's error.
        let integral =
            |f: &dyn Fn(f64) -> f64| simpson(-30.0, 30.0, 60_000, |x| f(x) * mixture.pdf(x));
        let mean = mixture.mean();
        let variance = integral(&|x| (x - mean) * (x - mean));
        assert!((integral(&|_| 1.0) - 1.0).abs() < 1e-9, "mass of {i}");
        assert!((integral(&|x| x) - mean).abs() < 1e-8, "mean of {i}");
        assert!((variance - mixture.variance()).abs() < 1e-7, "variance of {i}");
        for y in [-3.0, 0.4, 2.0] {
            let mass = simpson(-40.0, y, 40_000, |x| mixture.pdf(x));
            assert!((mass - mixture.cdf(y)).abs() < 1e-8, "cdf of {i} at {y}");
            let density = mixture.pdf(y);
            let gap = (mixture.ln_pdf(y) - density.ln()).abs();
            // Below about 1e-290 the density of a component has lost digits to underflow.
            assert!(density < 1e-290 || gap < 1e-12, "density of {i} at {y}: {gap}");
        }
        // Far out, the density itself is 0 in f64, but its logarithm is finite.
        assert_eq!(mixture.pdf(500.0), 0.0);
        assert!(mixture.ln_pdf(500.0).is_finite());
    }
}

#[test]
fn quantiles_invert_the_distribution_function() {
    let mut bad = Vec::new();
    for (i, mixture) in mixtures() {
        let mut before = f64::NEG_INFINITY;
        for tau in [1e-12, 1e-6, 0.001, 0.025, 0.1, 0.25, 0.5, 0.75, 0.9, 0.975, 0.999, 1.0 - 1e-9]
        {
            let q = mixture.quantile(tau).unwrap();
            // q is accurate to 1e-10 relative (the contract), so F changes by density * 1e-10 * (1
            // + |q|). F itself has a relative rounding error below the median and an absolute one
            // above it.
            let rounding = if tau < 0.5 { 4e-15 * tau } else { 4e-16 };
            let slack = 1e-10 * (1.0 + q.abs()) * mixture.pdf(q) + rounding;
            let error = (mixture.cdf(q) - tau).abs();
            if error > slack || q < before {
                bad.push((i, tau, q, error));
            }
            before = q;
        }
        assert!((mixture.median() - mixture.quantile(0.5).unwrap()).abs() == 0.0);
        for tau in [0.0, 1.0, -0.1, f64::NAN] {
            assert!(mixture.quantile(tau).is_err());
        }
    }
    assert!(bad.is_empty(), "(mixture, tau, q, error): {bad:?}");
}

#[test]
fn quantiles_of_awkward_mixtures_end_and_are_right() {
    // Two components, 20 and 200 deviations apart: the median is in a gap where the density is
    // 1e-22 or 0.
    for half in [10.0, 100.0] {
        let means = [-half, half];
        let median = Mixture::new(&means, &[1.0], None).unwrap().median();
        assert!(median.abs() < 1e-9, "gap of {half}: {median}");
    }
    // Unequal deviations: the two tails that meet at x are equal where x + 10 = (10 - x) / 1.3.
    let median = Mixture::new(&[-10.0, 10.0], &[1.0, 1.3], None).unwrap().median();
    assert!((median + 3.0 / 2.3).abs() < 1e-9, "{median}");
    // Deviations that differ by a factor of a million. The narrow component has (0.3, 0.7) of the
    // mass around 5.
    let (means, sigma, weights) = ([0.0, 5.0], [1.0, 1e-6], [0.5, 0.5]);
    let mixture = Mixture::new(&means, &sigma, Some(&weights)).unwrap();
    for tau in [0.1, 0.4, 0.51, 0.6, 0.75, 0.99, 0.9999] {
        let q = mixture.quantile(tau).unwrap();
        let bound = 1e-10 + mixture.pdf(q) * 4.0 * f64::EPSILON * q.abs();
        assert!((mixture.cdf(q) - tau).abs() < bound, "{tau}: {q}");
    }
    // A common offset far above the deviation: results are accurate to the spacing of doubles
    // there.
    let means = [1e9, 1e9 + 1.0, 1e9 + 2.0];
    let mixture = Mixture::new(&means, &[0.5], None).unwrap();
    assert!((mixture.median() - 1e9 - 1.0).abs() < 1e-6);
    // One sample equals the closed form exactly.
    let one = Mixture::new(&[0.3], &[2.0], None).unwrap();
    assert_eq!(one.quantile(0.9).unwrap(), 0.3 + 2.0 * normal::quantile(0.9));
}

#[test]
fn mixtures_refuse_bad_input() {
    let nan = f64::NAN;
    let bad: &[Case<'_>] = &[
        (&[], &[1.0], None),
        (&[1.0, 2.0], &[1.0, 1.0, 1.0], None),
        (&[1.0, nan], &[1.0], None),
        (&[1.0, 2.0], &[1.0, 0.0], None),
        (&[1.0, 2.0], &[1.0, -1.0], None),
        (&[1.0, 2.0], &[nan], None),
        (&[1.0, 2.0], &[1.0], Some(&[1.0])),
        (&[1.0, 2.0], &[1.0], Some(&[0.7, 0.7])),
        (&[1.0, 2.0], &[1.0], Some(&[nan, 1.0])),
    ];
    for (means, sigma, weights) in bad {
        assert!(Mixture::new(means, sigma, *weights).is_err(), "{means:?} {sigma:?} {weights:?}");
    }
}

/// The three scores straight from their definitions, without log-sum-exp.
fn naive_nll(paths: &[Vec<f64>], sigma: f64, weights: &[f64], y: &[f64]) -> [f64; 3] {
    let density = |s: usize, h: usize| normal::pdf((y[h] - paths[s][h]) / sigma) / sigma;
    let horizon = y.len() as f64;
    let product = |s: usize| (0..y.len()).map(|h| density(s, h)).product::<f64>();
    let over = |f: &dyn Fn(usize) -> f64| (0..paths.len()).map(|s| weights[s] * f(s)).sum::<f64>();
    let tempered = -over(&|s| product(s).powf(1.0 / horizon)).ln();
    let marginal = -(0..y.len()).map(|h| over(&|s| density(s, h)).ln()).sum::<f64>() / horizon;
    let joint = -over(&product).ln() / horizon;
    [tempered, marginal, joint]
}

#[test]
fn likelihoods_match_their_definitions() {
    let mut lcg = Lcg(3);
    for (samples, horizon) in [(1, 1), (1, 5), (4, 3), (7, 6)] {
        let paths: Vec<Vec<f64>> =
            (0..samples).map(|_| (0..horizon).map(|_| lcg.normal()).collect()).collect();
        let y: Vec<f64> = (0..horizon).map(|_| lcg.normal()).collect();
        let means = paths.concat();
        let sigma = vec![0.7; horizon];
        let raw: Vec<f64> = (0..samples).map(|_| lcg.uniform()).collect();
        let given: Vec<f64> = raw.iter().map(|w| w / raw.iter().sum::<f64>()).collect();
        let uniform = vec![1.0 / samples as f64; samples];
        for (weights, option) in [(&given, Some(&given[..])), (&uniform, None)] {
            let prediction = WindowPrediction::new(&means, &sigma, option, horizon).unwrap();
            let nll = window_nll(&prediction, &y).unwrap();
            let want = naive_nll(&paths, 0.7, weights, &y);
            let scores = [Score::Tempered, Score::Marginal, Score::Joint];
            for (score, want) in scores.into_iter().zip(want) {
                let got = nll.of(score);
                assert!(
                    (got - want).abs() < 1e-12,
                    "{score:?} S {samples} H {horizon}: {got} {want}"
                );
            }
        }
    }
    // Densities far below the range of f64 keep their logarithm. Beyond the range of the logarithm
    // there is an error.
    let far = WindowPrediction::gaussian(&[0.0, 0.0], &[1e-3, 1e-3]).unwrap();
    assert!(window_nll(&far, &[100.0, 100.0]).unwrap().joint.is_finite());
    let beyond = WindowPrediction::gaussian(&[0.0, 0.0], &[1.0, 1e-200]).unwrap();
    let error = window_nll(&beyond, &[0.0, 1e10]).unwrap_err();
    assert!(matches!(error, MetricError::Score { step: Some(1), .. }), "{error}");
}

#[test]
fn sample_crps_matches_brute_force_and_is_unbiased() {
    let mut lcg = Lcg(11);
    for count in [2usize, 3, 10, 57] {
        let draws: Vec<f64> = (0..count).map(|_| 1e4 + lcg.normal()).collect();
        let sorted = SortedSample::new(draws.clone()).unwrap();
        for y in [1e4 - 2.0, 1e4, 1e4 + 0.5, draws[0], 0.0] {
            let n = count as f64;
            let distance: f64 = draws.iter().map(|x| (x - y).abs()).sum::<f64>() / n;
            let pairs: f64 =
                draws.iter().flat_map(|a| draws.iter().map(move |b| (a - b).abs())).sum();
            let fair = distance - pairs / (2.0 * n * (n - 1.0));
            let empirical = distance - pairs / (2.0 * n * n);
            assert!(
                (sample_crps(&draws, y).unwrap() - fair).abs() < 1e-11 * (1.0 + distance),
                "{count} {y}"
            );
            assert!((sorted.empirical_crps(y) - empirical).abs() < 1e-11 * (1.0 + distance));
        }
    }
    // Its expectation is the CRPS of the distribution of the draws, even with two draws.
    let (repeats, y) = (40_000, 0.6);
    let mean =
        (0..repeats).map(|_| sample_crps(&[lcg.normal(), lcg.normal()], y).unwrap()).sum::<f64>()
            / f64::from(repeats);
    // One value deviates by about 0.6, so the mean by 0.003; four deviations.
    assert!((mean - gaussian_crps(0.0, 1.0, y)).abs() < 0.012, "{mean}");
    assert!(sample_crps(&[1.0], 0.0).is_err() && sample_crps(&[1.0, f64::NAN], 0.0).is_err());
    assert!(sample_crps(&[1.0, 2.0], f64::NAN).is_err() && SortedSample::new(vec![]).is_err());
    let sorted = SortedSample::new(vec![4.0, 1.0, 3.0]).unwrap();
    assert_eq!((sorted.quantile(0.0).unwrap(), sorted.quantile(0.75).unwrap()), (1.0, 3.5));
}
