//! Every controller in its closed loop on a small layer that learns: what it is for comes nearer than without it. A flipped
//! sign or a controller that does nothing makes the error grow or stay.

use vdn_autograd::Tape;
use vdn_model::controllers::*;
use vdn_model::{
    ArScale, ArTerm, BandTerm, Bindings, Builder, EarlierWindow, Graph, LayerConfig, Message, Mode,
    OrderOne, OrderOneConfig, Parameters, Prior, SequenceLayer, SigmaMode, StepInput,
    VariationalLayer, ar_penalty, sequence_measures,
};
use vdn_tensor::noise::NoiseKey;
use vdn_train::{AdamW, AdamWConfig};

type Failure = Box<dyn std::error::Error>;

const UNITS: usize = 8;
const ROWS: usize = 64;
const INPUTS: usize = 12;

fn normals(stream: u32, count: usize) -> Vec<f64> {
    let mut x = vec![0.0; count];
    NoiseKey::new(5, stream, 0).fill_normal(0, &mut x);
    x
}

/// A layer whose unit `i` is to say the `i`-th number of its context, at a cost of `worth (z - h_i)^2 / 2` nats.
#[derive(Clone, Copy)]
struct Plant {
    worth: f64,
    beta: f64,
    sigma: SigmaMode,
    initial_sigma: f64,
    steps: u64,
}

const PLANT: Plant =
    Plant { worth: 1.0, beta: 1.0, sigma: SigmaMode::PerUnitInput, initial_sigma: 0.7, steps: 400 };

/// What the last fifty steps showed, on average.
struct Shown {
    energy: Vec<f64>,
    kl: Vec<f64>,
    rate: Vec<f64>,
    nll: f64,
    ar: f64,
    log_sigma: Vec<f64>,
    control: LayerControl,
}

impl Plant {
    fn run(
        self,
        build: &dyn Fn(&mut LayerControl) -> Result<(), Failure>,
    ) -> Result<Shown, Failure> {
        let mut parameters = Parameters::<f64>::new();
        let config = LayerConfig {
            inputs: INPUTS,
            units: UNITS,
            sigma: self.sigma,
            initial_sigma: self.initial_sigma,
            train_samples: 2,
            ..LayerConfig::default()
        };
        let layer = VariationalLayer::new(&mut Builder::new(&mut parameters, 1), config, 0)?;
        let mut optimizer = AdamW::new(AdamWConfig::default(), &parameters)?;
        let control_config =
            LayerControlConfig { beta: self.beta, ..LayerControlConfig::default() };
        let mut control = LayerControl::new(UNITS, 1, control_config);
        build(&mut control)?;
        let (mut tape, mut bindings) = (Tape::new(), Bindings::new());
        let h = normals(1, ROWS * INPUTS);
        let before: Vec<f64> =
            h.iter().zip(normals(2, ROWS * INPUTS)).map(|(h, e)| 0.6 * h + 0.8 * e).collect();
        let zero = || vec![0.0; UNITS];
        let (mut energy, mut kl, mut rate, mut nll, mut ar) = (zero(), zero(), zero(), 0.0, 0.0);
        for step in 0..self.steps {
            tape.reset();
            let key = NoiseKey::new(1, 0, step as u32);
            let mut graph = Graph::new(&mut tape, &parameters, &mut bindings, Mode::Train, key);
            let context = graph.tape.constant([ROWS, INPUTS], &h)?;
            let out = layer.forward(&mut graph, context)?;
            let objective = control.levers().objective.clone();
            let penalty = match objective.autoregression {
                Some(term) => {
                    let context = graph.tape.constant([ROWS, INPUTS], &before)?;
                    let mu = layer.means(&mut graph, context)?;
                    Some(ar_penalty(graph.tape, out.mu, mu, term.phi, term.sigma)?)
                }
                None => None,
            };
            let wanted = tape.slice_axis(context, 1, 0, UNITS)?;
            let distance = tape.sub(out.units.z, wanted)?;
            let square = tape.square(distance)?;
            let mean = tape.mean(square)?;
            let score = tape.scale(mean, 0.5 * self.worth * UNITS as f64)?;
            let local = objective.record(&mut tape, &out.units, out.units.m2, penalty)?;
            let loss = tape.add(score, local.total)?;
            let losses = LossValues {
                nll: tape.scalar(score)?,
                weighted_kl: tape.scalar(local.weighted_kl)?,
                ar: local.ar.map_or(Ok(0.0), |ar| tape.scalar(ar))?,
                ..LossValues::default()
            };
            control.observe(&tape, &layer, &out, losses);
            tape.backward(loss)?;
            tape.release_shared();
            let gradients =
                (0..parameters.len()).map(|i| tape.gradient(bindings.get(i)?).map(|g| g.data()));
            optimizer.step(&mut parameters, 0.02, gradients)?;
            if let Some(gain) = control.act(&layer, &mut parameters) {
                for id in layer.mean_parameters() {
                    optimizer.rescale_rows(id.index(), gain);
                }
            }
            if step + 50 >= self.steps {
                let seen = control.observation();
                let add = |to: &mut [f64], x: &[f64]| {
                    to.iter_mut().zip(x).for_each(|(to, x)| *to += x / 50.0);
                };
                add(&mut energy, &seen.energy);
                add(&mut kl, &seen.kl);
                add(&mut rate, &seen.rate_dims);
                nll += losses.nll / 50.0;
                ar += losses.ar / 50.0;
            }
        }
        let log_sigma = parameters
            .iter()
            .find(|p| p.name().contains("log_sigma") || p.name().contains("log_scale"))
            .map(|p| p.tensor().data().to_vec())
            .unwrap_or_default();
        Ok(Shown { energy, kl, rate, nll, ar, log_sigma, control })
    }
}

