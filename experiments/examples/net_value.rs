//! The value and the cost of a layer's information in nats per window, over the number of units and
//! the price of information.
//!
//! ```sh
//! cargo run --release -p vdn-experiments --example net_value -- [data.csv.gz] [input_len] [horizon] [windows] [epochs] [units,units,..]
//! ```
//!
//! A model is trained for each number of units and each price `beta`, and compared with its own
//! prior on the test windows. The price is the weight of a nat per window against the score in nats
//! per time step; `1/H` is the price of the evidence lower bound, which is trained as an objective,
//! too. The columns are:
//!
//! * `value`: `LL(z ~ q) - LL(z ~ p)` with its block standard error, where `LL` is the mean over
//!   samples of `ln p(y | z)`
//! * `score`: the same difference by the predictive score of training, which mixes over samples
//! * `cost`: the sum of all KLs; `net` and `net s` are `value` and `score` minus the cost
//! * `units +`: the number of single units whose value exceeds their cost, `dLL_i > KL_i`, at 95 %
//!   confidence over all units

use std::path::PathBuf;
use vdn_forecast::config::{DataConfig, RunConfig};
use vdn_forecast::data::Dataset;
use vdn_forecast::forecaster::Forecaster;
use vdn_model::controllers::StackControl;
use vdn_model::diagnostics::{CollapseThresholds, HealthEvidence, Living};
use vdn_model::objective::Objective;
use vdn_train::config::{ControlConfig, ControlName, DiagnosticsConfig, TrainConfig};
use vdn_train::evaluate::Evaluator;
use vdn_train::train::ByOutcomes;
use vdn_train::units::{LayerUse, diagnose};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// One trained model.
struct Line {
    units: usize,
    price: String,
    found: LayerUse,
    net_score: f64,
}

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |i: usize, or: usize| arguments.get(i).map_or(Ok(or), |text| text.parse());
    let windows = number(3, 200)?;
    let data = DataConfig {
        file: arguments.first().filter(|name| *name != "demo").map(PathBuf::from),
        input_len: number(1, DataConfig::default().input_len)?,
        horizon: number(2, DataConfig::default().horizon)?,
        max_train: Some(2 * windows),
        max_validation: Some(windows),
        max_test: Some(windows),
        ..DataConfig::default()
    };
    let epochs = number(4, 12)?;
    let counts: Vec<usize> = match arguments.get(5) {
        Some(list) => list.split(',').map(str::parse).collect::<Result<_, _>>()?,
        None => vec![4, 16, 64, 256, 1024],
    };
    let train = TrainConfig { epochs, ..TrainConfig::default() };
    // No controllers: only the price determines the result.
    let control = ControlConfig { mode: ControlName::None, ..ControlConfig::default() };
    let config = RunConfig { data, train, control, ..RunConfig::default() };
    let dataset = config.data.dataset(config.data.load_table()?)?;
    let elbo = 1.0 / config.data.horizon as f64;
    println!(
        "{:>5} {:>10} {:>7} {:>7} {:>8} {:>15} {:>15} {:>9} {:>9} {:>8} {:>8} {:>8}",
        "units",
        "price",
        "living",
        "rate",
        "cost",
        "value",
        "score",
        "net",
        "net s",
        "units +",
        "CRPS",
        "permuted"
    );
    let mut lines = Vec::new();
    for &units in &counts {
        for (price, objective, beta) in [
            ("1e-4", Objective::Vib, 1e-4),
            ("1e-3", Objective::Vib, 1e-3),
            ("1/H", Objective::Vib, elbo),
            ("elbo", Objective::Elbo, elbo),
        ] {
            lines.push(line(&config, &dataset, units, price, objective, beta)?);
        }
    }
    for (what, net) in [
        ("value", (|line: &Line| line.found.net) as fn(&Line) -> f64),
        ("score", |line: &Line| line.net_score),
    ] {
        let positive: Vec<&Line> = lines.iter().filter(|line| net(line) > 0.0).collect();
        let most = positive.iter().max_by_key(|line| line.units);
        let least = positive.iter().min_by(|a, b| a.found.kl.total_cmp(&b.found.kl));
        match (most, least) {
            (Some(most), Some(least)) => println!(
                "net {what} is positive up to {} units (price {}, {:.2} nats per window), and down to a budget of {:.3} \
                 nats per window ({} units, price {})",
                most.units, most.price, most.found.kl, least.found.kl, least.units, least.price
            ),
            _ => println!("net {what} is positive nowhere in this table"),
        }
    }
    Ok(())
}

fn line(
    config: &RunConfig,
    data: &Dataset,
    units: usize,
    price: &str,
    objective: Objective,
    beta: f64,
) -> Result<Line, Failure> {
    let mut forecaster = config.forecaster_for(data)?;
    (forecaster.units, forecaster.objective, forecaster.beta) = (units, objective, beta);
    let seed = config.train.seed;
    let (model, mut parameters) = Forecaster::new::<f32>(forecaster, seed)?;
    let trainer = config.trainer();
    trainer.session(&model, &mut parameters, data)?.with_task(ByOutcomes).run(|_| {})?;
    let test = &data.splits().test;
    let evaluator = Evaluator::new(&model, &parameters, data, seed);
    let evaluation = evaluator.validate(test, &StackControl::default())?;
    let layers = diagnose::<f32, _>(&model, &evaluation, &StackControl::default())?;
    let diagnostics = layers.first().ok_or("the model has no units")?;
    let budget = config.diagnostics.budget(None, diagnostics.units() * diagnostics.latent_dims)?;
    let living =
        Living::new(&HealthEvidence::new(diagnostics), &CollapseThresholds::default(), &budget);
    let found = evaluator.layer_use(test, None, diagnostics.total_kl())?;
    let settings = DiagnosticsConfig { windows: 64, ..config.diagnostics };
    let single = evaluator.probe(&data.splits().validation, &settings, &layers)?;
    let single = single.map_or(0, |probe| {
        probe.layers[0].unit_use.worth_their_cost(0.95).into_iter().filter(|&yes| yes).count()
    });
    let net_score = found.score_value - found.kl;
    let plus_minus =
        |value: f64, error: Option<f64>| format!("{value:.2} +- {:.2}", error.unwrap_or(f64::NAN));
    println!(
        "{units:>5} {price:>10} {:>5.1} % {:>7.4} {:>8.3} {:>15} {:>15} {:>9.3} {net_score:>9.3} {single:>8} {:>8.4} \
         {:>8.4}",
        100.0 * living.share(),
        diagnostics.summary().rate,
        found.kl,
        plus_minus(found.value, found.value_error),
        plus_minus(found.score_value, found.score_value_error),
        found.net,
        found.crps,
        found.crps_permuted
    );
    Ok(Line { units, price: price.to_owned(), found, net_score })
}
