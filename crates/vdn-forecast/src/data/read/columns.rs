//! Detection of the columns of times, of series names and of numbers, from a sample of the file's
//! rows. The names of columns help if the content alone is ambiguous.

use crate::data::read::amounts::{self, Amount};
use crate::data::read::parts::is_month;
use crate::data::read::sample::Sample;
use crate::data::read::{SeriesOptions, TimeColumn, header, index, keys, number_dates};
use crate::data::time::DateForm;
use std::collections::HashSet;
use vdn_train::data::{DataError, DelimitedFile};

/// The usual names of the value column of a long file.
const TARGET_NAMES: [&str; 4] = ["y", "value", "target", "values"];

/// The roles of the columns of a file.
pub(super) struct Columns {
    /// The columns whose texts, joined by blanks, are the times. Empty: rows have no times.
    pub(super) time: Vec<usize>,
    /// The possible date forms of the times.
    pub(super) forms: Vec<DateForm>,
    /// The column with the names of the series, in long form.
    pub(super) id: Option<usize>,
    /// The numeric columns: the series, or in long form the value column.
    pub(super) numbers: Vec<usize>,
    /// Text columns that are left out of a wide table.
    pub(super) texts: Vec<usize>,
    /// The covariate columns: known until a forecast begins, known ahead, and static.
    pub(super) beside: [Vec<usize>; 3],
    pub(super) notes: Vec<String>,
}

