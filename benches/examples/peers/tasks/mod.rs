//! The tasks: each trains a network in vdn as a user of the library would write it, with the sizes
//! and settings of the script `benches/peers/python/torch_tasks.py`.
//!
//! A task prints one line of JSON:
//!
//! * `task`, `library`, `threads`, `seed`;
//! * its scores on the test rows;
//! * `epoch_seconds`: the shortest epoch of training;
//! * `steps_seconds`: the shortest step times the steps of an epoch, which is the time of an epoch
//!   on an idle machine;
//! * `peak_mib`: the peak memory of the whole process.

pub(crate) mod classification;
pub(crate) mod regression;
pub(crate) mod vae;

use crate::Failure;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use std::time::Instant;
use vdn::prelude::*;

/// The settings that every task takes as `KEY=VALUE`.
#[derive(Clone, Copy)]
pub(crate) struct Settings {
    /// The seed of weights, noise and order.
    pub(crate) seed: u64,
    /// The number of passes over the training rows.
    pub(crate) epochs: usize,
    /// The rows of a batch.
    pub(crate) batch: usize,
}

impl Settings {
    /// Changes the settings that the arguments name.
    fn read(mut self, arguments: &[&str]) -> Result<Self, Failure> {
        for argument in arguments {
            match argument.split_once('=') {
                Some(("seed", value)) => self.seed = value.parse()?,
                Some(("epochs", value)) => self.epochs = value.parse()?,
                Some(("batch", value)) => self.batch = value.parse()?,
                _ => return Err(format!("{argument} is not seed=, epochs= or batch=").into()),
            }
        }
        Ok(self)
    }
}

/// Runs the task of this name.
pub(crate) fn run(task: &str, arguments: &[&str]) -> Result<(), Failure> {
    let defaults = |epochs, batch| Settings { seed: 0, epochs, batch };
    match (task, arguments) {
        ("regression", &[table, splits, ref rest @ ..]) => {
            regression::run(table, splits, defaults(200, 32).read(rest)?)
        }
        ("classification", &[images, labels, test_images, test_labels, ref rest @ ..]) => {
            let files = [[images, labels], [test_images, test_labels]];
            classification::run(files, defaults(4, 128).read(rest)?)
        }
        ("vae", &[images, test_images, ref rest @ ..]) => {
            vae::run([images, test_images], defaults(6, 128).read(rest)?)
        }
        _ => Err(format!("no task {task} with these arguments").into()),
    }
}

/// A network that a [`Learner`] trains.
pub(crate) trait Task {
    /// The numbers in a row of inputs and in a row of targets (0 without targets).
    fn widths(&self) -> [usize; 2];

