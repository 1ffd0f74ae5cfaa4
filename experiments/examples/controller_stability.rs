//! The controllers on one task: how fast each settles, how far it overshoots, and whether it
//! oscillates.
//!
//! ```sh
//! cargo run --release -p vdn-experiments --example controller_stability -- [steps] [units] [skip=false]
//! ```
//!
//! A forecaster is trained on the embedded daily weather with a constant learning rate, for 600
//! steps with a constant beta of 1e-4. Then each controller is switched on. The controllers are
//! wrapped in one that begins later and records the trace, so the trainer can train the forecaster.
//!
//! The goals are:
//!
//! * Controllers of the KL hold it at 0.2 nats per unit: free bits by a floor of 0.2 under a beta
//!   of 1e-2, the capacity target by 0.2 nats for each unit.
//! * GECO has a score as its goal: the score of the augmented Lagrangian in its last fifth, with
//!   the KL at 0.2.
//! * The rate budget holds the rate at 0.2 nats per dimension.
//! * The band penalty, homeostat and projection hold the energy in one band around 0.2 for all
//!   units.
//! * AR-share control holds the share of the AR penalty in the loss at 0.01. (Windows overlap, so
//!   their means are similar, and no weight makes the share larger than 0.03.)
//!
//! With `skip=false` the forecast has no linear part beside the units, so the score depends on
//! them. The controlled quantity is measured in windows of 10 steps, as a mean over units. The
//! final value is the mean over the last fifth.
//!
//! * settling: the last window that is farther from the final value than 10 % of the step (from the
//!   value before to the final one) or twice the noise. The noise is the standard deviation over
//!   the last fifth.
//! * overshoot: the largest deviation beyond the final value, in % of the step
//! * cycle: the largest autocorrelation of the last half at lags of 4 to 40 windows, after a first
//!   crossing of zero. A limit cycle would be above 0.5 with an amplitude above 5 % of the final
//!   value.

use rand::seq::SliceRandom;
use std::sync::{Arc, Mutex};
use vdn_forecast::config::RunConfig;
use vdn_forecast::data::{Dataset, WindowIndex};
use vdn_forecast::forecaster::{Batch, Forecaster};
use vdn_model::controllers::{
    ArShare, ArShareConfig, BandConfig, BandShape, BetaThermostat, Capacity, ConstraintConfig,
    Controller, EnergyBand, FreeBits, Geco, GecoConfig, Goal, Hinge, HingeForm, Homeostat,
    HomeostatConfig, KlBudget, LayerControl, LayerControlConfig, Lever, Levers, LossValues, Moment,
    Needs, Observation, Pi, PiConfig, Projection, ProjectionConfig, Ramp, RateBudget, StackControl,
    ThermostatConfig, Timing,
};
use vdn_model::core::streams::TRAINING_ORDER;
use vdn_model::objective::{ArScale, ArTerm, BandTerm, EarlierWindow};
use vdn_tensor::noise::{NoiseKey, NoiseRng};
use vdn_train::TrainError;
use vdn_train::config::{ControlName, Selection};
use vdn_train::data::{Examples, Request, Split};

type Failure = Box<dyn std::error::Error>;

const WINDOW: usize = 10;
const BEFORE: usize = 600;
const BATCH: usize = 64;
/// The seed of the training's noise and order.
const SEED: u64 = 1;

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |i: usize, or: usize| arguments.get(i).map_or(Ok(or), |text| text.parse());
    let (steps, units) = (number(0, 3000)?, number(1, 64)?);
    let skip = arguments.get(2).is_none_or(|text| text != "skip=false");
    println!(
        "| controller | of | before | final | score | settling, steps | overshoot | noise | cycle | amplitude | limit cycle |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|");
    let score = run("augmented Lagrangian", steps, units, skip, 0.0)?;
    for name in [
        "thermostat",
        "PI",
        "free bits",
        "capacity",
        "GECO",
        "rate budget",
        "band penalty",
        "homeostat",
        "projection",
        "AR share",
    ] {
        run(name, steps, units, skip, score)?;
    }
    Ok(())
}

