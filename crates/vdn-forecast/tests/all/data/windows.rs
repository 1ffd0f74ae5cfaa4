//! Windows, splits and batches, compared with naive counting.

use vdn_forecast::data::{BenchmarkSplit, MaxWindows, Protocol, Splits, WindowIndex, WindowSpec};

pub(super) const WITH_GAP: Protocol = Protocol::Spec { gap: true };
const WITHOUT_GAP: Protocol = Protocol::Spec { gap: false };

pub(super) fn spec(
    input_len: usize,
    horizon: usize,
    stride: usize,
    protocol: Protocol,
) -> WindowSpec {
    WindowSpec { stride, protocol, ..WindowSpec::new(input_len, horizon) }
}

pub(super) fn names(count: usize) -> Vec<String> {
    (0..count).map(|series| format!("s{series}")).collect()
}

fn split(spec: &WindowSpec, lengths: &[usize]) -> Splits {
    spec.split(&names(lengths.len()), lengths).unwrap()
}

pub(super) fn starts(windows: &[WindowIndex]) -> Vec<usize> {
    windows.iter().map(|window| window.t as usize).collect()
}

/// All `t` whose windows lie inside a series, by trying every row.
pub(super) fn possible(spec: &WindowSpec, length: usize) -> Vec<usize> {
    let lags = if spec.extra_lag { 2 } else { 1 };
    let fits = |t: &usize| *t >= spec.input_len + lags * spec.stride && *t + spec.horizon <= length;
    (0..=length).filter(fits).collect()
}

/// At most `m` windows of each series in every split.
fn most(m: usize) -> MaxWindows {
    MaxWindows { train: Some(m), validation: Some(m), test: Some(m) }
}

#[test]
fn spec_windows_are_exact_tenths_of_all_windows() {
    let mut compared = 0;
    for (input_len, horizon, stride, extra_lag) in
        [(12, 6, 3, false), (1, 1, 0, false), (8, 4, 4, true), (5, 1, 2, true)]
    {
        for length in 0..260 {
            let without = WindowSpec { extra_lag, ..spec(input_len, horizon, stride, WITHOUT_GAP) };
            let all = possible(&without, length);
            let n = all.len();
            let (a, b) = (n * 7 / 10, n * 8 / 10);
            let parts = [&all[..a], &all[a..b], &all[b..]];
            let complete = parts.iter().all(|part| !part.is_empty());
            let found = without.split(&names(1), &[length]);
            assert_eq!(found.is_ok(), complete, "{without}, length {length}");
            let Ok(found) = found else { continue };
            let found = [&found.train, &found.validation, &found.test].map(|w| starts(w));
            assert_eq!(found, parts, "{without}, length {length}");

            // With the gap: only windows whose targets end before the next split begins.
            let gap = WindowSpec { protocol: WITH_GAP, ..without };
            let ends_before = |part: &[usize], next: &[usize]| -> Vec<usize> {
                part.iter().copied().filter(|t| t + horizon <= next[0]).collect()
            };
            let expected = [
                ends_before(parts[0], parts[1]),
                ends_before(parts[1], parts[2]),
                parts[2].to_vec(),
            ];
            match gap.split(&names(1), &[length]) {
                Ok(found) => {
                    let found = [&found.train, &found.validation, &found.test].map(|w| starts(w));
                    assert_eq!(found, expected, "{gap}, length {length}");
                    compared += 1;
                }
                Err(_) => assert!(expected.iter().any(Vec::is_empty), "{gap}, length {length}"),
            }
        }
    }
    assert!(compared > 400, "only {compared} lengths were compared");
}

#[test]
fn reference_windows_truncate_in_f64_and_leave_out_the_last() {
    // (lengths, L, H, stride, training, validation and test windows of each series)
    type Case = (&'static [usize], usize, usize, usize, &'static [Option<[usize; 3]>]);
    let cases: [Case; 4] = [
        // n = 55: (0.7 + 0.1) * 55 truncates to 43, not 44.
        (&[76], 12, 6, 3, &[Some([38, 5, 12])]),
        (&[60, 75], 12, 6, 3, &[Some([27, 4, 8]), Some([37, 6, 11])]),
        (&[40], 8, 4, 0, &[Some([19, 3, 6])]),
        // A series without a window is skipped, but no other series takes its index.
        (&[40, 21, 22], 12, 6, 3, &[Some([13, 2, 4]), None, Some([0, 0, 1])]),
    ];
    for (lengths, input_len, horizon, stride, expected) in cases {
        let spec = spec(input_len, horizon, stride, Protocol::REFERENCE);
        let splits = split(&spec, lengths);
        let skipped: Vec<usize> = splits.skipped().collect();
        let mut cursor = [0; 3];
        for (series, (length, expected)) in lengths.iter().zip(expected).enumerate() {
            assert_eq!(skipped.contains(&series), expected.is_none());
            let mut t = input_len + stride;
            let parts = [&splits.train, &splits.validation, &splits.test];
            for (part, count) in expected.unwrap_or([0; 3]).into_iter().enumerate() {
                for _ in 0..count {
                    let window = WindowIndex { series: series as u32, t: t as u32 };
                    assert_eq!(parts[part].get(cursor[part]), Some(&window), "{lengths:?}");
                    cursor[part] += 1;
                    t += 1;
                }
            }
            if expected.is_some() {
                assert_eq!(t, length - horizon, "the last possible start is not used");
            }
        }
        let counts = [splits.train.len(), splits.validation.len(), splits.test.len()];
        assert_eq!(counts, cursor, "{lengths:?}");
    }
}

