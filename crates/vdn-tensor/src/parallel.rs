//! Threads. This is the only file that uses rayon.
//!
//! Work is cut into chunks whose size depends on the shapes alone, never on the number of threads.
//! Each chunk writes its own part of the result, and partial sums are combined in a fixed tree, so
//! results are the same for any number of threads. SIMD dispatch happens inside each chunk.

use crate::extent::{Checked, Extent};
use rayon::prelude::*;
use std::marker::PhantomData;
use std::ops::Range;

/// Runs `work(i)` for every `i` below `count`, in parallel. A single call runs on the calling
/// thread.
#[inline]
pub fn for_each(count: usize, work: impl Fn(usize) + Sync + Send) {
    spread(count, &work);
}

/// Not generic: rayon's code is compiled once, and `work` is compiled once for each caller. The
/// indirect call is negligible beside a task.
fn spread(count: usize, work: &(dyn Fn(usize) + Sync + Send)) {
    match count {
        0 => {}
        1 => work(0),
        _ => (0..count).into_par_iter().for_each(work),
    }
}

/// Runs `work(index, chunk)` for every chunk of `chunk_len` elements of `data` (the last may be
/// shorter), in parallel.
///
/// # Panics
/// Panics if `chunk_len` is 0.
pub fn for_each_chunk<T: Send>(
    data: &mut [T],
    chunk_len: usize,
    work: impl Fn(usize, &mut [T]) + Sync + Send,
) {
    let len = data.len();
    assert!(chunk_len > 0, "chunks of no elements");
    let data = Extent::new("chunks", [len]).share("the array", data);
    for_each(len.div_ceil(chunk_len), |i| {
        // SAFETY: chunks of different indices do not overlap.
        work(i, unsafe { data.part(i * chunk_len..len.min((i + 1).saturating_mul(chunk_len))) });
    });
}

/// Runs both functions, possibly at the same time, and returns both results.
pub fn join<A: Send, B: Send>(
    a: impl FnOnce() -> A + Send,
    b: impl FnOnce() -> B + Send,
) -> (A, B) {
    rayon::join(a, b)
}

/// Returns the number of threads over which parallel work started here is spread.
#[must_use]
pub fn threads() -> usize {
    rayon::current_num_threads()
}

/// A separate pool of threads.
///
/// ```
/// use vdn_tensor::parallel::{Pool, threads};
/// let pool = Pool::new(2)?;
/// assert_eq!(pool.run(threads), 2);
/// # Ok::<(), vdn_tensor::parallel::PoolError>(())
/// ```
#[derive(Debug)]
pub struct Pool(rayon::ThreadPool);

/// The error of an operating system that refused to start the threads of a [`Pool`].
#[derive(Debug)]
pub struct PoolError(rayon::ThreadPoolBuildError);

impl std::fmt::Display for PoolError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "cannot start the thread pool: {}", self.0)
    }
}

impl std::error::Error for PoolError {}

impl Pool {
    /// Creates a pool of `threads` threads; 0 means one for each processor.
    ///
    /// # Errors
    /// Fails if the operating system refuses to start the threads.
    pub fn new(threads: usize) -> Result<Self, PoolError> {
        rayon::ThreadPoolBuilder::new().num_threads(threads).build().map(Self).map_err(PoolError)
    }

    /// Runs `work` inside the pool; all parallel work that it starts stays in the pool.
    pub fn run<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        self.0.install(work)
    }
}

/// A slice of which several tasks write disjoint parts.
///
/// It is for outputs whose parts per task are not contiguous (all samples of some rows, a tile of a
/// matrix).
#[derive(Clone, Copy, Debug)]
pub(crate) struct SharedMut<'a, T> {
    start: *mut T,
    len: usize,
    borrow: PhantomData<&'a mut [T]>,
}

// SAFETY: the parts handed out are disjoint (the contract of `part`), so sharing is like splitting
// the slice.
unsafe impl<T: Send> Sync for SharedMut<'_, T> {}
// SAFETY: as above; it is a borrowed `&mut [T]`, which is `Send` for `T: Send`.
unsafe impl<T: Send> Send for SharedMut<'_, T> {}

impl<'a, T> SharedMut<'a, T> {
    /// Creates a shared slice; only [`Extent::share`] can call it.
    pub(crate) fn new(data: &'a mut [T], _: Checked) -> Self {
        Self { start: data.as_mut_ptr(), len: data.len(), borrow: PhantomData }
    }

    /// Returns the address of element `at`, or of the last element, for prefetching only.
    #[inline(always)]
    pub(crate) fn address(&self, at: usize) -> *const T {
        self.start.wrapping_add(at.min(self.len.saturating_sub(1)))
    }

    /// Returns the part in `range`.
    ///
    /// # Safety
    /// No two parts that are alive at the same time overlap.
    ///
    /// # Panics
    /// Panics if `range` does not lie in the slice.
    #[inline(always)]
    pub(crate) unsafe fn part(&self, range: Range<usize>) -> &'a mut [T] {
        assert!(range.start <= range.end && range.end <= self.len, "part out of bounds");
        // SAFETY: in bounds by the line above; exclusive by the caller's contract.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(range.start), range.len()) }
    }

    /// Returns the `N` elements from `at` on, without a check.
    ///
    /// # Safety
    /// They lie in the slice, and no two parts that are alive at the same time overlap.
    #[inline(always)]
    pub(crate) unsafe fn array<const N: usize>(&self, at: usize) -> &'a mut [T; N] {
        debug_assert!(at + N <= self.len, "array out of bounds");
        // SAFETY: in bounds and exclusive by the caller's contract; an array of `T` is aligned like
        // `T`.
        unsafe { &mut *self.start.add(at).cast::<[T; N]>() }
    }
}
