//! Scores of whole forecasts in a run: for every contestant, on any number of threads, and again
//! from the stored weights.

use serde_json::Value;
use vdn_forecast::config::RunConfig;
use vdn_forecast::run::{RunDirectory, evaluate_run, train_run};
use vdn_tensor::parallel::Pool;

const SMALL: &str = "[data]\ninput_len = 24\nhorizon = 14\nmax_train = 48\nmax_validation = 20\n\
    max_test = 16\nseason = 7\n[model]\nunits = 8\nhidden = 8\nhead_hidden = 8\n\
    evaluate_samples = 8\n[train]\nepochs = 2\ntwin = true\n[diagnostics]\nwindows = 0\n";

fn rows(report: &impl serde::Serialize) -> Vec<Value> {
    let value = serde_json::to_value(report).unwrap();
    value["rows"].as_array().unwrap().clone()
}

/// The keys for whole forecasts.
const KEYS: [&str; 7] = [
    "horizon_mean",
    "block_sums",
    "maximum",
    "energy_score",
    "variogram_score",
    "joint_nll",
    "unit_share",
];

#[test]
fn every_contestant_is_judged_as_a_whole() {
    let config = RunConfig::from_toml(SMALL).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let run = |threads: usize, out: Option<&std::path::Path>| {
        let pool = Pool::new(threads).unwrap();
        pool.run(|| train_run(&config, out, |_, _| {})).unwrap()
    };
    let report = run(1, Some(directory.path()));
    let found = rows(&report);
    let names: Vec<&str> = found.iter().map(|row| row["name"].as_str().unwrap()).collect();
    assert_eq!(names.len(), 8, "{names:?}");
    for (row, name) in found.iter().zip(&names) {
        for key in KEYS {
            assert!(row.get(key).is_some(), "{name} has no key {key}");
        }
        let swapped = name.contains("swapped");
        let residual = name.contains("residual paths");
        assert_eq!(row["horizon_mean"].is_null(), swapped, "{name}");
        if swapped {
            continue;
        }
        for key in ["horizon_mean", "maximum"] {
            assert!(row[key]["crps"].as_f64().unwrap() > 0.0, "{name}: {key}");
            for cover in ["cover50", "cover90"] {
                let share = row[key][cover].as_f64().unwrap();
                assert!((0.0..=1.0).contains(&share), "{name}: {key} {cover} {share}");
            }
        }
        let week = &row["block_sums"][0];
        assert_eq!((&week["name"], &week["steps"]), (&"week".into(), &7.into()), "{name}");
        assert!(row["energy_score"].as_f64().unwrap() > 0.0, "{name}");
        assert!(row["variogram_score"].as_f64().unwrap() > 0.0, "{name}");
        assert_eq!(row["joint_nll"].is_null(), residual, "{name}");
        assert_eq!(row["nll"].is_null(), residual, "{name}");
    }
    let of = |name: &str| found.iter().find(|row| row["name"] == *name).unwrap();
    let units = of("variational units");
    let joint = &units["joint_nll"];
    assert!(joint["closed_form"].is_f64() && joint["samples_2048"].is_null(), "{joint}");
    let independent = 14.0 * units["nll"].as_f64().unwrap();
    let noise = joint["noise_value"].as_f64().unwrap();
    // All test windows are scored.
    let expected = independent - joint["closed_form"].as_f64().unwrap();
    assert!((noise - expected).abs() < 1e-9, "{units}");
    let share = &units["unit_share"];
    for part in ["mean", "step"] {
        assert!((0.05..0.95).contains(&share[part].as_f64().unwrap()), "{share}");
    }
    let twin = of("deterministic twin");
    assert_eq!(twin["unit_share"], serde_json::json!({"step": 0.0, "mean": 0.0}));
    // With independent steps the joint density is the product. All test windows are scored.
    let joint = twin["joint_nll"]["closed_form"].as_f64().unwrap();
    assert_eq!(twin["joint_nll"]["windows"], 64);
    assert!((joint - 14.0 * twin["nll"].as_f64().unwrap()).abs() < 1e-9, "{twin}");
    // The point forecast is the same with residual paths.
    assert_eq!(of("twin, residual paths")["mse"].as_f64(), twin["mse"].as_f64());
    assert!(of("ridge, residual paths")["unit_share"].is_null());

    // The same numbers on three threads, and from the stored weights.
    let again = rows(&evaluate_run(&RunDirectory::open(directory.path()).unwrap()).unwrap());
    for other in [rows(&run(3, None)), again] {
        for (a, b) in found.iter().zip(&other) {
            for key in KEYS {
                assert_eq!(a[key], b[key], "{}: {key}", a["name"]);
            }
        }
    }
    let table = report.to_string();
    assert!(table.contains("forecasts as wholes") && table.contains("sum of week (7)"), "{table}");
}

/// Without a closed form, the joint log-likelihood is estimated from samples.
#[test]
fn a_gated_head_is_judged_by_samples() {
    let text = SMALL.replace("[model]\n", "[model]\ndependence = \"sampled\"\nbeta = 1e-4\n");
    let text = text.replace("[train]\n", "[train]\nema_decay = 0.0\nbatch = 128\n");
    let report = train_run(&RunConfig::from_toml(&text).unwrap(), None, |_, _| {}).unwrap();
    let joint = &rows(&report)[0]["joint_nll"];
    let by = |key: &str| joint[key].as_f64().unwrap();
    assert!(joint["closed_form"].is_null());
    // More samples lower the bound in expectation; here they do.
    assert!(by("samples_2048") <= by("samples_32"), "{joint}");
}
