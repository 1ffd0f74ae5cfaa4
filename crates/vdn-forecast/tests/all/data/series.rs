//! Series tables: forms of files, columns found by their content, rows in order of time.

use vdn_forecast::data::{SeriesOptions, SeriesTable, TimeColumn};
use vdn_train::data::{DataError, Fill};

pub(super) fn options() -> SeriesOptions {
    SeriesOptions::default()
}

pub(super) fn filled() -> SeriesOptions {
    SeriesOptions { fill: Fill::Forward, ..options() }
}

pub(super) fn load(text: &str, options: &SeriesOptions) -> Result<SeriesTable, DataError> {
    SeriesTable::from_bytes("f.csv", text.as_bytes(), options)
}

/// Names, first and last dates, values.
pub(super) fn summary(table: &SeriesTable) -> String {
    let of = |series: usize| {
        let last = table.columns[series].len() - 1;
        let date = |row| table.date(series, row).unwrap_or_else(|| "-".to_owned());
        let (first, last) = (date(0), date(last));
        format!("{} {first}..{last} {:?}", table.names[series], table.columns[series])
    };
    let all: Vec<String> = (0..table.names.len()).map(of).collect();
    all.join("; ")
}

fn check(cases: &[(&str, &str, SeriesOptions, &str)]) {
    let mut wrong = Vec::new();
    for (name, text, options, expected) in cases {
        match load(text, options) {
            Ok(table) if summary(&table) == *expected => {}
            Ok(table) => wrong.push(format!("{name}: {}\n   not {expected}", summary(&table))),
            Err(error) => wrong.push(format!("{name}: {error}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn times_are_found_and_rows_put_in_their_order() {
    check(&[
        ("none", "a,b\n1,2\n3,4\n", options(), "a -..- [1.0, 3.0]; b -..- [2.0, 4.0]"),
        (
            "unsorted",
            "date,a\n2020-01-02,2\n2020-01-01,1\n2020-01-03,3\n",
            options(),
            "a 2020-01-01..2020-01-03 [1.0, 2.0, 3.0]",
        ),
        (
            "newest first, not the first column",
            "a,when\n3,2020-03-01\n2,2020-02-01\n1,2020-01-01\n",
            options(),
            "a 2020-01-01..2020-03-01 [1.0, 2.0, 3.0]",
        ),
        (
            "months",
            "Month,a\n1990-01,1\n1990-02,2\n1990-03,3\n",
            options(),
            "a 1990-01..1990-03 [1.0, 2.0, 3.0]",
        ),
        (
            "a month missing",
            "Month,a\n1990-01,1\n1990-02,2\n1990-03,3\n1990-05,5\n",
            filled(),
            "a 1990-01..1990-05 [1.0, 2.0, 3.0, 3.0, 5.0]",
        ),
        (
            "quarters",
            "q,a\n1920Q4,1\n1921Q1,2\n1921Q2,3\n",
            options(),
            "a 1920Q4..1921Q2 [1.0, 2.0, 3.0]",
        ),
        ("years", "Year,a\n1900,1\n1901,2\n1902,3\n", options(), "a 1900..1902 [1.0, 2.0, 3.0]"),
        (
            "years without a telling name",
            "x,a\n1900,1\n1901,2\n1902,3\n",
            options(),
            "a 1900..1902 [1.0, 2.0, 3.0]",
        ),
        (
            "Unix seconds",
            "epoch,a\n1600000000,1\n1600003600,2\n1600007200,3\n",
            options(),
            "a 2020-09-13 12:26:40+00:00..2020-09-13 14:26:40+00:00 [1.0, 2.0, 3.0]",
        ),
        (
            "Unix milliseconds",
            "t,a\n1600000000000,1\n1600003600000,2\n1600007200000,3\n",
            options(),
            "a 2020-09-13 12:26:40+00:00..2020-09-13 14:26:40+00:00 [1.0, 2.0, 3.0]",
        ),
        (
            "days as numbers",
            "date,a\n20200130,1\n20200131,2\n20200201,3\n",
            options(),
            "a 2020-01-30..2020-02-01 [1.0, 2.0, 3.0]",
        ),
        (
            "the year beside a date",
            "Year,date,a\n2019,2019-12-31,1\n2020,2020-01-01,2\n2020,2020-01-02,3\n",
            options(),
            "a 2019-12-31..2020-01-02 [1.0, 2.0, 3.0]",
        ),
        (
            "year, month and day in columns",
            "No,year,month,day,hour,a\n1,2019,12,31,23,1\n2,2020,1,1,0,2\n3,2020,1,1,1,3\n",
            options(),
            "a 2019-12-31 23:00:00..2020-01-01 01:00:00 [1.0, 2.0, 3.0]",
        ),
        (
            "date and time of day",
            "Date;Time;a\n10/03/2004;18.00.00;1,5\n10/03/2004;19.00.00;2,5\n\
             13/03/2004;20.00.00;9\n",
            SeriesOptions { fill: Fill::Value(0.0), ..options() },
            &format!(
                "a 2004-03-10 18:00:00..2004-03-13 20:00:00 [1.5, 2.5{}, 9.0]",
                ", 0.0".repeat(72)
            ),
        ),
        (
            "a saved index",
            ",date,a\n7,2020-01-01,1\n8,2020-01-02,2\n",
            options(),
            "a 2020-01-01..2020-01-02 [1.0, 2.0]",
        ),
        (
            "pandas' name of an index",
            "date,Unnamed: 0,a\n2020-01-01,0,1\n2020-01-02,1,2\n",
            options(),
            "a 2020-01-01..2020-01-02 [1.0, 2.0]",
        ),
        (
            "values that count",
            "date,index\n2020-01-01,9646\n2020-01-02,10928\n2020-01-03,11573\n",
            options(),
            "index 2020-01-01..2020-01-03 [9646.0, 10928.0, 11573.0]",
        ),
        (
            "working days",
            "date,a\n2021-01-07,1\n2021-01-08,2\n2021-01-11,3\n2021-01-12,4\n2021-01-13,5\n\
             2021-01-14,6\n2021-01-15,7\n2021-01-18,8\n",
            options(),
            "a 2021-01-07..2021-01-18 [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]",
        ),
        ("counted steps", "ds,a\n10,2\n0,1\n20,3\n", options(), "a 0..20 [1.0, 2.0, 3.0]"),
        (
            "numbers of rows",
            "id,date,a\n1,2020-01-01,2\n2,2020-01-02,1\n",
            options(),
            "a 2020-01-01..2020-01-02 [2.0, 1.0]",
        ),
        (
            "parts of the dates",
            "date,month,day,a\n2020-01-31,1,31,2\n2020-02-01,2,1,1\n",
            options(),
            "a 2020-01-31..2020-02-01 [2.0, 1.0]",
        ),
        ("steps", "t,a\n0,1\n1,2\n", options(), "a -..- [1.0, 2.0]"),
        ("steps alone", "t\n0\n1\n", options(), "t -..- [0.0, 1.0]"),
        (
            "text beside the series",
            "date,a,weather\n2020-01-01,1,sun\n2020-01-02,2,rain\n",
            options(),
            "a 2020-01-01..2020-01-02 [1.0, 2.0]",
        ),
        (
            "times that are not read",
            "date,a\n2020-01-01,1\n2020-01-01,2\n2020-01-09,3\n",
            SeriesOptions { time: TimeColumn::None, ..options() },
            "a -..- [1.0, 2.0, 3.0]",
        ),
        (
            "a form that is given",
            "date,a\n01/02/2020,1\n01/03/2020,2\n",
            SeriesOptions { date_format: Some("%m/%d/%Y".to_owned()), ..options() },
            "a 2020-01-02..2020-01-03 [1.0, 2.0]",
        ),
        (
            "the reading without gaps",
            "date,a\n01/02/2020 00:00,1\n01/02/2020 12:00,2\n02/02/2020 00:00,3\n",
            options(),
            "a 2020-02-01 00:00:00..2020-02-02 00:00:00 [1.0, 2.0, 3.0]",
        ),
    ]);
}

#[test]
fn clocks_that_change_are_read_right() {
    // Europe/Berlin, 2021-10-31: 02:00 occurs twice.
    let autumn = ["01:00+02:00", "02:00+02:00", "02:00+01:00", "03:00+01:00"];
    let with_offsets: String =
        autumn.iter().enumerate().map(|(i, time)| format!("2021-10-31T{time},{i}\n")).collect();
    let local: String = ["01:00", "02:00", "02:00", "03:00"]
        .iter()
        .enumerate()
        .map(|(i, time)| format!("2021-10-31 {time},{i}\n"))
        .collect();
    // 2021-03-28: 02:00 is skipped.
    let spring = "2021-03-28 01:00,0\n2021-03-28 03:00,1\n2021-03-28 04:00,2\n";
    // Midnights that are 24, 23 and 24 hours apart.
    let midnights = "2021-03-27T00:00:00+01:00,0\n2021-03-28T00:00:00+01:00,1\n\
                     2021-03-29T00:00:00+02:00,2\n2021-03-30T00:00:00+02:00,3\n";
    let berlin = SeriesOptions { zone: Some("Europe/Berlin".to_owned()), ..options() };
    let head = |rows: &str| format!("time,a\n{rows}");
    let four = "[0.0, 1.0, 2.0, 3.0]";
    check(&[
        (
            "offsets",
            &head(&with_offsets),
            options(),
            &format!("a 2021-10-31 00:00:00+01:00..2021-10-31 03:00:00+01:00 {four}"),
        ),
        (
            "a zone, autumn",
            &head(&local),
            berlin.clone(),
            &format!("a 2021-10-31 01:00:00+02:00..2021-10-31 03:00:00+01:00 {four}"),
        ),
        (
            "a zone, spring",
            &head(spring),
            berlin.clone(),
            "a 2021-03-28 01:00:00+01:00..2021-03-28 04:00:00+02:00 [0.0, 1.0, 2.0]",
        ),
        ("days", &head(midnights), options(), &format!("a 2021-03-27..2021-03-30 {four}")),
    ]);
    let error = load(&head(&local), &options()).unwrap_err().to_string();
    assert!(error.contains("line 3, too") && error.contains("data.zone"), "{error}");
    let skipped =
        load(&head("2021-03-28 01:00,0\n2021-03-28 02:00,1\n2021-03-28 03:00,2\n"), &berlin);
    let error = skipped.unwrap_err().to_string();
    assert!(error.starts_with("f.csv:3: the clocks of data.zone skip this time"), "{error}");
    let mars = SeriesOptions { zone: Some("Mars/Base".to_owned()), ..options() };
    let error = load(&head(spring), &mars).unwrap_err().to_string();
    assert!(error.starts_with("data.zone = \"Mars/Base\": no time zone"), "{error}");
}

#[test]
fn long_files_have_series_of_any_lengths() {
    let long = "unique_id,ds,y\nB,2020-01-03,1\nA,2020-01-01,2\nB,2020-01-04,3\n\
     A,2020-01-02,4\nA,2020-01-03,5\n";
    let select = |names: &[&str]| SeriesOptions {
        columns: Some(names.iter().map(|name| (*name).to_owned()).collect()),
        ..options()
    };
    let (a, b) =
        ("A 2020-01-01..2020-01-03 [2.0, 4.0, 5.0]", "B 2020-01-03..2020-01-04 [1.0, 3.0]");
    let both = format!("{b}; {a}");
    check(&[
        ("Nixtla's names", long, options(), &both),
        (
            "counted steps",
            "unique_id,ds,y\nA,1,1\nA,2,2\nA,3,3\nB,7,4\nB,8,5\n",
            options(),
            "A 1..3 [1.0, 2.0, 3.0]; B 7..8 [4.0, 5.0]",
        ),
        ("one of them", long, select(&["A"]), a),
        ("by place, in order", long, select(&["#2", "#1"]), &format!("{a}; {b}")),
        (
            "found by content",
            "symbol,date,price\nA,Jan 1 2000,1\nA,Feb 1 2000,2\nA,Mar 1 2000,3\n\
             B,Jan 1 2000,4\nB,Feb 1 2000,5\nB,Mar 1 2000,6\n",
            options(),
            "A 2000-01-01..2000-03-01 [1.0, 2.0, 3.0]; B 2000-01-01..2000-03-01 [4.0, 5.0, 6.0]",
        ),
        (
            "numbers as names",
            "unique_id;ds;y\n1;2020-01-01;1,5\n1;2020-01-02;2\n2;2020-01-01;3\n2;2020-01-02;4\n",
            options(),
            "1 2020-01-01..2020-01-02 [1.5, 2.0]; 2 2020-01-01..2020-01-02 [3.0, 4.0]",
        ),
        (
            "columns that are named",
            "shop,day,sold,price\nA,2020-01-01,1,9\nA,2020-01-02,2,9\nB,2020-01-01,3,9\n\
             B,2020-01-02,4,9\n",
            SeriesOptions { target_column: Some("sold".to_owned()), ..options() },
            "A 2020-01-01..2020-01-02 [1.0, 2.0]; B 2020-01-01..2020-01-02 [3.0, 4.0]",
        ),
    ]);
    let errors = [
        ("shop,day,sold,price\nA,2020-01-01,1,9\nB,2020-01-01,3,9\n", "2 columns of numbers"),
        (
            "shop,town,day,sold\nA,X,2020-01-01,1\nB,Y,2020-01-01,3\n",
            "the columns `shop` and `town` may name the series: say which by data.id_column",
        ),
        ("unique_id,ds,y\nA,2020-01-01,1\nA,2020-01-01,3\n", "line 2, too"),
    ];
    for (text, expected) in errors {
        let error = load(text, &options()).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn offsets_of_dates_hold_in_a_zone_too() {
    let text = "time,a\n2021-10-31T02:00+02:00,0\n2021-10-31T02:00+01:00,1\n\
                2021-10-31T03:00+01:00,2\n";
    let berlin = SeriesOptions { zone: Some("Europe/Berlin".to_owned()), ..options() };
    let expected = "a 2021-10-31 02:00:00+02:00..2021-10-31 03:00:00+01:00 [0.0, 1.0, 2.0]";
    assert_eq!(summary(&load(text, &berlin).unwrap()), expected);
}
