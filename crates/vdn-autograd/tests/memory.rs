//! A training step that repeats the previous graph allocates nothing, and memory does not grow.

use std::sync::Arc;
use vdn_autograd::{Error, LowRankNll, ObservationFamily, Pool, Score, Tape, Var};
use vdn_tensor::noise::NoiseKey;
use vdn_tensor::parallel;
use vdn_tensor::{Element, Tensor};

/// Counts the allocations of all threads, so this file may contain only one test.
#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

fn allocations() -> u64 {
    dhat::HeapStats::get().total_blocks
}

fn tensor<T: Element>(dims: &[usize], stream: u32) -> Arc<Tensor<T>> {
    let shape = vdn_tensor::Shape::new(dims).expect("a small shape");
    let mut tensor = Tensor::zeros(shape);
    NoiseKey::new(5, stream, 0).fill_normal(0, tensor.data_mut());
    Arc::new(tensor)
}

/// A step with every kind of record: leaves, aliases, labels, broadcasting, several outputs, the
/// fused losses.
fn step<T: Element>(
    tape: &mut Tape<T>,
    weights: &[Arc<Tensor<T>>; 3],
    batch: usize,
    index: u32,
) -> Result<T, Error> {
    tape.reset();
    tape.set_label("encoder");
    let x = tape.constant_with([batch, 32], |x| NoiseKey::new(1, 0, index).fill_normal(0, x))?;
    let [w, scale, bias] = [0, 1, 2].map(|i| tape.shared(&weights[i], true));
    let trend = tape.moving_average(x, 5)?;
    let rest = tape.sub(x, trend)?;
    let hidden = tape.labelled("linear", |tape| tape.affine(rest, w, None))?;
    let hidden = tape.layer_norm(hidden, scale, bias, 1e-5)?;
    let hidden = tape.gelu(hidden)?;
    let hidden = tape.dropout(hidden, 0.1, NoiseKey::new(2, 0, index))?;
    let joined = tape.concat(&[hidden, hidden], 1)?;
    let pooled = tape.pool(joined, 2, Pool::Mean)?;
    let samples = tape.reshape(pooled, [2, batch / 2, 32])?;
    let sigma = tape.softplus(bias)?;
    let y = tape.no_grad(|tape| tape.slice_axis(x, 0, 0, batch / 2))?;
    let nll = tape.mixture_nll(samples, sigma, y, Score::Marginal)?;
    let zero = tape.constant([], &[T::ZERO])?;
    let kl = tape.kl_gaussian(hidden, scale, zero, zero)?;
    let kl = tape.mean(kl)?;
    let mean = tape.mean_axis(samples, 0)?;
    let scales = tape.exp(mean)?;
    let whole = tape.low_rank_nll(mean, scales, w, sigma, y, LowRankNll::default())?.nll;
    let loss = tape.add(nll, kl)?;
    let loss = tape.add(loss, whole)?;
    let others = newer(tape, pooled, rest)?;
    let loss = tape.add(loss, others)?;
    tape.backward(loss)?;
    tape.scalar(loss)
}

