//! Every key of every table: its rejected values, and the messages.

use super::{OPTIONAL, every_key, refusal, with};
use std::collections::BTreeSet;
use toml::{Table, Value};
use vdn_forecast::config::RunConfig;

const WHOLE: &str = "has to be a whole number, at least 0";
const ONE: &str = "has to be at least 1";
const NUMBER: &str = "has to be a number";
const TRUTH: &str = "has to be true or false";
const TEXT: &str = "has to be a text in quotes";

/// Values outside the domain of their key, and the domain that the message names.
const WRONG: &[(&str, &[&str], &str)] = &[
    ("data.file", &["3"], TEXT),
    ("data.columns", &["a", "3"], "has to be a list"),
    ("data.date", &["3", "[]"], TEXT),
    ("data.date_format", &["3"], TEXT),
    ("data.zone", &["3"], TEXT),
    ("data.zone", &["Mars"], "has to be the name of a time zone, like Europe/Berlin"),
    ("data.id_column", &["3"], TEXT),
    ("data.target_column", &["3"], TEXT),
    ("data.delimiter", &["ab", "\n", "ä"], "has to be one ASCII character, or tab"),
    ("data.decimal", &[";", ""], "has to be \".\" or \",\""),
    ("data.duplicates", &["first", "3"], "has to be one of error, mean, last"),
    ("data.fill", &["zerro", "3"], "has to be one of error, forward, linear, zero"),
    ("data.sentinels", &["3"], "has to be a list"),
    ("data.calendar", &["1", "yes"], TRUTH),
    ("data.past", &["3", "a"], "has to be a list"),
    ("data.future", &["3"], "has to be a list"),
    ("data.static", &["3"], "has to be a list"),
    ("data.support", &["positive", "3"], "has to be one of real, non_negative"),
    ("data.input_len", &["0"], ONE),
    ("data.input_len", &["16777217"], "has to be at most 2^24"),
    ("data.horizon", &["0"], ONE),
    ("data.stride", &["-1", "0.5", "x"], WHOLE),
    ("data.extra_lag", &["1", "yes"], TRUTH),
    ("data.protocol", &["spek"], "has to be one of spec, spec_overlapping, reference,"),
    ("data.scaling", &["all"], "has to be one of training, with_validation"),
    ("data.max_train", &["0"], ONE),
    ("data.max_validation", &["0"], ONE),
    ("data.max_test", &["0"], ONE),
    ("data.season", &["0"], ONE),
    ("model.compatibility", &["ours", "1"], "has to be one of none, reference"),
    ("model.variant", &["both"], "has to be one of variational, twin, reference_twin, gated_twin"),
    ("model.hidden", &["0"], ONE),
    ("model.kernel", &["0"], ONE),
    ("model.units", &["0"], ONE),
    ("model.units", &["-1", "0.5", "many"], WHOLE),
    ("model.units", &["1000000000000"], "has to be at most 2^24"),
    ("model.latent_dims", &["0"], ONE),
    ("model.pooling", &["max"], "has to be one of mean, sum, sum_sqrtk, or none"),
    ("model.sigma", &["one"], "has to be one of scalar, per_unit, per_unit_input"),
    ("model.initial_sigma", &["0.0", "20.0"], "has to be in [1e-4, 10]"),
    ("model.samples", &["0"], ONE),
    ("model.evaluate_samples", &["0"], ONE),
    ("model.antithetic", &["1"], TRUTH),
    ("model.clamp_gradient", &["out"], "has to be one of inward, zero"),
    ("model.head_hidden", &["0"], ONE),
    ("model.gated", &["1"], TRUTH),
    ("model.dropout", &["1.0", "-0.1"], "has to be in [0, 1)"),
    ("model.zero_output", &["0"], TRUTH),
    ("model.normalization", &["none"], "has to be one of off, mean, last"),
    ("model.divide_by_deviation", &["0"], TRUTH),
    ("model.skip", &["0"], TRUTH),
    ("model.output_noise", &["no"], "has to be one of constant, from_context"),
    ("model.aggregation", &["mode"], "has to be one of mean, median, lower_median, score"),
    ("model.score", &["mixed"], "has to be one of tempered, marginal, joint"),
    ("model.dependence", &["shared", "1"], "has to be one of auto, sampled, joint, split"),
    ("model.loading_correlation", &["1.0", "-0.1"], "has to be in [0, 1)"),
    ("model.objective", &["mse"], "has to be one of vib, elbo, iwae"),
    ("model.beta", &["-1.0"], "has to be finite and at least 0"),
    ("model.beta", &["small"], NUMBER),
    ("model.initial_energy", &["-1.0"], "has to be finite and at least 0"),
    ("model.depth", &["0", "17"], "has to be 1 to 16"),
    ("model.widths", &["[]"], "has to have 1 to 16 values"),
    ("model.widths", &["[8, 0]"], ONE),
    ("model.distributional_fraction", &["1.5", "-0.5"], "has to be in [0, 1]"),
    ("model.layer_beta", &["-1.0"], "has to be finite and at least 0"),
    ("model.residual", &["0"], TRUTH),
    ("model.layer_norm", &["0"], TRUTH),
    ("model.activation", &["relu"], "has to be one of identity, gelu"),
    (
        "model.family",
        &["cauchy"],
        "has to be one of normal, log_normal, laplace, logistic, student_t",
    ),
    ("model.family", &["3"], "has to be normal, log_normal, laplace, logistic, student_t"),
    ("model.prior", &["flat"], "has to be one of standard, learned"),
    ("control.mode", &["off"], "has to be one of none, rate, homeo, proj_on, proj_off"),
    ("control.controllers", &["ar"], "has to be a list"),
    ("control.warmup_steps", &["-1"], WHOLE),
    ("control.every", &["0"], ONE),
    ("control.relative", &["0"], TRUTH),
    ("control.band_target", &["0.0"], "has to be above 0"),
    ("control.band_spread", &["0.5"], "has to be finite, at least 1"),
    ("control.band_shuffle", &["-1"], WHOLE),
    ("control.band_weight", &["-1.0"], "has to be finite and at least 0"),
    ("control.band_ramp_steps", &["-1"], WHOLE),
    ("control.calibration_every", &["-1"], WHOLE),
    ("control.homeostat_gain", &["0.6"], "has to be in [0, 0.5]"),
    ("control.ar.weight", &["-1.0"], "has to be at least 0"),
    ("control.ar.phi", &["1.5"], "has to be in [-1, 1]"),
    ("control.ar.adapt", &["1"], TRUTH),
    ("control.ar.share", &["1.0"], "has to be in [0, 1)"),
    ("control.ar.share_cap", &["0.1"], "has to be finite, at least share"),
    ("control.ar.gain", &["-1.0"], "has to be at least 0"),
    ("control.ar.min", &["0.0"], "has to be above 0"),
    ("control.ar.max", &["0.1"], "has to be at least min"),
    ("control.ar.ramp_steps", &["-1"], WHOLE),
    ("control.ar.scale", &["0.0"], "has to be finite and above 0"),
    ("control.ar.scale_floor", &["0.0"], "has to be finite and above 0"),
    ("control.ar.scale_ceiling", &["0.01"], "has to be finite, at least scale_floor"),
    ("control.ar.earlier", &["none"], "has to be one of predecessor, itself"),
    ("control.free_bits.floor", &["-1.0"], "has to be at least 0"),
    ("control.annealing.shape", &["linear"], "has to be one of monotone, cyclical"),
    ("control.annealing.steps", &["-1"], WHOLE),
    ("control.annealing.rise", &["0.0", "1.5"], "has to be in (0, 1]"),
    ("control.capacity.weight", &["-1.0"], "has to be at least 0"),
    ("control.capacity.target", &["-1.0"], "has to be at least 0"),
    ("control.capacity.ramp_steps", &["-1"], WHOLE),
    ("control.rate.relative", &["1"], TRUTH),
    ("control.kl.relative", &["1"], TRUTH),
    ("control.geco.tolerance", &["x"], NUMBER),
    ("control.geco.initial", &["1.0"], "has to be in [min, max]"),
    ("control.geco.min", &["0.0"], "has to be above 0"),
    ("control.geco.max", &["0.0"], "has to be at least min"),
    ("control.geco.gain", &["-1.0"], "has to be at least 0"),
    ("control.pi.target", &["-1.0"], "has to be at least 0"),
    ("control.pi.proportional", &["-1.0"], "has to be at least 0"),
    ("control.pi.integral", &["-1.0"], "has to be at least 0"),
    ("control.pi.width", &["0.0"], "has to be above 0"),
    ("control.pi.min", &["-1.0"], "has to be at least 0"),
    ("control.pi.max", &["-1.0"], "has to be at least min"),
    ("control.thermostat.low", &["-1.0"], "has to be at least 0"),
    ("control.thermostat.high", &["0.01"], "has to be at least low"),
    ("control.thermostat.initial", &["-1.0"], "has to be at least 0"),
    ("control.thermostat.min", &["0.0"], "has to be above 0"),
    ("control.thermostat.max", &["0.0"], "has to be at least min"),
    ("control.thermostat.gain", &["-1.0"], "has to be at least 0"),
    ("control.thermostat.ratio_min", &["2.0"], "has to be in [0, 1]"),
    ("control.thermostat.ratio_max", &["0.5"], "has to be at least 1"),
    ("control.thermostat.smoothing", &["0.0"], "has to be in (0, 1]"),
    ("control.thermostat.alive_min", &["x"], NUMBER),
    ("control.thermostat.emergency", &["x"], NUMBER),
    ("control.persistence.low", &["-1.0"], "has to be in (-1, 1)"),
    ("control.persistence.high", &["1.0"], "has to be in (-1, 1)"),
    ("control.persistence.target", &["1.0"], "has to be in (-1, 1)"),
    ("diagnostics.every", &["-1"], WHOLE),
    ("diagnostics.windows", &["-1"], WHOLE),
    ("diagnostics.samples", &["1"], "has to be at least 2"),
    ("diagnostics.units", &["-1"], WHOLE),
    ("diagnostics.units_below", &["-1"], WHOLE),
    ("diagnostics.rate_low", &["-1.0"], "has to be at least 0"),
    ("diagnostics.rate_high", &["-1.0"], "has to be at least 0"),
    ("train.epochs", &["0"], ONE),
    ("train.patience", &["-1"], WHOLE),
    ("train.batch", &["0"], ONE),
    ("train.learning_rate", &["0.0", "-1.0"], "has to be finite and above 0"),
    ("train.ema_decay", &["1.0"], "has to be in [0, 1)"),
    ("train.seed", &["-1"], WHOLE),
    ("train.generator", &["mt19937"], "has to be one of philox4x32-10, ars-7"),
    ("train.threads", &["257"], "has to be at most 256"),
    ("train.selection", &["best"], "has to be one of nll, mse, elbo, crps, last, score"),
    ("train.averaging", &["rows"], "has to be one of windows, batches"),
    ("train.twin", &["1"], TRUTH),
    ("train.accumulate", &["0", "65"], "has to be from 1 to the batch, 64"),
    ("train.checkpoint_every_steps", &["-1"], WHOLE),
    ("train.checkpoint_every_epochs", &["-1"], WHOLE),
    ("train.checkpoint_every_minutes", &["-1.0", "525601.0"], "has to be from 0 (not by time)"),
    ("train.keep", &["0", "1001"], "has to be from 1 to 1000"),
    ("selection.gate_epoch", &["-1"], WHOLE),
    ("selection.high_max", &["1.2"], "has to be in [0, 1]"),
    ("selection.inside_min", &["1.2"], "has to be in [0, 1]"),
    ("selection.low_max", &["1.2"], "has to be in [0, 1]"),
    ("selection.inside_target", &["1.2"], "has to be in [0, 1]"),
    ("selection.band_cap", &["-1.0"], "has to be at least 0 and finite"),
    ("selection.low_target", &["1.2"], "has to be in [0, 1]"),
    ("selection.high_target", &["1.2"], "has to be in [0, 1]"),
    ("selection.invalid", &["-1.0"], "has to be at least 0 and finite"),
    ("selection.kl_cap", &["0.0"], "has to be above 0 and finite"),
    ("optimizer.beta1", &["1.0"], "has to be in [0, 1)"),
    ("optimizer.beta2", &["1.0"], "has to be in [0, 1)"),
    ("optimizer.epsilon", &["0.0"], "has to be finite and above 0"),
    ("optimizer.weight_decay", &["-1.0"], "has to be finite and at least 0"),
    ("optimizer.clip_norm", &["0.0"], "has to be above 0"),
    ("schedule.warmup_steps", &["-1"], WHOLE),
    ("schedule.decay", &["cosinus"], "has to be one of constant, cosine, linear, exponential"),
    ("schedule.final_factor", &["0.0", "1.5"], "has to be in (0, 1]"),
    ("run.memory", &["-1.0"], "has to be finite and at least 0"),
];

