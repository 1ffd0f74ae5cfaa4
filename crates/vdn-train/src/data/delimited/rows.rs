//! Converts content to rows: drives `csv-core`, counts lines and enforces the limits.

use super::{Buffer, DelimitedFile, Record};
use crate::error::data::DataError;
use csv_core::ReadRecordResult;

impl DelimitedFile<'_> {
    /// Returns the next byte without consuming it; `None` at the end of the file.
    fn peek(&mut self) -> Result<Option<u8>, DataError> {
        let Buffer { bytes, at, end } = &mut self.buffer;
        if at == end {
            (*at, *end) = (0, self.content.fill(bytes)?);
        }
        Ok(self.buffer.rest().first().copied())
    }

    /// Consumes the next `count` bytes, and counts lines.
    fn pass(&mut self, count: usize) {
        let bytes = &self.buffer.bytes[self.buffer.at..self.buffer.at + count];
        for &byte in bytes {
            // The LF of a CRLF was counted with the CR.
            let new = byte == b'\r' || (byte == b'\n' && !self.after_return);
            self.line += usize::from(new && !self.by_rows);
            self.after_return = byte == b'\r';
        }
        self.buffer.at += count;
    }

    /// Consumes line ends, and returns the line of the first blank line among them.
    pub(super) fn skip_blank_lines(&mut self) -> Result<Option<usize>, DataError> {
        let mut blank = None;
        while let Some(byte @ (b'\r' | b'\n')) = self.peek()? {
            if byte == b'\r' || !self.after_return {
                blank.get_or_insert(self.line);
            }
            self.pass(1);
        }
        Ok(blank)
    }

    /// Reads the next row, and checks its number of cells against the header.
    ///
    /// Rows of nothing but delimiters wait until a row with text follows. At the end of the file
    /// they are left out; elsewhere they are rows of missing values.
    pub(super) fn read_row(&mut self) -> Result<bool, DataError> {
        if self.held.is_some() {
            match self.blank_rows {
                Some((line, left)) if left > 0 => {
                    self.blank_rows = Some((line + 1, left - 1));
                    self.row = Record { line, ..Record::default() };
                }
                _ => {
                    self.blank_rows = None;
                    self.row = self.held.take().unwrap_or_default();
                }
            }
            return Ok(true);
        }
        loop {
            let blank = self.skip_blank_lines()?;
            if !self.read()? {
                if let Some((_, rows)) = self.blank_rows.take() {
                    let rows = if rows == 1 { "1 row".to_owned() } else { format!("{rows} rows") };
                    self.notes.push(format!("{rows} without any text at the end left out"));
                }
                return Ok(false);
            }
            let (line, found, columns) = (self.row.line, self.row.cells, self.names.len());
            if let Some(line) = blank {
                return Err(self.ragged(line, 0));
            }
            if found > 1 && self.row.is_blank(0..found) {
                let (first, rows) = self.blank_rows.unwrap_or((line, 0));
                self.blank_rows = Some((first, rows + 1));
                continue;
            }
            if found != columns {
                // If only the header ends in delimiters, it has columns that no row has.
                let named = self.names.iter().rposition(|name| !name.is_empty()).unwrap_or(0);
                if found <= named || !self.row.is_blank(columns..found) {
                    return Err(self.ragged(line, found));
                }
                if found > columns + self.unnamed && !self.trailing {
                    self.trailing = true;
                    self.notes.push("delimiters at the end of rows left out".to_owned());
                }
            }
            if self.blank_rows.is_some() {
                self.held = Some(std::mem::take(&mut self.row));
                return self.read_row();
            }
            return Ok(true);
        }
    }

    /// The error for a row with another number of cells than the header.
    fn ragged(&self, line: usize, found: usize) -> DataError {
        let (file, expected) = (self.file().to_owned(), self.names.len());
        DataError::RaggedRow { file, line, found, expected }
    }

    /// Reads a row from its first byte; `false` at the end of the file.
    pub(super) fn read(&mut self) -> Result<bool, DataError> {
        (self.row.length, self.row.cells, self.row.line) = (0, 0, self.line);
        if self.peek()?.is_none() {
            return Ok(false);
        }
        let mut at_end = false;
        loop {
            // At the end of the file a line end is added. It ends every row except one whose last
            // quote is open.
            let input = if at_end { &b"\n"[..] } else { self.buffer.rest() };
            let Record { text, length, ends, cells, .. } = &mut self.row;
            let (result, read, written, ended) =
                self.parser.read_record(input, &mut text[*length..], &mut ends[*cells..]);
            *length += written;
            *cells += ended;
            if !at_end {
                self.pass(read);
            }
            self.check_size()?;
            match result {
                ReadRecordResult::Record => {
                    self.line += usize::from(self.by_rows);
                    return Ok(true);
                }
                ReadRecordResult::OutputFull => {
                    let longer = (2 * self.row.text.len()).max(1 << 10);
                    self.row.text.resize(longer, 0);
                }
                ReadRecordResult::OutputEndsFull => {
                    let longer = (2 * self.row.ends.len()).max(1 << 5);
                    self.row.ends.resize(longer, 0);
                }
                ReadRecordResult::InputEmpty if at_end => return Err(self.unclosed_quote()),
                ReadRecordResult::InputEmpty => at_end = self.peek()?.is_none(),
                ReadRecordResult::End => return Ok(false),
            }
        }
    }

    /// The error for a quote in the current row that is never closed.
    fn unclosed_quote(&self) -> DataError {
        let Record { text, ends, cells, line, .. } = &self.row;
        let start = cells.checked_sub(1).map_or(0, |last| ends[last]);
        let before = &text[..start];
        let returns = before.iter().filter(|&&byte| byte == b'\r').count();
        let pairs = before.windows(2).filter(|pair| pair == b"\r\n").count();
        let feeds = before.iter().filter(|&&byte| byte == b'\n').count();
        DataError::UnclosedQuote {
            file: self.file().to_owned(),
            line: line + returns + feeds - pairs,
            column: cells + 1,
        }
    }

    /// Refuses a row that is larger than the limits.
    fn check_size(&self) -> Result<(), DataError> {
        let limits = self.content.limits();
        let (bytes, cells) = (self.row.length + self.row.cells, self.row.cells);
        if bytes as u64 > limits.row_bytes {
            return Err(self.beyond("row_bytes", limits.row_bytes, "bytes in one row"));
        }
        if cells as u64 > limits.row_cells {
            return Err(self.beyond("row_cells", limits.row_cells, "cells in one row"));
        }
        Ok(())
    }
}
