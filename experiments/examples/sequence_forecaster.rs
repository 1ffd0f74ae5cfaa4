//! Units with memory: a sequence forecaster on the embedded daily weather of Seattle, under an
//! autoregressive prior and under a prior without memory.
//!
//! ```sh
//! cargo run --release -p vdn-experiments --example sequence_forecaster -- [threads] [seeds] [free]
//! ```
//!
//! The two models differ only in the prior: encoder, units, emission, initial weights, batches and
//! number of steps are the same. The first three years are for training. The last year is held out,
//! and scored by the predictive likelihood `p(x_t | x_1 .. x_{t-1})` of each day. A particle filter
//! estimates it with the same number of particles for both models (a lower bound in expectation,
//! whatever the posterior). Then both models forecast two weeks from every week of that year.
//!
//! Several seeds change initial weights, batches and noise. The table at the end has the mean over
//! seeds and its standard error.
//!
//! The trainer's rate budget keeps every unit between 0.1 and 3 nats per day, given the day before.
//! `free` disables it.

use std::error::Error;
use std::f64::consts::TAU;
use std::time::Instant;
use vdn_forecast::sequence::{
    EmissionFamily, ParticleConfig, PriorConfig, Segments, SequenceForecaster,
    SequenceForecasterConfig, SequenceTraining, Series,
};
use vdn_model::core::Parameters;
use vdn_model::diagnostics::{CollapseThresholds, UnitBudget};
use vdn_model::priors::OrderOneConfig;
use vdn_tensor::noise::NoiseKey;
use vdn_tensor::parallel::Pool;
use vdn_train::config::{BudgetConfig, ControlConfig, ControlName, Selection, TrainConfig};
use vdn_train::optim::{Decay, Schedule};
use vdn_train::train::Trainer;

type Failure = Box<dyn Error + Send + Sync>;

/// The days of a training sequence, the sequences of a batch, and the passes over all sequences of
/// 61 steps each.
const STEPS: usize = 128;
const BATCH: usize = 16;
const EPOCHS: usize = 20;
const PARTICLES: usize = 256;
/// The number of days ahead.
const HORIZON: usize = 14;
/// The days ahead that are shown.
const SHOWN: [usize; 5] = [1, 2, 3, 7, 14];
const CHANNELS: [&str; 3] = ["temp_max", "temp_min", "wind"];
/// The sine and cosine of the day of the year.
const CALENDAR: usize = 2;

/// Standardised observations `[days, channels]` and the calendar `[days, 2]`.
struct Weather {
    observations: Vec<f32>,
    calendar: Vec<f32>,
    days: usize,
    /// The first held-out day.
    split: usize,
}

impl Weather {
    fn load() -> Result<Self, Failure> {
        let table = vdn_forecast::data::demo()?;
        let days = table.rows();
        let split = 3 * 365 + 1; // 2012 was a leap year
        let mut observations = vec![0.0; days * CHANNELS.len()];
        for (d, name) in CHANNELS.iter().enumerate() {
            let at = table.names.iter().position(|n| n == name).ok_or("no such column")?;
            let x = &table.columns[at];
            let mean = x[..split].iter().sum::<f64>() / split as f64;
            let square = x[..split].iter().map(|x| (x - mean).powi(2)).sum::<f64>();
            let deviation = (square / split as f64).sqrt();
            for (t, x) in x.iter().enumerate() {
                observations[t * CHANNELS.len() + d] = ((x - mean) / deviation) as f32;
            }
        }
        let calendar = (0..days).flat_map(|t| {
            let angle = TAU * t as f64 / 365.25;
            [angle.sin() as f32, angle.cos() as f32]
        });
        Ok(Self { observations, calendar: calendar.collect(), days, split })
    }

