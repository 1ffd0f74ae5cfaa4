//! The error of every function of `vdn_tensor::math` on every level this machine has, in units in
//! the last place.
//! The fast test takes every 4099th bit pattern, all special values, and the neighbourhood of every
//! point where a function changes its formula. The exhaustive test takes all 2^32 bit patterns.
//! place where a function changes its formula. The exhaustive one takes all 2^32.
#![allow(
    clippy::excessive_precision,
    clippy::approx_constant,
    clippy::neg_cmp_op_on_partial_ord,
    reason = "published digits stand as published, arguments are arguments, and NaN has to fail a bound"
)]

use std::f64::consts::TAU;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use vdn_tensor::math::{double, ln, turn};
use vdn_tensor::simd::{LANES, Lanes, Level, Simd, available};
use vdn_tensor::{Real, dispatch};

/// One function: its exact value, its domain, and its stated error.
struct Function {
    name: &'static str,
    reference: fn(f64) -> f64,
    domain: [f64; 2],
    /// The bound on levels with fused multiply-add, and without.
    ulps: [f64; 2],
}

const ALL: [f64; 2] = [f64::NEG_INFINITY, f64::INFINITY];
/// The domain of `sin_cos_turn`, without the numbers closer to 0 than [`TURN_LEAST`].
const TURN: [f64; 2] = [-0.5, 0.5];
/// 2^-100.
const TURN_LEAST: f64 = 1.0 / (1u128 << 100) as f64;

