//! Conversions between tensors and arrays of the crate `ndarray`. Feature `ndarray`.
//!
//! | from | to | |
//! |---|---|---|
//! | `&ArrayBase`, any layout | [`Tensor`] | copied in C order |
//! | `ArrayView` in C order | [`View`] | not copied |
//! | [`Tensor`] | `ArrayD` | copied |
//! | [`View`] | `ArrayViewD` | not copied |
//!
//! Tensors have at most [`MAX_RANK`](crate::MAX_RANK) dimensions, arrays may have more.

use crate::{Element, Shape, ShapeError, Tensor, View};
use ndarray::{ArrayBase, ArrayD, ArrayView, ArrayViewD, Data, Dimension, IxDyn};

/// Copies an array in C order, whatever its layout.
///
/// ```
/// use ndarray::{Array2, ArrayD, array};
/// use vdn_tensor::Tensor;
/// let array: Array2<f32> = array![[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]];
/// let tensor = Tensor::try_from(&array.t())?; // turned round: [3, 2]
/// assert_eq!(tensor.data(), [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
/// assert_eq!(ArrayD::from(&tensor), array.t().into_dyn());
/// # Ok::<(), vdn_tensor::ShapeError>(())
/// ```
///
/// # Errors
/// Returns an error if the array has more than [`MAX_RANK`](crate::MAX_RANK) dimensions.
impl<T: Element, S: Data<Elem = T>, D: Dimension> TryFrom<&ArrayBase<S, D>> for Tensor<T> {
    type Error = ShapeError;

    fn try_from(array: &ArrayBase<S, D>) -> Result<Self, ShapeError> {
        let mut tensor = Self::zeros(Shape::new(array.shape())?);
        for (to, &x) in tensor.data_mut().iter_mut().zip(array) {
            *to = x;
        }
        Ok(tensor)
    }
}

/// Borrows the numbers of an array in C order, without a copy.
///
/// ```
/// use ndarray::array;
/// use vdn_tensor::View;
/// let array = array![[1.0, 2.0], [3.0, 4.0]];
/// assert_eq!(View::try_from(array.view())?.data(), [1.0, 2.0, 3.0, 4.0]);
/// assert!(View::try_from(array.t()).is_err()); // turned round; Tensor::try_from copies it
/// # Ok::<(), vdn_tensor::ShapeError>(())
/// ```
///
/// # Errors
/// Returns an error if the array has more than [`MAX_RANK`](crate::MAX_RANK) dimensions or another
/// layout.
impl<'a, T: Element, D: Dimension> TryFrom<ArrayView<'a, T, D>> for View<'a, T> {
    type Error = ShapeError;

    fn try_from(array: ArrayView<'a, T, D>) -> Result<Self, ShapeError> {
        let shape = Shape::new(array.shape())?;
        let layout =
            || ShapeError::new("view of an array", &[&shape], "is not in C order; copy it");
        Self::new(shape, array.to_slice().ok_or_else(layout)?)
    }
}

/// Borrows the numbers of the view, without a copy.
impl<'a, T: Element> From<View<'a, T>> for ArrayViewD<'a, T> {
    fn from(view: View<'a, T>) -> Self {
        ArrayView::from_shape(IxDyn(view.shape().dims()), view.data())
            .expect("a view has as many numbers as its shape")
    }
}

/// Copies the numbers of the tensor.
impl<T: Element> From<&Tensor<T>> for ArrayD<T> {
    fn from(tensor: &Tensor<T>) -> Self {
        ArrayViewD::from(tensor.view()).to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array0, Array1, Array3, Axis, s};

    #[test]
    fn arrays_of_any_layout_are_copied_in_c_order() {
        let array = Array3::from_shape_fn([3, 4, 5], |(i, j, k)| (100 * i + 10 * j + k) as f64);
        let views = [
            array.view(),
            array.view().permuted_axes([2, 0, 1]),
            array.slice(s![..;2, 1..3, ..;-1]),
            array.slice(s![0..0, .., ..]),
        ];
        for view in views {
            let tensor = Tensor::try_from(&view).unwrap();
            assert_eq!(tensor.shape().dims(), view.shape());
            let expected: Vec<f64> = view.iter().copied().collect();
            assert_eq!(tensor.data(), expected);
            assert_eq!(ArrayD::from(&tensor), view.into_dyn());
        }
        let single = Array1::from_vec(vec![1.0_f32, -2.0]);
        assert_eq!(Tensor::try_from(&single).unwrap().data(), [1.0, -2.0]);
        let scalar = Tensor::try_from(&Array0::from_elem((), 7.0_f32)).unwrap();
        assert_eq!((scalar.shape().rank(), scalar.data()), (0, &[7.0][..]));
    }

    #[test]
    fn views_share_the_numbers() {
        let array = Array3::from_shape_fn([2, 3, 4], |(i, j, k)| (i + 2 * j + 6 * k) as f32);
        let view = View::try_from(array.view()).unwrap();
        assert_eq!(view.data().as_ptr(), array.as_ptr());
        let back = ArrayViewD::from(view);
        assert_eq!((back.as_ptr(), back.shape()), (array.as_ptr(), &[2, 3, 4][..]));
        // A part of the array can itself be in C order.
        let part = View::try_from(array.index_axis(Axis(0), 1)).unwrap();
        assert_eq!((part.shape().dims(), part.data()[0]), (&[3, 4][..], 1.0));
        let error = View::try_from(array.slice(s![.., .., ..2])).unwrap_err().to_string();
        assert_eq!(error, "view of an array: shape [2, 3, 2]: is not in C order; copy it");
    }

    #[test]
    fn seven_dimensions_are_refused() {
        let array = ArrayD::<f64>::zeros(IxDyn(&[1; 7]));
        let errors = [
            Tensor::try_from(&array).unwrap_err().to_string(),
            View::try_from(array.view()).unwrap_err().to_string(),
        ];
        for error in errors {
            assert!(error.contains("7 dimensions, at most 6"), "{error}");
        }
    }
}
