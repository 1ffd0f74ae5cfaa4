//! Tensors and views: a shape and its numbers, contiguous and row-major.

use crate::{Buffer, Element, Shape, ShapeError};

/// A tensor that owns its numbers.
///
/// ```
/// use vdn_tensor::Tensor;
/// let x = Tensor::from_slice([2, 3], &[1.0_f32, 2.0, 3.0, 4.0, 5.0, 6.0])?;
/// assert_eq!(x.shape().dims(), &[2, 3]);
/// assert_eq!(x.data()[4], 5.0);
/// # Ok::<(), vdn_tensor::ShapeError>(())
/// ```
#[derive(Clone)]
pub struct Tensor<T> {
    shape: Shape,
    data: Buffer<T>,
}

impl<T> std::fmt::Debug for Tensor<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Tensor of shape {}", self.shape)
    }
}

impl<T: Element> Tensor<T> {
    /// Creates a tensor of zeros.
    #[must_use]
    pub fn zeros(shape: impl Into<Shape>) -> Self {
        Self::full(shape, T::ZERO)
    }

    /// Creates a tensor whose elements are all `value`.
    #[must_use]
    pub fn full(shape: impl Into<Shape>, value: T) -> Self {
        let shape = shape.into();
        let mut data = Buffer::new();
        data.resize(shape.numel());
        data.fill(value);
        Self { shape, data }
    }

    /// Creates a tensor with a copy of `data`, row-major.
    ///
    /// # Errors
    /// Fails if `data` has another number of elements than `shape`.
    pub fn from_slice(shape: impl Into<Shape>, data: &[T]) -> Result<Self, ShapeError> {
        let shape = shape.into();
        check_len("tensor", &shape, data.len())?;
        Ok(Self { shape, data: Buffer::from(data) })
    }

    /// Returns the shape.
    #[must_use]
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// Returns the numbers, row-major.
    #[must_use]
    pub fn data(&self) -> &[T] {
        &self.data
    }

    /// Returns the numbers, row-major, for changes.
    #[must_use]
    pub fn data_mut(&mut self) -> &mut [T] {
        &mut self.data
    }

    /// Returns a view of the whole tensor.
    #[must_use]
    pub fn view(&self) -> View<'_, T> {
        View { shape: self.shape, data: &self.data }
    }

    /// Returns a mutable view of the whole tensor.
    #[must_use]
    pub fn view_mut(&mut self) -> ViewMut<'_, T> {
        ViewMut { shape: self.shape, data: &mut self.data }
    }

    /// Returns the same numbers in another element type, each rounded to nearest.
    #[must_use]
    pub fn cast<U: Element>(&self) -> Tensor<U> {
        let mut cast = Tensor::zeros(self.shape);
        for (to, from) in cast.data.iter_mut().zip(self.data.iter()) {
            *to = U::from_f64(from.to_f64());
        }
        cast
    }
}

/// A borrowed tensor.
#[derive(Clone, Copy, Debug)]
pub struct View<'a, T> {
    shape: Shape,
    data: &'a [T],
}

impl<'a, T: Element> View<'a, T> {
    /// Creates a view of `data`, row-major.
    ///
    /// # Errors
    /// Fails if `data` has another number of elements than `shape`.
    pub fn new(shape: impl Into<Shape>, data: &'a [T]) -> Result<Self, ShapeError> {
        let shape = shape.into();
        check_len("view", &shape, data.len())?;
        Ok(Self { shape, data })
    }

    /// Returns the shape.
    #[must_use]
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// Returns the numbers, row-major.
    #[must_use]
    pub fn data(&self) -> &'a [T] {
        self.data
    }

    /// Returns the number of a scalar or of any other view of one element; `None` for other views.
    #[must_use]
    pub fn item(&self) -> Option<T> {
        match self.data {
            &[x] => Some(x),
            _ => None,
        }
    }
}

/// A borrowed tensor that can be changed.
#[derive(Debug)]
pub struct ViewMut<'a, T> {
    shape: Shape,
    data: &'a mut [T],
}

impl<'a, T: Element> ViewMut<'a, T> {
    /// Creates a mutable view of `data`, row-major.
    ///
    /// # Errors
    /// Fails if `data` has another number of elements than `shape`.
    pub fn new(shape: impl Into<Shape>, data: &'a mut [T]) -> Result<Self, ShapeError> {
        let shape = shape.into();
        check_len("view", &shape, data.len())?;
        Ok(Self { shape, data })
    }

    /// Returns the shape.
    #[must_use]
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// Returns the numbers, row-major.
    #[must_use]
    pub fn data(&self) -> &[T] {
        self.data
    }

    /// Returns the numbers, row-major, for changes.
    #[must_use]
    pub fn data_mut(&mut self) -> &mut [T] {
        self.data
    }
}

fn check_len(operation: &'static str, shape: &Shape, len: usize) -> Result<(), ShapeError> {
    if shape.numel() == len {
        return Ok(());
    }
    let reason = format!("needs {} elements, got {len}", shape.numel());
    Err(ShapeError::new(operation, &[shape], reason))
}