/// Lists the functions once, for the table and for the lanes.
macro_rules! functions {
    ($($name:literal $on:expr, $reference:expr, $domain:expr, $fused:literal, $plain:literal;)*) => {
        const FUNCTIONS: &[Function] = &[$(Function {
            name: $name,
            reference: $reference,
            domain: $domain,
            ulps: [$fused, $plain],
        }),*];

        #[inline(always)]
        fn evaluate<S: Simd>(simd: S, name: &str, x: &[f32; LANES], to: &mut [f32; LANES]) {
            let x = simd.load(x);
            match name {
                $($name => apply(x, #[inline(always)] $on).store(to),)*
                _ => panic!("no function {name}"),
            }
        }
    };
}

#[inline(always)]
fn apply<L>(x: L, f: impl FnOnce(L) -> L) -> L {
    f(x)
}

// The reference values come from the standard library in double precision. Their own error is about
// 1e-16 relative, 1e-8 of the unit in which results are measured. `double::erf` is compared with 20
// digits below.
functions! {
    "exp" |x: S::F32| x.exp(), f64::exp, ALL, 1.0, 1.0;
    "exp_m1" |x: S::F32| x.exp_m1(), f64::exp_m1, ALL, 2.0, 2.0;
    "ln" |x: S::F32| x.ln(), f64::ln, ALL, 1.0, 1.0;
    "ln_unit" |x: S::F32| ln::ln_unit(x), f64::ln, [1.0 / 8_589_934_592.0, 1.0], 1.0, 1.5;
    "ln_1p" |x: S::F32| x.ln_1p(), f64::ln_1p, ALL, 2.0, 2.0;
    "tanh" |x: S::F32| x.tanh(), f64::tanh, ALL, 2.0, 2.0;
    "sigmoid" |x: S::F32| x.sigmoid(), double::sigmoid, ALL, 2.0, 2.0;
    "softplus" |x: S::F32| x.softplus(), double::softplus, ALL, 2.0, 2.1;
    "erf" |x: S::F32| x.erf(), double::erf, ALL, 2.0, 2.0;
    "sin_turn" |x: S::F32| turn::sin_turn(x), sin_turn, ALL, 2.0, 2.0;
    "cos_turn" |x: S::F32| turn::cos_turn(x), cos_turn, ALL, 2.0, 2.0;
    "sin_cos_turn, sin" |x: S::F32| turn::sin_cos_turn(x)[0], sin_turn, TURN, 3.0, 3.0;
    "sin_cos_turn, cos" |x: S::F32| turn::sin_cos_turn(x)[1], cos_turn, TURN, 2.5, 2.5;
    "exp_with_excess, exp" |x: S::F32| x.exp_with_excess()[0], f64::exp, [-80.0, 80.0], 1.5, 1.5;
    "exp_with_excess, excess" |x: S::F32| x.exp_with_excess()[1], excess, [-80.0, 80.0], 2.5, 2.5;
    "exp_m1_and_power, exp_m1" |x: S::F32| x.exp_m1_and_power()[0], exp_m1, [-80.0, 80.0], 2.0, 2.0;
}

fn excess(x: f64) -> f64 {
    Real::exp_with_excess(x)[1]
}

/// The sign of zero is lost.
fn exp_m1(x: f64) -> f64 {
    x.exp_m1() + 0.0
}

/// `x` minus the nearest whole number, exact; a zero has the sign of `x`.
fn fraction(x: f64) -> f64 {
    let f = if x.is_finite() { x - x.round_ties_even() } else { f64::NAN };
    if f == 0.0 { f.copysign(x) } else { f }
}

fn sin_turn(x: f64) -> f64 {
    let f = fraction(x);
    (TAU * f.abs().min(0.5 - f.abs())).sin().copysign(f)
}

fn cos_turn(x: f64) -> f64 {
    // Around the zeros through the sine, whose argument is exact there.
    let a = fraction(x).abs();
    match a {
        _ if a < 0.125 => (TAU * a).cos(),
        _ if a > 0.375 => -(TAU * (0.5 - a)).cos(),
        _ => (TAU * (0.25 - a)).sin(),
    }
}

/// The distance between neighbouring `f32` around `x`: 2^-149 among the subnormals and at 0.
fn ulp(x: f64) -> f64 {
    let exponent = ((x.to_bits() >> 52) & 0x7ff) as i32 - 1023;
    2f64.powi(exponent.clamp(-126, 127) - 23)
}

/// The error of `got` in units in the last place of `want`; infinite for a wrong NaN, infinity or
/// sign of zero. Beside the largest number, infinity counts as 2^128.
fn error_in_ulps(got: f32, want: f64) -> f64 {
    let top = 2f64.powi(128);
    if got.is_nan() || want.is_nan() {
        return if got.is_nan() && want.is_nan() { 0.0 } else { f64::INFINITY };
    }
    if got == 0.0 && got.is_sign_negative() != want.is_sign_negative() {
        return f64::INFINITY;
    }
    if want == 0.0 && got != 0.0 {
        return f64::INFINITY;
    }
    let limited = f64::from(got).clamp(-top, top);
    (limited - want.clamp(-top, top)).abs() / ulp(want)
}

/// The worst case of one function on one level.
#[derive(Clone, Copy, Default)]
struct Worst {
    ulps: f64,
    absolute: f64,
    at: f32,
    got: f32,
}

/// Measures one function on `x` and keeps the worst case of each level.
fn measure(function: &Function, levels: &[Level], x: &[f32; LANES], worst: &mut [Worst]) {
    let want = x.map(|x| (function.reference)(f64::from(x)));
    let [low, high] = function.domain;
    for (level, worst) in levels.iter().zip(worst) {
        let mut got = [0.0; LANES];
        dispatch!(*level, simd => evaluate(simd, function.name, x, &mut got));
        for i in 0..LANES {
            let wide = f64::from(x[i]);
            let inside = (wide >= low && wide <= high) || (wide.is_nan() && low == ALL[0]);
            let inside =
                inside && (function.domain != TURN || wide == 0.0 || wide.abs() >= TURN_LEAST);
            let ulps = error_in_ulps(got[i], want[i]);
            if inside && want[i].is_finite() && got[i].is_finite() {
                worst.absolute = worst.absolute.max((f64::from(got[i]) - want[i]).abs());
            }
            if inside && ulps > worst.ulps {
                *worst = Worst { ulps, at: x[i], got: got[i], ..*worst };
            }
        }
    }
}

/// Whether the level rounds `mul_add` once.
fn is_fused(level: Level) -> bool {
    fn of<S: Simd>(_: S) -> bool {
        S::FMA
    }
    dispatch!(level, simd => of(simd))
}

/// Prints one line for each level and collects what breaks a bound.
fn report(function: &Function, levels: &[Level], worst: &[Worst], failures: &mut Vec<String>) {
    for (level, worst) in levels.iter().zip(worst) {
        let bound = function.ulps[usize::from(!is_fused(*level))];
        let line = format!(
            "{:24} {level:8} {:.4} ULP (bound {bound}) at {:e}: {:e}, not {:e}; absolute {:.2e}",
            function.name,
            worst.ulps,
            worst.at,
            worst.got,
            (function.reference)(f64::from(worst.at)),
            worst.absolute,
        );
        println!("{line}");
        if !(worst.ulps <= bound) {
            failures.push(line);
        }
    }
}

/// Special values and both sides of every place where some function changes its formula.
fn edges() -> Vec<f32> {
    let mut places = vec![
        0.0, 1e-9, 1e-6, 0.125, 0.25, 0.3465736, 0.375, 0.5, 0.55, 0.7071068, 0.75, 0.84375, 1.0,
        1.0397208, 1.4142135, 2.0, 3.95, 9.1, 17.3, 20.0, 87.0, 87.33654, 88.37626, 88.72283, 89.0,
        103.27893, 103.97208, 104.0, 8388608.0, 16777216.0,
    ];
    places.extend([2f32.powi(100), f32::MAX, f32::MIN_POSITIVE, f32::INFINITY]);
    let around =
        |x: &f32| (-20..=20).map(|k| f32::from_bits(x.to_bits().wrapping_add_signed(k))).collect();
    let mut all: Vec<f32> = places.iter().flat_map(|x| -> Vec<f32> { around(x) }).collect();
    all.extend([0x7f80_0001_u32, 0x7fbf_ffff, 0x7fc0_0000, 0x7fff_ffff].map(f32::from_bits));
    all.extend((-40..=40).map(|k| 0.25 * k as f32));
    let negative: Vec<f32> = all.iter().map(|x| -x).collect();
    all.extend(negative);
    all.resize(all.len().next_multiple_of(LANES), 0.0);
    all
}

#[test]
fn every_function_keeps_its_bound_on_a_sweep() {
    const STRIDE: u32 = 4099;
    let levels = available();
    println!("levels: {}", levels.iter().map(|l| l.name()).collect::<Vec<_>>().join(", "));
    let mut x: Vec<f32> = (0..u32::MAX / STRIDE).map(|i| f32::from_bits(i * STRIDE)).collect();
    x.truncate(x.len() / LANES * LANES);
    x.extend(edges());
    let mut failures = Vec::new();
    for function in FUNCTIONS {
        let mut worst = vec![Worst::default(); levels.len()];
        for chunk in x.as_chunks::<LANES>().0 {
            measure(function, &levels, chunk, &mut worst);
        }
        report(function, &levels, &worst, &mut failures);
    }
    assert!(failures.is_empty(), "beyond the bound:\n{}", failures.join("\n"));
}

/// All 2^32 numbers; about a quarter of an hour on two cores:
/// `cargo test --release -p vdn-tensor --test all -- --ignored --nocapture exhaustive`
#[test]
#[ignore = "a quarter of an hour: the command is in the documentation comment"]
fn exhaustive() {
    const CHUNK: u64 = 1 << 16;
    let levels = available();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let mut failures = Vec::new();
    for function in FUNCTIONS {
        let next = AtomicU64::new(0);
        let merged = Mutex::new(vec![Worst::default(); levels.len()]);
        let run = || {
            let mut worst = vec![Worst::default(); levels.len()];
            loop {
                let start = next.fetch_add(CHUNK, Ordering::Relaxed);
                if start > u64::from(u32::MAX) {
                    break;
                }
                for first in (start..start + CHUNK).step_by(LANES) {
                    let x = std::array::from_fn(|i| f32::from_bits((first + i as u64) as u32));
                    measure(function, &levels, &x, &mut worst);
                }
            }
            for (all, one) in merged.lock().expect("no thread panicked").iter_mut().zip(worst) {
                let absolute = all.absolute.max(one.absolute);
                // On a tie the smaller argument, so that the report does not depend on the threads.
                let takes = one.ulps > all.ulps || (one.ulps == all.ulps && one.at < all.at);
                *all = Worst { absolute, ..if takes { one } else { *all } };
            }
        };
        std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(run))));
        let worst = merged.into_inner().expect("no thread panicked");
        report(function, &levels, &worst, &mut failures);
    }
    assert!(failures.is_empty(), "beyond the bound:\n{}", failures.join("\n"));
}

