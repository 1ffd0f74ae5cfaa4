//! Scaling of windows, and the batches that contain them.

use super::windows::{WITH_GAP, names, possible, spec, starts};
use vdn_forecast::data::{Dataset, WindowIndex, WindowSpec};
use vdn_train::data::{FitScope, Table};

fn wave(rows: usize, phase: f64) -> Vec<f64> {
    (0..rows).map(|row| (0.3 * row as f64 + phase).sin() * 4.0 + 0.01 * row as f64).collect()
}

#[test]
fn scaling_uses_the_rows_before_the_first_validation_target() {
    let spec = spec(12, 6, 3, WITH_GAP);
    let columns = vec![wave(200, 0.0), wave(260, 1.0)];
    for (scope, tenths) in [(FitScope::Training, 7), (FitScope::IncludeValidation, 8)] {
        let data = Dataset::new(names(2), columns.clone(), spec, scope).unwrap();
        for (series, column) in columns.iter().enumerate() {
            let all = possible(&spec, column.len());
            let rows = &column[..all[all.len() * tenths / 10]];
            let mean = rows.iter().sum::<f64>() / rows.len() as f64;
            let variance = rows.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / rows.len() as f64;
            // Naive sums of 200 terms below 10 are accurate to 200 ε * 10 < 1e-12.
            assert!((data.scaler().mean()[series] - mean).abs() < 1e-12);
            assert!((data.scaler().std()[series] - variance.sqrt()).abs() < 1e-12);
            for (row, &x) in column.iter().enumerate() {
                let z = data.columns()[series][row];
                assert_eq!(z, data.scaler().transform(series, x));
            }
        }
    }
    // Later rows do not matter.
    let before = Dataset::new(names(2), columns.clone(), spec, FitScope::Training).unwrap();
    let first = before.splits().ranges[0].clone().unwrap().first_validation_target;
    let mut changed = columns;
    changed[0][first..].fill(1e6);
    let after = Dataset::new(names(2), changed.clone(), spec, FitScope::Training).unwrap();
    assert_eq!(after.scaler(), before.scaler());
    changed[0][first - 1] += 1.0;
    let after = Dataset::new(names(2), changed, spec, FitScope::Training).unwrap();
    assert_ne!(after.scaler(), before.scaler());
}

#[test]
fn batches_hold_the_rows_that_the_windows_name() {
    let (input_len, horizon, stride) = (12, 6, 3);
    let spec = WindowSpec { extra_lag: true, ..spec(input_len, horizon, stride, WITH_GAP) };
    let columns = vec![wave(200, 0.0), wave(260, 1.0)];
    let data = Dataset::new(names(2), columns, spec, FitScope::Training).unwrap();
    let splits = data.splits();
    let batch = [splits.train[0], *splits.test.last().unwrap(), splits.validation[1]];
    let mut current = vec![f32::NAN; 3 * input_len];
    let mut previous = current.clone();
    let mut earlier = current.clone();
    let mut target = vec![f32::NAN; 3 * horizon];
    let convert = |x: f64| x as f32;
    data.fill_batch(&batch, &mut current, &mut previous, &mut target, convert).unwrap();
    data.fill_inputs(&batch, 2, &mut earlier, convert).unwrap();
    for (i, window) in batch.iter().enumerate() {
        let (column, t) = (&data.columns()[window.series as usize], window.t as usize);
        for (lag, inputs) in [&current, &previous, &earlier].into_iter().enumerate() {
            for j in 0..input_len {
                let row = t - input_len - lag * stride + j;
                assert_eq!(inputs[i * input_len + j], column[row] as f32, "lag {lag}");
            }
        }
        for j in 0..horizon {
            assert_eq!(target[i * horizon + j], column[t + j] as f32);
        }
    }
    // In f64 nothing is rounded.
    let mut exact = vec![0.0; horizon];
    data.fill_targets(&batch[..1], &mut exact, |x| x).unwrap();
    assert_eq!(exact, data.columns()[0][batch[0].t as usize..][..horizon]);

    // The forecast of the future: inputs only.
    let latest: Vec<WindowIndex> = data.latest_windows().collect();
    assert_eq!(starts(&latest), [200, 260]);
    let mut inputs = vec![0.0; 2 * input_len];
    data.fill_inputs(&latest, 0, &mut inputs, |x| x).unwrap();
    assert_eq!(inputs[input_len..], data.columns()[1][260 - input_len..]);
    assert!(data.fill_targets(&latest, &mut vec![0.0; 2 * horizon], |x| x).is_err());
}

