//! Runs that cannot be resumed give the reason and change nothing.

use super::stopping::Stop::{Interrupted, Killed};
use super::stopping::{CONTROLS, Place, config, expect_same, files, go};
use super::support::Failure;
use super::support::restamp;
use std::path::{Path, PathBuf};
use vdn_forecast::report::report_run;
use vdn_forecast::run::{RunDirectory, evaluate_run, forecast_run, resume_run, train_run};
use vdn_train::TrainError;
use vdn_train::run::RunFiles;
use vdn_train::run::store::{DiskFiles, Interrupt, Manifest};
use vdn_train::train::Progress;

#[test]
fn a_directory_has_one_writer() -> Result<(), Failure> {
    let (place, config) = (Place::new(), config("", "")?);
    let out = place.run("run");
    let mut refused = 0;
    train_run(&config, Some(&out), |_, event| {
        if !matches!(event, Progress::Step { done: 2 | 9, .. }) {
            return;
        }
        let again = train_run(&config, Some(&out), |_, _| {}).unwrap_err().to_string();
        assert!(again.contains("holds a run that is not finished"), "{again}");
        let resumed = resume_run(&out, &Interrupt::new(), |_, _| {}).unwrap_err().to_string();
        assert!(resumed.contains("is being written by another run (process "), "{resumed}");
        refused += 1;
    })?;
    assert_eq!(refused, 2);
    let whole = place.run("whole");
    train_run(&config, Some(&whole), |_, _| {})?;
    expect_same(&out, &whole, "disturbed");
    // This also holds before the run has written anything.
    let early = place.run("early");
    let held = RunFiles::open(&early)?;
    let error = train_run(&config, Some(&early), |_, _| {}).unwrap_err().to_string();
    assert!(error.contains("is being written by another run (process "), "{error}");
    assert_eq!(files(&early).keys().collect::<Vec<_>>(), ["run.lock"]);
    drop(held);
    train_run(&config, Some(&early), |_, _| {})?;
    expect_same(&early, &whole, "after the other one");
    Ok(())
}

/// Returns the error message of a rejected resume, which changes nothing.
fn refusal(out: &Path) -> String {
    let before = files(out);
    let error = resume_run(out, &Interrupt::new(), |_, _| {}).unwrap_err().to_string();
    let after = files(out);
    assert_eq!(before.keys().collect::<Vec<_>>(), after.keys().collect::<Vec<_>>(), "{error}");
    for (name, bytes) in &before {
        assert!(name == "run.lock" || *bytes == after[name], "{name} changed: {error}");
    }
    assert_eq!(error.lines().count(), 1, "{error}");
    error
}

/// The checkpoints of an unfinished run, oldest first.
fn checkpoints(out: &Path) -> Vec<PathBuf> {
    let all = std::fs::read_dir(out.join("checkpoints")).unwrap().map(|e| e.unwrap().path());
    let mut all: Vec<PathBuf> = all.filter(|p| p.extension().is_some_and(|e| e == "vdn")).collect();
    all.sort();
    all
}

