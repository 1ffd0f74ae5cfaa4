//! The forecaster: shapes, sizes, initial state, twin, interventions, objectives.

use crate::models::support::{
    Data, KEY, build_small as build, loss, predict, sampled, scatter, small,
};
use vdn_autograd::{Noise, Tape};
use vdn_forecast::forecaster::{Aggregation, Forecaster, ForecasterConfig, Prediction, Variant};
use vdn_forecast::modules::{Centre, OutputNoiseMode};
use vdn_model::core::{Bindings, Builder, Graph, Mode, Parameters};
use vdn_model::objective::Objective;
use vdn_model::units::{Intervention, LayerConfig, SigmaMode, UnitStatistics, VariationalLayer};
use vdn_tensor::kernels::Pool;
use vdn_tensor::noise::NoiseKey;

#[test]
fn shapes_of_predictions_and_losses() {
    let default = sampled();
    let cases = [
        ("default", default, 6),
        ("compatibility", ForecasterConfig::compatibility(), 6),
        ("twin", ForecasterConfig { variant: Variant::Twin, ..default }, 1),
        ("reference twin", ForecasterConfig { variant: Variant::ReferenceTwin, ..default }, 1),
        ("vector-valued", ForecasterConfig { latent_dims: 3, ..default }, 6),
        ("pooled", ForecasterConfig { latent_dims: 3, pooling: Some(Pool::Sum), ..default }, 6),
    ];
    for (name, config, samples) in cases {
        let (model, parameters) = build(config);
        let data = Data::new(model.config(), 5, 0);
        let prediction = predict(&model, &parameters, &data, KEY, Intervention::None).unwrap();
        assert_eq!(prediction.shape, [samples, 5, 3], "{name}");
        assert_eq!((prediction.means.len(), prediction.sigma.len()), (samples * 15, 15), "{name}");
        let (tape, _, terms) = loss(&model, &parameters, &data, Mode::Train).unwrap();
        assert_eq!(terms.outputs[0].is_some(), config.variant == Variant::Variational, "{name}");
        assert!(tape.scalar(terms.loss).unwrap().is_finite(), "{name}");
        if let Some(layer) = terms.outputs[0] {
            assert_eq!(tape.shape(layer.units.z).dims(), [2, 5, 4 * config.latent_dims], "{name}");
        }
    }
}

#[test]
fn parameters_in_use_are_counted_by_hand() {
    // L 8, H 3, width 5, N 4, head 4. The encoder has two 5x8 maps, two 5x5 and one 5x15, each with
    // bias, and a norm of 2 x 5.
    let encoder = 2 * (40 + 5) + 2 * (25 + 5) + (75 + 5) + 10;
    let mu = |k: usize| 4 * k * 5 + 4 * k;
    // Head on c channels: norm, hidden, direct, gate and delta.
    let head = |c: usize| 2 * c + (4 * c + 4) + (3 * c + 3) + 2 * (12 + 3);
    let (skip, noise) = (24 + 3, 15 + 3);
    let default = sampled();
    let compatibility = ForecasterConfig::compatibility();
    let cases = [
        ("default", default, encoder + 2 * mu(1) + head(4) + skip + noise),
        (
            "twin",
            ForecasterConfig { variant: Variant::Twin, ..default },
            encoder + mu(1) + head(4) + skip + noise,
        ),
        (
            "vector",
            ForecasterConfig { latent_dims: 3, ..default },
            encoder + 2 * mu(3) + head(12) + skip + noise,
        ),
        ("compatibility", compatibility, encoder + mu(1) + 4 + head(4) + 3),
        (
            "reference twin",
            ForecasterConfig { variant: Variant::ReferenceTwin, ..compatibility },
            encoder + mu(1) + (12 + 3) + 3,
        ),
        (
            "scores",
            ForecasterConfig { aggregation: Aggregation::Score, ..default },
            encoder + 2 * mu(1) + head(4) + 5 + skip + noise,
        ),
    ];
    for (name, config, want) in cases {
        let (model, parameters) = build(config);
        assert_eq!(model.used_parameters(&parameters), want, "{name}");
    }
}

