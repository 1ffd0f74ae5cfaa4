//! The cost and value of living units on real data: every control mode, the deterministic twin, an
//! ensemble of twins, and ridge regression, over data sets and paired seeds.
//!
//! ```sh
//! cargo run --release -p vdn-experiments --example accuracy -- FOLDER RESULTS.csv [sets=ETTh1,ETTm1] [seeds=10] [modes=none,rate]
//!     [config=FILE.toml] [threads=0]
//! cargo run --release -p vdn-experiments --example accuracy -- table RESULTS.csv
//! ```
//!
//! `FOLDER` has `ETTh1.csv.gz`, `Exchange.csv` and so on. The windows have L 336 and H 96, and each
//! series has at most 400, 200 and 200 of them. The modes are `none`, `rate`, `homeo`, `proj_on`,
//! `proj_off`, `twin`, `ensemble` (five twins with the seeds k to k + 4, modulo the number of
//! seeds) and `ridge`.
//!
//! Each finished line is appended to `RESULTS.csv`. Lines that are already there are not computed
//! again, so an interrupted run can be resumed. `table` summarises the file: means over seeds, and,
//! against the twin, the mean of the paired relative differences with its 95 % confidence bounds by
//! Student's t over seeds.
//!
//! All scores are over the test windows. The living units are counted in three ways:
//!
//! * `living`: by internal measures on the validation windows, as after every epoch
//! * `living_used`: as at the end of `vdn train`, with interventions on every unit, too, on 128 of
//!   the validation windows with block standard errors
//! * `living_used_test`: the same on the test windows
//!
//! The last two together take `verdict_seconds`: with 1024 units 8 s, compared with 32 s of
//! training on ETTh1 (two busy cores). Their reports in words go to standard error.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use vdn_forecast::config::RunConfig;
use vdn_forecast::data::{Dataset, WindowIndex};
use vdn_forecast::evaluate::{evaluate, forecast, ridge};
use vdn_forecast::forecaster::{Forecaster, Prediction, Variant};
use vdn_model::controllers::StackControl;
use vdn_model::core::Parameters;
use vdn_model::units::Intervention;
use vdn_tensor::parallel::Pool;
use vdn_train::config::{ControlName, DiagnosticsConfig};
use vdn_train::data::Examples;
use vdn_train::evaluate::{BatchAverages, Evaluator};
use vdn_train::metrics::{ScoreSettings, Scores, Summary, WindowPrediction};
use vdn_train::train::ByOutcomes;
use vdn_train::units::HealthCheck;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The number of twins in an ensemble.
const MEMBERS: usize = 5;

/// The columns of the results after `set,mode,seed`. Files of earlier versions lack the last three.
const COLUMNS: [&str; 26] = [
    "mse",
    "mse_se",
    "nll",
    "nll_se",
    "crps",
    "crps_se",
    "gaussian_crps",
    "cover90",
    "cover90_se",
    "living",
    "informed",
    "rate",
    "kl",
    "value",
    "value_se",
    "score_value",
    "score_value_se",
    "crps_permuted",
    "epochs",
    "best_epoch",
    "seconds_per_epoch",
    "validation_nll",
    "validation_crps",
    "living_used",
    "living_used_test",
    "verdict_seconds",
];

type Line = [f64; COLUMNS.len()];

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, results, options @ ..] = &arguments[..] else {
        return Err("usage: accuracy FOLDER RESULTS.csv [name=value ...]".into());
    };
    let results = Path::new(results);
    if folder == "table" {
        print!("{}", table(&read(results)?));
        return Ok(());
    }
    let option = |name: &str, or: &str| -> String {
        let found = options.iter().filter_map(|o| o.split_once('=')).find(|(n, _)| *n == name);
        found.map_or(or, |(_, value)| value).to_owned()
    };
    let base = match option("config", "") {
        file if file.is_empty() => RunConfig::default(),
        file => RunConfig::load(Path::new(&file))?,
    };
    let job = Job {
        folder: PathBuf::from(folder),
        results: results.to_owned(),
        seeds: option("seeds", "10").parse()?,
        base,
    };
    let modes = option("modes", "ridge,twin,ensemble,none,rate,homeo,proj_on,proj_off");
    let modes: Vec<&str> = modes.split(',').collect();
    let sets = option("sets", "ETTh1,ETTm1,Exchange,Weather");
    Pool::new(option("threads", "0").parse()?)?.run(|| -> Result<(), Failure> {
        for set in sets.split(',') {
            job.set(set, &modes)?;
        }
        Ok(())
    })
}

