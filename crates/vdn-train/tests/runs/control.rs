//! Controllers in training: the AR penalty between windows, compositions, what is refused, what is restored.

use super::support::{Failure, Run, train};
use vdn_train::{
    BudgetScope, Candidate, ControlConfig, ControlName, ControllerName, Files, RunConfig,
    Selection, SelectionRule, Trained, evaluate, forecast, load_control, load_weights, mean_crps,
    validate,
};

const SMALL: &str = "[data]\nmax_train = 64\nmax_validation = 32\nmax_test = 32\n[model]\nunits = 16\nhidden = 16\n\
    head_hidden = 16\nevaluate_samples = 8\n[train]\nepochs = 4\nbatch = 16\n";

fn config(text: &str) -> Result<RunConfig, Failure> {
    super::support::config(SMALL, text)
}

fn refusal(text: &str) -> String {
    super::support::refusal(SMALL, text)
}

fn last(trained: &Trained, column: &str) -> f64 {
    let column = trained.control_log.column(column).unwrap_or_else(|| panic!("no {column}"));
    *column.last().expect("no epochs")
}

#[test]
fn windows_reach_further_back_exactly_where_the_ar_penalty_needs_it() -> Result<(), Failure> {
    let first = |text: &str| -> Result<usize, Failure> {
        Ok(config(text)?.data.window_spec()?.first_start())
    };
    let plain = first("")?;
    assert_eq!(first("[control]\ncontrollers = [\"ar\"]\n")?, plain + 4);
    assert_eq!(
        first("[control]\ncontrollers = [\"ar\"]\n[control.ar]\nearlier = \"itself\"\n")?,
        plain
    );
    let mut reference = RunConfig::default();
    reference.model.compatibility = vdn_train::Compatibility::Reference;
    reference.control.controllers.insert(ControllerName::Ar);
    assert!(!reference.resolved().data.window_spec()?.extra_lag);
    // A data set cut without the extra rows is refused by name, not read out of bounds.
    let mut short = config("[control]\ncontrollers = [\"ar\"]\n")?;
    short.data.extra_lag = Some(false);
    assert!(short.validate().unwrap_err().to_string().contains("extra_lag"));
    assert!(train(short, None).err().ok_or("it ran")?.to_string().contains("extra_lag"));
    assert!(
        refusal("[control]\ncontrollers = [\"ar\"]\n[control.ar]\nphi = 1.5\n").contains("phi")
    );
    let mut still = config("[control]\ncontrollers = [\"ar\"]\n")?;
    still.data.stride = 0;
    assert!(still.validate().unwrap_err().to_string().contains("its own past"));
    Ok(())
}

/// The weight follows the share of the loss: from 16 times too much and too little, the share comes nearer to 0.2.
#[test]
fn the_ar_share_nears_its_target_from_both_sides() -> Result<(), Failure> {
    for (weight, above) in [(30.0, true), (0.1, false)] {
        let of = |adapt: bool| -> Result<Trained, Failure> {
            let text = format!(
                "[control]\ncontrollers = [\"ar\"]\nevery = 1\n[control.ar]\nweight = {weight}\nadapt = {adapt}\ngain = 1.0\n\
                 min = 0.01\nmax = 100.0\nramp_steps = 0\n"
            );
            Ok(train(config(&text)?, None)?.trained)
        };
        let (free, held) = (of(false)?, of(true)?);
        let [free_share, held_share] = [&free, &held].map(|t| last(t, "ar_share"));
        println!("weight {weight}: {free_share} {held_share}");
        assert_eq!(free_share > 0.2, above, "weight {weight}: the free share is {free_share}");
        assert!(
            (held_share - 0.2).abs() < 0.7 * (free_share - 0.2).abs(),
            "{free_share} {held_share}"
        );
        assert_eq!(last(&free, "ar_share.ar_weight"), weight);
        assert!((last(&held, "ar_share.ar_weight") < weight) == above);
        // The logged numbers belong together.
        let [ar, weighted] = ["ar", "weighted_ar"].map(|column| last(&free, column));
        assert!((weighted - weight * ar).abs() < 1e-9 * weighted, "{weighted} {ar}");
    }
    Ok(())
}