/// Records classes, counts, masks, cuts and other operations of further kinds of networks, on
/// inputs of shape `[batch, 32]`.
fn newer<T: Element>(tape: &mut Tape<T>, x: Var, other: Var) -> Result<Var, Error> {
    let batch = tape.shape(other).dims()[0];
    let x = tape.reshape(x, [batch, 32])?;
    let mut all = [x; 16];
    let classes = tape.constant_with([batch], |to| {
        to.iter_mut().enumerate().for_each(|(i, to)| *to = T::from_f64((i * 7 % 32) as f64));
    })?;
    let mask = tape.constant_with([batch, 32], |to| {
        to.iter_mut().enumerate().for_each(|(i, to)| *to = T::from_f64((i % 2) as f64));
    })?;
    let magnitude = tape.abs(other)?;
    let scale = tape.add_scalar(magnitude, T::ONE)?;
    all[0] = tape.log_softmax(x, 1)?;
    all[1] = tape.cross_entropy_smoothed(x, classes, 0.1)?;
    all[2] = tape.bernoulli_nll(x, mask)?;
    all[3] = tape.poisson_nll(x, mask)?;
    all[4] = tape.negative_binomial_nll(x, other, mask)?;
    all[5] = tape.laplace_nll(x, scale, other)?;
    all[6] = tape.student_t_nll(x, scale, scale, other)?;
    all[7] = tape.log_density(ObservationFamily::Gaussian, x, other, mask)?;
    all[8] = tape.where_mask(mask, x, other)?;
    all[9] = tape.pow(scale, 1.5)?;
    all[10] = tape.var_axis(x, 1)?;
    all[11] = tape.cumsum(x, 0)?;
    // Takes each row of the first half twice.
    let twice = tape.constant_with([batch], |to| {
        to.iter_mut().enumerate().for_each(|(i, to)| *to = T::from_f64((i / 2) as f64));
    })?;
    let rows = tape.gather(x, twice)?;
    let pairs = tape.reshape(rows, [2, batch / 2, 32])?;
    let turned = tape.permute(pairs, &[0, 2, 1])?;
    all[12] = tape.batch_matmul(pairs, turned, false, false)?;
    let step = tape.select(pairs, 0, 1)?;
    all[13] = tape.max_axis(step, 1)?;
    let log_p = tape.negative_binomial_log_prob(x, other, mask)?;
    let log_p = tape.reshape(log_p, [2, batch / 2, 32])?;
    all[14] = tape.mixture_of(log_p, Score::Joint)?;
    all[15] = tape.class_log_prob(x, classes)?;
    let mut loss = tape.mean(all[0])?;
    for &part in &all[1..] {
        let part = tape.mean(part)?;
        loss = tape.add(loss, part)?;
    }
    Ok(loss)
}

fn steady<T: Element>() {
    let weights = [tensor::<T>(&[32, 32], 0), tensor(&[32], 1), tensor(&[32], 2)];
    let mut tape = Tape::new();
    // One thread: the working memory of kernels belongs to threads, and the scheduler decides which
    // thread first runs which kernel.
    let pool = parallel::Pool::new(1).expect("one thread");
    pool.run(|| {
        for index in 0..2 {
            step(&mut tape, &weights, 64, index).expect("a valid graph");
        }
        let memory = tape.memory();
        // The thread of the test harness allocates, too: a few blocks, once, after it has started a
        // test. Allocations of steps appear in every window of steps, those of the harness do not.
        let mut window = |first: u32| {
            let before = allocations();
            for index in first..first + 48 {
                step(&mut tape, &weights, 64, index).expect("a valid graph");
            }
            allocations() - before
        };
        let counts: [u64; 4] = [2, 50, 98, 146].map(&mut window);
        assert!(counts.contains(&0), "{}: allocations in 48 steps each: {counts:?}", T::NAME);
        assert_eq!(tape.memory(), memory, "{}", T::NAME);
    });
}

#[test]
fn a_repeated_step_allocates_nothing_and_memory_is_constant_over_changing_graphs() {
    let _profiler = dhat::Profiler::builder().testing().build();
    let before = allocations();
    let boxed = std::hint::black_box(Box::new(1));
    assert_eq!(allocations() - before, 1, "the count sees an allocation: {boxed}");

    steady::<f32>();
    steady::<f64>();
    changing().expect("valid graphs");
}

/// Steps of four sizes in turn: memory stays at the size of the first rounds.
fn changing() -> Result<(), Error> {
    let weights = [tensor::<f32>(&[32, 32], 0), tensor(&[32], 1), tensor(&[32], 2)];
    let mut tape = Tape::new();
    let batches = [8, 64, 2, 32];
    for (index, &batch) in batches.iter().cycle().take(8).enumerate() {
        step(&mut tape, &weights, batch, index as u32)?;
    }
    let memory = tape.memory();
    for (index, &batch) in batches.iter().cycle().take(1000).enumerate() {
        step(&mut tape, &weights, batch, index as u32)?;
    }
    assert_eq!(tape.memory(), memory);
    Ok(())
}