/// Numbers that may be infinite, which means no limit.
const WITHOUT_LIMIT: [&str; 4] =
    ["control.rate.high", "control.kl.high", "diagnostics.rate_high", "optimizer.clip_norm"];

/// The goal of a constraint and its law, for both tables.
fn budgets() -> Vec<(String, &'static str, &'static str)> {
    let of = |table: &str| {
        [
            ("low", "-1.0", "has to be at least 0"),
            ("high", "0.01", "has to be at least the low end"),
            ("target", "-1.0", "has to be at least 0"),
            ("scope", "unit", "has to be one of dimension, layer"),
            ("stiffness", "0.0", "has to be above 0"),
            ("gain", "-1.0", "has to be at least 0"),
            ("limit", "-1.0", "has to be at least 0"),
        ]
        .map(|(key, value, domain)| (format!("control.{table}.{key}"), value, domain))
    };
    let laws = of("persistence").into_iter().skip(4);
    of("rate").into_iter().chain(of("kl")).chain(laws).collect()
}

#[test]
fn every_key_refuses_what_is_outside_its_domain() {
    let mut left: BTreeSet<String> = every_key().into_iter().map(|(key, _)| key).collect();
    let mut wrong = Vec::new();
    let mut check = |key: &str, value: &str, domain: &str| {
        left.remove(key);
        match refusal(key, value) {
            None => wrong.push(format!("{key} = {value} is accepted")),
            Some(message) => {
                let named = message.contains(&format!("configuration: {key} = "))
                    || message.contains(&format!("configuration: {key}["));
                if !named || !message.contains(domain) || message.lines().count() != 1 {
                    wrong.push(format!("{key} = {value}: {message}"));
                }
            }
        }
    };
    for (key, values, domain) in WRONG {
        values.iter().for_each(|value| check(key, value, domain));
    }
    for (key, value, domain) in budgets() {
        check(&key, value, domain);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(left.is_empty(), "keys without a wrong value: {left:?}");
}

#[test]
fn no_number_is_infinite_or_none() {
    let mut numbers = 0;
    let mut wrong = Vec::new();
    for (key, value) in every_key() {
        if !value.is_float() {
            continue;
        }
        numbers += 1;
        for value in ["nan", "inf", "-inf"] {
            let without_limit = value == "inf" && WITHOUT_LIMIT.contains(&&*key);
            match refusal(&key, value) {
                Some(message) if message.contains(&key) && !without_limit => {}
                None if without_limit => {}
                other => wrong.push(format!("{key} = {value}: {other:?}")),
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(numbers > 70, "{numbers}");
    for (key, value) in [
        ("model.layer_beta", "[nan]"),
        ("model.distributional_fraction", "[inf]"),
        ("data.sentinels", "[nan]"),
        ("data.sentinels", "[inf]"),
        ("control.layer", "[{layer = 1, pi.width = inf}]"),
        ("control.layer", "[{layer = 1, geco.min = nan}]"),
        ("model.family", "{student_t = {degrees_of_freedom = inf}}"),
    ] {
        assert!(refusal(key, value).is_some(), "{key} = {value}");
    }
}

#[test]
fn a_key_that_is_not_there_is_told_with_the_one_that_was_meant() {
    let mut wrong = Vec::new();
    let mut check = |written: &str, value: &str, meant: &str| {
        let message = with(written, value).expect_err(written);
        if !message.ends_with(&format!("{written}: no such key; did you mean {meant}?")) {
            wrong.push(message);
        }
    };
    for (key, value) in every_key() {
        let (table, own) = key.rsplit_once('.').expect("a table");
        // A key with one letter too many, and a key with two letters swapped.
        check(&format!("{key}s"), &value.to_string(), own);
        let swapped: String = own.chars().nth(1).into_iter().chain(own.chars().take(1)).collect();
        let swapped = swapped + &own[2..];
        if own.len() > 4 && swapped != own {
            check(&format!("{table}.{swapped}"), &value.to_string(), own);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for (written, table, meant) in [
        ("modle.units", "modle", "model"),
        ("controll.rate.low", "controll", "control"),
        ("control.rat.low", "control.rat", "rate"),
    ] {
        let message = with(written, "3").expect_err(written);
        assert!(message.ends_with(&format!("{table}: no such key; did you mean {meant}?")));
    }
    let message = with("model.frobnicate", "3").expect_err("refused");
    assert!(message.ends_with("model.frobnicate: no such key"), "{message}");
    let message = with("model", "3").expect_err("refused");
    assert!(message.ends_with("model = 3: has to be a table"), "{message}");
}

/// Every name of a setting is read and written unchanged.
#[test]
fn every_name_comes_back() {
    let mut names = 0;
    for (key, value) in every_key() {
        let Value::String(default) = value else { continue };
        let message = match with(&key, "no-such-name") {
            Ok(_) => continue, // A text.
            Err(message) => message,
        };
        let (_, list) = message.split_once("one of ").unwrap_or_else(|| panic!("{message}"));
        let list = list.split("; did you").next().expect("a list").replace("or none", "none");
        assert!(list.split(", ").any(|name| name == default), "{message}");
        for name in list.split(", ") {
            names += 1;
            let config = with(&key, name).unwrap_or_else(|error| panic!("{error}"));
            let written = config.to_toml().expect("TOML");
            let own = key.rsplit('.').next().expect("a key");
            let table = key.rsplit_once('.').expect("a table").0;
            let section = written.split(&format!("[{table}]\n")).nth(1).expect("the table");
            // By its name alone, or with the settings that belong to it.
            let by_name = section.contains(&format!("{own} = \"{name}\"\n"));
            assert!(by_name || written.contains(&format!("[{key}.{name}]\n")), "{key} = {name}");
            assert_eq!(RunConfig::from_toml(&written).expect(name), config, "{key} = {name}");
        }
    }
    assert!(names >= 50, "{names}");
    let all = "ar, rate, kl, free_bits, annealing, capacity, geco, pi, thermostat, persistence";
    for name in all.split(", ") {
        let config = with("control.controllers", &format!("[\"{name}\"]")).expect(name);
        assert!(config.to_toml().expect("TOML").contains(&format!("controllers = [\"{name}\"]")));
    }
}

/// Every setting changes the configuration, and a written configuration reads back as the same.
#[test]
fn every_setting_that_is_left_out_can_be_given_and_taken_back() {
    for (key, value) in OPTIONAL {
        let config = with(key, value).unwrap_or_else(|error| panic!("{error}"));
        assert_ne!(config, RunConfig::default(), "{key}");
        assert_eq!(RunConfig::from_toml(&config.to_toml().unwrap()).unwrap(), config, "{key}");
        assert_eq!(with(key, "none").unwrap(), RunConfig::default(), "{key}");
    }
    let text = RunConfig::default().to_toml().unwrap();
    assert_eq!(RunConfig::from_toml(&text).unwrap(), RunConfig::default());
    assert!(text.parse::<Table>().unwrap().contains_key("schedule"));
}
