//! Sorts rows by time and puts each on its place in the calendar.

use crate::data::read::axis::{Axis, check_centuries, irregular};
use crate::data::read::keys::{self, TextColumn};
use crate::data::read::rows::{Group, NO_OFFSET, RawRows};
use crate::data::read::side::SideNames;
use crate::data::read::{Duplicates, SeriesOptions};
use crate::data::time::{Calendar, Clock, DateForm, Progressions, SECOND, Step};
use jiff::tz::TimeZone;
use std::collections::HashMap;
use vdn_train::data::DataError;

/// Rows on their places in the calendar; NaN for a place without a row.
pub(super) struct Placed {
    pub(super) file: String,
    pub(super) calendar: Option<Calendar>,
    pub(super) groups: Vec<PlacedGroup>,
    pub(super) notes: Vec<String>,
    pub(super) gaps: Gaps,
    pub(super) side: SideNames,
}

pub(super) struct PlacedGroup {
    /// The time of the first row.
    pub(super) start: i64,
    /// The line of each row; 0 for a place without a row.
    pub(super) lines: Progressions,
    pub(super) group: Group,
}

/// Runs of missing rows.
#[derive(Default)]
pub(super) struct Gaps {
    pub(super) count: usize,
    pub(super) rows: usize,
    pub(super) longest: usize,
    /// The date of the first missing row, and the lines before and after its gap.
    pub(super) first: Option<(String, i64, i64)>,
}

impl Gaps {
    /// Returns a text such as `2 gaps in time, 205 rows; the longest has 200 rows, the first one
    /// begins at ...`.
    pub(super) fn text(&self, file: &str) -> String {
        let Self { count, rows, longest, first } = self;
        let gaps = if *count == 1 { "1 gap".to_owned() } else { format!("{count} gaps") };
        let first = first.as_ref().map_or_else(String::new, |(date, before, after)| {
            format!(", the first one begins at {date} (between {file}:{before} and {file}:{after})")
        });
        format!("{gaps} in time, {rows} rows; the longest has {longest} rows{first}")
    }
}

/// The numbers of moved and merged rows.
#[derive(Default)]
struct Order {
    moved: usize,
    rows: usize,
    /// Whether a series of three or more rows is in descending order (`reversed`), and whether
    /// another series is in neither order (`mixed`).
    reversed: bool,
    mixed: bool,
    merged: usize,
    /// The column that distinguishes merged rows.
    telling: Option<String>,
}

/// Puts the rows on their places in the calendar.
///
/// # Errors
/// Fails for ambiguous dates, for repeated times without a policy for them, for times without a
/// common step or between two steps, for an unknown time zone, and for a time that the zone's
/// clocks skip.
pub(super) fn place(mut raw: RawRows, options: &SeriesOptions) -> Result<Placed, DataError> {
    let mut notes = std::mem::take(&mut raw.notes);
    let mut placed = Placed {
        file: raw.file.clone(),
        calendar: None,
        groups: Vec::new(),
        notes: Vec::new(),
        gaps: Gaps::default(),
        side: std::mem::take(&mut raw.side),
    };
    let longest = raw.groups.iter().map(|group| group.lines.len()).max().unwrap_or(0);
    if raw.forms.is_empty() || longest < 2 {
        // Without times, or with one row, there is no step.
        let whole = |group: Group| PlacedGroup { start: 0, lines: group.lines.clone(), group };
        placed.groups = raw.groups.into_iter().map(whole).collect();
        placed.notes = notes;
        return Ok(placed);
    }
    let zone = zone(options)?;
    let (form_place, form) = choose_form(&raw, zone.as_ref(), &mut notes)?;
    if let Some(zone) = &zone {
        raw.groups.iter_mut().for_each(|group| read_on_clock(group, form_place, zone));
    }
    for group in &raw.groups {
        check_centuries(&raw.file, group, form_place, &form)?;
    }
    let axis = match Axis::of(&raw, form_place, zone) {
        Ok(axis) => axis,
        Err(error) => return Err(only_duplicates(&raw, form_place, form, options).unwrap_or(error)),
    };
    let calendar = Calendar { step: axis.step, clock: axis.clock.clone(), form };
    let mut order = Order::default();
    let mut cells = 0_u64;
    let texts = std::mem::take(&mut raw.texts);
    for group in raw.groups {
        let times = axis.times(&raw.file, &group, form_place)?;
        let one = place_group(
            &raw.file,
            group,
            &times,
            (&calendar, &texts),
            options,
            &mut order,
            &mut placed.gaps,
        )?;
        cells += (one.lines.len() * one.group.columns.len()) as u64;
        if cells > options.limits.cells {
            return Err(DataError::Limit {
                place: raw.file.clone(),
                limit: "cells",
                most: options.limits.cells,
                what: "numbers in all series, with the gaps in time",
            });
        }
        placed.groups.push(one);
    }
    let Order { moved, rows, reversed, mixed, merged, telling } = order;
    if reversed && !mixed {
        notes.push("the rows stand newest first: sorted by time".to_owned());
    } else if moved > 0 {
        notes.push(format!("rows are not in order of time: sorted, {moved} of {rows} moved"));
    }
    if merged > 0 {
        let how = match options.duplicates {
            Duplicates::Mean => "their mean is taken",
            _ => "the last one is taken",
        };
        let apart = telling.map_or_else(String::new, |name| {
            format!("; column `{name}` tells them apart, and may name series (data.id_column)")
        });
        notes.push(format!("{merged} rows with the time of another row: {how}{apart}"));
    }
    placed.calendar = Some(calendar);
    placed.notes = notes;
    Ok(placed)
}

