//! Classifies points in a plane into three classes that overlap. The network of distributional
//! units reports its uncertainty. It abstains where it expects an answer to cost more than no
//! answer.
//!
//! Run with `cargo run --release -p vdn --example classification`.

use std::fmt::Write;
use vdn::prelude::*;
use vdn::tasks::config::TaskConfig;
use vdn::tasks::evaluate::Costs;
use vdn::tasks::run::{PredictFrom, predict_task, train_task};
use vdn::tensor::parallel::Pool;
use vdn::train::run::RunFolder;

/// Points around three centres, close enough to overlap.
fn table(rows: usize) -> String {
    let mut noise = vec![0.0_f64; 2 * rows];
    NoiseKey::new(8, 0, 0).fill_normal(0, &mut noise);
    let centres = [("red", 0.0, 0.0), ("green", 2.0, 0.0), ("blue", 1.0, 2.0)];
    let mut text = "x,y,colour\n".to_owned();
    for (i, e) in noise.chunks_exact(2).enumerate() {
        let (colour, x, y) = centres[i % 3];
        let _ = writeln!(text, "{},{},{colour}", x + 0.6 * e[0], y + 0.6 * e[1]);
    }
    text
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let (file, out) = (folder.path().join("table.csv"), folder.path().join("run"));
    std::fs::write(&file, table(600))?;
    let config = TaskConfig::from_toml(&format!(
        "task = \"classification\"\n[data]\nfile = {file:?}\ntarget = [\"colour\"]\n\
         [train]\nepochs = 60\ntwin = true\n[choice]\nfolds = 2\n"
    ))?;
    let interrupt = Interrupt::new();
    let train = || train_task(&config, Some(&out), &interrupt, |_, _| {});
    println!("{}\n", Pool::new(0)?.run(train)?);

    // A point at the centre of a class, and a point between two classes.
    let new = folder.path().join("new.csv");
    std::fs::write(&new, "x,y\n0.0,0.0\n1.0,0.0\n")?;
    let costs = Costs { abstain: 0.2, defer: None };
    let csv = predict_task(&RunFolder::open(&out)?, PredictFrom::Table(&new), Some(costs))?.csv;
    println!("{csv}");
    let decisions: Vec<bool> = csv.lines().skip(1).map(|line| line.contains(",answer,")).collect();
    assert_eq!(decisions, [true, false]);
    Ok(())
}
