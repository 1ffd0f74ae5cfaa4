//! Shapes of up to [`MAX_RANK`] dimensions, stored inline so that they copy without an allocation.
//!
//! All tensors of this library are contiguous and row-major (last index fastest), so the shape
//! describes the whole layout.

use crate::ShapeError;
use crate::extent::fits;
use std::fmt;

/// The largest number of dimensions of a [`Shape`].
pub const MAX_RANK: usize = 6;

/// The dimensions of a row-major tensor; rank 0 is a single number.
///
/// ```
/// use vdn_tensor::Shape;
/// let shape = Shape::from([4, 8, 16]);
/// assert_eq!(shape.numel(), 512);
/// assert_eq!(shape.dims(), &[4, 8, 16]);
/// assert_eq!(shape.to_string(), "[4, 8, 16]");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Shape {
    dims: [usize; MAX_RANK],
    rank: u8,
}

impl Shape {
    /// The shape of a single number, `[]`.
    pub const SCALAR: Self = Self { dims: [1; MAX_RANK], rank: 0 };

    /// Creates a shape from a slice of dimensions.
    ///
    /// # Errors
    /// Fails for more than [`MAX_RANK`] dimensions, and if the number of elements overflows
    /// `usize`. Dimensions of 0 are ignored in this check, so no product of some of the dimensions
    /// overflows.
    pub fn new(dims: &[usize]) -> Result<Self, ShapeError> {
        if dims.len() > MAX_RANK {
            let reason =
                format!("{dims:?} has {} dimensions, at most {MAX_RANK} are supported", dims.len());
            return Err(ShapeError::new("shape", &[], reason));
        }
        if !fits(dims) {
            return Err(ShapeError::new("shape", &[], format!("{dims:?} has too many elements")));
        }
        Ok(Self::unchecked(dims))
    }

    const fn unchecked(dims: &[usize]) -> Self {
        let mut all = [1; MAX_RANK];
        let mut i = 0;
        while i < dims.len() {
            all[i] = dims[i];
            i += 1;
        }
        Self { dims: all, rank: dims.len() as u8 }
    }

    /// Returns the dimensions, outermost first.
    #[must_use]
    pub fn dims(&self) -> &[usize] {
        &self.dims[..usize::from(self.rank)]
    }

    /// Returns the number of dimensions.
    #[must_use]
    pub fn rank(&self) -> usize {
        usize::from(self.rank)
    }

    /// Returns the number of elements; 1 for a scalar.
    #[must_use]
    pub fn numel(&self) -> usize {
        self.dims().iter().product()
    }

    /// Returns the size of the last dimension; 1 for a scalar.
    #[must_use]
    pub fn last(&self) -> usize {
        self.dims().last().copied().unwrap_or(1)
    }

    /// Returns the product of all dimensions but the last: the number of rows, if the last
    /// dimension is a row.
    #[must_use]
    pub fn rows(&self) -> usize {
        let dims = self.dims();
        dims[..dims.len().saturating_sub(1)].iter().product()
    }

    /// Splits the shape around `axis`: the product before it, its size, and the product after it;
    /// `None` if there is no such axis.
    #[must_use]
    pub fn around(&self, axis: usize) -> Option<(usize, usize, usize)> {
        let dims = self.dims();
        let &size = dims.get(axis)?;
        Some((dims[..axis].iter().product(), size, dims[axis + 1..].iter().product()))
    }

    /// Returns the same shape with the last dimension replaced.
    ///
    /// # Errors
    /// Fails for a scalar, which has no last dimension.
    pub fn with_last(&self, last: usize) -> Result<Self, ShapeError> {
        let rank = self.rank();
        if rank == 0 {
            return Err(ShapeError::new("shape", &[self], "a scalar has no last dimension"));
        }
        let mut dims = self.dims;
        dims[rank - 1] = last;
        Self::new(&dims[..rank])
    }

    /// Returns the shape without `axis`.
    ///
    /// # Errors
    /// Fails if there is no such axis.
    pub fn without_axis(&self, axis: usize) -> Result<Self, ShapeError> {
        let dims = self.dims();
        if axis >= dims.len() {
            return Err(ShapeError::new("shape", &[self], format!("there is no axis {axis}")));
        }
        let mut kept = [1; MAX_RANK];
        kept[..axis].copy_from_slice(&dims[..axis]);
        kept[axis..dims.len() - 1].copy_from_slice(&dims[axis + 1..]);
        Self::new(&kept[..dims.len() - 1])
    }

    /// Returns the shape with a new outermost dimension.
    ///
    /// # Errors
    /// Fails if the result would have more than [`MAX_RANK`] dimensions.
    pub fn prepend(&self, first: usize) -> Result<Self, ShapeError> {
        let mut dims = [1; MAX_RANK + 1];
        dims[0] = first;
        dims[1..=self.rank()].copy_from_slice(self.dims());
        Self::new(&dims[..=self.rank()])
    }
}

impl<const N: usize> From<[usize; N]> for Shape {
    /// # Panics
    /// Panics if the number of elements overflows. More than [`MAX_RANK`] dimensions are a
    /// compile-time error. Use [`Shape::new`] for dimensions that come from data.
    fn from(dims: [usize; N]) -> Self {
        const { assert!(N <= MAX_RANK, "a shape has at most MAX_RANK dimensions") };
        match Self::new(&dims) {
            Ok(shape) => shape,
            Err(error) => panic!("{error}"),
        }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.dims())
    }
}

impl fmt::Debug for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.dims())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn split_around_every_axis() {
        let shape = Shape::from([2, 3, 5]);
        assert_eq!(shape.around(0), Some((1, 2, 15)));
        assert_eq!(shape.around(1), Some((2, 3, 5)));
        assert_eq!(shape.around(2), Some((6, 5, 1)));
        assert_eq!(shape.around(3), None);
    }

    #[test]
    fn impossible_shapes_are_refused() {
        assert!(Shape::new(&[1; 7]).is_err());
        assert!(Shape::new(&[usize::MAX, 2]).is_err());
        assert!(Shape::new(&[0, usize::MAX, 2]).is_err());
        assert!(Shape::SCALAR.with_last(3).is_err());
        assert!(Shape::from([2]).without_axis(1).is_err());
    }

    #[test]
    fn axes_come_and_go() {
        let shape = Shape::from([2, 3, 5]);
        assert_eq!(shape.without_axis(1), Ok(Shape::from([2, 5])));
        assert_eq!(shape.prepend(7), Ok(Shape::from([7, 2, 3, 5])));
        assert_eq!(shape.with_last(1), Ok(Shape::from([2, 3, 1])));
        assert_eq!((shape.rows(), shape.last()), (6, 5));
        assert_eq!((Shape::SCALAR.rows(), Shape::SCALAR.last(), Shape::SCALAR.numel()), (1, 1, 1));
    }
}
