//! The processing of a file's rows: errors, notes and gaps.

use super::series::{filled, load, options, summary};
use vdn_forecast::data::time::Step;
use vdn_forecast::data::{Dataset, Duplicates, SeriesOptions, WindowSpec};
use vdn_train::data::{Fill, FitScope};

#[test]
fn what_cannot_be_read_safely_is_refused_with_what_to_do() {
    let cases: [(&str, SeriesOptions, &str); 13] = [
        (
            "date,a\n2020-01-01,1\n2020-01-02,2\n2020-01-02,3\n",
            options(),
            "f.csv:4: the time 2020-01-02 stands on line 3, too; say what is to be taken by",
        ),
        (
            "date,a\n2020-01-01,1\n2020-01-02,2\n2020-01-03,3\n2020-01-06,3\n",
            options(),
            "f.csv: 1 gap in time, 2 rows; the longest has 2 rows, the first one begins at \
             2020-01-04 (between f.csv:4 and f.csv:5); choose a fill policy",
        ),
        (
            "date,a\n01/02/2020,1\n02/02/2020,2\n03/02/2020,3\n",
            options(),
            "f.csv: the date \"03/02/2020\" can be 3 February 2020 (%d/%m/%Y) or 2 March 2020 \
             (%m/%d/%Y), and so can all others: say which by data.date_format",
        ),
        (
            "date,a\n2020-01-01,1\n2020-01-02,2\n2020-01-03,3\nTotal,6\n",
            options(),
            "f.csv:5: column 1 (`date`): \"Total\" is not a date as the other rows have it",
        ),
        (
            "date,a\n2020-01-01,1\n,2\n2020-01-03,3\n",
            options(),
            "f.csv:3: column 1 (`date`): the time of the row is missing",
        ),
        (
            "date,a\n2020-01-01 00:00,1\n2020-01-01 01:00,2\n2020-01-01 02:00,3\n\
             2020-01-01 03:17,3\n",
            options(),
            "f.csv: line 5: 2020-01-01 03:17:00 is not a whole number of steps (1 hour) after",
        ),
        (
            "date,a\n2020-01-01 00:00,1\n2020-01-01 01:07,2\n2020-01-01 02:31,3\n\
             2020-01-01 09:17,3\n",
            options(),
            "f.csv: the times of rows have no common step: the most frequent distance",
        ),
        (
            "date,a\nyesterday,1\ntoday,2\n",
            options(),
            "f.csv:2: column 1 (`date`): \"yesterday\" is a date in no form that is known",
        ),
        (
            "2020-01-01,1\n2020-01-02,2\n2020-01-03,3\n",
            options(),
            "f.csv: there is no header: the first row begins with \"2020-01-01\"",
        ),
        (
            "date,a\n2020-01-01,1\n2020-01-02,\n2020-01-03,3\n",
            options(),
            "f.csv:3: column 2 (`a`): the value is missing (the cell is \"\"); choose a fill",
        ),
        (
            "date,a\n2020-01-01,\n2020-01-02,\n",
            filled(),
            "f.csv: column 2 (`a`): all 2 values are missing",
        ),
        (
            "date,a\n2020-01-01,1\n2020-01-02,1x\n",
            options(),
            "f.csv:3: column 2 (`a`): \"1x\" is not a finite number",
        ),
        (
            "date,text\n2020-01-01,x\n2020-01-02,y\n",
            options(),
            "f.csv:2: column 2 (`text`): \"x\" is no number in a form that is known, and no other",
        ),
    ];
    let mut wrong = Vec::new();
    for (text, options, expected) in cases {
        match load(text, &options) {
            Ok(table) => wrong.push(format!("accepted: {}\n   not {expected}", summary(&table))),
            Err(error) if error.to_string().starts_with(expected) => {}
            Err(error) => wrong.push(format!("{error}\n   not {expected}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_is_done_to_rows_is_told() {
    let cases: [(&str, SeriesOptions, &[&str]); 9] = [
        ("date,a\n2020-01-01,1\n2020-01-02,2\n", options(), &[]),
        (
            "date,a\n2020-01-02,1\n2020-01-01,2\n2020-01-03,2\n",
            options(),
            &["rows are not in order of time: sorted, 1 of 3 moved"],
        ),
        (
            "date,a\n2020-01-03,1\n2020-01-02,2\n2020-01-01,2\n",
            options(),
            &["the rows stand newest first: sorted by time"],
        ),
        (
            "date,a\n2020-01-01,1\n2020-01-02,2\n2020-01-02,4\n",
            SeriesOptions { duplicates: Duplicates::Mean, ..options() },
            &["1 rows with the time of another row: their mean is taken"],
        ),
        (
            "date,a,b\n2020-01-01,1,\n2020-01-02,,\n2020-01-03,3,7\n",
            filled(),
            &[
                "b: begins at 2020-01-03; 2 rows before it have no value",
                "a: 1 missing values filled (0 of them sentinels), longest gap 1 rows",
            ],
        ),
        (
            ",date,a,\n0,2020-01-01,1,\n1,2020-01-02,2,\n",
            options(),
            &[
                "column `column 1` numbers the rows: left out",
                "1 empty column at the end of every row left out",
            ],
        ),
        (
            "date,a\n2020-01-01,1152921504606847941\n2020-01-02,1152921504606848069\n",
            options(),
            &["a: integers beyond 2^53 are read less 1152921504606847941, \
                 which forecasts get back"],
        ),
        (
            "date,a\n2020-01-01,1\n2020-01-02,-999\n2020-01-03,2\n",
            options(),
            &["a: 1 cell is -999, kept as numbers, but this may be a fill value: naming it as a \
               sentinel (--sentinel -999) treats them as missing"],
        ),
        (
            "year,date,a\n2020,2020-01-01,1\n2020,2020-01-02,2\n",
            options(),
            &["column `year` holds years, as `date` does: left out"],
        ),
    ];
    for (text, options, expected) in cases {
        assert_eq!(load(text, &options).unwrap().notes, expected, "{text}");
    }
    // The note says "newest first" only if every series that is not in order is in descending
    // order.
    let long = |b: [u32; 3]| {
        let rows = |name: &str, days: [u32; 3]| -> String {
            days.iter().map(|day| format!("{name},2020-01-0{day},{day}\n")).collect()
        };
        let text = format!(
            "unique_id,ds,y\n{}{}{}",
            rows("a", [3, 2, 1]),
            rows("b", b),
            rows("c", [1, 2, 3])
        );
        load(&text, &options()).unwrap().notes
    };
    assert_eq!(long([5, 4, 3]), ["the rows stand newest first: sorted by time"]);
    assert_eq!(long([3, 5, 4]), ["rows are not in order of time: sorted, 3 of 9 moved"]);
    let last = SeriesOptions { duplicates: Duplicates::Last, ..options() };
    let twice = "date,a\n2020-01-01,1\n2020-01-02,2\n2020-01-02,4\n2020-01-03,5\n";
    assert_eq!(load(twice, &last).unwrap().columns, [[1.0, 4.0, 5.0]]);
    let mean = SeriesOptions { duplicates: Duplicates::Mean, ..options() };
    assert_eq!(load(twice, &mean).unwrap().columns, [[1.0, 3.0, 5.0]]);
}

#[test]
fn gaps_are_filled_from_the_past() {
    let text = "date,a\n2020-01-01,1\n2020-01-02,2\n2020-01-03,3\n2020-01-07,7\n2020-01-08,\n";
    let column =
        |fill| load(text, &SeriesOptions { fill, ..options() }).unwrap().columns[0].clone();
    assert_eq!(column(Fill::Forward), [1.0, 2.0, 3.0, 3.0, 3.0, 3.0, 7.0, 7.0]);
    assert_eq!(column(Fill::Linear), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 7.0]);
    assert_eq!(column(Fill::Value(0.0)), [1.0, 2.0, 3.0, 0.0, 0.0, 0.0, 7.0, 0.0]);
    // With a fill policy that uses the past, a later value changes nothing before it.
    let other = text.replace("07,7", "07,700");
    let table = load(&other, &filled()).unwrap();
    assert_eq!(table.columns[0][..6], column(Fill::Forward)[..6]);
    assert_eq!(table.calendar().unwrap().step, Step::Seconds(86_400));
    assert_eq!(table.place(0, 3), None);
    assert_eq!(table.place(0, 6).as_deref(), Some("f.csv:5"));
}

#[test]
fn no_window_forecasts_from_inside_a_line_to_a_later_value() {
    // Rows 60 to 62 are missing; linear interpolation across them uses the value of row 63.
    let rows = (0..200).filter(|row| !(60..63).contains(row));
    let text: String = rows.map(|row| format!("{row},{}\n", row % 7)).collect();
    let text = format!("ds,a\n{text}");
    let starts = |fill| {
        let table = load(&text, &SeriesOptions { fill, ..options() }).unwrap();
        let spec = WindowSpec::new(8, 2);
        let data = Dataset::from_table(table, spec, FitScope::Training).unwrap();
        let train: Vec<u32> = data.splits().train.iter().map(|window| window.t).collect();
        (train, data.notes().join("\n"))
    };
    let (all, _) = starts(Fill::Forward);
    assert!((61..=63).all(|t| all.contains(&t)));
    let (some, notes) = starts(Fill::Linear);
    let expected: Vec<u32> = all.into_iter().filter(|t| !(61..=63).contains(t)).collect();
    assert_eq!(some, expected);
    assert!(notes.contains("3 windows begin to forecast in a gap"), "{notes}");
}

/// With this many columns, a search of all names for each of them would take minutes.
#[test]
fn columns_are_chosen_without_a_search_for_each() {
    let names: Vec<String> = (0..250_000).map(|i| format!("s{i}")).collect();
    let row = vec!["1"; names.len()].join(",");
    let text = format!("{}\n{row}\n{row}\n{row}\n", names.join(","));
    let (series, plans) = names.split_at(125_000);
    let wanted =
        SeriesOptions { columns: Some(series.to_vec()), future: plans.to_vec(), ..options() };
    let table = load(&text, &wanted).unwrap();
    assert_eq!(table.names, series);
}
