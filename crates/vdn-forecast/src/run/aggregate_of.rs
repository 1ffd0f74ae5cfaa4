//! The aggregation of several steps of a forecast into one number.

use serde::{Deserialize, Serialize};
use std::str::FromStr;
use vdn_train::TrainError;
use vdn_train::config::read_at;

/// The function that aggregates steps into one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AggregateKind {
    /// The mean of the steps. It is exact: from the closed form if the forecast has one, else given
    /// 2048 samples of the units.
    Mean,
    /// The sum of the steps, computed like the mean.
    Sum,
    /// The maximum of the steps, from 2048 paths.
    Max,
}

impl AggregateKind {
    /// Returns the name of the kind in options and tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Mean => "mean",
            Self::Sum => "sum",
            Self::Max => "max",
        }
    }
}

/// An aggregate of the first steps of a forecast: `mean`, `sum` or `max`. It covers all steps or,
/// as in `sum:24`, the first 24.
///
/// ```
/// use vdn_forecast::run::{AggregateKind, AggregateOf};
/// let day: AggregateOf = "sum:24".parse()?;
/// assert_eq!(day, AggregateOf { kind: AggregateKind::Sum, steps: Some(24) });
/// let error = "summ:24".parse::<AggregateOf>().unwrap_err().to_string();
/// assert!(error.contains("did you mean sum?"), "{error}");
/// # Ok::<(), vdn_train::TrainError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AggregateOf {
    /// The aggregation function.
    pub kind: AggregateKind,
    /// The number of steps, from the first one; `None`: all.
    pub steps: Option<usize>,
}

impl FromStr for AggregateOf {
    type Err = TrainError;

    fn from_str(text: &str) -> Result<Self, TrainError> {
        let (kind, steps) = match text.split_once(':') {
            None => (text, None),
            Some((kind, count)) => match count.parse() {
                Ok(steps) if steps > 0 => (kind, Some(steps)),
                _ => {
                    return Err(TrainError::config(format!(
                        "aggregate = {text:?}: behind the colon has to be a number of steps, at \
                         least 1, as in sum:24"
                    )));
                }
            },
        };
        Ok(Self { kind: read_at("aggregate", toml::Value::from(kind))?, steps })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_steps_are_read_and_nonsense_is_refused_in_one_line() {
        for kind in [AggregateKind::Mean, AggregateKind::Sum, AggregateKind::Max] {
            let read: AggregateOf = kind.name().parse().unwrap();
            assert_eq!(read, AggregateOf { kind, steps: None });
        }
        let cases = [
            ("median", "aggregate = \"median\": has to be one of"),
            ("men:3", "did you mean mean?"),
            ("sum:0", "aggregate = \"sum:0\": behind the colon"),
            ("sum:", "at least 1, as in sum:24"),
            ("sum:-1", "at least 1, as in sum:24"),
            ("sum:99999999999999999999", "at least 1, as in sum:24"),
            ("", "has to be one of"),
        ];
        for (text, expected) in cases {
            let error = text.parse::<AggregateOf>().unwrap_err().to_string();
            assert!(error.contains(expected) && error.lines().count() == 1, "{text}: {error}");
        }
    }
}
