//! Aligned memory that is reused: [`Buffer`] for tensors and the tape, [`with_scratch`] for the
//! working memory of kernels.
//!
//! Training repeats the same allocations in every step. A [`Buffer`] keeps its memory when it
//! shrinks, and [`with_scratch`] lends memory from a pool of the thread, so steps after the first
//! allocate nothing. The price is that contents are unspecified: nothing is cleared for reuse.

use crate::element::Element;
use bytemuck::{Pod, Zeroable};
use std::cell::RefCell;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

/// One cache line. Buffers consist of whole lines, so that a vector never straddles two.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([u8; LINE]);
const LINE: usize = 64;

// SAFETY: an array of bytes: every bit pattern is valid, there is no padding (size equals
// alignment).
unsafe impl Zeroable for Line {}
// SAFETY: as above; `Line` is `Copy`, `'static` and has no interior pointers.
unsafe impl Pod for Line {}

/// A growable array of numbers, aligned to 64 bytes, that keeps its memory when it shrinks.
///
/// ```
/// use vdn_tensor::Buffer;
/// let mut buffer = Buffer::<f32>::new();
/// buffer.resize(100);
/// buffer[99] = 1.5;
/// let before = buffer.capacity();
/// buffer.resize(10);
/// buffer.resize(100);
/// assert_eq!(buffer.capacity(), before);
/// assert_eq!(buffer.as_ptr() as usize % 64, 0);
/// ```
#[derive(Clone, Default)]
pub struct Buffer<T> {
    lines: Vec<Line>,
    len: usize,
    element: PhantomData<T>,
}

impl<T: Element> Buffer<T> {
    /// Creates an empty buffer; nothing is allocated.
    #[must_use]
    pub fn new() -> Self {
        Self { lines: Vec::new(), len: 0, element: PhantomData }
    }

    /// Changes the length. Memory is allocated only beyond [`Buffer::capacity`]. Afterwards the
    /// contents are unspecified numbers (zeros in new memory, older numbers in reused memory) and
    /// have to be overwritten.
    pub fn resize(&mut self, len: usize) {
        let lines =
            len.checked_mul(size_of::<T>()).expect("buffer length overflows").div_ceil(LINE);
        if lines > self.lines.len() {
            if lines > self.lines.capacity() {
                // The old contents need not survive, and a new zeroed allocation is cheaper than a
                // copy.
                self.lines = vec![Line([0; LINE]); lines];
            } else {
                self.lines.resize(lines, Line([0; LINE]));
            }
        }
        self.len = len;
    }

    /// Returns the number of elements that fit without an allocation.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.lines.capacity() * LINE / size_of::<T>()
    }
}

impl<T: Element> Deref for Buffer<T> {
    type Target = [T];
    #[inline]
    fn deref(&self) -> &[T] {
        &bytemuck::cast_slice(&self.lines)[..self.len]
    }
}

impl<T: Element> DerefMut for Buffer<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [T] {
        &mut bytemuck::cast_slice_mut(&mut self.lines)[..self.len]
    }
}

impl<T: Element> From<&[T]> for Buffer<T> {
    fn from(from: &[T]) -> Self {
        let mut buffer = Self::new();
        buffer.resize(from.len());
        buffer.copy_from_slice(from);
        buffer
    }
}

impl<T> std::fmt::Debug for Buffer<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Buffer of {}", self.len)
    }
}

thread_local! {
    static SCRATCH: RefCell<Vec<Vec<Line>>> = const { RefCell::new(Vec::new()) };
}

/// Lends `len` numbers of working memory, aligned to 64 bytes, with unspecified contents. The
/// memory belongs to the thread and is reused by later calls. Nested calls get different memory.
///
/// ```
/// let twice: Vec<f32> = vdn_tensor::with_scratch(3, |x: &mut [f32]| {
///     x.copy_from_slice(&[1.0, 2.0, 3.0]);
///     x.iter().map(|v| 2.0 * v).collect()
/// });
/// assert_eq!(twice, [2.0, 4.0, 6.0]);
/// ```
pub fn with_scratch<T: Element, R>(len: usize, f: impl FnOnce(&mut [T]) -> R) -> R {
    let lines = len.checked_mul(size_of::<T>()).expect("scratch length overflows").div_ceil(LINE);
    let mut memory = lend(lines);
    let result = f(&mut bytemuck::cast_slice_mut(&mut memory)[..len]);
    take_back(memory);
    result
}

// Not generic: the access to the thread's memory is compiled once, not once for each caller of
// `with_scratch`.

/// Takes at least this many lines of the thread's memory.
fn lend(lines: usize) -> Vec<Line> {
    let memory = SCRATCH.with_borrow_mut(|pool| take_fitting(pool, lines));
    if memory.len() < lines { vec![Line([0; LINE]); lines] } else { memory }
}

/// Takes back the memory that [`lend`] gave.
fn take_back(memory: Vec<Line>) {
    SCRATCH.with_borrow_mut(|pool| pool.push(memory));
}

/// Takes the smallest pooled array with enough lines, or the largest one, which is then replaced so
/// that the pool stays small.
fn take_fitting(pool: &mut Vec<Vec<Line>>, lines: usize) -> Vec<Line> {
    let fitting =
        (0..pool.len()).filter(|&i| pool[i].len() >= lines).min_by_key(|&i| pool[i].len());
    let index = fitting.or_else(|| (0..pool.len()).max_by_key(|&i| pool[i].len()));
    index.map(|i| pool.swap_remove(i)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scratch_is_aligned_disjoint_and_reused() {
        let first = with_scratch(100, |a: &mut [f64]| {
            with_scratch(100, |b: &mut [f64]| {
                assert_eq!(a.as_ptr() as usize % LINE, 0);
                let distance = (a.as_ptr() as usize).abs_diff(b.as_ptr() as usize);
                assert!(distance >= 100 * size_of::<f64>(), "nested scratch overlaps");
            });
            a.as_ptr() as usize
        });
        let again = [(); 2].map(|()| with_scratch(100, |a: &mut [f64]| a.as_ptr() as usize));
        assert!(again.contains(&first) || again[0] == again[1], "scratch is not reused");
    }

    #[test]
    fn a_buffer_keeps_what_it_is_given() {
        let buffer = Buffer::from(&[1.0_f32, 2.0, 3.0][..]);
        assert_eq!(&buffer[..], &[1.0, 2.0, 3.0]);
        assert_eq!(buffer.clone()[..], buffer[..]);
    }
}
