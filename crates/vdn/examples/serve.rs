//! Serves trained weights from several threads, without locks. The server does not need
//! `vdn-train`.
//!
//! The threads share the parameters. Each thread has its own tape, which allocates nothing after
//! the first request. The request determines the address of the noise, so an answer depends neither
//! on the thread nor on the load.
//!
//! To serve a file of weights without the trainer:
//!
//! ```text
//! cargo run --release -p vdn --no-default-features --features safetensors --example serve -- FILE
//! ```
//!
//! With the default features and without a file, the example first trains the weights (module
//! `training`):
//!
//! ```text
//! cargo run --release -p vdn --example serve
//! ```

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use vdn::autograd::{Error, Tape};
use vdn::model::core::{Bindings, Builder, Graph, Mode, ModelError, Parameters};
use vdn::model::modules::Linear;
use vdn::model::units::{LayerConfig, Stack};
use vdn::tensor::noise::NoiseKey;

const INPUTS: usize = 4;

/// The network. It holds no numbers, so threads can share it without a copy.
struct Model {
    stack: Stack,
    head: Linear,
}

impl Model {
    /// Builds the network, and draws its initial weights from `seed`.
    fn new(seed: u64) -> Result<(Self, Parameters<f32>), ModelError> {
        let mut parameters = Parameters::new();
        let mut builder = Builder::new(&mut parameters, seed);
        let layers = [LayerConfig::new(INPUTS, 32).into(), LayerConfig::new(32, 32).into()];
        let stack = Stack::new(&mut builder, "units", &layers)?;
        let head = Linear::new(&mut builder, "head", 32, 1);
        Ok((Self { stack, head }, parameters))
    }
}

/// The state that a thread keeps between requests.
#[derive(Default)]
struct Worker {
    tape: Tape<f32>,
    bindings: Bindings,
}

/// Returns the mean and the standard deviation of the answer over the samples of the units.
fn answer(
    worker: &mut Worker,
    (model, parameters): (&Model, &Parameters<f32>),
    request: u32,
    x: &[f32],
) -> Result<[f32; 2], Error> {
    let Worker { tape, bindings } = worker;
    tape.reset();
    let before = tape.set_recording_gradients(false);
    let noise = NoiseKey::new(2026, 0, request); // seed, stream (each layer has its own), step
    let mut graph = Graph::new(tape, parameters, bindings, Mode::Evaluate, noise);
    let x = graph.tape.constant([1, INPUTS], x)?;
    let units = model.stack.forward(&mut graph, x)?;
    let y = model.head.forward(&mut graph, units.z)?; // [samples, 1, 1]
    let samples = tape.value(y).data();
    let count = samples.len() as f32;
    let mean = samples.iter().sum::<f32>() / count;
    let variance = samples.iter().map(|y| (y - mean).powi(2)).sum::<f32>() / (count - 1.0);
    tape.set_recording_gradients(before);
    Ok([mean, variance.sqrt()])
}

/// Returns all answers, in the order of the requests.
fn serve(
    model: (&Model, &Parameters<f32>),
    requests: &[[f32; INPUTS]],
    threads: usize,
) -> Result<Vec<[f32; 2]>, Error> {
    let next = AtomicUsize::new(0);
    let work = || -> Result<Vec<(usize, [f32; 2])>, Error> {
        let (mut worker, mut done) = (Worker::default(), Vec::new());
        loop {
            let request = next.fetch_add(1, Ordering::Relaxed);
            let Some(x) = requests.get(request) else { return Ok(done) };
            done.push((request, answer(&mut worker, model, request as u32, x)?));
        }
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let mut answers = vec![[f32::NAN; 2]; requests.len()];
        for worker in workers {
            for (request, answer) in worker.join().expect("no worker panics")? {
                answers[request] = answer;
            }
        }
        Ok(answers)
    })
}

/// Trains weights on `y = x_1 - x_2` and writes them to a file.
#[cfg(feature = "train")]
mod training {
    use super::{INPUTS, Model};
    use std::path::Path;
    use vdn::prelude::*;

