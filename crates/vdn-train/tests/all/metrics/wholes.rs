//! Scores of whole forecasts compared with brute force and with closed forms.

use crate::metrics::lcg::Lcg;
use vdn_train::metrics::{
    Aggregate, AggregateScore, JointNll, Paths, ProbTsWindow, SortedSample, VarianceParts,
    WindowPrediction, energy_score, normal, variogram_score, window_nll,
};

/// Three samples of four steps with their own deviations and weights.
const MEANS: [f64; 12] = [0.1, -0.4, 0.8, 0.3, 1.2, 0.9, -0.6, 0.2, -0.7, 0.5, 0.4, -1.1];
const SIGMA: [f64; 12] = [0.5, 0.7, 0.3, 1.1, 0.9, 0.4, 0.6, 0.8, 1.3, 0.2, 0.7, 0.5];
const WEIGHTS: [f64; 3] = [0.5, 0.3, 0.2];
const STEPS: [f64; 4] = [0.25, -1.0, 0.0, 2.0];

fn prediction() -> WindowPrediction<'static> {
    WindowPrediction::new(&MEANS, &SIGMA, Some(&WEIGHTS), 4).unwrap()
}

/// Paths of the mixture above, one at a time.
fn draw(random: &mut Lcg) -> [f64; 4] {
    let u = random.uniform();
    let s = if u < 0.5 { 0 } else { usize::from(u >= 0.8) + 1 };
    std::array::from_fn(|h| MEANS[4 * s + h] + SIGMA[4 * s + h] * random.normal())
}

#[test]
fn an_aggregate_is_distributed_as_the_sums_of_paths() {
    const DRAWS: usize = 40_000;
    let aggregate = Aggregate::new(&prediction(), &STEPS).unwrap();
    let mut random = Lcg(3);
    let sum = |path: [f64; 4]| path.iter().zip(STEPS).map(|(y, w)| w * y).sum::<f64>();
    let draws: Vec<f64> = (0..DRAWS).map(|_| sum(draw(&mut random))).collect();
    let sample = SortedSample::new(draws).unwrap();
    // Dvoretzky, Kiefer and Wolfowitz: the probability that the largest distance of the
    // distribution functions exceeds e is at most 2 exp(-2 n e^2), here 1e-6.
    let most = (2e6_f64.ln() / (2.0 * DRAWS as f64)).sqrt();
    for (i, y) in sample.values().iter().enumerate().step_by(97) {
        let distance = (aggregate.mixture().cdf(*y) - (i as f64 + 0.5) / DRAWS as f64).abs();
        assert!(distance < most, "{y}: {distance}");
    }
    // The CRPS differs from the CRPS of the draws by about its standard error, sd / sqrt(n). Five
    // of them are allowed.
    let deviation = aggregate.mixture().deviation();
    for y in [-2.0, 0.0, 0.7, 4.0] {
        let [exact, sampled] =
            [aggregate.score(y).unwrap(), AggregateScore::of_sample(&sample, y).unwrap()];
        let allowed = 5.0 * deviation / (DRAWS as f64).sqrt();
        assert!((exact.crps - sampled.crps).abs() < allowed, "{y}: {exact:?} {sampled:?}");
        assert!((exact.pit - sampled.pit).abs() < most, "{y}: {exact:?} {sampled:?}");
        assert_eq!(exact.covered, sampled.covered, "{y}");
    }
}

#[test]
fn coverage_is_that_of_the_quantiles() {
    let aggregate = Aggregate::new(&prediction(), &STEPS).unwrap();
    for (k, level) in [0.5, 0.9].into_iter().enumerate() {
        for tail in [0.5 - 0.5 * level, 0.5 + 0.5 * level] {
            let end = aggregate.mixture().quantile(tail).unwrap();
            let inside = |y: f64| aggregate.score(y).unwrap().covered[k];
            let outward = (tail - 0.5).signum() * 1e-6;
            assert_eq!([inside(end - outward), inside(end + outward)], [1.0, 0.0], "{level}");
        }
    }
}

#[test]
fn parts_of_the_variance_are_those_of_the_mixture() {
    let aggregate = Aggregate::new(&prediction(), &STEPS).unwrap();
    let parts = aggregate.variance_parts();
    // The mixture's own variance has the biased spread of its three means.
    let repeated: f64 = WEIGHTS.iter().map(|w| w * w).sum();
    let total = parts.units * (1.0 - repeated) + parts.noise;
    assert!((total - aggregate.mixture().variance()).abs() < 1e-12);
    // Equal weights, deviations of all samples: the textbook sample variance.
    let means = [1.0, 3.0, 8.0];
    let window = WindowPrediction::new(&means, &[2.0], None, 1).unwrap();
    let steps = VarianceParts::of_steps(&window);
    assert!((steps.units - 13.0).abs() < 1e-12 && steps.noise == 4.0, "{steps:?}");
    let one = VarianceParts::of_steps(&WindowPrediction::gaussian(&[1.0], &[2.0]).unwrap());
    assert_eq!((one.units, one.noise), (0.0, 4.0));
}

