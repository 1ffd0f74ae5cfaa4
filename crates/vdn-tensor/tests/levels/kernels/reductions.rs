//! Sums, means, maxima, and the adjoint of broadcasting.

use crate::kernels::cases::{Report, columns, exact, garbage, numbers, unit};
use vdn_tensor::kernels::{
    Pool, dot, max_axis, max_axis_backward, mean_axis, pool, reduce_to_shape, sum_all, sum_axis,
};
use vdn_tensor::{Element, Shape};

/// Every path: short rows, rows of one block, of many, of many chunks; narrow columns, strips,
/// segments of rows.
pub(crate) const AROUND: [(usize, usize, usize); 30] = [
    (1, 0, 1),
    (3, 0, 5),
    (0, 4, 3),
    (2, 5, 0),
    (1, 1, 1),
    (5, 1, 7),
    (4, 2, 1),
    (6000, 4, 1),
    (3, 15, 1),
    (3, 16, 1),
    (2, 17, 1),
    (3, 511, 1),
    (2, 513, 1),
    (5, 1700, 1),
    (40, 1024, 1),
    (1, 16_385, 1),
    (2, 70_001, 1),
    (2, 31, 3),
    (2, 32, 2),
    (3, 45, 12),
    (1, 5000, 15),
    (700, 33, 2),
    (3, 7, 16),
    (2, 8, 17),
    (2, 9, 64),
    (1, 100, 65),
    (9, 3, 200),
    (1, 3000, 100),
    (1, 40, 3000),
    (1, 4, 30_000),
];

/// `26 + 3 log2(n)` roundings, see `kernels/tree.rs`; second-order terms are covered by the factor
/// 1.01.
fn sum_bound<T: Element>(n: usize, magnitude: f64) -> f64 {
    1.01 * unit::<T>() * (26.0 + 3.0 * (n.max(1) as f64).log2()) * magnitude
}

pub(crate) fn check<T: Element>(report: &mut Report) {
    for around in AROUND {
        axes::<T>(report, around);
    }
    hard_sums::<T>(report);
    special::<T>(report);
    shapes::<T>(report);
    pools::<T>(report);
}

fn axes<T: Element>(report: &mut Report, around: (usize, usize, usize)) {
    let (outer, n, inner) = around;
    let x = numbers::<T>(11, outer * n * inner);
    let values = exact(&x);
    let columns = columns(around);
    let sums: Vec<f64> = columns.iter().map(|c| c.iter().map(|&i| values[i]).sum()).collect();
    let magnitudes: Vec<f64> =
        columns.iter().map(|c| c.iter().map(|&i| values[i].abs()).sum()).collect();
    let mut out = garbage::<T>(outer * inner);
    sum_axis(&x, around, &mut out);
    // The oracle's own error, n roundings in f64, counts where the kernel is in f64 too.
    let oracle = |i: usize| n as f64 * f64::EPSILON * magnitudes[i];
    let bound = |i: usize| sum_bound::<T>(n, magnitudes[i]) + oracle(i);
    report.compare(&format!("sum_axis {around:?}"), &out, &sums, bound);
    mean_axis(&x, around, &mut out);
    let means: Vec<f64> = sums.iter().map(|s| s / n as f64).collect();
    // One more rounding, of the quotient.
    let bound = |i: usize| bound(i) / n as f64 + unit::<T>() * means[i].abs();
    report.compare(&format!("mean_axis {around:?}"), &out, &means, bound);
    max_axis(&x, around, &mut out);
    let largest = |c: &Vec<usize>| c.iter().fold(f64::NEG_INFINITY, |m, &i| m.max(values[i]));
    let maxima: Vec<f64> = columns.iter().map(largest).collect();
    report.compare(&format!("max_axis {around:?}"), &out, &maxima, |_| 0.0);

    let d = numbers::<T>(12, outer * inner);
    let mut dx = garbage::<T>(x.len());
    max_axis_backward(&x, &out, &d, around, &mut dx);
    let mut want = vec![0.0; x.len()];
    for ((column, max), d) in columns.iter().zip(&maxima).zip(&d) {
        if let Some(&first) = column.iter().find(|&&i| values[i] == *max) {
            want[first] = d.to_f64();
        }
    }
    report.compare(&format!("max_axis_backward {around:?}"), &dx, &want, |_| 0.0);

    if inner == 1 && outer == 1 {
        let total = [sum_all(&x), dot(&x, &x)];
        let squares: f64 = values.iter().map(|v| v * v).sum();
        let want = [values.iter().sum(), squares];
        let scale = [magnitudes[0], squares];
        // The products round once more.
        let bound = |i: usize| sum_bound::<T>(2 * n, scale[i]) + n as f64 * f64::EPSILON * scale[i];
        report.compare(&format!("sum_all, dot {n}"), &total, &want, bound);
    }
}

/// A million equal numbers: adding them one after the other exceeds the bound by far.
fn hard_sums<T: Element>(report: &mut Report) {
    let n = 1_000_000;
    let tenth = T::from_f64(0.1);
    let x = vec![tenth; n];
    let want = n as f64 * tenth.to_f64();
    let one_by_one = x.iter().fold(T::ZERO, |s, &v| s + v).to_f64();
    report.expect((one_by_one - want).abs() > 2.0 * sum_bound::<T>(n, want), || {
        "the sum one by one is within the bound: this case tests nothing".to_owned()
    });
    for around in
        [(1, n, 1), (1, n / 10, 10), (1, n / 50, 50), (1, n / 1000, 1000), (10, n / 500, 50)]
    {
        let want = around.1 as f64 * tenth.to_f64();
        let mut out = garbage::<T>(around.0 * around.2);
        sum_axis(&x, around, &mut out);
        let want = vec![want; out.len()];
        report.compare(&format!("hard sum {around:?}"), &out, &want, |i| {
            sum_bound::<T>(around.1, want[i])
        });
    }
}