/// A controller that is switched on later: before it begins, the levers are set by hand.
struct Later {
    set: Set,
    inner: Option<Box<dyn Controller>>,
    every: u64,
    on: bool,
    /// The controlled quantity, and its value in every step.
    measure: Measure,
    /// The weight of the AR penalty in this step.
    ar_weight: f64,
    trace: Trace,
}

/// Sets levers by hand.
type Set = Box<dyn Fn(&mut Levers) + Send>;

/// A value of a step, given the weight of the AR penalty.
type Measure = fn(&Observation, f64) -> f64;

/// The controlled value and the score of every step.
type Trace = Arc<Mutex<Vec<[f64; 2]>>>;

impl std::fmt::Debug for Later {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} from step {BEFORE} on", self.inner)
    }
}

impl Controller for Later {
    fn name(&self) -> &'static str {
        "later"
    }

    fn owns(&self) -> &'static [Lever] {
        self.inner.as_ref().map_or(&[], |inner| inner.owns())
    }

    fn begin(&mut self, _step: u64, _levers: &mut Levers) {}

    fn needs(&self) -> Needs {
        self.inner.as_ref().map_or(Needs::default(), |inner| inner.needs())
    }

    fn observe(&mut self, seen: &Observation) {
        let value = (self.measure)(seen, self.ar_weight);
        self.trace.lock().expect("nobody panicked").push([value, seen.losses.nll]);
        if let (true, Some(inner)) = (self.on, &mut self.inner) {
            inner.observe(seen);
        }
    }

    fn act(&mut self, now: &Moment<'_>, levers: &mut Levers) {
        if now.step == BEFORE as u64 {
            (self.set)(levers);
            if let Some(inner) = &mut self.inner {
                inner.begin(now.step, levers);
            }
            self.on = true;
        } else if let (true, Some(inner)) = (self.on, &mut self.inner)
            && now.step.is_multiple_of(self.every)
        {
            inner.act(now, levers);
        }
        self.ar_weight = levers.objective.autoregression.map_or(0.0, |ar| ar.weight);
    }

    fn rescaled(&mut self, gain: &[f64], energy: &[f64]) {
        if let (true, Some(inner)) = (self.on, &mut self.inner) {
            inner.rescaled(gain, energy);
        }
    }
}

/// The setting of levers before a controller begins, the controller, and the steps between its
/// actions.
type Parts = (Set, Option<Box<dyn Controller>>, u64);

fn parts(name: &str, units: usize, score: f64) -> Result<Parts, Failure> {
    let mut set: Set = Box::new(|_| {});
    let mut every = 5;
    let inner: Option<Box<dyn Controller>> = match name {
        "thermostat" => {
            let config = ThermostatConfig {
                low: 0.19,
                high: 0.21,
                initial: 1e-4,
                max: 1.0,
                ..ThermostatConfig::default()
            };
            Some(Box::new(BetaThermostat::new(units, config)?))
        }
        "PI" => Some(Box::new(Pi::new(units, 1e-4, PiConfig::default())?)),
        "augmented Lagrangian" => {
            let goal = Goal::Target(0.2);
            let config = ConstraintConfig { goal, ..ConstraintConfig::default() };
            Some(Box::new(KlBudget::new(units, config)?))
        }
        "free bits" => {
            set = Box::new(|levers| levers.objective.beta.fill(1e-2));
            Some(Box::new(FreeBits::new(0.2)?))
        }
        "capacity" => {
            every = 1;
            let ramp = Ramp { warmup: 0, length: 0 };
            Some(Box::new(Capacity::new(1e-2, 0.2 * units as f64, ramp)?))
        }
        "GECO" => {
            let config =
                GecoConfig { tolerance: score, initial: 1e-4, min: 1e-6, max: 1.0, gain: 2.0 };
            Some(Box::new(Geco::new(config)?))
        }
        "rate budget" => {
            let goal = Goal::Target(0.2);
            let config = ConstraintConfig { goal, ..ConstraintConfig::default() };
            Some(Box::new(RateBudget::new(units, config)?))
        }
        "AR share" => {
            let term = ArTerm {
                weight: 0.0,
                ramp: 1.0,
                phi: 0.95,
                sigma: ArScale::default().from_width(0.5),
                earlier: EarlierWindow::Predecessor,
            };
            set = Box::new(move |levers| levers.objective.autoregression = Some(term));
            let config = ArShareConfig {
                weight: 0.1,
                target: 0.01,
                cap: None,
                gain: 3.0,
                min: 1e-4,
                ..ArShareConfig::default()
            };
            Some(Box::new(ArShare::new(config)?))
        }
        _ => {
            let band =
                BandConfig { target: 0.2, shape: BandShape::Homogeneous, ..BandConfig::default() };
            let hinge = Hinge {
                form: HingeForm::Relative { eps: 1e-3 },
                weight_low: 1.0,
                weight_high: 1.0,
            };
            let weight = if name == "band penalty" { 3.0 } else { 0.0 };
            let term = BandTerm { bounds: EnergyBand::new(units, &band)?, hinge, weight };
            set = Box::new(move |levers| levers.objective.band = Some(term.clone()));
            match name {
                "homeostat" => Some(Box::new(Homeostat::new(HomeostatConfig::default())?)),
                "projection" => {
                    Some(Box::new(Projection::new(units, ProjectionConfig::default())?))
                }
                _ => None,
            }
        }
    };
    Ok((set, inner, every))
}