    impl Network<f32> for Model {
        type Batch<'a> = RowBatch<'a, f32>;
        fn loss(
            &self,
            graph: &mut Graph<'_, f32>,
            batch: &RowBatch<'_, f32>,
            locals: &Locals<'_>,
        ) -> Result<Terms, ModelError> {
            let x = graph.tape.constant([batch.rows, INPUTS], batch.inputs)?;
            let y = graph.tape.constant([batch.rows, 1], batch.targets)?;
            let units = self.stack.forward(graph, x)?;
            let mean = self.head.forward(graph, units.z)?;
            let deviation = graph.tape.constant([], &[0.3])?;
            let score = graph.tape.gaussian_nll(mean, deviation, y)?;
            locals.terms(graph, self, &units.layers, score)
        }
        fn layers(&self) -> Layers<'_> {
            self.stack.layers().into()
        }
        fn kl_weight(&self, _layer: usize) -> f64 {
            1e-3 // the price of a nat
        }
    }

    pub(super) fn train(file: &Path) -> Result<(), TrainError> {
        let mut x = vec![0.0; 1024 * INPUTS];
        NoiseKey::new(3, 0, 0).fill_normal(0, &mut x);
        let y = x.chunks_exact(INPUTS).map(|x| x[0] - x[1]).collect();
        let data = Rows::new([INPUTS, 1], x, y)?.split_at(896, 128)?;
        let (network, mut parameters) = Model::new(7)?;
        let mut trainer = Trainer::default();
        (trainer.train.epochs, trainer.train.batch, trainer.train.learning_rate) = (40, 64, 1e-2);
        let trained = trainer.train(&network, &mut parameters, &data, |_| {})?;
        let score = trained.history[trained.best_epoch - 1].validation_nll;
        println!("trained: {score:.2} nats for each y of the validation rows");
        save_weights(&parameters, file)
    }
}

/// Without the trainer, a file of weights is required.
#[cfg(not(feature = "train"))]
mod training {
    use std::{io, path::Path};

    pub(super) fn train(_file: &Path) -> io::Result<()> {
        Err(io::Error::other("give a file of weights: `serve FILE`"))
    }
}

/// Builds the network with the weights of a file.
fn load(file: &Path) -> Result<(Model, Parameters<f32>), Box<dyn std::error::Error>> {
    let (model, mut parameters) = Model::new(0)?;
    parameters.load_safetensors(&std::fs::read(file)?)?;
    Ok((model, parameters))
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let file = match std::env::args_os().nth(1) {
        Some(file) => file.into(),
        None => {
            let file = folder.path().join("weights.safetensors");
            training::train(&file)?;
            file
        }
    };
    let (model, parameters) = load(&file)?;

    let mut numbers = vec![0.0_f32; 2000 * INPUTS];
    NoiseKey::new(1, 0, 0).fill_normal(0, &mut numbers);
    let requests: Vec<[f32; INPUTS]> = numbers.as_chunks().0.to_vec();
    let mut all = Vec::new();
    for threads in [1, 4] {
        let start = std::time::Instant::now();
        all.push(serve((&model, &parameters), &requests, threads)?);
        let rate = requests.len() as f64 / start.elapsed().as_secs_f64();
        println!("{threads} threads: {rate:.0} requests per second");
    }
    println!("the first answer: {:.3} +- {:.3}", all[0][0][0], all[0][0][1]);
    assert!(all[0].iter().flatten().all(|x| x.is_finite()));
    assert_eq!(all[0], all[1], "answers do not depend on the threads");
    if cfg!(feature = "train") && std::env::args_os().len() == 1 {
        // The variance of `y = x_1 - x_2` is 2. An error below 1 means that the served network
        // explains more than half of it.
        let error = |(x, [y, _]): (&[f32; INPUTS], &[f32; 2])| (x[0] - x[1] - y).powi(2);
        let mean = requests.iter().zip(&all[0]).map(error).sum::<f32>() / requests.len() as f32;
        println!("mean squared error of the answers: {mean:.3}");
        assert!(mean < 1.0);
    }
    Ok(())
}
