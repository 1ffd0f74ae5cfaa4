//! Backward kernels in `f64`: linear kernels by `<A x, y> = <x, A^T y>`, the others by central
//! differences.

use crate::kernels::cases::{Report, garbage, numbers};
use vdn_tensor::Shape;
use vdn_tensor::kernels::{
    LayerNormGradients, Pool, broadcast_copy, concat, dot, dropout, layer_norm,
    layer_norm_backward, logsumexp, logsumexp_backward, max_axis, max_axis_backward, mean_axis,
    mean_axis_backward, moving_average, moving_average_backward, pool, pool_backward,
    reduce_to_shape, slice_axis, slice_axis_add, softmax, softmax_backward, split, sum_axis,
    sum_axis_backward,
};
use vdn_tensor::noise::NoiseKey;

pub(crate) fn check(report: &mut Report) {
    for around in [(1, 1, 1), (3, 4, 1), (2, 40, 1), (2, 5, 3), (2, 33, 7), (3, 6, 70)] {
        linear_axes(report, around);
        curved_axes(report, around);
    }
    for (rows, n, kernel) in
        [(1, 1, 1), (2, 1, 7), (2, 6, 4), (3, 10, 25), (2, 40, 25), (2, 100, 3)]
    {
        let name = format!("moving_average [{rows}, {n}] {kernel}");
        linear(
            report,
            &name,
            (rows * n, rows * n),
            |x, y| moving_average(x, n, kernel, y),
            |dy, dx| moving_average_backward(dy, n, kernel, dx),
        );
    }
    let key = NoiseKey::new(3, 1, 4);
    let mask = |x: &[f64], y: &mut [f64]| dropout(x, 0.4, key, y);
    linear(report, "dropout", (1000, 1000), mask, mask);
    for mode in [Pool::Mean, Pool::Sum, Pool::SumSqrtK] {
        let name = format!("pool {mode:?}");
        let backward = |dy: &[f64], dx: &mut [f64]| pool_backward(dy, 3, mode, dx);
        linear(report, &name, (90, 30), |x, y| pool(x, 3, mode, y), backward);
    }
    for (small, large) in [([4, 1, 6], [4, 5, 6]), ([1, 5, 1], [4, 5, 6]), ([1, 1, 1], [40, 5, 60])]
    {
        let (small, large) = (Shape::from(small), Shape::from(large));
        linear(
            report,
            &format!("broadcast {small} to {large}"),
            (small.numel(), large.numel()),
            |x, y| broadcast_copy(x, &small, y, &large),
            |dy, dx| reduce_to_shape(dy, &large, dx, &small),
        );
    }
    for (rows, n) in [(3, 1), (4, 5), (2, 40), (30, 16)] {
        layer_norms(report, rows, n);
    }
}

/// `<A x, y> = <x, A^T y>`, exact up to rounding: at most `2^-40` of the product of the norms.
fn linear(
    report: &mut Report,
    name: &str,
    (from, to): (usize, usize),
    forward: impl Fn(&[f64], &mut [f64]),
    backward: impl Fn(&[f64], &mut [f64]),
) {
    let (x, y) = (numbers::<f64>(31, from), numbers::<f64>(32, to));
    let (mut ax, mut aty) = (garbage::<f64>(to), garbage::<f64>(from));
    forward(&x, &mut ax);
    backward(&y, &mut aty);
    let (left, right) = (dot(&ax, &y), dot(&x, &aty));
    let scale = (dot(&ax, &ax) * dot(&y, &y)).sqrt() + (dot(&x, &x) * dot(&aty, &aty)).sqrt();
    let ok = (left - right).abs() <= scale * 2f64.powi(-40) && scale > 0.0;
    report.expect(ok, || format!("adjoint of {name}: {left} and {right}"));
}

fn linear_axes(report: &mut Report, around: (usize, usize, usize)) {
    let (outer, n, inner) = around;
    let (whole, reduced) = (outer * n * inner, outer * inner);
    let name = |what: &str| format!("{what} {around:?}");
    linear(
        report,
        &name("sum_axis"),
        (whole, reduced),
        |x, y| sum_axis(x, around, y),
        |dy, dx| sum_axis_backward(dy, around, dx),
    );
    linear(
        report,
        &name("mean_axis"),
        (whole, reduced),
        |x, y| mean_axis(x, around, y),
        |dy, dx| mean_axis_backward(dy, around, dx),
    );
    let (start, size) = (n / 3, n - n / 2);
    linear(
        report,
        &name("slice_axis"),
        (whole, outer * size * inner),
        |x, y| slice_axis(x, around, start, size, y),
        |dy, dx| {
            dx.fill(0.0);
            slice_axis_add(dy, around, start, size, dx);
        },
    );
    // Two parts side by side, laid out one after the other in `x`.
    let first = outer * size * inner;
    linear(
        report,
        &name("concat"),
        (whole, whole),
        |x, y| concat([(&x[..first], size), (&x[first..], n - size)], around, y),
        |dy, dx| {
            let (a, b) = dx.split_at_mut(first);
            split(dy, around, [(Some(a), size), (Some(b), n - size)]);
        },
    );
    let x = numbers::<f64>(33, whole);
    let (mut joined, mut b) = (garbage::<f64>(whole), garbage::<f64>(whole - first));
    concat([(&x[..first], size), (&x[first..], n - size)], around, &mut joined);
    split(&joined, around, [(None, size), (Some(&mut b[..]), n - size)]);
    report.expect(b == x[first..], || name("split of concat"));
}

