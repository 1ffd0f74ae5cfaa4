//! Each controller in turn: its purpose, without it and with it.

use crate::closed_loop::plant::{PLANT, Plant, Shown};
use crate::closed_loop::{Failure, UNITS, budget, mean};
use vdn_model::controllers::*;
use vdn_model::objective::{ArScale, ArTerm, BandTerm, EarlierWindow};
use vdn_model::units::SigmaMode;

fn from(target: f64) -> impl Fn(&[f64]) -> f64 {
    move |x| mean(x, |x| (x - target).abs())
}

fn outside(low: f64, high: f64) -> impl Fn(&[f64]) -> f64 {
    move |x| mean(x, |x| (low - x).max(0.0) + (x - high).max(0.0))
}

fn bands(low: f64, high: f64) -> BandTerm {
    let bounds = EnergyBand { lo: vec![low; UNITS], hi: vec![high; UNITS] };
    let hinge = Hinge { form: HingeForm::Absolute, weight_low: 1.0, weight_high: 1.0 };
    BandTerm { bounds, hinge, weight: 0.0 }
}

type Build<'a> = &'a dyn Fn(&mut LayerControl) -> Result<(), Failure>;

/// One controller: the plant, the initial state in both runs, the controller, and its error.
struct Case<'a> {
    name: &'a str,
    plant: Plant,
    base: Build<'a>,
    add: Build<'a>,
    error: &'a dyn Fn(&Shown) -> f64,
}

