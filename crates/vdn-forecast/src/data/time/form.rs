//! How dates are written: found from the texts of a column, then used for every row.

use crate::data::time::{DAY, SECOND, micros_of};
use jiff::civil::{Date, DateTime};
use jiff::fmt::strtime;
use jiff::fmt::temporal::Pieces;

/// A moment as a file writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Microseconds from 1970-01-01 00:00 on the clock of the file.
    pub clock: i64,
    /// Seconds that the clock is ahead of UTC, where the file says so.
    pub offset: Option<i32>,
}

/// How the dates of a file are written.
///
/// ```
/// use vdn_forecast::data::time::DateForm;
///
/// let forms = DateForm::of_texts(&["31/01/2020", "28/02/2020"]);
/// assert_eq!(forms, [DateForm::Pattern("%d/%m/%Y".to_owned())]);
/// // 1 February or 2 January: both readings.
/// assert_eq!(DateForm::of_texts(&["01/02/2020", "01/03/2020"]).len(), 2);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DateForm {
    /// ISO 8601: a date, or a date and a time after a blank or a `T`, with or without an offset.
    Iso,
    /// A pattern of `strptime`: `%Y` a year, `%m` a month, `%d` a day, `%H` an hour, `%M` a minute,
    /// `%S` a second, `%z` an offset. A month without a day stands for its first day.
    Pattern(String),
    /// A year and a quarter: `2020Q1`, `2020-Q1`, `Q1 2020`.
    Quarter,
    /// A year.
    Year,
    /// A number of seconds (or thousandths, ... of one: `per_second` to a second) since 1970 in
    /// UTC.
    Unix {
        /// 1 for seconds, 1000 for milliseconds, up to 10^9.
        per_second: i64,
    },
    /// A number of steps of unknown length.
    Count,
}

const DATES: [&str; 27] = [
    "%Y-%m-%d",
    "%Y/%m/%d",
    "%Y.%m.%d",
    "%Y %m %d",
    "%d/%m/%Y",
    "%m/%d/%Y",
    "%d-%m-%Y",
    "%m-%d-%Y",
    "%d.%m.%Y",
    "%d/%m/%y",
    "%m/%d/%y",
    "%d.%m.%y",
    "%d-%m-%y",
    "%m-%d-%y",
    "%d-%b-%Y",
    "%d-%b-%y",
    "%d %b %Y",
    "%d %B %Y",
    "%b %d, %Y",
    "%B %d, %Y",
    "%b %d %Y",
    "%B %d %Y",
    "%b-%d-%Y",
    "%d%b%Y",
    "%Y-%b-%d",
    "%Y%m%d",
    "%G-W%V-%u",
];

const MONTHS: [&str; 15] = [
    "%Y-%m", "%Y/%m", "%Y %m", "%b %Y", "%B %Y", "%b-%Y", "%B-%Y", "%b-%y", "%b %y", "%m/%Y",
    "%m-%Y", "%YM%m", "%Y-%b", "%Y %b", "%Y%m",
];

const TIMES: [&str; 12] = [
    "",
    " %H:%M",
    " %H:%M:%S%.f",
    "T%H:%M",
    "T%H:%M:%S%.f",
    " %H.%M",
    " %H.%M.%S",
    " %I:%M %p",
    " %I:%M:%S %p",
    " %H",
    "T%H",
    ", %H:%M",
];

const OFFSETS: [&str; 7] = ["", "Z", "%z", "%:z", " %z", " %:z", " UTC"];

/// The longest text that is looked at: dates are shorter, and a text of megabytes would be looked at
/// once for each of thousands of forms.
const LONGEST: usize = 128;

impl DateForm {
    /// The forms in which the most of these texts are dates, more than half of them; none for texts
    /// that are no dates. Several forms: the texts have several readings.
    #[must_use]
    pub fn of_texts(texts: &[&str]) -> Vec<Self> {
        let reads = |form: &Self| texts.iter().filter(|text| form.parse(text).is_some()).count();
        let iso = reads(&Self::Iso);
        if 2 * iso > texts.len() {
            return vec![Self::Iso];
        }
        let mut forms: Vec<(usize, Self)> = vec![(reads(&Self::Quarter), Self::Quarter)];
        // A form is tried on a few texts first: there are thousands.
        let spread = |i: usize| texts.get(i * texts.len() / 5).copied();
        let few: Vec<&str> = (0..5).filter_map(spread).collect();
        let mut add = |pattern: String| {
            let form = Self::Pattern(pattern);
            if few.iter().any(|text| form.parse(text).is_some()) {
                forms.push((reads(&form), form));
            }
        };
        for date in DATES {
            for time in TIMES {
                OFFSETS.iter().for_each(|offset| add(format!("{date}{time}{offset}")));
            }
        }
        MONTHS.iter().for_each(|month| add((*month).to_owned()));
        let most = forms.iter().map(|(count, _)| *count).max().unwrap_or(0);
        let mut best: Vec<Self> = forms
            .into_iter()
            .filter(|(count, _)| *count == most && 2 * most > texts.len())
            .map(|(_, form)| form)
            .collect();
        // Forms that read every text alike are one.
        let all = |form: &Self| texts.iter().map(|text| form.parse(text)).collect::<Vec<_>>();
        let mut seen: Vec<Vec<Option<Moment>>> = Vec::new();
        best.retain(|form| {
            let read = all(form);
            let new = !seen.contains(&read);
            seen.push(read);
            new
        });
        best
    }