#[test]
fn aggregates_refuse_what_makes_no_number() {
    let bad = [vec![0.0; 4], vec![1.0; 3], vec![1.0, f64::NAN, 0.0, 0.0]];
    for weights in &bad {
        let error = Aggregate::new(&prediction(), weights).unwrap_err().to_string();
        assert!(error.starts_with("aggregate: "), "{error}");
    }
    let window = WindowPrediction::new(&[f64::INFINITY], &[1.0], None, 1).unwrap();
    assert!(Aggregate::new(&window, &[1.0]).is_err());
    let aggregate = Aggregate::new(&prediction(), &STEPS).unwrap();
    assert!(aggregate.score(f64::NAN).is_err());
    let sample = SortedSample::new(vec![0.0, 1.0]).unwrap();
    assert!(AggregateScore::of_sample(&sample, f64::NAN).is_err());
    assert!(AggregateScore::of_sample(&SortedSample::new(vec![0.0]).unwrap(), 0.0).is_err());
}

fn some_paths(count: usize, horizon: usize) -> (Vec<f64>, Vec<f64>) {
    let mut random = Lcg(11);
    let values = (0..count * horizon).map(|_| random.normal()).collect();
    (values, (0..horizon).map(|_| random.normal()).collect())
}

#[test]
fn scores_of_paths_are_their_definitions() {
    // Horizons that do, and do not, fill the parallel sums of four or eight.
    for (count, horizon) in [(2, 1), (5, 3), (7, 4), (9, 10), (4, 8), (5, 16), (3, 21)] {
        let (values, y) = some_paths(count, horizon);
        let at = |n: usize, h: usize| values[n * horizon + h];
        let paths = Paths::new(&values, horizon).unwrap();
        let distance = |a: &dyn Fn(usize) -> f64, b: &dyn Fn(usize) -> f64| {
            (0..horizon).map(|h| (a(h) - b(h)).powi(2)).sum::<f64>().sqrt()
        };
        let mut energy = 0.0;
        for n in 0..count {
            energy += distance(&|h| at(n, h), &|h| y[h]) / count as f64;
            for m in (0..count).filter(|m| *m != n) {
                let pairs = (2 * count * (count - 1)) as f64;
                energy -= distance(&|h| at(n, h), &|h| at(m, h)) / pairs;
            }
        }
        let found = energy_score(&paths, &y).unwrap();
        assert!((found - energy).abs() < 1e-12 * count as f64, "{found} {energy}");
        let mut variogram = 0.0;
        for i in 0..horizon {
            for j in (0..horizon).filter(|j| *j != i) {
                let of = |a: f64, b: f64| (a - b).abs().sqrt();
                let mean: f64 =
                    (0..count).map(|n| of(at(n, i), at(n, j))).sum::<f64>() / count as f64;
                variogram += (of(y[i], y[j]) - mean).powi(2) / i.abs_diff(j) as f64;
            }
        }
        let found = variogram_score(&paths, &y).unwrap();
        assert!((found - variogram).abs() < 1e-11, "{found} {variogram}");
    }
}

#[test]
fn one_step_has_the_energy_score_that_is_its_crps() {
    let (values, y) = some_paths(33, 1);
    let found = energy_score(&Paths::new(&values, 1).unwrap(), &y).unwrap();
    let crps = SortedSample::new(values).unwrap().fair_crps(y[0]).unwrap();
    assert!((found - crps).abs() < 1e-13, "{found} {crps}");
}

/// Paths of an autoregression of order one with unit variance.
fn autoregression(random: &mut Lcg, phi: f64, count: usize, horizon: usize) -> Vec<f64> {
    let mut values = Vec::with_capacity(count * horizon);
    for _ in 0..count {
        let mut y = random.normal();
        for _ in 0..horizon {
            values.push(y);
            y = phi * y + (1.0 - phi * phi).sqrt() * random.normal();
        }
    }
    values
}

