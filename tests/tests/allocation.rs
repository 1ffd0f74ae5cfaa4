//! A training step in steady state allocates nothing, on all threads of the trainer's pool, and memory does not grow:
//! forward pass, backward pass, optimiser and moving average of the weights of the whole forecaster, without controllers and with
//! all that go together.
//!
//! One test alone counts, so that nothing else allocates meanwhile; the others of this file are ignored by default.

use vdn_autograd::Tape;
use vdn_forecast::forecaster::{Batch, Forecaster, ForecasterConfig, LossOptions};
use vdn_model::controllers::{LayerControl, LossValues};
use vdn_model::core::{Bindings, Graph, Mode, Parameters};
use vdn_model::objective::local_objectives;
use vdn_tensor::noise::NoiseKey;
use vdn_tensor::parallel::Pool;
use vdn_train::config::ControlConfig;
use vdn_train::optim::{AdamW, AdamWConfig, WeightAverage};

/// Counts the allocations of every thread.
#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

type Failure = Box<dyn std::error::Error + Send + Sync>;

struct Training {
    model: Forecaster,
    parameters: Parameters<f32>,
    optimizer: AdamW<f32>,
    average: WeightAverage<f32>,
    tape: Tape<f32>,
    bindings: Bindings,
    control: Option<LayerControl>,
    windows: [Vec<f32>; 3],
    step: u32,
}

impl Training {
    fn new(config: ForecasterConfig, batch: usize) -> Result<Self, Failure> {
        let (model, parameters) = Forecaster::new::<f32>(config, 0)?;
        let optimizer = AdamW::new(&parameters, AdamWConfig::default())?;
        let average = WeightAverage::new(0.99)?;
        let lengths = [config.input_len, config.input_len, config.horizon];
        let mut stream = 0;
        let windows = lengths.map(|length| {
            let mut numbers = vec![0.0; batch * length];
            stream += 1;
            NoiseKey::new(0, stream, 0).fill_normal(0, &mut numbers);
            numbers
        });
        let (tape, bindings) = (Tape::new(), Bindings::new());
        let control = None;
        Ok(Self {
            model,
            parameters,
            optimizer,
            average,
            tape,
            bindings,
            control,
            windows,
            step: 0,
        })
    }

    /// With these controllers, and the KL of every row that a thermostat looks at.
    fn controlled(config: ForecasterConfig, batch: usize, names: &str) -> Result<Self, Failure> {
        let config = ForecasterConfig { emit_kl: true, ..config };
        let mut control =
            ControlConfig { band_spread: 1.0, band_target: 0.2, ..ControlConfig::default() };
        control.choose(names.split(','))?;
        let control =
            control.build(&config.controlled_layers(), false)?.into_layers().swap_remove(0);
        assert!(control.is_some());
        Ok(Self { control, ..Self::new(config, batch)? })
    }

    fn step(&mut self) -> Result<f32, Failure> {
        let Self { model, parameters, optimizer, average, tape, bindings, control, windows, step } =
            self;
        tape.reset();
        let [current, previous, target] = &*windows;
        let batch =
            Batch { current, previous, target, earlier: Some(previous), ..Batch::default() };
        let key = NoiseKey::new(1, 0, *step);
        let mut graph = Graph::new(tape, parameters, bindings, Mode::Train, key);
        let options = LossOptions {
            locals: local_objectives([control.as_ref().map(|control| &control.levers().objective)]),
            ..LossOptions::default()
        };
        let terms = model.loss_with(&mut graph, &batch, &options)?;
        let loss = terms.loss;
        let value = tape.scalar(loss)?;
        if let (Some(control), Some(layer), Some(local)) =
            (control.as_mut(), terms.outputs[0], terms.locals[0])
        {
            let read = |var| tape.scalar(var).map(f64::from);
            let losses = LossValues {
                nll: read(terms.score)?,
                weighted_kl: read(local.weighted_kl)?,
                ar: local.ar.map_or(Ok(0.0), read)?,
                ..LossValues::default()
            };
            control.observe(tape, model.layer(), &layer, losses);
        }
        tape.backward(loss)?;
        tape.release_shared();
        let gradients = (0..parameters.len()).map(|i| {
            let gradient = tape.gradient(bindings.get(i)?);
            gradient.map(|g| g.data())
        });
        optimizer.step(parameters, 1e-3, gradients)?;
        if let Some(control) = control
            && let Some(gain) = control.act(model.layer(), parameters)
        {
            for id in model.layer().mean_parameters() {
                optimizer.rescale_rows(id.index(), gain);
                average.rescale_rows(id.index(), gain);
            }
        }
        average.follow(parameters);
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
    let pool = Pool::new(2)?;
    let steady = |mut training: Training, what: &str| -> Result<(), Failure> {
        let mut counts = Vec::with_capacity(PATIENCE);
        while counts.last() != Some(&0) {
            assert!(counts.len() < PATIENCE, "{what}: in {WINDOW} steps each: {counts:?}");
            let before = blocks();
            for _ in 0..WINDOW {
                assert!(training.step()?.is_finite());
            }
            counts.push(blocks() - before);
        }
        println!("{what}: allocations in {WINDOW} steps each, until there were none: {counts:?}");
        Ok(())
    };
    pool.run(|| {
        steady(Training::new(config, 64)?, "constant beta")?;
        for names in ["homeo,rate,kl,free_bits,annealing,ar", "proj_on", "capacity,rate,ar"] {
            steady(Training::controlled(config, 64, names)?, names)?;
        }
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