/// Returns the length of the longest ascending subsequence of times. All other rows were moved.
fn longest_ascent(times: &[i64]) -> usize {
    // For each length, the smallest last time of an ascent with that length.
    let mut last: Vec<i64> = Vec::new();
    for &time in times {
        let at = last.partition_point(|&other| other <= time);
        match last.get_mut(at) {
            Some(other) => *other = time,
            None => last.push(time),
        }
    }
    last.len()
}

fn zone(options: &SeriesOptions) -> Result<Option<TimeZone>, DataError> {
    let zone = options.zone.as_ref().map(|name| {
        TimeZone::get(name).map_err(|_| {
            let what = format!("data.zone = {name:?}: no time zone has this name");
            DataError::InvalidOption(format!("{what}; names are like Europe/Berlin and UTC"))
        })
    });
    zone.transpose()
}

/// Converts times with a UTC offset to a zone's local time: local midnights written in UTC have
/// different hours in summer and winter.
fn read_on_clock(group: &mut Group, form: usize, zone: &TimeZone) {
    let on_clock = |(clock, offset): (i64, i64)| {
        if offset == NO_OFFSET {
            return None;
        }
        let utc = clock - offset * SECOND;
        let at = jiff::Timestamp::from_microsecond(utc).ok()?;
        let ahead = i64::from(zone.to_offset(at).seconds());
        Some((utc + ahead * SECOND, ahead))
    };
    let times = group.clocks[form].to_vec().into_iter().zip(group.offsets.to_vec());
    let times: Vec<(i64, i64)> = times.map(|time| on_clock(time).unwrap_or(time)).collect();
    group.clocks[form] = times.iter().map(|(clock, _)| *clock).collect();
    group.offsets = times.iter().map(|(_, offset)| *offset).collect();
}

/// Returns the possible date forms. A two-digit year stands first or last in a date. If days of the
/// month are misread as years, the dates span decades. So if both positions are possible, only the
/// forms with the shorter span are kept.
fn by_place_of_year(raw: &RawRows) -> Vec<(usize, DateForm)> {
    let year_first = |form: &DateForm| matches!(form, DateForm::Pattern(p) if p.starts_with("%y"));
    let span = |place: usize| {
        let ends = raw.groups.iter().map(|group| {
            let clocks = group.clocks[place].to_vec();
            (clocks.iter().min().copied(), clocks.iter().max().copied())
        });
        ends.filter_map(|(low, high)| Some(i128::from(high?) - i128::from(low?))).max()
    };
    let least = |first: bool| {
        let of = raw.forms.iter().filter(|(_, form)| year_first(form) == first);
        of.filter_map(|(place, _)| span(*place)).min()
    };
    let kept = match raw.forms.len() > 1 && raw.forms.iter().any(|(_, form)| year_first(form)) {
        true => least(true).zip(least(false)).filter(|(a, b)| a != b).map(|(a, b)| a < b),
        false => None,
    };
    let fits = |(_, form): &&(usize, DateForm)| kept.is_none_or(|first| year_first(form) == first);
    raw.forms.iter().filter(fits).cloned().collect()
}

