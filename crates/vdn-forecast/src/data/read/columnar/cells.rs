//! Conversion of a typed column's values to cells of text.
//!
//! | values | text |
//! |---|---|
//! | integers, decimals | all digits |
//! | floating point | the shortest text of the same number of its type; NaN is missing |
//! | booleans | 1 and 0 |
//! | texts, also as dictionaries | in quotes |
//! | dates | `2020-01-31` |
//! | times | `2020-01-31 12:00:00.5`; with a time zone: local time, followed by the UTC offset |
//! | times of day | `12:00:00.5` |
//! | null | an empty cell |

use crate::data::time::datetime_of;
use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Date64Type, Decimal32Type, Decimal64Type, Decimal128Type, Decimal256Type,
    DecimalType, Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    Time32MillisecondType, Time32SecondType, Time64MicrosecondType, Time64NanosecondType,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrowPrimitiveType};
use arrow_schema::{DataType, TimeUnit};
use jiff::Timestamp;
use jiff::tz::{Offset, TimeZone};
use std::fmt::{Debug, Display, Write};

/// Whether values of this type can be converted to cells.
pub(super) fn is_read(of: &DataType) -> bool {
    match of {
        DataType::Dictionary(_, values) => is_read(values),
        DataType::Null
        | DataType::Boolean
        | DataType::Date32
        | DataType::Date64
        | DataType::Time32(_)
        | DataType::Time64(_)
        | DataType::Timestamp(..)
        | DataType::Decimal32(..)
        | DataType::Decimal64(..)
        | DataType::Decimal128(..)
        | DataType::Decimal256(..)
        | DataType::Utf8
        | DataType::LargeUtf8
        | DataType::Utf8View => true,
        other => other.is_integer() || other.is_floating(),
    }
}

/// Appends a text in quotes.
pub(super) fn quote(text: &str, to: &mut String) {
    to.push('"');
    for character in text.chars() {
        if character == '"' {
            to.push('"');
        }
        to.push(character);
    }
    to.push('"');
}

type Cell = Box<dyn Fn(usize, &mut String) -> Result<(), String>>;

/// Writes the cells of a column.
pub(super) struct CellWriter(Cell);

impl CellWriter {
    /// Appends the cell of a row; nothing for a missing value.
    ///
    /// # Errors
    /// Fails for a time beyond the years -9999 to 9999.
    pub(super) fn write(&self, row: usize, to: &mut String) -> Result<(), String> {
        (self.0)(row, to)
    }

    /// Returns the writer for the values of `column`.
    ///
    /// # Errors
    /// Fails for a type for which [`is_read`] is false.
    pub(super) fn new(column: &dyn Array) -> Result<Self, String> {
        Ok(Self(match column.data_type() {
            DataType::Null => Box::new(|_, _| Ok(())),
            DataType::Int8 => digits::<Int8Type>(column),
            DataType::Int16 => digits::<Int16Type>(column),
            DataType::Int32 => digits::<Int32Type>(column),
            DataType::Int64 => digits::<Int64Type>(column),
            DataType::UInt8 => digits::<UInt8Type>(column),
            DataType::UInt16 => digits::<UInt16Type>(column),
            DataType::UInt32 => digits::<UInt32Type>(column),
            DataType::UInt64 => digits::<UInt64Type>(column),
            DataType::Float16 => each::<Float16Type>(column, |x, to| float(x.to_f64(), to)),
            DataType::Float32 => each::<Float32Type>(column, float),
            DataType::Float64 => each::<Float64Type>(column, float),
            DataType::Decimal32(..) => decimal::<Decimal32Type>(column),
            DataType::Decimal64(..) => decimal::<Decimal64Type>(column),
            DataType::Decimal128(..) => decimal::<Decimal128Type>(column),
            DataType::Decimal256(..) => decimal::<Decimal256Type>(column),
            DataType::Date32 => each::<Date32Type>(column, |day, to| {
                date(i64::from(day).checked_mul(86_400_000_000), to)
            }),
            // By the format these are days, but some writers store times.
            DataType::Date64 => each::<Date64Type>(column, |millis, to| {
                let at = millis.checked_mul(1000).and_then(datetime_of).ok_or(BEYOND)?;
                match millis.rem_euclid(86_400_000) {
                    0 => put(to, format_args!("{}", at.date())),
                    _ => put(to, format_args!("{} {}", at.date(), at.time())),
                }
            }),
            DataType::Time32(TimeUnit::Second) => {
                each::<Time32SecondType>(column, |x, to| day_time(i64::from(x) * 1_000_000, to))
            }
            DataType::Time32(_) => {
                each::<Time32MillisecondType>(column, |x, to| day_time(i64::from(x) * 1000, to))
            }
            DataType::Time64(TimeUnit::Microsecond) => {
                each::<Time64MicrosecondType>(column, day_time)
            }
            DataType::Time64(_) => {
                each::<Time64NanosecondType>(column, |x, to| day_time(x.div_euclid(1000), to))
            }
            DataType::Timestamp(unit, zone) => {
                let zone = zone.as_deref().map(zone_of).transpose()?;
                match unit {
                    TimeUnit::Second => times::<TimestampSecondType>(column, 1_000_000, 1, zone),
                    TimeUnit::Millisecond => {
                        times::<TimestampMillisecondType>(column, 1000, 1, zone)
                    }
                    TimeUnit::Microsecond => times::<TimestampMicrosecondType>(column, 1, 1, zone),
                    TimeUnit::Nanosecond => times::<TimestampNanosecondType>(column, 1, 1000, zone),
                }
            }
            DataType::Boolean => {
                let own = column.as_boolean().clone();
                Box::new(move |row, to| {
                    if own.is_valid(row) {
                        to.push(if own.value(row) { '1' } else { '0' });
                    }
                    Ok(())
                })
            }
            DataType::Utf8 => {
                let own = column.as_string::<i32>().clone();
                Box::new(move |row, to| text(own.is_valid(row).then(|| own.value(row)), to))
            }
            DataType::LargeUtf8 => {
                let own = column.as_string::<i64>().clone();
                Box::new(move |row, to| text(own.is_valid(row).then(|| own.value(row)), to))
            }
            DataType::Utf8View => {
                let own = column.as_string_view().clone();
                Box::new(move |row, to| text(own.is_valid(row).then(|| own.value(row)), to))
            }
            DataType::Dictionary(..) => {
                let own = column.as_any_dictionary();
                if own.values().is_empty() {
                    return Ok(Self(Box::new(|_, _| Ok(()))));
                }
                let (keys, values) = (own.normalized_keys(), Self::new(own.values().as_ref())?);
                let nulls = own.nulls().cloned();
                Box::new(move |row, to| match &nulls {
                    Some(nulls) if nulls.is_null(row) => Ok(()),
                    _ => values.write(keys[row], to),
                })
            }
            other => return Err(format!("values of the type {other} are not read")),
        }))
    }
}

