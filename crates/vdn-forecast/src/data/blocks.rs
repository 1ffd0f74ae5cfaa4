//! The blocks of steps whose sums a forecast is judged by: days and weeks, where the dates tell them.

use crate::data::period::{DAY, infer_step, is_exchange};
use vdn_train::data::Dates;

/// Consecutive steps that are summed: a name and how many.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockLength {
    /// `day`, `week`, or `quarter` of the horizon.
    pub name: &'static str,
    /// Steps of one block, at least 2 and fewer than the horizon.
    pub steps: usize,
}

/// The blocks of a horizon of `horizon` steps: a day and a week, where the dates of the file give
/// whole numbers of steps for them and the horizon is longer; else a quarter of the horizon. No
/// blocks where a quarter has fewer than two steps.
///
/// Files of exchange rates number trading days as if they were calendar days, so they have neither.
///
/// ```
/// use vdn_forecast::data::block_lengths;
/// let dates: vdn_train::data::Dates = (0..24).map(|h| format!("2020-01-01 {h}:00")).collect();
/// let blocks = block_lengths("load.csv", Some(&dates), 96);
/// assert_eq!((blocks.len(), blocks[0].name, blocks[0].steps), (1, "day", 24));
/// assert_eq!(block_lengths("load.csv", None, 96)[0].steps, 24);
/// ```
#[must_use]
pub fn block_lengths(file: &str, dates: Option<&Dates>, horizon: usize) -> Vec<BlockLength> {
    let step = dates.filter(|_| !is_exchange(file)).and_then(|d| infer_step(d.iter()).ok());
    let of = |name, seconds: i64| {
        let steps = usize::try_from(seconds / step.filter(|step| seconds % step == 0)?).ok()?;
        (steps > 1 && steps < horizon).then_some(BlockLength { name, steps })
    };
    let calendar: Vec<BlockLength> =
        [("day", DAY), ("week", 7 * DAY)].into_iter().filter_map(|(n, s)| of(n, s)).collect();
    match (calendar.is_empty(), horizon / 4) {
        (false, _) => calendar,
        (true, steps) if steps > 1 => vec![BlockLength { name: "quarter", steps }],
        (true, _) => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_follow_the_calendar_and_never_reach_the_horizon() {
        let hourly: Dates =
            (0..48).map(|h| format!("2020-01-{} {}:00", 1 + h / 24, h % 24)).collect();
        let daily: Dates = (1..=28).map(|day| format!("2020-02-{day}")).collect();
        let monthly: Dates = (1..=12).map(|month| format!("2020-{month}-1")).collect();
        type Case<'a> = (&'a str, Option<&'a Dates>, usize, &'a [(&'a str, usize)]);
        let cases: &[Case<'_>] = &[
            ("a.csv", Some(&hourly), 24, &[("quarter", 6)]),
            ("a.csv", Some(&hourly), 25, &[("day", 24)]),
            ("a.csv", Some(&hourly), 720, &[("day", 24), ("week", 168)]),
            ("a.csv", Some(&daily), 28, &[("week", 7)]),
            ("Exchange.csv", Some(&daily), 28, &[("quarter", 7)]),
            ("a.csv", Some(&monthly), 12, &[("quarter", 3)]),
            ("a.csv", None, 8, &[("quarter", 2)]),
            ("a.csv", None, 7, &[]),
        ];
        for (file, dates, horizon, want) in cases {
            let found = block_lengths(file, *dates, *horizon);
            let found: Vec<(&str, usize)> = found.iter().map(|b| (b.name, b.steps)).collect();
            assert_eq!(found, *want, "{file}, horizon {horizon}");
        }
    }
}
