//! The fused kernel of units under a conditional prior compared with its textbook formulas in
//! double precision, with slopes by dual numbers: every level, odd sizes, missing messages,
//! threads.

use crate::turn;
use vdn_tensor::kernels::unit::{
    ConditionalGradients, ConditionalOutputs, ConditionalUnits, UnitNoise, conditional_backward,
    conditional_forward,
};
use vdn_tensor::noise::NoiseKey;
use vdn_tensor::parallel::Pool;
use vdn_tensor::simd::{Level, available, set_level};
use vdn_tensor::{Dual, Element, Real};

const KEY: NoiseKey = NoiseKey::new(42, 3, 9);

/// Rows, columns, samples.
const CASES: [[usize; 3]; 8] = [
    [1, 1, 1],
    [2, 3, 1],
    [4, 16, 1],
    [5, 17, 2],
    [7, 40, 3],
    [64, 33, 4],
    [133, 300, 1],
    [70, 1030, 2],
];

/// Numbers between -1 and 1 that depend on their place alone.
fn numbers<T: Element>(stream: u32, len: usize) -> Vec<T> {
    let mut x = vec![0.0_f64; len];
    NoiseKey::new(1, stream, 0).fill_uniform(0, &mut x);
    x.into_iter().map(|u| T::from_f64(2.0 * u - 1.0)).collect()
}

struct Problem<T> {
    case: [usize; 3],
    m: Vec<T>,
    log_r: Vec<T>,
    previous: Vec<T>,
    phi: Vec<T>,
    logvar: Vec<T>,
    d_z: Vec<T>,
    d_kl: Vec<T>,
    d_mean_kl: Vec<T>,
}

/// Draws, divergences, their means; gradients of message, its log-variance, previous latent,
/// coefficient, log-variance.
type Answer<T> = [Vec<T>; 8];

fn missing(i: usize) -> bool {
    i % 11 == 4
}

impl<T: Element> Problem<T> {
    fn new(case: [usize; 3]) -> Self {
        let [rows, columns, samples] = case;
        let size = rows * columns;
        // Some lane groups far from 0 in deviations, most not; messages from vague to sharp; some
        // missing.
        let mut m = numbers::<T>(2, size);
        let mut log_r = numbers::<T>(3, size);
        for (i, (m, log_r)) in m.iter_mut().zip(&mut log_r).enumerate() {
            let far = i / 16 % 5 == 3;
            *m *= T::from_f64(if far { 40.0 } else { 2.0 });
            *log_r *= T::from_f64(if i % 7 == 0 { 12.0 } else { 3.0 });
            if missing(i) {
                (*m, *log_r) = (T::from_f64(f64::NAN), T::from_f64(f64::INFINITY));
            }
        }
        Self {
            case,
            m,
            log_r,
            previous: numbers(4, samples * size),
            phi: numbers(5, columns),
            logvar: numbers(6, columns),
            d_z: numbers(7, samples * size),
            d_kl: numbers(8, samples * size),
            d_mean_kl: numbers(9, columns),
        }
    }

    fn solve(&self) -> Answer<T> {
        let [rows, columns, samples] = self.case;
        let size = rows * columns;
        let Self { m, log_r, previous, phi, logvar, .. } = self;
        let noise = UnitNoise::Addressed(KEY);
        let units =
            ConditionalUnits { rows, columns, samples, m, log_r, previous, phi, logvar, noise };
        let mut answer: Answer<T> =
            [samples * size, samples * size, columns, size, size, samples * size, columns, columns]
                .map(|len| vec![T::ZERO; len]);
        let [z, kl, mean_kl, d_m, d_log_r, d_previous, d_phi, d_logvar] = &mut answer;
        conditional_forward(&units, ConditionalOutputs { z, kl: Some(kl), mean_kl });
        conditional_backward(
            &units,
            ConditionalGradients {
                z,
                d_z: Some(&self.d_z),
                d_kl: Some(&self.d_kl),
                d_mean_kl: Some(&self.d_mean_kl),
                d_m: Some(d_m),
                d_log_r: Some(d_log_r),
                d_previous: Some(d_previous),
                d_phi: Some(d_phi),
                d_logvar: Some(d_logvar),
            },
        );
        answer
    }

