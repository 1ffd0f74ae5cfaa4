//! `compatibility = "reference"` sets the reference's values outside the model too, and what is set by name stays.

use vdn_model::{Aggregation, Forecaster, Intervention, Prediction};
use vdn_train::data::WindowIndex;
use vdn_train::metrics::BlockSums;
use vdn_train::{Averaging, BatchAverages, RunConfig, evaluate, validate};

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
    assert_eq!(median("none"), Aggregation::Median);
    assert_eq!(median("reference"), Aggregation::LowerMedian);
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

/// Six windows in batches of four: what the library averages against what its own scores of the two batches give.
#[test]
fn scores_and_validation_average_batches_where_that_is_asked_for() {
    let text = "[data]\ncolumns = [\"temp_max\"]\ninput_len = 24\nhorizon = 4\n[model]\nunits = 6\nhidden = 8\n\
                head_hidden = 8\nevaluate_samples = 2\naggregation = \"lower_median\"\n";
    let config = resolved(text);
    let data = config.data.dataset(config.data.load_table().unwrap()).unwrap();
    let model = config.model.to_forecaster(&config.data).unwrap();
    let (model, parameters) = Forecaster::new::<f32>(model, 3).unwrap();
    let windows = &data.splits().validation[..6];
    let score = |windows: &[WindowIndex], averages| {
        let (summary, _) =
            evaluate(&model, &parameters, &data, windows, 0, Intervention::None, averages).unwrap();
        let quick = validate(&model, &parameters, &data, windows, 0, averages).unwrap();
        [summary.mse.mean, summary.mae.mean, summary.nll_marginal.mean, quick.nll, quick.mse]
    };
    let by_windows = BatchAverages { weigh: Averaging::Windows, batch: 4 };
    let by_batches = BatchAverages { weigh: Averaging::Batches, batch: 4 };
    let first = score(&windows[..4], by_windows);
    let [all, equal] = [by_windows, by_batches].map(|averages| score(windows, averages));
    for i in 0..first.len() {
        // The second batch's score, from the mean over all six windows.
        let second = (6.0 * all[i] - 4.0 * first[i]) / 2.0;
        let want = 0.5 * (first[i] + second);
        assert!((equal[i] - want).abs() <= 1e-12 * want.abs(), "{i}: {} and {want}", equal[i]);
        assert!((equal[i] - all[i]).abs() > 1e-6 * all[i].abs(), "{i}: the batches are alike");
    }
}

#[test]
fn a_constant_score_has_no_standard_error_whatever_the_weights() {
    let mut sums = BlockSums::new(1, 1).unwrap();
    for weight in [0.75, 0.75, 0.75, 0.75, 1.5, 1.5] {
        sums.push_weighted(&[2.0], weight).unwrap();
    }
    let estimate = sums.estimate(0).unwrap();
    assert_eq!((estimate.mean, estimate.standard_error), (2.0, Some(0.0)));
    assert_eq!((sums.windows(), sums.blocks()), (6, 6));
}

#[test]
fn the_lower_median_is_a_sample() {
    let prediction = Prediction {
        shape: [4, 1, 2],
        means: vec![3.0, -1.0, 1.0, -4.0, 2.0, -2.0, 10.0, -3.0],
        sigma: vec![0.5; 2],
        weights: None,
        aggregation: Aggregation::LowerMedian,
    };
    assert_eq!(prediction.point(), [2.0, -3.0]);
}
