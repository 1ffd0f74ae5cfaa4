//! The measures of units along a sequence against draws from their posterior, and the modes of
//! collapse that they show.

use std::error::Error;
use vdn_autograd::{Tape, Var};
use vdn_model::core::{Bindings, Builder, Graph, Mode, Parameters};
use vdn_model::diagnostics::{CollapseMode, CollapseThresholds, SequenceDiagnostics, UnitBudget};
use vdn_model::priors::{
    Autoregressive, AutoregressiveConfig, LearnedNormal, OrderOne, OrderOneConfig,
    PersistenceStart, Prior, PriorScale,
};
use vdn_model::sequence::{Message, Posterior, Unroll, sequence_diagnostics, unroll};
use vdn_tensor::noise::NoiseKey;

type Failure = Box<dyn Error>;

const UNITS: usize = 2;
const KEY: NoiseKey = NoiseKey::new(5, 0, 0);

fn order_one(phi: f64, scale: PriorScale) -> Result<(Parameters<f64>, Prior), Failure> {
    let mut parameters = Parameters::new();
    let start = PersistenceStart::Coefficient(phi);
    let config = OrderOneConfig { start, scale, ..OrderOneConfig::default() };
    let prior = OrderOne::new(&mut Builder::new(&mut parameters, 0), UNITS, config)?;
    Ok((parameters, Prior::OrderOne(prior)))
}

/// Means and log-variances of messages, `[batch, UNITS]` for each step.
struct Said {
    batch: usize,
    steps: Vec<[Vec<f64>; 2]>,
}

impl Said {
    /// Creates messages from a function of step, element and unit.
    fn of(batch: usize, steps: usize, say: impl Fn(usize, usize, usize) -> [f64; 2]) -> Self {
        let step = |t: usize| {
            let all = (0..batch * UNITS).map(|i| say(t, i / UNITS, i % UNITS));
            let (mean, logvar): (Vec<f64>, Vec<f64>) = all.map(|[m, l]| (m, l)).unzip();
            [mean, logvar]
        };
        Self { batch, steps: (0..steps).map(step).collect() }
    }

    fn messages(&self, graph: &mut Graph<'_, f64>) -> Result<Vec<Message>, Failure> {
        let mut messages = Vec::new();
        for [mean, logvar] in &self.steps {
            let shape = [self.batch, UNITS];
            let [mean, logvar] =
                [graph.tape.constant(shape, mean)?, graph.tape.constant(shape, logvar)?];
            messages.push(Message { mean, logvar, gap: 1 });
        }
        Ok(messages)
    }

    fn diagnose(
        &self,
        parameters: &Parameters<f64>,
        of: (Prior, Posterior),
    ) -> Result<SequenceDiagnostics, Failure> {
        let (mut tape, mut bindings) = (Tape::new(), Bindings::new());
        let mut graph = Graph::new(&mut tape, parameters, &mut bindings, Mode::Evaluate, KEY);
        let messages = self.messages(&mut graph)?;
        Ok(sequence_diagnostics(&tape, parameters, of, &messages)?)
    }
}

fn normals(stream: u32, count: usize) -> Vec<f64> {
    let mut x = vec![0.0; count];
    KEY.with_stream(stream).fill_normal(0, &mut x);
    x
}

/// Returns the mean square that ordinary least squares of `y` on the columns of `x`, with a
/// constant, leaves.
fn left_over(y: &[f64], x: &[Vec<f64>]) -> f64 {
    let n = y.len() as f64;
    let centred = |x: &[f64]| {
        let mean = x.iter().sum::<f64>() / n;
        x.iter().map(|x| x - mean).collect::<Vec<f64>>()
    };
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let mut rest = centred(y);
    let mut basis: Vec<Vec<f64>> = Vec::new();
    for column in x {
        let mut column = centred(column);
        for b in &basis {
            let share = dot(&column, b) / dot(b, b);
            column.iter_mut().zip(b).for_each(|(x, b)| *x -= share * b);
        }
        let share = dot(&rest, &column) / dot(&column, &column);
        rest.iter_mut().zip(&column).for_each(|(y, x)| *y -= share * x);
        basis.push(column);
    }
    dot(&rest, &rest) / n
}

/// Draws of a posterior, and the properties of its prior.
struct Draws<'a> {
    z: Vec<Vec<f64>>,
    kl: Vec<Vec<f64>>,
    said: &'a Said,
    order: usize,
    /// Mean and variance of the stationary prior, and the variance of its innovations.
    prior: [f64; 3],
}

