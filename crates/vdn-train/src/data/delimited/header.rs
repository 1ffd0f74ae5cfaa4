//! The beginning of a file: the names of its columns, the sample of rows, and the form of numbers.

use super::{DelimitedFile, Record};
use crate::data::cell::{Cell, NumberForm};
use crate::data::sniff::{Evidence, NumberEvidence};
use crate::error::data::{DataError, excerpt};

/// The largest sample, in rows and in bytes, from which the form of a file is found.
const SAMPLE_ROWS: usize = 1000;
const SAMPLE_BYTES: usize = 1 << 21;

impl DelimitedFile<'_> {
    /// Takes the names of the columns from the current row. A column without a name is called
    /// `column <k>`.
    pub(super) fn take_header(&mut self) -> Result<(), DataError> {
        for column in 0..self.row.cells {
            let cell = self.row.cell(column);
            let Ok(name) = std::str::from_utf8(cell) else {
                return Err(DataError::HeaderEncoding {
                    file: self.file().to_owned(),
                    line: self.row.line,
                    column: column + 1,
                    text: excerpt(cell),
                });
            };
            self.names.push(name.trim().to_owned());
        }
        Ok(())
    }

    /// Refuses a first row of one cell if the other rows have several.
    pub(super) fn refuse_preamble(&self) -> Result<(), DataError> {
        if self.names.len() > 1 || self.usual_cells < 2 {
            return Ok(());
        }
        let comma = match self.delimiter {
            b',' if self.usual_cells == 2 => {
                ", or, where the comma is that of decimals, set data.delimiter = \";\""
            }
            _ => "",
        };
        Err(DataError::Format {
            file: format!("{}:{}", self.file(), self.row.line),
            problem: format!(
                "the header has 1 cell, the rows {}; remove text before the header{comma}",
                self.usual_cells
            ),
        })
    }

    /// Reads the first rows ahead. An error in one of them is returned when that row is requested.
    pub(super) fn take_sample(&mut self) {
        let mut bytes = 0;
        while self.sample.len() < SAMPLE_ROWS && bytes < SAMPLE_BYTES && self.failed.is_none() {
            match self.read_row() {
                Ok(true) => {
                    bytes += self.row.length + 8 * self.row.cells;
                    let Record { text, length, ends, cells, line } = &self.row;
                    self.sample.push_back(Record {
                        text: text[..*length].to_vec(),
                        ends: ends[..*cells].to_vec(),
                        ..Record {
                            length: *length,
                            cells: *cells,
                            line: *line,
                            ..Record::default()
                        }
                    });
                }
                Ok(false) => break,
                Err(error) => self.failed = Some(error),
            }
        }
    }

    /// Treats the last columns without a name as traces of trailing delimiters, if their cells have
    /// no text either. A single column is always kept.
    pub(super) fn drop_unnamed_columns(&mut self) {
        let all = self.names.len();
        let mut kept = all;
        while kept > 1
            && self.names[kept - 1].is_empty()
            && self.sample.iter().all(|row| row.is_blank(kept - 1..kept))
        {
            kept -= 1;
        }
        self.unnamed = all - kept;
        if self.unnamed > 0 {
            let (n, plural) = (self.unnamed, if self.unnamed == 1 { "" } else { "s" });
            self.notes.push(format!("{n} empty column{plural} at the end of every row left out"));
        }
        self.names.truncate(kept);
        for (column, name) in self.names.iter_mut().enumerate() {
            if name.is_empty() {
                *name = format!("column {}", column + 1);
            }
        }
    }

    /// Finds the form of numbers in the sample. A note says so if it was chosen between two.
    pub(super) fn find_number_form(&mut self) -> Result<(), DataError> {
        let mut evidence = NumberEvidence::default();
        for row in &self.sample {
            (0..row.cells).for_each(|column| evidence.add(column, row.cell(column)));
        }
        self.numbers = match (evidence.verdict(), self.delimiter) {
            (Evidence::Clear(form), _) => form,
            // In a comma-separated file, decimal commas do not occur, and points between groups are
            // rare.
            (Evidence::Groups, b',') => NumberForm::DecimalPoint,
            (Evidence::Groups, _) => {
                let note = "points in numbers are read as separators of thousands, because whole \
                            numbers of three digits stand beside them";
                self.notes.push(note.to_owned());
                NumberForm::DecimalComma
            }
            // Programs separate cells by semicolons because numbers contain commas.
            (Evidence::Ambiguous, b';') => {
                let note = "commas are read as decimal commas, because cells are separated by `;`";
                self.notes.push(note.to_owned());
                NumberForm::DecimalComma
            }
            (Evidence::Ambiguous, b',') => {
                let note = "commas in quoted numbers are read as separators of thousands";
                self.notes.push(note.to_owned());
                NumberForm::DecimalPoint
            }
            (Evidence::Ambiguous, _) => {
                let ambiguous = |row: &Record| {
                    let cells = (0..row.cells).map(|column| row.cell(column).to_vec());
                    cells.into_iter().find(|cell| {
                        matches!(self.numbers.parse(cell), Cell::Number(_)) && cell.contains(&b',')
                    })
                };
                let cell = self.sample.iter().find_map(ambiguous).unwrap_or_default();
                let text = excerpt(&cell);
                let problem = format!(
                    "{text:?} can be {} or {}: say which by data.decimal = \",\" or \".\"",
                    text.replace(',', "."),
                    text.replace(',', "")
                );
                return Err(DataError::Format { file: self.file().to_owned(), problem });
            }
        };
        Ok(())
    }
}
