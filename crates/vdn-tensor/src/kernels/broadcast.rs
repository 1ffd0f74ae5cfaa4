//! Broadcasting by the rules of NumPy: shapes are aligned at their last dimensions, and a dimension
//! of 1 repeats.
//!
//! Computing an index for every element would cost more than the arithmetic. A [`Broadcast`] plan
//! first merges neighbouring dimensions that all inputs treat alike. What remains is a long
//! innermost run, which each input either copies or repeats, and a few outer dimensions. The
//! adjoint of repetition is summation ([`reduce_to_shape`]).

use super::reduce::sum_axis;
use super::tree::CHUNK;
use crate::extent::Extent;
use crate::parallel::for_each_chunk;
use crate::shape::MAX_RANK;
use crate::{Element, Shape, ShapeError, with_scratch};

/// Returns the shape to which all `shapes` broadcast.
///
/// ```
/// use vdn_tensor::{Shape, kernels::broadcast_shape};
/// let shape = broadcast_shape("add", &[&Shape::from([4, 1, 3]), &Shape::from([2, 1])])?;
/// assert_eq!(shape.dims(), &[4, 2, 3]);
/// # Ok::<(), vdn_tensor::ShapeError>(())
/// ```
///
/// # Errors
/// Fails if two shapes have different sizes in a dimension and neither size is 1.
pub fn broadcast_shape(operation: &'static str, shapes: &[&Shape]) -> Result<Shape, ShapeError> {
    let rank = shapes.iter().map(|shape| shape.rank()).max().unwrap_or(0);
    let mut dims = [1; MAX_RANK];
    for shape in shapes {
        let lead = rank - shape.rank();
        for (axis, (to, &size)) in dims[lead..rank].iter_mut().zip(shape.dims()).enumerate() {
            if *to != size && *to != 1 && size != 1 {
                let reason = format!(
                    "cannot broadcast: dimension {} from the end has sizes {to} and {size}",
                    shape.rank() - axis
                );
                return Err(ShapeError::new(operation, shapes, reason));
            }
            if size != 1 {
                *to = size;
            }
        }
    }
    Shape::new(&dims[..rank])
}

/// The plan by which `IN` inputs are repeated to one shape. It is made once and used for any data
/// of these shapes.
///
/// Neighbouring dimensions that all inputs treat alike are merged, so that the innermost run, which
/// is copied or repeated as a whole, is as long as possible.
#[derive(Clone, Copy, Debug)]
pub struct Broadcast<const IN: usize> {
    shape: Shape,
    /// The merged dimensions, outermost first: `rank` of them, at least one.
    dims: [usize; MAX_RANK],
    rank: usize,
    /// For each input and merged dimension: the distance between neighbours, or 0 if the input
    /// repeats.
    strides: [[usize; MAX_RANK]; IN],
    lengths: [usize; IN],
}

impl<const IN: usize> Broadcast<IN> {
    /// Creates the plan for inputs of these shapes that broadcast to their common shape.
    ///
    /// # Errors
    /// Fails if the shapes do not fit, see [`broadcast_shape`].
    pub fn new(operation: &'static str, inputs: [&Shape; IN]) -> Result<Self, ShapeError> {
        Ok(Self::plan(broadcast_shape(operation, &inputs)?, inputs))
    }

    /// Creates the plan for inputs of these shapes that broadcast to `shape`.
    ///
    /// # Errors
    /// Fails if an input does not broadcast to `shape`.
    pub fn to(
        operation: &'static str,
        shape: &Shape,
        inputs: [&Shape; IN],
    ) -> Result<Self, ShapeError> {
        for input in inputs {
            if broadcast_shape(operation, &[shape, input])? != *shape {
                let reason = format!("{input} does not broadcast to {shape}");
                return Err(ShapeError::new(operation, &[input, shape], reason));
            }
        }
        Ok(Self::plan(*shape, inputs))
    }

    fn plan(shape: Shape, inputs: [&Shape; IN]) -> Self {
        let mut plan = Self {
            shape,
            dims: [1; MAX_RANK],
            rank: 0,
            strides: [[0; MAX_RANK]; IN],
            lengths: inputs.map(Shape::numel),
        };
        // Dimensions are visited innermost first and reversed below. `reach` is the distance one
        // step beyond the dimensions so far.
        let mut reach = [1; IN];
        for from_end in 1..=shape.rank() {
            let size = shape.dims()[shape.rank() - from_end];
            if size == 1 {
                continue;
            }
            let repeats = inputs.map(|x| from_end > x.rank() || x.dims()[x.rank() - from_end] == 1);
            let stride = std::array::from_fn(|i| if repeats[i] { 0 } else { reach[i] });
            plan.append(size, stride);
            for (reach, repeats) in reach.iter_mut().zip(repeats) {
                *reach *= if repeats { 1 } else { size };
            }
        }
        if plan.rank == 0 {
            plan.append(1, [0; IN]);
        }
        plan.dims[..plan.rank].reverse();
        for strides in &mut plan.strides {
            strides[..plan.rank].reverse();
        }
        plan
    }

    /// Adds an outer dimension. It is merged into the last one if every input allows it.
    fn append(&mut self, size: usize, stride: [usize; IN]) {
        if let Some(last) = self.rank.checked_sub(1) {
            let inside = self.dims[last];
            if (0..IN).all(|i| stride[i] == inside * self.strides[i][last]) {
                self.dims[last] *= size;
                return;
            }
        }
        self.dims[self.rank] = size;
        for (strides, stride) in self.strides.iter_mut().zip(stride) {
            strides[self.rank] = stride;
        }
        self.rank += 1;
    }

