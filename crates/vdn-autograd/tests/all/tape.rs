//! The tape itself: sharing, several uses of a value, stale variables, labels, retained gradients,
//! long chains.

use std::sync::Arc;
use vdn_autograd::{Error, Op, Pool, Score, Shapes, Tape, Var};
use vdn_tensor::{Element, Shape, ShapeError, Tensor, View, ViewMut};

type Outcome = Result<(), Error>;

fn gradient<T: Element>(tape: &Tape<T>, var: Var) -> Option<Vec<T>> {
    tape.gradient(var).map(|g| g.data().to_vec())
}

#[test]
fn a_value_used_twice_gets_both_contributions() -> Outcome {
    let mut tape = Tape::<f64>::new();
    let x = tape.variable([3], &[1.0, -2.0, 3.0])?;
    let square = tape.mul(x, x)?;
    let joined = tape.concat(&[x, square, x], 0)?;
    let loss = tape.sum(joined)?;
    tape.backward(loss)?;
    assert_eq!(gradient(&tape, x), Some(vec![4.0, -2.0, 8.0]));
    Ok(())
}

#[test]
fn a_diamond_accumulates() -> Outcome {
    let mut tape = Tape::<f64>::new();
    let x = tape.variable([], &[0.7])?;
    let (a, b) = (tape.exp(x)?, tape.tanh(x)?);
    let (c, d) = (tape.mul(a, b)?, tape.sub(a, b)?);
    let y = tape.mul(c, d)?;
    tape.backward(y)?;
    // y = e t (e - t): dy = (e t)' (e - t) + e t (e - t)', e' = e, t' = 1 - t^2.
    let (e, t) = (0.7_f64.exp(), 0.7_f64.tanh());
    let want = (e * t + e * (1.0 - t * t)) * (e - t) + e * t * (e - 1.0 + t * t);
    let got = gradient(&tape, x).unwrap()[0];
    assert!((got - want).abs() < 1e-13 * want.abs(), "{got} {want}");
    Ok(())
}

#[test]
fn a_million_steps_do_not_recurse() -> Outcome {
    let mut tape = Tape::<f32>::new();
    let x = tape.variable([], &[1.0])?;
    let mut y = x;
    for _ in 0..1_000_000 {
        y = tape.neg(y)?;
    }
    tape.backward(y)?;
    assert_eq!(tape.scalar(y)?, 1.0);
    assert_eq!(gradient(&tape, x), Some(vec![1.0]));
    Ok(())
}

#[test]
fn shared_tensors_are_read_in_place_and_released() -> Outcome {
    let mut weight = Arc::new(Tensor::from_slice([2], &[2.0_f32, 3.0])?);
    let mut tape = Tape::new();
    let w = tape.shared(&weight, true);
    let frozen = tape.shared(&weight, false);
    assert_eq!(tape.value(w).data().as_ptr(), weight.data().as_ptr());
    let product = tape.mul(w, frozen)?;
    let loss = tape.sum(product)?;
    tape.backward(loss)?;
    assert!(Arc::get_mut(&mut weight).is_none());
    tape.release_shared();
    assert!(Arc::get_mut(&mut weight).is_some());
    assert_eq!(gradient(&tape, w), Some(vec![2.0, 3.0]));
    assert_eq!(gradient(&tape, frozen), None);
    assert_eq!(tape.scalar(loss)?, 13.0);
    assert!(matches!(tape.backward(loss), Err(Error::Invalid { .. })));
    // A tensor that is shared later is read as itself; a released tensor is not read as another
    // one.
    let later = tape.shared(&Arc::new(Tensor::from_slice([2], &[7.0, 8.0])?), false);
    assert_eq!(tape.value(later).data(), [7.0, 8.0]);
    assert!(matches!(tape.square(w), Err(Error::Invalid { .. })));
    assert_eq!(tape.first_non_finite(), None);
    Ok(())
}

#[test]
fn detach_and_no_grad_stop_gradients() -> Outcome {
    let mut tape = Tape::<f64>::new();
    let x = tape.variable([2], &[2.0, 5.0])?;
    let detached = tape.detach(x)?;
    assert_eq!(tape.value(detached).data(), tape.value(x).data());
    let product = tape.mul(x, detached)?;
    let silent = tape.no_grad(|tape| {
        assert!(!tape.is_recording_gradients());
        tape.square(x)
    })?;
    assert!(tape.is_recording_gradients() && !tape.requires_grad(silent));
    let sum = tape.add(product, silent)?;
    let loss = tape.sum(sum)?;
    tape.backward(loss)?;
    assert_eq!(gradient(&tape, x), Some(vec![2.0, 5.0]));
    assert_eq!(gradient(&tape, detached), None);
    let lost = tape.sum(silent)?;
    assert_eq!(tape.backward(lost), Err(Error::NoGradient { operation: "backward" }));
    Ok(())
}

