//! Every family of distributions compared with its definition, in a table: gradients with dual
//! numbers, divergences with Monte Carlo, densities with quadrature, draws with moments and the
//! distribution function, lanes with double precision.

use crate::turn;
use std::f64::consts::{PI, SQRT_2};
use vdn_tensor::families::{
    Family, Laplace, LogNormal, Logistic, NoiseKind, Normal, StudentT, kl_estimate, sample_into,
};
use vdn_tensor::kernels::{Formula, map};
use vdn_tensor::noise::NoiseKey;
use vdn_tensor::simd::{available, set_level};
use vdn_tensor::{Dual, Real};

/// A function of a standard draw, its mean and its variance.
type Moment = (&'static str, fn(f64) -> f64, f64, f64);

/// The known properties of a family.
struct Row<F> {
    family: F,
    /// The distribution function of the standard member.
    cdf: fn(f64) -> f64,
    moments: Vec<Moment>,
    /// Whether draws are positive.
    positive: bool,
}

fn square(x: f64) -> f64 {
    x * x
}

/// Calls a generic check for every family; `Student` with 3 and 5 degrees of freedom have
/// elementary distribution functions.
macro_rules! for_each_family {
    ($check:ident, $failures:expr) => {{
        let identity: fn(f64) -> f64 = |x| x;
        $check(
            &Row {
                family: Normal,
                cdf: |x| 0.5 * (1.0 + Real::erf(x / SQRT_2)),
                moments: vec![("x", identity, 0.0, 1.0), ("x^2", square, 1.0, 2.0)],
                positive: false,
            },
            $failures,
        );
        $check(
            &Row {
                family: Laplace,
                cdf: |x| if x < 0.0 { 0.5 * x.exp() } else { 1.0 - 0.5 * (-x).exp() },
                // E x^4 = 24, so Var x^2 = 24 - 4.
                moments: vec![("x", identity, 0.0, 2.0), ("x^2", square, 2.0, 20.0)],
                positive: false,
            },
            $failures,
        );
        $check(
            &Row {
                family: Logistic,
                cdf: |x| Real::sigmoid(x),
                // E x^4 = 7 pi^4 / 15.
                moments: vec![
                    ("x", identity, 0.0, PI * PI / 3.0),
                    ("x^2", square, PI * PI / 3.0, (7.0 / 15.0 - 1.0 / 9.0) * PI.powi(4)),
                ],
                positive: false,
            },
            $failures,
        );
        $check(
            &Row {
                family: StudentT::new(3.0).unwrap(),
                cdf: |x| {
                    let t = x / 3f64.sqrt();
                    0.5 + (t / (1.0 + t * t) + t.atan()) / PI
                },
                // Var x = 3; E |x| = 2 sqrt 3 / pi.
                moments: vec![
                    ("x", identity, 0.0, 3.0),
                    ("|x|", f64::abs, 12f64.sqrt() / PI, 3.0 - 12.0 / (PI * PI)),
                ],
                positive: false,
            },
            $failures,
        );
        $check(
            &Row {
                family: StudentT::new(5.0).unwrap(),
                cdf: |x| {
                    let t = x / 5f64.sqrt();
                    let u = 1.0 + t * t;
                    0.5 + (t / u * (1.0 + 2.0 / (3.0 * u)) + t.atan()) / PI
                },
                // Var x = nu/(nu-2) = 5/3, kurtosis 3 (nu-2)/(nu-4) = 9.
                moments: vec![
                    ("x", identity, 0.0, 5.0 / 3.0),
                    ("x^2", square, 5.0 / 3.0, 8.0 * 25.0 / 9.0),
                ],
                positive: false,
            },
            $failures,
        );
        $check(
            &Row {
                family: LogNormal,
                cdf: |x| 0.5 * (1.0 + Real::erf(x.ln() / SQRT_2)),
                moments: vec![
                    ("x", identity, 0.5f64.exp(), (1f64.exp() - 1.0) * 1f64.exp()),
                    ("ln x", f64::ln, 0.0, 1.0),
                ],
                positive: true,
            },
            $failures,
        );
    }};
}

macro_rules! table_test {
    ($name:ident, $check:ident) => {
        #[test]
        fn $name() {
            let mut failures = Vec::new();
            for_each_family!($check, &mut failures);
            assert!(failures.is_empty(), "{}", failures.join("\n"));
        }
    };
}

table_test!(hand_written_gradients_are_the_slopes_of_dual_numbers, gradients);
table_test!(divergences_are_right, divergences);
table_test!(densities_integrate_to_one_and_give_the_entropy, densities);
table_test!(draws_have_their_moments_and_distribution, draws);
table_test!(lanes_agree_with_double_precision, lanes);

const LOCATIONS: [f64; 7] = [-3.0, -0.4, -1e-6, 1e-9, 2e-3, 0.7, 5.0];
const LOG_SCALES: [f64; 7] = [-4.0, -0.7, -1e-5, 1e-8, 3e-3, 0.5, 2.0];
/// Noise of either kind: its first number is a uniform or a normal.
const NOISE: [[f64; 2]; 6] =
    [[0.9, 0.1], [0.3, 0.9], [1e-4, 0.2], [0.6, -1.3], [0.99, 2.0], [0.01, 0.4]];

fn points() -> impl Iterator<Item = ([f64; 2], [f64; 2])> {
    let parameters =
        LOCATIONS.into_iter().flat_map(|m| LOG_SCALES.into_iter().map(move |l| [m, l]));
    parameters.flat_map(|p| NOISE.into_iter().map(move |n| (p, n)))
}

fn gradients<F: Family>(row: &Row<F>, failures: &mut Vec<String>) {
    let f = &row.family;
    let mut close = |what: &str, at: String, got: f64, want: f64, scale: f64| {
        if !((got - want).abs() <= 1e-12 * want.abs().max(scale)) && failures.len() < 20 {
            failures.push(format!("{} {what} at {at}: {got:e}, slope {want:e}", F::NAME));
        }
    };
    for (p, n) in points() {
        let at = || format!("{p:?} {n:?}");
        let noise = n.map(Dual::constant);
        let z = f.sample(p, n);
        for i in 0..2 {
            let mut dual = p.map(Dual::constant);
            dual[i] = Dual::variable(p[i]);
            let want = f.sample(dual, noise).slope;
            close("sample", at(), f.sample_gradient(p, n)[i], want, 1.0);
            // A slope near the prior is a small number: it has to be right relative to the
            // parameters' size.
            let want = f.kl(dual, noise).slope;
            let size = (p[0].abs() + p[1].abs()).min(1.0) * f.sample([0.0; 2], n).abs().max(1.0);
            close("kl", at(), f.kl_gradient(p, n)[i], want, size);
            let want = f.log_density(dual, Dual::constant(z)).slope;
            close("log_density", at(), f.log_density_gradient(p, z)[i], want, 1.0);
            close("entropy", at(), f.entropy_gradient(p)[i], f.entropy(dual).slope, 1.0);
        }
        let want = f.log_density(p.map(Dual::constant), Dual::variable(z)).slope;
        close("log_density by z", at(), f.log_density_gradient(p, z)[2], want, 1.0);
    }
}

/// Draws in double precision.
fn drawn<F: Family>(family: &F, p: [f64; 2], key: NoiseKey, n: usize) -> Vec<f64> {
    let mut z = vec![0.0; n];
    sample_into(family, [&p[..1], &p[1..]], key, 0, &mut z);
    z
}

/// Mean and its standard error.
fn mean(x: impl Iterator<Item = f64> + Clone) -> [f64; 2] {
    let n = x.clone().count() as f64;
    let mean = x.clone().sum::<f64>() / n;
    let variance = x.map(|x| square(x - mean)).sum::<f64>() / (n - 1.0);
    [mean, (variance / n).sqrt()]
}

fn divergences<F: Family>(row: &Row<F>, failures: &mut Vec<String>) {
    let f = &row.family;
    let key = NoiseKey::new(5, 0, 0);
    for (p, n) in points() {
        let kl = f.kl(p, n);
        if !(kl >= 0.0) {
            failures.push(format!("{} kl at {p:?} {n:?}: {kl:e} is negative", F::NAME));
        }
    }
    for n in NOISE {
        let at_prior = f.kl([0.0, 0.0], n);
        if at_prior != 0.0 {
            failures.push(format!("{} kl of the standard member: {at_prior:e}", F::NAME));
        }
    }
    for (i, p) in
        [[0.0, 0.4], [1.3, 0.0], [-0.6, -0.7], [2.0, 0.3], [0.05, -0.02]].into_iter().enumerate()
    {
        let estimate = kl_estimate(f, p, key, 20_000);
        // Other draws, and the definition: the mean of ln q(z) - ln p(z).
        let z = drawn(f, p, key.with_stream(1 + i as u32), 200_000);
        let [want, error] =
            mean(z.iter().map(|&z| f.log_density(p, z) - f.log_density([0.0; 2], z)));
        let bound = 4.0 * error.hypot(estimate.standard_error);
        if !((estimate.mean - want).abs() <= bound) {
            failures.push(format!("{} kl at {p:?}: {estimate:?}, definition {want}", F::NAME));
        }
        if F::KL_IS_EXACT != (estimate.standard_error == 0.0) {
            failures.push(format!("{} kl at {p:?}: {estimate:?}", F::NAME));
        }
        // Near the standard member, the definition is far less accurate for the same number of
        // draws.
        if !F::KL_IS_EXACT && p[0].abs().max(p[1].abs()) < 0.1 {
            let plain = error * 10f64.sqrt();
            if !(estimate.standard_error < 0.2 * plain) {
                failures.push(format!("{}: {estimate:?} against {plain}", F::NAME));
            }
        }
    }
}

/// The trapezoidal rule over `u`, where `z = m + s sinh u`, or `z = e^(m + s u)` for positive
/// draws.
fn integral(p: [f64; 2], positive: bool, g: impl Fn(f64) -> f64) -> f64 {
    const STEPS: i32 = 40_000;
    const REACH: f64 = 40.0;
    let h = REACH / f64::from(STEPS);
    let terms = (-STEPS..=STEPS).map(|i| {
        let u = h * f64::from(i);
        let (z, slope) = match positive {
            true => ((p[0] + p[1].exp() * u).exp(), (p[0] + p[1].exp() * u).exp() * p[1].exp()),
            false => (p[0] + p[1].exp() * u.sinh(), p[1].exp() * u.cosh()),
        };
        g(z) * slope
    });
    h * terms.sum::<f64>()
}

fn densities<F: Family>(row: &Row<F>, failures: &mut Vec<String>) {
    let f = &row.family;
    for p in [[0.0, 0.0], [0.8, -0.5], [-2.0, 0.9]] {
        // Laplace has a kink at a node of the rule, where the trapezoidal error is h^2/12 of the
        // jump of the slope, 1e-7.
        let total = integral(p, row.positive, |z| f.log_density(p, z).exp());
        if !((total - 1.0).abs() < 1e-6) {
            failures.push(format!("{} density at {p:?} integrates to {total}", F::NAME));
        }
        let want = integral(p, row.positive, |z| {
            let log = f.log_density(p, z);
            let density = log.exp();
            if density == 0.0 { 0.0 } else { -log * density }
        });
        let entropy = f.entropy(p);
        if !((entropy - want).abs() < 1e-6) {
            failures.push(format!("{} entropy at {p:?}: {entropy}, integral {want}", F::NAME));
        }
    }
}

fn draws<F: Family>(row: &Row<F>, failures: &mut Vec<String>) {
    const N: usize = 1_000_000;
    let _turn = turn();
    for level in available() {
        set_level(level).unwrap();
        let mut single = vec![0.0_f32; N];
        sample_into(&row.family, [&[0.0], &[0.0]], NoiseKey::new(9, 2, 0), 0, &mut single);
        let mut x: Vec<f64> = single.iter().map(|&x| f64::from(x)).collect();
        let place = format!("{} on {level}", F::NAME);
        for &(name, moment, want, variance) in &row.moments {
            let got = x.iter().map(|&x| moment(x)).sum::<f64>() / N as f64;
            let error = (variance / N as f64).sqrt();
            if !((got - want).abs() <= 4.0 * error) {
                failures.push(format!("{place}: mean of {name} {got}, want {want} +- {error}"));
            }
        }
        x.sort_unstable_by(f64::total_cmp);
        let distance = x.iter().enumerate().fold(0.0_f64, |worst, (i, &x)| {
            let (p, below, above) = ((row.cdf)(x), i as f64 / N as f64, (i + 1) as f64 / N as f64);
            worst.max(p - below).max(above - p)
        });
        // Kolmogorov's distribution: P(sqrt(n) D > 1.95) = 2 e^(-2 * 1.95^2) = 1e-3.
        let statistic = distance * (N as f64).sqrt();
        if !(statistic < 1.95) {
            failures.push(format!("{place}: Kolmogorov-Smirnov {statistic}"));
        }
    }
    set_level(*available().last().unwrap()).unwrap();
}

/// Value and gradients at once, on lanes: sample, kl, its two slopes, log-density.
struct All<F>(F);
impl<F: Family> Formula<4, 5> for All<F> {
    #[inline(always)]
    fn apply<R: Real>(&self, [m, l, a, b]: [R; 4]) -> [R; 5] {
        let (p, n) = ([m, l], [a, b]);
        let z = self.0.sample(p, n);
        let [by_m, by_l] = self.0.kl_gradient(p, n);
        [z, self.0.kl(p, n), by_m, by_l, self.0.log_density(p, z)]
    }
}

fn lanes<F: Family>(row: &Row<F>, failures: &mut Vec<String>) {
    let _turn = turn();
    let all: Vec<_> = points().collect();
    let column = |pick: fn(&([f64; 2], [f64; 2])) -> f64| -> Vec<f32> {
        all.iter().map(|point| pick(point) as f32).collect()
    };
    let inputs = [column(|p| p.0[0]), column(|p| p.0[1]), column(|p| p.1[0]), column(|p| p.1[1])];
    let double = inputs.each_ref().map(|x| x.iter().map(|&x| f64::from(x)).collect::<Vec<_>>());
    let mut want = [(); 5].map(|()| vec![0.0; all.len()]);
    map(
        &All(row.family),
        double.each_ref().map(Vec::as_slice),
        want.each_mut().map(Vec::as_mut_slice),
    );
    for level in available() {
        set_level(level).unwrap();
        let mut got = [(); 5].map(|()| vec![0.0_f32; all.len()]);
        map(
            &All(row.family),
            inputs.each_ref().map(Vec::as_slice),
            got.each_mut().map(Vec::as_mut_slice),
        );
        for (kind, name) in
            ["sample", "kl", "kl by location", "kl by scale", "density"].iter().enumerate()
        {
            for (i, (p, n)) in all.iter().enumerate() {
                let (got, want) = (f64::from(got[kind][i]), want[kind][i]);
                // A closed divergence has to be right relative to itself; the estimate of one draw
                // is a difference of terms of the size of the parameters, squared; slopes relative
                // to the parameters. The density moves by z's rounding divided by the scale.
                let distance = (p[0].abs() + p[1].abs()).min(1.0);
                let size = match kind {
                    1 if F::KL_IS_EXACT => 0.0,
                    1 => square(distance),
                    2 | 3 => distance,
                    4 => 1.0 + p[0].abs() * (-p[1]).exp(),
                    _ => 1.0,
                };
                let tolerance = if kind == 1 { 2e-5 } else { 4e-6 };
                let spread = row.family.sample([0.0; 2], *n).abs().max(1.0);
                if !((got - want).abs() <= tolerance * want.abs().max(size * spread))
                    && failures.len() < 20
                {
                    failures.push(format!(
                        "{} {name} on {level} at {p:?} {n:?}: {got:e}, {want:e}",
                        F::NAME
                    ));
                }
            }
        }
    }
    set_level(*available().last().unwrap()).unwrap();
    assert!(F::NOISE != NoiseKind::Normal || F::KL_IS_EXACT);
}
