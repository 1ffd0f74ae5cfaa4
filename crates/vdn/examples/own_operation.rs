//! Your own operation: the quantile loss, with the forward and the backward pass in one type. The
//! example checks its gradient, then fits a line with nine of ten values below it.
//!
//! Run with `cargo run --release -p vdn --example own_operation`.

use vdn::autograd::{Error, Op, Shapes, check_gradients};
use vdn::prelude::*;
use vdn::tensor::kernels::{Formula, map};
use vdn::tensor::{Real, ShapeError, ViewMut};

/// The quantile loss `l(e) = max(tau e, (tau - 1) e)` with `e = y - prediction`. Its mean is
/// smallest at the quantile `tau` (Koenker and Bassett 1978). An operation holds its settings;
/// tensors are its inputs.
struct Pinball {
    tau: f64,
}

/// The formula. Formulas over [`Real`] run on SIMD lanes of any level, in both precisions.
struct Value(f64);
impl Formula<2, 1> for Value {
    #[inline(always)]
    fn apply<R: Real>(&self, [prediction, y]: [R; 2]) -> [R; 1] {
        let error = y - prediction;
        [(error * error.lit(self.0)).max(error * error.lit(self.0 - 1.0))]
    }
}

/// The gradient with respect to the prediction, or with respect to `y` if `sign` is -1.
struct Pull {
    tau: f64,
    sign: f64,
}
impl Formula<3, 1> for Pull {
    #[inline(always)]
    fn apply<R: Real>(&self, [prediction, y, d]: [R; 3]) -> [R; 1] {
        let (above, below) = (d.lit(-self.tau * self.sign), d.lit((1.0 - self.tau) * self.sign));
        [d * R::select(prediction.lt(y), above, below)]
    }
}

impl<T: Element> Op<T> for Pinball {
    fn name(&self) -> &'static str {
        "pinball" // the name in errors, reports and profiles
    }
    fn output_shapes(&self, inputs: &[&Shape], outputs: &mut Shapes) -> Result<(), ShapeError> {
        if inputs.len() != 2 || inputs[0] != inputs[1] {
            return Err(ShapeError::new("pinball", inputs, "needs two inputs of one shape"));
        }
        outputs.push(*inputs[0]);
        Ok(())
    }
    fn forward(&self, inputs: &[View<'_, T>], outputs: &mut [ViewMut<'_, T>]) {
        map(&Value(self.tau), [inputs[0].data(), inputs[1].data()], [outputs[0].data_mut()]);
    }
    fn backward(
        &self,
        inputs: &[View<'_, T>],
        _outputs: &[View<'_, T>],
        d_outputs: &[Option<View<'_, T>>],
        d_inputs: &mut [Option<ViewMut<'_, T>>],
    ) {
        let Some(d) = d_outputs[0] else { return };
        for (d_input, sign) in d_inputs.iter_mut().zip([1.0, -1.0]) {
            // `None` means that no gradient is needed. A gradient overwrites its buffer; the tape
            // adds up all uses of the input.
            let Some(d_input) = d_input else { continue };
            let sources = [inputs[0].data(), inputs[1].data(), d.data()];
            map(&Pull { tau: self.tau, sign }, sources, [d_input.data_mut()]);
        }
    }
}

fn pinball<T: Element>(tape: &mut Tape<T>, tau: f64, x: Var, y: Var) -> Result<Var, Error> {
    let losses = tape.record_single(Pinball { tau }, &[x, y])?;
    tape.mean(losses)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Compares the gradient with finite differences, in double precision.
    let [x, y] = [[0.1, -2.0, 3.0], [1.0, 1.0, 1.0]].map(|data| Tensor::from_slice([3], &data));
    let report = check_gradients(&[x?, y?], |tape, v| pinball(tape, 0.9, v[0], v[1]))?;
    println!("{report}");
    assert!(report.passed());

    // y = x + noise; the 0.9 quantile is 1.28 standard deviations of the noise above x.
    let rows = 4000;
    let mut inputs = vec![0.0_f32; rows];
    let mut targets = inputs.clone();
    NoiseKey::new(1, 0, 0).fill_normal(0, &mut inputs);
    NoiseKey::new(1, 1, 0).fill_normal(0, &mut targets);
    targets.iter_mut().zip(&inputs).for_each(|(y, x)| *y += x);

    let mut parameters = Parameters::new();
    let line = Linear::new(&mut Builder::new(&mut parameters, 0), "line", 1, 1);
    let mut optimizer = AdamW::new(&parameters, AdamWConfig::default())?;
    let (mut tape, mut bindings) = (Tape::new(), Bindings::new());
    for step in 0..400 {
        tape.reset();
        let noise = NoiseKey::new(0, 0, step);
        let mut graph = Graph::new(&mut tape, &parameters, &mut bindings, Mode::Train, noise);
        let x = graph.tape.constant([rows, 1], &inputs)?;
        let said = line.forward(&mut graph, x)?;
        let y = tape.constant([rows, 1], &targets)?;
        let loss = pinball(&mut tape, 0.9, said, y)?;
        optimizer.minimize(loss, &mut tape, &bindings, &mut parameters, 0.02)?;
    }
    let [slope, shift] =
        [line.weight(), line.bias()].map(|id| parameters.get(id).tensor().data()[0]);
    let below = inputs.iter().zip(&targets).filter(|(x, y)| **y < slope * **x + shift).count();
    println!("y < {slope:.2} x + {shift:.2} in {below} of {rows} rows");
    assert!((below as f64 / rows as f64 - 0.9).abs() < 0.01 && (slope - 1.0).abs() < 0.1);
    Ok(())
}
