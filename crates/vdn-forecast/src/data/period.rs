//! The seasonal period of a series, from the step between its dates.
//!
//! The rule: as many steps as a day has (24 hourly, 96 quarter-hourly, 144 ten-minute). Daily data:
//! 365 when there are two years, otherwise 7. Exchange rates: 1, a random walk has no season;
//! their usual file numbers trading days on as if they were calendar days, so they are recognised
//! by the file's name alone. Weekly, monthly and quarterly data: the steps of a year, when there
//! are two years.

use vdn_train::data::Dates;

/// How many of the first dates are looked at.
const FIRST_ROWS: usize = 1000;

/// Seconds of a day.
pub(super) const DAY: i64 = 86_400;

/// A seasonal period in rows, or none, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeasonalPeriod {
    /// Rows after which the season repeats; 1 for no season; `None` when it cannot be told and
    /// has to be stated.
    pub period: Option<usize>,
    /// How it was found, or why not.
    pub reason: String,
}

/// Infers the seasonal period of a table of `rows` rows from its dates and the name of its file.
///
/// ```
/// let dates: vdn_train::data::Dates = (0..24).map(|hour| format!("2020-01-01 {hour}:00")).collect();
/// let season = vdn_forecast::data::seasonal_period("load.csv", Some(&dates), 24);
/// assert_eq!(season.period, Some(24));
/// ```
pub fn seasonal_period(file: &str, dates: Option<&Dates>, rows: usize) -> SeasonalPeriod {
    if is_exchange(file) {
        let reason = "exchange rates (by the file's name) have no season".to_owned();
        return SeasonalPeriod { period: Some(1), reason };
    }
    let step = match dates {
        Some(dates) => infer_step(dates.iter()),
        None => Err("there is no date column".to_owned()),
    };
    let (period, reason) = match step {
        Ok(step) => period_of_step(step, rows),
        Err(reason) => (None, reason),
    };
    SeasonalPeriod { period, reason }
}

/// Whether a file holds exchange rates, by its name.
pub(super) fn is_exchange(file: &str) -> bool {
    let name = file.rsplit(['/', '\\']).next().unwrap_or(file);
    name.to_ascii_lowercase().contains("exchange")
}

/// Median step in seconds between the first dates (up to 1000).
///
/// # Errors
///
/// A sentence that says why there is none: a date in another form, fewer than two dates, dates
/// that do not ascend, or working days (a season would not be a fixed number of rows).
pub fn infer_step<'a>(dates: impl IntoIterator<Item = &'a str>) -> Result<i64, String> {
    let mut seconds = Vec::new();
    for (row, date) in dates.into_iter().take(FIRST_ROWS).enumerate() {
        match parse_date(date) {
            Some(value) => seconds.push(value),
            None => {
                return Err(format!(
                    "the date {date:?} of row {row} (from 0) is neither `YYYY-MM-DD HH:MM[:SS]` \
                     nor `YYYY/M/D H:MM`"
                ));
            }
        }
    }
    let mut steps: Vec<i64> = seconds.windows(2).map(|pair| pair[1] - pair[0]).collect();
    if steps.is_empty() {
        return Err("fewer than two dates".to_owned());
    }
    let middle = steps.len() / 2;
    let (_, &mut median, _) = steps.select_nth_unstable(middle);
    if median <= 0 {
        return Err("the dates do not ascend".to_owned());
    }
    // A working week is four steps of one day and one of three.
    let weekends = steps.iter().filter(|&&step| step == 3 * DAY).count();
    if median == DAY && 7 * weekends > steps.len() {
        return Err("the dates are working days".to_owned());
    }
    Ok(median)
}