/// The gradient of `<f(x), y>` against central differences: step `h = 2^-17` leaves an error of
/// `h^2` times the third derivative and of `2^-53 / h = 2^-36` times the value; both are below 1e-8
/// here, where numbers are about 1.
fn curved(
    report: &mut Report,
    name: &str,
    x: &[f64],
    y: &[f64],
    forward: impl Fn(&[f64], &mut [f64]),
    gradient: &[f64],
) {
    let h = 2f64.powi(-17);
    let mut out = garbage::<f64>(y.len());
    let mut value = |x: &[f64]| {
        forward(x, &mut out);
        dot(&out, y)
    };
    let mut moved = x.to_vec();
    let mut want = Vec::new();
    for i in 0..x.len() {
        moved[i] = x[i] + h;
        let above = value(&moved);
        moved[i] = x[i] - h;
        want.push((above - value(&moved)) / (2.0 * h));
        moved[i] = x[i];
    }
    report.compare(&format!("slope of {name}"), gradient, &want, |i| {
        1e-8 * (1.0 + 10.0 * want[i].abs())
    });
}

fn curved_axes(report: &mut Report, around: (usize, usize, usize)) {
    let (outer, n, inner) = around;
    let x = numbers::<f64>(34, outer * n * inner);
    let (dy, d) = (numbers::<f64>(35, x.len()), numbers::<f64>(36, outer * inner));
    let (mut y, mut reduced) = (garbage::<f64>(x.len()), garbage::<f64>(d.len()));
    let mut dx = garbage::<f64>(x.len());
    softmax(&x, around, &mut y);
    softmax_backward(&y, &dy, around, &mut dx);
    curved(report, &format!("softmax {around:?}"), &x, &dy, |x, y| softmax(x, around, y), &dx);
    logsumexp(&x, around, &mut reduced);
    logsumexp_backward(&x, &reduced, &d, around, &mut dx);
    curved(report, &format!("logsumexp {around:?}"), &x, &d, |x, y| logsumexp(x, around, y), &dx);
    max_axis(&x, around, &mut reduced);
    max_axis_backward(&x, &reduced, &d, around, &mut dx);
    curved(report, &format!("max_axis {around:?}"), &x, &d, |x, y| max_axis(x, around, y), &dx);
}

fn layer_norms(report: &mut Report, rows: usize, n: usize) {
    // An eps of 0.1 keeps a row of one number, whose variance is 0, away from a third derivative of
    // eps^(-7/2).
    let eps = 0.1;
    let (x, dy) = (numbers::<f64>(37, rows * n), numbers::<f64>(38, rows * n));
    let (weight, bias) = (numbers::<f64>(39, n), numbers::<f64>(40, n));
    let (mut mean, mut rstd) = (garbage::<f64>(rows), garbage::<f64>(rows));
    let mut out = garbage::<f64>(x.len());
    layer_norm(&x, &weight, &bias, eps, &mut out, &mut mean, &mut rstd);
    let forward = |x: &[f64], weight: &[f64], bias: &[f64], y: &mut [f64]| {
        let (mut mean, mut rstd) = (garbage::<f64>(rows), garbage::<f64>(rows));
        layer_norm(x, weight, bias, eps, y, &mut mean, &mut rstd);
    };
    let (mut dx, mut dw, mut db) = (garbage::<f64>(x.len()), garbage::<f64>(n), garbage::<f64>(n));
    let all = LayerNormGradients { x: Some(&mut dx), weight: Some(&mut dw), bias: Some(&mut db) };
    layer_norm_backward(&x, &weight, &mean, &rstd, &dy, all);
    // The gradients that are requested together do not affect each other.
    let (mut alone, mut last) = (garbage::<f64>(x.len()), garbage::<f64>(n));
    let one = LayerNormGradients { x: Some(&mut alone), weight: None, bias: None };
    layer_norm_backward(&x, &weight, &mean, &rstd, &dy, one);
    let one = LayerNormGradients { x: None, weight: None, bias: Some(&mut last) };
    layer_norm_backward(&x, &weight, &mean, &rstd, &dy, one);
    report.expect(alone == dx && last == db, || format!("layer_norm [{rows}, {n}]: one alone"));
    let name = |what: &str| format!("layer_norm [{rows}, {n}] by {what}");
    curved(report, &name("input"), &x, &dy, |x, y| forward(x, &weight, &bias, y), &dx);
    curved(report, &name("weight"), &weight, &dy, |w, y| forward(&x, w, &bias, y), &dw);
    curved(report, &name("bias"), &bias, &dy, |b, y| forward(&x, &weight, b, y), &db);
}
