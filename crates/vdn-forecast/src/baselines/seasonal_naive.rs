//! Seasonal naive forecasts: the forecast for a time is the value one season earlier.
//!
//! With period `P`, the forecast made at `t` for `t + h` is `series[t + h - k P]`, where `k` is the
//! smallest number of periods that leads to an observed value before `t`. Without gaps this is
//! `series[t - P + (h mod P)]`. The forecast reads the raw series, not the model's window, so a
//! season may be longer than the window. Typical periods are 24 for hourly, 96 for quarter-hourly
//! and 144 for ten-minute data, and 1 (the last value) without a season.

use crate::baselines::error::BaselineError;
use crate::baselines::residuals::{Forecast, Residuals};

/// One series (missing values may be NaN) and the starts `t` of its windows, whose targets are
/// `series[t..t + horizon]`.
#[derive(Clone, Copy, Debug)]
pub struct SeriesWindows<'a> {
    /// The values in order of time.
    pub series: &'a [f64],
    /// The index of each window's first target.
    pub starts: &'a [usize],
}

/// A seasonal naive forecaster with its residuals on validation.
///
/// ```
/// use vdn_forecast::baselines::{SeasonalNaive, SeriesWindows};
/// let series: Vec<f64> = (0..40).map(|t| (t % 4) as f64 + if t % 8 < 4 { 0.5 } else { 0.0 }).collect();
/// let naive = SeasonalNaive::fit(4, 3, &[SeriesWindows { series: &series, starts: &[8, 13, 22] }])?;
/// let forecast = naive.predict(&SeriesWindows { series: &series, starts: &[30] })?;
/// assert_eq!(forecast.mean(), [2.5, 3.5, 0.0]);
/// assert_eq!(forecast.sigma(), [0.5, 0.5, 0.5]);
/// # Ok::<(), vdn_forecast::baselines::BaselineError>(())
/// ```
#[derive(Clone, Debug)]
pub struct SeasonalNaive {
    period: usize,
    horizon: usize,
    residuals: Residuals,
}

