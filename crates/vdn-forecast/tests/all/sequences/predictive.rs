//! The predictive distribution of a sequence forecaster with the parameters of a linear Gaussian
//! model, compared with the exact one; and measured persistence, compared with samples.

use crate::sequences::forecaster::{BATCH, KEY, data, order_three};
use crate::sequences::kalman::{log_likelihood, series};
use std::error::Error;
use vdn_autograd::Tape;
use vdn_forecast::sequence::{
    EmissionFamily, ParticleConfig, PriorConfig, SequenceForecaster, SequenceForecasterConfig,
    Series,
};
use vdn_model::core::{Bindings, Builder, Graph, Mode, ModelError, Parameters};
use vdn_model::priors::{OrderOne, OrderOneConfig, PersistenceStart, Prior};
use vdn_model::sequence::{Message, Posterior, Unroll, unroll};
use vdn_tensor::noise::NoiseKey;

const PHI: f64 = 0.9;
const R: f64 = 0.3;

fn order_one() -> OrderOneConfig {
    OrderOneConfig { start: PersistenceStart::Coefficient(PHI), ..OrderOneConfig::default() }
}

/// One unit, observed through the identity with variance `R`. Messages are the observations
/// themselves.
fn exact(
    posterior: Posterior,
    prior: PriorConfig,
) -> Result<(SequenceForecaster, Parameters<f64>), ModelError> {
    let config = SequenceForecasterConfig {
        units: 1,
        window: 1,
        hidden: vec![2],
        prior,
        posterior,
        ..SequenceForecasterConfig::default()
    };
    let (model, mut parameters) = SequenceForecaster::new::<f64>(config, 0)?;
    let deviation = 0.5 * R.ln();
    let mut set = |name: &str, values: &[f64]| {
        let id = parameters.find(name).expect("a parameter of the model");
        parameters.data_mut(id.index()).copy_from_slice(values);
    };
    // The context: two hidden activations, the observation, and whether it was seen.
    set("units.mean.weight", &[0.0, 0.0, 1.0, 0.0]);
    set("units.mean.bias", &[0.0]);
    set("units.log_scale.weight", &[0.0; 4]);
    set("units.log_scale.bias", &[deviation]);
    set("emission.latent.weight", &[1.0]);
    set("emission.latent.bias", &[0.0]);
    set("emission.log_scale", &[deviation]);
    Ok((model, parameters))
}

#[test]
fn particles_find_the_exact_likelihood_whatever_proposes_them() -> Result<(), ModelError> {
    const STEPS: usize = 100;
    for posterior in [Posterior::Structured, Posterior::MeanField] {
        let (model, parameters) = exact(posterior, PriorConfig::OrderOne(order_one()))?;
        let mut x = series(PHI, R, STEPS, 4);
        if posterior == Posterior::Structured {
            x.iter_mut().step_by(2).for_each(|x| *x = f64::NAN);
        }
        let seen: Vec<_> = x.iter().map(|&x| (!x.is_nan()).then_some(x)).collect();
        let want = log_likelihood(&seen, PHI, R);
        let series = Series::new(model.config(), &x, &[], 1)?;
        let mut estimates = Vec::new();
        for seed in 0..24 {
            let how = ParticleConfig { particles: 400, noise: NoiseKey::new(seed, 0, 0) };
            let particles = model.filter(&parameters, series, how)?;
            for (t, l) in particles.log_predictive.iter().enumerate() {
                assert_eq!(l[0] == 0.0, x[t].is_nan(), "step {t}: a missing step costs nothing");
            }
            estimates.push(particles.log_likelihood()[0]);
        }
        let n = estimates.len() as f64;
        let mean = estimates.iter().sum::<f64>() / n;
        let variance = estimates.iter().map(|l| (l - mean).powi(2)).sum::<f64>() / (n - 1.0);
        let error = (variance / n).sqrt();
        println!("{posterior:?}: exact {want:.3}, {mean:.3} +- {error:.3}, variance {variance:.4}");
        // The estimate of the likelihood is unbiased. The estimate of its logarithm is low by half
        // of its variance (the next term is of the order of the variance squared).
        assert!(mean <= want + 3.5 * error, "{posterior:?}: a lower bound");
        assert!(want - mean <= 0.6 * variance + 3.5 * error, "{posterior:?}: {mean} {want}");
    }
    Ok(())
}

