//! Forecasting in a few calls: a run on the embedded series (daily weather of Seattle), its scores
//! beside the scores of the twin and the baselines, and forecasts beyond the end of the data.
//!
//! Run with `cargo run --release -p vdn --example forecast`.

use vdn::forecast::config::RunConfig;
use vdn::forecast::evaluate::Inference;
use vdn::forecast::run::{
    ForecastContent, ForecastOptions, RunDirectory, forecast_run_by, train_run,
};
use vdn::prelude::Progress;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // The keys are the keys of a configuration file. All other settings have their defaults.
    let config = RunConfig::from_toml(
        "[data]
         input_len = 60
         horizon = 14
         max_train = 512
         max_validation = 128
         max_test = 128
         [model]
         units = 8
         hidden = 32
         [train]
         epochs = 4
         twin = true",
    )?;
    let folder = tempfile::tempdir()?;
    let run = folder.path().join("run");
    let report = train_run(&config, Some(&run), |stage, progress| {
        if let Progress::Epoch(epoch) = progress {
            println!("{} {}: {:.3}", stage.name(), epoch.epoch, epoch.validation_nll);
        }
    })?;
    println!("\n{report}\n");

    // A forecast needs only the run directory.
    let run = RunDirectory::open(&run)?;
    let steps = forecast_run_by(&run, ForecastOptions::default(), Inference::Samples)?;
    println!("{}", steps.csv.lines().take(4).collect::<Vec<_>>().join("\n"));
    let content = ForecastContent::Aggregate("sum:7".parse()?);
    let options = ForecastOptions { content, ..ForecastOptions::default() };
    let weeks = forecast_run_by(&run, options, Inference::Samples)?;
    println!("{}", weeks.csv);
    assert_eq!(steps.csv.lines().count(), 1 + 4 * 14); // a header, and 14 steps of four series
    Ok(())
}
