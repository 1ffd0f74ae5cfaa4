//! Slices of one value add to one gradient: the result, and its cost.

use std::time::{Duration, Instant};
use vdn_autograd::{Error, Op, Shapes, Tape, Var};
use vdn_tensor::kernels::slice_axis;
use vdn_tensor::parallel::Pool;
use vdn_tensor::{Element, Shape, ShapeError, View, ViewMut};

/// The first element, with a backward pass that adds.
struct First;
impl<T: Element> Op<T> for First {
    fn name(&self) -> &'static str {
        "first"
    }
    fn output_shapes(&self, _: &[&Shape], outputs: &mut Shapes) -> Result<(), ShapeError> {
        outputs.push(Shape::SCALAR);
        Ok(())
    }
    fn forward(&self, inputs: &[View<'_, T>], outputs: &mut [ViewMut<'_, T>]) {
        outputs[0].data_mut()[0] = inputs[0].data()[0];
    }
    fn backward(
        &self,
        _inputs: &[View<'_, T>],
        _outputs: &[View<'_, T>],
        d_outputs: &[Option<View<'_, T>>],
        d_inputs: &mut [Option<ViewMut<'_, T>>],
    ) {
        let Some(d) = d_outputs[0].and_then(|d| d.item()) else { return };
        for d_input in d_inputs.iter_mut().flatten() {
            d_input.data_mut()[0] += d;
        }
    }
    fn adds_gradients(&self) -> bool {
        true
    }
}

#[test]
fn an_operation_outside_may_add_and_take_a_variable_twice() -> Result<(), Error> {
    let mut tape = Tape::<f64>::new();
    let x = tape.variable([3], &[1.0, 2.0, 3.0])?;
    let both = tape.record_single(First, &[x, x])?;
    let squares = tape.square(x)?;
    let rest = tape.sum(squares)?;
    let again = tape.record_single(First, &[x])?;
    for _ in 0..2 {
        // A second pass starts from zeros again. Weights 10, 100, 1 of `both`, `rest`, `again`.
        tape.backward_from(&[(both, &[10.0]), (rest, &[100.0]), (again, &[1.0])])?;
        let gradient = tape.gradient(x).map(|g| g.data().to_vec());
        assert_eq!(gradient, Some(vec![20.0 + 200.0 + 1.0, 400.0, 600.0]));
    }
    Ok(())
}

#[test]
fn wrong_cuts_are_refused() -> Result<(), Error> {
    let mut tape = Tape::<f64>::new();
    let x = tape.variable([2, 3], &[0.0; 6])?;
    let errors = [
        tape.select(x, 1, 3).unwrap_err(),
        tape.select(x, 2, 0).unwrap_err(),
        tape.split(x, 1, &[1, 1]).unwrap_err(),
        tape.split(x, 1, &[usize::MAX, 4]).unwrap_err(),
        tape.unbind(x, 2).unwrap_err(),
    ];
    for (error, name) in errors.iter().zip(["slice_axis", "slice_axis", "split", "split", "unbind"])
    {
        let text = error.to_string();
        assert!(text.starts_with(name) && text.contains("[2, 3]"), "{text}");
    }
    Ok(())
}

/// A slice whose backward pass overwrites the gradient of the whole source, as operations do by
/// default. It is the reference for results and times.
struct Overwriting {
    axis: usize,
    start: usize,
    len: usize,
}
impl<T: Element> Op<T> for Overwriting {
    fn name(&self) -> &'static str {
        "overwriting"
    }
    fn output_shapes(&self, inputs: &[&Shape], outputs: &mut Shapes) -> Result<(), ShapeError> {
        let mut dims = inputs[0].dims().to_vec();
        dims[self.axis] = self.len;
        outputs.push(Shape::new(&dims)?);
        Ok(())
    }
    fn forward(&self, inputs: &[View<'_, T>], outputs: &mut [ViewMut<'_, T>]) {
        let around = inputs[0].shape().around(self.axis).expect("an axis");
        slice_axis(inputs[0].data(), around, self.start, self.len, outputs[0].data_mut());
    }
    fn backward(
        &self,
        inputs: &[View<'_, T>],
        _outputs: &[View<'_, T>],
        d_outputs: &[Option<View<'_, T>>],
        d_inputs: &mut [Option<ViewMut<'_, T>>],
    ) {
        let (Some(dy), Some(dx)) = (d_outputs[0], &mut d_inputs[0]) else { return };
        let (_, n, inner) = inputs[0].shape().around(self.axis).expect("an axis");
        dx.data_mut().fill(T::ZERO);
        let runs = dy.data().chunks_exact(self.len * inner);
        for (dx, dy) in dx.data_mut().chunks_exact_mut(n * inner).zip(runs) {
            dx[self.start * inner..][..self.len * inner].copy_from_slice(dy);
        }
    }
}

const BATCH: usize = 8;
const UNITS: usize = 16;

/// Cuts a projected sequence `[batch, steps, channels]` into its steps, by [`Tape::slice_axis`] or
/// by the reference, runs a gated recurrence over them, and returns the gradient of the sequence.
fn recurrence<T: Element>(
    tape: &mut Tape<T>,
    steps: usize,
    oracle: bool,
) -> Result<Option<View<'_, T>>, Error> {
    tape.reset();
    let shape = Shape::from([BATCH, steps, 2 * UNITS]);
    let x: Vec<T> =
        (0..shape.numel()).map(|i| T::from_f64(((i * 37 % 101) as f64 - 50.0) / 50.0)).collect();
    let x = tape.variable(shape, &x)?;
    let cut = |tape: &mut Tape<T>, t, channel| -> Result<Var, Error> {
        let now = match oracle {
            true => tape.record_single(Overwriting { axis: 1, start: t, len: 1 }, &[x])?,
            false => tape.slice_axis(x, 1, t, 1)?,
        };
        let part = tape.slice_axis(now, 2, channel, UNITS)?;
        tape.reshape(part, [BATCH, UNITS])
    };
    let mut state = tape.constant([BATCH, UNITS], &[T::ZERO; BATCH * UNITS])?;
    for t in 0..steps {
        let (gate, new) = (cut(tape, t, 0)?, cut(tape, t, UNITS)?);
        let (gate, new) = (tape.sigmoid(gate)?, tape.tanh(new)?);
        let change = tape.sub(new, state)?;
        let change = tape.mul(gate, change)?;
        state = tape.add(state, change)?;
    }
    let loss = tape.mean(state)?;
    tape.backward(loss)?;
    Ok(tape.gradient(x))
}

#[test]
fn gradients_are_those_of_slices_that_overwrite_for_any_number_of_threads() -> Result<(), Error> {
    let run = |threads, oracle| {
        let pool = Pool::new(threads).expect("threads");
        pool.run(|| -> Result<Vec<f32>, Error> {
            let mut tape = Tape::<f32>::new();
            let gradient = recurrence(&mut tape, 40, oracle)?;
            Ok(gradient.map(|g| g.data().to_vec()).unwrap_or_default())
        })
    };
    let want = run(1, true)?;
    assert!(
        want.len() == 40 * BATCH * 2 * UNITS && want.iter().filter(|&&d| d != 0.0).count() > 99
    );
    for threads in [1, 4] {
        assert!(run(threads, false)? == want, "{threads} threads");
    }
    Ok(())
}

/// Counts the elements of a gradient that the backward passes of all slices write.
///
/// Every element of the gradient starts as -0, the gradient of a negation whose own gradient is 0.
/// A slice whose gradient is 0 adds 0 to the elements that it writes. They become 0, because -0 + 0
/// is 0; all other elements stay -0.
fn written(steps: usize, oracle: bool) -> Result<usize, Error> {
    let numel = BATCH * steps * UNITS;
    let mut tape = Tape::<f64>::new();
    let x = tape.variable([BATCH, steps, UNITS], &vec![1.0; numel])?;
    let cut = |tape: &mut Tape<f64>, start| match oracle {
        true => tape.record_single(Overwriting { axis: 1, start, len: 1 }, &[x]),
        false => tape.slice_axis(x, 1, start, 1),
    };
    let slices = (0..steps).map(|t| cut(&mut tape, t)).collect::<Result<Vec<_>, _>>()?;
    // The negation is recorded last, so that its backward pass runs first.
    let negated = tape.neg(x)?;
    let zeros = vec![0.0; numel];
    let mut count = 0;
    for slice in slices {
        let of_slice = &zeros[..BATCH * UNITS];
        tape.backward_from(&[(negated, &zeros), (slice, of_slice)])?;
        let gradient = tape.gradient(x).expect("a gradient");
        assert!(gradient.data().iter().all(|d| *d == 0.0));
        count += gradient.data().iter().filter(|d| d.is_sign_positive()).count();
    }
    Ok(count)
}

#[test]
fn what_the_backward_pass_writes_is_linear_in_the_steps() -> Result<(), Error> {
    for steps in [8, 32] {
        let numel = BATCH * steps * UNITS;
        assert_eq!(written(steps, false)?, numel, "{steps} steps");
        // The oracle writes the whole gradient for every slice; this shows that the count would
        // notice it.
        assert_eq!(written(steps, true)?, numel * steps, "{steps} steps, overwriting");
    }
    Ok(())
}

/// Run with `cargo test --release -p vdn-autograd --test all slices -- --ignored --nocapture`
/// (seconds, an idle machine).
#[test]
#[ignore = "times the machine; the command stands beside it"]
fn the_time_is_linear_in_the_steps() -> Result<(), Error> {
    let pool = Pool::new(1).expect("a thread");
    let mut seconds = Vec::new();
    for oracle in [true, false] {
        for steps in [64, 128, 256] {
            let mut tape = Tape::<f32>::new();
            let mut least = Duration::MAX;
            for _ in 0..50 {
                let start = Instant::now();
                pool.run(|| recurrence(&mut tape, steps, oracle).map(drop))?;
                least = least.min(start.elapsed());
            }
            let kind = if oracle { "overwriting" } else { "adding" };
            println!("{kind}, {steps} steps: {:.2} ms", 1e3 * least.as_secs_f64());
            seconds.push(least.as_secs_f64());
        }
    }
    // Linear gives 4 from 64 to 256 steps, quadratic 16.
    assert!(seconds[5] < 8.0 * seconds[3], "{seconds:?}");
    Ok(())
}
