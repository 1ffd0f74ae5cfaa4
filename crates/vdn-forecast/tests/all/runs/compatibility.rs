//! `compatibility = "reference"` also sets the reference's values outside the model. Explicit
//! settings stay.

use vdn_forecast::config::RunConfig;
use vdn_forecast::data::WindowIndex;
use vdn_forecast::evaluate::evaluate;
use vdn_forecast::forecaster::{Aggregation, Forecaster, Prediction};
use vdn_forecast::run::{RunDirectory, evaluate_run, train_run};
use vdn_model::controllers::StackControl;
use vdn_model::units::Intervention;
use vdn_train::config::{ControlName, Selection};
use vdn_train::evaluate::{Averaging, BatchAverages, Evaluator};
use vdn_train::metrics::BlockSums;

fn resolved(text: &str) -> RunConfig {
    let config = RunConfig::from_toml(text).unwrap();
    config.validate().unwrap();
    config
}

/// The settings outside `[model]` that depend on it, as in the `config.toml` of a run directory.
fn settings(config: &RunConfig) -> [String; 3] {
    let text = config.to_toml().unwrap();
    ["batch", "averaging", "protocol"].map(|key| {
        let line = text.lines().find(|line| line.starts_with(&format!("{key} ="))).unwrap();
        line.split_once("= ").unwrap().1.trim_matches('"').to_owned()
    })
}

#[test]
fn the_run_is_that_of_the_reference_and_single_settings_stay_free() {
    assert_eq!(settings(&resolved("")), ["64", "windows", "spec"]);
    let reference = "[model]\ncompatibility = \"reference\"\n";
    assert_eq!(settings(&resolved(reference)), ["256", "batches", "reference"]);
    let mixed = format!("{reference}[train]\nbatch = 32\n[data]\nprotocol = \"spec\"\n");
    assert_eq!(settings(&resolved(&mixed)), ["32", "batches", "spec"]);
    let single = "[train]\naveraging = \"batches\"\n";
    assert_eq!(settings(&resolved(single)), ["64", "batches", "spec"]);
    // A written configuration reads back as the same.
    let written = resolved(reference).to_toml().unwrap();
    assert_eq!(resolved(&written), resolved(reference));
}

/// A run writes every setting of its model, so that later changes of defaults have no effect.
#[test]
fn a_run_writes_every_setting_of_its_model() {
    // `widths` replaces `units`, if given.
    let all = toml_keys(&resolved("[model]\nwidths = [8]\n"));
    assert_eq!(all.len(), 37, "{all:?}");
    let cases = [
        "",
        "compatibility = \"reference\"\n",
        "compatibility = \"reference\"\nunits = 300\naggregation = \"median\"\n",
        "compatibility = \"reference\"\npooling = \"none\"\n",
        "variant = \"twin\"\n",
        "depth = 3\nresidual = true\n",
        "widths = [16, 8, 4]\ndistributional_fraction = [1.0, 0.5, 0.25]\nlayer_beta = 0.5\n",
        "family = \"student_t\"\n",
        "family = \"student_t\"\ndegrees_of_freedom = 3.5\n",
        "family = { student_t = { degrees_of_freedom = 3.5 } }\n",
        "depth = 2\nprior = [\"standard\", \"learned\"]\nfamily = [\"normal\", \"student_t\"]\n",
        "depth = 2\nprior = \"learned\"\n",
        "pooling = \"none\"\nkernel = 12\n",
        "pooling = \"sum_sqrtk\"\nlatent_dims = 3\nsigma = \"scalar\"\nclamp_gradient = \"zero\"\n",
    ];
    for text in cases {
        let given = resolved(&format!("[model]\n{text}[data]\nhorizon = 40\n"));
        let toml = given.to_toml().unwrap();
        let written = RunConfig::from_toml(&toml).unwrap();
        assert_eq!(written, given, "{text}");
        let keys = toml_keys(&given);
        let left_out = |key: &&String| {
            !(*key == "widths" && !text.contains("widths")
                // A table of its own.
                || *key == "family" && toml.contains("[model.family.student_t]"))
        };
        let missing: Vec<_> =
            all.iter().filter(|key| !keys.contains(key)).filter(left_out).collect();
        assert!(missing.is_empty(), "{text}: {missing:?}");
    }
    let reference =
        resolved("[model]\ncompatibility = \"reference\"\nunits = 300\n[data]\nhorizon = 40\n");
    assert_eq!((reference.model.head_hidden, reference.model.kernel), (150, 25));
}

fn toml_keys(config: &RunConfig) -> Vec<String> {
    let config = config.to_toml().unwrap();
    let lines = config.lines().skip_while(|line| *line != "[model]").skip(1);
    let lines = lines.take_while(|line| !line.starts_with('['));
    lines.filter_map(|line| line.split_once(" = ")).map(|(key, _)| key.to_owned()).collect()
}

