//! The jobs in vdn, with its tape, which is reset between steps.

use crate::{BATCH, ROWS, UNITS, median};
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;
use vdn_autograd::{Noise, SampleKl, Tape, Var};
use vdn_benches::products::reference_shape;
use vdn_benches::training::{Band, Training};
use vdn_benches::uniform;
use vdn_tensor::Tensor;
use vdn_tensor::noise::NoiseKey;

/// Measures the forward pass, forward and backward pass, and the training step.
pub fn run() -> [Duration; 3] {
    let inputs = [uniform(0, ROWS * UNITS, -2.0, 2.0), uniform(1, ROWS * UNITS, -1.0, 0.0)]
        .map(|x| Arc::new(Tensor::from_slice([ROWS, UNITS], &x).expect("the length fits")));
    let mut tape = Tape::new();
    let mut step = 0;
    let forward = median(|| {
        step += 1;
        black_box(record(&mut tape, &inputs, step, false));
    });
    let both = median(|| {
        step += 1;
        let [z, kl] = record(&mut tape, &inputs, step, true);
        let squares = tape.square(z).expect("a live variable");
        let squares = tape.sum(squares).expect("a live variable");
        let half = tape.scale(squares, 0.5).expect("a live variable");
        let kl = tape.sum(kl).expect("a live variable");
        let loss = tape.add(half, kl).expect("two scalars");
        tape.backward(loss).expect("a scalar");
    });
    let band = Band { limits: [0.2, 0.4], weight: 1.0 };
    let mut training = Training::new(reference_shape(), BATCH, Some(band));
    let step = median(|| {
        step += 1;
        training.step(step);
    });
    [forward, both, step]
}

/// Records the samples and the units' KL.
fn record(tape: &mut Tape<f32>, inputs: &[Arc<Tensor<f32>>; 2], step: u32, grad: bool) -> [Var; 2] {
    tape.reset();
    let [mu, logvar] = inputs.each_ref().map(|x| tape.shared(x, grad));
    let how = SampleKl::new(1, Noise::Addressed(NoiseKey::new(0, 0, step)));
    let units = tape.sample_kl(mu, logvar, how).expect("the shapes fit");
    let kl = tape.unit_kl(&units).expect("the statistics fit");
    [units.z, kl]
}