    /// Sequences of `days` days from each start.
    fn sequences(&self, starts: &[usize], days: usize) -> [Vec<f32>; 2] {
        let cut = |x: &[f32], width: usize| -> Vec<f32> {
            let rows = |&start: &usize| x[start * width..(start + days) * width].to_vec();
            starts.iter().flat_map(rows).collect()
        };
        [cut(&self.observations, CHANNELS.len()), cut(&self.calendar, CALENDAR)]
    }
}

struct Trained {
    model: SequenceForecaster,
    parameters: Parameters<f32>,
    key: NoiseKey,
}

/// The budget of the rate, or no control. Its force is of the order of the bound, in which the KL
/// has the weight 1. The defaults are for forecasters with a small KL weight.
fn control() -> Result<ControlConfig, Failure> {
    let mode = match std::env::args().nth(3).as_deref() {
        None => ControlName::Rate,
        Some("free") => ControlName::None,
        Some(other) => return Err(format!("{other}: free, or nothing").into()),
    };
    let rate = BudgetConfig {
        low: 0.1,
        high: 3.0,
        stiffness: 5.0,
        gain: 1.0,
        limit: 20.0,
        ..BudgetConfig::default()
    };
    Ok(ControlConfig { mode, rate, ..ControlConfig::default() })
}

fn train(
    weather: &Weather,
    config: SequenceForecasterConfig,
    seed: u64,
) -> Result<Trained, Failure> {
    let wide = |x: &[f32]| x.iter().map(|&x| f64::from(x)).collect();
    let series = (wide(&weather.observations), wide(&weather.calendar));
    let (first, rest) = (weather.split, weather.days - weather.split);
    let data = Segments::new(&config, vec![series], STEPS)?.split_at(first, rest)?;
    let (model, mut parameters) = SequenceForecaster::new::<f32>(config, seed)?;
    // The KL is phased in: with full weight from the start, most units would never be used.
    let training = SequenceTraining { warmup_steps: 400, ..SequenceTraining::default() };
    let model = model.with_training(training);
    let train = TrainConfig {
        epochs: EPOCHS,
        batch: BATCH,
        learning_rate: 1e-2,
        seed,
        // The held-out year is not used for selection.
        selection: Selection::Last,
        patience: 0,
        ..TrainConfig::default()
    };
    // Half a cosine.
    let schedule = Schedule { decay: Decay::Cosine, final_factor: 1e-6, ..Schedule::default() };
    let trainer = Trainer { train, schedule, control: control()?, ..Trainer::default() };
    trainer.train(&model, &mut parameters, &data, |_| {})?;
    Ok(Trained { model, parameters, key: NoiseKey::new(seed, 0, 0) })
}

/// The scores on the held-out year.
struct Scores {
    /// In nats per day: the predictive likelihood with its standard error over blocks of four
    /// weeks, and the evidence lower bound.
    predictive: f64,
    error: f64,
    bound: f64,
    days: Vec<f64>,
}

fn score(weather: &Weather, trained: &Trained, particles: usize) -> Result<Scores, Failure> {
    let &Trained { ref model, ref parameters, key } = trained;
    // All days are filtered, so that the held-out year is predicted from the earlier days. Only its
    // days count.
    let series = Series::new(model.config(), &weather.observations, &weather.calendar, 1)?;
    let how = ParticleConfig { particles, noise: key };
    let filter = model.filter(parameters, series, how)?;
    let days: Vec<f64> = filter.log_predictive[weather.split..].iter().map(|l| l[0]).collect();
    let (predictive, error) = block_mean(&days);
    let whole = model.bound(parameters, series, 32, key)?.elbo()[0];
    let [x, calendar] = weather.sequences(&[0], weather.split);
    let first = Series::new(model.config(), &x, &calendar, 1)?;
    let before = model.bound(parameters, first, 32, key)?.elbo()[0];
    let bound = (whole - before) / (weather.days - weather.split) as f64;
    Ok(Scores { predictive, error, bound, days })
}

