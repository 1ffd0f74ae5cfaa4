//! Reductions along an axis, softmax and logsumexp.

use crate::{Digest, numbers, zeros};
use vdn_tensor::Element;
use vdn_tensor::kernels::{
    logsumexp, logsumexp_backward, max_axis, max_axis_backward, mean_axis, mean_axis_backward,
    softmax, softmax_backward, sum_axis,
};

pub(crate) fn lines<T: Element>(digest: &Digest) {
    for around in [
        (4, 2, 1),
        (3, 15, 1),
        (2, 17, 1),
        (3, 513, 1),
        (2, 20_001, 1),
        (3, 45, 12),
        (700, 33, 2),
        (2, 9, 64),
        (1, 100, 65),
        (1, 300, 1000),
    ] {
        let (outer, n, inner) = around;
        digest.case(format!("axis {around:?}"), || {
            let x: Vec<T> = numbers(50, outer * n * inner);
            let d = numbers::<T>(51, outer * inner);
            let [mut sum, mut mean, mut max, mut lse] = [(); 4].map(|()| zeros(outer * inner));
            sum_axis(&x, around, &mut sum);
            mean_axis(&x, around, &mut mean);
            max_axis(&x, around, &mut max);
            logsumexp(&x, around, &mut lse);
            let [mut y, mut dy, mut d_mean, mut d_max, mut d_lse] =
                [(); 5].map(|()| zeros(x.len()));
            softmax(&x, around, &mut y);
            softmax_backward(&y, &x, around, &mut dy);
            mean_axis_backward(&d, around, &mut d_mean);
            max_axis_backward(&x, &max, &d, around, &mut d_max);
            logsumexp_backward(&x, &lse, &d, around, &mut d_lse);
            let reduced = [("sum", sum), ("mean", mean), ("max", max), ("logsumexp", lse)];
            let slopes = [("d_mean", d_mean), ("d_max", d_max), ("d_logsumexp", d_lse)];
            let soft = [("softmax", y), ("d_softmax", dy)];
            reduced.into_iter().chain(soft).chain(slopes).collect()
        });
    }
}
