//! The moving average of the weights.

use super::control::SMALL;
use super::support::{Failure, Run, refusal, train};
use vdn_forecast::evaluate::evaluate;
use vdn_forecast::report::report_run;
use vdn_forecast::run::{RunDirectory, train_run};
use vdn_model::core::Parameters;
use vdn_model::units::Intervention;
use vdn_train::config::Selection;
use vdn_train::optim::WeightAverage;
use vdn_train::run::{RunFiles, load_weights};

/// A run of this number of steps, each over all windows, that keeps the last weights.
fn steps(epochs: usize, decay: f64) -> Result<Run, Failure> {
    steps_into(epochs, decay, None)
}

fn steps_into(epochs: usize, decay: f64, files: Option<RunFiles>) -> Result<Run, Failure> {
    let mut config = super::support::config(SMALL, "")?;
    config.train.epochs = epochs;
    config.train.batch = 1 << 12;
    config.train.selection = Selection::Last;
    config.train.ema_decay = decay;
    train(config, files)
}

/// Half a unit in the last place of numbers from 1 to 2.
const UNIT: f64 = f32::EPSILON as f64 / 2.0;

fn numbers(parameters: &Parameters<f32>) -> impl Iterator<Item = f32> {
    parameters.iter().flat_map(|parameter| parameter.tensor().data().to_vec())
}

/// The kept weights are the average, by its formula, of the weights after every step. Training does
/// not use the average.
#[test]
fn what_is_kept_is_the_average_and_training_does_not_see_it() -> Result<(), Failure> {
    const DECAY: f64 = 0.6;
    let raw = (1..=5).map(|n| steps(n, 0.0)).collect::<Result<Vec<_>, _>>()?;
    assert_eq!(raw[4].trained.history.len(), 5);
    let averaged = steps(5, DECAY)?;
    for (a, b) in averaged.trained.history.iter().zip(&raw[4].trained.history) {
        assert_eq!((a.loss, a.kl, a.gradient_norm), (b.loss, b.kl, b.gradient_norm));
    }
    let mut expected: Vec<f64> = numbers(&raw[0].parameters).map(f64::from).collect();
    let mut largest = 0.0_f64;
    for (step, run) in (2..).zip(&raw[1..]) {
        let t = f64::from(step);
        let d = f64::min(DECAY, (1.0 + t) / (4.0 + t));
        for (a, w) in expected.iter_mut().zip(numbers(&run.parameters)) {
            largest = largest.max((*a - f64::from(w)).abs());
            *a = d * *a + (1.0 - d) * f64::from(w);
        }
    }
    // From the fourth step on, the configured decay is the smaller one, so both terms of the
    // minimum have been used.
    assert!(DECAY > 4.0 / 7.0 && DECAY < 5.0 / 8.0 && largest > 1e-4);
    for (found, want) in numbers(&averaged.parameters).zip(expected) {
        // Let D be the largest |a - w|. An update has the error u (3 d D + |a|), from the decay,
        // the difference, the product and the sum. The factors of later updates add up to 1 + 0.6 +
        // 0.36 + 0.21 = 2.17. The total is u (4.7 D + 2.2 |a|).
        assert!(
            (f64::from(found) - want).abs() <= UNIT * (4.7 * largest + 2.2 * want.abs()),
            "{found} {want}"
        );
    }
    Ok(())
}

/// Validation uses the kept weights, in memory and on disk. The last score of the history is the
/// score of these weights.
#[test]
fn what_is_validated_and_written_is_the_average() -> Result<(), Failure> {
    let directory = tempfile::tempdir()?;
    let files = RunFiles::open(directory.path())?;
    let weights = files.weights();
    let run = steps_into(3, 0.9, Some(files))?;
    let mut written = steps(1, 0.0)?.parameters;
    load_weights(&mut written, &weights)?;
    assert!(numbers(&written).eq(numbers(&run.parameters)));
    let windows = &run.data.splits().validation;
    let (summary, _) = evaluate(&run.scores(), windows, Intervention::None)?;
    let mse = |run: &Run| run.trained.history[2].validation_mse.ok_or("no squared error");
    let (raw, found) = (mse(&steps(3, 0.0)?)?, mse(&run)?);
    // The same sums in another order, in single precision. The last raw weights have other sums.
    let near = |mse: f64| (summary.mse.mean - mse).abs() < 1e-6 * mse;
    assert!(near(found) && !near(raw), "{} {found} {raw}", summary.mse.mean);
    Ok(())
}

