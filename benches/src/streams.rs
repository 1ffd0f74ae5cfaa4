//! The memory-bound reference loops: what any kernel that moves as many bytes can reach.

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

/// `a = b + factor c`, the triad of J. McCalpin's STREAM (1995): 12 bytes for each number, not counting that the lines of
/// `a` are read before they are written.
///
/// # Panics
/// The slices differ in length.
pub fn triad(factor: f64, a: &mut [f32], [b, c]: [&[f32]; 2]) {
    map(&Triad { factor }, [b, c], [a]);
}
