//! Runs on counts: large counts, rare counts, and counts that vary more than a Poisson
//! distribution.

use std::fmt::Write as _;
use std::path::Path;
use vdn_tasks::config::TaskConfig;
use vdn_tasks::run::{evaluate_task, train_task};
use vdn_tensor::noise::NoiseKey;
use vdn_tensor::parallel::Pool;
use vdn_train::run::RunFolder;
use vdn_train::run::store::Interrupt;

const ROWS: usize = 400;

/// The scores of a run on `y = count(x, e, u)`, where `x` and `e` are normal and `u` is uniform.
fn scores(
    folder: &Path,
    likelihood: &str,
    count: impl Fn(f64, f64, f64) -> f64,
) -> serde_json::Value {
    let file = folder.join("counts.csv");
    let (mut normal, mut uniform) = (vec![0.0_f64; 2 * ROWS], vec![0.0_f64; ROWS]);
    NoiseKey::new(5, 0, 0).fill_normal(0, &mut normal);
    NoiseKey::new(6, 0, 0).fill_uniform(0, &mut uniform);
    let mut text = "x,y\n".to_owned();
    for (pair, u) in normal.chunks_exact(2).zip(&uniform) {
        let _ = writeln!(text, "{},{}", pair[0], count(pair[0], pair[1], *u));
    }
    std::fs::write(&file, text).unwrap();
    let text = format!(
        "task = \"regression\"\n[data]\nfile = {file:?}\ntarget = [\"y\"]\ntest = 0.25\n[model]\n\
         hidden = [16]\nunits = 4\nhead_hidden = 8\nevaluate_samples = 16\nlikelihood = \
         {likelihood:?}\n[train]\nepochs = 60\npatience = 20\nlearning_rate = 3e-3\n[choice]\n\
         folds = 2\n"
    );
    let config = TaskConfig::from_toml(&text).unwrap();
    let out = folder.join(likelihood);
    let pool = Pool::new(2).unwrap();
    let report = pool.run(|| train_task(&config, Some(&out), &Interrupt::new(), |_, _| {}));
    let own = serde_json::to_value(report.unwrap()).unwrap()["rows"][0].clone();
    let again = evaluate_task(&RunFolder::open(&out).unwrap(), None).unwrap();
    let again = serde_json::to_value(again).unwrap();
    for key in ["nll", "rmse", "crps", "coverage_90"] {
        assert_eq!(again["rows"][0][key], own[key], "{likelihood}: {key}");
    }
    own
}

fn number(scores: &serde_json::Value, key: &str) -> f64 {
    scores[key].as_f64().unwrap()
}

/// Counts around 5e7. The input explains a deviation of 50 % between rows. The noise has a
/// deviation of 10 %.
#[test]
fn large_counts_are_learned() {
    let folder = tempfile::tempdir().unwrap();
    let count = |x: f64, e: f64, _| (5e7 * (0.5 * x + 0.1 * e).exp()).round();
    // The deviation of the targets is 3e7. The input does not explain a deviation of 6e6.
    let poisson = scores(folder.path(), "poisson", count);
    assert!(number(&poisson, "rmse") < 1.5e7, "{poisson}");
    let own = scores(folder.path(), "negative_binomial", count);
    assert!(number(&own, "rmse") < 1.5e7, "{own}");
    // The true distribution has an NLL of ln(5e6) + 1.42 = 16.84; one normal distribution for all
    // rows has 18.6.
    assert!(number(&own, "nll") < 17.6, "{own}");
    assert!((0.75..=0.99).contains(&number(&own, "coverage_90")), "{own}");
    // A Poisson distribution has a deviation of 7e3, but the rows vary by 5e6.
    assert!(number(&own, "nll") < number(&poisson, "nll") - 10.0, "{own} {poisson}");
    assert!(number(&own, "crps") < 8e6, "{own}");
}

/// One count in a hundred rows.
#[test]
fn rare_counts_are_learned() {
    let folder = tempfile::tempdir().unwrap();
    for likelihood in ["poisson", "negative_binomial"] {
        let rare = |_: f64, _: f64, u: f64| f64::from(u8::from(u < 0.01));
        let own = scores(folder.path(), likelihood, rare);
        // Poisson(0.01) has an NLL of 0.056, with a standard error of 0.046 on 100 rows.
        assert!(number(&own, "nll") < 0.056 + 3.0 * 0.046, "{likelihood}: {own}");
        assert!(number(&own, "rmse") < 0.25, "{likelihood}: {own}");
    }
}
