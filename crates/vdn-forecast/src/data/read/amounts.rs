//! Detection of numbers with a currency sign, a per cent sign, brackets or a unit. They are not
//! parsed as numbers.

use crate::data::read::sample::Sample;
use vdn_train::data::{Cell, DataError, DelimitedFile, NumberForm};

/// An example of the cells of a text column that holds numbers with something before or after them.
pub(super) struct Amount {
    /// The line of the first such cell.
    pub(super) line: usize,
    /// The text of this cell.
    pub(super) text: String,
}

/// Whether a text is a number with a decimal point or a decimal comma. Cells with signs do not show
/// which of the two the file uses.
fn is_number(text: &str) -> bool {
    [NumberForm::DecimalPoint, NumberForm::DecimalComma]
        .iter()
        .any(|form| matches!(form.parse(text.as_bytes()), Cell::Number(_)))
}

/// Returns the first amount of a text column if most of its cells are amounts with the same sign.
pub(super) fn first(file: &DelimitedFile<'_>, sample: &Sample<'_>) -> Option<Amount> {
    let is_amount = |text: &&&str| {
        let bare = without_unit(text);
        bare != **text && is_number(bare)
    };
    // The sign of the majority of cells decides: `1 north` and `2 south` are names.
    let amounts = || sample.texts.iter().filter(is_amount);
    let sign = |text: &str| text.replace(|c: char| c.is_ascii_digit() || ",.-+ ".contains(c), "");
    let text = amounts().next()?;
    let first = sign(text);
    if 2 * amounts().filter(|text| sign(text) == first).count() <= sample.texts.len() {
        return None;
    }
    let at = |row: &usize| file.sample_cell(*row, sample.column).trim_ascii() == text.as_bytes();
    let row = (0..file.sample_rows()).find(at).unwrap_or(0);
    Some(Amount { line: file.sample_line(row), text: (*text).to_owned() })
}

impl Amount {
    /// Returns the error for a file whose values are amounts. In the long form, `sample` is the
    /// only column that can hold the values, or the column that is named as a value.
    pub(super) fn refused(&self, file: &DelimitedFile<'_>, sample: &Sample<'_>) -> DataError {
        let Self { line, text } = self;
        let (place, name) = (sample.column + 1, &sample.name);
        DataError::Format {
            file: format!("{}:{line}", file.file()),
            problem: format!(
                "column {place} (`{name}`): {text:?} is a number with a sign or a unit; write \
                 numbers alone, or select other columns by data.columns (in long form \
                 data.target_column)"
            ),
        }
    }

    /// Returns the note on a column of amounts in a file with other numeric columns.
    pub(super) fn left_out(&self, sample: &Sample<'_>) -> String {
        let (Self { line, text }, name) = (self, &sample.name);
        format!(
            "column `{name}` holds numbers with a sign or a unit (line {line}: {text:?}): left out"
        )
    }
}

/// The cell without brackets, currency and per cent signs, and without a unit after or before a
/// blank.
fn without_unit(text: &str) -> &str {
    let sign = |c: char| "()%$€£¥₹₽₩\u{2030}~<>".contains(c);
    let bare = text.trim_matches(|c| sign(c) || c == ' ');
    match bare.split_once(' ') {
        Some((number, unit))
            if unit.chars().all(|c| c.is_alphabetic() || sign(c) || "/ .".contains(c)) =>
        {
            number
        }
        Some((unit, number)) if unit.len() == 3 && unit.chars().all(|c| c.is_ascii_uppercase()) => {
            number
        }
        _ => bare,
    }
}
