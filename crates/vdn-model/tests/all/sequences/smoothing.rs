//! Smoothing in segments: the same bits as one tape, with less memory.

use vdn_autograd::{Error, ObservationFamily, Persistence, Tape, Var};
use vdn_model::core::{Bindings, Builder, Graph, Init, Mode, ModelError, ParameterId, Parameters};
use vdn_model::priors::{
    Autoregressive, AutoregressiveConfig, LearnedNormal, OrderOne, OrderOneConfig,
    PersistenceStart, Prior, PriorScale,
};
use vdn_model::sequence::{
    Checkpoints, Message, Posterior, SmoothedSequence, Unroll, checkpointed_smooth, smooth,
    smooth_terms,
};
use vdn_tensor::Element;
use vdn_tensor::noise::NoiseKey;

const KEY: NoiseKey = NoiseKey::new(17, 0, 3);
const HOW: Checkpoints = Checkpoints { segment: None, mode: Mode::Train, noise: KEY };
const BATCH: usize = 2;
const UNITS: usize = 3;

/// A sequence that uses parameters in every way: in messages alone, in terms alone, in both, and as
/// a message itself.
struct Own {
    prior: Prior,
    /// Of messages and terms.
    weight: ParameterId,
    /// The log-variance of every message that was seen, the log-scale of the terms.
    noise: ParameterId,
    readout: ParameterId,
    /// One number, of the terms and a term itself.
    level: ParameterId,
    gaps: [u32; 3],
    missing: bool,
    /// A term that is not one number.
    wide: bool,
}

impl Own {
    fn new<T: Element>(
        parameters: &mut Parameters<T>,
        prior: impl FnOnce(&mut Builder<'_, T>) -> Prior,
    ) -> Self {
        let mut builder = Builder::new(parameters, 4);
        let prior = prior(&mut builder);
        let weight = builder.add("weight", [UNITS], Init::Spaced(0.4, 1.1));
        let noise = builder.add("noise", [UNITS], Init::Spaced(-1.0, 0.5));
        let readout = builder.add("readout", [UNITS], Init::Spaced(-0.7, 0.9));
        let level = builder.add("level", [1], Init::Constant(0.3));
        Self { prior, weight, noise, readout, level, gaps: [1; 3], missing: false, wide: false }
    }

    fn observed<T: Element>(graph: &mut Graph<'_, T>, t: usize) -> Result<Var, Error> {
        graph.tape.constant_with([BATCH, UNITS], |to| {
            NoiseKey::new(9, t as u32, 0).fill_normal(0, to);
        })
    }
}

impl<T: Element> SmoothedSequence<T> for Own {
    fn prior(&self) -> Prior {
        self.prior
    }

    fn gap(&self, t: usize) -> u32 {
        self.gaps[t % 3]
    }

    fn message(&self, graph: &mut Graph<'_, T>, t: usize) -> Result<[Var; 2], Error> {
        let x = Self::observed(graph, t)?;
        let weight = graph.parameter(self.weight);
        let mean = graph.tape.mul(x, weight)?;
        let logvar = match self.missing && t % 4 == 2 {
            true => graph.tape.constant([], &[T::from_f64(f64::INFINITY)])?,
            false => graph.parameter(self.noise),
        };
        Ok([mean, logvar])
    }

