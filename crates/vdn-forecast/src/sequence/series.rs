//! [`Series`]: a batch of sequences in the form that a sequence forecaster reads.

use crate::sequence::config::SequenceForecasterConfig;
use vdn_model::core::ModelError;
use vdn_tensor::Element;

/// A batch of sequences of equal length. A missing step is NaN in all its channels.
///
/// ```
/// use vdn_forecast::sequence::{SequenceForecasterConfig, Series};
/// let config = SequenceForecasterConfig::default(); // one channel, no covariates
/// let series = Series::new(&config, &[0.1, f64::NAN, 0.3, 1.0, 1.1, 1.2], &[], 2)?;
/// assert_eq!((series.batch(), series.steps(), series.seen(0, 1)), (2, 3, false));
/// assert!(Series::new(&config, &[0.1, 0.2, 0.3], &[], 2).is_err());
/// # Ok::<(), vdn_model::core::ModelError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Series<'a, T> {
    observations: &'a [T],
    covariates: &'a [T],
    batch: usize,
    steps: usize,
    channels: usize,
}

impl<'a, T: Element> Series<'a, T> {
    /// Takes `observations` of shape `[batch, steps, channels]` and `covariates` of shape
    /// `[batch, steps, covariates]`.
    ///
    /// # Errors
    /// Fails for lengths that do not fit the configuration or each other, for a step with NaN in
    /// only some of its channels, for infinite numbers, and for covariates that are not finite.
    pub fn new(
        config: &SequenceForecasterConfig,
        observations: &'a [T],
        covariates: &'a [T],
        batch: usize,
    ) -> Result<Self, ModelError> {
        let (channels, width) = (config.channels, config.covariates);
        let steps = observations.len() / (batch * channels).max(1);
        if steps == 0
            || observations.len() != batch * steps * channels
            || covariates.len() != batch * steps * width
        {
            return Err(ModelError::Batch(format!(
                "series: {} observations, {} covariates are not [{batch} sequences, steps, {channels} channels] and \
                 [{batch}, steps, {width}]",
                observations.len(),
                covariates.len(),
            )));
        }
        let series = Self { observations, covariates, batch, steps, channels };
        for (row, x) in observations.chunks_exact(channels).enumerate() {
            let (b, t) = (row / steps, row % steps);
            let missing = x.iter().filter(|x| x.to_f64().is_nan()).count();
            if missing != 0 && missing != channels {
                let reason = format!("{missing} of {channels} channels are NaN, not all or none");
                return Err(ModelError::Batch(format!("series: sequence {b}, step {t}: {reason}")));
            }
            if x.iter().any(|x| x.to_f64().is_infinite()) {
                return Err(ModelError::Batch(format!("series: sequence {b}, step {t}: infinite")));
            }
        }
        finite_covariates(covariates, [batch, steps, width])?;
        Ok(series)
    }

    /// Returns the number of sequences.
    #[must_use]
    pub fn batch(&self) -> usize {
        self.batch
    }

    /// Returns the number of steps of each sequence.
    #[must_use]
    pub fn steps(&self) -> usize {
        self.steps
    }

    /// Whether the step was observed.
    #[must_use]
    pub fn seen(&self, b: usize, t: usize) -> bool {
        !self.observed(b, t)[0].to_f64().is_nan()
    }

    /// Returns the observation at a step, `[channels]`.
    pub(super) fn observed(&self, b: usize, t: usize) -> &'a [T] {
        &self.observations[(b * self.steps + t) * self.channels..][..self.channels]
    }

    /// Returns the number of observed steps of all sequences together.
    #[must_use]
    pub fn count_seen(&self) -> usize {
        self.observations.iter().step_by(self.channels).filter(|x| !x.to_f64().is_nan()).count()
    }

    pub(super) fn covariates(&self, b: usize, t: usize) -> &'a [T] {
        let width = self.covariates.len() / (self.batch * self.steps);
        &self.covariates[(b * self.steps + t) * width..][..width]
    }

    /// Checks that the series fits the configuration of a model.
    pub(super) fn check(&self, config: &SequenceForecasterConfig) -> Result<(), ModelError> {
        let width = self.covariates.len() / (self.batch * self.steps);
        if self.channels == config.channels && width == config.covariates {
            return Ok(());
        }
        Err(ModelError::Batch(format!(
            "series: [{}, {}, {} channels, {width} covariates] for a model of {} channels and {} covariates",
            self.batch, self.steps, self.channels, config.channels, config.covariates
        )))
    }

    /// Writes the features of step `t`: for the lags `first..first + lags` the observation (or
    /// zeros) and whether it was seen, then the covariates of the step.
    pub(super) fn features(&self, b: usize, t: usize, first: usize, lags: usize, to: &mut [T]) {
        let width = self.channels + 1;
        let (past, covariates) = to.split_at_mut(lags * width);
        for (lag, to) in past.chunks_exact_mut(width).enumerate() {
            let at = t.checked_sub(first + lag).filter(|&t| self.seen(b, t));
            match at {
                Some(t) => {
                    to[..self.channels].copy_from_slice(self.observed(b, t));
                    to[self.channels] = T::ONE;
                }
                None => to.fill(T::ZERO),
            }
        }
        covariates.copy_from_slice(self.covariates(b, t));
    }
}

/// Rejects covariates that are not finite.
pub(super) fn finite_covariates<T: Element>(
    covariates: &[T],
    [batch, steps, width]: [usize; 3],
) -> Result<(), ModelError> {
    match covariates.iter().position(|x| !x.is_finite()) {
        None => Ok(()),
        Some(at) => {
            let (row, column) = (at / width, at % width);
            Err(ModelError::Batch(format!(
                "covariates [{batch}, {steps}, {width}]: sequence {}, step {}, column {column}: not finite",
                row / steps,
                row % steps
            )))
        }
    }
}
