//! The reference's controllers, and the differences of the defaults from them.

use super::{band, layer, show};
use vdn_autograd::Tape;
use vdn_model::controllers::*;
use vdn_model::objective::{ArScale, ArTerm, EarlierWindow};
use vdn_model::units::SigmaMode;

#[test]
fn the_homeostat_brings_units_into_their_bands_without_overshoot() {
    let (layer, mut parameters) = layer(3, SigmaMode::PerUnit);
    for rescaling in [Rescaling::Follow, Rescaling::Ignore] {
        let config = LayerControlConfig { rescaling, ..LayerControlConfig::default() };
        let mut control = LayerControl::new(3, 1, config);
        control.levers_mut().objective.band = Some(band(&[0.1; 3], &[0.2; 3]));
        control.add(Homeostat::new(HomeostatConfig::default()).unwrap(), Timing::ALWAYS).unwrap();
        // A plant whose energy follows the gains.
        let mut energy = [0.01, 0.15, 2.0];
        let (mut lowest, mut highest) = (f64::INFINITY, f64::NEG_INFINITY);
        for step in 0..400 {
            show(&mut control, &energy, &[0.1; 3]);
            control.act(&layer, &mut parameters);
            for (e, s) in energy.iter_mut().zip(&control.levers().gain) {
                *e *= s * s;
            }
            if step > 20 {
                lowest = lowest.min(energy[2]);
                highest = highest.max(energy[0]);
            }
        }
        assert_eq!(energy[1], 0.15, "{rescaling:?}: a unit inside its band was moved");
        let inside = |e: f64| (0.1 * 0.99..=0.2 * 1.01).contains(&e);
        if rescaling == Rescaling::Follow {
            assert!(inside(energy[0]) && inside(energy[2]), "{energy:?}");
            assert!(lowest > 0.2 * 0.99 && highest < 0.1 * 1.01, "overshoot: {lowest} {highest}");
        } else {
            // The running means lag behind, so corrections are repeated, as in the reference.
            assert!(lowest < 0.2 * 0.9 || highest > 0.1 * 1.1, "{lowest} {highest}");
        }
    }
}

#[test]
fn the_projection_lands_on_the_bound_and_weighs_batches_by_rows() {
    let (layer, mut parameters) = layer(2, SigmaMode::PerUnit);
    let before = parameters.iter().next().unwrap().tensor().data().to_vec();
    for (weights, want) in
        [(BatchWeights::Rows, 0.4 * 0.25 + 1.2 * 0.75), (BatchWeights::Equal, 0.8)]
    {
        let mut parameters = parameters.clone();
        let mut control = LayerControl::new(2, 1, LayerControlConfig::default());
        control.levers_mut().objective.band = Some(band(&[0.1; 2], &[0.2; 2]));
        let config = ProjectionConfig { weights, ..ProjectionConfig::default() };
        control.add(Projection::new(2, config).unwrap(), Timing { warmup: 0, every: 2 }).unwrap();
        for (rows, energy) in [(10, 0.4), (30, 1.2)] {
            control.observe_with(|seen| {
                seen.rows = rows;
                seen.energy.copy_from_slice(&[energy, 0.15]);
            });
            control.act(&layer, &mut parameters);
        }
        let gain = control.levers().gain.clone();
        assert!((gain[0] * gain[0] * want - 0.2).abs() < 1e-12, "{weights:?}: {gain:?}");
        assert_eq!(gain[1], 1.0);
        let after = parameters.iter().next().unwrap().tensor().data().to_vec();
        assert!((after[0] - gain[0] * before[0]).abs() < 1e-15);
        assert_eq!(after[3..], before[3..]);
    }
    show(&mut LayerControl::new(2, 1, LayerControlConfig::default()), &[1.0; 2], &[1.0; 2]);
    layer.rescale_means(&mut parameters, &[1.0, 1.0]);
}

