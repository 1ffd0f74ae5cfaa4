//! Detection of numbers that may be fill values.

/// Values that instruments, models and archives write for a missing measurement.
const KNOWN: [f64; 29] = [
    -9999.0,
    -999.0,
    -99.0,
    -99_999.0,
    -9999.9,
    -999.9,
    -99.9,
    999.0,
    9999.0,
    99_999.0,
    999.9,
    9999.9,
    -32_768.0,
    32_767.0,
    65_535.0,
    2_147_483_647.0,
    -2_147_483_648.0,
    1e20,
    -1e20,
    1e30,
    -1e30,
    -1e34,
    1e35,
    9.969_209_968_386_869e36,
    -999.25,
    4_294_967_295.0,
    18_446_744_073_709_551_615.0,
    9_223_372_036_854_775_807.0,
    -9_223_372_036_854_775_808.0,
];

/// Values that are always reported. The last four are the limits of number types.
const ALWAYS: [f64; 5] = [-9999.0, f32::MAX as f64, f32::MIN as f64, f64::MAX, f64::MIN];

/// Values that are always reported, unless the series passes through them.
const UNLESS_PASSED: [f64; 2] = [-999.0, -99_999.0];

/// A single value is reported if its distance from all others exceeds this many times their range.
const ABSURD: f64 = 1e6;

/// A value that may stand for a missing one, and its number of occurrences.
pub(super) type Suspicious = (f64, usize);

/// Returns the suspicious extreme values. An extreme is suspicious if it is a known fill value or
/// occurs several times, and if its distance from all others exceeds their range (the factor
/// depends on the kind of value). A value further away than [`ABSURD`] ranges is suspicious in any
/// case. The values in [`ALWAYS`] are suspicious wherever they occur, and the values in
/// [`UNLESS_PASSED`] unless the series passes through them.
pub(super) fn suspicious(values: &[f64]) -> Vec<Suspicious> {
    let mut found: Vec<Suspicious> = Vec::new();
    let of_number = |x: f64| values.iter().filter(|&&v| v == x).count();
    // Fill values may hide each other, so the extremes are removed one by one.
    for _ in 0..4 {
        let rest = || values.iter().copied().filter(|v| !found.iter().any(|(x, _)| x == v));
        let low = rest().fold(f64::INFINITY, f64::min);
        let high = rest().fold(f64::NEG_INFINITY, f64::max);
        let suspect = [low, high].into_iter().find_map(|x| {
            if !x.is_finite() {
                return None;
            }
            let others = || rest().filter(move |&v| v != x);
            let low = others().fold(f64::INFINITY, f64::min);
            let high = others().fold(f64::NEG_INFINITY, f64::max);
            let near = |a: f64, b: f64| (a - b).abs() <= 1e-6 * b.abs();
            // A known fill value does not count if the other values are near it, too.
            let is = |known: f64| near(x, known) && !near(low, known) && !near(high, known);
            let known = KNOWN.into_iter().any(is);
            let count = of_number(x);
            if ALWAYS.contains(&x) {
                return Some((x, count));
            }
            let distance = if x < low { low / 2.0 - x / 2.0 } else { x / 2.0 - high / 2.0 };
            let range = high / 2.0 - low / 2.0;
            // A negative number among nonnegative ones is stranger than a large one. A known fill
            // value that repeats needs less distance.
            let sure = known || (x < 0.0 && low >= 0.0);
            let ranges = match (sure, count) {
                (true, 2..) if known => 0.25,
                (true, _) => 1.0,
                (false, 2) => 10.0,
                (false, _) => 3.0,
            };
            let far = range > 0.0 && distance > ranges * range;
            let repeated = count >= 2 && 2 * count < values.len();
            let absurd = || {
                let size = range.max(1e-3 * low.abs().max(high.abs()));
                range > 0.0 && distance > ABSURD * size
            };
            ((far && (known || repeated)) || absurd()).then_some((x, count))
        });
        match suspect {
            Some(one) => found.push(one),
            None => break,
        }
    }
    for x in ALWAYS.into_iter().chain(UNLESS_PASSED) {
        let count = if values.contains(&x) { of_number(x) } else { 0 };
        // An integer series may pass through -999, but then values near -999 are at least as
        // frequent.
        let beside = |v: &&f64| **v != x && (**v - x).abs() <= 0.01 * x.abs();
        let passes = || UNLESS_PASSED.contains(&x) && values.iter().filter(beside).count() >= count;
        if count > 0 && !found.iter().any(|(other, _)| *other == x) && !passes() {
            found.push((x, count));
        }
    }
    found
}

