//! Errors in weights, configurations and batches are reported by name.

use crate::models::support::{Data, KEY, build_small, loss, predict, sampled, small};
use vdn_forecast::forecaster::{Aggregation, Forecaster, ForecasterConfig, Variant};
use vdn_model::core::Mode;
use vdn_model::objective::Objective;
use vdn_model::units::Intervention;

#[test]
fn a_nan_in_a_weight_is_reported_with_its_layer_and_unit() {
    for unit in [0, 2] {
        let (model, mut parameters) = build_small(sampled());
        let index = parameters.find("neuron.mu.weight").unwrap().index();
        parameters.data_mut(index)[unit * 5 + 3] = f64::NAN;
        let data = Data::new(model.config(), 5, 0);
        let (tape, ..) = loss(&model, &parameters, &data, Mode::Train).unwrap();
        let found = tape.first_non_finite().unwrap();
        assert_eq!((found.label.as_str(), found.index[0]), ("neuron", unit), "{found}");
        let error = predict(&model, &parameters, &data, KEY, Intervention::None).unwrap_err();
        assert!(error.to_string().contains("neuron"), "{error}");
    }
}

#[test]
fn impossible_configurations_are_refused_by_name() {
    type Change = fn(&mut ForecasterConfig);
    let cases: [(&str, Change); 17] = [
        ("units", |c| c.units = 0),
        ("latent_dims", |c| c.latent_dims = 0),
        ("input_len", |c| c.input_len = 0),
        ("horizon", |c| c.horizon = 0),
        ("hidden", |c| c.hidden = 0),
        ("head_hidden", |c| c.head_hidden = 0),
        ("samples", |c| c.samples = 0),
        ("evaluate_samples", |c| c.evaluate_samples = 0),
        ("initial_sigma", |c| c.initial_sigma = f64::NAN),
        ("initial_sigma", |c| c.initial_sigma = 20.0),
        ("dropout", |c| c.dropout = 1.0),
        ("beta", |c| c.beta = -1.0),
        ("initial_energy", |c| c.initial_energy = f64::NAN),
        ("initial_energy", |c| c.initial_energy = f64::INFINITY),
        ("kernel", |c| c.kernel = 0),
        ("objective", |c| (c.objective, c.variant) = (Objective::Elbo, Variant::Twin)),
        ("aggregation", |c| (c.objective, c.aggregation) = (Objective::Iwae, Aggregation::Score)),
    ];
    for (setting, change) in cases {
        let mut config = small(sampled());
        change(&mut config);
        match Forecaster::new::<f32>(config, 0) {
            Ok(_) => panic!("{setting} was accepted"),
            Err(error) => {
                let text = error.to_string();
                let named = [" = ", ": "].map(|after| format!("{setting}{after}"));
                assert!(named.iter().any(|n| text.starts_with(n)), "{setting}: {text}");
            }
        }
    }
}

#[test]
fn batches_that_do_not_fit_are_refused_with_their_lengths() {
    let (model, parameters) = build_small(sampled());
    let good = Data::<f64>::new(model.config(), 2, 0);
    let cases: [fn(&mut Data<f64>); 5] = [
        |d| d.current.clear(),
        |d| d.current.truncate(13),
        |d| d.previous.truncate(8),
        |d| d.target.truncate(5),
        |d| d.target.extend([0.0; 3]),
    ];
    for (case, change) in cases.into_iter().enumerate() {
        let mut data = good.clone();
        change(&mut data);
        let error =
            loss(&model, &parameters, &data, Mode::Train).map(|_| ()).unwrap_err().to_string();
        let lengths = [data.current.len(), data.previous.len(), data.target.len()];
        assert!(error.contains(&format!("{lengths:?}")), "case {case}: {error}");
    }
    let blind = Data { target: Vec::new(), ..good };
    assert!(loss(&model, &parameters, &blind, Mode::Train).is_err());
    assert!(predict(&model, &parameters, &blind, KEY, Intervention::None).is_ok());
}
