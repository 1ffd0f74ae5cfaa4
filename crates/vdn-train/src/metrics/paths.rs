//! Paths: equally likely forecasts of a whole window, drawn from a distribution or built from
//! residuals.
//!
//! A path is one possible future of all `H` steps together. Quantities without a closed form (the
//! maximum over the horizon, distances between whole forecasts) are estimated from `n` paths.

use crate::metrics::error::MetricError;

/// `n` paths of `H` steps as `[n, H]`, row-major. All numbers are finite.
///
/// ```
/// use vdn_train::metrics::Paths;
/// let paths = Paths::new(&[0.0, 3.0, 2.0, 1.0], 2)?;
/// assert_eq!(paths.count(), 2);
/// assert_eq!(paths.of_each(|path| path.iter().copied().fold(f64::MIN, f64::max)), [3.0, 2.0]);
/// # Ok::<(), vdn_train::metrics::MetricError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Paths<'a> {
    values: &'a [f64],
    horizon: usize,
}

impl<'a> Paths<'a> {
    /// Takes `values [n, horizon]`, `n >= 1`.
    ///
    /// # Errors
    /// Returns an error when the horizon is 0, there are no whole paths, or a number is not finite.
    pub fn new(values: &'a [f64], horizon: usize) -> Result<Self, MetricError> {
        if horizon == 0 || values.is_empty() || !values.len().is_multiple_of(horizon) {
            let detail = format!("values [{}], horizon {horizon}: expected [n, H]", values.len());
            return Err(MetricError::shape("paths", detail));
        }
        if let Some(at) = values.iter().position(|v| !v.is_finite()) {
            return Err(MetricError::Input {
                metric: "paths",
                window: 0,
                step: at % horizon,
                sample: at / horizon,
                quantity: "value",
                value: values[at],
                expected: "a finite number",
            });
        }
        Ok(Self { values, horizon })
    }

    /// The number of paths `n`.
    #[must_use]
    pub fn count(&self) -> usize {
        self.values.len() / self.horizon
    }

    /// The number of steps `H`.
    #[must_use]
    pub fn horizon(&self) -> usize {
        self.horizon
    }

    /// The paths in order, each `[H]`.
    pub fn iter(&self) -> impl Iterator<Item = &'a [f64]> {
        self.values.chunks_exact(self.horizon)
    }

    /// Computes one number from each path, `[n]`.
    #[must_use]
    pub fn of_each(&self, f: impl Fn(&[f64]) -> f64) -> Vec<f64> {
        self.iter().map(f).collect()
    }

    /// Refuses fewer than two paths, and a target that is not `[H]` or not finite.
    pub(crate) fn check(&self, metric: &'static str, target: &[f64]) -> Result<(), MetricError> {
        if self.count() < 2 || target.len() != self.horizon {
            let shape = [self.count(), self.horizon];
            let target = target.len();
            let detail = format!("paths {shape:?}, target [{target}]: expected n >= 2 paths");
            return Err(MetricError::shape(metric, detail));
        }
        match target.iter().position(|y| !y.is_finite()) {
            None => Ok(()),
            Some(step) => Err(MetricError::Input {
                metric,
                window: 0,
                step,
                sample: 0,
                quantity: "target",
                value: target[step],
                expected: "a finite number",
            }),
        }
    }
}