#[test]
fn the_thermostat_moves_beta_against_the_error_and_stays_within_its_limits() {
    let config = ThermostatConfig { smoothing: 1.0, ..ThermostatConfig::default() };
    let mut control = LayerControl::new(3, 1, LayerControlConfig::default());
    control.add(BetaThermostat::new(3, config).unwrap(), Timing { warmup: 0, every: 2 }).unwrap();
    let (layer, mut parameters) = layer(3, SigmaMode::PerUnit);
    // The mean over the period counts: 0.2, 0.02 and 0.6, not the last batch's 0.2.
    show(&mut control, &[0.1; 3], &[0.2, 0.0, 1.0]);
    control.act(&layer, &mut parameters);
    let first = 1e-3_f64.ln().exp();
    assert_eq!(control.levers().objective.beta, [first; 3], "acted before its time");
    show(&mut control, &[0.1; 3], &[0.2, 0.04, 0.2]);
    control.act(&layer, &mut parameters);
    let beta = &control.levers().objective.beta;
    let want = [1e-3, 1e-3 * (0.2_f64 * -0.03).exp(), 1e-3 * (0.2_f64 * 0.3).exp()];
    for (got, want) in beta.iter().zip(want) {
        assert!((got / want - 1.0).abs() < 1e-12, "{beta:?}");
    }
    for _ in 0..2000 {
        show(&mut control, &[0.1; 3], &[3.0; 3]);
        control.act(&layer, &mut parameters);
    }
    assert_eq!(control.levers().objective.beta, [1e-2; 3], "the upper limit");
}

/// Beta falls for a unit that is dead in nearly all rows, whatever its KL is.
#[test]
fn the_thermostat_lets_go_of_dead_units() {
    let config = ThermostatConfig { smoothing: 1.0, ..ThermostatConfig::default() };
    let mut control = LayerControl::new(3, 1, LayerControlConfig::default());
    control.add(BetaThermostat::new(3, config).unwrap(), Timing::ALWAYS).unwrap();
    let (layer, mut parameters) = layer(3, SigmaMode::PerUnit);
    control.observe_with(|seen| {
        seen.kl.copy_from_slice(&[0.2, 0.2, 0.6]);
        seen.alive.copy_from_slice(&[0.06, 0.04, 0.0]);
    });
    control.act(&layer, &mut parameters);
    let beta = &control.levers().objective.beta;
    for (got, error) in beta.iter().zip([0.0, -0.5, 0.3 - 0.3 - 0.5]) {
        assert!((got / (1e-3 * (0.2_f64 * error).exp()) - 1.0).abs() < 1e-12, "{beta:?}");
    }
}

/// A rescaled mean head changes energies by the square of the factor, and KLs by the change of the
/// energy.
#[test]
fn running_means_follow_a_rescaled_mean_head() {
    for (rescaling, follows) in [(Rescaling::Follow, 1.0), (Rescaling::Ignore, 0.0)] {
        let (layer, mut parameters) = layer(2, SigmaMode::PerUnit);
        let config = LayerControlConfig { rescaling, ..LayerControlConfig::default() };
        let mut control = LayerControl::new(2, 1, config);
        control.levers_mut().objective.band = Some(band(&[0.1; 2], &[0.2; 2]));
        control
            .add(Projection::new(2, ProjectionConfig::default()).unwrap(), Timing::ALWAYS)
            .unwrap();
        let thermostat = BetaThermostat::new(2, ThermostatConfig::default()).unwrap();
        control.add(thermostat, Timing::ALWAYS).unwrap();
        show(&mut control, &[0.8, 0.15], &[0.5, 0.3]);
        control.act(&layer, &mut parameters);
        let (energy, kl) = (0.8 - 0.6 * follows, 0.5 - 0.3 * follows);
        let mut own = [0.0; 2];
        control.state().fill("beta_thermostat.kl", &mut own).unwrap();
        let monitor = control.monitor();
        for (got, want) in
            [(&own[..], [kl, 0.3]), (monitor.kl(), [kl, 0.3]), (monitor.energy(), [energy, 0.15])]
        {
            let near = got.iter().zip(want).all(|(got, want)| (got - want).abs() < 1e-12);
            assert!(near, "{rescaling:?}: {got:?} {want:?}");
        }
    }
}

