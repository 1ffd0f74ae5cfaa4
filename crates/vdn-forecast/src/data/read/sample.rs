//! The first cells of a column, and what they contain: text, numbers, dates or row numbers.

use crate::data::read::{index, number_dates};
use crate::data::time::DateForm;
use vdn_train::data::{Cell, DATE_NAMES, DelimitedFile, NumberForm};

/// Words in the names of time columns.
const TIME_WORDS: [&str; 40] = [
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
    "doy",
    "when",
    "jd",
    "mjd",
    "fy",
    "jaar",
    "maand",
    "uhrzeit",
    "woche",
    "quartal",
    "annee",
    "ann\u{e9}e",
    "mois",
    "semaine",
    "ano",
    "a\u{f1}o",
    "anno",
    "mes",
];

/// The sample of a column.
pub(super) struct Sample<'f> {
    pub(super) column: usize,
    pub(super) name: String,
    /// The cells that are not blank.
    pub(super) texts: Vec<&'f str>,
    /// Whether no cell is blank.
    pub(super) is_whole: bool,
    form: NumberForm,
    /// The number of cells that are numbers; `missing` is the number of cells that stand for
    /// missing values.
    numbers: usize,
    missing: usize,
}

impl<'f> Sample<'f> {
    /// Returns the sample of a column of `file`.
    pub(super) fn of(file: &'f DelimitedFile<'_>, column: usize) -> Self {
        let cells = (0..file.sample_rows()).map(|row| file.sample_cell(row, column).trim_ascii());
        let cells: Vec<&[u8]> = cells.filter(|cell| !cell.is_empty()).collect();
        let form = file.numbers();
        let count = |what: fn(Cell) -> bool| cells.iter().filter(|c| what(form.parse(c))).count();
        Self {
            column,
            form,
            is_whole: cells.len() == file.sample_rows(),
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

    /// Returns the cells as whole numbers; `None` if a cell is something else.
    pub(super) fn integers(&self) -> Option<Vec<i64>> {
        let whole = |text: &&str| {
            text.parse::<i64>().ok().or_else(|| {
                let number = self.number(text)?;
                (number.fract() == 0.0 && number.abs() < 1e15).then_some(number as i64)
            })
        };
        let all: Vec<i64> = self.texts.iter().map(whole).collect::<Option<_>>()?;
        (!all.is_empty()).then_some(all)
    }

    /// Returns the cells as numbers; `None` if a cell is something else.
    pub(super) fn numbers(&self) -> Option<Vec<f64>> {
        let all: Vec<f64> =
            self.texts.iter().map(|text| self.number(text)).collect::<Option<_>>()?;
        (!all.is_empty()).then_some(all)
    }

    fn number(&self, text: &str) -> Option<f64> {
        match self.form.parse(text.as_bytes()) {
            Cell::Number(number) => Some(number),
            Cell::Missing | Cell::Bad => None,
        }
    }

    /// Returns the words of the name, in lower case.
    pub(super) fn words(&self) -> Vec<String> {
        let lower = self.name.to_lowercase();
        let words = lower.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
        words.map(str::to_owned).collect()
    }

    /// Whether the name is a single word for times.
    pub(super) fn is_a_time_word(&self) -> bool {
        matches!(&self.words()[..], [word] if TIME_WORDS.contains(&word.as_str()))
    }

    /// Whether the name contains a word for times.
    pub(super) fn is_named_like_time(&self) -> bool {
        let lower = self.name.to_lowercase();
        self.words().iter().any(|word| TIME_WORDS.contains(&word.as_str()))
            || lower.contains("date")
            || lower.contains("time")
    }

    /// Whether the last word of the name is a word for times: `fiscal_year`, but not `year_sales`.
    pub(super) fn ends_like_time(&self) -> bool {
        let words = self.words();
        let last = words.last().map_or("", String::as_str);
        self.is_called_a_date()
            || TIME_WORDS.contains(&last)
            || ["date", "time"].iter().any(|word| last.starts_with(word) || last.ends_with(word))
    }

    /// Whether the name is one of the usual names of date columns.
    pub(super) fn is_called_a_date(&self) -> bool {
        DATE_NAMES.iter().any(|name| self.name.eq_ignore_ascii_case(name))
    }

    /// Whether the column numbers the rows.
    pub(super) fn is_index(&self) -> bool {
        index::numbers_rows(self)
    }

    /// Whether the column holds numbers that are not row numbers, a single id, or a time.
    pub(super) fn is_series(&self) -> bool {
        let other =
            self.is_index() || index::is_one_id(self) || number_dates::looks_like_time(self);
        self.numbers > 0 && !other
    }

    /// Returns the possible date forms of the cells. Texts are judged by content alone, except that
    /// a name with `week` decides between a week and a month; numbers need more evidence.
    pub(super) fn forms(&self) -> Vec<DateForm> {
        if !self.is_numeric() {
            let forms = DateForm::of_texts(&self.texts);
            // `2021-05` is a month, unless the column's name says that it is a week.
            let week = DateForm::Pattern("%G-%V".to_owned());
            let named = self.words().iter().any(|w| ["week", "yearweek", "yw"].contains(&&**w));
            let weeks = named && self.texts.iter().all(|text| week.parse(text).is_some());
            return if weeks { vec![week] } else { forms };
        }
        number_dates::forms(self)
    }
}