#[test]
fn what_cannot_go_on_says_why() -> Result<(), Failure> {
    let (place, config) = (Place::new(), config("", "")?);
    let whole = place.run("whole");
    train_run(&config, Some(&whole), |_, _| {})?;
    let error = refusal(&whole);
    assert!(error.contains("holds a run that is finished: nothing is left to resume"), "{error}");
    let again = train_run(&config, Some(&whole), |_, _| {}).unwrap_err().to_string();
    assert!(again.contains("already holds a run"), "{again}");
    // A folder with other content.
    let foreign = place.run("foreign");
    std::fs::create_dir(&foreign)?;
    std::fs::write(foreign.join("notes.txt"), "mine")?;
    let error = refusal(&foreign);
    assert!(error.contains("is not a run directory (it has no config.toml)"), "{error}");
    // Checkpoints of another run of the same settings.
    let [one, other] = ["one", "other"].map(|name| place.run(name));
    for out in [&one, &other] {
        let result = go(Some(&config), out, Some(Interrupted(5)), 1)?;
        assert!(matches!(result, Some(Err(TrainError::Interrupted { step: 5 }))), "{result:?}");
    }
    let own: Vec<Vec<u8>> =
        checkpoints(&one).iter().map(std::fs::read).collect::<Result<_, _>>()?;
    for (to, from) in checkpoints(&one).iter().zip(checkpoints(&other)) {
        std::fs::copy(from, to)?;
    }
    let error = refusal(&one);
    assert!(error.contains("step-000000000005.vdn") && error.contains("another run"), "{error}");
    for (to, bytes) in checkpoints(&one).iter().zip(&own) {
        std::fs::write(to, bytes)?;
    }
    // Other settings or other data are rejected; then the run's own are accepted again.
    let file = one.join("config.toml");
    let text = std::fs::read_to_string(&file)?;
    for (from, to, reason) in [
        ("learning_rate = 0.0003", "learning_rate = 0.0004", "other settings"),
        ("epochs = 3", "epochs = 4", "other settings"),
        ("seed = 0", "seed = 1", "other settings"),
        ("dropout = 0.05", "dropout = 0.2", "other settings"),
        ("objective = \"vib\"", "objective = \"elbo\"", "other settings"),
        ("units = 8", "units = 9", "other settings"),
        ("max_train = 16", "max_train = 12", "other data"),
        ("max_validation = 8", "max_validation = 6", "other data"),
        ("\"temp_max\"", "\"precipitation\"", "not the scales of the data"),
    ] {
        assert_eq!(text.matches(from).count(), 1, "{from}: {text}");
        std::fs::write(&file, text.replace(from, to))?;
        let error = refusal(&one);
        assert!(error.contains(reason), "{to}: {error}");
    }
    // Settings that affect no bit of a step may change.
    let free = text.replace("checkpoint_every_steps = 1", "checkpoint_every_steps = 0");
    let free = free.replace("keep = 2", "keep = 5");
    assert!(free != text);
    std::fs::write(&file, free)?;
    let result = go(None, &one, Some(Interrupted(7)), 2)?;
    assert!(matches!(result, Some(Err(TrainError::Interrupted { step: 7 }))), "{result:?}");
    std::fs::write(&file, text)?;
    go(None, &one, None, 1)?.ok_or("killed")??;
    expect_same(&one, &whole, "after refusals");
    Ok(())
}

#[test]
fn a_damaged_checkpoint_is_passed_over_and_none_that_is_whole_is_an_error() -> Result<(), Failure> {
    let (place, config) = (Place::new(), config("", CONTROLS)?);
    let whole = place.run("whole");
    train_run(&config, Some(&whole), |_, _| {})?;
    // After the end of an epoch, the logs of the older checkpoint are shorter.
    for stop in [3, 5] {
        for cut in [false, true] {
            let out = place.run(&format!("{stop}-{cut}"));
            go(Some(&config), &out, Some(Interrupted(stop)), 1)?;
            let all = checkpoints(&out);
            assert_eq!(all.len(), 2);
            let damage = |path: &Path| -> Result<(), Failure> {
                let mut bytes = std::fs::read(path)?;
                let middle = bytes.len() / 2;
                match cut {
                    true => bytes.truncate(middle),
                    false => bytes[middle] ^= 1,
                }
                Ok(std::fs::write(path, bytes)?)
            };
            damage(&all[1])?;
            let older = std::fs::read(&all[0])?;
            damage(&all[0])?;
            let error = refusal(&out);
            assert!(error.contains(&all[1].display().to_string()), "{error}");
            std::fs::write(&all[0], older)?;
            // The user is told which checkpoint was skipped.
            let mut told = Vec::new();
            resume_run(&out, &Interrupt::new(), |_, event| {
                if let Progress::Skipped(damage) = event {
                    told.push(damage.to_string());
                }
            })?;
            let newest = all[1].display().to_string();
            assert!(told.len() == 1 && told[0].contains(&newest), "{told:?}");
            expect_same(&out, &whole, &format!("damaged after {stop}"));
        }
    }
    Ok(())
}

