//! The scores of a backtest, and the calibration of its intervals.

use serde::Serialize;
use std::fmt;

/// The nominal coverage of the intervals.
pub(super) const LEVEL: f64 = 0.9;

/// The minimum number of known scores for a series to be calibrated by its own scores. A share of
/// 0.9 of thirty values has a standard error of 0.05.
const OWN: usize = 30;

/// The forecast and target of one step, in standardised units.
#[derive(Clone, Copy, Debug)]
pub(super) struct Point {
    pub(super) target: f64,
    pub(super) mean: f64,
    /// The lower end of the central interval; `high` is its upper end.
    pub(super) low: f64,
    pub(super) high: f64,
    pub(super) crps: f64,
    /// The lower limit of the series.
    pub(super) floor: f64,
}

impl Point {
    /// Returns the distance of the target from the interval; negative inside.
    fn miss(&self) -> f64 {
        (self.low - self.target).max(self.target - self.high)
    }
}

/// Averages over the forecasts of a backtest.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct BacktestScores {
    /// The number of observed targets.
    pub targets: usize,
    /// The mean squared error of the mean.
    pub mse: f64,
    /// The mean absolute error of the mean.
    pub mae: f64,
    /// The exact CRPS of the predictive distribution.
    pub crps: f64,
    /// The share of targets inside the central 90 % interval.
    pub coverage: f64,
    /// The mean width of that interval.
    pub width: f64,
    /// The interval before and after calibration; `None` if too few earlier forecasts were known.
    pub calibrated: Option<Calibrated>,
}

/// The intervals of the forecasts that could be calibrated.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Calibrated {
    /// The share of targets inside before calibration.
    pub before: f64,
    /// The share of targets inside after calibration.
    pub after: f64,
    /// The standard error of `after` across origins: steps and series of one origin are not
    /// independent. `None` for fewer than two origins.
    pub after_error: Option<f64>,
    /// The mean width after calibration.
    pub width: f64,
}

impl fmt::Display for BacktestScores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for value in [self.mse, self.mae, self.crps, self.coverage, self.width] {
            write!(f, " {value:>8.4}")?;
        }
        match &self.calibrated {
            None => write!(f, " {:>8} {:>8} {:>8}", "-", "-", "-"),
            Some(Calibrated { before, after, width, .. }) => {
                write!(f, " {before:>8.4} {after:>8.4} {width:>8.4}")
            }
        }
    }
}

#[derive(Clone, Debug, Default)]
struct Sum {
    targets: usize,
    scores: BacktestScores,
    calibrated_count: f64,
    calibrated: Calibrated,
    /// The calibrated targets of each origin.
    origins: Vec<Share>,
}

/// The number of targets of an origin, and of those inside their intervals.
#[derive(Clone, Copy, Debug)]
struct Share {
    origin: usize,
    targets: f64,
    inside: f64,
}

/// Returns the standard error of the share of targets inside, if origins are independent; `None`
/// for fewer than two origins.
fn share_error(origins: &[Share]) -> Option<f64> {
    let [targets, inside] =
        [|o: &Share| o.targets, |o: &Share| o.inside].map(|of| origins.iter().map(of).sum::<f64>());
    let n = origins.len() as f64;
    let residual = |own: &Share| (own.inside - own.targets * inside / targets).powi(2);
    let squares: f64 = origins.iter().map(residual).sum();
    (n > 1.0).then(|| (squares * n / (n - 1.0)).sqrt() / targets)
}