#[test]
fn a_weight_of_the_bands_that_is_none_is_refused_by_name() {
    for mode in ["homeo", "proj_off", "none"] {
        for weight in ["-1.0", "-inf", "inf", "nan"] {
            let error = refusal(&format!("[control]\nmode = \"{mode}\"\nband_weight = {weight}\n"));
            assert!(error.contains("control.band_weight = "), "{mode} {weight}: {error}");
        }
    }
    assert!(config("[control]\nmode = \"homeo\"\nband_weight = 0.0\n").is_ok());
}

/// Every number of the tables of `[control]`, outside of its domain: the message begins with the key that is wrong.
#[test]
fn settings_outside_their_domains_are_refused_by_the_key_that_is_written() {
    let geco = "[control.geco]\ntolerance = 1.0\n";
    let cases = [
        ("rate", "[control.rate]\n", "target", &["nan", "inf", "-0.1"][..]),
        ("rate", "[control.rate]\n", "low", &["nan", "inf", "-0.1", "0.5"]),
        ("rate", "[control.rate]\n", "high", &["nan", "-1.0"]),
        ("rate", "[control.rate]\n", "stiffness", &["nan", "inf", "0.0"]),
        ("rate", "[control.rate]\n", "gain", &["nan", "inf", "-1.0"]),
        ("rate", "[control.rate]\n", "limit", &["nan", "inf", "-1.0"]),
        ("kl", "[control.kl]\n", "target", &["nan", "inf"]),
        ("thermostat", "[control.thermostat]\n", "initial", &["nan", "inf", "-1.0"]),
        ("thermostat", "[control.thermostat]\n", "gain", &["nan", "inf", "-1.0"]),
        ("geco", geco, "initial", &["nan", "inf", "-1.0"]),
        ("pi", "[control.pi]\n", "target", &["nan", "inf", "-1.0"]),
        ("pi", "[control.pi]\n", "width", &["nan", "inf", "0.0"]),
        ("pi", "[control.pi]\n", "integral", &["nan", "inf", "-1.0"]),
        ("annealing", "[control.annealing]\n", "rise", &["nan", "inf", "0.0", "1.5"]),
        ("free_bits", "[control.free_bits]\n", "floor", &["nan", "inf", "-1.0"]),
        ("capacity", "[control.capacity]\n", "target", &["nan", "inf", "-1.0"]),
        ("ar", "[control.ar]\n", "share_cap", &["nan", "-1.0", "0.1"]),
        ("ar", "[control.ar]\n", "share", &["nan", "-1.0", "1.5"]),
        ("ar", "[control.ar]\n", "gain", &["nan", "inf", "-1.0"]),
    ];
    for (controller, table, key, values) in cases {
        for value in values {
            let text =
                format!("[control]\ncontrollers = [\"{controller}\"]\n{table}{key} = {value}\n");
            let error = refusal(&text);
            // A low end above the high one may be told as either.
            let named = format!("control.{controller}.{key}");
            let other = format!("control.{controller}.high");
            let good = error.contains(&named) || key == "low" && error.contains(&other);
            assert!(good && !error.contains("model.control"), "{named} = {value}: {error}");
        }
    }
    for (key, value) in [("band_target", "nan"), ("band_spread", "inf"), ("homeostat_gain", "0.6")]
    {
        let error = refusal(&format!("[control]\nmode = \"homeo\"\n{key} = {value}\n"));
        assert!(error.contains(&format!("control.{key}: ")), "{key}: {error}");
    }
    assert!(config("[control.rate]\nhigh = inf\n").is_ok(), "no upper end");
}

/// A strong penalty makes consecutive means alike; without the term they are as they were.
#[test]
fn the_penalty_acts_on_the_means() -> Result<(), Failure> {
    let ar = |weight: f64| -> Result<f64, Failure> {
        let text = format!(
            "[control]\ncontrollers = [\"ar\"]\n[control.ar]\nweight = {weight}\nadapt = false\nramp_steps = 0\n"
        );
        Ok(last(&train(config(&text)?, None)?.trained, "ar"))
    };
    let (without, with) = (ar(0.0)?, ar(10.0)?);
    assert!(with < 0.5 * without, "{with} {without}");
    Ok(())
}

