//! Budgets and the controllers that the reference does not have: their composition, gradients and
//! states.

use super::{RUNNING, band, layer, show};
use vdn_autograd::{Noise, SampleKl, Tape, check_gradients};
use vdn_model::controllers::*;
use vdn_model::core::Parameters;
use vdn_model::objective::{BetweenWindows, CapacityTerm, LocalObjective, window_persistence};
use vdn_model::units::SigmaMode;
use vdn_tensor::Tensor;
use vdn_tensor::noise::NoiseKey;

/// Returns the rate at which a unit settles: where its marginal benefit `w/(r + w)`, the derivative
/// of `w ln(r + w)` with respect to `r`, equals the force on it.
fn settled_rate(constraint: &Constraint, i: usize, benefit: f64, from: f64) -> f64 {
    let mut r = from;
    for _ in 0..200 {
        let slope = benefit / (r + 0.05) * 0.05 - 1e-4 - constraint.force(i, r);
        r = (r + 2.0 * slope).max(0.0);
    }
    r
}

#[test]
fn budgets_are_met_from_both_sides_and_multipliers_do_not_wind_up() {
    for goal in [Goal::Interval(0.05, 0.30), Goal::Target(0.2)] {
        let config = ConstraintConfig { goal, ..ConstraintConfig::default() };
        let mut budget = RateBudget::new(3, config).unwrap();
        let mut levers = Levers::new(3, 1e-4);
        budget.begin(0, &mut levers);
        let monitor = Monitor::new(3, RUNNING);
        let mut seen = Observation::new(3, 3);
        // No benefit, some benefit, a large benefit. The last exceeds the force of the multiplier
        // at its limit.
        let benefits = [0.0, 5e-4, 8e-3];
        let mut rates = [0.0, 0.1, 1.0];
        for step in 0..3000 {
            for i in 0..3 {
                rates[i] = settled_rate(budget.constraint(), i, benefits[i], rates[i]);
            }
            seen.rate_dims.copy_from_slice(&rates);
            budget.observe(&seen);
            budget.act(&Moment { step, monitor: &monitor }, &mut levers);
        }
        let [a, b] = goal.bounds();
        for rate in rates {
            assert!(rate > a - 1e-3 && rate < b + 1e-3, "{goal:?}: {rates:?}");
        }
        // An unreachable goal drives the multiplier to its limit but not beyond, so it returns at
        // once.
        seen.rate_dims.fill(10.0);
        for step in 0..500 {
            budget.observe(&seen);
            budget.act(&Moment { step, monitor: &monitor }, &mut levers);
        }
        seen.rate_dims.fill(a.min(0.2) - 0.05);
        let before = budget.constraint().force(0, b);
        budget.observe(&seen);
        budget.act(&Moment { step: 0, monitor: &monitor }, &mut levers);
        let after = budget.constraint().force(0, b);
        assert!(before <= config.limit + 1e-12 && after < before, "{goal:?}: {before} {after}");
    }
}

/// The gradient of a constraint's term of the loss equals the force that the constraint reports,
/// below, in and above its interval.
#[test]
fn the_term_of_a_constraint_pulls_with_its_force() {
    let rates = [0.01, 0.2, 0.9];
    for goal in [Goal::Interval(0.05, 0.30), Goal::Target(0.2)] {
        let config = ConstraintConfig { goal, ..ConstraintConfig::default() };
        let mut budget = RateBudget::new(3, config).unwrap();
        let (mut levers, monitor) = (Levers::new(3, 0.0), Monitor::new(3, RUNNING));
        let mut seen = Observation::new(3, 3);
        seen.rate_dims.copy_from_slice(&rates);
        for step in 0..2 {
            budget.observe(&seen);
            budget.act(&Moment { step, monitor: &monitor }, &mut levers);
        }
        let mut tape = Tape::<f64>::new();
        let measure = tape.variable([3], &rates).unwrap();
        let term = budget.constraint().term(&mut tape, measure).unwrap();
        tape.backward(term).unwrap();
        let gradient = tape.gradient(measure).unwrap().data();
        for (i, got) in gradient.iter().enumerate() {
            let want = budget.constraint().force(i, rates[i]);
            assert!((got - want).abs() < 1e-14, "{goal:?} at {}: {got} {want}", rates[i]);
        }
        assert!(gradient[0] < 0.0 && gradient[1] == 0.0 && gradient[2] > 0.0, "{gradient:?}");
    }
}

