//! Sixteen `f64` on any level, as plain arrays.
//!
//! The `f64` path checks gradients and reproduces published numbers to double precision; it is not
//! tuned by hand. Products and sums are rounded separately, so the bits are the same on every
//! level. Functions are those of the standard library. The loops over sixteen numbers are calls and
//! are not inlined: inlined into every kernel, they would be most of the code that a user compiles.

use super::{LANES, Lanes, Simd};
use crate::real::{Mask, Real};
use std::marker::PhantomData;
use std::ops::{Add, BitAnd, BitOr, Div, Mul, Neg, Not, Sub};

/// Sixteen `f64`, for kernels that run on the level `S`.
#[derive(Clone, Copy, Debug)]
pub struct DoubleLanes<S>([f64; LANES], PhantomData<S>);

/// Sixteen truth values.
#[derive(Clone, Copy, Debug)]
pub struct Truth([bool; LANES]);

impl<S: Simd> DoubleLanes<S> {
    /// Sixteen numbers.
    #[inline(always)]
    #[must_use]
    pub fn new(x: [f64; LANES]) -> Self {
        Self(x, PhantomData)
    }

    #[inline(never)]
    fn map(self, f: impl Fn(f64) -> f64) -> Self {
        let mut x = self.0;
        for v in &mut x {
            *v = f(*v);
        }
        Self::new(x)
    }

    #[inline(never)]
    fn zip(self, other: Self, f: impl Fn(f64, f64) -> f64) -> Self {
        let mut x = self.0;
        for (v, o) in x.iter_mut().zip(other.0) {
            *v = f(*v, o);
        }
        Self::new(x)
    }

    #[inline(never)]
    fn compare(self, other: Self, f: impl Fn(f64, f64) -> bool) -> Truth {
        let mut truth = [false; LANES];
        for (t, (a, b)) in truth.iter_mut().zip(self.0.into_iter().zip(other.0)) {
            *t = f(a, b);
        }
        Truth(truth)
    }
}

macro_rules! operator {
    ($trait:ident, $method:ident, $f:expr) => {
        impl<S: Simd> $trait for DoubleLanes<S> {
            type Output = Self;
            #[inline(always)]
            fn $method(self, other: Self) -> Self {
                self.zip(other, $f)
            }
        }
    };
}

operator!(Add, add, |a, b| a + b);
operator!(Sub, sub, |a, b| a - b);
operator!(Mul, mul, |a, b| a * b);
operator!(Div, div, |a, b| a / b);

impl<S: Simd> Neg for DoubleLanes<S> {
    type Output = Self;
    #[inline(always)]
    fn neg(self) -> Self {
        self.map(|x| -x)
    }
}

macro_rules! truth_operator {
    ($trait:ident, $method:ident, $op:tt) => {
        impl $trait for Truth {
            type Output = Self;
            #[inline(always)]
            fn $method(self, other: Self) -> Self {
                let mut truth = self.0;
                for (t, o) in truth.iter_mut().zip(other.0) {
                    *t $op o;
                }
                Self(truth)
            }
        }
    };
}

truth_operator!(BitAnd, bitand, &=);
truth_operator!(BitOr, bitor, |=);

impl Not for Truth {
    type Output = Self;
    #[inline(always)]
    fn not(self) -> Self {
        Self(self.0.map(|t| !t))
    }
}

impl Mask for Truth {
    #[inline(always)]
    fn any(self) -> bool {
        self.0.contains(&true)
    }
    #[inline(always)]
    fn all(self) -> bool {
        !self.0.contains(&false)
    }
}

macro_rules! functions {
    ($($name:ident)*) => {$(
        #[inline(always)]
        fn $name(self) -> Self {
            self.map(<f64 as Real>::$name)
        }
    )*};
}

impl<S: Simd> Real for DoubleLanes<S> {
    type Mask = Truth;
    functions!(abs sqrt exp exp_m1 ln ln_1p tanh sigmoid softplus erf);

    #[inline(always)]
    fn lit(self, x: f64) -> Self {
        Self::new([x; LANES])
    }
    #[inline(never)]
    fn mul_add(self, factor: Self, term: Self) -> Self {
        let mut x = self.0;
        for (v, (f, t)) in x.iter_mut().zip(factor.0.into_iter().zip(term.0)) {
            *v = *v * f + t;
        }
        Self::new(x)
    }
    #[inline(always)]
    fn min(self, other: Self) -> Self {
        self.zip(other, <f64 as Real>::min)
    }
    #[inline(always)]
    fn max(self, other: Self) -> Self {
        self.zip(other, <f64 as Real>::max)
    }
    #[inline(always)]
    fn lt(self, other: Self) -> Truth {
        self.compare(other, |a, b| a < b)
    }
    #[inline(always)]
    fn le(self, other: Self) -> Truth {
        self.compare(other, |a, b| a <= b)
    }
    #[inline(never)]
    fn select(mask: Truth, yes: Self, no: Self) -> Self {
        let mut x = no.0;
        for (v, (t, y)) in x.iter_mut().zip(mask.0.into_iter().zip(yes.0)) {
            *v = if t { y } else { *v };
        }
        Self::new(x)
    }
}

impl<S: Simd> Lanes for DoubleLanes<S> {
    type Scalar = f64;
    #[inline(always)]
    fn store(self, to: &mut [f64; LANES]) {
        *to = self.0;
    }
    #[inline(always)]
    fn sum(self) -> f64 {
        let mut x = self.0;
        for half in [8, 4, 2, 1] {
            for i in 0..half {
                x[i] += x[i + half];
            }
        }
        x[0]
    }
    #[inline(always)]
    fn reduce_max(self) -> f64 {
        super::reduce_max(&self.0)
    }
}