#[test]
fn the_state_belongs_to_the_best_weights_and_is_restored_from_disk() -> Result<(), Failure> {
    let directory = tempfile::tempdir()?;
    let path = |name: &str| directory.path().join(name);
    let files = Files {
        history: path("history.csv"),
        weights: path("weights.safetensors"),
        control: path("control.safetensors"),
        units: path("units.npy"),
    };
    let text =
        "[control]\nmode = \"homeo\"\ncontrollers = [\"ar\"]\n[control.ar]\nramp_steps = 0\n";
    // A learning rate that rises from next to nothing until it is far too high: the last epoch is never the best.
    let mut config = config(text)?;
    config.train.learning_rate = Some(1.0);
    config.schedule.warmup_steps = 1000;
    let run = train(config, Some(files))?;
    let Run { config, model, parameters, trained, .. } = &run;
    let best = trained.best_epoch;
    let steps = trained.control_log.column("step").ok_or("no steps")?;
    assert!(best < trained.history.len(), "the best epoch is the last one: nothing to restore");
    let state = trained.control.as_ref().ok_or("no state")?;
    assert_eq!(state.number("step")?, steps[best - 1]);
    let weight = trained.control_log.column("ar_share.ar_weight").ok_or("no weight")?;
    assert_eq!(state.number("ar_share.weight")?, weight[best - 1]);
    let mut control = config.control.build(model.config(), false)?;
    control.restore(&load_control(&path("control.safetensors"))?)?;
    assert_eq!(&control.state(), state);
    let mut loaded = parameters.clone();
    load_weights(&mut loaded, &path("weights.safetensors"))?;
    for (a, b) in loaded.iter().zip(parameters.iter()) {
        assert_eq!(a.tensor().data(), b.tensor().data(), "{}", a.name());
    }
    let csv = std::fs::read_to_string(path("control.csv"))?;
    assert_eq!(csv.lines().count(), 1 + trained.history.len());
    assert!(csv.starts_with("epoch,step,weighted_kl,weighted_band,ar,weighted_ar,ar_share,"));
    Ok(())
}

#[test]
fn every_controller_can_be_chosen_and_composed() -> Result<(), Failure> {
    let cases = [
        ("rate", "", "rate_budget.rate_active"),
        ("kl", "", "kl_budget.kl_active"),
        ("thermostat", "", "beta_thermostat.beta_mean"),
        ("pi", "", "pi.beta_mean"),
        ("geco", "[control.geco]\ntolerance = 1.0\n", "geco.beta_mean"),
        ("ar", "", "ar_share.ar_weight"),
        ("free_bits,annealing,rate,ar", "", "ar_share.ar_weight"),
        ("capacity,rate,ar", "", "rate_budget.rate_active"),
        (
            "homeo,rate,kl,free_bits,annealing,ar",
            "[control]\nband_spread = 1.0\nband_target = 0.2\n",
            "homeostat.eta",
        ),
    ];
    for (names, text, column) in cases {
        let mut config = RunConfig::from_toml(&format!("{SMALL}{text}"))?;
        config.train.epochs = 1;
        config.control.choose(names.split(','))?;
        let config = config.resolved();
        config.validate().map_err(|error| format!("{names}: {error}"))?;
        // What is written reads back as the same.
        assert_eq!(RunConfig::from_toml(&config.to_toml()?)?, config, "{names}");
        let run = train(config, None).map_err(|error| format!("{names}: {error}"))?;
        assert!(last(&run.trained, column).is_finite(), "{names}: {column}");
    }
    Ok(())
}