#[test]
fn an_untrained_default_forecasts_the_mean_of_the_window() {
    for centre in [Centre::Mean, Centre::Last, Centre::Off] {
        let (model, parameters) = build(ForecasterConfig {
            normalization: centre,
            divide_by_deviation: true,
            ..sampled()
        });
        let data = Data::new(model.config(), 5, 0);
        let prediction = predict(&model, &parameters, &data, KEY, Intervention::None).unwrap();
        for (row, window) in data.current.chunks(8).enumerate() {
            let mean = window.iter().sum::<f64>() / 8.0;
            for step in 0..3 {
                let got = prediction.mean()[3 * row + step];
                // Some tens of roundings of numbers of size 1.
                assert!((got - mean).abs() < 1e-13, "{centre:?}: {got} instead of {mean}");
            }
        }
    }
}

#[test]
fn the_first_batch_puts_every_unit_inside_its_rate_and_kl_interval() {
    for latent_dims in [1, 3] {
        let (model, mut parameters) = build(ForecasterConfig { latent_dims, ..sampled() });
        let data = Data::new(model.config(), 64, 0);
        model.initialize(&mut parameters, &data.batch()).unwrap();
        let (tape, _, terms) = loss(&model, &parameters, &data, Mode::Evaluate).unwrap();
        let units = terms.outputs[0].unwrap().units;
        let mut statistics = UnitStatistics::new();
        let [m1, c2, d0, lv] =
            [units.m1, units.c2, units.d0, units.lv].map(|v| tape.value(v).data());
        statistics.merge(64, m1, c2, d0, lv);
        for (unit, (rate, kl)) in statistics.rate().into_iter().zip(statistics.kl()).enumerate() {
            assert!(
                (0.05..=0.3).contains(&rate) && (0.05..=0.3).contains(&kl),
                "{unit}: {rate} {kl}"
            );
            assert!(
                m1[unit].abs() < 1e-12 && (c2[unit] - model.config().initial_energy).abs() < 1e-12,
                "{unit}: {} {}",
                m1[unit],
                c2[unit]
            );
        }
    }
}

#[test]
fn samples_without_noise_are_the_means() {
    for sigma in [SigmaMode::Scalar, SigmaMode::PerUnit, SigmaMode::PerUnitInput] {
        let config =
            LayerConfig { inputs: 5, units: 4, latent_dims: 2, sigma, ..LayerConfig::default() };
        let mut parameters = Parameters::<f64>::new();
        let layer = VariationalLayer::new(&mut Builder::new(&mut parameters, 1), config).unwrap();
        let (mut tape, mut bindings) = (Tape::new(), Bindings::new());
        let h = tape.constant_with([3, 5], |to| KEY.fill_normal(0, to)).unwrap();
        let silence = tape.constant([2, 3, 8], &[0.0; 48]).unwrap();
        let mut graph = Graph::new(&mut tape, &parameters, &mut bindings, Mode::Train, KEY);
        let output = layer.forward_with(&mut graph, h, 2, Noise::Given(silence)).unwrap();
        let means = layer.means(&mut graph, h).unwrap();
        for sample in tape.value(output.z).data().chunks(24) {
            assert_eq!(sample, tape.value(means).data(), "{sigma:?}");
        }
    }
}

#[test]
fn with_vanishing_sigma_the_forecaster_becomes_its_twin() {
    let config = ForecasterConfig { zero_output: false, sigma: SigmaMode::PerUnit, ..sampled() };
    let (twin, _) = build(ForecasterConfig { variant: Variant::Twin, ..config });
    let (model, mut parameters) = build(config);
    let data = Data::new(model.config(), 5, 0);
    let reference = predict(&twin, &parameters, &data, KEY, Intervention::None).unwrap();
    let index = parameters.find("neuron.log_sigma").unwrap().index();
    let mut distance = |sigma: f64| {
        parameters.data_mut(index).fill(sigma.ln());
        let prediction = predict(&model, &parameters, &data, KEY, Intervention::None).unwrap();
        let pairs =
            prediction.means.chunks(15).flat_map(|sample| sample.iter().zip(&reference.means));
        pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
    };
    // The noise is the same, so the distance is c sigma + O(sigma^2). A tenth of sigma gives a
    // tenth of the distance, up to a relative O(1e-3) times a ratio of derivatives that is of order
    // one here.
    let (far, near) = (distance(1e-3), distance(1e-4));
    assert!(far > 1e-5, "the samples do not reach the forecast: {far}");
    assert!((far / near - 10.0).abs() < 0.2, "{far} {near}");
}

