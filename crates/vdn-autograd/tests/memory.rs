//! A training step that repeats the graph of the last one allocates nothing, and memory does not grow.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Arc;
use vdn_autograd::{Error, Pool, Score, Tape};
use vdn_tensor::noise::NoiseKey;
use vdn_tensor::parallel;
use vdn_tensor::{Element, Tensor};

/// The system's allocator, counting the calls of the thread they come from.
struct Counting;

thread_local! {
    static CALLS: Cell<usize> = const { Cell::new(0) };
}

fn count() {
    // The thread-local may be gone while a thread ends; nothing is measured then.
    let _ = CALLS.try_with(|calls| calls.set(calls.get() + 1));
}

// SAFETY: every call is passed on unchanged to the system's allocator, which keeps the contract.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's contract.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's contract; the memory came from `System`.
        unsafe { System.dealloc(pointer, layout) }
    }
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: the caller's contract; the memory came from `System`.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn tensor<T: Element>(dims: &[usize], stream: u32) -> Arc<Tensor<T>> {
    let shape = vdn_tensor::Shape::new(dims).expect("a small shape");
    let mut tensor = Tensor::zeros(shape);
    NoiseKey::new(5, stream, 0).fill_normal(0, tensor.data_mut());
    Arc::new(tensor)
}

/// A step with every kind of record: leaves, aliases, labels, broadcasting, several outputs, the fused losses.
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
    let loss = tape.add(nll, kl)?;
    tape.backward(loss)?;
    tape.scalar(loss)
}

fn steady<T: Element>() {
    let weights = [tensor::<T>(&[32, 32], 0), tensor(&[32], 1), tensor(&[32], 2)];
    let mut tape = Tape::new();
    // One thread: the working memory of kernels belongs to threads, and which thread meets which kernel for the first
    // time is up to the scheduler.
    let pool = parallel::Pool::new(1).expect("one thread");
    pool.run(|| {
        for index in 0..2 {
            step(&mut tape, &weights, 64, index).expect("a valid graph");
        }
        let (memory, before) = (tape.memory(), CALLS.get());
        for index in 2..50 {
            step(&mut tape, &weights, 64, index).expect("a valid graph");
        }
        assert_eq!(CALLS.get() - before, 0, "{}: allocations in 48 steps", T::NAME);
        assert_eq!(tape.memory(), memory, "{}", T::NAME);
    });
}

#[test]
fn a_repeated_step_allocates_nothing() {
    steady::<f32>();
    steady::<f64>();
}

#[test]
fn the_count_sees_allocations() {
    let before = CALLS.get();
    let boxed = std::hint::black_box(Box::new(1));
    assert_eq!(CALLS.get() - before, 1, "{boxed}");
}

#[test]
fn memory_is_constant_over_many_resets_of_changing_graphs() -> Result<(), Error> {
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
