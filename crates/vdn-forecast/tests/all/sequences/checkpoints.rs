//! Checkpointed unrolling: the same bits as with one tape, less memory, and long sequences.

use crate::sequences::forecaster::{BATCH, KEY, data, order_one, order_three, scatter, small};
use std::time::Instant;
use vdn_autograd::{Error, Tape, Var};
use vdn_forecast::sequence::{
    EmissionFamily, PriorConfig, SequenceForecaster, SequenceForecasterConfig, SequenceObjective,
    Series,
};
use vdn_model::core::{Bindings, Builder, Graph, Init, Mode, ModelError, ParameterId, Parameters};
use vdn_model::priors::{OrderOne, OrderOneConfig, PersistenceStart, Prior};
use vdn_model::sequence::{
    Checkpoints, Posterior, Recurrence, Rollout, Taken, checkpointed, rollout, unroll_terms,
};
use vdn_tensor::Element;

const HOW: Checkpoints = Checkpoints { segment: None, mode: Mode::Train, noise: KEY };

/// The bits of each gradient.
type Gradients = Vec<Option<Vec<u64>>>;

/// Returns all gradients, and the memory of the tape.
fn one_tape<T: Element>(
    model: &SequenceForecaster,
    parameters: &Parameters<T>,
    series: Series<'_, T>,
    objective: SequenceObjective,
) -> Result<(Gradients, usize), ModelError> {
    let (mut tape, mut bindings) = (Tape::new(), Bindings::new());
    let mut graph = Graph::new(&mut tape, parameters, &mut bindings, Mode::Train, KEY);
    let loss = model.loss(&mut graph, series, objective)?;
    tape.backward(loss.loss)?;
    let gradient = |index| bindings.get(index).and_then(|var| tape.gradient(var));
    let all = (0..parameters.len()).map(|i| gradient(i).map(|g| bits(g.data()))).collect();
    Ok((all, tape.memory()))
}

fn bits<T: Element>(x: &[T]) -> Vec<u64> {
    x.iter().map(|x| x.to_f64().to_bits()).collect()
}

fn same_bits<T: Element>(config: SequenceForecasterConfig, name: &str) -> Result<(), ModelError> {
    let missing = config.posterior == Posterior::Structured;
    let (model, mut parameters) = SequenceForecaster::new::<T>(config, 3)?;
    scatter(&mut parameters);
    let [x, covariates] = data(model.config(), 107, missing);
    let series = Series::new(model.config(), &x, &covariates, BATCH)?;
    let objective = SequenceObjective { samples: 2, beta: 0.6 };
    let (want, _) = one_tape(&model, &parameters, series, objective)?;
    assert!(want.iter().flatten().flatten().any(|&bits| bits != 0), "{name}");
    let mut tape = Tape::new();
    // Seven blocks.
    for segment in [None, Some(1), Some(2), Some(5), Some(7), Some(100)] {
        let how = Checkpoints { segment, ..HOW };
        let got = model.checkpointed(&mut tape, &parameters, series, objective, how)?;
        for ((parameter, got), want) in parameters.iter().zip(got.slices()).zip(&want) {
            let got = got.map(bits);
            assert_eq!(got, *want, "{name}, segments of {segment:?}: {}", parameter.name());
        }
    }
    Ok(())
}

#[test]
fn checkpointed_gradients_have_the_bits_of_one_tape() -> Result<(), ModelError> {
    let prior = |prior| SequenceForecasterConfig { prior, ..small() };
    let posterior = |posterior, prior| SequenceForecasterConfig { posterior, prior, ..small() };
    let emission = EmissionFamily::StudentT(3.0);
    let cases = [
        ("order one", prior(order_one())),
        ("order three", prior(order_three())),
        ("standard", prior(PriorConfig::StandardNormal)),
        ("learned", prior(PriorConfig::LearnedNormal)),
        ("mean field", posterior(Posterior::MeanField, order_one())),
        ("mean field, order three", posterior(Posterior::MeanField, order_three())),
        ("penalty", posterior(Posterior::Penalty, order_one())),
        ("student t", SequenceForecasterConfig { emission, ..small() }),
    ];
    for (name, config) in cases {
        same_bits::<f32>(config.clone(), name)?;
        same_bits::<f64>(config, name)?;
    }
    Ok(())
}

