//! The reference's likelihood, CRPS, pinball and median values against the golden fixtures (topics
//! 9 and 13).

use serde_json::Value;
use vdn_train::metrics::reference::Floors;
use vdn_train::metrics::{MedianConvention, Predictions, sample_median, window_nll};

/// The cases of one topic.
fn cases(topic: &str) -> Vec<Value> {
    let path = format!("{}/../../tests/fixtures/{topic}.json", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}"));
    let file: Value = serde_json::from_str(&text).unwrap();
    file["cases"].as_array().unwrap().clone()
}

fn tensor(value: &Value) -> (Vec<usize>, Vec<f64>) {
    let numbers = |key: &str| value[key].as_array().unwrap();
    let shape = numbers("shape").iter().map(|n| n.as_u64().unwrap() as usize).collect();
    (shape, numbers("data").iter().map(|x| x.as_f64().unwrap()).collect())
}

/// The rule of the fixtures, `|got - want| <= 1e-10 max(1, |want|)`. Returns one line per value
/// that violates it.
fn compare(bad: &mut Vec<String>, case: &Value, what: &str, got: f64, want: f64) {
    if (got - want).abs().is_nan() || (got - want).abs() > 1e-10 * want.abs().max(1.0) {
        bad.push(format!("{} {what}: got {got}, want {want}", case["name"]));
    }
}

#[test]
fn likelihoods_and_scores_match_the_reference() {
    let mut bad = Vec::new();
    let mut seen = [0, 0];
    for case in cases("likelihoods") {
        let (inputs, outputs) = (&case["inputs"], &case["outputs"]);
        let number = |key: &str| inputs[key].as_f64().unwrap();
        let floors = Floors { sigma: number("sigma_floor"), eps: number("eps") };
        let want = |key: &str| outputs[key].as_f64().unwrap();
        let (shape, y) = tensor(&inputs["y"]);
        let (sigma_shape, sigma) = tensor(&inputs["sigma"]);
        let horizon = shape[1];
        if case["kind"] == "gaussian" {
            seen[0] += 1;
            let (_, mu) = tensor(&inputs["mu"]);
            let nll = floors.gaussian_nll(&mu, &sigma, &y).unwrap();
            compare(&mut bad, &case, "nll", nll, want("nll"));
            let crps = floors.gaussian_crps(&mu, &sigma, &y).unwrap();
            compare(&mut bad, &case, "crps", crps, want("crps"));
            for (tau, key) in [(0.1, "pinball_p10"), (0.5, "pinball_p50"), (0.9, "pinball_p90")] {
                let loss = floors.gaussian_pinball(tau, &mu, &sigma, &y).unwrap();
                compare(&mut bad, &case, key, loss, want(key));
            }
        } else {
            seen[1] += 1;
            let (mean_shape, means) = tensor(&inputs["mu_samples"]);
            let nll = floors.mixture_nll(&means, &sigma, &y, horizon).unwrap();
            compare(&mut bad, &case, "nll", nll, want("nll"));
            let moments = floors.mixture_moments(&means, &sigma, y.len()).unwrap();
            for (got, key) in moments.iter().zip(["mean", "std"]) {
                for (got, want) in got.iter().zip(tensor(&outputs[key]).1) {
                    compare(&mut bad, &case, key, *got, want);
                }
            }
            // The default's tempered score is the same, up to the eps inside the reference's
            // logarithms.
            let shape = [mean_shape[0], mean_shape[1], mean_shape[2]];
            let batch = Predictions::new(&means, shape, &sigma, &sigma_shape, None).unwrap();
            let windows = y.chunks_exact(horizon).enumerate();
            let total: f64 = windows
                .map(|(b, y)| window_nll(&batch.window(b).unwrap(), y).unwrap().tempered)
                .sum();
            let (got, want) = (total / shape[1] as f64, want("nll"));
            assert!(
                (got - want).abs() < 1e-6 * want.abs().max(1.0),
                "{}: {got} {want}",
                case["name"]
            );
        }
    }
    assert!(bad.is_empty(), "{bad:#?}");
    assert!(seen.iter().all(|&n| n > 0), "cases of both kinds: {seen:?}");
}

#[test]
fn the_lower_middle_median_is_the_reference_s() {
    let (mut seen, mut bad) = (0, Vec::new());
    for case in cases("aggregate").iter().filter(|case| case["inputs"]["mode"] == "median") {
        seen += 1;
        let (shape, y) = tensor(&case["inputs"]["y_samples"]);
        let (_, want) = tensor(&case["outputs"]["yhat"]);
        let elements = shape[1] * shape[2];
        for (element, want) in want.iter().enumerate() {
            let mut samples: Vec<f64> = (0..shape[0]).map(|s| y[s * elements + element]).collect();
            let got = sample_median(&mut samples, MedianConvention::LowerMiddle);
            compare(&mut bad, case, "median", got, *want);
        }
    }
    assert!(bad.is_empty(), "{bad:#?}");
    assert!(seen > 0, "median cases");
}
