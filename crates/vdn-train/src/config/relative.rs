//! Settings of controllers relative to the scale of the loss.
//!
//! A factor `c` on all terms of a loss does not move its minimum. But controllers with fixed
//! settings act differently on the scaled loss: their weights are too small or too large beside its
//! other terms. The course under the controllers stays the same if two kinds of settings follow the
//! scale. Every setting that is a weight in the loss is multiplied by `c`. Every gain per nat of
//! the loss is divided by `c`:
//!
//! | controller | multiplied | divided | without a unit of the loss |
//! |---|---|---|---|
//! | rate, KL budget | stiffness, gain, limit (own key `relative`) | | the goal, nats of a unit |
//! | persistence | stiffness, gain, limit | | the goal |
//! | thermostat | initial, min, max | | ratios, low, high, gain, emergency |
//! | PI | proportional, integral, min, max | | target, width |
//! | GECO | initial, min, max | gain | |
//! | capacity | weight | | target, nats of a window |
//! | AR | weight, min, max | | share, gain, deviation |
//! | bands | the penalty's weight | | bounds, homeostat, projection, calibration, sigma guard |
//! | free bits, annealing | | | all |
//!
//! The tolerance of GECO is a value of the loss itself, so it never changes.

use crate::config::control::ControlConfig;
use crate::config::controllers::LEAST_WEIGHT;