impl Sum {
    fn add(&mut self, origin: usize, point: &Point, widened: Option<f64>) {
        let Point { target, mean, low, high, crps, floor } = *point;
        let error = mean - target;
        self.targets += 1;
        self.scores.mse += error * error;
        self.scores.mae += error.abs();
        self.scores.crps += crps;
        self.scores.coverage += f64::from(u8::from(point.miss() <= 0.0));
        self.scores.width += high - low;
        if let Some(by) = widened {
            self.calibrated_count += 1.0;
            self.calibrated.before += f64::from(u8::from(point.miss() <= 0.0));
            let inside = f64::from(u8::from(point.miss() <= by));
            self.calibrated.after += inside;
            if self.origins.last().is_none_or(|own| own.origin != origin) {
                self.origins.push(Share { origin, targets: 0.0, inside: 0.0 });
            }
            if let Some(own) = self.origins.last_mut() {
                (own.targets, own.inside) = (own.targets + 1.0, own.inside + inside);
            }
            self.calibrated.width += ((high + by) - (low - by).max(floor)).max(0.0);
        }
    }

    /// Returns the averages; `None` without targets.
    fn mean(&self) -> Option<BacktestScores> {
        let Self { targets, scores: s, calibrated_count: n, calibrated: c, origins } = self;
        let count = *targets as f64;
        if *targets == 0 {
            return None;
        }
        let calibrated = (*n > 0.0).then(|| Calibrated {
            before: c.before / n,
            after: c.after / n,
            after_error: share_error(origins),
            width: c.width / n,
        });
        Some(BacktestScores {
            targets: *targets,
            mse: s.mse / count,
            mae: s.mae / count,
            crps: s.crps / count,
            coverage: s.coverage / count,
            width: s.width / count,
            calibrated,
        })
    }
}

/// The averages of each step or of each series.
type Means = Vec<Option<BacktestScores>>;

/// Sums over the forecasts of a backtest, origin by origin.
pub(super) struct Sums {
    all: Sum,
    steps: Vec<Sum>,
    series: Vec<Sum>,
    /// For each step of the horizon: the origin, the series and the score of each forecast.
    misses: Vec<Vec<(usize, usize, f64)>>,
    /// The number of rows between origins.
    apart: usize,
}

impl Sums {
    pub(super) fn new(horizon: usize, series: usize, apart: usize) -> Self {
        Self {
            all: Sum::default(),
            steps: vec![Sum::default(); horizon],
            series: vec![Sum::default(); series],
            misses: vec![Vec::new(); horizon],
            apart,
        }
    }

    /// Adds the forecast of a series from an origin. Origins are added in order. A step with a
    /// missing target (NaN) is not scored.
    pub(super) fn add(&mut self, origin: usize, series: usize, points: &[Point]) {
        let seen = points.iter().enumerate().filter(|(_, point)| !point.target.is_nan());
        for (step, point) in seen {
            let by = self.widening(origin, series, step);
            self.all.add(origin, point, by);
            self.steps[step].add(origin, point, by);
            self.series[series].add(origin, point, by);
            self.misses[step].push((origin, series, point.miss()));
        }
    }

    /// Returns the amount by which the interval of a step is widened at an origin: the
    /// `⌈(n + 1) 0.9⌉`-th smallest of the `n` scores known there. The scores are those of the
    /// series itself, or of all series if its own are fewer than [`OWN`]. `None` if there are fewer
    /// scores than this rank.
    fn widening(&self, origin: usize, series: usize, step: usize) -> Option<f64> {
        // The target of step `h` (from 0) of origin `j` is `h` rows after origin `j`.
        let known = || {
            let all = self.misses[step].iter();
            all.filter(|&&(earlier, ..)| (origin - earlier) * self.apart > step)
        };
        let own = known().filter(|&&(_, other, _)| other == series);
        let mut misses: Vec<f64> = own.map(|&(.., miss)| miss).collect();
        if misses.len() < OWN {
            misses = known().map(|&(.., miss)| miss).collect();
        }
        let rank = (LEVEL * (misses.len() + 1) as f64).ceil() as usize;
        let place = rank.checked_sub(1).filter(|&place| place < misses.len())?;
        Some(*misses.select_nth_unstable_by(place, f64::total_cmp).1)
    }

