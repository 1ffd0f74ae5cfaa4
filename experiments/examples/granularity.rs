//! Granularity: the share of distributional units in a layer, and the division of latent dimensions
//! among units.
//!
//! ```sh
//! cargo run --release -p vdn-experiments --example granularity -- [demo | file.csv] [seeds] [epochs] [N*K] [L] [H] [settings...]
//! cargo run --release -p vdn-experiments --example granularity -- demo 5 24 1024 180 28
//! cargo run --release -p vdn-experiments --example granularity -- ETTh1.csv 5 24 1024 336 96 data.max_train=400
//! ```
//!
//! The first axis is the distributional fraction: 0, 25, 50, 75, 100 % at equal width. The second
//! axis is `N x K` at constant `N K`, from one unit per dimension to one global latent.
//!
//! Units that send all of their dimensions are the same model at every `N x K` (posteriors are
//! diagonal, and KL weights are per dimension), so one such row represents all of them. The other
//! rows pool the dimensions of a unit to one activity (their sum divided by `sqrt K`).
//!
//! The scores are over the test windows: means over seeds with their standard errors. `rate` is the
//! mean per latent dimension in nats, `step` the median time of a training step. Settings are TOML
//! keys (`model.beta=1e-4`).

use std::time::Instant;
use vdn_autograd::Score;
use vdn_forecast::config::RunConfig;
use vdn_forecast::evaluate::evaluate;
use vdn_forecast::forecaster::Forecaster;
use vdn_model::units::{Intervention, UnitStatistics};
use vdn_tensor::parallel::Pool;
use vdn_train::evaluate::Evaluator;
use vdn_train::train::{ByOutcomes, Progress};

type Failure = Box<dyn std::error::Error + Send + Sync>;

struct Setting {
    name: String,
    model: String,
}

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let argument = |i: usize, or: &'static str| arguments.get(i).map_or(or, String::as_str);
    let data = argument(0, "demo");
    let (seeds, epochs): (u64, usize) = (argument(1, "5").parse()?, argument(2, "24").parse()?);
    let total: usize = argument(3, "1024").parse()?;
    let (length, horizon) = (argument(4, "180"), argument(5, "28"));
    let mut text = String::new();
    if data != "demo" {
        text += &format!("data.file = {data:?}\n");
    }
    text +=
        &format!("data.input_len = {length}\ndata.horizon = {horizon}\ntrain.epochs = {epochs}\n");
    for setting in arguments.get(6..).unwrap_or_default() {
        text += &format!("{setting}\n");
    }
    let mut settings = Vec::new();
    for percent in [0, 25, 50, 75, 100] {
        let name = format!("{percent} % of {total} units");
        let fraction = f64::from(percent) / 100.0;
        let model =
            format!("model.units = {total}\nmodel.distributional_fraction = {fraction:?}\n");
        settings.push(Setting { name, model });
    }
    let sized =
        |units: usize| format!("model.units = {units}\nmodel.latent_dims = {}\n", total / units);
    settings.push(Setting { name: format!("1 x {total}, all sent on"), model: sized(1) });
    let mut units = total / 4;
    while units >= 1 {
        let model = sized(units) + "model.pooling = \"sum_sqrtk\"\n";
        settings.push(Setting { name: format!("{units} x {}, pooled", total / units), model });
        units = if units == 1 { 0 } else { (units / 8).max(1) };
    }
    println!(
        "{data}, L {length}, H {horizon}, {seeds} seeds, at most {epochs} epochs, N K = {total}"
    );
    println!(
        "{:22} {:>18} {:>18} {:>18} {:>10} {:>9}",
        "units", "CRPS", "NLL", "rate", "parameters", "step ms"
    );
    Pool::new(0)?.run(|| settings.iter().try_for_each(|setting| run(&text, setting, seeds)))
}

fn run(text: &str, setting: &Setting, seeds: u64) -> Result<(), Failure> {
    let (mut scores, mut times, mut parameters_used) = ([vec![], vec![], vec![]], vec![], 0);
    for seed in 0..seeds {
        let text = format!("{text}{}train.seed = {seed}\n", setting.model);
        let config = RunConfig::from_toml(&text)?;
        config.validate()?;
        let data = config.data.dataset(config.data.load_table()?)?;
        let model = config.forecaster_for(&data)?;
        let (model, mut parameters) = Forecaster::new::<f32>(model, seed)?;
        let mut last = Instant::now();
        let trainer = config.trainer();
        let session = trainer.session(&model, &mut parameters, &data)?;
        session.with_task(ByOutcomes).run(|progress| {
            if let Progress::Step { .. } = progress {
                times.push(last.elapsed().as_secs_f64());
            }
            last = Instant::now();
        })?;
        let evaluator = Evaluator::new(&model, &parameters, &data, seed);
        let (summary, units) = evaluate(&evaluator, &data.splits().test, Intervention::None)?;
        parameters_used = model.used_parameters(&parameters);
        let rate = UnitStatistics::joined(units.iter()).map_or(0.0, |units| {
            let rates = units.rate();
            rates.iter().sum::<f64>() / rates.len() as f64
        });
        let values = [summary.crps.mean, summary.nll(Score::Marginal).mean, rate];
        scores.iter_mut().zip(values).for_each(|(all, value)| all.push(value));
    }
    times.sort_by(f64::total_cmp);
    let [crps, nll, rate] = scores.map(|values| shown(&values));
    let step = 1e3 * times[times.len() / 2];
    println!(
        "{:22} {crps:>18} {nll:>18} {rate:>18} {parameters_used:>10} {step:9.2}",
        setting.name
    );
    Ok(())
}

/// The mean and its standard error. With two values the error is half their difference.
fn shown(values: &[f64]) -> String {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    if values.len() < 2 {
        return format!("{mean:.4}");
    }
    let squares: f64 = values.iter().map(|x| (x - mean).powi(2)).sum();
    format!("{mean:.4} +- {:.4}", (squares / (n - 1.0) / n).sqrt())
}
