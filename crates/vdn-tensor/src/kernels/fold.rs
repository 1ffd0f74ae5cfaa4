//! The values that a reduction combines ([`Source`]) and its operation ([`Fold`]). The order is
//! defined in [`tree`](super::tree).

use crate::simd::{Lanes, Simd};
use crate::{Element, Real, load_partial};
use std::ops::Range;

/// An associative operation, up to rounding.
pub(super) trait Fold: Copy + Sync + Send {
    /// The identity of the operation.
    const IDENTITY: f64;
    /// Combines two values lane by lane.
    fn lanes<R: Real>(a: R, b: R) -> R;
    /// Combines all lanes by their fixed tree.
    fn across<L: Lanes>(x: L) -> L::Scalar;
    /// Combines two numbers.
    fn pair<T: Element>(a: T, b: T) -> T;
}

/// Addition.
#[derive(Clone, Copy)]
pub(super) struct Sum;
impl Fold for Sum {
    const IDENTITY: f64 = 0.0;
    #[inline(always)]
    fn lanes<R: Real>(a: R, b: R) -> R {
        a + b
    }
    #[inline(always)]
    fn across<L: Lanes>(x: L) -> L::Scalar {
        x.sum()
    }
    #[inline(always)]
    fn pair<T: Element>(a: T, b: T) -> T {
        a + b
    }
}

/// The maximum; NaN if either number is.
#[derive(Clone, Copy)]
pub(super) struct Max;
impl Fold for Max {
    const IDENTITY: f64 = f64::NEG_INFINITY;
    #[inline(always)]
    fn lanes<R: Real>(a: R, b: R) -> R {
        // Takes `b` if it is larger or NaN. A NaN in `a` makes all comparisons false and stays.
        R::select(a.lt(b) | !b.le(b), b, a)
    }
    #[inline(always)]
    fn across<L: Lanes>(x: L) -> L::Scalar {
        x.reduce_max()
    }
    #[inline(always)]
    fn pair<T: Element>(a: T, b: T) -> T {
        if a < b || b.partial_cmp(&b).is_none() { b } else { a }
    }
}

/// The rows of numbers that are reduced. They are read from memory or computed on the fly.
pub(super) trait Source<T: Element>: Sync {
    /// Returns the numbers at `range` (sixteen at most) of the flat array; all of them lie in
    /// `row`. Missing lanes hold `fill` or another number that changes nothing. Reductions of
    /// columns ignore missing lanes.
    fn load<S: Simd>(&self, simd: S, row: usize, range: Range<usize>, fill: T) -> T::Lanes<S>;
}

/// Numbers in memory.
pub(super) struct Plain<'a, T>(pub(super) &'a [T]);
impl<T: Element> Source<T> for Plain<'_, T> {
    #[inline(always)]
    fn load<S: Simd>(&self, simd: S, _row: usize, range: Range<usize>, fill: T) -> T::Lanes<S> {
        load_partial(simd, &self.0[range], fill)
    }
}
