//! Size classes of the buffers that a tape keeps for later gradients.
//!
//! It uses nothing else of the crate: its test compiles this file alone, so that the crate, most of
//! which is kernels of every SIMD level, need not be built a second time for unit tests.

/// Numbers per unit of size; no buffer is smaller.
pub(crate) const UNIT: usize = 16;

/// The class of a length and the capacity of its buffers: four classes to each power of two, so
/// that at most a quarter is wasted and any buffer of a class serves any length of it.
pub(crate) fn size_class(len: usize) -> (usize, usize) {
    let units = len.div_ceil(UNIT).max(1);
    if units <= 4 {
        return (units, units * UNIT);
    }
    // units lies in (power, 2 power], which is cut into four equal parts.
    let exponent = (units - 1).ilog2() as usize;
    let power = 1 << exponent;
    let part = power / 4;
    let parts = (units - power).div_ceil(part);
    (4 * exponent + parts, (power + parts * part) * UNIT)
}
