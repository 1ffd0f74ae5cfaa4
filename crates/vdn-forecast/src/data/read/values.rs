//! Numbers that look like something else: fill values of the field.

/// Values that instruments, models and archives write where there is no measurement.
const KNOWN: [f64; 24] = [
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
];

/// A value that is reported wherever it stands.
const ALWAYS: f64 = -9999.0;

/// A value that may stand for a missing one, and how often it is there.
pub(super) type Suspicious = (f64, usize);

/// The smallest and the largest value, where they are known fill values or come several times, and
/// are farther from all others than those from each other.
pub(super) fn suspicious(values: &[f64]) -> Vec<Suspicious> {
    let mut found: Vec<Suspicious> = Vec::new();
    let of_number = |x: f64| values.iter().filter(|&&v| v == x).count();
    // Fill values may hide each other: the extremes are taken off one by one.
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
            let known = KNOWN.iter().any(|&known| near(x, known));
            let count = of_number(x);
            if x == ALWAYS {
                return Some((x, count));
            }
            let distance = if x < low { low / 2.0 - x / 2.0 } else { x / 2.0 - high / 2.0 };
            let range = high / 2.0 - low / 2.0;
            // A negative number among others that are not is stranger than a large one.
            let sure = known || (x < 0.0 && low >= 0.0);
            let far = range > 0.0 && distance > if sure { range } else { 3.0 * range };
            let repeated = count >= 3 && x.fract() == 0.0 && 2 * count < values.len();
            (far && (known || repeated)).then_some((x, count))
        });
        match suspect {
            Some(one) => found.push(one),
            None => break,
        }
    }
    if !found.iter().any(|(x, _)| *x == ALWAYS) && values.contains(&ALWAYS) {
        found.push((ALWAYS, of_number(ALWAYS)));
    }
    found
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
        let cases: [Case; 10] = [
            (&[], &[]),
            (&[-9999.0, -9999.0], &[(-9999.0, 2)]),
            (&[-999.0], &[(-999.0, 1)]),
            (&[CMIP; 3], &[(CMIP, 3)]),
            (&[1e20], &[(1e20, 1)]),
            (&[-200.0; 5], &[(-200.0, 5)]),
            // A single outlier is no fill value, nor is one with a fraction.
            (&[-200.0], &[]),
            (&[-200.7; 5], &[]),
            (&[1e20, -999.0], &[(1e20, 1), (-999.0, 1)]),
            (&[f64::MAX, f64::MIN], &[]),
        ];
        for (extra, expected) in cases {
            let mut found = suspicious(&wave(extra));
            found.sort_by(|a, b| b.0.total_cmp(&a.0));
            let mut expected = expected.to_vec();
            expected.sort_by(|a, b| b.0.total_cmp(&a.0));
            assert_eq!(found, expected, "{extra:?}");
        }
        // Numbers that pass through 999 on their way, and series of few values.
        let counts: Vec<f64> = (0..2000).map(f64::from).collect();
        assert_eq!(suspicious(&counts), []);
        assert_eq!(suspicious(&[5.0; 40]), []);
        assert_eq!(suspicious(&[0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0]), []);
        // A constant that begins to move is no fill value.
        let moves: Vec<f64> =
            (0..100).map(|i| f64::from(if i < 80 { 3 } else { 20 + i })).collect();
        assert_eq!(suspicious(&moves), []);
        // The fill value of a table of gases, nearer than three ranges.
        let gases: Vec<f64> =
            (0..100).map(|i| f64::from(if i % 20 == 3 { -200 } else { 50 + i })).collect();
        assert_eq!(suspicious(&gases), [(-200.0, 5)]);
    }
}
