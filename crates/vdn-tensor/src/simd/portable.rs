//! The level that every machine has: `wide::f32x16` at the build's baseline.
//!
//! `wide` chooses its instructions at compile time: SSE2 without fused multiply-add in a plain
//! build for x86-64, NEON with fused multiply-add on AArch64. Its own `exp` and `ln` are not used
//! (see [`math`](crate::math)).

use super::{F32Lanes, F64Vectors, LANES, Lanes, Level, Simd, U32Lanes};
use crate::math;
use crate::real::{Mask, Real};
use std::marker::PhantomData;
use std::ops::{Add, BitAnd, BitOr, BitXor, Div, Mul, Neg, Not, Sub};
use wide::{f32x16, f64x2, i32x16, u32x16};

/// The token of [`Level::Portable`].
#[derive(Clone, Copy, Debug)]
pub struct Portable(PhantomData<*const ()>);

impl Portable {
    /// Returns the token; every machine has this level.
    #[inline(always)]
    #[must_use]
    #[expect(
        clippy::new_without_default,
        reason = "a token is asked for by name, never by default"
    )]
    pub fn new() -> Self {
        Self(PhantomData)
    }
}

impl Simd for Portable {
    type F32 = F32;
    type U32 = U32;
    type F64 = F64;
    const LEVEL: Level = Level::Portable;
    const FMA: bool = cfg!(any(target_feature = "fma", target_arch = "aarch64"));

    #[inline(always)]
    fn vectorize<R>(self, f: impl FnOnce() -> R) -> R {
        f()
    }
    #[inline(always)]
    fn splat(self, x: f32) -> F32 {
        F32(f32x16::splat(x))
    }
    #[inline(always)]
    fn load(self, x: &[f32; LANES]) -> F32 {
        F32(f32x16::new(*x))
    }
    #[inline(always)]
    fn splat_f64(self, x: f64) -> F64 {
        F64([f64x2::splat(x); LANES / 2])
    }
    #[inline(always)]
    fn load_f64(self, x: &[f64; LANES]) -> F64 {
        F64(bytemuck::cast(*x))
    }
    #[inline(always)]
    fn splat_u32(self, x: u32) -> U32 {
        U32(u32x16::splat(x))
    }
    #[inline(always)]
    fn load_u32(self, x: &[u32; LANES]) -> U32 {
        U32(u32x16::new(*x))
    }
}

/// Sixteen `f64` in pairs.
#[derive(Clone, Copy, Debug)]
pub struct F64([f64x2; LANES / 2]);

impl Add for F64 {
    type Output = Self;
    #[inline(always)]
    fn add(mut self, other: Self) -> Self {
        for (x, y) in self.0.iter_mut().zip(&other.0) {
            *x += *y;
        }
        self
    }
}

impl F64Vectors for F64 {
    #[inline(always)]
    fn mul_add(mut self, factor: Self, term: Self) -> Self {
        for (x, (factor, term)) in self.0.iter_mut().zip(factor.0.into_iter().zip(term.0)) {
            *x = x.mul_add(factor, term);
        }
        self
    }
    #[inline(always)]
    fn store(self, to: &mut [f64; LANES]) {
        *to = bytemuck::cast(self.0);
    }
}

/// Sixteen `f32`.
#[derive(Clone, Copy, Debug)]
pub struct F32(f32x16);

/// Sixteen `u32`.
#[derive(Clone, Copy, Debug)]
pub struct U32(u32x16);

/// Sixteen truth values: all bits of a lane set, or none.
#[derive(Clone, Copy, Debug)]
pub struct Truth(f32x16);

macro_rules! operator {
    ($type:ident, $trait:ident, $method:ident) => {
        impl $trait for $type {
            type Output = Self;
            #[inline(always)]
            fn $method(self, other: Self) -> Self {
                Self($trait::$method(self.0, other.0))
            }
        }
    };
}

operator!(F32, Add, add);
operator!(F32, Sub, sub);
operator!(F32, Mul, mul);
operator!(F32, Div, div);
operator!(U32, Add, add);
operator!(U32, Sub, sub);
operator!(U32, BitAnd, bitand);
operator!(U32, BitOr, bitor);
operator!(U32, BitXor, bitxor);
operator!(Truth, BitAnd, bitand);
operator!(Truth, BitOr, bitor);

impl Not for Truth {
    type Output = Self;
    #[inline(always)]
    fn not(self) -> Self {
        Self(!self.0)
    }
}

impl Mask for Truth {
    #[inline(always)]
    fn any(self) -> bool {
        self.0.to_bitmask() != 0
    }
    #[inline(always)]
    fn all(self) -> bool {
        self.0.to_bitmask() & 0xffff == 0xffff
    }
}

