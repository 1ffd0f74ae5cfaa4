//! Columns that resemble row numbers, dates, thousands or booleans, but are series, stay series.

use super::kinds::{check, day_of, file, y};
use super::series::{load, options};
use vdn_forecast::data::SeriesOptions;

#[test]
fn numbers_of_series_are_no_row_numbers() {
    // Sorted by date, the first thousand rows have as many ids.
    let row = |r: usize| format!("{},{},{}", day_of(r / 1500), 500 + r % 1500, y(r));
    let table = load(&file("ds,item_id,y", 4500, row), &options()).unwrap();
    assert_eq!(table.names.len(), 1500, "{:?}", table.notes);
    // Stores numbered from 1 within each date.
    let row = |r: usize| format!("{},{},{}", 1 + r % 1200, day_of(r / 1200), y(r));
    let error = load(&file("Store,Date,Sales", 3600, row), &options()).unwrap_err().to_string();
    assert!(error.contains("column `Store` tells such rows apart"), "{error}");
}

#[test]
fn values_that_rise_by_one_and_indices_of_prices_are_series() {
    let day = day_of;
    check(&[
        (
            "counts under the name of values in a long file",
            file("unique_id,ds,y", 30, |r| format!("a,{},{}", day(r), r + 1)),
            options(),
            "a 2021-01-01..2021-01-30",
        ),
        (
            "counts beside a text",
            file("date,count,comment", 30, |r| format!("{},{},seen", day(r), r + 1)),
            options(),
            "count 2021-01-01..2021-01-30 column `comment` holds text...",
        ),
        (
            "a target beside another column",
            file("date,y,x", 30, |r| format!("{},{},{}", day(r), r + 1, y(r))),
            options(),
            "y,x 2021-01-01..2021-01-30",
        ),
        (
            "an index of stocks",
            file("Date,Index,Volume", 30, |r| {
                format!("{},{},{}", day(r), 13_245 + r * r, 900 + r * 7 % 13)
            }),
            options(),
            "Index,Volume 2021-01-01..2021-01-30",
        ),
        (
            "both ends of the range of whole numbers",
            file("date,no,y", 30, |r| {
                let ends = [i64::MIN, i64::MAX];
                format!("{},{},{}", day(r), ends.get(r).copied().unwrap_or(r as i64), y(r))
            }),
            SeriesOptions { columns: Some(vec!["y".to_owned()]), ..options() },
            "y 2021-01-01..2021-01-30",
        ),
    ]);
}

#[test]
fn loads_and_sales_are_no_dates() {
    let hour = |r: usize| format!("{} {:02}:00", day_of(r / 24), r % 24);
    let load = |r: usize| 27_000 + r * 731 % 9000;
    check(&[
        (
            "a load that is told a day ahead",
            file("Time,Day-ahead Total Load Forecast [MW],Actual Load", 60, |r| {
                format!("{},{},{}", hour(r), load(r), load(r + 3))
            }),
            options(),
            "Day-ahead Total Load Forecast [MW],Actual Load 2021-01-01 00:00:00..2021-01-03 \
             11:00:00",
        ),
        (
            "sales of a year, and per day",
            file("date,year_sales,sales_per_day", 40, |r| {
                format!("{},{},{}", day_of(r), 1500 + r * 37 % 400, 30_000 + r * 91 % 5000)
            }),
            options(),
            "year_sales,sales_per_day 2021-01-01..2021-02-09",
        ),
    ]);
}

#[test]
fn years_of_two_digits_stand_where_the_rows_span_less() {
    let short = |r: usize| {
        let iso = day_of(r);
        format!("{}/{}/21", &iso[8..], &iso[5..7])
    };
    let read = "dates are read as %d/%m/%y: in other forms they span more years";
    let with_gap = file("date,y", 120, |r| format!("{},{}", short(r), y(r)));
    let without: Vec<&str> =
        with_gap.lines().enumerate().filter(|(i, _)| *i != 50).map(|(_, line)| line).collect();
    let error = load(&without.join("\n"), &options()).unwrap_err().to_string();
    assert!(error.contains("1 gap in time") && error.contains("2021-02-19"), "{error}");
    check(&[
        (
            "one month",
            file("date,y", 28, |r| format!("{:02}/03/21,{}", r + 1, y(r))),
            SeriesOptions { date_format: Some("%d/%m/%y".to_owned()), ..options() },
            "y 2021-03-01..2021-03-28",
        ),
        ("days above 12, whole", with_gap, options(), &format!("y 2021-01-01..2021-04-30 {read}")),
        (
            "the year first",
            file("date,y", 28, |r| format!("21-03-{:02},{}", r + 1, y(r))),
            options(),
            "y 2021-03-01..2021-03-28 dates are read as %y-%m-%d: in other forms they span more \
             years",
        ),
    ]);
}

#[test]
fn a_trace_is_no_truth_and_hours_are_counted_to_the_last_day() {
    let text = file("date,y,rain", 30, |r| {
        format!(
            "{},{},{}",
            day_of(r),
            y(r),
            if r == 9 { "T".to_owned() } else { "0.02".to_owned() }
        )
    });
    let past = SeriesOptions { past: vec!["rain".to_owned()], ..options() };
    let error = load(&text, &past).unwrap_err().to_string();
    assert!(error.contains("f.csv:11") && error.contains("rain"), "{error}");
    check(&[(
        "hours from 1 to 24 on the 24th",
        file("year,month,day,hour,y", 48, |r| {
            format!("2021,3,{},{},{}", 23 + r / 24, 1 + r % 24, y(r))
        }),
        options(),
        "y 2021-03-23 01:00:00..2021-03-25 00:00:00",
    )]);
}