    fn terms(
        &self,
        graph: &mut Graph<'_, T>,
        t: usize,
        z: Var,
        kl: Var,
    ) -> Result<Vec<Var>, Error> {
        let [weight, noise, readout] =
            [self.weight, self.noise, self.readout].map(|id| graph.parameter(id));
        let x = Self::observed(graph, t)?;
        let read = graph.tape.mul(z, readout)?;
        let level = graph.parameter(self.level);
        let read = graph.tape.mul(read, weight)?;
        let read = graph.tape.add(read, level)?;
        let log_density = graph.tape.log_density(ObservationFamily::Gaussian, read, noise, x)?;
        let cost = if self.wide { kl } else { graph.tape.sum(kl)? };
        Ok(vec![graph.tape.sum(log_density)?, cost, level])
    }
}

fn bits<T: Element>(x: &[T]) -> Vec<u64> {
    x.iter().map(|x| x.to_f64().to_bits()).collect()
}

type Found = (Vec<u64>, Vec<Option<Vec<u64>>>);

/// Returns totals and gradients on one tape, and the memory that it held.
fn one_tape<T: Element>(
    own: &Own,
    parameters: &Parameters<T>,
    steps: usize,
    weights: &[T],
    unroll: Unroll,
) -> Result<(Found, usize), Error> {
    let (mut tape, mut bindings) = (Tape::new(), Bindings::new());
    let mut graph = Graph::new(&mut tape, parameters, &mut bindings, Mode::Train, KEY);
    let totals = smooth_terms(&mut graph, own, steps, unroll)?;
    let seeds: Vec<_> =
        totals.iter().copied().zip(weights.iter().map(std::slice::from_ref)).collect();
    tape.backward_from(&seeds)?;
    let values = totals.iter().map(|&t| tape.scalar(t)).collect::<Result<Vec<T>, _>>()?;
    let gradient = |index| bindings.get(index).and_then(|var| tape.gradient(var));
    let all = (0..parameters.len()).map(|i| gradient(i).map(|g| bits(g.data()))).collect();
    Ok(((bits(&values), all), tape.memory()))
}

fn order_one<T: Element>(builder: &mut Builder<'_, T>) -> Prior {
    let scale = PriorScale::Free(0.6);
    let start = PersistenceStart::Coefficient(0.8);
    let config = OrderOneConfig { start, scale, ..OrderOneConfig::default() };
    Prior::OrderOne(OrderOne::new(builder, UNITS, config).expect("in range"))
}

fn time_constants<T: Element>(builder: &mut Builder<'_, T>) -> Prior {
    let persistence = Persistence::TimeConstant(1.0);
    let start = PersistenceStart::TimeConstants(2.0, 20.0);
    let config = OrderOneConfig { persistence, start, scale: PriorScale::Stationary };
    Prior::OrderOne(OrderOne::new(builder, UNITS, config).expect("in range"))
}

fn autoregressive<T: Element>(builder: &mut Builder<'_, T>) -> Prior {
    let config = AutoregressiveConfig { order: 1, start: 0.8, scale: PriorScale::Free(0.6) };
    Prior::Autoregressive(Autoregressive::new(builder, UNITS, config).expect("in range"))
}

fn learned<T: Element>(builder: &mut Builder<'_, T>) -> Prior {
    Prior::LearnedNormal(LearnedNormal::new(builder, UNITS))
}

fn standard<T: Element>(_: &mut Builder<'_, T>) -> Prior {
    Prior::StandardNormal
}

/// A name, a prior, whether there are gaps and missing steps, and the truncation.
type Row<T> = (&'static str, fn(&mut Builder<'_, T>) -> Prior, [bool; 2], Option<usize>);

fn same_bits<T: Element>() -> Result<(), ModelError> {
    let rows: [Row<T>; 7] = [
        ("autoregressive", autoregressive, [false, true], None),
        ("order one", order_one, [false, false], None),
        ("order one, missing steps", order_one, [false, true], None),
        ("time constants, gaps", time_constants, [true, true], None),
        ("truncated", order_one, [true, false], Some(3)),
        ("learned", learned, [false, false], None),
        ("standard", standard, [false, false], None),
    ];
    let weights = [0.7, -0.3, 0.123].map(T::from_f64);
    for (name, prior, [gaps, missing], truncate) in rows {
        let mut parameters = Parameters::<T>::new();
        let gaps = if gaps { [2, 3, 1] } else { [1; 3] };
        let own = Own { gaps, missing, ..Own::new(&mut parameters, prior) };
        let unroll = Unroll { truncate, ..Unroll::new(2, KEY) };
        let mut scratch = Tape::new();
        for steps in [1, 2, 5, 13] {
            let (want, _) = one_tape(&own, &parameters, steps, &weights, unroll)?;
            assert!(want.1.iter().skip(parameters.len() - 4).all(Option::is_some), "{name}");
            for segment in (1..=steps + 1).map(Some).chain([None]) {
                let how = Checkpoints { segment, ..HOW };
                let got = checkpointed_smooth(
                    &mut scratch,
                    &parameters,
                    &own,
                    steps,
                    &weights,
                    unroll,
                    how,
                )?;
                let gradients = got.slices().map(|g| g.map(bits)).collect();
                let got = (bits(&got.totals), gradients);
                assert_eq!(got, want, "{name}, {steps} steps in segments of {segment:?}");
            }
        }
    }
    Ok(())
}

#[test]
fn smoothing_in_segments_has_the_bits_of_one_tape() -> Result<(), ModelError> {
    same_bits::<f32>()?;
    same_bits::<f64>()
}

