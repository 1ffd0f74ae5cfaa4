//! Softmax, logsumexp, layer normalisation and the moving average.

use crate::kernels::cases::{Report, columns, exact, garbage, numbers, unit};
use vdn_tensor::Element;
use vdn_tensor::kernels::{layer_norm, logsumexp, logsumexp_backward, moving_average, softmax};

pub(crate) fn check<T: Element>(report: &mut Report) {
    for around in [
        (0, 3, 2),
        (2, 0, 3),
        (4, 1, 1),
        (3, 2, 1),
        (5, 16, 1),
        (3, 700, 1),
        (1, 17_000, 1),
        (2, 9, 3),
        (2, 30, 17),
        (1, 8, 20_000),
    ] {
        exponentials::<T>(report, around);
    }
    infinities::<T>(report);
    for (rows, n) in [(0, 4), (3, 1), (2, 5), (7, 16), (5, 33), (300, 64), (2, 1500), (1, 20_000)] {
        normalisation::<T>(report, rows, n);
    }
    for (rows, n, kernel) in [
        (0, 3, 3),
        (2, 1, 1),
        (2, 1, 25),
        (3, 5, 2),
        (3, 24, 25),
        (4, 96, 25),
        (100, 200, 7),
        (1, 20_000, 3),
        (3, 4, 4),
    ] {
        averages::<T>(report, rows, n, kernel);
    }
}

/// `exp` and `ln` of the lanes are held to a few units in the last place by their own tests; eight
/// are granted here.
const FUNCTION: f64 = 8.0;

fn exponentials<T: Element>(report: &mut Report, around: (usize, usize, usize)) {
    let (outer, n, inner) = around;
    // A hundred times: without the shift, `exp` overflows in f32.
    let x: Vec<T> =
        numbers::<T>(21, outer * n * inner).iter().map(|&v| v * T::from_f64(100.0)).collect();
    let values = exact(&x);
    let (mut y, mut lse) = (garbage::<T>(x.len()), garbage::<T>(outer * inner));
    softmax(&x, around, &mut y);
    logsumexp(&x, around, &mut lse);
    let (mut want, mut wanted) = (vec![0.0; x.len()], Vec::new());
    for column in columns(around) {
        let max = column.iter().fold(f64::NEG_INFINITY, |m, &i| m.max(values[i]));
        let sum: f64 = column.iter().map(|&i| (values[i] - max).exp()).sum();
        wanted.push(if n == 0 { max } else { max + sum.ln() });
        for i in column {
            want[i] = (values[i] - max).exp() / sum;
        }
    }
    // The argument of exp is up to 800 and rounds once; then exp, the sum, the quotient.
    let roundings = 800.0 + FUNCTION + 26.0 + 3.0 * (n.max(1) as f64).log2() + 1.0;
    let smallest = 2.0 * f64::from(f32::MIN_POSITIVE);
    report.compare(&format!("softmax {around:?}"), &y, &want, |i| {
        roundings * unit::<T>() * want[i] + smallest
    });
    // Of a relative error of the sum, ln makes an absolute one; the shift is added with one
    // rounding. Terms of the sum that have large arguments are tiny, so their errors vanish: a *
    // exp(-a) is below 1.
    let roundings = 1.0 + FUNCTION * 3.0 + 26.0 + 3.0 * (n.max(1) as f64).log2();
    report.compare(&format!("logsumexp {around:?}"), &lse, &wanted, |i| {
        unit::<T>() * (roundings + 2.0 * wanted[i].abs())
    });
}