    fn oracle(&self) -> Answer<f64> {
        let [rows, columns, samples] = self.case;
        let size = rows * columns;
        let mut answer: Answer<f64> =
            [samples * size, samples * size, columns, size, size, samples * size, columns, columns]
                .map(|len| vec![0.0; len]);
        let count = (rows * samples) as f64;
        for i in 0..samples * size {
            let (s, at) = (i / size, i % size);
            let (row, c) = (at / columns, at % columns);
            let inputs =
                [self.m[at], self.log_r[at], self.previous[i], self.phi[c], self.logvar[c]]
                    .map(|x| x.to_f64());
            let eps = KEY.normal_at::<T>(columns, s as u32, row, c).to_f64();
            let [z, kl] = textbook(inputs, eps);
            answer[0][i] = z;
            answer[1][i] = kl;
            answer[2][c] += kl / count;
            let [by_z, by_kl] =
                [self.d_z[i].to_f64(), self.d_kl[i].to_f64() + self.d_mean_kl[c].to_f64() / count];
            for (k, to) in [at, at, i, c, c].into_iter().enumerate() {
                if missing(at) && k < 2 {
                    continue;
                }
                let mut at = inputs.map(|x| Dual { value: x, slope: 0.0 });
                at[k].slope = 1.0;
                let [z, kl] = textbook(at, Dual { value: eps, slope: 0.0 });
                answer[3 + k][to] += by_z * z.slope + by_kl * kl.slope;
            }
        }
        answer
    }
}

/// Product of two normal densities, and the divergence of two normal distributions.
fn textbook<R: Real>([m, log_r, previous, phi, logvar]: [R; 5], eps: R) -> [R; 2] {
    let (c, s2) = (phi * previous, logvar.exp());
    let none = log_r.gt(m.lit(1e300));
    let one = m.lit(1.0);
    let log_r = R::select(none, one, log_r);
    let m = R::select(none, one, m);
    let r = log_r.exp();
    let variance = s2 * r / (s2 + r);
    let mean = (c * r + m * s2) / (s2 + r);
    let ratio = r / (s2 + r);
    let distance = mean - c;
    let kl = (ratio - one - ratio.ln() + distance * distance / s2) * m.lit(0.5);
    let free = c + s2.sqrt() * eps;
    [R::select(none, free, mean + variance.sqrt() * eps), R::select(none, m.lit(0.0), kl)]
}

const NAMES: [&str; 8] =
    ["z", "kl", "mean kl", "d_m", "d_log_r", "d_previous", "d_phi", "d_logvar"];

fn check<T: Element>(case: [usize; 3], level: Level, failures: &mut Vec<String>) {
    let problem = Problem::<T>::new(case);
    let (got, want) = (problem.solve(), problem.oracle());
    let u = T::EPSILON.to_f64();
    for (k, (got, want)) in got.iter().zip(&want).enumerate() {
        let largest = want.iter().fold(1.0_f64, |a, b| a.max(b.abs()));
        // A handful of roundings of terms no larger than the largest result (the gain is right to 3
        // units, what narrowing costs to 8, the spread to 32 + 2 |eps|: below 48); sums over rows
        // and samples grow like the root of their number.
        let summed = (case[0] * case[2]) as f64;
        let terms = match k {
            0 | 1 => 16.0,
            2 => 16.0 + summed.sqrt(),
            3 | 4 => 48.0 * case[2] as f64,
            5 => 48.0,
            _ => 48.0 * summed.sqrt(),
        };
        let bound = terms * u * largest;
        let bad = got.iter().zip(want).enumerate();
        let bad = bad.filter(|(_, (g, w))| !((g.to_f64() - **w).abs() <= bound));
        failures.extend(bad.take(3).map(|(i, (g, w))| {
            format!("{level} {} {case:?} {}[{i}]: {g} not {w} ({bound:.1e})", T::NAME, NAMES[k])
        }));
    }
    for (i, kl) in got[1].iter().enumerate() {
        let none = missing(i % (case[0] * case[1]));
        let fits = if none { *kl == T::ZERO } else { *kl >= T::ZERO };
        assert!(fits, "{level} {case:?} {i}: {kl}");
    }
}

