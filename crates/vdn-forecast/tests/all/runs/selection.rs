//! The selection of the kept epoch.

use super::control::SMALL;
use super::support::{Failure, Run, train};
use vdn_forecast::config::RunConfig;
use vdn_forecast::evaluate::{evaluate, forecast};
use vdn_forecast::forecaster::Dependence;
use vdn_model::controllers::StackControl;
use vdn_model::units::Intervention;
use vdn_train::config::Selection;
use vdn_train::train::{Candidate, SelectionRule};

fn config(text: &str) -> Result<RunConfig, Failure> {
    super::support::config(SMALL, text)
}

fn refusal(text: &str) -> String {
    super::support::refusal(SMALL, text)
}

/// The best epoch by CRPS has the smallest mean mixture CRPS on the validation windows among all
/// epochs.
#[test]
fn selection_by_crps_keeps_the_epoch_of_the_least_crps() -> Result<(), Failure> {
    let crps = |text: &str| -> Result<(usize, f64), Failure> {
        let mut config = config("")?;
        config.train.selection = vdn_forecast::config::RunConfig::from_toml(text)?.train.selection;
        config.train.learning_rate = 5.0;
        config.schedule.warmup_steps = 1000;
        let run = train(config, None)?;
        let Run { config, data, trained, .. } = &run;
        // The history contains the selection score: the kept epoch is the first with the smallest
        // value.
        let chosen_by = |epoch: &vdn_train::train::Epoch| epoch.selection;
        let least = trained.history.iter().map(chosen_by).fold(f64::INFINITY, f64::min);
        let first = trained.history.iter().position(|epoch| epoch.selection == least);
        assert_eq!(first, Some(trained.best_epoch - 1));
        let windows = &data.splits().validation;
        let scores = run.scores();
        let crps = scores.mean_crps(windows)?;
        // Two of the other selection scores are columns of their own.
        let by_hand = |e: &vdn_train::train::Epoch| match config.train.selection {
            Selection::Nll => Some(e.validation_nll),
            Selection::Mse => e.validation_mse,
            _ => Some(e.selection),
        };
        for epoch in &trained.history {
            let want = by_hand(epoch).ok_or("no squared error")?;
            let near = (epoch.selection - want).abs() < 1e-9 * want.abs();
            assert!(near, "{text}: {} instead of {want}", epoch.selection);
        }
        if text.contains("crps") {
            assert_eq!(least, crps);
            // Computed alone, it equals its value among all metrics.
            let (summary, _) = evaluate(&scores, windows, Intervention::None)?;
            assert!((summary.crps.mean - crps).abs() < 1e-12 * crps);
        }
        Ok((trained.best_epoch, crps))
    };
    let (_, best) = crps("[train]\nselection = \"crps\"\n")?;
    for other in ["nll", "mse", "elbo"] {
        let (epoch, value) = crps(&format!("[train]\nselection = \"{other}\"\n"))?;
        assert!(best <= value, "{other} keeps epoch {epoch} with {value}, less than {best}");
    }
    Ok(())
}

/// The bound is the mean over samples of a window's log-likelihood, minus the KL of all units. It
/// is not the score of the mixture.
#[test]
fn selection_by_elbo_is_the_evidence_lower_bound_in_nats_per_window() -> Result<(), Failure> {
    let mut gated = config("selection = \"elbo\"\n")?;
    (gated.model.dependence, gated.model.beta) = (Dependence::Sampled, 1e-4);
    gated.train.ema_decay = 0.0;
    let run = train(gated, None)?;
    let Run { config, data, trained, .. } = &run;
    let windows = &data.splits().validation;
    let horizon = config.data.horizon;
    let mut targets = vec![0.0; windows.len() * horizon];
    data.fill_targets(windows, &mut targets, |x| x)?;
    let predictions = forecast(&run.scores(), windows)?;
    assert_eq!(predictions.len(), 1, "one batch");
    let found = &predictions[0];
    let [samples, batch, _] = found.shape;
    let mut sum = 0.0;
    for (i, target) in targets.iter().enumerate() {
        let sigma = found.sigma[i];
        for s in 0..samples {
            let standard = (target - found.means[s * batch * horizon + i]) / sigma;
            sum -= 0.5 * standard.powi(2) + sigma.ln() + 0.5 * std::f64::consts::TAU.ln();
        }
    }
    let likelihood = sum / (samples * batch) as f64;
    let seen = run.scores().validate(windows, &StackControl::default())?;
    let want = seen.kl() - likelihood;
    let kept = trained.history[trained.best_epoch - 1].selection;
    assert!((kept - want).abs() < 1e-9 * want.abs(), "{kept} {want}");
    // By Jensen's inequality, it is above the score of the mixture with the same KL.
    let mixture = seen.score * horizon as f64 + seen.kl();
    assert!(kept > mixture + 1e-3, "{kept} {mixture}");
    Ok(())
}

