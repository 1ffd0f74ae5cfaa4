//! The sequence forecaster: gradients, missing steps, rejected inputs.

use std::error::Error;
use vdn_autograd::{Persistence, Tape, check_gradients};
use vdn_forecast::sequence::{
    EmissionFamily, PriorConfig, SequenceForecaster, SequenceForecasterConfig, SequenceObjective,
    Series,
};
use vdn_model::core::{Bindings, Graph, Mode, ModelError, Parameters};
use vdn_model::priors::{AutoregressiveConfig, OrderOneConfig, PersistenceStart, PriorScale};
use vdn_model::sequence::Posterior;
use vdn_tensor::noise::NoiseKey;
use vdn_tensor::{Element, Tensor};

pub(crate) const KEY: NoiseKey = NoiseKey::new(31, 0, 2);
pub(crate) const BATCH: usize = 2;

pub(crate) fn order_one() -> PriorConfig {
    PriorConfig::OrderOne(OrderOneConfig::default())
}

pub(crate) fn order_three() -> PriorConfig {
    let scale = PriorScale::Free(0.8);
    PriorConfig::Autoregressive(AutoregressiveConfig { order: 3, start: 0.6, scale })
}

pub(crate) fn small() -> SequenceForecasterConfig {
    SequenceForecasterConfig {
        channels: 2,
        covariates: 1,
        window: 2,
        hidden: vec![4],
        units: 3,
        emission_lags: 1,
        ..SequenceForecasterConfig::default()
    }
}

/// Observations `[BATCH, steps, channels]`, and covariates. If `missing`, every fifth step of the
/// second sequence is missing.
pub(crate) fn data<T: Element>(
    config: &SequenceForecasterConfig,
    steps: usize,
    missing: bool,
) -> [Vec<T>; 2] {
    let numbers = |stream: u32, width: usize| {
        let mut x = vec![0.0_f64; BATCH * steps * width];
        NoiseKey::new(8, stream, 0).fill_normal(0, &mut x);
        x
    };
    let mut x = numbers(0, config.channels);
    if missing {
        for t in (steps..2 * steps).step_by(5) {
            x[t * config.channels..(t + 1) * config.channels].fill(f64::NAN);
        }
    }
    let cast = |x: Vec<f64>| x.into_iter().map(T::from_f64).collect();
    [cast(x), cast(numbers(1, config.covariates))]
}

/// Moves all parameters, so that none is at a special value.
pub(crate) fn scatter<T: Element>(parameters: &mut Parameters<T>) {
    for index in 0..parameters.len() {
        let data = parameters.data_mut(index);
        let mut noise = vec![0.0_f64; data.len()];
        NoiseKey::new(12, index as u32, 0).fill_normal(0, &mut noise);
        data.iter_mut().zip(noise).for_each(|(x, n)| *x += T::from_f64(0.2 * n));
    }
}

