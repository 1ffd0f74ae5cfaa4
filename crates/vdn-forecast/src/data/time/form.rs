//! Date formats: detected from the texts of a column, then used for every row.

use crate::data::time::{DAY, micros_of};
use jiff::civil::{Date, DateTime};
use jiff::fmt::strtime;
use jiff::fmt::temporal::Pieces;
use patterns::{DATES, MONTHS, OFFSETS, TIMES};

mod numbers;
mod patterns;
mod quarter;
mod range;
mod words;

/// A moment as written in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Microseconds since 1970-01-01 00:00 on the file's clock.
    pub clock: i64,
    /// Seconds that the clock is ahead of UTC, if the file says so.
    pub offset: Option<i32>,
}

/// The format of the dates of a file.
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
    /// A `strptime` pattern: `%Y` is the year, `%m` the month, `%d` the day, `%H` the hour, `%M`
    /// the minute, `%S` the second, `%z` the UTC offset. A month without a day stands for its first
    /// day.
    Pattern(String),
    /// A year and a quarter: `2020Q1`, `2020-Q1`, `Q1 2020`, `1Q2020`, `2020-1`, `Q1/80`. The year
    /// may be a fiscal year: `FY2020Q1`.
    Quarter,
    /// A year, which may be a fiscal year: `FY2020`, `2019/20`, `2019-2020`.
    Year,
    /// A year with its elapsed fraction, such as `1990.083`. It stands for the year, quarter or
    /// month (`per_year` 1, 4 or 12) that contains this time.
    DecimalYear {
        /// The number of periods in a year.
        per_year: i64,
    },
    /// Days since 1899-12-30, as in spreadsheets; a fraction is the time of day.
    SerialDay,
    /// Time since 1970 in UTC, in seconds or in a fraction of a second (`per_second` units to a
    /// second).
    Unix {
        /// 1 for seconds, 1000 for milliseconds, up to 10^9.
        per_second: i64,
    },
    /// A count of steps of unknown length.
    Count,
}

/// The maximum length of a text that is parsed. Dates are shorter. A text of megabytes would be
/// parsed once for each of thousands of forms.
const LONGEST: usize = 128;

impl DateForm {
    /// Returns the forms that match the most texts, if these are more than half. The result is
    /// empty if the texts are not dates, and has several forms if the texts are ambiguous.
    #[must_use]
    pub fn of_texts(texts: &[&str]) -> Vec<Self> {
        let plain: Vec<Option<String>> = texts.iter().map(|text| words::plain(text)).collect();
        let plain = texts.iter().zip(&plain).map(|(text, plain)| plain.as_deref().unwrap_or(text));
        let texts: &[&str] = &plain.map(str::trim).collect::<Vec<_>>();
        // Ranges are tried only if there are no dates, because the search takes long.
        let forms = Self::find(texts, Self::read_one);
        let ranges =
            forms.is_empty() && 2 * texts.iter().filter(|t| range::may_be(t)).count() > texts.len();
        if ranges { Self::find(texts, Self::read) } else { forms }
    }