impl Draws<'_> {
    /// Of a unit by these draws: persistence, KL, rate given the past plus the half mean logarithm
    /// of the posterior's variance given the past, rate, energy.
    fn measure(&self, unit: usize, of: std::ops::Range<usize>) -> [f64; 5] {
        let (batch, first) = (self.said.batch, self.order.max(1));
        let at = |t: usize, s: usize, b: usize| self.z[t][(s * batch + b) * UNITS + unit];
        let lagged = |lag: usize| -> Vec<f64> {
            let mut x = Vec::new();
            for t in first..self.z.len() {
                of.clone().for_each(|s| x.extend((0..batch).map(|b| at(t - lag, s, b))));
            }
            x
        };
        let (now, before) = (lagged(0), lagged(1));
        let n = now.len() as f64;
        let [a, b] = [&now, &before].map(|x| x.iter().sum::<f64>() / n);
        let product: f64 = now.iter().zip(&before).map(|(x, y)| (x - a) * (y - b)).sum();
        let squares = |x: &[f64], m: f64| x.iter().map(|x| (x - m).powi(2)).sum::<f64>();
        let persistence = 2.0 * product / (squares(&now, a) + squares(&before, b));
        let past: Vec<Vec<f64>> = (1..=self.order).map(lagged).collect();
        // Moments given the inputs, by the draws of each element and step.
        let [mut log_variance, mut energy, mut kl, mut cells] = [0.0; 4];
        let count = of.len() as f64;
        for t in first..self.z.len() {
            for b in 0..batch {
                let mean = of.clone().map(|s| at(t, s, b)).sum::<f64>() / count;
                let own = of.clone().map(|s| (at(t, s, b) - mean).powi(2)).sum::<f64>();
                log_variance += (own / (count - 1.0)).ln();
                energy += (mean - self.prior[0]).powi(2) / self.prior[1];
                let place = b * UNITS + unit;
                kl += match self.kl[t].len() == batch * UNITS {
                    true => self.kl[t][place],
                    false => {
                        of.clone().map(|s| self.kl[t][s * batch * UNITS + place]).sum::<f64>()
                            / count
                    }
                };
                cells += 1.0;
            }
        }
        let whole = squares(&now, a) / n;
        let rate = 0.5 * (whole.ln() - log_variance / cells);
        [persistence, kl / cells, 0.5 * left_over(&now, &past).ln(), rate, energy / cells]
    }

    /// Half the mean logarithm of the posterior's variance given the past.
    fn log_own(&self, unit: usize, structured: bool) -> f64 {
        let (mut sum, mut cells) = (0.0, 0.0);
        for [_, logvar] in &self.said.steps[self.order.max(1)..] {
            for b in 0..self.said.batch {
                let r = logvar[b * UNITS + unit].exp();
                let v = if structured { 1.0 / (1.0 / self.prior[2] + 1.0 / r) } else { r };
                sum += 0.5 * v.ln();
                cells += 1.0;
            }
        }
        sum / cells
    }
}