#[test]
fn forecasts_are_the_exact_predictions() -> Result<(), Box<dyn Error>> {
    const PARTICLES: usize = 20_000;
    let (model, parameters) = exact(Posterior::Structured, PriorConfig::OrderOne(order_one()))?;
    let x = series(PHI, R, 60, 9);
    // Kalman: the moments of the last latent.
    let (mut mean, mut variance) = (0.0, 1.0);
    for (t, x) in x.iter().enumerate() {
        if t > 0 {
            (mean, variance) = (PHI * mean, PHI * PHI * variance + 1.0 - PHI * PHI);
        }
        let gain = variance / (variance + R);
        (mean, variance) = (mean + gain * (x - mean), variance * (1.0 - gain));
    }
    let series = Series::new(model.config(), &x, &[], 1)?;
    let how = ParticleConfig { particles: PARTICLES, noise: KEY };
    let particles = model.filter(&parameters, series, how)?;
    let forecast = model.forecast(&parameters, &particles, &[], 12, KEY)?;
    for h in [0, 3, 11] {
        let power = PHI.powi(h as i32 + 1);
        let center = power * mean;
        let spread = power * power * variance + 1.0 - power * power;
        let deviation = (spread + R).sqrt();
        // Four standard errors of a mean, and of a quantile of a mixture, for this number of draws.
        // Particles with a common past count at least half.
        let error = 4.0 * (2.0 * spread / PARTICLES as f64).sqrt();
        assert!((forecast.mean(0, h, 0) - center).abs() < error, "{h}");
        for (level, z) in [(0.5, 0.674_489_750_196_082_f64), (0.9, 1.644_853_626_951_472_6)] {
            let [low, high] = forecast.interval(0, h, 0, level)?;
            // The standard error of a quantile is that of the mean times at most sqrt(1 + z^2/2).
            let error = error * (1.0 + 0.5 * z * z).sqrt();
            assert!((low - (center - z * deviation)).abs() < error, "{h}: {low}");
            assert!((high - (center + z * deviation)).abs() < error, "{h}: {high}");
            let mass = forecast.cdf(0, h, 0, high) - forecast.cdf(0, h, 0, low);
            assert!((mass - level).abs() < 1e-9, "{h}: {mass}");
        }
        let at = center + 0.8 * deviation;
        let exact = -0.5 * ((std::f64::consts::TAU * deviation * deviation).ln() + 0.64);
        let got = forecast.log_density(0, h, 0, at);
        // The slope of the log-density in the centre is at most 0.8 / deviation there.
        assert!((got - exact).abs() < 2.0 * error / deviation, "{h}: {got} {exact}");
    }
    Ok(())
}

#[test]
fn a_student_t_forecast_has_its_quantiles_and_its_own_feedback() -> Result<(), ModelError> {
    let config = SequenceForecasterConfig {
        emission: EmissionFamily::StudentT(3.0),
        emission_lags: 1,
        ..SequenceForecasterConfig::default()
    };
    let (model, mut parameters) = SequenceForecaster::new::<f64>(config, 0)?;
    let mut set = |name: &str, value: &[f64]| {
        let id = parameters.find(name).expect("a parameter of the model");
        let data = parameters.data_mut(id.index());
        data.iter_mut().zip(value.iter().cycle()).for_each(|(x, v)| *x = *v);
    };
    // Units have no effect: x_t = 1/2 x_{t-1} + 0.1 t_3.
    set("emission.latent.weight", &[0.0]);
    set("emission.latent.bias", &[0.0]);
    set("emission.skip.weight", &[0.5, 0.0]);
    set("emission.log_scale", &[0.1_f64.ln()]);
    let x = [0.3, -0.1, 4.0];
    let series = Series::new(model.config(), &x, &[], 1)?;
    let count = 40_000;
    let particles =
        model.filter(&parameters, series, ParticleConfig { particles: count, noise: KEY })?;
    let forecast = model.forecast(&parameters, &particles, &[], 2, KEY)?;
    let [low, high] = forecast.interval(0, 0, 0, 0.95)?;
    // The quantile 0.975 of three degrees of freedom: 3.182446305284263.
    for (got, want) in [(low, 2.0 - 0.318_244_630_528_426_3), (high, 2.0 + 0.318_244_630_528_426_3)]
    {
        assert!((got - want).abs() < 1e-9, "{got} {want}");
    }
    // Two steps ahead, the locations are half of the draws of the first step.
    let second = forecast.locations(0, 1, 0);
    let mean = second.iter().sum::<f64>() / count as f64;
    let below = second.iter().filter(|&&l| l < 0.5 * low).count() as f64 / count as f64;
    // The standard deviation of the locations is 0.05 sqrt 3.
    assert!((mean - 1.0).abs() < 4.0 * 0.05 * (3.0 / count as f64).sqrt(), "{mean}");
    assert!((below - 0.025).abs() < 4.0 * (0.025 * 0.975 / count as f64).sqrt(), "{below}");
    Ok(())
}

