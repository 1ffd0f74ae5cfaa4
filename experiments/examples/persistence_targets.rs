//! Tests whether targets for the memory of units are met, independently of targets for their
//! information. The data are synthetic series of four autoregressive channels with observation
//! noise. The experiments are persistence targets alone, the grid of rate and persistence targets
//! together (closed loop), and the relative-gain matrix (open loop).
//!
//! ```sh
//! cargo run --release -p vdn-experiments --example persistence_targets -- [steps] [rate target] [persistence target]
//! cargo run --release -p vdn-experiments --example persistence_targets -- [steps] gains
//! ```
//!
//! Eight units with an autoregressive prior read the last four observations through a tanh layer. A
//! linear map forecasts only the present (the observations that the units encode). The loss is the
//! bound in nats per step. `rate` is the rate given the past.
//!
//! Measures come from 16 groups of 8 fresh series of 64 steps; standard errors are over the groups.
//! A cell is met if the means over units are within `0.05 c + 2 SE` (rate) and `0.05 + 2 SE`
//! (persistence), and 95 % of the units are within `0.2 c + 2 SE` of the rate.
//!
//! Relative gains: at the operating point (rate 0.5, persistence 0.6) all multipliers are held
//! constant, plus and minus a tenth of a nat per nat on one constraint. The stiffness is off. The
//! gains `K` are the changes of the means of `ln R` and `atanh rho`. The matrix is the elementwise
//! product `K * (K^-1)^T`.

use std::cell::RefCell;
use vdn_autograd::{Tape, Var};
use vdn_model::controllers::{
    ConstraintConfig, Goal, LayerControl, LayerControlConfig, PersistenceConfig, PersistenceTarget,
    RateBudget, Timing,
};
use vdn_model::core::{Bindings, Builder, Graph, Mode, ModelError, Parameters};
use vdn_model::modules::Linear;
use vdn_model::objective::SequenceMeasures;
use vdn_model::priors::{OrderOne, OrderOneConfig, Prior};
use vdn_model::sequence::{
    SequenceLayer, SequenceLayerConfig, StepInput, Unroll, filter, sequence_measures,
};
use vdn_model::units::{Layers, MAX_DEPTH};
use vdn_tensor::noise::NoiseKey;
use vdn_train::TrainError;
use vdn_train::config::{Selection, TrainConfig};
use vdn_train::data::{Examples, Request, Split};
use vdn_train::optim::{Decay, Schedule};
use vdn_train::train::{Locals, Network, Terms, Trainer};

type Failure = Box<dyn std::error::Error>;

const UNITS: usize = 8;
const CHANNELS: usize = 4;
const LAGS: usize = 4;
const HIDDEN: usize = 32;
const STEPS: usize = 24;
const BATCH: usize = 32;
const LONG: usize = 64;
const GROUPS: usize = 16;
/// Stiffness and gain of the rate constraint. At low rates the slope of the bound changes by tens
/// of nats per nat, and the integral must follow it within a training.
const RATE: [f64; 2] = [50.0, 5.0];
/// Stiffness and gain of the persistence constraint.
const PERSISTENCE: [f64; 2] = [5.0, 0.5];

/// Series of `steps` steps in a batch of `batch`, `[steps][batch, channels]`: coefficients 0.95,
/// 0.8, 0.5, 0.2, unit variance, noise 0.3.
fn series(key: NoiseKey, batch: usize, steps: usize) -> Vec<Vec<f64>> {
    let width = batch * CHANNELS;
    let mut noise = vec![0.0; 2 * (steps + 50) * width];
    key.fill_normal(0, &mut noise);
    let (innovations, errors) = noise.split_at((steps + 50) * width);
    let mut state = vec![0.0; width];
    let mut out = Vec::new();
    for (t, (e, o)) in innovations.chunks_exact(width).zip(errors.chunks_exact(width)).enumerate() {
        for (i, x) in state.iter_mut().enumerate() {
            let phi: f64 = [0.95, 0.8, 0.5, 0.2][i % CHANNELS];
            *x = phi * *x + (1.0 - phi * phi).sqrt() * e[i];
        }
        if t >= 50 {
            out.push(state.iter().zip(o).map(|(x, o)| x + 0.3 * o).collect());
        }
    }
    out
}

#[derive(Clone)]
struct Model {
    hidden: Linear,
    layer: SequenceLayer,
    decoder: Linear,
    prior: Prior,
}