#[test]
fn benchmark_windows_are_those_of_the_published_tables() {
    use BenchmarkSplit::{EttHour, EttMinute, Ratio};
    // (split, rows, training, validation and test rows)
    let cases = [
        (EttHour, 17420, [8640, 2880, 2880]),
        (EttMinute, 69680, [34560, 11520, 11520]),
        (Ratio, 7588, [5311, 760, 1517]),
        (Ratio, 52696, [36887, 5270, 10539]),
        (Ratio, 26304, [18412, 2632, 5260]),
    ];
    for (kind, rows, [train, validation, test]) in cases {
        for (input_len, horizon, stride) in [(336, 96, 4), (96, 336, 0)] {
            let spec = spec(input_len, horizon, stride, Protocol::Benchmark(kind));
            let splits = split(&spec, &[rows]);
            // A published data loader: rows - L - H + 1 training windows (here `stride` fewer, for
            // the earlier window), rows - H + 1 validation and test windows.
            let expected = [
                train - input_len - stride - horizon + 1,
                validation - horizon + 1,
                test - horizon + 1,
            ];
            let counts = [splits.train.len(), splits.validation.len(), splits.test.len()];
            assert_eq!(counts, expected, "{kind:?} {rows}");
            let first = [splits.train[0].t, splits.validation[0].t, splits.test[0].t];
            let bounds = [input_len + stride, train, train + validation];
            assert_eq!(first.map(|t| t as usize), bounds, "{kind:?} {rows}");
            let last = splits.test.last().unwrap().t as usize + horizon;
            assert_eq!(last, train + validation + test, "{kind:?} {rows}");
        }
    }
}

#[test]
fn test_windows_of_probts_begin_at_the_border_96_rows_apart() {
    // The number of windows in the ProbTS code: int((rows - H) / 96) + 1 for the test part.
    for (kind, rows, border, end, horizon, expected) in [
        (BenchmarkSplit::EttHour, 17_420, 11_520, 14_400, 96, 30),
        (BenchmarkSplit::EttHour, 17_420, 11_520, 14_400, 720, 23),
        (BenchmarkSplit::EttMinute, 69_680, 46_080, 57_600, 96, 120),
        (BenchmarkSplit::Ratio, 7588, 6071, 7588, 96, 15),
        (BenchmarkSplit::Ratio, 7588, 6071, 7588, 720, 9),
    ] {
        let own = split(&spec(96, horizon, 4, Protocol::ProbTs(kind)), &[rows, rows]);
        let common = split(&spec(96, horizon, 4, Protocol::Benchmark(kind)), &[rows, rows]);
        assert_eq!((&own.train, &own.validation), (&common.train, &common.validation));
        let of = |series: u32| own.test.iter().filter(move |window| window.series == series);
        for series in 0..2 {
            let starts: Vec<usize> = of(series).map(|window| window.t as usize).collect();
            assert_eq!((starts.len(), starts[0]), (expected, border), "{kind:?} {horizon}");
            assert!(starts.windows(2).all(|pair| pair[1] == pair[0] + 96));
            let last = starts[expected - 1] + horizon;
            assert!(last <= end && last + 96 > end, "{kind:?} {horizon}: {last}");
        }
        // A smaller number of test windows is evenly spaced among these.
        let spec = WindowSpec {
            max_windows: MaxWindows { test: Some(3), ..MaxWindows::default() },
            ..spec(96, horizon, 4, Protocol::ProbTs(kind))
        };
        let some = split(&spec, &[rows, rows]).test;
        assert!(some.len() == 6 && some.iter().all(|window| own.test.contains(window)));
    }
}

#[test]
fn no_target_is_shared_with_the_gap_and_in_the_benchmark() {
    for protocol in [WITH_GAP, Protocol::Benchmark(BenchmarkSplit::Ratio)] {
        let splits = split(&spec(24, 12, 4, protocol), &[700, 533]);
        let rows = |windows: &[WindowIndex]| -> Vec<(u32, u32)> {
            windows.iter().flat_map(|w| (w.t..w.t + 12).map(|row| (w.series, row))).collect()
        };
        let [train, validation, test] =
            [&splits.train, &splits.validation, &splits.test].map(|windows| rows(windows));
        assert!(!train.iter().any(|row| validation.contains(row) || test.contains(row)));
        assert!(!validation.iter().any(|row| test.contains(row)));
    }
}