/// The average is over steps, not epochs: after two steps of one epoch it lies between their
/// weights, at the fraction `d` of the way back.
#[test]
fn the_average_is_over_steps() -> Result<(), Failure> {
    let run = |decay: f64| -> Result<Vec<f32>, Failure> {
        let mut config = super::support::config(SMALL, "")?;
        config.train.epochs = 1;
        config.train.batch = 128;
        config.train.ema_decay = decay;
        let run = train(config, None)?;
        assert_eq!(run.trained.history[0].step, 2);
        Ok(numbers(&run.parameters).collect())
    };
    let (last, quarter, half) = (run(0.0)?, run(0.25)?, run(0.5)?);
    let mut moved = 0;
    for ((w, a), b) in last.iter().zip(quarter).zip(half) {
        let [a, b] = [a, b].map(|x| f64::from(x) - f64::from(*w));
        assert!((2.0 * a - b).abs() <= 6.0 * UNIT * (f64::from(*w).abs() + b.abs()), "{w} {a} {b}");
        moved += usize::from(b != 0.0);
    }
    assert!(moved > last.len() / 2, "{moved} of {}", last.len());
    Ok(())
}

/// The best epoch is chosen by the average's score, and its average is kept, although later epochs
/// diverge.
#[test]
fn the_best_average_is_kept() -> Result<(), Failure> {
    let mut config = super::support::config(SMALL, "")?;
    config.train.learning_rate = 5.0;
    config.schedule.warmup_steps = 1000;
    config.train.epochs = 8;
    config.train.ema_decay = 0.9;
    let run = train(config, None)?;
    let (trained, best) = (&run.trained, run.trained.best_epoch);
    assert!(best < trained.history.len(), "the best epoch is the last one");
    let windows = &run.data.splits().validation;
    let crps = run.scores().mean_crps(windows)?;
    assert_eq!(crps, trained.history[best - 1].selection);
    Ok(())
}

/// A controller that rescales the rows of a mean head also rescales the average. If nothing else
/// changes, average and weights are equal.
#[test]
fn the_average_follows_what_controllers_rescale() -> Result<(), Failure> {
    let run = |decay: f64, mode: &str| -> Result<Vec<f32>, Failure> {
        let mut config = super::support::config(SMALL, &format!("[control]\nmode = \"{mode}\"\n"))?;
        config.train.learning_rate = 1e-30;
        config.train.selection = Selection::Last;
        config.train.ema_decay = decay;
        Ok(numbers(&train(config, None)?.parameters).collect())
    };
    let free = run(0.0, "none")?;
    for mode in ["proj_on", "homeo"] {
        let (weights, averages) = (run(0.0, mode)?, run(0.9, mode)?);
        let far = |other: &[f32]| {
            let apart = |(a, b): (&f32, &f32)| (a - b).abs() > 1e-4 * b.abs() + 1e-20;
            weights.iter().zip(other).filter(|&pair| apart(pair)).count()
        };
        assert!(far(&free) >= 16, "{mode}: {} numbers are rescaled", far(&free));
        assert_eq!(far(&averages), 0, "{mode}");
    }
    Ok(())
}

/// The table and the page of a run say that weights are averaged, and omit it for runs without
/// averaging.
#[test]
fn a_run_says_that_weights_are_averaged() -> Result<(), Failure> {
    let mut config = super::support::config(SMALL, "")?;
    (config.train.epochs, config.diagnostics.windows) = (1, 0);
    let mut said = |decay: f64| -> Result<[bool; 2], Failure> {
        let directory = tempfile::tempdir()?;
        let out = directory.path().join("run");
        config.train.ema_decay = decay;
        let table = train_run(&config, Some(&out), |_, _| {})?.to_string();
        let page = report_run(&RunDirectory::open(&out)?)?;
        Ok([
            table.contains("weights   moving average, decay 0.9"),
            page.contains("moving average (decay 0.9)"),
        ])
    };
    assert_eq!([said(0.9)?, said(0.0)?], [[true; 2], [false; 2]]);
    Ok(())
}

/// The average of constant weights equals them.
#[test]
fn the_average_of_what_stays_is_what_stays() -> Result<(), Failure> {
    let parameters = steps(1, 0.0)?.parameters;
    let mut average = WeightAverage::new(0.95)?;
    (0..1000).for_each(|_| average.follow(&parameters));
    assert!(numbers(average.parameters().unwrap()).eq(numbers(&parameters)));
    let mut none = WeightAverage::new(0.0)?;
    none.follow(&parameters);
    assert!(none.parameters().is_none());
    Ok(())
}

#[test]
fn decays_outside_of_their_domain_are_refused() {
    let domain = "has to be in [0, 1)";
    for (text, value, domain) in
        [("1.0", "1", domain), ("-0.1", "-0.1", domain), ("nan", "nan", "has to be a number")]
    {
        let found = refusal("", &format!("[train]\nema_decay = {text}\n"));
        let wanted = format!("train.ema_decay = {value}: {domain}");
        assert!(found.contains(&wanted), "{found}");
    }
}