/// Returns the form of the dates: the only one, or the only one with which the rows are regular.
fn choose_form(
    raw: &RawRows,
    zone: Option<&TimeZone>,
    notes: &mut Vec<String>,
) -> Result<(usize, DateForm), DataError> {
    let forms = by_place_of_year(raw);
    if let [(place, form)] = &forms[..] {
        if raw.forms.len() > 1 {
            let form = form.name();
            notes.push(format!("dates are read as {form}: in other forms they span more years"));
        }
        return Ok((*place, form.clone()));
    }
    let regular = |form: &&(usize, DateForm)| {
        let Ok(axis) = Axis::of(raw, form.0, zone.cloned()) else { return false };
        let next = |pair: &[i64]| axis.step.between(pair[0], pair[1]).map(i64::abs) == Some(1);
        raw.groups.iter().all(|group| {
            let times = axis.times(&raw.file, group, form.0);
            times.is_ok_and(|times| times.windows(2).all(next))
        })
    };
    let fit: Vec<&(usize, DateForm)> = forms.iter().filter(regular).collect();
    if let [(place, form)] = fit[..] {
        notes.push(format!(
            "dates are read as {}: in other forms the rows are at irregular times",
            form.name()
        ));
        return Ok((*place, form.clone()));
    }
    let readings = forms.iter().filter_map(|(_, form)| {
        let at = crate::data::time::datetime_of(form.parse(&raw.example)?.clock)?;
        Some(format!("{} ({})", at.strftime("%-d %B %Y"), form.name()))
    });
    let readings: Vec<String> = readings.collect();
    Err(DataError::Format {
        file: raw.file.clone(),
        problem: format!(
            "the date {:?} can be {}, and so can all others: say which by data.date_format",
            raw.example,
            readings.join(" or ")
        ),
    })
}

/// Returns the error for the time `date`, which occurs on two lines. `telling` is the column that
/// distinguishes such rows.
fn duplicate(
    file: &str,
    date: &str,
    [first, second]: [i64; 2],
    telling: Option<&str>,
) -> DataError {
    let what = match telling {
        Some(name) => format!(
            "column `{name}` tells such rows apart: if it names the series, say so by \
             data.id_column = {name:?} (--id-column {name}), and if it is a part of the time, join \
             it to the dates"
        ),
        None => "say what is to be taken by data.duplicates = \"mean\" or \"last\", or, where \
                 clocks were set back, name their zone by data.zone"
            .to_owned(),
    };
    DataError::Format {
        file: format!("{file}:{second}"),
        problem: format!("the time {date} stands on line {first}, too; {what}"),
    }
}

/// Returns the error for repeated times, if they are the reason why rows have no step.
fn only_duplicates(
    raw: &RawRows,
    form_place: usize,
    form: DateForm,
    options: &SeriesOptions,
) -> Option<DataError> {
    let calendar = Calendar { step: Step::Micros(1), clock: Clock::File, form };
    let of = |group: &Group| {
        let clocks = group.clocks[form_place].to_vec();
        let mut seen = HashMap::new();
        let again = |(row, clock): (usize, &i64)| Some((seen.insert(*clock, row)?, row));
        let (first, row) = clocks.iter().enumerate().find_map(again)?;
        let lines = [group.lines.get(first)?, group.lines.get(row)?];
        let telling = keys::telling(&clocks, &raw.texts, &group.columns);
        Some(duplicate(&raw.file, &calendar.date(clocks[row]), lines, telling))
    };
    let refused = options.duplicates == Duplicates::Error;
    refused.then(|| raw.groups.iter().find_map(of)).flatten()
}

