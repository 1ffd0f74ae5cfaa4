//! Defines an operation outside the library, the Huber loss, with forward and backward pass in one
//! type.
//!
//! `h(e) = e^2 / 2` for `|e| <= delta`, and `delta (|e| - delta / 2)` beyond; the slope is `e`
//! limited to `[-delta, delta]`. Source: Huber, "Robust Estimation of a Location Parameter" (1964).
//!
//! Run with `cargo run -p vdn-autograd --example custom_op`.

use vdn_autograd::{Error, Op, Shapes, Tape, Var, check_gradients};
use vdn_tensor::kernels::{Formula, map};
use vdn_tensor::{Element, Real, Shape, ShapeError, Tensor, View, ViewMut};

/// The operation holds its parameters; tensors are its inputs.
struct Huber {
    delta: f64,
}

/// Value and slope are formulas over [`Real`], which [`map`] runs on SIMD lanes and on all threads.
struct Value(f64);
impl Formula<2, 1> for Value {
    #[inline(always)]
    fn apply<R: Real>(&self, [x, y]: [R; 2]) -> [R; 1] {
        let (error, delta) = ((x - y).abs(), x.lit(self.0));
        let (square, linear) = (error * error * x.lit(0.5), delta * (error - delta * x.lit(0.5)));
        [R::select(error.le(delta), square, linear)]
    }
}

/// The gradient with respect to `x` or, with a sign of -1, to `y`.
struct Pull {
    delta: f64,
    sign: f64,
}
impl Formula<3, 1> for Pull {
    #[inline(always)]
    fn apply<R: Real>(&self, [x, y, d_output]: [R; 3]) -> [R; 1] {
        let slope = (x - y).clamp(x.lit(-self.delta), x.lit(self.delta));
        [d_output * slope * x.lit(self.sign)]
    }
}

impl<T: Element> Op<T> for Huber {
    fn name(&self) -> &'static str {
        "huber"
    }

    fn output_shapes(&self, inputs: &[&Shape], outputs: &mut Shapes) -> Result<(), ShapeError> {
        if inputs.len() != 2 || inputs[0] != inputs[1] {
            return Err(ShapeError::new("huber", inputs, "needs two inputs of one shape"));
        }
        outputs.push(*inputs[0]);
        Ok(())
    }

    fn forward(&self, inputs: &[View<'_, T>], outputs: &mut [ViewMut<'_, T>]) {
        let inputs = [inputs[0].data(), inputs[1].data()];
        map(&Value(self.delta), inputs, [outputs[0].data_mut()]);
    }

    fn backward(
        &self,
        inputs: &[View<'_, T>],
        _outputs: &[View<'_, T>],
        d_outputs: &[Option<View<'_, T>>],
        d_inputs: &mut [Option<ViewMut<'_, T>>],
    ) {
        let Some(d_output) = d_outputs[0] else { return };
        for (d_input, sign) in d_inputs.iter_mut().zip([1.0, -1.0]) {
            // The slice is overwritten, not added to; `None` means that no gradient is needed.
            if let Some(d_input) = d_input {
                let sources = [inputs[0].data(), inputs[1].data(), d_output.data()];
                map(&Pull { delta: self.delta, sign }, sources, [d_input.data_mut()]);
            }
        }
    }
}

fn huber<T: Element>(tape: &mut Tape<T>, x: Var, y: Var, delta: f64) -> Result<Var, Error> {
    tape.record_single(Huber { delta }, &[x, y])
}

fn main() -> Result<(), Error> {
    let mut tape = Tape::<f32>::new();
    let x = tape.variable([4], &[0.0, 1.0, 2.0, 30.0])?;
    let y = tape.constant([4], &[0.5, 0.5, 0.5, 0.5])?;
    let errors = huber(&mut tape, x, y, 1.0)?;
    let loss = tape.mean(errors)?;
    tape.backward(loss)?;
    println!("loss {}", tape.scalar(loss)?);
    println!("gradient {:?}", tape.gradient(x).map(|g| g.data().to_vec()));

    // The same code in f64, against finite differences.
    let x = Tensor::from_slice([4], &[0.0, 1.0, 2.0, 30.0])?;
    let y = Tensor::from_slice([4], &[0.5, 0.6, 0.7, 0.8])?;
    let report = check_gradients(&[x, y], |tape, vars| huber(tape, vars[0], vars[1], 1.0))?;
    println!("{report}");
    assert!(report.passed());
    Ok(())
}
