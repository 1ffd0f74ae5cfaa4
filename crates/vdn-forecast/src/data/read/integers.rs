//! Integers beyond 2^53, which `f64` cannot represent exactly. The first one is subtracted from
//! all.

use crate::data::read::rows::RawColumn;
use vdn_train::data::NumberForm;

/// From here on, `f64` does not represent all integers.
pub(super) const EXACT: f64 = (1_u64 << 53) as f64;

/// The number of significant digits that every `f64` preserves, and the maximum needed to write
/// one.
const DIGITS: usize = 15;
const WRITTEN: usize = 17;

/// Returns a value of a series of integers beyond 2^53, minus the first one of them.
pub(super) fn beyond_exact(cell: &[u8], form: NumberForm, value: f64, to: &mut RawColumn) -> f64 {
    let text = std::str::from_utf8(cell).unwrap_or_default();
    let integer = integer_of(text.trim(), form);
    let range = i128::from(i64::MIN)..=i128::from(u64::MAX);
    let Some(integer) = integer.filter(|integer| range.contains(integer)) else {
        // Not a 64-bit integer. A number in scientific notation, such as 1e20, is taken as exact up
        // to [`WRITTEN`] digits.
        let most = if text.contains(['e', 'E']) { WRITTEN } else { DIGITS };
        to.rounded += usize::from(significant(text) > most || to.offset != 0);
        to.far.push(value);
        return value - to.offset as f64;
    };
    if !to.has_begun {
        to.offset = integer;
    }
    let less = integer - to.offset;
    if less.unsigned_abs() > to.offset.unsigned_abs() / 2 {
        to.far.push(value);
    }
    to.rounded += usize::from(less as f64 as i128 != less);
    less as f64
}

/// The number of digits from the first to the last nonzero digit, without the exponent.
fn significant(text: &str) -> usize {
    let mantissa = text.split(['e', 'E']).next().unwrap_or_default();
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    digits.trim_start_matches('0').trim_end_matches('0').len()
}

/// Returns the integer that a cell states exactly: with thousands separators, with zeros after the
/// decimal mark, or with more digits than `f64` holds before an exponent.
fn integer_of(text: &str, form: NumberForm) -> Option<i128> {
    let point = match form {
        NumberForm::DecimalPoint => '.',
        NumberForm::DecimalComma => ',',
    };
    let (mantissa, power) = match text.split_once(['e', 'E']) {
        Some((mantissa, power)) if significant(mantissa) > DIGITS => {
            (mantissa, power.parse::<usize>().ok().filter(|power| *power < 40)?)
        }
        Some(_) => return None,
        None => (text, 0),
    };
    let (whole, fraction) = mantissa.split_once(point).unwrap_or((mantissa, ""));
    let fraction = fraction.trim_end_matches('0');
    let mut digits = String::with_capacity(text.len() + power);
    for c in whole.chars() {
        match c {
            '0'..='9' | '-' | '+' => digits.push(c),
            '\u{2212}' => digits.push('-'),
            _ => {}
        }
    }
    digits.push_str(fraction);
    digits.extend(std::iter::repeat_n('0', power.checked_sub(fraction.len())?));
    digits.parse().ok()
}
