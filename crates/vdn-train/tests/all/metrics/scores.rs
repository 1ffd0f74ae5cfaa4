//! The accumulated scores: calibration of simulated forecasts, agreement with the single metrics,
//! block errors.

use vdn_train::metrics::block::block_estimate;
use vdn_train::metrics::{
    BlockSums, MetricError, Mixture, PointForecast, Predictions, ScoreSettings, Scores, StepScore,
    WindowPrediction, gaussian_crps, mixture_crps, normal, overlap_block, pinball_loss,
    step_scores,
};

use super::lcg::Lcg;

/// `n` windows of a calibrated mixture forecast: the target is drawn from the predicted mixture,
/// whose means vary.
fn simulate(n: usize, horizon: usize, inflate: f64) -> Scores {
    let mut lcg = Lcg(2024);
    let mut scores = Scores::new(ScoreSettings::default(), 1).unwrap();
    for _ in 0..n {
        let means: Vec<f64> = (0..3 * horizon).map(|_| 2.0 * lcg.normal()).collect();
        let sigma: Vec<f64> = (0..horizon).map(|_| 0.5 + lcg.uniform()).collect();
        let weights = [0.2, 0.3, 0.5];
        let target: Vec<f64> = (0..horizon)
            .map(|h| {
                let u = lcg.uniform();
                let s = usize::from(u > 0.2) + usize::from(u > 0.5);
                means[s * horizon + h] + sigma[h] * lcg.normal()
            })
            .collect();
        let sigma: Vec<f64> = sigma.iter().map(|s| s * inflate).collect();
        let prediction = WindowPrediction::new(&means, &sigma, Some(&weights), horizon).unwrap();
        scores.push(&prediction, &target).unwrap();
    }
    scores
}

#[test]
fn a_calibrated_forecast_is_found_calibrated_and_a_wide_one_is_not() {
    let n = 3000;
    let summary = simulate(n, 4, 1.0).summary().unwrap();
    for interval in &summary.intervals {
        // Four times the binomial deviation over 12 000 independent targets.
        let slack = 4.0 * (interval.level * (1.0 - interval.level) / 12_000.0).sqrt();
        let coverage = interval.coverage.mean;
        assert!((coverage - interval.level).abs() < slack, "{}: {coverage}", interval.level);
    }
    for frequency in summary.pit.frequencies().unwrap() {
        // 20 bins; four deviations of a share of 0.05.
        assert!((frequency - 0.05).abs() < 4.0 * (0.05f64 * 0.95 / 12_000.0).sqrt(), "{frequency}");
    }
    assert!(summary.calibration_error < 0.01, "{}", summary.calibration_error);
    // For a calibrated forecast the expected squared error is the predictive variance.
    let gap = (summary.mse.mean - summary.variance.mean).abs();
    assert!(gap < 4.0 * summary.mse.standard_error.unwrap(), "{gap}");
    let wide = simulate(n, 4, 3.0).summary().unwrap();
    assert!(wide.calibration_error > 0.05, "{}", wide.calibration_error);
    assert!(
        wide.crps.mean > summary.crps.mean && wide.nll_marginal.mean > summary.nll_marginal.mean
    );
}

#[test]
fn scores_are_the_means_of_the_single_metrics() {
    let mut lcg = Lcg(5);
    let (samples, batch, horizon) = (3, 4, 2);
    let means: Vec<f64> = (0..samples * batch * horizon).map(|_| lcg.normal()).collect();
    let sigma: Vec<f64> = (0..batch * horizon).map(|_| 0.3 + lcg.uniform()).collect();
    let y: Vec<f64> = (0..batch * horizon).map(|_| lcg.normal()).collect();
    let shape = [samples, batch, horizon];
    let predictions = Predictions::new(&means, shape, &sigma, &[batch, horizon], None).unwrap();
    let settings = ScoreSettings { point: PointForecast::Median, ..ScoreSettings::default() };
    let mut scores = Scores::new(settings, 1).unwrap();
    let mut want = [0.0; 8];
    let (mut loss, mut scale) = (0.0, 0.0);
    for (b, target) in y.chunks_exact(horizon).enumerate() {
        let window = predictions.window(b).unwrap();
        scores.push(&window, target).unwrap();
        for (h, y) in target.iter().enumerate() {
            let own: Vec<f64> =
                (0..samples).map(|s| means[(s * batch + b) * horizon + h]).collect();
            let own_sigma = [sigma[b * horizon + h]];
            let mixture = Mixture::new(&own, &own_sigma, None).unwrap();
            let quantile = |tau| mixture.quantile(tau).unwrap();
            let deviation = mixture.variance().sqrt();
            let values = [
                (mixture.median() - y).powi(2),
                (mixture.median() - y).abs(),
                -mixture.ln_pdf(*y),
                mixture_crps(&mixture, *y),
                gaussian_crps(mixture.mean(), deviation, *y),
                pinball_loss(0.1, *y, quantile(0.1)),
                pinball_loss(0.9, *y, mixture.mean() + deviation * normal::quantile(0.9)),
                quantile(0.9) - quantile(0.1),
            ];
            for (sum, value) in want.iter_mut().zip(values) {
                *sum += value / y_count(&predictions);
            }
            scale += y.abs();
            for k in 1..20 {
                let tau = f64::from(k) / 20.0;
                loss += 2.0 * pinball_loss(tau, *y, quantile(tau)) / 19.0;
            }
        }
    }
    let summary = scores.summary().unwrap();
    let got = [
        summary.mse,
        summary.mae,
        summary.nll_marginal,
        summary.crps,
        summary.gaussian_crps,
        summary.pinball[0].mixture,
        summary.pinball[2].gaussian,
        summary.intervals[1].width,
    ];
    for (k, (got, want)) in got.iter().zip(want).enumerate() {
        assert!(
            (got.mean - want).abs() < 1e-12 * (1.0 + want.abs()),
            "score {k}: {} {want}",
            got.mean
        );
    }
    assert!((summary.quantile_loss.unwrap().mean - loss / scale).abs() < 1e-12);
    assert_eq!((summary.windows, summary.horizon, summary.pit.total()), (4, 2, 8));
    let joint = [summary.nll_joint_per_window.mean, 2.0 * summary.nll_joint.mean];
    assert_eq!(joint[0], joint[1]);
}

