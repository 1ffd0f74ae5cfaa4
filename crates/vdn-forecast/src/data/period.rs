//! The seasonal period of series, from the step of the calendar and the values.
//!
//! The calendar gives the candidates ([`Step::seasons`]): hourly rows may repeat after a day or a
//! week, daily rows after a week or a year. The values decide: the chosen period has the smallest
//! squared error of seasonal naive forecasts on the training windows. Exchange rates have no
//! season. Their common file numbers trading days consecutively, as if they were calendar days, so
//! the file name is the only way to recognise them.

use crate::data::time::Step;
use std::ops::Range;

/// The maximum number of windows of each series on which a candidate is scored.
const WINDOWS: usize = 500;

/// A seasonal period in rows (or none), and the reason for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeasonalPeriod {
    /// The number of rows after which the season repeats; 1 for no season. `None`: it cannot be
    /// determined and has to be configured.
    pub period: Option<usize>,
    /// How the period was found, or why it was not.
    pub reason: String,
}

/// Chooses the seasonal period of the series `columns`, whose rows are one `step` apart.
///
/// Only values before row `training[s]` of series `s` are used. Each origin forecasts `horizon`
/// rows.
///
/// ```
/// use vdn_forecast::data::{seasonal_period, time::Step};
///
/// let week: Vec<f64> = (0..900).map(|hour| if hour % 168 < 120 { 5.0 } else { 1.0 }).collect();
/// let hourly = Some(Step::Seconds(3600));
/// let season = seasonal_period("load.csv", hourly, &[week], &[800], 24);
/// assert_eq!(season.period, Some(168));
/// ```
#[must_use]
pub fn seasonal_period(
    file: &str,
    step: Option<Step>,
    columns: &[Vec<f64>],
    training: &[usize],
    horizon: usize,
) -> SeasonalPeriod {
    let found = |period, reason: String| SeasonalPeriod { period, reason };
    if is_exchange(file) {
        return found(Some(1), "exchange rates (by the file's name) have no season".to_owned());
    }
    let Some(step) = step else {
        return found(None, "there are no dates".to_owned());
    };
    if let Step::Count(_) = step {
        return found(None, "times are counts of steps of unknown length".to_owned());
    }
    let candidates = step.seasons();
    let longest = training.iter().copied().max().unwrap_or(0);
    // Requires two whole periods before the last origin.
    let fits = |&period: &usize| 2 * period + horizon <= longest;
    let fitting: Vec<usize> = candidates.iter().copied().filter(fits).collect();
    match (&fitting[..], candidates.first()) {
        (_, None) => found(Some(1), format!("rows every {step} have no season")),
        ([], Some(&first)) => {
            found(Some(first), format!("rows every {step}; too few to compare with other periods"))
        }
        ([one], _) => found(Some(*one), format!("rows every {step}")),
        ([..], _) => {
            let scores = scores(&fitting, columns, training, horizon);
            // A longer period has to be better by more than chance and rounding.
            let best = (1..fitting.len()).fold(0, |best, next| {
                let better = scores[next] < 0.99 * scores[best] - 1e-9;
                if better { next } else { best }
            });
            let others = |i: &usize| fitting[*i].to_string();
            let all: Vec<String> = (0..fitting.len()).map(|i| others(&i)).collect();
            let reason = format!(
                "rows every {step}; of the periods {} this one forecasts the training windows best",
                all.join(", ")
            );
            found(Some(fitting[best]), reason)
        }
    }
}

/// Whether a file contains exchange rates, judged by its name.
pub(super) fn is_exchange(file: &str) -> bool {
    let name = file.rsplit(['/', '\\']).next().unwrap_or(file);
    name.to_ascii_lowercase().contains("exchange")
}

