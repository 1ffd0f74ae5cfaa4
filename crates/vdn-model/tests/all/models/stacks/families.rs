//! Every family in a layer, in a table: gradients, KL, statistics, samples, prior draws, refusals.

use crate::models::numbers::{normals, scatter};
use vdn_autograd::{Noise, Tape, check_gradients};
use vdn_model::core::{Bindings, Builder, Graph, Mode, Parameters};
use vdn_model::units::{
    LayerConfig, LayerOutput, LayerPrior, SigmaMode, UnitFamily, UnitStatistics, VariationalLayer,
};
use vdn_tensor::families::{Family, Laplace, Logistic, Normal, StudentT};
use vdn_tensor::noise::NoiseKey;
use vdn_tensor::{Shape, Tensor};

const SAMPLES: usize = 3;
const BATCH: usize = 5;
const INPUTS: usize = 3;
const KEY: NoiseKey = NoiseKey::new(4, 0, 2);
const T5: UnitFamily = UnitFamily::StudentT { degrees_of_freedom: 5.0 };

const FAMILIES: [UnitFamily; 5] =
    [UnitFamily::Normal, UnitFamily::LogNormal, UnitFamily::Laplace, UnitFamily::Logistic, T5];

fn config(family: UnitFamily, prior: LayerPrior) -> LayerConfig {
    LayerConfig { inputs: INPUTS, units: 4, family, prior, emit_kl: true, ..LayerConfig::default() }
}

fn build(config: LayerConfig) -> (VariationalLayer, Parameters<f64>) {
    let mut parameters = Parameters::new();
    let layer = VariationalLayer::new(&mut Builder::new(&mut parameters, 2).scope("layer"), config)
        .unwrap();
    scatter(&mut parameters, 0.2);
    (layer, parameters)
}

fn run<R>(
    (layer, parameters): &(VariationalLayer, Parameters<f64>),
    samples: usize,
    read: impl FnOnce(&Tape<f64>, &LayerOutput) -> R,
) -> R {
    let (mut tape, mut bindings) = (Tape::new(), Bindings::new());
    let mut graph = Graph::new(&mut tape, parameters, &mut bindings, Mode::Train, KEY);
    let h = graph.tape.constant([BATCH, INPUTS], &normals(1, BATCH * INPUTS)).unwrap();
    let noise = Noise::Addressed(KEY.with_stream(0));
    let output = layer.forward_with(&mut graph, h, samples, noise).unwrap();
    read(&tape, &output)
}

/// Samples, KL and rate by context and every parameter, with both priors and every source of
/// deviations.
#[test]
fn gradients_of_every_family_with_every_prior() {
    for family in FAMILIES {
        for prior in [LayerPrior::Standard, LayerPrior::Learned] {
            for sigma in [SigmaMode::PerUnitInput, SigmaMode::PerUnit, SigmaMode::Scalar] {
                let (layer, parameters) = build(LayerConfig { sigma, ..config(family, prior) });
                let ids: Vec<_> =
                    parameters.iter().map(|p| parameters.find(p.name()).unwrap()).collect();
                let h = Tensor::from_slice([BATCH, INPUTS], &normals(1, BATCH * INPUTS)).unwrap();
                let mut inputs = vec![h];
                inputs.extend(parameters.iter().map(|p| (**p.tensor()).clone()));
                let weights = normals(8, SAMPLES * BATCH * 4);
                let report = check_gradients(&inputs, |tape, vars| {
                    let mut bindings = Bindings::new();
                    let mut graph = Graph::new(tape, &parameters, &mut bindings, Mode::Train, KEY);
                    ids.iter().zip(&vars[1..]).for_each(|(&id, &var)| graph.bind(id, var));
                    let noise = Noise::Addressed(KEY.with_stream(0));
                    let output = layer.forward_with(&mut graph, vars[0], SAMPLES, noise)?;
                    let tape = graph.tape;
                    let weights = tape.constant([SAMPLES, BATCH, 4], &weights)?;
                    let weighted = tape.mul(output.z, weights)?;
                    let value = tape.sum(weighted)?;
                    let (kl, rate) = (tape.unit_kl(&output.units)?, tape.unit_rate(&output.units)?);
                    let (kl, rate) = (tape.sum(kl)?, tape.sum(rate)?);
                    let sum = tape.add(value, kl)?;
                    tape.add(sum, rate)
                })
                .unwrap();
                assert!(report.passed(), "{family:?} {prior:?} {sigma:?}: {report}");
            }
        }
    }
}