/// NaN, infinities and ties, at every place of short and long reductions.
fn special<T: Element>(report: &mut Report) {
    let infinity = f64::INFINITY;
    for around in [(2, 5, 1), (2, 100, 1), (1, 700, 1), (2, 9, 3), (1, 40, 3), (2, 20, 70)] {
        let (outer, n, inner) = around;
        let columns = columns(around);
        for (place, value) in
            [(0, f64::NAN), (n / 2, f64::NAN), (n - 1, f64::NAN), (n - 1, infinity)]
        {
            let mut x = numbers::<T>(13, outer * n * inner);
            let column = columns.len() - 1;
            x[columns[column][place]] = T::from_f64(value);
            let mut out = garbage::<T>(columns.len());
            let name = format!("{around:?} with {value} at {place}");
            sum_axis(&x, around, &mut out);
            let (hit, others) = out.split_last().unwrap();
            let same = hit.to_f64() == value || hit.to_f64().is_nan() && value.is_nan();
            report.expect(same, || format!("sum {name}: {hit}"));
            report.expect(others.iter().all(|v| v.is_finite()), || format!("sum {name}: spreads"));
            max_axis(&x, around, &mut out);
            let (hit, others) = out.split_last().unwrap();
            let same = hit.to_f64() == value || hit.to_f64().is_nan() && value.is_nan();
            report.expect(same, || format!("max {name}: {hit}"));
            report.expect(others.iter().all(|v| v.is_finite()), || format!("max {name}: spreads"));
            let mut dx = garbage::<T>(x.len());
            max_axis_backward(&x, &out, &vec![T::ONE; out.len()], around, &mut dx);
            let at = dx[columns[column][place]];
            let total: f64 = columns[column].iter().map(|&i| dx[i].to_f64()).sum();
            report.expect(at == T::ONE && total == 1.0, || {
                format!("max backward {name}: {at} of {total}")
            });
        }
        // All equal: the gradient goes to the first.
        let x = vec![T::ONE; outer * n * inner];
        let (mut out, mut dx) = (garbage::<T>(columns.len()), garbage::<T>(x.len()));
        max_axis(&x, around, &mut out);
        max_axis_backward(&x, &out, &out, around, &mut dx);
        let first = columns
            .iter()
            .all(|c| c.iter().enumerate().all(|(k, &i)| dx[i].to_f64() == f64::from(k == 0)));
        report.expect(first, || format!("max backward {around:?} of equal numbers"));
    }
}

fn shapes<T: Element>(report: &mut Report) {
    let cases: [(&[usize], &[usize]); 14] = [
        (&[2, 3], &[2, 3]),
        (&[2, 3], &[3]),
        (&[2, 3], &[2, 1]),
        (&[2, 3], &[]),
        (&[], &[]),
        (&[5, 40, 70], &[70]),
        (&[5, 40, 70], &[1, 40, 1]),
        (&[5, 40, 70], &[5, 1, 70]),
        (&[5, 40, 70], &[5, 1, 1]),
        (&[3, 4, 5, 6, 7, 8], &[1, 4, 1, 6, 1, 8]),
        (&[3, 4, 5, 6, 7, 8], &[3, 1, 5, 1, 7, 1]),
        (&[0, 3], &[3]),
        (&[3, 0], &[3, 1]),
        (&[1, 1], &[]),
    ];
    for (from, to) in cases {
        let name = format!("reduce {from:?} to {to:?}");
        let (from, to) = (Shape::new(from).unwrap(), Shape::new(to).unwrap());
        let x = numbers::<T>(14, from.numel());
        // Which sum each element belongs to: broadcasting copies the index of the sum to it.
        let indices: Vec<f64> = (0..to.numel()).map(|i| i as f64).collect();
        let mut belongs = vec![0.0; from.numel()];
        vdn_tensor::kernels::broadcast_copy(&indices, &to, &mut belongs, &from);
        let (mut want, mut magnitude) = (vec![0.0; to.numel()], vec![0.0; to.numel()]);
        for (v, &i) in x.iter().zip(&belongs) {
            want[i as usize] += v.to_f64();
            magnitude[i as usize] += v.to_f64().abs();
        }
        let mut out = garbage::<T>(to.numel());
        reduce_to_shape(&x, &from, &mut out, &to);
        // Up to three trees one after the other, of n numbers together, and the oracle's n
        // roundings.
        let n = from.numel() / to.numel().max(1);
        let bound = |i: usize| {
            3.0 * sum_bound::<T>(n, magnitude[i]) + n as f64 * f64::EPSILON * magnitude[i]
        };
        report.compare(&name, &out, &want, bound);
    }
}

fn pools<T: Element>(report: &mut Report) {
    for (mode, factor) in [(Pool::Mean, 0.25), (Pool::Sum, 1.0), (Pool::SumSqrtK, 0.5)] {
        let x = numbers::<T>(15, 4 * 1000);
        let mut out = garbage::<T>(1000);
        pool(&x, 4, mode, &mut out);
        let sum = |u: usize, f: fn(f64) -> f64| {
            x[4 * u..][..4].iter().map(|v| f(v.to_f64())).sum::<f64>()
        };
        let want: Vec<f64> = (0..1000).map(|u| factor * sum(u, |v| v)).collect();
        let bound = |u: usize| 4.0 * unit::<T>() * factor * sum(u, f64::abs);
        report.compare(&format!("pool {mode:?}"), &out, &want, bound);
    }
}
