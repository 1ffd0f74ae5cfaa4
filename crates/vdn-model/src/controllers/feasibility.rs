//! Feasibility: which constraints on energy, rate and KL one unit can meet together.
//!
//! Let `R = [ln(C2 + V) - Lv]/2` and `KL = [M2 + V - 1 - Lv]/2`, with `C2 <= M2` and `Lv <= ln V`
//! (Jensen). If deviations may depend on the input, the least KL of a unit with energy `M2` and
//! rate `R` is
//!
//! ```text
//! R                                              M2 <= 1 - e^-2R          (V = 1 - M2, mean 0: no mismatch)
//! [M2 + V - 1 - ln V]/2, V = M2/(e^2R - 1)       in between               (all of the energy is signal)
//! M2/2                                           M2 >= e^2R - 1           (V = 1, the rest is a constant)
//! ```
//!
//! The least KL grows with both arguments, and the KL has no upper limit. Constraints are therefore
//! compatible if and only if the least KL at the least energy and the least rate is within budget.
//!
//! If deviations do not depend on the input, `Lv = ln V`. The rate then needs `M2 >= V (e^2R - 1)`,
//! and the KL is exactly `[M2 + V - 1 - ln V]/2`, which is convex in `V` and is minimised over it.

use crate::core::error::ModelError;
use crate::objective::energy_band::EnergyBand;

/// Returns the least KL in nats of a latent dimension with this energy and rate (nats), if
/// deviations may depend on the input.
///
/// ```
/// use vdn_model::controllers::least_kl;
/// assert_eq!(least_kl(0.0, 0.1), 0.1);          // all of it rate
/// assert_eq!(least_kl(1.0, 0.0), 0.5);          // all of it mismatch: KL >= mu2/2
/// ```
#[must_use]
pub fn least_kl(energy: f64, rate: f64) -> f64 {
    let gain = (2.0 * rate).exp_m1();
    if energy <= -(-2.0 * rate).exp_m1() {
        rate
    } else if energy >= gain {
        0.5 * energy
    } else {
        let v = energy / gain;
        0.5 * (energy + v - 1.0 - v.ln())
    }
}

