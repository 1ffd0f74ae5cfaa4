//! Runs that stop and go on: they end in the bytes of a run that never stopped; what cannot go on says why.

use super::support::{Failure, restamp};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use vdn_forecast::{
    Report, RunConfig, RunDirectory, evaluate_run, forecast_run, interruptible_run, report_run,
    resume_run, train_run,
};
use vdn_tensor::parallel::Pool;
use vdn_train::run::RunFiles;
use vdn_train::run::store::{DiskFiles, Interrupt, Manifest};
use vdn_train::{Progress, TrainError};

/// Three epochs of three steps, the last of which has fewer windows; two series.
const SMALL: &str = "[data]\ncolumns = [\"temp_max\", \"wind\"]\ninput_len = 24\nhorizon = 4\nmax_train = 16\n\
    max_validation = 8\nmax_test = 8\n[diagnostics]\nevery = 2\nwindows = 8\n[model]\nunits = 8\nhidden = 8\n\
    head_hidden = 8\nevaluate_samples = 4\n";
const TRAIN: &str = "[train]\nepochs = 3\nbatch = 12\npatience = 0\ncheckpoint_every_steps = 1\n";
const STEPS: u64 = 9;

fn config(model: &str, train: &str) -> Result<RunConfig, Failure> {
    super::support::config(SMALL, &format!("{model}{TRAIN}{train}"))
}

/// When a run stops: after so many steps, those of the model and of its twin counted on.
#[derive(Clone, Copy, Debug)]
enum Stop {
    /// It is asked to.
    Interrupted(u64),
    /// It dies before it can save anything.
    Killed(u64),
}

/// Starts a run, or goes on with it, on so many threads. `None`: it was killed.
fn go(
    config: Option<&RunConfig>,
    out: &Path,
    stop: Option<Stop>,
    threads: usize,
) -> Result<Option<Result<Report, TrainError>>, Failure> {
    let interrupt = Interrupt::new();
    let progress = |stage, event: Progress<'_>| {
        let before = if stage == vdn_forecast::Stage::Model { 0 } else { STEPS };
        let Progress::Step { done, total } = event else { return };
        assert_eq!(total, STEPS);
        match stop {
            Some(Stop::Interrupted(step)) if step == before + done => interrupt.request(),
            Some(Stop::Killed(step)) if step == before + done => {
                std::panic::resume_unwind(Box::new(step))
            }
            _ => {}
        }
    };
    let work = || match config {
        Some(config) => interruptible_run(config, Some(out), &interrupt, progress),
        None => resume_run(out, &interrupt, progress),
    };
    let work = std::panic::AssertUnwindSafe(|| Pool::new(threads).map(|pool| pool.run(work)));
    Ok(std::panic::catch_unwind(work).ok().transpose()?)
}

/// A run that stops so often and goes on each time, on other numbers of threads.
fn stopping(config: &RunConfig, out: &Path, stops: &[Stop]) -> Result<Report, Failure> {
    let mut first = Some(config);
    for (place, &stop) in stops.iter().enumerate() {
        let result = go(first.take(), out, Some(stop), 2 - place % 2)?;
        match (stop, result) {
            (Stop::Killed(_), None) => {}
            (Stop::Interrupted(at), Some(Err(TrainError::Interrupted { step }))) => {
                // A model that is done lets its twin begin.
                let expected = if at % STEPS == 0 { 1 } else { at % STEPS };
                assert_eq!(step, expected, "{stops:?}");
            }
            (_, other) => panic!("{stops:?}: {other:?}"),
        }
    }
    Ok(go(first, out, None, 3)?.ok_or("killed")??)
}

/// Every file of a directory; what lies in folders has their names before its own.
fn files(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut all = BTreeMap::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if entry.path().is_dir() {
            all.insert(format!("{name}/"), Vec::new());
            let inside = files(&entry.path()).into_iter();
            all.extend(inside.map(|(own, bytes)| (format!("{name}/{own}"), bytes)));
        } else {
            all.insert(name, std::fs::read(entry.path()).unwrap());
        }
    }
    all
}

/// Takes out all times.
fn timeless(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|key, _| !key.starts_with("seconds"));
            map.values_mut().for_each(timeless);
        }
        Value::Array(values) => values.iter_mut().for_each(timeless),
        _ => {}
    }
}

