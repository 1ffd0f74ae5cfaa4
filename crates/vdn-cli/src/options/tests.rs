//! Every option is a short way to set a key.

use super::{Command, Options, Settings, TrainOptions};
use crate::shorthands::{Form, GROUPS, TASKS};
use clap::Parser;
use std::collections::BTreeSet;
use vdn_forecast::config::RunConfig;
use vdn_tasks::config::TaskConfig;

fn train(arguments: &[&str]) -> TrainOptions {
    let all = ["vdn", "train"].iter().chain(arguments);
    match Options::try_parse_from(all).unwrap_or_else(|e| panic!("{arguments:?}: {e}")).command {
        Command::Train(options) => *options,
        other => panic!("{other:?}"),
    }
}

fn config(arguments: &[&str]) -> RunConfig {
    match train(arguments).settings().unwrap_or_else(|error| panic!("{arguments:?}: {error}")) {
        Settings::Forecast(config) => *config,
        Settings::Task(_) => panic!("{arguments:?}: the settings of a task"),
    }
}

fn task(arguments: &[&str]) -> TaskConfig {
    let all: Vec<&str> = ["--task", "regression"].iter().chain(arguments).copied().collect();
    match train(&all).settings().unwrap_or_else(|error| panic!("{all:?}: {error}")) {
        Settings::Task(config) => *config,
        Settings::Forecast(_) => panic!("{all:?}: the settings of a forecast"),
    }
}

fn error(arguments: &[&str]) -> String {
    train(arguments).settings().expect_err("refused").to_string()
}

/// For each option a text other than the default, and the same value as in a file.
const VALUES: &[(&str, &str, &str)] = &[
    ("data", "7", "\"7\""),
    ("columns", "a,#2", "[\"a\", \"#2\"]"),
    ("date", "2020", "\"2020\""),
    ("date-format", "%d.%m.%Y", "\"%d.%m.%Y\""),
    ("zone", "Europe/Berlin", "\"Europe/Berlin\""),
    ("id-column", "shop", "\"shop\""),
    ("target-column", "sold", "\"sold\""),
    ("delimiter", ";", "\";\""),
    ("decimal", ",", "\",\""),
    ("duplicates", "mean", "\"mean\""),
    ("fill", "linear", "\"linear\""),
    ("sentinel", "-999", "[-999.0]"),
    ("calendar", "", "true"),
    ("past", "a,#2", "[\"a\", \"#2\"]"),
    ("future", "plan", "[\"plan\"]"),
    ("static", "kind", "[\"kind\"]"),
    ("support", "non_negative", "\"non_negative\""),
    ("input-len", "24", "24"),
    ("horizon", "4", "4"),
    ("stride", "2", "2"),
    ("protocol", "benchmark_ratio", "\"benchmark_ratio\""),
    ("season", "7", "7"),
    ("compatibility", "reference", "\"reference\""),
    ("units", "48", "48"),
    ("depth", "2", "2"),
    ("widths", "8, 4", "[8, 4]"),
    ("distributional-fraction", "0.5", "0.5"),
    ("residual", "", "true"),
    ("layer-norm", "", "true"),
    ("latent-dims", "2", "2"),
    ("samples", "2", "2"),
    ("evaluate-samples", "3", "3"),
    ("beta", "-0.001", "-1e-3"),
    ("normalization", "last", "\"last\""),
    ("divide-by-deviation", "", "true"),
    ("epochs", "3", "3"),
    ("patience", "0", "0"),
    ("batch", "32", "32"),
    ("learning-rate", "-1", "-1.0"),
    ("seed", "7", "7"),
    ("generator", "ars-7", "\"ars-7\""),
    ("threads", "2", "2"),
    ("twin", "", "true"),
];

/// The same for the options of tasks.
const TASK_VALUES: &[(&str, &str, &str)] = &[
    ("target", "a,#2", "[\"a\", \"#2\"]"),
    ("ignore", "row", "[\"row\"]"),
    ("categories", "zip,year", "[\"zip\", \"year\"]"),
    ("missing", "mean", "\"mean\""),
    ("splits", "7", "\"7\""),
    ("split", "3", "3"),
    ("images", "i", "\"i\""),
    ("labels", "l", "\"l\""),
    ("test-images", "i", "\"i\""),
    ("test-labels", "l", "\"l\""),
    ("likelihood", "student_t", "\"student_t\""),
];

