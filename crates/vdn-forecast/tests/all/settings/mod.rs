//! Settings: their structs, their rejected values, and settings of earlier versions.

mod keys;
mod older;
mod one_place;

use toml::{Table, Value};
use vdn_forecast::config::RunConfig;

/// Settings that are left out by default: key, value.
const OPTIONAL: &[(&str, &str)] = &[
    ("data.file", "\"series.csv\""),
    ("data.columns", "[\"a\"]"),
    ("data.date", "\"day\""),
    ("data.max_train", "9"),
    ("data.max_validation", "9"),
    ("data.max_test", "9"),
    ("data.season", "7"),
    ("model.widths", "[8]"),
    ("control.band_shuffle", "3"),
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

/// A configuration with one setting, by its full key.
fn with(key: &str, value: &str) -> Result<RunConfig, String> {
    let mut given = Table::new();
    vdn_train::config::set_text(&mut given, &format!("{key}={value}"))
        .map_err(|e| e.to_string())?;
    RunConfig::from_table(given).map_err(|error| error.to_string())
}

/// Returns the error of a configuration with one setting.
fn refusal(key: &str, value: &str) -> Option<String> {
    let checked = with(key, value).and_then(|config| config.validate().map_err(|e| e.to_string()));
    checked.err()
}

/// Every key of every table, with its default, or with an example value if it is omitted by
/// default.
fn every_key() -> Vec<(String, Value)> {
    let written = RunConfig::default().to_toml().expect("TOML").parse::<Table>().expect("TOML");
    let mut keys = Vec::new();
    leaves("", &written, &mut keys);
    for (key, value) in OPTIONAL {
        assert!(keys.iter().all(|(other, _)| other != key), "{key} is not left out");
        keys.push(((*key).to_owned(), vdn_train::config::value_of(value)));
    }
    keys
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
