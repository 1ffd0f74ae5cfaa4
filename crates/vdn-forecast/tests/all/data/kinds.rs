//! Common kinds of files. The content determines the role of a column; ambiguous content is an
//! error or is reported in a note.

use super::series::{load, options};
use vdn_forecast::data::{Duplicates, SeriesOptions, SeriesTable};

/// A file of `rows` rows; `row` writes each from its number.
pub(super) fn file(header: &str, rows: usize, row: impl Fn(usize) -> String) -> String {
    let rows: Vec<String> = (0..rows).map(row).collect();
    format!("{header}\n{}\n", rows.join("\n"))
}

/// A value that is neither a count nor a date.
pub(super) fn y(row: usize) -> f64 {
    10.25 + (row * 7 % 11) as f64
}

/// The day of 2021 with this number, from 0.
pub(super) fn day_of(number: usize) -> String {
    let (mut day, mut month) = (number, 0);
    for length in [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30] {
        if day < length {
            break;
        }
        (day, month) = (day - length, month + 1);
    }
    format!("2021-{:02}-{:02}", month + 1, day + 1)
}

/// Names of the series, the first and the last date of the first one, and the notes.
pub(super) fn told(table: &SeriesTable) -> String {
    let last = table.columns[0].len() - 1;
    let date = |row| table.date(0, row).unwrap_or_else(|| "-".to_owned());
    let notes = table.notes.join("; ");
    format!("{} {}..{} {notes}", table.names.join(","), date(0), date(last)).trim().to_owned()
}