#[test]
fn the_guard_clamps_and_lifts_dead_units_and_the_reference_does_not_lift() {
    for (dead, lift) in [(SigmaKick::Dead, 0.02), (SigmaKick::Never, 0.0)] {
        let (layer, mut parameters) = layer(3, SigmaMode::PerUnit);
        let index = parameters.find("log_sigma").unwrap().index();
        parameters.data_mut(index).copy_from_slice(&[-5.0, 0.0, 3.0]);
        let mut control = LayerControl::new(3, 1, LayerControlConfig::default());
        let guard = SigmaGuardConfig { dead, ..SigmaGuardConfig::default() };
        control.add(SigmaGuard::new(guard).unwrap(), Timing::ALWAYS).unwrap();
        show(&mut control, &[0.1, 0.0, 0.1], &[0.1, 0.0, 0.1]);
        control.act(&layer, &mut parameters);
        let got = parameters.data_mut(index).to_vec();
        assert_eq!(got, [0.15_f64.ln(), lift, 5.0_f64.ln()], "{dead:?}");
    }
}

#[test]
fn calibrated_bounds_keep_their_distance_and_scales_their_limits() {
    let base = EnergyBand { lo: vec![0.024; 8], hi: vec![0.048; 8] };
    for (rule, widened) in [(ScaleRule::Bounds, false), (ScaleRule::Scales, true)] {
        let config = BandCalibrationConfig { rule, ..BandCalibrationConfig::default() };
        let mut calibration = BandCalibration::new(base.clone(), config).unwrap();
        for _ in 0..2000 {
            let energy: Vec<f64> = (0..8).map(|i| 0.2 + 0.001 * f64::from(i)).collect();
            calibration.update(&energy);
        }
        let [s_lo, s_hi] = calibration.scales();
        assert!(s_lo <= 3.0 && (s_hi > s_lo) == widened, "{rule:?}: {s_lo} {s_hi}");
        let mut now = base.clone();
        calibration.write(&mut now);
        assert!(now.lo.iter().zip(&now.hi).all(|(lo, hi)| *hi >= 1.05 * lo));
    }
}

#[test]
fn the_ar_share_rule_is_monotone_and_rests_while_its_term_does() {
    let (layer, mut parameters) = layer(1, SigmaMode::PerUnit);
    let mut after = |rule: ArShareRule, ar: f64, ramp: f64| -> f64 {
        let config = ArShareConfig { rule, ..ArShareConfig::default() };
        let mut control = LayerControl::new(1, 1, LayerControlConfig::default());
        let earlier = EarlierWindow::Itself;
        control.levers_mut().objective.autoregression =
            Some(ArTerm { weight: 0.0, ramp, phi: 0.9, sigma: 1.0, earlier });
        control.add(ArShare::new(config).unwrap(), Timing::ALWAYS).unwrap();
        control.observe_with(|seen| {
            seen.losses = LossValues { nll: 1.0, mse: 1.0, ar, ..LossValues::default() };
        });
        control.act(&layer, &mut parameters);
        control.levers().objective.autoregression.unwrap().weight
    };
    let shares: Vec<f64> = (1..80).map(|i| f64::from(i) * 0.02).collect();
    let weights = |after: &mut dyn FnMut(f64) -> f64| -> Vec<f64> {
        shares.iter().map(|&ar| after(ar)).collect()
    };
    let ours = weights(&mut |ar| after(ArShareRule::Monotone, ar, 1.0));
    assert!(ours.windows(2).all(|w| w[1] < w[0]), "not monotone");
    let theirs = weights(&mut |ar| after(ArShareRule::Reference, ar, 1.0));
    assert!(theirs.windows(2).any(|w| w[1] > w[0]), "the reference's rule was thought to jump");
    assert_eq!(after(ArShareRule::Monotone, 0.0, 1.0), 1.0);
    assert_eq!(after(ArShareRule::Monotone, 0.5, 0.0), 1.0);
    assert!(after(ArShareRule::Reference, 0.0, 1.0) > 1.0, "the reference's weight drifts");
}

#[test]
fn the_band_weight_ramps_and_spares_the_high_side_while_many_are_low() {
    let (layer, mut parameters) = layer(4, SigmaMode::PerUnit);
    let mut control = LayerControl::new(4, 1, LayerControlConfig::default());
    control.levers_mut().objective.band = Some(band(&[0.1; 4], &[0.2; 4]));
    let ramp = Ramp { warmup: 1, length: 2 };
    control.add(BandWeight::new(3.0, ramp, Some(FocusLow::default())), Timing::ALWAYS).unwrap();
    let mut seen = Vec::new();
    for _ in 0..4 {
        let term = control.levers().objective.band.clone().unwrap();
        seen.push((term.weight, term.hinge.weight_high));
        show(&mut control, &[0.01, 0.01, 0.15, 0.5], &[0.1; 4]);
        control.act(&layer, &mut parameters);
    }
    assert_eq!(seen, [(0.0, 1.0), (0.0, 0.3), (1.5, 0.3), (3.0, 0.3)]);
}