/// The quantity that a controller controls: its name, and its value in a step, given the weight of
/// the AR penalty.
fn controlled(name: &str) -> (&'static str, Measure) {
    match name {
        "rate budget" => ("rate", |seen, _| mean(&seen.rate_dims)),
        "band penalty" | "homeostat" | "projection" => ("energy", |seen, _| mean(&seen.energy)),
        "AR share" => ("share", |seen, weight| {
            let LossValues { nll, weighted_kl, ar, .. } = seen.losses;
            weight * ar / (nll.abs() + weighted_kl + weight * ar)
        }),
        _ => ("KL", |seen, _| mean(&seen.kl)),
    }
}

/// Windows that are drawn with replacement, as many as all steps need. One epoch is the whole
/// training.
struct Drawn<'d> {
    data: &'d Dataset,
    windows: Vec<WindowIndex>,
    splits: [Vec<usize>; 3],
}

impl<'d> Drawn<'d> {
    fn new(data: &'d Dataset, steps: usize) -> Self {
        let all = &data.splits().train;
        let mut drawn = Vec::new();
        for step in 0..steps {
            let mut chosen = vec![0.0_f64; BATCH];
            NoiseKey::new(9, 1, step as u32).fill_uniform(0, &mut chosen);
            let place = |u: f64| ((u * all.len() as f64) as usize).min(all.len() - 1);
            drawn.extend(chosen.into_iter().map(|u| all[place(u)]));
        }
        // The trainer shuffles the examples of an epoch. Here they are arranged so that the
        // shuffled order is the order in which they were drawn.
        let train = drawn.len();
        let mut order: Vec<usize> = (0..train).collect();
        order.shuffle(&mut NoiseRng::new(NoiseKey::new(SEED, TRAINING_ORDER, 1)));
        let mut windows = drawn.clone();
        order.iter().zip(drawn).for_each(|(&place, window)| windows[place] = window);
        windows.extend(data.splits().validation.iter().take(BATCH));
        let splits = [(0..train).collect(), (train..windows.len()).collect(), vec![]];
        Self { data, windows, splits }
    }
}

impl Examples<f32> for Drawn<'_> {
    type Index = usize;
    type Buffers = <Dataset as Examples<f32>>::Buffers;
    type Batch<'a> = Batch<'a, f32>;

    fn split(&self, split: Split) -> &[usize] {
        &self.splits[split as usize]
    }

    fn fill<'a>(
        &self,
        buffers: &'a mut Self::Buffers,
        examples: &[usize],
        request: Request,
    ) -> Result<Batch<'a, f32>, TrainError> {
        let windows: Vec<_> = examples.iter().map(|&i| self.windows[i]).collect();
        self.data.fill(buffers, &windows, request)
    }
}