fn y_count(predictions: &Predictions<'_>) -> f64 {
    let [_, batch, horizon] = predictions.shape();
    (batch * horizon) as f64
}

#[test]
fn bad_windows_are_named_and_leave_the_scores_as_they_were() {
    let mut scores = Scores::new(ScoreSettings::default(), 1).unwrap();
    assert!(matches!(scores.summary(), Err(MetricError::Empty { .. })));
    let good = WindowPrediction::gaussian(&[0.0, 0.0], &[1.0, 1.0]).unwrap();
    scores.push(&good, &[0.1, 0.2]).unwrap();
    let before = scores.summary().unwrap();
    let means = [0.0, f64::INFINITY];
    let bad = WindowPrediction::gaussian(&means, &[1.0, 1.0]).unwrap();
    let message = scores.push(&bad, &[0.1, 0.2]).unwrap_err().to_string();
    assert_eq!(
        message,
        "scores: window 1, step 1, sample 0: mean is inf, expected a finite number"
    );
    assert!(scores.push(&good, &[0.1]).is_err());
    assert!(scores.push(&good, &[0.1, f64::NAN]).is_err());
    let other = WindowPrediction::gaussian(&[0.0], &[1.0]).unwrap();
    assert!(scores.push(&other, &[0.1]).unwrap_err().to_string().contains("horizon 1"));
    let far = WindowPrediction::gaussian(&[1e200, 0.0], &[1e100, 1.0]).unwrap();
    assert!(scores.push(&far, &[0.0, 0.0]).unwrap_err().to_string().contains("window 1, step 0"));
    assert_eq!(scores.summary().unwrap(), before);
    for settings in [
        ScoreSettings { taus: vec![1.0], ..ScoreSettings::default() },
        ScoreSettings { intervals: vec![0.0], ..ScoreSettings::default() },
        ScoreSettings { quantile_levels: vec![f64::NAN], ..ScoreSettings::default() },
    ] {
        assert!(Scores::new(settings, 1).is_err());
    }
    assert!(Scores::new(ScoreSettings::default(), 0).is_err());
}

#[test]
fn block_errors_find_the_long_run_variance_of_an_autoregression() {
    // x_t = phi x_{t-1} + e: the variance of the mean of n values tends to s^2 / (1 - phi)^2 / n.
    let (phi, n, block) = (0.8, 200_000usize, 500);
    let mut lcg = Lcg(77);
    let mut x = lcg.normal() / (1.0f64 - phi * phi).sqrt();
    let values: Vec<f64> = (0..n)
        .map(|_| {
            x = phi * x + lcg.normal();
            x
        })
        .collect();
    let truth = 1.0 / (1.0 - phi) / (n as f64).sqrt();
    let estimate = block_estimate(&values, block).unwrap();
    let error = estimate.standard_error.unwrap();
    // The bias of the squared error is -2 phi / ((1 - phi^2) b) = -0.9 %. The noise is 1/sqrt(2 *
    // 399) = 3.5 %; four times that is allowed.
    assert!((error / truth - 1.0).abs() < 0.15, "{error} against {truth}");
    let naive = block_estimate(&values, 1).unwrap().standard_error.unwrap();
    // Without blocks the error is too small by sqrt((1 + phi) / (1 - phi)) = 3.
    assert!((naive / truth - 1.0 / 3.0).abs() < 0.02, "{naive}");
    assert!((estimate.mean - values.iter().sum::<f64>() / n as f64).abs() < 1e-12);
}