/// A forecaster whose predictions depend on the windows only through the latent.
fn latent_only(variant: Variant) -> (Forecaster, Parameters<f64>) {
    let (model, mut parameters) = build(ForecasterConfig {
        normalization: Centre::Off,
        skip: false,
        output_noise: OutputNoiseMode::Constant,
        variant,
        ..sampled()
    });
    scatter(&mut parameters, 0.5);
    (model, parameters)
}

fn rows(prediction: &Prediction, sample: usize) -> impl Iterator<Item = &[f64]> {
    let [_, batch, horizon] = prediction.shape;
    prediction.means[sample * batch * horizon..][..batch * horizon].chunks(horizon)
}

#[test]
fn permuting_moves_every_latent_to_another_window() {
    for variant in [Variant::Variational, Variant::Twin] {
        let (model, parameters) = latent_only(variant);
        let data = Data::new(model.config(), 7, 0);
        let plain = predict(&model, &parameters, &data, KEY, Intervention::None).unwrap();
        let permuted = predict(&model, &parameters, &data, KEY, Intervention::Permute).unwrap();
        let again = predict(&model, &parameters, &data, KEY, Intervention::Permute).unwrap();
        assert_eq!(permuted.means, again.means);
        // The source row of each row of the permuted forecast. Rows differ by much more than
        // rounding.
        let order = |sample: usize| -> Vec<Option<usize>> {
            let same = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-12);
            let from = |row: &[f64]| rows(&plain, sample).position(|other| same(row, other));
            rows(&permuted, sample).map(from).collect()
        };
        let first = order(0);
        let mut sources: Vec<usize> = first.iter().copied().flatten().collect();
        assert!(
            first.iter().enumerate().all(|(to, &from)| from != Some(to)),
            "a fixed point: {first:?}"
        );
        sources.sort_unstable();
        assert_eq!(sources, (0..7).collect::<Vec<_>>(), "not a permutation: {first:?}");
        assert!(
            (0..plain.shape[0]).all(|sample| order(sample) == first),
            "samples are moved differently"
        );
    }
}

#[test]
fn latents_from_the_prior_know_nothing_of_the_windows() {
    let (model, parameters) = latent_only(Variant::Variational);
    let of = |seed, intervention| {
        let data = Data::new(model.config(), 7, seed);
        predict(&model, &parameters, &data, KEY, intervention).unwrap().means
    };
    assert_ne!(of(0, Intervention::None), of(1, Intervention::None));
    assert_eq!(of(0, Intervention::Prior), of(1, Intervention::Prior));
    let all = of(0, Intervention::Prior);
    assert!(all.chunks(3).skip(1).all(|row| row != &all[..3]), "the same draw for several windows");
}

#[test]
fn results_are_a_function_of_seed_and_step() {
    let of = |seed, key| {
        let config = small(ForecasterConfig { zero_output: false, ..sampled() });
        let (model, parameters) = Forecaster::new::<f32>(config, seed).unwrap();
        let data = Data::new(&config, 5, 0);
        let bits = |x: &[f64]| x.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        bits(&predict(&model, &parameters, &data, key, Intervention::None).unwrap().means)
    };
    assert_eq!(of(1, KEY), of(1, KEY));
    assert_ne!(of(1, KEY), of(2, KEY), "the seed of the weights");
    assert_ne!(of(1, KEY), of(1, NoiseKey { step: 4, ..KEY }), "the step of the noise");
}

#[test]
fn a_model_and_its_twin_start_from_the_same_weights() {
    let (_, model) = build(ForecasterConfig { sigma: SigmaMode::Scalar, ..sampled() });
    let (_, twin) = build(ForecasterConfig { variant: Variant::Twin, ..sampled() });
    let shared = model.iter().filter(|p| !p.name().contains("log_sigma"));
    for parameter in shared {
        let other = twin.get(twin.find(parameter.name()).unwrap());
        assert_eq!(parameter.tensor().data(), other.tensor().data(), "{}", parameter.name());
    }
}

