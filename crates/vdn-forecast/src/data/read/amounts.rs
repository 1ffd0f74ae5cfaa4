//! Detection of numbers with a currency sign, a per cent sign, brackets or a unit. They are not
//! parsed as numbers.

use crate::data::read::sample::Sample;
use vdn_train::data::{Cell, DataError, DelimitedFile};

/// Rejects a text column whose cells are numbers with something before or after them.
///
/// # Errors
/// [`DataError::Format`] with the line of the first such cell.
pub(super) fn refuse(file: &DelimitedFile<'_>, sample: &Sample<'_>) -> Result<(), DataError> {
    let is_amount = |text: &&&str| {
        let bare = without_unit(text);
        bare != **text && matches!(file.numbers().parse(bare.as_bytes()), Cell::Number(_))
    };
    // The sign of the majority of cells decides: `1 north` and `2 south` are names.
    let amounts = || sample.texts.iter().filter(is_amount);
    let sign = |text: &str| text.replace(|c: char| c.is_ascii_digit() || ",.-+ ".contains(c), "");
    let Some(first) = amounts().next().map(|text| sign(text)) else { return Ok(()) };
    if 2 * amounts().filter(|text| sign(text) == first).count() <= sample.texts.len() {
        return Ok(());
    }
    let Some(text) = sample.texts.iter().find(is_amount) else { return Ok(()) };
    let at = |row: &usize| file.sample_cell(*row, sample.column).trim_ascii() == text.as_bytes();
    let row = (0..file.sample_rows()).find(at).unwrap_or(0);
    let (place, name) = (sample.column + 1, &sample.name);
    Err(DataError::Format {
        file: format!("{}:{}", file.file(), file.sample_line(row)),
        problem: format!(
            "column {place} (`{name}`): {text:?} is a number with a sign or a unit; write numbers \
             alone, or select other columns by data.columns"
        ),
    })
}

/// The cell without brackets, currency and per cent signs, and without a unit after or before a
/// blank.
fn without_unit(text: &str) -> &str {
    let sign = |c: char| "()%$€£¥₹₽₩\u{2030}~<>".contains(c);
    let bare = text.trim_matches(|c| sign(c) || c == ' ');
    match bare.split_once(' ') {
        Some((number, unit)) if unit.chars().all(|c| c.is_alphabetic() || sign(c) || c == '/') => {
            number
        }
        Some((unit, number)) if unit.len() == 3 && unit.chars().all(|c| c.is_ascii_uppercase()) => {
            number
        }
        _ => bare,
    }
}