#[test]
fn fused_levels_agree_bit_for_bit() {
    let levels: Vec<Level> = available().into_iter().filter(|&level| is_fused(level)).collect();
    println!("compared: {levels:?}");
    let mut x = edges();
    x.extend((0..65_536_u32 / 16 * 16).map(|i| f32::from_bits(i << 16 | 0x1357)));
    let mut failures = Vec::new();
    for function in FUNCTIONS {
        for chunk in x.as_chunks::<LANES>().0 {
            let results: Vec<[u32; LANES]> = levels
                .iter()
                .map(|&level| {
                    let mut got = [0.0; LANES];
                    dispatch!(level, simd => evaluate(simd, function.name, chunk, &mut got));
                    std::array::from_fn(|i| match function.domain != ALL && chunk[i].is_nan() {
                        // The sign of a NaN is the compiler's choice where two of them meet in a
                        // product. A NaN it has to be.
                        true if got[i].is_nan() => f32::NAN.to_bits(),
                        _ => got[i].to_bits(),
                    })
                })
                .collect();
            if results.windows(2).any(|pair| pair[0] != pair[1]) {
                failures.push(format!("{} at {chunk:?}", function.name));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// The result of a lane does not depend on its neighbours: a special value next to it takes another
/// path in `ln`.
#[test]
fn neighbours_do_not_matter() {
    let mut failures = Vec::new();
    for level in available() {
        for function in FUNCTIONS.iter().filter(|f| f.domain == ALL) {
            for (k, pair) in edges().windows(2).enumerate() {
                let mut alone = [0.0; LANES];
                let mut mixed = [0.0; LANES];
                let special = [f32::NAN, 0.0, -1.0, f32::INFINITY, 1e-40, -5.0][k % 6];
                let mut x = [pair[0]; LANES];
                dispatch!(level, simd => evaluate(simd, function.name, &x, &mut alone));
                x[k % 15 + 1] = special;
                dispatch!(level, simd => evaluate(simd, function.name, &x, &mut mixed));
                if alone[0].to_bits() != mixed[0].to_bits() && !alone[0].is_nan() {
                    failures.push(format!(
                        "{} {level} at {:e} beside {special:e}",
                        function.name, x[0]
                    ));
                }
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn erf_in_double_precision() {
    // 22 digits, computed with mpmath 1.4 (arbitrary precision).
    let table = [
        (1e-300, 1.128_379_167_095_512_602_172e-300),
        (1e-10, 1.128_379_167_095_512_615_002e-10),
        (0.001, 0.001_128_378_790_969_236_403_438),
        (0.1, 0.112_462_916_018_284_898_404_7),
        (0.25, 0.276_326_390_168_236_932_985_1),
        (0.5, 0.520_499_877_813_046_537_682_7),
        (0.75, 0.711_155_633_653_515_131_598_9),
        (0.9375, 0.815_102_401_034_399_804_177),
        (0.99999, 0.842_696_641_833_229_794_175_7),
        (1.0, 0.842_700_792_949_714_869_341_2),
        (1.0625, 0.867_058_269_434_952_755_383_8),
        (1.25, 0.922_900_128_256_458_230_136_5),
        (1.5, 0.966_105_146_475_310_727_067),
        (1.75, 0.986_671_671_219_182_443_772_2),
        (2.0, 0.995_322_265_018_952_734_162_1),
        (2.5, 0.999_593_047_982_555_041_060_4),
        (3.0, 0.999_977_909_503_001_414_558_6),
        (3.5, 0.999_999_256_901_627_658_587_3),
        (4.0, 0.999_999_984_582_742_099_72),
        (4.5, 0.999_999_999_803_383_955_845_7),
        (5.0, 0.999_999_999_998_462_540_205_6),
        (5.5, 0.999_999_999_999_992_642_152_1),
        (5.875, 0.999_999_999_999_999_903_084_4),
        (6.0, 0.999_999_999_999_999_978_480_3),
        (7.0, 1.0),
        (f64::INFINITY, 1.0),
        (0.0, 0.0),
    ];
    let mut failures = Vec::new();
    for (x, want) in table {
        for sign in [1.0, -1.0] {
            let (got, want) = (double::erf(sign * x), sign * want);
            let ulps = (got.to_bits() as i64 - f64::to_bits(want) as i64).abs();
            if ulps > 2 {
                failures.push(format!("erf({x:e}) = {got:e}, not {want:e}"));
            }
        }
    }
    assert!(double::erf(f64::NAN).is_nan());
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