#[test]
fn blocks_respect_series_and_keep_their_remainders() {
    // Series of 5, 1 and 4 windows in blocks of 2: (0 1)(2 3 4), (5), (6 7)(8 9).
    let mut sums = BlockSums::new(2, 2).unwrap();
    let value = |i: usize| (i * i % 7) as f64;
    for i in 0..10 {
        if i == 5 || i == 6 {
            sums.start_series();
        }
        sums.push(&[value(i), 1.0 + value(i)]).unwrap();
    }
    assert_eq!((sums.windows(), sums.blocks()), (10, 5));
    let blocks: [&[usize]; 5] = [&[0, 1], &[2, 3, 4], &[5], &[6, 7], &[8, 9]];
    let mean = (0..10).map(value).sum::<f64>() / 10.0;
    let squares: f64 =
        blocks.iter().map(|b| b.iter().map(|i| value(*i) - mean).sum::<f64>().powi(2)).sum();
    let estimate = sums.estimate(0).unwrap();
    assert!((estimate.mean - mean).abs() < 1e-15);
    assert!((estimate.standard_error.unwrap() - (1.25 * squares).sqrt() / 10.0).abs() < 1e-14);
    let ratio = sums.ratio(0, 1).unwrap();
    assert!((ratio.mean - mean / (1.0 + mean)).abs() < 1e-15);
    let residual = |b: &&[usize]| {
        b.iter().map(|i| value(*i) - ratio.mean * (1.0 + value(*i))).sum::<f64>().powi(2)
    };
    let want = (1.25 * blocks.iter().map(residual).sum::<f64>()).sqrt() / (10.0 * (1.0 + mean));
    assert!((ratio.standard_error.unwrap() - want).abs() < 1e-14);
    assert_eq!(block_estimate(&[1.0, 2.0], 2).unwrap().standard_error, None);
    assert!(block_estimate(&[1.0, f64::NAN], 1).is_err() && block_estimate(&[], 1).is_err());
    assert!(BlockSums::new(0, 1).is_err() && BlockSums::new(1, 0).is_err());
    assert!(sums.push(&[1.0]).is_err() && sums.estimate(2).is_err());
    let overlaps = [(96, 1, 96), (96, 17, 6), (96, 96, 1), (96, 500, 1), (1, 0, 1)];
    for (horizon, spacing, want) in overlaps {
        assert_eq!(overlap_block(horizon, spacing), want, "{horizon} {spacing}");
    }
}

#[test]
fn scores_by_step_average_to_those_of_the_window() {
    let mut lcg = Lcg(11);
    let (samples, horizon) = (4, 3);
    for point in [PointForecast::Mean, PointForecast::Median] {
        let means: Vec<f64> = (0..samples * horizon).map(|_| lcg.normal()).collect();
        let sigma: Vec<f64> = (0..horizon).map(|_| 0.2 + lcg.uniform()).collect();
        let weights = [0.1, 0.4, 0.2, 0.3];
        let target: Vec<f64> = (0..horizon).map(|_| 2.0 * lcg.normal()).collect();
        let window = WindowPrediction::new(&means, &sigma, Some(&weights), horizon).unwrap();
        let settings = ScoreSettings { point, ..ScoreSettings::default() };
        let place = settings.intervals.iter().position(|level| *level == 0.9).unwrap();
        let whole = Scores::new(settings, 1).unwrap().scorer().window(0, &window, &target).unwrap();
        let steps = step_scores(&window, &target, point, 0.9).unwrap();
        let mean = |of: fn(&StepScore) -> f64| steps.iter().map(of).sum::<f64>() / horizon as f64;
        for (name, found, expected) in [
            ("mse", mean(|step| step.squared_error), whole.mse),
            ("mae", mean(|step| step.absolute_error), whole.mae),
            ("crps", mean(|step| step.crps), whole.crps),
            ("covered", mean(|step| step.covered), whole.covered[place]),
            ("width", mean(|step| step.width), whole.width[place]),
        ] {
            assert!((found - expected).abs() < 1e-12, "{point:?}, {name}: {found} {expected}");
        }
    }
    let window = WindowPrediction::gaussian(&[0.0, 0.0], &[1.0, 1.0]).unwrap();
    for (target, level) in [(&[1.0][..], 0.9), (&[1.0, f64::NAN], 0.9), (&[1.0, 1.0], 1.0)] {
        assert!(step_scores(&window, target, PointForecast::Mean, level).is_err(), "{target:?}");
    }
    let error = step_scores(&window, &[0.0, 1e200], PointForecast::Mean, 0.9).unwrap_err();
    assert!(error.to_string().contains("mse"), "{error}");
}
