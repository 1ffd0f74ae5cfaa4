//! [`Element`]: the two number types of tensors and tape, `f32` for speed and `f64` for checks.
//!
//! The trait is the bridge from a number type to its SIMD lanes ([`Element::Lanes`]). [`ByElement`]
//! is the way to compile large generic code once for each of the two types, instead of once per
//! calling crate.

use crate::noise::{Words, box_muller};
use crate::real::Real;
use crate::simd::{DoubleLanes, LANES, Lanes, Simd, U32Lanes};
use bytemuck::Pod;
use std::fmt::{Debug, Display};
use std::iter::Sum;
use std::ops::{Add, AddAssign, Div, DivAssign, Mul, MulAssign, Neg, Sub, SubAssign};

mod sealed {
    pub trait Sealed: crate::kernels::CompiledOnce {}
    impl Sealed for f32 {}
    impl Sealed for f64 {}
}

/// The number type of a tensor: `f32` or `f64`.
///
/// Kernels are written once, over the lanes of an element at a SIMD level: `T::Lanes<S>`.
pub trait Element:
    sealed::Sealed
    + Pod
    + Default
    + Debug
    + Display
    + PartialOrd
    + Send
    + Sync
    + Sum
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
    + AddAssign
    + SubAssign
    + MulAssign
    + DivAssign
{
    /// Sixteen numbers of this type on the level `S`.
    type Lanes<S: Simd>: Lanes<Scalar = Self>;
    /// 0.
    const ZERO: Self;
    /// 1.
    const ONE: Self;
    /// The distance from 1 to the next larger number.
    const EPSILON: Self;
    /// The name of the type: `f32` or `f64`.
    const NAME: &'static str;
    /// Whether kernels are compiled for every SIMD level. The lanes of `f64` are plain arrays, the
    /// same on all levels.
    const EVERY_LEVEL: bool;

    /// Returns the nearest number of this type.
    fn from_f64(x: f64) -> Self;
    /// Returns the same number, exactly.
    fn to_f64(self) -> f64;
    /// Returns whether the number is neither infinite nor NaN.
    fn is_finite(self) -> bool;
    /// Returns sixteen copies of `x`.
    fn splat<S: Simd>(simd: S, x: Self) -> Self::Lanes<S>;
    /// Loads sixteen numbers from memory.
    fn load<S: Simd>(simd: S, x: &[Self; LANES]) -> Self::Lanes<S>;
    /// Returns two independent standard normals per lane from each of `N` pairs of random words
    /// (Box-Muller).
    fn normal_pairs<S: Simd, const N: usize>(
        words: [[S::U32; 2]; N],
        simd: S,
    ) -> [[Self::Lanes<S>; 2]; N];
    /// Returns a uniform number in (0, 1) per lane: `(word + 1/2) / 2^32`, rounded to this type
    /// (`f32` can round to 1).
    fn uniform<S: Simd>(word: S::U32, simd: S) -> Self::Lanes<S>;
    /// Calls the method of `work` for this type.
    fn run<W: ByElement>(work: W, args: W::Args<Self>) -> W::Output;
}

/// Work that is compiled once for each of the two number types, in the crate that defines it,
/// however many crates call it generically. [`Element::run`] selects the type.
///
/// A generic function is compiled again in every crate that uses it with a new type; in optimised
/// builds, even with the same type. Code that is large, or compiled for several SIMD levels, should
/// avoid this.
///
/// ```
/// use vdn_tensor::{ByElement, Element};
///
/// fn generic<T: Element>(x: &[T]) -> f64 {
///     x.iter().map(|x| x.to_f64()).sum::<f64>() / x.len() as f64
/// }
///
/// struct Mean<'a>(std::marker::PhantomData<&'a ()>);
/// impl<'a> ByElement for Mean<'a> {
///     type Args<T: Element> = &'a [T];
///     type Output = f64;
///     fn single(self, x: &[f32]) -> f64 {
///         generic(x)
///     }
///     fn double(self, x: &[f64]) -> f64 {
///         generic(x)
///     }
/// }
///
/// fn mean<T: Element>(x: &[T]) -> f64 {
///     T::run(Mean(std::marker::PhantomData), x)
/// }
/// assert_eq!(mean(&[1.0_f32, 2.0]), 1.5);
/// ```
pub trait ByElement {
    /// The arguments of the work.
    type Args<T: Element>;
    /// The result of the work.
    type Output;
    /// Does the work on `f32`.
    fn single(self, args: Self::Args<f32>) -> Self::Output;
    /// Does the work on `f64`.
    fn double(self, args: Self::Args<f64>) -> Self::Output;
}

