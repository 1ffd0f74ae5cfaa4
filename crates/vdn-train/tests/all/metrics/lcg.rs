//! A small generator for test data.

use vdn_train::metrics::normal;

/// A linear congruential generator (Knuth's MMIX constants), sufficient for test data and the same
/// on every machine.
pub(crate) struct Lcg(pub u64);

impl Lcg {
    pub(crate) fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        ((self.0 >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    }

    pub(crate) fn normal(&mut self) -> f64 {
        normal::quantile(self.uniform())
    }
}
