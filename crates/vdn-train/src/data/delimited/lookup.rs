//! Columns by name, and errors with their position in the file.

use super::DelimitedFile;
use crate::error::data::{DataError, excerpt};
use std::collections::HashMap;

impl DelimitedFile<'_> {
    /// The error for a cell of the current row that is not a finite number. `column` counts from 0.
    #[must_use]
    pub fn bad_cell(&self, column: usize) -> DataError {
        DataError::BadCell {
            file: self.file().to_owned(),
            line: self.row.line,
            column: column + 1,
            name: self.names[column].clone(),
            text: excerpt(self.cell(column)),
        }
    }

    /// The error for a missing value in the current row. `column` counts from 0.
    #[must_use]
    pub fn missing_cell(&self, column: usize) -> DataError {
        DataError::MissingCell {
            file: self.file().to_owned(),
            line: self.row.line,
            column: column + 1,
            name: self.names[column].clone(),
            text: excerpt(self.cell(column)),
        }
    }

    /// The error for more than `most` of `what`, found in the current row.
    #[must_use]
    pub fn beyond(&self, limit: &'static str, most: u64, what: &'static str) -> DataError {
        DataError::Limit { place: format!("{}:{}", self.file(), self.row.line), limit, most, what }
    }

    /// The position (from 0) of the column called `name`, or of the `k`-th column for `#k`.
    ///
    /// # Errors
    ///
    /// [`DataError::UnknownColumn`] and [`DataError::AmbiguousColumn`].
    pub fn column(&self, name: &str) -> Result<usize, DataError> {
        let places = self.places.get_or_init(|| {
            let mut places: HashMap<String, Vec<usize>> = HashMap::new();
            for (column, name) in self.names.iter().enumerate() {
                places.entry(name.clone()).or_default().push(column);
            }
            places
        });
        let positions = places.get(name.trim()).map_or(&[][..], Vec::as_slice);
        if let [column] = positions[..] {
            return Ok(column);
        }
        if let [first, ..] = positions[..] {
            let positions: Vec<String> = positions.iter().map(|p| (p + 1).to_string()).collect();
            return Err(DataError::AmbiguousColumn {
                file: self.file().to_owned(),
                name: name.to_owned(),
                positions: positions.join(", "),
                first: first + 1,
            });
        }
        let by_position = name.trim().strip_prefix('#').and_then(|k| k.parse::<usize>().ok());
        match by_position {
            Some(k) if (1..=self.names.len()).contains(&k) => Ok(k - 1),
            _ => Err(DataError::UnknownColumn {
                file: self.file().to_owned(),
                name: name.to_owned(),
                available: self.available(),
            }),
        }
    }

    fn available(&self) -> String {
        const SHOWN: usize = 30;
        let mut text: Vec<String> =
            self.names.iter().take(SHOWN).map(|name| format!("`{name}`")).collect();
        if self.names.len() > SHOWN {
            text.push(format!("and {} more", self.names.len() - SHOWN));
        }
        text.join(", ")
    }
}
