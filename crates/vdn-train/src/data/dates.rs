//! The dates of a table: many short texts in one buffer.

use std::ops::Index;

/// The texts of a date column, row by row.
///
/// A row takes eight bytes in addition to its text. A `String` per row would take about 60.
///
/// ```
/// use vdn_train::data::Dates;
///
/// let dates: Dates = ["2020-01-01", "2020-01-02"].into_iter().collect();
/// assert_eq!((dates.len(), &dates[1]), (2, "2020-01-02"));
/// assert_eq!(dates.iter().last(), Some("2020-01-02"));
/// assert_eq!(dates.get(2), None);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Dates {
    text: String,
    /// The end of each row in `text`.
    ends: Vec<usize>,
}

impl Dates {
    /// Creates an empty column.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a row.
    pub fn push(&mut self, date: &str) {
        self.text.push_str(date);
        self.ends.push(self.text.len());
    }

    /// The number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The text of a row, counted from 0; `None` if there is no such row.
    #[must_use]
    pub fn get(&self, row: usize) -> Option<&str> {
        let end = *self.ends.get(row)?;
        let start = row.checked_sub(1).map_or(0, |before| self.ends[before]);
        Some(&self.text[start..end])
    }

    /// All rows in order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.len()).filter_map(|row| self.get(row))
    }

    /// Releases unused memory.
    pub(super) fn shrink(&mut self) {
        self.text.shrink_to_fit();
        self.ends.shrink_to_fit();
    }
}

/// # Panics
///
/// Panics if there is no such row.
impl Index<usize> for Dates {
    type Output = str;

    fn index(&self, row: usize) -> &str {
        let rows = self.len();
        self.get(row).unwrap_or_else(|| panic!("date {row} of {rows}"))
    }
}

impl<S: AsRef<str>> FromIterator<S> for Dates {
    fn from_iter<I: IntoIterator<Item = S>>(dates: I) -> Self {
        let mut this = Self::new();
        dates.into_iter().for_each(|date| this.push(date.as_ref()));
        this
    }
}