/// The mean advantage of the true dependence over another one, in standard errors over windows.
fn advantage(score: fn(&Paths<'_>, &[f64]) -> Result<f64, vdn_train::metrics::MetricError>) -> f64 {
    const WINDOWS: usize = 300;
    const COUNT: usize = 64;
    const HORIZON: usize = 16;
    let mut random = Lcg(5);
    let differences: Vec<f64> = (0..WINDOWS)
        .map(|_| {
            let y = autoregression(&mut random, 0.9, 1, HORIZON);
            let [truth, independent] = [0.9, 0.0].map(|phi| {
                let values = autoregression(&mut random, phi, COUNT, HORIZON);
                score(&Paths::new(&values, HORIZON).unwrap(), &y).unwrap()
            });
            independent - truth
        })
        .collect();
    let count = WINDOWS as f64;
    let mean = differences.iter().sum::<f64>() / count;
    let square = differences.iter().map(|d| (d - mean).powi(2)).sum::<f64>() / (count - 1.0);
    mean / (square / count).sqrt()
}

#[test]
fn both_scores_prefer_the_true_dependence() {
    // The marginals of each step are the same, so per-step scores cannot distinguish the two.
    let [energy, variogram] = [advantage(energy_score), advantage(variogram_score)];
    assert!(energy > 3.0 && variogram > 6.0, "{energy} {variogram}");
}

#[test]
fn paths_that_cannot_be_scored_are_refused() {
    for (values, horizon) in [(&[][..], 1), (&[1.0], 0), (&[1.0; 3], 2), (&[f64::NAN, 0.0], 2)] {
        assert!(Paths::new(values, horizon).is_err(), "{values:?} {horizon}");
    }
    let two = Paths::new(&[0.0; 4], 2).unwrap();
    for score in [energy_score, variogram_score] {
        assert!(score(&Paths::new(&[0.0; 2], 2).unwrap(), &[0.0; 2]).is_err(), "one path");
        assert!(score(&two, &[0.0]).is_err(), "another horizon");
        let error = score(&two, &[0.0, f64::NAN]).unwrap_err().to_string();
        assert!(error.contains("step 1") && error.contains("target is NaN"), "{error}");
    }
}

#[test]
fn the_joint_likelihood_grows_towards_the_closed_form() {
    // y_h = z + e_h with standard normal z and e, so y ~ Normal(0, I + 11'), with the determinant 1
    // + H and the inverse I - 11'/(1 + H).
    const HORIZON: usize = 3;
    let y = [0.9, 1.4, 0.2];
    let (sum, square) = (y.iter().sum::<f64>(), y.iter().map(|y| y * y).sum::<f64>());
    let steps = HORIZON as f64;
    let form = square - sum * sum / (1.0 + steps);
    let exact = 0.5 * (form + (1.0 + steps).ln() + steps * std::f64::consts::TAU.ln());
    let mut random = Lcg(2);
    let mut joint = JointNll::default();
    let densities: Vec<f64> = (0..20_000)
        .map(|_| {
            let z = random.normal();
            let means = [z; HORIZON];
            let window = WindowPrediction::gaussian(&means, &[1.0; HORIZON]).unwrap();
            joint.push(&window, &y).unwrap();
            y.iter().map(|y| normal::pdf(y - z)).product()
        })
        .collect();
    let count = densities.len() as f64;
    let mean = densities.iter().sum::<f64>() / count;
    let variance = densities.iter().map(|d| (d - mean).powi(2)).sum::<f64>() / count;
    // Five times the standard error of ln(mean).
    let allowed = 5.0 * (variance / count).sqrt() / mean;
    let found = joint.value().unwrap();
    assert!(allowed < 0.05 && (found - exact).abs() < allowed, "{found} {exact} {allowed}");
    assert_eq!((joint.samples(), JointNll::default().value()), (20_000, None));
}

#[test]
fn weighted_samples_count_by_their_weights() {
    let y = [0.2, 0.1, -0.3, 0.4];
    let mut joint = JointNll::default();
    joint.push(&prediction(), &y).unwrap();
    let at_once = 4.0 * window_nll(&prediction(), &y).unwrap().joint;
    assert!((joint.value().unwrap() - at_once).abs() < 1e-12);
    let far = WindowPrediction::gaussian(&[0.0], &[1e-200]).unwrap();
    assert!(joint.push(&far, &[1e200]).is_err());
}

#[test]
fn the_scores_of_probts_are_those_of_its_formula_in_numpy() {
    // Two series, seven paths of three steps. Quantiles by `numpy.quantile`, then for each level
    // the sum of `2 |(yhat - y) ((y <= yhat) - q)|` over steps and series, divided by the sum of
    // `|y|`.
    let value = |i: usize| ((i * i * 7 + 3 * i) % 23) as f64 / 2.0 - 4.0;
    let paths: Vec<f64> = (0..42).map(value).collect();
    let target: Vec<f64> = (1000..1006).map(value).collect();
    let (mut window, mut parts) = (ProbTsWindow::default(), Vec::new());
    for (paths, target) in paths.chunks(21).zip(target.chunks(3)) {
        let mut part = ProbTsWindow::default();
        for to in [&mut window, &mut part] {
            to.push(&Paths::new(paths, 3).unwrap(), target).unwrap();
        }
        parts.push(part);
    }
    let score = window.score().unwrap();
    for (found, expected) in [
        (score.crps_q10, 1.025_185_185_185_185_2),
        (score.crps_q20, 0.980_852_130_325_814_6),
        (score.nmae, 1.142_857_142_857_142_8),
    ] {
        assert!((found - expected).abs() < 1e-14, "{found} {expected}");
    }
    let joined = parts[0].clone().joined(&parts[1]).score().unwrap();
    assert!((joined.crps_q20 - score.crps_q20).abs() < 1e-14 && joined.nmae == score.nmae);
    // A zero denominator, targets of another length, and values that are not numbers.
    let mut zero = ProbTsWindow::default();
    zero.push(&Paths::new(&[1.0], 1).unwrap(), &[0.0]).unwrap();
    assert_eq!((zero.score(), ProbTsWindow::default().score()), (None, None));
    for target in [&[1.0, 2.0][..], &[f64::NAN]] {
        assert!(zero.push(&Paths::new(&[1.0], 1).unwrap(), target).is_err(), "{target:?}");
    }
}
