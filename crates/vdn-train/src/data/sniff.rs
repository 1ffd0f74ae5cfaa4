//! The form of a delimited file, found from its first rows: the delimiter between cells, and the
//! form of numbers.

use crate::data::cell::{Cell, NumberForm};
use csv_core::{ReadRecordResult, Reader, ReaderBuilder};

/// The possible delimiters. The comma is last: if another sign divides the rows equally well, the
/// commas are part of the numbers.
pub(super) const DELIMITERS: [u8; 4] = [b';', b'\t', b'|', b','];

/// The number of rows from which the delimiter is found.
const ROWS: usize = 50;

/// Finds the delimiter of a text that begins with `start`, and the usual number of cells.
///
/// It is the delimiter that divides the most rows into as many cells as the header has, at least
/// two. If no candidate does so for half of the rows, there may be text before the header; then the
/// most frequent number of cells is used instead. Of equal candidates, one that cuts no quoted cell
/// wins, then `;`, a tab and `|` before the comma. For a text of one column the result is a comma
/// and 0 cells.
pub(super) fn delimiter(start: &[u8]) -> (u8, usize) {
    let mut best = ((0.5, 0, false), b',');
    for by_header in [true, false] {
        for &candidate in &DELIMITERS {
            let (counts, whole) = cells(start, candidate);
            let most = |count: usize| counts.iter().filter(|&&c| c == count).count();
            let usual = match by_header {
                true => counts.first().copied().unwrap_or(0),
                false => counts.iter().copied().max_by_key(|&c| most(c)).unwrap_or(0),
            };
            let share = most(usual) as f64 / counts.len().max(1) as f64;
            if usual > 1 && (share, usual, whole) > best.0 {
                best = ((share, usual, whole), candidate);
            }
        }
        if best.0.1 > 0 {
            break;
        }
    }
    (best.1, best.0.1)
}

/// The numbers of cells in the first rows. The last row of a piece of text may be cut off, so it
/// counts only if it is the only one. The second result is false if a quote stands inside a cell:
/// then the delimiter stands inside quotes.
fn cells(start: &[u8], delimiter: u8) -> (Vec<usize>, bool) {
    let mut reader: Reader = ReaderBuilder::new().delimiter(delimiter).build();
    let (mut counts, mut rest, mut count, mut whole) = (Vec::new(), start, 0, true);
    let (mut output, mut ends) = ([0; 1 << 12], [0; 1 << 8]);
    while counts.len() < ROWS {
        let (result, read, written, ended) = reader.read_record(rest, &mut output, &mut ends);
        rest = &rest[read..];
        count += ended;
        whole &= !output[..written].contains(&b'"');
        match result {
            ReadRecordResult::OutputFull | ReadRecordResult::OutputEndsFull => {}
            ReadRecordResult::Record => counts.push(std::mem::take(&mut count)),
            ReadRecordResult::InputEmpty if counts.is_empty() => return (vec![count + 1], whole),
            ReadRecordResult::InputEmpty | ReadRecordResult::End => break,
        }
    }
    (counts, whole)
}

/// The evidence of a sample's numbers about their form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Evidence {
    /// The numbers can be read in one way only, or have no separators at all.
    Clear(NumberForm),
    /// Every comma is before exactly three digits: `1,234` is 1.234 or 1234.
    Ambiguous,
    /// Every point is before exactly three digits, and several whole numbers of three digits are in
    /// the same column: `1.102` beside `979` and `823` is 1102.
    Groups,
}

/// The evidence of the cells of a column about points.
#[derive(Debug, Default, Clone, Copy)]
struct Points {
    /// Cells like `1.234` and `1.234.567`.
    grouped: usize,
    /// Whole numbers of three digits, except 999, which often stands for a missing value.
    hundreds: usize,
    /// The first of these numbers, and whether there are different ones.
    first: Option<[u8; 3]>,
    several: bool,
    /// Cells that cannot be numbers with points between groups of three digits: `0.123`, `12.5`,
    /// `1234`.
    other: usize,
}

impl Points {
    fn add(&mut self, cell: &[u8]) {
        let cell = cell.trim_ascii();
        let cell = cell.strip_prefix(b"-").unwrap_or(cell);
        let mut groups = cell.split(|&byte| byte == b'.');
        let first = groups.next().unwrap_or_default();
        let digits = |group: &[u8]| group.iter().all(u8::is_ascii_digit);
        if !digits(first) || first.is_empty() {
            return;
        }
        let whole = (1..=3).contains(&first.len()) && first[0] != b'0';
        let rest: Vec<&[u8]> = groups.collect();
        match rest.is_empty() {
            true if whole && first.len() == 3 => {
                let number = [first[0], first[1], first[2]];
                if number != *b"999" {
                    self.hundreds += 1;
                    self.several |= *self.first.get_or_insert(number) != number;
                }
            }
            true => self.other += usize::from(first.len() > 3),
            false if whole && rest.iter().all(|group| group.len() == 3 && digits(group)) => {
                self.grouped += 1;
            }
            false => self.other += 1,
        }
    }

    fn are_groups(&self) -> bool {
        self.grouped > 0 && self.several && 20 * self.hundreds >= self.grouped && self.other == 0
    }
}

