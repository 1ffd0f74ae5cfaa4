//! Runs that stop and are resumed end in the same bytes as uninterrupted runs.

use super::stopping::Stop::{Interrupted, Killed};
use super::stopping::{CONTROLS, Place, STEPS, Stop, config, expect_same, files, go, stopping};
use super::support::Failure;
use std::collections::BTreeMap;
use vdn_forecast::config::RunConfig;

/// Checks that a stopped and resumed run ends in the same bytes as an uninterrupted one, for every
/// kind of stop.
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

#[test]
fn a_run_that_was_stopped_ends_in_the_bytes_of_one_that_was_not() -> Result<(), Failure> {
    let every: Vec<[Stop; 1]> = (1..=STEPS).map(|step| [Interrupted(step)]).collect();
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
    // The steps between two checkpoints are repeated.
    let mut rare = config("", CONTROLS)?;
    (rare.train.checkpoint_every_steps, rare.train.checkpoint_every_epochs) = (4, 0);
    ends_in_the_same_bytes(&rare, "rare", &[&[Killed(3)], &[Killed(7)], &[Killed(6), Killed(9)]])?;
    Ok(())
}
