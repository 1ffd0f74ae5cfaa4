//! The lines of a table's rows in their file.

/// The file of a table and the line of each row, for messages.
///
/// Nearly all rows are on consecutive lines. A line is stored only where they are not.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Lines {
    file: String,
    /// The rows, and their lines, from which on rows and lines advance together.
    from: Vec<(usize, usize)>,
}

impl Lines {
    pub(super) fn new(file: &str) -> Self {
        Self { file: file.to_owned(), from: Vec::new() }
    }

    /// Records that `row` starts on `line`. Rows must come in order.
    pub(super) fn push(&mut self, row: usize, line: usize) {
        if self.line(row) != Some(line) {
            self.from.push((row, line));
        }
    }

    fn line(&self, row: usize) -> Option<usize> {
        let after = self.from.partition_point(|&(first, _)| first <= row);
        let (first, line) = *self.from.get(after.checked_sub(1)?)?;
        Some(line + (row - first))
    }

    /// `file:line` of a row; `None` for a table that was not read from a file.
    pub(super) fn place(&self, row: usize) -> Option<String> {
        self.line(row).map(|line| format!("{}:{line}", self.file))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_jumps_are_stored() {
        let mut lines = Lines::new("f");
        let all = [3, 4, 5, 8, 9, 11];
        all.iter().enumerate().for_each(|(row, &line)| lines.push(row, line));
        assert_eq!(lines.from, [(0, 3), (3, 8), (5, 11)]);
        for (row, line) in all.into_iter().enumerate() {
            assert_eq!(lines.place(row), Some(format!("f:{line}")));
        }
        assert_eq!(Lines::default().place(0), None);
    }
}
