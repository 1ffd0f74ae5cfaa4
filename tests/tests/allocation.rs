//! A training step in steady state allocates nothing on any thread of the trainer's pool, and
//! memory does not grow. The step consists of batch, forward pass, backward pass, optimiser,
//! controllers and moving average of the weights of the whole forecaster, as in the trainer. It is
//! tested without controllers, and with all controllers that can be combined.
//!
//! Resuming from a checkpoint needs at most twice the memory of its file.
//!
//! The tests that count allocations hold [`COUNTING`], so that nothing else allocates meanwhile.
//! The other tests of this file are ignored by default.

use std::ops::ControlFlow;
use std::sync::{Mutex, PoisonError};
use vdn_forecast::forecaster::{Batch, Forecaster, ForecasterConfig};
use vdn_model::controllers::StackControl;
use vdn_tensor::noise::NoiseKey;
use vdn_tensor::parallel::Pool;
use vdn_train::TrainError;
use vdn_train::config::{ControlConfig, Selection};
use vdn_train::data::{Examples, Request, Split};
use vdn_train::run::RunFiles;
use vdn_train::train::{Progress, Trainer};

/// Counts the allocations of every thread.
#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

/// A test holds this lock while it counts.
static COUNTING: Mutex<()> = Mutex::new(());

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The same batch of artificial windows in every step. An example is a step.
struct Repeated {
    rows: usize,
    config: ForecasterConfig,
    splits: [Vec<u64>; 3],
}

impl Examples<f32> for Repeated {
    type Index = u64;
    type Buffers = [Vec<f32>; 4];
    type Batch<'a> = Batch<'a, f32>;

    fn split(&self, split: Split) -> &[u64] {
        &self.splits[split as usize]
    }

    fn fill<'a>(
        &self,
        buffers: &'a mut [Vec<f32>; 4],
        _: &[u64],
        request: Request,
    ) -> Result<Batch<'a, f32>, TrainError> {
        let ForecasterConfig { input_len, horizon, .. } = self.config;
        let lengths = [input_len, input_len, input_len, horizon];
        for (stream, (numbers, length)) in buffers.iter_mut().zip(lengths).enumerate() {
            numbers.resize(self.rows * length, 0.0);
            NoiseKey::new(0, stream as u32 + 1, 0).fill_normal(0, numbers);
        }
        let [current, previous, earlier, target] = buffers;
        let earlier = request.predecessors.then_some(&**earlier);
        Ok(Batch { current, previous, target, earlier, ..Batch::default() })
    }
}

