//! [`Var`]: a small copyable handle of a value on a tape, and [`Outputs`]: the handles of one
//! operation's outputs.

use crate::op::MAX_OUTPUTS;
use std::ops::Index;
use std::sync::atomic::{AtomicU64, Ordering};

/// A value on a [`Tape`](crate::Tape): an index, and the recording to which it belongs.
///
/// After [`Tape::reset`](crate::Tape::reset), and on any other tape, it is stale. Every use of a
/// stale value is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Var {
    pub(crate) index: u32,
    pub(crate) generation: u64,
}

/// Returns a number that no other recording in this process has. It identifies variables of earlier
/// recordings and of other tapes.
pub(crate) fn next_generation() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// The outputs of one recorded operation, including workspace outputs, in the order in which the
/// operation declared them.
#[derive(Clone, Copy, Debug)]
pub struct Outputs {
    vars: [Var; MAX_OUTPUTS],
    len: u8,
}

impl Outputs {
    pub(crate) fn new(first: u32, len: usize, generation: u64) -> Self {
        let mut vars = [Var { index: u32::MAX, generation: 0 }; MAX_OUTPUTS];
        for (var, index) in vars[..len].iter_mut().zip(first..) {
            *var = Var { index, generation };
        }
        Self { vars, len: len as u8 }
    }

    /// Returns the first output. Every operation has one; most have no other.
    #[must_use]
    pub fn single(&self) -> Var {
        self.vars[0]
    }

    /// Returns output `i`, if the operation has that many.
    #[must_use]
    pub fn get(&self, i: usize) -> Option<Var> {
        self.as_slice().get(i).copied()
    }

    /// Returns the number of outputs, including workspace outputs.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "an operation has at least one output")]
    pub fn len(&self) -> usize {
        usize::from(self.len)
    }

    /// Returns all outputs.
    #[must_use]
    pub fn as_slice(&self) -> &[Var] {
        &self.vars[..self.len()]
    }
}

impl Index<usize> for Outputs {
    type Output = Var;
    /// # Panics
    /// Panics if the operation has no output `i`.
    fn index(&self, i: usize) -> &Var {
        &self.as_slice()[i]
    }
}
