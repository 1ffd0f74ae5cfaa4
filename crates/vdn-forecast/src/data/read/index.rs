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

/// Row numbers: different whole numbers in a column without a telling name or called an id or an
/// index, one more or one less from row to row in a column that is called a number, or from 0 or 1
/// on in any column.
pub(super) fn numbers_rows(sample: &Sample<'_>) -> bool {
    let lower = sample.name.to_lowercase();
    let unnamed =
        sample.name == format!("column {}", sample.column + 1) || lower.starts_with("unnamed:");
    let Some(numbers) = sample.integers().filter(|numbers| numbers.len() > 1) else {
        return false;
    };
    let by_one = |by: i64| numbers.windows(2).all(|pair| pair[1].wrapping_sub(pair[0]) == by);
    let different: HashSet<&i64> = numbers.iter().collect();
    let all_different = different.len() == numbers.len();
    let row_numbers = numbers.iter().all(|&n| n >= 0) && all_different;
    // An index of prices is called an index, too: of names of several words the numbers decide.
    let words = sample.words();
    let last = words.last().map_or("", String::as_str);
    let alone = words.len() == 1 && ["index", "idx", "rownames", "rowid"].contains(&last);
    let one_run = || {
        let (low, high) = (numbers.iter().min(), numbers.iter().max());
        low.zip(high).is_some_and(|(low, high)| high - low + 1 == numbers.len() as i64)
    };
    let counts = ["index", "idx", "no", "nr", "number"].contains(&last) && one_run();
    let called = last == "id" || alone || counts;
    (unnamed && row_numbers)
        || (called && row_numbers && numbers.len() >= SURE)
        || (INDEX_NAMES.contains(&lower.as_str()) && (by_one(1) || by_one(-1)))
        || (numbers.len() >= SURE && (0..=1).contains(&numbers[0]) && by_one(1))
}

/// The number of a station or a device: a whole number, the same in all rows of a column that is
/// called an id.
pub(super) fn is_one_id(sample: &Sample<'_>) -> bool {
    let numbers = sample.integers().filter(|numbers| numbers.len() >= SURE);
    let called = sample.words().iter().any(|word| word == "id");
    called && numbers.is_some_and(|numbers| numbers.iter().all(|number| *number == numbers[0]))
}
