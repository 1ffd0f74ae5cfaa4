//! The blocks of steps whose sums score a forecast: days and weeks, if the calendar has them.

use crate::data::period::is_exchange;
use crate::data::time::Step;

/// The number of seconds in a day.
const DAY: i64 = 86_400;

/// A block of consecutive steps that are summed: its name and length.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockLength {
    /// `day`, `week`, or `quarter` of the horizon.
    pub name: &'static str,
    /// The number of steps in a block, at least 2 and fewer than the horizon.
    pub steps: usize,
}

/// Returns the block lengths for a horizon of `horizon` steps.
///
/// A day and a week are used if they are whole numbers of steps and shorter than the horizon. If
/// neither is, the block is a quarter of the horizon. The result is empty if a quarter has fewer
/// than two steps.
///
/// Exchange-rate files number trading days as if they were calendar days. They have neither day nor
/// week blocks.
///
/// ```
/// use vdn_forecast::data::block_lengths;
/// use vdn_forecast::data::time::Step;
/// let blocks = block_lengths("load.csv", Some(Step::Seconds(3600)), 96);
/// assert_eq!((blocks.len(), blocks[0].name, blocks[0].steps), (1, "day", 24));
/// assert_eq!(block_lengths("load.csv", None, 96)[0].steps, 24);
/// ```
#[must_use]
pub fn block_lengths(file: &str, step: Option<Step>, horizon: usize) -> Vec<BlockLength> {
    let step = match step {
        Some(Step::Seconds(seconds)) if !is_exchange(file) => Some(seconds),
        _ => None,
    };
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
        let [hourly, daily] = [3600, DAY].map(|seconds| Some(Step::Seconds(seconds)));
        let monthly = Some(Step::Months { count: 1, end: false });
        type Case<'a> = (&'a str, Option<Step>, usize, &'a [(&'a str, usize)]);
        let cases: &[Case<'_>] = &[
            ("a.csv", hourly, 24, &[("quarter", 6)]),
            ("a.csv", hourly, 25, &[("day", 24)]),
            ("a.csv", hourly, 720, &[("day", 24), ("week", 168)]),
            ("a.csv", daily, 28, &[("week", 7)]),
            ("Exchange.csv", daily, 28, &[("quarter", 7)]),
            ("a.csv", monthly, 12, &[("quarter", 3)]),
            ("a.csv", None, 8, &[("quarter", 2)]),
            ("a.csv", None, 7, &[]),
        ];
        for (file, step, horizon, want) in cases {
            let found = block_lengths(file, *step, *horizon);
            let found: Vec<(&str, usize)> = found.iter().map(|b| (b.name, b.steps)).collect();
            assert_eq!(found, *want, "{file}, horizon {horizon}");
        }
    }
}
