//! The rows of a file in file order, grouped by series: times in every possible form, and numbers.

use crate::data::read::columns::Columns;
use crate::data::read::integers::beyond_exact;
use crate::data::read::keys::{MOST_TEXTS, TextColumn};
use crate::data::read::parts::without_fraction;
use crate::data::read::side::SideNames;
use crate::data::read::{SeriesOptions, integers};
use crate::data::time::{DateForm, Moment, Progressions};
use std::collections::HashMap;
use vdn_train::data::{Cell, DataError, DelimitedFile};

/// The maximum number of date texts whose moments are cached. In a long file each date repeats.
const REMEMBERED: usize = 1 << 16;

/// Marks a time without an offset in a list of offsets.
pub(super) const NO_OFFSET: i64 = i64::MIN;

/// Rows with their own times: all rows of a wide file, or the rows of one series in a long file.
#[derive(Default)]
pub(super) struct Group {
    /// The local time of each row, in each of the date forms.
    pub(super) clocks: Vec<Progressions>,
    /// The offset of each row from UTC, in seconds.
    pub(super) offsets: Progressions,
    pub(super) lines: Progressions,
    /// The series, followed by the numeric covariate columns.
    pub(super) columns: Vec<RawColumn>,
    /// In a long file, the cells of static columns.
    pub(super) statics: Vec<String>,
}

/// The values of a series; NaN marks a missing value.
#[derive(Default)]
pub(super) struct RawColumn {
    pub(super) name: String,
    /// The position in the file, from 0.
    pub(super) place: usize,
    pub(super) values: Vec<f64>,
    /// Whether `values` contains a value that is not missing.
    pub(super) has_begun: bool,
    /// An example of a cell that stands for a missing value.
    pub(super) word: Option<String>,
    /// The number of missing values that are sentinels.
    pub(super) sentinels: usize,
    /// The offset that is subtracted from integers beyond 2^53.
    pub(super) offset: i128,
    /// The number of integers that were rounded.
    pub(super) rounded: usize,
    /// Numbers far from `offset`, as in the file.
    pub(super) far: Vec<f64>,
}

/// All rows of a file.
pub(super) struct RawRows {
    pub(super) file: String,
    pub(super) groups: Vec<Group>,
    /// The forms that match all times, with their positions in [`Group::clocks`].
    pub(super) forms: Vec<(usize, DateForm)>,
    /// A time that the forms read differently.
    pub(super) example: String,
    pub(super) notes: Vec<String>,
    pub(super) long: bool,
    /// Text columns that are left out of a wide table.
    pub(super) texts: Vec<TextColumn>,
    /// The names of the covariate columns.
    pub(super) side: SideNames,
}

/// A reader of the times of rows.
struct Times {
    columns: Vec<usize>,
    forms: Vec<(usize, DateForm)>,
    remembered: Option<HashMap<String, Vec<Option<Moment>>>>,
    text: String,
    moments: Vec<Option<Moment>>,
}

impl Times {
    fn read(&mut self, file: &DelimitedFile<'_>) -> Result<(), DataError> {
        self.text.clear();
        for (i, &column) in self.columns.iter().enumerate() {
            if i > 0 {
                self.text.push(' ');
            }
            let cell = String::from_utf8_lossy(file.cell(column).trim_ascii());
            let cell = match self.columns.len() {
                1 => &cell[..],
                _ => without_fraction(&cell),
            };
            self.text.push_str(cell);
        }
        let known = self.remembered.as_ref().and_then(|known| known.get(&self.text));
        match known {
            Some(moments) => self.moments.clone_from(moments),
            None => {
                let count = self.moments.len();
                self.moments.clear();
                self.moments.resize(count, None);
                for (place, form) in &self.forms {
                    self.moments[*place] = form.parse(&self.text);
                }
                if let Some(known) = &mut self.remembered
                    && known.len() < REMEMBERED
                {
                    known.insert(self.text.clone(), self.moments.clone());
                }
            }
        }
        if self.forms.iter().any(|(place, _)| self.moments[*place].is_none()) {
            let read = |(place, _): &(usize, DateForm)| self.moments[*place].is_some();
            if !self.forms.iter().any(read) {
                return Err(self.no_date(file));
            }
            let moments = &self.moments;
            self.forms.retain(|(place, _)| moments[*place].is_some());
        }
        Ok(())
    }

    /// Whether all forms read the time as the same moment.
    fn has_one_reading(&self) -> bool {
        let mut read = self.forms.iter().map(|(place, _)| self.moments[*place]);
        let first = read.next();
        read.all(|moment| Some(moment) == first)
    }

