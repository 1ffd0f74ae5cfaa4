//! Real trainings provoke each mode of collapse; its detector names it, and a remedy prevents or
//! cures it. Units that do not collapse raise no alarm.
//! `cargo test -p vdn-forecast --test all collapse -- --nocapture` prints the table of
//! `docs/experiments.md`.

mod lab;
mod sequence;

use lab::{Lab, UNITS, Windows};
use vdn_forecast::forecaster::ForecasterConfig;
use vdn_model::controllers::{
    ArShare, ArShareConfig, BetaThermostat, ConstraintConfig, EnergyBand, Goal, Hinge, HingeForm,
    LayerControl, Projection, ProjectionConfig, RateBudget, SigmaGuard, SigmaGuardConfig,
    ThermostatConfig, Timing,
};
use vdn_model::diagnostics::{CollapseMode, CollapseThresholds, Living};
use vdn_model::objective::{ArTerm, BandTerm, EarlierWindow};
use vdn_model::units::SigmaMode;

/// How often controllers act.
const EVERY: Timing = Timing { warmup: 0, every: 4 };
/// Most of the units: one in eight may be an exception.
const MOST: usize = UNITS - UNITS / 8;

/// A budget of rates in [0.08, 0.22] nats on training batches. It lies inside the budget of living
/// units, which is checked on other windows. `strength` is in nats of loss per nat.
fn rate_budget(strength: f64) -> RateBudget {
    let config = ConstraintConfig {
        goal: Goal::Interval(0.08, 0.22),
        stiffness: 0.2 * strength,
        gain: 0.1 * strength,
        limit: strength,
        ..ConstraintConfig::default()
    };
    RateBudget::new(UNITS, config).unwrap()
}

fn band(lo: f64, hi: f64) -> BandTerm {
    BandTerm {
        bounds: EnergyBand { lo: vec![lo; UNITS], hi: vec![hi; UNITS] },
        hinge: Hinge { form: HingeForm::Relative { eps: 1e-3 }, weight_low: 1.0, weight_high: 1.0 },
        weight: 10.0,
    }
}

/// No controllers.
fn alone(_: &mut LayerControl) {}

/// The rate budget of most tests, and nothing else.
fn held(control: &mut LayerControl) {
    control.add(rate_budget(0.5), EVERY).unwrap();
}

/// Prints one line of the table.
fn tell(lab: &Lab, what: &str, living: &Living) {
    let s = lab.diagnostics.summary();
    println!("{what:<58} R {:.3} D {:.3} | {living}", s.rate, s.mismatch);
}

/// Whether no unit is in any mode of collapse.
fn sound(living: &Living) -> bool {
    CollapseMode::ALL.iter().all(|&mode| living.in_mode(mode) == 0)
}

#[test]
fn healthy_runs_raise_no_alarm() {
    for (name, sigma, controlled) in [
        ("rate budget", SigmaMode::PerUnitInput, true),
        ("no controller", SigmaMode::PerUnitInput, false),
        ("one deviation per unit", SigmaMode::PerUnit, true),
    ] {
        let mut lab = Lab::new(ForecasterConfig { sigma, ..Lab::config() });
        lab.epochs(30, if controlled { &held } else { &alone });
        for epoch in &lab.history {
            assert_eq!(epoch.units.map(|units| units.collapsed), Some(0.0), "{name}: {epoch:?}");
        }
        let found = lab.unit_use();
        let living = lab.examine(Some(&lab.rate_given_past()), Some(&found));
        tell(&lab, &format!("healthy, {name}"), &living);
        assert!(sound(&living), "{name}: {living}");
        assert!(!controlled || living.living() >= MOST, "{name}: {living}");
    }
}

#[test]
fn too_large_a_beta_is_posterior_collapse_and_a_thermostat_prevents_it() {
    let mut lab = Lab::new(Lab::config());
    lab.beta = 100.0;
    let living = lab.epochs(15, &alone);
    tell(&lab, "posterior_collapse: beta 100", &living);
    assert_eq!(living.in_mode(CollapseMode::PosteriorCollapse), UNITS, "{living}");

    let mut lab = Lab::new(Lab::config());
    lab.beta = 100.0;
    let living = lab.epochs(15, &|control| {
        let thermostat = BetaThermostat::new(UNITS, ThermostatConfig::default()).unwrap();
        control.add(thermostat, EVERY).unwrap();
        held(control);
    });
    tell(&lab, "  beta thermostat and rate budget from the start", &living);
    assert!(living.living() >= MOST && sound(&living), "{living}");
}