#[test]
fn pi_and_geco_act_in_the_right_direction_and_hold_their_integrals_at_the_limits() {
    let (layer, mut parameters) = layer(2, SigmaMode::PerUnit);
    let mut control = LayerControl::new(
        2,
        1,
        LayerControlConfig { smoothing: 1.0, ..LayerControlConfig::default() },
    );
    control.add(Pi::new(2, 1e-4, PiConfig::default()).unwrap(), Timing::ALWAYS).unwrap();
    for _ in 0..3000 {
        show(&mut control, &[0.1; 2], &[1.0, 0.01]);
        control.act(&layer, &mut parameters);
    }
    // The sum stops within one step, `integral |error|`, of the value at the limits.
    let beta = control.levers().objective.beta.clone();
    assert!(beta[0] <= 1e-2 && beta[0] > 1e-2 - 1e-4 * 0.8, "{beta:?}");
    assert!(beta[1] >= 0.0 && beta[1] < 1e-4 * 0.19, "{beta:?}");
    // Because the sum was held, beta leaves its limit within a few acts after the error changes its
    // sign.
    for _ in 0..20 {
        show(&mut control, &[0.1; 2], &[0.01, 1.0]);
        control.act(&layer, &mut parameters);
    }
    let beta = &control.levers().objective.beta;
    assert!(beta[0] < 1e-2 && beta[1] > 0.0, "{beta:?}");

    let config = GecoConfig { tolerance: 0.5, initial: 1e-3, min: 1e-6, max: 1e-2, gain: 0.1 };
    for (nll, direction) in [(1.0, -1.0), (0.2, 1.0)] {
        let mut control = LayerControl::new(2, 1, LayerControlConfig::default());
        control.add(Geco::new(config).unwrap(), Timing::ALWAYS).unwrap();
        control.observe_with(|seen| seen.losses.nll = nll);
        control.act(&layer, &mut parameters);
        let change = control.levers().objective.beta[0].ln() - 1e-3_f64.ln();
        assert!(change * direction > 0.0, "score {nll}: {change}");
    }
}

/// All terms of a local objective at once, against central differences through the fused operation.
#[test]
fn the_local_objective_is_differentiable_in_the_posteriors() {
    let units = 4;
    let mut mu = Tensor::<f64>::zeros([6, units]);
    NoiseKey::new(3, 0, 0).fill_normal(0, mu.data_mut());
    let logvar = Tensor::from_slice([units], &[-1.0, -0.3, 0.1, -2.0]).unwrap();
    let mut objective = LocalObjective::new(units, 0.1);
    objective.beta = vec![0.1, 0.2, 0.3, 0.4];
    objective.kl_factor = 0.7;
    objective.free_bits = 0.3;
    objective.capacity = Some(CapacityTerm { weight: 0.2, target: 1.0 });
    objective.band = Some(band(&[0.1, 2.0, 0.3, 5.0], &[0.2, 3.0, 0.4, 6.0]));
    // Means of earlier windows, and a penalty that pulls units towards them.
    let mut earlier = Tensor::<f64>::zeros([6, units]);
    NoiseKey::new(4, 0, 0).fill_normal(0, earlier.data_mut());
    let wish = PersistenceConfig { stiffness: 0.7, ..PersistenceConfig::new(Goal::Target(0.6)) };
    let mut target = PersistenceTarget::between_windows(units, wish).unwrap();
    let mut levers = Levers::new(units, 0.0);
    target.begin(0, &mut levers);
    objective.persistence = levers.objective.persistence;
    for goal in [Goal::Interval(0.3, 0.5), Goal::Target(0.4)] {
        for scope in [Scope::Dimension, Scope::Layer] {
            let config =
                ConstraintConfig { goal, scope, stiffness: 0.5, ..ConstraintConfig::default() };
            let mut budget = RateBudget::new(units, config).unwrap();
            let mut levers = Levers::new(units, 0.0);
            let mut seen = Observation::new(units, units);
            seen.rate_dims.copy_from_slice(&[0.0, 1.0, 0.4, 2.0]);
            let monitor = Monitor::new(units, RUNNING);
            for step in 0..5 {
                budget.observe(&seen);
                budget.act(&Moment { step, monitor: &monitor }, &mut levers);
            }
            objective.rate = levers.objective.rate.clone();
            objective.kl = levers.objective.rate.clone();
            let report =
                check_gradients(&[mu.clone(), logvar.clone(), earlier.clone()], |tape, v| {
                    let noise = tape.constant_with([1, 6, units], |to| to.fill(0.0))?;
                    let fused =
                        tape.sample_kl(v[0], v[1], SampleKl::new(1, Noise::Given(noise)))?;
                    let rho = window_persistence(tape, v[0], v[2], &fused)?;
                    let between = BetweenWindows { ar: None, persistence: Some(rho) };
                    Ok(objective.record(tape, &fused, fused.m2, between)?.total)
                });
            let report = report.unwrap();
            assert!(report.passed(), "{goal:?} {scope:?}: {report}");
        }
    }
}

