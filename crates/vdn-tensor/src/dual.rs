//! [`Dual`]: an `f64` value and its exact slope (forward-mode differentiation in one variable).
//!
//! It checks hand-written gradients without finite differences: evaluate the formula on
//! [`Dual::variable`] and compare the slope.

use crate::real::Real;
use std::ops::{Add, Div, Mul, Neg, Sub};

/// A value and its derivative with respect to a single chosen variable.
///
/// ```
/// use vdn_tensor::{Dual, Real};
/// let x = Dual::variable(2.0);
/// let y = x * x + x.exp();
/// assert!((y.slope - (4.0 + 2f64.exp())).abs() < 1e-14);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dual {
    /// The value.
    pub value: f64,
    /// The derivative of the value with respect to the variable.
    pub slope: f64,
}

impl Dual {
    /// Creates the variable itself, with slope 1.
    #[must_use]
    pub fn variable(value: f64) -> Self {
        Self { value, slope: 1.0 }
    }

    /// Creates a number that does not depend on the variable, with slope 0.
    #[must_use]
    pub fn constant(value: f64) -> Self {
        Self { value, slope: 0.0 }
    }

    /// Applies the chain rule for a function with this value and this derivative at `self`.
    fn chain(self, value: f64, derivative: f64) -> Self {
        Self { value, slope: derivative * self.slope }
    }
}

impl Add for Dual {
    type Output = Self;
    fn add(self, o: Self) -> Self {
        Self { value: self.value + o.value, slope: self.slope + o.slope }
    }
}

impl Sub for Dual {
    type Output = Self;
    fn sub(self, o: Self) -> Self {
        Self { value: self.value - o.value, slope: self.slope - o.slope }
    }
}

impl Mul for Dual {
    type Output = Self;
    fn mul(self, o: Self) -> Self {
        Self { value: self.value * o.value, slope: self.slope * o.value + self.value * o.slope }
    }
}

impl Div for Dual {
    type Output = Self;
    fn div(self, o: Self) -> Self {
        let value = self.value / o.value;
        Self { value, slope: (self.slope - value * o.slope) / o.value }
    }
}

impl Neg for Dual {
    type Output = Self;
    fn neg(self) -> Self {
        Self { value: -self.value, slope: -self.slope }
    }
}

impl Real for Dual {
    type Mask = bool;
    fn lit(self, x: f64) -> Self {
        Self::constant(x)
    }
    fn mul_add(self, factor: Self, term: Self) -> Self {
        self * factor + term
    }
    fn abs(self) -> Self {
        if self.value < 0.0 { -self } else { self }
    }
    fn sqrt(self) -> Self {
        let root = self.value.sqrt();
        self.chain(root, 0.5 / root)
    }
    fn min(self, other: Self) -> Self {
        if other.value < self.value { other } else { self }
    }
    fn max(self, other: Self) -> Self {
        if other.value > self.value { other } else { self }
    }
    fn lt(self, other: Self) -> bool {
        self.value < other.value
    }
    fn le(self, other: Self) -> bool {
        self.value <= other.value
    }
    fn select(mask: bool, yes: Self, no: Self) -> Self {
        if mask { yes } else { no }
    }
    fn exp(self) -> Self {
        let e = self.value.exp();
        self.chain(e, e)
    }
    fn exp_m1(self) -> Self {
        self.chain(self.value.exp_m1(), self.value.exp())
    }
    fn ln(self) -> Self {
        self.chain(self.value.ln(), 1.0 / self.value)
    }
    fn ln_1p(self) -> Self {
        self.chain(self.value.ln_1p(), 1.0 / (1.0 + self.value))
    }
    fn tanh(self) -> Self {
        let t = self.value.tanh();
        self.chain(t, 1.0 - t * t)
    }
    fn sigmoid(self) -> Self {
        let s = Real::sigmoid(self.value);
        self.chain(s, s * (1.0 - s))
    }
    fn softplus(self) -> Self {
        self.chain(Real::softplus(self.value), Real::sigmoid(self.value))
    }
    fn erf(self) -> Self {
        let slope = std::f64::consts::FRAC_2_SQRT_PI * (-self.value * self.value).exp();
        self.chain(Real::erf(self.value), slope)
    }
}