#[test]
fn the_gradients_of_whole_models() -> Result<(), Box<dyn Error>> {
    let time = PriorConfig::OrderOne(OrderOneConfig {
        persistence: Persistence::TimeConstant(1.0),
        start: PersistenceStart::TimeConstants(2.0, 20.0),
        scale: PriorScale::Free(0.7),
    });
    let student = EmissionFamily::StudentT(4.0);
    let plain = SequenceForecasterConfig { covariates: 0, emission_lags: 0, ..small() };
    let cases = [
        ("order one", true, small()),
        ("student t", true, SequenceForecasterConfig { emission: student, ..small() }),
        ("no features", true, plain.clone()),
        ("order three", true, SequenceForecasterConfig { prior: order_three(), ..small() }),
        ("time constants", true, SequenceForecasterConfig { prior: time, ..plain.clone() }),
        ("standard", true, {
            SequenceForecasterConfig { prior: PriorConfig::StandardNormal, ..plain.clone() }
        }),
        ("learned", true, {
            SequenceForecasterConfig { prior: PriorConfig::LearnedNormal, ..plain.clone() }
        }),
        ("mean field", false, {
            SequenceForecasterConfig { posterior: Posterior::MeanField, ..plain.clone() }
        }),
        ("mean field, order three", false, {
            let posterior = Posterior::MeanField;
            SequenceForecasterConfig { posterior, prior: order_three(), ..plain.clone() }
        }),
        ("penalty", false, {
            SequenceForecasterConfig { posterior: Posterior::Penalty, ..plain.clone() }
        }),
    ];
    let mut wrong = Vec::new();
    for (name, missing, config) in cases {
        let (model, mut parameters) = SequenceForecaster::new::<f64>(config, 3)?;
        scatter(&mut parameters);
        // Three blocks, the last one short.
        let [x, covariates] = data(model.config(), 37, missing);
        let series = Series::new(model.config(), &x, &covariates, BATCH)?;
        let inputs: Vec<Tensor<f64>> = parameters.iter().map(|p| (**p.tensor()).clone()).collect();
        let ids: Vec<_> = parameters.iter().filter_map(|p| parameters.find(p.name())).collect();
        let report = check_gradients(&inputs, |tape, vars| {
            let mut bindings = Bindings::new();
            let mut graph = Graph::new(tape, &parameters, &mut bindings, Mode::Train, KEY);
            ids.iter().zip(vars).for_each(|(&id, &var)| graph.bind(id, var));
            let objective = SequenceObjective { samples: 2, beta: 0.7 };
            match model.loss(&mut graph, series, objective) {
                Ok(loss) => Ok(loss.loss),
                Err(ModelError::Autograd(error)) => Err(error),
                Err(error) => Err(vdn_autograd::Error::invalid("loss", error.to_string())),
            }
        })?;
        if !report.passed() {
            wrong.push(format!("{name}: {report}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

#[test]
fn the_loss_is_the_bound_and_the_bound_ignores_how_long_its_blocks_are() -> Result<(), ModelError> {
    for posterior in [Posterior::Structured, Posterior::MeanField] {
        let config = SequenceForecasterConfig { posterior, ..small() };
        let (model, mut parameters) = SequenceForecaster::new::<f64>(config, 3)?;
        scatter(&mut parameters);
        let [x, covariates] = data(model.config(), 50, posterior == Posterior::Structured);
        let series = Series::new(model.config(), &x, &covariates, BATCH)?;
        let (mut tape, mut bindings) = (Tape::new(), Bindings::new());
        let mut graph = Graph::new(&mut tape, &parameters, &mut bindings, Mode::Train, KEY);
        let loss = model.loss(&mut graph, series, SequenceObjective { samples: 3, beta: 1.0 })?;
        let bound = model.bound(&parameters, series, 3, KEY)?;
        let mean = |x: &[f64]| x.iter().sum::<f64>() / x.len() as f64;
        let scalar = tape.scalar(loss.loss)?;
        // Sums of some hundred terms in another order.
        assert!((scalar + bound.per_step()).abs() < 1e-12 * scalar.abs().max(1.0));
        assert!((loss.elbo() - mean(&bound.elbo())).abs() < 1e-10);
        assert!((loss.kl - 50.0 * bound.unit_kl.iter().sum::<f64>()).abs() < 1e-10);
    }
    Ok(())
}

#[test]
fn missing_steps_cost_nothing_and_what_stands_there_does_not_matter() -> Result<(), ModelError> {
    let config = SequenceForecasterConfig { window: 1, emission_lags: 0, ..small() };
    let (model, mut parameters) = SequenceForecaster::new::<f64>(config, 3)?;
    scatter(&mut parameters);
    let [mut x, covariates] = data(model.config(), 40, false);
    let width = model.config().channels;
    // The second half of both sequences is missing, so both bounds equal those of the first halves.
    for b in 0..BATCH {
        x[(b * 40 + 20) * width..(b + 1) * 40 * width].fill(f64::NAN);
    }
    let whole = Series::new(model.config(), &x, &covariates, BATCH)?;
    let bound = model.bound(&parameters, whole, 2, KEY)?;
    let halves = |x: &[f64], width: usize| -> Vec<f64> {
        (0..BATCH).flat_map(|b| x[b * 40 * width..][..20 * width].to_vec()).collect()
    };
    let (seen, calendar) = (halves(&x, width), halves(&covariates, 1));
    let first = Series::new(model.config(), &seen, &calendar, BATCH)?;
    let want = model.bound(&parameters, first, 2, KEY)?;
    assert_eq!(bound.log_likelihood, want.log_likelihood);
    assert_eq!(bound.kl, want.kl);
    assert!(bound.kl.iter().all(|&kl| kl > 0.0));
    Ok(())
}

#[test]
fn bad_input_is_refused_by_name() -> Result<(), ModelError> {
    let (model, parameters) = SequenceForecaster::new::<f32>(small(), 0)?;
    let config = model.config();
    let fails = |x: &[f32], covariates: &[f32], words: &[&str]| {
        let error = Series::new(config, x, covariates, 1).expect_err("has to be refused");
        let text = error.to_string();
        for word in words {
            assert!(text.contains(word), "{text}: no {word}");
        }
    };
    let nan = f32::NAN;
    fails(&[0.0; 5], &[0.0; 2], &["series", "5 observations", "[1 sequences", "2 channels"]);
    fails(&[0.0; 4], &[0.0; 3], &["3 covariates", "[1, steps, 1]"]);
    fails(&[], &[], &["0 observations"]);
    fails(&[0.0, 0.0, nan, 1.0], &[0.0; 2], &["sequence 0, step 1", "1 of 2 channels are NaN"]);
    fails(&[0.0, f32::INFINITY], &[0.0], &["step 0", "infinite"]);
    fails(&[0.0; 4], &[0.0, nan], &["covariates [1, 2, 1]", "step 1", "not finite"]);
    let bad = [
        SequenceForecasterConfig { units: 0, ..small() },
        SequenceForecasterConfig { hidden: vec![3, 0], ..small() },
        SequenceForecasterConfig { initial_scale: -1.0, ..small() },
        SequenceForecasterConfig { emission: EmissionFamily::StudentT(0.5), ..small() },
    ];
    for (config, word) in bad.into_iter().zip(["units", "hidden", "initial_scale", "emission"]) {
        let error = SequenceForecaster::new::<f32>(config, 0).expect_err("has to be refused");
        assert!(error.to_string().contains(word), "{error}");
    }
    // A series of another model, missing steps where they are not allowed, zero samples, wrong lags
    // and covariates.
    let x = [0.1, 0.2, nan, nan, 0.3, 0.4];
    let series = Series::new(config, &x, &[0.0; 3], 1)?;
    let other = SequenceForecasterConfig { covariates: 0, ..small() };
    let (mean_field, own) = SequenceForecaster::new::<f32>(
        SequenceForecasterConfig { posterior: Posterior::MeanField, ..small() },
        0,
    )?;
    let (without, rest) = SequenceForecaster::new::<f32>(other, 0)?;
    let errors = [
        without.bound(&rest, series, 1, KEY).map(drop),
        mean_field.bound(&own, series, 1, KEY).map(drop),
        model.bound(&parameters, series, 0, KEY).map(drop),
        model.persistence(&parameters, series, 3).map(drop),
        mean_field.persistence(&own, series, 1).map(drop),
    ];
    let words = ["covariates", "missing steps", "no samples", "a lag of 3", "missing steps"];
    for (result, word) in errors.into_iter().zip(words) {
        let text = result.expect_err("has to be refused").to_string();
        assert!(text.contains(word), "{text}");
    }
    let how = vdn_forecast::sequence::ParticleConfig { particles: 4, noise: KEY };
    let filter = model.filter(&parameters, series, how)?;
    let error = model.forecast(&parameters, &filter, &[0.0], 2, KEY).expect_err("one row short");
    assert!(error.to_string().contains("2 steps, 1 covariates"), "{error}");
    let forecast = model.forecast(&parameters, &filter, &[0.0; 2], 2, KEY)?;
    assert!(forecast.interval(0, 0, 0, 1.0).is_err());
    Ok(())
}
