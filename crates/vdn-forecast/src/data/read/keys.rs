//! Detection of columns that name the series, and of columns that distinguish rows with the same
//! time.

use crate::data::read::parts::{is_called_a_part, is_part_of_dates};
use crate::data::read::rows::RawColumn;
use crate::data::read::sample::Sample;
use crate::data::read::{SeriesOptions, amounts};
use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use vdn_train::data::{DataError, DelimitedFile};

/// The usual names of the column with the series names in a long file. Its cells may be numbers.
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

/// Returns the column that names the series, if the file is in long form, among the `free` columns.
///
/// # Errors
/// Fails if times repeat and several text columns may name the series.
pub(super) fn find_id(
    file: &DelimitedFile<'_>,
    options: &SeriesOptions,
    free: &[&Sample<'_>],
    time: &[usize],
) -> Result<Option<usize>, DataError> {
    if let Some(name) = &options.id_column {
        return file.column(name).map(Some);
    }
    let repeated = come_again(file, time);
    let named = free.iter().find(|sample| {
        ID_NAMES.contains(&sample.name.to_lowercase().as_str())
            && (sample.is_text() || repeated || !sample.is_index())
    });
    if let Some(sample) = named
        && (options.target_column.is_some() || file.names().len() > time.len() + 1)
    {
        return Ok(Some(sample.column));
    }
    let names_series = |sample: &&&Sample<'_>| sample.is_text() && !is_part_of_dates(sample);
    let mut texts: Vec<&&Sample<'_>> = free.iter().filter(names_series).collect();
    texts.retain(|sample| !marks_rows(file, time, sample));
    // If another column can name the series, a column of amounts holds values.
    let holds_names = |sample: &&&Sample<'_>| amounts::first(file, sample).is_none();
    if texts.len() > 1 && texts.iter().any(holds_names) {
        texts.retain(holds_names);
    }
    if texts.is_empty() {
        return Ok(None);
    }
    // Among several columns of text, the series has its name in the column whose texts differ
    // between rows of the same time.
    if repeated && texts.len() > 1 {
        let apart: Vec<&&Sample<'_>> =
            texts.iter().copied().filter(|one| tells_rows(file, time, one)).collect();
        if let [_] = apart[..] {
            texts = apart;
        }
    }
    match &texts[..] {
        [one] if repeated && is_called_a_part(one) => {
            let (name, text) = (&one.name, one.texts.first().copied().unwrap_or_default());
            Err(DataError::InvalidOption(format!(
                "{}: column `{name}` ({text:?}) has the name of a part of the dates, in no form \
                 that is known: join it to the dates, or, if it names the series, say so by \
                 data.id_column = {name:?}",
                file.file()
            )))
        }
        [one] if repeated => Ok(Some(one.column)),
        [first, second, ..] if repeated => Err(DataError::InvalidOption(format!(
            "{}: the columns `{}` and `{}` may name the series: say which by data.id_column, or \
             join them to one column if only both name a series",
            file.file(),
            first.name,
            second.name
        ))),
        _ => Ok(None),
    }
}

/// Whether a time occurs more than once in the sample. In a wide table every time is unique.
pub(super) fn come_again(file: &DelimitedFile<'_>, time: &[usize]) -> bool {
    let mut times = HashSet::new();
    times_of(file, time).any(|time| !times.insert(time))
}

/// The times of the rows in the sample, as texts.
fn times_of<'f>(
    file: &'f DelimitedFile<'_>,
    time: &'f [usize],
) -> impl Iterator<Item = Vec<&'f [u8]>> {
    let of = |row| time.iter().map(|&column| file.sample_cell(row, column)).collect();
    (0..file.sample_rows()).map(of)
}

/// Whether the texts of a column differ between all rows of the same time in the sample.
fn tells_rows(file: &DelimitedFile<'_>, time: &[usize], sample: &Sample<'_>) -> bool {
    let mut pairs = HashSet::new();
    let cell = |row| file.sample_cell(row, sample.column).trim_ascii();
    times_of(file, time).enumerate().all(|(row, time)| pairs.insert((time, cell(row))))
}

