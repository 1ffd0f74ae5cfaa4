//! Every formula of every family on a grid of extreme and equal arguments. In `f32` on lanes,
//! results are compared with the same formula in `f64`, which has a wider range. Beyond the range
//! of `f64` they are compared with limits derived by hand.

use vdn_tensor::families::{
    Family, Laplace, LogNormal, Logistic, Normal, StudentT, gaussian::exp_m1_minus, mismatch,
    times_exp,
};
use vdn_tensor::simd::Lanes;
use vdn_tensor::{dispatch, load_partial};

const LOCATIONS: [f32; 11] = [0.0, 1e-30, -1e-20, 1e-6, 1.0, -1.0, 2.5, -1e4, 1e10, -1e18, 1e25];
const LOG_SCALES: [f32; 13] =
    [-86.0, -60.0, -45.0, -41.5, -20.0, -1.0, -1e-5, 0.0, 1e-5, 1.0, 20.0, 43.0, 80.0];
const SMALLEST: f64 = 1e-35;
const LARGEST: f64 = 1e38;

/// Returns whether `got` in `f32` agrees with `want` from `f64`. `scale` is the size of the terms
/// whose sum it is.
fn agrees(got: f32, want: f64, scale: f64) -> bool {
    let got = f64::from(got);
    if want.is_nan() || got.is_nan() {
        return false;
    }
    if want.abs() > LARGEST {
        return got.abs() > 0.1 * LARGEST && got.is_sign_positive() == want.is_sign_positive();
    }
    (got - want).abs() <= 1e-4 * want.abs() + 3e-6 * scale.min(LARGEST) + SMALLEST
}

/// Evaluates `$formula` of `[f32; N]` on lanes: the first lane of each result.
macro_rules! on_lanes {
    ($inputs:literal => $outputs:literal, $x:expr, |$lanes:ident| $formula:expr) => {{
            let x: [f32; $inputs] = $x;
            dispatch!(simd => {
                let mut $lanes = [load_partial(simd, &[0.0_f32], 0.0); $inputs];
                for (lanes, x) in $lanes.iter_mut().zip(&x) {
                    *lanes = load_partial(simd, &[*x; 16], 0.0);
                }
                let mut first = [0.0_f32; $outputs];
                for (first, lanes) in first.iter_mut().zip(&$formula) {
                    let mut all = [0.0; 16];
                    lanes.store(&mut all);
                    *first = all[0];
                }
                first
            })
    }};
}

fn check<const IN: usize, const OUT: usize>(
    what: &str,
    x: [f32; IN],
    got: [f32; OUT],
    want: [f64; OUT],
    scale: [f64; OUT],
    failures: &mut Vec<String>,
) {
    for (i, (got, want)) in got.into_iter().zip(want).enumerate() {
        if !agrees(got, want, scale[i]) {
            failures.push(format!("{what} {i} at {x:?}: {got}, not {want}"));
        }
    }
}

fn family<F: Family>(family: F, failures: &mut Vec<String>) {
    let name = |what: &str| format!("{} {what}", F::NAME);
    // Noise of both kinds: normals, or a uniform number and a side.
    for noise in [[0.3_f32, 0.2], [0.9, 0.7], [0.5, 0.5]] {
        for location in LOCATIONS {
            for log_scale in LOG_SCALES {
                let x = [location, log_scale, noise[0], noise[1]];
                let [m, l, n0, n1] = x.map(f64::from);
                let (parameters, both) = ([m, l], [n0, n1]);
                let reach = m.abs() + l.exp();
                if F::NAME != LogNormal::NAME {
                    let got = on_lanes!(4 => 1, x, |v| [family.sample([v[0], v[1]], [v[2], v[3]])]);
                    let want = [family.sample(parameters, both)];
                    check(&name("sample"), x, got, want, [reach], failures);
                }
                let got: [f32; 2] =
                    on_lanes!(4 => 2, x, |v| family.sample_gradient([v[0], v[1]], [v[2], v[3]]));
                if F::NAME != LogNormal::NAME || reach < 10.0 {
                    let want = family.sample_gradient(parameters, both);
                    check(&name("sample gradient"), x, got, want, [0.0; 2], failures);
                } else if got.iter().any(|x| x.is_nan()) {
                    failures.push(format!("{} at {x:?}: {got:?}", name("sample gradient")));
                }
                let got = on_lanes!(4 => 1, x, |v| [family.kl([v[0], v[1]], [v[2], v[3]])]);
                let want = [family.kl(parameters, both)];
                check(&name("kl"), x, got, want, [l.abs()], failures);
                let got = on_lanes!(4 => 2, x, |v| family.kl_gradient([v[0], v[1]], [v[2], v[3]]));
                let want = family.kl_gradient(parameters, both);
                check(&name("kl gradient"), x, got, want, [0.0, 1.0 + l.exp()], failures);
                densities(family, [location, log_scale], failures);
            }
        }
    }
}

