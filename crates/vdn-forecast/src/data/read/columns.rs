//! Which columns of a file hold times, names of series, and numbers: found from a sample of its
//! rows. Names of columns help where content alone does not decide.

use crate::data::read::parts::{calendar_parts, parts_of, time_of_day};
use crate::data::read::sample::Sample;
use crate::data::read::{SeriesOptions, TimeColumn};
use crate::data::time::DateForm;
use std::collections::HashSet;
use vdn_train::data::{DataError, DelimitedFile};

/// Names of columns that name the series of a long file, also by numbers.
const ID_NAMES: [&str; 8] = [
    "unique_id",
    "item_id",
    "series_id",
    "ts_id",
    "tsid",
    "series",
    "series_name",
    "timeseries_id",
];

/// Names of the values of a long file.
const TARGET_NAMES: [&str; 4] = ["y", "value", "target", "values"];

/// What the columns of a file hold.
pub(super) struct Columns {
    /// The columns whose texts, joined by blanks, are the times; none: rows have no times.
    pub(super) time: Vec<usize>,
    /// The forms that the times may have.
    pub(super) forms: Vec<DateForm>,
    /// The column that names series, in long form.
    pub(super) id: Option<usize>,
    /// The columns of numbers: the series, or the one with the values in long form.
    pub(super) numbers: Vec<usize>,
    /// Columns beside the series: known until a forecast begins, known ahead, and static.
    pub(super) beside: [Vec<usize>; 3],
    pub(super) notes: Vec<String>,
}

impl Columns {
    /// Finds what the columns of `file` hold.
    ///
    /// # Errors
    /// A column asked for is not there; a date column without dates; several columns that may name
    /// the series or hold their values; no column of numbers.
    pub(super) fn find(
        file: &DelimitedFile<'_>,
        options: &SeriesOptions,
    ) -> Result<Self, DataError> {
        let samples: Vec<Sample<'_>> =
            (0..file.names().len()).map(|column| Sample::of(file, column)).collect();
        let mut this = Self {
            time: Vec::new(),
            forms: Vec::new(),
            id: None,
            numbers: Vec::new(),
            beside: beside(file, options)?,
            notes: Vec::new(),
        };
        let mut out: HashSet<usize> = this.beside.iter().flatten().copied().collect();
        this.find_time(file, options, &samples, &mut out)?;
        if let Some(column) = this.beside.iter().flatten().find(|c| this.time.contains(c)) {
            let what = format!("column `{}` holds the dates", file.names()[*column]);
            return Err(DataError::InvalidOption(format!("{what}: it cannot be a covariate")));
        }
        if !this.time.is_empty() {
            this.id = this.find_id(file, options, &samples)?;
        }
        match this.id {
            Some(id) => {
                out.insert(id);
                let value = this.find_target(file, options, &samples, &out)?;
                this.numbers = vec![value];
            }
            None => this.find_series(file, options, &samples, &mut out)?,
        }
        let series: HashSet<usize> = this.numbers.iter().copied().collect();
        if let Some(column) = this.beside.iter().flatten().find(|c| series.contains(c)) {
            let name = &file.names()[*column];
            let what = format!("column `{name}` is selected as a series and as a covariate");
            return Err(DataError::InvalidOption(what));
        }
        if this.id.is_none() && !this.beside[2].is_empty() {
            return Err(DataError::InvalidOption(
                "data.static needs a file in long form, whose rows name their series".to_owned(),
            ));
        }
        Ok(this)
    }