/// Runs one controller, and returns the mean score over the last fifth in nats per time step.
/// `wanted` is the goal of GECO.
fn run(name: &str, steps: usize, units: usize, skip: bool, wanted: f64) -> Result<f64, Failure> {
    let mut config = RunConfig::default();
    (config.train.learning_rate, config.train.seed) = (1e-3, SEED);
    (config.train.epochs, config.train.batch) = (1, BATCH);
    config.train.selection = Selection::Last;
    config.control.mode = ControlName::None;
    config.data.extra_lag = name == "AR share";
    (config.model.units, config.model.skip) = (units, skip);
    (config.model.hidden, config.model.head_hidden) = (32, 32);
    let data = config.data.dataset(config.data.load_table()?)?;
    let drawn = Drawn::new(&data, BEFORE + steps);
    let forecaster = config.forecaster_for(&data)?;
    let (model, mut parameters) = Forecaster::new::<f32>(forecaster, 0)?;
    let mut control = LayerControl::new(
        units,
        1,
        LayerControlConfig { beta: 1e-4, ..LayerControlConfig::default() },
    );
    let (set, inner, every) = parts(name, units, wanted)?;
    let (measure, value) = controlled(name);
    let seen = Trace::default();
    let later = Later {
        set,
        inner,
        every,
        on: false,
        measure: value,
        ar_weight: 0.0,
        trace: Arc::clone(&seen),
    };
    control.add(later, Timing::ALWAYS)?;
    let trainer = config.trainer();
    let mut session = trainer.session(&model, &mut parameters, &drawn)?;
    *session.controllers() = StackControl::new(vec![Some(control)]);
    session.run(|_| {})?;
    let seen = seen.lock().map_err(|_| "a step panicked")?;
    let (trace, scores): (Vec<f64>, Vec<f64>) = seen.iter().map(|&[a, b]| (a, b)).unzip();
    let windows: Vec<f64> = trace.chunks_exact(WINDOW).map(mean).collect();
    let split = BEFORE / WINDOW;
    let after = &windows[split..];
    // Without a penalty before, the first share after switching on is used.
    let before = if name == "AR share" { after[0] } else { mean(&windows[split - 5..split]) };
    let tail = &after[4 * after.len() / 5..];
    let last = mean(tail);
    let noise = mean(&tail.iter().map(|x| (x - last).powi(2)).collect::<Vec<_>>()).sqrt();
    let step = last - before;
    let near = (0.1 * step.abs()).max(2.0 * noise);
    let settled = after.iter().rposition(|x| (x - last).abs() > near).map_or(0, |i| i + 1);
    let beyond = after.iter().map(|x| (x - last) * step.signum()).fold(0.0, f64::max);
    let (cycle, amplitude) = cycle(&after[after.len() / 2..]);
    let score = mean(&scores[scores.len() - steps / 5..]);
    let limit = cycle > 0.5 && amplitude > 0.05 * last;
    println!(
        "| {name} | {measure} | {before:.3} | {last:.4} | {score:.4} | {} | {:.0} % | {noise:.4} | {cycle:.2} | {amplitude:.4} | {} |",
        settled * WINDOW,
        100.0 * (beyond - 2.0 * noise).max(0.0) / step.abs(),
        if limit { "yes" } else { "no" }
    );
    Ok(score)
}

fn mean(x: &[f64]) -> f64 {
    x.iter().sum::<f64>() / x.len() as f64
}

/// The largest autocorrelation at lags of 4 to 40 after the first crossing of zero, and the
/// amplitude, `sqrt 2` deviations.
fn cycle(x: &[f64]) -> (f64, f64) {
    let centre = mean(x);
    let x: Vec<f64> = x.iter().map(|x| x - centre).collect();
    let variance = mean(&x.iter().map(|x| x * x).collect::<Vec<_>>());
    let of = |lag: usize| {
        x.iter().zip(&x[lag..]).map(|(a, b)| a * b).sum::<f64>() / (x.len() - lag) as f64 / variance
    };
    let lags: Vec<f64> = (4..=40.min(x.len() / 2)).map(of).collect();
    let crossed = lags.iter().position(|&c| c < 0.0).unwrap_or(lags.len());
    (lags[crossed..].iter().copied().fold(0.0, f64::max), (2.0 * variance).sqrt())
}
