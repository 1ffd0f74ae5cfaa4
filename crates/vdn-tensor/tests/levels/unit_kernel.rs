//! The fused kernel against a naive double-precision oracle: every level, every form of `logvar`,
//! odd sizes, threads.

use crate::turn;
use vdn_tensor::Element;
use vdn_tensor::kernels::unit::{
    ClampGradient, LogVar, UnitGradients, UnitNoise, UnitOutputs, Units, unit_backward,
    unit_forward,
};
use vdn_tensor::noise::{Generator, NoiseKey};
use vdn_tensor::parallel::Pool;
use vdn_tensor::simd::{Level, available, set_level};

const KEY: NoiseKey = NoiseKey::new(42, 3, 9);

#[derive(Clone, Copy, Debug, PartialEq)]
enum Form {
    Element,
    Column,
    Scalar,
}

#[derive(Clone, Copy, Debug)]
struct Case {
    rows: usize,
    columns: usize,
    samples: usize,
    form: Form,
    antithetic: bool,
    generator: Generator,
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (rows, columns, samples) in [
        (1, 1, 1),
        (2, 3, 1),
        (4, 16, 1),
        (5, 17, 2),
        (7, 40, 3),
        (64, 33, 4),
        (133, 100, 1),
        (70, 1030, 2),
    ] {
        for form in [Form::Element, Form::Column, Form::Scalar] {
            for antithetic in [false, true] {
                for generator in [Generator::Philox10, Generator::Ars7] {
                    cases.push(Case { rows, columns, samples, form, antithetic, generator });
                }
            }
        }
    }
    cases
}

/// Numbers between -1 and 1 that depend on their place alone.
fn numbers<T: Element>(stream: u32, len: usize) -> Vec<T> {
    let mut x = vec![0.0_f64; len];
    NoiseKey::new(1, stream, 0).fill_uniform(0, &mut x);
    x.into_iter().map(|u| T::from_f64(2.0 * u - 1.0)).collect()
}

struct Problem<T> {
    case: Case,
    mu: Vec<T>,
    logvar: Vec<T>,
    d_z: Vec<T>,
    d_statistics: [Vec<T>; 5],
    d_kl: Vec<T>,
}

struct Answer<T> {
    z: Vec<T>,
    statistics: [Vec<T>; 5],
    kl: Vec<T>,
    d_mu: Vec<T>,
    d_logvar: Vec<T>,
}

impl<T: Element> Problem<T> {
    fn new(case: Case) -> Self {
        let Case { rows, columns, samples, form, .. } = case;
        let size = rows * columns;
        // Means up to 8 with sigmas around 1: some lane groups take the regenerating path, some do
        // not. Offsets by column make the mean of a column large against its spread. A few logvars
        // lie outside the limits.
        let offsets: Vec<T> = numbers(10, columns);
        let mut mu: Vec<T> = numbers(11, size);
        for (i, m) in mu.iter_mut().enumerate() {
            let stretch = if i % columns / 16 % 2 == 0 { 0.5 } else { 6.0 };
            *m = *m * T::from_f64(stretch) + offsets[i % columns] * T::from_f64(2.0);
        }
        let count = match form {
            Form::Element => size,
            Form::Column => columns,
            Form::Scalar => 1,
        };
        let mut logvar: Vec<T> = numbers(12, count);
        for (i, l) in logvar.iter_mut().enumerate() {
            if i % 13 == 5 {
                *l = T::from_f64(if i % 2 == 0 { 5.0 } else { -19.0 });
            }
        }
        let d_statistics = [0, 1, 2, 3, 4].map(|k| numbers(20 + k, columns));
        let (d_z, d_kl) = (numbers(13, samples * size), numbers(14, size));
        Self { case, mu, logvar, d_z, d_statistics, d_kl }
    }