/// `int q (ln q - ln p)` by the trapezium rule after `z = m + s sinh u`: exact to some 1e-10 for
/// every family here, whose tails fall at least as `z^-6`. With it the deviations under `q` of
/// `r = ln q - ln p` and of `e^-r - 1 + r`, which Student's t estimates by.
fn divergence<F: Family>(family: F, m: f64, l: f64) -> (f64, [f64; 2]) {
    let (steps, reach) = (20_000, 15.0);
    let h = 2.0 * reach / f64::from(steps);
    let (mut mean, mut squares) = (0.0, [0.0; 2]);
    for i in 0..=steps {
        let u = -reach + h * f64::from(i);
        let z = m + l.exp() * u.sinh();
        let log_q = family.log_density([m, l], z);
        let weight = h * log_q.exp() * l.exp() * u.cosh();
        let ratio = log_q - family.log_density([0.0, 0.0], z);
        if weight > 0.0 {
            mean += weight * ratio;
            squares[0] += weight * ratio * ratio;
            squares[1] += weight * ((-ratio).exp_m1() + ratio).powi(2);
        }
    }
    (mean, squares.map(|square| (square - mean * mean).max(0.0).sqrt()))
}

/// The KL of an element equals its integral: closed forms to the error of the rule, estimates
/// within 4.5 standard errors (logistic draws vary less than `ln q - ln p` does).
#[test]
fn the_kl_of_every_family_is_its_integral() {
    for family in FAMILIES {
        let built = build(config(family, LayerPrior::Standard));
        let samples = 4096_u16;
        run(&built, usize::from(samples), |tape, output| {
            let value = |v| tape.value(v).data();
            let (mu, logvar) = (value(output.mu), value(output.logvar));
            let kl = value(output.units.kl.unwrap());
            for i in 0..mu.len() {
                let (m, l) = (mu[i], 0.5 * logvar[i]);
                let (want, deviations) = match family {
                    // The divergence is invariant under a bijection.
                    UnitFamily::Normal | UnitFamily::LogNormal => divergence(Normal, m, l),
                    UnitFamily::Laplace => divergence(Laplace, m, l),
                    UnitFamily::Logistic => divergence(Logistic, m, l),
                    UnitFamily::StudentT { degrees_of_freedom } => {
                        divergence(StudentT::new(degrees_of_freedom).unwrap(), m, l)
                    }
                };
                let deviation = match family {
                    UnitFamily::Logistic => deviations[0],
                    UnitFamily::StudentT { .. } => deviations[1],
                    _ => 0.0,
                };
                let error = deviation / f64::from(samples).sqrt();
                // The kink of a Laplace density costs the rule the square of its step.
                let tolerance = 4.5 * error + 1e-5;
                assert!((kl[i] - want).abs() < tolerance, "{family:?} {i}: {} {want}", kl[i]);
            }
            // The mean over rows equals unit_kl, and the sums of rows equal kl_per_row.
            let rows = built.0.kl_per_row(tape, output);
            let mut statistics = UnitStatistics::new();
            statistics.take_in(BATCH, tape, &output.units);
            let total: f64 = statistics.kl().iter().sum();
            let mean = rows.iter().sum::<f64>() / BATCH as f64;
            assert!((total - mean).abs() < 1e-12, "{family:?}: {total} {mean}");
            let parts =
                statistics.rate().into_iter().zip(statistics.mismatch()).map(|(r, d)| r + d);
            assert!((parts.sum::<f64>() - total).abs() < 1e-12, "{family:?}");
        });
    }
}

/// Means, deviations and statistics on the prior's scale: a learned prior shifts and scales, and no
/// divergence changes.
#[test]
fn a_learned_prior_at_the_standard_member_changes_nothing_and_elsewhere_shifts_the_units() {
    for family in FAMILIES {
        let (standard, parameters) = build(config(family, LayerPrior::Standard));
        let (learned, mut own) = build(config(family, LayerPrior::Learned));
        // The same heads; the prior at its start.
        for name in parameters.iter().map(|p| p.name().to_owned()).collect::<Vec<_>>() {
            let from = parameters.get(parameters.find(&name).unwrap()).tensor().data().to_vec();
            own.data_mut(own.find(&name).unwrap().index()).copy_from_slice(&from);
        }
        let set = |own: &mut Parameters<f64>, m: f64, l: f64| {
            for (name, value) in [("layer.prior.mean", m), ("layer.prior.log_scale", l)] {
                own.data_mut(own.find(name).unwrap().index()).fill(value);
            }
        };
        let read = |tape: &Tape<f64>, o: &LayerOutput| {
            let kl = tape.value(o.units.kl.unwrap()).data().to_vec();
            (tape.value(o.z).data().to_vec(), kl)
        };
        set(&mut own, 0.0, 0.0);
        let plain = run(&(standard.clone(), parameters.clone()), SAMPLES, read);
        assert_eq!(run(&(learned.clone(), own.clone()), SAMPLES, read), plain, "{family:?}");
        // Heads moved along with the prior: the same divergences, samples mapped.
        let (m, l) = (0.4, -0.3_f64);
        set(&mut own, m, l);
        for (name, shift, scale) in [
            ("layer.mu.weight", 0.0, l.exp()),
            ("layer.mu.bias", m, l.exp()),
            ("layer.log_sigma_layer.bias", l, 1.0),
        ] {
            let data = own.data_mut(own.find(name).unwrap().index());
            data.iter_mut().for_each(|x| *x = shift + scale * *x);
        }
        let (z, kl) = run(&(learned, own), SAMPLES, read);
        for (got, want) in kl.iter().zip(&plain.1) {
            assert!((got - want).abs() < 1e-13 * want.max(1.0), "{family:?}: {got} {want}");
        }
        for (got, from) in z.iter().zip(&plain.0) {
            let want = match family {
                UnitFamily::LogNormal => (m + l.exp() * from.ln()).exp(),
                _ => m + l.exp() * from,
            };
            assert!((got - want).abs() < 1e-12 * want.abs().max(1.0), "{family:?}: {got} {want}");
        }
    }
}

