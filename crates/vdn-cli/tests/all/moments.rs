//! Scores and forecasts without samples.

use super::support::{restamp, text, train, vdn};

/// Scores and forecasts by moments: the same on any number of threads, close to the results of
/// samples, and with normal quantiles.
#[test]
fn moments_score_and_forecast_without_samples() {
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("run");
    let output = train(&out, &["--demo", "--twin"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let config = std::fs::read_to_string(out.join("config.toml")).unwrap();
    let many = config.replace("evaluate_samples = 8\n", "evaluate_samples = 256\n");
    assert_ne!(many, config);
    std::fs::write(out.join("config.toml"), many).unwrap();
    restamp(&out, "config.toml");
    let run = out.to_str().unwrap();
    let table = |more: &[&str]| {
        let output = vdn(&[&["evaluate", run], more].concat());
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout)
    };
    let [one, two] = ["1", "2"].map(|threads| table(&["--moments", "--threads", threads]));
    assert_eq!(one, two);
    for row in ["variational units, by moments", "deterministic twin", "ridge", "seasonal naive"] {
        assert!(one.contains(row), "{row} is missing:\n{one}");
    }
    for part in ["swapped", " living", "by moments, by moments"] {
        assert!(!one.contains(part), "{part}:\n{one}");
    }
    // MSE, NLL, CRPS and coverage, after the number of parameters.
    let scores = |table: &str, name: &str| -> Vec<f64> {
        let row = table.lines().find(|line| line.starts_with(name)).unwrap();
        let rest = row[34..].split_whitespace().skip(1).take(3);
        rest.map(|x| x.parse().unwrap()).collect()
    };
    let by_samples = table(&[]);
    let pairs = scores(&one, "variational").into_iter().zip(scores(&by_samples, "variational"));
    for (moments, samples) in pairs {
        // 256 samples, and rounding.
        assert!((moments - samples).abs() < 0.01, "{one}\n{by_samples}");
    }
    assert_eq!(scores(&one, "deterministic"), scores(&by_samples, "deterministic"));
    let forecast = vdn(&["forecast", run, "--moments"]);
    assert!(forecast.status.success(), "{}", text(&forecast.stderr));
    let csv = text(&forecast.stdout);
    assert_eq!(csv.lines().count(), 1 + 4 * 4, "{csv}");
    for line in csv.lines().skip(1) {
        // mean, 5, 10, 25, 50, 75, 90 and 95 %.
        let x: Vec<f64> = line.split(',').skip(3).map(|x| x.parse().unwrap()).collect();
        let spread = (x[7] - x[0]) / 1.644_853_626_951_472_2;
        let want =
            [0.0, -1.644_853_626_951_472_2, -1.281_551_565_544_600_4, -0.674_489_750_196_081_7];
        for (i, want) in want.into_iter().enumerate() {
            let off = x[i] - (x[0] + want * spread);
            assert!(off.abs() < 1e-9 * (1.0 + x[0].abs()), "{line}");
        }
    }
    // The default model always has a closed form.
    let other = vdn(&["forecast", run]);
    assert_eq!(text(&other.stdout), csv);
}

#[test]
fn models_without_moments_say_why() {
    let directory = tempfile::tempdir().unwrap();
    let (out, config) = (directory.path().join("run"), directory.path().join("run.toml"));
    std::fs::write(&config, "[model]\naggregation = \"score\"\n").unwrap();
    let output = train(&out, &["--quiet", "--config", config.to_str().unwrap()]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    for command in ["evaluate", "forecast"] {
        let output = vdn(&[command, out.to_str().unwrap(), "--moments"]);
        let message = text(&output.stderr);
        assert_eq!((output.status.code(), message.lines().count()), (Some(2), 1), "{message}");
        assert!(message.contains("aggregation: score"), "{message}");
    }
}
