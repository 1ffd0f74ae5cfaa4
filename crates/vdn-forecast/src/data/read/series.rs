//! Converts placed rows to series: each begins with its first value, and gaps are filled.

use crate::data::read::SeriesOptions;
use crate::data::read::place::{Placed, PlacedGroup};
use crate::data::read::rows::RawColumn;
use crate::data::read::side::{self, Begin};
use crate::data::read::table::{SeriesRows, SeriesTable};
use crate::data::read::values::{Suspicious, suspicious, suspicious_integers};
use crate::data::support::Support;
use crate::data::time::{Clock, Progressions, SECOND};
use std::ops::Range;
use std::sync::Arc;
use vdn_train::data::{DataError, Fill};

/// The maximum number of notes of one kind that are listed one by one.
const MOST_NOTES: usize = 20;

/// Notes of one kind, each about one series.
#[derive(Default)]
struct Notes(Vec<String>);

impl Notes {
    fn tell(self, to: &mut Vec<String>) {
        let all = self.0.len();
        to.extend(self.0.into_iter().take(MOST_NOTES));
        if all > MOST_NOTES {
            to.push(format!("the same of {} more series", all - MOST_NOTES));
        }
    }
}

/// Fills missing values, and cuts off the rows before the first value of each series.
///
/// # Errors
/// Fails for missing rows or values without a fill policy, for a series without values, and for a
/// value outside the support.
pub(super) fn finish(placed: Placed, options: &SeriesOptions) -> Result<SeriesTable, DataError> {
    let (fill, support) = (options.fill, options.support);
    if let Fill::Value(value) = fill
        && !value.is_finite()
    {
        let what = format!("missing values cannot be filled with {value}");
        return Err(DataError::InvalidOption(what));
    }
    let Placed { file, calendar, groups, mut notes, gaps, side } = placed;
    if gaps.count > 0 {
        let text = gaps.text(&file);
        if fill == Fill::Error {
            // The gap may be the hour that is skipped in spring.
            let step = calendar.as_ref().filter(|calendar| calendar.clock == Clock::File);
            let hour = step.and_then(|calendar| calendar.step.advance(0, gaps.longest as i64));
            let forward = match hour {
                Some(time) if time <= 3600 * SECOND => {
                    ", or, where clocks were set forward, name their zone by data.zone"
                }
                _ => "",
            };
            let problem = format!(
                "{text}; choose a fill policy (--fill forward), or give the missing rows{forward}"
            );
            return Err(DataError::Format { file, problem });
        }
        notes.push(match options.mask {
            true => format!("{text}: kept as missing"),
            false => format!("{text}: filled, {}", how(fill)),
        });
    }
    let masked = options.mask;
    let mut table = SeriesTable { file, calendar, support, side, masked, ..SeriesTable::default() };
    let [mut empty, mut late, mut filled, mut constant, mut fills, mut integers]: [Notes; 6] =
        Default::default();
    let several = groups.len() > 1;
    // Columns without any value are dropped, if other columns have values and no columns are
    // selected.
    let beside = table.side.numbers();
    let has_values = |column: &RawColumn| column.values.iter().any(|value| !value.is_nan());
    let series = |one: &PlacedGroup| one.group.columns.len() - beside;
    let any = groups.iter().any(|one| one.group.columns[..series(one)].iter().any(has_values));
    let leave_out = any && options.columns.is_none();
    for place in 0..beside {
        let parts = || groups.iter().map(|one| &one.group.columns[series(one) + place]);
        if side::is_constant(parts()) {
            let name = parts().next().map_or("", |part| &part.name);
            constant.0.push(format!("{name}: is the same in all rows, and tells nothing"));
        }
    }
    for PlacedGroup { start, lines, group } in groups {
        let lines = Arc::new(lines);
        let (mut columns, statics) = (group.columns, group.statics);
        let others = columns.split_off(columns.len() - beside);
        if leave_out {
            for column in columns.iter().filter(|column| !has_values(column)) {
                let (name, rows) = (&column.name, column.values.len());
                empty.0.push(format!("{name}: all {rows} values are missing: left out"));
            }
            columns.retain(has_values);
            if columns.is_empty() {
                continue;
            }
        }
        // Rows after the last observation contain only columns that are known ahead.
        if !table.side.future.is_empty() {
            let last = |column: &RawColumn| column.values.iter().rposition(|x| !x.is_nan());
            let end = columns.iter().filter_map(last).max().map_or(0, |row| row + 1);
            columns.iter_mut().for_each(|column| column.values.truncate(end));
        }
        let end = columns.iter().map(|column| column.values.len()).max().unwrap_or(0);
        let missing = |column: &RawColumn, row: usize| table.missing(column, &lines, row);
        for column in &others {
            let name = match (several, columns.first()) {
                (true, Some(series)) => format!("{}, {}", series.name, column.name),
                _ => column.name.clone(),
            };
            tell_suspicious(&name, &column.values, &mut fills);
            side::tell(&name, column, &lines, end, fill, &mut filled.0);
        }
        let empty = |column: &RawColumn| {
            let of = match (several, columns.first()) {
                (true, Some(series)) => format!(" of the series `{}`", series.name),
                _ => String::new(),
            };
            DataError::Format {
                file: table.file.clone(),
                problem: format!(
                    "column {} (`{}`) has no value in the rows{of}: leave the column{} out, or put \
                     zeros in (--fill zero)",
                    column.place + 1,
                    column.name,
                    if several { " or the series" } else { "" }
                ),
            }
        };
        let (side, begin) = side::side(&table.side, others, statics, end, fill, missing, empty)?;
        for mut column in columns {
            let (lines, side) = (Arc::clone(&lines), Arc::clone(&side));
            let rows = SeriesRows { start, lines, side, ..SeriesRows::default() };
            table.check_support(&column, &rows)?;
            let rows = table.begin(&mut column, rows, &begin, &mut late)?;
            let rows = table.fill(&mut column, rows, fill, &mut filled)?;
            tell_values(&column, &mut fills, &mut integers);
            table.names.push(column.name);
            table.columns.push(column.values);
            table.rows.push(SeriesRows { offset: column.offset, ..rows });
        }
    }
    [empty, late, filled, constant, fills, integers]
        .into_iter()
        .for_each(|kind| kind.tell(&mut notes));
    table.notes = notes;
    Ok(table)
}