    fn units(&self) -> Units<'_, T> {
        let Case { rows, columns, samples, form, antithetic, generator } = self.case;
        let logvar = match form {
            Form::Element => LogVar::PerElement(&self.logvar),
            Form::Column => LogVar::PerColumn(&self.logvar),
            Form::Scalar => LogVar::Scalar(self.logvar[0]),
        };
        let noise = UnitNoise::Addressed(KEY.with_generator(generator));
        Units { rows, columns, samples, mu: &self.mu, logvar, noise, antithetic }
    }

    fn solve(&self, clamp: ClampGradient) -> Answer<T> {
        let Case { rows, columns, samples, .. } = self.case;
        let size = rows * columns;
        let units = self.units();
        let mut z = vec![T::ZERO; samples * size];
        let mut statistics = [(); 5].map(|()| vec![T::ZERO; columns]);
        let mut kl = vec![T::ZERO; size];
        let [m1, m2, c2, d0, lv] = &mut statistics;
        unit_forward(&units, UnitOutputs { z: &mut z, m1, m2, c2, d0, lv, kl: Some(&mut kl) });
        let (mut d_mu, mut d_logvar) = (vec![T::ZERO; size], vec![T::ZERO; self.logvar.len()]);
        let [g1, g2, gc, gd, gl] = [0, 1, 2, 3, 4].map(|k| Some(&self.d_statistics[k][..]));
        let gradients = UnitGradients {
            z: &z,
            m1: &statistics[0],
            d_z: Some(&self.d_z),
            d_m1: g1,
            d_m2: g2,
            d_c2: gc,
            d_d0: gd,
            d_lv: gl,
            d_kl: Some(&self.d_kl),
            clamp,
        };
        unit_backward(&units, &gradients, Some(&mut d_mu), Some(&mut d_logvar));
        Answer { z, statistics, kl, d_mu, d_logvar }
    }

    /// The formulas of the kernel's documentation, one number at a time in double precision.
    fn oracle(&self, clamp: ClampGradient) -> Answer<f64> {
        let Case { rows, columns, samples, form, antithetic, generator } = self.case;
        let size = rows * columns;
        let raw = |i: usize| match form {
            Form::Element => i,
            Form::Column => i % columns,
            Form::Scalar => 0,
        };
        let (low, high) = (2.0 * 1e-4_f64.ln(), 2.0 * 10_f64.ln());
        let mu: Vec<f64> = self.mu.iter().map(|x| x.to_f64()).collect();
        let logvar = |i: usize| self.logvar[raw(i)].to_f64().clamp(low, high);
        let eps = |s: usize, i: usize| {
            let (base, sign) = match antithetic {
                true => (s / 2, if s.is_multiple_of(2) { 1.0 } else { -1.0 }),
                false => (s, 1.0),
            };
            // The noise is tested elsewhere. Here it is read from its address, in the element's
            // precision.
            let key = KEY.with_generator(generator);
            sign * key.normal_at::<T>(columns, base as u32, i / columns, i % columns).to_f64()
        };
        let n = rows as f64;
        let mut z = vec![0.0; samples * size];
        let mut kl = vec![0.0; size];
        let mut statistics = [(); 5].map(|()| vec![0.0; columns]);
        for i in 0..size {
            let (m, l) = (mu[i], logvar(i));
            for s in 0..samples {
                z[s * size + i] = m + (0.5 * l).exp() * eps(s, i);
            }
            let spread = l.exp_m1() - l;
            kl[i] = 0.5 * (m * m + spread);
            for (k, x) in [m, m * m, 0.0, spread, l].into_iter().enumerate() {
                statistics[k][i % columns] += x / n;
            }
        }
        for i in 0..size {
            let c = i % columns;
            statistics[2][c] += (mu[i] - statistics[0][c]).powi(2) / n;
        }
        let mut d_mu = vec![0.0; size];
        let mut d_logvar = vec![0.0; self.logvar.len()];
        let g = |k: usize, c: usize| self.d_statistics[k][c].to_f64();
        for i in 0..size {
            let (c, m, l) = (i % columns, mu[i], logvar(i));
            let g_kl = self.d_kl[i].to_f64();
            d_mu[i] = (g(0, c) + 2.0 * m * g(1, c) + 2.0 * (m - statistics[0][c]) * g(2, c)) / n
                + g_kl * m;
            let mut d = (g(3, c) * l.exp_m1() + g(4, c)) / n + g_kl * 0.5 * l.exp_m1();
            for s in 0..samples {
                let g_z = self.d_z[s * size + i].to_f64();
                d_mu[i] += g_z;
                d += 0.5 * g_z * (0.5 * l).exp() * eps(s, i);
            }
            d_logvar[raw(i)] += d;
        }
        for (d, l) in d_logvar.iter_mut().zip(&self.logvar) {
            let l = l.to_f64();
            let stop = match clamp {
                ClampGradient::Zero => l < low || l > high,
                ClampGradient::Inward => (l > high && *d <= 0.0) || (l < low && *d >= 0.0),
            };
            if stop {
                *d = 0.0;
            }
        }
        Answer { z, statistics, kl, d_mu, d_logvar }
    }
}