/// Whether a text column marks single rows instead of naming series. An example is a mark on the
/// hour that clocks repeat.
///
/// In such a file few rows have the same time as another row, and at most one text occurs more than
/// once. A text in the last rows of the sample may begin a series, so it counts as a repeated text.
fn marks_rows(file: &DelimitedFile<'_>, time: &[usize], sample: &Sample<'_>) -> bool {
    let different: HashSet<Vec<&[u8]>> = times_of(file, time).collect();
    let rows = file.sample_rows();
    if 10 * (rows - different.len()) >= rows {
        return false;
    }
    let mut found: HashMap<&[u8], usize> = HashMap::new();
    for row in 0..rows {
        *found.entry(file.sample_cell(row, sample.column).trim_ascii()).or_default() += 1;
    }
    let last = |text: &[u8]| {
        let end = rows.saturating_sub(2)..rows;
        end.into_iter().any(|row| file.sample_cell(row, sample.column).trim_ascii() == text)
    };
    found.iter().filter(|(text, count)| **count > 1 || last(text)).count() < 2
}

/// Whether a text column has only a few values, each in one block of rows, as in files that list
/// the series one after the other.
pub(super) fn may_name_series(sample: &Sample<'_>) -> bool {
    let mut blocks = sample.texts.clone();
    blocks.dedup();
    let different: HashSet<&&str> = blocks.iter().collect();
    !is_part_of_dates(sample)
        && blocks.len() > 1
        && different.len() == blocks.len()
        && 10 * blocks.len() <= sample.texts.len()
}

/// The number of rows with the time of another row that a numeric series does not distinguish by
/// chance.
const MANY: usize = 20;

/// The maximum number of text columns that are examined, the first ones in the file. Each takes
/// eight bytes per row.
pub(super) const MOST_TEXTS: usize = 8;

/// A text column that is not a series, with a hash of each of its texts.
pub(super) struct TextColumn {
    pub(super) name: String,
    pub(super) column: usize,
    texts: Vec<u64>,
}

impl TextColumn {
    pub(super) fn new(name: String, column: usize) -> Self {
        Self { name, column, texts: Vec::new() }
    }

    pub(super) fn push(&mut self, text: &[u8]) {
        let mut hasher = DefaultHasher::new();
        text.hash(&mut hasher);
        self.texts.push(hasher.finish());
    }
}

/// Returns the name of the column that differs between all rows of the same time, and whose values
/// occur at other times again. It is a text column or, if many rows have the time of another row, a
/// column of whole numbers in a table with several numeric columns.
pub(super) fn telling<'a>(
    times: &[i64],
    texts: &'a [TextColumn],
    numbers: &'a [RawColumn],
) -> Option<&'a str> {
    let tells = |keys: &mut dyn Iterator<Item = u64>| {
        let (mut pairs, mut different) = (HashSet::new(), HashSet::new());
        let mut all = times.iter().zip(keys);
        let unique = all.all(|(time, key)| {
            different.insert(key);
            pairs.insert((time, key))
        });
        unique && different.len() > 1 && 2 * different.len() <= times.len()
    };
    let text = texts.iter().find(|one| tells(&mut one.texts.iter().copied()));
    text.map(|one| one.name.as_str()).or_else(|| {
        // With few repeated times, almost any series distinguishes their rows.
        let different: HashSet<&i64> = times.iter().collect();
        if numbers.len() < 2 || times.len() < different.len() + MANY {
            return None;
        }
        let whole = |one: &&RawColumn| one.values.iter().all(|value| value.fract() == 0.0);
        let number = numbers.iter().filter(whole);
        let mut tell = number.filter(|one| tells(&mut one.values.iter().map(|v| v.to_bits())));
        tell.next().map(|one| one.name.as_str())
    })
}
