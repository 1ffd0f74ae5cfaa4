//! Serves one model in several threads, without locks and without the trainer (`vdn-model` and the
//! crates below it are enough). The threads share the parameters. Each thread has its own tape,
//! which allocates nothing after the first request. The request determines the address of the
//! noise, so an answer depends neither on the thread nor on the load.
//!
//! `cargo run --release -p vdn --example serve`

use std::sync::atomic::{AtomicUsize, Ordering};
use vdn::autograd::{Error, Tape};
use vdn::model::core::{Bindings, Builder, Graph, Mode, Parameters};
use vdn::model::modules::Linear;
use vdn::model::units::{LayerConfig, Stack};
use vdn::tensor::noise::NoiseKey;

const INPUTS: usize = 4;

/// The network. It holds no numbers, so threads can share it without a copy.
struct Model {
    stack: Stack,
    head: Linear,
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

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Trained weights come from a safetensors file (`vdn::train::run::load_weights`), or can be
    // written through `data_mut`. This example uses the initial weights.
    let mut parameters = Parameters::<f32>::new();
    let mut builder = Builder::new(&mut parameters, 7);
    let layers = [LayerConfig::new(INPUTS, 32).into(), LayerConfig::new(32, 32).into()];
    let stack = Stack::new(&mut builder, "units", &layers)?;
    let model = Model { stack, head: Linear::new(&mut builder, "head", 32, 1) };
    parameters.data_mut(model.head.bias())[0] = 0.25;

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
    Ok(())
}