/// Defines functions that are compiled once and called. Inlined, each is several hundred
/// instructions (four vectors for sixteen lanes), which made up most of the compile time of every
/// kernel on this level.
macro_rules! lane_calls {
    ($($name:ident)*) => {$(
        #[inline(never)]
        fn $name(self) -> Self {
            math::$name::$name(self)
        }
    )*};
}

impl Neg for F32 {
    type Output = Self;
    #[inline(always)]
    fn neg(self) -> Self {
        Self(-self.0)
    }
}

impl Real for F32 {
    type Mask = Truth;
    #[inline(always)]
    fn lit(self, x: f64) -> Self {
        Self(f32x16::splat(x as f32))
    }
    #[inline(always)]
    fn mul_add(self, factor: Self, term: Self) -> Self {
        Self(self.0.mul_add(factor.0, term.0))
    }
    #[inline(always)]
    fn abs(self) -> Self {
        Self(self.0.abs())
    }
    #[inline(always)]
    fn sqrt(self) -> Self {
        Self(self.0.sqrt())
    }
    #[inline(always)]
    fn min(self, other: Self) -> Self {
        Self::select(other.lt(self), other, self)
    }
    #[inline(always)]
    fn max(self, other: Self) -> Self {
        Self::select(self.lt(other), other, self)
    }
    #[inline(always)]
    fn lt(self, other: Self) -> Truth {
        Truth(self.0.simd_lt(other.0))
    }
    #[inline(always)]
    fn le(self, other: Self) -> Truth {
        Truth(self.0.simd_le(other.0))
    }
    #[inline(always)]
    fn select(mask: Truth, yes: Self, no: Self) -> Self {
        Self((mask.0 & yes.0) | (!mask.0 & no.0))
    }
    lane_calls!(exp exp_m1 ln ln_1p tanh sigmoid softplus erf);
    #[inline(always)]
    fn exp_with_excess(self) -> [Self; 2] {
        math::exp_with_excess::exp_with_excess(self)
    }
    #[inline(always)]
    fn gain(self) -> [Self; 3] {
        math::gain::gain(self)
    }
    #[inline(always)]
    fn exp_m1_and_power(self) -> [Self; 2] {
        math::exp_m1::exp_m1_and_power(self)
    }
}

impl Lanes for F32 {
    type Scalar = f32;
    #[inline(always)]
    fn store(self, to: &mut [f32; LANES]) {
        *to = self.0.to_array();
    }
    #[inline(always)]
    fn sum(self) -> f32 {
        let mut x = self.0.to_array();
        for half in [8, 4, 2, 1] {
            for i in 0..half {
                x[i] += x[i + half];
            }
        }
        x[0]
    }
    #[inline(always)]
    fn reduce_max(self) -> f32 {
        super::reduce_max(&self.0.to_array())
    }
}

impl F32Lanes for F32 {
    type Bits = U32;
    #[inline(always)]
    fn to_bits(self) -> U32 {
        U32(self.0.to_bits())
    }
    #[inline(always)]
    fn select_bits(mask: Truth, yes: U32, no: U32) -> U32 {
        let mask = mask.0.to_bits();
        U32((mask & yes.0) | (!mask & no.0))
    }
}

impl U32Lanes for U32 {
    type F32 = F32;
    #[inline(always)]
    fn lit(self, x: u32) -> Self {
        Self(u32x16::splat(x))
    }
    #[inline(always)]
    fn shl<const BITS: i32>(self) -> Self {
        Self(self.0 << BITS)
    }
    #[inline(always)]
    fn shr<const BITS: i32>(self) -> Self {
        Self(self.0 >> BITS)
    }
    #[inline(always)]
    fn shr_signed<const BITS: i32>(self) -> Self {
        Self((self.0.cast_signed() >> BITS).cast_unsigned())
    }
    #[inline(always)]
    fn mul_wide(self, factor: Self) -> (Self, Self) {
        let (low, high) = self.0.mul_keep_low_high(factor.0);
        (Self(high), Self(low))
    }
    #[inline(always)]
    fn to_f32_bits(self) -> F32 {
        F32(f32x16::from_bits(self.0))
    }
    #[inline(always)]
    fn to_f32_signed(self) -> F32 {
        let signed: i32x16 = self.0.cast_signed();
        F32(f32x16::from_i32x16(signed))
    }
    #[inline(always)]
    fn to_f32(self) -> F32 {
        // Both halves convert exactly and the product is exact, so only the sum rounds.
        let high = self.shr::<16>().to_f32_signed();
        let low = (self & self.lit(0xffff)).to_f32_signed();
        high.mul_add(high.lit(65536.0), low)
    }
    #[inline(always)]
    fn store(self, to: &mut [u32; LANES]) {
        *to = self.0.to_array();
    }
}
