//! Closed-form ridge regression from the `L` values of a normalised window to its `H` targets,
//! shared over series.
//!
//! A window is normalised by the centre `c` and scale `d` of its own input ([`Normalisation`]):
//! `u = (x - c)/d` and `v = (y - c)/d`. The forecast is `c + d (W^T u + b)` with
//!
//! ```text
//! minimise over W, b:  mean over windows |v - W^T u - b|^2 + lambda tau |W|^2,   tau = trace(C) / L,
//! ```
//!
//! where `C` is the covariance matrix of `u` over the training windows. The intercept is not
//! penalised. Since `tau` is the mean variance of an input, `lambda` does not depend on units or on
//! the number of windows.
//!
//! The minimiser is `W = (C + lambda tau I)^{-1} Cov(u, v)`, computed by one Cholesky factorisation
//! per `lambda`. The chosen `lambda` has the smallest validation mean squared error in the data's
//! own units (the smallest `lambda` on a tie).

use crate::baselines::cholesky::{Cholesky, dot};
use crate::baselines::error::BaselineError;
use crate::baselines::linear_map::LinearMap;
use crate::baselines::residuals::{Forecast, Residuals};
use crate::baselines::windows::{Normalisation, Windows};

/// The settings of the fit.
#[derive(Clone, Debug, PartialEq)]
pub struct RidgeSettings {
    /// The normalisation of each window.
    pub normalisation: Normalisation,
    /// The penalties to try, positive and in ascending order.
    pub penalties: Vec<f64>,
}

impl Default for RidgeSettings {
    /// Subtracts the window's mean; 17 penalties from 1e-4 to 1e4, two per decade.
    fn default() -> Self {
        let penalties = (-8..=8).map(|k| 10f64.powf(0.5 * f64::from(k))).collect();
        Self { normalisation: Normalisation::default(), penalties }
    }
}

/// The maximum number of entries of one matrix: 2^26, which is 0.54 GB, or an input length of 8192.
/// Three such matrices are in memory at a time, and each penalty takes `L^3 / 3` multiplications.
pub const MOST_NUMBERS: usize = 1 << 26;

/// Rejects a ridge regression that is too large to be solved. It allocates nothing and can be
/// called before training.
///
/// ```
/// use vdn_forecast::baselines::ridge::check_size;
/// assert!(check_size(3000, 96).is_ok());
/// let error = check_size(40_000, 96).unwrap_err().to_string();
/// assert!(error.contains("input length 40000") && error.contains("at most 8192"), "{error}");
/// ```
///
/// # Errors
/// [`BaselineError::TooLarge`]: `[L, L]` or `[L, H]` has more than [`MOST_NUMBERS`].
pub fn check_size(input_len: usize, horizon: usize) -> Result<(), BaselineError> {
    let numbers = input_len.checked_mul(input_len.max(horizon));
    match numbers {
        Some(numbers) if numbers <= MOST_NUMBERS => Ok(()),
        _ => Err(BaselineError::TooLarge {
            input_len,
            horizon,
            numbers: input_len as f64 * input_len.max(horizon) as f64,
            most: MOST_NUMBERS as f64,
            longest: MOST_NUMBERS.isqrt().min(MOST_NUMBERS / horizon.max(1)),
        }),
    }
}

/// The number of rows added to the moments at a time. The inner loops run over one such block.
const BLOCK: usize = 64;

/// The first and second moments of normalised windows. Windows can be added in any number of
/// portions, so that training sets need not fit into memory. Sums are taken around the first
/// window, so that a common offset does not cause cancellation.
#[derive(Clone, Debug)]
pub struct RidgeMoments {
    /// The number of inputs: values of the window, and its covariates.
    input_len: usize,
    /// The number of inputs at the end of each row that are covariates.
    beside: usize,
    horizon: usize,
    normalisation: Normalisation,
    count: usize,
    /// The first normalised window, `[L + H]`.
    origin: Vec<f64>,
    /// The sums of `(u, v) - origin`, `[L + H]`.
    sums: Vec<f64>,
    /// The lower triangle of the sums of products of inputs, `[L, L]`.
    gram: Vec<f64>,
    /// The sums of products of inputs and targets, `[L, H]`.
    cross: Vec<f64>,
}

