//! Compares the reference's double-precision numbers with the production code: `tests/fixtures`, or
//! the folder in the environment variable `VDN_FIXTURES`. Every JSON file there is read, and every
//! case must agree.

mod bands;
mod case;
mod controllers;
mod forecaster_parts;
mod likelihoods;
mod training;
mod trajectory;
mod units;

use case::{Case, Check};
use std::collections::BTreeMap;
use std::path::PathBuf;

type Run = fn(&Case) -> Result<Check, String>;

/// The function that runs the cases of each topic and kind.
const KNOWN: [(&str, &str, Run); 24] = [
    ("gaussian_unit", "gaussian_unit", units::gaussian_unit),
    ("kl_general", "kl_general", units::kl_general),
    ("kl_general", "kl_ar", units::kl_ar),
    ("likelihoods", "gaussian", likelihoods::gaussian),
    ("likelihoods", "mixture", likelihoods::mixture),
    ("layer", "layer", units::layer),
    ("encoder", "encoder", forecaster_parts::encoder),
    ("head", "head", forecaster_parts::head),
    ("aggregate", "aggregate", forecaster_parts::aggregate),
    ("adamw", "adamw", training::adamw),
    ("windows", "windows", training::windows),
    ("moving_average", "moving_average", forecaster_parts::moving_average),
    ("ar_penalty", "ar_penalty", bands::ar_penalty_case),
    ("ar_penalty", "ar_sigma_from_band_mu2", bands::ar_sigma_from_band),
    ("ar_penalty", "ar_sigma_from_band_width", bands::ar_sigma_from_width),
    ("band", "make_mu2_band", bands::make_band),
    ("band", "hinge_band_penalty", bands::hinge),
    ("projection", "project_mu2_band", bands::projection),
    ("beta_thermostat", "beta_thermostat", controllers::thermostat),
    ("homeostat", "homeostat_rescale", controllers::rescale),
    ("homeostat", "regulator", controllers::regulator),
    ("band_calibration", "band_calibration", bands::calibration),
    ("band_calibration", "selection_table", bands::selection),
    ("train_trajectory", "train_trajectory", trajectory::trajectory),
];

/// Topics and kinds of parts that are not implemented: none.
const PENDING: [(&str, &str); 0] = [];

fn folder() -> PathBuf {
    std::env::var_os("VDN_FIXTURES").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures")),
        PathBuf::from,
    )
}

#[test]
fn every_case_agrees() {
    let folder = folder();
    let entries =
        std::fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|e| e == "json"));
    files.sort();
    assert!(!files.is_empty(), "{}: no JSON files", folder.display());
    let mut failures = Vec::new();
    // For each topic and kind: the number of passed cases, the number of compared values, and the
    // worst error as a share of the tolerance.
    let mut passed: BTreeMap<(String, String), (usize, usize, f64)> = BTreeMap::new();
    let mut pending: BTreeMap<(String, String), usize> = BTreeMap::new();
    for file in &files {
        let cases = case::read(file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        if cases.is_empty() {
            failures.push(format!("{}: no cases", file.display()));
        }
        for case in cases {
            let key = (case.topic.clone(), case.kind.clone());
            if PENDING.contains(&(&key.0, &key.1)) {
                *pending.entry(key).or_default() += 1;
                continue;
            }
            let known = KNOWN.iter().find(|(topic, kind, _)| *topic == key.0 && *kind == key.1);
            let place = format!("{} {} {}", key.0, key.1, case.name);
            let Some((_, _, run)) = known else {
                failures.push(format!("{place}: unknown topic or kind"));
                continue;
            };
            match run(&case) {
                Err(error) => failures.push(format!("{place}: {error}")),
                Ok(check) => {
                    if check.compared == 0 {
                        failures.push(format!("{place}: nothing was compared"));
                    }
                    failures
                        .extend(check.failures.iter().map(|failure| format!("{place}: {failure}")));
                    let entry = passed.entry(key).or_default();
                    *entry = (entry.0 + 1, entry.1 + check.compared, entry.2.max(check.worst));
                }
            }
        }
    }
    for ((topic, kind), (cases, numbers, worst)) in &passed {
        println!(
            "{topic:<16} {kind:<18} {cases:>4} cases {numbers:>8} numbers, worst error {worst:.1e} (bound 1e-10)"
        );
    }
    for ((topic, kind), cases) in &pending {
        println!("{topic:<16} {kind:<18} {cases:>4} cases pending");
    }
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
    assert!(!passed.is_empty(), "{}: only pending cases", folder.display());
}
