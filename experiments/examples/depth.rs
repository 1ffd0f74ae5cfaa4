//! Stacks of depth 1 to 16 on the demo series: the information, cost and value of each layer.
//!
//! ```sh
//! cargo run --release -p vdn-experiments --example depth -- [epochs] [units] [depths] [settings...]
//! cargo run --release -p vdn-experiments --example depth -- 8 128 1,2,4,8,16 residual=true layer_norm=true
//! ```
//!
//! Settings are keys of `[model]` in a run's configuration. The tables use the test windows and 32
//! samples. The net value of a layer is its `LL(z ~ q) - LL(z ~ p)` minus its KL, in nats per
//! window, with a standard error that accounts for overlapping windows.

use vdn_forecast::config::RunConfig;
use vdn_forecast::forecaster::Forecaster;
use vdn_tensor::parallel::Pool;
use vdn_train::evaluate::Evaluator;
use vdn_train::train::ByOutcomes;

type Failure = Box<dyn std::error::Error + Send + Sync>;

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let argument = |i: usize, or: &'static str| arguments.get(i).map_or(or, String::as_str);
    let epochs: usize = argument(0, "8").parse()?;
    let units: usize = argument(1, "128").parse()?;
    let depths: Vec<usize> =
        argument(2, "1,2,4,8,16").split(',').map(str::parse).collect::<Result<_, _>>()?;
    let settings = arguments.get(3..).unwrap_or_default().join("\n");
    Pool::new(0)?.run(|| depths.iter().try_for_each(|&depth| run(depth, units, epochs, &settings)))
}

fn run(depth: usize, units: usize, epochs: usize, settings: &str) -> Result<(), Failure> {
    let text = format!(
        "[train]\nepochs = {epochs}\n[model]\nunits = {units}\ndepth = {depth}\n{settings}\n"
    );
    let config = RunConfig::from_toml(&text)?;
    let data = config.data.dataset(config.data.load_table()?)?;
    let model = config.forecaster_for(&data)?;
    let (model, mut parameters) = Forecaster::new::<f32>(model, config.train.seed)?;
    let trainer = config.trainer();
    let session = trainer.session(&model, &mut parameters, &data)?;
    let trained = session.with_task(ByOutcomes).run(|_| {})?;
    let evaluator = Evaluator::new(&model, &parameters, &data, config.train.seed);
    let table = evaluator.layer_table(&data.splits().test)?;
    let best = &trained.history[trained.best_epoch - 1];
    println!(
        "depth {depth}: {} parameters, best epoch {} of {}, validation NLL {:.4}, {:.1} s per epoch",
        model.used_parameters(&parameters),
        trained.best_epoch,
        trained.history.len(),
        best.validation_nll,
        trained.seconds_per_epoch
    );
    println!("{table}");
    println!("net value above 0 up to layer {} of {depth}\n", table.worth_up_to());
    Ok(())
}