impl RidgeMoments {
    /// Returns moments without windows.
    ///
    /// # Errors
    /// Fails if `input_len` or `horizon` is 0, or if [`check_size`] fails.
    pub fn new(
        input_len: usize,
        horizon: usize,
        normalisation: Normalisation,
    ) -> Result<Self, BaselineError> {
        if input_len == 0 || horizon == 0 {
            let detail =
                format!("input length {input_len}, horizon {horizon}: expected at least 1");
            return Err(BaselineError::shape("ridge", detail));
        }
        check_size(input_len, horizon)?;
        Ok(Self {
            input_len,
            beside: 0,
            horizon,
            normalisation,
            count: 0,
            origin: Vec::new(),
            sums: vec![0.0; input_len + horizon],
            gram: vec![0.0; input_len * input_len],
            cross: vec![0.0; input_len * horizon],
        })
    }

    /// Declares the last `beside` inputs of a window to be covariates. They do not enter its centre
    /// and scale, and are not normalised. Call it before adding windows.
    ///
    /// # Errors
    /// Fails if no value of the series is left, or if windows were already added.
    pub fn with_covariates(self, beside: usize) -> Result<Self, BaselineError> {
        let inputs = self.input_len;
        if beside >= inputs {
            let detail = format!("{inputs} inputs, {beside} of them covariates: none is left");
            return Err(BaselineError::shape("ridge", detail));
        }
        if !self.origin.is_empty() {
            let detail = "covariates are declared before windows are added";
            return Err(BaselineError::shape("ridge", detail));
        }
        Ok(Self { beside, ..self })
    }

    /// Adds windows. The result depends on their order and, in the last bits, on their division
    /// into portions.
    ///
    /// # Errors
    /// Fails if the windows have other lengths.
    pub fn add(&mut self, windows: &Windows<'_>) -> Result<(), BaselineError> {
        self.same_shape(windows)?;
        // Column-major: row `f` holds feature `f` (inputs, then targets) of the windows of the
        // block.
        let mut block = vec![0.0; (self.input_len + self.horizon) * BLOCK];
        let mut filled = 0;
        for (x, y) in windows.iter() {
            let (values, beside) = x.split_at(self.input_len - self.beside);
            let (centre, scale) = self.normalisation.of(values);
            let normal = |value: &f64| (value - centre) / scale;
            let row = values.iter().map(normal).chain(beside.iter().copied());
            let row = row.chain(y.iter().map(normal));
            if self.origin.is_empty() {
                self.origin = row.clone().collect();
            }
            for (f, (value, origin)) in row.zip(&self.origin).enumerate() {
                block[f * BLOCK + filled] = value - origin;
                self.sums[f] += value - origin;
            }
            filled += 1;
            if filled == BLOCK {
                self.add_block(&block);
                filled = 0;
            }
        }
        if filled > 0 {
            for feature in block.chunks_exact_mut(BLOCK) {
                feature[filled..].fill(0.0);
            }
            self.add_block(&block);
        }
        self.count += windows.len();
        Ok(())
    }

    fn add_block(&mut self, block: &[f64]) {
        let feature = |f: usize| &block[f * BLOCK..(f + 1) * BLOCK];
        for i in 0..self.input_len {
            let own = feature(i);
            for j in 0..=i {
                self.gram[i * self.input_len + j] += dot(own, feature(j));
            }
            for h in 0..self.horizon {
                self.cross[i * self.horizon + h] += dot(own, feature(self.input_len + h));
            }
        }
    }

    fn same_shape(&self, windows: &Windows<'_>) -> Result<(), BaselineError> {
        let [got, want] =
            [[windows.input_len(), windows.horizon()], [self.input_len, self.horizon]];
        if got == want {
            return Ok(());
        }
        Err(BaselineError::shape(
            "ridge",
            format!("windows with [L, H] = {got:?}, expected {want:?}"),
        ))
    }