impl Model {
    fn new() -> Result<(Self, Parameters<f64>), Failure> {
        let mut parameters = Parameters::new();
        let mut builder = Builder::new(&mut parameters, 3);
        let hidden = Linear::new(&mut builder, "hidden", LAGS * CHANNELS, HIDDEN);
        let prior = Prior::OrderOne(OrderOne::new(&mut builder, UNITS, OrderOneConfig::default())?);
        let config = SequenceLayerConfig::new(HIDDEN, UNITS);
        let layer = SequenceLayer::new(&mut builder, prior, config)?;
        let decoder = Linear::new(&mut builder, "decoder", UNITS, CHANNELS);
        Ok((Self { hidden, layer, decoder, prior }, parameters))
    }

    /// The loss of the bound in nats per step, and the measures.
    fn loss(
        &self,
        graph: &mut Graph<'_, f64>,
        x: &[Vec<f64>],
    ) -> Result<(Var, SequenceMeasures), ModelError> {
        let batch = x[0].len() / CHANNELS;
        let mut inputs = Vec::new();
        for t in LAGS - 1..x.len() {
            let mut rows = Vec::with_capacity(batch * LAGS * CHANNELS);
            for row in 0..batch {
                for lag in 0..LAGS {
                    rows.extend_from_slice(&x[t - lag][row * CHANNELS..][..CHANNELS]);
                }
            }
            let context = graph.tape.constant([batch, LAGS * CHANNELS], &rows)?;
            let context = self.hidden.forward(graph, context)?;
            let context = graph.tape.tanh(context)?;
            inputs.push(StepInput { context, missing: None, gap: 1 });
        }
        let messages = self.layer.messages(graph, &inputs)?;
        let (samples, key) = (2, graph.noise(self.layer.stream()));
        let unrolled = filter(graph, self.prior, &messages, Unroll::new(samples, key))?;
        let measures = sequence_measures(graph, self.prior, &messages, &unrolled)?;
        let mut loss = unrolled.total_kl(graph)?;
        for (z, x) in unrolled.z.iter().zip(&x[LAGS - 1..]) {
            let said = self.decoder.forward(graph, *z)?;
            let x = graph.tape.constant([batch, CHANNELS], x)?;
            let distance = graph.tape.sub(said, x)?;
            let square = graph.tape.square(distance)?;
            let mean = graph.tape.mean(square)?;
            let cost = graph.tape.scale(mean, 0.5 * CHANNELS as f64 / 0.25)?;
            loss = graph.tape.add(loss, cost)?;
        }
        let loss = graph.tape.scale(loss, 1.0 / inputs.len() as f64)?;
        Ok((loss, measures))
    }
}

/// The forces on the measures in addition to the bound.
enum Pull<'a> {
    /// Controllers.
    Closed(&'a mut LayerControl),
    /// Constant forces on `R` and `atanh rho` of each unit.
    Open([Vec<f64>; 2]),
}

impl Pull<'_> {
    /// Adds the forces to a loss.
    fn add(
        &mut self,
        tape: &mut Tape<f64>,
        mut loss: Var,
        measures: &SequenceMeasures,
    ) -> Result<Var, ModelError> {
        match self {
            Self::Closed(control) => {
                if let Some(term) = control.levers().objective.record_sequence(tape, measures)? {
                    loss = tape.add(loss, term)?;
                }
                control.observe_sequence(tape, measures);
            }
            Self::Open([rate, persistence]) => {
                let above = tape.add_scalar(measures.persistence, 1.0)?;
                let below = tape.neg(measures.persistence)?;
                let below = tape.add_scalar(below, 1.0)?;
                let ratio = tape.div(above, below)?;
                let twice = tape.ln(ratio)?;
                let fisher = tape.scale(twice, 0.5)?;
                for (measure, force) in [(measures.rate, rate), (fisher, persistence)] {
                    let force = tape.constant([UNITS], force)?;
                    let work = tape.mul(measure, force)?;
                    let work = tape.sum(work)?;
                    loss = tape.add(loss, work)?;
                }
            }
        }
        Ok(loss)
    }
}

/// The model in the form of the trainer's network. It has no layers for the trainer, because in the
/// open loop constant forces replace the controllers. The forces are part of this network, and
/// observe every training step.
struct Pulled<'a> {
    model: &'a Model,
    pull: RefCell<Pull<'a>>,
}

impl Network<f64> for Pulled<'_> {
    type Batch<'a> = &'a [Vec<f64>];

    fn loss(
        &self,
        graph: &mut Graph<'_, f64>,
        batch: &&[Vec<f64>],
        _locals: &Locals<'_>,
    ) -> Result<Terms, ModelError> {
        let (score, measures) = self.model.loss(graph, batch)?;
        let loss = self.pull.borrow_mut().add(graph.tape, score, &measures)?;
        Ok(terms(loss, score))
    }

    fn layers(&self) -> Layers<'_> {
        Layers::default()
    }

    fn scores(&self, graph: &mut Graph<'_, f64>, batch: &&[Vec<f64>]) -> Result<Terms, ModelError> {
        let (score, _) = self.model.loss(graph, batch)?;
        Ok(terms(score, score))
    }
}

