//! The table of all public kernels. Sizes are `[a, b, c]`: samples, rows and columns, or `[outer,
//! n, inner]`, or m, n, k.

use crate::Case;
use crate::lender::Lender;
use vdn_tensor::families::{Laplace, sample_into};
use vdn_tensor::kernels::likelihood::{
    Density, Mixture, MixtureGradients, Score, mixture_nll, mixture_nll_backward,
};
use vdn_tensor::kernels::unit::{
    ClampGradient, ConditionalGradients, ConditionalOutputs, ConditionalUnits, LogVar,
    UnitGradients, UnitNoise, UnitOutputs, Units, conditional_backward, conditional_forward,
    unit_backward, unit_forward,
};
use vdn_tensor::kernels::*;
use vdn_tensor::noise::NoiseKey;
use vdn_tensor::{Element, Real, Shape};

const ANY: [bool; 3] = [false; 3];
const SAMPLES: [bool; 3] = [true, false, false];
/// The sizes that noise allows: the fused kernels refuse larger ones.
const KEY: NoiseKey = NoiseKey::new(1, 2, 3);

struct Add;
impl Formula<2, 1> for Add {
    #[inline(always)]
    fn apply<R: Real>(&self, [a, b]: [R; 2]) -> [R; 1] {
        [a + b]
    }
}
impl Update<1, 1> for Add {
    #[inline(always)]
    fn apply<R: Real>(&self, [a]: [R; 1], [b]: [R; 1]) -> [R; 1] {
        [a + b]
    }
}

/// A table of `kernel, operation, sizes that must be positive, call`.
macro_rules! table {
    ($($kernel:ident, $operation:literal, $positive:expr, |$l:ident, $sizes:pat_param| $call:block)*) => {
        pub(crate) fn cases<T: Element>() -> Vec<Case> {
            vec![$(Case {
                kernel: stringify!($kernel),
                operation: $operation,
                positive: $positive,
                call: |$l, $sizes| $call,
            }),*]
        }
    };
}

/// The shape, or the kernels' own refusal of it.
fn shape(dims: &[usize]) -> Shape {
    Shape::new(dims).unwrap_or_else(|e| panic!("{e}"))
}

