//! The generator, its two distributions, and dropout.

use crate::{Digest, numbers, zeros};
use vdn_tensor::Element;
use vdn_tensor::kernels::dropout;
use vdn_tensor::noise::NoiseKey;

pub(crate) fn lines<T: Element>(digest: &Digest) {
    for key in [NoiseKey::new(7, 0, 0), NoiseKey::new(u64::MAX - 5, 3, 1 << 31).fold_in(9)] {
        digest.case(format!("noise {} {} {}", key.seed, key.stream, key.step), || {
            let (mut normal, mut uniform, x) =
                (zeros(40_001), zeros(40_001), numbers::<T>(6, 40_001));
            key.fill_normal(3, &mut normal);
            key.fill_uniform(4, &mut uniform);
            let mut kept = zeros(x.len());
            dropout(&x, 0.3, key, &mut kept);
            vec![("normal", normal), ("uniform", uniform), ("dropout", kept)]
        });
    }
}