fn terms(loss: Var, score: Var) -> Terms {
    let (outputs, locals) = ([None; MAX_DEPTH], [None; MAX_DEPTH]);
    Terms { loss, score, mse: None, kl: None, outputs, locals }
}

/// Fresh series for every step. An example is a group of series, and a group is a batch.
struct Fresh([Vec<u32>; 3]);

impl Examples<f64> for Fresh {
    type Index = u32;
    type Buffers = Vec<Vec<f64>>;
    type Batch<'a> = &'a [Vec<f64>];

    fn split(&self, split: Split) -> &[u32] {
        &self.0[split as usize]
    }

    fn fill<'a>(
        &self,
        buffers: &'a mut Vec<Vec<f64>>,
        examples: &[u32],
        _request: Request,
    ) -> Result<&'a [Vec<f64>], TrainError> {
        let &[group] = examples else { return Err(TrainError::config("one group is a batch")) };
        *buffers = series(NoiseKey::new(2, 1, group), BATCH, STEPS + LAGS);
        Ok(buffers)
    }
}

fn train(
    model: &Model,
    parameters: &mut Parameters<f64>,
    pull: Pull<'_>,
    steps: usize,
) -> Result<(), Failure> {
    let last = steps as u32;
    let data = Fresh([(0..last).collect(), vec![last], vec![]]);
    let network = Pulled { model, pull: RefCell::new(pull) };
    let train = TrainConfig {
        epochs: 1,
        batch: 1,
        learning_rate: 1e-2,
        seed: 1,
        selection: Selection::Last,
        ..TrainConfig::default()
    };
    let schedule = Schedule { decay: Decay::Linear, final_factor: 0.02, ..Schedule::default() };
    let trainer = Trainer { train, schedule, ..Trainer::default() };
    // This runs between the backward pass and the optimiser.
    let act = |_: &mut [Option<Vec<f64>>]| {
        if let Pull::Closed(control) = &mut *network.pull.borrow_mut() {
            control.act_on_levers();
        }
    };
    trainer.session(&network, parameters, &data)?.on_gradients(act).run(|_| {})?;
    Ok(())
}

/// The rate and persistence of each unit in each group of fresh series, `[groups][2][units]`.
fn measure(model: &Model, parameters: &Parameters<f64>) -> Result<Vec<[Vec<f64>; 2]>, Failure> {
    let (mut tape, mut bindings) = (Tape::new(), Bindings::new());
    let mut groups = Vec::new();
    for group in 0..GROUPS as u32 {
        tape.reset();
        let key = NoiseKey::new(11, 0, group);
        let x = series(NoiseKey::new(12, 1, group), 8, LONG + LAGS);
        let mut graph = Graph::new(&mut tape, parameters, &mut bindings, Mode::Evaluate, key);
        let (_, measures) = model.loss(&mut graph, &x)?;
        groups
            .push([measures.rate, measures.persistence].map(|var| tape.value(var).data().to_vec()));
    }
    Ok(groups)
}

/// The mean and its standard error over groups.
fn over_groups(x: impl Iterator<Item = f64>) -> [f64; 2] {
    let x: Vec<f64> = x.collect();
    let n = x.len() as f64;
    let mean = x.iter().sum::<f64>() / n;
    let variance = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1.0);
    [mean, (variance / n).sqrt()]
}

fn mean(x: &[f64]) -> f64 {
    x.iter().sum::<f64>() / x.len() as f64
}

fn controllers(prior: Prior, rate: Option<f64>, rho: Option<f64>) -> Result<LayerControl, Failure> {
    let mut control = LayerControl::new(UNITS, 1, LayerControlConfig::default());
    let every = Timing { warmup: 0, every: 5 };
    if let Some(rate) = rate {
        let goal = Goal::Target(rate);
        let config = ConstraintConfig {
            goal,
            stiffness: RATE[0],
            gain: RATE[1],
            limit: 50.0,
            ..ConstraintConfig::default()
        };
        control.add(RateBudget::new(UNITS, config)?, every)?;
    }
    if let Some(rho) = rho {
        let config = PersistenceConfig {
            stiffness: PERSISTENCE[0],
            gain: PERSISTENCE[1],
            limit: 50.0,
            ..PersistenceConfig::new(Goal::Target(rho))
        };
        control.add(PersistenceTarget::new(UNITS, prior, config)?, every)?;
    }
    Ok(control)
}

