//! A training step in steady state allocates nothing, on all threads of the trainer's pool, and memory does not grow:
//! forward pass, backward pass and optimiser of the whole forecaster.
//!
//! One test alone counts, so that nothing else allocates meanwhile; the others of this file are ignored by default.

use vdn_autograd::Tape;
use vdn_model::{Batch, Bindings, Forecaster, ForecasterConfig, Graph, Mode, Parameters};
use vdn_tensor::noise::NoiseKey;
use vdn_tensor::parallel::Pool;
use vdn_train::{AdamW, AdamWConfig};

/// Counts the allocations of every thread.
#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

type Failure = Box<dyn std::error::Error + Send + Sync>;

struct Training {
    model: Forecaster,
    parameters: Parameters<f32>,
    optimizer: AdamW<f32>,
    tape: Tape<f32>,
    bindings: Bindings,
    windows: [Vec<f32>; 3],
    step: u32,
}

impl Training {
    fn new(config: ForecasterConfig, batch: usize) -> Result<Self, Failure> {
        let (model, parameters) = Forecaster::new::<f32>(config, 0)?;
        let optimizer = AdamW::new(AdamWConfig::default(), &parameters)?;
        let lengths = [config.input_len, config.input_len, config.horizon];
        let mut stream = 0;
        let windows = lengths.map(|length| {
            let mut numbers = vec![0.0; batch * length];
            stream += 1;
            NoiseKey::new(0, stream, 0).fill_normal(0, &mut numbers);
            numbers
        });
        let (tape, bindings) = (Tape::new(), Bindings::new());
        Ok(Self { model, parameters, optimizer, tape, bindings, windows, step: 0 })
    }

    fn step(&mut self) -> Result<f32, Failure> {
        let Self { model, parameters, optimizer, tape, bindings, windows, step } = self;
        tape.reset();
        let [current, previous, target] = &*windows;
        let batch = Batch { current, previous, target };
        let key = NoiseKey::new(1, 0, *step);
        let mut graph = Graph::new(tape, parameters, bindings, Mode::Train, key);
        let loss = model.loss(&mut graph, &batch)?.loss;
        let value = tape.scalar(loss)?;
        tape.backward(loss)?;
        tape.release_shared();
        let gradients = (0..parameters.len()).map(|i| {
            let gradient = tape.gradient(bindings.get(i)?);
            gradient.map(|g| g.data())
        });
        optimizer.step(parameters, 1e-3, gradients)?;
        *step += 1;
        Ok(value)
    }
}

fn small() -> ForecasterConfig {
    ForecasterConfig {
        input_len: 24,
        horizon: 8,
        hidden: 16,
        units: 24,
        head_hidden: 16,
        ..ForecasterConfig::default()
    }
}

/// Steps whose allocations are counted together.
const WINDOW: usize = 50;
/// Windows until the steady state has to be there. The working memory of kernels belongs to threads, and which thread
/// meets which kernel for the first time is up to the scheduler.
const PATIENCE: usize = 40;

#[test]
fn a_training_step_allocates_nothing_on_any_thread() -> Result<(), Failure> {
    let _profiler = dhat::Profiler::builder().testing().build();
    let blocks = || dhat::HeapStats::get().total_blocks;
    let before = blocks();
    drop(std::hint::black_box(Box::new(1)));
    assert_eq!(blocks() - before, 1, "the count sees an allocation");

    // Large enough that every kernel is cut into several tasks.
    let config = ForecasterConfig {
        input_len: 96,
        horizon: 48,
        hidden: 128,
        units: 512,
        head_hidden: 128,
        ..ForecasterConfig::default()
    };
    let mut training = Training::new(config, 64)?;
    Pool::new(2)?.run(|| {
        let mut counts = Vec::with_capacity(PATIENCE);
        while counts.last() != Some(&0) {
            assert!(counts.len() < PATIENCE, "allocations in {WINDOW} steps each: {counts:?}");
            let before = blocks();
            for _ in 0..WINDOW {
                assert!(training.step()?.is_finite());
            }
            counts.push(blocks() - before);
        }
        println!("allocations in {WINDOW} steps each, until there were none: {counts:?}");
        Ok(())
    })
}

/// The resident memory of this process in bytes.
#[cfg(target_os = "linux")]
fn resident() -> Result<u64, Failure> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).ok_or("no VmRSS")?;
    let kilobytes = line.split_whitespace().nth(1).ok_or("no number")?;
    Ok(1024 * kilobytes.parse::<u64>()?)
}

/// Run with `cargo test --release -p vdn-tests --test allocation -- --ignored --nocapture` (half a minute).
#[cfg(target_os = "linux")]
#[test]
#[ignore = "100 000 steps; the command stands beside it"]
fn resident_memory_stays_over_a_hundred_thousand_steps() -> Result<(), Failure> {
    let mut training = Training::new(small(), 16)?;
    Pool::new(2)?.run(|| {
        for _ in 0..2 {
            training.step()?;
        }
        let start = resident()?;
        for _ in 2..100_000 {
            training.step()?;
        }
        let end = resident()?;
        println!("resident after 2 steps {start}, after 100 000 {end} bytes");
        assert!(end.abs_diff(start) <= 1 << 20, "{start} bytes became {end}");
        Ok(())
    })
}
