//! Moments against samples on the test windows of a stored run: the scores and times of both, and
//! the error of the moments against 10 000 samples.
//!
//! `cargo run --release -p vdn-experiments --example moments -- RUN [windows of the errors]
//! [windows of the scores, all]`

use std::time::Instant;
use vdn_autograd::Tape;
use vdn_forecast::data::{Dataset, WindowIndex};
use vdn_forecast::evaluate::{evaluate, evaluate_moments};
use vdn_forecast::forecaster::{Batch, Forecaster, ForecasterConfig, PredictiveMoments};
use vdn_forecast::run::RunDirectory;
use vdn_model::core::{Bindings, Graph, Mode, Parameters};
use vdn_model::units::Intervention;
use vdn_tensor::noise::NoiseKey;
use vdn_train::TrainError;
use vdn_train::data::{Examples, Request};
use vdn_train::evaluate::Evaluator;
use vdn_train::metrics::Summary;
use vdn_train::run::load_weights;

/// The number of samples of the reference, and the number of passes in which they are drawn.
const SAMPLES: usize = 10_000;
const PASSES: usize = 20;
/// The number of passes that are timed together.
const REPEATS: u32 = 4;

fn main() -> Result<(), TrainError> {
    let mut arguments = std::env::args().skip(1);
    let run = arguments.next().unwrap_or_else(|| "runs/demo".to_owned());
    let count = arguments.next().and_then(|n| n.parse().ok()).unwrap_or(32);
    let run = RunDirectory::open(std::path::Path::new(&run))?;
    let config = run.read_config()?;
    let data = config.data.dataset(config.data.load_table()?)?;
    let own = config.forecaster_for(&data)?;
    let (model, mut parameters) = Forecaster::new::<f32>(own, 0)?;
    load_weights(&mut parameters, &run.weights(false))?;
    let scored = arguments.next().and_then(|n| n.parse().ok()).unwrap_or(usize::MAX);
    let test = &evenly(&data.splits().test, scored);
    let evaluator = Evaluator::new(&model, &parameters, &data, config.train.noise())
        .averaging(config.train.averages());
    println!("{} test windows, {} samples", test.len(), own.evaluate_samples);
    for _ in 0..2 {
        let clock = Instant::now();
        let (by_samples, _) = evaluate(&evaluator, test, Intervention::None)?;
        say("samples", &by_samples, clock, test.len());
        let clock = Instant::now();
        let by_moments = evaluate_moments(&evaluator, test)?;
        say("moments", &by_moments, clock, test.len());
    }
    passes(&model, &parameters, &data, test)?;
    errors(own, &parameters, &data, &evenly(&data.splits().test, count))
}

/// At most `most` windows, evenly spaced.
fn evenly(windows: &[WindowIndex], most: usize) -> Vec<WindowIndex> {
    windows.iter().step_by(windows.len().div_ceil(most.max(1)).max(1)).copied().collect()
}

fn say(name: &str, scores: &Summary, clock: Instant, windows: usize) {
    println!(
        "{name}: MSE {:.5}, NLL {:.5}, CRPS {:.5}, scored in {:.3} ms per window",
        scores.mse.mean,
        scores.nll_marginal.mean,
        scores.crps.mean,
        1e3 * clock.elapsed().as_secs_f64() / windows as f64
    );
}

/// Measures the time of the forecasts alone.
fn passes(
    model: &Forecaster,
    parameters: &Parameters<f32>,
    data: &Dataset,
    windows: &[WindowIndex],
) -> Result<(), TrainError> {
    let windows = &windows[..windows.len().min(128)];
    let mut buffers = Default::default();
    let batch: Batch<'_, f32> = data.fill(&mut buffers, windows, Request::INPUTS)?;
    let (mut tape, mut bindings) = (Tape::new(), Bindings::new());
    for _ in 0..2 {
        let clock = Instant::now();
        for step in 0..REPEATS {
            tape.reset();
            tape.no_grad(|tape| {
                let key = NoiseKey::new(1, 0, step);
                let mut graph = Graph::new(tape, parameters, &mut bindings, Mode::Evaluate, key);
                model.predict(&mut graph, &batch, Intervention::None).map(drop)
            })?;
        }
        let all = f64::from(REPEATS) * windows.len() as f64;
        let by_samples = clock.elapsed().as_secs_f64() / all;
        let clock = Instant::now();
        for _ in 0..REPEATS {
            model.predict_moments(parameters, &batch)?;
        }
        let by_moments = clock.elapsed().as_secs_f64() / all;
        println!(
            "forecast alone, per window: {:.3} ms by samples, {:.3} ms by moments",
            1e3 * by_samples,
            1e3 * by_moments
        );
    }
    Ok(())
}