    /// Solves for every penalty and keeps the one with the smallest mean squared error on
    /// `validation`. Its validation residuals also give the predictive deviations and quantiles.
    ///
    /// # Errors
    /// Fails if fewer than two windows were added or validation is empty, if shapes differ, if
    /// `penalties` is empty or not positive and finite, or if the inputs do not vary at all.
    pub fn fit(&self, validation: &Windows<'_>, penalties: &[f64]) -> Result<Ridge, BaselineError> {
        self.fit_with(validation, penalties, |_| {})
    }

    /// [`RidgeMoments::fit`] with a callback: `progress` is called with the number of finished
    /// penalties. From an input length of about 1000 on, each penalty takes seconds.
    ///
    /// # Errors
    /// The errors of [`RidgeMoments::fit`].
    pub fn fit_with(
        &self,
        validation: &Windows<'_>,
        penalties: &[f64],
        mut progress: impl FnMut(usize),
    ) -> Result<Ridge, BaselineError> {
        const OPERATION: &str = "ridge";
        self.same_shape(validation)?;
        for (split, found, needed) in
            [("train", self.count, 2), ("validation", validation.len(), 1)]
        {
            if found < needed {
                return Err(BaselineError::TooFew { operation: OPERATION, split, found, needed });
            }
        }
        if penalties.is_empty() || !penalties.iter().all(|p| p.is_finite() && *p > 0.0) {
            let reason =
                format!("penalties {penalties:?}: expected at least one, all positive and finite");
            return Err(BaselineError::Penalty(reason));
        }
        let (inputs, horizon) = (self.input_len, self.horizon);
        let count = self.count as f64;
        let mean: Vec<f64> = self.sums.iter().map(|sum| sum / count).collect();
        let mut covariance = vec![0.0; inputs * inputs];
        let mut cross = vec![0.0; inputs * horizon];
        for i in 0..inputs {
            for j in 0..=i {
                covariance[i * inputs + j] = self.gram[i * inputs + j] / count - mean[i] * mean[j];
            }
            for h in 0..horizon {
                let product = self.cross[i * horizon + h] / count;
                cross[i * horizon + h] = product - mean[i] * mean[inputs + h];
            }
        }
        let variance = (0..inputs).map(|i| covariance[i * inputs + i]).sum::<f64>() / inputs as f64;
        if !(variance.is_finite() && variance > 0.0) {
            let reason = format!(
                "the normalised inputs of the training windows have mean variance {variance}"
            );
            return Err(BaselineError::Penalty(reason));
        }
        let mut best: Option<Ridge> = None;
        for (done, penalty) in penalties.iter().enumerate() {
            progress(done);
            let mut system = covariance.clone();
            for i in 0..inputs {
                system[i * inputs + i] += penalty * variance;
            }
            let mut weights = cross.clone();
            Cholesky::in_place(system, inputs)?.solve(&mut weights, horizon)?;
            let intercept = self.intercept(&weights, &mean);
            let (normalisation, beside) = (self.normalisation, self.beside);
            let map = LinearMap { normalisation, beside, weights, intercept };
            let (mse, residuals) = map.validate(validation);
            if !mse.is_finite() {
                return Err(BaselineError::Penalty(format!(
                    "penalty {penalty}: validation error {mse}"
                )));
            }
            if best.as_ref().is_none_or(|b| mse < b.validation_mse) {
                let residuals = Residuals::new(&residuals, horizon)?;
                best = Some(Ridge { map, penalty: *penalty, validation_mse: mse, residuals });
            }
        }
        progress(penalties.len());
        best.ok_or_else(|| BaselineError::Penalty("no penalty".to_owned()))
    }

