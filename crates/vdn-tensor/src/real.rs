//! [`Real`]: the numbers on which a formula can be evaluated.
//!
//! A formula of a family (its sample, its KL) is written once, over `R: Real`, and evaluated in
//! three ways: on the lanes of a SIMD level (production), on `f64` (the reference for tests), and
//! on [`Dual`](crate::Dual) (an `f64` with its exact slope, with which hand-written gradients are
//! compared).

use std::ops::{Add, BitAnd, BitOr, Div, Mul, Neg, Not, Sub};

/// The truth values of a comparison of [`Real`] numbers, one per lane.
pub trait Mask: Copy + BitAnd<Output = Self> + BitOr<Output = Self> + Not<Output = Self> {
    /// Returns whether any lane is true.
    fn any(self) -> bool;
    /// Returns whether all lanes are true.
    fn all(self) -> bool;
}

impl Mask for bool {
    #[inline(always)]
    fn any(self) -> bool {
        self
    }
    #[inline(always)]
    fn all(self) -> bool {
        self
    }
}

/// A number, or lanes of numbers, on which a formula can be evaluated.
///
/// Domains and special values are those of the standard library's functions. On `f32` lanes the
/// worst error of each function is stated in its file in [`math`](crate::math).
pub trait Real:
    Copy
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
{
    /// The result of a comparison.
    type Mask: Mask;

    /// Returns the constant `x` in the type of `self`, whose value is ignored.
    fn lit(self, x: f64) -> Self;
    /// Returns `self * factor + term`. On `f32` lanes it is fused, and rounded once, on every level
    /// that has the instruction.
    fn mul_add(self, factor: Self, term: Self) -> Self;
    /// `|self|`.
    fn abs(self) -> Self;
    /// The correctly rounded square root; NaN below 0.
    fn sqrt(self) -> Self;
    /// Returns the smaller of the two; NaN if `self` is NaN, so that `x.min(bound)` does not hide a
    /// NaN.
    fn min(self, other: Self) -> Self;
    /// Returns the larger of the two; NaN if `self` is NaN, so that `x.max(bound)` does not hide a
    /// NaN.
    fn max(self, other: Self) -> Self;
    /// Returns `self < other`; false if either is NaN.
    fn lt(self, other: Self) -> Self::Mask;
    /// Returns `self <= other`; false if either is NaN.
    fn le(self, other: Self) -> Self::Mask;
    /// Returns, lane by lane, `yes` where `mask` is true and `no` elsewhere.
    fn select(mask: Self::Mask, yes: Self, no: Self) -> Self;

    /// `e^self`.
    fn exp(self) -> Self;
    /// `e^self - 1` without cancellation near 0.
    fn exp_m1(self) -> Self;
    /// The natural logarithm; NaN below 0, minus infinity at 0.
    fn ln(self) -> Self;
    /// `ln(1 + self)` without cancellation near 0.
    fn ln_1p(self) -> Self;
    /// The hyperbolic tangent.
    fn tanh(self) -> Self;
    /// `1 / (1 + e^-self)`.
    fn sigmoid(self) -> Self;
    /// `ln(1 + e^self)` without overflow.
    fn softplus(self) -> Self;
    /// The error function, `2/sqrt(pi) * integral of e^(-t^2) from 0 to self`.
    fn erf(self) -> Self;

    /// Returns `[e^self, e^self - 1 - self]`, the second without cancellation near 0 (the KL of a
    /// Gaussian unit needs it). Domain on `f32` lanes: `|self| <= 80`.
    #[inline(always)]
    fn exp_with_excess(self) -> [Self; 2] {
        // Below 0.5: the Taylor series of (e^x - 1 - x) / x^2; its first omitted term is 0.5^14/16!
        // = 3e-18.
        let mut series = self.lit(0.0);
        let mut factorial = 20_922_789_888_000.0; // 16!
        for k in (2..=15_u32).rev() {
            factorial /= f64::from(k + 1);
            series = series * self + self.lit(1.0 / factorial);
        }
        let small = self.abs().lt(self.lit(0.5));
        [self.exp(), Self::select(small, series * self * self, self.exp_m1() - self)]
    }

    /// Returns `[g, 1 - g, -ln(1 - g) - g]` for `g = sigmoid(self)`, all without cancellation. They
    /// are positive (0 at minus infinity). On `f32` lanes, numbers below `e^-87` are 0.
    #[inline(always)]
    fn gain(self) -> [Self; 3] {
        let (zero, one) = (self.lit(0.0), self.lit(1.0));
        let t = (-self.abs()).exp();
        let large = one / (one + t);
        let small = t * large;
        let up = zero.le(self);
        let [gain, rest] = [Self::select(up, large, small), Self::select(up, small, large)];
        let tiny = gain.lt(gain.lit(0.25));
        let near = -crate::families::ln_1p_minus(-gain);
        [gain, rest, Self::select(tiny, near, self.softplus() - gain)]
    }

    /// Returns `[e^self - 1, p]`, where `p` equals `e^self` to within a factor of `sqrt(2)`. Domain
    /// on `f32` lanes: `|self| <= 80`.
    #[inline(always)]
    fn exp_m1_and_power(self) -> [Self; 2] {
        [self.exp_m1(), self.exp()]
    }

    /// Returns `self > other`; false if either is NaN.
    #[inline(always)]
    fn gt(self, other: Self) -> Self::Mask {
        other.lt(self)
    }
    /// Returns `self >= other`; false if either is NaN.
    #[inline(always)]
    fn ge(self, other: Self) -> Self::Mask {
        other.le(self)
    }
    /// Returns `self` limited to `[low, high]`; NaN stays NaN.
    #[inline(always)]
    fn clamp(self, low: Self, high: Self) -> Self {
        self.max(low).min(high)
    }
}

impl Real for f64 {
    type Mask = bool;
    #[inline(always)]
    fn lit(self, x: f64) -> Self {
        x
    }
    #[inline(always)]
    fn mul_add(self, factor: Self, term: Self) -> Self {
        self * factor + term
    }
    #[inline(always)]
    fn abs(self) -> Self {
        f64::abs(self)
    }
    #[inline(always)]
    fn sqrt(self) -> Self {
        f64::sqrt(self)
    }
    #[inline(always)]
    fn min(self, other: Self) -> Self {
        if other < self { other } else { self }
    }
    #[inline(always)]
    fn max(self, other: Self) -> Self {
        if other > self { other } else { self }
    }
    #[inline(always)]
    fn lt(self, other: Self) -> bool {
        self < other
    }
    #[inline(always)]
    fn le(self, other: Self) -> bool {
        self <= other
    }
    #[inline(always)]
    fn select(mask: bool, yes: Self, no: Self) -> Self {
        if mask { yes } else { no }
    }
    #[inline(always)]
    fn exp(self) -> Self {
        f64::exp(self)
    }
    #[inline(always)]
    fn exp_m1(self) -> Self {
        f64::exp_m1(self)
    }
    #[inline(always)]
    fn ln(self) -> Self {
        f64::ln(self)
    }
    #[inline(always)]
    fn ln_1p(self) -> Self {
        f64::ln_1p(self)
    }
    #[inline(always)]
    fn tanh(self) -> Self {
        f64::tanh(self)
    }
    #[inline(always)]
    fn sigmoid(self) -> Self {
        crate::math::double::sigmoid(self)
    }
    #[inline(always)]
    fn softplus(self) -> Self {
        crate::math::double::softplus(self)
    }
    #[inline(always)]
    fn erf(self) -> Self {
        crate::math::double::erf(self)
    }
}
