//! Controllers of the layers of a stack: each controls its own layer, is rejected by its name, and
//! is restored with the weights.

use super::support::{Failure, Run, train};
use vdn_forecast::config::RunConfig;
use vdn_forecast::data::WindowIndex;
use vdn_model::controllers::StackControl;
use vdn_model::units::UnitStatistics;
use vdn_train::config::{ControlConfig, LayerOverride};
use vdn_train::run::{RunFiles, load_control, load_weights, save_control};

const SMALL: &str = "[data]\ninput_len = 48\nhorizon = 7\nmax_train = 64\nmax_validation = 32\nmax_test = 32\n\
    [train]\nepochs = 4\nbatch = 16\nema_decay = 0.0\n[model]\nunits = 16\nhidden = 16\n\
    head_hidden = 16\nevaluate_samples = 8\n";

fn config(text: &str) -> Result<RunConfig, Failure> {
    super::support::config(SMALL, text)
}

fn mean(x: &[f64]) -> f64 {
    x.iter().sum::<f64>() / x.len() as f64
}

/// The mean rate of every layer on windows.
fn rates(run: &Run, windows: &[WindowIndex]) -> Result<Vec<f64>, Failure> {
    let seen = run.scores().validate(windows, &StackControl::default())?;
    Ok(seen.layers.iter().map(|layer| mean(&layer.statistics.rate())).collect())
}

/// Two layers meet their own targets: within 5 % and two standard errors. The standard errors are
/// delete-one jackknifes over ten blocks of consecutive windows.
#[test]
fn every_layer_meets_its_own_target() -> Result<(), Failure> {
    const BLOCKS: usize = 10;
    let text = "depth = 2\n[control]\nmode = \"rate\"\n[control.rate]\ntarget = 0.1\nstiffness = 0.05\ngain = 0.01\nlimit = 1.0\n\
        [[control.layer]]\nlayer = 2\nrate.target = 0.3\n[schedule]\nwarmup_steps = 0\ndecay = \"cosine\"\nfinal_factor = 0.02\n";
    let mut config = config(text)?;
    (config.train.epochs, config.train.patience) = (60, 0);
    config.train.selection = vdn_train::config::Selection::Last;
    config.train.learning_rate = 3e-3;
    let run = train(config, None)?;
    let windows = &run.data.splits().train;
    let all = rates(&run, windows)?;
    let mut without = Vec::new();
    for block in 0..BLOCKS {
        let [start, end] = [block, block + 1].map(|b| b * windows.len() / BLOCKS);
        let rest: Vec<_> = windows[..start].iter().chain(&windows[end..]).copied().collect();
        without.push(rates(&run, &rest)?);
    }
    assert_eq!(all.len(), 2);
    for (layer, target) in [(0, 0.1), (1, 0.3)] {
        let part: Vec<f64> = without.iter().map(|rates| rates[layer]).collect();
        let (n, centre) = (BLOCKS as f64, mean(&part));
        let spread: f64 = part.iter().map(|x| (x - centre).powi(2)).sum();
        let error = ((n - 1.0) / n * spread).sqrt();
        println!("layer {}: {:.4} +- {error:.4}, target {target}", layer + 1, all[layer]);
        assert!(error < 0.1 * target, "the error {error} of layer {} says nothing", layer + 1);
        let gap = (all[layer] - target).abs();
        assert!(gap <= 0.05 * target + 2.0 * error, "layer {}: {gap} {error}", layer + 1);
    }
    // The weights of the layers differ, and each layer has its own columns.
    let log = &run.trained.control_log;
    assert!(log.columns()[0] == "epoch" && log.columns()[1] == "step");
    for layer in [1, 2] {
        let column = |name: &str| log.column(&format!("layer{layer}.{name}"));
        assert!(column("weighted_kl").is_some(), "layer {layer}");
        // Every multiplier moved, so the target is not met by the stiffness alone.
        let active = column("rate_budget.rate_active").ok_or("no budget")?;
        assert_eq!(active.last(), Some(&1.0), "layer {layer}");
    }
    Ok(())
}