impl Columns {
    /// Finds the roles of the columns of `file`.
    ///
    /// # Errors
    /// Fails for a requested column that does not exist, a date column without dates, several
    /// candidates for the column of series names or of values, and a file without a numeric column.
    pub(super) fn find(
        file: &DelimitedFile<'_>,
        options: &SeriesOptions,
    ) -> Result<Self, DataError> {
        let samples: Vec<Sample<'_>> =
            (0..file.names().len()).map(|column| Sample::of(file, column)).collect();
        let notes = header::check(file)?.into_iter().collect();
        let mut this = Self {
            time: Vec::new(),
            forms: Vec::new(),
            id: None,
            numbers: Vec::new(),
            texts: Vec::new(),
            beside: beside(file, options)?,
            notes,
        };
        let mut out: HashSet<usize> = this.beside.iter().flatten().copied().collect();
        this.find_time(file, options, &samples, &mut out)?;
        if this.time.is_empty() && options.time == TimeColumn::Auto && options.columns.is_none() {
            header::refuse_times_as_names(file, &samples)?;
        }
        if let Some(column) = this.beside.iter().flatten().find(|c| this.time.contains(c)) {
            let what = format!("column `{}` holds the dates", file.names()[*column]);
            return Err(DataError::InvalidOption(format!("{what}: it cannot be a covariate")));
        }
        if !this.time.is_empty() {
            let beside: HashSet<usize> = this.beside.iter().flatten().copied().collect();
            let free = |sample: &&Sample<'_>| {
                !this.time.contains(&sample.column) && !beside.contains(&sample.column)
            };
            let free: Vec<&Sample<'_>> = samples.iter().filter(free).collect();
            this.id = keys::find_id(file, options, &free, &this.time)?;
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

    /// Finds the value column of a long file.
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
        let mut texts =
            samples.iter().filter(|sample| !out.contains(&sample.column) && sample.is_text());
        let is_target = |s: &Sample<'_>| {
            by_name().is_none() && TARGET_NAMES.contains(&s.name.to_lowercase().as_str())
        };
        let amount = texts.find_map(|sample| {
            let amount = amounts::first(file, sample)?;
            (numbers.is_empty() || is_target(sample)).then_some((sample, amount))
        });
        if let Some((sample, amount)) = amount {
            return Err(amount.refused(file, sample));
        }
        let target = match (&numbers[..], by_name()) {
            ([one], _) => Some(one.column),
            (_, Some(target)) => Some(target.column),
            _ => None,
        };
        match target {
            Some(target) => {
                let others = samples.iter().filter(|sample| {
                    !out.contains(&sample.column)
                        && sample.column != target
                        && !sample.texts.is_empty()
                });
                let others: Vec<String> = others.map(|s| format!("`{}`", s.name)).collect();
                match &others[..] {
                    [] => {}
                    [one] => self.notes.push(format!("column {one} is left out")),
                    _ => self.notes.push(format!("columns {} are left out", others.join(", "))),
                }
                Ok(target)
            }
            _ => Err(DataError::InvalidOption(format!(
                "{}: {} columns of numbers beside the names of series: say which holds the \
                 values by data.target_column",
                file.file(),
                numbers.len()
            ))),
        }
    }

    /// Whether a column repeats the times of the rows as Unix times.
    fn repeats_dates(&self, sample: &Sample<'_>, samples: &[Sample<'_>]) -> bool {
        let [time] = self.time[..] else { return false };
        let dates = samples[time].texts.iter().map(|text| self.forms[0].parse(text));
        number_dates::is_near(sample, &dates.flatten().collect::<Vec<_>>())
    }

    /// Finds the series of a wide file.
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
        let numeric = |sample: &&Sample<'_>| !out.contains(&sample.column) && !sample.is_text();
        let mut free = samples.iter().filter(numeric).count();
        // If times repeat, distinct integers may be series identifiers instead of row numbers.
        let again = !self.time.is_empty() && keys::come_again(file, &self.time);
        let mut unread: Option<(&Sample<'_>, Amount)> = None;
        for sample in samples.iter().filter(|sample| !out.contains(&sample.column)) {
            let dated = !self.time.is_empty();
            let left_out = match sample {
                sample if free > 1 && index::is_named_index(sample) => "numbers the rows",
                sample if free > 1 && !again && sample.is_index() => "numbers the rows",
                sample if free > 1 && index::is_one_id(sample) => "holds one id in all rows",
                sample if dated && self.repeats_dates(sample, samples) => {
                    "holds Unix times near the dates"
                }
                sample if dated && sample.is_text() => {
                    if let Some(amount) = amounts::first(file, sample) {
                        self.notes.push(amount.left_out(sample));
                        unread = unread.or(Some((sample, amount)));
                        continue;
                    }
                    self.texts.push(sample.column);
                    match keys::may_name_series(sample) {
                        true => "holds text, and may name the series (data.id_column)",
                        false => "holds text",
                    }
                }
                sample if free > 1 && !dated && sample.column == 0 && sample.is_called_a_date() => {
                    "holds numbers that are no dates of a known form"
                }
                sample if free > 1 && number_dates::looks_like_time(sample) => {
                    "rises like a time in no form that is known"
                }
                _ => {
                    self.numbers.push(sample.column);
                    continue;
                }
            };
            free -= usize::from(!sample.is_text());
            self.notes.push(format!("column `{}` {left_out}: left out", sample.name));
        }
        // If columns of amounts are left out, the other numeric columns may only number the rows.
        let is_series = |&column: &usize| samples[column].is_series();
        if let Some((sample, amount)) = unread
            && !self.numbers.iter().any(is_series)
        {
            return Err(amount.refused(file, sample));
        }
        let months = |column: &&usize| is_month(&file.names()[**column]);
        if !self.time.is_empty() && self.numbers.iter().filter(months).count() >= 12 {
            let note = "columns are named after months, and each is read as a series of its own: \
                        put them below each other where they are one series";
            self.notes.push(note.to_owned());
        }
        if self.numbers.is_empty() {
            // Cells may be numbers in an unknown form, such as `12.5MW` or `0x1f`.
            let digit = |sample: &&Sample<'_>| {
                let text = sample.texts.first().copied().unwrap_or_default();
                text.trim_start_matches(|c: char| "+-.".contains(c))
                    .starts_with(|c: char| c.is_ascii_digit())
            };
            let texts = || self.texts.iter().map(|&column| &samples[column]);
            if let Some(sample) = texts().find(digit).or_else(|| texts().next()) {
                return Err(no_number(file, sample));
            }
            return Err(DataError::NoSeries {
                file: file.file().to_owned(),
                date: self.time.first().map_or_else(String::new, |&c| file.names()[c].clone()),
                delimiter: char::from(file.delimiter()),
            });
        }
        Ok(())
    }
}

/// Returns the covariate columns, each of them once.
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

/// Returns the error for a file that has only columns of text beside the times.
fn no_number(file: &DelimitedFile<'_>, sample: &Sample<'_>) -> DataError {
    let text = sample.texts.first().copied().unwrap_or_default();
    let at = |row: &usize| file.sample_cell(*row, sample.column).trim_ascii() == text.as_bytes();
    let row = (0..file.sample_rows()).find(at).unwrap_or(0);
    let (place, name) = (sample.column + 1, &sample.name);
    DataError::Format {
        file: format!("{}:{}", file.file(), file.sample_line(row)),
        problem: format!(
            "column {place} (`{name}`): {text:?} is no number in a form that is known, and no \
             other column holds numbers; write numbers as 1234.5 or 1234,5, and true and false as \
             1 and 0"
        ),
    }
}