impl SeasonalNaive {
    /// Computes the residuals of each step, pooled over the validation windows of all series.
    /// Windows with a missing value in their target are skipped.
    ///
    /// # Errors
    /// Fails if `period` or `horizon` is 0, if a window extends beyond its series, if a value one
    /// season earlier does not exist, or if no window is complete.
    pub fn fit(
        period: usize,
        horizon: usize,
        validation: &[SeriesWindows<'_>],
    ) -> Result<Self, BaselineError> {
        const OPERATION: &str = "seasonal naive";
        if period == 0 || horizon == 0 {
            let detail = format!("period {period}, horizon {horizon}: expected at least 1");
            return Err(BaselineError::shape(OPERATION, detail));
        }
        let mut residuals = Vec::new();
        let mut forecast = vec![0.0; horizon];
        for SeriesWindows { series, starts } in validation {
            for &start in *starts {
                let target = start.checked_add(horizon).and_then(|end| series.get(start..end));
                let Some(target) = target else {
                    let detail =
                        format!("series [{}], start {start}, horizon {horizon}", series.len());
                    return Err(BaselineError::shape(OPERATION, detail));
                };
                if target.iter().all(|y| y.is_finite()) {
                    forecast_window(series, start, period, &mut forecast)?;
                    residuals.extend(target.iter().zip(&forecast).map(|(y, f)| y - f));
                }
            }
        }
        if residuals.is_empty() {
            return Err(BaselineError::TooFew {
                operation: OPERATION,
                split: "validation",
                found: 0,
                needed: 1,
            });
        }
        Ok(Self { period, horizon, residuals: Residuals::new(&residuals, horizon)? })
    }

    /// Returns the period in time steps.
    #[must_use]
    pub fn period(&self) -> usize {
        self.period
    }

    /// Returns the validation residuals.
    #[must_use]
    pub fn residuals(&self) -> &Residuals {
        &self.residuals
    }

    /// Returns the forecasts for the windows of one series. A start equal to the series' length
    /// forecasts the future.
    ///
    /// # Errors
    /// Fails if a start lies beyond the series, or if a step has no observed value whole seasons
    /// earlier.
    pub fn predict(&self, windows: &SeriesWindows<'_>) -> Result<Forecast, BaselineError> {
        let (n, horizon) = (windows.starts.len(), self.horizon);
        let mut mean = vec![0.0; n * horizon];
        for (&start, out) in windows.starts.iter().zip(mean.chunks_exact_mut(horizon)) {
            forecast_window(windows.series, start, self.period, out)?;
        }
        Ok(Forecast { horizon, mean, sigma: self.residuals.sigma().repeat(n), scale: vec![1.0; n] })
    }
}

fn forecast_window(
    series: &[f64],
    start: usize,
    period: usize,
    out: &mut [f64],
) -> Result<(), BaselineError> {
    let Some(past) = series.get(..start) else {
        let detail = format!("series [{}], start {start}", series.len());
        return Err(BaselineError::shape("seasonal naive", detail));
    };
    for (h, value) in out.iter_mut().enumerate() {
        // The distance back from `start` to the same phase is P - (h mod P), plus whole periods.
        let nearest = start.checked_sub(period - h % period);
        let candidates = std::iter::successors(nearest, |index| index.checked_sub(period));
        let seen = candidates.map(|index| past[index]).find(|v| v.is_finite());
        *value = seen.ok_or(BaselineError::NoSeason { period, index: start + h, start })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forecasts_reach_back_whole_periods_and_never_see_the_target() {
        let series: Vec<f64> = (0..20).map(f64::from).collect();
        // (period, start, horizon, want)
        let cases: &[(usize, usize, &[f64])] = &[
            (1, 5, &[4.0, 4.0, 4.0]),
            (3, 5, &[2.0, 3.0, 4.0, 2.0, 3.0, 4.0, 2.0]),
            (7, 8, &[1.0, 2.0, 3.0, 4.0]),
            (4, 20, &[16.0, 17.0, 18.0, 19.0, 16.0]),
        ];
        for &(period, start, want) in cases {
            let mut out = vec![0.0; want.len()];
            forecast_window(&series, start, period, &mut out).unwrap();
            assert_eq!(out, want, "period {period}, start {start}");
        }
    }

    #[test]
    fn missing_values_are_passed_over() {
        let mut series: Vec<f64> = (0..12).map(f64::from).collect();
        series[7] = f64::NAN;
        let mut out = [0.0; 4];
        forecast_window(&series, 10, 4, &mut out).unwrap();
        assert_eq!(out, [6.0, 3.0, 8.0, 9.0]);
        let naive = SeasonalNaive::fit(4, 2, &[SeriesWindows { series: &series, starts: &[6, 8] }]);
        // The window at 6 has a missing target and is skipped; at 8 both residuals are 4.
        assert_eq!(naive.unwrap().residuals().sigma(), [4.0, 4.0]);
    }

    #[test]
    fn errors_are_told_apart() {
        let series = [1.0, 2.0, 3.0];
        let fit = |period, horizon, starts: &[usize]| {
            SeasonalNaive::fit(period, horizon, &[SeriesWindows { series: &series, starts }])
        };
        assert!(matches!(fit(0, 1, &[1]), Err(BaselineError::Shape { .. })));
        assert!(matches!(fit(1, 0, &[1]), Err(BaselineError::Shape { .. })));
        assert!(matches!(fit(1, 1, &[3]), Err(BaselineError::Shape { .. })));
        assert!(matches!(fit(1, 1, &[usize::MAX]), Err(BaselineError::Shape { .. })));
        assert!(matches!(fit(1, 1, &[]), Err(BaselineError::TooFew { .. })));
        assert!(matches!(
            fit(2, 1, &[1]),
            Err(BaselineError::NoSeason { period: 2, index: 1, start: 1 })
        ));
        let naive = fit(1, 1, &[1, 2]).unwrap();
        assert!(naive.predict(&SeriesWindows { series: &series, starts: &[4] }).is_err());
        assert_eq!(
            naive.predict(&SeriesWindows { series: &series, starts: &[3] }).unwrap().mean(),
            [3.0]
        );
    }
}
