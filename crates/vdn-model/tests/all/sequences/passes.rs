//! The passes themselves: gradients, truncation, gaps, prediction, generation.

use vdn_autograd::{Error, Tape, Var, check_direction};
use vdn_model::core::{Bindings, Builder, Graph, Mode, ModelError, Parameters};
use vdn_model::priors::{
    Autoregressive, AutoregressiveConfig, LearnedNormal, OrderOne, OrderOneConfig,
    PersistenceStart, Prior, PriorScale,
};
use vdn_model::sequence::{
    Message, Posterior, Rollout, SequenceLayer, SequenceLayerConfig, StepInput, Unroll, predict,
    rollout, smooth, unroll,
};
use vdn_tensor::noise::NoiseKey;
use vdn_tensor::parallel::Pool;
use vdn_tensor::{Element, Tensor};

const KEY: NoiseKey = NoiseKey::new(5, 0, 0);
const UNITS: usize = 3;

type Build<T> = fn(&mut Builder<'_, T>) -> Prior;
/// An autocovariance by lag.
type Expected<'a> = Box<dyn Fn(i32) -> f64 + 'a>;

fn order_one<T: Element>(builder: &mut Builder<'_, T>) -> Prior {
    let config = OrderOneConfig {
        start: PersistenceStart::Coefficient(0.7),
        scale: PriorScale::Free(0.5),
        ..OrderOneConfig::default()
    };
    Prior::OrderOne(OrderOne::new(builder, UNITS, config).expect("in range"))
}

fn order_three<T: Element>(builder: &mut Builder<'_, T>) -> Prior {
    let config = AutoregressiveConfig { order: 3, start: 0.6, scale: PriorScale::Free(0.5) };
    Prior::Autoregressive(Autoregressive::new(builder, UNITS, config).expect("in range"))
}

fn time_constants<T: Element>(builder: &mut Builder<'_, T>) -> Prior {
    let config = OrderOneConfig {
        persistence: vdn_autograd::Persistence::TimeConstant(1.0),
        start: PersistenceStart::TimeConstants(2.0, 200.0),
        scale: PriorScale::Stationary,
    };
    Prior::OrderOne(OrderOne::new(builder, UNITS, config).expect("in range"))
}

fn learned<T: Element>(builder: &mut Builder<'_, T>) -> Prior {
    Prior::LearnedNormal(LearnedNormal::new(builder, UNITS))
}

/// Fifty steps of two sequences: everything that the bound depends on, in random directions.
#[test]
fn gradients_over_fifty_steps() -> Result<(), Error> {
    const STEPS: usize = 50;
    let rows: [(&str, Build<f64>, Option<Posterior>); 7] = [
        ("smooth, order one", order_one, None),
        ("smooth, time constants", time_constants, None),
        ("filter, order one", order_one, Some(Posterior::Structured)),
        ("filter, order three", order_three, Some(Posterior::Structured)),
        ("mean field, order three", order_three, Some(Posterior::MeanField)),
        ("mean field, order one", order_one, Some(Posterior::MeanField)),
        ("penalty, learned", learned, Some(Posterior::Penalty)),
    ];
    for (name, build, posterior) in rows {
        let mut parameters = Parameters::<f64>::new();
        let prior = build(&mut Builder::new(&mut parameters, 0));
        let mut inputs: Vec<Tensor<f64>> = parameters
            .iter()
            .enumerate()
            .map(|(i, p)| {
                let mut value = Tensor::<f64>::zeros(*p.tensor().shape());
                NoiseKey::new(2, i as u32, 0).fill_normal(0, value.data_mut());
                let pairs = value.data_mut().iter_mut().zip(p.tensor().data());
                pairs.for_each(|(x, start)| *x = start + 0.2 * *x);
                value
            })
            .collect();
        let own = inputs.len();
        for stream in [8, 9] {
            let mut message = Tensor::<f64>::zeros([STEPS, 2, UNITS]);
            NoiseKey::new(2, stream, 0).fill_normal(0, message.data_mut());
            inputs.push(message);
        }
        let record = |tape: &mut Tape<f64>, vars: &[Var]| {
            let mut bindings = Bindings::new();
            let mut graph = Graph::new(tape, &parameters, &mut bindings, Mode::Train, KEY);
            for (parameter, &var) in parameters.iter().zip(vars) {
                let id = parameters.find(parameter.name()).expect("its own");
                graph.bind(id, var);
            }
            let mut messages = Vec::new();
            for t in 0..STEPS {
                let mut step = |var| -> Result<Var, Error> {
                    let row = graph.tape.slice_axis(var, 0, t, 1)?;
                    graph.tape.reshape(row, [2, UNITS])
                };
                let (mean, logvar) = (step(vars[own])?, step(vars[own + 1])?);
                let gap = if prior.order() == 1 { 1 + t as u32 % 3 } else { 1 };
                messages.push(Message { mean, logvar, gap });
            }
            let how = Unroll::new(2, KEY);
            let out = match posterior {
                None => smooth(&mut graph, prior, &messages, how)?,
                Some(posterior) => {
                    unroll(&mut graph, prior, &messages, Unroll { posterior, ..how })?
                }
            };
            let last = graph.tape.square(out.z[STEPS - 1])?;
            let last = graph.tape.sum(last)?;
            let kl = out.total_kl(&mut graph)?;
            graph.tape.add(last, kl)
        };
        for stream in 0..3 {
            let report = check_direction(&inputs, record, NoiseKey::new(1, stream, 0))?;
            assert!(report.passed(), "{name}: {report}");
        }
    }
    Ok(())
}

/// Records `steps` steps with equal messages; returns the tape's bytes and the gradient by the
/// first parameter.
fn run<T: Element>(steps: usize, truncate: Option<usize>) -> Result<(usize, Vec<f64>), ModelError> {
    let mut parameters = Parameters::<T>::new();
    let prior = order_one(&mut Builder::new(&mut parameters, 0));
    let (mut tape, mut bindings) = (Tape::new(), Bindings::new());
    let mut graph = Graph::new(&mut tape, &parameters, &mut bindings, Mode::Train, KEY);
    let mean = graph.tape.constant([1], &[T::from_f64(0.5)])?;
    let logvar = graph.tape.constant([2, UNITS], &[T::ZERO; 2 * UNITS])?;
    let messages = vec![Message { mean, logvar, gap: 1 }; steps];
    let out = unroll(&mut graph, prior, &messages, Unroll { truncate, ..Unroll::new(2, KEY) })?;
    // The square of the last latent: its gradient reaches back.
    let last = graph.tape.square(out.z[steps - 1])?;
    let last = graph.tape.sum(last)?;
    let kl = out.total_kl(&mut graph)?;
    let loss = graph.tape.add(last, kl)?;
    tape.backward(loss)?;
    let gradient = bindings.get(0).and_then(|a| tape.gradient(a)).expect("it takes part");
    Ok((tape.memory(), gradient.data().iter().map(|g| g.to_f64()).collect()))
}

#[test]
fn ten_thousand_steps_in_memory_linear_in_their_number() -> Result<(), ModelError> {
    let (short, _) = run::<f32>(5_000, None)?;
    let (long, gradient) = run::<f32>(10_000, None)?;
    assert!(gradient.iter().all(|g| g.is_finite() && *g != 0.0), "{gradient:?}");
    let ratio = long as f64 / short as f64;
    println!("{} bytes per step, {ratio:.3} times for twice the steps", long / 10_000);
    assert!(ratio < 2.05, "{ratio}");
    Ok(())
}

#[test]
fn truncation_cuts_gradients_and_nothing_else() -> Result<(), ModelError> {
    let [whole, far, cut] = [None, Some(60), Some(1)].map(|every| run::<f64>(60, every).unwrap().1);
    assert_eq!(whole, far);
    assert_ne!(whole, cut);
    assert!(matches!(run::<f64>(3, Some(0)), Err(ModelError::Autograd(_))));
    Ok(())
}

/// The moments of generated latents, by lag: `E z_t z_{t-k}`.
fn autocovariances(prior: Build<f64>, lags: usize) -> Result<Vec<f64>, Error> {
    let mut parameters = Parameters::<f64>::new();
    let prior = prior(&mut Builder::new(&mut parameters, 0));
    let how = Rollout { trajectories: 4000, units: UNITS, steps: 12, noise: KEY };
    let mut all = Vec::new();
    rollout(&parameters, prior, &[], how, |_, z| all.push(z.to_vec()))?;
    let last = all.len() - 1;
    let product = |k: usize| {
        let pairs = all[last].iter().zip(&all[last - k]);
        pairs.map(|(x, y)| x * y).sum::<f64>() / all[0].len() as f64
    };
    Ok((0..lags).map(product).collect())
}

#[test]
fn generated_latents_have_the_autocovariances_of_their_prior() -> Result<(), Error> {
    // Order one: s^2 / (1 - phi^2) phi^k. Order three with partial autocorrelations (0.6, 0, 0) is
    // the same process as order one with 0.6. Time constants 2, 20, 200: the mean of e^(-k/tau).
    let variance = [0.25 / (1.0 - 0.49), 0.25 / (1.0 - 0.36), 1.0];
    let taus = [2.0_f64, 20.0, 200.0];
    let rows: [(Build<f64>, Expected<'_>); 3] = [
        (order_one, Box::new(|k| variance[0] * 0.7_f64.powi(k))),
        (order_three, Box::new(|k| variance[1] * 0.6_f64.powi(k))),
        (
            time_constants,
            Box::new(|k| taus.iter().map(|t| (-f64::from(k) / t).exp()).sum::<f64>() / 3.0),
        ),
    ];
    for (i, (prior, want)) in rows.iter().enumerate() {
        for (k, got) in autocovariances(*prior, 4)?.into_iter().enumerate() {
            // A product of two normals has at most the variance 2 v^2; 12 000 of them, 4 errors.
            let bound = 4.0 * variance[i] * (2.0_f64 / 12_000.0).sqrt();
            let want = want(k as i32);
            assert!((got - want).abs() < bound, "row {i} lag {k}: {got}, want {want} +- {bound}");
        }
    }
    Ok(())
}

#[test]
fn generation_is_the_same_for_any_number_of_threads_and_trajectories() {
    let generate = |trajectories: usize| {
        let mut parameters = Parameters::<f32>::new();
        let prior = order_three(&mut Builder::new(&mut parameters, 0));
        let how = Rollout { trajectories, units: UNITS, steps: 20, noise: KEY };
        let mut last = Vec::new();
        rollout(&parameters, prior, &[], how, |_, z| last = z.to_vec()).unwrap();
        last
    };
    // More numbers than one parallel task of the noise has.
    let [one, two] = [1, 2].map(|n| Pool::new(n).unwrap().run(|| generate(20_000)));
    assert_eq!(one, two);
    assert_eq!(one[..30], generate(10));
}

#[test]
fn a_million_steps_in_constant_memory() -> Result<(), Error> {
    let mut parameters = Parameters::<f32>::new();
    let prior = order_one(&mut Builder::new(&mut parameters, 0));
    let how = Rollout { trajectories: 2, units: UNITS, steps: 1_000_000, noise: KEY };
    let (mut steps, mut energy) = (0, 0.0);
    rollout(&parameters, prior, &[], how, |_, z| {
        steps += 1;
        energy += z.iter().map(|z| f64::from(z * z)).sum::<f64>() / 6e6;
    })?;
    assert_eq!(steps, 1_000_000);
    // Correlated squares: Var = 2 v^2 (1 + phi^2) / (1 - phi^2) / n.
    let v = 0.25 / 0.51;
    let error = v * (2.0_f64 * 1.49 / 0.51 / 6e6).sqrt();
    assert!((energy - v).abs() < 4.0 * error, "{energy} {v} +- {error}");
    Ok(())
}

#[test]
fn a_prediction_over_a_gap_has_the_exact_moments() -> Result<(), Error> {
    const DRAWS: usize = 40_000;
    let mut parameters = Parameters::<f64>::new();
    let prior = order_one(&mut Builder::new(&mut parameters, 0));
    let (mut tape, mut bindings) = (Tape::new(), Bindings::new());
    let mut graph = Graph::new(&mut tape, &parameters, &mut bindings, Mode::Evaluate, KEY);
    let last = graph.tape.constant([DRAWS, 1, UNITS], &[2.0; DRAWS * UNITS])?;
    let z = predict(&mut graph, prior, &[last], 3, KEY)?;
    let z = tape.value(z).data();
    let n = z.len() as f64;
    let mean = z.iter().sum::<f64>() / n;
    let variance = z.iter().map(|z| (z - mean).powi(2)).sum::<f64>() / n;
    let (want_mean, want) = (2.0 * 0.343, 0.25 * (1.0 + 0.49 + 0.49 * 0.49));
    assert!((mean - want_mean).abs() < 4.0 * (want / n).sqrt(), "{mean} {want_mean}");
    assert!((variance - want).abs() < 4.0 * want * (2.0 / n).sqrt(), "{variance} {want}");
    Ok(())
}

#[test]
fn a_layer_along_time_pays_nothing_for_missing_steps() -> Result<(), ModelError> {
    const INPUTS: usize = 4;
    let layer_of = |posterior| -> Result<(Parameters<f64>, SequenceLayer), ModelError> {
        let mut parameters = Parameters::<f64>::new();
        let prior = order_one(&mut Builder::new(&mut parameters, 0).scope("prior"));
        let mut builder = Builder::new(&mut parameters, 0);
        let mut scope = builder.scope("layer");
        let sizes = SequenceLayerConfig::new(INPUTS, UNITS);
        let config = SequenceLayerConfig { posterior, initial_scale: 0.7, ..sizes };
        let layer = SequenceLayer::new(&mut scope, prior, config)?;
        Ok((parameters, layer))
    };
    let (parameters, layer) = layer_of(Posterior::Structured)?;
    let (mut tape, mut bindings) = (Tape::new(), Bindings::new());
    let mut graph = Graph::new(&mut tape, &parameters, &mut bindings, Mode::Train, KEY);
    let mut context = [0.0; 2 * INPUTS];
    KEY.fill_normal(0, &mut context);
    let context = graph.tape.constant([2, INPUTS], &context)?;
    // The second sequence misses the second step.
    let missing = Some(graph.tape.constant([2, 1], &[0.0, f64::INFINITY])?);
    let steps = [None, missing, None].map(|missing| StepInput { context, missing, gap: 1 });
    let filtered = layer.filter(&mut graph, &steps, 3, None)?;
    let smoothed = layer.smooth(&mut graph, &steps, 3, None)?;
    let [filter, smooth] = [&filtered, &smoothed].map(|out| graph.tape.value(out.kl[1]).data());
    for (i, (&filter, &smooth)) in filter.iter().zip(smooth).enumerate() {
        let missing = i / UNITS % 2 == 1;
        assert!(if missing { filter == 0.0 } else { filter > 0.0 }, "{i}: {filter}");
        assert!(smooth > 0.0, "{i}: the third step says something of the second");
    }
    let loss = smoothed.total_kl(&mut graph)?;
    tape.backward(loss)?;
    for (index, parameter) in parameters.iter().enumerate() {
        let gradient = bindings.get(index).and_then(|var| tape.gradient(var));
        let found = gradient.is_some_and(|g| g.data().iter().all(|g| g.is_finite() && *g != 0.0));
        assert!(found, "{}", parameter.name());
    }
    let (parameters, layer) = layer_of(Posterior::MeanField)?;
    let mut graph = Graph::new(&mut tape, &parameters, &mut bindings, Mode::Train, KEY);
    assert!(layer.filter(&mut graph, &steps, 1, None).is_err());
    assert!(layer.smooth(&mut graph, &steps[..1], 1, None).is_err());
    Ok(())
}
