//! Prefetching: requests a cache line before it is needed.
//!
//! Prefetching is a hint. It changes no result, and an unreadable address does no harm.

use std::arch::asm;
use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};

/// Prefetches the line at `at` for reading, into the second-level cache. The first-level cache
/// would evict it again if rows lie a multiple of 4096 bytes apart.
#[inline(always)]
pub(super) fn read<T>(at: *const T) {
    // SAFETY: the instruction is in the baseline of the architecture, and has no effect but on
    // caches.
    unsafe { _mm_prefetch::<_MM_HINT_T1>(at.cast()) }
}

/// Prefetches the line at `at` for writing: it arrives without copies in the caches of other cores.
/// Processors that have AVX2 but not this instruction ignore it.
#[expect(
    clippy::pointers_in_nomem_asm_block,
    reason = "the address is a hint: nothing is read or written through it"
)]
#[inline(always)]
pub(super) fn write<T>(at: *const T) {
    // SAFETY: no effect but on caches; no register, flag or byte of memory changes.
    unsafe { asm!("prefetchw [{}]", in(reg) at, options(nomem, nostack, preserves_flags)) }
}