#[test]
fn reshape_is_an_alias_with_the_gradient_of_the_original() -> Outcome {
    let mut tape = Tape::<f64>::new();
    let x = tape.variable([2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0])?;
    let flat = tape.reshape(x, [6])?;
    assert_eq!(tape.value(flat).data().as_ptr(), tape.value(x).data().as_ptr());
    let tail = tape.slice_axis(flat, 0, 4, 2)?;
    let rows = tape.sum_axis(x, 0)?;
    let (a, b) = (tape.sum(tail)?, tape.sum(rows)?);
    let loss = tape.add(a, b)?;
    tape.backward(loss)?;
    assert_eq!(gradient(&tape, x), Some(vec![1.0, 1.0, 1.0, 1.0, 2.0, 2.0]));
    assert_eq!(tape.gradient(flat).map(|g| *g.shape()), Some(Shape::from([6])));
    Ok(())
}

#[test]
fn retained_gradients_and_several_seeds() -> Outcome {
    let mut tape = Tape::<f64>::new();
    let x = tape.variable([2], &[1.0, 2.0])?;
    let y = tape.square(x)?;
    let z = tape.scale(y, 3.0)?;
    tape.backward_from(&[(z, &[1.0, 10.0]), (y, &[100.0, 0.0])])?;
    assert_eq!(gradient(&tape, x), Some(vec![206.0, 120.0]));
    assert_eq!(gradient(&tape, y), None);
    tape.retain_gradient(y)?;
    tape.backward_from(&[(z, &[1.0, 10.0]), (y, &[100.0, 0.0])])?;
    assert_eq!(gradient(&tape, y), Some(vec![103.0, 30.0]));
    assert_eq!(gradient(&tape, x), Some(vec![206.0, 120.0]), "a second pass replaces the first");
    Ok(())
}

#[test]
fn more_parts_than_an_operation_has_inputs_are_joined() -> Outcome {
    for count in [1, 16, 17, 40, 300] {
        let mut tape = Tape::<f64>::new();
        let parts: Vec<f64> = (0..count).map(f64::from).collect();
        let vars =
            parts.iter().map(|&x| tape.variable([1, 1], &[x])).collect::<Result<Vec<_>, _>>()?;
        let joined = tape.concat(&vars, 1)?;
        assert_eq!(tape.value(joined).data(), &parts);
        tape.backward_from(&[(joined, &parts)])?;
        for (&var, &x) in vars.iter().zip(&parts) {
            assert_eq!(gradient(&tape, var), Some(vec![x]), "{count} parts");
        }
    }
    Ok(())
}

#[test]
fn stale_variables_are_refused() -> Outcome {
    let (mut tape, mut other) = (Tape::<f32>::new(), Tape::<f32>::new());
    let old = tape.variable([1], &[1.0])?;
    tape.reset();
    let x = tape.variable([1], &[1.0])?;
    let foreign = other.variable([1], &[1.0])?;
    for stale in [old, foreign] {
        assert!(!tape.contains(stale));
        assert_eq!(tape.add(x, stale), Err(Error::StaleVar { operation: "add", position: 1 }));
        assert!(matches!(tape.scalar(stale), Err(Error::StaleVar { .. })));
        assert!(matches!(tape.backward(stale), Err(Error::StaleVar { .. })));
        assert!(matches!(tape.detach(stale), Err(Error::StaleVar { .. })));
        assert!(matches!(tape.concat(&[x, stale], 0), Err(Error::StaleVar { .. })));
        assert!(tape.dropout(stale, 0.0, vdn_tensor::noise::NoiseKey::new(0, 0, 0)).is_err());
    }
    assert_eq!(tape.scalar(x)?, 1.0, "a refused operation leaves the tape usable");
    Ok(())
}

