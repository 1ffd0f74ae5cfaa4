//! Memory-bound reference loops: the speed that any kernel can reach that moves as many bytes.

use vdn_tensor::Real;
use vdn_tensor::kernels::{Formula, map};

/// `a = b + factor c`.
struct Triad {
    factor: f64,
}

impl Formula<2, 1> for Triad {
    #[inline(always)]
    fn apply<R: Real>(&self, [b, c]: [R; 2]) -> [R; 1] {
        [c.mul_add(c.lit(self.factor), b)]
    }
}

/// Computes `a = b + factor c`, the triad of J. McCalpin's STREAM (1995). It moves 12 bytes per
/// number, without the read of the lines of `a` before they are written.
///
/// # Panics
/// Panics if the slices differ in length.
pub fn triad(factor: f64, a: &mut [f32], [b, c]: [&[f32]; 2]) {
    map(&Triad { factor }, [b, c], [a]);
}