/// All measures are those of draws from the posterior: of every prior, both posteriors, with
/// missing steps.
#[test]
fn measures_are_those_of_draws() -> Result<(), Failure> {
    const STEPS: usize = 24;
    const BATCH: usize = 3;
    const GROUPS: usize = 12;
    const EACH: usize = 400;
    let (scale, s2) = (PriorScale::Free(0.7), 0.49);
    let (parameters, prior) = order_one(0.8, scale)?;
    let moments = [0.0, s2 / 0.36, s2];
    let mut cases = vec![
        (parameters.clone(), prior, Posterior::Structured, moments),
        (parameters, prior, Posterior::MeanField, moments),
    ];
    let mut parameters = Parameters::new();
    let config = AutoregressiveConfig { order: 3, start: 0.6, scale };
    let prior = Autoregressive::new(&mut Builder::new(&mut parameters, 0), UNITS, config)?;
    let moments = [0.0, s2 / 0.64, s2];
    cases.push((parameters, Prior::Autoregressive(prior), Posterior::Structured, moments));
    let mut parameters = Parameters::new();
    let prior = LearnedNormal::new(&mut Builder::new(&mut parameters, 0), UNITS);
    let id = parameters.find("mean").ok_or("no mean")?;
    parameters.data_mut(id.index()).fill(0.3);
    cases.push((parameters, Prior::LearnedNormal(prior), Posterior::Structured, [0.3, 1.0, 1.0]));
    let numbers = normals(1, 2 * STEPS * BATCH * UNITS);
    for (parameters, prior, posterior, moments) in cases {
        let structured = posterior == Posterior::Structured;
        let said = Said::of(BATCH, STEPS, |t, b, unit| {
            let i = 2 * ((t * BATCH + b) * UNITS + unit);
            let missing = structured && (t + b) % 5 == 4;
            let logvar = if missing { f64::INFINITY } else { 0.5 * numbers[i + 1] - 0.3 };
            [0.2 + numbers[i], logvar]
        });
        let found = said.diagnose(&parameters, (prior, posterior))?;
        let (mut tape, mut bindings) = (Tape::new(), Bindings::new());
        tape.set_recording_gradients(false);
        let mut graph = Graph::new(&mut tape, &parameters, &mut bindings, Mode::Evaluate, KEY);
        let messages = said.messages(&mut graph)?;
        let how = Unroll { posterior, ..Unroll::new(GROUPS * EACH, KEY.with_stream(9)) };
        let unrolled = unroll(&mut graph, prior, &messages, how)?;
        let values = |vars: &[Var]| -> Vec<Vec<f64>> {
            vars.iter().map(|&var| tape.value(var).data().to_vec()).collect()
        };
        let (z, kl, order) = (values(&unrolled.z), values(&unrolled.kl), prior.order());
        let draws = Draws { z, kl, said: &said, order, prior: moments };
        assert_eq!(found.rows, BATCH * (STEPS - order.max(1)));
        for unit in 0..UNITS {
            let groups: Vec<[f64; 5]> =
                (0..GROUPS).map(|g| draws.measure(unit, g * EACH..(g + 1) * EACH)).collect();
            let shown = [
                ("persistence", found.persistence[unit]),
                ("KL", found.kl[unit]),
                ("given the past", found.rate_given_past[unit] + draws.log_own(unit, structured)),
                ("rate", found.rate[unit]),
                ("energy", found.energy[unit]),
            ];
            for (k, (name, shown)) in shown.into_iter().enumerate() {
                let mean = groups.iter().map(|g| g[k]).sum::<f64>() / GROUPS as f64;
                let squares = groups.iter().map(|g| (g[k] - mean).powi(2)).sum::<f64>();
                let error = (squares / ((GROUPS - 1) * GROUPS) as f64).sqrt();
                // Logarithms and squares of estimates from 400 draws are off by about their
                // variance.
                let bound = 4.5 * error + 2.0 / EACH as f64;
                let gap = (shown - mean).abs();
                assert!(gap <= bound, "{prior:?} {posterior:?} {name}: {shown} {mean} +- {error}");
            }
            let paid = found.rate_given_past[unit] + found.mismatch_given_past[unit];
            assert!((found.kl[unit] - paid).abs() < 1e-12 * found.kl[unit].max(1.0));
            assert!(found.mismatch[unit] >= 0.0 && found.mismatch_given_past[unit] >= 0.0);
            assert!(
                (found.noise_share[unit] * (1.0 + found.signal_to_noise[unit]) - 1.0).abs() < 1e-12
            );
        }
    }
    Ok(())
}

/// What the modes of `said` are, by unit, under a prior of order one and variance 1.
fn judged(phi: f64, said: &Said) -> Result<(SequenceDiagnostics, String), Failure> {
    let (parameters, prior) = order_one(phi, PriorScale::Stationary)?;
    let found = said.diagnose(&parameters, (prior, Posterior::Structured))?;
    let budget = UnitBudget { high: 1.0, ..UnitBudget::default() };
    let living = found.living(&CollapseThresholds::default(), &budget).to_string();
    Ok((found, living))
}