#[test]
fn without_a_kl_it_is_variance_collapse_and_a_rate_budget_prevents_it() {
    let trained = |controlled: bool| {
        let mut lab = Lab::new(Lab::config());
        lab.beta = 0.0;
        lab.learning_rate = 1e-2;
        let living = lab.epochs(400, if controlled { &held } else { &alone });
        (lab, living)
    };
    let (lab, living) = trained(false);
    tell(&lab, "variance_collapse: no KL, lr 1e-2, 400 epochs", &living);
    assert!(living.in_mode(CollapseMode::VarianceCollapse) >= UNITS / 2, "{living}");
    assert_eq!(living.living(), 0, "{living}");
    let (lab, living) = trained(true);
    tell(&lab, "  rate budget from the start", &living);
    assert_eq!(living.in_mode(CollapseMode::VarianceCollapse), 0, "{living}");
    assert!(living.living() >= MOST, "{living}");
}

#[test]
fn too_large_a_step_is_explosion_and_a_projection_takes_it_back() {
    let exploded = || {
        let mut lab = Lab::new(ForecasterConfig { sigma: SigmaMode::PerUnit, ..Lab::config() });
        lab.learning_rate = 10.0;
        let living = lab.epochs(3, &alone);
        assert_eq!(living.in_mode(CollapseMode::Explosion), UNITS, "{living}");
        lab.learning_rate = 3e-3;
        (lab, living)
    };
    let (mut lab, living) = exploded();
    tell(&lab, "explosion: lr 10, 3 epochs", &living);
    let living = lab.epochs(60, &alone);
    tell(&lab, "  lr 3e-3 again, 60 epochs", &living);
    assert_eq!(living.in_mode(CollapseMode::Explosion), UNITS, "{living}");

    let (mut lab, _) = exploded();
    lab.guarded = true;
    let living = lab.epochs(120, &|control| {
        control.levers_mut().objective.band = Some(band(0.1, 0.4));
        let projection = Projection::new(UNITS, ProjectionConfig::default()).unwrap();
        control.add(projection, Timing::ALWAYS).unwrap();
        let near = SigmaGuardConfig { floor: 0.3, ceiling: 1.2, ..SigmaGuardConfig::default() };
        control.add(SigmaGuard::new(near).unwrap(), EVERY).unwrap();
        held(control);
    });
    tell(&lab, "  the same with projection, sigma guard, rate budget", &living);
    assert_eq!(living.in_mode(CollapseMode::Explosion), 0, "{living}");
    assert!(living.living() >= UNITS / 4, "{living}");
}

#[test]
fn forced_energy_without_a_context_is_frozen_and_ends_with_it() {
    let mut lab = Lab::new(Lab::config());
    let varied = (lab.train.clone(), lab.validation.clone());
    let width = lab::INPUT;
    for windows in [&mut lab.train, &mut lab.validation] {
        let Windows { current, previous, earlier, .. } = windows;
        let first = current[..width].to_vec();
        for inputs in [current, previous, earlier] {
            inputs.chunks_mut(width).for_each(|row| row.copy_from_slice(&first));
        }
    }
    lab.beta = 1e-2;
    let living =
        lab.epochs(15, &|control| control.levers_mut().objective.band = Some(band(0.4, 0.8)));
    tell(&lab, "frozen: constant windows, energy held in [0.4, 0.8]", &living);
    assert!(living.in_mode(CollapseMode::Frozen) >= MOST, "{living}");
    // Without the band, constant windows still leave nothing to learn.
    let living = lab.epochs(60, &alone);
    tell(&lab, "  no band: constant windows still", &living);
    assert_eq!(living.living(), 0, "{living}");
    lab.beta = 1e-4;
    (lab.train, lab.validation) = varied;
    let living = lab.epochs(30, &held);
    tell(&lab, "  windows vary again, rate budget", &living);
    assert!(living.living() >= MOST && sound(&living), "{living}");
}

