//! The profile of a training step: a table by layer and operation that sums to the whole step.
//!
//! ```sh
//! cargo run --release -p vdn-experiments --example step_profile -- [threads] [steps] [default]
//! ```
//!
//! The network has the shape of the reference: L 336, H 96, hidden 256, head hidden 256, N 1024, S
//! 4, batch 256, one deviation per unit. With a third argument it is the default configuration. For
//! each operation the fastest step counts.
//!
//! The step is written out here and not left to the trainer, because its parts are timed separately
//! on a tape that measures every operation.

use std::time::{Duration, Instant};
use vdn_autograd::Tape;
use vdn_forecast::forecaster::{Batch, Forecaster, ForecasterConfig};
use vdn_model::core::{Bindings, Graph, Mode};
use vdn_tensor::noise::NoiseKey;
use vdn_tensor::parallel::Pool;
use vdn_train::optim::{AdamW, AdamWConfig};

const BATCH: usize = 256;

type Failure = Box<dyn std::error::Error + Send + Sync>;

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |i: usize, or: usize| arguments.get(i).map_or(Ok(or), |text| text.parse());
    let (threads, steps) = (number(0, 2)?, number(1, 100)?);
    let config = match arguments.get(2) {
        Some(_) => ForecasterConfig::default(),
        None => {
            ForecasterConfig { dropout: 0.0, head_hidden: 256, ..ForecasterConfig::compatibility() }
        }
    };
    Pool::new(threads)?.run(|| profile(config, steps))
}

fn profile(config: ForecasterConfig, steps: usize) -> Result<(), Failure> {
    let (model, mut parameters) = Forecaster::new::<f32>(config, 0)?;
    let mut optimizer = AdamW::new(&parameters, AdamWConfig::default())?;
    let (mut tape, mut bindings) = (Tape::new(), Bindings::new());
    let numbers = |stream: u32, columns: usize| {
        let mut numbers = vec![0.0; BATCH * columns];
        NoiseKey::new(0, stream, 0).fill_normal(0, &mut numbers);
        numbers
    };
    let (current, previous) = (numbers(1, config.input_len), numbers(2, config.input_len));
    let target = numbers(3, config.horizon);
    let batch =
        Batch { current: &current, previous: &previous, target: &target, ..Batch::default() };
    tape.set_profiling(true);
    let (mut whole, mut update) = (vec![], vec![]);
    for step in 0..steps {
        let start = Instant::now();
        tape.reset();
        let key = NoiseKey::new(1, 0, step as u32);
        let mut graph = Graph::new(&mut tape, &parameters, &mut bindings, Mode::Train, key);
        let loss = model.loss(&mut graph, &batch)?.loss;
        tape.backward(loss)?;
        tape.release_shared();
        let before_update = Instant::now();
        let gradients = (0..parameters.len()).map(|i| {
            let gradient = tape.gradient(bindings.get(i)?);
            gradient.map(|g| g.data())
        });
        optimizer.step(&mut parameters, 1e-4, gradients)?;
        update.push(before_update.elapsed());
        whole.push(start.elapsed());
    }
    let profile = tape.profile().ok_or("profiling is on")?;
    println!("{profile}");
    for times in [&mut whole, &mut update] {
        times.sort_unstable();
    }
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    println!("{:<50}{:>20.3}", "optimizer, fastest step", ms(update[0]));
    let rest = ms(whole[0]) - ms(profile.total()) - ms(update[0]);
    println!("{:<50}{:>20.3}", "batch, bookkeeping, chance", rest);
    println!("{:<50}{:>20.3}", "whole step, fastest", ms(whole[0]));
    println!("{:<50}{:>20.3}", "whole step, median", ms(whole[steps / 2]));
    Ok(())
}
