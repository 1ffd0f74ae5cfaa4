//! The remains of a failed run, and directories in which no run may start.

use super::stopping::{self, Place, Stop};
use super::support::{self, Failure};
use vdn_forecast::config::RunConfig;
use vdn_forecast::run::{RunDirectory, evaluate_run, resume_run, train_run};
use vdn_train::TrainError;
use vdn_train::run::RunFiles;
use vdn_train::run::store::Interrupt;

/// Two epochs of two steps.
const SMALL: &str = "[data]\ncolumns = [\"temp_max\"]\ninput_len = 24\nhorizon = 4\nmax_train = 16\n\
    max_validation = 8\nmax_test = 8\n[model]\nunits = 8\nhidden = 8\nhead_hidden = 8\nevaluate_samples = 4\n\
    [train]\nepochs = 2\nbatch = 8\npatience = 0\n";

fn config(train: &str) -> Result<RunConfig, Failure> {
    support::config(SMALL, train)
}

#[test]
fn a_run_that_fails_in_its_first_epoch_keeps_its_checkpoints() -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    // The first step succeeds; the next one cannot be computed.
    for (every, kept) in [(1, true), (0, false)] {
        let out = folder.path().join(every.to_string());
        let mut config = config(&format!("checkpoint_every_steps = {every}\n"))?;
        config.train.learning_rate = 1e30;
        let error = train_run(&config, Some(&out), |_, _| {}).unwrap_err();
        assert!(matches!(error, TrainError::NonFinite { step: 1, .. }), "{error:?}");
        assert_eq!(out.join("checkpoints/step-000000000001.vdn").exists(), kept);
        assert_eq!(out.exists(), kept, "without anything to keep nothing is left");
    }
    Ok(())
}

#[test]
fn a_run_that_fails_leaves_the_weights_of_its_best_epoch() -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    // Each step multiplies all weights by -20. They overflow before a checkpoint is due.
    let mut config = config("checkpoint_every_epochs = 0\n")?;
    config.train.epochs = 20;
    config.train.learning_rate = 1e-3;
    config.optimizer.weight_decay = 21e3;
    let files = RunFiles::open(folder.path())?;
    let error = support::train(config, Some(files.clone())).err().ok_or("it cannot succeed")?;
    let error = error.downcast::<TrainError>()?;
    assert!(matches!(*error, TrainError::NonFinite { .. }), "{error:?}");
    assert!(files.weights().exists(), "the best weights are not on disk");
    let history = std::fs::read_to_string(files.history())?;
    assert!(history.lines().count() > 1, "{history}");
    Ok(())
}

#[test]
fn nothing_begins_where_a_run_has_checkpoints_or_has_finished() -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let files = RunFiles::open(folder.path())?;
    support::train(config("")?, Some(files.clone()))?;
    let again = |reason: &str| {
        let error = support::train(config("")?, Some(files.clone())).err().ok_or("begun")?;
        assert!(error.to_string().contains(reason), "{error}");
        Ok::<_, Failure>(())
    };
    let weights = std::fs::read(files.weights())?;
    again("holds checkpoints of a run; resume it")?;
    files.finish(&[])?;
    again("holds a run that is finished")?;
    assert_eq!(std::fs::read(files.weights())?, weights);
    Ok(())
}

#[test]
fn a_run_of_an_older_version_is_not_begun_again() -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let out = folder.path().join("run");
    train_run(&config("")?, Some(&out), |_, _| {})?;
    std::fs::remove_file(out.join("manifest.json"))?;
    let weights = std::fs::read(out.join("weights.safetensors"))?;
    let error = resume_run(&out, &Interrupt::new(), |_, _| {}).unwrap_err().to_string();
    assert!(error.contains("was written by an older version; train it again"), "{error}");
    assert_eq!(std::fs::read(out.join("weights.safetensors"))?, weights);
    Ok(())
}

#[test]
fn a_run_begins_where_another_was_killed_in_its_first_write() -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let out = folder.path().join("run");
    std::fs::create_dir(&out)?;
    std::fs::write(out.join("run.lock"), "")?;
    std::fs::write(out.join(".config.toml.tmp-4711-0"), "[data")?;
    train_run(&config("")?, Some(&out), |_, _| {})?;
    let names = std::fs::read_dir(&out)?.map(|entry| Ok(entry?.file_name()));
    let names = names.collect::<Result<Vec<_>, std::io::Error>>()?;
    assert!(!names.iter().any(|name| name.to_string_lossy().contains(".tmp-")), "{names:?}");
    // Foreign files are not touched.
    let other = folder.path().join("other");
    std::fs::create_dir(&other)?;
    std::fs::write(other.join(".notes.tmp-1-2"), "mine")?;
    let error = train_run(&config("")?, Some(&other), |_, _| {}).unwrap_err().to_string();
    assert!(error.ends_with("is not empty; choose another directory"), "{error}");
    assert!(other.join(".notes.tmp-1-2").exists());
    Ok(())
}

#[test]
fn unfinished_files_of_a_twin_are_removed_too() -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let left = ["checkpoints", "twin/checkpoints"].map(|name| folder.path().join(name));
    for folder in &left {
        std::fs::create_dir_all(folder)?;
        std::fs::write(folder.join(".step-000000000007.vdn.tmp-4711-3"), "cut o")?;
        std::fs::write(folder.join("step-000000000006.vdn"), "whole")?;
    }
    let _files = RunFiles::open(folder.path())?;
    for folder in &left {
        let names: Vec<_> = std::fs::read_dir(folder)?.map(|e| e.unwrap().file_name()).collect();
        assert_eq!(names, ["step-000000000006.vdn"], "{}", folder.display());
    }
    Ok(())
}

/// Weights that the manifest does not list belong to another state.
#[test]
fn weights_that_the_manifest_does_not_name_are_not_read() -> Result<(), Failure> {
    let (place, config) = (Place::new(), stopping::config("", "")?);
    let (whole, out) = (place.run("whole"), place.run("out"));
    train_run(&config, Some(&whole), |_, _| {})?;
    // Interrupted in its first epoch, before it has weights to keep.
    let result = stopping::go(Some(&config), &out, Some(Stop::Interrupted(1)), 1)?;
    assert!(matches!(result, Some(Err(TrainError::Interrupted { step: 1 }))), "{result:?}");
    assert!(!out.join("weights.safetensors").exists());
    std::fs::copy(whole.join("weights.safetensors"), out.join("weights.safetensors"))?;
    let error = evaluate_run(&RunDirectory::open(&out)?).unwrap_err().to_string();
    assert!(error.contains("holds a run that is not finished"), "{error}");
    Ok(())
}