/// At the location itself, one deviation beside it, and far away.
fn densities<F: Family>(family: F, [location, log_scale]: [f32; 2], failures: &mut Vec<String>) {
    if F::NAME == LogNormal::NAME {
        return;
    }
    for z in [location, location + log_scale.exp(), 0.0, 1e12, -1e12] {
        let x = [location, log_scale, z];
        let [m, l, wide_z] = x.map(f64::from);
        let distance = (wide_z - m).abs() / l.exp();
        let name = |what: &str| format!("{} {what}", F::NAME);
        let got = on_lanes!(3 => 1, x, |v| [family.log_density([v[0], v[1]], v[2])]);
        let want = [family.log_density([m, l], wide_z)];
        check(&name("log-density"), x, got, want, [l.abs() + 1.0], failures);
        let got = on_lanes!(3 => 3, x, |v| family.log_density_gradient([v[0], v[1]], v[2]));
        let want = family.log_density_gradient([m, l], wide_z);
        // The slopes of a density without a limit: those that the square of the distance overflows
        // count as infinite.
        if distance < 1e18 {
            check(&name("log-density gradient"), x, got, want, [0.0, 1.0, 0.0], failures);
        } else if got.iter().any(|x| x.is_nan()) {
            failures.push(format!("{} at {x:?}: {got:?}", name("log-density gradient")));
        }
    }
}

#[test]
fn families_at_their_ends() {
    let mut failures = Vec::new();
    family(Normal, &mut failures);
    family(Laplace, &mut failures);
    family(Logistic, &mut failures);
    family(LogNormal, &mut failures);
    for nu in [1.0, 5.0] {
        family(StudentT::new(nu).expect("valid"), &mut failures);
    }
    let shown = failures.iter().take(40).cloned().collect::<Vec<_>>().join("\n");
    assert!(failures.is_empty(), "{} failures:\n{shown}", failures.len());
}

/// Beyond the range of `f64`, for which no wider type is available: limits.
#[test]
fn families_beyond_double_precision() {
    let noise = [0.4, 0.3];
    let cases = [
        // KL of a Laplace posterior that is a point: |m| - 1 - ln b.
        ("laplace point", Laplace.kl([0.0, -800.0], noise), 799.0),
        ("laplace point beside", Laplace.kl([3.0, -800.0], noise), 802.0),
        ("laplace slope by location", Laplace.kl_gradient([3.0, -800.0], noise)[0], 1.0),
        ("laplace slope by scale", Laplace.kl_gradient([3.0, -800.0], noise)[1], -1.0),
        ("laplace slope at 0", Laplace.kl_gradient([0.0, -800.0], noise)[1], -1.0),
        ("laplace density", Laplace.log_density([2.0, -800.0], 2.0), 800.0 - 2f64.ln()),
        ("normal density", Normal.log_density([2.0, -800.0], 2.0), 800.0 - 0.918_938_533_204_672_7),
        ("normal slope", Normal.log_density_gradient([2.0, -800.0], 2.0)[0], 0.0),
        ("normal draw", Normal.sample([2.0, -800.0], noise), 2.0),
        ("equal means", mismatch(0.0, -2000.0), 0.0),
        ("near means", mismatch(1e-200, -900.0), (1e-200 * 450_f64.exp()).powi(2)),
        ("no excess", exp_m1_minus(0.0), 0.0),
        ("times", times_exp(1e-308, 720.0), 1e-308 * 700_f64.exp() * 20_f64.exp()),
    ];
    for (name, got, want) in cases {
        let close = got == want || (got - want).abs() <= 1e-12 * want.abs();
        assert!(close, "{name}: {got}, not {want}");
    }
}
