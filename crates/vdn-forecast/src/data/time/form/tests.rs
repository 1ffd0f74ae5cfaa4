use super::DateForm;
use crate::data::time::{DAY, SECOND};

/// Microseconds since 1970 at 2016-07-01 00:00.
const FIRST: i64 = 1_467_331_200 * SECOND;
const HOUR: i64 = 3600 * SECOND;

#[test]
fn texts_have_one_form_and_one_reading() {
    let pattern = |text: &str| DateForm::Pattern(text.to_owned());
    let cases: [(&str, DateForm, i64); 56] = [
        ("2016-07-01", DateForm::Iso, 0),
        ("2016-07-01 00:00:00", DateForm::Iso, 0),
        ("2016-07-01T00:15:30.25", DateForm::Iso, 930 * SECOND + 250_000),
        ("2016-07-01 05:00", DateForm::Iso, 5 * HOUR),
        ("20160701T0500", DateForm::Iso, 5 * HOUR),
        ("2016/7/1 2:05", pattern("%Y/%m/%d %H:%M"), 125 * 60 * SECOND),
        ("2016/07/01", pattern("%Y/%m/%d"), 0),
        ("2016.07.01", pattern("%Y.%m.%d"), 0),
        ("13.7.2016", pattern("%d.%m.%Y"), 12 * DAY),
        ("13/07/2016 00.00", pattern("%d/%m/%Y %H.%M"), 12 * DAY),
        ("13/07/2016 18.30.00", pattern("%d/%m/%Y %H.%M.%S"), 12 * DAY + 37 * HOUR / 2),
        ("7/13/2016", pattern("%m/%d/%Y"), 12 * DAY),
        ("7/13/16 1:00", pattern("%m/%d/%y %H:%M"), 12 * DAY + HOUR),
        ("7/13/2016 1:00 PM", pattern("%m/%d/%Y %I:%M %p"), 12 * DAY + 13 * HOUR),
        ("13-Jul-2016", pattern("%d-%b-%Y"), 12 * DAY),
        ("Jul 13, 2016", pattern("%b %d, %Y"), 12 * DAY),
        ("Jul 13 2016", pattern("%b %d %Y"), 12 * DAY),
        ("13 July 2016", pattern("%d %B %Y"), 12 * DAY),
        ("20160713", pattern("%Y%m%d"), 12 * DAY),
        ("2016-W27-1", pattern("%G-W%V-%u"), 3 * DAY),
        ("2016-07", pattern("%Y-%m"), 0),
        ("2016/7", pattern("%Y/%m"), 0),
        ("Jul 2016", pattern("%b %Y"), 0),
        ("July 2016", pattern("%B %Y"), 0),
        ("Jul-16", pattern("%b-%y"), 0),
        ("2016M07", pattern("%YM%m"), 0),
        ("201607", pattern("%Y%m"), 0),
        ("07/2016", pattern("%m/%Y"), 0),
        ("2016Q3", DateForm::Quarter, 0),
        ("2016-Q3", DateForm::Quarter, 0),
        ("2016 q3", DateForm::Quarter, 0),
        ("Q3 2016", DateForm::Quarter, 0),
        ("Q3/2016", DateForm::Quarter, 0),
        ("2016-07-01 05", pattern("%Y-%m-%d %H"), 5 * HOUR),
        ("2016/07/01T05:00Z", pattern("%Y/%m/%dT%H:%MZ"), 5 * HOUR),
        ("2016-07-01 05:00:00 UTC", pattern("%Y-%m-%d %H:%M:%S%.f UTC"), 5 * HOUR),
        ("2016-07-01T05:00:00[Europe/Berlin]", DateForm::Iso, 5 * HOUR),
        ("2016-07-01 24:00", DateForm::Iso, DAY),
        ("7/13/2016 24:00", pattern("%m/%d/%Y %H:%M"), 13 * DAY),
        ("7/13/2016 1:00PM", pattern("%m/%d/%Y %I:%M%p"), 12 * DAY + 13 * HOUR),
        ("2016-07-13 1 PM", pattern("%Y-%m-%d %I %p"), 12 * DAY + 13 * HOUR),
        ("2016-W27", pattern("%G-W%V"), 3 * DAY),
        ("2016W27", pattern("%GW%V"), 3 * DAY),
        ("2016:07", pattern("%Y:%m"), 0),
        ("2016.Q3", DateForm::Quarter, 0),
        ("3Q2016", DateForm::Quarter, 0),
        ("2016:3", DateForm::Quarter, 0),
        ("2016-195", pattern("%Y-%j"), 12 * DAY),
        ("Wed, 13 Jul 2016", pattern("%a, %d %b %Y"), 12 * DAY),
        ("Wednesday 13/07/2016", pattern("%A %d/%m/%Y"), 12 * DAY),
        ("Wednesday, July 13, 2016", pattern("%A, %B %d, %Y"), 12 * DAY),
        ("13JUL2016:01:00:00", pattern("%d%b%Y:%H:%M:%S"), 12 * DAY + HOUR),
        ("2016-07-13:01:00", pattern("%Y-%m-%d:%H:%M"), 12 * DAY + HOUR),
        ("16-07-13", pattern("%y-%m-%d"), 12 * DAY),
        ("16/07/13", pattern("%y/%m/%d"), 12 * DAY),
        ("2016-07-13-05:30", pattern("%Y-%m-%d%:z"), 12 * DAY),
    ];
    let mut wrong = Vec::new();
    for (text, form, after) in cases {
        let found = DateForm::of_texts(&[text]);
        let clock = form.parse(text).map(|moment| moment.clock - FIRST);
        let same = found.iter().any(|other| {
            other.parse(text) == form.parse(text) && (found.len() == 1 || other == &form)
        });
        if !same || clock != Some(after) {
            wrong.push(format!("{text}: {found:?}, {clock:?} (not {form:?}, {after})"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn words_quarters_and_ranges_are_read_as_they_are_written() {
    let (half_day, day) = (12 * HOUR, 12 * DAY);
    let cases = [
        ("7/13/2016 1:00 p.m.", day + half_day + HOUR),
        ("7/13/2016 1:00 a.m.", day + HOUR),
        ("13/07/2016 12:00:00 p.\u{a0}m.", day + half_day),
        ("7/13/2016 1:00\u{202f}PM", day + half_day + HOUR),
        ("Q3/16", 0),
        ("Q3-2016", 0),
        ("16Q3", 0),
        ("3Q16", 0),
        ("Q3 '16", 0),
        ("2016-Q3", 0),
        ("FY2016Q3", 0),
        ("Q3 FY16", 0),
        ("Q3/66", -50 * 365 * DAY - 13 * DAY),
        ("FY2016", -182 * DAY),
        ("FY 16", -182 * DAY),
        ("2016/17", -182 * DAY),
        ("2016-2017", -182 * DAY),
        ("13. Juli 2016", day),
        ("13.Jul.2016", day),
        ("13 juil. 2016", day),
        ("1er juillet 2016", 0),
        ("13 de julio de 2016", day),
        ("13-jul.-2016", day),
        ("13 luglio 2016", day),
        ("13 de Julho de 2016", day),
        ("13 juli 2016 05:00", day + 5 * HOUR),
        ("July 13th, 2016", day),
        ("Dez 2016", 153 * DAY),
        ("d\u{e9}cembre 2016", 153 * DAY),
        ("dic-16", 153 * DAY),
        ("out/16", 92 * DAY),
        ("Sept. 2016", 62 * DAY),
        ("M\u{e4}rz 2017", 243 * DAY),
        ("2016-07-01/2016-07-07", 0),
        ("2016-07-13 - 2016-07-19", day),
        ("2016-07-13/P7D", day),
        ("2016-07-01T05:00/2016-07-01T06:00", 5 * HOUR),
        ("13.07.2016 05:00 - 13.07.2016 06:00", day + 5 * HOUR),
        ("13.07.2016 23:00 - 00:00", day + 23 * HOUR),
        ("13/07/2016-19/07/2016", day),
        ("2016-07-13-2016-07-19", day),
        ("13 Jul 2016 to 19 Jul 2016", day),
        ("Jul 2016 - Sep 2016", 0),
    ];
    let mut wrong = Vec::new();
    for (text, after) in cases {
        let found = DateForm::of_texts(&[text]);
        let read: Vec<_> = found
            .iter()
            .filter_map(|form| form.parse(text).map(|moment| moment.clock - FIRST))
            .collect();
        if read != [after] {
            wrong.push(format!("{text}: {found:?}, {read:?}, not {after}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let none = [
        "jui 2016",
        "ma 2016",
        "set 12",
        "x de julio",
        "2016-07-19/2016-07-13",
        "a.m.",
        "5 a.m. sharp",
        "Q3-Q4",
        "1-2",
        "2016-07-01/x",
    ];
    for text in none {
        assert_eq!(DateForm::of_texts(&[text]), [], "{text:?}");
    }
    // A time after a dash is an offset, unless it is farther from UTC than any clock.
    let hours = |ends: &[usize]| {
        let texts: Vec<String> =
            ends.iter().map(|end| format!("2016-07-01 {:02}:00-{end:02}:00", end - 1)).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let form = DateForm::of_texts(&texts).remove(0);
        form.parse(texts[0]).map(|moment| (moment.clock - FIRST, moment.offset))
    };
    assert_eq!(hours(&[8, 13]), Some((7 * HOUR, None)));
    assert_eq!(hours(&[8, 9]), Some((7 * HOUR, Some(-8 * 3600))));
    // A pattern given by the user, with names of months.
    let own = DateForm::Pattern("%d. %B %Y".to_owned());
    for text in ["13. Juli 2016", "13. July 2016", "13 juillet 2016"] {
        let read = own.parse(text).map(|moment| moment.clock - FIRST);
        assert_eq!(read, text.contains('.').then_some(day), "{text}");
    }
    assert!(DateForm::Iso.is_range("2016-07-01/2016-07-07"));
    assert!(!DateForm::Iso.is_range("2016-07-01") && !own.is_range("13. Juli 2016"));
}

#[test]
fn what_is_no_date_has_no_form() {
    let none = [
        "2016-13-01",
        "2019-02-29",
        "1900-02-29",
        "2016-07-01 24:01",
        "2016-07-01 240:00",
        "2016-01-011",
        "2016-50",
        "2016-00-01",
        "x",
        "",
        "12.5",
        "1,234.00",
        "2016Q5",
        "Q180",
        "FY2020-01",
        "2019/21",
        "2016-07-32",
        "32/01/2016",
        "18.00.00",
        "12:30",
        "0016-07-01",
        "2016-07-01 25:00:00",
        "A1",
        "-",
        "2016-07-01 12:00:61",
    ];
    for text in none {
        assert_eq!(DateForm::of_texts(&[text]), [], "{text:?}");
    }
    assert_eq!(DateForm::of_texts(&[]), []);
    // Leap days that exist.
    assert!(
        DateForm::Iso.parse("2020-02-29").is_some() && DateForm::Iso.parse("2000-02-29").is_some()
    );
}

#[test]
fn days_and_months_are_told_apart_by_all_texts() {
    let forms = |texts: &[&str]| -> Vec<String> {
        DateForm::of_texts(texts).iter().map(DateForm::name).collect()
    };
    assert_eq!(forms(&["01/02/2021", "13/02/2021"]), ["%d/%m/%Y"]);
    assert_eq!(forms(&["01/02/2021", "02/13/2021"]), ["%m/%d/%Y"]);
    assert_eq!(forms(&["01/02/2021", "02/03/2021"]), ["%d/%m/%Y", "%m/%d/%Y"]);
    // Both readings are the same.
    assert_eq!(forms(&["01/01/2021", "02/02/2021"]).len(), 1);
    assert_eq!(forms(&["01.02.2021 10:00", "02.02.2021 11:00"]), ["%d.%m.%Y %H:%M"]);
    // Text below the table is tolerated, but not as half of all texts.
    assert_eq!(forms(&["01/02/2021", "13/02/2021", "Source"]), ["%d/%m/%Y"]);
    assert!(forms(&["01/02/2021", "13/02/2021", "a", "b"]).is_empty());
}

#[test]
fn offsets_belong_to_moments() {
    let cases = [
        ("2021-03-28T01:00:00+01:00", Some(3600)),
        ("2021-03-28 03:00:00+02", Some(7200)),
        ("2021-03-28T00:00:00Z", Some(0)),
        ("2021-03-28T00:00:00-0330", Some(-12_600)),
        ("2021-03-28 00:00:00", None),
    ];
    for (text, offset) in cases {
        assert_eq!(DateForm::Iso.parse(text).map(|moment| moment.offset), Some(offset), "{text}");
    }
    let spaced = DateForm::of_texts(&["2021/03/28 01:00 +0100"]);
    assert_eq!(spaced[0].parse("2021/03/28 01:00 +0100").unwrap().offset, Some(3600));
}

#[test]
fn years_and_unix_times_are_read_where_they_are_expected() {
    assert_eq!(DateForm::Year.parse("1970").unwrap().clock, 0);
    assert_eq!(DateForm::Year.parse("1971.0").unwrap().clock, 365 * DAY);
    assert_eq!(DateForm::Year.parse("70"), None);
    let unix = |per_second| DateForm::Unix { per_second };
    let moment = unix(1).parse("1467331200").unwrap();
    assert_eq!((moment.clock, moment.offset), (FIRST, Some(0)));
    assert_eq!(unix(1000).parse("1467331200123").unwrap().clock, FIRST + 123_000);
    assert_eq!(unix(1_000_000_000).parse("1467331200000001000").unwrap().clock, FIRST + 1);
    assert_eq!(unix(1).parse("1467331200.5").unwrap().clock, FIRST + SECOND / 2);
    assert_eq!(unix(1).parse("1.4673312e9").unwrap().clock, FIRST);
    assert_eq!(unix(1).parse("x"), None);
    assert_eq!(unix(1).parse("99999999999999999"), None);
}

#[test]
fn dashes_before_times_are_told_from_offsets_by_all_texts() {
    let forms = |texts: &[&str]| -> Vec<String> {
        DateForm::of_texts(texts).iter().map(DateForm::name).collect()
    };
    let days = ["2021-03-01-03:00", "2021-03-02-03:00"];
    assert_eq!(forms(&days), ["%Y-%m-%d%:z"]);
    assert_eq!(forms(&["2021-03-01-00:00", "2021-03-01-01:00"]), ["%Y-%m-%d-%H:%M"]);
    assert_eq!(forms(&["2021-03-01-00", "2021-03-01-01"]), ["%Y-%m-%d-%H"]);
    // ISO matches some of these texts, another form all of them.
    assert_eq!(forms(&["2021-03-01 9", "2021-03-01 10", "2021-03-01 11"]), ["%Y-%m-%d %H"]);
}

#[test]
fn midnight_may_have_no_time_of_day() {
    let texts = ["03/31/2021", "03/31/2021 01:00", "03/31/2021 02:00"];
    let forms = DateForm::of_texts(&texts);
    assert_eq!(forms, [DateForm::Pattern("%m/%d/%Y %H:%M".to_owned())]);
    let clocks = texts.map(|text| forms[0].parse(text).unwrap().clock);
    assert_eq!([clocks[1] - clocks[0], clocks[2] - clocks[0]], [HOUR, 2 * HOUR]);
    // Dates alone have one form without a time of day, and a two-digit year is not a four-digit
    // year.
    assert_eq!(DateForm::of_texts(&["03/31/2021", "04/30/2021"]).len(), 1);
    assert_eq!(forms[0].parse("03/31/21"), None);
}

#[test]
fn years_with_a_fraction_and_days_of_spreadsheets() {
    let of = |form: DateForm, text: &str| form.parse(text).map(|moment| moment.clock - FIRST);
    let year = |per_year| DateForm::DecimalYear { per_year };
    let cases = [
        (year(12), "2016.5", Some(0)),
        (year(12), "2016.583", Some(31 * DAY)),
        (year(12), "2016.541", Some(0)),
        (year(4), "2016.500", Some(0)),
        (year(4), "2016.75", Some(92 * DAY)),
        (year(1), "2016.5", Some(-182 * DAY)),
        (year(12), "x", None),
        (year(12), "1e9", None),
        (DateForm::SerialDay, "42552", Some(0)),
        (DateForm::SerialDay, "42552,04167", Some(HOUR)),
        (DateForm::SerialDay, "42552.08333", Some(2 * HOUR)),
        (DateForm::SerialDay, "0", None),
    ];
    for (form, text, after) in cases {
        assert_eq!(of(form.clone(), text), after, "{form:?} {text}");
    }
}