struct Job {
    folder: PathBuf,
    results: PathBuf,
    seeds: u64,
    base: RunConfig,
}

impl Job {
    fn set(&self, set: &str, modes: &[&str]) -> Result<(), Failure> {
        let mut config = self.base.clone();
        let file = self.folder.join(format!("{set}.csv"));
        let packed = self.folder.join(format!("{set}.csv.gz"));
        config.data.file = Some(if packed.exists() { packed } else { file });
        (config.data.input_len, config.data.horizon) = (336, 96);
        (config.data.max_train, config.data.max_validation, config.data.max_test) =
            (Some(400), Some(200), Some(200));
        let data = config.data.dataset(config.data.load_table()?)?;
        let mut twins: BTreeMap<u64, Vec<Prediction>> = BTreeMap::new();
        for seed in 0..self.seeds {
            for &mode in modes {
                if self.has(set, mode, seed)? || mode == "ridge" && seed > 0 {
                    continue;
                }
                let mut config = config.clone();
                config.train.seed = seed;
                let line = match mode {
                    "ridge" => {
                        let mut line = [f64::NAN; COLUMNS.len()];
                        put_scores(&mut line, &ridge(&data, BatchAverages::default())?.0);
                        line
                    }
                    "ensemble" => {
                        for member in 0..MEMBERS as u64 {
                            let member = (seed + member) % self.seeds.max(MEMBERS as u64);
                            if let std::collections::btree_map::Entry::Vacant(place) =
                                twins.entry(member)
                            {
                                config.train.seed = member;
                                let (model, parameters, _) = trained(&config, &data, true)?;
                                let test = &data.splits().test;
                                let evaluator = Evaluator::new(&model, &parameters, &data, member);
                                place.insert(forecast(&evaluator, test)?);
                            }
                        }
                        let members: Vec<&Vec<Prediction>> = (0..MEMBERS as u64)
                            .map(|m| &twins[&((seed + m) % self.seeds.max(MEMBERS as u64))])
                            .collect();
                        let mut line = [f64::NAN; COLUMNS.len()];
                        put_scores(&mut line, &mixture_of(&members, &data)?);
                        line
                    }
                    _ => self.model(&config, &data, mode)?,
                };
                self.append(set, mode, seed, &line)?;
            }
        }
        Ok(())
    }

    /// Trains and scores the model in a control mode, or its twin.
    fn model(&self, config: &RunConfig, data: &Dataset, mode: &str) -> Result<Line, Failure> {
        let mut config = config.clone();
        config.control.mode = match mode {
            "none" | "twin" => ControlName::None,
            "rate" => ControlName::Rate,
            "homeo" => ControlName::Homeo,
            "proj_on" => ControlName::ProjOn,
            "proj_off" => ControlName::ProjOff,
            "config" => config.control.mode,
            _ => return Err(format!("no mode is called {mode}").into()),
        };
        let (model, parameters, trained) = trained(&config, data, mode == "twin")?;
        let (seed, test) = (config.train.seed, &data.splits().test);
        let windows = &data.splits().validation;
        let evaluator = Evaluator::new(&model, &parameters, data, seed);
        let free = StackControl::default();
        let mut line = [f64::NAN; COLUMNS.len()];
        let (summary, _) = evaluate(&evaluator, test, Intervention::None)?;
        put_scores(&mut line, &summary);
        line[18..23].copy_from_slice(&[
            trained.history.len() as f64,
            trained.best_epoch as f64,
            trained.seconds_per_epoch,
            evaluator.validate(windows, &free)?.score,
            evaluator.mean_crps(windows)?,
        ]);
        if mode == "twin" {
            return Ok(line);
        }
        let mut control =
            config.control.build(&model.config().controlled_layers(), config.is_reference())?;
        if let Some(state) = &trained.control {
            control.restore(state)?;
        }
        let with = config.diagnostics;
        let living =
            |diagnostics: &DiagnosticsConfig, windows: &[WindowIndex]| -> Result<f64, Failure> {
                let check = HealthCheck { diagnostics, control: &control, seen: &trained.seen };
                let own = Evaluator::new(&model, &parameters, data, config.train.noise());
                let found = check.report(&own, windows)?;
                let living = &found.layers.first().ok_or("the model has no units")?.living;
                eprintln!("{mode}, seed {seed}, {} windows: {living}", windows.len());
                Ok(living.share())
            };
        let without = living(&DiagnosticsConfig { windows: 0, ..with }, windows)?;
        let clock = std::time::Instant::now();
        let used = [living(&with, windows)?, living(&with, test)?];
        line[23..].copy_from_slice(&[used[0], used[1], clock.elapsed().as_secs_f64()]);
        let on_test = evaluator.validate(test, &free)?;
        let found = evaluator.layer_use(test, None, on_test.kl())?;
        line[9..18].copy_from_slice(&[
            without,
            on_test.informed(),
            on_test.mean_rate(),
            found.kl,
            found.value,
            found.value_error.unwrap_or(f64::NAN),
            found.score_value,
            found.score_value_error.unwrap_or(f64::NAN),
            found.crps_permuted,
        ]);
        Ok(line)
    }