/// The autocorrelation of draws from the posterior.
fn sampled(
    prior: PriorConfig,
    posterior: Posterior,
    x: &[f64],
    lag: usize,
    draws: usize,
) -> Result<f64, Box<dyn Error>> {
    let mut parameters = Parameters::<f64>::new();
    let mut builder = Builder::new(&mut parameters, 0);
    let prior = match prior {
        PriorConfig::OrderOne(config) => Prior::OrderOne(OrderOne::new(&mut builder, 1, config)?),
        PriorConfig::Autoregressive(config) => {
            Prior::Autoregressive(vdn_model::priors::Autoregressive::new(&mut builder, 1, config)?)
        }
        _ => Prior::StandardNormal,
    };
    let (mut tape, mut bindings) = (Tape::new(), Bindings::new());
    tape.set_recording_gradients(false);
    let mut graph = Graph::new(&mut tape, &parameters, &mut bindings, Mode::Evaluate, KEY);
    let steps = x.len() / BATCH;
    let mut messages = Vec::new();
    for t in 0..steps {
        let mean = graph.tape.constant([BATCH, 1], &[x[t], x[steps + t]])?;
        let logvar = graph.tape.constant([], &[R.ln()])?;
        let logvar = graph.tape.broadcast_to(logvar, [BATCH, 1])?;
        messages.push(Message { mean, logvar, gap: 1 });
    }
    let how = Unroll { posterior, ..Unroll::new(draws, KEY) };
    let out = unroll(&mut graph, prior, &messages, how)?;
    let z: Vec<&[f64]> = out.z.iter().map(|&z| tape.value(z).data()).collect();
    let (mut sums, mut n) = ([0.0; 5], 0.0);
    for t in lag..steps {
        for (now, before) in z[t].iter().zip(z[t - lag]) {
            let terms = [*now, *before, now * now, before * before, now * before];
            sums.iter_mut().zip(terms).for_each(|(sum, term)| *sum += term);
            n += 1.0;
        }
    }
    let [now, before, now_square, before_square, product] = sums.map(|sum| sum / n);
    let spread = 0.5 * (now_square + before_square - now * now - before * before);
    Ok((product - now * before) / spread)
}

#[test]
fn measured_persistence_is_that_of_draws_from_the_posterior() -> Result<(), Box<dyn Error>> {
    let one = PriorConfig::OrderOne(order_one());
    let cases = [
        (one, Posterior::Structured),
        (order_three(), Posterior::Structured),
        (PriorConfig::StandardNormal, Posterior::Structured),
        (one, Posterior::MeanField),
    ];
    for (prior, posterior) in cases {
        let (model, parameters) = exact(posterior, prior)?;
        let [x, _] = data::<f64>(model.config(), 40, false);
        let x: Vec<f64> = x.chunks(2).flat_map(|x| [x[0], 0.7 * x[0] + 0.4 * x[1]]).collect();
        let series = Series::new(model.config(), &x, &[], BATCH)?;
        for lag in [1, 2, 5] {
            let rho = model.persistence(&parameters, series, lag)?[0];
            let draws = 4000;
            let want = sampled(prior, posterior, &x, lag, draws)?;
            // Each draw gives a correlation over about 70 pairs, with a standard deviation below
            // 1/2.
            let error = 4.0 * 0.5 / (draws as f64).sqrt();
            assert!((rho - want).abs() < error, "{prior:?} {posterior:?} {lag}: {rho} {want}");
        }
    }
    let (model, parameters) = exact(Posterior::Structured, one)?;
    let coefficients = model.coefficients(&parameters)?;
    assert!((coefficients[0][0] - PHI).abs() < 1e-12);
    Ok(())
}