fn cell(rate: Option<f64>, rho: Option<f64>, steps: usize) -> Result<(), Failure> {
    let (model, mut parameters) = Model::new()?;
    let mut control = controllers(model.prior, rate, rho)?;
    train(&model, &mut parameters, Pull::Closed(&mut control), steps)?;
    let groups = measure(&model, &parameters)?;
    let [r, r_se] = over_groups(groups.iter().map(|g| mean(&g[0])));
    let [p, p_se] = over_groups(groups.iter().map(|g| mean(&g[1])));
    let unit = |measure: usize, i: usize| over_groups(groups.iter().map(|g| g[measure][i]));
    let share = |within: &dyn Fn(usize) -> bool| {
        100.0 * (0..UNITS).filter(|&i| within(i)).count() as f64 / UNITS as f64
    };
    let rate_units = rate
        .map_or(100.0, |c| share(&|i| (unit(0, i)[0] - c).abs() <= 0.2 * c + 2.0 * unit(0, i)[1]));
    let rho_units =
        rho.map_or(100.0, |c| share(&|i| (unit(1, i)[0] - c).abs() <= 0.05 + 2.0 * unit(1, i)[1]));
    let rate_met =
        rate.is_none_or(|c| (r - c).abs() <= 0.05 * c + 2.0 * r_se && rate_units >= 95.0);
    let rho_met = rho.is_none_or(|c| (p - c).abs() <= 0.05 + 2.0 * p_se);
    let name = |x: Option<f64>| x.map_or("-".to_owned(), |x| x.to_string());
    println!(
        "| {} | {} | {r:.4} +- {r_se:.4} | {rate_units:.0} % | {p:.3} +- {p_se:.3} | {rho_units:.0} % | {} |",
        name(rate),
        name(rho),
        if rate_met && rho_met { "yes" } else { "no" }
    );
    Ok(())
}

fn relative_gains(steps: usize) -> Result<(), Failure> {
    let (model, mut parameters) = Model::new()?;
    let mut control = controllers(model.prior, Some(0.5), Some(0.6))?;
    train(&model, &mut parameters, Pull::Closed(&mut control), steps)?;
    let objective = &control.levers().objective;
    let held = [&objective.rate, &objective.persistence]
        .map(|c| c.as_ref().map_or_else(Vec::new, |c| c.multipliers()[0].to_vec()));
    let outputs = |forces: [Vec<f64>; 2]| -> Result<[f64; 2], Failure> {
        let mut parameters = parameters.clone();
        train(&model, &mut parameters, Pull::Open(forces), steps)?;
        let groups = measure(&model, &parameters)?;
        let log_rate = over_groups(groups.iter().map(|g| mean(&g[0]).ln()))[0];
        let memory = over_groups(groups.iter().map(|g| mean(&g[1]).atanh()))[0];
        Ok([log_rate, memory])
    };
    let mut k = [[0.0; 2]; 2];
    for input in 0..2 {
        let mut at = [[0.0; 2]; 2];
        for (side, by) in [(0, -0.1), (1, 0.1)] {
            let mut forces = held.clone();
            forces[input].iter_mut().for_each(|force| *force += by);
            at[side] = outputs(forces)?;
        }
        for output in 0..2 {
            k[output][input] = (at[1][output] - at[0][output]) / 0.2;
        }
    }
    let diagonal = 1.0 / (1.0 - k[0][1] * k[1][0] / (k[0][0] * k[1][1]));
    println!(
        "\nmultipliers held: rate {:.3}, persistence {:.3} on average",
        mean(&held[0]),
        mean(&held[1])
    );
    println!("gains of (ln R, atanh rho) by (rate, persistence): {k:.3?}");
    println!("relative gains: {diagonal:.3} on the diagonal, {:.3} beside it", 1.0 - diagonal);
    Ok(())
}

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let steps = arguments.first().map_or(Ok(1000), |text| text.parse())?;
    if arguments.get(1).is_some_and(|text| text == "gains") {
        return relative_gains(steps);
    }
    println!(
        "| rate target | persistence target | rate | units within | persistence | units within | met |"
    );
    println!("|---|---|---|---|---|---|---|");
    if let [_, rate, rho] = &arguments[..] {
        return cell(Some(rate.parse()?), Some(rho.parse()?), steps);
    }
    cell(None, None, steps)?;
    for rho in [0.3, 0.6, 0.9] {
        cell(None, Some(rho), steps)?;
    }
    for rate in [0.05, 0.1, 0.5, 1.0, 2.0] {
        for rho in [0.3, 0.6, 0.9] {
            cell(Some(rate), Some(rho), steps)?;
        }
    }
    relative_gains(steps)
}
