//! The same bits for 1, 2 and 8 threads, on arrays of several parallel tasks.

use crate::kernels::cases::{Report, garbage, numbers};
use crate::kernels::reductions::AROUND;
use std::collections::BTreeMap;
use vdn_tensor::kernels::{
    LayerNormGradients, dropout, layer_norm, layer_norm_backward, logsumexp, max_axis, mean_axis,
    moving_average, moving_average_backward, reduce_to_shape, softmax, softmax_backward, sum_axis,
};
use vdn_tensor::noise::{Generator, NoiseKey};
use vdn_tensor::parallel::Pool;
use vdn_tensor::{Element, Shape};

type Results = BTreeMap<String, Vec<u64>>;

pub(crate) fn check<T: Element>(report: &mut Report) {
    let run = |threads: usize| Pool::new(threads).unwrap().run(everything::<T>);
    let one = run(1);
    for threads in [2, 8] {
        let many = run(threads);
        report.expect(one.keys().eq(many.keys()), || format!("{threads} threads: other results"));
        for (name, bits) in &one {
            report.expect(many.get(name) == Some(bits), || {
                format!("{name} ({}): {threads} threads give other bits than one", T::NAME)
            });
        }
    }
}

fn everything<T: Element>() -> Results {
    let mut results = Results::new();
    let mut keep = |name: String, x: &[T]| {
        results.insert(name, x.iter().map(|v| v.to_f64().to_bits()).collect());
    };
    for around in AROUND {
        let (outer, n, inner) = around;
        let x = numbers::<T>(51, outer * n * inner);
        let mut out = garbage::<T>(outer * inner);
        sum_axis(&x, around, &mut out);
        keep(format!("sum_axis {around:?}"), &out);
        mean_axis(&x, around, &mut out);
        keep(format!("mean_axis {around:?}"), &out);
        max_axis(&x, around, &mut out);
        keep(format!("max_axis {around:?}"), &out);
        logsumexp(&x, around, &mut out);
        keep(format!("logsumexp {around:?}"), &out);
        let (mut y, mut dx) = (garbage::<T>(x.len()), garbage::<T>(x.len()));
        softmax(&x, around, &mut y);
        softmax_backward(&y, &x, around, &mut dx);
        keep(format!("softmax {around:?}"), &y);
        keep(format!("softmax_backward {around:?}"), &dx);
    }
    let (rows, n) = (900, 100);
    let (x, dy) = (numbers::<T>(52, rows * n), numbers::<T>(53, rows * n));
    let (weight, bias) = (numbers::<T>(54, n), numbers::<T>(55, n));
    let (mut out, mut mean, mut rstd) =
        (garbage::<T>(x.len()), garbage::<T>(rows), garbage::<T>(rows));
    layer_norm(&x, &weight, &bias, 1e-5, &mut out, &mut mean, &mut rstd);
    keep("layer_norm".to_owned(), &out);
    keep("layer_norm mean".to_owned(), &mean);
    keep("layer_norm rstd".to_owned(), &rstd);
    let (mut sums, mut more) = (garbage::<T>(n), garbage::<T>(n));
    let all =
        LayerNormGradients { x: Some(&mut out), weight: Some(&mut sums), bias: Some(&mut more) };
    layer_norm_backward(&x, &weight, &mean, &rstd, &dy, all);
    keep("layer_norm_backward, input".to_owned(), &out);
    keep("layer_norm_backward, weight".to_owned(), &sums);
    keep("layer_norm_backward, bias".to_owned(), &more);
    reduce_to_shape(&x, &Shape::from([30, 30, n]), &mut sums, &Shape::from([n]));
    keep("reduce_to_shape".to_owned(), &sums);
    moving_average(&x, n, 25, &mut out);
    keep("moving_average".to_owned(), &out);
    moving_average_backward(&x, n, 25, &mut out);
    keep("moving_average_backward".to_owned(), &out);
    for generator in [Generator::Philox10, Generator::Ars7] {
        let key = NoiseKey::new(1, 2, 3).with_generator(generator);
        dropout(&x, 0.5, key, &mut out);
        keep(format!("dropout {generator:?}"), &out);
        key.fill_normal(0, &mut out);
        keep(format!("normal {generator:?}"), &out);
        key.fill_uniform(1, &mut out);
        keep(format!("uniform {generator:?}"), &out);
    }
    results
}
