//! Each setting belongs to one struct. The test reads the sources of the workspace and looks for
//! fields with the name of a setting.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Structs of settings that share names with a table, each with the reason why it is separate.
const OTHERS: [(&str, &str); 19] = [
    ("LayerConfig", "one layer of any network; the forecaster fills it in one place (decision 7)"),
    ("StackLayerConfig", "one layer and how it is joined to the layer below"),
    ("HeadConfig", "the head alone, whose inputs and outputs follow from the network"),
    ("SequenceForecasterConfig", "another network"),
    ("SequenceLayerConfig", "one layer of any network over time"),
    ("WindowSpec", "windows of any rows, whoever asks for them; protocols have numbers there"),
    ("TableOptions", "any table, for a forecast or not; fills and dates have values there"),
    ("TabularOptions", "any table of rows, for a task or not; forms and limits have values there"),
    ("SeriesOptions", "any file of series; forms, fills and times have values there"),
    ("ForecastOptions", "new rows for a run: a file and a policy that replace its own"),
    ("LayerControlConfig", "one layer: its own weight of the KL, after the factor of the layer"),
    ("ConstraintConfig", "a goal is one value there, three keys in a file"),
    ("PersistenceConfig", "a goal is one value there, three keys in a file"),
    ("GecoConfig", "a tolerance has to be given there, and beta is known"),
    ("ArShareConfig", "the share alone, without the penalty's scale and correlation"),
    ("ProjectionConfig", "not in a file"),
    ("BandCalibrationConfig", "not in a file"),
    ("CheckpointConfig", "when any store saves; a trainer makes one of its keys in [train]"),
    ("HomeostatConfig", "its gain has a key of [control]"),
];

/// The structs that are tables of a configuration.
const TABLES: [&str; 18] = [
    "RunConfig",
    "DataConfig",
    "ForecasterConfig",
    "ControlConfig",
    "DiagnosticsConfig",
    "TrainConfig",
    "SelectionRule",
    "AdamWConfig",
    "Schedule",
    "ArConfig",
    "BudgetConfig",
    "FreeBitsConfig",
    "AnnealingConfig",
    "CapacityConfig",
    "GecoSettings",
    "PiConfig",
    "ThermostatConfig",
    "PersistenceSettings",
];

fn sources(folder: &Path, to: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, to);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            to.push(path);
        }
    }
}

/// The structs with named fields: (name, fields).
fn structs(text: &str) -> Vec<(String, Vec<String>)> {
    let mut found = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let Some((_, head)) = line.split_once("struct ") else { continue };
        if line.trim_start().starts_with("//") || !line.ends_with('{') {
            continue;
        }
        let name = head.split(|c: char| !c.is_alphanumeric()).next().unwrap().to_owned();
        let fields = lines.by_ref().take_while(|line| !line.starts_with('}')).filter_map(|line| {
            let (field, _) = line.trim().split_once(": ")?;
            let field = field.trim_start_matches("pub(crate) ").trim_start_matches("pub ");
            field.chars().all(|c| c.is_alphanumeric() || c == '_').then(|| field.to_owned())
        });
        found.push((name, fields.collect()));
    }
    found
}

fn is_of_settings(name: &str) -> bool {
    TABLES.contains(&name)
        || ["Config", "Settings", "Options", "Spec", "Shorthands"].iter().any(|e| name.ends_with(e))
}

#[test]
fn no_setting_is_a_field_of_two_structs_where_one_would_do() {
    let mut files = Vec::new();
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for folder in ["vdn-model", "vdn-train", "vdn-forecast", "vdn-cli"] {
        sources(&crates.join(folder).join("src"), &mut files);
    }
    let all: Vec<(String, Vec<String>)> =
        files.iter().flat_map(|file| structs(&std::fs::read_to_string(file).unwrap())).collect();
    let fields_of = |name: &str| -> BTreeSet<&str> {
        let of = all.iter().filter(|(own, _)| own == name);
        of.flat_map(|(_, fields)| fields.iter().map(String::as_str)).collect()
    };
    let model = fields_of("ForecasterConfig");
    let data = fields_of("DataConfig");
    let train = fields_of("TrainConfig");
    assert!(model.len() > 35 && data.len() > 12 && train.len() > 10, "the sources were not read");
    let mut wrong = Vec::new();
    for table in TABLES {
        assert_eq!(all.iter().filter(|(name, _)| name == table).count(), 1, "{table}");
    }
    for (name, fields) in all.iter().filter(|(name, _)| is_of_settings(name)) {
        let known = TABLES.contains(&name.as_str()) || OTHERS.iter().any(|(own, _)| own == name);
        for field in fields.iter().map(String::as_str) {
            let of_model = model.contains(field) && name != "ForecasterConfig";
            let of_data = data.contains(field) && name != "DataConfig";
            let of_train = train.contains(field) && name != "TrainConfig";
            // The length of windows is a setting of the data, which is passed on to the network.
            let told = name == "ForecasterConfig" && ["input_len", "horizon"].contains(&field)
                || name == "DataConfig" && ["input_len", "horizon"].contains(&field)
                // The probe has its own samples and units.
                || name == "DiagnosticsConfig" && ["samples", "units"].contains(&field)
                // A table of its own.
                || name == "RunConfig";
            if (of_model || of_data || of_train) && !told && !known {
                wrong.push(format!("{name}.{field}"));
            }
            if (of_model || of_data || of_train) && !told && TABLES.contains(&name.as_str()) {
                wrong.push(format!("{name}.{field}: two tables"));
            }
        }
    }
    assert!(wrong.is_empty(), "settings in two structs: {wrong:?}");
    // An exception has to be needed.
    for (name, reason) in OTHERS {
        assert!(!fields_of(name).is_empty(), "{name} ({reason}) is not there");
    }
}