/// Draws from the prior have its moments (of the logarithm for log-normal units): 40 000 draws, 6
/// standard errors.
#[test]
fn prior_draws_have_the_moments_of_the_prior() {
    let n = 40_000;
    for family in FAMILIES {
        for prior in [LayerPrior::Standard, LayerPrior::Learned] {
            let (layer, mut parameters) = build(config(family, prior));
            let (m, l) = match prior {
                LayerPrior::Standard => (0.0, 0.0_f64),
                LayerPrior::Learned => (0.5, 0.3),
            };
            for (name, value) in [("layer.prior.mean", m), ("layer.prior.log_scale", l)] {
                if let Some(id) = parameters.find(name) {
                    parameters.data_mut(id.index()).fill(value);
                }
            }
            let (mut tape, mut bindings) = (Tape::new(), Bindings::new());
            let mut graph = Graph::new(&mut tape, &parameters, &mut bindings, Mode::Train, KEY);
            let shape = Shape::new(&[1, n / 4, 4]).unwrap();
            let z = layer.prior_activities(&mut graph, shape, KEY).unwrap();
            let draws: Vec<f64> = match family {
                UnitFamily::LogNormal => tape.value(z).data().iter().map(|z| z.ln()).collect(),
                _ => tape.value(z).data().to_vec(),
            };
            let variance = match family {
                UnitFamily::Normal | UnitFamily::LogNormal => 1.0,
                UnitFamily::Laplace => 2.0,
                UnitFamily::Logistic => std::f64::consts::PI.powi(2) / 3.0,
                UnitFamily::StudentT { degrees_of_freedom: nu } => nu / (nu - 2.0),
            } * (2.0 * l).exp();
            let mean = draws.iter().sum::<f64>() / n as f64;
            let error = (variance / n as f64).sqrt();
            assert!((mean - m).abs() < 6.0 * error, "{family:?} {prior:?}: mean {mean}");
            let spread = draws.iter().map(|z| (z - m).powi(2)).sum::<f64>() / n as f64;
            // Kurtosis at most 9 (Student's t with 5 degrees of freedom): deviation of the square
            // at most sqrt 8.
            let tolerance = 6.0 * variance * (8.0 / n as f64).sqrt();
            assert!(
                (spread - variance).abs() < tolerance,
                "{family:?} {prior:?}: {spread} {variance}"
            );
        }
    }
}

#[test]
fn what_makes_no_sense_is_refused() {
    let mut parameters = Parameters::<f64>::new();
    let mut refused = |config: LayerConfig| {
        let built = VariationalLayer::new(&mut Builder::new(&mut parameters, 0), config);
        built.map(|_| ()).unwrap_err().to_string()
    };
    for nu in [0.5, 1.0, 2.0, f64::NAN, f64::INFINITY, 1e20] {
        let family = UnitFamily::StudentT { degrees_of_freedom: nu };
        let error = refused(config(family, LayerPrior::Standard));
        assert!(error.contains("degrees_of_freedom"), "{nu}: {error}");
    }
    let mirrored =
        LayerConfig { antithetic: true, ..config(UnitFamily::Laplace, LayerPrior::Standard) };
    assert!(refused(mirrored).contains("antithetic"));
    let (layer, parameters) = build(config(UnitFamily::Logistic, LayerPrior::Standard));
    let (mut tape, mut bindings) = (Tape::new(), Bindings::new());
    let mut graph = Graph::new(&mut tape, &parameters, &mut bindings, Mode::Train, KEY);
    let h = graph.tape.constant([1, INPUTS], &[0.0; INPUTS]).unwrap();
    let eps = graph.tape.constant([1, 1, 4], &[0.0; 4]).unwrap();
    let error = layer.forward_with(&mut graph, h, 1, Noise::Given(eps)).unwrap_err();
    assert!(error.to_string().contains("normal"), "{error}");
}