#[test]
fn chasing_targets_that_move_is_drift_and_small_steps_end_it() {
    // Every target is +1 or -1, redrawn in every epoch. There is nothing to learn, and the loss
    // does not change.
    let trained = |learning_rate: f64, epochs: usize| {
        let mut lab = Lab::new(Lab::config());
        (lab.learning_rate, lab.redraws) = (learning_rate, true);
        let living = lab.epochs(epochs, &held);
        (lab, living)
    };
    // Among the epochs in which the loss stayed constant after the units left their initial state,
    // the report with the most drifting units.
    let chase = |learning_rate: f64| {
        let still = |(lab, _): &(Lab, Living)| {
            let limit = CollapseThresholds::default().constant_loss;
            lab.loss_change().is_some_and(|change| change.abs() <= limit)
        };
        let all = (9..=24).map(|epochs| trained(learning_rate, epochs)).filter(still);
        let drifting = |(_, living): &(Lab, Living)| living.in_mode(CollapseMode::Drift);
        all.max_by_key(drifting).expect("the loss never stood still")
    };
    let (lab, living) = chase(3e-2);
    tell(&lab, "drift: targets +-1 redrawn every epoch, lr 3e-2", &living);
    assert!(living.in_mode(CollapseMode::Drift) >= UNITS / 2, "{living}");
    let (lab, living) = chase(1e-3);
    tell(&lab, "  lr 1e-3", &living);
    assert_eq!(living.in_mode(CollapseMode::Drift), 0, "{living}");
    assert!(living.living() >= MOST, "{living}");
}

#[test]
fn a_heavy_ar_penalty_is_ar_capture_and_its_share_controller_ends_it() {
    let weight = 1000.0;
    let term =
        ArTerm { weight, ramp: 1.0, phi: 0.95, sigma: 0.5, earlier: EarlierWindow::Predecessor };
    // Deviations cannot shrink and rates must hold, so that the penalty cannot be satisfied by
    // carrying no information.
    let penalized =
        |control: &mut LayerControl| control.levers_mut().objective.autoregression = Some(term);
    let guarded = |control: &mut LayerControl| {
        penalized(control);
        let floor = SigmaGuardConfig { floor: 0.6, ..SigmaGuardConfig::default() };
        control.add(SigmaGuard::new(floor).unwrap(), Timing::ALWAYS).unwrap();
        control.add(rate_budget(1e4), EVERY).unwrap();
    };
    let captured = |guard: bool| {
        let mut lab = Lab::new(ForecasterConfig { sigma: SigmaMode::PerUnit, ..Lab::config() });
        lab.guarded = guard;
        lab.epochs(60, if guard { &guarded } else { &penalized });
        let left = lab.rate_given_past();
        let living = lab.examine(Some(&left), None);
        (lab, living)
    };
    let (mut lab, living) = captured(true);
    tell(&lab, "ar_capture: AR weight 1000, rates held", &living);
    assert!(living.in_mode(CollapseMode::ArCapture) >= MOST, "{living}");
    let share = ArShareConfig { weight, max: weight, ..ArShareConfig::default() };
    lab.epochs(60, &|control| {
        guarded(control);
        control.add(ArShare::new(share).unwrap(), Timing::ALWAYS).unwrap();
    });
    let left = lab.rate_given_past();
    let living = lab.examine(Some(&left), None);
    tell(&lab, "  AR share held at 0.2", &living);
    assert_eq!(living.in_mode(CollapseMode::ArCapture), 0, "{living}");
    assert!(living.living() >= MOST, "{living}");
    // If rates are not held, carrying no information satisfies the penalty: another mode, which is
    // named correctly.
    let (lab, living) = captured(false);
    tell(&lab, "  AR weight 1000, rates not held", &living);
    let silent =
        living.in_mode(CollapseMode::Frozen) + living.in_mode(CollapseMode::PosteriorCollapse);
    assert!(silent >= MOST, "{living}");
}

#[test]
fn a_head_that_skips_the_units_leaves_them_unused_though_they_live() {
    let mut lab = Lab::new(Lab::config());
    // The head starts at zero and does not learn. The linear skip makes the forecast alone, and a
    // controller keeps the units active.
    lab.held = vec!["head.skip", "head.delta"];
    let living = lab.epochs(20, &held);
    tell(&lab, "a head that skips the units, by internal measures alone", &living);
    assert!(living.living() >= MOST, "{living}");
    let found = lab.unit_use();
    let living = lab.examine(None, Some(&found));
    tell(&lab, "unused: the same, with interventions", &living);
    assert_eq!(living.in_mode(CollapseMode::Unused), UNITS, "{living}");
    let mut lab = Lab::new(Lab::config());
    lab.epochs(20, &held);
    let found = lab.unit_use();
    let living = lab.examine(None, Some(&found));
    tell(&lab, "  the head learns", &living);
    assert!(sound(&living) && living.living() >= MOST, "{living}");
}
