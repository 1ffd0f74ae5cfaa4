//! The panels of B that all tasks of a product share. Each is copied once, by the task that first
//! needs it.
//!
//! There is no barrier, and no task waits: a task that needs a chunk while another thread copies it
//! makes its own copy. The result does not depend on which thread copied a chunk.

use super::blocking::GROUPS;
use crate::simd::LANES;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicU8, Ordering};

/// The number of columns that are packed at a time.
pub(super) const CHUNK: usize = GROUPS * LANES;

/// The largest number of chunks that are tracked; further chunks are never shared.
const CHUNKS: usize = 512;

/// The states of a chunk.
const EMPTY: u8 = 0;
const TAKEN: u8 = 1;
const READY: u8 = 2;

/// B in panels: chunks of columns, cut into blocks of the inner dimension.
pub(super) struct PanelsOfB<'a, T> {
    start: *mut T,
    len: usize,
    memory: PhantomData<&'a mut [T]>,
    states: [AtomicU8; CHUNKS],
    /// The number of chunks of columns, and of inner indices in a block.
    across: usize,
    depth: usize,
}

// SAFETY: it is a `&mut [T]` whose chunks are handed out to one thread to write, and to all once it
// is done (`claim`).
unsafe impl<T: Send + Sync> Sync for PanelsOfB<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Send + Sync> Send for PanelsOfB<'_, T> {}

/// The state in which a task finds a chunk that it needs.
pub(super) enum Claim<'a, T> {
    /// The filled chunk; from now on it is only read.
    Ready(*const T),
    /// The memory of the chunk, which this task has to fill and then publish.
    Empty(&'a mut [T]),
    /// Another task is filling the chunk, or it is not tracked.
    Taken,
}

impl<'a, T> PanelsOfB<'a, T> {
    /// Returns the count of numbers in the panels of a `[k, n]` matrix.
    pub(super) fn len(n: usize, k: usize, depth: usize) -> usize {
        n.next_multiple_of(CHUNK) * k.next_multiple_of(depth)
    }

    /// Creates empty panels.
    pub(super) fn new(memory: &'a mut [T], n: usize, depth: usize) -> Self {
        let states = [const { AtomicU8::new(EMPTY) }; CHUNKS];
        let (start, len) = (memory.as_mut_ptr(), memory.len());
        Self { start, len, memory: PhantomData, states, across: n.div_ceil(CHUNK), depth }
    }

    /// Claims the chunk of the columns from `column` on, in the block of inner indices from `inner`
    /// on. A chunk and a block have to begin there.
    pub(super) fn claim(&self, column: usize, inner: usize) -> Claim<'a, T> {
        let index = self.index(column, inner);
        let Some(state) = self.states.get(index) else { return Claim::Taken };
        match state.compare_exchange(EMPTY, TAKEN, Ordering::Acquire, Ordering::Acquire) {
            // SAFETY: in bounds by the assertion in `chunk`. Chunks do not overlap, and nobody else
            // has a pointer to this one: others get it only after `publish`.
            Ok(_) => Claim::Empty(unsafe {
                std::slice::from_raw_parts_mut(self.chunk(index), CHUNK * self.depth)
            }),
            Err(READY) => Claim::Ready(self.chunk(index)),
            Err(_) => Claim::Taken,
        }
    }

    /// Makes a chunk that was claimed empty and has been filled available to all tasks, including
    /// the caller.
    pub(super) fn publish(&self, column: usize, inner: usize) -> *const T {
        let index = self.index(column, inner);
        self.states[index].store(READY, Ordering::Release);
        self.chunk(index)
    }

    fn index(&self, column: usize, inner: usize) -> usize {
        debug_assert!(column.is_multiple_of(CHUNK) && inner.is_multiple_of(self.depth));
        inner / self.depth * self.across + column / CHUNK
    }

    /// Returns the start of a chunk.
    fn chunk(&self, index: usize) -> *mut T {
        let len = CHUNK * self.depth;
        assert!((index + 1) * len <= self.len, "matmul: a chunk beyond the shared panels");
        self.start.wrapping_add(index * len)
    }
}