impl Element for f32 {
    type Lanes<S: Simd> = S::F32;
    const ZERO: Self = 0.0;
    const ONE: Self = 1.0;
    const EPSILON: Self = f32::EPSILON;
    const NAME: &'static str = "f32";
    const EVERY_LEVEL: bool = true;

    #[inline(always)]
    fn from_f64(x: f64) -> Self {
        x as f32
    }
    #[inline(always)]
    fn to_f64(self) -> f64 {
        f64::from(self)
    }
    #[inline(always)]
    fn is_finite(self) -> bool {
        f32::is_finite(self)
    }
    #[inline(always)]
    fn splat<S: Simd>(simd: S, x: Self) -> S::F32 {
        simd.splat(x)
    }
    #[inline(always)]
    fn load<S: Simd>(simd: S, x: &[Self; LANES]) -> S::F32 {
        simd.load(x)
    }
    #[inline(always)]
    fn normal_pairs<S: Simd, const N: usize>(
        words: [[S::U32; 2]; N],
        _simd: S,
    ) -> [[S::F32; 2]; N] {
        box_muller::single(words)
    }
    #[inline(always)]
    fn uniform<S: Simd>(word: S::U32, _simd: S) -> S::F32 {
        let x = word.to_f32();
        let scale = x.lit(1.0 / 4_294_967_296.0);
        x.mul_add(scale, x.lit(0.5 / 4_294_967_296.0))
    }
    #[inline(always)]
    fn run<W: ByElement>(work: W, args: W::Args<Self>) -> W::Output {
        work.single(args)
    }
}

impl Element for f64 {
    type Lanes<S: Simd> = DoubleLanes<S>;
    const ZERO: Self = 0.0;
    const ONE: Self = 1.0;
    const EPSILON: Self = f64::EPSILON;
    const NAME: &'static str = "f64";
    const EVERY_LEVEL: bool = false;

    #[inline(always)]
    fn from_f64(x: f64) -> Self {
        x
    }
    #[inline(always)]
    fn to_f64(self) -> f64 {
        self
    }
    #[inline(always)]
    fn is_finite(self) -> bool {
        f64::is_finite(self)
    }
    #[inline(always)]
    fn splat<S: Simd>(_simd: S, x: Self) -> DoubleLanes<S> {
        DoubleLanes::new([x; LANES])
    }
    #[inline(always)]
    fn load<S: Simd>(_simd: S, x: &[Self; LANES]) -> DoubleLanes<S> {
        DoubleLanes::new(*x)
    }
    #[inline(always)]
    fn normal_pairs<S: Simd, const N: usize>(
        words: [[S::U32; 2]; N],
        simd: S,
    ) -> [[DoubleLanes<S>; 2]; N] {
        let mut z = [[Self::splat(simd, 0.0); 2]; N];
        for (z, words) in z.iter_mut().zip(&words) {
            let mut stored: [Words; 2] = [[0; LANES]; 2];
            words[0].store(&mut stored[0]);
            words[1].store(&mut stored[1]);
            *z = box_muller::double(&stored).map(DoubleLanes::new);
        }
        z
    }
    #[inline(always)]
    fn uniform<S: Simd>(word: S::U32, _simd: S) -> DoubleLanes<S> {
        let mut stored: Words = [0; LANES];
        word.store(&mut stored);
        DoubleLanes::new(stored.map(|w| (f64::from(w) + 0.5) / 4_294_967_296.0))
    }
    #[inline(always)]
    fn run<W: ByElement>(work: W, args: W::Args<Self>) -> W::Output {
        work.double(args)
    }
}

/// Loads sixteen numbers from memory, or fewer at the end of a row: missing lanes are `fill`.
///
/// ```
/// use vdn_tensor::{dispatch, load_partial, simd::Lanes};
/// let total = dispatch!(simd => load_partial(simd, &[1.0_f32, 2.0, 3.0], 0.0).sum());
/// assert_eq!(total, 6.0);
/// ```
#[inline(always)]
pub fn load_partial<S: Simd, T: Element>(simd: S, from: &[T], fill: T) -> T::Lanes<S> {
    if let Some(whole) = from.first_chunk::<LANES>() {
        return T::load(simd, whole);
    }
    let mut padded = [fill; LANES];
    padded[..from.len()].copy_from_slice(from);
    T::load(simd, &padded)
}

/// Writes as many lanes as fit into `to`, sixteen at most.
#[inline(always)]
pub fn store_partial<L: Lanes>(lanes: L, to: &mut [L::Scalar])
where
    L::Scalar: Default,
{
    if let Some(whole) = to.first_chunk_mut::<LANES>() {
        return lanes.store(whole);
    }
    let mut all = [L::Scalar::default(); LANES];
    lanes.store(&mut all);
    let len = to.len();
    to.copy_from_slice(&all[..len]);
}
