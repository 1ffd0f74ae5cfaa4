//! Layered configurations: a base with every value, and tables that override it.
//!
//! ```text
//! the crate's defaults  <  values of another implementation  <  a file  <  options of the program
//! ```
//!
//! A setting that no table gives keeps the value of the base. Therefore no settings struct has to
//! record which values were given: its fields are plain values. [`layered`] is the only function
//! that reads a configuration and refuses keys and types.

use crate::config::keyed::Keyed;
use crate::error::TrainError;
use serde::Serialize;
use serde::de::DeserializeOwned;
use toml::{Table, Value};
use vdn_model::core::ModelError;

/// Reads a configuration: the values of `base`, overridden key by key by `over`. `at` is the key of
/// the table in messages; it is empty for a whole configuration.
///
/// ```
/// use vdn_train::config::layered;
/// use vdn_train::optim::Schedule;
/// let base = Schedule { warmup_steps: 10, ..Schedule::default() };
/// let given = "final_factor = 0.5".parse().expect("TOML");
/// let schedule = layered("schedule", &base, &given)?;
/// assert_eq!((schedule.warmup_steps, schedule.final_factor), (10, 0.5));
/// let near = "final_facto = 0.5".parse().expect("TOML");
/// let error = layered("schedule", &base, &near).unwrap_err().to_string();
/// assert!(error.ends_with("schedule.final_facto: no such key; did you mean final_factor?"));
/// # Ok::<(), vdn_train::TrainError>(())
/// ```
///
/// # Errors
/// Returns one line with the key as written if:
///
/// * the key does not exist (with a suggestion if one is near)
/// * the value has the wrong type or is not a number (with the expected type)
///
/// The settings themselves check domains.
pub fn layered<C: Serialize + DeserializeOwned>(
    at: &str,
    base: &C,
    over: &Table,
) -> Result<C, TrainError> {
    let mut table = Table::try_from(base).map_err(|error| TrainError::config(error.to_string()))?;
    lay_over(&mut table, over);
    read_at(at, Value::Table(table))
}

/// Reads one value of a configuration; `at` is its key.
///
/// # Errors
/// Returns the errors of [`layered`].
pub fn read_at<C: DeserializeOwned>(at: &str, value: Value) -> Result<C, TrainError> {
    C::deserialize(Keyed { key: at.to_owned(), value })
        .map_err(|refusal| TrainError::config(refusal.reason))
}

/// Replaces the values of `base` by the values of `over`, table by table.
pub fn lay_over(base: &mut Table, over: &Table) {
    for (key, value) in over {
        match (base.get_mut(key), value) {
            (Some(Value::Table(base)), Value::Table(over)) => lay_over(base, over),
            _ => {
                base.insert(key.clone(), value.clone());
            }
        }
    }
}

/// Sets one value by its full key: `set(&mut given, "model.units", 64)`.
///
/// ```
/// let mut given = toml::Table::new();
/// vdn_train::config::set(&mut given, "model.units", 64)?;
/// assert_eq!(given["model"]["units"].as_integer(), Some(64));
/// # Ok::<(), vdn_train::TrainError>(())
/// ```
///
/// # Errors
/// Returns an error if a part of the key is empty or names a value that is not a table.
pub fn set(given: &mut Table, key: &str, value: impl Into<Value>) -> Result<(), TrainError> {
    let (tables, name) = match key.rsplit_once('.') {
        Some((tables, name)) => (tables.split('.').collect(), name),
        None => (Vec::new(), key),
    };
    let mut table = given;
    for part in &tables {
        let within = table.entry(*part).or_insert_with(|| Value::Table(Table::new()));
        let Value::Table(within) = within else {
            return Err(TrainError::config(format!("{key}: {part} is not a table")));
        };
        table = within;
    }
    if name.is_empty() || tables.iter().any(|part| part.is_empty()) {
        return Err(TrainError::config(format!("{key:?}: is not a key, as model.units is")));
    }
    table.insert(name.to_owned(), value.into());
    Ok(())
}

/// Sets one value from text, written as in a file. Strings need no quotes.
///
/// ```
/// use vdn_train::config::set_text;
/// let mut given = toml::Table::new();
/// for setting in ["model.units=64", "model.score = joint", "model.widths=[8, 4]"] {
///     set_text(&mut given, setting)?;
/// }
/// assert_eq!(given["model"]["score"].as_str(), Some("joint"));
/// assert_eq!(given["model"]["widths"][1].as_integer(), Some(4));
/// # Ok::<(), vdn_train::TrainError>(())
/// ```
///
/// # Errors
/// Returns an error if there is no `=`, and the errors of [`set`].
pub fn set_text(given: &mut Table, setting: &str) -> Result<(), TrainError> {
    let Some((key, text)) = setting.split_once('=') else {
        let reason = format!("{setting:?}: is not KEY=VALUE, as model.units=64 is");
        return Err(TrainError::config(reason));
    };
    set(given, key.trim(), value_of(text.trim()))
}

/// The TOML value that a text stands for: a number, a list, ..., or the text itself as a string.
#[must_use]
pub fn value_of(text: &str) -> Value {
    let read = format!("value = {text}").parse::<Table>().ok();
    let value = read.filter(|table| table.len() == 1).and_then(|mut table| table.remove("value"));
    // TOML requires digits on both sides of a decimal point.
    let number =
        || text.parse().ok().filter(|_| text.starts_with(['.', '+', '-']) || text.ends_with('.'));
    value.or_else(|| number().map(Value::Float)).unwrap_or_else(|| text.into())
}

/// Parses TOML.
///
/// # Errors
/// Returns one line with the line and column of the error.
pub fn parse(text: &str) -> Result<Table, TrainError> {
    text.parse::<Table>().map_err(|error| {
        let at = error.span().map_or_else(String::new, |span| {
            let before = &text[..span.start.min(text.len())];
            let line = before.matches('\n').count() + 1;
            let column = before.chars().rev().take_while(|&c| c != '\n').count() + 1;
            format!("line {line}, column {column}: ")
        });
        TrainError::config(format!("{at}{}", error.message().replace('\n', " ")))
    })
}

/// Converts an error of the model about a field into one that names the key of the setting. `keys`
/// lists the fields whose keys have other names.
pub fn at_key<'a>(
    table: &'a str,
    keys: &'a [(&'static str, &'static str)],
) -> impl Fn(ModelError) -> TrainError + 'a {
    move |error| match error {
        ModelError::Config { setting, value, reason } => {
            let key = keys.iter().find(|(field, _)| *field == setting).map_or(setting, |(_, k)| k);
            let value = value.map_or_else(String::new, |value| format!(" = {value}"));
            TrainError::config(format!("{table}.{key}{value}: {reason}"))
        }
        other => other.into(),
    }
}