/// Compares with a tolerance relative to `size`, the largest sum of magnitudes that goes into a
/// number.
fn compare<T: Element>(
    name: &str,
    got: &[T],
    want: &[f64],
    size: f64,
    epsilons: f64,
    failures: &mut Vec<String>,
) {
    let bound = epsilons * T::EPSILON.to_f64() * size;
    for (i, (g, w)) in got.iter().zip(want).enumerate() {
        if !((g.to_f64() - w).abs() <= bound + epsilons * T::EPSILON.to_f64() * w.abs()) {
            failures.push(format!("{name}[{i}]: {g} instead of {w} (bound {bound:.2e})"));
        }
    }
}

fn check<T: Element>(case: Case, level: Level, failures: &mut Vec<String>) {
    let problem = Problem::<T>::new(case);
    for clamp in [ClampGradient::Inward, ClampGradient::Zero] {
        let (got, want) = (problem.solve(clamp), problem.oracle(clamp));
        let mut found = Vec::new();
        let largest = |x: &[f64]| x.iter().fold(1.0_f64, |a, b| a.max(b.abs()));
        // Each number is a handful of operations on terms no larger than `size`; sums over rows add
        // one rounding per tile of four rows and chunk, at most rows / 4 of them, which grow like
        // their square root: 8 + sqrt(rows).
        let eps = 8.0 + (case.rows as f64).sqrt();
        compare("z", &got.z, &want.z, largest(&want.z), 4.0, &mut found);
        compare("kl", &got.kl, &want.kl, 0.1, 8.0, &mut found);
        for (k, name) in ["m1", "m2", "c2", "d0", "lv"].into_iter().enumerate() {
            let size = [8.0, 64.0, 64.0, 1.0, 1.0][k];
            compare(name, &got.statistics[k], &want.statistics[k], size, eps, &mut found);
        }
        let terms = (case.samples + 4) as f64 * 8.0;
        compare("d_mu", &got.d_mu, &want.d_mu, terms, 4.0, &mut found);
        // Sums over everything that was broadcast; z - mu loses |mu|/sigma <= 4 of relative
        // precision. At sigma 10 the terms are a hundred times larger.
        let summed = case.rows * case.columns / got.d_logvar.len();
        let terms = terms * 100.0 * (summed as f64).sqrt();
        compare("d_logvar", &got.d_logvar, &want.d_logvar, terms, 8.0, &mut found);
        failures.extend(
            found
                .into_iter()
                .take(4)
                .map(|f| format!("{level} {} {case:?} {clamp:?} {f}", T::NAME)),
        );
    }
}

