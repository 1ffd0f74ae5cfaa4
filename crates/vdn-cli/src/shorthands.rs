//! The common options of `vdn train`. Each is a short form of `--set KEY=VALUE`.

use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};
use vdn_train::config::{ControlConfig, set, value_of};
use vdn_train::data::split_fields;

/// The conversion of an option's text to a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// A value as in a file; strings need no quotes.
    Value,
    /// A string, even if it looks like a number.
    Text,
    /// Values separated by commas.
    Values,
    /// Strings separated by commas. Strings that contain a comma are quoted.
    Texts,
    /// No text; the value is `true`.
    Flag,
    /// One value; the option may be repeated.
    Repeated,
}

/// The name of an option, the key that it sets, its form, and its help text.
pub(crate) type Shorthand = (&'static str, &'static str, Form, &'static str);

const DATA: &[Shorthand] = &[
    ("data", "data.file", Form::Text, "A delimited file, wide or long, plain or gzip"),
    (
        "columns",
        "data.columns",
        Form::Texts,
        "The series to use, by name or #position: a,b,#3; names with commas in quotes",
    ),
    ("date", "data.date", Form::Text, "The column of times, by name or #position, or none"),
    ("date-format", "data.date_format", Form::Text, "The format of dates, such as %d.%m.%Y"),
    ("zone", "data.zone", Form::Text, "The time zone of the file's clock, such as Europe/Berlin"),
    ("id-column", "data.id_column", Form::Text, "In long form, the column that names the series"),
    ("target-column", "data.target_column", Form::Text, "In long form, the column with the values"),
    ("delimiter", "data.delimiter", Form::Text, "The delimiter between cells: a character, or tab"),
    ("decimal", "data.decimal", Form::Text, "The decimal sign: . or ,"),
    ("duplicates", "data.duplicates", Form::Value, "Rows with the same time: error, mean, last"),
    ("fill", "data.fill", Form::Value, "Missing values: error, forward, linear, zero, mask"),
    ("sentinel", "data.sentinels", Form::Repeated, "A number that stands for a missing value"),
    ("calendar", "data.calendar", Form::Flag, "Add calendar features: phase of day, week, year"),
    ("past", "data.past", Form::Texts, "Columns known until a forecast begins: a,b,#3"),
    ("future", "data.future", Form::Texts, "Columns known ahead, also after the last observation"),
    ("static", "data.static", Form::Texts, "In long form, columns with a category of each series"),
    ("support", "data.support", Form::Value, "The possible values of series: real, non_negative"),
    ("input-len", "data.input_len", Form::Value, "The rows of an input window"),
    ("horizon", "data.horizon", Form::Value, "Rows to forecast"),
    ("stride", "data.stride", Form::Value, "Rows between the starts of the two input windows"),
    (
        "protocol",
        "data.protocol",
        Form::Value,
        "Splits: spec, spec_overlapping, reference, benchmark_{ett_hour,ett_minute,ratio}, probts",
    ),
    ("season", "data.season", Form::Value, "The period of the seasonal naive baseline, in rows"),
];

/// The heading of options that only tasks have.
pub(crate) const TASKS: &str = "Tasks";

const TASK: &[Shorthand] = &[
    ("target", "data.target", Form::Texts, "The columns of a table to predict: y1,y2"),
    ("ignore", "data.ignore", Form::Texts, "Columns of a table to leave out"),
    (
        "categories",
        "data.categories",
        Form::Texts,
        "Columns of categories whose cells look like numbers",
    ),
    ("missing", "data.missing", Form::Value, "Missing features of a table: error, mean"),
    (
        "splits",
        "data.splits",
        Form::Text,
        "A file of splits (split, test_rows); all of them are run",
    ),
    ("split", "data.split", Form::Value, "The number of a single split to run, from 0"),
    ("images", "data.images", Form::Text, "Images to classify, in the IDX format"),
    ("labels", "data.labels", Form::Text, "The labels of the images"),
    ("test-images", "data.test_images", Form::Text, "Images for the test"),
    ("test-labels", "data.test_labels", Form::Text, "The labels of the test images"),
    (
        "likelihood",
        "model.likelihood",
        Form::Value,
        "The likelihood of a target: gaussian, student_t, laplace, poisson, negative_binomial",
    ),
];

const MODEL: &[Shorthand] = &[
    (
        "compatibility",
        "model.compatibility",
        Form::Value,
        "The source of the defaults: none (this project), reference",
    ),
    ("units", "model.units", Form::Value, "The number of units of each layer"),
    ("depth", "model.depth", Form::Value, "The number of layers of units"),
    ("widths", "model.widths", Form::Values, "The units of each layer, from the first up: 512,256"),
    (
        "distributional-fraction",
        "model.distributional_fraction",
        Form::Value,
        "The share of units that are distributions",
    ),
    (
        "residual",
        "model.residual",
        Form::Flag,
        "Upper layers add the activities of the layer below",
    ),
    (
        "layer-norm",
        "model.layer_norm",
        Form::Flag,
        "Upper layers normalise the activities of the layer below",
    ),
    ("latent-dims", "model.latent_dims", Form::Value, "Latent dimensions of each unit"),
    ("samples", "model.samples", Form::Value, "Samples of each posterior in training"),
    (
        "evaluate-samples",
        "model.evaluate_samples",
        Form::Value,
        "Samples of each posterior in evaluation",
    ),
    ("beta", "model.beta", Form::Value, "The weight of every unit's KL, per nat and time step"),
    (
        "normalization",
        "model.normalization",
        Form::Value,
        "The value subtracted from windows: off, mean, last",
    ),
    (
        "divide-by-deviation",
        "model.divide_by_deviation",
        Form::Flag,
        "Also divide windows by their deviation",
    ),
];

const TRAINING: &[Shorthand] = &[
    ("epochs", "train.epochs", Form::Value, "The maximum number of passes over the training data"),
    (
        "patience",
        "train.patience",
        Form::Value,
        "Stop after this many epochs without improvement; 0: never",
    ),
    ("batch", "train.batch", Form::Value, "The number of windows per training step"),
    ("learning-rate", "train.learning_rate", Form::Value, "The base learning rate"),
    ("seed", "train.seed", Form::Value, "The seed of all random numbers"),
    ("generator", "train.generator", Form::Value, "The generator of noise: philox4x32-10, ars-7"),
    (
        "threads",
        "train.threads",
        Form::Value,
        "The number of threads; 0: one per processor; does not change results",
    ),
    ("twin", "train.twin", Form::Flag, "Also train the deterministic twin, on the same data"),
];

/// The options, grouped by the headings of the help text.
pub(crate) const GROUPS: [(&str, &[Shorthand]); 4] =
    [("Data", DATA), (TASKS, TASK), ("Model", MODEL), ("Training", TRAINING)];

/// The settings that were given as options.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shorthands {
    given: toml::Table,
}

