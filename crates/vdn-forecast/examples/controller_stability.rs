//! One job, the controllers: how soon each settles, how far it overshoots, whether it goes round in circles.
//!
//! ```sh
//! cargo run --release -p vdn-forecast --example controller_stability -- [steps] [units] [skip=false]
//! ```
//!
//! A forecaster on the embedded daily weather, constant learning rate, 600 steps with a constant beta of 1e-4; then each
//! controller is switched on. Those of the KL hold it at 0.2 nats per unit: free bits by a floor of 0.2 under a beta of 1e-2,
//! the capacity target by 0.2 nats for each of the units. GECO asks for a score instead: the one that the augmented Lagrangian
//! had in its last fifth, with the KL at 0.2. The rate budget holds the rate at 0.2 nats per dimension; the band penalty,
//! homeostat and projection hold the energy in one band around 0.2 for all units; AR-share control holds the share of the AR
//! penalty in the loss at 0.01 (windows overlap, so that their means are alike: no weight makes the share larger than 0.03). With `skip=false` the forecast has no linear part beside the units, so that the score needs them.
//! Measured is what the controller controls, in windows of 10 steps, a mean over units; the final value is the mean over the
//! last fifth.
//!
//! * settling: the last window that is farther than 10 % of the step (from the value before to the final one) or twice the
//!   noise from the final value; noise: the standard deviation over the last fifth;
//! * overshoot: the farthest beyond the final value before settling, in % of the step;
//! * cycle: the largest autocorrelation of the last half at lags of 4 to 40 windows, after a first crossing of zero; a limit
//!   cycle would be above 0.5 with an amplitude above 5 % of the final value.

use vdn_autograd::Tape;
use vdn_forecast::RunConfig;
use vdn_forecast::data::WindowIndex;
use vdn_forecast::{Batch, Forecaster, LossOptions};
use vdn_model::controllers::{
    ArShare, ArShareConfig, BandConfig, BandShape, BetaThermostat, Capacity, ConstraintConfig,
    EnergyBand, FreeBits, Geco, GecoConfig, Goal, Hinge, HingeForm, Homeostat, HomeostatConfig,
    KlBudget, LayerControl, LayerControlConfig, LossValues, Observation, Pi, PiConfig, Projection,
    ProjectionConfig, Ramp, RateBudget, ThermostatConfig, Timing,
};
use vdn_model::objective::local_objectives;
use vdn_model::{ArScale, ArTerm, BandTerm, Bindings, EarlierWindow, Graph, Mode};
use vdn_tensor::noise::NoiseKey;
use vdn_train::{AdamW, AdamWConfig};

type Failure = Box<dyn std::error::Error>;

const WINDOW: usize = 10;
const BEFORE: usize = 600;
const BATCH: usize = 64;

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

fn add(control: &mut LayerControl, name: &str, units: usize, score: f64) -> Result<(), Failure> {
    let every = Timing { warmup: 0, every: 5 };
    match name {
        "thermostat" => {
            let config = ThermostatConfig {
                low: 0.19,
                high: 0.21,
                initial: 1e-4,
                max: 1.0,
                ..ThermostatConfig::default()
            };
            control.add(BetaThermostat::new(units, config)?, every)?;
        }
        "PI" => control.add(Pi::new(units, 1e-4, PiConfig::default())?, every)?,
        "augmented Lagrangian" => {
            let goal = Goal::Target(0.2);
            control.add(
                KlBudget::new(units, ConstraintConfig { goal, ..ConstraintConfig::default() })?,
                every,
            )?;
        }
        "free bits" => {
            control.levers_mut().objective.beta.fill(1e-2);
            control.add(FreeBits::new(0.2)?, every)?;
        }
        "capacity" => {
            let ramp = Ramp { warmup: 0, length: 0 };
            let target = 0.2 * units as f64;
            control.add(Capacity::new(1e-2, target, ramp)?, Timing::ALWAYS)?;
        }
        "GECO" => {
            let config =
                GecoConfig { tolerance: score, initial: 1e-4, min: 1e-6, max: 1.0, gain: 2.0 };
            control.add(Geco::new(config)?, every)?;
        }
        "rate budget" => {
            let goal = Goal::Target(0.2);
            let config = ConstraintConfig { goal, ..ConstraintConfig::default() };
            control.add(RateBudget::new(units, config)?, every)?;
        }
        "AR share" => {
            control.levers_mut().objective.autoregression = Some(ArTerm {
                weight: 0.0,
                ramp: 1.0,
                phi: 0.95,
                sigma: ArScale::default().from_width(0.5),
                earlier: EarlierWindow::Predecessor,
            });
            let config = ArShareConfig {
                weight: 0.1,
                target: 0.01,
                cap: None,
                gain: 3.0,
                min: 1e-4,
                ..ArShareConfig::default()
            };
            control.add(ArShare::new(config)?, every)?;
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
            control.levers_mut().objective.band =
                Some(BandTerm { bounds: EnergyBand::new(units, &band)?, hinge, weight });
            match name {
                "homeostat" => control.add(Homeostat::new(HomeostatConfig::default())?, every)?,
                "projection" => {
                    control.add(Projection::new(units, ProjectionConfig::default())?, every)?;
                }
                _ => {}
            }
        }
    }
    Ok(())
}

