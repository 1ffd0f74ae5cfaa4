//! Configurations that earlier versions wrote.

use vdn_forecast::config::RunConfig;
use vdn_model::units::UnitFamily;

/// The defaults of that time, where they have changed.
const THEN: &str = "[model]\nunits = 1024\nbeta = 1e-4\ndependence = \"sampled\"\n\
                    loading_correlation = 0.0\n";
const THEN_TRAIN: &str = "batch = 128\nema_decay = 0.0\n";

/// The `config.toml` of runs of version 53cb525, and the options of these runs.
const WRITTEN: [(&str, &str, &str); 3] = [
    ("default", include_str!("older/default.toml"), ""),
    (
        "control",
        include_str!("older/control.toml"),
        "[control]\nmode = \"homeo\"\ncontrollers = [\"ar\"]\n",
    ),
    ("reference", include_str!("older/reference.toml"), "[model]\ncompatibility = \"reference\"\n"),
];

#[test]
fn configurations_of_earlier_runs_are_read_as_they_were_meant() {
    for (name, text, options) in WRITTEN {
        let read = RunConfig::from_toml(text).unwrap_or_else(|error| panic!("{name}: {error}"));
        read.validate().unwrap_or_else(|error| panic!("{name}: {error}"));
        let [model, train] = match name {
            "reference" => ["", ""],
            _ => [THEN, THEN_TRAIN],
        };
        let meant = format!("{options}{model}[train]\nepochs = 3\nseed = 7\n{train}");
        assert_eq!(read, RunConfig::from_toml(&meant).unwrap(), "{name}");
    }
}

/// In these runs the loadings of neighbouring steps were independent at the start, and were stored
/// directly.
#[test]
fn a_run_without_a_correlation_of_loadings_has_none() {
    let of = |text: &str| RunConfig::from_toml(text).unwrap().model.loading_correlation;
    let (_, written, _) = WRITTEN[0];
    let split = written.replace("[model]", "[model]\ndependence = \"split\"");
    assert_ne!(split, written);
    assert_eq!(of(&split), 0.0);
    let own = split.replace("[model]", "[model]\nloading_correlation = 0.25");
    assert_eq!(of(&own), 0.25);
    // A file that a user writes by hand gets the default.
    assert!(of("[model]\ndependence = \"split\"\n") > 0.0);
}

/// Student's t had its degrees of freedom next to the family.
#[test]
fn degrees_of_freedom_beside_the_family_are_those_of_its_layers() {
    let family = |text: &str| {
        RunConfig::from_toml(&format!("[model]\n{text}")).map(|config| config.model.family)
    };
    let student = |degrees_of_freedom| UnitFamily::StudentT { degrees_of_freedom };
    let one = family("family = \"student_t\"\ndegrees_of_freedom = 3.5\n").unwrap();
    assert_eq!(one.get(0), student(3.5));
    let list = "depth = 2\nfamily = [\"normal\", \"student_t\"]\ndegrees_of_freedom = 4\n";
    let two = family(list).unwrap();
    assert_eq!([two.get(0), two.get(1)], [UnitFamily::Normal, student(4.0)]);
    let own = family("family = { student_t = { degrees_of_freedom = 6.0 } }\n").unwrap();
    assert_eq!(own.get(0), student(6.0));
    assert_eq!(family("family = \"student_t\"\n").unwrap().get(0), student(5.0));
    for text in ["degrees_of_freedom = 5.0\n", "family = \"laplace\"\ndegrees_of_freedom = 5.0\n"] {
        let error = family(text).unwrap_err().to_string();
        assert!(error.contains("model.degrees_of_freedom = 5.0: only units of"), "{error}");
    }
}

#[test]
fn a_key_that_is_gone_is_refused_with_what_to_write() {
    let error = RunConfig::from_toml("[model]\nemit_kl = true\n").unwrap_err().to_string();
    assert!(error.contains("model.emit_kl: remove it"), "{error}");
}
