//! Paths and aggregates beyond the end of the data: in the series' own units, with their dates, and
//! consistent with the quantiles of single steps.

use crate::runs::support::{Failure, config, restamp};
use std::collections::BTreeMap;
use std::path::Path;
use vdn_forecast::evaluate::Inference;
use vdn_forecast::run::{
    ForecastContent, ForecastFormat, ForecastOptions, RunDirectory, forecast_run_by, train_run,
};
use vdn_tensor::parallel::Pool;

const HORIZON: usize = 5;
const SMALL: &str = "[data]\ninput_len = 24\nhorizon = 5\nmax_train = 64\nmax_validation = 16\n\
    max_test = 16\n";
// The model is hardly trained, so that the units' noise is a large part of the variance.
const MODEL: &str = "[model]\nunits = 8\nhidden = 8\nhead_hidden = 8\nevaluate_samples = 8\n\
    zero_output = false\ninitial_sigma = 10.0\n\
    [train]\nepochs = 1\nlearning_rate = 1e-6\n[diagnostics]\nwindows = 0\n";

fn run(data: &str, out: &Path) -> Result<RunDirectory, Failure> {
    train_run(&config(SMALL, &format!("{data}{MODEL}"))?, Some(out), |_, _| {})?;
    Ok(RunDirectory::open(out)?)
}

fn forecast(run: &RunDirectory, content: ForecastContent) -> Result<String, Failure> {
    let options = ForecastOptions { content, ..ForecastOptions::default() };
    Ok(forecast_run_by(run, options, Inference::Samples)?.csv)
}

fn aggregate(run: &RunDirectory, text: &str) -> Result<String, Failure> {
    forecast(run, ForecastContent::Aggregate(text.parse()?))
}

/// A function that maps the steps of a path to one number.
type Whole<'a> = &'a dyn Fn(&[f64]) -> f64;

/// The paths of each series, `[n][H]`.
fn paths(csv: &str) -> BTreeMap<String, Vec<Vec<f64>>> {
    let mut found: BTreeMap<String, Vec<Vec<f64>>> = BTreeMap::new();
    for line in csv.lines().skip(1) {
        let cells: Vec<&str> = line.split(',').collect();
        let (path, step): (usize, usize) = (cells[1].parse().unwrap(), cells[2].parse().unwrap());
        let own = found.entry(cells[0].to_owned()).or_default();
        if step == 1 {
            own.push(Vec::new());
        }
        assert_eq!((own.len(), own[path - 1].len() + 1), (path, step), "{line}");
        own[path - 1].push(cells.last().unwrap().parse().unwrap());
    }
    found
}

/// The levels of the columns `q0.05`, `q0.1` and so on, with the positions of their columns.
fn levels(csv: &str) -> Vec<(usize, f64)> {
    let names = csv.lines().next().unwrap().split(',').enumerate();
    names.filter_map(|(i, name)| Some((i, name.strip_prefix('q')?.parse().ok()?))).collect()
}

/// Checks that the share of values below a quantile is its level. The share among `n` paths has a
/// variance of at most `tau (1 - tau) / n`. The level of a quantile of a mixture over `samples`
/// samples of the units has an error of at most that variance for `samples`. The tolerance is five
/// standard deviations.
fn expect_level(values: &[f64], quantile: f64, tau: f64, samples: usize, what: &str) {
    let n = values.len() as f64;
    let share = values.iter().filter(|&&value| value < quantile).count() as f64 / n;
    let slack = 5.0 * (tau * (1.0 - tau) * (1.0 / n + 1.0 / samples as f64)).sqrt();
    assert!((share - tau).abs() < slack, "{what}: {share} of the paths below q{tau}");
}