/// Controllers of different layers, one layer without any. The state belongs to the best weights
/// and is restored from disk.
#[test]
fn the_state_of_every_layer_is_restored_with_the_weights() -> Result<(), Failure> {
    let directory = tempfile::tempdir()?;
    let path = |name: &str| directory.path().join(name);
    let files = RunFiles::open(directory.path())?;
    let text = "widths = [16, 12, 8]\ndistributional_fraction = [0.5, 1.0, 1.0]\n[control]\nmode = \"homeo\"\ncontrollers = [\"ar\"]\n\
        [control.ar]\nramp_steps = 0\n[[control.layer]]\nlayer = 2\nmode = \"none\"\ncontrollers = []\n\
        [[control.layer]]\nlayer = 3\nmode = \"rate\"\n";
    // The learning rate rises from almost zero until it is far too high, so the last epoch is never
    // the best.
    let mut config = config(text)?;
    config.train.learning_rate = 1.0;
    config.schedule.warmup_steps = 1000;
    let run = train(config, Some(files))?;
    let Run { config, model, parameters, trained, .. } = &run;
    let best = trained.best_epoch;
    assert!(best < trained.history.len(), "the best epoch is the last one: nothing to restore");
    let state = trained.control.as_ref().ok_or("no state")?;
    let steps = trained.control_log.column("step").ok_or("no steps")?;
    for entry in ["step", "layer3.step"] {
        assert_eq!(state.number(entry)?, steps[best - 1], "{entry}");
    }
    assert!(state.number("layer2.step").is_err(), "the second layer has no controllers");
    for (layer, entry) in [(1, "ar_share.weight"), (3, "layer3.ar_share.weight")] {
        let column = format!("layer{layer}.ar_share.ar_weight");
        let weight = trained.control_log.column(&column).ok_or("no weight")?;
        assert_eq!(state.number(entry)?, weight[best - 1], "{entry}");
    }
    // Only the distributional units are controlled.
    let mut control = config.control.build(&model.config().controlled_layers(), false)?;
    let units = |layer| control.layer(layer).map(|own| own.levers().objective.beta.len());
    assert_eq!([0, 1, 2].map(units), [Some(8), None, Some(8)]);
    control.restore(&load_control(&path("control.safetensors"))?)?;
    assert_eq!(&control.state(), state);
    let mut loaded = parameters.clone();
    load_weights(&mut loaded, &path("weights.safetensors"))?;
    for (a, b) in loaded.iter().zip(parameters.iter()) {
        assert_eq!(a.tensor().data(), b.tensor().data(), "{}", a.name());
    }
    // The state of another model is rejected, with the name of its layer.
    save_control(&state.within("layer3."), &path("other.safetensors"))?;
    let error = control.restore(&load_control(&path("other.safetensors"))?).unwrap_err();
    assert!(error.to_string().contains("control:"), "{error}");
    let first: Vec<_> = state.iter().filter(|(name, _)| !name.starts_with("layer3.")).collect();
    let mut partial = vdn_model::controllers::ControlState::new();
    first.into_iter().for_each(|(name, values)| partial.put(name, values));
    let error = control.restore(&partial).unwrap_err().to_string();
    assert!(error.contains("layer 3: ") && error.contains("no entry"), "{error}");
    Ok(())
}

fn refusal(text: &str) -> String {
    super::support::refusal(SMALL, text)
}