/// The mean, and its standard error from the means of blocks of 28 days.
fn block_mean(x: &[f64]) -> (f64, f64) {
    let blocks: Vec<f64> =
        x.chunks_exact(28).map(|block| block.iter().sum::<f64>() / 28.0).collect();
    let n = blocks.len() as f64;
    let mean = blocks.iter().sum::<f64>() / n;
    let variance = blocks.iter().map(|b| (b - mean).powi(2)).sum::<f64>() / (n - 1.0);
    (x.iter().sum::<f64>() / x.len() as f64, (variance / n).sqrt())
}

/// Coverage and mean width of the central 90 % interval, and the log-density in nats per day and
/// channel, by days ahead.
fn forecasts(weather: &Weather, trained: &Trained) -> Result<Vec<[f64; 3]>, Failure> {
    let &Trained { ref model, ref parameters, key } = trained;
    let mut rows = Vec::new();
    let origins: Vec<usize> = (weather.split..weather.days - HORIZON).step_by(7).collect();
    // Half a year before each origin, with all origins as one batch.
    let history = 180;
    let starts: Vec<usize> = origins.iter().map(|o| o - history).collect();
    let [x, calendar] = weather.sequences(&starts, history);
    let series = Series::new(model.config(), &x, &calendar, origins.len())?;
    let filter = model.filter(parameters, series, ParticleConfig { particles: 200, noise: key })?;
    let [truth, ahead] = weather.sequences(&origins, HORIZON);
    let forecast = model.forecast(parameters, &filter, &ahead, HORIZON, key)?;
    let count = (origins.len() * CHANNELS.len()) as f64;
    for h in SHOWN.map(|ahead| ahead - 1) {
        let mut row = [0.0; 3];
        for b in 0..origins.len() {
            for d in 0..CHANNELS.len() {
                let y = f64::from(truth[(b * HORIZON + h) * CHANNELS.len() + d]);
                let [low, high] = forecast.interval(b, h, d, 0.9)?;
                row[0] += f64::from(u8::from(low <= y && y <= high)) / count;
                row[1] += (high - low) / count;
                row[2] += forecast.log_density(b, h, d, y) / count;
            }
        }
        rows.push(row);
    }
    Ok(rows)
}

/// The nats per day of both models and their difference, for one seed.
fn compare(weather: &Weather, lags: usize, seed: u64) -> Result<[f64; 3], Failure> {
    println!("\n== the emission sees {lags} earlier day(s) beside the units; seed {seed} ==");
    let config = |prior| SequenceForecasterConfig {
        channels: CHANNELS.len(),
        covariates: CALENDAR,
        window: 4,
        hidden: vec![32],
        units: 8,
        prior,
        emission: EmissionFamily::StudentT(8.0),
        emission_lags: lags,
        ..SequenceForecasterConfig::default()
    };
    let memory = PriorConfig::OrderOne(OrderOneConfig::default());
    let mut all = Vec::new();
    for (name, prior) in
        [("autoregressive", memory), ("standard normal", PriorConfig::StandardNormal)]
    {
        let start = Instant::now();
        let trained = train(weather, config(prior), seed)?;
        let seconds = start.elapsed().as_secs_f64();
        let scores = score(weather, &trained, PARTICLES)?;
        let fewer = score(weather, &trained, PARTICLES / 4)?;
        println!(
            "\n{name}: trained in {seconds:.1} s; held-out nats per day: predictive {:.3} +- {:.3} \
                 ({PARTICLES} particles; {:.3} with {}), evidence lower bound {:.3}",
            scores.predictive,
            scores.error,
            fewer.predictive,
            PARTICLES / 4,
            scores.bound
        );
        units(weather, &trained)?;
        println!("days ahead: coverage of the 90 % interval, mean width, log-density per channel");
        for (ahead, [coverage, width, density]) in SHOWN.iter().zip(forecasts(weather, &trained)?) {
            println!("  {ahead:2}: {:.1} %, {width:.2}, {density:.3}", 100.0 * coverage);
        }
        all.push(scores);
    }
    let difference: Vec<f64> = all[0].days.iter().zip(&all[1].days).map(|(a, b)| a - b).collect();
    let (mean, error) = block_mean(&difference);
    println!("\nautoregressive minus standard normal: {mean:+.3} +- {error:.3} nats per day");
    Ok([all[0].predictive, all[1].predictive, mean])
}

