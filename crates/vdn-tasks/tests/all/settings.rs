//! Settings of tasks: refusals and their messages.

use toml::{Table, Value};
use vdn_tasks::config::TaskConfig;
use vdn_train::config::{set_text, value_of};

/// Numeric settings that are omitted by default, with a valid value.
const OPTIONAL: [(&str, &str); 10] = [
    ("control.rate.target", "0.2"),
    ("control.kl.target", "0.2"),
    ("control.geco.tolerance", "1.0"),
    ("control.geco.initial", "0.001"),
    ("control.persistence.low", "0.1"),
    ("control.persistence.high", "0.3"),
    ("control.persistence.target", "0.2"),
    ("diagnostics.rate_low", "0.1"),
    ("diagnostics.rate_high", "0.2"),
    ("selection.kl_cap", "100.0"),
];

/// Numeric settings that may be infinite, which means no limit.
const WITHOUT_LIMIT: [&str; 4] =
    ["control.rate.high", "control.kl.high", "diagnostics.rate_high", "optimizer.clip_norm"];

/// The refusal of a configuration with one setting, from reading or from checking.
fn refusal(task: &str, key: &str, value: &str) -> Option<String> {
    let target = "\n[data]\nfile = \"rows.csv\"\ntarget = [\"y\"]\n";
    let mut given: Table = format!("task = {task:?}{target}").parse().unwrap();
    set_text(&mut given, &format!("{key}={value}")).unwrap();
    let config = TaskConfig::from_table(given);
    config.and_then(|config| config.validate()).err().map(|error| error.to_string())
}

fn leaves(at: &str, table: &Table, to: &mut Vec<(String, Value)>) {
    for (key, value) in table {
        let key = if at.is_empty() { key.clone() } else { format!("{at}.{key}") };
        match value {
            Value::Table(table) => leaves(&key, table, to),
            value => to.push((key, value.clone())),
        }
    }
}

/// Every key with its default, or with a value if it is omitted by default.
fn every_key() -> Vec<(String, Value)> {
    let written = TaskConfig::default().to_toml().unwrap().parse::<Table>().unwrap();
    let mut keys = Vec::new();
    leaves("", &written, &mut keys);
    for (key, value) in OPTIONAL {
        assert!(keys.iter().all(|(other, _)| other != key), "{key} is not left out");
        keys.push((key.to_owned(), value_of(value)));
    }
    keys
}

#[test]
fn no_number_is_infinite_or_none() {
    let (mut numbers, mut wrong) = (0, Vec::new());
    for task in ["regression", "classification"] {
        for (key, default) in every_key().into_iter().filter(|(_, value)| value.is_float()) {
            numbers += 1;
            // The key itself is valid, so the refusal below concerns the value.
            let value = default.to_string();
            if let Some(message) = refusal(task, &key, &value) {
                wrong.push(format!("{key} = {value}: {message}"));
            }
            for value in ["nan", "inf", "-inf"] {
                let without_limit = value == "inf" && WITHOUT_LIMIT.contains(&&*key);
                match refusal(task, &key, value) {
                    Some(message)
                        if message.contains(&key)
                            && message.lines().count() == 1
                            && !without_limit => {}
                    None if without_limit => {}
                    other => wrong.push(format!("{task}: {key} = {value}: {other:?}")),
                }
            }
        }
        for (key, value) in [
            ("data.sentinels", "[nan]"),
            ("data.sentinels", "[inf]"),
            ("control.layer", "[{layer = 1, pi.width = inf}]"),
            ("control.layer", "[{layer = 1, geco.min = nan}]"),
        ] {
            assert!(refusal(task, key, value).is_some(), "{task}: {key} = {value}");
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(numbers > 2 * 60, "{numbers}");
}

/// The same table and the same words as for forecasts.
#[test]
fn the_memory_of_a_run_has_a_limit() {
    assert_eq!(TaskConfig::default().run.memory, 0.0);
    let error = refusal("regression", "run.memory", "-1.0").unwrap();
    assert!(error.ends_with("run.memory = -1: has to be finite and at least 0"), "{error}");
    let error = refusal("regression", "run.memry", "1.0").unwrap();
    assert!(error.ends_with("run.memry: no such key; did you mean memory?"), "{error}");
    assert_eq!(refusal("regression", "run.memory", "1.5"), None);
}

#[test]
fn classes_have_one_likelihood() {
    assert_eq!(refusal("classification", "model.likelihood", "\"categorical\""), None);
    for other in ["gaussian", "student_t", "poisson"] {
        let error = refusal("classification", "model.likelihood", &format!("{other:?}")).unwrap();
        let part = format!("model.likelihood = {other:?}: is one of numbers");
        assert!(error.contains(&part), "{error}");
    }
    // A run of a version that ignored the likelihood of classes.
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.toml");
    let text = "task = \"classification\"\n[data]\nfile = \"rows.csv\"\ntarget = [\"y\"]\n[model]\n\
                likelihood = \"gaussian\"\n";
    std::fs::write(&file, text).unwrap();
    TaskConfig::load_stored(&file).unwrap().validate().unwrap();
    assert!(TaskConfig::load(&file).unwrap().validate().is_err());
}