/// What a controller controls: its name, and its value in a step.
fn controlled(name: &str, control: &LayerControl) -> (&'static str, f64) {
    let seen: &Observation = control.observation();
    let mean = |x: &[f64]| mean(x);
    match name {
        "rate budget" => ("rate", mean(&seen.rate_dims)),
        "band penalty" | "homeostat" | "projection" => ("energy", mean(&seen.energy)),
        "AR share" => {
            let weight = control.levers().objective.autoregression.map_or(0.0, |ar| ar.weight);
            let LossValues { nll, weighted_kl, ar, .. } = seen.losses;
            ("share", weight * ar / (nll.abs() + weighted_kl + weight * ar))
        }
        _ => ("KL", mean(&seen.kl)),
    }
}

/// The mean score over the last fifth, nats per time step; `wanted` is the one that GECO asks for.
fn run(name: &str, steps: usize, units: usize, skip: bool, wanted: f64) -> Result<f64, Failure> {
    let mut config = RunConfig::default();
    config.train.learning_rate = 1e-3;
    config.data.extra_lag = name == "AR share";
    (config.model.units, config.model.skip) = (units, skip);
    (config.model.hidden, config.model.head_hidden) = (32, 32);
    let data = config.data.dataset(config.data.load_table()?)?;
    let mut forecaster = config.forecaster()?;
    forecaster.emit_kl = true;
    let (model, mut parameters) = Forecaster::new::<f32>(forecaster, 0)?;
    let mut optimizer = AdamW::new(AdamWConfig::default(), &parameters)?;
    let (mut tape, mut bindings) = (Tape::new(), Bindings::new());
    let mut control = LayerControl::new(
        units,
        1,
        LayerControlConfig { beta: 1e-4, ..LayerControlConfig::default() },
    );
    let all = &data.splits().train;
    let (l, h) = (data.spec().input_len, data.spec().horizon);
    let [mut current, mut previous] = [(); 2].map(|()| vec![0.0_f32; BATCH * l]);
    let mut target = vec![0.0_f32; BATCH * h];
    let mut earlier = vec![0.0_f32; BATCH * l];
    let (mut trace, mut scores, mut measure) = (Vec::new(), Vec::new(), "");
    for step in 0..BEFORE + steps {
        if step == BEFORE {
            add(&mut control, name, units, wanted)?;
        }
        let mut chosen = vec![0.0_f64; BATCH];
        NoiseKey::new(9, 1, step as u32).fill_uniform(0, &mut chosen);
        let place = |u: &f64| ((u * all.len() as f64) as usize).min(all.len() - 1);
        let windows: Vec<WindowIndex> = chosen.iter().map(|u| all[place(u)]).collect();
        data.fill_batch(&windows, &mut current, &mut previous, &mut target, |x| x as f32)?;
        if data.spec().extra_lag {
            data.fill_inputs(&windows, 2, &mut earlier, |x| x as f32)?;
        }
        let batch =
            Batch { current: &current, previous: &previous, target: &target, earlier: None };
        tape.reset();
        if step == 0 {
            model.initialize(&mut parameters, &batch)?;
        }
        let key = NoiseKey::new(1, 0, step as u32);
        let mut graph = Graph::new(&mut tape, &parameters, &mut bindings, Mode::Train, key);
        let options = LossOptions {
            locals: local_objectives([Some(&control.levers().objective)]),
            earlier: data.spec().extra_lag.then_some(&earlier[..]),
            ..LossOptions::default()
        };
        let terms = model.loss_with(&mut graph, &batch, &options)?;
        let layer = terms.outputs[0].ok_or("no layer")?;
        let local = terms.locals[0].ok_or("no terms")?;
        let nll = f64::from(tape.scalar(terms.score)?);
        scores.push(nll);
        let weighted_kl = f64::from(tape.scalar(local.weighted_kl)?);
        let ar = local.ar.map_or(Ok(0.0), |ar| tape.scalar(ar).map(f64::from))?;
        control.observe(
            &tape,
            model.layer(),
            &layer,
            LossValues { nll, weighted_kl, ar, ..LossValues::default() },
        );
        let value;
        (measure, value) = controlled(name, &control);
        trace.push(value);
        tape.backward(terms.loss)?;
        tape.release_shared();
        let gradients =
            (0..parameters.len()).map(|i| tape.gradient(bindings.get(i)?).map(|g| g.data()));
        optimizer.step(&mut parameters, 1e-3, gradients)?;
        control.act(model.layer(), &mut parameters);
    }
    let windows: Vec<f64> = trace.chunks_exact(WINDOW).map(mean).collect();
    let split = BEFORE / WINDOW;
    let after = &windows[split..];
    // The share of a penalty that was not there is that of its first weight.
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

/// The largest autocorrelation at lags of 4 to 40 behind the first crossing of zero, and the amplitude `sqrt 2` deviations.
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
