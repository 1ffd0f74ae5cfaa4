//! Tables that do not consist of a header and one row for each time: columns of marks beside the
//! times, rows that are series, dates in two forms, and files without a header.

use super::kinds::{check, day_of, file, y};
use super::series::options;
use vdn_forecast::data::SeriesOptions;

/// The hours of four days. Clocks are set back in the third hour of the second day.
fn hours_set_back(row: usize) -> String {
    let (number, again) = if row > 26 { (row - 1, row == 27) } else { (row, false) };
    let mark = if again { "Y" } else { "N" };
    format!("{},{:02}:00,{},{mark}", day_of(number / 24), number % 24, y(row))
}

#[test]
fn a_column_that_marks_single_rows_names_no_series() {
    check(&[
        (
            "the hour that clocks repeat",
            file("date,hour,load,repeated", 97, hours_set_back),
            options(),
            "error: f.csv:29: the time 2021-01-02 02:00:00 stands on line 28, too; column \
             `repeated` tells such rows apart...",
        ),
        (
            "a quality beside every value",
            file("date,load,quality", 60, |r| {
                format!("{},{},{}", day_of(r), y(r), if r % 9 == 0 { "E" } else { "A" })
            }),
            options(),
            "load 2021-01-01..2021-03-01 column `quality` holds text: left out",
        ),
        (
            "a series that begins in the last rows of the sample",
            file("name,date,v", 61, |r| {
                let (name, day) = if r > 59 { ("B", 59) } else { ("A", r) };
                format!("{name},{},{}", day_of(day), y(r))
            }),
            options(),
            "A,B 2021-01-01..2021-03-01",
        ),
        (
            "names of many series, each once in the sample",
            file("date,name,v", 1500, |r| format!("{},S{r},{}", day_of(r / 1500), y(r))),
            options(),
            "S0,S1,S2,...",
        ),
    ]);
}

#[test]
fn the_text_that_rows_of_a_time_do_not_share_names_the_series() {
    check(&[
        (
            "a name and its region",
            file("name,date,v,region", 90, |r| {
                let (name, region) = [("A", "north"), ("B", "south"), ("C", "south")][r / 30];
                format!("{name},{},{},{region}", day_of(r % 30), y(r))
            }),
            options(),
            "A,B,C 2021-01-01..2021-01-30 column `region` is left out",
        ),
        (
            "series that two columns name together",
            file("date,shop,item,v", 80, |r| {
                format!("{},S{},I{},{}", day_of(r / 4), r % 2, r / 2 % 2, y(r))
            }),
            options(),
            "error: f.csv: the columns `shop` and `item` may name the series: say which by \
             data.id_column, or join them to one column if only both name a series",
        ),
    ]);
}

#[test]
fn tables_whose_rows_are_series_are_refused() {
    let values = |r: usize| (0..30).map(|c| y(r + c).to_string()).collect::<Vec<_>>().join(",");
    let head = |name: &dyn Fn(usize) -> String| {
        let names: Vec<String> = (0..30).map(name).collect();
        format!("item,{}", names.join(","))
    };
    check(&[
        (
            "named by days",
            file(&head(&day_of), 3, |r| format!("S{r},{}", values(r))),
            options(),
            "error: f.csv: the columns are named by times (\"2021-01-01\", \"2021-01-02\", ...), \
             and each row is a series: turn the table...",
        ),
        (
            "named by years",
            file(&head(&|c| (1960 + c).to_string()), 3, |r| format!("S{r},{}", values(r))),
            options(),
            "error: f.csv: the columns are named by times (\"1960\", \"1961\", ...)...",
        ),
        (
            "series that are named by numbers",
            file(&head(&|c| (1960 + c).to_string()).replace("item", "date"), 30, |r| {
                format!("{},{}", day_of(r), values(r))
            }),
            SeriesOptions { columns: Some(vec!["1961".to_owned()]), ..options() },
            "1961 2021-01-01..2021-01-30",
        ),
    ]);
}

#[test]
fn the_first_row_that_is_wrong_is_named() {
    let de = |row: usize| y(row).to_string().replace('.', ",");
    check(&[
        (
            "dates in two forms",
            file("date,y", 60, |r| match r {
                0..30 => format!("{},{}", day_of(r), y(r)),
                _ => format!("{:02}/02/2021,{}", r - 29, y(r)),
            }),
            options(),
            "error: f.csv:32: column 1 (`date`): \"01/02/2021\" is not a date in the form of the \
             first one, \"2021-01-01\"; write all dates in one form",
        ),
        (
            "cells between blanks",
            file("date  y", 30, |r| format!("{}  {}", day_of(r), 50.0 + y(r))),
            options(),
            "error: f.csv:2: column 1 (`date  y`): \"2021-01-01  60.25\" is one cell; separate \
             cells by a comma, `;`, a tab or `|`",
        ),
        (
            "no header before decimal commas",
            file("01.01.2021;10,25", 30, |r| format!("{:02}.01.2021;{}", r + 2, de(r))),
            options(),
            "error: f.csv: there is no header: the first row begins with \"01.01.2021\"",
        ),
        (
            "no header before whole numbers",
            file("51,63", 30, |r| format!("{},{}", 50 + r * 7 % 13, 60 + r * 5 % 11)),
            options(),
            "51,63 -..- the first row begins with \"51\", and its numbers are read as the names \
             of columns: a file without a header needs one",
        ),
        (
            "columns that are named by their numbers",
            file("0,1", 30, |r| format!("{},{}", 50 + r * 7 % 13, 60 + r * 5 % 11)),
            options(),
            "0,1 -..-",
        ),
        (
            "decimal commas in one column",
            file("y", 30, de),
            options(),
            "error: f.csv:1: the header has 1 cell, the rows 2; remove text before the header, \
             or, where the comma is that of decimals, set data.delimiter = \";\"",
        ),
        (
            "true and false alone",
            file("date,open", 30, |r| format!("{},{}", day_of(r), r % 7 != 0)),
            options(),
            "error: f.csv:2: column 2 (`open`): \"false\" is no number in a form that is known, \
             and no other column holds numbers; write numbers as 1234.5 or 1234,5, and true and \
             false as 1 and 0",
        ),
    ]);
}
