//! Element-wise functions of several inputs that broadcast against each other: their evaluation and
//! its adjoint.

use crate::op::Shapes;
use vdn_tensor::kernels::{self, Broadcast, Formula, broadcast_shape, reduce_to_shape};
use vdn_tensor::{Element, Shape, ShapeError, View, ViewMut, with_scratch};

/// Declares the single output of an operation whose `count` inputs broadcast.
pub(crate) fn declare(
    name: &'static str,
    inputs: &[&Shape],
    count: usize,
    outputs: &mut Shapes,
) -> Result<(), ShapeError> {
    if inputs.len() != count {
        return Err(ShapeError::new(name, inputs, format!("needs {count} inputs")));
    }
    outputs.push(broadcast_shape(name, inputs)?);
    Ok(())
}

/// Returns the common shape of predictions (the first input), further parameters, and the scored
/// values (the last input). It follows the rule of [`one_sided_shape`] and has at least one
/// element.
pub(crate) fn scored_shape(name: &'static str, inputs: &[&Shape]) -> Result<Shape, ShapeError> {
    let shape = broadcast_shape(name, inputs)?;
    if shape.numel() == 0 {
        return Err(ShapeError::new(name, inputs, "there is nothing to score"));
    }
    one_sided_shape(name, inputs)
}

/// Returns the common shape of predictions (the first input), further parameters, and values (the
/// last input).
///
/// It has to be the shape of the predictions or the shape of the values. If the two only together
/// gave a larger shape, such as `[samples, batch, 1]` and `[batch]`, every prediction would be
/// scored against every value.
pub(crate) fn one_sided_shape(name: &'static str, inputs: &[&Shape]) -> Result<Shape, ShapeError> {
    let shape = broadcast_shape(name, inputs)?;
    if [inputs.first(), inputs.last()].iter().flatten().all(|part| ***part != shape) {
        let reason = format!("broadcast to {shape}, which neither predictions nor values have");
        return Err(ShapeError::new(name, inputs, reason));
    }
    Ok(shape)
}

/// Computes `output = f(inputs)`, where the inputs broadcast to `shape`.
pub(crate) fn evaluate<T: Element, const IN: usize>(
    name: &'static str,
    f: &impl Formula<IN, 1>,
    shape: &Shape,
    inputs: [View<'_, T>; IN],
    output: &mut [T],
) {
    let data = inputs.map(|input| input.data());
    if data.iter().all(|data| data.len() == output.len()) {
        return kernels::map(f, data, [output]);
    }
    let plan = Broadcast::to(name, shape, inputs.each_ref().map(View::shape));
    let plan = plan.unwrap_or_else(|error| panic!("{error}, after it did when recorded"));
    kernels::map_broadcast(f, &plan, data, [output]);
}

/// Computes `d_input = f(sources)`, summed over everything that was repeated when the input was
/// broadcast to `shape`. This is the adjoint of broadcasting if `f` is the product of an output
/// gradient and a slope.
pub(crate) fn pull<T: Element, const IN: usize>(
    name: &'static str,
    f: &impl Formula<IN, 1>,
    shape: &Shape,
    sources: [View<'_, T>; IN],
    d_input: &mut ViewMut<'_, T>,
) {
    let numel = shape.numel();
    if d_input.shape().numel() == numel {
        return evaluate(name, f, shape, sources, d_input.data_mut());
    }
    with_scratch(numel, |full: &mut [T]| {
        evaluate(name, f, shape, sources, full);
        let to = *d_input.shape();
        reduce_to_shape(full, shape, d_input.data_mut(), &to);
    });
}

/// Computes the gradients of several inputs in one pass. Output `i` of `f` is the full-size
/// gradient of input `i`; it is summed over everything that was repeated when that input was
/// broadcast to `shape`.
pub(crate) fn pull_all<T: Element, const IN: usize, const OUT: usize>(
    name: &'static str,
    f: &impl Formula<IN, OUT>,
    shape: &Shape,
    sources: [View<'_, T>; IN],
    d_inputs: &mut [Option<ViewMut<'_, T>>],
) {
    let numel = shape.numel();
    if numel == 0 {
        return d_inputs.iter_mut().flatten().for_each(|d| d.data_mut().fill(T::ZERO));
    }
    with_scratch(OUT * numel, |full: &mut [T]| {
        let mut parts = full.chunks_exact_mut(numel);
        let outputs = std::array::from_fn(|_| parts.next().expect("one part for each output"));
        evaluate_all(name, f, shape, sources, outputs);
        for (part, d) in full.chunks_exact(numel).zip(d_inputs) {
            if let Some(d) = d {
                let to = *d.shape();
                reduce_to_shape(part, shape, d.data_mut(), &to);
            }
        }
    });
}

/// Does what [`evaluate`] does for several outputs, all of the size of `shape`.
pub(crate) fn evaluate_all<T: Element, const IN: usize, const OUT: usize>(
    name: &'static str,
    f: &impl Formula<IN, OUT>,
    shape: &Shape,
    inputs: [View<'_, T>; IN],
    outputs: [&mut [T]; OUT],
) {
    let plan = Broadcast::to(name, shape, inputs.each_ref().map(View::shape));
    let plan = plan.unwrap_or_else(|error| panic!("{error}, after it did when recorded"));
    kernels::map_broadcast(f, &plan, inputs.map(|input| input.data()), outputs);
}