    fn has(&self, set: &str, mode: &str, seed: u64) -> Result<bool, Failure> {
        if !self.results.exists() {
            return Ok(false);
        }
        let key = (set.to_owned(), mode.to_owned());
        Ok(read(&self.results)?.get(&key).is_some_and(|lines| lines.contains_key(&seed)))
    }

    fn append(&self, set: &str, mode: &str, seed: u64, line: &Line) -> Result<(), Failure> {
        let head = format!("set,mode,seed,{}\n", COLUMNS.join(","));
        let mut before = String::new();
        if self.results.exists() {
            before = std::fs::read_to_string(&self.results)?;
        }
        let numbers: Vec<String> = line.iter().map(f64::to_string).collect();
        let text = format!("{set},{mode},{seed},{}\n", numbers.join(","));
        if before.starts_with(&head) {
            let mut file = std::fs::OpenOptions::new().append(true).open(&self.results)?;
            file.write_all(text.as_bytes())?;
        } else {
            // A new file, or a file of an earlier version, whose lines get the missing columns.
            let width = head.matches(',').count();
            let widen = |line: &str| {
                let missing = width.saturating_sub(line.matches(',').count());
                format!("{line}{}\n", ",NaN".repeat(missing))
            };
            let lines: String = before.lines().skip(1).map(widen).collect();
            vdn_train::run::write_atomically(
                &self.results,
                format!("{head}{lines}{text}").as_bytes(),
            )?;
        }
        print!("{text}");
        Ok(())
    }
}

fn trained(
    config: &RunConfig,
    data: &Dataset,
    twin: bool,
) -> Result<(Forecaster, Parameters<f32>, vdn_train::train::Trained), Failure> {
    let mut forecaster = config.forecaster_for(data)?;
    if twin {
        forecaster.dependence = forecaster.resolved_dependence();
        forecaster.variant = Variant::Twin;
    }
    let (model, mut parameters) = Forecaster::new::<f32>(forecaster, config.train.seed)?;
    let trainer = config.trainer();
    let session = trainer.session(&model, &mut parameters, data)?;
    let trained = session.with_task(ByOutcomes).run(|_| {})?;
    Ok((model, parameters, trained))
}

fn put_scores(line: &mut Line, summary: &Summary) {
    let error = |e: Option<f64>| e.unwrap_or(f64::NAN);
    let cover = summary.intervals.iter().find(|interval| (interval.level - 0.9).abs() < 1e-9);
    let cover = cover.map(|interval| interval.coverage);
    line[..9].copy_from_slice(&[
        summary.mse.mean,
        error(summary.mse.standard_error),
        summary.nll_marginal.mean,
        error(summary.nll_marginal.standard_error),
        summary.crps.mean,
        error(summary.crps.standard_error),
        summary.gaussian_crps.mean,
        cover.map_or(f64::NAN, |c| c.mean),
        cover.map_or(f64::NAN, |c| error(c.standard_error)),
    ]);
}

