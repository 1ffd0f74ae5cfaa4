//! The protocol of the ProbTS benchmark in a run: its windows, its scale, its keys.

use crate::runs::support::{Failure, refusal};
use std::path::Path;
use vdn_forecast::config::RunConfig;
use vdn_forecast::evaluate::ProbTsScores;
use vdn_forecast::report::report_run;
use vdn_forecast::run::{Report, RunDirectory, evaluate_run, train_run};
use vdn_tensor::parallel::Pool;

const ROWS: usize = 1000;
const SMALL: &str = "protocol = \"probts\"\ninput_len = 24\nhorizon = 6\nmax_train = 48\n\
    max_validation = 16\n[model]\nunits = 8\nhidden = 8\nhead_hidden = 8\nevaluate_samples = 8\n\
    [train]\nepochs = 1\ntwin = true\n[diagnostics]\nwindows = 0\n";

/// Two positive series with a cycle. The second is `larger` times as large; `higher` is added to
/// both.
fn file(folder: &Path, name: &str, larger: f64, higher: f64) -> String {
    let path = folder.join(name);
    let mut text = "a,b\n".to_owned();
    for row in 0..ROWS {
        let cycle = (row as f64 / 12.0 * std::f64::consts::TAU).sin();
        let value = 5.0 + 2.0 * cycle + (row * 7919 % 31) as f64 / 31.0;
        text += &format!("{},{}\n", value + higher, larger * (8.0 - 0.5 * value) + higher);
    }
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

fn train(file: &str, more: &str, out: Option<&Path>) -> Result<Report, Failure> {
    let text = format!("[data]\nfile = {file:?}\n{more}{SMALL}");
    Ok(train_run(&RunConfig::from_toml(&text)?, out, |_, _| {})?)
}

fn scores(report: &Report) -> Vec<(String, ProbTsScores)> {
    let rows = report.rows.iter();
    rows.filter_map(|row| Some((row.name.clone(), row.probts?))).collect()
}

#[test]
fn a_run_has_the_scores_of_probts_beside_its_own() -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let (path, out) = (file(folder.path(), "data.csv", 1.0, 0.0), folder.path().join("run"));
    let report = Pool::new(1)?.run(|| train(&path, "", Some(&out)).map_err(|e| e.to_string()))?;
    let found = scores(&report);
    let names: Vec<&str> = found.iter().map(|(name, _)| &name[..]).collect();
    assert_eq!(names[..2], ["variational units", "deterministic twin"]);
    assert!(names.len() == 4 && names[2].starts_with("ridge, penalty"), "{names:?}");
    for (name, score) in &found {
        // 200 test rows: windows at 800, 896 and 992 would end at 998.
        assert_eq!((score.windows, score.paths), (3, 100), "{name}");
        assert!(score.crps_q10 > 0.0 && score.crps_q10 < score.nmae, "{name}: {score:?}");
        assert!(score.crps_q10 != score.crps_q20 && score.crps_q10_standard_error.is_some());
    }
    let table = report.to_string();
    assert!(table.contains("ProbTS, original scale") && table.contains("3 windows of all series"));
    let note = "protocol probts: 70, 10 and 20 % of the rows; published tables are of 96 input \
                rows, here they are 24";
    assert!(report.notes.iter().any(|line| line == note), "{:?}", report.notes);
    // The results are the same on three threads, and from the stored weights. Only this protocol
    // has the key.
    let run = RunDirectory::open(&out)?;
    let again = Pool::new(3)?.run(|| evaluate_run(&run))?;
    assert_eq!(scores(&again), found);
    let page = report_run(&run)?;
    let score = format!("<td>{:.4}</td>", found[0].1.crps_q20);
    assert!(page.contains("<h3>ProbTS, original scale</h3>") && page.contains(&score));
    let json = std::fs::read_to_string(run.file("summary.json"))?;
    assert_eq!(json.matches("\"probts\"").count(), 4);
    let text = format!("[data]\nfile = {path:?}\n{SMALL}").replace("probts", "benchmark_ratio");
    let other = train_run(&RunConfig::from_toml(&text)?, None, |_, _| {})?;
    assert!(!serde_json::to_string(&other)?.contains("probts"));
    assert!(!other.to_string().contains("ProbTS"));
    Ok(())
}

#[test]
fn scores_are_on_the_original_scale_of_all_series_together() -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    // There is one window, so that a score is one ratio.
    let of = |name: &str, larger: f64, higher: f64| -> Result<_, Failure> {
        let path = file(folder.path(), name, larger, higher);
        let report = train(&path, "max_test = 1\n", None)?;
        Ok(scores(&report).into_iter().map(|(_, score)| score).collect::<Vec<_>>())
    };
    let (plain, high) = (of("plain.csv", 1.0, 0.0)?, of("high.csv", 1.0, 100.0)?);
    // The sum of the targets of this window, the middle one of three, in both files.
    let text = std::fs::read_to_string(folder.path().join("plain.csv"))?;
    let window = text.lines().skip(1 + 896).take(6).flat_map(|line| line.split(','));
    let sum: f64 = window.map(|cell| cell.parse::<f64>().unwrap()).sum();
    let factor = (sum + 12.0 * 100.0) / sum;
    for (plain, high) in plain.iter().zip(&high) {
        // The weights are the same up to the rounding of single precision.
        for (a, b) in [
            (plain.crps_q10, high.crps_q10),
            (plain.crps_q20, high.crps_q20),
            (plain.nmae, high.nmae),
        ] {
            assert!((b * factor / a - 1.0).abs() < 1e-3, "{a} {b} {factor}");
        }
    }
    // A series a million times as large dominates the score of a window.
    let ruled = of("ruled.csv", 1e6, 0.0)?;
    let alone = of("alone.csv", 1e9, 0.0)?;
    for (ruled, alone) in ruled.iter().zip(&alone) {
        assert!((ruled.nmae / alone.nmae - 1.0).abs() < 1e-3, "{ruled:?} {alone:?}");
    }
    assert!((plain[0].nmae / ruled[0].nmae - 1.0).abs() > 1e-2);
    Ok(())
}

#[test]
fn data_that_the_benchmark_cannot_score_are_refused_before_training() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        format!("[data]\nfile = {:?}\n{SMALL}", path.to_str().unwrap())
    };
    let mut long = "unique_id,ds,y\n".to_owned();
    for (name, rows) in [("a", ROWS), ("b", ROWS - 100)] {
        (0..rows).for_each(|row| long += &format!("{name},{row},{}\n", row % 7));
    }
    let zeros = |row: usize| if row < 800 { (row % 7) as f64 } else { 0.0 };
    let zeros: String = (0..ROWS).map(|row| format!("{}\n", zeros(row))).collect();
    let cases = [
        (write("long.csv", &long), "and 1 of 2 have one at row 720; the series have to be of one"),
        (write("zeros.csv", &format!("a\n{zeros}")), "the test window at row 800 are 0"),
    ];
    for (text, expected) in cases {
        let config = RunConfig::from_toml(&text).unwrap();
        let error = train_run(&config, None, |_, _| {}).unwrap_err().to_string();
        assert!(error.contains("protocol probts: "), "{error}");
        assert!(error.contains(expected) && error.lines().count() == 1, "{error}");
    }
    let error = refusal("", "[data]\nprotocol = \"probt\"\n");
    assert!(error.contains("did you mean probts?"), "{error}");
}