/// Objectives, compared with sums written out from the samples, the predictions and sigma.
#[test]
fn objectives_are_the_bounds_they_are_named_after() {
    let sigma: f64 = 0.7;
    let make = |objective| {
        let (model, mut parameters) = build(ForecasterConfig {
            objective,
            sigma: SigmaMode::Scalar,
            antithetic: true,
            samples: 6,
            evaluate_samples: 6,
            beta: 0.25,
            ..sampled()
        });
        scatter(&mut parameters, 0.2);
        let index = parameters.find("neuron.log_sigma").unwrap().index();
        parameters.data_mut(index).fill(sigma.ln());
        (model, parameters)
    };
    let (model, parameters) = make(Objective::Vib);
    let data = Data::new(model.config(), 5, 0);
    let prediction = predict(&model, &parameters, &data, KEY, Intervention::None).unwrap();
    let value = |objective| {
        let (model, parameters) = make(objective);
        let (tape, _, terms) = loss(&model, &parameters, &data, Mode::Evaluate).unwrap();
        let z = tape.value(terms.outputs[0].unwrap().units.z).data().to_vec();
        let scalars = [terms.loss, terms.score, terms.kl.unwrap()].map(|v| tape.scalar(v).unwrap());
        (scalars, z)
    };
    let ([vib, nll, kl], z) = value(Objective::Vib);
    let (mut elbo, mut iwae, mut by_hand_kl) = (0.0, 0.0, 0.0);
    for b in 0..5 {
        let likelihood = |s: usize| -> f64 {
            let term = |h: usize| {
                let v = prediction.sigma[b * 3 + h];
                let r = (data.target[b * 3 + h] - prediction.means[(s * 5 + b) * 3 + h]) / v;
                -0.5 * (r * r + std::f64::consts::TAU.ln()) - v.ln()
            };
            (0..3).map(term).sum()
        };
        let at = |s: usize, i: usize| z[(s * 5 + b) * 4 + i];
        // Antithetic pairs: their mean is mu.
        let mu = |i: usize| 0.5 * (at(0, i) + at(1, i));
        let ratio = |s: usize| -> f64 {
            let term =
                |i| 0.5 * (((at(s, i) - mu(i)) / sigma).powi(2) - at(s, i).powi(2)) + sigma.ln();
            (0..4).map(term).sum()
        };
        let row_kl: f64 =
            (0..4).map(|i| 0.5 * (mu(i).powi(2) + sigma * sigma - 1.0) - sigma.ln()).sum();
        by_hand_kl += row_kl / 5.0;
        elbo += (row_kl - (0..6).map(likelihood).sum::<f64>() / 6.0) / 15.0;
        iwae -= ((0..6).map(|s| (likelihood(s) + ratio(s)).exp()).sum::<f64>() / 6.0).ln() / 15.0;
    }
    // Sums of some hundred terms of size one in double precision.
    let close = |a: f64, b: f64| (a - b).abs() < 1e-11 * (1.0 + b.abs());
    assert!(close(kl, by_hand_kl), "{kl} {by_hand_kl}");
    assert!(close(vib, nll + 0.25 * by_hand_kl), "{vib} {nll}");
    let ([got, ..], _) = value(Objective::Elbo);
    assert!(close(got, elbo), "elbo {got} {elbo}");
    let ([got, ..], _) = value(Objective::Iwae);
    assert!(close(got, iwae), "iwae {got} {iwae}");
}

#[test]
fn quantiles_invert_the_mixture() {
    let (model, mut parameters) = build(sampled());
    scatter(&mut parameters, 0.5);
    let data = Data::new(model.config(), 2, 0);
    let prediction = predict(&model, &parameters, &data, KEY, Intervention::None).unwrap();
    let [samples, batch, horizon] = prediction.shape;
    for tau in [0.01, 0.1, 0.5, 0.9] {
        for (place, quantile) in prediction.quantile(tau).into_iter().enumerate() {
            let deviation = prediction.sigma[place] * std::f64::consts::SQRT_2;
            let below = |s: usize| {
                let mean = prediction.means[s * batch * horizon + place];
                0.5 * (1.0 + vdn_tensor::math::double::erf((quantile - mean) / deviation))
            };
            let cdf = (0..samples).map(below).sum::<f64>() / samples as f64;
            assert!((cdf - tau).abs() < 1e-9, "{tau} at {place}: {cdf}");
        }
    }
}