    /// Returns `b = mean v - W^T mean u`.
    fn intercept(&self, weights: &[f64], mean: &[f64]) -> Vec<f64> {
        let inputs = self.input_len;
        let full = |f: usize| self.origin[f] + mean[f];
        let mut intercept: Vec<f64> = (0..self.horizon).map(|h| full(inputs + h)).collect();
        for (i, row) in weights.chunks_exact(self.horizon).enumerate() {
            for (b, w) in intercept.iter_mut().zip(row) {
                *b -= full(i) * w;
            }
        }
        intercept
    }
}

/// A fitted ridge regression.
///
/// ```
/// use vdn_forecast::baselines::{Ridge, RidgeSettings, Windows};
/// // Targets repeat the window's first value: learnt exactly up to the smallest penalty.
/// let x: Vec<f64> = (0..40).flat_map(|i| [(i * 7 % 10) as f64, (i * 3 % 10) as f64]).collect();
/// let y: Vec<f64> = x.chunks_exact(2).map(|w| w[0]).collect();
/// let windows = Windows::new(&x, &y, 2, 1)?;
/// let ridge = Ridge::fit(&windows, &windows, &RidgeSettings::default())?;
/// assert_eq!(ridge.penalty(), 1e-4);
/// let forecast = ridge.predict(&[3.0, 8.0])?;
/// assert!((forecast.mean()[0] - 3.0).abs() < 1e-3);
/// # Ok::<(), vdn_forecast::baselines::BaselineError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Ridge {
    map: LinearMap,
    penalty: f64,
    validation_mse: f64,
    residuals: Residuals,
}

impl Ridge {
    /// Fits on `train` and chooses the penalty on `validation`.
    ///
    /// # Errors
    /// The errors of [`RidgeMoments::fit`].
    pub fn fit(
        train: &Windows<'_>,
        validation: &Windows<'_>,
        settings: &RidgeSettings,
    ) -> Result<Self, BaselineError> {
        let mut moments =
            RidgeMoments::new(train.input_len(), train.horizon(), settings.normalisation)?;
        moments.add(train)?;
        moments.fit(validation, &settings.penalties)
    }

    /// Returns the chosen penalty (the `lambda` of the module documentation).
    #[must_use]
    pub fn penalty(&self) -> f64 {
        self.penalty
    }

    /// Returns the mean squared error on validation for that penalty.
    #[must_use]
    pub fn validation_mse(&self) -> f64 {
        self.validation_mse
    }

    /// Returns the validation residuals, in normalised units.
    #[must_use]
    pub fn residuals(&self) -> &Residuals {
        &self.residuals
    }

    /// Returns the weights `[L, H]`, which apply to the normalised window.
    #[must_use]
    pub fn weights(&self) -> &[f64] {
        &self.map.weights
    }

    /// Returns the intercept `[H]`, in normalised units.
    #[must_use]
    pub fn intercept(&self) -> &[f64] {
        &self.map.intercept
    }

    /// Returns the forecasts for the inputs `x [n, L]`.
    ///
    /// # Errors
    /// Fails if the length is not a multiple of `L`, or if a value is not finite.
    pub fn predict(&self, x: &[f64]) -> Result<Forecast, BaselineError> {
        const OPERATION: &str = "ridge forecast";
        let horizon = self.map.intercept.len();
        let inputs = self.map.weights.len() / horizon;
        if !x.len().is_multiple_of(inputs) {
            let detail = format!("x ({} values), expected [n, {inputs}]", x.len());
            return Err(BaselineError::shape(OPERATION, detail));
        }
        super::error::check_finite(OPERATION, "x", x, inputs)?;
        let n = x.len() / inputs;
        let mut mean = vec![0.0; n * horizon];
        let (mut sigma, mut scales) = (Vec::with_capacity(n * horizon), Vec::with_capacity(n));
        for (x, out) in x.chunks_exact(inputs).zip(mean.chunks_exact_mut(horizon)) {
            let (centre, scale) = self.map.normalised(x, out);
            for value in out {
                *value = centre + scale * *value;
            }
            sigma.extend(self.residuals.sigma().iter().map(|s| s * scale));
            scales.push(scale);
        }
        Ok(Forecast { horizon, mean, sigma, scale: scales })
    }
}