#[test]
fn paths_are_of_the_distribution_that_steps_and_aggregates_have() -> Result<(), Failure> {
    let directory = tempfile::tempdir()?;
    let run = run("", &directory.path().join("run"))?;
    // The quantiles of single steps use more samples than the scores of a run.
    let file = run.file("config.toml");
    let text = std::fs::read_to_string(&file)?;
    std::fs::write(&file, text.replace("evaluate_samples = 8\n", "evaluate_samples = 4096\n"))?;
    restamp(&run, "config.toml")?;
    agree(&run, 4096, 2048)?;
    more_paths_begin_with_the_same_ones(&run)?;
    nonsense_is_refused(&run)
}

/// The quantiles of steps and of aggregates match many paths.
fn agree(run: &RunDirectory, of_steps: usize, of_sums: usize) -> Result<(), Failure> {
    let csv = forecast(run, ForecastContent::Paths(4096))?;
    assert!(csv.starts_with("series,path,step,date,value\nprecipitation,1,1,2016-01-01,"), "{csv}");
    let paths = paths(&csv);
    assert_eq!(paths.len(), 4);
    let steps = forecast(run, ForecastContent::Steps(ForecastFormat::Quantiles))?;
    for line in steps.lines().skip(1) {
        let cells: Vec<&str> = line.split(',').collect();
        let step: usize = cells[1].parse()?;
        let values: Vec<f64> = paths[cells[0]].iter().map(|path| path[step - 1]).collect();
        for (column, tau) in levels(&steps) {
            expect_level(&values, cells[column].parse()?, tau, of_steps, line);
        }
        // The date of a step is the same in both files.
        let dated = format!("{},9,{step},{},", cells[0], cells[2]);
        assert!(csv.contains(&dated), "no line {dated}");
    }
    let largest = |path: &[f64]| path.iter().copied().fold(f64::MIN, f64::max);
    let cases: [(&str, Whole<'_>); 5] = [
        ("mean", &|path| path.iter().sum::<f64>() / HORIZON as f64),
        ("sum", &|path| path.iter().sum()),
        ("sum:3", &|path| path[..3].iter().sum()),
        ("max", &largest),
        ("max:2", &|path| largest(&path[..2])),
    ];
    for (kind, of) in cases {
        let csv = aggregate(run, kind)?;
        let head = "series,aggregate,steps,mean,q0.05,q0.1,q0.25,q0.5,q0.75,q0.9,q0.95";
        assert_eq!((csv.lines().next(), csv.lines().count()), (Some(head), 5));
        for line in csv.lines().skip(1) {
            let cells: Vec<&str> = line.split(',').collect();
            let (name, steps) = kind.split_once(':').unwrap_or((kind, "5"));
            assert_eq!(cells[1..3], [name, steps], "{line}");
            let values: Vec<f64> = paths[cells[0]].iter().map(|path| of(path)).collect();
            // The other 2048 paths of a maximum are equivalent to as many samples.
            let samples = if name == "max" { 2048 } else { of_sums };
            for (column, tau) in levels(&csv) {
                expect_level(&values, cells[column].parse()?, tau, samples, line);
            }
        }
    }
    // This run can distinguish paths from independent steps: their sums have another variance. From
    // 4096 paths a variance is known to 2 or 3 %.
    let variance = |values: &[f64]| {
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / values.len() as f64
    };
    let own = &paths["wind"];
    let of_step = |step: usize| variance(&own.iter().map(|path| path[step]).collect::<Vec<_>>());
    let independent: f64 = (0..HORIZON).map(of_step).sum();
    let ratio =
        variance(&own.iter().map(|path| path.iter().sum()).collect::<Vec<_>>()) / independent;
    assert!((ratio - 1.0).abs() > 0.1, "{ratio}");
    Ok(())
}

#[test]
fn paths_agree_with_the_closed_form_where_there_is_one() -> Result<(), Failure> {
    let directory = tempfile::tempdir()?;
    let model = MODEL.replace("[model]\n", "[model]\ndependence = \"split\"\n");
    let model = model.replace("learning_rate = 1e-6", "learning_rate = 3e-2");
    let out = directory.path().join("run");
    train_run(&config(SMALL, &model)?, Some(&out), |_, _| {})?;
    // No quantile depends on samples.
    agree(&RunDirectory::open(&out)?, usize::MAX, usize::MAX)
}

/// A larger number of paths begins with the same paths, on any number of threads.
fn more_paths_begin_with_the_same_ones(run: &RunDirectory) -> Result<(), Failure> {
    let of = |threads: usize, count: usize| -> Result<_, Failure> {
        let pool = Pool::new(threads)?;
        let csv = pool.run(|| {
            forecast(run, ForecastContent::Paths(count)).map_err(|error| error.to_string())
        })?;
        Ok(paths(&csv))
    };
    // Paths are sampled in passes of 256.
    let (few, many) = (of(1, 3)?, of(3, 300)?);
    for (series, few) in &few {
        assert_eq!(few[..], many[series][..3], "{series}");
        assert_ne!(few[0], few[1]);
        // Another pass has other noise.
        assert_ne!(many[series][0], many[series][256], "{series}");
    }
    Ok(())
}

#[test]
fn names_constants_and_large_integers_come_out_as_they_went_in() -> Result<(), Failure> {
    let directory = tempfile::tempdir()?;
    let base = 1_i128 << 60;
    let mut text = "\"a,b\",flat,count\n".to_owned();
    for row in 0..150_i128 {
        text += &format!("{}.5,7.25,{}\n", row * row % 11, base + 1000 * (row % 7));
    }
    let file = directory.path().join("data.csv");
    std::fs::write(&file, text)?;
    let run = run(&format!("file = {file:?}\n"), &directory.path().join("run"))?;
    let csv = forecast(&run, ForecastContent::Paths(2))?;
    let mut lines = csv.lines();
    // No dates are known, so there is no date column.
    assert_eq!(lines.next(), Some("series,path,step,value"));
    let count = 3 * 2 * HORIZON;
    assert_eq!(csv.lines().count(), 1 + count, "{csv}");
    assert!(csv.contains("\n\"a,b\",2,5,") && csv.contains("\nflat,1,1,7.25\n"), "{csv}");
    for line in lines.filter(|line| line.starts_with("count,")) {
        let value: i128 = line.rsplit(',').next().unwrap().parse()?;
        assert!((value - base).abs() < 100_000, "{line}");
    }
    let sums = aggregate(&run, "sum:3")?;
    let cells = |series: &str| -> Vec<String> {
        let line = sums.lines().find(|line| line.starts_with(series)).unwrap();
        line.split(',').skip(3).map(str::to_owned).collect()
    };
    assert!(cells("flat").iter().all(|value| value == "21.75"), "{sums}");
    for value in cells("count") {
        assert!((value.parse::<i128>()? - 3 * base).abs() < 300_000, "{sums}");
    }
    Ok(())
}

/// The error is one line.
fn nonsense_is_refused(run: &RunDirectory) -> Result<(), Failure> {
    let sum = ForecastContent::Aggregate("sum:6".parse()?);
    let cases = [
        (ForecastContent::Paths(0), Inference::Samples, "paths = 0: has to be 1 to 1677721 for 20"),
        (ForecastContent::Paths(usize::MAX), Inference::Samples, "has to be 1 to 1677721"),
        (sum, Inference::Samples, "aggregate of 6 steps: the model forecasts 1 to 5"),
        (sum, Inference::Moments, "from samples of the units, not from moments"),
        (ForecastContent::Paths(1), Inference::Moments, "not from moments"),
    ];
    for (content, inference, expected) in cases {
        let options = ForecastOptions { content, ..ForecastOptions::default() };
        let error = forecast_run_by(run, options, inference).unwrap_err().to_string();
        assert!(error.contains(expected) && error.lines().count() == 1, "{error}");
    }
    Ok(())
}