fn place_group(
    file: &str,
    mut group: Group,
    times: &[i64],
    (calendar, texts): (&Calendar, &[TextColumn]),
    options: &SeriesOptions,
    order: &mut Order,
    gaps: &mut Gaps,
) -> Result<PlacedGroup, DataError> {
    let rows = times.len();
    let mut sorted: Vec<u32> = (0..rows as u32).collect();
    order.rows += rows;
    if !times.windows(2).all(|pair| pair[0] < pair[1]) {
        sorted.sort_by_key(|&row| times[row as usize]);
        order.moved += rows - longest_ascent(times);
        if !times.is_sorted() {
            let reversed = times.windows(2).all(|pair| pair[0] >= pair[1]);
            order.reversed |= reversed && rows > 2;
            order.mixed |= !reversed;
        }
    }
    let lines = group.lines.to_vec();
    // Rows of the same time, in file order.
    let mut runs: Vec<&[u32]> =
        sorted.chunk_by(|&a, &b| times[a as usize] == times[b as usize]).collect();
    if let Some(run) = runs.iter().find(|run| run.len() > 1) {
        let telling = keys::telling(times, texts, &group.columns);
        if options.duplicates == Duplicates::Error {
            let date = calendar.date(times[run[0] as usize]);
            let lines = [lines[run[0] as usize], lines[run[1] as usize]];
            return Err(duplicate(file, &date, lines, telling));
        }
        order.telling = telling.map(str::to_owned);
    }
    order.merged += rows - runs.len();
    let start = runs.first().map_or(0, |run| times[run[0] as usize]);
    let mut places = Vec::with_capacity(runs.len());
    for run in &runs {
        let time = times[run[0] as usize];
        let place = calendar.step.between(start, time).and_then(|at| usize::try_from(at).ok());
        let place = place.filter(|&at| places.last().is_none_or(|&last| at > last));
        places.push(place.ok_or_else(|| {
            let reason = format!(
                "line {}: {} is not a whole number of steps ({}) after {}",
                lines[run[0] as usize],
                calendar.date(time),
                calendar.step,
                calendar.date(start)
            );
            irregular(file, &reason)
        })?);
    }
    let length = places.last().map_or(0, |last| last + 1);
    let whole = length == rows && order.moved == 0 && rows == runs.len();
    if whole {
        return Ok(PlacedGroup { start, lines: group.lines.clone(), group });
    }
    if length as u64 > options.limits.cells {
        return Err(irregular(file, &format!("the gaps in time are {length} rows long")));
    }
    for (at, pair) in places.windows(2).enumerate() {
        let missing = pair[1] - pair[0] - 1;
        if missing > 0 {
            gaps.count += 1;
            gaps.rows += missing;
            gaps.longest = gaps.longest.max(missing);
            if gaps.first.is_none() {
                let line = |run: &[u32]| lines[run[run.len() - 1] as usize];
                let date = calendar.date_after(start, pair[0] + 1);
                gaps.first = Some((date, line(runs[at]), line(runs[at + 1])));
            }
        }
    }
    let mut at_lines = vec![0; length];
    for (run, &place) in runs.iter_mut().zip(&places) {
        at_lines[place] = lines[run[run.len() - 1] as usize];
    }
    for column in &mut group.columns {
        let mut on_places = vec![f64::NAN; length];
        for (run, &place) in runs.iter().zip(&places) {
            let values = run.iter().map(|&row| column.values[row as usize]);
            on_places[place] = match options.duplicates {
                Duplicates::Mean if run.len() > 1 => {
                    let known: Vec<f64> = values.filter(|value| !value.is_nan()).collect();
                    // The mean of no values is NaN, a missing value.
                    known.iter().map(|value| value / known.len() as f64).sum::<f64>()
                        + if known.is_empty() { f64::NAN } else { 0.0 }
                }
                _ => run.last().map_or(f64::NAN, |&row| column.values[row as usize]),
            };
        }
        column.values = on_places;
    }
    Ok(PlacedGroup { start, lines: at_lines.into_iter().collect(), group })
}
