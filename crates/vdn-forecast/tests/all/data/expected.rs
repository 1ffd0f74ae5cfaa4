//! Files that people expect to be read without further settings: columns without values, words for
//! yes and no, midnights without a time of day, days of a time zone in UTC.

use super::kinds::{check, day_of, file, y};
use super::series::{filled, load, options};
use vdn_forecast::data::SeriesOptions;
use vdn_train::data::Fill;

#[test]
fn columns_without_values_do_not_stop_the_others() {
    let selected = SeriesOptions { columns: Some(vec!["z".to_owned()]), ..options() };
    let empty = file("date,z,y", 30, |r| format!("{},,{}", day_of(r), y(r)));
    let long = file("unique_id,ds,y", 60, |r| {
        let value = if r < 30 { y(r).to_string() } else { "NA".to_owned() };
        format!("{},{},{value}", ["A", "B"][r / 30], day_of(r % 30))
    });
    check(&[
        (
            "an empty column",
            empty.clone(),
            options(),
            "y 2021-01-01..2021-01-30 z: all 30 values are missing: left out",
        ),
        ("the same, asked for", empty, selected, "error: f.csv: column 2 (`z`): all 30 values..."),
        (
            "a series of a long file",
            long,
            filled(),
            "A 2021-01-01..2021-01-30 B: all 30 values are missing: left out",
        ),
        (
            "no other column",
            file("date,z", 30, |r| format!("{},", day_of(r))),
            options(),
            "error: f.csv: column 2 (`z`): all 30 values are missing...",
        ),
        (
            "a row without the name of its series",
            file("unique_id,ds,y", 4, |r| format!("{},{},1", ["A", ""][r / 2], day_of(r % 2))),
            options(),
            "error: f.csv:4: column 1 (`unique_id`): the name of the series is missing",
        ),
    ]);
}

#[test]
fn times_are_read_as_programs_write_them() {
    let hour = |r: usize| (day_of(r / 24), r % 24);
    let zone = SeriesOptions { zone: Some("Europe/Berlin".to_owned()), ..options() };
    let berlin = |r: usize| {
        // From the 28th of March on midnight is at 22:00 UTC.
        let utc = if 59 + r < 87 { 23 } else { 22 };
        format!("{}T{utc}:00:00Z,{}", day_of(58 + r), y(r))
    };
    check(&[
        (
            "midnight without a time",
            file("date,y", 60, |r| {
                let (day, hour) = hour(r);
                let day = format!("{}/{}/2021", &day[5..7], &day[8..]);
                let time = if hour == 0 { String::new() } else { format!(" {hour:02}:00") };
                format!("{day}{time},{}", y(r))
            }),
            options(),
            "y 2021-01-01 00:00:00..2021-01-03 11:00:00 dates are read as %m/%d/%Y %H:%M: in other \
             forms the rows are at irregular times",
        ),
        ("days of a zone in UTC", file("date,y", 60, berlin), zone, "y 2021-03-01..2021-04-29"),
        (
            "the delimiter in the first line",
            format!("sep=;\n{}", file("date;y", 30, |r| format!("{};{}", day_of(r), y(r)))),
            options(),
            "y 2021-01-01..2021-01-30",
        ),
        (
            "an hour of spring",
            file("date,y", 23, |r| {
                format!("2021-03-28 {:02}:00,{}", if r < 2 { r } else { r + 1 }, y(r))
            }),
            options(),
            "error: f.csv: 1 gap in time, 1 rows; the longest has 1 rows, the first one begins at \
             2021-03-28 02:00:00 (between f.csv:3 and f.csv:4); choose a fill policy (--fill \
             forward), or give the missing rows, or, where clocks were set forward, name their \
             zone \
             by data.zone",
        ),
        (
            "more than half of the rows are missing",
            file("date,y", 40, |r| {
                let (day, hour) = hour(r / 8 * 19 + [0, 1, 4, 6, 7, 12, 16, 17][r % 8]);
                format!("{day} {hour:02}:00,{}", y(r))
            }),
            filled(),
            "y 2021-01-01 00:00:00..2021-01-04 21:00:00 24 gaps in time, 54 rows; the longest has \
             4 \
             rows...",
        ),
        (
            "parts of dates under other names",
            file("date,hr,dow,y", 60, |r| {
                let (day, hour) = hour(r);
                format!("{day} {hour:02}:00,{hour},{},{}", (4 + r / 24) % 7, y(r))
            }),
            options(),
            "y 2021-01-01 00:00:00..2021-01-03 11:00:00 column `hr` is a part of the dates: left \
             out; column `dow` is a part of the dates: left out",
        ),
        (
            "a table of months",
            file("Year,Jan,Feb,Mar,Apr,May,Jun,Jul,Aug,Sep,Oct,Nov,Dec", 30, |r| {
                let values: Vec<String> = (0..12).map(|m| y(r + m).to_string()).collect();
                format!("{},{}", 1950 + r, values.join(","))
            }),
            options(),
            "Jan,Feb,Mar,Apr,May,Jun,Jul,Aug,Sep,Oct,Nov,Dec 1950..1979 columns are named after \
             months, and each is read as a series of its own...",
        ),
        (
            "a row of numbers is no header",
            file("10.5,20.25", 4, |r| format!("{},{}", y(r), y(r + 1))),
            options(),
            "error: f.csv: there is no header: the first row begins with \"10.5\"",
        ),
    ]);
}

