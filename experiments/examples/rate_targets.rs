//! Tests whether targets for the information of units are met: rate and KL targets of 0.05 to 2
//! nats per unit, each in a separate training. It also measures the units' cost beyond information
//! (mismatch) and their value for the forecast.
//!
//! ```sh
//! cargo run --release -p vdn-experiments --example rate_targets -- [epochs] [units]
//! ```
//!
//! Measures come from the training windows, where the constraint acts, and from the test windows.
//! Standard errors are delete-one jackknifes over ten blocks of consecutive windows. A target is
//! met if the mean over units is within `0.05 c + 2 SE` and 95 % of the units are within
//! `0.2 c + 2 SE` of their targets.

use vdn_forecast::config::RunConfig;
use vdn_forecast::data::WindowIndex;
use vdn_forecast::evaluate::{ForecastEvaluator, evaluate};
use vdn_forecast::forecaster::Forecaster;
use vdn_model::controllers::StackControl;
use vdn_model::units::{Intervention, UnitStatistics};
use vdn_train::config::{BudgetConfig, ControlName, ControllerName, Selection};
use vdn_train::evaluate::Evaluator;
use vdn_train::optim::{Decay, Schedule};
use vdn_train::train::ByOutcomes;

type Failure = Box<dyn std::error::Error>;

const BLOCKS: usize = 10;

/// A measure of every unit with its standard error, and the mean over units with its standard
/// error.
struct Measured {
    units: Vec<[f64; 2]>,
    mean: [f64; 2],
}

fn jackknife(without: &[f64]) -> f64 {
    let n = without.len() as f64;
    let mean = without.iter().sum::<f64>() / n;
    ((n - 1.0) / n * without.iter().map(|x| (x - mean).powi(2)).sum::<f64>()).sqrt()
}

fn measure(
    evaluator: &ForecastEvaluator<'_, f32>,
    windows: &[WindowIndex],
    of: fn(&UnitStatistics) -> Vec<f64>,
) -> Result<Measured, Failure> {
    let read = |windows: &[WindowIndex]| -> Result<Vec<f64>, Failure> {
        let seen = evaluator.validate(windows, &StackControl::default())?;
        Ok(of(&seen.units().ok_or("a model without units")?))
    };
    let all = read(windows)?;
    let mut without = Vec::new();
    for block in 0..BLOCKS {
        let bounds = [block, block + 1].map(|b| b * windows.len() / BLOCKS);
        let rest: Vec<_> =
            windows[..bounds[0]].iter().chain(&windows[bounds[1]..]).copied().collect();
        without.push(read(&rest)?);
    }
    let mean = |x: &[f64]| x.iter().sum::<f64>() / x.len() as f64;
    let unit = |i: usize| without.iter().map(|w| w[i]).collect::<Vec<_>>();
    let units = all.iter().enumerate().map(|(i, &x)| [x, jackknife(&unit(i))]).collect();
    let means: Vec<f64> = without.iter().map(|w| mean(w)).collect();
    Ok(Measured { units, mean: [mean(&all), jackknife(&means)] })
}

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |i: usize, or: usize| arguments.get(i).map_or(Ok(or), |text| text.parse());
    let (epochs, units) = (number(0, 60)?, number(1, 128)?);
    println!(
        "| target | measure | mean (train) | units within | other measure | mismatch | test mean | CRPS | + permuted | met |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|");
    for name in [ControllerName::Rate, ControllerName::Kl] {
        for target in [0.05, 0.1, 0.5, 1.0, 2.0] {
            let mut config = RunConfig::default();
            config.data.max_train = Some(400);
            config.data.max_validation = Some(100);
            config.data.max_test = Some(100);
            config.model.units = units;
            (config.model.hidden, config.model.head_hidden) = (64, 64);
            (config.train.epochs, config.train.learning_rate) = (epochs, 1e-3);
            (config.train.patience, config.train.selection) = (0, Selection::Last);
            config.schedule =
                Schedule { warmup_steps: 0, decay: Decay::Cosine, final_factor: 0.02 };
            config.control.mode = ControlName::None;
            config.control.controllers = [name].into_iter().collect();
            let budget = BudgetConfig {
                target: Some(target),
                stiffness: 5e-2,
                gain: 1e-2,
                limit: 1.0,
                ..BudgetConfig::default()
            };
            (config.control.rate, config.control.kl) = (budget, budget);
            config.validate()?;
            let data = config.data.dataset(config.data.load_table()?)?;
            let forecaster = config.forecaster_for(&data)?;
            let (model, mut parameters) = Forecaster::new::<f32>(forecaster, config.train.seed)?;
            let trainer = config.trainer();
            trainer.session(&model, &mut parameters, &data)?.with_task(ByOutcomes).run(|_| {})?;
            let evaluator = Evaluator::new(&model, &parameters, &data, config.train.seed)
                .averaging(config.train.averages());
            let (own, other): (fn(&_) -> _, fn(&_) -> _) = match name {
                ControllerName::Kl => (UnitStatistics::kl, UnitStatistics::rate),
                _ => (UnitStatistics::rate, UnitStatistics::kl),
            };
            let splits = data.splits();
            let see = |windows: &[WindowIndex], of| measure(&evaluator, windows, of);
            let met = see(&splits.train, own)?;
            let beside = see(&splits.train, other)?;
            let mismatch = see(&splits.train, UnitStatistics::mismatch)?;
            let test = see(&splits.test, own)?;
            let score = |how| -> Result<f64, Failure> {
                let (summary, _) = evaluate(&evaluator, &splits.test, how)?;
                Ok(summary.crps.mean)
            };
            let (crps, permuted) = (score(Intervention::None)?, score(Intervention::Permute)?);
            let within = met
                .units
                .iter()
                .filter(|[x, se]| (x - target).abs() <= 0.2 * target + 2.0 * se)
                .count();
            let share = within as f64 / units as f64;
            let [mean, se] = met.mean;
            let good = (mean - target).abs() <= 0.05 * target + 2.0 * se && share >= 0.95;
            println!(
                "| {target} | {} | {mean:.4} +- {se:.4} | {:.1} % | {:.3} | {:.3} | {:.4} +- {:.4} | {crps:.4} | {:+.4} | {} |",
                if name == ControllerName::Kl { "KL" } else { "rate" },
                100.0 * share,
                beside.mean[0],
                mismatch.mean[0],
                test.mean[0],
                test.mean[1],
                permuted - crps,
                if good { "yes" } else { "no" }
            );
        }
    }
    Ok(())
}