fn mean(x: &[f64], f: impl Fn(f64) -> f64) -> f64 {
    x.iter().map(|&x| f(x)).sum::<f64>() / x.len() as f64
}

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

fn budget(goal: Goal) -> ConstraintConfig {
    ConstraintConfig { goal, stiffness: 5.0, gain: 0.5, limit: 10.0, ..ConstraintConfig::default() }
}

type Build<'a> = &'a dyn Fn(&mut LayerControl) -> Result<(), Failure>;

/// One controller: the plant, what it starts from in both runs, the controller, its error.
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

/// Rate and persistence of a layer along a sequence after training, with these controllers.
fn sequence(
    build: &dyn Fn(&mut LayerControl, Prior) -> Result<(), Failure>,
) -> Result<[f64; 2], Failure> {
    const STEPS: usize = 16;
    let mut parameters = Parameters::<f64>::new();
    let mut builder = Builder::new(&mut parameters, 1);
    let prior = Prior::OrderOne(OrderOne::new(&mut builder, UNITS, OrderOneConfig::default())?);
    let sizes = [INPUTS, UNITS];
    let layer =
        SequenceLayer::new(&mut builder, sizes, prior, vdn_model::Posterior::Structured, 1.0, 0)?;
    let mut optimizer = AdamW::new(AdamWConfig::default(), &parameters)?;
    let mut control = LayerControl::new(UNITS, 1, LayerControlConfig::default());
    build(&mut control, prior)?;
    let (mut tape, mut bindings) = (Tape::new(), Bindings::new());
    let h = normals(3, STEPS * ROWS * INPUTS);
    let mut shown = [0.0; 2];
    for step in 0..300_u32 {
        tape.reset();
        let key = NoiseKey::new(1, 0, step);
        let mut graph = Graph::new(&mut tape, &parameters, &mut bindings, Mode::Train, key);
        let mut inputs = Vec::new();
        for h in h.chunks_exact(ROWS * INPUTS) {
            let context = graph.tape.constant([ROWS, INPUTS], h)?;
            inputs.push(StepInput { context, missing: None, gap: 1 });
        }
        let messages: Vec<Message> = layer.messages(&mut graph, &inputs)?;
        let unrolled =
            vdn_model::filter(&mut graph, prior, &messages, vdn_model::Unroll::new(2, key))?;
        let measures = sequence_measures(&mut graph, prior, &messages, &unrolled)?;
        let mut loss = unrolled.total_kl(&mut graph)?;
        for (z, input) in unrolled.z.iter().zip(&inputs) {
            let wanted = graph.tape.slice_axis(input.context, 1, 0, UNITS)?;
            let distance = graph.tape.sub(*z, wanted)?;
            let square = graph.tape.square(distance)?;
            let square = graph.tape.mean(square)?;
            let square = graph.tape.scale(square, 0.5 * UNITS as f64)?;
            loss = graph.tape.add(loss, square)?;
        }
        loss = tape.scale(loss, 1.0 / STEPS as f64)?;
        if let Some(term) = control.levers().objective.record_sequence(&mut tape, &measures)? {
            loss = tape.add(loss, term)?;
        }
        control.observe_sequence(&tape, &measures);
        tape.backward(loss)?;
        tape.release_shared();
        let gradients =
            (0..parameters.len()).map(|i| tape.gradient(bindings.get(i)?).map(|g| g.data()));
        optimizer.step(&mut parameters, 0.02, gradients)?;
        control.act_on_levers();
        if step >= 250 {
            let seen = control.observation();
            shown[0] += mean(&seen.rate_dims, |x| x) / 50.0;
            shown[1] += mean(&seen.persistence, |x| x) / 50.0;
        }
    }
    // What was saved continues: the multipliers are in the state.
    let mut other = LayerControl::new(UNITS, 1, LayerControlConfig::default());
    build(&mut other, prior)?;
    other.restore(&control.state())?;
    assert_eq!(other.levers().objective, control.levers().objective);
    Ok(shown)
}

/// Contexts without memory, units that are to have one: both measures reach their targets, each by its own constraint.
#[test]
fn persistence_and_rate_reach_their_targets_together() -> Result<(), Failure> {
    let every = Timing { warmup: 0, every: 5 };
    let free = sequence(&|_, _| Ok(()))?;
    println!("free: rate {:.3}, persistence {:.3}", free[0], free[1]);
    for [rate, rho] in [[0.5, 0.7], [0.1, 0.7], [0.1, -0.3]] {
        let held = sequence(&|control, prior| {
            let config = PersistenceConfig {
                stiffness: 5.0,
                gain: 0.5,
                ..PersistenceConfig::new(Goal::Target(rho))
            };
            control.add(PersistenceTarget::new(UNITS, prior, config)?, every)?;
            Ok(control.add(RateBudget::new(UNITS, budget(Goal::Target(rate)))?, every)?)
        })?;
        println!("targets {rate} {rho}: rate {:.3}, persistence {:.3}", held[0], held[1]);
        assert!((free[1] - rho).abs() > 0.15, "nothing to do: {free:?}");
        assert!((held[1] - rho).abs() < 0.05, "persistence {} instead of {rho}", held[1]);
        assert!((held[0] - rate).abs() < 0.05 * rate + 0.02, "rate {} instead of {rate}", held[0]);
    }
    Ok(())
}
