//! Checks of the domains of numbers.

use crate::error::TrainError;

/// Refuses the first value outside its domain. Each entry is (key, value, whether the value is
/// valid, domain).
pub(crate) fn check_domains(
    table: &str,
    values: &[(&str, f64, bool, &str)],
) -> Result<(), TrainError> {
    match values.iter().find(|(_, _, good, _)| !good) {
        None => Ok(()),
        Some((key, value, _, domain)) => {
            Err(TrainError::config(format!("{table}.{key} = {value}: has to be {domain}")))
        }
    }
}

/// Whether a number is finite and at least 0.
pub(crate) fn not_negative(x: f64) -> bool {
    x >= 0.0 && x.is_finite()
}

/// Whether a number is finite and above 0.
pub(crate) fn positive(x: f64) -> bool {
    x > 0.0 && x.is_finite()
}