/// The scores of the equally weighted mixture of the members' predictive distributions.
fn mixture_of(members: &[&Vec<Prediction>], data: &Dataset) -> Result<Summary, Failure> {
    let test: &[WindowIndex] = &data.splits().test;
    let horizon = data.spec().horizon;
    let mut scores = Scores::new(ScoreSettings::default(), Examples::<f64>::block(data, test))?;
    let mut target = vec![0.0; test.len() * horizon];
    data.fill_targets(test, &mut target, |y| y)?;
    let mut first = 0;
    for part in 0..members[0].len() {
        for row in 0..members[0][part].shape[1] {
            let (mut means, mut sigma) = (Vec::new(), Vec::new());
            for member in members {
                let prediction = &member[part];
                // A twin has one sample.
                means.extend_from_slice(&prediction.means[row * horizon..][..horizon]);
                sigma.extend_from_slice(&prediction.sigma[row * horizon..][..horizon]);
            }
            if first > 0 && test[first].series != test[first - 1].series {
                scores.start_series();
            }
            let window = WindowPrediction::new(&means, &sigma, None, horizon)?;
            scores.push(&window, &target[first * horizon..][..horizon])?;
            first += 1;
        }
    }
    Ok(scores.summary()?)
}

type Results = BTreeMap<(String, String), BTreeMap<u64, Line>>;

fn read(path: &Path) -> Result<Results, Failure> {
    let mut results = Results::new();
    let text = std::fs::read_to_string(path)?;
    let head: Vec<&str> = text.lines().next().unwrap_or_default().split(',').collect();
    let known = |names: &[&str]| COLUMNS.starts_with(names);
    if head.len() < 3 || head[..3] != ["set", "mode", "seed"] || !known(&head[3..]) {
        return Err(format!("{}: not a file of results", path.display()).into());
    }
    for (number, text) in text.lines().enumerate().skip(1) {
        let cells: Vec<&str> = text.split(',').collect();
        if cells.len() != head.len() {
            return Err(format!("{}, line {}: not a result", path.display(), number + 1).into());
        }
        let mut line = [f64::NAN; COLUMNS.len()];
        for (to, cell) in line.iter_mut().zip(&cells[3..]) {
            *to = cell.parse()?;
        }
        let key = (cells[0].to_owned(), cells[1].to_owned());
        results.entry(key).or_default().insert(cells[2].parse()?, line);
    }
    Ok(results)
}

/// The 0.975 quantiles of Student's t for 1 to 9 degrees of freedom. For more, the normal
/// distribution's quantile is within 14 %.
const T: [f64; 9] = [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262];

fn table(results: &Results) -> String {
    let mut text = String::from(
        "| set | mode | seeds | MSE | NLL | CRPS | cover90 | living | living, used | by test windows | rate | KL | value | score value | permuted | validation NLL | validation CRPS | MSE against \
         twin, % | NLL - twin | CRPS against twin, % |\n|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|\n",
    );
    for ((set, mode), lines) in results {
        let n = lines.len() as f64;
        let mean = |column: usize| lines.values().map(|line| line[column]).sum::<f64>() / n;
        let paired = |column: usize, relative: bool| -> String {
            let Some(twins) = results.get(&(set.clone(), "twin".to_owned())) else {
                return "-".to_owned();
            };
            let differences: Vec<f64> = (lines.iter())
                .filter_map(|(seed, line)| {
                    let twin = twins.get(seed)?[column];
                    let by = if relative { 0.01 * twin } else { 1.0 };
                    Some((line[column] - twin) / by)
                })
                .collect();
            let k = differences.len() as f64;
            if mode == "twin" || k < 2.0 {
                return "-".to_owned();
            }
            let mean = differences.iter().sum::<f64>() / k;
            let squares: f64 = differences.iter().map(|d| (d - mean) * (d - mean)).sum();
            let error = (squares / (k - 1.0) / k).sqrt();
            let t = T.get(differences.len() - 2).copied().unwrap_or(1.96);
            let digits = if relative { 2 } else { 4 };
            format!("{mean:.digits$} +- {:.digits$}", t * error)
        };
        let number = |column: usize, digits: usize| match mean(column) {
            x if x.is_nan() => "-".to_owned(),
            x => format!("{x:.digits$}"),
        };
        let pair = |column: usize, digits: usize| match mean(column) {
            x if x.is_nan() => "-".to_owned(),
            x => format!("{x:.digits$} +- {:.digits$}", mean(column + 1)),
        };
        let _ = writeln!(
            text,
            "| {set} | {mode} | {n} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
            pair(0, 4),
            pair(2, 4),
            pair(4, 4),
            pair(7, 3),
            number(9, 3),
            number(23, 3),
            number(24, 3),
            number(11, 3),
            number(12, 1),
            pair(13, 2),
            pair(15, 2),
            number(17, 4),
            number(21, 4),
            number(22, 4),
            paired(0, true),
            paired(2, false),
            paired(4, true)
        );
    }
    text
}