#[test]
fn columns_beside_the_series_are_told_of_like_series() {
    let text = file("date,y,sun,open,same", 30, |r| {
        let sun = if r % 10 == 4 { String::new() } else { y(r + 2).to_string() };
        format!("{},{},{sun},{},7", day_of(r), y(r), ["No", "TRUE"][r % 2])
    });
    let past = ["sun", "open", "same"].map(str::to_owned).to_vec();
    let table = load(&text, &SeriesOptions { past, ..filled() }).unwrap();
    assert_eq!(
        table.notes,
        [
            "sun: 3 missing values filled (0 of them sentinels)",
            "same: is the same in all rows, and tells nothing"
        ]
    );
    let past = vec!["open".to_owned()];
    assert!(load(&text.replace("TRUE", "maybe"), &SeriesOptions { past, ..filled() }).is_err());
}

#[test]
fn a_column_beside_several_series_is_judged_over_all_of_them() {
    // `level` differs between the series; `same` never changes.
    let text = file("unique_id,ds,y,level,same", 60, |r| {
        format!("{},{},{},{},7", ["a", "b"][r / 30], day_of(r % 30), y(r), 3 + r / 30)
    });
    let past = ["level", "same"].map(str::to_owned).to_vec();
    let table = load(&text, &SeriesOptions { past, ..options() }).unwrap();
    assert_eq!(table.notes, ["same: is the same in all rows, and tells nothing"]);
}

#[test]
fn columns_beside_the_series_without_values_are_told_under_a_constant() {
    let text = file("date,y,late,none", 30, |r| {
        let late = if r < 4 || r == 10 { String::new() } else { y(r + 2).to_string() };
        format!("{},{},{late},", day_of(r), y(r))
    });
    let text = text.replace(",none\n", ",none,end\n").replace(",\n", ",,1\n");
    let past = ["late", "none"].map(str::to_owned).to_vec();
    let zero = SeriesOptions { fill: Fill::Value(0.0), past: past.clone(), ..options() };
    let table = load(&text, &zero).unwrap();
    assert_eq!(table.columns[0].len(), 30);
    let notes = table.notes.join("; ");
    assert!(notes.contains("late: 5 missing values filled (0 of them sentinels)"), "{notes}");
    assert!(notes.contains("none: has no value in the rows, and is 0 in all of them"), "{notes}");
    // Filling from the past cannot fill the rows before the first value. The series begins with the
    // column `late`, and a column without values is an error.
    let error = load(&text, &SeriesOptions { past, ..filled() }).unwrap_err().to_string();
    assert!(error.contains("(`none`) has no value in the rows"), "{error}");
}

