//! Standardisation of series to mean 0 and standard deviation 1 over the rows that a model may
//! learn from.

use crate::error::data::DataError;

/// The largest magnitude of a standardised value, in standard deviations.
///
/// Models compute in `f32`, whose largest number is 3.4e38. The square of the largest error, 1e30,
/// divided by the smallest variance of an observation (0.01 squared) and summed over 30 000 steps,
/// stays below that. So do the squares that layer normalisation sums.
pub const LARGEST_STANDARDISED: f64 = 1e15;

/// The rows from which the mean and the standard deviation of a series are computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FitScope {
    /// The rows before the first validation target: no predicted value is used.
    #[default]
    Training,
    /// The rows before the first test target, as in much published code. Validation rows leak into
    /// the scale.
    IncludeValidation,
}

/// The mean and the population standard deviation of each series.
#[derive(Debug, Clone, PartialEq)]
pub struct Scaler {
    mean: Vec<f64>,
    std: Vec<f64>,
    constant: Vec<bool>,
}

impl Scaler {
    /// Fits series `i` to the values that `rows(i)` yields.
    ///
    /// A series is constant if its deviation is no larger than the rounding of its values
    /// (`8 ε max|x|`). Its deviation is then the magnitude of the constant (1 for zero), and
    /// [`Scaler::constant_series`] lists it. Values of any scale are supported, from 1e-300 to
    /// 1e300.
    ///
    /// # Errors
    ///
    /// [`DataError::BadSeries`] if a series yields no value, or if its mean or deviation is not a
    /// finite number.
    pub fn fit<'a, I>(names: &[String], mut rows: impl FnMut(usize) -> I) -> Result<Self, DataError>
    where
        I: Iterator<Item = &'a f64> + Clone,
    {
        let mut this = Self::identity(names.len());
        for (series, name) in names.iter().enumerate() {
            let Moments { mean, std, constant } = moments(rows(series)).map_err(|problem| {
                DataError::BadSeries { series: name.clone(), problem: problem.to_owned() }
            })?;
            this.mean[series] = mean;
            let magnitude = if mean == 0.0 { 1.0 } else { mean.abs() };
            this.std[series] = if constant { magnitude } else { std };
            this.constant[series] = constant;
        }
        Ok(this)
    }

    /// The identity scaler for `series` series.
    pub fn identity(series: usize) -> Self {
        Self { mean: vec![0.0; series], std: vec![1.0; series], constant: vec![false; series] }
    }

    /// A scaler with known means and standard deviations, for example from a checkpoint.
    ///
    /// # Errors
    ///
    /// [`DataError::Mismatch`] if the numbers of means and deviations differ, if a mean is not
    /// finite, or if a deviation is not finite and greater than 0.
    pub fn from_parts(mean: Vec<f64>, std: Vec<f64>) -> Result<Self, DataError> {
        let mismatch = |problem| Err(DataError::Mismatch { op: "scaler", problem });
        if mean.len() != std.len() {
            return mismatch(format!("{} means, {} deviations", mean.len(), std.len()));
        }
        for (series, (mean, std)) in mean.iter().zip(&std).enumerate() {
            if !mean.is_finite() || !std.is_finite() || *std <= 0.0 {
                return mismatch(format!("series {series} has mean {mean} and deviation {std}"));
            }
        }
        let constant = vec![false; mean.len()];
        Ok(Self { mean, std, constant })
    }

    /// Marks these series as constant.
    ///
    /// # Errors
    ///
    /// [`DataError::Mismatch`] if there is no such series.
    pub fn with_constant(mut self, series: &[usize]) -> Result<Self, DataError> {
        for &one in series {
            let count = self.constant.len();
            let Some(constant) = self.constant.get_mut(one) else {
                let problem = format!("there is no series {one}, only {count}");
                return Err(DataError::Mismatch { op: "scaler", problem });
            };
            *constant = true;
        }
        Ok(self)
    }

    /// The scaler of some of the series, in the given order.
    ///
    /// # Panics
    ///
    /// Panics if there is no such series.
    #[must_use]
    pub fn select(&self, series: &[usize]) -> Self {
        Self {
            mean: series.iter().map(|&one| self.mean[one]).collect(),
            std: series.iter().map(|&one| self.std[one]).collect(),
            constant: series.iter().map(|&one| self.constant[one]).collect(),
        }
    }

    /// The means, one per series.
    pub fn mean(&self) -> &[f64] {
        &self.mean
    }

    /// The standard deviations (the magnitude of a constant series), one per series.
    pub fn std(&self) -> &[f64] {
        &self.std
    }

