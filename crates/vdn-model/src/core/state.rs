//! [`ControlState`]: the state of controllers, for checkpoints.

use crate::core::error::ModelError;

/// Named lists of numbers, in the order they were written.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ControlState {
    entries: Vec<(String, Vec<f64>)>,
}

impl ControlState {
    /// Creates an empty state.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an entry.
    pub fn put(&mut self, name: impl Into<String>, values: &[f64]) {
        self.entries.push((name.into(), values.to_vec()));
    }

    /// Copies an entry into `to`.
    ///
    /// # Errors
    /// Fails if there is no such entry, or it has another length.
    pub fn fill(&self, name: &str, to: &mut [f64]) -> Result<(), ModelError> {
        let found = self.entries.iter().find(|(entry, _)| entry == name);
        let Some((_, values)) = found else {
            return Err(ModelError::Control(format!("the state has no entry {name}")));
        };
        if values.len() != to.len() {
            let (got, want) = (values.len(), to.len());
            return Err(ModelError::Control(format!(
                "{name} holds {got} numbers instead of {want}"
            )));
        }
        to.copy_from_slice(values);
        Ok(())
    }

    /// Returns the numbers of an entry.
    ///
    /// # Errors
    /// Fails if there is no such entry.
    pub fn values(&self, name: &str) -> Result<&[f64], ModelError> {
        let found = self.entries.iter().find(|(entry, _)| entry == name);
        let missing = || ModelError::Control(format!("the state has no entry {name}"));
        found.map(|(_, values)| values.as_slice()).ok_or_else(missing)
    }

    /// Returns the single number of an entry.
    ///
    /// # Errors
    /// Fails as [`ControlState::fill`] does.
    pub fn number(&self, name: &str) -> Result<f64, ModelError> {
        let mut value = [0.0];
        self.fill(name, &mut value)?;
        Ok(value[0])
    }

    /// Adds an entry of numbers that are only displayed, if all of them are finite.
    /// [`ControlState::fill_shown`] reads it.
    pub fn put_shown(&mut self, name: &str, values: &[f64]) {
        if values.iter().all(|x| x.is_finite()) {
            self.put(name, values);
        }
    }

    /// Copies an entry of numbers that are only displayed into `to`; fills `to` with NaN if there
    /// is no such entry.
    pub fn fill_shown(&self, name: &str, to: &mut [f64]) {
        if self.fill(name, to).is_err() {
            to.fill(f64::NAN);
        }
    }

    /// Returns the entries whose names begin with `prefix`, with the prefix removed.
    #[must_use]
    pub fn within(&self, prefix: &str) -> Self {
        let own = |(name, values): &(String, Vec<f64>)| {
            name.strip_prefix(prefix).map(|name| (name.to_owned(), values.clone()))
        };
        Self { entries: self.entries.iter().filter_map(own).collect() }
    }

    /// Iterates over all entries.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[f64])> {
        self.entries.iter().map(|(name, values)| (name.as_str(), values.as_slice()))
    }
}