/// A gate that no epoch passes excludes all epochs from `gate_epoch` on, so an earlier epoch is
/// kept. The configuration contains the setting.
#[test]
fn a_strict_gate_changes_which_epoch_is_kept() -> Result<(), Failure> {
    let small = "selection = \"score\"\npatience = 0\n[control]\nmode = \"homeo\"\n[selection]\n";
    let kept = |rule: &str| -> Result<(usize, Vec<f64>), Failure> {
        let config = config(&format!("{small}{rule}"))?;
        assert!(config.to_toml()?.contains(rule), "{}", config.to_toml()?);
        let trained = train(config, None)?.trained;
        Ok((trained.best_epoch, trained.history.iter().map(|epoch| epoch.selection).collect()))
    };
    let (open, scores) = kept("gate_epoch = 100\nhigh_max = 0.0\ninside_min = 1.0\n")?;
    let (strict, paid) = kept("gate_epoch = 3\nhigh_max = 0.0\ninside_min = 1.0\n")?;
    assert!(open > 2, "the score falls: {scores:?}");
    assert_eq!(strict, 2);
    for (epoch, (score, paid)) in (1..).zip(scores.iter().zip(&paid)) {
        let fine = if epoch < 3 { 0.0 } else { 1e6 };
        assert!((paid - score - fine).abs() < 1e-6, "epoch {epoch}: {score} {paid}");
    }
    let cap = "gate_epoch = 100\nhigh_max = 0.0\ninside_min = 1.0\nlow_max = 0.48\ninside_target = 0.58\nband_cap = 1.5\n\
               low_target = 0.2\nhigh_target = 0.1\ninvalid = 1000000.0\nkl_cap = 0.001\n";
    let (_, capped) = kept(cap)?;
    assert!(capped.iter().zip(&scores).all(|(capped, score)| capped > score), "{capped:?}");
    Ok(())
}

#[test]
fn thresholds_outside_of_their_domain_are_refused_by_name() {
    for (setting, reason) in [
        ("high_max = -0.1", "selection.high_max = -0.1: has to be in [0, 1]"),
        ("inside_min = nan", "selection.inside_min = nan: has to be a number"),
        ("low_max = 1.5", "selection.low_max = 1.5: has to be in [0, 1]"),
        ("inside_target = 2.0", "selection.inside_target = 2: has to be in [0, 1]"),
        ("low_target = -1.0", "selection.low_target = -1: has to be in [0, 1]"),
        ("high_target = inf", "selection.high_target = inf: has to be in [0, 1]"),
        ("band_cap = -1.0", "selection.band_cap = -1: has to be at least 0 and finite"),
        ("invalid = inf", "selection.invalid = inf: has to be at least 0 and finite"),
        ("kl_cap = 0.0", "selection.kl_cap = 0: has to be above 0 and finite"),
        ("gate_epoch = -1", "selection.gate_epoch = -1: has to be"),
        ("gate = 3", "selection.gate: no such key"),
    ] {
        let found = refusal(&format!("[selection]\n{setting}\n"));
        assert!(found.contains(reason), "{setting}: {found}");
    }
}

/// The score of the kept epoch depends on its weights and bands. Here it is computed from both.
#[test]
fn selection_by_score_looks_at_the_bands() -> Result<(), Failure> {
    let mut config = config("selection = \"score\"\n[control]\nmode = \"homeo\"\n")?;
    config.schedule.warmup_steps = 0;
    let run = train(config, None)?;
    let Run { config, data, model, trained, .. } = &run;
    let seen = run.scores().validate(&data.splits().validation, &StackControl::default())?;
    let mut control = config.control.build(&model.config().controlled_layers(), false)?;
    control.restore(trained.control.as_ref().ok_or("no state")?)?;
    let objective = &control.layer(0).ok_or("no control")?.levers().objective;
    let band = objective.band.as_ref().ok_or("no bands")?;
    let energy = seen.layers[0].statistics.energy();
    let outside = |is: &dyn Fn(usize) -> bool| {
        Some((0..energy.len()).filter(|&i| is(i)).count() as f64 / energy.len() as f64)
    };
    let candidate = Candidate {
        epoch: Some(trained.best_epoch as u64),
        nll: Some(seen.score),
        low: outside(&|i| energy[i] < band.bounds.lo[i]),
        high: outside(&|i| energy[i] > band.bounds.hi[i]),
        band: Some(band.hinge.value(&energy, &band.bounds)),
        ..Candidate::default()
    };
    let want = SelectionRule::default().score(&candidate);
    let kept = trained.history[trained.best_epoch - 1].selection;
    println!("{kept} {want}, the score alone {}", seen.score);
    assert!((kept - want).abs() < 1e-9 * want.abs(), "{kept} {want}");
    assert!((kept - seen.score).abs() > 1e-6, "the bands cost nothing: {kept}");
    Ok(())
}

#[test]
fn of_equal_epochs_the_first_is_kept() -> Result<(), Failure> {
    // Steps too small to change any number.
    let trained = train(config("learning_rate = 1e-30\n")?, None)?.trained;
    let scores: Vec<f64> = trained.history.iter().map(|epoch| epoch.selection).collect();
    assert!(scores.len() > 1 && scores.iter().all(|&score| score == scores[0]), "{scores:?}");
    assert_eq!(trained.best_epoch, 1);
    let best = trained.history.iter().map(|epoch| epoch.best);
    assert_eq!(
        best.collect::<Vec<_>>(),
        scores.iter().enumerate().map(|(i, _)| i == 0).collect::<Vec<_>>()
    );
    Ok(())
}
