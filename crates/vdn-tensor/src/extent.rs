//! The sizes of arguments. This file is the only place where dimensions are multiplied and compared
//! with the lengths of slices.
//!
//! If a product of sizes wraps around, a short slice looks long enough, and a kernel without bounds
//! checks writes to memory that it does not own. A kernel therefore describes its arrays by an
//! [`Extent`], which can only be created if the product of its dimensions does not overflow, and
//! the extent checks every slice. Memory that several tasks write ([`SharedMut`]) comes only from
//! [`Extent::share`], so a new kernel cannot get it without a length check. A test reads the
//! sources for public kernels that begin in any other way.

use crate::parallel::SharedMut;

/// The dimensions of an array argument. No product of any of them wraps around.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Extent<const N: usize> {
    operation: &'static str,
    dims: [usize; N],
}

impl<const N: usize> Extent<N> {
    /// Creates the extent of an array of `operation`.
    ///
    /// # Panics
    /// Panics if the number of elements overflows; dimensions of 0 are ignored.
    #[inline]
    pub(crate) fn new(operation: &'static str, dims: [usize; N]) -> Self {
        assert!(fits(&dims), "{operation}: {dims:?} has too many elements");
        Self { operation, dims }
    }

    /// Returns the number of elements.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.dims.iter().product()
    }

    /// Checks the length of one array.
    ///
    /// # Panics
    /// Panics if the length differs from the extent's.
    #[inline]
    pub(crate) fn check<T>(&self, name: &str, x: &[T]) {
        if x.len() != self.len() {
            self.refuse(name, x.len());
        }
    }

    /// Checks the lengths of the arrays that are present.
    ///
    /// # Panics
    /// Panics if a length differs from the extent's.
    #[inline]
    pub(crate) fn check_any<'a, T: 'a>(
        &self,
        name: &str,
        arrays: impl IntoIterator<Item = Option<&'a [T]>>,
    ) {
        for x in arrays.into_iter().flatten() {
            self.check(name, x);
        }
    }

    /// Returns an array whose parts several tasks may write.
    ///
    /// # Panics
    /// Panics if the length differs from the extent's.
    #[inline]
    pub(crate) fn share<'a, T>(&self, name: &str, x: &'a mut [T]) -> SharedMut<'a, T> {
        self.check(name, x);
        SharedMut::new(x, Checked(()))
    }

    #[cold]
    fn refuse(&self, name: &str, len: usize) -> ! {
        let Self { operation, dims } = self;
        panic!("{operation}: {name} has {len} numbers, not those of {dims:?}")
    }
}

/// The proof that a length was checked. Only this file can create it.
pub(crate) struct Checked(());

/// Returns whether no product of some of these dimensions wraps around. Zeros do not hide the other
/// dimensions.
pub(crate) fn fits(dims: &[usize]) -> bool {
    dims.iter().try_fold(1_usize, |n, &d| n.checked_mul(d.max(1))).is_some()
}

/// Checks that an operation draws at least one sample, and no more samples and positions of noise
/// than there are addresses. Four rows of sixteen columns share sixteen positions.
///
/// # Panics
/// Panics if there are no samples, or if a position or a sample does not fit into 32 bits, so that
/// noise would repeat.
pub(crate) fn check_noise(operation: &str, [samples, rows, columns]: [usize; 3]) {
    assert!(samples > 0, "{operation}: no samples");
    let columns = columns.checked_next_multiple_of(crate::simd::LANES);
    let positions = columns.and_then(|columns| columns.checked_mul(rows.div_ceil(4)));
    let most = 1_u64 << 32;
    let in_reach = |n: Option<usize>| n.is_some_and(|n| n as u64 <= most);
    assert!(
        in_reach(positions) && in_reach(Some(samples)),
        "{operation}: {samples} samples of {positions:?} positions, the noise has addresses for 2^32"
    );
}

/// Does what [`check_noise`] does for a flat array, in which 64 elements share sixteen positions.
///
/// # Panics
/// Panics if the array has more elements than the noise has addresses.
pub(crate) fn check_flat_noise(operation: &str, len: usize) {
    check_noise(operation, [1, len.div_ceil(crate::simd::LANES), crate::simd::LANES]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_do_not_hide_products_that_wrap() {
        assert!(fits(&[]) && fits(&[0, 0]) && fits(&[usize::MAX, 1, 0]));
        for dims in [[1 << 32, 1 << 32, 0], [0, usize::MAX, 2], [1 << 62, 0, 4]] {
            assert!(!fits(&dims), "{dims:?}");
        }
    }

    #[test]
    #[should_panic(expected = "op: x has 5 numbers, not those of [2, 3]")]
    fn another_length_is_refused() {
        Extent::new("op", [2, 3]).check("x", &[0.0_f32; 5]);
    }

    #[test]
    #[should_panic(expected = "op: [9223372036854775808, 2] has too many elements")]
    fn a_product_that_wraps_is_refused() {
        let _ = Extent::new("op", [1 << 63, 2]);
    }
}