/// A run directory from the time when the model's settings were written as given.
#[test]
fn an_old_run_directory_scores_as_before() {
    const GIVEN: &str = "[data]\ninput_len = 24\nhorizon = 4\nstride = 4\nmax_train = 48\nmax_validation = 16\nmax_test = 16\n\
        [model]\ncompatibility = \"reference\"\nunits = 12\nhidden = 8\nevaluate_samples = 3\naggregation = \"median\"\n\
        [train]\nepochs = 1\ntwin = true\n";
    let directory = tempfile::tempdir().unwrap();
    let trained =
        train_run(&RunConfig::from_toml(GIVEN).unwrap(), Some(directory.path()), |_, _| {})
            .unwrap();
    let run = RunDirectory::open(directory.path()).unwrap();
    let scores = |report: &vdn_forecast::run::Report| -> Vec<[Option<f64>; 4]> {
        let energy = |row: &vdn_forecast::run::Row| row.wholes.energy_score;
        let of =
            |row: &vdn_forecast::run::Row| [Some(row.mse), row.nll, Some(row.crps), energy(row)];
        report.rows.iter().map(of).collect()
    };
    assert_eq!(scores(&evaluate_run(&run).unwrap()), scores(&trained));
    std::fs::write(run.file("config.toml"), GIVEN).unwrap();
    let error = evaluate_run(&run).unwrap_err().to_string();
    assert!(error.contains("config.toml: is not that of epoch 1 of this run"), "{error}");
    super::support::restamp(&run, "config.toml").unwrap();
    assert_eq!(scores(&evaluate_run(&run).unwrap()), scores(&trained));
    // Files that are not in a manifest are rejected.
    std::fs::remove_file(run.file("manifest.json")).unwrap();
    let error = evaluate_run(&run).unwrap_err().to_string();
    assert!(error.contains("manifest.json: it was written by an older version"), "{error}");
}

#[test]
fn the_median_of_an_even_number_of_samples_is_the_lower_middle() {
    let median = |compatibility: &str| {
        let text = format!(
            "[model]\ncompatibility = \"{compatibility}\"\naggregation = \"median\"\nunits = 8\n"
        );
        let config = resolved(&text);
        config.forecaster().unwrap().aggregation
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

/// Six windows in batches of four: averages of the library, compared with its own scores of the two
/// batches.
#[test]
fn scores_and_validation_average_batches_where_that_is_asked_for() {
    let text = "[data]\ncolumns = [\"temp_max\"]\ninput_len = 24\nhorizon = 4\n[model]\nunits = 6\nhidden = 8\n\
                head_hidden = 8\nevaluate_samples = 2\naggregation = \"lower_median\"\n";
    let config = resolved(text);
    let data = config.data.dataset(config.data.load_table().unwrap()).unwrap();
    let model = config.forecaster_for(&data).unwrap();
    let (model, parameters) = Forecaster::new::<f32>(model, 3).unwrap();
    let windows = &data.splits().validation[..6];
    let score = |windows: &[WindowIndex], averages| {
        let evaluator = Evaluator::new(&model, &parameters, &data, 0).averaging(averages);
        let (summary, _) = evaluate(&evaluator, windows, Intervention::None).unwrap();
        let quick = evaluator.validate(windows, &StackControl::default()).unwrap();
        let mse = quick.mse.unwrap();
        [summary.mse.mean, summary.mae.mean, summary.nll_marginal.mean, quick.score, mse]
    };
    let by_windows = BatchAverages { weigh: Averaging::Windows, batch: 4 };
    let by_batches = BatchAverages { weigh: Averaging::Batches, batch: 4 };
    let first = score(&windows[..4], by_windows);
    let [all, equal] = [by_windows, by_batches].map(|averages| score(windows, averages));
    for i in 0..first.len() {
        // The score of the second batch, from the mean over all six windows.
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
        shared: None,
        floor: None,
    };
    assert_eq!(prediction.point(), [2.0, -3.0]);
}

/// This project's own training settings keep the reference's values in its mode. Explicit settings
/// stay.
#[test]
fn choices_of_training_are_the_references_in_its_mode() {
    let of = |text: &str| {
        let config = resolved(text);
        (config.train.learning_rate, config.train.selection, config.control.mode)
    };
    let own = (3e-4, Selection::Crps, ControlName::Rate);
    assert_eq!(of(""), own);
    let reference = "[model]\ncompatibility = \"reference\"\n";
    assert_eq!(of(reference), (1e-3, Selection::Nll, ControlName::None));
    let named = format!(
        "{reference}[train]\nlearning_rate = 0.5\nselection = \"mse\"\n[control]\nmode = \"homeo\"\n"
    );
    assert_eq!(of(&named), (0.5, Selection::Mse, ControlName::Homeo));
}
