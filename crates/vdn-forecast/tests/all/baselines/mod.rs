//! Tests of the baselines against naive oracles: normal equations solved by elimination, and data
//! with a known answer.

use vdn_forecast::baselines::{
    BaselineError, Centre, Normalisation, Ridge, RidgeMoments, RidgeSettings, SeasonalNaive,
    SeriesWindows, Windows,
};
use vdn_train::metrics::{ScoreSettings, Scores};

/// SplitMix64's output function: the index scrambled to `[-1, 1)`.
fn noise(i: usize) -> f64 {
    let mut x = (i as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((x ^ (x >> 31)) >> 11) as f64 / (1u64 << 52) as f64 - 1.0
}

/// Windows of a noisy seasonal series with a large offset, `x [n, L]` and `y [n, H]`.
fn windows(n: usize, inputs: usize, horizon: usize, from: usize) -> (Vec<f64>, Vec<f64>) {
    let value = |t: usize| {
        let t = from + t;
        50.0 + (t as f64 * 0.7).sin() + 0.3 * (t as f64 * 0.13).cos() + 0.2 * noise(t)
    };
    let x = (0..n).flat_map(|i| (0..inputs).map(move |k| value(3 * i + k))).collect();
    let y = (0..n).flat_map(|i| (0..horizon).map(move |h| value(3 * i + inputs + h))).collect();
    (x, y)
}

/// Solves `A x = b` by Gaussian elimination with partial pivoting.
fn eliminate(mut a: Vec<Vec<f64>>, mut b: Vec<f64>) -> Vec<f64> {
    let n = b.len();
    for k in 0..n {
        let pivot = (k..n).max_by(|&i, &j| a[i][k].abs().total_cmp(&a[j][k].abs())).unwrap();
        a.swap(k, pivot);
        b.swap(k, pivot);
        for i in k + 1..n {
            let factor = a[i][k] / a[k][k];
            let row = a[k].clone();
            a[i].iter_mut().zip(row).skip(k).for_each(|(v, r)| *v -= factor * r);
            b[i] -= factor * b[k];
        }
    }
    for k in (0..n).rev() {
        b[k] = (b[k] - (k + 1..n).map(|j| a[k][j] * b[j]).sum::<f64>()) / a[k][k];
    }
    b
}

/// Solves the stationarity conditions of the objective in weights and intercept together, for one
/// target column.
fn oracle(u: &[Vec<f64>], v: &[f64], lambda: f64) -> Vec<f64> {
    let (n, inputs) = (u.len() as f64, u[0].len());
    let mean: Vec<f64> = (0..inputs).map(|i| u.iter().map(|r| r[i]).sum::<f64>() / n).collect();
    let variance =
        u.iter().flat_map(|r| r.iter().zip(&mean).map(|(x, m)| (x - m).powi(2))).sum::<f64>() / n;
    let feature = |r: &Vec<f64>, i: usize| if i < inputs { r[i] } else { 1.0 };
    let mut a = vec![vec![0.0; inputs + 1]; inputs + 1];
    let mut b = vec![0.0; inputs + 1];
    for (r, v) in u.iter().zip(v) {
        for (i, row) in a.iter_mut().enumerate() {
            for (j, entry) in row.iter_mut().enumerate() {
                *entry += feature(r, i) * feature(r, j) / n;
            }
            b[i] += feature(r, i) * v / n;
        }
    }
    for (i, row) in a.iter_mut().enumerate().take(inputs) {
        row[i] += lambda * variance / inputs as f64;
    }
    eliminate(a, b)
}

#[test]
fn ridge_solves_its_normal_equations_under_every_normalisation() {
    let (n, inputs, horizon) = (90, 6, 3);
    let (x, y) = windows(n, inputs, horizon, 0);
    let train = Windows::new(&x, &y, inputs, horizon).unwrap();
    for centre in [Centre::Zero, Centre::Mean, Centre::Last] {
        for (deviation, lambda) in [(false, 0.01), (true, 0.01), (true, 10.0)] {
            let normalisation = Normalisation { centre, deviation };
            let settings = RidgeSettings { normalisation, penalties: vec![lambda] };
            let ridge = Ridge::fit(&train, &train, &settings).unwrap();
            let statistics: Vec<(f64, f64)> =
                train.iter().map(|(x, _)| normalisation.of(x)).collect();
            let scaled = |(row, (c, d)): (&[f64], &(f64, f64))| -> Vec<f64> {
                row.iter().map(|x| (x - c) / d).collect()
            };
            let u: Vec<Vec<f64>> = x.chunks_exact(inputs).zip(&statistics).map(scaled).collect();
            let v: Vec<Vec<f64>> = y.chunks_exact(horizon).zip(&statistics).map(scaled).collect();
            for h in 0..horizon {
                let column: Vec<f64> = v.iter().map(|row| row[h]).collect();
                let want = oracle(&u, &column, lambda);
                for (row, want) in ridge.weights().chunks_exact(horizon).zip(&want) {
                    // The oracle uses raw moments. With the centre 0 they are 2500 times the
                    // covariances, so it loses up to 2500 * 1e-16 * condition number (1e3).
                    let gap = (row[h] - want).abs();
                    assert!(gap < 1e-8, "{normalisation:?} {lambda}: {} {want}", row[h]);
                }
                let got = ridge.intercept()[h];
                assert!(
                    (got - want[inputs]).abs() < 1e-7 * (1.0 + got.abs()),
                    "{normalisation:?} intercept"
                );
            }
        }
    }
}

#[test]
fn portions_give_the_same_fit_and_predictions_undo_the_normalisation() {
    let (inputs, horizon) = (5, 2);
    let (x, y) = windows(150, inputs, horizon, 0);
    let (vx, vy) = windows(40, inputs, horizon, 1000);
    let train = Windows::new(&x, &y, inputs, horizon).unwrap();
    let validation = Windows::new(&vx, &vy, inputs, horizon).unwrap();
    let settings = RidgeSettings {
        normalisation: Normalisation { centre: Centre::Mean, deviation: true },
        ..RidgeSettings::default()
    };
    let whole = Ridge::fit(&train, &validation, &settings).unwrap();
    let mut moments = RidgeMoments::new(inputs, horizon, settings.normalisation).unwrap();
    for (x, y) in x.chunks(70 * inputs).zip(y.chunks(70 * horizon)) {
        moments.add(&Windows::new(x, y, inputs, horizon).unwrap()).unwrap();
    }
    let parts = moments.fit(&validation, &settings.penalties).unwrap();
    assert_eq!(whole.penalty(), parts.penalty());
    for (a, b) in whole.weights().iter().zip(parts.weights()) {
        assert!((a - b).abs() < 1e-10, "{a} {b}");
    }
    // The validation error matches the predictions, and no penalty of the grid has a smaller one.
    let forecast = whole.predict(&vx).unwrap();
    let square: f64 = forecast.mean().iter().zip(&vy).map(|(f, y)| (f - y).powi(2)).sum();
    assert!((square / vy.len() as f64 - whole.validation_mse()).abs() < 1e-12);
    for penalty in &settings.penalties {
        let single = moments.fit(&validation, &[*penalty]).unwrap();
        assert!(single.validation_mse() >= parts.validation_mse(), "{penalty}");
    }
    // The share of validation targets below the 30 % residual quantile is 30 %, up to one window.
    let quantiles = whole.residuals().quantiles(0.3).unwrap();
    for h in 0..horizon {
        let below = (0..40)
            .filter(|&i| {
                vy[i * horizon + h] < forecast.empirical_quantiles(i, &quantiles).unwrap()[h]
            })
            .count();
        assert!((11..=13).contains(&below), "step {h}: {below} of 40");
    }
    let window = forecast.window(7).unwrap();
    let scale = forecast.scale(7).unwrap();
    assert_eq!(window.sigma(0, 1), whole.residuals().sigma()[1] * scale);
    assert!(forecast.window(40).is_err() && forecast.empirical_quantiles(0, &[0.0]).is_err());
}

#[test]
fn ridge_refuses_what_it_cannot_fit() {
    let (x, y) = windows(10, 4, 2, 0);
    let train = Windows::new(&x, &y, 4, 2).unwrap();
    let one = Windows::new(&x[..4], &y[..2], 4, 2).unwrap();
    let none = Windows::new(&[], &[], 4, 2).unwrap();
    let narrow = Windows::new(&x[..30], &y, 3, 2).unwrap();
    let settings = RidgeSettings::default();
    assert!(matches!(
        Ridge::fit(&one, &train, &settings),
        Err(BaselineError::TooFew { found: 1, .. })
    ));
    assert!(matches!(
        Ridge::fit(&train, &none, &settings),
        Err(BaselineError::TooFew { found: 0, .. })
    ));
    assert!(matches!(Ridge::fit(&train, &narrow, &settings), Err(BaselineError::Shape { .. })));
    for penalties in [vec![], vec![0.0], vec![-1.0], vec![f64::NAN]] {
        let settings = RidgeSettings { penalties, ..RidgeSettings::default() };
        assert!(matches!(Ridge::fit(&train, &train, &settings), Err(BaselineError::Penalty(_))));
    }
    // Inputs minus their mean sum to zero. Without a real penalty the system is singular, which is
    // an error.
    let settings = RidgeSettings { penalties: vec![1e-300], ..RidgeSettings::default() };
    let error = Ridge::fit(&train, &train, &settings).unwrap_err();
    assert!(matches!(error, BaselineError::NotPositiveDefinite { n: 4, .. }), "{error}");
    let flat = [1.0; 40];
    let flat = Windows::new(&flat, &y, 4, 2).unwrap();
    let error = Ridge::fit(&flat, &flat, &RidgeSettings::default()).unwrap_err();
    assert!(error.to_string().contains("variance 0"), "{error}");
    let ridge = Ridge::fit(&train, &train, &RidgeSettings::default()).unwrap();
    assert!(ridge.predict(&x[..5]).is_err() && ridge.predict(&[f64::NAN; 4]).is_err());
    assert!(RidgeMoments::new(0, 1, Normalisation::default()).is_err());
}

#[test]
fn baselines_are_scored_by_the_metrics_of_models() {
    let series: Vec<f64> = (0..600).map(|t| (t % 24) as f64 * 0.1 + noise(t)).collect();
    let validation: Vec<usize> = (200..300).collect();
    let test: Vec<usize> = (300..500).collect();
    let windows = SeriesWindows { series: &series, starts: &validation };
    let naive = SeasonalNaive::fit(24, 12, &[windows]).unwrap();
    let forecast = naive.predict(&SeriesWindows { series: &series, starts: &test }).unwrap();
    let mut scores = Scores::new(ScoreSettings::default(), 12).unwrap();
    for (i, t) in test.iter().enumerate() {
        scores.push(&forecast.window(i).unwrap(), &series[*t..t + 12]).unwrap();
    }
    let summary = scores.summary().unwrap();
    // The difference of two uniform noises on [-1, 1) has variance 2/3. The error is a block error
    // of 200 overlapping windows.
    let error = (summary.mse.mean - 2.0 / 3.0).abs();
    assert!(error < 5.0 * summary.mse.standard_error.unwrap(), "{error} {:?}", summary.mse);
    assert_eq!(summary.nll_joint.mean, summary.nll_tempered.mean);
    // One Gaussian per step: the exact CRPS is the Gaussian one.
    assert!((summary.crps.mean - summary.gaussian_crps.mean).abs() < 1e-14);
}

#[test]
fn a_ridge_that_no_memory_holds_is_refused_before_anything_is_allocated() {
    use vdn_forecast::baselines::{Normalisation, RidgeMoments, ridge::MOST_NUMBERS};
    let lengths = [
        (8193, 1),
        (40_000, 96),
        (1, MOST_NUMBERS + 1),
        (usize::MAX, 1),
        (usize::MAX, usize::MAX),
        (1 << 32, 1 << 32),
    ];
    for (input_len, horizon) in lengths {
        let error = RidgeMoments::new(input_len, horizon, Normalisation::default()).unwrap_err();
        let message = error.to_string();
        assert!(matches!(error, BaselineError::TooLarge { .. }), "{message}");
        let named = message.contains(&format!("input length {input_len} and horizon {horizon}"));
        assert!(named && message.lines().count() == 1, "{message}");
    }
    assert!(RidgeMoments::new(100, 1 << 16, Normalisation::default()).is_ok());
}

#[test]
fn progress_counts_the_penalties() {
    let x: Vec<f64> = (0..40).flat_map(|i| [(i * 7 % 10) as f64, (i * 3 % 10) as f64]).collect();
    let y: Vec<f64> = x.chunks_exact(2).map(|w| w[0]).collect();
    let windows = Windows::new(&x, &y, 2, 1).unwrap();
    let mut moments = RidgeMoments::new(2, 1, Default::default()).unwrap();
    moments.add(&windows).unwrap();
    let mut told = Vec::new();
    let ridge = moments.fit_with(&windows, &[0.1, 1.0, 10.0], |done| told.push(done)).unwrap();
    assert_eq!(told, [0, 1, 2, 3]);
    assert_eq!(ridge.weights(), moments.fit(&windows, &[0.1, 1.0, 10.0]).unwrap().weights());
}