#[test]
fn a_unit_whose_past_explains_all_is_captured_and_one_that_hears_something_new_lives()
-> Result<(), Failure> {
    const BATCH: usize = 8;
    const STEPS: usize = 40;
    let numbers = normals(2, BATCH * STEPS * UNITS);
    let number = |t: usize, b: usize, unit: usize| numbers[(t * BATCH + b) * UNITS + unit];
    // Informed once, at the first step, and then remembered.
    let once = Said::of(BATCH, STEPS, |t, b, unit| {
        [number(0, b, unit), if t == 0 { -3.0 } else { f64::INFINITY }]
    });
    let (found, living) = judged(0.999, &once)?;
    assert!(found.rate.iter().all(|&rate| rate > 0.2), "{found:?}");
    assert!(found.rate_given_past.iter().all(|rate| rate.abs() < 1e-3), "{found:?}");
    assert_eq!(living, "0 of 2 units living; 2 ar_capture");
    // One unit receives new information at every step; the other has no memory to fill.
    let news = Said::of(BATCH, STEPS, |t, b, unit| match (unit, t) {
        (0, _) => [number(t, b, unit), 0.5],
        (_, 0) => [number(0, b, unit), -3.0],
        _ => [0.0, f64::INFINITY],
    });
    let (found, living) = judged(0.8, &news)?;
    assert!(
        found.rate_given_past[0] > 0.03 && found.rate[0] > found.rate_given_past[0],
        "{found:?}"
    );
    assert!(living.starts_with("1 of 2 units living; 1 "), "{living} {found:?}");
    // The same messages under a prior without memory: nothing is explained by the past.
    let (parameters, prior) = (Parameters::<f64>::new(), Prior::StandardNormal);
    let found = once.diagnose(&parameters, (prior, Posterior::Structured))?;
    assert_eq!(found.rate, found.rate_given_past);
    assert!(
        !found.modes(&CollapseThresholds::default()).concat().contains(&CollapseMode::ArCapture)
    );
    Ok(())
}

#[test]
fn the_other_modes_are_provoked_one_by_one() -> Result<(), Failure> {
    const BATCH: usize = 4;
    const STEPS: usize = 60;
    let numbers = normals(3, BATCH * STEPS * UNITS);
    let number = |t: usize, b: usize, unit: usize| numbers[(t * BATCH + b) * UNITS + unit];
    let silent = Said::of(BATCH, STEPS, |_, _, _| [f64::NAN, f64::INFINITY]);
    assert_eq!(judged(0.7, &silent)?.1, "0 of 2 units living; 2 posterior_collapse");
    // Always the same message: it is paid for, and says nothing.
    let always = Said::of(BATCH, STEPS, |_, _, _| [1.0, -1.0]);
    let (found, living) = judged(0.1, &always)?;
    assert_eq!(living, "0 of 2 units living; 2 frozen", "{found:?}");
    assert!(found.kl.iter().all(|&kl| kl > 0.1), "{found:?}");
    let sure = Said::of(BATCH, STEPS, |t, b, unit| [number(t, b, unit), -9.0]);
    assert_eq!(judged(0.5, &sure)?.1, "0 of 2 units living; 2 variance_collapse");
    let far = Said::of(BATCH, STEPS, |t, b, unit| [9.0 + number(t, b, unit), 0.0]);
    assert_eq!(judged(0.5, &far)?.1, "0 of 2 units living; 2 explosion");
    let lost = Said::of(BATCH, STEPS, |_, _, _| [f64::NAN, 0.0]);
    assert_eq!(judged(0.5, &lost)?.1, "0 of 2 units living; 2 explosion");
    Ok(())
}

#[test]
fn what_does_not_fit_is_refused_by_name() -> Result<(), Failure> {
    let (parameters, prior) = order_one(0.5, PriorScale::Stationary)?;
    let said = Said::of(2, 3, |_, _, _| [0.0, f64::INFINITY]);
    let (mut tape, mut bindings) = (Tape::new(), Bindings::new());
    let mut graph = Graph::new(&mut tape, &parameters, &mut bindings, Mode::Evaluate, KEY);
    let messages = said.messages(&mut graph)?;
    let wide = graph.tape.constant([2, 3], &[0.0; 6])?;
    let gap = Message { gap: 2, ..messages[2] };
    let other = Message { mean: wide, ..messages[1] };
    let (own, mean_field) = ((prior, Posterior::Structured), (prior, Posterior::MeanField));
    for (of, messages, words) in [
        (own, vec![messages[0]], ["1 messages", "2 at least"]),
        (own, vec![messages[0], gap], ["2 messages", "one step after"]),
        (own, vec![messages[0], other], ["step 1", "[2, 3]"]),
        (mean_field, messages.clone(), ["step 0", "missing steps"]),
        (own, vec![other, other], ["prior", "3 units"]),
    ] {
        let error =
            sequence_diagnostics(&tape, &parameters, of, &messages).unwrap_err().to_string();
        assert!(words.iter().all(|word| error.contains(word)), "{words:?}: {error}");
    }
    Ok(())
}
