//! Lends arrays for a call. They have the requested lengths, except one if a fault is wanted, and
//! lie between margins that no kernel may touch.

use std::cell::Cell;
use std::ops::{Deref, DerefMut};
use std::rc::Rc;
use vdn_tensor::Element;

/// An array whose length differs from the right one by `off`.
#[derive(Clone, Copy)]
pub(crate) struct Fault {
    /// The index of the array, in the order of the requests.
    pub(crate) array: usize,
    /// Numbers too many; negative for too few.
    pub(crate) off: isize,
}

/// The panic of a lender that is asked for more than a test should hold.
pub(crate) const TOO_LARGE: &str = "the lender has no array as large as that";
const MOST: usize = 1 << 17;
const CANARY: f64 = -1.25e-7;

/// Returns the count of numbers before and after each array. It is 0 for the address sanitizer,
/// which then detects the first access beyond the array.
fn margin() -> usize {
    if std::env::var_os("VDN_TEST_NO_MARGINS").is_some() { 0 } else { 64 }
}

pub(crate) struct Lender {
    fault: Option<Fault>,
    margin: usize,
    lent: Cell<usize>,
    faulty: Cell<bool>,
    exact: Cell<bool>,
    damaged: Rc<Cell<bool>>,
}

impl Lender {
    pub(crate) fn new(fault: Option<Fault>) -> Self {
        let [faulty, damaged] = [Cell::new(false), Cell::new(false)];
        let (lent, exact) = (Cell::new(0), Cell::new(true));
        Self { fault, margin: margin(), lent, faulty, exact, damaged: Rc::new(damaged) }
    }

    /// Lends an array `[dims]`. Its length is the product modulo the size of a word, which a kernel
    /// without checked products would accept. Half the numbers are 0.5, the others 0.25.
    pub(crate) fn array<T: Element>(&self, dims: &[usize]) -> Lent<T> {
        let mut len = dims.iter().fold(1_usize, |n, &d| n.wrapping_mul(d));
        let fits = dims.iter().try_fold(1_usize, |n, &d| n.checked_mul(d.max(1))).is_some();
        self.exact.set(self.exact.get() && fits);
        if let Some(Fault { off, .. }) = self.fault.filter(|fault| fault.array == self.lent.get())
            && let Some(other) = len.checked_add_signed(off)
        {
            len = other;
            self.faulty.set(true);
        }
        self.lent.set(self.lent.get() + 1);
        assert!(len <= MOST, "{TOO_LARGE}");
        let mut numbers = vec![T::from_f64(CANARY); len + 2 * self.margin];
        for (i, x) in numbers[self.margin..self.margin + len].iter_mut().enumerate() {
            *x = T::from_f64(if i % 2 == 0 { 0.5 } else { 0.25 });
        }
        Lent { numbers, margin: self.margin, damaged: Rc::clone(&self.damaged) }
    }

    /// Returns the number of arrays requested so far.
    pub(crate) fn lent(&self) -> usize {
        self.lent.get()
    }

    /// Returns whether the fault was built in.
    pub(crate) fn is_faulty(&self) -> bool {
        self.faulty.get()
    }

    /// Returns whether no product of sizes wrapped around.
    pub(crate) fn is_exact(&self) -> bool {
        self.exact.get()
    }

    /// Returns whether a margin was written.
    pub(crate) fn is_damaged(&self) -> bool {
        self.damaged.get()
    }
}

/// An array between its margins.
pub(crate) struct Lent<T: Element> {
    numbers: Vec<T>,
    margin: usize,
    damaged: Rc<Cell<bool>>,
}

impl<T: Element> Deref for Lent<T> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        &self.numbers[self.margin..self.numbers.len() - self.margin]
    }
}

impl<T: Element> DerefMut for Lent<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        let end = self.numbers.len() - self.margin;
        &mut self.numbers[self.margin..end]
    }
}

impl<T: Element> Drop for Lent<T> {
    fn drop(&mut self) {
        let (before, after) = (..self.margin, self.numbers.len() - self.margin..);
        let mut margins = self.numbers[before].iter().chain(&self.numbers[after]);
        if margins.any(|x| *x != T::from_f64(CANARY)) {
            self.damaged.set(true);
        }
    }
}