/// A test recurrence: two states, one of which passes some steps unchanged; a value that all steps
/// share; a parameter used both directly and through that value; and a term that does not depend on
/// the first step.
struct Own {
    weight: ParameterId,
    other: ParameterId,
}

impl Recurrence<f32> for Own {
    fn shared(&self, graph: &mut Graph<'_, f32>) -> Result<Vec<Var>, Error> {
        let weight = graph.parameter(self.weight);
        Ok(vec![graph.tape.tanh(weight)?])
    }

    fn step(
        &self,
        graph: &mut Graph<'_, f32>,
        t: usize,
        shared: &[Var],
        state: &[Var],
    ) -> Result<Taken, Error> {
        let x = graph.tape.constant([3], &[0.3, -0.2, 0.1 * t as f32])?;
        let &[slow, fast] = state else {
            let zero = graph.tape.constant([], &[0.0])?;
            return Ok(Taken { state: vec![x, x], terms: vec![zero, zero] });
        };
        let weight = graph.parameter(self.weight);
        let moved = graph.tape.mul(fast, shared[0])?;
        let moved = graph.tape.add(moved, x)?;
        let fast = graph.tape.mul(moved, weight)?;
        let slow = if t.is_multiple_of(4) { graph.tape.add(slow, fast)? } else { slow };
        let product = graph.tape.mul(slow, fast)?;
        let first = graph.tape.sum(product)?;
        let second = if t.is_multiple_of(3) {
            let other = graph.parameter(self.other);
            let product = graph.tape.mul(other, product)?;
            graph.tape.sum(product)?
        } else {
            graph.tape.constant([], &[1.0])?
        };
        Ok(Taken { state: vec![slow, fast], terms: vec![first, second] })
    }
}

#[test]
fn any_recurrence_has_the_same_bits_in_segments_of_any_length() -> Result<(), ModelError> {
    let mut parameters = Parameters::<f32>::new();
    let mut builder = Builder::new(&mut parameters, 4);
    let weight = builder.add("weight", [3], Init::Spaced(0.2, 0.9));
    let own = Own { weight, other: builder.add("other", [3], Init::Spaced(-1.0, 1.0)) };
    builder.add("unused", [2], Init::Constant(1.0));
    let (mut tape, mut bindings, weights) = (Tape::new(), Bindings::new(), [0.7, -0.3]);
    for steps in 1..14 {
        tape.reset();
        let mut graph = Graph::new(&mut tape, &parameters, &mut bindings, Mode::Train, KEY);
        let totals = unroll_terms(&mut graph, &own, steps)?;
        let values = totals.iter().map(|&t| tape.scalar(t)).collect::<Result<Vec<_>, _>>()?;
        let seeds: Vec<_> =
            totals.iter().copied().zip(weights.iter().map(std::slice::from_ref)).collect();
        let seeds: Vec<_> = seeds.into_iter().filter(|(v, _)| tape.requires_grad(*v)).collect();
        if !seeds.is_empty() {
            tape.backward_from(&seeds)?;
        }
        let found = |i: usize| bindings.get(i).and_then(|v| tape.gradient(v));
        let want: Vec<_> = (0..3).map(|i| found(i).map(|g| bits(g.data()))).collect();
        assert_eq!((want[1].is_some(), &want[2]), (steps > 3, &None));
        let mut scratch = Tape::new();
        for segment in 1..=steps + 1 {
            let how = Checkpoints { segment: Some(segment), ..HOW };
            let got = checkpointed(&mut scratch, &parameters, &own, steps, &weights, how)?;
            assert_eq!(got.totals, values, "{steps} steps in segments of {segment}");
            let got: Vec<_> = got.slices().map(|g| g.map(bits)).collect();
            assert_eq!(got, want, "{steps} steps in segments of {segment}");
        }
    }
    let run = |steps, segment, weights: &[f32]| {
        let how = Checkpoints { segment, ..HOW };
        checkpointed(&mut Tape::new(), &parameters, &own, steps, weights, how)
    };
    assert!(run(0, None, &weights).is_err());
    assert!(run(5, Some(0), &weights).is_err());
    assert!(run(5, None, &weights[..1]).unwrap_err().to_string().contains("2 terms, 1 weights"));
    Ok(())
}