/// The recording that can be cut equals the pass over messages, whose gradients are checked
/// elsewhere.
#[test]
fn terms_are_those_of_the_smoothed_pass() -> Result<(), Error> {
    const STEPS: usize = 12;
    let mut parameters = Parameters::<f64>::new();
    let own = Own { gaps: [2, 3, 1], missing: true, ..Own::new(&mut parameters, order_one) };
    let weights = [1.0; 3];
    let unroll = Unroll::new(2, KEY);
    let ((totals, gradients), _) = one_tape(&own, &parameters, STEPS, &weights, unroll)?;
    let (mut tape, mut bindings) = (Tape::new(), Bindings::new());
    let mut graph = Graph::new(&mut tape, &parameters, &mut bindings, Mode::Train, KEY);
    let mut messages = Vec::new();
    for t in 0..STEPS {
        let [mean, logvar] = own.message(&mut graph, t)?;
        messages.push(Message { mean, logvar, gap: SmoothedSequence::<f64>::gap(&own, t) });
    }
    let out = smooth(&mut graph, own.prior, &messages, unroll)?;
    let mut sum: Option<Var> = None;
    let mut want = [0.0; 3];
    for (t, (&z, &kl)) in out.z.iter().zip(&out.kl).enumerate() {
        for (term, want) in own.terms(&mut graph, t, z, kl)?.into_iter().zip(&mut want) {
            *want += graph.tape.scalar(term)?;
            sum = Some(match sum {
                Some(sum) => graph.tape.add(sum, term)?,
                None => term,
            });
        }
    }
    assert_eq!(totals, bits(&want));
    tape.backward(sum.expect("there are steps"))?;
    for (i, got) in gradients.iter().enumerate() {
        let got = got.as_ref().expect("it takes part");
        let want = bindings.get(i).and_then(|var| tape.gradient(var)).expect("it takes part");
        for (&got, want) in got.iter().zip(want.data()) {
            // The order of the sums differs: 2 STEPS uses of two samples each, of sizes up to some
            // tens.
            assert!((f64::from_bits(got) - want).abs() < 1e-11, "{i}: {want}");
        }
    }
    Ok(())
}

/// The same prior by two parametrisations, which both join messages.
#[test]
fn an_autoregressive_prior_of_order_one_is_smoothed() -> Result<(), Error> {
    let unroll = Unroll::new(2, KEY);
    let [joined, same] = [order_one, autoregressive].map(|prior| {
        let mut parameters = Parameters::<f64>::new();
        let own = Own { missing: true, ..Own::new(&mut parameters, prior) };
        one_tape(&own, &parameters, 20, &[1.0; 3], unroll).map(|((totals, _), _)| totals)
    });
    for (a, b) in joined?.into_iter().zip(same?) {
        let [a, b] = [a, b].map(f64::from_bits);
        assert!((a - b).abs() < 1e-11 * a.abs().max(1.0), "{a} {b}");
    }
    Ok(())
}

#[test]
fn memory_of_smoothing_grows_with_the_root_in_segments() -> Result<(), ModelError> {
    let mut parameters = Parameters::<f32>::new();
    let own = Own::new(&mut parameters, order_one);
    let (weights, unroll) = ([1.0; 3], Unroll::new(2, KEY));
    let mut memory = Vec::new();
    for steps in [1600, 6400] {
        let (want, whole) = one_tape(&own, &parameters, steps, &weights, unroll)?;
        let run =
            checkpointed_smooth(&mut Tape::new(), &parameters, &own, steps, &weights, unroll, HOW)?;
        let gradients = run.slices().map(|g| g.map(bits)).collect();
        assert_eq!((bits(&run.totals), gradients), want);
        println!("{steps} steps: {whole} bytes on one tape, {} in segments", run.memory);
        memory.push([whole as f64, run.memory as f64]);
    }
    let growth = [memory[1][0] / memory[0][0], memory[1][1] / memory[0][1]];
    assert!((growth[0] - 4.0).abs() < 0.05, "{growth:?}");
    assert!(growth[1] > 1.8 && growth[1] < 2.05, "{growth:?}");
    Ok(())
}

#[test]
fn what_cannot_be_smoothed_in_segments_is_refused() {
    let mut parameters = Parameters::<f32>::new();
    let own = Own::new(&mut parameters, order_one);
    let run = |own: &Own, steps, unroll, segment, weights: &[f32]| -> String {
        let how = Checkpoints { segment, ..HOW };
        checkpointed_smooth(&mut Tape::new(), &parameters, own, steps, weights, unroll, how)
            .expect_err("it cannot run")
            .to_string()
    };
    let (unroll, weights) = (Unroll::new(2, KEY), [1.0; 3]);
    assert!(run(&own, 0, unroll, None, &weights).contains("0 steps"));
    assert!(run(&own, 5, unroll, Some(0), &weights).contains("segments of 0"));
    assert!(run(&own, 5, unroll, None, &weights[..1]).contains("3 terms, 1 weights"));
    let truncated = Unroll { truncate: Some(0), ..unroll };
    assert!(run(&own, 5, truncated, None, &weights).contains("truncation"));
    let mean_field = Unroll { posterior: Posterior::MeanField, ..unroll };
    assert!(run(&own, 5, mean_field, None, &weights).contains("MeanField"));
    let config = AutoregressiveConfig { order: 3, start: 0.6, scale: PriorScale::Free(0.5) };
    let mut others = Parameters::<f32>::new();
    let prior = Autoregressive::new(&mut Builder::new(&mut others, 0), UNITS, config);
    let zero = Own { gaps: [1, 0, 1], ..own };
    assert!(run(&zero, 5, unroll, None, &weights).contains("a gap of 0"));
    let wide = Own { wide: true, ..own };
    assert!(run(&wide, 5, unroll, None, &weights).contains("[2, 2, 3]"));
    let third = Own { prior: Prior::Autoregressive(prior.expect("in range")), ..own };
    assert!(run(&third, 5, unroll, None, &weights).contains("order 3"));
}