#[test]
fn a_cost_and_a_risk_are_one_value() {
    let all = ["vdn", "predict", "RUN", "--data", "x", "--abstain", "0.3", "--defer", "0.1,0.05"];
    match Options::try_parse_from(all).unwrap().command {
        Command::Predict { abstain, defer, .. } => {
            assert_eq!((abstain, defer), (Some(0.3), Some(vec![0.1, 0.05])));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_option_of_tasks_equals_the_setting_of_its_key() {
    let own = GROUPS.iter().filter(|(heading, _)| *heading == TASKS);
    for &(name, key, ..) in own.flat_map(|(_, shorthands)| *shorthands) {
        let value = TASK_VALUES.iter().find(|(option, ..)| *option == name);
        let &(_, text, written) = value.unwrap_or_else(|| panic!("--{name} has no value here"));
        let option = format!("--{name}");
        let by_option = task(&[&option, text]);
        assert_eq!(by_option, task(&["--set", &format!("{key}={written}")]), "{option} {text}");
        assert_ne!(by_option, task(&[]), "{option} {text} changes nothing");
        let message = error(&[&option, text]);
        assert!(message.contains("give --task regression beside"), "{message}");
    }
    // Options that forecasts and tasks share set the same keys.
    let both = task(&["--data", "f.csv", "--units", "4", "--twin", "--delimiter", ";"]);
    assert_eq!((both.model.units, both.train.twin), (4, true));
    assert_eq!(both.data.delimiter.as_deref(), Some(";"));
    let message = error(&["--task", "regression", "--horizon", "3"]);
    assert!(message.contains("data.horizon: no such key"), "{message}");
    let message = error(&["--task", "regresion"]);
    assert!(message.contains("task = \"regresion\""), "{message}");
}

#[test]
fn every_option_equals_the_setting_of_its_key() {
    let mut left: BTreeSet<&str> = VALUES.iter().map(|(name, ..)| *name).collect();
    let of_forecasts = GROUPS.iter().filter(|(heading, _)| *heading != TASKS);
    for &(name, key, form, _) in of_forecasts.flat_map(|(_, shorthands)| *shorthands) {
        let value = VALUES.iter().find(|(option, ..)| *option == name);
        let &(_, text, written) = value.unwrap_or_else(|| panic!("--{name} has no value here"));
        left.remove(name);
        let option = format!("--{name}");
        let by_option = match form {
            Form::Flag => config(&[&option]),
            _ => config(&[&option, text]),
        };
        assert_eq!(by_option, config(&["--set", &format!("{key}={written}")]), "{option} {text}");
        let (table, own) = key.split_once('.').expect("a table and a key");
        let file = format!("[{table}]\n{own} = {written}\n");
        assert_eq!(by_option, RunConfig::from_toml(&file).expect(&file), "{file}");
        assert_ne!(by_option, RunConfig::default(), "{option} {text} changes nothing");
    }
    assert!(left.is_empty(), "no such options: {left:?}");
    let windows =
        ["data.max_train=9", "--set", "data.max_validation=8", "--set", "data.max_test=7"];
    let windows: Vec<&str> = ["--set"].into_iter().chain(windows).collect();
    assert_eq!(config(&["--max-windows", "9,8,7"]), config(&windows));
    let control = ["--set", "control.mode=homeo", "--set", "control.controllers=[\"ar\"]"];
    assert_eq!(config(&["--control", "homeo,ar"]), config(&control));
    assert_eq!(config(&["--demo"]), RunConfig::default());
    let quoted = config(&["--columns", "\"load, total\",b"]).data.columns;
    assert_eq!(quoted, Some(vec!["load, total".to_owned(), "b".to_owned()]));
}

#[test]
fn later_layers_win() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("run.toml");
    let text = "[model]\ncompatibility = \"reference\"\nunits = 32\nhidden = 16\n\
                [data]\nfile = \"series.csv\"\n";
    std::fs::write(&file, text).unwrap();
    let file = file.to_str().unwrap();
    let all = config(&["--config", file, "--units", "64", "--set", "model.latent_dims = 3"]);
    let model = all.model;
    // The values of the reference, the file and the options.
    assert_eq!(
        (model.initial_sigma, model.hidden, model.units, model.latent_dims),
        (0.5, 16, 64, 3)
    );
    assert_eq!(config(&["--units", "8", "--set", "model.units=4"]).model.units, 4);
    assert_eq!(config(&["--config", file, "--demo"]).data.file, None);
    assert_eq!(config(&["--config", file, "--set", "data.file=none"]).data.file, None);
    // A default that follows from others follows from those that won.
    assert_eq!(config(&["--config", file, "--units", "64"]).model.head_hidden, 32);
    std::fs::write(file, "[model]\nunit = 3\n").unwrap();
    let message = error(&["--config", file]);
    assert!(
        message.contains("run.toml: model.unit: no such key; did you mean units?"),
        "{message}"
    );
}

#[test]
fn wrong_settings_are_refused_in_one_line() {
    let cases: &[(&[&str], &str)] = &[
        (&["--set", "model.unit=3"], "model.unit: no such key; did you mean units?"),
        (&["--set", "modle.units=3"], "modle: no such key; did you mean model?"),
        (&["--set", "model.units=many"], "model.units = \"many\": has to be a whole number"),
        (&["--set", "model.units"], "is not KEY=VALUE"),
        (&["--set", "model.=3"], "is not a key"),
        (&["--units", "-3"], "model.units = -3: has to be a whole number, at least 0"),
        (&["--set", "train.seed.deep=3"], "train.seed"),
        (
            &["--fill", "zerro"],
            "data.fill = \"zerro\": has to be one of error, forward, linear, zero",
        ),
    ];
    for (arguments, wanted) in cases {
        let message = error(arguments);
        assert!(message.contains(wanted), "{arguments:?}: {message}");
        assert_eq!(message.lines().count(), 1, "{message}");
    }
}