/// Writes the non-null values of a column with `write`.
fn each<T: ArrowPrimitiveType>(
    column: &dyn Array,
    write: impl Fn(T::Native, &mut String) -> Result<(), String> + 'static,
) -> Cell {
    let own = column.as_primitive::<T>().clone();
    Box::new(move |row, to| match own.is_valid(row) {
        true => write(own.value(row), to),
        false => Ok(()),
    })
}

fn digits<T: ArrowPrimitiveType>(column: &dyn Array) -> Cell
where
    T::Native: Display,
{
    each::<T>(column, |x, to| put(to, format_args!("{x}")))
}

fn decimal<T: DecimalType>(column: &dyn Array) -> Cell {
    let own = column.as_primitive::<T>().clone();
    Box::new(move |row, to| {
        if own.is_valid(row) {
            to.push_str(&own.value_as_string(row));
        }
        Ok(())
    })
}

fn put(to: &mut String, text: std::fmt::Arguments<'_>) -> Result<(), String> {
    to.write_fmt(text).map_err(|error| error.to_string())
}

/// Writes the shortest digits that identify this number; nothing for NaN.
fn float<F: Debug + PartialEq>(x: F, to: &mut String) -> Result<(), String> {
    #[allow(clippy::eq_op, reason = "NaN alone differs from itself")]
    match x == x {
        true => put(to, format_args!("{x:?}")),
        false => Ok(()),
    }
}

fn text(text: Option<&str>, to: &mut String) -> Result<(), String> {
    if let Some(text) = text {
        quote(text, to);
    }
    Ok(())
}

const BEYOND: &str = "a time beyond the years -9999 to 9999";

/// Writes a day, given as microseconds since 1970.
fn date(micros: Option<i64>, to: &mut String) -> Result<(), String> {
    let at = micros.and_then(datetime_of).ok_or(BEYOND)?;
    put(to, format_args!("{}", at.date()))
}

/// Writes a time of day, given as microseconds since midnight.
fn day_time(micros: i64, to: &mut String) -> Result<(), String> {
    let day = 0..86_400_000_000;
    let at = Some(micros).filter(|micros| day.contains(micros)).and_then(datetime_of);
    put(to, format_args!("{}", at.ok_or("a time of day beyond 24 hours")?.time()))
}

/// Returns a time zone by its name in the IANA database, or by its offset, as in `+01:00`.
fn zone_of(name: &str) -> Result<TimeZone, String> {
    let of_offset = || {
        let sign = match name.get(..1)? {
            "+" => 1,
            "-" => -1,
            _ => return None,
        };
        let number = |at: std::ops::Range<usize>| {
            let digits = name.get(at).filter(|text| text.bytes().all(|b| b.is_ascii_digit()));
            digits?.parse::<i32>().ok()
        };
        let minutes = match name.len() {
            6 if name.get(3..4) == Some(":") => number(4..6)?,
            5 => number(3..5)?,
            3 => 0,
            _ => return None,
        };
        let seconds = sign * (3600 * number(1..3)? + 60 * minutes);
        Offset::from_seconds(seconds).ok().map(TimeZone::fixed)
    };
    of_offset()
        .or_else(|| TimeZone::get(name).ok())
        .ok_or_else(|| format!("no time zone is called {name:?}"))
}

/// Writes times in units of `micros / per` microseconds since 1970.
fn times<T: ArrowPrimitiveType<Native = i64>>(
    column: &dyn Array,
    micros: i64,
    per: i64,
    zone: Option<TimeZone>,
) -> Cell {
    each::<T>(column, move |x, to| {
        let utc = x.checked_mul(micros).map(|x| x.div_euclid(per)).ok_or(BEYOND)?;
        let at = datetime_of(utc).ok_or(BEYOND)?;
        let Some(zone) = &zone else {
            return put(to, format_args!("{} {}", at.date(), at.time()));
        };
        let offset = zone.to_offset(Timestamp::from_microsecond(utc).map_err(|_| BEYOND)?);
        let seconds = i64::from(offset.seconds());
        let at = datetime_of(utc + 1_000_000 * seconds).ok_or(BEYOND)?;
        // Offsets of some zones before 1972 contain seconds.
        let (sign, ahead) = (if seconds < 0 { '-' } else { '+' }, seconds.abs());
        let (hours, minutes, rest) = (ahead / 3600, ahead / 60 % 60, ahead % 60);
        put(to, format_args!("{} {}{sign}{hours:02}:{minutes:02}", at.date(), at.time()))?;
        if rest > 0 { put(to, format_args!(":{rest:02}")) } else { Ok(()) }
    })
}