#[test]
fn contradictions_name_both_controllers_and_say_why() {
    let cases = [
        (
            "controllers = [\"pi\", \"thermostat\"]",
            &["pi", "beta_thermostat", "weight of each unit's KL"][..],
        ),
        (
            "controllers = [\"geco\", \"capacity\"]\n[control.geco]\ntolerance = 1.0",
            &["geco", "capacity"],
        ),
        (
            "mode = \"rate\"\ncontrollers = [\"kl\"]\n[control.rate]\ntarget = 0.5",
            &["the rate budget", "the KL budget", "0.5 nats"],
        ),
        (
            "controllers = [\"kl\", \"thermostat\"]\n[control.kl]\ntarget = 0.4",
            &["the KL budget", "the thermostat", "0.4"],
        ),
        (
            "controllers = [\"capacity\", \"annealing\"]",
            &["the capacity target", "annealing", "takes the place"],
        ),
        (
            "controllers = [\"capacity\", \"rate\"]\n[control.capacity]\ntarget = 0.5",
            &["the capacity target", "the rate budget"],
        ),
        (
            "mode = \"rate\"\ncontrollers = [\"kl\"]\n[control.rate]\nlow = 4.0\nhigh = 8.0\nscope = \"layer\"\n[control.kl]\n\
             low = 0.0\nhigh = 0.2",
            &["the rate budget", "the KL budget"],
        ),
        ("mode = \"homeo\"\nband_spread = 40.0", &["energy band", "the thermostat", "mu2/2"]),
        (
            "mode = \"homeo\"\ncontrollers = [\"kl\"]\nband_spread = 8.0\n[control.kl]\nlow = 0.0\nhigh = 0.06",
            &["energy band", "the KL budget"],
        ),
        ("controllers = [\"geco\"]", &["control.geco.tolerance"]),
        (
            "controllers = [\"free_bits\", \"thermostat\"]\n[control.free_bits]\nfloor = 0.5",
            &["free bits", "the thermostat", "below 0.5 nats has no weight"],
        ),
        (
            "controllers = [\"free_bits\", \"pi\"]\n[control.free_bits]\nfloor = 0.5",
            &["free bits", "PI control", "below 0.5 nats has no weight"],
        ),
    ];
    for (text, parts) in cases {
        let message = refusal(&format!("[control]\n{text}\n"));
        for part in parts {
            assert!(message.contains(part), "{text}: {message}");
        }
    }
    for name in ["thermostat", "free_bits", "annealing", "capacity", "geco", "pi"] {
        let mut config = RunConfig::default();
        config.model.objective = Some(vdn_train::ObjectiveName::Elbo);
        config.control.choose([name]).expect("a name");
        let message = config.resolved().validate().expect_err(name).to_string();
        assert!(message.contains("elbo"), "{name}: {message}");
    }
}

#[test]
fn every_mode_builds_and_its_state_survives_the_disk() -> Result<(), Failure> {
    use ControlName::{Homeo, ProjOff, ProjOn, Rate};
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("control.safetensors");
    let model = vdn_model::ForecasterConfig { units: 8, ..vdn_model::ForecasterConfig::default() };
    for mode in [Rate, Homeo, ProjOn, ProjOff] {
        for reference in [false, true] {
            let config = ControlConfig { mode: Some(mode), ..ControlConfig::default() };
            let control = config.build(&model, reference)?;
            assert!(!control.is_empty());
            vdn_train::save_control(&control.state(), &path)?;
            let mut other = config.build(&model, reference)?;
            other.restore(&load_control(&path)?)?;
            assert_eq!(other.state(), control.state(), "{mode:?}");
        }
    }
    let none = ControlConfig { mode: Some(ControlName::None), ..ControlConfig::default() };
    assert!(none.build(&model, false)?.is_empty());
    // Left out, the mode is `rate`, unless other controllers are named.
    let mut control = ControlConfig::default();
    assert_eq!(control.chosen_mode(), Rate);
    control.controllers = [ControllerName::Pi].into_iter().collect();
    assert_eq!(control.chosen_mode(), ControlName::None);
    let mut empty = ControlConfig { mode: Some(Rate), ..ControlConfig::default() };
    (empty.rate.low, empty.rate.scope) = (0.4, BudgetScope::Dimension);
    assert!(empty.build(&model, false).is_err());
    Ok(())
}