table! {
    map, "map", ANY, |l, [_, n, _]| {
        map(&Add, [&l.array::<T>(&[n]), &l.array(&[n])], [&mut l.array(&[n])]);
    }
    update, "update", ANY, |l, [_, n, _]| {
        update(&Add, [&mut l.array::<T>(&[n])], [&l.array(&[n])]);
    }
    map_broadcast, "broadcast", ANY, |l, [a, b, _]| {
        let plan = Broadcast::new("broadcast", [&shape(&[a, b]), &shape(&[b])]);
        let plan = plan.unwrap_or_else(|e| panic!("{e}"));
        map_broadcast(&Add, &plan, [&l.array::<T>(&[a, b]), &l.array(&[b])], [&mut l.array(&[a, b])]);
    }
    copy, "copy", ANY, |l, [_, n, _]| { copy::<T>(&l.array(&[n]), &mut l.array(&[n])); }
    add_assign, "update", ANY, |l, [_, n, _]| {
        add_assign::<T>(&mut l.array(&[n]), &l.array(&[n]));
    }
    axpy, "update", ANY, |l, [_, n, _]| {
        axpy(T::ONE, &l.array(&[n]), &mut l.array(&[n]));
    }
    scale, "map", ANY, |l, [_, n, _]| { scale(T::ONE, &l.array(&[n]), &mut l.array(&[n])); }
    // A single slice may have any length.
    scale_assign, "", ANY, |l, [_, n, _]| { scale_assign(&mut l.array(&[n.min(99)])[..], T::ONE); fail(l); }
    sum_all, "", ANY, |l, [_, n, _]| { let _ = sum_all::<T>(&l.array(&[n.min(99)])); fail(l); }
    dot, "dot", ANY, |l, [_, n, _]| { let _ = dot::<T>(&l.array(&[n]), &l.array(&[n])); }
    broadcast_copy, "broadcast", ANY, |l, [a, b, _]| {
        let (from, to) = (shape(&[b]), shape(&[a, b]));
        broadcast_copy::<T>(&l.array(&[b]), &from, &mut l.array(&[a, b]), &to);
    }
    reduce_to_shape, "", ANY, |l, [a, b, c]| {
        let (from, to) = (shape(&[a, b, c]), shape(&[b, 1]));
        reduce_to_shape::<T>(&l.array(&[a, b, c]), &from, &mut l.array(&[b]), &to);
    }
    sum_axis, "sum_axis", ANY, |l, [a, b, c]| {
        sum_axis::<T>(&l.array(&[a, b, c]), (a, b, c), &mut l.array(&[a, c]));
    }
    mean_axis, "mean_axis", ANY, |l, [a, b, c]| {
        mean_axis::<T>(&l.array(&[a, b, c]), (a, b, c), &mut l.array(&[a, c]));
    }
    max_axis, "max_axis", ANY, |l, [a, b, c]| {
        max_axis::<T>(&l.array(&[a, b, c]), (a, b, c), &mut l.array(&[a, c]));
    }
    sum_axis_backward, "expand_axis", ANY, |l, [a, b, c]| {
        sum_axis_backward::<T>(&l.array(&[a, c]), (a, b, c), &mut l.array(&[a, b, c]));
    }
    mean_axis_backward, "expand_axis", ANY, |l, [a, b, c]| {
        mean_axis_backward::<T>(&l.array(&[a, c]), (a, b, c), &mut l.array(&[a, b, c]));
    }
    expand_axis, "expand_axis", ANY, |l, [a, b, c]| {
        expand_axis(&l.array(&[a, c]), (a, b, c), T::ONE, &mut l.array(&[a, b, c]));
    }
    max_axis_backward, "max_axis_backward", ANY, |l, [a, b, c]| {
        let [x, mut dx] = [0; 2].map(|_| l.array::<T>(&[a, b, c]));
        max_axis_backward(&x, &l.array(&[a, c]), &l.array(&[a, c]), (a, b, c), &mut dx);
    }
    pool, "", ANY, |l, [a, b, _]| {
        // Any number of units has no values.
        let b = b.max(1);
        pool::<T>(&l.array(&[a, b]), b, Pool::Mean, &mut l.array(&[a]));
    }
    pool_backward, "", ANY, |l, [a, b, _]| {
        let b = b.max(1);
        pool_backward::<T>(&l.array(&[a]), b, Pool::Mean, &mut l.array(&[a, b]));
    }
    softmax, "softmax", ANY, |l, [a, b, c]| {
        softmax::<T>(&l.array(&[a, b, c]), (a, b, c), &mut l.array(&[a, b, c]));
    }
    softmax_backward, "softmax_backward", ANY, |l, [a, b, c]| {
        let [y, dy, mut dx] = [0; 3].map(|_| l.array::<T>(&[a, b, c]));
        softmax_backward(&y, &dy, (a, b, c), &mut dx);
    }
    logsumexp, "logsumexp", ANY, |l, [a, b, c]| {
        logsumexp::<T>(&l.array(&[a, b, c]), (a, b, c), &mut l.array(&[a, c]));
    }
    logsumexp_backward, "logsumexp_backward", ANY, |l, [a, b, c]| {
        let [x, mut dx] = [0; 2].map(|_| l.array::<T>(&[a, b, c]));
        logsumexp_backward(&x, &l.array(&[a, c]), &l.array(&[a, c]), (a, b, c), &mut dx);
    }
    concat, "", ANY, |l, [a, b, c]| {
        let [x, y] = [0; 2].map(|_| l.array::<T>(&[a, b, c]));
        let n = b.wrapping_mul(2);
        concat([(&x[..], b), (&y[..], b)], (a, n, c), &mut l.array(&[a, n, c]));
    }
    split, "", ANY, |l, [a, b, c]| {
        let [mut x, mut y] = [0; 2].map(|_| l.array::<T>(&[a, b, c]));
        let n = b.wrapping_mul(2);
        split(&l.array(&[a, n, c]), (a, n, c), [(Some(&mut x[..]), b), (Some(&mut y[..]), b)]);
    }
    write_slice, "write_slice", ANY, |l, [a, b, c]| {
        let n = b.wrapping_add(3);
        write_slice::<T>(&l.array(&[a, b, c]), b, 2, (a, n, c), &mut l.array(&[a, n, c]));
    }
    slice_axis, "slice_axis", ANY, |l, [a, b, c]| {
        let n = b.wrapping_add(3);
        slice_axis::<T>(&l.array(&[a, n, c]), (a, n, c), 2, b, &mut l.array(&[a, b, c]));
    }
    slice_axis_add, "slice_axis_add", ANY, |l, [a, b, c]| {
        let n = b.wrapping_add(3);
        slice_axis_add::<T>(&l.array(&[a, b, c]), (a, n, c), 2, b, &mut l.array(&[a, n, c]));
    }
    dropout, "dropout", ANY, |l, [_, n, _]| {
        dropout::<T>(&l.array(&[n]), 0.5, KEY, &mut l.array(&[n]));
    }
    layer_norm, "layer_norm", ANY, |l, [_, r, n]| {
        let [x, mut out] = [0; 2].map(|_| l.array::<T>(&[r, n]));
        let ([w, b], [mut m, mut s]) = ([0; 2].map(|_| l.array(&[n])), [0; 2].map(|_| l.array(&[r])));
        layer_norm(&x, &w, &b, 1e-5, &mut out, &mut m, &mut s);
    }
    layer_norm_backward, "layer_norm_backward", ANY, |l, [_, r, n]| {
        let [x, d, mut dx] = [0; 3].map(|_| l.array::<T>(&[r, n]));
        let ([w, mut dw, mut db], [m, s]) = ([0; 3].map(|_| l.array(&[n])), [0; 2].map(|_| l.array(&[r])));
        let to = LayerNormGradients { x: Some(&mut dx), weight: Some(&mut dw), bias: Some(&mut db) };
        layer_norm_backward(&x, &w, &m, &s, &d, to);
    }
    moving_average, "moving_average", ANY, |l, [_, r, n]| {
        let r = rows_of(r, n);
        moving_average::<T>(&l.array(&[r, n]), n, n.wrapping_mul(2).max(1), &mut l.array(&[r, n]));
    }
    moving_average_backward, "moving_average_backward", ANY, |l, [_, r, n]| {
        let r = rows_of(r, n);
        let kernel = n.wrapping_mul(2).max(1);
        moving_average_backward::<T>(&l.array(&[r, n]), n, kernel, &mut l.array(&[r, n]));
    }
    matmul, "matmul", ANY, |l, [m, n, k]| {
        for (ta, tb) in [(false, false), (true, false), (false, true), (true, true)] {
            let (a, b, bias) = (l.array::<T>(&[m, k]), l.array(&[k, n]), l.array(&[n]));
            let [a, b] = [(&a, ta), (&b, tb)].map(|(data, transposed)| Operand { data, transposed });
            matmul(m, n, k, a, b, &mut l.array(&[m, n]), Epilogue::Bias(&bias));
        }
    }
    family_forward, "laplace", SAMPLES, |l, [s, _, n]| {
        let [location, log_scale] = [0; 2].map(|_| l.array::<T>(&[n]));
        let units = FamilyUnits { location: &location, log_scale: &log_scale, samples: s, key: KEY };
        family_forward(&Laplace, &units, &mut l.array(&[s, n]), &mut l.array(&[n]));
    }
    family_backward, "laplace", SAMPLES, |l, [s, _, n]| {
        let [location, log_scale, d_kl] = [0; 3].map(|_| l.array::<T>(&[n]));
        let d_z = l.array(&[s, n]);
        let units = FamilyUnits { location: &location, log_scale: &log_scale, samples: s, key: KEY };
        let from = FamilyGradients { d_z: Some(&d_z), d_kl: Some(&d_kl) };
        family_backward(&Laplace, &units, from, &mut l.array(&[n]), &mut l.array(&[n]));
    }
    sample_into, "laplace", ANY, |l, [_, _, n]| {
        // A parameter of one number would be right for all.
        let n = n.wrapping_add(3);
        let parameters: [&[T]; 2] = [&l.array(&[n]), &[T::ZERO]];
        sample_into(&Laplace, parameters, KEY, 0, &mut l.array(&[n]));
    }
    fill_normal, "", ANY, |l, [_, _, n]| { KEY.fill_normal::<T>(0, &mut l.array(&[n.min(99)])); fail(l); }
    fill_uniform, "", ANY, |l, [_, _, n]| { KEY.fill_uniform::<T>(0, &mut l.array(&[n.min(99)])); fail(l); }
    unit_forward, "sample_kl", SAMPLES, |l, [s, r, c]| {
        let [mu, logvar] = [0; 2].map(|_| l.array::<T>(&[r, c]));
        let mut columns = [0; 5].map(|_| l.array(&[c]));
        let given = l.array(&[s, r, c]);
        for (logvar, noise) in [
            (LogVar::PerElement(&logvar[..]), UnitNoise::Addressed(KEY)),
            (LogVar::Scalar(T::ZERO), UnitNoise::Given(&given)),
        ] {
            let units =
                Units { rows: r, columns: c, samples: s, mu: &mu, logvar, noise, antithetic: false };
            let [m1, m2, c2, d0, lv] = &mut columns;
            let (mut z, mut kl) = (l.array(&[s, r, c]), l.array(&[r, c]));
            unit_forward(&units, UnitOutputs { z: &mut z, m1, m2, c2, d0, lv, kl: Some(&mut kl) });
        }
    }
    unit_backward, "sample_kl", SAMPLES, |l, [s, r, c]| {
        let [mu, logvar, d_kl, mut d_mu, mut d_logvar] = [0; 5].map(|_| l.array::<T>(&[r, c]));
        let [z, d_z] = [0; 2].map(|_| l.array(&[s, r, c]));
        let [per_column, m1, d1, d2, d3, d4, d5, mut d_column] = [0; 8].map(|_| l.array(&[c]));
        let from = UnitGradients {
            z: &z, m1: &m1, d_z: Some(&d_z), d_m1: Some(&d1), d_m2: Some(&d2), d_c2: Some(&d3),
            d_d0: Some(&d4), d_lv: Some(&d5), d_kl: Some(&d_kl), clamp: ClampGradient::Inward,
        };
        for (logvar, to) in [
            (LogVar::PerElement(&logvar[..]), &mut d_logvar),
            (LogVar::PerColumn(&per_column), &mut d_column),
        ] {
            let noise = UnitNoise::Addressed(KEY);
            let units =
                Units { rows: r, columns: c, samples: s, mu: &mu, logvar, noise, antithetic: false };
            unit_backward(&units, &from, Some(&mut d_mu), Some(to));
        }
    }
    conditional_forward, "structured_step", SAMPLES, |l, [s, r, c]| {
        let [m, log_r] = [0; 2].map(|_| l.array::<T>(&[r, c]));
        let [previous, mut z, mut kl] = [0; 3].map(|_| l.array(&[s, r, c]));
        let [phi, logvar, mut mean_kl] = [0; 3].map(|_| l.array(&[c]));
        let units = ConditionalUnits {
            rows: r, columns: c, samples: s, m: &m, log_r: &log_r, previous: &previous, phi: &phi,
            logvar: &logvar, noise: UnitNoise::Addressed(KEY),
        };
        let to = ConditionalOutputs { z: &mut z, kl: Some(&mut kl), mean_kl: &mut mean_kl };
        conditional_forward(&units, to);
    }
    conditional_backward, "structured_step", SAMPLES, |l, [s, r, c]| {
        let [m, log_r, mut d_m, mut d_log_r] = [0; 4].map(|_| l.array::<T>(&[r, c]));
        let [previous, z, d_z, d_kl, mut d_previous, noise] = [0; 6].map(|_| l.array(&[s, r, c]));
        let [phi, logvar, d_mean_kl, mut d_phi, mut d_logvar] = [0; 5].map(|_| l.array(&[c]));
        let units = ConditionalUnits {
            rows: r, columns: c, samples: s, m: &m, log_r: &log_r, previous: &previous, phi: &phi,
            logvar: &logvar, noise: UnitNoise::Given(&noise),
        };
        conditional_backward(&units, ConditionalGradients {
            z: &z, d_z: Some(&d_z), d_kl: Some(&d_kl), d_mean_kl: Some(&d_mean_kl),
            d_m: Some(&mut d_m), d_log_r: Some(&mut d_log_r), d_previous: Some(&mut d_previous),
            d_phi: Some(&mut d_phi), d_logvar: Some(&mut d_logvar),
        });
    }
    mixture_nll, "mixture", SAMPLES, |l, [a, b, c]| {
        // Deviations may have three lengths; from two numbers on, no wrong one is another of them.
        let dims = [a, b, c.wrapping_add(2)];
        for score in [Score::Tempered, Score::Marginal, Score::Joint] {
            let [mu, sigma, y, weights] = mixture_arrays::<T>(l, dims);
            let mixture = Mixture {
                dims, mu: &mu, sigma: &sigma, y: &y, log_weights: Some(&weights),
                density: Density::default(), score,
            };
            let mut saved = l.array(&[dims[1], dims[if score == Score::Marginal { 2 } else { 0 }]]);
            mixture_nll(&mixture, &mut saved, &mut l.array(&[dims[1]]));
        }
    }
    mixture_nll_backward, "mixture", SAMPLES, |l, [a, b, c]| {
        // Deviations may have three lengths; from two numbers on, no wrong one is another of them.
        let dims = [a, b, c.wrapping_add(2)];
        for score in [Score::Tempered, Score::Marginal, Score::Joint] {
            let [mu, sigma, y, weights] = mixture_arrays::<T>(l, dims);
            let [mut d_mu, mut d_sigma, mut d_y, mut d_weights] = mixture_arrays::<T>(l, dims);
            let mixture = Mixture {
                dims, mu: &mu, sigma: &sigma, y: &y, log_weights: Some(&weights),
                density: Density::default(), score,
            };
            let saved = l.array(&[dims[1], dims[if score == Score::Marginal { 2 } else { 0 }]]);
            mixture_nll_backward(&mixture, &saved, T::ONE, MixtureGradients {
                mu: Some(&mut d_mu), sigma: Some(&mut d_sigma), y: Some(&mut d_y),
                log_weights: Some(&mut d_weights),
            });
        }
    }
}

/// The number of rows for a kernel that does not take it as an argument: 1 if the product would
/// wrap around.
fn rows_of(rows: usize, n: usize) -> usize {
    if n > 99 { 1 } else { rows.min(99) }
}

/// Means, deviations, values and weights.
fn mixture_arrays<T: Element>(
    l: &Lender,
    [samples, batch, horizon]: [usize; 3],
) -> [crate::lender::Lent<T>; 4] {
    let dims: [&[usize]; 4] = [
        &[samples, batch, horizon],
        &[samples, batch, horizon],
        &[batch, horizon],
        &[samples, batch],
    ];
    dims.map(|dims| l.array(dims))
}

/// Kernels of a single slice take any length: their faulty calls are refused here.
fn fail(l: &Lender) {
    assert!(!l.is_faulty(), "any length is right");
}
