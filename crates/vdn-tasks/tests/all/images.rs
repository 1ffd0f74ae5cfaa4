//! Images: their defaults, and a run on some.

use std::path::Path;
use vdn_tasks::config::TaskConfig;
use vdn_tasks::run::{PredictFrom, TaskReport, predict_task, train_task};
use vdn_tensor::noise::NoiseKey;
use vdn_tensor::parallel::Pool;
use vdn_train::run::RunFolder;
use vdn_train::run::store::Interrupt;

fn train(config: &TaskConfig, out: Option<&Path>) -> TaskReport {
    let pool = Pool::new(2).unwrap();
    pool.run(|| train_task(config, out, &Interrupt::new(), |_, _| {})).unwrap()
}

/// The bytes of an IDX file.
fn idx(shape: &[u32], values: Vec<u8>) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, shape.len() as u8];
    shape.iter().for_each(|size| bytes.extend(size.to_be_bytes()));
    bytes.extend(values);
    bytes
}

#[test]
fn images_have_defaults_of_their_own_and_are_learned() {
    let text = |data: &str| format!("task = \"classification\"\n[data]\n{data}\n");
    let of = |data: &str| TaskConfig::from_toml(&text(data)).unwrap();
    let images = of("images = \"i\"\nlabels = \"l\"");
    assert!(!images.model.beside && !images.choice.refit && images.model.layer_norm);
    let table = of("file = \"f\"\ntarget = [\"y\"]");
    assert!(table.model.beside && table.choice.refit);
    // A run reads the same settings that it wrote, and keys that are given take precedence.
    assert_eq!(TaskConfig::from_toml(&images.to_toml().unwrap()).unwrap(), images);
    let given = of("images = \"i\"\nlabels = \"l\"\n[model]\nbeside = true");
    assert!(given.model.beside && given.model.layer_norm);
    assert!(images.validate().is_ok());

    // A bright line in one of three rows of 4 x 4 pixels, with noise.
    let folder = tempfile::tempdir().unwrap();
    let (rows, mut noise) = (300, vec![0.0_f64; 300 * 16]);
    NoiseKey::new(12, 0, 0).fill_uniform(0, &mut noise);
    let class = |row: usize| row * 7 % 3;
    let pixel = |i: usize| {
        let line = if i % 16 / 4 == class(i / 16) { 100.0 } else { 0.0 };
        (line + 150.0 * noise[i]) as u8
    };
    let [file, labels] = ["images", "labels"].map(|name| folder.path().join(name));
    std::fs::write(&file, idx(&[rows, 4, 4], (0..rows as usize * 16).map(pixel).collect()))
        .unwrap();
    let classes = (0..rows as usize).map(|row| class(row) as u8).collect();
    std::fs::write(&labels, idx(&[rows], classes)).unwrap();
    let config = format!(
        "{}[model]\nhidden = [32]\nunits = 16\nhead_hidden = 32\ndropout = 0.1\n[train]\n\
         epochs = 60\nbatch = 16\nlearning_rate = 5e-3\n[schedule]\nwarmup_steps = 10\n",
        text(&format!("images = {file:?}\nlabels = {labels:?}"))
    );
    let out = folder.path().join("run");
    let report = train(&TaskConfig::from_toml(&config).unwrap(), Some(&out));
    let own = serde_json::to_value(&report).unwrap();
    // The mean of a line is 100 above the mean of other rows, with deviations of 22, so no errors
    // are expected.
    assert!(own["rows"][0]["error"].as_f64().unwrap() <= 0.1, "{own}");
    // All information about the class goes through the units.
    assert!(own["rows"][1]["error"].as_f64().unwrap() > 0.4, "{own}");
    let csv = predict_task(&RunFolder::open(&out).unwrap(), PredictFrom::Images(&file), None)
        .unwrap()
        .csv;
    let right = csv
        .lines()
        .skip(1)
        .enumerate()
        .filter(|(row, line)| line.split(',').nth(1) == Some(["0", "1", "2"][class(*row)]));
    assert!(right.count() >= 270);
}
