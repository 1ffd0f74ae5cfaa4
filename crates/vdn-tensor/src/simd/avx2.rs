//! AVX2 with FMA: sixteen lanes in two 256-bit vectors.
//!
//! The lane types are thin wrappers of intrinsics. A value can only be made through the token
//! [`Avx2`], which checks the processor's features, so every later intrinsic is safe to call.

use super::{F32Lanes, F64Vectors, LANES, Lanes, Level, Pairs, Simd, U32Lanes, prefetch};
use crate::math;
use crate::noise::{Ars, Philox};
use crate::real::{Mask, Real};
use std::arch::x86_64::*;
use std::marker::PhantomData;
use std::ops::{Add, BitAnd, BitOr, BitXor, Div, Mul, Neg, Not, Sub};

/// The token of [`Level::Avx2`].
#[derive(Clone, Copy, Debug)]
pub struct Avx2(PhantomData<*const ()>);

impl Avx2 {
    /// Returns the token, if this machine has AVX2 and FMA.
    #[inline(always)]
    #[must_use]
    pub fn try_new() -> Option<Self> {
        let has = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
        has.then_some(Self(PhantomData))
    }
}

#[target_feature(enable = "avx2,fma")]
fn enabled<R>(f: impl FnOnce() -> R) -> R {
    f()
}

/// Wraps an intrinsic: every value of this file's types was made through an [`Avx2`] token.
macro_rules! avx2 {
    ($($call:tt)*) => {
        // SAFETY: lanes of this level exist only where an `Avx2` token does, whose constructor
        // checked avx2 and fma.
        unsafe { $($call)* }
    };
}

impl Simd for Avx2 {
    type F32 = F32;
    type U32 = U32;
    type F64 = F64;
    const LEVEL: Level = Level::Avx2;
    const FMA: bool = true;

    #[inline(always)]
    fn vectorize<R>(self, f: impl FnOnce() -> R) -> R {
        avx2!(enabled(f))
    }
    #[inline(always)]
    fn splat(self, x: f32) -> F32 {
        let v = avx2!(_mm256_set1_ps(x));
        F32(v, v)
    }
    #[inline(always)]
    fn load(self, x: &[f32; LANES]) -> F32 {
        // SAFETY: the token proves avx2; sixteen floats are read from an array of sixteen.
        unsafe { F32(_mm256_loadu_ps(x.as_ptr()), _mm256_loadu_ps(x.as_ptr().add(8))) }
    }
    #[inline(always)]
    fn splat_f64(self, x: f64) -> F64 {
        F64([avx2!(_mm256_set1_pd(x)); 4])
    }
    #[inline(always)]
    fn load_f64(self, x: &[f64; LANES]) -> F64 {
        let (at, mut four) = (x.as_ptr(), [avx2!(_mm256_setzero_pd()); 4]);
        for i in 0..4 {
            // SAFETY: the token proves avx2; sixteen numbers are read from an array of sixteen.
            four[i] = unsafe { _mm256_loadu_pd(at.add(4 * i)) };
        }
        F64(four)
    }
    #[inline(always)]
    fn splat_u32(self, x: u32) -> U32 {
        let v = avx2!(_mm256_set1_epi32(x as i32));
        U32(v, v)
    }
    #[inline(always)]
    fn load_u32(self, x: &[u32; LANES]) -> U32 {
        // SAFETY: the token proves avx2; sixteen integers are read from an array of sixteen.
        unsafe {
            let at = x.as_ptr().cast::<__m256i>();
            U32(_mm256_loadu_si256(at), _mm256_loadu_si256(at.add(1)))
        }
    }
    #[inline(always)]
    fn philox(self, rounds: &Philox, position: U32, sample: u32) -> [U32; 4] {
        // The state of half the blocks takes eight of the sixteen registers.
        rounds.words_in_pairs::<_, 1>(self, position, sample)
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
            Some(aes) => aes.tile(self, &ars.fixed, [first, sample], &ars.keys),
            None => ars.in_software(first, sample),
        };
        self.load_rows(&words)
    }
}

/// Sixteen `f64` in four vectors.
#[derive(Clone, Copy, Debug)]
pub struct F64([__m256d; 4]);

impl Add for F64 {
    type Output = Self;
    #[inline(always)]
    fn add(mut self, other: Self) -> Self {
        for i in 0..4 {
            self.0[i] = avx2!(_mm256_add_pd(self.0[i], other.0[i]));
        }
        self
    }
}

