//! Regression on a table whose noise is small, except in every fifth row, by distributional units
//! and by their deterministic twin.
//!
//! Run with `cargo run --release -p vdn --example regression`.

use std::fmt::Write;
use vdn::prelude::*;
use vdn::tasks::config::TaskConfig;
use vdn::tasks::run::{PredictFrom, predict_task, train_task};
use vdn::tensor::parallel::Pool;
use vdn::train::run::RunFolder;

/// `y = sin x` plus noise with deviation 0.1. Every fifth row has the deviation 1, which no input
/// reveals.
fn table(rows: usize) -> String {
    let mut noise = vec![0.0_f64; 2 * rows];
    NoiseKey::new(3, 0, 0).fill_normal(0, &mut noise);
    let mut text = "x,y\n".to_owned();
    for (i, row) in noise.chunks_exact(2).enumerate() {
        let x = 1.5 * row[0];
        let y = x.sin() + if i % 5 == 0 { 1.0 } else { 0.1 } * row[1];
        let _ = writeln!(text, "{x},{y}");
    }
    text
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let (file, out) = (folder.path().join("table.csv"), folder.path().join("run"));
    std::fs::write(&file, table(400))?;
    // Other settings have their defaults. A file `config.toml` has the same form.
    let config = TaskConfig::from_toml(&format!(
        "task = \"regression\"\n[data]\nfile = {file:?}\ntarget = [\"y\"]\n\
         [model]\nsamples = 16\n[train]\nepochs = 100\ntwin = true\n[choice]\nfolds = 2\n"
    ))?;
    let interrupt = Interrupt::new();
    let train = || train_task(&config, Some(&out), &interrupt, |_, _| {});
    let report = Pool::new(0)?.run(train)?;
    println!("{report}\n");

    // Predictions for new rows: the mean, five quantiles and the units' share of the variance.
    let new = folder.path().join("new.csv");
    std::fs::write(&new, "x\n0.0\n1.5\n3.1\n")?;
    println!("{}", predict_task(&RunFolder::open(&out)?, PredictFrom::Table(&new), None)?.csv);

    let nll = |row: usize| report.rows[row].scores.of_split()[0];
    assert!(nll(0) < nll(2), "one normal distribution cannot say that its own size is not known");
    Ok(())
}