#[test]
fn every_controller_brings_its_measure_nearer_to_what_it_is_for() -> Result<(), Failure> {
    let nothing: Build<'_> = &|_| Ok(());
    let every = Timing { warmup: 0, every: 5 };
    let with_bands: Build<'_> = &|control| {
        control.levers_mut().objective.band = Some(bands(0.04, 0.08));
        Ok(())
    };
    let narrow = Plant { worth: 2000.0, sigma: SigmaMode::PerUnit, initial_sigma: 0.3, ..PLANT };
    let dear = Plant { beta: 5.0, ..PLANT };
    let share: Build<'_> = &|control| {
        control.levers_mut().objective.autoregression = Some(ArTerm {
            weight: 0.02,
            ramp: 1.0,
            phi: 0.9,
            sigma: 0.3,
            earlier: EarlierWindow::Predecessor,
        });
        Ok(())
    };
    let share_of = |shown: &Shown| {
        let objective = &shown.control.levers().objective;
        let weighted = objective.autoregression.map_or(0.0, |ar| ar.weight * ar.ramp) * shown.ar;
        let kl: f64 = shown.kl.iter().zip(&objective.beta).map(|(kl, beta)| kl * beta).sum();
        weighted / (shown.nll + kl + weighted)
    };
    let scale = ArScale { factor: 1.0, ..ArScale::default() };
    let share_and_bands: Build<'_> = &|control| {
        share(control)?;
        with_bands(control)
    };
    let cases = [
        Case {
            name: "rate budget, target above",
            plant: PLANT,
            base: nothing,
            add: &|c| Ok(c.add(RateBudget::new(UNITS, budget(Goal::Target(0.5)))?, every)?),
            error: &|s| from(0.5)(&s.rate),
        },
        Case {
            name: "rate budget, interval below",
            plant: PLANT,
            base: nothing,
            add: &|c| Ok(c.add(RateBudget::new(UNITS, budget(Goal::Interval(0.02, 0.08)))?, every)?),
            error: &|s| outside(0.02, 0.08)(&s.rate),
        },
        Case {
            name: "KL budget",
            plant: PLANT,
            base: nothing,
            add: &|c| Ok(c.add(KlBudget::new(UNITS, budget(Goal::Target(0.5)))?, every)?),
            error: &|s| from(0.5)(&s.kl),
        },
        Case {
            name: "thermostat",
            plant: PLANT,
            base: nothing,
            add: &|c| {
                let config = ThermostatConfig {
                    low: 0.45,
                    high: 0.55,
                    initial: 1.0,
                    min: 1e-3,
                    max: 5.0,
                    ..ThermostatConfig::default()
                };
                Ok(c.add(BetaThermostat::new(UNITS, config)?, every)?)
            },
            error: &|s| outside(0.45, 0.55)(&s.kl),
        },
        Case {
            name: "PI",
            plant: PLANT,
            base: nothing,
            add: &|c| {
                let config = PiConfig {
                    target: 0.5,
                    proportional: 1.0,
                    integral: 0.05,
                    width: 0.1,
                    min: 0.0,
                    max: 5.0,
                };
                Ok(c.add(Pi::new(UNITS, 1.0, config)?, every)?)
            },
            error: &|s| from(0.5)(&s.kl),
        },
        Case {
            name: "GECO",
            plant: PLANT,
            base: nothing,
            add: &|c| {
                let config =
                    GecoConfig { tolerance: 1.5, initial: 1.0, min: 1e-3, max: 10.0, gain: 0.1 };
                Ok(c.add(Geco::new(config)?, every)?)
            },
            error: &|s| (s.nll - 1.5).abs(),
        },
        Case {
            name: "capacity",
            plant: PLANT,
            base: nothing,
            add: &|c| {
                let ramp = Ramp { warmup: 0, length: 50 };
                Ok(c.add(Capacity::new(3.0, 4.0, ramp)?, Timing::ALWAYS)?)
            },
            error: &|s| (s.kl.iter().sum::<f64>() - 4.0).abs(),
        },
        Case {
            name: "free bits",
            plant: dear,
            base: nothing,
            add: &|c| Ok(c.add(FreeBits::new(0.3)?, Timing::ALWAYS)?),
            error: &|s| outside(0.3, f64::INFINITY)(&s.kl),
        },
        Case {
            name: "annealing",
            plant: Plant { steps: 200, ..dear },
            base: nothing,
            add: &|c| {
                let shape = AnnealingShape::Monotone { steps: 2000 };
                Ok(c.add(Annealing::new(shape)?, Timing::ALWAYS)?)
            },
            error: &|s| outside(0.2, f64::INFINITY)(&s.kl),
        },
        Case {
            name: "homeostat",
            plant: PLANT,
            base: with_bands,
            add: &|c| {
                let config = HomeostatConfig { gain: 0.5, ..HomeostatConfig::default() };
                Ok(c.add(Homeostat::new(config)?, every)?)
            },
            error: &|s| outside(0.04, 0.08)(&s.energy),
        },
        Case {
            name: "projection",
            plant: PLANT,
            base: with_bands,
            add: &|c| Ok(c.add(Projection::new(UNITS, ProjectionConfig::default())?, every)?),
            error: &|s| outside(0.04, 0.08)(&s.energy),
        },
        Case {
            name: "band weight",
            plant: PLANT,
            base: with_bands,
            add: &|c| Ok(c.add(BandWeight::new(200.0, Ramp::default(), None), Timing::ALWAYS)?),
            error: &|s| outside(0.04, 0.08)(&s.energy),
        },
        Case {
            name: "band calibration",
            plant: PLANT,
            base: &|control| {
                control.levers_mut().objective.band = Some(bands(0.6, 1.2));
                Ok(())
            },
            add: &|c| {
                let base = bands(0.6, 1.2).bounds;
                let config = BandCalibrationConfig::default();
                Ok(c.add(BandCalibration::new(base, config)?, Timing::ALWAYS)?)
            },
            error: &|s| {
                let band = s.control.levers().objective.band.as_ref().expect("bands");
                band.bounds.outside(&s.energy).iter().sum()
            },
        },
        Case {
            name: "sigma guard",
            plant: narrow,
            base: nothing,
            add: &|c| {
                let config = SigmaGuardConfig { floor: 0.15, ..SigmaGuardConfig::default() };
                Ok(c.add(SigmaGuard::new(config)?, every)?)
            },
            error: &|s| outside(0.15_f64.ln(), 5.0_f64.ln())(&s.log_sigma),
        },
        Case {
            name: "AR share",
            plant: PLANT,
            base: share,
            add: &|c| {
                let config = ArShareConfig {
                    weight: 0.02,
                    gain: 1.0,
                    min: 1e-3,
                    max: 100.0,
                    target: 0.04,
                    cap: None,
                    ..ArShareConfig::default()
                };
                Ok(c.add(ArShare::new(config)?, every)?)
            },
            error: &|s| (share_of(s) - 0.04).abs(),
        },
        Case {
            name: "AR scale",
            plant: PLANT,
            base: share_and_bands,
            add: &|c| {
                let ramp = Ramp { warmup: 0, length: 100 };
                Ok(c.add(ArScaleControl { scale, ramp }, Timing::ALWAYS)?)
            },
            error: &|s| {
                let objective = &s.control.levers().objective;
                let wanted = (0.04_f64 * 0.08).sqrt().sqrt();
                (objective.autoregression.expect("an AR term").sigma - wanted).abs()
            },
        },
    ];
    let mut failures = Vec::new();
    println!("{:28} {:>10} {:>10}", "controller", "without", "with");
    for Case { name, plant, base, add, error } in cases {
        let without = error(&plant.run(base)?);
        let with = error(&plant.run(&|control| {
            base(control)?;
            add(control)
        })?);
        println!("{name:28} {without:10.4} {with:10.4}");
        if !(with < 0.4 * without && without > 0.01) {
            failures.push(format!("{name}: {without} without, {with} with"));
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
    Ok(())
}
