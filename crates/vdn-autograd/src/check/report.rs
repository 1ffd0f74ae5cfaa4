//! The results of a gradient check.

use std::fmt;

/// One derivative: from the tape and from the difference quotient.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Entry {
    /// The index of the input.
    pub input: usize,
    /// The index of the element in the input.
    pub index: usize,
    /// The derivative from the tape.
    pub analytic: f64,
    /// The derivative from central differences.
    pub numeric: f64,
    /// The largest accepted distance between the two.
    pub tolerance: f64,
}

impl Entry {
    /// The distance between the two derivatives.
    #[must_use]
    pub fn error(&self) -> f64 {
        (self.analytic - self.numeric).abs()
    }

    /// The error in units of the tolerance.
    #[must_use]
    pub fn ratio(&self) -> f64 {
        self.error() / self.tolerance
    }

    /// Returns whether the error is within the tolerance; false if anything is NaN.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.error() <= self.tolerance
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { input, index, analytic, numeric, tolerance } = self;
        write!(f, "input {input} element {index}: tape {analytic:e}, numeric {numeric:e}, ")?;
        write!(f, "error {:.2e}, tolerance {tolerance:.2e}", self.error())
    }
}

/// The result of a gradient check. When printed, it names the operation and every failing
/// derivative.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The operation whose output was differentiated.
    pub operation: &'static str,
    /// The number of derivatives that were compared.
    pub checked: usize,
    /// The largest error.
    pub worst_error: Option<Entry>,
    /// The largest error in units of its tolerance.
    pub worst_ratio: Option<Entry>,
    /// Every derivative outside its tolerance.
    pub failures: Vec<Entry>,
}

impl Report {
    /// Returns whether derivatives were compared and all are within their tolerances.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.checked > 0 && self.failures.is_empty()
    }

    pub(super) fn add(&mut self, entry: Entry) {
        self.checked += 1;
        if !entry.passed() {
            self.failures.push(entry);
        }
        if self.worst_error.is_none_or(|worst| entry.error() > worst.error()) {
            self.worst_error = Some(entry);
        }
        if self.worst_ratio.is_none_or(|worst| entry.ratio() > worst.ratio()) {
            self.worst_ratio = Some(entry);
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} derivatives", self.operation, self.checked)?;
        if let (Some(error), Some(ratio)) = (self.worst_error, self.worst_ratio) {
            write!(
                f,
                ", worst error {:.2e}, worst error/tolerance {:.3}",
                error.error(),
                ratio.ratio()
            )?;
        }
        for failure in &self.failures {
            write!(f, "\n  {failure}")?;
        }
        Ok(())
    }
}
