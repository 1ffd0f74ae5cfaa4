//! Integers beyond 2^53, which `f64` cannot hold: they are read less the first one of them.

use crate::data::read::rows::RawColumn;
use vdn_train::data::NumberForm;

/// Integers from here on are not all numbers of `f64`.
pub(super) const EXACT: f64 = (1_u64 << 53) as f64;

/// Significant digits that every `f64` holds, and those that every `f64` is written with, at most.
const DIGITS: usize = 15;
const WRITTEN: usize = 17;

/// The number in a series of integers that `f64` cannot hold, less the first one of them.
pub(super) fn beyond_exact(cell: &[u8], form: NumberForm, value: f64, to: &mut RawColumn) -> f64 {
    let text = std::str::from_utf8(cell).unwrap_or_default();
    let integer = integer_of(text.trim(), form);
    let range = i128::from(i64::MIN)..=i128::from(u64::MAX);
    let Some(integer) = integer.filter(|integer| range.contains(integer)) else {
        // No integer of 64 bits: 1e20 is as exact as it was written.
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

/// Digits of a number from the first that is not 0 to the last, without its power of ten.
fn significant(text: &str) -> usize {
    let mantissa = text.split(['e', 'E']).next().unwrap_or_default();
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    digits.trim_start_matches('0').trim_end_matches('0').len()
}

/// The integer that a cell writes exactly: with separators of thousands, with zeros behind the
/// decimal sign, or with more digits than `f64` holds before a power of ten.
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
