//! Settings of `[control]` that are rejected, and the messages.

use super::control::SMALL;
use super::support::Failure;
use vdn_forecast::config::RunConfig;
use vdn_model::objective::Objective;
use vdn_model::units::{LayerPrior, PerLayer};

fn config(text: &str) -> Result<RunConfig, Failure> {
    super::support::config(SMALL, text)
}

fn refusal(text: &str) -> String {
    super::support::refusal(SMALL, text)
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

/// Every number in the tables of `[control]`, outside its domain. The message begins with the
/// invalid key.
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
        ("persistence", "[control.persistence]\n", "target", &["nan", "inf", "1.0", "-1.0"]),
        ("persistence", "[control.persistence]\ntarget = 0.3\n", "gain", &["nan", "inf", "-1.0"]),
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
            // For a low end above the high one, either may be named.
            let named = format!("control.{controller}.{key}");
            let other = format!("control.{controller}.high");
            let good = error.contains(&named) || key == "low" && error.contains(&other);
            assert!(good && !error.contains("model.control"), "{named} = {value}: {error}");
        }
    }
    for (key, value) in [("band_target", "nan"), ("band_spread", "inf"), ("homeostat_gain", "0.6")]
    {
        let error = refusal(&format!("[control]\nmode = \"homeo\"\n{key} = {value}\n"));
        assert!(error.contains(&format!("control.{key}")), "{key}: {error}");
    }
    assert!(config("[control.rate]\nhigh = inf\n").is_ok(), "no upper end");
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
            "controllers = [\"geco\"]\n[control.geco]\ntolerance = 1.0\ninitial = 5.0",
            &["control.geco.initial = 5", "[min, max]"],
        ),
        // An energy of at most 0.006 and a correlation of 0.4 leave a variance of 0.009: a KL of
        // 1.86 nats.
        (
            "mode = \"homeo\"\ncontrollers = [\"persistence\"]\n[control.persistence]\ntarget = 0.4",
            &["the persistence target and the thermostat", "energy band", "of unit 0"],
        ),
        (
            "controllers = [\"persistence\"]\n[control.persistence]\ntarget = 0.3\nlow = 0.1",
            &["control.persistence: target and low or high"],
        ),
        ("mode = \"homeo\"\nband_spread = 0.5", &["control.band_spread = 0.5", "at least 1"]),
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
    let refused = |change: fn(&mut RunConfig)| {
        let mut config = RunConfig::default();
        change(&mut config);
        config.validate().expect_err("refused").to_string()
    };
    let message = refused(|config| {
        config.control.choose(["persistence"]).expect("a name");
        config.control.persistence.target = Some(0.3);
        config.train.batch = 1;
        config.data.extra_lag = true;
    });
    assert!(message.contains("train.batch = 1 and the persistence target"), "{message}");
    let message = refused(|config| {
        config.control.choose(["ar"]).expect("a name");
        config.model.prior = PerLayer::all(LayerPrior::Learned);
    });
    assert!(
        message.contains("control.ar: compares") && message.contains("model.prior"),
        "{message}"
    );
    for name in ["thermostat", "free_bits", "annealing", "capacity", "geco", "pi"] {
        let mut config = RunConfig::default();
        config.model.objective = Objective::Elbo;
        config.control.choose([name]).expect("a name");
        let message = config.validate().expect_err(name).to_string();
        assert!(message.contains("elbo"), "{name}: {message}");
    }
}

/// Settings that are one value, or one value per layer: an error lists the valid names, wherever
/// the invalid one is.
#[test]
fn wrong_values_of_settings_for_each_layer_list_the_right_ones() {
    let of = |text: &str| RunConfig::from_toml(text).unwrap_err().to_string();
    for (text, parts) in [
        ("[model]\nfamily = \"normla\"\n", ["normla", "student_t"]),
        ("[model]\nfamily = [\"normal\", \"student\"]\n", ["student", "student_t"]),
        ("[model]\nprior = \"leraned\"\n", ["leraned", "learned"]),
        (
            "[model]\ndistributional_fraction = \"half\"\n",
            ["model.distributional_fraction = \"half\"", "a number"],
        ),
        ("[model]\nlayer_beta = [1.0, \"x\"]\n", ["model.layer_beta[1] = \"x\"", "a number"]),
    ] {
        let message = of(text);
        for part in parts {
            assert!(message.contains(part), "{text}: {message}");
        }
    }
    // An integer is accepted as a number, alone and in a list.
    let config = RunConfig::from_toml("[model]\ndepth = 2\nlayer_beta = [1, 2.5]\n").unwrap();
    assert_eq!(config.model.layer_beta, PerLayer::each(&[1.0, 2.5]).unwrap());
    let config = RunConfig::from_toml("[model]\ndistributional_fraction = 1\n").unwrap();
    assert_eq!(config.model.distributional_fraction, PerLayer::all(1.0));
    for widths in ["[]", "[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]"] {
        let error = of(&format!("[model]\nwidths = {widths}\n"));
        assert!(error.contains("model.widths = ["), "{error}");
        assert!(error.contains("has to have 1 to 16 values"), "{error}");
    }
}
