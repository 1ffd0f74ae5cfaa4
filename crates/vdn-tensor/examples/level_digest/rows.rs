//! Layer normalisation, the moving average and pooling.

use crate::{Digest, numbers, zeros};
use vdn_tensor::Element;
use vdn_tensor::kernels::{
    LayerNormGradients, Pool, layer_norm, layer_norm_backward, moving_average,
    moving_average_backward, pool, pool_backward,
};

pub(crate) fn lines<T: Element>(digest: &Digest) {
    for [rows, n] in [[7, 16], [5, 33], [300, 64], [2, 1500]] {
        digest.case(format!("layer_norm [{rows}, {n}]"), || {
            let (x, dy) = (numbers::<T>(40, rows * n), numbers::<T>(41, rows * n));
            let (weight, bias) = (numbers::<T>(42, n), numbers::<T>(43, n));
            let (mut y, mut mean, mut rstd) = (zeros(x.len()), zeros(rows), zeros(rows));
            layer_norm(&x, &weight, &bias, 1e-5, &mut y, &mut mean, &mut rstd);
            let [mut dx, mut d_weight, mut d_bias] = [x.len(), n, n].map(zeros);
            let gradients = LayerNormGradients {
                x: Some(&mut dx),
                weight: Some(&mut d_weight),
                bias: Some(&mut d_bias),
            };
            layer_norm_backward(&x, &weight, &mean, &rstd, &dy, gradients);
            let forward = [("result", y), ("mean", mean), ("rstd", rstd)];
            let slopes = [("d_input", dx), ("d_weight", d_weight), ("d_bias", d_bias)];
            forward.into_iter().chain(slopes).collect()
        });
    }
    for [rows, n, kernel] in [[4, 96, 25], [100, 200, 7], [3, 5, 2]] {
        digest.case(format!("moving_average [{rows}, {n}], {kernel}"), || {
            let x = numbers::<T>(44, rows * n);
            let (mut y, mut dx) = (zeros(x.len()), zeros(x.len()));
            moving_average(&x, n, kernel, &mut y);
            moving_average_backward(&x, n, kernel, &mut dx);
            vec![("forward", y), ("backward", dx)]
        });
    }
    for mode in [Pool::Mean, Pool::Sum, Pool::SumSqrtK] {
        digest.case(format!("pool {mode:?}"), || {
            let (x, d) = (numbers::<T>(45, 3 * 501), numbers::<T>(46, 501));
            let (mut y, mut dx) = (zeros(501), zeros(x.len()));
            pool(&x, 3, mode, &mut y);
            pool_backward(&d, 3, mode, &mut dx);
            vec![("forward", y), ("backward", dx)]
        });
    }
}
