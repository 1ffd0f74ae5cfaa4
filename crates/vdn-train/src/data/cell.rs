//! What a cell of a delimited file holds: a number, a missing value, or something else.

/// Words that stand for a missing value, compared without regard to case; so does an empty cell.
pub const MISSING_WORDS: [&str; 4] = ["nan", "na", "n/a", "null"];

/// What a cell holds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Cell {
    /// A finite number.
    Number(f64),
    /// Empty, or one of [`MISSING_WORDS`].
    Missing,
    /// Anything else, including infinities and numbers beyond the range of `f64`.
    Bad,
}

impl Cell {
    /// Reads a cell; blanks around the number do not matter.
    pub(super) fn parse(bytes: &[u8]) -> Self {
        let bytes = bytes.trim_ascii();
        if bytes.is_empty() {
            return Self::Missing;
        }
        let Ok(text) = std::str::from_utf8(bytes) else { return Self::Bad };
        match text.parse::<f64>() {
            Ok(value) if value.is_finite() => Self::Number(value),
            _ if MISSING_WORDS.iter().any(|word| text.eq_ignore_ascii_case(word)) => Self::Missing,
            _ => Self::Bad,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Cell;

    #[test]
    fn cells_are_numbers_missing_or_bad() {
        let cases: [(&[u8], Cell); 22] = [
            (b"1", Cell::Number(1.0)),
            (b" -2.5 ", Cell::Number(-2.5)),
            (b"+3e-2", Cell::Number(0.03)),
            (b".5", Cell::Number(0.5)),
            (b"1e-400", Cell::Number(0.0)),
            (b"", Cell::Missing),
            (b"  \t", Cell::Missing),
            (b"NaN", Cell::Missing),
            (b"nan", Cell::Missing),
            (b" NA ", Cell::Missing),
            (b"N/A", Cell::Missing),
            (b"NULL", Cell::Missing),
            (b"inf", Cell::Bad),
            (b"-Infinity", Cell::Bad),
            (b"-nan", Cell::Bad),
            (b"1e400", Cell::Bad),
            (b"1,5", Cell::Bad),
            (b"0x10", Cell::Bad),
            (b"1_000", Cell::Bad),
            (b"abc", Cell::Bad),
            (b"\xff", Cell::Bad),
            (b"2020-01-01", Cell::Bad),
        ];
        let wrong: Vec<String> = cases
            .iter()
            .filter(|(text, expected)| Cell::parse(text) != *expected)
            .map(|(text, expected)| {
                format!(
                    "{:?}: {:?}, not {expected:?}",
                    String::from_utf8_lossy(text),
                    Cell::parse(text)
                )
            })
            .collect();
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}