#[test]
fn every_level_against_the_textbook() {
    let _turn = turn();
    let mut failures = Vec::new();
    for level in available() {
        set_level(level).unwrap();
        for case in CASES {
            check::<f32>(case, level, &mut failures);
            check::<f64>(case, level, &mut failures);
        }
    }
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn threads_and_fused_levels_do_not_change_a_bit() {
    let _turn = turn();
    for case in CASES {
        let problem = Problem::<f32>::new(case);
        let bits =
            || -> Vec<u32> { problem.solve().concat().iter().map(|x| x.to_bits()).collect() };
        let mut fused = Vec::new();
        for level in available() {
            set_level(level).unwrap();
            let one = Pool::new(1).unwrap().run(bits);
            for threads in [2, 8] {
                let more = Pool::new(threads).unwrap().run(bits);
                assert!(one == more, "{case:?} {level}: {threads} threads differ from one");
            }
            if level != Level::Portable {
                fused.push(one);
            }
        }
        assert!(fused.windows(2).all(|w| w[0] == w[1]), "{case:?}: AVX2 and AVX-512 differ");
    }
}

#[test]
fn the_gain_is_right_to_a_few_units_however_small() {
    let _turn = turn();
    for level in available() {
        set_level(level).unwrap();
        for i in -3440..3440 {
            let d = f64::from(i as f32 / 40.0);
            // One unit, whose message is at the prior's mean: the divergence is half of what
            // narrowing costs.
            let units = ConditionalUnits {
                rows: 1,
                columns: 1,
                samples: 1,
                m: &[0.0_f32],
                log_r: &[-d as f32],
                previous: &[0.0],
                phi: &[0.0],
                logvar: &[0.0],
                noise: UnitNoise::Given(&[1.0]),
            };
            let (mut z, mut kl, mut mean_kl) = ([0.0_f32], [0.0_f32], [0.0_f32]);
            let (z_to, kl_to) = (&mut z, Some(&mut kl[..]));
            conditional_forward(
                &units,
                ConditionalOutputs { z: z_to, kl: kl_to, mean_kl: &mut mean_kl },
            );
            let [_, rest, excess] = d.gain();
            let u = f64::from(f32::EPSILON);
            assert!((f64::from(z[0]) / rest.sqrt() - 1.0).abs() < 4.0 * u, "{level} {d}: {}", z[0]);
            let want = 0.5 * excess;
            // Below the normal range nothing is relative any more.
            let bound = 8.0 * u * want + f64::from(f32::MIN_POSITIVE);
            assert!((f64::from(kl[0]) - want).abs() < bound, "{level} {d}: {} {want}", kl[0]);
        }
    }
}

#[test]
fn a_nan_never_disappears() {
    let _turn = turn();
    for level in available() {
        set_level(level).unwrap();
        for poisoned in 0..3 {
            let [rows, columns, samples] = [9, 21, 2];
            let mut problem = Problem::<f32>::new([rows, columns, samples]);
            let at = 5 * columns + 19;
            assert!(!missing(at));
            let target = match poisoned {
                0 => &mut problem.m,
                1 => &mut problem.log_r,
                _ => &mut problem.previous,
            };
            target[at] = f32::NAN;
            let [z, kl, mean_kl, ..] = problem.solve();
            let trajectories = if poisoned == 2 { 1 } else { samples };
            for s in 0..trajectories {
                let i = s * rows * columns + at;
                assert!(z[i].is_nan() && kl[i].is_nan(), "{level} {poisoned}");
            }
            assert!(mean_kl[19].is_nan(), "{level} {poisoned}");
            let finite = z.iter().filter(|x| x.is_finite()).count();
            assert_eq!(finite, samples * rows * columns - trajectories, "{level} {poisoned}");
        }
    }
}