#[test]
fn every_level_against_the_oracle() {
    let _turn = turn();
    let mut failures = Vec::new();
    let levels = available();
    for &level in &levels {
        set_level(level).unwrap();
        for case in cases() {
            check::<f32>(case, level, &mut failures);
            check::<f64>(case, level, &mut failures);
        }
    }
    println!("levels: {levels:?}");
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}

fn bits(answer: &Answer<f32>) -> Vec<u32> {
    let parts = [&answer.z, &answer.kl, &answer.d_mu, &answer.d_logvar].into_iter();
    parts.chain(&answer.statistics).flatten().map(|x| x.to_bits()).collect()
}

#[test]
fn threads_and_fused_levels_do_not_change_a_bit() {
    let _turn = turn();
    let [one, two, eight] = [1, 2, 8].map(|threads| Pool::new(threads).unwrap());
    for case in cases() {
        let problem = Problem::<f32>::new(case);
        let mut fused = Vec::new();
        for level in available() {
            set_level(level).unwrap();
            let solve = |pool: &Pool| pool.run(|| bits(&problem.solve(ClampGradient::Inward)));
            let one = solve(&one);
            for (threads, pool) in [(2, &two), (8, &eight)] {
                assert!(one == solve(pool), "{case:?} {level}: {threads} threads differ from one");
            }
            if level != Level::Portable {
                fused.push(one);
            }
        }
        assert!(fused.windows(2).all(|w| w[0] == w[1]), "{case:?}: AVX2 and AVX-512 differ");
    }
}

#[test]
fn the_kl_near_the_prior_is_right_to_rounding() {
    let _turn = turn();
    for level in available() {
        set_level(level).unwrap();
        for exponent in 1..=30 {
            let l = 2_f32.powi(-exponent);
            for l in [l, -l] {
                let units = Units {
                    rows: 1,
                    columns: 1,
                    samples: 1,
                    mu: &[0.0],
                    logvar: LogVar::Scalar(l),
                    noise: UnitNoise::Given(&[0.0]),
                    antithetic: false,
                };
                let mut out = [[0.0_f32]; 7];
                let [z, m1, m2, c2, d0, lv, kl] = &mut out;
                unit_forward(&units, UnitOutputs { z, m1, m2, c2, d0, lv, kl: Some(kl) });
                let x = f64::from(l);
                // Taylor to the 14th power: exact to double precision for |x| <= 1/2.
                let want = (2..15).fold((0.0, x), |(sum, term), k| {
                    let term = term * x / f64::from(k);
                    (sum + term, term)
                });
                let error = (f64::from(out[4][0]) / want.0 - 1.0).abs();
                assert!(
                    error < 4.0 * f64::from(f32::EPSILON),
                    "{level} logvar {l}: relative error {error:.2e}"
                );
            }
        }
    }
}

#[test]
fn a_nan_never_disappears() {
    let _turn = turn();
    for level in available() {
        set_level(level).unwrap();
        for poisoned in ["mu", "logvar"] {
            let case = Case {
                rows: 9,
                columns: 21,
                samples: 2,
                form: Form::Element,
                antithetic: false,
                generator: Generator::Ars7,
            };
            let mut problem = Problem::<f32>::new(case);
            let target = if poisoned == "mu" { &mut problem.mu } else { &mut problem.logvar };
            target[5 * 21 + 19] = f32::NAN;
            let answer = problem.solve(ClampGradient::Inward);
            for s in 0..2 {
                assert!(answer.z[(s * 9 + 5) * 21 + 19].is_nan(), "{level} {poisoned}: z");
            }
            assert!(answer.kl[5 * 21 + 19].is_nan(), "{level} {poisoned}: kl");
            let statistic = if poisoned == "mu" { 2 } else { 3 };
            assert!(answer.statistics[statistic][19].is_nan(), "{level} {poisoned}: statistics");
            let finite = answer.z.iter().filter(|x| x.is_finite()).count();
            assert_eq!(finite, 2 * 9 * 21 - 2, "{level} {poisoned}: the NaN spread");
        }
    }
}