impl Shorthands {
    /// The settings as a table, which overrides a file.
    pub(crate) fn table(&self) -> &toml::Table {
        &self.given
    }
}

/// The value of an option's texts.
fn value(form: Form, mut texts: Vec<&str>) -> toml::Value {
    let list = |each: fn(&str) -> toml::Value, text: &str| {
        toml::Value::Array(text.split(',').map(each).collect())
    };
    match form {
        Form::Flag => toml::Value::Boolean(true),
        Form::Repeated => toml::Value::Array(texts.into_iter().map(value_of).collect()),
        _ => {
            let text = texts.pop().unwrap_or_default();
            match form {
                Form::Value => value_of(text),
                Form::Values => list(|part| value_of(part.trim()), text),
                Form::Texts => split_fields(text).into(),
                _ => text.into(),
            }
        }
    }
}

/// `--control homeo,ar`: a mode, controllers in addition to it, or both.
fn set_control(given: &mut toml::Table, names: &str) -> Result<(), String> {
    let mut control = ControlConfig::default();
    control.choose(names.split(',').map(str::trim)).map_err(|error| error.to_string())?;
    let value = |value: Result<toml::Value, _>| value.map_err(|e: toml::ser::Error| e.to_string());
    let mode = value(toml::Value::try_from(control.mode))?;
    let controllers = value(toml::Value::try_from(control.controllers))?;
    set(given, "control.mode", mode).map_err(|error| error.to_string())?;
    set(given, "control.controllers", controllers).map_err(|error| error.to_string())
}