/// The best epoch by CRPS has the least mean mixture CRPS on the validation windows of all epochs.
#[test]
fn selection_by_crps_keeps_the_epoch_of_the_least_crps() -> Result<(), Failure> {
    let crps = |text: &str| -> Result<(usize, f64), Failure> {
        let mut config = config("")?;
        config.train.selection = vdn_train::RunConfig::from_toml(text)?.train.selection;
        config.train.learning_rate = Some(5.0);
        config.schedule.warmup_steps = 1000;
        let Run { config, data, model, parameters, trained } = train(config, None)?;
        // The history says what it was chosen by: the kept epoch has the first of the least values.
        let chosen_by = |epoch: &vdn_train::Epoch| epoch.selection;
        let least = trained.history.iter().map(chosen_by).fold(f64::INFINITY, f64::min);
        let first = trained.history.iter().position(|epoch| epoch.selection == least);
        assert_eq!(first, Some(trained.best_epoch - 1));
        let windows = &data.splits().validation;
        let averages = config.train.averages();
        let crps = mean_crps(&model, &parameters, &data, windows, 0, averages)?;
        // Two of the other choices are columns beside.
        let by_hand = |e: &vdn_train::Epoch| match config.train.chosen_by() {
            Selection::Nll => e.validation_nll,
            Selection::Mse => e.validation_mse,
            _ => e.selection,
        };
        for epoch in &trained.history {
            let want = by_hand(epoch);
            let near = (epoch.selection - want).abs() < 1e-9 * want.abs();
            assert!(near, "{text}: {} instead of {want}", epoch.selection);
        }
        if text.contains("crps") {
            assert_eq!(least, crps);
            // Alone it is what it is among all metrics.
            let none = vdn_model::Intervention::None;
            let (summary, _) = evaluate(&model, &parameters, &data, windows, 0, none, averages)?;
            assert!((summary.crps.mean - crps).abs() < 1e-12 * crps);
        }
        Ok((trained.best_epoch, crps))
    };
    let (_, best) = crps("[train]\nselection = \"crps\"\n")?;
    for other in ["nll", "mse", "elbo"] {
        let (epoch, value) = crps(&format!("[train]\nselection = \"{other}\"\n"))?;
        assert!(best <= value, "{other} keeps epoch {epoch} with {value}, less than {best}");
    }
    Ok(())
}

/// The bound is the mean over samples of a window's log-likelihood, less the KL of all units: not the score of the mixture.
#[test]
fn selection_by_elbo_is_the_evidence_lower_bound_in_nats_per_window() -> Result<(), Failure> {
    let Run { config, data, model, parameters, trained } =
        train(config("selection = \"elbo\"\n")?, None)?;
    let (windows, averages) = (&data.splits().validation, config.train.averages());
    let horizon = config.data.horizon;
    let mut targets = vec![0.0; windows.len() * horizon];
    data.fill_targets(windows, &mut targets, |x| x)?;
    let predictions = forecast(&model, &parameters, &data, windows, 0)?;
    assert_eq!(predictions.len(), 1, "one batch");
    let found = &predictions[0];
    let [samples, batch, _] = found.shape;
    let mut sum = 0.0;
    for (i, target) in targets.iter().enumerate() {
        let sigma = found.sigma[i];
        for s in 0..samples {
            let standard = (target - found.means[s * batch * horizon + i]) / sigma;
            sum -= 0.5 * standard.powi(2) + sigma.ln() + 0.5 * std::f64::consts::TAU.ln();
        }
    }
    let likelihood = sum / (samples * batch) as f64;
    let seen = validate(&model, &parameters, &data, windows, 0, averages)?;
    let want = seen.kl() - likelihood;
    let kept = trained.history[trained.best_epoch - 1].selection;
    assert!((kept - want).abs() < 1e-9 * want.abs(), "{kept} {want}");
    // By Jensen it is above the score of the mixture with the same KL.
    let mixture = seen.nll * horizon as f64 + seen.kl();
    assert!(kept > mixture + 1e-3, "{kept} {mixture}");
    Ok(())
}

/// A gate that nothing passes leaves the epochs before it; the configuration says where it stands.
#[test]
fn a_strict_gate_changes_which_epoch_is_kept() -> Result<(), Failure> {
    let small = "selection = \"score\"\npatience = 0\n[control]\nmode = \"homeo\"\n[selection]\n";
    let kept = |rule: &str| -> Result<(usize, Vec<f64>), Failure> {
        let config = config(&format!("{small}{rule}"))?;
        assert!(config.to_toml()?.contains(rule), "{}", config.to_toml()?);
        let trained = train(config, None)?.trained;
        Ok((trained.best_epoch, trained.history.iter().map(|epoch| epoch.selection).collect()))
    };
    let (open, scores) = kept("gate_epoch = 100\nhigh_max = 0.0\ninside_min = 1.0\n")?;
    let (strict, paid) = kept("gate_epoch = 3\nhigh_max = 0.0\ninside_min = 1.0\n")?;
    assert!(open > 2, "the score falls: {scores:?}");
    assert_eq!(strict, 2);
    for (epoch, (score, paid)) in (1..).zip(scores.iter().zip(&paid)) {
        let fine = if epoch < 3 { 0.0 } else { 1e6 };
        assert!((paid - score - fine).abs() < 1e-6, "epoch {epoch}: {score} {paid}");
    }
    let cap = "gate_epoch = 100\nhigh_max = 0.0\ninside_min = 1.0\nlow_max = 0.48\ninside_target = 0.58\nband_cap = 1.5\n\
               low_target = 0.2\nhigh_target = 0.1\ninvalid = 1000000.0\nkl_cap = 0.001\n";
    let (_, capped) = kept(cap)?;
    assert!(capped.iter().zip(&scores).all(|(capped, score)| capped > score), "{capped:?}");
    Ok(())
}