    fn no_date(&self, file: &DelimitedFile<'_>) -> DataError {
        let column = self.columns[0];
        let form = self.forms.first().map_or_else(String::new, |(_, form)| form.name());
        let what = match self.text.trim().is_empty() {
            true => "the time of the row is missing".to_owned(),
            false => format!("{:?} is not a date as the other rows have it ({form})", self.text),
        };
        DataError::Format {
            file: format!("{}:{}", file.file(), file.row_line()),
            problem: format!(
                "column {} (`{}`): {what}; remove rows that are not part of the table",
                column + 1,
                file.names()[column]
            ),
        }
    }
}

/// Reads all rows.
///
/// # Errors
/// Fails for a cell that is neither a number nor missing, a time that is not a date, a file that
/// exceeds its limits or has no rows, and a requested series that does not exist.
pub(super) fn read(
    mut file: DelimitedFile<'_>,
    columns: Columns,
    options: &SeriesOptions,
) -> Result<RawRows, DataError> {
    let Columns { time, forms, id, mut numbers, texts, beside, notes } = columns;
    let [past, future, statics] = beside;
    let series = numbers.len();
    numbers.extend(past.iter().chain(&future));
    let name = |&column: &usize| file.names()[column].clone();
    let side = SideNames {
        past: past.iter().map(name).collect(),
        future: future.iter().map(name).collect(),
        statics: statics.iter().map(name).collect(),
    };
    let others: Vec<(usize, String)> =
        numbers[series..].iter().map(|column| (*column, name(column))).collect();
    let mut times = Times {
        columns: time,
        moments: vec![None; forms.len()],
        forms: forms.into_iter().enumerate().collect(),
        remembered: id.map(|_| HashMap::new()),
        text: String::new(),
    };
    let mut raw = RawRows {
        file: file.file().to_owned(),
        groups: Vec::new(),
        forms: Vec::new(),
        example: String::new(),
        notes,
        long: id.is_some(),
        texts: texts
            .iter()
            .take(MOST_TEXTS)
            .map(|&column| TextColumn::new(file.names()[column].clone(), column))
            .collect(),
        side,
    };
    let group = |names: Vec<(usize, String)>| Group {
        clocks: vec![Progressions::default(); times.forms.len()],
        columns: names
            .into_iter()
            .map(|(place, name)| RawColumn { place, name, ..RawColumn::default() })
            .collect(),
        ..Group::default()
    };
    if id.is_none() {
        let names = numbers.iter().map(|&column| (column, file.names()[column].clone()));
        raw.groups.push(group(names.collect()));
    }
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut last: (Vec<u8>, usize) = (Vec::new(), 0);
    let (mut rows, mut cells) = (0_u64, 0_u64);
    let forms = times.forms.len();
    // Covariate columns that contain only words for true and false. In a column of numbers, `T`
    // stands for a trace.
    let truths: Vec<bool> = numbers
        .iter()
        .enumerate()
        .map(|(place, &column)| place >= series && holds_truth(&file, column))
        .collect();
    while file.next_row()? {
        let limits = &options.limits;
        (rows, cells) = (rows + 1, cells + numbers.len() as u64);
        if rows > limits.rows {
            return Err(file.beyond("rows", limits.rows, "rows of data"));
        }
        if cells > limits.cells {
            return Err(file.beyond("cells", limits.cells, "numbers in all series"));
        }
        let place = match id {
            None => 0,
            Some(id) if !raw.groups.is_empty() && file.cell(id) == last.0 => last.1,
            Some(id) => {
                let name = String::from_utf8_lossy(file.cell(id).trim_ascii()).into_owned();
                if name.is_empty() {
                    let (place, id) = (id + 1, &file.names()[id]);
                    let problem =
                        format!("column {place} (`{id}`): the name of the series is missing");
                    let file = format!("{}:{}", file.file(), file.row_line());
                    return Err(DataError::Format { file, problem });
                }
                let place = *places.entry(name.clone()).or_insert(raw.groups.len());
                if place == raw.groups.len() {
                    raw.groups.push(Group {
                        clocks: vec![Progressions::default(); forms],
                        columns: std::iter::once((numbers[0], name))
                            .chain(others.iter().cloned())
                            .map(|(place, name)| RawColumn { name, place, ..RawColumn::default() })
                            .collect(),
                        ..Group::default()
                    });
                }
                last = (file.cell(id).to_vec(), place);
                place
            }
        };
        let group = &mut raw.groups[place];
        raw.texts.iter_mut().for_each(|text| text.push(file.cell(text.column).trim_ascii()));
        check_statics(&file, &statics, group)?;
        group.lines.push(file.row_line() as i64);
        if !times.columns.is_empty() {
            times.read(&file)?;
            for (place, _) in &times.forms {
                let Some(moment) = times.moments[*place] else { continue };
                group.clocks[*place].push(moment.clock);
            }
            let offset = times.moments.iter().flatten().next().and_then(|moment| moment.offset);
            group.offsets.push(offset.map_or(NO_OFFSET, i64::from));
            if times.forms.len() > 1 && (raw.example.is_empty() || !times.has_one_reading()) {
                raw.example.clone_from(&times.text);
            }
        }
        for (place, (&column, to)) in numbers.iter().zip(&mut group.columns).enumerate() {
            let value = match value(&file, column, to, options) {
                Err(error) if truths[place] => truth(file.cell(column)).ok_or(error)?,
                value => value?,
            };
            to.has_begun |= !value.is_nan();
            to.values.push(value);
        }
    }
    if rows == 0 {
        return Err(DataError::NoRows { file: raw.file });
    }
    raw.forms = times.forms;
    raw.notes.extend(file.notes().iter().cloned());
    raw.groups.iter_mut().flat_map(|group| &mut group.columns).for_each(|column| {
        column.values.shrink_to_fit();
    });
    if let (Some(wanted), true) = (&options.columns, raw.long) {
        raw.select(wanted, &places)?;
    }
    Ok(raw)
}

