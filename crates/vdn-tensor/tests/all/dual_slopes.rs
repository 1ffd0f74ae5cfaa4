//! The slopes of `Dual` against central differences of the same formula in `f64`.

use vdn_tensor::{Dual, Real};

/// A formula in one variable, on both kinds of number, and the points to compare at.
struct Case {
    name: &'static str,
    dual: fn(Dual) -> Dual,
    double: fn(f64) -> f64,
    points: &'static [f64],
}

macro_rules! cases {
    ($($name:literal $x:ident => $formula:expr, $points:expr;)*) => {
        const CASES: &[Case] = &[$({
            fn formula<R: Real>($x: R) -> R {
                $formula
            }
            Case { name: $name, dual: formula::<Dual>, double: formula::<f64>, points: $points }
        }),*];
    };
}

cases! {
    "x + x x" x => x + x * x, &[-2.0, 0.0, 0.7];
    "x - x x x" x => x - x * x * x, &[-1.5, 0.0, 2.0];
    "1 / x" x => x.lit(1.0) / x, &[-2.0, 0.5, 3.0];
    "x / (1 + x x)" x => x / (x * x + x.lit(1.0)), &[-1.0, 0.0, 2.5];
    "-x" x => -x, &[-1.0, 4.0];
    "x * x + 3" x => x.mul_add(x, x.lit(3.0)), &[-1.0, 0.5];
    "|x|" x => x.abs(), &[-1.0, 2.0];
    "sqrt" x => x.sqrt(), &[0.25, 1.0, 9.0];
    "min" x => x.min(x * x), &[0.5, 1.5, -1.0];
    "max" x => x.max(x * x), &[0.5, 1.5, -1.0];
    "clamp" x => x.clamp(x.lit(-1.0), x.lit(1.0)), &[-2.0, 0.3, 2.0];
    "select" x => branches(x), &[-0.5, 0.5];
    "exp" x => x.exp(), &[-5.0, -1.0, 0.0, 2.0];
    "exp_m1" x => x.exp_m1(), &[-5.0, -1e-3, 0.0, 2.0];
    "ln" x => x.ln(), &[0.5, 1.0, 7.0];
    "ln_1p" x => x.ln_1p(), &[-0.5, 0.0, 1e-3, 7.0];
    "tanh" x => x.tanh(), &[-3.0, -0.2, 0.0, 1.0];
    "sigmoid" x => x.sigmoid(), &[-20.0, -1.0, 0.0, 3.0];
    "softplus" x => x.softplus(), &[-20.0, -1.0, 0.0, 3.0];
    "erf" x => x.erf(), &[-2.0, -0.1, 0.0, 0.9, 1.2];
    "exp_with_excess, exp" x => x.exp_with_excess()[0], &[-3.0, 0.1, 2.0];
    "exp_with_excess, excess" x => x.exp_with_excess()[1], &[-3.0, -0.3, 0.0, 0.3, 2.0];
    "composed" x => (x * x).softplus().ln() * x.tanh().exp(), &[-1.0, 0.5, 2.0];
}

/// One branch on each side of 0.
fn branches<R: Real>(x: R) -> R {
    R::select(x.lt(x.lit(0.0)), x * x.lit(3.0), x * x)
}

/// The error of a central difference with step `h` is at most `h^2 M / 6` from the third
/// derivative, where `M < 100` at all points above (the largest is that of `1/x` at 0.5, 96), plus
/// the rounding of the two values divided by `2 h`: with 4 units of 2^-53 of the largest value, 8,
/// it is `8 * 4 * 2^-53 / (2 h)`. For `h = 2^-17` that is 9.7e-10 + 2.4e-10.
#[test]
fn slopes_agree_with_central_differences() {
    const H: f64 = 1.0 / 131_072.0;
    const TOLERANCE: f64 = 1.3e-9;
    let mut failures = Vec::new();
    for case in CASES {
        for &x in case.points {
            let got = (case.dual)(Dual::variable(x));
            let want = ((case.double)(x + H) - (case.double)(x - H)) / (2.0 * H);
            if got.value != (case.double)(x)
                || (got.slope - want)
                    .abs()
                    .partial_cmp(&TOLERANCE)
                    .is_none_or(std::cmp::Ordering::is_gt)
            {
                failures.push(format!("{} at {x}: {got:?}, difference {want}", case.name));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