fn how(fill: Fill) -> &'static str {
    match fill {
        Fill::Linear => "on the line between the values beside the gap",
        Fill::Value(_) => "with a constant",
        _ => "with the last value before the gap",
    }
}

impl SeriesTable {
    /// Rejects negative values if the support excludes them.
    fn check_support(&self, column: &RawColumn, rows: &SeriesRows) -> Result<(), DataError> {
        if self.support == Support::Real {
            return Ok(());
        }
        let offset = column.offset;
        let is_negative = |value: &f64| match offset {
            0 => *value < 0.0,
            _ => *value < -(offset as f64),
        };
        let Some(row) = column.values.iter().position(is_negative) else { return Ok(()) };
        let line = rows.lines.get(rows.first + row).unwrap_or(0);
        let value = column.values[row];
        let value = match offset {
            0 => value.to_string(),
            _ => (offset + value as i128).to_string(),
        };
        let (place, name) = (column.place + 1, &column.name);
        Err(DataError::Format {
            file: format!("{}:{line}", self.file),
            problem: format!(
                "column {place} (`{name}`): {value} is negative, and data.support = \
                 \"non_negative\" takes numbers from 0 up; a number that stands for a missing \
                 value is named by data.sentinels"
            ),
        })
    }

    /// Cuts off the rows before the first value of the series, and before all covariate columns
    /// have begun.
    fn begin(
        &self,
        column: &mut RawColumn,
        rows: SeriesRows,
        beside: &Begin,
        notes: &mut Notes,
    ) -> Result<SeriesRows, DataError> {
        let (name, values) = (&column.name, &mut column.values);
        let first = values.iter().position(|value| !value.is_nan());
        let known = beside.row.min(values.len());
        let leading = values[known..].iter().take_while(|value| value.is_nan()).count() + known;
        if let Some(first) = first.filter(|_| leading == values.len()) {
            let at = |row: usize| match rows.lines.get(rows.first + row).filter(|&line| line > 0) {
                Some(line) => format!("line {line}"),
                None => format!("row {}", row + 1),
            };
            let last = values.iter().rposition(|value| !value.is_nan()).unwrap_or(first);
            return Err(DataError::Format {
                file: self.file.clone(),
                problem: format!(
                    "column {} (`{name}`): its values end in {}, and those of `{}` begin in {}: \
                     leave one of them out, or put zeros before the first one (--fill zero)",
                    column.place + 1,
                    at(last),
                    beside.column,
                    at(beside.row)
                ),
            });
        }
        if leading == values.len() {
            return Err(DataError::LeadingGap {
                file: self.file.clone(),
                column: column.place + 1,
                name: name.clone(),
                missing: leading,
                rows: leading,
            });
        }
        if leading == 0 {
            return Ok(rows);
        }
        values.drain(..leading);
        let start = match &self.calendar {
            None => rows.start,
            Some(calendar) => {
                let start = calendar.step.advance(rows.start, leading as i64);
                start.unwrap_or(rows.start)
            }
        };
        let at = match &self.calendar {
            Some(calendar) => calendar.date(start),
            None => format!("row {leading} (from 0)"),
        };
        notes.0.push(match first {
            Some(first) if first < leading => format!(
                "{name}: begins at {at}, once there are values of `{}`; {} rows before it are left \
                 out",
                beside.column,
                leading - first
            ),
            _ => format!("{name}: begins at {at}; {leading} rows before it have no value"),
        });
        Ok(SeriesRows { start, first: leading, ..rows })
    }