impl F64Vectors for F64 {
    #[inline(always)]
    fn mul_add(mut self, factor: Self, term: Self) -> Self {
        for i in 0..4 {
            self.0[i] = avx2!(_mm256_fmadd_pd(self.0[i], factor.0[i], term.0[i]));
        }
        self
    }
    #[inline(always)]
    fn store(self, to: &mut [f64; LANES]) {
        for i in 0..4 {
            // SAFETY: the value proves avx2; sixteen numbers are written to an array of sixteen.
            unsafe { _mm256_storeu_pd(to.as_mut_ptr().add(4 * i), self.0[i]) };
        }
    }
}

/// Sixteen `f32`.
#[derive(Clone, Copy, Debug)]
pub struct F32(__m256, __m256);

/// Sixteen `u32`.
#[derive(Clone, Copy, Debug)]
pub struct U32(__m256i, __m256i);

/// Sixteen truth values: all bits of a lane set, or none.
#[derive(Clone, Copy, Debug)]
pub struct Truth(__m256, __m256);

macro_rules! operator {
    ($type:ident, $trait:ident, $method:ident, $intrinsic:ident) => {
        impl $trait for $type {
            type Output = Self;
            #[inline(always)]
            fn $method(self, other: Self) -> Self {
                avx2!(Self($intrinsic(self.0, other.0), $intrinsic(self.1, other.1)))
            }
        }
    };
}

operator!(F32, Add, add, _mm256_add_ps);
operator!(F32, Sub, sub, _mm256_sub_ps);
operator!(F32, Mul, mul, _mm256_mul_ps);
operator!(F32, Div, div, _mm256_div_ps);
operator!(U32, Add, add, _mm256_add_epi32);
operator!(U32, Sub, sub, _mm256_sub_epi32);
operator!(U32, BitAnd, bitand, _mm256_and_si256);
operator!(U32, BitOr, bitor, _mm256_or_si256);
operator!(U32, BitXor, bitxor, _mm256_xor_si256);
operator!(Truth, BitAnd, bitand, _mm256_and_ps);
operator!(Truth, BitOr, bitor, _mm256_or_ps);

impl Not for Truth {
    type Output = Self;
    #[inline(always)]
    fn not(self) -> Self {
        let ones = avx2!(_mm256_castsi256_ps(_mm256_set1_epi32(-1)));
        avx2!(Self(_mm256_xor_ps(self.0, ones), _mm256_xor_ps(self.1, ones)))
    }
}

impl Mask for Truth {
    #[inline(always)]
    fn any(self) -> bool {
        avx2!(_mm256_movemask_ps(_mm256_or_ps(self.0, self.1))) != 0
    }
    #[inline(always)]
    fn all(self) -> bool {
        avx2!(_mm256_movemask_ps(_mm256_and_ps(self.0, self.1))) == 0xff
    }
}

impl Neg for F32 {
    type Output = Self;
    #[inline(always)]
    fn neg(self) -> Self {
        let sign = avx2!(_mm256_set1_ps(-0.0));
        avx2!(Self(_mm256_xor_ps(self.0, sign), _mm256_xor_ps(self.1, sign)))
    }
}