    /// The moment that a text stands for; `None` where it is no date of this form. A year has four
    /// digits, and a day that does not exist is none.
    #[must_use]
    pub fn parse(&self, text: &str) -> Option<Moment> {
        let text = text.trim();
        if text.len() > LONGEST {
            return None;
        }
        match self {
            Self::Iso => {
                // A number of eight digits is a date for who asks for one: `%Y%m%d`.
                let compact = text.bytes().all(|byte| byte.is_ascii_digit());
                let pieces = Pieces::parse(text).ok().filter(|_| !compact)?;
                let time = pieces.time().unwrap_or_else(jiff::civil::Time::midnight);
                let offset = pieces.to_numeric_offset().map(jiff::tz::Offset::seconds);
                moment(DateTime::from_parts(pieces.date(), time), offset)
            }
            Self::Pattern(pattern) => {
                // A blank of a pattern stands for none, too: `%d/%m/%y %H` would read 01/02/2004.
                if pattern.split_whitespace().count() != text.split_whitespace().count() {
                    return None;
                }
                let mut parsed = strtime::parse(pattern, text).ok()?;
                if !pattern.contains("%d") && !pattern.contains("%V") {
                    parsed.set_day(Some(1)).ok()?;
                }
                let utc = pattern.ends_with('Z') || pattern.ends_with(" UTC");
                let offset = parsed.offset().map(jiff::tz::Offset::seconds);
                let date = parsed.to_date().ok()?;
                let time = parsed.to_time().unwrap_or_else(|_| jiff::civil::Time::midnight());
                moment(DateTime::from_parts(date, time), offset.or(utc.then_some(0)))
            }
            Self::Quarter => {
                let upper = text.to_ascii_uppercase();
                let (before, after) = upper.split_once('Q')?;
                let trim = |part: &str| part.trim_matches([' ', '-', '_', ':', '/']).to_owned();
                let (before, after) = (trim(before), trim(after));
                let (year, quarter) = match before.is_empty() {
                    false => (before, after),
                    true => {
                        let (quarter, year) = after.split_at_checked(1)?;
                        (trim(year), quarter.to_owned())
                    }
                };
                let quarter: i8 = quarter.parse().ok().filter(|q| (1..=4).contains(q))?;
                let date = Date::new(four_digits(&year)?, 3 * quarter - 2, 1).ok()?;
                moment(date.at(0, 0, 0, 0), None)
            }
            Self::Year => {
                let year = text.strip_suffix(".0").unwrap_or(text);
                moment(Date::new(four_digits(year)?, 1, 1).ok()?.at(0, 0, 0, 0), None)
            }
            Self::Count => {
                let whole = text.strip_suffix(".0").unwrap_or(text);
                Some(Moment { clock: whole.parse().ok()?, offset: None })
            }
            Self::Unix { per_second } => {
                let whole = text.strip_suffix(".0").unwrap_or(text);
                let number = match whole.parse::<i64>() {
                    Ok(number) => i128::from(number) * i128::from(SECOND),
                    Err(_) => {
                        let number = whole.parse::<f64>().ok().filter(|x| x.is_finite())?;
                        (number * SECOND as f64).round() as i128
                    }
                };
                let micros = number.div_euclid(i128::from(*per_second));
                let clock = i64::try_from(micros).ok()?;
                (clock.abs() < 3_000_000 * DAY).then_some(Moment { clock, offset: Some(0) })
            }
        }
    }

    /// The name of the form, as in `data.date_format`.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Iso => "ISO 8601".to_owned(),
            Self::Pattern(pattern) => pattern.clone(),
            Self::Quarter => "YYYYQn".to_owned(),
            Self::Year => "YYYY".to_owned(),
            Self::Unix { per_second: 1 } => "Unix seconds".to_owned(),
            Self::Unix { per_second: 1000 } => "Unix milliseconds".to_owned(),
            Self::Unix { .. } => "Unix time".to_owned(),
            Self::Count => "whole numbers".to_owned(),
        }
    }

    /// Whether a text has no time of day.
    pub(crate) fn is_of_days(&self, texts: &[&str]) -> bool {
        let mut moments = texts.iter().filter_map(|text| self.parse(text));
        moments.all(|moment| moment.offset.is_none() && moment.clock.rem_euclid(DAY) == 0)
    }
}

fn four_digits(text: &str) -> Option<i16> {
    let digits = text.len() == 4 && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| digits)
}

fn moment(datetime: DateTime, offset: Option<i32>) -> Option<Moment> {
    // `%Y` reads 21 as the year 21.
    let plausible = (1000..=9999).contains(&datetime.year());
    plausible.then(|| Moment { clock: micros_of(datetime), offset })
}

#[cfg(test)]
mod tests;