impl ControlConfig {
    /// Returns the settings in nats of the loss. Without controllers, the KL of the layer has the
    /// weight `kl_weight`. Settings that are not relative stay the same. So do the budgets of rate
    /// and KL, which have their own key.
    pub(super) fn in_nats_of_loss(&self, kl_weight: f64) -> Self {
        if !self.relative {
            return self.clone();
        }
        let scale = kl_weight.max(LEAST_WEIGHT) / LEAST_WEIGHT;
        let mut own = self.clone();
        let ControlConfig { persistence, thermostat, pi, geco, capacity, ar, band_weight, .. } =
            &mut own;
        for weight in [
            &mut persistence.stiffness,
            &mut persistence.gain,
            &mut persistence.limit,
            &mut thermostat.initial,
            &mut thermostat.min,
            &mut thermostat.max,
            &mut pi.proportional,
            &mut pi.integral,
            &mut pi.min,
            &mut pi.max,
            &mut geco.min,
            &mut geco.max,
            &mut capacity.weight,
            &mut ar.weight,
            &mut ar.min,
            &mut ar.max,
            band_weight,
        ] {
            *weight *= scale;
        }
        if let Some(initial) = &mut geco.initial {
            *initial *= scale;
        }
        geco.gain /= scale;
        own
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{BudgetConfig, ControlName, ControlledLayer, ControllerSet};
    use vdn_model::controllers::{LayerControl, LossValues};
    use vdn_model::objective::Objective;
    use vdn_model::units::{LayerConfig, StackLayerConfig};

    const UNITS: usize = 4;

    /// The controllers of a layer after 40 steps. The loss has the scale of the weight of the KL,
    /// and the units are the same for every scale.
    fn run(config: &ControlConfig, weight: f64) -> LayerControl {
        let layer = LayerConfig { inputs: 3, units: UNITS, ..LayerConfig::default() };
        let layer = StackLayerConfig { layer, ..StackLayerConfig::default() };
        let layer = ControlledLayer::new(&layer, Objective::Vib, weight);
        let built = config.build(&[layer], false).unwrap();
        let mut control = built.into_layers().remove(0).unwrap();
        for step in 0..40 {
            control.observe_with(|seen| {
                for i in 0..UNITS {
                    let x = 0.02 + 0.2 * i as f64 + 0.001 * f64::from(step);
                    seen.kl[i] = x;
                    seen.alive[i] = 1.0;
                    seen.energy[i] = 0.1 * x;
                    (seen.kl_dims[i], seen.rate_dims[i], seen.persistence[i]) = (x, 0.8 * x, x);
                }
                let objective = weight * 0.7;
                let weighted = weight * 0.1;
                seen.losses = LossValues {
                    nll: objective,
                    mse: 1.0,
                    weighted_kl: weighted,
                    weighted_band: weighted,
                    ar: 0.3,
                };
            });
            control.act_on_levers();
        }
        control
    }

    /// All weights that controllers have set in the loss.
    fn weights(control: &LayerControl) -> Vec<f64> {
        let own = &control.levers().objective;
        let mut all: Vec<f64> = own.beta.clone();
        all.extend(own.capacity.map(|term| term.weight));
        for constraint in [&own.rate, &own.kl, &own.persistence].into_iter().flatten() {
            all.push(constraint.config().stiffness);
            all.extend(constraint.multipliers().concat());
        }
        all.extend(own.band.as_ref().map(|band| band.weight));
        all.extend(own.autoregression.map(|ar| ar.weight));
        all
    }

    #[test]
    fn controllers_move_with_the_scale_of_the_loss() {
        let base = ControlConfig {
            relative: true,
            mode: ControlName::None,
            rate: BudgetConfig::of_bound(),
            kl: BudgetConfig::of_bound(),
            ..ControlConfig::default()
        };
        let with = |names: &[&str], change: &dyn Fn(&mut ControlConfig)| {
            let mut own = base.clone();
            own.choose(names.iter().copied()).unwrap();
            change(&mut own);
            own
        };
        let none = |_: &mut ControlConfig| {};
        let cases = [
            ("rate", with(&["rate"], &none)),
            ("kl", with(&["kl"], &none)),
            ("thermostat", with(&["thermostat"], &none)),
            ("pi", with(&["pi"], &none)),
            ("capacity", with(&["capacity"], &|own| own.capacity.target = 2.0)),
            ("persistence", with(&["persistence"], &|own| own.persistence.target = Some(0.1))),
            ("free bits", with(&["free_bits"], &none)),
            ("annealing", with(&["annealing"], &none)),
            ("ar", with(&["ar"], &|own| own.ar.ramp_steps = 0)),
            (
                "homeo",
                ControlConfig {
                    mode: ControlName::Homeo,
                    controllers: ControllerSet::default(),
                    ..base.clone()
                },
            ),
        ];
        for (name, config) in &cases {
            let usual = run(config, 1.0);
            let expected = weights(&usual);
            for scale in [0.01, 100.0] {
                let other = run(config, scale);
                let found = weights(&other);
                assert_eq!(found.len(), expected.len(), "{name}");
                for (found, expected) in found.iter().zip(&expected) {
                    let error = (found - scale * expected).abs();
                    assert!(
                        error <= 1e-9 * scale * expected.abs(),
                        "{name}: {found}, not {scale} times {expected}"
                    );
                }
                // Values without a unit of the loss are the same on all scales.
                let dimensionless = |control: &LayerControl| {
                    let levers = control.levers();
                    (levers.gain.clone(), levers.objective.kl_factor, levers.objective.free_bits)
                };
                let [found, expected] = [&other, &usual].map(dimensionless);
                assert_eq!(found.1, expected.1, "{name}");
                assert_eq!(found.2, expected.2, "{name}");
                assert_eq!(found.0, expected.0, "{name}");
            }
        }
    }

    /// The tolerance is a score, so the test scales it with the loss. All else follows from the
    /// weight.
    #[test]
    fn geco_moves_with_the_scale_of_the_loss() {
        let of = |scale: f64| {
            let mut own = ControlConfig { relative: true, ..ControlConfig::default() };
            own.choose(["geco"]).unwrap();
            own.geco.tolerance = Some(scale * 0.5);
            (own.geco.min, own.geco.max) = (1e-6, 1.0);
            weights(&run(&own, scale))
        };
        let usual = of(1.0);
        assert!(usual[0] != 1.0, "it moved");
        for scale in [0.01, 100.0] {
            for (found, expected) in of(scale).iter().zip(&usual) {
                assert!((found / (scale * expected) - 1.0).abs() < 1e-9, "{scale}: {found}");
            }
        }
    }

    #[test]
    fn absolute_settings_and_small_weights_are_left_as_they_are() {
        let absolute = ControlConfig::default();
        assert_eq!(absolute.in_nats_of_loss(1.0), absolute);
        let relative = ControlConfig { relative: true, ..absolute };
        assert_eq!(relative.in_nats_of_loss(1e-4), relative);
        assert_ne!(relative.in_nats_of_loss(1.0), relative);
    }
}