    /// Returns the forms for texts with normalised words, as [`DateForm::of_texts`] does. `read`
    /// parses a text in one form.
    fn find(texts: &[&str], read: impl Fn(&Self, &str) -> Option<Moment>) -> Vec<Self> {
        let reads = |form: &Self| texts.iter().filter(|text| read(form, text).is_some()).count();
        let several = has_several_offsets(texts) || texts.iter().any(|text| ends_a_range(text));
        let iso = if several { 0 } else { reads(&Self::Iso) };
        if iso > 0 && iso == texts.len() {
            return vec![Self::Iso];
        }
        let mut forms: Vec<(usize, Self)> = vec![(reads(&Self::Quarter), Self::Quarter)];
        // A plain whole number is a year only if the column's name says so.
        let years = texts.iter().filter(|text| quarter::fiscal_year(text).is_some()).count();
        forms.push((years, Self::Year));
        // There are thousands of forms, so each is tried on a few texts first.
        let spread = |i: usize| texts.get(i * texts.len() / 5).copied();
        let few: Vec<&str> = (0..5).filter_map(spread).collect();
        let mut add = |pattern: String| {
            let form = Self::Pattern(pattern);
            if few.iter().any(|text| read(&form, text).is_some()) {
                forms.push((reads(&form), form));
            }
        };
        // A pattern with a separator that no text contains cannot match.
        let has = |sign: char| texts.iter().any(|text| text.contains(sign));
        let (colon, blank, hour) = (has(':'), has(' '), has('h'));
        let possible = |time: &&str| {
            (colon || !time.contains(':'))
                && (blank || !time.starts_with([' ', ',']))
                && (hour || !time.contains('h'))
        };
        for date in DATES {
            for time in TIMES.into_iter().filter(possible) {
                if date == "%Y-%m-%d" && time.starts_with('-') && !several {
                    continue;
                }
                // If the texts have times after a dash, no offsets are tried.
                let offsets = if several { &OFFSETS[..1] } else { &OFFSETS[..] };
                offsets.iter().for_each(|offset| add(format!("{date}{time}{offset}")));
            }
        }
        MONTHS.iter().for_each(|month| add((*month).to_owned()));
        let most = forms.iter().map(|(count, _)| *count).max().unwrap_or(0);
        if 2 * iso > texts.len() && iso >= most {
            return vec![Self::Iso];
        }
        let mut best: Vec<Self> = forms
            .into_iter()
            .filter(|(count, _)| *count == most && 2 * most > texts.len())
            .map(|(_, form)| form)
            .collect();
        // Of forms that read every text alike, only the first is kept.
        let all = |form: &Self| texts.iter().map(|text| read(form, text)).collect::<Vec<_>>();
        let mut seen: Vec<Vec<Option<Moment>>> = Vec::new();
        best.retain(|form| {
            let moments = all(form);
            let new = !seen.contains(&moments);
            seen.push(moments);
            new
        });
        best
    }

    /// Returns the moment that a text stands for; `None` if it is not a date of this form. A year
    /// has four digits, and the day must exist.
    ///
    /// The hour 24 with nothing after it is midnight at the end of the day. Names of months may be
    /// in English, German, French, Spanish, Italian, Portuguese or Dutch. A range of dates stands
    /// for its first date.
    #[must_use]
    pub fn parse(&self, text: &str) -> Option<Moment> {
        let text = text.trim();
        self.read(text).or_else(|| {
            let plain = words::plain(text)?;
            match self {
                Self::Pattern(pattern) if pattern.contains("%B") => {
                    Self::Pattern(pattern.replace("%B", "%b")).read(&plain)
                }
                _ => self.read(&plain),
            }
        })
    }

    /// Parses a text whose words are normalised; it may be a range.
    fn read(&self, text: &str) -> Option<Moment> {
        if text.len() > LONGEST {
            return None;
        }
        self.read_one(text).or_else(|| match self {
            Self::Iso | Self::Pattern(_) | Self::Quarter => {
                range::start(text, |text| self.read_one(text))
            }
            _ => None,
        })
    }

    /// Whether a text is a range of dates of this form.
    pub(crate) fn is_range(&self, text: &str) -> bool {
        let plain = words::plain(text);
        let text = plain.as_deref().unwrap_or(text);
        self.read_one(text).is_none() && self.read(text).is_some()
    }

    /// Returns the first year of the century in which two-digit years lie; `None` if this form has
    /// no two-digit years.
    pub(crate) fn first_short_year(&self) -> Option<i16> {
        match self {
            Self::Pattern(pattern) if pattern.contains("%y") => Some(1969),
            Self::Quarter | Self::Year => Some(1950),
            _ => None,
        }
    }

    fn read_one(&self, text: &str) -> Option<Moment> {
        self.parse_within_day(text).or_else(|| {
            let at = text.rfind(" 24").or_else(|| text.rfind("T24"))? + 1;
            let rest = &text[at + 2..];
            let ends = !rest.starts_with(|c: char| c.is_ascii_digit());
            let first = format!("{}00{rest}", &text[..at]);
            let moment = self.parse_within_day(&first).filter(|m| ends && m.clock % DAY == 0)?;
            Some(Moment { clock: moment.clock + DAY, ..moment })
        })
    }