    /// Records the loss of a batch: `x` is `[rows, inputs]`, `y` is `[rows, targets]`.
    fn loss(&self, graph: &mut Graph<'_, f32>, x: &[f32], y: &[f32]) -> Result<Var, Failure>;
}

/// A network in training: its parameters, AdamW, and a tape that keeps its memory from step to
/// step.
pub(crate) struct Learner<N> {
    network: N,
    parameters: Parameters<f32>,
    optimizer: AdamW<f32>,
    tape: Tape<f32>,
    bindings: Bindings,
    seed: u64,
    step: u32,
    shortest: f64,
    x: Vec<f32>,
    y: Vec<f32>,
}

/// The seconds of the shortest epoch, and of the shortest step times the steps of an epoch.
#[derive(Clone, Copy)]
pub(crate) struct Seconds {
    epoch: f64,
    steps: f64,
}

/// The learning rate of all tasks.
const RATE: f64 = 1e-3;

impl<N: Task> Learner<N> {
    /// Builds a network with new weights.
    pub(crate) fn new(
        seed: u64,
        build: impl FnOnce(&mut Builder<'_, f32>) -> Result<N, ModelError>,
    ) -> Result<Self, Failure> {
        let mut parameters = Parameters::new();
        let network = build(&mut Builder::new(&mut parameters, seed))?;
        let config = AdamWConfig { clip_norm: f64::INFINITY, ..AdamWConfig::default() };
        let optimizer = AdamW::new(&parameters, config)?;
        let (tape, bindings) = (Tape::new(), Bindings::new());
        let (x, y) = (Vec::new(), Vec::new());
        let (step, shortest) = (0, f64::INFINITY);
        Ok(Self { network, parameters, optimizer, tape, bindings, seed, step, shortest, x, y })
    }

    /// Trains on the rows once, in this order.
    pub(crate) fn epoch(
        &mut self,
        order: &[usize],
        batch: usize,
        [inputs, targets]: [&[f32]; 2],
    ) -> Result<(), Failure> {
        let [width, outputs] = self.network.widths();
        for rows in order.chunks(batch) {
            let start = Instant::now();
            self.x.clear();
            self.y.clear();
            for row in rows {
                self.x.extend_from_slice(&inputs[row * width..][..width]);
                self.y.extend_from_slice(&targets[row * outputs..][..outputs]);
            }
            self.tape.reset();
            let noise = NoiseKey::new(self.seed, 0, self.step);
            let (tape, bindings) = (&mut self.tape, &mut self.bindings);
            let mut graph = Graph::new(tape, &self.parameters, bindings, Mode::Train, noise);
            let loss = self.network.loss(&mut graph, &self.x, &self.y)?;
            self.optimizer.minimize(loss, tape, bindings, &mut self.parameters, RATE)?;
            self.step += 1;
            if rows.len() == batch {
                self.shortest = self.shortest.min(start.elapsed().as_secs_f64());
            }
        }
        Ok(())
    }

    /// Trains for all epochs, each in a new random order of the rows.
    fn train(&mut self, settings: Settings, data: [&[f32]; 2]) -> Result<Seconds, Failure> {
        let rows = data[0].len() / self.network.widths()[0];
        let mut order = Order::new(rows, settings.batch, settings.seed);
        let mut epoch = f64::INFINITY;
        for _ in 0..settings.epochs {
            let start = Instant::now();
            self.epoch(order.shuffled(), settings.batch, data)?;
            epoch = epoch.min(start.elapsed().as_secs_f64());
        }
        Ok(Seconds { epoch, steps: self.shortest * rows.div_ceil(settings.batch) as f64 })
    }

    /// Runs `work` on the trained network, without recording gradients.
    fn evaluate<R>(
        &mut self,
        pass: u32,
        work: impl FnOnce(&N, &mut Graph<'_, f32>) -> Result<R, Failure>,
    ) -> Result<R, Failure> {
        self.tape.reset();
        self.tape.set_recording_gradients(false);
        let noise = NoiseKey::new(self.seed + 1000, 0, pass);
        let (tape, bindings) = (&mut self.tape, &mut self.bindings);
        let mut graph = Graph::new(tape, &self.parameters, bindings, Mode::Evaluate, noise);
        let result = work(&self.network, &mut graph);
        self.tape.set_recording_gradients(true);
        result
    }
}

/// The rows in an order that changes with each epoch.
pub(crate) struct Order {
    rows: Vec<usize>,
    batch: usize,
    next: usize,
    generator: StdRng,
}

impl Order {
    /// Creates the order of this many rows, in batches of `batch`.
    pub(crate) fn new(rows: usize, batch: usize, seed: u64) -> Self {
        let generator = StdRng::seed_from_u64(seed);
        Self { rows: (0..rows).collect(), batch, next: rows, generator }
    }

    /// Returns the next batch of the current order, or the first batch of a new order.
    pub(crate) fn next_batch(&mut self) -> &[usize] {
        if self.next >= self.rows.len() {
            self.shuffled();
            self.next = 0;
        }
        let start = self.next;
        self.next = (start + self.batch).min(self.rows.len());
        &self.rows[start..self.next]
    }

    /// Returns the rows in a new order.
    pub(crate) fn shuffled(&mut self) -> &[usize] {
        self.rows.shuffle(&mut self.generator);
        &self.rows
    }
}

/// The peak memory of this process in MiB, as reported by Linux.
fn peak_mib() -> Result<f64, Failure> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().next());
    Ok(kib.ok_or("no VmHWM in /proc/self/status")?.parse::<f64>()? / 1024.0)
}

/// Prints the result line of a task.
fn report(
    task: &str,
    settings: Settings,
    scores: &[(&str, f64)],
    seconds: Seconds,
) -> Result<(), Failure> {
    let scores: String = scores.iter().map(|(name, x)| format!("\"{name}\": {x:.6}, ")).collect();
    println!(
        "{{\"task\": \"{task}\", \"library\": \"vdn\", \"threads\": {}, \"seed\": {}, {scores}\
         \"epoch_seconds\": {:e}, \"steps_seconds\": {:e}, \"peak_mib\": {:.1}}}",
        vdn::tensor::parallel::threads(),
        settings.seed,
        seconds.epoch,
        seconds.steps,
        peak_mib()?
    );
    Ok(())
}

/// Reads images as numbers in `[0, 1]`, and the number of pixels per image.
fn pixels(file: &str) -> Result<(Vec<f32>, usize), Failure> {
    let array = vdn::train::data::IdxArray::load(file)?;
    let width = array.shape[1..].iter().product();
    Ok((array.values.iter().map(|&x| f32::from(x) / 255.0).collect(), width))
}
