//! Size classes of the buffers that a tape keeps for reuse by later gradients.
//!
//! This file uses nothing else of the crate. Its test compiles it alone, so the crate, most of
//! which is kernels of every SIMD level, need not be built a second time for unit tests.

/// Numbers per unit of size; no buffer is smaller.
pub(crate) const UNIT: usize = 16;

/// Returns the class of a length and the capacity of its buffers. There are four classes to each
/// power of two, so at most a quarter is wasted, and any buffer of a class fits any length in it.
pub(crate) fn size_class(len: usize) -> (usize, usize) {
    let units = len.div_ceil(UNIT).max(1);
    if units <= 4 {
        return (units, units * UNIT);
    }
    // `units` lies in (power, 2 power], which is cut into four equal parts.
    let exponent = (units - 1).ilog2() as usize;
    let power = 1 << exponent;
    let part = power / 4;
    let parts = (units - power).div_ceil(part);
    (4 * exponent + parts, (power + parts * part) * UNIT)
}