#[test]
fn errors_name_the_operation_and_all_shapes() -> Outcome {
    let mut tape = Tape::<f32>::new();
    let mut of = |dims: &[usize]| {
        let shape = Shape::new(dims)?;
        tape.variable(shape, &vec![0.5; shape.numel()])
    };
    let (a, b, c, d) = (of(&[2, 3])?, of(&[4, 5])?, of(&[2, 4, 5])?, of(&[7])?);
    type Record = fn(&mut Tape<f32>, [Var; 4]) -> Result<Var, Error>;
    let cases: &[(Record, &[&str])] = &[
        (|t, [a, b, ..]| t.add(a, b), &["add", "[2, 3]", "[4, 5]"]),
        (|t, [a, b, ..]| t.sub(a, b), &["sub", "[2, 3]", "[4, 5]"]),
        (|t, [a, b, ..]| t.mul(a, b), &["mul", "[2, 3]", "[4, 5]"]),
        (|t, [a, b, ..]| t.div(a, b), &["div", "[2, 3]", "[4, 5]"]),
        (|t, [a, b, ..]| t.matmul(a, b, false, true), &["matmul", "[2, 3]", "[4, 5]", "true"]),
        (|t, [a, b, _, d]| t.affine(a, b, Some(d)), &["affine", "[2, 3]", "[4, 5]", "[7]"]),
        (
            |t, [_, b, c, d]| t.affine(c, b, Some(d)),
            &["affine", "[2, 4, 5]", "[4, 5]", "[7]", "[4]"],
        ),
        (|t, [a, b, _, d]| t.kl_gaussian(a, b, a, d), &["kl_gaussian", "[2, 3]", "[4, 5]", "[7]"]),
        (|t, [a, ..]| t.sum_axis(a, 2), &["sum_axis", "[2, 3]", "axis 2"]),
        (|t, [a, ..]| t.mean_axis(a, 2), &["mean_axis", "[2, 3]", "axis 2"]),
        (|t, [a, ..]| t.max_axis(a, 2), &["max_axis", "[2, 3]", "axis 2"]),
        (|t, [a, ..]| t.logsumexp(a, 2), &["logsumexp", "[2, 3]", "axis 2"]),
        (|t, [a, ..]| t.softmax_axis(a, 2), &["softmax", "[2, 3]", "axis 2"]),
        (|t, [a, b, ..]| t.concat(&[a, b], 1), &["concat", "[2, 3]", "[4, 5]", "axis 1"]),
        (|t, [a, ..]| t.slice_axis(a, 1, 2, 2), &["slice_axis", "[2, 3]", "axis 1"]),
        (|t, [a, ..]| t.reshape(a, [5]), &["reshape", "[2, 3]", "[5]"]),
        (|t, [a, ..]| t.broadcast_to(a, [2, 2]), &["broadcast_to", "[2, 3]", "[2, 2]"]),
        (|t, [a, b, _, d]| t.layer_norm(a, b, d, 1e-5), &["layer_norm", "[2, 3]", "[4, 5]", "[7]"]),
        (|t, [a, ..]| t.pool(a, 2, Pool::Mean), &["pool", "[2, 3]", "k = 2"]),
        (|t, [a, b, _, d]| t.gaussian_nll(a, b, d), &["gaussian_nll", "[2, 3]", "[4, 5]", "[7]"]),
        (
            |t, [a, b, c, _]| t.mixture_nll(c, a, b, Score::Joint),
            &["mixture_nll", "[2, 3]", "[4, 5]"],
        ),
        (|t, [a, ..]| t.clamp(a, 2.0, 1.0), &["clamp", "[2, 1]"]),
        (|t, [a, ..]| t.moving_average(a, 0), &["moving_average", "0"]),
        (|t, [a, ..]| t.autoregression(a, 1.0), &["autoregression", "in (-1, 1)"]),
        (|t, [a, ..]| t.backward(a).map(|()| a), &["backward", "[2, 3]"]),
        (|t, [a, ..]| t.backward_from(&[(a, &[1.0])]).map(|()| a), &["backward", "[2, 3]", "1"]),
        (|t, _| t.concat(&[], 0), &["concat"]),
        (|t, _| t.variable([2], &[1.0]), &["variable", "[2]", "1"]),
    ];
    let mut failures = Vec::new();
    for (case, (record, parts)) in cases.iter().enumerate() {
        let message = match record(&mut tape, [a, b, c, d]) {
            Ok(_) => "accepted".to_owned(),
            Err(error) => error.to_string(),
        };
        if message.contains('\n') || parts.iter().any(|part| !message.contains(part)) {
            failures.push(format!("case {case}: {message:?} lacks one of {parts:?}"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    Ok(())
}

#[test]
fn the_first_value_that_is_not_finite_is_named() -> Outcome {
    let mut tape = Tape::<f32>::new();
    for _ in 0..2 {
        tape.reset();
        tape.set_label("encoder");
        let mask = tape.constant([2], &[f32::NEG_INFINITY, 0.0])?;
        let x = tape.variable([2, 2], &[1.0, 2.0, -1.0, -3.0])?;
        assert_eq!(tape.first_non_finite(), None);
        let outer = tape.set_label("neuron");
        let y = tape.labelled("mu", |tape| {
            assert_eq!(tape.label(), "neuron.mu");
            tape.ln(x)
        })?;
        tape.restore_label(outer);
        assert_eq!(tape.label(), "encoder");
        tape.add(y, mask)?;
    }
    let found = tape.first_non_finite().expect("the logarithms of negative numbers are NaN");
    assert_eq!((found.operation, found.label.as_str(), found.output), ("ln", "neuron.mu", 0));
    assert_eq!((found.index.as_slice(), found.count), (&[1, 0][..], 2));
    let message = found.to_string();
    assert_eq!(
        message,
        "ln in neuron.mu: output 0 of shape [2, 2] is not finite at [1, 0] (2 in all)"
    );
    tape.reset();
    tape.constant([1], &[f32::NAN])?;
    assert_eq!(tape.first_non_finite().map(|found| found.operation), Some("constant"));
    Ok(())
}

/// Three outputs, one of them workspace: `x + 1`, the workspace `x`, `2 x`.
struct Several;
impl Op<f64> for Several {
    fn name(&self) -> &'static str {
        "several"
    }
    fn output_shapes(&self, inputs: &[&Shape], outputs: &mut Shapes) -> Result<(), ShapeError> {
        outputs.push(*inputs[0]);
        outputs.push_workspace(*inputs[0]);
        outputs.push(*inputs[0]);
        Ok(())
    }
    fn forward(&self, inputs: &[View<'_, f64>], outputs: &mut [ViewMut<'_, f64>]) {
        for (i, &x) in inputs[0].data().iter().enumerate() {
            outputs[0].data_mut()[i] = x + 1.0;
            outputs[1].data_mut()[i] = x;
            outputs[2].data_mut()[i] = 2.0 * x;
        }
    }
    fn backward(
        &self,
        inputs: &[View<'_, f64>],
        outputs: &[View<'_, f64>],
        d_outputs: &[Option<View<'_, f64>>],
        d_inputs: &mut [Option<ViewMut<'_, f64>>],
    ) {
        assert_eq!(outputs[1].data(), inputs[0].data(), "the workspace is kept");
        assert!(d_outputs[1].is_none(), "the workspace has no gradient");
        let Some(dx) = &mut d_inputs[0] else { return };
        for (i, dx) in dx.data_mut().iter_mut().enumerate() {
            let d = |output: usize| d_outputs[output].map_or(0.0, |d| d.data()[i]);
            *dx = d(0) + 2.0 * d(2);
        }
    }
}

#[test]
fn several_outputs_and_a_workspace() -> Outcome {
    let mut tape = Tape::<f64>::new();
    let x = tape.variable([2], &[1.0, 2.0])?;
    let outputs = tape.record(Several, &[x])?;
    assert_eq!((outputs.len(), outputs.get(3), outputs.single()), (3, None, outputs[0]));
    assert!(!tape.requires_grad(outputs[1]) && tape.requires_grad(outputs[2]));
    let last = tape.sum(outputs[2])?;
    tape.backward(last)?;
    assert_eq!(gradient(&tape, x), Some(vec![2.0, 2.0]), "one output without a gradient");
    let first = tape.sum(outputs[0])?;
    let both = tape.add(first, last)?;
    tape.backward(both)?;
    assert_eq!(gradient(&tape, x), Some(vec![3.0, 3.0]));
    Ok(())
}

#[test]
fn clamp_and_relu_at_their_kinks() -> Outcome {
    let mut tape = Tape::<f32>::new();
    let x = tape.variable([5], &[-2.0, -1.0, 0.0, 1.0, 2.0])?;
    let ones = [1.0; 5];
    for (y, want) in [
        (tape.clamp(x, -1.0, 1.0)?, [0.0, 1.0, 1.0, 1.0, 0.0]),
        (tape.min_scalar(x, 1.0)?, [1.0, 1.0, 1.0, 1.0, 0.0]),
        (tape.relu(x)?, [0.0, 0.0, 0.0, 1.0, 1.0]),
    ] {
        tape.backward_from(&[(y, &ones)])?;
        assert_eq!(gradient(&tape, x), Some(want.to_vec()));
    }
    let nan = tape.variable([1], &[f32::NAN])?;
    for y in [tape.clamp(nan, -1.0, 1.0)?, tape.min_scalar(nan, 1.0)?, tape.relu(nan)?] {
        assert!(tape.scalar(y)?.is_nan(), "NaN stays NaN");
    }
    Ok(())
}