/// Collects the evidence of cells about the form of numbers.
#[derive(Debug, Default)]
pub(super) struct NumberEvidence {
    comma: usize,
    point: usize,
    ambiguous: usize,
    points: Vec<Points>,
}

impl NumberEvidence {
    /// Adds a cell of a column.
    pub(super) fn add(&mut self, column: usize, cell: &[u8]) {
        if self.points.len() <= column {
            self.points.resize(column + 1, Points::default());
        }
        self.points[column].add(cell);
        if !cell.contains(&b',') && !cell.contains(&b'.') {
            return;
        }
        let number = |form: NumberForm| match form.parse(cell) {
            Cell::Number(value) => Some(value),
            Cell::Missing | Cell::Bad => None,
        };
        match (number(NumberForm::DecimalPoint), number(NumberForm::DecimalComma)) {
            (None, Some(_)) => self.comma += 1,
            (Some(_), None) => self.point += 1,
            // `0,123` and `00,123` are not thousands.
            (Some(_), Some(_)) if cell.trim_ascii().starts_with(b"0,") => self.comma += 1,
            (Some(_), Some(_))
                if [&b"0."[..], b"-0."].iter().any(|s| cell.trim_ascii().starts_with(s)) =>
            {
                self.point += 1;
            }
            (Some(_), Some(_)) if cell.contains(&b',') => self.ambiguous += 1,
            _ => {}
        }
    }

    /// The form that fits the evidence.
    pub(super) fn verdict(&self) -> Evidence {
        match self {
            Self { comma: 0, point: 0, ambiguous: 1.., .. } => Evidence::Ambiguous,
            Self { comma: 0, point: 0, points, .. } if points.iter().any(Points::are_groups) => {
                Evidence::Groups
            }
            Self { comma, point, .. } if comma > point => Evidence::Clear(NumberForm::DecimalComma),
            _ => Evidence::Clear(NumberForm::DecimalPoint),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delimiters_are_found_from_the_cells_of_rows() {
        let cases: [(&str, u8); 12] = [
            ("date,a\n2020-01-01,1\n", b','),
            ("date;a\n2020-01-01;1\n", b';'),
            ("date\ta\n2020-01-01\t1\n", b'\t'),
            ("date|a\n2020-01-01|1\n", b'|'),
            ("Datum;Last;Preis;;\n01/03/2021;9,646;19,29;;\n02/03/2021;1,5;1,2;;\n", b';'),
            ("date,\"a;b\"\n2020-01-01,\"1;2\"\n", b','),
            ("a\n1\n2\n", b','),
            ("", b','),
            ("date;a", b';'),
            ("Source: an office; 2020\n\ndate;a\n2020-01-01;1,5\n2020-01-02;1,6\n", b';'),
            ("Some title\ndate\ta\n2020-01-01\t1\n2020-01-02\t1\n", b'\t'),
            ("date;a,b;c\n1;2,5;3\n", b';'),
        ];
        for (text, expected) in cases {
            assert_eq!(delimiter(text.as_bytes()).0 as char, expected as char, "{text:?}");
        }
    }

    #[test]
    fn the_form_of_numbers_is_found_from_the_sample() {
        use Evidence::{Ambiguous, Clear, Groups};
        use NumberForm::{DecimalComma, DecimalPoint};
        let cases: [(&[&str], Evidence); 17] = [
            (&["1", "2.5"], Clear(DecimalPoint)),
            (&["1.000", "1.102", "999", "-999", "999"], Clear(DecimalPoint)),
            (&["99.123", "98.102", "100", "100"], Clear(DecimalPoint)),
            (&["9,646", "19,29"], Clear(DecimalComma)),
            (&["9,646", "10,928"], Ambiguous),
            (&["0,646", "10,928"], Clear(DecimalComma)),
            (&["9,646.00", "10,928"], Clear(DecimalPoint)),
            (&["1.234,5", "1.234"], Clear(DecimalComma)),
            (&["1,234,567", "1,234"], Clear(DecimalPoint)),
            (&["1.234"], Clear(DecimalPoint)),
            (&["1.000", "1.102", "979", "-823"], Groups),
            (&["1.000", "1.102", "0.979", "823"], Clear(DecimalPoint)),
            (&["1.000", "1.102", "1102", "823"], Clear(DecimalPoint)),
            (&["1.000", "1.102", "12.5", "823"], Clear(DecimalPoint)),
            (&["1.000", "1.102", "82"], Clear(DecimalPoint)),
            (&["1.000", "1.102", "979", "0,5"], Clear(DecimalComma)),
            (&["01.03.2021", "18.00.00", ".", "x,y"], Clear(DecimalPoint)),
        ];
        for (cells, expected) in cases {
            let mut evidence = NumberEvidence::default();
            cells.iter().for_each(|cell| evidence.add(0, cell.as_bytes()));
            assert_eq!(evidence.verdict(), expected, "{cells:?}");
        }
        // The evidence of one column holds for the file: `0.979` is no number with groups.
        let mut evidence = NumberEvidence::default();
        for (column, cell) in ["1.102", "979", "823"].iter().map(|c| (0, c)).chain([(1, &"0.979")])
        {
            evidence.add(column, cell.as_bytes());
        }
        assert_eq!(evidence.verdict(), Clear(DecimalPoint));
    }
}
