//! The linear map of a ridge regression, from a normalised window to its forecast.

use crate::baselines::windows::{Normalisation, Windows};

/// The linear forecast of a normalised window.
#[derive(Clone, Debug)]
pub(super) struct LinearMap {
    pub(super) normalisation: Normalisation,
    /// The number of inputs at the end that are not normalised (covariates).
    pub(super) beside: usize,
    /// The weights, `[L, H]`.
    pub(super) weights: Vec<f64>,
    /// The intercept, `[H]`.
    pub(super) intercept: Vec<f64>,
}

impl LinearMap {
    /// Writes the forecast for `x [L]`, in normalised units, to `out [H]`. Returns the centre and
    /// scale of the window.
    pub(super) fn normalised(&self, x: &[f64], out: &mut [f64]) -> (f64, f64) {
        let (values, beside) = x.split_at(x.len() - self.beside);
        let (centre, scale) = self.normalisation.of(values);
        out.copy_from_slice(&self.intercept);
        let inputs = values.iter().map(|value| (value - centre) / scale);
        let inputs = inputs.chain(beside.iter().copied());
        for (u, row) in inputs.zip(self.weights.chunks_exact(out.len())) {
            for (o, w) in out.iter_mut().zip(row) {
                *o += u * w;
            }
        }
        (centre, scale)
    }

    /// Returns the mean squared error in the data's units, and the residuals `[n, H]` in normalised
    /// units.
    pub(super) fn validate(&self, windows: &Windows<'_>) -> (f64, Vec<f64>) {
        let horizon = windows.horizon();
        let mut forecast = vec![0.0; horizon];
        let mut residuals = Vec::with_capacity(windows.len() * horizon);
        let mut total = 0.0;
        for (x, y) in windows.iter() {
            let (centre, scale) = self.normalised(x, &mut forecast);
            let mut window = 0.0;
            for (f, y) in forecast.iter().zip(y) {
                let residual = (y - centre) / scale - f;
                window += (scale * residual) * (scale * residual);
                residuals.push(residual);
            }
            total += window;
        }
        (total / residuals.len() as f64, residuals)
    }
}