impl RawRows {
    /// Keeps the requested series of a long file.
    fn select(
        &mut self,
        wanted: &[String],
        places: &HashMap<String, usize>,
    ) -> Result<(), DataError> {
        let mut groups: Vec<Option<Group>> =
            std::mem::take(&mut self.groups).into_iter().map(Some).collect();
        for name in wanted {
            let by_position = || {
                let k: usize = name.trim().strip_prefix('#')?.parse().ok()?;
                k.checked_sub(1).filter(|&k| k < groups.len())
            };
            let Some(place) = places.get(name.trim()).copied().or_else(by_position) else {
                let problem = "the data have no series of this name".to_owned();
                return Err(DataError::BadSeries { series: name.clone(), problem });
            };
            let Some(group) = groups[place].take() else {
                let what = format!("series `{name}` is selected twice");
                return Err(DataError::InvalidOption(what));
            };
            self.groups.push(group);
        }
        Ok(())
    }
}

/// Takes the static cells of the first row of a series, and rejects different cells in later rows.
fn check_statics(
    file: &DelimitedFile<'_>,
    columns: &[usize],
    group: &mut Group,
) -> Result<(), DataError> {
    let cell = |column: usize| String::from_utf8_lossy(file.cell(column).trim_ascii());
    if group.lines.len() == 0 {
        group.statics = columns.iter().map(|&column| cell(column).into_owned()).collect();
        return Ok(());
    }
    for (own, &column) in group.statics.iter().zip(columns) {
        if *own != cell(column) {
            return Err(DataError::Format {
                file: format!("{}:{}", file.file(), file.row_line()),
                problem: format!(
                    "column {} (`{}`): {:?} stands here and {own:?} in rows before of the same \
                     series, but data.static says that it does not change",
                    column + 1,
                    file.names()[column],
                    cell(column)
                ),
            });
        }
    }
    Ok(())
}

/// Whether the cells in the sample of a covariate column are words for true and false, or stand for
/// missing values.
fn holds_truth(file: &DelimitedFile<'_>, column: usize) -> bool {
    let form = file.numbers();
    let mut known = (0..file.sample_rows())
        .map(|row| file.sample_cell(row, column).trim_ascii())
        .filter(|cell| !cell.is_empty() && form.parse(cell) != Cell::Missing)
        .peekable();
    known.peek().is_some() && known.all(|cell| truth(cell).is_some())
}

/// Parses a word for true or false in a covariate column, to 1 or 0.
fn truth(cell: &[u8]) -> Option<f64> {
    const YES: [&[u8]; 4] = [b"true", b"t", b"yes", b"y"];
    const NO: [&[u8]; 4] = [b"false", b"f", b"no", b"n"];
    let is = |words: [&[u8]; 4]| words.iter().any(|w| cell.trim_ascii().eq_ignore_ascii_case(w));
    if is(YES) { Some(1.0) } else { is(NO).then_some(0.0) }
}

/// Returns the number in a cell; NaN if it is missing.
fn value(
    file: &DelimitedFile<'_>,
    column: usize,
    to: &mut RawColumn,
    options: &SeriesOptions,
) -> Result<f64, DataError> {
    let missing = |to: &mut RawColumn| {
        if to.word.is_none() {
            to.word = Some(String::from_utf8_lossy(file.cell(column).trim_ascii()).into_owned());
        }
        Ok(f64::NAN)
    };
    match file.number(column) {
        Cell::Number(value) => {
            // Single-precision tables write 9.96921e36 for 9.969209968386869e36.
            let is_sentinel =
                |&x: &f64| x == value || (x.abs() > integers::EXACT && x as f32 == value as f32);
            if options.sentinels.iter().any(is_sentinel) {
                to.sentinels += 1;
                return missing(to);
            }
            if to.offset != 0 || value.abs() >= integers::EXACT {
                return Ok(beyond_exact(file.cell(column), file.numbers(), value, to));
            }
            Ok(value)
        }
        Cell::Missing => missing(to),
        Cell::Bad => Err(file.bad_cell(column)),
    }
}
