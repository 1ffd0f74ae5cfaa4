//! Detection of the times of a file. They are in one column, or in several columns whose texts are
//! joined, such as a date and an hour.

use crate::data::read::columns::Columns;
use crate::data::read::parts::{calendar_parts, parts_of, time_of_day};
use crate::data::read::sample::Sample;
use crate::data::read::{SeriesOptions, TimeColumn};
use crate::data::time::DateForm;
use std::collections::HashSet;
use vdn_train::data::{DataError, DelimitedFile};

impl Columns {
    /// Finds the times. Adds their columns, and the columns that repeat them, to `out`.
    ///
    /// # Errors
    /// Fails for a named column without dates, for a first column of times in an unknown form, and
    /// for a file without a header.
    pub(super) fn find_time(
        &mut self,
        file: &DelimitedFile<'_>,
        options: &SeriesOptions,
        samples: &[Sample<'_>],
        out: &mut HashSet<usize>,
    ) -> Result<(), DataError> {
        let custom = options.date_format.as_ref().map(|text| DateForm::Pattern(text.clone()));
        if let TimeColumn::Named(name) = &options.time {
            let column = file.column(name)?;
            let found = samples[column].forms();
            // If the user names the column, its numbers are times.
            let found = match found.is_empty() {
                true => DateForm::of_texts(&samples[column].texts),
                false => found,
            };
            (self.time, self.forms) = (vec![column], custom.map_or(found, |form| vec![form]));
            out.insert(column);
            return match self.forms.is_empty() {
                true => Err(no_dates(file, &samples[column])),
                false => Ok(()),
            };
        }
        let wanted: HashSet<&str> = options.columns.iter().flatten().map(String::as_str).collect();
        let selected = |sample: &Sample<'_>| wanted.contains(&*sample.name);
        let mut found: Vec<(usize, Vec<DateForm>)> = Vec::new();
        let covariates: HashSet<usize> = out.clone();
        let usable =
            |sample: &&Sample<'_>| !sample.texts.is_empty() && !covariates.contains(&sample.column);
        for sample in samples.iter().filter(usable) {
            let forms = match (&custom, sample.forms()) {
                (Some(form), _) => {
                    let read = sample.texts.iter().filter(|t| form.parse(t).is_some()).count();
                    if 2 * read > sample.texts.len() { vec![form.clone()] } else { Vec::new() }
                }
                (None, forms) => forms,
            };
            let wanted_number = selected(sample) && sample.is_numeric();
            if !forms.is_empty() && !wanted_number {
                found.push((sample.column, forms));
            }
        }
        // Prefers text to numbers, then names that suggest times, then the first column.
        let rank = |(column, forms): &(usize, Vec<DateForm>)| {
            let sample = &samples[*column];
            let counted = forms[0] == DateForm::Count;
            (sample.is_numeric(), counted, !sample.is_named_like_time(), *column)
        };
        found.sort_by_key(rank);
        let texts_found = found.first().is_some_and(|(c, _)| !samples[*c].is_numeric());
        let mut parts = if texts_found { None } else { calendar_parts(samples) };
        if parts.is_none()
            && let Some((column, forms)) = found.first()
        {
            let time_of_day = time_of_day(samples, *column, forms);
            parts = Some(match time_of_day {
                Some((other, joined)) => (vec![*column, other], joined),
                None => (vec![*column], forms.clone()),
            });
        }
        let Some((time, forms)) = parts else {
            let first = &samples[0];
            if options.time == TimeColumn::Auto && first.is_text() && first.is_named_like_time() {
                return Err(no_dates(file, first));
            }
            return Ok(());
        };
        out.extend(&time);
        if forms[0] == DateForm::SerialDay && options.time == TimeColumn::Auto {
            let name = &file.names()[time[0]];
            let note = format!(
                "column `{name}` is read as days since 1899-12-30, as spreadsheets count them"
            );
            self.notes.push(note);
        }
        let first = |&column: &usize| samples[column].texts.first().copied().unwrap_or_default();
        let first = time.iter().map(first).collect::<Vec<_>>().join(" ");
        if forms[0].is_range(&first) {
            self.notes
                .push(format!("times are ranges, as {first:?}: the first end of each counts"));
        }
        let is_fiscal = first.to_lowercase().contains("fy");
        if is_fiscal || (forms[0] == DateForm::Year && samples[time[0]].is_text()) {
            let note = format!("fiscal years, as {first:?}, are read as calendar years");
            self.notes.push(note);
        }
        let head = &file.names()[time[0]];
        if forms.iter().all(|form| form.parse(head).is_some()) && samples[time[0]].texts.len() > 1 {
            let problem = format!("there is no header: the first row begins with {head:?}");
            return Err(DataError::Format { file: file.file().to_owned(), problem });
        }
        for (column, forms) in &found {
            let sample = &samples[*column];
            let sure = !sample.is_numeric() || sample.ends_like_time();
            if !time.contains(column) && sure && !selected(sample) {
                out.insert(*column);
                let kind = match forms[0] {
                    DateForm::Year => "years",
                    DateForm::Unix { .. } => "Unix times",
                    _ => "dates",
                };
                let dates = &samples[time[0]].name;
                let note =
                    format!("column `{}` holds {kind}, as `{dates}` does: left out", sample.name);
                self.notes.push(note);
            }
        }
        for column in parts_of(samples, &time, &forms[0]) {
            if !selected(&samples[column]) && out.insert(column) {
                let note =
                    format!("column `{}` is a part of the dates: left out", samples[column].name);
                self.notes.push(note);
            }
        }
        if options.time == TimeColumn::None {
            self.notes.push("times are not read: rows are taken at equal distances".to_owned());
            return Ok(());
        }
        (self.time, self.forms) = (time, forms);
        Ok(())
    }
}

/// The error for a column of times without a common form. If the first text is a date, the error
/// names the first row with another form.
fn no_dates(file: &DelimitedFile<'_>, sample: &Sample<'_>) -> DataError {
    let text = sample.texts.first().copied().unwrap_or_default();
    let (place, name) = (sample.column + 1, &sample.name);
    let line_of = |text: &str| {
        let of =
            |row: &usize| file.sample_cell(*row, sample.column).trim_ascii() == text.as_bytes();
        file.sample_line((0..file.sample_rows()).find(of).unwrap_or(0))
    };
    let forms = DateForm::of_texts(&[text]);
    let other = |text: &&&str| forms.iter().all(|form| form.parse(text).is_none());
    let (line, problem) = match sample.texts.iter().find(other) {
        Some(other) if !forms.is_empty() => (
            line_of(other),
            format!(
                "{other:?} is not a date in the form of the first one, {text:?}; write all dates \
                 in one form"
            ),
        ),
        _ if file.names().len() == 1 && text.contains(' ') => (
            line_of(text),
            format!("{text:?} is one cell; separate cells by a comma, `;`, a tab or `|`"),
        ),
        _ => (
            line_of(text),
            format!(
                "{text:?} is a date in no form that is known; say how it is written by \
                 data.date_format, as in %d.%m.%Y, or set data.date = \"none\""
            ),
        ),
    };
    DataError::Format {
        file: format!("{}:{line}", file.file()),
        problem: format!("column {place} (`{name}`): {problem}"),
    }
}
