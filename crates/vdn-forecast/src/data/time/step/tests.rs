use super::Step;
use crate::data::time::{DAY, DateForm, SECOND};

const HOUR: i64 = 3600 * SECOND;

fn times(texts: &[&str]) -> Vec<i64> {
    let of = |text: &&str| {
        DateForm::Iso.parse(text).or_else(|| DateForm::Pattern("%Y-%m".to_owned()).parse(text))
    };
    texts.iter().map(|text| of(text).unwrap().clock).collect()
}

/// Times at every `step` from `first` on.
fn every(step: Step, first: &str, rows: i64) -> Vec<i64> {
    let start = times(&[first])[0];
    (0..rows).map(|row| step.advance(start, row).unwrap()).collect()
}

#[test]
fn the_step_of_times_and_the_times_of_steps_are_inverse() {
    let months = |count, end| Step::Months { count, end };
    let cases: [(Step, &str, &str); 14] = [
        (Step::Seconds(3600), "2021-03-28 00:00", "1 hour"),
        (Step::Seconds(900), "2021-03-28 00:05", "15 minutes"),
        (Step::Seconds(10), "2021-03-28 00:00", "10 seconds"),
        (Step::Micros(500_000), "2021-03-28 00:00", "500 milliseconds"),
        (Step::Seconds(86_400), "2020-02-20", "1 day"),
        (Step::Seconds(604_800), "1958-03-29", "1 week"),
        (months(1, false), "2020-01-01", "1 month"),
        (months(1, true), "2020-01-31", "1 month"),
        (months(1, true), "2021-02-28", "1 month"),
        (months(1, false), "2021-01-15 12:00", "1 month"),
        (months(3, false), "1920-01-01", "3 months"),
        (months(3, true), "2019-12-31", "3 months"),
        (months(12, false), "1900-01-01", "1 year"),
        (Step::WorkingDays, "2021-01-06", "1 working day"),
    ];
    for (step, first, name) in cases {
        let all = every(step, first, 60);
        assert_eq!(Step::of_times(&all), Ok(step), "{first}");
        assert_eq!(step.to_string(), name);
        for (row, &time) in (0..).zip(&all) {
            assert_eq!(step.between(all[0], time), Some(row), "{step} {first}");
            assert_eq!(step.between(all[59], time), Some(row - 59), "{step} {first}");
        }
        // A few gaps do not matter.
        let gaps: Vec<i64> = all.iter().copied().filter(|t| t.rem_euclid(7) != 3).collect();
        let gaps: Vec<i64> =
            gaps.iter().enumerate().filter(|(i, _)| i % 9 != 4).map(|(_, &t)| t).collect();
        assert_eq!(Step::of_times(&gaps), Ok(step), "{first} with gaps");
    }
}

#[test]
fn calendar_days() {
    let month = Step::Months { count: 1, end: true };
    let ends = times(&["2020-01-31", "2020-02-29", "2020-03-31", "2020-04-30"]);
    assert_eq!(Step::of_times(&ends), Ok(month));
    assert_eq!(every(month, "2020-01-31", 4), ends);
    // The last working days of months.
    let last = times(&["2021-01-29", "2021-02-26", "2021-03-31", "2021-04-30", "2021-05-31"]);
    let working = Step::LastWorkingDays(1);
    assert_eq!(Step::of_times(&last), Ok(working));
    assert_eq!(every(working, "2021-01-29", 5), last);
    // They begin on the 28th of February and stay at the end of the month.
    let short = times(&["2001-02-28", "2001-03-30", "2001-04-30", "2001-05-31", "2001-06-29"]);
    assert_eq!(Step::of_times(&short), Ok(working));
    assert_eq!(every(working, "2001-02-28", 5), short);
    // A Friday, a Monday, and the Saturday between them.
    let days = times(&["2021-01-08", "2021-01-11", "2021-01-09"]);
    assert_eq!(Step::WorkingDays.between(days[0], days[1]), Some(1));
    assert_eq!(Step::WorkingDays.between(days[0], days[2]), None);
    assert_eq!(Step::WorkingDays.advance(days[0], 1), Some(days[1]));
    assert_eq!(Step::WorkingDays.advance(days[1], -1), Some(days[0]));
    // Steps of exactly four weeks are not months.
    let four = every(Step::Seconds(28 * 86_400), "2020-01-01", 30);
    assert_eq!(Step::of_times(&four), Ok(Step::Seconds(28 * 86_400)));
    assert_eq!(Step::Seconds(3600).between(0, HOUR / 2), None);
    assert_eq!(Step::Seconds(86_400).advance(0, i64::MAX), None);
    assert_eq!(Step::Months { count: 1, end: false }.advance(0, 1 << 40), None);
}

#[test]
fn irregular_times_have_no_step() {
    let random: Vec<i64> = (0..40).map(|i: i64| i * DAY + (i * i * 7919) % DAY).collect();
    let error = Step::of_times(&random).unwrap_err();
    assert!(error.contains("that of") && error.contains("% of them only"), "{error}");
    assert!(Step::of_times(&[0]).is_err());
    // Most rows are missing, but the others are on one grid.
    let hours = [0, 1, 3, 4, 7, 12, 13, 15, 24, 25, 31, 40].map(|hour| hour * HOUR);
    assert_eq!(Step::of_times(&hours), Ok(Step::Seconds(3600)));
}

#[test]
fn seasons_follow_from_steps() {
    let cases: [(Step, &[usize]); 17] = [
        (Step::Seconds(3600), &[24, 168]),
        (Step::Seconds(1800), &[48, 336]),
        (Step::Seconds(900), &[96, 672]),
        (Step::Seconds(600), &[144, 1008]),
        (Step::Seconds(300), &[12, 288, 2016]),
        (Step::Seconds(60), &[60, 1440, 10_080]),
        (Step::Seconds(86_400), &[7, 365]),
        (Step::Seconds(604_800), &[52]),
        (Step::Seconds(2 * 604_800), &[26]),
        (Step::Seconds(4 * 604_800), &[13]),
        (Step::Seconds(3 * 604_800), &[]),
        (Step::LastWorkingDays(1), &[12]),
        (Step::Months { count: 1, end: true }, &[12]),
        (Step::Months { count: 3, end: false }, &[4]),
        (Step::Months { count: 12, end: false }, &[]),
        (Step::WorkingDays, &[5, 260]),
        (Step::Seconds(7 * 3600), &[24]),
    ];
    for (step, expected) in cases {
        assert_eq!(step.seasons(), expected, "{step}");
    }
}