/// A run is stamped before it has checkpoints. A run that dies right after the first checkpoint can
/// be resumed.
#[test]
fn a_run_that_died_early_goes_on() -> Result<(), Failure> {
    let (place, config) = (Place::new(), config("", "")?);
    let (whole, out) = (place.run("whole"), place.run("out"));
    train_run(&config, Some(&whole), |_, _| {})?;
    assert!(go(Some(&config), &out, Some(Killed(1)), 1)?.is_none());
    assert!(checkpoints(&out).is_empty());
    let start = std::fs::read(out.join("manifest.json"))?;
    let run = Manifest::read(&DiskFiles, &out)?.run;
    assert!(matches!(go(None, &out, Some(Interrupted(1)), 1)?, Some(Err(_))));
    // As if it had died before it stamped the directory.
    std::fs::write(out.join("manifest.json"), start)?;
    go(None, &out, None, 1)?.ok_or("killed")??;
    assert_eq!(Manifest::read(&DiskFiles, &out)?.run, run);
    expect_same(&out, &whole, "died early");
    Ok(())
}

#[test]
fn files_of_another_epoch_are_refused_by_name() -> Result<(), Failure> {
    let place = Place::new();
    let config = config("", "twin = true\nselection = \"last\"\n")?;
    let out = place.run("run");
    let all = |run: &RunDirectory| {
        let results = [
            evaluate_run(run).map(|_| ()),
            report_run(run).map(|_| ()),
            forecast_run(run, None).map(|_| ()),
        ];
        results.map(|result| result.err().map_or_else(String::new, |error| error.to_string()))
    };
    // Before there are weights, and while there are only those of the model.
    go(Some(&config), &out, Some(Interrupted(2)), 1)?;
    let run = RunDirectory::open(&out)?;
    for error in all(&run) {
        let hint = format!("not finished; go on with it by `vdn train --resume {}`", out.display());
        assert!(error.contains(&hint), "{error}");
    }
    let result = go(None, &out, Some(Interrupted(4)), 1)?;
    assert!(matches!(result, Some(Err(TrainError::Interrupted { step: 4 }))), "{result:?}");
    let first = std::fs::read(run.weights(false))?;
    let result = go(None, &out, Some(Interrupted(7)), 1)?;
    assert!(matches!(result, Some(Err(TrainError::Interrupted { step: 7 }))), "{result:?}");
    let second = std::fs::read(run.weights(false))?;
    std::fs::write(run.weights(false), &first)?;
    for error in all(&run) {
        let reason = "weights.safetensors: is not that of epoch 2 of this run";
        assert!(error.contains(reason) && error.contains("not finished"), "{error}");
    }
    std::fs::write(run.weights(false), &second)?;
    go(None, &out, None, 1)?.ok_or("killed")??;
    assert_eq!(all(&run), ["", "", ""]);
    let last = std::fs::read(run.weights(false))?;
    assert!(first != second && second != last && first.len() == last.len());
    for (name, bytes) in [
        ("weights.safetensors", &second[..]),
        ("twin-weights.safetensors", &last[..]),
        ("history.csv", b"epoch\n"),
        ("units.npy", b""),
        ("control.safetensors", b"x"),
        ("scaler.json", b"{}"),
        ("config.toml", b""),
    ] {
        let file = out.join(name);
        let own = std::fs::read(&file)?;
        assert!(own != bytes, "{name}");
        std::fs::write(&file, bytes)?;
        for error in all(&run) {
            let reason = format!("{name}: is not that of epoch 3 of this run");
            assert!(error.contains(&reason), "{name}: {error}");
            assert!(!error.contains("not finished"), "{name}: {error}");
        }
        std::fs::remove_file(&file)?;
        for error in all(&run) {
            // Without its configuration it is not a run.
            let refused = error.contains(&format!("{name}: is missing; epoch 3"));
            assert!(refused, "{name}: {error}");
        }
        std::fs::write(&file, own)?;
    }
    assert_eq!(all(&run), ["", "", ""]);
    // Files in the manifest are checked as strictly as before.
    std::fs::write(run.weights(false), &second[..second.len() - 1])?;
    restamp(&run, "weights.safetensors")?;
    for error in all(&run) {
        assert!(error.contains("weights.safetensors"), "{error}");
    }
    Ok(())
}
