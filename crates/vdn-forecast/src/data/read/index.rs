//! Detection of columns that number the rows, or have the same value in all rows.

use crate::data::read::sample::Sample;
use std::collections::HashSet;

/// The usual names of columns of row numbers.
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

/// The minimum number of rows for which consecutive numbers from 0 or 1 are taken for row numbers,
/// whatever the column's name.
const SURE: usize = 20;

/// Names of value columns, which are never taken for row numbers.
const VALUE_NAMES: [&str; 4] = ["y", "value", "target", "values"];

fn by_one(numbers: &[i64], by: i64) -> bool {
    numbers.windows(2).all(|pair| pair[1].wrapping_sub(pair[0]) == by)
}

fn all_different(numbers: &[i64]) -> bool {
    let different: HashSet<&i64> = numbers.iter().collect();
    numbers.iter().all(|&n| n >= 0) && different.len() == numbers.len()
}

/// Whether the column holds row numbers, and has a usual name for them or no name.
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

/// Whether the column holds row numbers. One of these conditions has to hold, all but the first for
/// at least [`SURE`] numbers:
///
/// - [`is_named_index`];
/// - distinct whole numbers, and the last word of the name is `id`;
/// - all numbers of a range, and the last word of the name is one for an index or a number;
/// - numbers that increase by one from 0 or 1 without a blank cell, unless the name is one of a
///   value column.
pub(super) fn numbers_rows(sample: &Sample<'_>) -> bool {
    if is_named_index(sample) {
        return true;
    }
    let lower = sample.name.to_lowercase();
    let Some(numbers) = sample.integers().filter(|numbers| numbers.len() >= SURE) else {
        return false;
    };
    let row_numbers = all_different(&numbers);
    // An index of prices may be called `index`, too; the numbers decide.
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

/// Whether the column is the number of one station or device: the same whole number in all rows,
/// and `id` in the name.
pub(super) fn is_one_id(sample: &Sample<'_>) -> bool {
    let numbers = sample.integers().filter(|numbers| numbers.len() >= SURE);
    let called = sample.words().iter().any(|word| word == "id");
    called && numbers.is_some_and(|numbers| numbers.iter().all(|number| *number == numbers[0]))
}