    /// Returns the common shape.
    #[must_use]
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// Returns whether input `i` has all elements of the common shape, so that nothing repeats.
    #[must_use]
    pub fn is_whole(&self, i: usize) -> bool {
        self.lengths[i] == self.shape.numel()
    }

    /// Returns whether input `i` is a single number.
    #[must_use]
    pub fn is_single(&self, i: usize) -> bool {
        self.lengths[i] == 1
    }

    pub(super) fn check(&self, lengths: [usize; IN]) {
        assert!(
            lengths == self.lengths,
            "broadcast: inputs of {lengths:?} numbers, planned for {:?}",
            self.lengths
        );
    }

    /// Writes the elements `start..start + out.len()` of input `i`, repeated to the common shape.
    pub(super) fn copy<T: Element>(&self, i: usize, x: &[T], start: usize, out: &mut [T]) {
        let (dims, strides) = (&self.dims[..self.rank], &self.strides[i][..self.rank]);
        let inner = self.rank - 1;
        let mut index = [0; MAX_RANK];
        let (mut rest, mut row) = (start, 0);
        for axis in (0..self.rank).rev() {
            index[axis] = rest % dims[axis];
            rest /= dims[axis];
            row += if axis < inner { index[axis] * strides[axis] } else { 0 };
        }
        let mut filled = 0;
        while filled < out.len() {
            let run = (dims[inner] - index[inner]).min(out.len() - filled);
            let to = &mut out[filled..filled + run];
            match strides[inner] {
                0 => to.fill(x[row]),
                _ => to.copy_from_slice(&x[row + index[inner]..][..run]),
            }
            filled += run;
            index[inner] = 0;
            for axis in (0..inner).rev() {
                index[axis] += 1;
                row += strides[axis];
                if index[axis] < dims[axis] {
                    break;
                }
                row -= dims[axis] * strides[axis];
                index[axis] = 0;
            }
        }
    }
}

/// Copies `x`, of shape `from`, repeated to the shape `to`.
///
/// # Panics
/// Panics if `from` does not broadcast to `to`, or a slice does not have the length of its shape.
pub fn broadcast_copy<T: Element>(x: &[T], from: &Shape, out: &mut [T], to: &Shape) {
    T::broadcast_copy(x, from, out, to)
}

/// The body of [`broadcast_copy`].
pub(crate) fn broadcast_copy_body<T: Element>(x: &[T], from: &Shape, out: &mut [T], to: &Shape) {
    let plan = planned("broadcast_copy", from, to);
    plan.check([x.len()]);
    Extent::new("broadcast_copy", [to.numel()]).check("the output", out);
    for_each_chunk(out, CHUNK, |chunk, out| plan.copy(0, x, chunk * CHUNK, out));
}

/// Computes the adjoint of broadcasting: sums `x`, of shape `from`, over everything that repeats
/// when `to` broadcasts to `from`. The sums are trees that depend only on the shapes (see
/// [`sum_axis`]).
///
/// ```
/// use vdn_tensor::{Shape, kernels::reduce_to_shape};
/// let mut sums = [0.0_f64; 2];
/// reduce_to_shape(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], &Shape::from([2, 3]), &mut sums, &Shape::from([2, 1]));
/// assert_eq!(sums, [6.0, 15.0]);
/// ```
///
/// # Panics
/// Panics if `to` does not broadcast to `from`, or a slice does not have the length of its shape.
pub fn reduce_to_shape<T: Element>(x: &[T], from: &Shape, out: &mut [T], to: &Shape) {
    T::reduce_to_shape(x, from, out, to)
}

/// The body of [`reduce_to_shape`].
pub(crate) fn reduce_to_shape_body<T: Element>(x: &[T], from: &Shape, out: &mut [T], to: &Shape) {
    let plan = planned("reduce_to_shape", to, from);
    plan.check([out.len()]);
    Extent::new("reduce_to_shape", [from.numel()]).check("the input", x);
    if x.is_empty() {
        // Partial sums over one dimension could be many, although there are no elements.
        return out.fill(T::ZERO);
    }
    // Kept and summed dimensions alternate after merging.
    let mut dims = plan.dims;
    let summed = plan.strides[0].map(|stride| stride == 0);
    reduce(x, &mut dims[..plan.rank], &summed[..plan.rank], out);
}

/// Sums over the innermost dimension that is marked in `summed`, then over the rest.
fn reduce<T: Element>(x: &[T], dims: &mut [usize], summed: &[bool], out: &mut [T]) {
    let next = (0..dims.len()).rev().find(|&axis| summed[axis] && dims[axis] != 1);
    let Some(axis) = next else {
        return super::map::copy(x, out);
    };
    let around = (dims[..axis].iter().product(), dims[axis], dims[axis + 1..].iter().product());
    dims[axis] = 1;
    if (0..axis).any(|axis| summed[axis] && dims[axis] != 1) {
        with_scratch(around.0 * around.2, |partial: &mut [T]| {
            sum_axis(x, around, partial);
            reduce(partial, dims, summed, out);
        });
    } else {
        sum_axis(x, around, out);
    }
}

fn planned(operation: &'static str, from: &Shape, to: &Shape) -> Broadcast<1> {
    match Broadcast::to(operation, to, [from]) {
        Ok(plan) => plan,
        Err(error) => panic!("{error}"),
    }
}
