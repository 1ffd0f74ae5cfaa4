//! The record of a run's units is compared with the network and the history wherever it is used.

use super::support::{restamp, text, train, vdn};
use std::path::Path;
use vdn_train::units::UnitHistory;

/// 128 bytes that claim 2^61 units.
fn claim() -> Vec<u8> {
    let mut bytes = b"\x93NUMPY\x01\x00\x76\x00".to_vec();
    bytes.extend(
        b"{'descr': '<f4', 'fortran_order': False, 'shape': (0, 9, 2305843009213693952), }",
    );
    bytes.resize(127, b' ');
    bytes.push(b'\n');
    bytes
}

fn expect_refusals(run: &Path, units: usize, epochs: usize) {
    let file = run.join("units.npy");
    let good = std::fs::read(&file).unwrap();
    let zeros = |units: usize, epochs: usize| {
        let values = vec![0.0; epochs * 9 * units];
        UnitHistory::from_values(units, epochs, values).unwrap().to_bytes()
    };
    assert_eq!(claim().len(), 128);
    let cases = [
        (claim(), "has 2305843009213693952 units".to_owned()),
        (zeros(9, epochs), format!("has 9 units, the model's layer has {units}")),
        (zeros(units, epochs - 1), format!("has {} epochs, the history has {epochs}", epochs - 1)),
        (zeros(units, epochs + 1), format!("has {} epochs, the history has {epochs}", epochs + 1)),
    ];
    let run_name = run.to_str().unwrap();
    for (bytes, reason) in cases {
        std::fs::write(&file, bytes).unwrap();
        for stamped in [false, true] {
            if stamped {
                restamp(run, "units.npy");
            }
            let reason = if stamped { &reason[..] } else { "is not that of epoch" };
            for command in ["report", "evaluate"] {
                let output = vdn(&[command, run_name]);
                let error = text(&output.stderr);
                assert_eq!(
                    (output.status.code(), error.lines().count()),
                    (Some(2), 1),
                    "{command}: {error}"
                );
                let named = error.contains("units.npy: ") && error.contains(reason);
                assert!(named, "{command}, {reason}: {error}");
            }
        }
    }
    std::fs::write(&file, good).unwrap();
    restamp(run, "units.npy");
    let output = vdn(&["report", run_name]);
    assert!(output.status.success(), "{}", text(&output.stderr));
}

#[test]
fn the_units_of_a_forecast_are_those_of_its_layer_and_epochs() {
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("run");
    let output = train(&out, &["--demo", "--control", "none"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    expect_refusals(&out, 16, 2);
}

#[test]
fn the_units_of_a_task_are_those_of_its_layer_and_epochs() {
    let directory = tempfile::tempdir().unwrap();
    let [file, out] = ["line.csv", "run"].map(|name| directory.path().join(name));
    let rows: String = (0..60).map(|i| format!("{i},{}\n", 2 * i + i % 3)).collect();
    std::fs::write(&file, format!("x,y\n{rows}")).unwrap();
    let [data, run] = [&file, &out].map(|path| path.to_str().unwrap());
    let output = vdn(&[
        "train",
        "--task=regression",
        "--target=y",
        "--data",
        data,
        "--out",
        run,
        "--units=4",
        "--epochs=3",
        "--set=choice.refit=false",
        "--set=choice.folds=1",
        "--patience=0",
        "--set=model.hidden=[8]",
        "--control=none",
    ]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    expect_refusals(&out, 4, 3);
}