/// Returns the fill values among integers that are far from all others of their series: known fill
/// values, and repeated values.
pub(super) fn suspicious_integers(far: &[f64]) -> impl Iterator<Item = Suspicious> {
    let mut sorted = far.to_vec();
    sorted.sort_by(f64::total_cmp);
    let runs: Vec<Suspicious> =
        sorted.chunk_by(|a, b| a == b).map(|run| (run[0], run.len())).collect();
    runs.into_iter().filter(|(value, count)| *count > 1 || KNOWN.contains(value))
}

#[cfg(test)]
mod tests {
    use super::suspicious;

    const CMIP: f64 = 9.969_209_968_386_869e36;

    #[test]
    fn fill_values_are_told_from_measurements() {
        let wave = |extra: &[f64]| -> Vec<f64> {
            let mut all: Vec<f64> = (0..100).map(|i| f64::from(i % 13) - 4.5).collect();
            all.extend(extra);
            all
        };
        type Case = (&'static [f64], &'static [(f64, usize)]);
        let cases: [Case; 17] = [
            (&[], &[]),
            (&[-9999.0, -9999.0], &[(-9999.0, 2)]),
            (&[-999.0], &[(-999.0, 1)]),
            (&[CMIP; 3], &[(CMIP, 3)]),
            (&[1e20], &[(1e20, 1)]),
            (&[-200.0; 5], &[(-200.0, 5)]),
            // A single outlier is not a fill value. Two are not either, if they are nearer than ten
            // ranges.
            (&[-200.0], &[]),
            (&[-200.7; 5], &[(-200.7, 5)]),
            (&[50.7; 2], &[]),
            (&[99.99; 2], &[]),
            (&[199.99; 2], &[(199.99, 2)]),
            (&[-7777.0; 2], &[(-7777.0, 2)]),
            (&[1e20, -999.0], &[(1e20, 1), (-999.0, 1)]),
            (&[f64::MAX, f64::MIN], &[(f64::MAX, 1), (f64::MIN, 1)]),
            (&[f32::MIN as f64], &[(f32::MIN as f64, 1)]),
            (&[1e300], &[(1e300, 1)]),
            (&[-999.25; 2], &[(-999.25, 2)]),
        ];
        for (extra, expected) in cases {
            let mut found = suspicious(&wave(extra));
            found.sort_by(|a, b| b.0.total_cmp(&a.0));
            let mut expected = expected.to_vec();
            expected.sort_by(|a, b| b.0.total_cmp(&a.0));
            assert_eq!(found, expected, "{extra:?}");
        }
        // Numbers that pass through 999, and series with few distinct values.
        let counts: Vec<f64> = (0..2000).map(f64::from).collect();
        assert_eq!(suspicious(&counts), []);
        assert_eq!(suspicious(&[5.0; 40]), []);
        assert_eq!(suspicious(&[0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0]), []);
        // A constant series that begins to move has no fill value.
        let moves: Vec<f64> =
            (0..100).map(|i| f64::from(if i < 80 { 3 } else { 20 + i })).collect();
        assert_eq!(suspicious(&moves), []);
        // A fill value within the range, without other values near it.
        let wide = |x: f64| -> Vec<f64> {
            (0..300)
                .map(|i| if i % 100 == 7 { x } else { f64::from(i * 7 % 1601) - 600.0 })
                .collect()
        };
        assert_eq!(suspicious(&wide(-999.0)), [(-999.0, 3)]);
        let down: Vec<f64> = (0..2000).map(|i| f64::from(-i)).collect();
        assert_eq!(suspicious(&down), []);
        let below: Vec<f64> =
            (0..300).map(|i| if i % 100 == 7 { 999.0 } else { f64::from(50 + i * 2) }).collect();
        assert_eq!(suspicious(&below), [(999.0, 3)]);
        // The fill value of a table of gases, nearer than three ranges.
        let gases: Vec<f64> =
            (0..100).map(|i| f64::from(if i % 20 == 3 { -200 } else { 50 + i })).collect();
        assert_eq!(suspicious(&gases), [(-200.0, 5)]);
    }
}