    /// The indices of the series that were constant over the fitted rows.
    pub fn constant_series(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.constant.len()).filter(|&series| self.constant[series])
    }

    /// Standardises a value of `series`: `(x - mean) / std`.
    pub fn transform(&self, series: usize, x: f64) -> f64 {
        (x - self.mean[series]) / self.std[series]
    }

    /// The inverse of [`Scaler::transform`]: `z * std + mean` of `series`.
    pub fn inverse(&self, series: usize, z: f64) -> f64 {
        z * self.std[series] + self.mean[series]
    }

    /// Converts a difference or standard deviation from units of the standardised series to units
    /// of the series: `z * std`.
    pub fn inverse_scale(&self, series: usize, z: f64) -> f64 {
        z * self.std[series]
    }

    /// Standardises the values of `series` in place.
    pub fn transform_in_place(&self, series: usize, values: &mut [f64]) {
        for value in values {
            *value = self.transform(series, *value);
        }
    }
}

struct Moments {
    mean: f64,
    std: f64,
    constant: bool,
}

/// Computes the moments in two passes: the mean, then the squared deviations from it, minus the
/// contribution of the mean's rounding to them.
fn moments<'a>(values: impl Iterator<Item = &'a f64> + Clone) -> Result<Moments, &'static str> {
    let count = values.clone().count();
    if count == 0 {
        return Err("there is no row to take a mean and a deviation of");
    }
    let n = count as f64;
    let largest = values.clone().fold(0.0, |largest: f64, x| largest.max(x.abs()));
    // A power of two that brings the largest value near 1. It causes no rounding, and squares
    // neither overflow nor vanish.
    let exponent = if largest > 0.0 && largest.is_finite() { exponent(largest) } else { 0 };
    let (down, up) = (
        [power_of_two(-exponent / 2), power_of_two(-exponent - -exponent / 2)],
        [power_of_two(exponent / 2), power_of_two(exponent - exponent / 2)],
    );
    let scaled = || values.clone().map(move |x| x * down[0] * down[1]);
    let mean = compensated_sum(scaled()) / n;
    let rest = compensated_sum(scaled().map(|x| x - mean)) / n;
    let square = compensated_sum(scaled().map(|x| (x - mean) * (x - mean))) / n;
    // This check comes before `max`, which would turn the NaN of an overflow into 0.
    if !mean.is_finite() || !square.is_finite() {
        return Err("the mean or the standard deviation is beyond the range of f64");
    }
    let std = (square - rest * rest).max(0.0).sqrt();
    let constant = std <= 8.0 * f64::EPSILON * (largest * down[0] * down[1]);
    let (mean, std) = (mean * up[0] * up[1], std * up[0] * up[1]);
    // Division by a subnormal deviation is not possible.
    let divisible = std.is_normal() && (1.0 / std).is_finite();
    if !constant && !divisible {
        return Err("the standard deviation is beyond the range of f64");
    }
    Ok(Moments { mean, std, constant })
}

/// The exponent of a positive finite number: `2^e <= x < 2^(e + 1)`, or the smallest exponent.
fn exponent(x: f64) -> i32 {
    ((x.to_bits() >> 52) & 0x7ff) as i32 - 1023
}

/// `2^e` for `|e| <= 512`.
fn power_of_two(e: i32) -> f64 {
    f64::from_bits(((1023 + e) as u64) << 52)
}

/// Neumaier's compensated sum (A. Neumaier, ZAMM 54, 1974), whose error does not grow with the
/// number of terms.
fn compensated_sum(values: impl Iterator<Item = f64>) -> f64 {
    let (mut sum, mut lost) = (0.0, 0.0);
    for x in values {
        let next: f64 = sum + x;
        lost += if f64::abs(sum) >= x.abs() { (sum - next) + x } else { (x - next) + sum };
        sum = next;
    }
    sum + lost
}

#[cfg(test)]
mod tests {
    use super::Scaler;

    fn fit(columns: &[&[f64]]) -> Scaler {
        let names: Vec<String> = (0..columns.len()).map(|i| format!("s{i}")).collect();
        Scaler::fit(&names, |series| columns[series].iter()).unwrap()
    }

    #[test]
    fn population_moments_by_hand() {
        let scaler = fit(&[&[1.0, 2.0, 3.0, 4.0], &[1e9 + 1.0, 1e9 + 3.0], &[0.1; 10], &[0.0; 3]]);
        // var = (1.5² + 0.5²) * 2 / 4 = 1.25
        assert_eq!(scaler.mean(), [2.5, 1e9 + 2.0, 0.1, 0.0]);
        assert_eq!(scaler.std(), [1.25_f64.sqrt(), 1.0, 0.1, 1.0]);
        assert_eq!(scaler.constant_series().collect::<Vec<_>>(), [2, 3]);
    }