    fn parse_within_day(&self, text: &str) -> Option<Moment> {
        match self {
            Self::Iso => {
                // Numbers of eight digits are left to the pattern `%Y%m%d`.
                let compact = text.bytes().all(|byte| byte.is_ascii_digit());
                let pieces = Pieces::parse(text).ok().filter(|_| !compact)?;
                let time = pieces.time().unwrap_or_else(jiff::civil::Time::midnight);
                let offset = pieces.to_numeric_offset().map(jiff::tz::Offset::seconds);
                moment(DateTime::from_parts(pieces.date(), time), offset)
            }
            Self::Pattern(pattern) => parse_pattern(pattern, text),
            Self::Quarter => quarter::parse(text),
            Self::Year => {
                let whole = text.strip_suffix(".0").unwrap_or(text);
                let year = four_digits(whole).or_else(|| quarter::fiscal_year(text))?;
                moment(Date::new(year, 1, 1).ok()?.at(0, 0, 0, 0), None)
            }
            Self::Count => {
                let whole = text.strip_suffix(".0").unwrap_or(text);
                Some(Moment { clock: whole.parse().ok()?, offset: None })
            }
            Self::Unix { per_second } => numbers::unix(text, *per_second),
            Self::DecimalYear { per_year } => numbers::decimal_year(text, *per_year),
            Self::SerialDay => numbers::serial_day(text),
        }
    }

    /// Returns the name of the form, as in `data.date_format`.
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
            Self::DecimalYear { .. } => "years with a fraction".to_owned(),
            Self::SerialDay => "days since 1899-12-30".to_owned(),
            Self::Count => "whole numbers".to_owned(),
        }
    }

    /// Whether a date of this form has a day, so that a time of day can be joined to it.
    pub(crate) fn has_days(&self) -> bool {
        match self {
            Self::Iso | Self::SerialDay => true,
            Self::Pattern(pattern) => ["%d", "%j"].iter().any(|day| pattern.contains(day)),
            _ => false,
        }
    }

    /// Whether no text has a time of day.
    pub(crate) fn is_of_days(&self, texts: &[&str]) -> bool {
        let mut moments = texts.iter().filter_map(|text| self.parse(text));
        moments.all(|moment| moment.offset.is_none() && moment.clock.rem_euclid(DAY) == 0)
    }
}

/// Whether the texts are dates followed by different "offsets" without a time. Such suffixes are
/// not offsets.
fn has_several_offsets(texts: &[&str]) -> bool {
    let offset = |text: &&str| {
        let (date, offset) = text.trim().split_at_checked(10)?;
        let dashed = Pieces::parse(date).is_ok() && offset.starts_with('-');
        dashed.then(|| offset.to_owned())
    };
    let mut offsets = texts.iter().filter_map(offset);
    let first = offsets.next();
    offsets.any(|other| Some(other) != first)
}

/// Whether the text after a time is not an offset but a later time: `11:00-13:00`.
fn ends_a_range(text: &str) -> bool {
    let offset = DateForm::Iso.parse_within_day(text).and_then(|moment| moment.offset);
    offset.is_some_and(|seconds| seconds < -12 * 3600)
}

fn parse_pattern(pattern: &str, text: &str) -> Option<Moment> {
    // Spreadsheets omit the time of day at midnight.
    let pattern = match pattern.split_once(" %") {
        Some((day, time)) if !text.contains(' ') && time.starts_with(['H', 'I']) => day,
        _ => pattern,
    };
    // `strptime` lets a blank in a pattern match nothing: `%d/%m/%y %H` would read 01/02/2004.
    if pattern.split_whitespace().count() != text.split_whitespace().count() {
        return None;
    }
    // A day of the year has three digits: `2018-01` is not one.
    if pattern.contains("%Y-%j") && text.bytes().skip(5).take_while(u8::is_ascii_digit).count() != 3
    {
        return None;
    }
    let mut parsed = strtime::parse(pattern, text).ok()?;
    if pattern.contains("%V") {
        if !pattern.contains("%u") {
            parsed.set_weekday(Some(jiff::civil::Weekday::Monday));
        }
    } else if !pattern.contains("%d") && !pattern.contains("%j") {
        parsed.set_day(Some(1)).ok()?;
    }
    let utc = pattern.ends_with('Z') || pattern.ends_with(" UTC");
    let offset = parsed.offset().map(jiff::tz::Offset::seconds);
    let date = parsed.to_date().ok()?;
    let time = parsed.to_time().unwrap_or_else(|_| jiff::civil::Time::midnight());
    moment(DateTime::from_parts(date, time), offset.or(utc.then_some(0)))
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
