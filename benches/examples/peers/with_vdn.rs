//! The jobs in vdn, with its tape, which is reset between steps.

use crate::Failure;
use crate::jobs::{
    BACKWARD, BATCH, FEATURES, LAYERS, NORMAL_JOB, NORMALS, ROWS, SMALL_BATCH, SMALL_JOB, STEP_JOB,
    backward, forward, products,
};
use crate::tasks::regression::Regression;
use crate::tasks::{Learner, Order};
use crate::timing::Jobs;
use std::hint::black_box;
use std::sync::Arc;
use vdn::prelude::*;
use vdn_benches::products::{Product, reference_shape};
use vdn_benches::training::{Band, Training};
use vdn_benches::uniform;

/// Adds all jobs.
pub(crate) fn add(jobs: &mut Jobs<'_>) -> Result<(), Failure> {
    for shape in LAYERS {
        unit_forward(jobs, shape)?;
    }
    unit_backward(jobs)?;
    let mut normals = vec![0.0_f32; NORMALS];
    let mut step = 0;
    jobs.add(NORMAL_JOB, move || {
        step += 1;
        NoiseKey::new(1, 0, step).fill_normal(0, black_box(&mut normals));
    });
    for product in products() {
        let (a, b) = (product.transposed_a, product.transposed_b);
        let mut stored = Product::<f32>::new(product.shape, a, b);
        jobs.add(&product.name(), move || black_box(&mut stored).run());
    }
    let band = Band { limits: [0.2, 0.4], weight: 1.0 };
    let mut training = Training::new(reference_shape(), BATCH, Some(band));
    jobs.add(STEP_JOB, move || {
        step += 1;
        training.step(step);
    });
    small_step(jobs)
}

fn inputs([rows, units]: [usize; 2]) -> Result<[Arc<Tensor<f32>>; 2], Failure> {
    let mu = uniform(0, rows * units, -2.0, 2.0);
    let logvar = uniform(1, rows * units, -1.0, 0.0);
    let tensor = |x: &[f32]| Tensor::from_slice([rows, units], x).map(Arc::new);
    Ok([tensor(&mu)?, tensor(&logvar)?])
}

fn unit_forward(jobs: &mut Jobs<'_>, shape: [usize; 2]) -> Result<(), Failure> {
    let (inputs, mut tape, mut step) = (inputs(shape)?, Tape::new(), 0);
    jobs.add(&forward(shape), move || {
        step += 1;
        black_box(record(&mut tape, &inputs, step, false));
    });
    Ok(())
}

fn unit_backward(jobs: &mut Jobs<'_>) -> Result<(), Failure> {
    let (inputs, mut tape, mut step) = (inputs(BACKWARD)?, Tape::new(), 0);
    jobs.add(&backward(), move || {
        step += 1;
        let [z, kl] = record(&mut tape, &inputs, step, true);
        let squares = tape.square(z).expect("a live variable");
        let squares = tape.sum(squares).expect("a live variable");
        let half = tape.scale(squares, 0.5).expect("a live variable");
        let kl = tape.sum(kl).expect("a live variable");
        let loss = tape.add(half, kl).expect("two scalars");
        tape.backward(loss).expect("a scalar");
    });
    Ok(())
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

fn small_step(jobs: &mut Jobs<'_>) -> Result<(), Failure> {
    let (x, y) = (uniform(0, ROWS * FEATURES, -1.5, 1.5), uniform(1, ROWS, -1.5, 1.5));
    let mut learner = Learner::new(0, |builder| Regression::new(builder, FEATURES))?;
    let mut order = Order::new(ROWS, SMALL_BATCH, 0);
    jobs.add(SMALL_JOB, move || {
        let step = learner.epoch(order.next_batch(), SMALL_BATCH, [&x, &y]);
        step.expect("the shapes fit");
    });
    Ok(())
}