/// The mean and variance of the forecasts (without output noise) by samples, `[windows * horizon]`
/// each.
fn sampled(
    config: ForecasterConfig,
    parameters: &Parameters<f32>,
    batch: &Batch<'_, f32>,
) -> Result<[Vec<f64>; 2], TrainError> {
    let config = ForecasterConfig { evaluate_samples: SAMPLES / PASSES, ..config };
    let (model, _) = Forecaster::new::<f32>(config, 0)?;
    let (mut tape, mut bindings) = (Tape::new(), Bindings::new());
    let mut sums = [Vec::new(), Vec::new()];
    for pass in 0..PASSES {
        tape.reset();
        let prediction = tape.no_grad(|tape| {
            let key = NoiseKey::new(77, 0, pass as u32);
            let mut graph = Graph::new(tape, parameters, &mut bindings, Mode::Evaluate, key);
            model.predict(&mut graph, batch, Intervention::None)
        })?;
        let [samples, windows, horizon] = prediction.0.shape;
        let steps = windows * horizon;
        sums.iter_mut().for_each(|sum| sum.resize(steps, 0.0));
        for s in 0..samples {
            for (i, y) in prediction.0.means[s * steps..][..steps].iter().enumerate() {
                sums[0][i] += y;
                sums[1][i] += y * y;
            }
        }
    }
    let n = SAMPLES as f64;
    let [mean, square] = sums;
    let mean: Vec<f64> = mean.into_iter().map(|sum| sum / n).collect();
    let variance = square.iter().zip(&mean).map(|(s, m)| s / n - m * m).collect();
    Ok([mean, variance])
}

fn errors(
    config: ForecasterConfig,
    parameters: &Parameters<f32>,
    data: &Dataset,
    windows: &[WindowIndex],
) -> Result<(), TrainError> {
    let (model, _) = Forecaster::new::<f32>(config, 0)?;
    // The error of the mean in deviations, the relative error of the variance, and the relative
    // error of the variance with the output noise.
    let (mut off, mut spread, mut whole) = (Vec::new(), Vec::new(), Vec::new());
    let mut share = 0.0;
    for windows in windows.chunks(4) {
        let mut buffers = Default::default();
        let batch: Batch<'_, f32> = data.fill(&mut buffers, windows, Request::INPUTS)?;
        let [mean, variance] = sampled(config, parameters, &batch)?;
        let found: PredictiveMoments = model.predict_moments(parameters, &batch)?;
        for i in 0..mean.len() {
            off.push((found.mean[i] - mean[i]) / variance[i].sqrt());
            spread.push(found.of_units[i] / variance[i] - 1.0);
            let noise = found.variance[i] - found.of_units[i];
            whole.push((found.of_units[i] - variance[i]) / (variance[i] + noise));
            share += variance[i] / (variance[i] + noise);
        }
    }
    let of = |x: &[f64]| {
        let n = x.len() as f64;
        let mean = x.iter().sum::<f64>() / n;
        let root = (x.iter().map(|x| x * x).sum::<f64>() / n).sqrt();
        let worst = x.iter().map(|x| x.abs()).fold(0.0, f64::max);
        format!("mean {mean:.5}, root mean square {root:.5}, worst {worst:.5}")
    };
    println!("{} windows and steps against {SAMPLES} samples:", off.len());
    println!("means off by, in deviations of the units' part: {}", of(&off));
    println!("variances of the units' part, relative: {}", of(&spread));
    println!("variances with the output noise, relative: {}", of(&whole));
    println!("the units' share of the variance: {:.4}", share / off.len() as f64);
    Ok(())
}