#[test]
fn a_forecast_uses_the_scaler_and_the_order_of_the_training() {
    let spec = spec(12, 6, 3, WITH_GAP);
    let trained =
        Dataset::new(names(2), vec![wave(200, 0.0), wave(200, 1.0)], spec, FitScope::Training)
            .unwrap();
    // Other columns, in another order, with 15 rows: exactly one window.
    let table = |rows: usize| {
        let names = ["other", "s1", "s0"].map(str::to_owned).to_vec();
        Table::new(names, vec![wave(rows, 9.0), wave(rows, 5.0), wave(rows, 4.0)]).unwrap()
    };
    let forecast = |rows, spec, names: Vec<String>| {
        Dataset::for_forecast(table(rows), spec, names, trained.scaler().clone())
    };
    let data = forecast(15, spec, names(2)).unwrap();
    assert_eq!(starts(&data.latest_windows().collect::<Vec<_>>()), [15, 15]);
    for (series, phase) in [(0, 4.0), (1, 5.0)] {
        for (row, x) in wave(15, phase).into_iter().enumerate() {
            assert_eq!(data.columns()[series][row], trained.scaler().transform(series, x));
        }
    }
    let strangers = ["s0", "s9"].map(str::to_owned).to_vec();
    let no_input = WindowSpec { input_len: 0, ..spec };
    let cases = [
        (forecast(14, spec, names(2)), "series `s0`: 14 rows, a forecast needs 15"),
        (forecast(15, spec, strangers), "series `s9`: the data have no series of this name"),
        (forecast(15, spec, names(1)), "forecast: 1 series, a scaler of 2"),
        (forecast(15, no_input, names(2)), "input length 0 and horizon 6 must be at least 1"),
    ];
    for (found, expected) in cases {
        assert_eq!(found.expect_err(expected).to_string(), expected);
    }
}

#[test]
fn wrong_buffers_and_windows_are_errors() {
    let spec = spec(12, 6, 3, WITH_GAP);
    let data = Dataset::new(names(1), vec![wave(200, 0.0)], spec, FitScope::Training).unwrap();
    let at = |series, t| [WindowIndex { series, t }];
    let inputs = |windows: &[WindowIndex], lag, size: usize| {
        data.fill_inputs(windows, lag, &mut vec![0.0; size], |x| x).map_err(|e| e.to_string())
    };
    assert_eq!(inputs(&at(0, 15), 1, 12), Ok(()));
    let cases = [
        (inputs(&at(0, 15), 0, 11), "fill_inputs: the buffer has 11 elements, [1, 12] needs"),
        (inputs(&at(0, 14), 1, 12), "fill_inputs: the 12 rows of the window at 14 reach out of"),
        (inputs(&at(0, 201), 0, 12), "fill_inputs: the 12 rows of the window at 201 reach out"),
        (inputs(&at(0, 15), usize::MAX, 12), "fill_inputs: the 12 rows of the window at 15 reach"),
        (inputs(&at(1, 15), 0, 12), "fill_inputs: there is no series 1, only 1"),
    ];
    for (found, expected) in cases {
        let error = found.expect_err(expected);
        assert!(error.starts_with(expected), "{error}\n   not {expected}");
    }
    let mut column = wave(200, 0.0);
    column[150] = f64::INFINITY;
    let error = Dataset::new(names(1), vec![column], spec, FitScope::Training).unwrap_err();
    assert_eq!(error.to_string(), "series `s0`: the value of row 150 (from 0) is inf");
}