#[test]
fn fewer_windows_are_evenly_spaced() {
    let all = spec(12, 6, 3, WITH_GAP);
    let every = split(&all, &[400, 300]);
    for m in [1, 2, 7, 20, 1000] {
        let some = split(&WindowSpec { max_windows: most(m), ..all }, &[400, 300]);
        let parts = [
            (&some.train, &every.train),
            (&some.validation, &every.validation),
            (&some.test, &every.test),
        ];
        for (some, every) in parts {
            let mut expected = Vec::new();
            for series in 0..2 {
                let every: Vec<_> = every.iter().filter(|w| w.series == series).collect();
                let (n, m) = (every.len(), m.min(every.len()));
                expected.extend((0..m).map(|i| *every[(2 * i + 1) * n / (2 * m)]));
            }
            assert_eq!(some, &expected, "at most {m}");
        }
    }
    // Each split has its own limit.
    let limits = MaxWindows { train: Some(9), validation: None, test: Some(5) };
    let some = split(&WindowSpec { max_windows: limits, ..all }, &[400, 300]);
    assert_eq!((some.train.len(), some.test.len()), (2 * 9, 2 * 5));
    assert_eq!(some.validation, every.validation);
}

#[test]
fn a_short_series_is_named_with_the_length_it_needs() {
    let protocols =
        [WITH_GAP, WITHOUT_GAP, Protocol::REFERENCE, Protocol::Benchmark(BenchmarkSplit::Ratio)];
    for protocol in protocols {
        for extra_lag in [false, true] {
            let spec = WindowSpec { extra_lag, ..spec(12, 6, 3, protocol) };
            let error = spec.split(&names(1), &[11]).unwrap_err().to_string();
            let start = "series `s0` has 11 rows, ";
            assert!(error.starts_with(start), "{error}");
            let needed: usize =
                error[start.len()..].split(' ').next().unwrap().parse().expect("a number of rows");
            assert!(spec.split(&names(1), &[needed]).is_ok(), "{needed} rows: {spec}");
            for length in 11..needed {
                assert!(spec.split(&names(1), &[length]).is_err(), "{length} rows: {spec}");
            }
        }
    }
    let hourly = spec(96, 24, 4, Protocol::Benchmark(BenchmarkSplit::EttHour));
    let error = hourly.split(&names(1), &[14399]).unwrap_err().to_string();
    assert!(error.starts_with("series `s0` has 14399 rows, 14400 are needed: "), "{error}");
    assert!(hourly.split(&names(1), &[14400]).is_ok());
}

#[test]
fn short_series_are_refused_or_skipped_as_chosen() {
    let strict = spec(12, 6, 3, WITHOUT_GAP);
    let error = strict.split(&names(3), &[200, 20, 300]).unwrap_err().to_string();
    assert!(error.starts_with("series `s1` has 20 rows, "), "{error}");
    let lenient = WindowSpec { skip_short: true, ..strict };
    let splits = split(&lenient, &[200, 20, 300]);
    assert_eq!(splits.skipped().collect::<Vec<_>>(), [1]);
    assert!(splits.train.iter().all(|window| window.series != 1));
    assert!(splits.test.iter().any(|window| window.series == 2));
    // If all series are too short, the error names the longest one.
    let error = lenient.split(&names(3), &[5, 20, 10]).unwrap_err().to_string();
    assert!(error.starts_with("series `s1` has 20 rows, "), "{error}");
}

#[test]
fn impossible_settings_are_refused() {
    let good = spec(12, 6, 3, WITH_GAP);
    let reference = |train, validation| Protocol::Reference { train, validation };
    let ett = |horizon| spec(96, horizon, 4, Protocol::Benchmark(BenchmarkSplit::EttHour));
    let cases = [
        (WindowSpec { input_len: 0, ..good }, "input length 0 and horizon 6 must be at least 1"),
        (WindowSpec { horizon: 0, ..good }, "input length 12 and horizon 0 must be at least 1"),
        (WindowSpec { input_len: usize::MAX, ..good }, "input 18446744073709551615, horizon 6"),
        (WindowSpec { stride: usize::MAX, ..good }, "input 12, horizon 6, stride 184467440737"),
        (WindowSpec { max_windows: most(0), ..good }, "at most 0 windows of each series"),
        (WindowSpec { protocol: reference(0.9, 0.2), ..good }, "shares of 0.9 training and 0.2"),
        (WindowSpec { protocol: reference(f64::NAN, 0.1), ..good }, "shares of NaN training and"),
        (ett(2881), "input 96, horizon 2881, stride 4, benchmark split EttHour: this leaves"),
    ];
    for (spec, expected) in cases {
        let error = spec.split(&names(1), &[14000]).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}\n   not {expected}");
    }
    assert!(good.split(&names(2), &[100]).is_err());
    assert!(good.split(&[], &[]).is_err());
}