fn long(units: usize) -> SequenceForecasterConfig {
    SequenceForecasterConfig { units, hidden: vec![8], window: 2, ..Default::default() }
}

#[test]
fn memory_is_linear_on_one_tape_and_grows_with_the_root_in_segments() -> Result<(), ModelError> {
    let (model, parameters) = SequenceForecaster::new::<f32>(long(4), 0)?;
    let objective = SequenceObjective { samples: 2, beta: 1.0 };
    let mut held = Vec::new();
    for steps in [1600, 6400] {
        let [x, _] = data(model.config(), steps, false);
        let series = Series::new(model.config(), &x, &[], BATCH)?;
        let (_, whole) = one_tape(&model, &parameters, series, objective)?;
        let got = model.checkpointed(&mut Tape::new(), &parameters, series, objective, HOW)?;
        println!("{steps} steps: {whole} bytes on one tape, {} in segments", got.memory);
        held.push([whole as f64, got.memory as f64]);
    }
    let growth = [held[1][0] / held[0][0], held[1][1] / held[0][1]];
    // Four times the steps give four times the tape, and twice the segments (10 and 20 blocks of
    // 100 and 400).
    assert!((growth[0] - 4.0).abs() < 0.05, "{growth:?}");
    assert!(growth[1] > 1.8 && growth[1] < 2.05, "{growth:?}");
    Ok(())
}

#[test]
fn ten_thousand_steps_unroll_and_a_million_roll_out() -> Result<(), ModelError> {
    let (model, parameters) = SequenceForecaster::new::<f32>(long(8), 0)?;
    let [x, _] = data(model.config(), 10_000, false);
    let series = Series::new(model.config(), &x, &[], BATCH)?;
    let objective = SequenceObjective { samples: 1, beta: 1.0 };
    let start = Instant::now();
    let (want, whole) = one_tape(&model, &parameters, series, objective)?;
    let unrolled = start.elapsed();
    let got = model.checkpointed(&mut Tape::new(), &parameters, series, objective, HOW)?;
    let again = start.elapsed() - unrolled;
    let got_bits: Vec<_> = got.slices().map(|g| g.map(bits)).collect();
    assert_eq!(got_bits, want);
    println!("10 000 steps: {unrolled:?}, {whole} bytes; in segments {again:?}, {}", got.memory);

    let mut parameters = Parameters::<f32>::new();
    let start_at = PersistenceStart::Coefficient(0.9);
    let config = OrderOneConfig { start: start_at, ..OrderOneConfig::default() };
    let prior = OrderOne::new(&mut Builder::new(&mut parameters, 0), 2, config)?;
    let how = Rollout { trajectories: 1, units: 2, steps: 1_000_000, noise: KEY };
    let (mut sums, mut before, mut seen) = ([0.0_f64; 3], [0.0_f64; 2], 0);
    let start = Instant::now();
    rollout(&parameters, Prior::OrderOne(prior), &[], how, |t, z| {
        seen = t + 1;
        for (z, before) in z.iter().zip(&mut before) {
            let z = f64::from(*z);
            sums[0] += z;
            sums[1] += z * z;
            sums[2] += z * *before;
            *before = z;
        }
    })?;
    println!("a million steps of two units: {:?}", start.elapsed());
    assert_eq!(seen, 1_000_000);
    // These are two million numbers. The sum has (1 + phi)/(1 - phi) = 19 times the variance of
    // independent numbers, the sum of squares 2 (1 + phi^2)/(1 - phi^2) = 19.1 times.
    let n = 2e6;
    let (mean, square, product) = (sums[0] / n, sums[1] / n, sums[2] / n);
    assert!(mean.abs() < 4.0 * (19.0_f64 / n).sqrt(), "{mean}");
    assert!((square - 1.0).abs() < 4.0 * (19.1_f64 / n).sqrt(), "{square}");
    assert!((product / square - 0.9).abs() < 4.0 * ((1.0 - 0.81) / n).sqrt(), "{product}");
    Ok(())
}
