//! Forecasters with several layers: losses, gradients, KL weights, parameter counts, rejected
//! settings.

use crate::models::support::{self, Data, KEY, normals, scatter, small, wrong_gradients};
use vdn_autograd::{Noise, Tape};
use vdn_forecast::forecaster::{Batch, Forecaster, ForecasterConfig, LossOptions, Variant};
use vdn_model::controllers::{
    Goal, LayerControl, LayerControlConfig, PersistenceConfig, PersistenceTarget, Timing,
};
use vdn_model::core::{Bindings, Graph, Mode, ModelError, Parameters};
use vdn_model::objective::{ArTerm, EarlierWindow, LocalObjective, Objective, local_objectives};
use vdn_model::units::{
    Activation, Intervention, PerLayer, all_units, non_finite_report, unit_of_parameter,
};
use vdn_train::train::Terms;

const ROWS: usize = 3;

fn config(depth: usize) -> ForecasterConfig {
    small(ForecasterConfig { beta: 0.05, depth, ..ForecasterConfig::default() })
}

fn data() -> Data<f64> {
    Data::new(&config(1), ROWS, 1)
}

fn build(config: ForecasterConfig) -> (Forecaster, Parameters<f64>) {
    let (model, mut parameters) = Forecaster::new(config, 3).unwrap();
    scatter(&mut parameters, 0.2);
    (model, parameters)
}

fn loss<R>(
    built: &(Forecaster, Parameters<f64>),
    options: &LossOptions<'_>,
    read: impl FnOnce(&mut Tape<f64>, &Terms) -> R,
) -> Result<R, ModelError> {
    loss_of(built, &data().batch(), options, read)
}

fn loss_of<R>(
    (model, parameters): &(Forecaster, Parameters<f64>),
    batch: &Batch<'_, f64>,
    options: &LossOptions<'_>,
    read: impl FnOnce(&mut Tape<f64>, &Terms) -> R,
) -> Result<R, ModelError> {
    let (mut tape, mut bindings) = (Tape::new(), Bindings::new());
    let mut graph = Graph::new(&mut tape, parameters, &mut bindings, Mode::Train, KEY);
    let terms = model.loss_with(&mut graph, batch, options)?;
    Ok(read(&mut tape, &terms))
}

