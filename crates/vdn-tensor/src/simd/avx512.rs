//! AVX-512: sixteen lanes in one 512-bit vector.
//!
//! The lane types are thin wrappers of intrinsics. A value can only be made through the token
//! [`Avx512`], which checks the processor's features, so every later intrinsic is safe to call.

use super::{F32Lanes, F64Vectors, LANES, Lanes, Level, Pairs, Simd, U32Lanes, prefetch};
use crate::math;
use crate::noise::{Ars, Philox};
use crate::real::{Mask, Real};
use std::arch::x86_64::*;
use std::marker::PhantomData;
use std::ops::{Add, BitAnd, BitOr, BitXor, Div, Mul, Neg, Not, Sub};

/// The token of [`Level::Avx512`].
#[derive(Clone, Copy, Debug)]
pub struct Avx512(PhantomData<*const ()>);

impl Avx512 {
    /// Returns the token, if this machine has AVX-512 F, BW, DQ and VL (and AVX2 with FMA, which
    /// all such machines have).
    #[inline(always)]
    #[must_use]
    pub fn try_new() -> Option<Self> {
        let has = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("fma");
        has.then_some(Self(PhantomData))
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
fn enabled<R>(f: impl FnOnce() -> R) -> R {
    f()
}

/// Wraps an intrinsic: every value of this file's types was made through an [`Avx512`] token.
macro_rules! avx512 {
    ($($call:tt)*) => {
        // SAFETY: lanes of this level exist only where an `Avx512` token does, whose constructor
        // checked the features.
        unsafe { $($call)* }
    };
}

impl Simd for Avx512 {
    type F32 = F32;
    type U32 = U32;
    type F64 = F64;
    const LEVEL: Level = Level::Avx512;
    const FMA: bool = true;

    #[inline(always)]
    fn vectorize<R>(self, f: impl FnOnce() -> R) -> R {
        avx512!(enabled(f))
    }
    #[inline(always)]
    fn splat(self, x: f32) -> F32 {
        F32(avx512!(_mm512_set1_ps(x)))
    }
    #[inline(always)]
    fn load(self, x: &[f32; LANES]) -> F32 {
        // SAFETY: the token proves avx512f; sixteen floats are read from an array of sixteen.
        F32(unsafe { _mm512_loadu_ps(x.as_ptr()) })
    }
    #[inline(always)]
    fn splat_f64(self, x: f64) -> F64 {
        F64([avx512!(_mm512_set1_pd(x)); 2])
    }
    #[inline(always)]
    fn load_f64(self, x: &[f64; LANES]) -> F64 {
        // SAFETY: the token proves avx512f; sixteen numbers are read from an array of sixteen.
        F64(unsafe { [_mm512_loadu_pd(x.as_ptr()), _mm512_loadu_pd(x.as_ptr().add(8))] })
    }
    #[inline(always)]
    fn splat_u32(self, x: u32) -> U32 {
        U32(avx512!(_mm512_set1_epi32(x as i32)))
    }
    #[inline(always)]
    fn load_u32(self, x: &[u32; LANES]) -> U32 {
        // SAFETY: the token proves avx512f; sixteen integers are read from an array of sixteen.
        U32(unsafe { _mm512_loadu_si512(x.as_ptr().cast()) })
    }
    #[inline(always)]
    fn philox(self, rounds: &Philox, position: U32, sample: u32) -> [U32; 4] {
        rounds.words_in_pairs::<_, 2>(self, position, sample)
    }
    #[inline(always)]
    fn prefetch_read<T>(self, at: *const T) {
        prefetch::read(at);
    }
    #[inline(always)]
    fn prefetch_write<T>(self, at: *const T) {
        prefetch::write(at);
    }
    #[inline(always)]
    fn ars(self, ars: &Ars, first: u32, sample: u32) -> [U32; 4] {
        let words = match ars.aes {
            Some(aes) => aes.tile_512(self, &ars.fixed, [first, sample], &ars.keys),
            None => ars.in_software(first, sample),
        };
        self.load_rows(&words)
    }
}

/// Sixteen `f32`.
#[derive(Clone, Copy, Debug)]
pub struct F32(__m512);

/// Sixteen `f64` in two vectors.
#[derive(Clone, Copy, Debug)]
pub struct F64([__m512d; 2]);

impl Add for F64 {
    type Output = Self;
    #[inline(always)]
    fn add(self, Self([c, d]): Self) -> Self {
        let Self([a, b]) = self;
        Self([avx512!(_mm512_add_pd(a, c)), avx512!(_mm512_add_pd(b, d))])
    }
}

impl F64Vectors for F64 {
    #[inline(always)]
    fn mul_add(self, Self([c, d]): Self, Self([e, f]): Self) -> Self {
        let Self([a, b]) = self;
        Self([avx512!(_mm512_fmadd_pd(a, c, e)), avx512!(_mm512_fmadd_pd(b, d, f))])
    }
    #[inline(always)]
    fn store(self, to: &mut [f64; LANES]) {
        // SAFETY: the value proves avx512f; sixteen numbers are written to an array of sixteen.
        unsafe {
            _mm512_storeu_pd(to.as_mut_ptr(), self.0[0]);
            _mm512_storeu_pd(to.as_mut_ptr().add(8), self.0[1]);
        }
    }
}

/// Sixteen `u32`.
#[derive(Clone, Copy, Debug)]
pub struct U32(__m512i);

/// Sixteen truth values, one bit each.
#[derive(Clone, Copy, Debug)]
pub struct Truth(__mmask16);

macro_rules! operator {
    ($type:ident, $trait:ident, $method:ident, $intrinsic:ident) => {
        impl $trait for $type {
            type Output = Self;
            #[inline(always)]
            fn $method(self, other: Self) -> Self {
                Self(avx512!($intrinsic(self.0, other.0)))
            }
        }
    };
}

operator!(F32, Add, add, _mm512_add_ps);
operator!(F32, Sub, sub, _mm512_sub_ps);
operator!(F32, Mul, mul, _mm512_mul_ps);
operator!(F32, Div, div, _mm512_div_ps);
operator!(U32, Add, add, _mm512_add_epi32);
operator!(U32, Sub, sub, _mm512_sub_epi32);
operator!(U32, BitAnd, bitand, _mm512_and_si512);
operator!(U32, BitOr, bitor, _mm512_or_si512);
operator!(U32, BitXor, bitxor, _mm512_xor_si512);

impl BitAnd for Truth {
    type Output = Self;
    #[inline(always)]
    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl BitOr for Truth {
    type Output = Self;
    #[inline(always)]
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

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
        self.0 != 0
    }
    #[inline(always)]
    fn all(self) -> bool {
        self.0 == u16::MAX
    }
}

impl Neg for F32 {
    type Output = Self;
    #[inline(always)]
    fn neg(self) -> Self {
        (self.to_bits() ^ self.to_bits().lit(0x8000_0000)).to_f32_bits()
    }
}

impl Real for F32 {
    type Mask = Truth;
    #[inline(always)]
    fn lit(self, x: f64) -> Self {
        Self(avx512!(_mm512_set1_ps(x as f32)))
    }
    #[inline(always)]
    fn mul_add(self, factor: Self, term: Self) -> Self {
        Self(avx512!(_mm512_fmadd_ps(self.0, factor.0, term.0)))
    }
    #[inline(always)]
    fn abs(self) -> Self {
        (self.to_bits() & self.to_bits().lit(0x7fff_ffff)).to_f32_bits()
    }
    #[inline(always)]
    fn sqrt(self) -> Self {
        Self(avx512!(_mm512_sqrt_ps(self.0)))
    }
    // The instruction returns its second operand if either is NaN, so `self` comes second.
    #[inline(always)]
    fn min(self, other: Self) -> Self {
        Self(avx512!(_mm512_min_ps(other.0, self.0)))
    }
    #[inline(always)]
    fn max(self, other: Self) -> Self {
        Self(avx512!(_mm512_max_ps(other.0, self.0)))
    }
    #[inline(always)]
    fn lt(self, other: Self) -> Truth {
        Truth(avx512!(_mm512_cmp_ps_mask::<_CMP_LT_OQ>(self.0, other.0)))
    }
    #[inline(always)]
    fn le(self, other: Self) -> Truth {
        Truth(avx512!(_mm512_cmp_ps_mask::<_CMP_LE_OQ>(self.0, other.0)))
    }
    #[inline(always)]
    fn select(mask: Truth, yes: Self, no: Self) -> Self {
        Self(avx512!(_mm512_mask_blend_ps(mask.0, no.0, yes.0)))
    }
    math::lane_functions!();
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
        // SAFETY: lanes exist only with the level; sixteen floats are written to an array of
        // sixteen.
        unsafe { _mm512_storeu_ps(to.as_mut_ptr(), self.0) }
    }
    #[inline(always)]
    fn sum(self) -> f32 {
        avx512! {{
            let high = _mm512_extractf32x8_ps::<1>(self.0);
            let eight = _mm256_add_ps(_mm512_castps512_ps256(self.0), high);
            let four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps::<1>(eight));
            let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
            _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)))
        }}
    }
    #[inline(always)]
    fn reduce_max(self) -> f32 {
        let mut x = [0.0; LANES];
        self.store(&mut x);
        super::reduce_max(&x)
    }
}

