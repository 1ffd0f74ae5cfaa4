//! [`InstanceNorm`]: each window is shifted, and optionally scaled, by its own statistics.
//! Forecasts are mapped back.
//!
//! So the model sees similar inputs even if the level of a series drifts (Kim et al., "Reversible
//! instance normalization", ICLR 2022; here without learned parameters).

use vdn_tensor::Element;

/// The value that is subtracted from a window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Centre {
    /// Nothing.
    Off,
    /// The mean of the window.
    #[default]
    Mean,
    /// The last value of the window.
    Last,
}

/// Added to the deviation that a window is divided by, in units of the (standardised) series. It
/// keeps quiet windows from being amplified.
const DEVIATION_FLOOR: f64 = 0.1;

/// The normalisation of a window by its own statistics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InstanceNorm {
    /// The value that is subtracted.
    pub centre: Centre,
    /// Whether the window is also divided by its standard deviation (around its mean) plus 0.1.
    pub divide_by_deviation: bool,
}

impl InstanceNorm {
    /// Whether windows stay unchanged.
    #[must_use]
    pub fn is_identity(&self) -> bool {
        self.centre == Centre::Off && !self.divide_by_deviation
    }

    /// Returns the value that is subtracted from `window`, and the value that it is then divided
    /// by. Without centring or scaling, and for an empty window, they are 0 and 1. Sums are in
    /// double precision, and the variance is around the mean.
    ///
    /// ```
    /// use vdn_forecast::modules::{Centre, InstanceNorm};
    /// let window = [1.0_f32, 2.0, 3.0, 6.0];
    /// let norm = InstanceNorm { centre: Centre::Last, divide_by_deviation: true };
    /// let (centre, scale) = norm.statistics(&window);
    /// assert_eq!(centre, 6.0);
    /// assert!((scale - (3.5_f32.sqrt() + 0.1)).abs() < 1e-6);
    /// ```
    #[must_use]
    pub fn statistics<T: Element>(&self, window: &[T]) -> (T, T) {
        let Some(&last) = window.last() else { return (T::ZERO, T::ONE) };
        let n = window.len() as f64;
        let mean = || window.iter().map(|x| x.to_f64()).sum::<f64>() / n;
        let centre = match self.centre {
            Centre::Off => T::ZERO,
            Centre::Mean => T::from_f64(mean()),
            Centre::Last => last,
        };
        if !self.divide_by_deviation {
            return (centre, T::ONE);
        }
        let mean = mean();
        let variance = window.iter().map(|x| (x.to_f64() - mean).powi(2)).sum::<f64>() / n;
        (centre, T::from_f64(variance.sqrt() + DEVIATION_FLOOR))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_has_its_statistics() {
        let window = [2.0, -1.0, 4.0, 3.0];
        let deviation = (3.5_f64).sqrt() + 0.1; // squares 0, 9, 4, 1 around the mean 2, over 4
        let cases = [
            (Centre::Off, false, 0.0, 1.0),
            (Centre::Mean, false, 2.0, 1.0),
            (Centre::Last, false, 3.0, 1.0),
            (Centre::Off, true, 0.0, deviation),
            (Centre::Mean, true, 2.0, deviation),
            (Centre::Last, true, 3.0, deviation),
        ];
        let wrong: Vec<_> = cases
            .into_iter()
            .filter(|&(centre, divide_by_deviation, c, s)| {
                let norm = InstanceNorm { centre, divide_by_deviation };
                let got = norm.statistics(&window);
                norm.is_identity() != (c == 0.0 && s == 1.0)
                    || got.0 != c
                    || (got.1 - s).abs() > 1e-15
            })
            .collect();
        assert!(wrong.is_empty(), "{wrong:?}");
    }

    #[test]
    fn a_constant_window_is_not_blown_up() {
        let norm = InstanceNorm { centre: Centre::Mean, divide_by_deviation: true };
        assert_eq!(norm.statistics(&[5.0_f64; 7]), (5.0, 0.1));
    }
}