pub(super) fn check(cases: &[(&str, String, SeriesOptions, &str)]) {
    let mut wrong = Vec::new();
    for (name, text, options, expected) in cases {
        let found = match load(text, options) {
            Ok(table) => told(&table),
            Err(error) => format!("error: {error}"),
        };
        let same = match expected.strip_suffix("...") {
            Some(start) => found.starts_with(start),
            None => found == *expected,
        };
        if !same {
            wrong.push(format!("{name}: {found}\n   not {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn times_of_day_and_months_name_no_series() {
    let day = |row: usize| format!("2021-03-{:02}", 1 + row / 24);
    check(&[
        (
            "a time of day under any name",
            file("Date,at,y", 60, |r| format!("{},{:02}:00,{}", day(r), r % 24, y(r))),
            options(),
            "y 2021-03-01 00:00:00..2021-03-03 11:00:00",
        ),
        (
            "months by name",
            file("Year,Month,y", 30, |r| {
                let name = ["Jan", "Feb", "Mar", "Apr", "May", "Jun"][r % 6];
                let late = ["Jul", "Aug", "Sep", "Oct", "Nov", "Dec"][r % 6];
                let name = if r / 6 % 2 == 0 { name } else { late };
                format!("{},{name},{}", 1900 + r / 12, y(r))
            }),
            options(),
            "y 1900-01..1902-06",
        ),
        (
            "hours that begin at one",
            file("date,hour ending,y", 60, |r| format!("{},{},{}", day(r), 1 + r % 24, y(r))),
            options(),
            "y 2021-03-01 01:00:00..2021-03-03 12:00:00",
        ),
        (
            "hours with a fraction",
            file("date,hour,y", 60, |r| format!("{},{}.0,{}", day(r), r % 24, y(r))),
            options(),
            "y 2021-03-01 00:00:00..2021-03-03 11:00:00",
        ),
        (
            "days and hours in digits",
            file("YYYYMMDD,HH,y", 60, |r| {
                format!("{},{},{}", day(r).replace('-', ""), r % 24, y(r))
            }),
            options(),
            "y 2021-03-01 00:00:00..2021-03-03 11:00:00",
        ),
        (
            "year, month and day by short names",
            file("YEAR,MO,DY,y", 28, |r| format!("2021,2,{},{}", 1 + r, y(r))),
            options(),
            "y 2021-02-01..2021-02-28",
        ),
        (
            "year and day of year",
            file("YEAR,DOY,y", 30, |r| format!("2021,{},{}", 60 + r, y(r))),
            options(),
            "y 2021-03-01..2021-03-30",
        ),
        (
            "year and quarter, as numbers with a fraction",
            file("year,quarter,y", 30, |r| format!("{}.0,{}.0,{}", 1980 + r / 4, 1 + r % 4, y(r))),
            options(),
            "y 1980Q1..1987Q2",
        ),
        (
            "durations are no times of day",
            file("date,took,y", 28, |r| format!("2021-02-{:02},00:0{},{}", r + 1, r % 7, y(r))),
            options(),
            "y 2021-02-01..2021-02-28 column `took` holds text: left out",
        ),
        (
            "year and week",
            file("year,week,y", 30, |r| format!("2018,{},{}", 1 + r, y(r))),
            options(),
            "y 2018-01-01..2018-07-23",
        ),
    ]);
}

#[test]
fn numbers_that_are_dates_are_no_series() {
    let epoch = |r: usize| 1_614_556_800 + 3600 * r;
    check(&[
        (
            "years before 1000",
            file("year,y", 30, |r| format!("{},{}", 850 + r, y(r))),
            options(),
            "y 850..879",
        ),
        (
            "years before the first one, not the first column",
            file("y,year", 30, |r| format!("{},{}", y(r), r as i64 - 10)),
            options(),
            "y -10..19",
        ),
        (
            "years with a fraction",
            file("YEAR,y", 30, |r| format!("{}.5,{}", 1700 + r, y(r))),
            options(),
            "y 1700..1729",
        ),
        (
            "months as parts of years",
            file("y,time", 30, |r| format!("{},{:.3}", y(r), 1990.0 + r as f64 / 12.0)),
            options(),
            "y 1990-01..1992-06",
        ),
        (
            "quarters as parts of years",
            file("time,y", 30, |r| format!("{},{}", 1990.0 + r as f64 / 4.0, y(r))),
            options(),
            "y 1990Q1..1997Q2",
        ),
        (
            "years and months with a point",
            file("Date,y", 30, |r| format!("{}.{:02},{}", 1990 + r / 12, 1 + r % 12, y(r))),
            options(),
            "y 1990-01..1992-06",
        ),
        (
            "weeks in digits",
            file("week,y", 30, |r| format!("2018{:02},{}", 1 + r, y(r))),
            options(),
            "y 2018-01-01..2018-07-23",
        ),
        (
            "hours in digits, no Unix time",
            file("date,y", 30, |r| format!("202103{:02}{:02},{}", 1 + r / 24, r % 24, y(r))),
            options(),
            "y 2021-03-01 00:00:00..2021-03-02 05:00:00",
        ),
        (
            "minutes in digits",
            file("date,y", 30, |r| format!("202103{:02}{:02}00,{}", 1 + r / 24, r % 24, y(r))),
            options(),
            "y 2021-03-01 00:00:00..2021-03-02 05:00:00",
        ),
        (
            "days of the year in digits",
            file("date,y", 30, |r| format!("2021{:03},{}", 60 + r, y(r))),
            options(),
            "y 2021-03-01..2021-03-30",
        ),
        (
            "short days in digits",
            file("date,y", 30, |r| format!("2103{:02},{}", 1 + r, y(r))),
            options(),
            "y 2021-03-01..2021-03-30",
        ),
        (
            "days of a spreadsheet",
            file("Date,y", 30, |r| format!("{},{}", 44_000 + r, y(r))),
            options(),
            "y 2020-06-18..2020-07-17 column `Date` is read as days since 1899-12-30, as \
             spreadsheets count them",
        ),
        (
            "Unix times with a fraction",
            file("y,timestamp", 30, |r| format!("{},{}.000000", y(r), epoch(r))),
            options(),
            "y 2021-03-01 00:00:00+00:00..2021-03-02 05:00:00+00:00",
        ),
        (
            "Unix times between seconds",
            file("timestamp,y", 30, |r| format!("{}.25,{}", epoch(r), y(r))),
            options(),
            "y 2021-03-01 00:00:00.25+00:00..2021-03-02 05:00:00.25+00:00",
        ),
        (
            "Unix times beside dates, under another name and irregular",
            file("date,y,made", 30, |r| {
                format!("2021-03-01 {:02}:{:02},{},{}", r / 2, r % 2 * 30, y(r), epoch(r) + r * r)
            }),
            options(),
            "y 2021-03-01 00:00:00..2021-03-01 14:30:00 column `made` holds Unix times near the \
             dates: left out",
        ),
        (
            "a time that rises in no known form",
            file("epoch,y", 30, |r| format!("{}.5,{}", r * r, y(r))),
            options(),
            "y -..- column `epoch` rises like a time in no form that is known: left out",
        ),
        (
            "years of two digits",
            file("date,y", 40, |r| format!("{},{}", &day_of(r)[2..], y(r))),
            options(),
            "y 2021-01-01..2021-02-09 dates are read as %y-%m-%d: in other forms they span more \
             years",
        ),
        (
            "quarters like months",
            file("quarter,y", 30, |r| format!("{}-{},{}", 1980 + r / 4, 1 + r % 4, y(r))),
            options(),
            "y 1980Q1..1987Q2 dates are read as YYYYQn: in other forms the rows are at irregular \
             times",
        ),
    ]);
}

#[test]
fn columns_that_number_rows_or_things_are_no_series() {
    let day = |r: usize| format!("2021-03-{:02}", 1 + r);
    for (name, number) in [
        ("rownumber", (|r| r) as fn(usize) -> usize),
        ("X", |r| r + 1),
        ("...1", |r| r + 1),
        ("S.No.", |r| r + 1),
        ("record_id", |r| 1000 + 3 * r),
        ("index", |r| r * 7 % 30),
    ] {
        let header = format!("{name},date,y");
        let text = file(&header, 30, |r| format!("{},{},{}", number(r), day(r), y(r)));
        let table = load(&text, &options()).unwrap();
        let note = format!("column `{name}` numbers the rows: left out");
        assert_eq!((&table.names[..], &table.notes[..]), (&["y".to_owned()][..], &[note][..]));
    }
    check(&[
        (
            "one station",
            file("STATIONS_ID,date,y", 30, |r| format!("10384,{},{}", day(r), y(r))),
            options(),
            "y 2021-03-01..2021-03-30 column `STATIONS_ID` holds one id in all rows: left out",
        ),
        (
            "without dates",
            file("x,y", 30, |r| format!("{r},{}", y(r))),
            options(),
            "y -..- column `x` numbers the rows: left out",
        ),
        (
            "the only series may rise by one",
            file("date,y", 30, |r| format!("{},{}", day(r), r + 1)),
            options(),
            "y 2021-03-01..2021-03-30",
        ),
        (
            "an index of prices",
            file("date,price index,y", 30, |r| format!("{},{},{}", day(r), 3000 + r * r, y(r))),
            options(),
            "price index,y 2021-03-01..2021-03-30",
        ),
        (
            "counts that rise by other numbers are series",
            file("date,a,y", 30, |r| format!("{},{},{}", day(r), 2 * r, y(r))),
            options(),
            "a,y 2021-03-01..2021-03-30",
        ),
    ]);
}

#[test]
fn rows_of_one_time_are_told_apart_by_a_column() {
    let day = day_of;
    let hour = |r: usize| format!("{} {:02}:00", day_of(r / 24), r % 24);
    let late = |r: usize| match r < 1200 {
        true => format!("{},A,{}", hour(r), y(r)),
        false => format!("{},B,{}", hour(r - 1200), y(r)),
    };
    let stores = file("store,date,y", 90, |r| format!("{},{},{}", r / 30, day(r % 30), y(r)));
    let mean = SeriesOptions { duplicates: Duplicates::Mean, ..options() };
    let by_store = SeriesOptions { id_column: Some("store".to_owned()), ..options() };
    check(&[
        (
            "the first series fills the sample",
            file("date,key,y", 1300, late),
            options(),
            "error: f.csv:1202: the time 2021-01-01 00:00:00 stands on line 2, too; column `key` \
             tells such rows apart: if it names the series, say so by data.id_column = \"key\" \
             (--id-column key), and if it is a part of the time, join it to the dates",
        ),
        (
            "the same, and a policy for duplicates",
            file("date,key,y", 1300, late),
            mean.clone(),
            "y 2021-01-01 00:00:00..2021-02-19 23:00:00 column `key` holds text: left out; rows \
             are \
             not in order of time: sorted, 100 of 1300 moved; 100 rows with the time of another \
             row: their mean is taken; column `key` tells them apart, and may name series \
             (data.id_column)",
        ),
        (
            "numbers of stores",
            stores.clone(),
            options(),
            "error: f.csv:32: the time 2021-01-01 stands on line 2, too; column `store` tells...",
        ),
        ("the same, named", stores, by_store, "0,1,2 2021-01-01..2021-01-30"),
        (
            "one series behind the other",
            file("date,city,y", 60, |r| format!("{},{},{}", day(r), ["A", "B"][r / 30], y(r))),
            options(),
            "y 2021-01-01..2021-03-01 column `city` holds text, and may name the series \
             (data.id_column): left out",
        ),
        (
            "one row twice, nothing tells them apart",
            file("date,a,y", 30, |r| format!("{},{},{}", day(r.min(28)), r % 3, y(r))),
            options(),
            "error: f.csv:31: the time 2021-01-29 stands on line 30, too; say what is to be taken \
             by \
             data.duplicates...",
        ),
    ]);
}
