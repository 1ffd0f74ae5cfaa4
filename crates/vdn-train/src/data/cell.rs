//! The content of a cell in a delimited file: a number, a missing value, or anything else.
//!
//! All numbers of a file have the same form, a [`NumberForm`]. It is given, or found from a sample
//! of the file (`sniff.rs`).

/// Words for a missing value, compared without regard to case. An empty cell and runs of `*` or `-`
/// also count as missing.
///
/// R, pandas, spreadsheets, databases and statistical offices write these words.
pub const MISSING_WORDS: [&str; 52] = [
    "nan",
    "-nan",
    "+nan",
    "na",
    "n/a",
    "n.a.",
    "null",
    "(null)",
    "none",
    "nil",
    "nat",
    "nd",
    "n.d.",
    "n/d",
    "missing",
    "<na>",
    "<null>",
    "<nil>",
    "[null]",
    "no data",
    "nodata",
    "no_data",
    "#n/a",
    "#n/a n/a",
    "#na",
    "#null!",
    "#div/0!",
    "#num!",
    "#value!",
    "#ref!",
    "#name?",
    "1.#ind",
    "-1.#ind",
    "1.#qnan",
    "-1.#qnan",
    "1.#inf",
    "-1.#inf",
    "\\n",
    "?",
    ".",
    "..",
    "...",
    "-",
    "--",
    "---",
    "\u{2013}",
    "\u{2014}",
    ":",
    "*",
    "#",
    "na_real_",
    "na_integer_",
];

/// The form in which the numbers of a file are written.
///
/// ```
/// use vdn_train::data::{Cell, NumberForm};
///
/// let comma = NumberForm::DecimalComma;
/// assert_eq!(comma.parse(b"1.234,5"), Cell::Number(1234.5));
/// assert_eq!(NumberForm::DecimalPoint.parse(b"1,234.5"), Cell::Number(1234.5));
/// assert_eq!(comma.parse(b"#N/A"), Cell::Missing);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NumberForm {
    /// `1234.5`; groups of three digits may be separated by a comma, a blank or an apostrophe.
    #[default]
    DecimalPoint,
    /// `1234,5`; groups of three digits may be separated by a point, a blank or an apostrophe.
    DecimalComma,
}

/// The content of a cell.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Cell {
    /// A finite number.
    Number(f64),
    /// Empty, or one of [`MISSING_WORDS`].
    Missing,
    /// Anything else, including infinities and numbers beyond the range of `f64`.
    Bad,
}

/// The longest text that can be a number with separators.
const LONGEST: usize = 64;

impl NumberForm {
    /// Parses a cell. Blanks around the number are ignored.
    #[must_use]
    pub fn parse(self, bytes: &[u8]) -> Cell {
        let bytes = bytes.trim_ascii();
        if bytes.is_empty() {
            return Cell::Missing;
        }
        let Ok(text) = std::str::from_utf8(bytes) else { return Cell::Bad };
        let plain = self == Self::DecimalPoint || !bytes.contains(&b'.');
        if plain
            && let Ok(value) = text.parse::<f64>()
            && value.is_finite()
        {
            return Cell::Number(value);
        }
        match self.separated(text) {
            Some(value) if value.is_finite() => Cell::Number(value),
            _ if is_missing(text) => Cell::Missing,
            _ => Cell::Bad,
        }
    }

    /// Parses a number with a decimal comma or separators of thousands.
    fn separated(self, text: &str) -> Option<f64> {
        let (point, group) = match self {
            Self::DecimalPoint => ('.', ','),
            Self::DecimalComma => (',', '.'),
        };
        if text.len() > LONGEST || !text.contains(|c| c == ',' || c == '.' || is_blank(c)) {
            return None;
        }
        let unsigned = text.strip_prefix(['+', '-', '\u{2212}']).unwrap_or(text);
        let (whole, rest) = match unsigned.find([point, 'e', 'E']) {
            Some(at) => unsigned.split_at(at),
            None => (unsigned, ""),
        };
        let separator = whole.chars().find(|&c| c == group || is_blank(c));
        let mut digits = String::with_capacity(text.len());
        if text.len() > unsigned.len() && !text.starts_with('+') {
            digits.push('-');
        }
        for (i, part) in whole.split(|c| Some(c) == separator).enumerate() {
            let length = match i {
                0 if separator.is_some() => 1..=3,
                0 => 0..=LONGEST,
                _ => 3..=3,
            };
            if !length.contains(&part.len()) || !part.bytes().all(|b| b.is_ascii_digit()) {
                return None;
            }
            digits.push_str(part);
        }
        // The rest is `.5`, `e-3` or both. The parser refuses anything else.
        for c in rest.chars() {
            match c {
                c if c == point => digits.push('.'),
                '0'..='9' | 'e' | 'E' | '+' | '-' => digits.push(c),
                _ => return None,
            }
        }
        digits.parse().ok()
    }
}