    fn find_time(
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
            // Who names a column says that its numbers are times.
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
        // Texts before numbers, telling names before others, then the first one.
        let rank = |(column, _): &(usize, Vec<DateForm>)| {
            let sample = &samples[*column];
            (sample.is_numeric(), !sample.is_named_like_time(), *column)
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
        let head = &file.names()[time[0]];
        if forms.iter().all(|form| form.parse(head).is_some()) && samples[time[0]].texts.len() > 1 {
            let problem = format!("there is no header: the first row begins with {head:?}");
            return Err(DataError::Format { file: file.file().to_owned(), problem });
        }
        for (column, forms) in &found {
            let sample = &samples[*column];
            let sure = !sample.is_numeric() || sample.is_named_like_time();
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

    /// The column that names series, where the file is in long form.
    fn find_id(
        &self,
        file: &DelimitedFile<'_>,
        options: &SeriesOptions,
        samples: &[Sample<'_>],
    ) -> Result<Option<usize>, DataError> {
        if let Some(name) = &options.id_column {
            return file.column(name).map(Some);
        }
        let beside: HashSet<usize> = self.beside.iter().flatten().copied().collect();
        let free = |sample: &&Sample<'_>| {
            !self.time.contains(&sample.column) && !beside.contains(&sample.column)
        };
        let named = samples.iter().filter(free).find(|sample| {
            ID_NAMES.contains(&sample.name.to_lowercase().as_str())
                && (sample.is_text() || !sample.is_index())
        });
        if let Some(sample) = named
            && (options.target_column.is_some() || samples.len() > self.time.len() + 1)
        {
            return Ok(Some(sample.column));
        }
        let texts: Vec<&Sample<'_>> =
            samples.iter().filter(free).filter(|sample| sample.is_text()).collect();
        // A wide table has every time once.
        let mut times = HashSet::new();
        let repeated = (0..file.sample_rows()).any(|row| {
            let time: Vec<&[u8]> =
                self.time.iter().map(|&column| file.sample_cell(row, column)).collect();
            !times.insert(time)
        });
        match &texts[..] {
            [one] if repeated => Ok(Some(one.column)),
            [first, second, ..] if repeated => Err(DataError::InvalidOption(format!(
                "{}: the columns `{}` and `{}` may name the series: say which by data.id_column",
                file.file(),
                first.name,
                second.name
            ))),
            _ => Ok(None),
        }
    }

    /// The column with the values of a long file.
    fn find_target(
        &mut self,
        file: &DelimitedFile<'_>,
        options: &SeriesOptions,
        samples: &[Sample<'_>],
        out: &HashSet<usize>,
    ) -> Result<usize, DataError> {
        if let Some(name) = &options.target_column {
            return file.column(name);
        }
        let free = |sample: &&Sample<'_>| !out.contains(&sample.column) && !sample.is_index();
        let numbers: Vec<&Sample<'_>> =
            samples.iter().filter(free).filter(|sample| !sample.is_text()).collect();
        let by_name =
            || numbers.iter().find(|s| TARGET_NAMES.contains(&s.name.to_lowercase().as_str()));
        match (&numbers[..], by_name()) {
            ([one], _) => Ok(one.column),
            (_, Some(target)) => {
                let others = numbers.iter().filter(|s| s.column != target.column);
                let others: Vec<String> = others.map(|s| format!("`{}`", s.name)).collect();
                self.notes.push(format!("columns {} are left out", others.join(", ")));
                Ok(target.column)
            }
            _ => Err(DataError::InvalidOption(format!(
                "{}: {} columns of numbers beside the names of series: say which holds the \
                 values by data.target_column",
                file.file(),
                numbers.len()
            ))),
        }
    }

    /// The series of a wide file.
    fn find_series(
        &mut self,
        file: &DelimitedFile<'_>,
        options: &SeriesOptions,
        samples: &[Sample<'_>],
        out: &mut HashSet<usize>,
    ) -> Result<(), DataError> {
        if let Some(wanted) = &options.columns {
            if wanted.is_empty() {
                return Err(DataError::InvalidOption("no column is selected".to_owned()));
            }
            let mut seen = HashSet::new();
            for name in wanted {
                let column = file.column(name)?;
                let invalid = |what: &str| {
                    Err(DataError::InvalidOption(format!("column `{name}` is selected {what}")))
                };
                if self.time.contains(&column) {
                    return invalid("as a series but holds the dates");
                }
                if !seen.insert(column) {
                    return invalid("twice");
                }
                self.numbers.push(column);
            }
            return Ok(());
        }
        for sample in samples.iter().filter(|sample| !out.contains(&sample.column)) {
            let left_out = match sample {
                sample if sample.is_index() && samples.len() > out.len() + 1 => "numbers the rows",
                sample if sample.is_text() && !self.time.is_empty() => "holds text",
                sample if sample.column == 0 && sample.is_called_a_date() && samples.len() > 1 => {
                    "holds numbers that are no dates"
                }
                _ => {
                    self.numbers.push(sample.column);
                    continue;
                }
            };
            self.notes.push(format!("column `{}` {left_out}: left out", sample.name));
        }
        if self.numbers.is_empty() {
            return Err(DataError::NoSeries {
                file: file.file().to_owned(),
                date: self.time.first().map_or_else(String::new, |&c| file.names()[c].clone()),
                delimiter: char::from(file.delimiter()),
            });
        }
        Ok(())
    }
}

/// The columns beside the series, each once.
fn beside(file: &DelimitedFile<'_>, options: &SeriesOptions) -> Result<[Vec<usize>; 3], DataError> {
    let mut seen = HashSet::new();
    let mut of = |names: &[String]| -> Result<Vec<usize>, DataError> {
        let one = |name: &String| {
            let column = file.column(name)?;
            match seen.insert(column) {
                true => Ok(column),
                false => {
                    let what = format!("column `{name}` is named twice as a covariate");
                    Err(DataError::InvalidOption(what))
                }
            }
        };
        names.iter().map(one).collect()
    };
    Ok([of(&options.past)?, of(&options.future)?, of(&options.statics)?])
}

fn no_dates(file: &DelimitedFile<'_>, sample: &Sample<'_>) -> DataError {
    let text = sample.texts.first().copied().unwrap_or_default();
    DataError::Format {
        file: format!("{}:{}", file.file(), file.sample_line(0)),
        problem: format!(
            "column {} (`{}`): {text:?} is a date in no form that is known; say how it is written \
             by data.date_format, as in %d.%m.%Y, or set data.date = \"none\"",
            sample.column + 1,
            sample.name
        ),
    }
}
