//! [`Keyed`]: a deserialiser that knows the key of the value it reads.
//!
//! Serde reports `invalid type: string "x", expected f64` without a position if the text is not
//! available. A configuration is merged from several tables, so there is no text. This deserialiser
//! keeps track of the key and writes all errors in one style:
//!
//! ```text
//! model.units = "many": has to be a whole number, at least 0
//! model.unit: no such key; did you mean units?
//! ```

use serde::de::value::MapAccessDeserializer;
use serde::de::{
    DeserializeSeed, Deserializer, Error, Expected, IntoDeserializer, MapAccess, SeqAccess,
    Unexpected, Visitor,
};
use std::fmt::{self, Display};
use toml::Value;

/// The reason why a value was refused, at first without its key, then with it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Refusal {
    pub(super) reason: String,
    has_key: bool,
}

impl Refusal {
    fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), has_key: false }
    }

    fn of_key(reason: String) -> Self {
        Self { reason, has_key: true }
    }

    /// Adds `none` to the names in the message.
    fn or_none(mut self) -> Self {
        if self.reason.contains("has to be one of ") {
            let end = self.reason.find("; did you mean").unwrap_or(self.reason.len());
            self.reason.insert_str(end, ", or none");
        }
        self
    }

    /// Adds the key and its value, unless an inner value was refused.
    fn at(self, key: &str, value: &str) -> Self {
        if self.has_key {
            return self;
        }
        Self::of_key(format!("{key} = {value}: {}", self.reason))
    }
}

impl Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl std::error::Error for Refusal {}

impl Error for Refusal {
    fn custom<T: Display>(reason: T) -> Self {
        Self::new(reason.to_string())
    }

    fn invalid_type(_: Unexpected<'_>, wanted: &dyn Expected) -> Self {
        Self::new(format!("has to be {}", in_words(&wanted.to_string())))
    }

    fn invalid_value(_: Unexpected<'_>, wanted: &dyn Expected) -> Self {
        Self::new(format!("has to be {}", in_words(&wanted.to_string())))
    }

    fn unknown_variant(name: &str, names: &'static [&'static str]) -> Self {
        let meant = did_you_mean(name, names);
        Self::new(format!("has to be one of {}{meant}", names.join(", ")))
    }

    fn unknown_field(key: &str, keys: &'static [&'static str]) -> Self {
        let meant = did_you_mean(key, keys);
        Self::new(format!("{key}: no such key, there is {}{meant}", keys.join(", ")))
    }
}

/// Translates serde's names of types into the words of users.
fn in_words(wanted: &str) -> &str {
    match wanted {
        "f64" => "a number",
        "usize" | "u64" | "u32" => "a whole number, at least 0",
        "a boolean" => "true or false",
        "a string" | "path string" => "a text in quotes",
        "a sequence" => "a list",
        other => other,
    }
}

/// The name nearest to `given`, if it is near enough.
fn did_you_mean(given: &str, names: &[&str]) -> String {
    let near = |&name: &&&str| edit_distance(given, name) <= 1 + name.len().min(given.len()) / 4;
    let best = names.iter().filter(near).min_by_key(|name| edit_distance(given, name));
    best.map_or_else(String::new, |name| format!("; did you mean {name}?"))
}