/// `--max-windows 400,200,200`: training, validation and test windows.
fn set_max_windows(given: &mut toml::Table, counts: &str) -> Result<(), String> {
    let counts: Vec<&str> = counts.split(',').map(str::trim).collect();
    let &[train, validation, test] = &counts[..] else {
        return Err("--max-windows: takes three counts, as in 400,200,200".into());
    };
    let keys = [("max_train", train), ("max_validation", validation), ("max_test", test)];
    for (key, count) in keys {
        set(given, &format!("data.{key}"), value_of(count)).map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// An option with a text value.
fn option(name: &'static str, help: &'static str, heading: &'static str) -> Arg {
    flag(name, help, heading).value_name("VALUE").allow_negative_numbers(true)
}

fn flag(name: &'static str, help: &'static str, heading: &'static str) -> Arg {
    Arg::new(name).long(name).help(help).help_heading(heading)
}

impl Args for Shorthands {
    fn augment_args(mut command: Command) -> Command {
        for (heading, shorthands) in GROUPS {
            for &(name, _, form, help) in shorthands {
                command = command.arg(match form {
                    Form::Flag => flag(name, help, heading).action(ArgAction::SetTrue),
                    Form::Repeated => option(name, help, heading).action(ArgAction::Append),
                    _ => option(name, help, heading),
                });
            }
        }
        let windows = "The maximum number of windows of each series, by split: 400,200,200";
        let control = "A mode (none, rate, homeo, proj_on, proj_off), additional controllers (ar, \
                       kl, free_bits, annealing, capacity, geco, pi, thermostat, persistence), or \
                       both: homeo,ar";
        let task = "Predict rows instead of forecasting series: regression, classification";
        let demo = "Train on the embedded demo series, daily weather of Seattle (the default)";
        let demo = flag("demo", demo, "Data").action(ArgAction::SetTrue);
        command
            .arg(demo.conflicts_with("data"))
            .arg(option("task", task, TASKS))
            .arg(option("max-windows", windows, "Data"))
            .arg(option("control", control, "Training"))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Shorthands {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut own = Self::default();
        own.update_from_arg_matches(matches)?;
        Ok(own)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        let refuse =
            |reason: String| clap::Error::raw(clap::error::ErrorKind::ValueValidation, reason);
        if matches.get_flag("demo") {
            set(&mut self.given, "data.file", "none").map_err(|e| refuse(e.to_string()))?;
        }
        for (_, shorthands) in GROUPS {
            for &(name, key, form, _) in shorthands {
                let given = match form {
                    Form::Flag => matches.get_flag(name).then(Vec::new),
                    _ => matches
                        .get_many::<String>(name)
                        .map(|texts| texts.map(String::as_str).collect()),
                };
                if let Some(texts) = given {
                    let value = value(form, texts);
                    set(&mut self.given, key, value).map_err(|e| refuse(e.to_string()))?;
                }
            }
        }
        if let Some(task) = matches.get_one::<String>("task") {
            set(&mut self.given, "task", task.as_str()).map_err(|e| refuse(e.to_string()))?;
        }
        if let Some(names) = matches.get_one::<String>("control") {
            set_control(&mut self.given, names).map_err(refuse)?;
        }
        if let Some(counts) = matches.get_one::<String>("max-windows") {
            set_max_windows(&mut self.given, counts).map_err(refuse)?;
        }
        Ok(())
    }
}