impl F32Lanes for F32 {
    type Bits = U32;
    #[inline(always)]
    fn to_bits(self) -> U32 {
        U32(avx512!(_mm512_castps_si512(self.0)))
    }
    #[inline(always)]
    fn select_bits(mask: Truth, yes: U32, no: U32) -> U32 {
        U32(avx512!(_mm512_mask_blend_epi32(mask.0, no.0, yes.0)))
    }
}

impl U32Lanes for U32 {
    type F32 = F32;
    #[inline(always)]
    fn lit(self, x: u32) -> Self {
        Self(avx512!(_mm512_set1_epi32(x as i32)))
    }
    #[inline(always)]
    fn shl<const BITS: i32>(self) -> Self {
        Self(avx512!(_mm512_sllv_epi32(self.0, _mm512_set1_epi32(BITS))))
    }
    #[inline(always)]
    fn shr<const BITS: i32>(self) -> Self {
        Self(avx512!(_mm512_srlv_epi32(self.0, _mm512_set1_epi32(BITS))))
    }
    #[inline(always)]
    fn shr_signed<const BITS: i32>(self) -> Self {
        Self(avx512!(_mm512_srav_epi32(self.0, _mm512_set1_epi32(BITS))))
    }
    #[inline(always)]
    fn mul_wide(self, factor: Self) -> (Self, Self) {
        avx512! {{
            let even = _mm512_mul_epu32(self.0, factor.0);
            let odd = _mm512_mul_epu32(_mm512_srli_epi64::<32>(self.0), _mm512_srli_epi64::<32>(factor.0));
            let high = _mm512_mask_blend_epi32(0xaaaa, _mm512_srli_epi64::<32>(even), odd);
            let low = _mm512_mask_blend_epi32(0xaaaa, even, _mm512_slli_epi64::<32>(odd));
            (Self(high), Self(low))
        }}
    }
    #[inline(always)]
    fn to_f32_bits(self) -> F32 {
        F32(avx512!(_mm512_castsi512_ps(self.0)))
    }
    #[inline(always)]
    fn to_f32_signed(self) -> F32 {
        F32(avx512!(_mm512_cvtepi32_ps(self.0)))
    }
    #[inline(always)]
    fn to_f32(self) -> F32 {
        F32(avx512!(_mm512_cvtepu32_ps(self.0)))
    }
    #[inline(always)]
    fn store(self, to: &mut [u32; LANES]) {
        // SAFETY: lanes exist only with the level; sixteen integers are written to an array of
        // sixteen.
        unsafe { _mm512_storeu_si512(to.as_mut_ptr().cast(), self.0) }
    }
}

impl Pairs for U32 {
    #[inline(always)]
    fn mul_even(self, factor: Self) -> Self {
        Self(avx512!(_mm512_mul_epu32(self.0, factor.0)))
    }
    #[inline(always)]
    fn high(self) -> Self {
        Self(avx512!(_mm512_srli_epi64::<32>(self.0)))
    }
    #[inline(always)]
    fn zip_low(self, odd: Self) -> Self {
        Self(avx512!(_mm512_mask_shuffle_epi32::<0b10_10_00_00>(self.0, 0xaaaa, odd.0)))
    }
    #[inline(always)]
    fn zip_high(self, odd: Self) -> Self {
        Self(avx512!(_mm512_mask_shuffle_epi32::<0b11_11_01_01>(odd.0, 0x5555, self.0)))
    }
}