#[test]
fn fiscal_years_ranges_and_centuries_are_told() {
    let months = ["janv.", "f\u{e9}vr.", "mars", "avr.", "mai", "juin", "juil.", "ao\u{fb}t"];
    let hours = |r: usize| (day_of(r / 24), r % 24, (r % 24 + 1) % 24);
    check(&[
        (
            "fiscal years",
            file("FY,y", 30, |r| format!("FY{},{}", 1980 + r, y(r))),
            options(),
            "y 1980..2009 fiscal years, as \"FY1980\", are read as calendar years",
        ),
        (
            "years of seasons",
            file("season,y", 30, |r| format!("{}/{:02},{}", 1980 + r, (81 + r) % 100, y(r))),
            options(),
            "y 1980..2009 fiscal years, as \"1980/81\", are read as calendar years",
        ),
        (
            "years of seasons that are months, too",
            file("season,y", 10, |r| format!("{}-{:02},{}", 2001 + r, 2 + r, y(r))),
            options(),
            "error: f.csv: the date \"2010-11\" can be 1 January 2010 (YYYY) or 1 November 2010 \
             (%Y-%m), and so can all others...",
        ),
        (
            "quarters with years of two digits",
            file("q,y", 30, |r| format!("Q{}/{},{}", 1 + r % 4, 80 + r / 4, y(r))),
            options(),
            "y 1980Q1..1987Q2",
        ),
        (
            "years of two digits that go from one century to another",
            file("date,y", 90, |r| format!("01-Jul-{:02},{}", 10 + r, y(r))),
            options(),
            "error: f.csv:61: years of two digits stand for 1969 to 2068, and go from 2068 to \
             1969 here: write years with four digits",
        ),
        (
            "hours as ranges",
            file("MTU,y", 60, |r| {
                let ((day, from, to), (end, ..)) = (hours(r), hours(r + 1));
                format!("{day} {from:02}:00 - {end} {to:02}:00,{}", y(r))
            }),
            options(),
            "y 2021-01-01 00:00:00..2021-01-03 11:00:00 times are ranges, as \"2021-01-01 00:00 - \
             2021-01-01 01:00\": the first end of each counts",
        ),
        (
            "a date and hours as ranges",
            file("day,period,y", 60, |r| {
                let (day, from, to) = hours(r);
                format!("{day},{from:02}:00-{to:02}:00,{}", y(r))
            }),
            options(),
            "y 2021-01-01 00:00:00..2021-01-03 11:00:00 times are ranges...",
        ),
        (
            "French months",
            file("mois,y", 8, |r| format!("{} 2021,{}", months[r], y(r))),
            options(),
            "y 2021-01..2021-08",
        ),
        (
            "a word of no month",
            file("date,y", 30, |r| format!("{} brumaire 2021,{}", r + 1, y(r))),
            options(),
            "error: f.csv:2: column 1 (`date`): \"1 brumaire 2021\" is a date in no form that is \
             known...",
        ),
    ]);
}

#[test]
fn parts_of_dates_and_unknown_times_are_no_series() {
    let hour = |r: usize| (day_of(r / 24), r % 24);
    check(&[
        (
            "months as M01",
            file("Year,Period,Value", 30, |r| {
                format!("{},M{:02},{}", 1990 + r / 12, 1 + r % 12, y(r))
            }),
            options(),
            "Value 1990-01..1992-06",
        ),
        (
            "quarters as Q01",
            file("Year,Period,Value", 30, |r| {
                format!("{},Q{:02},{}", 1990 + r / 4, 1 + r % 4, y(r))
            }),
            options(),
            "Value 1990Q1..1997Q2",
        ),
        (
            "hours with a letter",
            file("date,hour,y", 60, |r| format!("{},{}h,{}", hour(r).0, hour(r).1, y(r))),
            options(),
            "y 2021-01-01 00:00:00..2021-01-03 11:00:00",
        ),
        (
            "hours in no known form",
            file("date,hour,y", 60, |r| format!("{},No{},{}", hour(r).0, hour(r).1, y(r))),
            options(),
            "error: f.csv: column `hour` (\"No0\") has the name of a part of the dates...",
        ),
        (
            "days that another program counts",
            file("datenum,y", 30, |r| format!("{},{}", 738_157 + r, y(r))),
            options(),
            "y -..- column `datenum` rises like a time in no form that is known: left out",
        ),
        (
            "weeks behind a dash",
            file("week,y", 53, |r| format!("2020-{:02},{}", 1 + r, y(r))),
            options(),
            "y 2019-12-30..2020-12-28",
        ),
        (
            "a value in no known form",
            file("date,y", 30, |r| format!("{},{}MW", day_of(r), y(r))),
            options(),
            "error: f.csv:2: column 2 (`y`): \"10.25MW\" is no number in a form that is known...",
        ),
        (
            "an amount with a decimal comma",
            file("date;y", 30, |r| format!("{};{},5 \u{20ac}", day_of(r), r)),
            options(),
            "error: f.csv:2: column 2 (`y`): \"0,5 \u{20ac}\" is a number with a sign or a unit...",
        ),
    ]);
}