fn run(seeds: u64) -> Result<(), Failure> {
    let weather = Weather::load()?;
    let mut rows = Vec::new();
    for lags in [0, 1] {
        let seeds = (1..=seeds).map(|seed| compare(&weather, lags, seed));
        rows.push((lags, seeds.collect::<Result<Vec<_>, _>>()?));
    }
    println!(
        "\nearlier days seen: autoregressive, standard normal, difference (nats per day, mean over {seeds} seeds)"
    );
    for (lags, seeds) in rows {
        let column = |i: usize| seeds.iter().map(move |row| row[i]).collect::<Vec<_>>();
        let shown = [0, 1, 2].map(|i| {
            let [mean, error] = mean_over(&column(i));
            format!("{mean:+.3} +- {error:.3}")
        });
        println!("{lags}: {}", shown.join(", "));
    }
    Ok(())
}

/// The mean and its standard error (NaN for a single value).
fn mean_over(x: &[f64]) -> [f64; 2] {
    let n = x.len() as f64;
    let mean = x.iter().sum::<f64>() / n;
    [mean, (x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1.0) / n).sqrt()]
}

/// The interval of rates of a living unit in nats per day. A few units must carry all of the
/// weather.
const BUDGET: UnitBudget = UnitBudget { low: 0.05, high: 3.0, saturation: 0.01 };

/// Prints the information, cost and memory of the units in the held-out year. Also prints their
/// health: the learned coefficients, the measured persistence of the posterior, the rate and the
/// mismatch given the past (their sum is the KL), and the rate without the past.
fn units(weather: &Weather, trained: &Trained) -> Result<(), Failure> {
    let Trained { model, parameters, .. } = trained;
    let days = weather.days - weather.split;
    let [x, calendar] = weather.sequences(&[weather.split], days);
    let series = Series::new(model.config(), &x, &calendar, 1)?;
    let apart = model.persistence(parameters, series, 4)?;
    let found = model.diagnostics(parameters, series)?;
    let living = found.living(&CollapseThresholds::default(), &BUDGET);
    println!(
        "unit   phi    rho    phi^4  rho at 4 days  KL = rate + mismatch, given the past  rate   C2/V   energy (nats per day)"
    );
    for (i, apart) in apart.iter().enumerate() {
        let phi = found.coefficients.first().map_or(0.0, |phi| phi[i]);
        let reasons: Vec<&str> = living.reasons(i).iter().map(|reason| reason.name()).collect();
        println!(
            "{i:4} {phi:+.3} {:+.3} {:+.3} {apart:+.3}         {:.3} {:.3} {:.3}                         {:.3} {:6.2} {:6.3}  {}",
            found.persistence[i],
            phi.powi(4),
            found.kl[i],
            found.rate_given_past[i],
            found.mismatch_given_past[i],
            found.rate[i],
            found.signal_to_noise[i],
            found.energy[i],
            if reasons.is_empty() { "living".to_owned() } else { reasons.join("+") }
        );
    }
    println!(
        "{living} (a living unit's rate given the past is in [{}, {}] nats per day)",
        BUDGET.low, BUDGET.high
    );
    Ok(())
}

fn main() -> Result<(), Failure> {
    let threads = std::env::args().nth(1).map_or(Ok(1), |text| text.parse())?;
    let seeds = std::env::args().nth(2).map_or(Ok(1), |text| text.parse())?;
    Pool::new(threads)?.run(|| run(seeds))
}
