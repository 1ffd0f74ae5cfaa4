//! [`MemoryEstimate`]: the expected memory of a run, as text and as a check against a limit.

use crate::error::TrainError;
use crate::memory::{RunSettings, default_limit};
use std::fmt;

/// One part of an estimate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MemoryPart {
    /// The name of the part.
    pub name: &'static str,
    /// The size in bytes.
    pub bytes: f64,
    /// The settings that reduce it.
    pub settings: &'static str,
}

impl MemoryPart {
    /// A part with its name, its bytes and the settings that reduce it.
    #[must_use]
    pub fn new(name: &'static str, bytes: f64, settings: &'static str) -> Self {
        Self { name, bytes, settings }
    }
}

/// The expected memory of a run.
///
/// ```
/// use vdn_train::memory::{MemoryEstimate, MemoryPart};
/// let parts = [
///     MemoryPart::new("data", 2e8, "data.columns"),
///     MemoryPart::new("evaluation", 9e8, "model.evaluate_samples"),
/// ];
/// let estimate = MemoryEstimate::new(1.13e9, parts);
/// assert_eq!(estimate.to_string(), "memory    about 1.1 GB: evaluation 0.9 GB, data 0.2 GB");
/// assert!(estimate.check(2e9).is_ok());
/// let error = estimate.check(1e9).unwrap_err().to_string();
/// assert!(error.contains("the largest part is evaluation, 0.9 GB; choose a smaller model.eval"));
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct MemoryEstimate {
    total: f64,
    parts: Vec<MemoryPart>,
}

impl MemoryEstimate {
    /// Creates an estimate from the peak in bytes and its parts. The parts need not exist at the
    /// same time.
    #[must_use]
    pub fn new(total: f64, parts: impl Into<Vec<MemoryPart>>) -> Self {
        let mut parts = parts.into();
        parts.sort_by(|a, b| b.bytes.total_cmp(&a.bytes));
        Self { total, parts }
    }

    /// Refuses a run whose expected memory exceeds `limit` bytes.
    ///
    /// # Errors
    /// Returns a line with the estimate, the limit, the largest part and the setting to change.
    pub fn check(&self, limit: f64) -> Result<(), TrainError> {
        if self.total <= limit {
            return Ok(());
        }
        let largest = self.parts.first().map_or_else(String::new, |part| {
            let MemoryPart { name, bytes, settings } = part;
            let bytes = Bytes(*bytes);
            format!(": the largest part is {name}, {bytes}; choose a smaller {settings}, or")
        });
        Err(TrainError::config(format!(
            "the run takes about {}, more than the {} that it may{largest} raise run.memory",
            Bytes(self.total),
            Bytes(limit),
        )))
    }

    /// Refuses an operation on a stored run if its expected memory exceeds both the limit of the
    /// run and the limit of this machine. The settings of a stored run cannot be changed.
    ///
    /// # Errors
    /// Returns a line with the estimate, the limit and the largest part.
    pub fn check_stored(&self, settings: RunSettings) -> Result<(), TrainError> {
        let limit = settings.limit().max(default_limit());
        if self.total <= limit {
            return Ok(());
        }
        let largest = self.parts.first().map_or_else(String::new, |part| {
            format!(": the largest part is {}, {}", part.name, Bytes(part.bytes))
        });
        Err(TrainError::config(format!(
            "this takes about {}, more than the {} that it may here{largest}; a machine with more \
             free memory is needed",
            Bytes(self.total),
            Bytes(limit),
        )))
    }
}

/// One line: `memory    about 1.2 GB: evaluation 0.9 GB, training step 0.2 GB, ...`.
impl fmt::Display for MemoryEstimate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "memory    about {}: ", Bytes(self.total))?;
        let shown = self.parts.iter().filter(|part| part.bytes >= 0.01 * self.total);
        for (i, part) in shown.enumerate() {
            let comma = if i > 0 { ", " } else { "" };
            write!(f, "{comma}{} {}", part.name, Bytes(part.bytes))?;
        }
        Ok(())
    }
}

/// A number of bytes in human-readable form.
struct Bytes(f64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            bytes if bytes >= 99.95e6 => write!(f, "{:.1} GB", bytes / 1e9),
            bytes => write!(f, "{:.0} MB", bytes / 1e6),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// For a run from another machine, the limit of this machine counts if it is larger.
    #[test]
    fn a_stored_run_is_held_to_the_machine() {
        let settings = RunSettings { memory: 0.001 };
        let small = MemoryEstimate::new(2e6, [MemoryPart::new("evaluation", 2e6, "")]);
        assert!(small.check(settings.limit()).is_err());
        assert!(small.check_stored(settings).is_ok());
        if default_limit().is_finite() {
            let large = MemoryEstimate::new(1e30, [MemoryPart::new("evaluation", 9e29, "")]);
            let error = large.check_stored(settings).unwrap_err().to_string();
            assert!(error.contains("the largest part is evaluation"), "{error}");
            assert!(error.ends_with("a machine with more free memory is needed"), "{error}");
        }
        // The limit of the run itself still holds.
        let allowed = MemoryEstimate::new(1e30, []);
        assert!(allowed.check_stored(RunSettings { memory: 1e22 }).is_ok());
    }
}