    /// Returns the error for a missing value in a row of a group.
    fn missing(&self, column: &RawColumn, lines: &Progressions, row: usize) -> DataError {
        let line = lines.get(row).unwrap_or(0);
        DataError::MissingCell {
            file: self.file.clone(),
            line: usize::try_from(line).unwrap_or(0),
            column: column.place + 1,
            name: column.name.clone(),
            text: column.word.clone().unwrap_or_default(),
        }
    }

    /// Fills missing values inside the series and at its end.
    fn fill(
        &self,
        column: &mut RawColumn,
        mut rows: SeriesRows,
        policy: Fill,
        notes: &mut Notes,
    ) -> Result<SeriesRows, DataError> {
        let missing = gaps(&column.values);
        let Some(first) = missing.first() else { return Ok(rows) };
        if policy == Fill::Error {
            return Err(self.missing(column, &rows.lines, rows.first + first.start));
        }
        let (mut cells, mut longest) = (0, 0);
        let masked = self.masked;
        for gap in missing {
            // Missing rows are reported once, for all series.
            let stands = |row: &usize| rows.lines.get(rows.first + row) != Some(0);
            let here = gap.clone().filter(stands).count();
            (cells, longest) = (cells + here, longest.max(if here > 0 { gap.len() } else { 0 }));
            if masked {
                continue;
            }
            let before = column.values[gap.start - 1];
            match (policy, column.values.get(gap.end).copied()) {
                (Fill::Value(value), _) => column.values[gap].fill(value),
                (Fill::Linear, Some(after)) => {
                    let steps = (gap.len() + 1) as f64;
                    for (step, cell) in (1..).zip(&mut column.values[gap.clone()]) {
                        let weight = f64::from(step) / steps;
                        // Two products: `after - before` could overflow.
                        *cell = before * (1.0 - weight) + after * weight;
                    }
                    rows.interpolated.push(gap);
                }
                _ => column.values[gap].fill(before),
            }
        }
        let (name, sentinels) = (&column.name, column.sentinels);
        if cells == 0 {
            return Ok(rows);
        }
        let done = if masked { "kept as missing" } else { "filled" };
        notes.0.push(format!(
            "{name}: {cells} missing values {done} ({sentinels} of them sentinels), longest gap \
             {longest} rows"
        ));
        Ok(rows)
    }
}

/// Returns the runs of missing values. The first value is never missing.
fn gaps(values: &[f64]) -> Vec<Range<usize>> {
    let mut all: Vec<Range<usize>> = Vec::new();
    for (row, value) in values.iter().enumerate() {
        match all.last_mut() {
            _ if !value.is_nan() => {}
            Some(gap) if gap.end == row => gap.end += 1,
            _ => all.push(row..row + 1),
        }
    }
    all
}

/// Adds notes on numbers that may be fill values, and on integers beyond 2^53.
fn tell_values(column: &RawColumn, fills: &mut Notes, integers: &mut Notes) {
    let RawColumn { name, values, offset, rounded, far, .. } = column;
    match *offset {
        0 => tell_suspicious(name, values, fills),
        _ => suspicious_integers(far).for_each(|one| tell_one(name, one, fills)),
    }
    if *offset != 0 {
        integers.0.push(format!(
            "{name}: integers beyond 2^53 are read less {offset}, which forecasts get back"
        ));
    }
    if *rounded > 0 {
        integers.0.push(format!("{name}: {rounded} integers have more than 53 bits: rounded"));
    }
}

/// Adds notes on numbers that may be fill values.
fn tell_suspicious(name: &str, values: &[f64], fills: &mut Notes) {
    let known: Vec<f64>;
    let values = match values.iter().any(|value| value.is_nan()) {
        false => values,
        true => {
            known = values.iter().copied().filter(|value| !value.is_nan()).collect();
            &known
        }
    };
    suspicious(values).into_iter().for_each(|one| tell_one(name, one, fills));
}

fn tell_one(name: &str, (value, count): Suspicious, fills: &mut Notes) {
    let value = match value.abs() < 1e15 {
        true => value.to_string(),
        false => format!("{value:e}"),
    };
    let cells = if count == 1 { "1 cell is".to_owned() } else { format!("{count} cells are") };
    fills.0.push(format!(
        "{name}: {cells} {value}, kept as numbers, but this may be a fill value: naming it as a \
         sentinel (--sentinel {value}) treats them as missing"
    ));
}