/// The number of characters that must be inserted, deleted, changed, or swapped with their
/// neighbour (the optimal string alignment distance).
fn edit_distance(a: &str, b: &str) -> usize {
    let [a, b] = [a, b].map(|text| text.chars().take(64).collect::<Vec<char>>());
    let mut rows = vec![(0..=b.len()).collect::<Vec<usize>>()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let changed = usize::from(a[i - 1] != b[j - 1]);
            let mut least =
                (rows[i - 1][j] + 1).min(row[j - 1] + 1).min(rows[i - 1][j - 1] + changed);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

/// The form of a value in a message: one line of bounded length without control characters.
fn shown(value: &Value) -> String {
    const LONGEST: usize = 60;
    let text: String =
        value.to_string().chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().count() <= LONGEST {
        return text;
    }
    text.chars().take(LONGEST).chain("...".chars()).collect()
}

/// The form of a key in a message.
fn shown_key(key: &str) -> String {
    key.chars().take(60).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// A value and its key.
pub(super) struct Keyed {
    pub(super) key: String,
    pub(super) value: Value,
}

impl Keyed {
    fn read<T>(self, read: impl FnOnce(Self) -> Result<T, Refusal>) -> Result<T, Refusal> {
        let (key, value) = (self.key.clone(), shown(&self.value));
        read(self).map_err(|refusal| refusal.at(&key, &value))
    }
}

impl<'de> Deserializer<'de> for Keyed {
    type Error = Refusal;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        self.read(|Self { key, value }| match value {
            Value::String(text) => visitor.visit_string(text),
            Value::Integer(number) => visitor.visit_i64(number),
            Value::Float(number) if number.is_nan() => Err(Refusal::new("has to be a number")),
            Value::Float(number) => visitor.visit_f64(number),
            Value::Boolean(truth) => visitor.visit_bool(truth),
            Value::Datetime(_) => Err(Refusal::new("is a date; put it in quotes if it is a text")),
            Value::Array(values) => {
                visitor.visit_seq(Items { key, values: values.into_iter().enumerate() })
            }
            Value::Table(table) => visitor.visit_map(Entries::new(&key, table)),
        })
    }

    /// Reads `"none"` as an omitted setting.
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        if self.value.as_str() == Some("none") {
            return visitor.visit_none();
        }
        visitor.visit_some(self).map_err(Refusal::or_none)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Refusal> {
        visitor.visit_newtype_struct(self)
    }

    /// Reads a table whose keys are known. The error for an unknown key suggests a similar one.
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        keys: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refusal> {
        self.read(|Self { key, value }| {
            let Value::Table(table) = value else {
                return Err(Refusal::new("has to be a table"));
            };
            if let Some(unknown) = table.keys().find(|key| !keys.contains(&key.as_str())) {
                let meant = did_you_mean(unknown, keys);
                let written = joined(&key, &shown_key(unknown));
                let reason = format!("{written}: no such key{meant}");
                return Err(Refusal::of_key(reason));
            }
            visitor.visit_map(Entries::new(&key, table))
        })
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        names: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refusal> {
        self.read(|Self { key, value }| match value {
            Value::String(text) => {
                let text: serde::de::value::StringDeserializer<Refusal> = text.into_deserializer();
                text.deserialize_enum(name, names, visitor)
            }
            Value::Table(table) => MapAccessDeserializer::new(Entries::new(&key, table))
                .deserialize_enum(name, names, visitor),
            _ => Err(Refusal::new(format!("has to be one of {}", names.join(", ")))),
        })
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct map identifier ignored_any
    }
}

/// Joins two keys to `table.key`. The root of the configuration has no table key; a table key that
/// is a phrase ends in a space.
fn joined(table: &str, key: &str) -> String {
    match table {
        "" => key.to_owned(),
        _ if table.ends_with(' ') => format!("{table}{key}"),
        _ => format!("{table}.{key}"),
    }
}

struct Items {
    key: String,
    values: std::iter::Enumerate<std::vec::IntoIter<Value>>,
}

impl<'de> SeqAccess<'de> for Items {
    type Error = Refusal;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Refusal> {
        let Some((place, value)) = self.values.next() else { return Ok(None) };
        seed.deserialize(Keyed { key: format!("{}[{place}]", self.key), value }).map(Some)
    }
}

struct Entries {
    table: String,
    entries: <toml::Table as IntoIterator>::IntoIter,
    next: Option<Keyed>,
}

impl Entries {
    fn new(table: &str, entries: toml::Table) -> Self {
        Self { table: table.to_owned(), entries: entries.into_iter(), next: None }
    }
}

impl<'de> MapAccess<'de> for Entries {
    type Error = Refusal;

    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Refusal> {
        let Some((key, value)) = self.entries.next() else { return Ok(None) };
        let at = joined(&self.table, &shown_key(&key));
        self.next = Some(Keyed { key: at, value });
        seed.deserialize(key.into_deserializer()).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Refusal> {
        let next = self.next.take().ok_or_else(|| Refusal::new("a value before its key"))?;
        seed.deserialize(next)
    }
}

#[cfg(test)]
mod tests {
    use super::{did_you_mean, edit_distance};

    #[test]
    fn distances_count_edits_and_swaps() {
        for (a, b, distance) in [
            ("", "", 0),
            ("", "abc", 3),
            ("unit", "units", 1),
            ("epocs", "epochs", 1),
            ("lerned", "learned", 1),
            ("leraned", "learned", 1),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!(edit_distance(a, b), distance, "{a} {b}");
            assert_eq!(edit_distance(b, a), distance, "{b} {a}");
        }
        assert_eq!(did_you_mean("unit", &["depth", "units"]), "; did you mean units?");
        assert_eq!(did_you_mean("frobnicate", &["depth", "units"]), "");
    }
}