#[test]
fn forecasters_of_several_layers_have_the_gradients_of_their_loss() {
    let cases = [
        ("two", config(2)),
        ("eight", ForecasterConfig { residual: true, ..config(8) }),
        (
            "half of the units",
            ForecasterConfig {
                distributional_fraction: PerLayer::all(0.5),
                layer_norm: true,
                ..config(3)
            },
        ),
        (
            "widths and weights",
            ForecasterConfig {
                widths: Some(PerLayer::each(&[6, 3, 2]).unwrap()),
                layer_beta: PerLayer::each(&[1.0, 2.0, 0.5]).unwrap(),
                residual: true,
                ..config(3)
            },
        ),
        ("elbo", ForecasterConfig { objective: Objective::Elbo, ..config(2) }),
        ("iwae", ForecasterConfig { objective: Objective::Iwae, ..config(3) }),
        ("twin", ForecasterConfig { variant: Variant::Twin, ..config(3) }),
        ("gated twin", ForecasterConfig { variant: Variant::GatedTwin, ..config(3) }),
    ];
    let wrong = wrong_gradients(cases);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The loss is the score plus each layer's KL with its own weight. Local objectives replace the
/// weights.
#[test]
fn every_layer_has_its_own_weight_of_the_kl() {
    let factors = [1.0, 3.0, 0.0];
    let built =
        build(ForecasterConfig { layer_beta: PerLayer::each(&factors).unwrap(), ..config(3) });
    let read = |tape: &mut Tape<f64>, terms: &Terms| {
        let joined = all_units(tape, &terms.outputs).unwrap().unwrap();
        let scalar = |var| tape.scalar(var).unwrap();
        let sum = |units: vdn_autograd::UnitOutputs| -> f64 {
            let [m2, d0] = [units.m2, units.d0].map(|v| tape.value(v).data());
            m2.iter().zip(d0).map(|(m2, d0)| 0.5 * (m2 + d0)).sum()
        };
        let kl: Vec<f64> = terms.outputs.iter().flatten().map(|layer| sum(layer.units)).collect();
        let all = sum(joined);
        (scalar(terms.loss), scalar(terms.score), kl, scalar(terms.kl.unwrap()), all)
    };
    let (total, nll, kl, sum, all) = loss(&built, &LossOptions::default(), read).unwrap();
    assert_eq!(kl.len(), 3);
    assert!(kl.iter().all(|&kl| kl > 0.0), "{kl:?}");
    let want: f64 = nll + kl.iter().zip(factors).map(|(kl, f)| 0.05 * f * kl).sum::<f64>();
    assert!((total - want).abs() < 1e-13, "{total} {want}");
    assert!((sum - kl.iter().sum::<f64>()).abs() < 1e-13 && (all - sum).abs() < 1e-13);
    // Other weights for each unit, set by local objectives.
    let weigh = |beta: f64| LocalObjective::new(4, beta);
    let own = [weigh(0.1), weigh(0.2), weigh(0.3)];
    let of = |locals: [Option<&'_ LocalObjective>; 3]| -> f64 {
        let options = LossOptions { locals: local_objectives(locals), ..LossOptions::default() };
        let (total, nll, kl, ..) = loss(&built, &options, read).unwrap();
        let used = locals.iter().zip(factors).map(|(own, f)| own.map_or(0.05 * f, |o| o.beta[0]));
        total - nll - kl.iter().zip(used).map(|(kl, b)| b * kl).sum::<f64>()
    };
    let [first, second, third] = [&own[0], &own[1], &own[2]].map(Some);
    for locals in [[first, second, third], [None, second, None], [first, None, third]] {
        assert!(of(locals).abs() < 1e-13, "{}", of(locals));
    }
    // Objectives of other models are rejected by name.
    let narrow = LocalObjective::new(3, 0.1);
    let mut wish = LayerControl::new(4, 1, LayerControlConfig::default());
    let config = PersistenceConfig::new(Goal::Target(0.3));
    wish.add(PersistenceTarget::between_windows(4, config).unwrap(), Timing::ALWAYS).unwrap();
    let wish = Some(&wish.levers().objective);
    let cases = [
        (local_objectives([wish]), "a persistence target needs the predecessors"),
        (local_objectives([None, wish]), "a persistence target in layer 2: above the first layer"),
        (local_objectives([None, Some(&narrow)]), "3 KL weights for 4 units of layer 2"),
        (local_objectives([None, None, None, first]), "for layer 4"),
    ];
    for (locals, reason) in cases {
        let options = LossOptions { locals, ..LossOptions::default() };
        let error = loss(&built, &options, |_, _| ()).unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    }
}

/// With one sample the importance-weighted bound is `ln p(y|z) + ln p(z) - ln q(z|x)` along the
/// path, written out here.
#[test]
fn the_importance_weights_of_a_path_multiply() {
    let built = build(ForecasterConfig {
        objective: Objective::Iwae,
        samples: 1,
        dropout: 0.0,
        ..config(2)
    });
    let value = loss(&built, &LossOptions::default(), |tape, terms| {
        let mut ratio = [0.0; ROWS];
        for layer in terms.outputs.iter().flatten() {
            let [z, mu, logvar] =
                [layer.units.z, layer.mu, layer.logvar].map(|v| tape.value(v).data());
            for i in 0..z.len() {
                let log_q = -0.5 * ((z[i] - mu[i]).powi(2) / logvar[i].exp() + logvar[i]);
                ratio[i / 4] += -0.5 * z[i] * z[i] - log_q;
            }
        }
        (tape.scalar(terms.loss).unwrap(), ratio.iter().sum::<f64>() / ROWS as f64)
    });
    let (iwae, ratio) = value.unwrap();
    // The likelihood alone is the elbo without its KL.
    let elbo = ForecasterConfig { objective: Objective::Elbo, ..*built.0.config() };
    let (model, _) = Forecaster::new::<f64>(elbo, 3).unwrap();
    let (elbo, kl) = loss(&(model, built.1.clone()), &LossOptions::default(), |tape, terms| {
        (tape.scalar(terms.loss).unwrap(), tape.scalar(terms.kl.unwrap()).unwrap())
    })
    .unwrap();
    let want = elbo - kl / 3.0 - ratio / 3.0;
    assert!((iwae - want).abs() < 1e-12, "{iwae} {want}");
}

#[test]
fn twins_and_fractions_are_counted_by_hand() {
    // L 8, H 3, width 5, N 4, head 4; the encoder as in the tests of one layer.
    let encoder = 2 * (40 + 5) + 2 * (25 + 5) + (75 + 5) + 10;
    let head = 2 * 4 + (16 + 4) + (12 + 3) + 2 * (12 + 3);
    let rest = encoder + head + (24 + 3) + (15 + 3);
    let (first, upper) = (4 * 5 + 4, 4 * 4 + 4);
    let base = config(3);
    let cases = [
        ("variational", base, 2 * (first + 2 * upper)),
        ("twin", ForecasterConfig { variant: Variant::Twin, ..base }, first + 2 * upper),
        (
            "gated twin",
            ForecasterConfig { variant: Variant::GatedTwin, ..base },
            2 * (first + 2 * upper),
        ),
        (
            "half",
            ForecasterConfig { distributional_fraction: PerLayer::all(0.5), ..base },
            3 * (first + 2 * upper) / 2,
        ),
        (
            "none",
            ForecasterConfig { distributional_fraction: PerLayer::all(0.0), ..base },
            first + 2 * upper,
        ),
        (
            "norms, residuals of equal width",
            ForecasterConfig { residual: true, layer_norm: true, ..base },
            2 * (first + 2 * upper) + 2 * 8,
        ),
    ];
    for (name, config, want) in cases {
        let (model, parameters) = build(config);
        assert_eq!(model.used_parameters(&parameters), rest + want, "{name}");
    }
}

/// Latents of the replaced layer are redrawn; the noise of all other layers stays the same.
#[test]
fn replacing_all_layers_or_the_only_one_is_the_same() {
    let predict = |built: &(Forecaster, Parameters<f64>), intervention| {
        support::predict(&built.0, &built.1, &data(), KEY, intervention).unwrap().means
    };
    let one = build(config(1));
    let all = predict(&one, Intervention::Prior);
    assert_eq!(all, predict(&one, Intervention::LayerPrior(0)));
    assert_ne!(all, predict(&one, Intervention::None));
    let three = build(config(3));
    let means: Vec<_> = (0..3).map(|l| predict(&three, Intervention::LayerPrior(l))).collect();
    assert!(means[0] != means[1] && means[1] != means[2]);
    assert_eq!(means[2], predict(&three, Intervention::Prior));
}

#[test]
fn a_nan_is_found_in_its_layer() {
    let built = build(config(3));
    let mut parameters = built.1.clone();
    let id = parameters.find("neuron2.mu.weight").unwrap();
    parameters.data_mut(id.index())[9] = f64::NAN;
    let (tape, bindings, _) = support::loss(&built.0, &parameters, &data(), Mode::Train).unwrap();
    let layers = built.0.stack().layers();
    let report = non_finite_report(layers, &tape, &parameters, &bindings, "the loss");
    assert!(report.contains("neuron2") && report.contains("unit 2"), "{report}");
    assert_eq!(unit_of_parameter(layers, "neuron2.mu.weight", &[4, 4], 9), Some(2));
    assert_eq!(unit_of_parameter(layers, "neuron4.mu.weight", &[4, 4], 9), None);
}

#[test]
fn given_noise_is_that_of_the_first_layer() {
    let built = build(config(2));
    let run = |shift: f64| {
        let (mut tape, mut bindings) = (Tape::new(), Bindings::new());
        let mut graph = Graph::new(&mut tape, &built.1, &mut bindings, Mode::Train, KEY);
        let eps: Vec<f64> = normals(5, 7 * ROWS * 4).iter().map(|e| e + shift).collect();
        let eps = graph.tape.constant([7, ROWS, 4], &eps).unwrap();
        let noise = Some((7, Noise::Given(eps)));
        let options = LossOptions { noise, ..LossOptions::default() };
        let terms = built.0.loss_with(&mut graph, &data().batch(), &options).unwrap();
        assert_eq!(tape.shape(terms.outputs[1].unwrap().z).dims(), [7, ROWS, 4]);
        tape.scalar(terms.loss).unwrap()
    };
    assert_eq!(run(0.0), run(0.0));
    assert_ne!(run(0.0), run(0.5));
}

#[test]
fn impossible_depths_are_refused_by_name() {
    type Change = fn(&mut ForecasterConfig);
    let cases: [(&str, Change); 10] = [
        ("depth", |c| c.depth = 0),
        ("depth", |c| c.depth = 17),
        ("depth", |c| c.variant = Variant::ReferenceTwin),
        ("widths", |c| c.widths = Some(PerLayer::each(&[4, 4, 4]).unwrap())),
        ("widths", |c| c.widths = Some(PerLayer::each(&[4, 0]).unwrap())),
        ("distributional_fraction", |c| c.distributional_fraction = PerLayer::all(1.5)),
        ("distributional_fraction", |c| {
            c.distributional_fraction = PerLayer::each(&[1.0]).unwrap();
        }),
        ("layer_beta", |c| c.layer_beta = PerLayer::all(-1.0)),
        ("objective", |c| {
            (c.objective, c.distributional_fraction) = (Objective::Elbo, PerLayer::all(0.0));
        }),
        ("units times latent_dims, squared", |c| {
            (c.widths, c.hidden) = (Some(PerLayer::all(1 << 16)), 2);
            c.head_hidden = 2;
        }),
    ];
    for (setting, change) in cases {
        let mut config = ForecasterConfig { activation: Activation::Identity, ..config(2) };
        change(&mut config);
        let error = Forecaster::new::<f32>(config, 0).map(|_| ()).unwrap_err().to_string();
        let named = [" = ", ": "].map(|after| format!("{setting}{after}"));
        assert!(named.iter().any(|n| error.starts_with(n)), "{setting}: {error}");
    }
    assert!(PerLayer::<usize>::each(&[]).is_err() && PerLayer::each(&[1; 17]).is_err());
}

/// Above the first layer, the penalty compares means for the same draws of the layers below. Here
/// it is recomputed from two passes.
#[test]
fn an_autoregressive_penalty_holds_at_any_layer() {
    let built = build(config(3));
    let term = |phi| ArTerm {
        weight: 0.5,
        ramp: 1.0,
        phi,
        sigma: 0.7,
        earlier: EarlierWindow::Predecessor,
    };
    let with = |phi| {
        let mut own = LocalObjective::new(4, 0.1);
        own.autoregression = Some(term(phi));
        own
    };
    let (first, third) = (with(0.9), with(0.4));
    let earlier = normals(4, ROWS * 8);
    let locals = local_objectives([Some(&first), None, Some(&third)]);
    let options = LossOptions { locals, ..LossOptions::default() };
    let means = |tape: &Tape<f64>, terms: &Terms, layer: usize| {
        tape.value(terms.outputs[layer].unwrap().mu).data().to_vec()
    };
    let data = data();
    let batch = Batch { earlier: Some(&earlier), ..data.batch() };
    let (ars, now) = loss_of(&built, &batch, &options, |tape, terms| {
        let ar = |layer: usize| terms.locals[layer]?.ar.map(|ar| tape.scalar(ar).unwrap());
        ([0, 1, 2].map(ar), [0, 2].map(|layer| means(tape, terms, layer)))
    })
    .unwrap();
    assert!(ars[1].is_none(), "a penalty that nobody asked for");
    // The same noise, for the preceding windows.
    let Data { previous: current, target, .. } = data.clone();
    let before = Data { current, previous: earlier.clone(), target };
    let (tape, _, terms) = support::loss(&built.0, &built.1, &before, Mode::Train).unwrap();
    for (now, (layer, phi)) in now.iter().zip([(0, 0.9), (2, 0.4)]) {
        let then = means(&tape, &terms, layer);
        assert_eq!(now.len(), then.len());
        let squares = now.iter().zip(&then).map(|(a, b)| (a - phi * b).powi(2)).sum::<f64>();
        let want = squares / now.len() as f64 / (2.0 * 0.7 * 0.7 + 1e-12);
        let found = ars[layer].unwrap();
        assert!((found - want).abs() < 1e-12 * want, "layer {layer}: {found} {want}");
        assert!(found > 1e-3);
    }
}
