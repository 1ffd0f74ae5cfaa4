//! The median of a few samples.

/// The convention of [`sample_median`] for an even number of values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MedianConvention {
    /// The mean of the two middle values.
    #[default]
    Midpoint,
    /// The lower of the two middle values, as in the reference implementation.
    LowerMiddle,
}

/// The median of a few values, which it sorts. NaN sorts last; an empty slice gives NaN.
///
/// ```
/// use vdn_train::metrics::{MedianConvention, sample_median};
/// assert_eq!(sample_median(&mut [3.0, 1.0, 2.0, 10.0], MedianConvention::Midpoint), 2.5);
/// assert_eq!(sample_median(&mut [3.0, 1.0, 2.0, 10.0], MedianConvention::LowerMiddle), 2.0);
/// ```
#[must_use]
pub fn sample_median(values: &mut [f64], convention: MedianConvention) -> f64 {
    if values.is_empty() {
        return f64::NAN;
    }
    values.sort_unstable_by(f64::total_cmp);
    let lower = values[(values.len() - 1) / 2];
    match convention {
        MedianConvention::LowerMiddle => lower,
        MedianConvention::Midpoint => lower + 0.5 * (values[values.len() / 2] - lower),
    }
}