/// Trains on batches of `rows` windows for at most `steps` steps, with the named controllers, if
/// any. `each` is called after every step and can end the training.
fn train(
    config: ForecasterConfig,
    rows: usize,
    controllers: Option<&str>,
    steps: u64,
    mut each: impl FnMut(u64) -> ControlFlow<()>,
) -> Result<(), Failure> {
    let (model, mut parameters) = Forecaster::new::<f32>(config, 0)?;
    let mut trainer = Trainer::default();
    let train = &mut trainer.train;
    (train.epochs, train.batch, train.learning_rate) = (1, 1, 1e-3);
    (train.selection, train.ema_decay) = (Selection::Last, 0.99);
    trainer.control =
        ControlConfig { band_spread: 1.0, band_target: 0.2, ..ControlConfig::default() };
    if let Some(names) = controllers {
        trainer.control.choose(names.split(','))?;
    }
    let splits = [(0..steps).collect(), vec![0], Vec::new()];
    let data = Repeated { rows, config, splits };
    let mut session = trainer.session(&model, &mut parameters, &data)?;
    match controllers {
        Some(_) => assert!(!session.controllers().is_empty()),
        None => *session.controllers() = StackControl::default(),
    }
    let trained = session.run(|progress| {
        if let Progress::Step { done, .. } = progress
            && each(done).is_break()
        {
            trainer.interrupt.request();
        }
    });
    match trained {
        Ok(_) | Err(TrainError::Interrupted { .. }) => Ok(()),
        Err(error) => Err(error.into()),
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

/// The number of steps whose allocations are counted together.
const WINDOW: usize = 50;
/// The number of windows after which the steady state must be reached. The working memory of
/// kernels belongs to threads, and the scheduler decides which thread first meets which kernel.
const PATIENCE: usize = 40;

#[test]
fn a_training_step_allocates_nothing_on_any_thread() -> Result<(), Failure> {
    let _alone = COUNTING.lock().unwrap_or_else(PoisonError::into_inner);
    let _profiler = dhat::Profiler::builder().testing().build();
    let blocks = || dhat::HeapStats::get().total_blocks;
    let before = blocks();
    drop(std::hint::black_box(Box::new(1)));
    assert_eq!(blocks() - before, 1, "the count sees an allocation");

    // Large enough that every kernel is divided into several tasks.
    let config = ForecasterConfig {
        input_len: 96,
        horizon: 48,
        hidden: 128,
        units: 512,
        head_hidden: 128,
        ..ForecasterConfig::default()
    };
    let pool = Pool::new(2)?;
    let steady = |config: ForecasterConfig, controllers: Option<&str>| -> Result<(), Failure> {
        let mut counts = Vec::with_capacity(PATIENCE);
        let mut before = blocks();
        train(config, 64, controllers, (PATIENCE * WINDOW) as u64, |step| {
            if step % WINDOW as u64 == 0 {
                counts.push(blocks() - before);
                before = blocks();
            }
            match counts.last() {
                Some(0) => ControlFlow::Break(()),
                _ => ControlFlow::Continue(()),
            }
        })?;
        let what = controllers.unwrap_or("constant beta");
        println!("{what}: allocations in {WINDOW} steps each, until there were none: {counts:?}");
        assert_eq!(counts.last(), Some(&0), "{what}: in {WINDOW} steps each: {counts:?}");
        Ok(())
    };
    pool.run(|| {
        steady(config, None)?;
        for names in ["homeo,rate,kl,free_bits,annealing,ar", "proj_on", "capacity,rate,ar"] {
            steady(config, Some(names))?;
        }
        Ok(())
    })
}

#[test]
fn going_on_needs_at_most_twice_the_memory_of_the_checkpoint() -> Result<(), Failure> {
    let _alone = COUNTING.lock().unwrap_or_else(PoisonError::into_inner);
    let config = ForecasterConfig { hidden: 512, units: 512, head_hidden: 512, ..small() };
    let data = Repeated { rows: 2, config, splits: [(0..2).collect(), vec![0], Vec::new()] };
    let folder = tempfile::tempdir()?;
    let (model, mut parameters) = Forecaster::new::<f32>(config, 0)?;
    let mut trainer = Trainer { files: Some(RunFiles::open(folder.path())?), ..Trainer::default() };
    (trainer.train.epochs, trainer.train.batch) = (2, 1);
    let stopped = trainer.session(&model, &mut parameters, &data)?.run(|progress| {
        if let Progress::Step { done: 3, .. } = progress {
            trainer.interrupt.request();
        }
    });
    assert!(matches!(stopped, Err(TrainError::Interrupted { step: 3 })), "{stopped:?}");
    let file = std::fs::read_dir(folder.path().join("checkpoints"))?.next().ok_or("no file")??;
    let size = file.metadata()?.len();
    assert!(size > 3 << 20, "weights and two moments: {size} bytes");

    let mut session = trainer.session(&model, &mut parameters, &data)?;
    let profiler = dhat::Profiler::builder().testing().build();
    session.resume()?;
    let peak = dhat::HeapStats::get().max_bytes as u64;
    drop(profiler);
    let share = peak as f64 / size as f64;
    println!("a checkpoint of {size} bytes: at most {peak} bytes more, {share:.2} times its size");
    // The file itself must be in memory, and at most one more copy of it may be.
    assert!((1.0..=2.0).contains(&share), "{peak} bytes for a file of {size}");
    Ok(())
}

/// The resident memory of this process in bytes.
#[cfg(target_os = "linux")]
fn resident() -> Result<u64, Failure> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).ok_or("no VmRSS")?;
    let kilobytes = line.split_whitespace().nth(1).ok_or("no number")?;
    Ok(1024 * kilobytes.parse::<u64>()?)
}

/// Run with `cargo test --release -p vdn-tests --test allocation -- --ignored --nocapture` (half a
/// minute).
#[cfg(target_os = "linux")]
#[test]
#[ignore = "100 000 steps; the command stands beside it"]
fn resident_memory_stays_over_a_hundred_thousand_steps() -> Result<(), Failure> {
    let mut at = [0; 2];
    Pool::new(2)?.run(|| {
        train(small(), 16, None, 100_000, |step| {
            match step {
                2 => at[0] = resident().unwrap_or_default(),
                99_999 => at[1] = resident().unwrap_or_default(),
                _ => {}
            }
            ControlFlow::Continue(())
        })
    })?;
    let [start, end] = at;
    println!("resident after 2 steps {start}, after 99 999 {end} bytes");
    assert!(start > 0 && end.abs_diff(start) <= 1 << 20, "{start} bytes became {end}");
    Ok(())
}