/// The mean squared error of seasonal naive forecasts for each period, summed over the series. All
/// periods are scored on the same origins.
fn scores(periods: &[usize], columns: &[Vec<f64>], training: &[usize], horizon: usize) -> Vec<f64> {
    let longest = periods.iter().copied().max().unwrap_or(1);
    let mut sums = vec![0.0; periods.len()];
    for (column, &end) in columns.iter().zip(training) {
        let values = &column[..end.min(column.len())];
        let origins = longest..(values.len() + 1).saturating_sub(horizon);
        if origins.is_empty() {
            continue;
        }
        let mut own: Vec<f64> =
            periods.iter().map(|&period| error(values, period, &origins, horizon)).collect();
        // Errors are divided by the variance of the series, so that all series have the same
        // weight.
        let (mean, scale) = mean_and_scale(values);
        let square = |x: &f64| (x / scale - mean).powi(2);
        let variance = values.iter().map(square).sum::<f64>() / values.len() as f64;
        if variance > 0.0 {
            let count = horizon * origins.len().div_ceil(origins.len().div_ceil(WINDOWS));
            own.iter_mut().for_each(|error| *error /= variance * count as f64);
            sums.iter_mut().zip(own).for_each(|(sum, error)| *sum += error);
        }
    }
    sums
}

/// The mean in units of the largest absolute value, and that value.
fn mean_and_scale(values: &[f64]) -> (f64, f64) {
    let scale = values.iter().fold(f64::MIN_POSITIVE, |most: f64, x| most.max(x.abs()));
    (values.iter().map(|x| x / scale).sum::<f64>() / values.len() as f64, scale)
}

fn error(values: &[f64], period: usize, origins: &Range<usize>, horizon: usize) -> f64 {
    let (_, scale) = mean_and_scale(values);
    let every = origins.len().div_ceil(WINDOWS);
    let mut sum = 0.0;
    for origin in origins.clone().step_by(every) {
        for h in 0..horizon {
            let past = origin - period + h % period;
            let difference = values[origin + h] / scale - values[past] / scale;
            sum += difference * difference;
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::seasonal_period;
    use crate::data::time::Step;

    #[test]
    fn the_calendar_proposes_and_the_values_decide() {
        let wave = |rows: usize, period: usize| -> Vec<f64> {
            (0..rows)
                .map(|row| (std::f64::consts::TAU * row as f64 / period as f64).sin())
                .collect()
        };
        let (hour, day) = (Step::Seconds(3600), Step::Seconds(86_400));
        let month = Step::Months { count: 1, end: false };
        let quarter = Step::Months { count: 3, end: true };
        let year = Step::Months { count: 12, end: false };
        type Case = (&'static str, &'static str, Option<Step>, usize, usize, Option<usize>);
        let cases: [Case; 15] = [
            ("hourly, days", "a.csv", Some(hour), 24, 1000, Some(24)),
            ("hourly, weeks", "a.csv", Some(hour), 168, 1000, Some(168)),
            ("hourly, too few for weeks", "a.csv", Some(hour), 168, 200, Some(24)),
            ("hourly, too few", "a.csv", Some(hour), 24, 20, Some(24)),
            ("daily, weeks", "a.csv", Some(day), 7, 2000, Some(7)),
            ("daily, years", "a.csv", Some(day), 365, 2000, Some(365)),
            ("daily, less than two years", "a.csv", Some(day), 365, 700, Some(7)),
            ("quarter-hourly", "a.csv", Some(Step::Seconds(900)), 96, 2000, Some(96)),
            ("weekly", "a.csv", Some(Step::Seconds(604_800)), 52, 300, Some(52)),
            ("monthly", "a.csv", Some(month), 24, 300, Some(12)),
            ("quarterly", "a.csv", Some(quarter), 4, 300, Some(4)),
            ("yearly", "a.csv", Some(year), 11, 300, Some(1)),
            ("exchange", "/data/exchange_rate.csv", Some(day), 7, 2000, Some(1)),
            ("a folder's name", "/exchange/a.csv", Some(hour), 24, 1000, Some(24)),
            ("no dates", "a.csv", None, 24, 1000, None),
        ];
        let mut wrong = Vec::new();
        for (name, file, step, period, rows, expected) in cases {
            let found = seasonal_period(file, step, &[wave(rows, period)], &[rows], 6);
            if found.period != expected || found.reason.is_empty() {
                wrong.push(format!("{name}: {found:?}, not {expected:?}"));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        // Rows from the first validation target on are ignored.
        let mut tail = wave(1000, 24);
        tail[900..].iter_mut().enumerate().for_each(|(i, x)| *x = 1e6 * (i % 17) as f64);
        let found = seasonal_period("a.csv", Some(hour), &[tail], &[900], 6);
        assert_eq!(found.period, Some(24));
    }
}
