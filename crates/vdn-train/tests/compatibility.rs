//! `compatibility = "reference"` sets the reference's values outside the model too, and what is set by name stays.

use vdn_train::{Averaging, BatchAverages, RunConfig};

fn resolved(text: &str) -> RunConfig {
    let config = RunConfig::from_toml(text).unwrap().resolved();
    config.validate().unwrap();
    config
}

/// The settings outside `[model]` that depend on it, as a run directory's `config.toml` has them.
fn settings(config: &RunConfig) -> [String; 3] {
    let text = config.to_toml().unwrap();
    ["batch", "averaging", "protocol"].map(|key| {
        let line = text.lines().find(|line| line.starts_with(&format!("{key} ="))).unwrap();
        line.split_once("= ").unwrap().1.trim_matches('"').to_owned()
    })
}

#[test]
fn the_run_is_that_of_the_reference_and_single_settings_stay_free() {
    assert_eq!(settings(&resolved("")), ["128", "windows", "spec"]);
    let reference = "[model]\ncompatibility = \"reference\"\n";
    assert_eq!(settings(&resolved(reference)), ["256", "batches", "reference"]);
    let mixed = format!("{reference}[train]\nbatch = 32\n[data]\nprotocol = \"spec\"\n");
    assert_eq!(settings(&resolved(&mixed)), ["32", "batches", "spec"]);
    let single = "[train]\naveraging = \"batches\"\n";
    assert_eq!(settings(&resolved(single)), ["128", "batches", "spec"]);
    // What is written is what is read again.
    let written = resolved(reference).to_toml().unwrap();
    assert_eq!(resolved(&written), resolved(reference));
}

#[test]
fn the_median_of_an_even_number_of_samples_is_the_lower_middle() {
    let median = |compatibility: &str| {
        let text = format!(
            "[model]\ncompatibility = \"{compatibility}\"\naggregation = \"median\"\nunits = 8\n"
        );
        let config = resolved(&text);
        config.model.to_forecaster(&config.data).unwrap().aggregation
    };
    assert_eq!(median("none"), vdn_model::Aggregation::Median);
    assert_eq!(median("reference"), vdn_model::Aggregation::LowerMedian);
}

#[test]
fn weights_of_batches_are_one_on_average_and_make_batches_equal() {
    let averages = BatchAverages { weigh: Averaging::Batches, batch: 4 };
    let values = [1.0, 2.0, 3.0, 4.0, 10.0, 20.0];
    let mut mean = 0.0;
    let mut total = 0.0;
    for chunk in values.chunks(averages.batch) {
        let weight = averages.weight(values.len(), chunk.len());
        total += weight * chunk.len() as f64;
        mean += weight * chunk.iter().sum::<f64>() / values.len() as f64;
    }
    assert!((total - 6.0).abs() < 1e-12);
    assert!((mean - (2.5 + 15.0) / 2.0).abs() < 1e-12, "{mean}");
}