impl Real for F32 {
    type Mask = Truth;
    #[inline(always)]
    fn lit(self, x: f64) -> Self {
        let v = avx2!(_mm256_set1_ps(x as f32));
        Self(v, v)
    }
    #[inline(always)]
    fn mul_add(self, factor: Self, term: Self) -> Self {
        avx2!(Self(
            _mm256_fmadd_ps(self.0, factor.0, term.0),
            _mm256_fmadd_ps(self.1, factor.1, term.1)
        ))
    }
    #[inline(always)]
    fn abs(self) -> Self {
        let sign = avx2!(_mm256_set1_ps(-0.0));
        avx2!(Self(_mm256_andnot_ps(sign, self.0), _mm256_andnot_ps(sign, self.1)))
    }
    #[inline(always)]
    fn sqrt(self) -> Self {
        avx2!(Self(_mm256_sqrt_ps(self.0), _mm256_sqrt_ps(self.1)))
    }
    // The instruction returns its second operand if either is NaN, so `self` comes second.
    #[inline(always)]
    fn min(self, other: Self) -> Self {
        avx2!(Self(_mm256_min_ps(other.0, self.0), _mm256_min_ps(other.1, self.1)))
    }
    #[inline(always)]
    fn max(self, other: Self) -> Self {
        avx2!(Self(_mm256_max_ps(other.0, self.0), _mm256_max_ps(other.1, self.1)))
    }
    #[inline(always)]
    fn lt(self, other: Self) -> Truth {
        avx2!(Truth(
            _mm256_cmp_ps::<_CMP_LT_OQ>(self.0, other.0),
            _mm256_cmp_ps::<_CMP_LT_OQ>(self.1, other.1)
        ))
    }
    #[inline(always)]
    fn le(self, other: Self) -> Truth {
        avx2!(Truth(
            _mm256_cmp_ps::<_CMP_LE_OQ>(self.0, other.0),
            _mm256_cmp_ps::<_CMP_LE_OQ>(self.1, other.1)
        ))
    }
    #[inline(always)]
    fn select(mask: Truth, yes: Self, no: Self) -> Self {
        avx2!(Self(_mm256_blendv_ps(no.0, yes.0, mask.0), _mm256_blendv_ps(no.1, yes.1, mask.1)))
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
        unsafe {
            _mm256_storeu_ps(to.as_mut_ptr(), self.0);
            _mm256_storeu_ps(to.as_mut_ptr().add(8), self.1);
        }
    }
    #[inline(always)]
    fn sum(self) -> f32 {
        avx2! {{
            let eight = _mm256_add_ps(self.0, self.1);
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
        avx2!(U32(_mm256_castps_si256(self.0), _mm256_castps_si256(self.1)))
    }
    #[inline(always)]
    fn select_bits(mask: Truth, yes: U32, no: U32) -> U32 {
        Self::select(mask, yes.to_f32_bits(), no.to_f32_bits()).to_bits()
    }
}

/// Returns the full products of eight integers: high halves, low halves.
#[inline(always)]
fn multiply(x: __m256i, y: __m256i) -> (__m256i, __m256i) {
    avx2! {{
        let even = _mm256_mul_epu32(x, y);
        let odd = _mm256_mul_epu32(_mm256_srli_epi64::<32>(x), _mm256_srli_epi64::<32>(y));
        let high = _mm256_blend_epi32::<0b1010_1010>(_mm256_srli_epi64::<32>(even), odd);
        let low = _mm256_blend_epi32::<0b1010_1010>(even, _mm256_slli_epi64::<32>(odd));
        (high, low)
    }}
}

impl U32Lanes for U32 {
    type F32 = F32;
    #[inline(always)]
    fn lit(self, x: u32) -> Self {
        let v = avx2!(_mm256_set1_epi32(x as i32));
        Self(v, v)
    }
    #[inline(always)]
    fn shl<const BITS: i32>(self) -> Self {
        avx2!(Self(_mm256_slli_epi32::<BITS>(self.0), _mm256_slli_epi32::<BITS>(self.1)))
    }
    #[inline(always)]
    fn shr<const BITS: i32>(self) -> Self {
        avx2!(Self(_mm256_srli_epi32::<BITS>(self.0), _mm256_srli_epi32::<BITS>(self.1)))
    }
    #[inline(always)]
    fn shr_signed<const BITS: i32>(self) -> Self {
        avx2!(Self(_mm256_srai_epi32::<BITS>(self.0), _mm256_srai_epi32::<BITS>(self.1)))
    }
    #[inline(always)]
    fn mul_wide(self, factor: Self) -> (Self, Self) {
        let (high0, low0) = multiply(self.0, factor.0);
        let (high1, low1) = multiply(self.1, factor.1);
        (Self(high0, high1), Self(low0, low1))
    }
    #[inline(always)]
    fn to_f32_bits(self) -> F32 {
        avx2!(F32(_mm256_castsi256_ps(self.0), _mm256_castsi256_ps(self.1)))
    }
    #[inline(always)]
    fn to_f32_signed(self) -> F32 {
        avx2!(F32(_mm256_cvtepi32_ps(self.0), _mm256_cvtepi32_ps(self.1)))
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
        // SAFETY: lanes exist only with the level; sixteen integers are written to an array of
        // sixteen.
        unsafe {
            let at = to.as_mut_ptr().cast::<__m256i>();
            _mm256_storeu_si256(at, self.0);
            _mm256_storeu_si256(at.add(1), self.1);
        }
    }
}

impl Pairs for U32 {
    #[inline(always)]
    fn mul_even(self, factor: Self) -> Self {
        avx2!(Self(_mm256_mul_epu32(self.0, factor.0), _mm256_mul_epu32(self.1, factor.1)))
    }
    #[inline(always)]
    fn high(self) -> Self {
        avx2!(Self(_mm256_srli_epi64::<32>(self.0), _mm256_srli_epi64::<32>(self.1)))
    }
    #[inline(always)]
    fn zip_low(self, odd: Self) -> Self {
        avx2!(Self(
            _mm256_blend_epi32::<0b1010_1010>(self.0, _mm256_slli_epi64::<32>(odd.0)),
            _mm256_blend_epi32::<0b1010_1010>(self.1, _mm256_slli_epi64::<32>(odd.1))
        ))
    }
    #[inline(always)]
    fn zip_high(self, odd: Self) -> Self {
        avx2!(Self(
            _mm256_blend_epi32::<0b1010_1010>(_mm256_srli_epi64::<32>(self.0), odd.0),
            _mm256_blend_epi32::<0b1010_1010>(_mm256_srli_epi64::<32>(self.1), odd.1)
        ))
    }
}