/// The constraints on every latent dimension of a layer.
#[derive(Clone, Debug)]
pub struct UnitConstraints<'a> {
    /// The interval of the rate in nats, and the controller that imposes it.
    pub rate: Option<([f64; 2], &'static str)>,
    /// The interval of the KL in nats, and the controller that imposes it.
    pub kl: Option<([f64; 2], &'static str)>,
    /// The energy bands.
    pub band: Option<&'a EnergyBand>,
    /// The limits of the deviation.
    pub sigma: [f64; 2],
    /// Whether deviations depend on the input.
    pub amortised: bool,
}

impl UnitConstraints<'_> {
    /// Returns the least and the largest KL of a unit whose energy has these bounds, or `None` if
    /// the rate alone is impossible.
    fn kl_range(&self, [lo, hi]: [f64; 2], rate: f64) -> Option<[f64; 2]> {
        if self.amortised {
            return Some([least_kl(lo, rate), f64::INFINITY]);
        }
        let gain = (2.0 * rate).exp_m1();
        let floor = self.sigma[0] * self.sigma[0];
        let ceiling =
            (self.sigma[1] * self.sigma[1]).min(if gain > 0.0 { hi / gain } else { f64::INFINITY });
        if ceiling < floor {
            return None;
        }
        let kl = |energy: f64, v: f64| 0.5 * (energy + v - 1.0 - v.ln());
        let least = |v: f64| kl(lo.max(gain * v), v);
        // The maximum of two convex functions is least at the minimum of either, or where they
        // cross.
        let crossing = if gain > 0.0 { lo / gain } else { f64::INFINITY };
        let places = [1.0, (-2.0 * rate).exp(), crossing].map(|v| v.max(floor).min(ceiling));
        let low = places.into_iter().map(least).fold(f64::INFINITY, f64::min);
        Some([low, kl(hi, floor).max(kl(hi, ceiling))])
    }

    /// Returns the least KL in nats of unit `i` given its band and rate, or `None` if band and rate
    /// exclude each other.
    #[must_use]
    pub fn least_kl(&self, i: usize) -> Option<f64> {
        let bounds = self.band.map_or([0.0, f64::INFINITY], |band| [band.lo[i], band.hi[i]]);
        let [rate, _] = self.rate.map_or([0.0, f64::INFINITY], |(bounds, _)| bounds);
        self.kl_range(bounds, rate).map(|[least, _]| least)
    }

    /// Returns the units for which no energy, rate and KL meet all constraints.
    #[must_use]
    pub fn infeasible(&self, units: usize) -> Vec<usize> {
        (0..units).filter(|&i| self.conflict(i).is_some()).collect()
    }

    fn conflict(&self, i: usize) -> Option<String> {
        let bounds = self.band.map_or([0.0, f64::INFINITY], |band| [band.lo[i], band.hi[i]]);
        let ([r0, _], rate_name) = self.rate.unwrap_or(([0.0, f64::INFINITY], "no rate budget"));
        let ([k0, k1], kl_name) = self.kl.unwrap_or(([0.0, f64::INFINITY], "no KL budget"));
        let [lo, hi] = bounds;
        let band = || format!("the energy band [{lo:.4}, {hi:.4}] of unit {i}");
        if lo > 2.0 * k1 {
            let kl = 0.5 * lo;
            return Some(format!(
                "{} and {kl_name}: the KL is at least mu2/2 = {kl:.4} nats, more than {k1}",
                band()
            ));
        }
        if r0 > k1 {
            return Some(format!(
                "{rate_name} and {kl_name}: the KL is at least the rate, {r0} nats, more than {k1}"
            ));
        }
        let Some([least, largest]) = self.kl_range(bounds, r0) else {
            let floor = self.sigma[0];
            return Some(format!(
                "{} and {rate_name}: at the least deviation, {floor}, a rate of {r0} nats needs an energy of {:.4}",
                band(),
                floor * floor * (2.0 * r0).exp_m1()
            ));
        };
        if least > k1 {
            return Some(format!(
                "{} and {rate_name} together with {kl_name}: with a rate of {r0} nats the KL is at least {least:.4}, \
                 more than {k1}",
                band()
            ));
        }
        (largest < k0).then(|| {
            format!("{} and {kl_name}: the KL is at most {largest:.4} nats, less than {k0}", band())
        })
    }

    /// Checks every unit.
    ///
    /// # Errors
    /// Fails for the first unit that cannot meet its constraints. The message names the two
    /// constraints that contradict each other, the reason, and the number of units that are
    /// affected.
    pub fn check(&self, units: usize) -> Result<(), ModelError> {
        let found = (0..units).find_map(|i| self.conflict(i));
        let Some(reason) = found else { return Ok(()) };
        let count = self.infeasible(units).len();
        let reason = format!("cannot hold together ({count} of {units} units): {reason}");
        Err(ModelError::config("controllers", reason))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controllers::{BandConfig, BandShape, SingleUnit};

    #[test]
    fn the_least_kl_is_the_least_over_a_grid_of_units() {
        for energy in [0.0, 0.05, 0.2, 0.5, 1.5] {
            for rate in [0.0, 0.05, 0.3, 1.0] {
                let mut best = f64::INFINITY;
                for v in (1..4000).map(|i: i32| f64::from(i) * 1e-3) {
                    for c2 in (0..=200).map(|i| energy * f64::from(i) / 200.0) {
                        let lv = (c2 + v).ln() - 2.0 * rate;
                        if lv <= v.ln() + 1e-12 {
                            best = best.min(0.5 * (energy + v - 1.0 - lv));
                        }
                    }
                }
                let least = least_kl(energy, rate);
                // The grid cannot beat the minimum, and misses it by its spacing at most: |dKL/dV|
                // <= 1/(2V).
                assert!(best >= least - 1e-9, "{energy} {rate}: {best} beats {least}");
                assert!(best <= least + 6e-3 * (1.0 + energy), "{energy} {rate}: {best} {least}");
            }
        }
    }

    /// The reference's own default band against the default rate interval: specification, section
    /// 3.
    #[test]
    fn the_reference_band_leaves_no_room_for_the_rate_of_38_percent_of_units() {
        let shape =
            BandShape::Heterogeneous { spread: 8.0, shuffled: None, single: SingleUnit::Centre };
        let band = EnergyBand::new(1000, &BandConfig { shape, ..BandConfig::default() }).unwrap();
        let constraints = UnitConstraints {
            rate: Some(([0.05, 0.30], "the rate budget")),
            kl: Some(([0.05, 0.30], "the thermostat")),
            band: Some(&band),
            sigma: [1e-4, 10.0],
            amortised: false,
        };
        let share = constraints.infeasible(1000).len() as f64 / 1000.0;
        assert!((share - 0.38).abs() < 0.005, "{share}");
        let message = constraints.check(1000).unwrap_err().to_string();
        assert!(message.contains("the rate budget") && message.contains("band"), "{message}");
        let free = UnitConstraints { kl: None, ..constraints };
        assert!(free.check(1000).is_ok());
    }

    #[test]
    fn each_pair_is_named() {
        let band = EnergyBand { lo: vec![0.7], hi: vec![1.4] };
        let base = UnitConstraints {
            rate: None,
            kl: None,
            band: None,
            sigma: [1e-4, 10.0],
            amortised: true,
        };
        let kl = Some(([0.05, 0.30], "the thermostat"));
        let rate = Some(([0.4, 0.5], "the rate budget"));
        let message = |c: UnitConstraints<'_>| c.check(1).unwrap_err().to_string();
        let text = message(UnitConstraints { kl, band: Some(&band), ..base.clone() });
        assert!(
            text.contains("band") && text.contains("thermostat") && text.contains("mu2/2"),
            "{text}"
        );
        let text = message(UnitConstraints { kl, rate, ..base.clone() });
        assert!(text.contains("rate budget") && text.contains("thermostat"), "{text}");
        let small = EnergyBand { lo: vec![0.001], hi: vec![0.002] };
        let guarded = UnitConstraints {
            rate,
            band: Some(&small),
            sigma: [0.15, 5.0],
            amortised: false,
            ..base
        };
        let text = message(guarded);
        assert!(text.contains("least deviation"), "{text}");
    }
}