/// The files of a finished run, less what no two runs share: times, and the name of the run.
fn comparable(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut all = files(directory);
    let mut summary: Value = serde_json::from_slice(&all["summary.json"]).unwrap();
    assert!(String::from_utf8_lossy(&all["summary.json"]).contains("\"seconds_per_epoch\""));
    timeless(&mut summary);
    all.insert("summary.json".into(), summary.to_string().into_bytes());
    let manifest = Manifest::read(&DiskFiles, directory).unwrap();
    manifest.verify(&DiskFiles, directory).unwrap();
    let stamps = manifest.files().filter(|(name, _)| *name != "summary.json");
    let stamps: Vec<_> = stamps.collect();
    let text = format!("{} {} {} {stamps:?}", manifest.step, manifest.epoch, manifest.finished);
    all.insert("manifest.json".into(), text.into_bytes());
    all
}

fn expect_same(found: &Path, want: &Path, of: &str) {
    let (found, want) = (comparable(found), comparable(want));
    assert_eq!(found.keys().collect::<Vec<_>>(), want.keys().collect::<Vec<_>>(), "{of}");
    for (name, bytes) in &found {
        if *bytes != want[name] {
            let [found, want] = [bytes, &want[name]].map(|bytes| String::from_utf8_lossy(bytes));
            panic!("{of}: {name}:\n{found}\ninstead of\n{want}");
        }
    }
}

/// A directory for runs.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn run(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

const CONTROLS: &str = "[control]\nmode = \"homeo\"\ncontrollers = [\"ar\"]\nevery = 2\n\
    calibration_every = 4\n[control.ar]\nramp_steps = 5\nadapt = true\n";

/// What a run that stopped ends in, whatever it does and wherever it stopped: to the last byte what one writes that did not.
fn ends_in_the_same_bytes(
    config: &RunConfig,
    of: &str,
    stops: &[&[Stop]],
) -> Result<BTreeMap<String, Vec<u8>>, Failure> {
    let place = Place::new();
    let whole = place.run("whole");
    go(Some(config), &whole, None, 1)?.ok_or("killed")??;
    for stops in stops {
        let out = place.run("stopping");
        stopping(config, &out, stops)?;
        expect_same(&out, &whole, &format!("{of}, {stops:?}"));
        std::fs::remove_dir_all(&out)?;
    }
    let all = files(&whole);
    assert!(!all.keys().any(|name| name.ends_with('/')), "{of}: a folder is left");
    Ok(all)
}

use Stop::{Interrupted, Killed};

#[test]
fn a_run_that_was_stopped_ends_in_the_bytes_of_one_that_was_not() -> Result<(), Failure> {
    let every: Vec<[Stop; 1]> = (1..STEPS).map(|step| [Interrupted(step)]).collect();
    let mut stops: Vec<&[Stop]> = every.iter().map(|stop| &stop[..]).collect();
    stops.push(&[Interrupted(1), Interrupted(2), Interrupted(3), Interrupted(4), Interrupted(8)]);
    stops.push(&[Killed(1), Killed(2), Killed(5), Interrupted(6), Killed(9)]);
    let found = ends_in_the_same_bytes(&config("", "")?, "rates", &stops)?;
    let names: Vec<&str> = found.keys().map(String::as_str).collect();
    let all = [
        "config.toml",
        "control.csv",
        "control.safetensors",
        "history.csv",
        "manifest.json",
        "run.lock",
        "scaler.json",
        "summary.json",
        "units.csv",
        "units.npy",
        "weights.safetensors",
    ];
    assert_eq!(names, all);
    Ok(())
}

#[test]
fn controllers_go_on_where_they_were() -> Result<(), Failure> {
    for train in ["", "ema_decay = 0.9\nselection = \"last\"\n"] {
        let text = format!("{train}{CONTROLS}");
        let stops: [&[Stop]; 5] = [
            &[Interrupted(1)],
            &[Interrupted(4)],
            &[Interrupted(2), Interrupted(3), Interrupted(7)],
            &[Killed(2), Interrupted(5), Killed(8)],
            &[Interrupted(8)],
        ];
        ends_in_the_same_bytes(&config("", &text)?, &format!("homeo,ar {train}"), &stops)?;
    }
    Ok(())
}