/// The penalty rises with its ramp, and its deviation follows the bands wherever they are moved.
#[test]
fn the_ar_scale_ramps_and_follows_the_bands() {
    let (layer, mut parameters) = layer(2, SigmaMode::PerUnit);
    let mut control = LayerControl::new(2, 1, LayerControlConfig::default());
    let earlier = EarlierWindow::Itself;
    let objective = &mut control.levers_mut().objective;
    objective.autoregression =
        Some(ArTerm { weight: 1.0, ramp: 7.0, phi: 0.9, sigma: 7.0, earlier });
    objective.band = Some(band(&[0.1; 2], &[0.2; 2]));
    let scale = ArScale::default();
    let ramp = Ramp { warmup: 1, length: 2 };
    control.add(ArScaleControl { scale, ramp }, Timing::ALWAYS).unwrap();
    for (step, want) in [0.0, 0.0, 0.5, 1.0].into_iter().enumerate() {
        let objective = control.levers().objective.clone();
        let (ar, bounds) = (objective.autoregression.unwrap(), objective.band.unwrap().bounds);
        assert_eq!(ar.ramp, want, "after {step} steps");
        assert_eq!(ar.sigma, scale.from_band(&bounds), "after {step} steps");
        let moved = EnergyBand {
            lo: vec![0.1 + 0.1 * step as f64; 2],
            hi: vec![0.2 + 0.1 * step as f64; 2],
        };
        control.levers_mut().objective.band.as_mut().unwrap().bounds = moved;
        show(&mut control, &[0.1; 2], &[0.1; 2]);
        control.act(&layer, &mut parameters);
    }
}

/// The penalty on the tape and its value equal the formula. The penalty pulls towards the band,
/// from outside only.
#[test]
fn the_hinge_costs_what_lies_outside_of_the_band() {
    let bounds = EnergyBand { lo: vec![0.1, 0.1, 0.1, 0.01], hi: vec![0.2, 0.2, 0.2, 0.02] };
    let energy = [0.04, 0.15, 0.5, 0.005];
    let [absolute, relative] = [HingeForm::Absolute, HingeForm::Relative { eps: 0.05 }];
    let low = |divisor: [f64; 2]| (0.06 / divisor[0]).powi(2) + (0.005 / divisor[1]).powi(2);
    let high = |divisor: f64| (0.3 / divisor).powi(2);
    for (form, low, high) in
        [(absolute, low([1.0; 2]), high(1.0)), (relative, low([0.1, 0.05]), high(0.2))]
    {
        let hinge = Hinge { form, weight_low: 2.0, weight_high: 0.5 };
        let want = (2.0 * low + 0.5 * high) / 4.0;
        let mut tape = Tape::<f64>::new();
        let var = tape.variable([4], &energy).unwrap();
        let penalty = hinge.penalty(&mut tape, var, &bounds).unwrap();
        for got in [tape.scalar(penalty).unwrap(), hinge.value(&energy, &bounds)] {
            assert!((got - want).abs() < 1e-12 * want, "{form:?}: {got} {want}");
        }
        tape.backward(penalty).unwrap();
        let signs: Vec<f64> = tape
            .gradient(var)
            .unwrap()
            .data()
            .iter()
            .map(|&g| if g == 0.0 { 0.0 } else { g.signum() })
            .collect();
        assert_eq!(signs, [-1.0, 0.0, 1.0, -1.0], "{form:?}");
    }
}

#[test]
fn shuffled_bands_are_the_same_bands_in_another_order_of_the_seed() {
    let bands = |shuffled| {
        let shape = BandShape::Heterogeneous { spread: 8.0, shuffled, single: SingleUnit::Centre };
        EnergyBand::new(64, &BandConfig { shape, ..BandConfig::default() }).unwrap().lo
    };
    let (plain, one, two) = (bands(None), bands(Some(1)), bands(Some(2)));
    assert!(one != plain && one != two && one == bands(Some(1)));
    let mut sorted = one;
    sorted.sort_by(f64::total_cmp);
    assert_eq!(sorted, plain);
}
