//! The SIMD core: sixteen logical `f32` lanes on every level, chosen at run time.
//!
//! * [`Simd`] is a zero-sized token: the proof that its level may run here. It is not `Send`,
//!   because dispatch happens inside each parallel chunk, never around the loop over chunks. (A
//!   thread without its own dispatch would run code compiled without the level's instructions: the
//!   same results, tens of times slower.)
//! * [`Lanes`] are the values with which a kernel computes: [`Real`] operators on sixteen numbers
//!   in memory order.
//! * [`dispatch!`](crate::dispatch) is the only place that lists all levels.
//!
//! A kernel is a plain generic function marked `#[inline(always)]`. Without the attribute it is
//! compiled for the baseline instruction set, and every operator becomes a call. A test scans the
//! sources for missing attributes.

mod aes;
mod level;
mod portable;

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod double;
#[cfg(target_arch = "x86_64")]
mod prefetch;

pub(crate) use aes::Aes;
#[cfg(target_arch = "x86_64")]
pub use avx2::Avx2;
#[cfg(target_arch = "x86_64")]
pub use avx512::Avx512;
pub use double::DoubleLanes;
pub use level::{Level, LevelError, available, level, set_level};
pub use portable::Portable;

use crate::noise::{Ars, Philox};
use crate::real::Real;
use std::ops::{Add, BitAnd, BitOr, BitXor, Sub};

/// The number of logical lanes on every level.
pub const LANES: usize = 16;

/// The token of a SIMD level: the proof that the level's instructions may run on this thread.
///
/// It is deliberately not `Send`; see the module documentation:
///
/// ```compile_fail
/// fn is_send<T: Send>(_: T) {}
/// vdn_tensor::dispatch!(simd => is_send(simd));
/// ```
pub trait Simd: Copy + 'static {
    /// Sixteen `f32`.
    type F32: F32Lanes<Bits = Self::U32>;
    /// Sixteen `u32`.
    type U32: U32Lanes<F32 = Self::F32>;
    /// Sixteen `f64` in the vectors of the level, for matrix products.
    type F64: F64Vectors;
    /// The level itself.
    const LEVEL: Level;
    /// Whether `mul_add` rounds once.
    const FMA: bool;

    /// Runs `f`, compiled for this level. Everything in `f` has to be `#[inline(always)]`.
    fn vectorize<R>(self, f: impl FnOnce() -> R) -> R;
    /// Returns sixteen copies of `x`.
    fn splat(self, x: f32) -> Self::F32;
    /// Loads sixteen numbers from memory.
    fn load(self, x: &[f32; LANES]) -> Self::F32;
    /// Returns sixteen copies of `x`.
    fn splat_u32(self, x: u32) -> Self::U32;
    /// Returns sixteen copies of `x`.
    fn splat_f64(self, x: f64) -> Self::F64;
    /// Loads sixteen numbers from memory.
    fn load_f64(self, x: &[f64; LANES]) -> Self::F64;
    /// Loads sixteen integers from memory.
    fn load_u32(self, x: &[u32; LANES]) -> Self::U32;
    /// Returns sixteen blocks of the Philox generator, one per lane, in the way that suits the
    /// level.
    #[inline(always)]
    fn philox(self, rounds: &Philox, position: Self::U32, sample: u32) -> [Self::U32; 4] {
        rounds.words_in_lanes(self, position, sample)
    }
    /// Returns the words of sixteen blocks of the ARS generator, in order, with the instructions of
    /// the level.
    #[inline(always)]
    fn ars(self, ars: &Ars, first: u32, sample: u32) -> [Self::U32; 4] {
        self.load_rows(&ars.in_software(first, sample))
    }
    /// Prefetches the cache line at `at` for reading. It is a hint, valid for any address, and does
    /// nothing on levels without it.
    #[inline(always)]
    fn prefetch_read<T>(self, _at: *const T) {}
    /// Prefetches the cache line at `at` for writing. It is a hint, valid for any address, and does
    /// nothing on levels without it.
    #[inline(always)]
    fn prefetch_write<T>(self, _at: *const T) {}
    /// Loads four rows of sixteen integers from memory.
    #[inline(always)]
    fn load_rows(self, rows: &[[u32; LANES]; 4]) -> [Self::U32; 4] {
        let [a, b, c, d] = rows;
        [self.load_u32(a), self.load_u32(b), self.load_u32(c), self.load_u32(d)]
    }
}

/// Sixteen numbers with which a kernel computes.
pub trait Lanes: Real {
    /// The type of one lane.
    type Scalar: Copy;
    /// Writes the lanes to memory, lane 0 first.
    fn store(self, to: &mut [Self::Scalar; LANES]);
    /// Returns the sum of all lanes by the fixed tree `(i) + (i + 8)`, `+ 4`, `+ 2`, `+ 1`, the
    /// same on every level.
    fn sum(self) -> Self::Scalar;
    /// Returns the largest lane, by the same tree.
    fn reduce_max(self) -> Self::Scalar;
}

/// Sixteen `f64` of a matrix product.
pub trait F64Vectors: Copy + Add<Output = Self> {
    /// Returns `self * factor + term`, rounded once on levels with fused multiply-add (as
    /// [`Real::mul_add`] of the `f32` lanes).
    fn mul_add(self, factor: Self, term: Self) -> Self;
    /// Writes the numbers to memory.
    fn store(self, to: &mut [f64; LANES]);
}