#[test]
fn every_controller_and_every_kind_of_unit_goes_on_where_it_was() -> Result<(), Failure> {
    let chosen = |names: &str, rest: &str| {
        let names = names.split(',').map(|name| format!("\"{name}\"")).collect::<Vec<_>>();
        format!("[control]\nevery = 2\ncontrollers = [{}]\n{rest}", names.join(", "))
    };
    let mode = |name: &str| format!("[control]\nevery = 2\nmode = \"{name}\"\n");
    let ramp = "[control.ar]\nramp_steps = 7\n[control.annealing]\nsteps = 7\n";
    let cases = [
        ("", chosen("kl", "")),
        ("", chosen("thermostat", "[control.thermostat]\ninitial = 0.01\n")),
        ("", chosen("pi", "")),
        ("", chosen("geco", "[control.geco]\ntolerance = 1.0\n")),
        ("", chosen("free_bits,annealing,rate,ar", ramp)),
        ("", chosen("capacity,rate", "[control.capacity]\nramp_steps = 7\n")),
        ("", chosen("persistence", "[control.persistence]\ntarget = 0.3\n")),
        ("sigma = \"per_unit\"\n", mode("homeo")),
        ("sigma = \"per_unit\"\nlatent_dims = 2\n", mode("proj_on")),
        ("", mode("proj_off")),
        ("family = \"student_t\"\nprior = \"learned\"\ndepth = 2\n", String::new()),
        ("objective = \"iwae\"\nantithetic = true\ndropout = 0.3\n", String::new()),
        ("compatibility = \"reference\"\n", mode("homeo")),
        (
            "depth = 2\n",
            format!("{}[[control.layer]]\nlayer = 2\nmode = \"rate\"\n", mode("homeo")),
        ),
        ("", "generator = \"ars-7\"\n[schedule]\nwarmup_steps = 4\ndecay = \"cosine\"\n".into()),
    ];
    let stops: [&[Stop]; 2] = [&[Interrupted(4)], &[Interrupted(5), Killed(8)]];
    for (model, train) in cases {
        ends_in_the_same_bytes(&config(model, &train)?, &format!("{model}{train}"), &stops)?;
    }
    Ok(())
}

#[test]
fn a_twin_goes_on_where_it_was() -> Result<(), Failure> {
    let stops: [&[Stop]; 5] = [
        &[Interrupted(4)],
        &[Interrupted(9)],
        &[Interrupted(5), Interrupted(13), Interrupted(17)],
        &[Killed(10), Killed(11), Killed(14)],
        &[Killed(18)],
    ];
    for train in ["twin = true\n", "twin = true\nema_decay = 0.9\n"] {
        let found = ends_in_the_same_bytes(&config("", train)?, train, &stops)?;
        for name in ["twin-history.csv", "twin-weights.safetensors"] {
            assert!(found.contains_key(name), "{name}");
        }
    }
    Ok(())
}

#[test]
fn averages_layers_and_later_checkpoints_go_on_where_they_were() -> Result<(), Failure> {
    let cases = [
        ("", "ema_decay = 0.9\n"),
        ("depth = 2\n", "twin = true\n"),
        ("depth = 2\ndistributional_fraction = [1.0, 0.5]\n", "ema_decay = 0.5\n"),
        // The best epoch is not the last one.
        ("", "learning_rate = 5.0\nselection = \"mse\"\n[schedule]\nwarmup_steps = 100\n"),
        ("", "accumulate = 3\n[control]\nmode = \"none\"\n"),
    ];
    let stops: [&[Stop]; 3] = [
        &[Interrupted(4)],
        &[Interrupted(1), Interrupted(6), Killed(7)],
        &[Killed(2), Killed(7), Interrupted(8)],
    ];
    for (model, train) in cases {
        let of = format!("{model}{train}");
        let found = ends_in_the_same_bytes(&config(model, train)?, &of, &stops)?;
        let layers = found.contains_key("units-layer1.npy");
        assert_eq!(layers, model.contains("depth"), "{of}: {:?}", found.keys());
    }
    // Steps between two checkpoints are made again.
    let mut rare = config("", CONTROLS)?;
    (rare.train.checkpoint_every_steps, rare.train.checkpoint_every_epochs) = (4, 0);
    ends_in_the_same_bytes(&rare, "rare", &[&[Killed(3)], &[Killed(7)], &[Killed(6), Killed(9)]])?;
    Ok(())
}

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
    // Before it has written anything, too.
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

/// The message that going on is refused with, which changes nothing.
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
    // A folder of something else.
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
    // Other settings, or other data; then its own again.
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
    // What no bit of a step depends on may change.
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
    // Behind the end of an epoch: the logs of the older checkpoint are shorter.
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
            // The user is told which one was passed over.
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

/// A run has its name before it has checkpoints: one that dies right after the first of them goes on.
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
    // Before there are weights, and while there are those of the model alone.
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
            // Without its configuration it is no run.
            let refused = error.contains(&format!("{name}: is missing; epoch 3"));
            assert!(refused, "{name}: {error}");
        }
        std::fs::write(&file, own)?;
    }
    assert_eq!(all(&run), ["", "", ""]);
    // What the manifest vouches for is looked at as closely as before.
    std::fs::write(run.weights(false), &second[..second.len() - 1])?;
    restamp(&run, "weights.safetensors")?;
    for error in all(&run) {
        assert!(error.contains("weights.safetensors"), "{error}");
    }
    Ok(())
}