fn period_of_step(step: i64, rows: usize) -> (Option<usize>, String) {
    // Months, quarters and years have no fixed length.
    let yearly = [
        ("daily", DAY..=DAY, 365),
        ("weekly", 7 * DAY..=7 * DAY, 52),
        ("monthly", 28 * DAY..=31 * DAY, 12),
        ("quarterly", 90 * DAY..=92 * DAY, 4),
    ];
    for (name, steps, period) in yearly {
        if !steps.contains(&step) {
            continue;
        }
        return match (rows >= 2 * period, name) {
            (true, _) => (Some(period), format!("{name} rows, two years or more")),
            (false, "daily") => (Some(7), "daily rows, less than two years".to_owned()),
            (false, _) => (Some(1), format!("{name} rows, less than two years")),
        };
    }
    if (365 * DAY..=366 * DAY).contains(&step) {
        return (Some(1), "yearly rows".to_owned());
    }
    match usize::try_from(DAY / step) {
        Ok(period) if period > 1 && DAY % step == 0 => {
            (Some(period), format!("rows every {step} s, {period} a day"))
        }
        _ => (None, format!("rows every {step} s belong to no known season")),
    }
}

/// Seconds since 1970-01-01 00:00 of `YYYY-MM-DD` or `YYYY/M/D`, with or without a time `H:MM`,
/// `H:MM:SS` or `H:MM:SS.fff` after a blank or a `T`; the fraction, and a time zone after the
/// time, are ignored. `None` for any other form and for days that do not exist.
pub fn parse_date(text: &str) -> Option<i64> {
    let text = text.trim();
    let (date, time) = match text.split_once([' ', 'T']) {
        Some((date, time)) => (date, Some(time.trim_start())),
        None => (text, None),
    };
    let separator = if date.contains('/') { '/' } else { '-' };
    let mut parts = date.split(separator);
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() || year.len() != 4 {
        return None;
    }
    let (year, month, day) = (number(year)?, number(month)?, number(day)?);
    let leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    let days_in_month = match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=days_in_month).contains(&day) {
        return None;
    }
    let seconds = match time {
        Some(time) => seconds_of_day(time)?,
        None => 0,
    };
    Some(days_since_1970(year, month, day) * DAY + seconds)
}

fn seconds_of_day(time: &str) -> Option<i64> {
    let clock = time.split(['Z', '+', '-']).next()?.trim_end();
    let mut parts = clock.split(':');
    let (hour, minute) = (number(parts.next()?)?, number(parts.next()?)?);
    let second = match parts.next() {
        Some(second) => number(second.split('.').next()?)?,
        None => 0,
    };
    let valid = hour < 24 && minute < 60 && second <= 60 && parts.next().is_none();
    valid.then_some(hour * 3600 + minute * 60 + second)
}

/// A number of one to four digits.
fn number(text: &str) -> Option<i64> {
    let digits = (1..=4).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    if digits { text.parse().ok() } else { None }
}

/// Days since 1970-01-01 in the Gregorian calendar, `year >= 0`.
///
/// The year is taken to begin in March, so that the leap day is its last and the days before
/// month `m` (from March = 0) are `⌊(153 m + 2) / 5⌋` (months of 31, 30, 31, 30, 31 days repeat
/// every 153).
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    // From 0000-03-01 to 1970-01-01 there are 719468 days.
    365 * year + leap_days + (153 * month + 2) / 5 + day - 1 - 719_468
}

#[cfg(test)]
mod tests {
    use super::{DAY, days_since_1970, infer_step, parse_date, seasonal_period};
    use vdn_train::data::Dates;