#[test]
fn contradictions_name_the_layer_and_both_controllers() {
    let two = "depth = 2\n[control]\nmode = \"rate\"\n";
    let layer =
        |layer: usize, text: &str| format!("{two}[[control.layer]]\nlayer = {layer}\n{text}\n");
    let cases = [
        (
            layer(2, "controllers = [\"kl\"]\nrate.target = 0.5\nkl.high = 0.3"),
            &["layer 2", "the rate budget", "the KL budget", "0.5 nats"][..],
        ),
        (
            layer(1, "controllers = [\"pi\", \"thermostat\"]"),
            &["layer 1", "pi", "beta_thermostat", "weight of each unit's KL"],
        ),
        (
            layer(2, "mode = \"homeo\"\nband_spread = 40.0"),
            &["layer 2", "energy band", "the thermostat", "mu2/2"],
        ),
        (layer(2, "controllers = [\"geco\"]"), &["layer 2", "control.geco.tolerance"]),
        (layer(3, "mode = \"none\""), &["control.layer", "layer = 3", "at most 2"]),
        (layer(0, "mode = \"none\""), &["control.layer", "layer = 0"]),
        (layer(2, "mood = \"none\""), &["control.layer 2", "mood"]),
        (layer(2, "rate.targe = 0.5"), &["control.layer 2", "targe"]),
        (layer(2, "every = \"often\""), &["control.layer 2", "every", "often"]),
        (
            format!("{}[[control.layer]]\nlayer = 2\n", layer(2, "every = 1")),
            &["control.layer 2", "twice"],
        ),
        (
            format!("distributional_fraction = [1.0, 0.0]\n{}", layer(2, "every = 1")),
            &["control.layer 2", "no unit that is a distribution"],
        ),
    ];
    for (text, parts) in cases {
        let message = refusal(&text);
        for part in parts {
            assert!(message.contains(part), "{text}: {message}");
        }
    }
}

/// A layer that names controllers, but no mode, has the mode of all layers, also if that is the
/// default.
#[test]
fn a_layer_keeps_the_mode_that_nobody_names() {
    let mut control = vdn_train::config::ControlConfig::default();
    let own = "controllers = [\"kl\"]";
    control.layer.push(vdn_train::config::LayerOverride::new(2, own).unwrap());
    let of = |layer| control.of_layer(layer).unwrap();
    assert!(of(1).has(vdn_train::config::ControllerName::Rate));
    assert!(
        of(2).has(vdn_train::config::ControllerName::Rate)
            && of(2).has(vdn_train::config::ControllerName::Kl)
    );
}

#[test]
fn single_layers_have_settings_over_those_of_all() -> Result<(), Failure> {
    let mut control = ControlConfig::default();
    control.choose(["rate", "free_bits"])?;
    (control.rate.target, control.rate.gain, control.every) = (Some(0.2), 0.5, 7);
    control.layer.push(LayerOverride::new(2, "rate.low = 0.01\nevery = 3")?);
    control.layer.push(LayerOverride::new(4, "mode = \"none\"\ncontrollers = []")?);
    let second = control.of_layer(2)?;
    // An interval replaces a target; other settings stay.
    assert_eq!((second.rate.target, second.rate.low, second.rate.high), (None, 0.01, 0.27));
    assert_eq!((second.rate.gain, second.every, second.controllers), (0.5, 3, control.controllers));
    assert_eq!(control.of_layer(1)?.rate.target, Some(0.2));
    let model =
        vdn_forecast::forecaster::ForecasterConfig { units: 8, depth: 4, ..Default::default() };
    let built = control.build(&model.controlled_layers(), false)?;
    assert_eq!(built.iter().map(|(layer, _)| layer).collect::<Vec<_>>(), [0, 1, 2]);
    Ok(())
}

/// If half of the units are deterministic, the budget acts on the others: it counts only them, and
/// it is met.
#[test]
fn controllers_see_the_distributional_units_alone() -> Result<(), Failure> {
    let rate = |control: &str| -> Result<UnitStatistics, Failure> {
        let mut config = config(&format!("distributional_fraction = 0.5\n{control}"))?;
        (config.train.epochs, config.train.learning_rate) = (20, 3e-3);
        config.train.selection = vdn_train::config::Selection::Last;
        let run = train(config, None)?;
        let windows = &run.data.splits().train;
        let seen = run.scores().validate(windows, &StackControl::default())?;
        Ok(seen.units().ok_or("no units")?)
    };
    let free = rate("")?;
    let text = "[control]\nmode = \"rate\"\n[control.rate]\ntarget = 0.6\nstiffness = 0.05\ngain = 0.01\nlimit = 1.0\n";
    let held = rate(text)?;
    assert_eq!([free.dims(), held.dims()], [8, 8]);
    let gap = |units: &UnitStatistics| (mean(&units.rate()) - 0.6).abs();
    println!("{} {}", gap(&free), gap(&held));
    assert!(gap(&held) < 0.5 * gap(&free), "{} {}", gap(&held), gap(&free));
    Ok(())
}
