//! Controllers in training: the AR penalty between windows, combinations, restored state.

use super::support::{Failure, Run, train};
use vdn_forecast::config::RunConfig;
use vdn_model::controllers::Scope;
use vdn_train::config::{ControlConfig, ControlName};
use vdn_train::run::{RunFiles, load_control, load_weights};
use vdn_train::train::Trained;

pub(crate) const SMALL: &str = "[data]\nmax_train = 64\nmax_validation = 32\nmax_test = 32\n[model]\nunits = 16\nhidden = 16\n\
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
        Ok(config(text)?.data.window_spec().first_start())
    };
    let plain = first("")?;
    assert_eq!(first("[control]\ncontrollers = [\"ar\"]\n")?, plain + 4);
    assert_eq!(
        first("[control]\ncontrollers = [\"ar\"]\n[control.ar]\nearlier = \"itself\"\n")?,
        plain
    );
    let reference = "compatibility = \"reference\"\n[control]\ncontrollers = [\"ar\"]\n";
    let reference = RunConfig::from_toml(&format!("[model]\n{reference}"))?;
    assert!(!reference.data.window_spec().extra_lag);
    // A data set that was cut without the extra rows is rejected by name, instead of being read out
    // of bounds.
    let mut short = config("[control]\ncontrollers = [\"ar\"]\n")?;
    short.data.extra_lag = false;
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

/// The weight follows the share of the loss. From weights 16 times too large and too small, the
/// share approaches 0.2.
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
        // The logged numbers are consistent.
        let [ar, weighted] = ["ar", "weighted_ar"].map(|column| last(&free, column));
        assert!((weighted - weight * ar).abs() < 1e-9 * weighted, "{weighted} {ar}");
    }
    Ok(())
}

/// A strong penalty makes consecutive means similar; without it they do not change.
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
    let files = RunFiles::open(directory.path())?;
    let text =
        "[control]\nmode = \"homeo\"\ncontrollers = [\"ar\"]\n[control.ar]\nramp_steps = 0\n";
    // The learning rate rises from almost zero until it is far too high, so the last epoch is never
    // the best.
    let mut config = config(text)?;
    config.train.learning_rate = 1.0;
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
    let mut control = config.control.build(&model.config().controlled_layers(), false)?;
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
        config.data.extra_lag = config.control.wants_predecessors();
        config.validate().map_err(|error| format!("{names}: {error}"))?;
        // A written configuration reads back as the same.
        assert_eq!(RunConfig::from_toml(&config.to_toml()?)?, config, "{names}");
        let run = train(config, None).map_err(|error| format!("{names}: {error}"))?;
        assert!(last(&run.trained, column).is_finite(), "{names}: {column}");
    }
    Ok(())
}

#[test]
fn every_mode_builds_and_its_state_survives_the_disk() -> Result<(), Failure> {
    use ControlName::{Homeo, ProjOff, ProjOn, Rate};
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("control.safetensors");
    let model = vdn_forecast::forecaster::ForecasterConfig {
        units: 8,
        ..vdn_forecast::forecaster::ForecasterConfig::default()
    };
    for mode in [Rate, Homeo, ProjOn, ProjOff] {
        for reference in [false, true] {
            let config = ControlConfig { mode, ..ControlConfig::default() };
            let control = config.build(&model.controlled_layers(), reference)?;
            assert!(!control.is_empty());
            vdn_train::run::save_control(&control.state(), &path)?;
            let mut other = config.build(&model.controlled_layers(), reference)?;
            other.restore(&load_control(&path)?)?;
            assert_eq!(other.state(), control.state(), "{mode:?}");
        }
    }
    let none = ControlConfig { mode: ControlName::None, ..ControlConfig::default() };
    assert!(none.build(&model.controlled_layers(), false)?.is_empty());
    // If omitted, the mode is `rate`, unless other controllers are named.
    let mode = |text: &str| RunConfig::from_toml(text).map(|config| config.control.mode);
    assert_eq!(mode("")?, Rate);
    assert_eq!(mode("[control]\ncontrollers = [\"pi\"]\n")?, ControlName::None);
    let mut empty = ControlConfig { mode: Rate, ..ControlConfig::default() };
    (empty.rate.low, empty.rate.scope) = (0.4, Scope::Dimension);
    assert!(empty.build(&model.controlled_layers(), false).is_err());
    Ok(())
}
