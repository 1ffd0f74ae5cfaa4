//! The first cells of a column, and what they say about it: text, numbers, dates, row numbers.

use crate::data::time::DateForm;
use std::collections::HashSet;
use vdn_train::data::{Cell, DATE_NAMES, DelimitedFile};

/// Names that columns of times have, among other words.
const TIME_WORDS: [&str; 22] = [
    "date",
    "time",
    "timestamp",
    "datetime",
    "ds",
    "day",
    "month",
    "quarter",
    "year",
    "period",
    "epoch",
    "unix",
    "datum",
    "zeit",
    "jahr",
    "monat",
    "tag",
    "fecha",
    "dt",
    "yr",
    "hour",
    "week",
];

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

/// The sample of a column.
pub(super) struct Sample<'f> {
    pub(super) column: usize,
    pub(super) name: String,
    /// The cells that are not blank.
    pub(super) texts: Vec<&'f str>,
    /// Shares of the cells that are numbers, and that stand for missing values.
    numbers: usize,
    missing: usize,
}

impl<'f> Sample<'f> {
    /// The sample of a column of `file`.
    pub(super) fn of(file: &'f DelimitedFile<'_>, column: usize) -> Self {
        let cells = (0..file.sample_rows()).map(|row| file.sample_cell(row, column).trim_ascii());
        let cells: Vec<&[u8]> = cells.filter(|cell| !cell.is_empty()).collect();
        let form = file.numbers();
        let count = |what: fn(Cell) -> bool| cells.iter().filter(|c| what(form.parse(c))).count();
        Self {
            column,
            name: file.names()[column].clone(),
            numbers: count(|cell| matches!(cell, Cell::Number(_))),
            missing: count(|cell| cell == Cell::Missing),
            texts: cells
                .iter()
                .map(|cell| std::str::from_utf8(cell).unwrap_or("\u{fffd}"))
                .collect(),
        }
    }

    pub(super) fn is_text(&self) -> bool {
        self.numbers == 0 && self.missing < self.texts.len()
    }

    pub(super) fn is_numeric(&self) -> bool {
        2 * self.numbers > self.texts.len() - self.missing
    }

    /// Whole numbers, all of them; `None` if a cell holds something else.
    pub(super) fn integers(&self) -> Option<Vec<i64>> {
        let whole = |text: &&str| text.strip_suffix(".0").unwrap_or(text).parse::<i64>().ok();
        let all: Vec<i64> = self.texts.iter().map(whole).collect::<Option<_>>()?;
        (!all.is_empty()).then_some(all)
    }

    /// Whether the name is one that columns of times have.
    pub(super) fn is_named_like_time(&self) -> bool {
        let lower = self.name.to_lowercase();
        let mut words = lower.split(|c: char| !c.is_alphanumeric());
        words.any(|word| TIME_WORDS.contains(&word))
            || lower.contains("date")
            || lower.contains("time")
    }

    /// Whether the name says that the column holds dates.
    pub(super) fn is_called_a_date(&self) -> bool {
        DATE_NAMES.iter().any(|name| self.name.eq_ignore_ascii_case(name))
    }

    /// Row numbers: different whole numbers in a column without a telling name, one more or one
    /// less from row to row in a column that is called an index.
    pub(super) fn is_index(&self) -> bool {
        let unnamed = self.name == format!("column {}", self.column + 1)
            || self.name.to_lowercase().starts_with("unnamed:");
        let lower = self.name.to_lowercase();
        let Some(numbers) = self.integers().filter(|numbers| numbers.len() > 1) else {
            return false;
        };
        let by_one = |by: i64| numbers.windows(2).all(|pair| pair[1].wrapping_sub(pair[0]) == by);
        let different: HashSet<&i64> = numbers.iter().collect();
        let row_numbers = numbers.iter().all(|&n| n >= 0) && different.len() == numbers.len();
        (unnamed && row_numbers)
            || (INDEX_NAMES.contains(&lower.as_str()) && (by_one(1) || by_one(-1)))
    }

    /// The forms of dates that the cells have: of texts by content, of numbers with more care.
    pub(super) fn forms(&self) -> Vec<DateForm> {
        if !self.is_numeric() {
            return DateForm::of_texts(&self.texts);
        }
        let Some(numbers) = self.integers() else { return Vec::new() };
        let named = self.is_named_like_time();
        // Equal steps from row to row, in either direction, without a name that helps.
        let first = numbers.get(1).map_or(0, |second| second.wrapping_sub(numbers[0]));
        let steps = numbers.windows(2).filter(|p| p[1].wrapping_sub(p[0]) == first).count();
        let regular = first != 0 && numbers.len() > 2 && 10 * steps >= 9 * (numbers.len() - 1);
        let all = |low: i64, high: i64| numbers.iter().all(|n| (low..=high).contains(n));
        let patterns = [(19_000_101, 21_001_231, "%Y%m%d"), (190_001, 210_012, "%Y%m")];
        for (low, high, pattern) in patterns {
            let form = DateForm::Pattern(pattern.to_owned());
            let read = || self.texts.iter().all(|text| form.parse(text).is_some());
            if all(low, high) && (named || (self.column == 0 && numbers.is_sorted())) && read() {
                return vec![form];
            }
        }
        if all(1000, 2999)
            && (named || (self.column == 0 && regular && first.abs() == 1 && all(1500, 2100)))
        {
            return vec![DateForm::Year];
        }
        for per_second in [1, 1_000, 1_000_000, 1_000_000_000] {
            let (low, high) = (100_000_000 * per_second, 4_100_000_000 * per_second);
            let minutes = regular && first % (60 * per_second) == 0;
            if numbers.iter().all(|n| (low..=high).contains(n)) && (named || minutes) {
                return vec![DateForm::Unix { per_second }];
            }
        }
        // Steps that are counted, where dates are expected.
        let different: HashSet<&i64> = numbers.iter().collect();
        let counted = self.is_called_a_date() && different.len() > 1;
        if counted { vec![DateForm::Count] } else { Vec::new() }
    }
}