    #[test]
    fn large_offsets_do_not_cancel() {
        // The sum of squares minus the squared sum would lose every digit here: x² = 1e24, and
        // the spacing of f64 there is 1.3e8.
        let values: Vec<f64> = (0..1000).map(|i| 1e12 + f64::from(i % 2)).collect();
        let scaler = fit(&[&values]);
        assert_eq!((scaler.mean()[0], scaler.std()[0]), (1e12 + 0.5, 0.5));
    }

    #[test]
    fn the_rounding_of_the_mean_does_not_reach_the_deviation() {
        // f64 has steps of 1/512 here: the mean 1e13 + 1/3 rounds to 1e13 + 171/512, and the mean
        // square of the deviations from that is 2/9 + (1/1536)², not 2/9. The deviations and their
        // squares are exact, so what may be left are the last few roundings.
        let values: Vec<f64> = (0..300).map(|i| 1e13 + f64::from(u8::from(i % 3 == 0))).collect();
        let std = fit(&[&values]).std()[0];
        assert!((std - (2.0_f64 / 9.0).sqrt()).abs() < 1e-14, "{std}");
    }

    #[test]
    fn a_series_that_differs_by_rounding_alone_is_constant() {
        let rounded: Vec<f64> = (0..50).map(|i| if i % 2 == 0 { 0.3 } else { 0.1 + 0.2 }).collect();
        assert_ne!(rounded[0], rounded[1]);
        let small: Vec<f64> = rounded.iter().map(|x| x * 1e-30).collect();
        let real: Vec<f64> = (0..50).map(|i| 1.0 + f64::from(i % 2) * 1e-12).collect();
        let scaler = fit(&[&rounded, &small, &real]);
        assert_eq!(scaler.constant_series().collect::<Vec<_>>(), [0, 1]);
        let near = |x: f64, y: f64| (x / y - 1.0).abs() < 1e-15;
        assert!(near(scaler.std()[0], 0.3) && near(scaler.std()[1], 0.3e-30), "{scaler:?}");
    }

    #[test]
    fn series_of_any_scale_are_standardised_alike() {
        let values: Vec<f64> = (0..200).map(|i| f64::from(i * 37 % 101) - 20.0).collect();
        let one = fit(&[&values]);
        // Powers of two round nothing, up to where the smallest values have fewer bits.
        for e in [-900, -400, -1, 1, 400, 1000] {
            let scale = 2.0_f64.powi(e);
            let scaled: Vec<f64> = values.iter().map(|x| x * scale).collect();
            let other = fit(&[&scaled]);
            assert_eq!(other.mean()[0], one.mean()[0] * scale, "2^{e}");
            assert_eq!(other.std()[0], one.std()[0] * scale, "2^{e}");
            for (x, y) in values.iter().zip(&scaled) {
                assert_eq!(one.transform(0, *x), other.transform(0, *y), "2^{e}");
            }
        }
        for scale in [1e-300, 1e-170, 1e170, 1e300] {
            let scaled: Vec<f64> = values.iter().map(|x| x * scale).collect();
            let other = fit(&[&scaled]);
            for (x, y) in values.iter().zip(&scaled) {
                let (z, w) = (one.transform(0, *x), other.transform(0, *y));
                assert!((z - w).abs() <= 1e-14 * z.abs().max(1.0), "{scale:e}: {z} {w}");
            }
        }
        let huge = fit(&[&[f64::MAX, f64::MAX], &[1e200, -1e200]]);
        assert_eq!((huge.mean(), huge.std()), (&[f64::MAX, 0.0][..], &[f64::MAX, 1e200][..]));
    }

    #[test]
    fn inverse_undoes_transform() {
        let scaler = Scaler::from_parts(vec![3.0, -1.0], vec![2.0, 0.25]).unwrap();
        for (series, x, z) in [(0, 7.0, 2.0), (1, -1.5, -2.0)] {
            assert_eq!(scaler.transform(series, x), z);
            assert_eq!(scaler.inverse(series, z), x);
        }
        assert_eq!(scaler.inverse_scale(1, 2.0), 0.5);
    }

    #[test]
    fn bad_input_is_refused() {
        let names = ["a".to_owned()];
        let cases: [(&str, Vec<f64>); 3] = [
            ("no row", vec![]),
            ("not a number", vec![1.0, f64::NAN]),
            ("below the normal numbers", vec![0.0, 1e-320]),
        ];
        for (name, values) in &cases {
            let error = Scaler::fit(&names, |_| values.iter()).unwrap_err().to_string();
            assert!(error.starts_with("series `a`: "), "{name}: {error}");
        }
        for (mean, std) in
            [(vec![0.0], vec![]), (vec![f64::NAN], vec![1.0]), (vec![0.0], vec![0.0])]
        {
            assert!(Scaler::from_parts(mean, std).is_err());
        }
    }
}