    #[test]
    fn every_day_of_four_centuries_follows_the_one_before() {
        let mut expected = 0;
        for year in 1970..2370 {
            let leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
            let months = [31, if leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
            for (month, days) in (1..).zip(months) {
                for day in 1..=days {
                    assert_eq!(days_since_1970(year, month, day), expected, "{year}-{month}-{day}");
                    expected += 1;
                }
            }
        }
        assert_eq!(days_since_1970(1969, 12, 31), -1);
    }

    #[test]
    fn dates_of_all_forms() {
        let first = 1_467_331_200; // 2016-07-01 00:00
        let cases = [
            ("2016-07-01", Some(first)),
            ("2016-07-01 00:00:00", Some(first)),
            ("2016/7/1 0:00", Some(first)),
            ("2016/7/1 2:05", Some(first + 7500)),
            ("2016-07-01T00:15:30.250Z", Some(first + 930)),
            ("2016-07-01 01:00:00+02:00", Some(first + 3600)),
            ("1970-01-01 00:00", Some(0)),
            ("2020-02-29", Some(18_321 * DAY)),
            ("2019-02-29", None),
            ("1900-02-29", None),
            ("2016-13-01", None),
            ("2016-00-01", None),
            ("01/07/2016", None),
            ("2016-07", None),
            ("2016-07-01-02", None),
            ("2016-07-01 24:00", None),
            ("2016-07-01 12", None),
            ("2016-07-01 1:2:3:4", None),
            ("20160701", None),
            ("20x6-07-01", None),
            ("", None),
        ];
        let wrong: Vec<String> = cases
            .iter()
            .filter(|(text, expected)| parse_date(text) != *expected)
            .map(|(text, expected)| format!("{text}: {:?}, not {expected:?}", parse_date(text)))
            .collect();
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    fn every(step: i64, rows: usize) -> Dates {
        let format = |seconds: i64| {
            let (day, second) = (seconds / DAY, seconds % DAY);
            format!("2021-01-{:02} {}:{:02}", day + 1, second / 3600, second % 3600 / 60)
        };
        (0..rows).map(|row| format(row as i64 * step)).collect()
    }

    fn texts(dates: &[&str]) -> Dates {
        dates.iter().collect()
    }

    #[test]
    fn the_rule() {
        let monthly = texts(&["2020-01-01", "2020-02-01", "2020-03-01", "2020-04-01"]);
        let weekly = texts(&["2020-01-04", "2020-01-11", "2020-01-18"]);
        let working =
            texts(&["2021-01-07", "2021-01-08", "2021-01-11", "2021-01-12", "2021-01-13"]);
        type Case = (&'static str, &'static str, Option<Dates>, usize, Option<usize>);
        let cases: [Case; 17] = [
            ("hourly", "a.csv", Some(every(3600, 50)), 50, Some(24)),
            ("quarter-hourly", "a.csv", Some(every(900, 50)), 50, Some(96)),
            ("ten minutes", "a.csv", Some(every(600, 50)), 50, Some(144)),
            ("half-hourly", "a.csv", Some(every(1800, 50)), 50, Some(48)),
            ("daily, two years", "a.csv", Some(every(DAY, 20)), 730, Some(365)),
            ("daily, less", "a.csv", Some(every(DAY, 20)), 729, Some(7)),
            ("weekly, two years", "a.csv", Some(weekly.clone()), 104, Some(52)),
            ("weekly, less", "a.csv", Some(weekly), 103, Some(1)),
            ("monthly", "a.csv", Some(monthly), 24, Some(12)),
            ("exchange", "/data/exchange_rate.csv", Some(every(DAY, 20)), 7588, Some(1)),
            ("a folder's name", "/exchange/a.csv", Some(every(3600, 20)), 20, Some(24)),
            ("no dates", "a.csv", None, 100, None),
            ("one date", "a.csv", Some(every(DAY, 1)), 1, None),
            ("not a date", "a.csv", Some(texts(&["1", "2"])), 2, None),
            ("descending", "a.csv", Some(texts(&["2021-01-02", "2021-01-01"])), 2, None),
            ("working days", "a.csv", Some(working), 1000, None),
            ("seven hours", "a.csv", Some(every(7 * 3600, 20)), 20, None),
        ];
        let mut wrong = Vec::new();
        for (name, file, dates, rows, expected) in cases {
            let found = seasonal_period(file, dates.as_ref(), rows);
            if found.period != expected || found.reason.is_empty() {
                wrong.push(format!("{name}: {found:?}, not {expected:?}"));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    #[test]
    fn a_few_gaps_and_repeats_do_not_matter() {
        let dates = every(600, 200);
        let mut dates: Vec<&str> = dates.iter().collect();
        dates.remove(70);
        dates.remove(71);
        dates[20] = dates[19];
        assert_eq!(infer_step(dates), Ok(600));
    }
}
