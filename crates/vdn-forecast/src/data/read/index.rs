//! Columns that number the rows, or say the same of all of them.

use crate::data::read::sample::Sample;
use std::collections::HashSet;

/// Names of saved row numbers.
const INDEX_NAMES: [&str; 21] = [
    "",
    "index",
    "idx",
    "id",
    "row",
    "no",
    "no.",
    "nr",
    "nr.",
    "number",
    "obs",
    "rownames",
    "rowid",
    "row_id",
    "rownum",
    "level_0",
    "__index_level_0__",
    "t",
    "step",
    "tick",
    "time_idx",
];

/// Rows from which on numbers that go up by one from 0 or 1 are those of the rows, whatever their
/// name is.
const SURE: usize = 20;

/// Names of values, which are none of the rows' numbers however they rise.
const VALUE_NAMES: [&str; 4] = ["y", "value", "target", "values"];

fn by_one(numbers: &[i64], by: i64) -> bool {
    numbers.windows(2).all(|pair| pair[1].wrapping_sub(pair[0]) == by)
}

fn all_different(numbers: &[i64]) -> bool {
    let different: HashSet<&i64> = numbers.iter().collect();
    numbers.iter().all(|&n| n >= 0) && different.len() == numbers.len()
}

/// Row numbers that are saved under a name of such, or under none.
pub(super) fn is_named_index(sample: &Sample<'_>) -> bool {
    let lower = sample.name.to_lowercase();
    let unnamed =
        sample.name == format!("column {}", sample.column + 1) || lower.starts_with("unnamed:");
    let Some(numbers) = sample.integers().filter(|numbers| numbers.len() > 1) else {
        return false;
    };
    (unnamed && all_different(&numbers))
        || (INDEX_NAMES.contains(&lower.as_str()) && (by_one(&numbers, 1) || by_one(&numbers, -1)))
}

/// Row numbers: those of [`is_named_index`], different whole numbers in a column that is called an
/// id, all numbers of a range in one that is called an index or a number, or one more from row to
/// row from 0 or 1 on, without a blank, in any column but one that is called a value.
pub(super) fn numbers_rows(sample: &Sample<'_>) -> bool {
    if is_named_index(sample) {
        return true;
    }
    let lower = sample.name.to_lowercase();
    let Some(numbers) = sample.integers().filter(|numbers| numbers.len() >= SURE) else {
        return false;
    };
    let row_numbers = all_different(&numbers);
    // An index of prices is called an index, too: the numbers decide.
    let words = sample.words();
    let last = words.last().map_or("", String::as_str);
    let one_run = || {
        let range = numbers.iter().min().zip(numbers.iter().max());
        range.is_some_and(|(low, high)| high.checked_sub(*low) == Some(numbers.len() as i64 - 1))
    };
    let counts = ["index", "idx", "rownames", "rowid", "no", "nr", "number"].contains(&last);
    let called = row_numbers && (last == "id" || (counts && one_run()));
    let rises = sample.is_whole && (0..=1).contains(&numbers[0]) && by_one(&numbers, 1);
    called || (rises && !VALUE_NAMES.contains(&lower.as_str()))
}

/// The number of a station or a device: a whole number, the same in all rows of a column that is
/// called an id.
pub(super) fn is_one_id(sample: &Sample<'_>) -> bool {
    let numbers = sample.integers().filter(|numbers| numbers.len() >= SURE);
    let called = sample.words().iter().any(|word| word == "id");
    called && numbers.is_some_and(|numbers| numbers.iter().all(|number| *number == numbers[0]))
}
