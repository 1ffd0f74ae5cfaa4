//! Asking for a line of the cache before it is needed.
//!
//! A hint: it changes no result, and an address that nobody may read does no harm.

use std::arch::asm;
use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};

/// The line at `at`, to be read: into the second-level cache. The first level would lose it again where rows lie a multiple
/// of 4096 bytes apart.
#[inline(always)]
pub(super) fn read<T>(at: *const T) {
    // SAFETY: the instruction is in the baseline of the architecture, and has no effect but on caches.
    unsafe { _mm_prefetch::<_MM_HINT_T1>(at.cast()) }
}

/// The line at `at`, to be written: it comes without a copy in the caches of other cores. Processors without the instruction
/// that have AVX2 take it for none at all.
#[expect(
    clippy::pointers_in_nomem_asm_block,
    reason = "the address is a hint: nothing is read or written through it"
)]
#[inline(always)]
pub(super) fn write<T>(at: *const T) {
    // SAFETY: no effect but on caches; no register, flag or byte of memory changes.
    unsafe { asm!("prefetchw [{}]", in(reg) at, options(nomem, nostack, preserves_flags)) }
}
