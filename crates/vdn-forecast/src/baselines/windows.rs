//! The windows that a baseline is fitted on, and the normalisation of a window by its own
//! statistics.

use crate::baselines::error::{BaselineError, check_finite};

/// Added to a window's deviation before dividing, so that a flat window is not amplified (as in the
/// forecaster).
pub const DEVIATION_OFFSET: f64 = 0.1;

/// The windows of one split: inputs `x [n, L]` and targets `y [n, H]`, row-major. All numbers are
/// finite.
#[derive(Clone, Copy, Debug)]
pub struct Windows<'a> {
    x: &'a [f64],
    y: &'a [f64],
    input_len: usize,
    horizon: usize,
}

impl<'a> Windows<'a> {
    /// Takes `x [n, input_len]` and `y [n, horizon]`; `n` may be 0.
    ///
    /// # Errors
    /// Fails if a length is 0 or does not fit, or if a value is not finite.
    pub fn new(
        x: &'a [f64],
        y: &'a [f64],
        input_len: usize,
        horizon: usize,
    ) -> Result<Self, BaselineError> {
        const OPERATION: &str = "windows";
        let rows = (x.len().checked_div(input_len), y.len().checked_div(horizon));
        let whole = input_len > 0
            && horizon > 0
            && x.len().is_multiple_of(input_len)
            && y.len().is_multiple_of(horizon);
        if !whole || rows.0 != rows.1 {
            let detail = format!(
                "x ({} values), input length {input_len}, y ({} values), horizon {horizon}: expected x [n, L], y [n, H]",
                x.len(),
                y.len()
            );
            return Err(BaselineError::shape(OPERATION, detail));
        }
        check_finite(OPERATION, "x", x, input_len)?;
        check_finite(OPERATION, "y", y, horizon)?;
        Ok(Self { x, y, input_len, horizon })
    }

    /// Returns the number of windows `n`.
    #[must_use]
    pub fn len(&self) -> usize {
        self.y.len() / self.horizon
    }

    /// Whether there are no windows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.y.is_empty()
    }

    /// Returns the input length `L`.
    #[must_use]
    pub fn input_len(&self) -> usize {
        self.input_len
    }

    /// Returns the horizon `H`.
    #[must_use]
    pub fn horizon(&self) -> usize {
        self.horizon
    }

    /// Iterates over the windows, as `(x [L], y [H])`.
    pub fn iter(&self) -> impl Iterator<Item = (&'a [f64], &'a [f64])> {
        self.x.chunks_exact(self.input_len).zip(self.y.chunks_exact(self.horizon))
    }
}

/// The value that is subtracted from a window and added back to its forecast.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Centre {
    /// Nothing.
    Zero,
    /// The mean of the window's input.
    #[default]
    Mean,
    /// The last value of the window's input.
    Last,
}

/// The normalisation of each window by statistics of its own input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Normalisation {
    /// The value that is subtracted.
    pub centre: Centre,
    /// Whether the window is also divided by its input's standard deviation around the mean
    /// (biased) plus [`DEVIATION_OFFSET`].
    pub deviation: bool,
}

impl Normalisation {
    /// Returns `(centre, scale)` of the input `x [L]`. The normalised window is
    /// `(x - centre) / scale`.
    #[must_use]
    pub fn of(self, x: &[f64]) -> (f64, f64) {
        let count = x.len() as f64;
        let mean = x.iter().sum::<f64>() / count;
        let centre = match self.centre {
            Centre::Zero => 0.0,
            Centre::Mean => mean,
            Centre::Last => x.last().copied().unwrap_or(0.0),
        };
        if !self.deviation {
            return (centre, 1.0);
        }
        let variance = x.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / count;
        (centre, variance.sqrt() + DEVIATION_OFFSET)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_refuse_what_does_not_fit() {
        let bad: &[(&[f64], &[f64], usize, usize)] = &[
            (&[1.0, 2.0], &[1.0], 3, 1),
            (&[1.0, 2.0], &[1.0], 1, 1),
            (&[1.0, 2.0], &[1.0], 2, 0),
            (&[1.0, 2.0], &[1.0], 0, 1),
            (&[1.0, f64::NAN], &[1.0], 2, 1),
            (&[1.0, 2.0], &[f64::INFINITY], 2, 1),
        ];
        for &(x, y, input_len, horizon) in bad {
            assert!(
                Windows::new(x, y, input_len, horizon).is_err(),
                "{x:?} {y:?} {input_len} {horizon}"
            );
        }
        let error = Windows::new(&[1.0, 2.0, 3.0, f64::NAN], &[1.0, 2.0], 2, 1).unwrap_err();
        assert_eq!(
            error.to_string(),
            "windows: x at window 1, step 1 is NaN, expected a finite number"
        );
        assert!(Windows::new(&[], &[], 2, 1).unwrap().is_empty());
    }

    #[test]
    fn normalisation_of_a_small_window() {
        let x = [1.0, 3.0, 5.0, 7.0];
        let cases = [
            (Centre::Zero, false, (0.0, 1.0)),
            (Centre::Mean, false, (4.0, 1.0)),
            (Centre::Last, false, (7.0, 1.0)),
            (Centre::Mean, true, (4.0, 5f64.sqrt() + 0.1)),
        ];
        for (centre, deviation, want) in cases {
            assert_eq!(Normalisation { centre, deviation }.of(&x), want, "{centre:?} {deviation}");
        }
    }
}