fn infinities<T: Element>(report: &mut Report) {
    let (low, high, nan) = (f64::NEG_INFINITY, f64::INFINITY, f64::NAN);
    let cases: [([f64; 3], f64, [f64; 3]); 5] = [
        ([low, low, low], low, [nan, nan, nan]),
        ([low, 0.0, low], 0.0, [0.0, 1.0, 0.0]),
        ([high, 0.0, low], high, [nan, 0.0, 0.0]),
        ([nan, 0.0, 1.0], nan, [nan, nan, nan]),
        ([0.0, 1.0, nan], nan, [nan, nan, nan]),
    ];
    for (x, lse, y) in cases {
        for around in [(1, 3, 1), (1, 3, 2), (1, 3, 40)] {
            let repeated: Vec<T> = x.iter().flat_map(|&v| vec![T::from_f64(v); around.2]).collect();
            let (mut out, mut sum) = (garbage::<T>(repeated.len()), garbage::<T>(around.2));
            softmax(&repeated, around, &mut out);
            logsumexp(&repeated, around, &mut sum);
            let want: Vec<f64> = y.iter().flat_map(|&v| vec![v; around.2]).collect();
            report.compare(&format!("softmax of {x:?} {around:?}"), &out, &want, |_| 0.0);
            report.compare(
                &format!("logsumexp of {x:?} {around:?}"),
                &sum,
                &vec![lse; around.2],
                |_| 0.0,
            );
            if lse == low {
                let mut dx = garbage::<T>(repeated.len());
                logsumexp_backward(&repeated, &sum, &vec![T::ONE; around.2], around, &mut dx);
                let zero = dx.iter().all(|&d| d == T::ZERO);
                report.expect(zero, || format!("logsumexp_backward of {x:?} {around:?}: {dx:?}"));
            }
        }
    }
}

fn normalisation<T: Element>(report: &mut Report, rows: usize, n: usize) {
    let eps = 1e-5;
    // A mean of ten deviations: a variance by the difference of squares would lose seven bits.
    let x: Vec<T> = numbers::<T>(22, rows * n).iter().map(|&v| v + T::from_f64(10.0)).collect();
    let (weight, bias) = (numbers::<T>(23, n), numbers::<T>(24, n));
    let mut out = garbage::<T>(x.len());
    let (mut mean, mut rstd) = (garbage::<T>(rows), garbage::<T>(rows));
    layer_norm(&x, &weight, &bias, eps, &mut out, &mut mean, &mut rstd);
    let (mut want, mut means, mut rstds, mut scale) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for row in exact(&x).chunks_exact(n) {
        let m = row.iter().sum::<f64>() / n as f64;
        let variance = row.iter().map(|v| (v - m) * (v - m)).sum::<f64>() / n as f64;
        let r = 1.0 / (variance + eps).sqrt();
        means.push(m);
        rstds.push(r);
        for (j, v) in row.iter().enumerate() {
            let (w, b) = (weight[j].to_f64(), bias[j].to_f64());
            want.push((v - m) * r * w + b);
            // The deviation's error is that of the mean, about 10, and of one rounding of the
            // difference.
            scale.push((20.0 + (v - m).abs()) * r * w.abs() + b.abs());
        }
    }
    let roundings = (26.0 + 3.0 * (n as f64).log2() + 8.0) * unit::<T>();
    let oracle = n as f64 * f64::EPSILON * 20.0;
    let name = format!("layer_norm [{rows}, {n}]");
    report.compare(&format!("{name} mean"), &mean, &means, |_| 15.0 * roundings + oracle);
    // Relative: half the error of the variance; the mean's error enters it squared, and through
    // each deviation.
    report
        .compare(&format!("{name} rstd"), &rstd, &rstds, |i| rstds[i] * (4.0 * roundings + oracle));
    report.compare(&name, &out, &want, |i| scale[i] * (4.0 * roundings + oracle));
}

fn averages<T: Element>(report: &mut Report, rows: usize, n: usize, kernel: usize) {
    let x = numbers::<T>(25, rows * n);
    let mut out = garbage::<T>(x.len());
    moving_average(&x, n, kernel, &mut out);
    let mut want = Vec::new();
    for row in exact(&x).chunks_exact(n) {
        for i in 0..n {
            let first = i as isize - (kernel as isize - 1) / 2;
            let inside = |k: usize| (first + k as isize).clamp(0, n as isize - 1) as usize;
            want.push((0..kernel).map(|k| row[inside(k)]).sum::<f64>() / kernel as f64);
        }
    }
    // At most `kernel` roundings of sums of at most `6 kernel`, then a factor and a product.
    report.compare(&format!("moving_average [{rows}, {n}] {kernel}"), &out, &want, |_| {
        6.0 * (kernel as f64 + 2.0) * unit::<T>()
    });
}