/// Whether a character may separate groups of digits, besides comma and point.
fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\u{a0}' | '\u{202f}' | '\u{2009}' | '\'' | '\u{2019}')
}

fn is_missing(text: &str) -> bool {
    let run = |sign: u8| text.len() > 2 && text.bytes().all(|byte| byte == sign);
    run(b'*') || run(b'-') || MISSING_WORDS.iter().any(|word| text.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::{Cell, NumberForm};

    fn check(form: NumberForm, cases: &[(&str, Cell)]) {
        let wrong: Vec<String> = cases
            .iter()
            .filter(|(text, expected)| form.parse(text.as_bytes()) != *expected)
            .map(|(text, expected)| {
                format!("{text:?}: {:?}, not {expected:?}", form.parse(text.as_bytes()))
            })
            .collect();
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    #[test]
    fn cells_are_numbers_missing_or_bad() {
        let number = Cell::Number;
        check(
            NumberForm::DecimalPoint,
            &[
                ("1", number(1.0)),
                (" -2.5 ", number(-2.5)),
                ("+3e-2", number(0.03)),
                (".5", number(0.5)),
                ("1e-400", number(0.0)),
                ("9,646.00", number(9646.0)),
                ("1,234,567", number(1_234_567.0)),
                ("-1 234 567.5", number(-1_234_567.5)),
                ("1'234.5e2", number(123_450.0)),
                ("12\u{a0}345", number(12_345.0)),
                ("", Cell::Missing),
                ("  \t", Cell::Missing),
                ("NaN", Cell::Missing),
                (" NA ", Cell::Missing),
                ("N/A", Cell::Missing),
                ("NULL", Cell::Missing),
                ("None", Cell::Missing),
                ("#N/A", Cell::Missing),
                ("<NA>", Cell::Missing),
                ("-nan", Cell::Missing),
                ("ND", Cell::Missing),
                ("\\N", Cell::Missing),
                ("?", Cell::Missing),
                (".", Cell::Missing),
                ("-", Cell::Missing),
                ("<null>", Cell::Missing),
                ("[NULL]", Cell::Missing),
                ("No data", Cell::Missing),
                ("*****", Cell::Missing),
                ("------", Cell::Missing),
                ("1.#INF", Cell::Missing),
                ("-*-", Cell::Bad),
                ("inf", Cell::Bad),
                ("-Infinity", Cell::Bad),
                ("1e400", Cell::Bad),
                ("1,5", Cell::Bad),
                ("1,2345", Cell::Bad),
                ("1234,567", Cell::Bad),
                ("1,234'567", Cell::Bad),
                (",123", Cell::Bad),
                ("0x10", Cell::Bad),
                ("1_000", Cell::Bad),
                ("abc", Cell::Bad),
                ("2020-01-01", Cell::Bad),
                ("1 2", Cell::Bad),
            ],
        );
        assert_eq!(NumberForm::DecimalPoint.parse(b"\xff"), Cell::Bad);
    }

    #[test]
    fn a_decimal_comma_makes_points_separators() {
        let number = Cell::Number;
        check(
            NumberForm::DecimalComma,
            &[
                ("9,646", number(9.646)),
                ("-0,5", number(-0.5)),
                ("1.234,56", number(1234.56)),
                ("1.234", number(1234.0)),
                ("12", number(12.0)),
                ("1,5e3", number(1500.0)),
                ("1.5", Cell::Bad),
                ("1,234,567", Cell::Bad),
                ("1.234.5", Cell::Bad),
                (".", Cell::Missing),
                ("nan", Cell::Missing),
            ],
        );
    }
}