/// Sixteen `f32`, with access to their bits for vector mathematics.
pub trait F32Lanes: Lanes<Scalar = f32> {
    /// The lanes' bit patterns.
    type Bits: U32Lanes<F32 = Self>;
    /// Reinterprets the numbers as integers.
    fn to_bits(self) -> Self::Bits;
    /// Returns, lane by lane, `yes` where `mask` is true and `no` elsewhere.
    fn select_bits(mask: Self::Mask, yes: Self::Bits, no: Self::Bits) -> Self::Bits;
}

/// Sixteen `u32`; arithmetic wraps.
pub trait U32Lanes:
    Copy
    + Add<Output = Self>
    + Sub<Output = Self>
    + BitAnd<Output = Self>
    + BitOr<Output = Self>
    + BitXor<Output = Self>
{
    /// The numbers that have these bits.
    type F32: F32Lanes<Bits = Self>;
    /// Returns the constant `x`; the value of `self` is ignored.
    fn lit(self, x: u32) -> Self;
    /// Shifts left by a constant below 32.
    fn shl<const BITS: i32>(self) -> Self;
    /// Shifts right logically by a constant below 32.
    fn shr<const BITS: i32>(self) -> Self;
    /// Shifts right by a constant below 32 and keeps the sign.
    fn shr_signed<const BITS: i32>(self) -> Self;
    /// Returns the full products with `factor`: the high and the low halves.
    fn mul_wide(self, factor: Self) -> (Self, Self);
    /// Reinterprets the integers as numbers.
    fn to_f32_bits(self) -> Self::F32;
    /// Converts signed integers to numbers, rounded to nearest even.
    fn to_f32_signed(self) -> Self::F32;
    /// Converts unsigned integers to numbers, rounded to nearest even once.
    fn to_f32(self) -> Self::F32;
    /// Writes the lanes to memory, lane 0 first.
    fn store(self, to: &mut [u32; LANES]);
}

/// Sixteen `u32` as eight pairs of an even lane and the next lane: the low and high halves of
/// 64-bit numbers.
pub trait Pairs: U32Lanes {
    /// Returns the full products of the even lanes (the low halves) with the even lanes of
    /// `factor`.
    fn mul_even(self, factor: Self) -> Self;
    /// Returns the high halves in place of the low halves; the high halves are 0.
    fn high(self) -> Self;
    /// Returns the even lanes of `self`, with the even lanes of `odd` in the odd lanes.
    fn zip_low(self, odd: Self) -> Self;
    /// Returns the odd lanes of `self` in the even lanes, with the odd lanes of `odd` in the odd
    /// lanes.
    fn zip_high(self, odd: Self) -> Self;
}

/// Runs an expression on the level chosen at run time.
///
/// * `dispatch!(simd => kernel(simd, x, y))`: `simd` is bound to the level's token, and `kernel` is
///   generic over [`Simd`].
/// * `dispatch!(level, simd => ...)`: the level is given.
/// * `dispatch!(for T, simd => ...)`: the kernel computes with numbers of type `T`. For types that
///   are the same on every level ([`Element::EVERY_LEVEL`](crate::Element::EVERY_LEVEL) is false)
///   it is compiled for `Portable` alone.
///
/// # Panics
/// Panics if the level in `VDN_SIMD` is unknown, or this machine does not have it; [`level`]
/// returns this as an error.
///
/// ```
/// use vdn_tensor::{dispatch, simd::{Lanes, Simd}};
/// #[inline(always)]
/// fn twice<S: Simd>(simd: S, x: &mut [f32; 16]) {
///     let v = simd.load(x);
///     (v + v).store(x);
/// }
/// let mut x = [1.5; 16];
/// dispatch!(simd => twice(simd, &mut x));
/// assert_eq!(x, [3.0; 16]);
/// ```
#[macro_export]
macro_rules! dispatch {
    (for $number:ty, $simd:ident => $body:expr) => {
        if const { <$number as $crate::Element>::EVERY_LEVEL } {
            $crate::dispatch!($simd => $body)
        } else {
            let $simd = $crate::simd::Portable::new();
            $crate::simd::Simd::vectorize($simd, #[inline(always)] || $body)
        }
    };
    ($simd:ident => $body:expr) => {
        $crate::dispatch!($crate::simd::level().unwrap_or_else(|e| panic!("{e}")), $simd => $body)
    };
    ($level:expr, $simd:ident => $body:expr) => {{
        let level: $crate::simd::Level = $level;
        match level {
            #[cfg(target_arch = "x86_64")]
            $crate::simd::Level::Avx512 => {
                let $simd = $crate::simd::Avx512::try_new().expect("this machine lacks the level avx512");
                $crate::simd::Simd::vectorize($simd, #[inline(always)] || $body)
            }
            #[cfg(target_arch = "x86_64")]
            $crate::simd::Level::Avx2 => {
                let $simd = $crate::simd::Avx2::try_new().expect("this machine lacks the level avx2");
                $crate::simd::Simd::vectorize($simd, #[inline(always)] || $body)
            }
            _ => {
                let $simd = $crate::simd::Portable::new();
                $crate::simd::Simd::vectorize($simd, #[inline(always)] || $body)
            }
        }
    }};
}

/// Returns the largest of sixteen numbers by the fixed tree; NaN if any is NaN.
#[inline(always)]
fn reduce_max<T: PartialOrd + Copy>(x: &[T; LANES]) -> T {
    #[expect(clippy::eq_op, reason = "true for NaN alone")]
    let pick = |a: T, b: T| if a != a || a > b { a } else { b };
    let mut x = *x;
    for half in [8, 4, 2, 1] {
        for i in 0..half {
            x[i] = pick(x[i], x[i + half]);
        }
    }
    x[0]
}
