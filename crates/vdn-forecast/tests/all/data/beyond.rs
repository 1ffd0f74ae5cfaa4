//! The dates of forecasts, which follow the date of the last row.

use super::kinds::y;
use super::series::{load, options};
use vdn_forecast::data::SeriesOptions;

#[test]
fn dates_go_on_as_the_calendar_does() {
    let zone = |name: &str| SeriesOptions { zone: Some(name.to_owned()), ..options() };
    // The last rows of a file, and the dates after them.
    let cases: [(&str, &[&str], SeriesOptions, &[&str]); 12] = [
        (
            "the last hours before clocks are set forward",
            &["2021-03-27 23:00", "2021-03-28 00:00", "2021-03-28 01:00"],
            zone("Europe/Berlin"),
            &["2021-03-28 03:00:00+02:00", "2021-03-28 04:00:00+02:00"],
        ),
        (
            "the last hours before clocks are set back",
            &["2020-10-24 23:00", "2020-10-25 00:00", "2020-10-25 01:00"],
            zone("Europe/Berlin"),
            &[
                "2020-10-25 02:00:00+02:00",
                "2020-10-25 02:00:00+01:00",
                "2020-10-25 03:00:00+01:00",
            ],
        ),
        (
            "a clock of unknown zone",
            &["2021-03-27 23:00", "2021-03-28 00:00", "2021-03-28 01:00"],
            options(),
            &["2021-03-28 02:00:00", "2021-03-28 03:00:00"],
        ),
        (
            "days across a change of clocks",
            &["2021-03-26", "2021-03-27", "2021-03-28"],
            zone("Europe/Berlin"),
            &["2021-03-29", "2021-03-30"],
        ),
        (
            "days before a leap day",
            &["2024-02-26", "2024-02-27", "2024-02-28"],
            options(),
            &["2024-02-29", "2024-03-01"],
        ),
        (
            "days at the end of February",
            &["2100-02-26", "2100-02-27", "2100-02-28"],
            options(),
            &["2100-03-01", "2100-03-02"],
        ),
        (
            "ends of months",
            &["2023-10-31", "2023-11-30", "2023-12-31"],
            options(),
            &["2024-01-31", "2024-02-29", "2024-03-31", "2024-04-30"],
        ),
        (
            "ends of quarters",
            &["2023-03-31", "2023-06-30", "2023-09-30"],
            options(),
            &["2023-12-31", "2024-03-31", "2024-06-30"],
        ),
        (
            "the 30th of each month, past February",
            &["2023-10-30", "2023-11-30", "2023-12-30"],
            options(),
            &["2024-01-30", "2024-02-29", "2024-03-30"],
        ),
        ("quarters", &["2021Q2", "2021Q3", "2021Q4"], options(), &["2022Q1", "2022Q2"]),
        (
            "weeks of a year with 53",
            &["2020-W51", "2020-W52", "2020-W53"],
            options(),
            &["2021-01-04", "2021-01-11"],
        ),
        (
            "working days before a weekend",
            &[
                "2021-12-20",
                "2021-12-21",
                "2021-12-22",
                "2021-12-23",
                "2021-12-24",
                "2021-12-27",
                "2021-12-28",
                "2021-12-29",
                "2021-12-30",
                "2021-12-31",
                "2022-01-03",
                "2022-01-04",
                "2022-01-05",
                "2022-01-06",
                "2022-01-07",
            ],
            options(),
            &["2022-01-10", "2022-01-11"],
        ),
    ];
    for (name, dates, options, expected) in cases {
        let rows = dates.iter().enumerate().map(|(row, date)| format!("{date},{}\n", y(row)));
        let table = load(&format!("date,y\n{}", rows.collect::<String>()), &options).unwrap();
        let after = |step: usize| table.date(0, dates.len() + step).unwrap();
        let found: Vec<String> = (0..expected.len()).map(after).collect();
        assert_eq!(found, expected, "{name}: {:?}", table.notes);
    }
}