#[test]
fn free_bits_and_annealing_and_capacity_set_their_levers() {
    let mut tape = Tape::<f64>::new();
    // KL = mu^2/2: 0.02 and 0.5.
    let mu = tape.variable([1, 2], &[0.2, 1.0]).unwrap();
    let logvar = tape.constant([], &[0.0]).unwrap();
    let noise = tape.constant([1, 1, 2], &[0.0, 0.0]).unwrap();
    let fused = tape.sample_kl(mu, logvar, SampleKl::new(1, Noise::Given(noise))).unwrap();
    let mut control =
        LayerControl::new(2, 1, LayerControlConfig { beta: 2.0, ..LayerControlConfig::default() });
    control.add(FreeBits::new(0.1).unwrap(), Timing::ALWAYS).unwrap();
    let cycle = AnnealingShape::Monotone { steps: 4 };
    control.add(Annealing::new(cycle).unwrap(), Timing::ALWAYS).unwrap();
    let (layer, mut parameters) = layer(2, SigmaMode::PerUnit);
    show(&mut control, &[0.0; 2], &[0.0; 2]);
    control.act(&layer, &mut parameters);
    let terms = control
        .levers()
        .objective
        .record(&mut tape, &fused, fused.m2, BetweenWindows::default())
        .unwrap();
    tape.backward(terms.total).unwrap();
    let loss = tape.scalar(terms.total).unwrap();
    assert!((loss - 2.0 * 0.25 * (0.1 + 0.5)).abs() < 1e-12, "{loss}");
    let gradient = tape.gradient(mu).unwrap().data().to_vec();
    assert!(gradient[0] == 0.0 && (gradient[1] - 0.5).abs() < 1e-12, "{gradient:?}");

    let mut control = LayerControl::new(2, 1, LayerControlConfig::default());
    let ramp = Ramp { warmup: 0, length: 2 };
    control.add(Capacity::new(3.0, 8.0, ramp).unwrap(), Timing::ALWAYS).unwrap();
    show(&mut control, &[0.0; 2], &[0.0; 2]);
    control.act(&layer, &mut parameters);
    let objective = &control.levers().objective;
    assert_eq!(objective.capacity, Some(CapacityTerm { weight: 3.0, target: 4.0 }));
    assert_eq!(objective.beta, [0.0; 2]);
}

#[test]
fn two_controllers_of_one_lever_are_refused_by_name() {
    let mut control = LayerControl::new(2, 1, LayerControlConfig::default());
    let thermostat = BetaThermostat::new(2, ThermostatConfig::default()).unwrap();
    control.add(thermostat, Timing::ALWAYS).unwrap();
    let error =
        control.add(Pi::new(2, 1e-3, PiConfig::default()).unwrap(), Timing::ALWAYS).unwrap_err();
    let message = error.to_string();
    assert!(message.contains("beta_thermostat") && message.contains("pi"), "{message}");
    let never = Timing { warmup: 0, every: 0 };
    assert!(control.add(FreeBits::new(0.1).unwrap(), never).is_err());
}

#[test]
fn a_restored_control_goes_on_as_the_one_that_was_saved() {
    let (layer, parameters) = layer(3, SigmaMode::PerUnit);
    let base = EnergyBand { lo: vec![0.1; 3], hi: vec![0.2; 3] };
    let build = || {
        let mut control = LayerControl::new(3, 1, LayerControlConfig::default());
        control.levers_mut().objective.band = Some(band(&base.lo, &base.hi));
        let every = |every| Timing { warmup: 2, every };
        let calibration = BandCalibrationConfig::default();
        control.add(BandCalibration::new(base.clone(), calibration).unwrap(), every(5)).unwrap();
        control
            .add(BetaThermostat::new(3, ThermostatConfig::default()).unwrap(), every(3))
            .unwrap();
        control.add(Homeostat::new(HomeostatConfig::default()).unwrap(), every(3)).unwrap();
        control.add(RateBudget::new(3, ConstraintConfig::default()).unwrap(), every(4)).unwrap();
        let ramp = Ramp { warmup: 2, length: 20 };
        control.add(BandWeight::new(3.0, ramp, None), Timing::ALWAYS).unwrap();
        control
    };
    let run = |control: &mut LayerControl,
               parameters: &mut Parameters<f64>,
               steps: std::ops::Range<u32>| {
        for step in steps {
            let x = f64::from(step);
            let energy = [0.3 + 0.1 * x.sin(), 0.01, 0.15];
            show(control, &energy, &[0.01 + 0.2 * x.cos().abs(), 0.5, 0.1]);
            control.act(&layer, parameters);
        }
    };
    let (mut whole, mut end) = (build(), parameters.clone());
    run(&mut whole, &mut end, 0..40);
    let (mut first, mut middle) = (build(), parameters);
    run(&mut first, &mut middle, 0..17);
    let mut second = build();
    second.restore(&first.state()).unwrap();
    assert_eq!(second.levers().objective, first.levers().objective);
    run(&mut second, &mut middle, 17..40);
    assert_eq!(second.state(), whole.state());
    assert_eq!(second.levers(), whole.levers());
    for (a, b) in middle.iter().zip(end.iter()) {
        assert_eq!(a.tensor().data(), b.tensor().data());
    }
    let mut other = LayerControl::new(3, 1, LayerControlConfig::default());
    other.add(FreeBits::new(0.1).unwrap(), Timing::ALWAYS).unwrap();
    other.add(Pi::new(3, 1e-3, PiConfig::default()).unwrap(), Timing::ALWAYS).unwrap();
    assert!(other.restore(&first.state()).unwrap_err().to_string().contains("pi.sum"));
}
