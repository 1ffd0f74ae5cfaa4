//! Point forecasts from a predictive mixture, and their errors.

use crate::metrics::median::{MedianConvention, sample_median};
use crate::metrics::mixture::Mixture;

/// The method by which a point forecast is computed from the predictive distribution.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PointForecast {
    /// The (weighted) mean of the mixture, which is optimal for the squared error.
    #[default]
    Mean,
    /// The median of the mixture, which is optimal for the absolute error.
    Median,
    /// The median of the component means, without weights and without the output noise.
    SampleMedian(MedianConvention),
}

impl PointForecast {
    /// The point forecast of `mixture`. `scratch` is overwritten.
    #[must_use]
    pub fn of(self, mixture: &Mixture<'_>, scratch: &mut Vec<f64>) -> f64 {
        match self {
            Self::Mean => mixture.mean(),
            Self::Median => mixture.median(),
            Self::SampleMedian(convention) => {
                scratch.clear();
                scratch.extend_from_slice(mixture.means());
                let median = sample_median(scratch, convention);
                mixture.floor().map_or(median, |floor| median.max(floor))
            }
        }
    }
}

/// The mean squared error of `forecast` against `target`, two slices of equal length; NaN for empty
/// slices.
#[must_use]
pub fn mean_squared_error(forecast: &[f64], target: &[f64]) -> f64 {
    mean_of(forecast, target, |e| e * e)
}

/// The mean absolute error of `forecast` against `target`, two slices of equal length; NaN for
/// empty slices.
#[must_use]
pub fn mean_absolute_error(forecast: &[f64], target: &[f64]) -> f64 {
    mean_of(forecast, target, f64::abs)
}

fn mean_of(forecast: &[f64], target: &[f64], loss: impl Fn(f64) -> f64) -> f64 {
    assert_eq!(forecast.len(), target.len(), "point error: forecast and target differ in length");
    let total: f64 = forecast.iter().zip(target).map(|(f, y)| loss(f - y)).sum();
    total / target.len() as f64
}

/// The scale of the mean absolute scaled error: the mean of `|x_t - x_{t-period}|` over `history`,
/// which is the in-sample error of the seasonal naive forecast (Hyndman and Koehler 2006).
///
/// `None` if the history is no longer than the period, if the period is 0, or if the scale is zero
/// or not finite.
#[must_use]
pub fn seasonal_scale(history: &[f64], period: usize) -> Option<f64> {
    if period == 0 || history.len() <= period {
        return None;
    }
    let scale = mean_absolute_error(&history[period..], &history[..history.len() - period]);
    (scale.is_finite() && scale > 0.0).then_some(scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_of_odd_even_and_single_samples() {
        let cases: &[(&[f64], f64, f64)] = &[
            (&[3.0], 3.0, 3.0),
            (&[5.0, 1.0], 3.0, 1.0),
            (&[2.0, -1.0, 7.0], 2.0, 2.0),
            (&[1.0, 4.0, 2.0, 8.0], 3.0, 2.0),
        ];
        for &(values, midpoint, lower) in cases {
            assert_eq!(sample_median(&mut values.to_vec(), MedianConvention::Midpoint), midpoint);
            assert_eq!(sample_median(&mut values.to_vec(), MedianConvention::LowerMiddle), lower);
        }
        assert!(sample_median(&mut [], MedianConvention::Midpoint).is_nan());
    }

    #[test]
    fn point_forecasts_differ_as_their_definitions_do() {
        let means = [0.0, 1.0, 5.0, 6.0];
        let weights = [0.1, 0.2, 0.3, 0.4];
        let mixture = Mixture::new(&means, &[0.1], Some(&weights)).unwrap();
        let scratch = &mut Vec::new();
        assert!((PointForecast::Mean.of(&mixture, scratch) - 4.1).abs() < 1e-15);
        let median = PointForecast::Median.of(&mixture, scratch);
        assert!((mixture.cdf(median) - 0.5).abs() < 1e-12 && median > 4.9, "{median}");
        assert_eq!(
            PointForecast::SampleMedian(MedianConvention::Midpoint).of(&mixture, scratch),
            3.0
        );
        assert_eq!(
            PointForecast::SampleMedian(MedianConvention::LowerMiddle).of(&mixture, scratch),
            1.0
        );
    }

    #[test]
    fn errors_and_scale_of_a_small_example() {
        assert_eq!(mean_squared_error(&[1.0, 2.0], &[3.0, 1.0]), 2.5);
        assert_eq!(mean_absolute_error(&[1.0, 2.0], &[3.0, 1.0]), 1.5);
        assert_eq!(seasonal_scale(&[1.0, 2.0, 4.0, 1.0], 2), Some(2.0));
        for (history, period) in [(&[1.0, 2.0][..], 2), (&[1.0, 2.0], 0), (&[1.0, 1.0, 1.0], 1)] {
            assert_eq!(seasonal_scale(history, period), None, "{history:?} {period}");
        }
    }
}
