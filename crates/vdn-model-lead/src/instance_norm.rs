//! Per-window instance normalisation: what a window's own level (and scale) is taken out before the encoder and put
//! back into the forecast.
//!
//! Both windows of a pair use the statistics of the current one. (Kim et al., "Reversible Instance Normalization for
//! Accurate Time-Series Forecasting against Distribution Shift", 2022, without its learned affine part.)

use vdn_tensor::Element;

/// What is subtracted from a window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Centre {
    /// Nothing.
    Off,
    /// The mean of the window.
    #[default]
    Mean,
    /// Its last value.
    Last,
}

/// Added to a window's deviation before dividing by it: a flat window is not blown up.
const DEVIATION_FLOOR: f64 = 0.1;

/// Instance normalisation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InstanceNorm {
    /// What is subtracted.
    pub centre: Centre,
    /// Whether to divide by the deviation plus 0.1, too.
    pub divide_by_deviation: bool,
}

impl InstanceNorm {
    /// The centre and the scale of one window.
    ///
    /// ```
    /// use vdn_model::{Centre, InstanceNorm};
    /// let norm = InstanceNorm { centre: Centre::Mean, divide_by_deviation: true };
    /// let (centre, scale) = norm.statistics(&[1.0_f64, 3.0]);
    /// assert_eq!((centre, scale), (2.0, 1.1));
    /// ```
    #[must_use]
    pub fn statistics<T: Element>(&self, window: &[T]) -> (T, T) {
        let n = window.len().max(1) as f64;
        let mean = window.iter().map(|x| x.to_f64()).sum::<f64>() / n;
        let centre = match self.centre {
            Centre::Off => 0.0,
            Centre::Mean => mean,
            Centre::Last => window.last().map_or(0.0, |x| x.to_f64()),
        };
        let scale = if self.divide_by_deviation {
            let variance = window.iter().map(|x| (x.to_f64() - mean).powi(2)).sum::<f64>() / n;
            variance.sqrt() + DEVIATION_FLOOR
        } else {
            1.0
        };
        (T::from_f64(centre), T::from_f64(scale))
    }

    /// Whether it changes nothing.
    #[must_use]
    pub fn is_identity(&self) -> bool {
        self.centre == Centre::Off && !self.divide_by_deviation
    }
}