#[test]
fn thresholds_outside_of_their_domain_are_refused_by_name() {
    for (setting, reason) in [
        ("high_max = -0.1", "selection.high_max = -0.1: has to be in [0, 1]"),
        ("inside_min = nan", "selection.inside_min = NaN: has to be in [0, 1]"),
        ("low_max = 1.5", "selection.low_max = 1.5: has to be in [0, 1]"),
        ("inside_target = 2.0", "selection.inside_target = 2: has to be in [0, 1]"),
        ("low_target = -1.0", "selection.low_target = -1: has to be in [0, 1]"),
        ("high_target = inf", "selection.high_target = inf: has to be in [0, 1]"),
        ("band_cap = -1.0", "selection.band_cap = -1: has to be at least 0 and finite"),
        ("invalid = inf", "selection.invalid = inf: has to be at least 0 and finite"),
        ("kl_cap = 0.0", "selection.kl_cap = 0: has to be above 0 and finite"),
        ("gate_epoch = -1", "line"),
        ("gate = 3", "gate"),
    ] {
        let found = refusal(&format!("[selection]\n{setting}\n"));
        assert!(found.contains(reason), "{setting}: {found}");
    }
}

/// The score of the kept epoch is that of its weights and its bands, put together here from both.
#[test]
fn selection_by_score_looks_at_the_bands() -> Result<(), Failure> {
    let mut config = config("selection = \"score\"\n[control]\nmode = \"homeo\"\n")?;
    config.schedule.warmup_steps = 0;
    let Run { config, data, model, parameters, trained } = train(config, None)?;
    let (windows, averages) = (&data.splits().validation, config.train.averages());
    let seen = validate(&model, &parameters, &data, windows, 0, averages)?;
    let mut control = config.control.build(model.config(), false)?;
    control.restore(trained.control.as_ref().ok_or("no state")?)?;
    let objective = &control.layer(0).ok_or("no control")?.levers().objective;
    let band = objective.band.as_ref().ok_or("no bands")?;
    let energy = seen.layers[0].statistics.energy();
    let outside = |is: &dyn Fn(usize) -> bool| {
        Some((0..energy.len()).filter(|&i| is(i)).count() as f64 / energy.len() as f64)
    };
    let candidate = Candidate {
        epoch: Some(trained.best_epoch as u64),
        nll: Some(seen.nll),
        low: outside(&|i| energy[i] < band.bounds.lo[i]),
        high: outside(&|i| energy[i] > band.bounds.hi[i]),
        band: Some(band.hinge.value(&energy, &band.bounds)),
        ..Candidate::default()
    };
    let want = SelectionRule::default().score(&candidate);
    let kept = trained.history[trained.best_epoch - 1].selection;
    println!("{kept} {want}, the score alone {}", seen.nll);
    assert!((kept - want).abs() < 1e-9 * want.abs(), "{kept} {want}");
    assert!((kept - seen.nll).abs() > 1e-6, "the bands cost nothing: {kept}");
    Ok(())
}

#[test]
fn of_equal_epochs_the_first_is_kept() -> Result<(), Failure> {
    // Steps too small to change any number.
    let trained = train(config("learning_rate = 1e-30\n")?, None)?.trained;
    let scores: Vec<f64> = trained.history.iter().map(|epoch| epoch.selection).collect();
    assert!(scores.len() > 1 && scores.iter().all(|&score| score == scores[0]), "{scores:?}");
    assert_eq!(trained.best_epoch, 1);
    let best = trained.history.iter().map(|epoch| epoch.best);
    assert_eq!(
        best.collect::<Vec<_>>(),
        scores.iter().enumerate().map(|(i, _)| i == 0).collect::<Vec<_>>()
    );
    Ok(())
}