    /// Returns the averages over all forecasts, for each step of the horizon, and for each series;
    /// `None` without targets.
    pub(super) fn scores(&self) -> (Option<BacktestScores>, Means, Means) {
        let all = |sums: &[Sum]| sums.iter().map(Sum::mean).collect();
        (self.all.mean(), all(&self.steps), all(&self.series))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: f64 = f64::NEG_INFINITY;

    #[test]
    fn only_what_was_known_at_an_origin_widens_its_interval() {
        let point =
            |target: f64| Point { target, mean: 0.0, low: -1.0, high: 1.0, crps: 0.0, floor: NONE };
        // Two steps, origins one row apart: the second step is known two origins later.
        let mut sums = Sums::new(2, 1, 1);
        for origin in 0..9 {
            let target = 1.0 + origin as f64;
            sums.add(origin, 0, &[point(target), point(target)]);
        }
        // Misses 0 to 8: nine of them, rank ⌈0.9 10⌉ = 9, the largest.
        assert_eq!((sums.widening(9, 0, 0), sums.widening(9, 0, 1)), (Some(8.0), None));
        assert_eq!(sums.widening(10, 0, 1), Some(8.0));
        // At the origin itself its targets are not known.
        assert_eq!(sums.widening(8, 0, 0), None);
        let mut far = Sums::new(2, 1, 2);
        (0..9).for_each(|origin| far.add(origin, 0, &[point(0.0), point(3.0)]));
        assert_eq!((far.widening(9, 0, 0), far.widening(9, 0, 1)), (Some(-1.0), Some(2.0)));
    }

    #[test]
    fn a_series_is_calibrated_by_its_own_misses_once_they_are_many() {
        let point =
            |target: f64| Point { target, mean: 0.0, low: -1.0, high: 1.0, crps: 0.0, floor: NONE };
        let mut sums = Sums::new(1, 2, 1);
        for origin in 0..OWN {
            sums.add(origin, 0, &[point(2.0)]);
            sums.add(origin, 1, &[point(5.0)]);
        }
        // All misses except the last one of each series: 29 are 1, 29 are 4.
        assert_eq!(sums.widening(OWN - 1, 0, 0), Some(4.0));
        assert_eq!((sums.widening(OWN, 0, 0), sums.widening(OWN, 1, 0)), (Some(1.0), Some(4.0)));
    }

    /// Half of 40 origins have all ten targets inside, the other half eight. The share is 0.9, with
    /// the standard error of 40 numbers, not of 400.
    #[test]
    fn the_error_of_a_coverage_is_that_of_origins() {
        let share = |origin: usize| {
            let inside = if origin.is_multiple_of(2) { 10.0 } else { 8.0 };
            Share { origin, targets: 10.0, inside }
        };
        let all: Vec<Share> = (0..40).map(share).collect();
        let expected = 0.1 * (40.0_f64 / 39.0).sqrt() / 40.0_f64.sqrt();
        assert!((share_error(&all).unwrap() - expected).abs() < 1e-15);
        assert_eq!((share_error(&all[..1]), share_error(&[])), (None, None));
    }

    #[test]
    fn intervals_of_any_width_are_brought_to_their_level() {
        // Uniform targets in (-1, 1), and intervals of half and of double the right width.
        let mut state = 3_u64;
        for half in [0.45, 1.8] {
            let mut sums = Sums::new(1, 1, 1);
            for origin in 0..3000 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let target = 2.0 * (state >> 11) as f64 / (1_u64 << 53) as f64 - 1.0;
                let point =
                    Point { target, mean: 0.0, low: -half, high: half, crps: 0.0, floor: NONE };
                sums.add(origin, 0, &[point]);
            }
            let (all, ..) = sums.scores();
            let calibrated = all.unwrap().calibrated.unwrap();
            // Three standard errors of a share of 2990: 0.016.
            assert!((calibrated.after - LEVEL).abs() < 0.017, "{half}: {calibrated:?}");
            assert!((calibrated.width - 1.8).abs() < 0.1, "{half}: {calibrated:?}");
            assert!((calibrated.before - half.min(1.0)).abs() < 0.03, "{half}: {calibrated:?}");
        }
    }
}
