//! Rate and persistence of units along a sequence: compared with their definitions; their
//! gradients.

use super::RUNNING;
use vdn_autograd::{Tape, check_gradients};
use vdn_model::controllers::*;
use vdn_model::core::{Bindings, Builder, Graph, Mode, Parameters};
use vdn_model::objective::LocalObjective;
use vdn_model::priors::{OrderOne, OrderOneConfig, PersistenceStart, Prior};
use vdn_model::sequence::{Message, Posterior, Unroll, filter, sequence_measures, unroll};
use vdn_tensor::Tensor;
use vdn_tensor::noise::NoiseKey;

const KEY: NoiseKey = NoiseKey::new(3, 0, 0);
const STEPS: usize = 5;
const BATCH: usize = 4;
const UNITS: usize = 2;
const SAMPLES: usize = 3;

fn prior(parameters: &mut Parameters<f64>, phi: f64) -> Prior {
    let start = PersistenceStart::Coefficient(phi);
    let config = OrderOneConfig { start, ..OrderOneConfig::default() };
    Prior::OrderOne(OrderOne::new(&mut Builder::new(parameters, 0), UNITS, config).unwrap())
}

fn numbers(stream: u32) -> Tensor<f64> {
    let mut x = Tensor::zeros([STEPS * BATCH, UNITS]);
    NoiseKey::new(8, stream, 0).fill_normal(0, x.data_mut());
    x
}

#[test]
fn measures_are_the_moments_of_the_samples() {
    let mut parameters = Parameters::new();
    let prior = prior(&mut parameters, 0.7);
    let (mut tape, mut bindings) = (Tape::new(), Bindings::new());
    let mut graph = Graph::new(&mut tape, &parameters, &mut bindings, Mode::Train, KEY);
    let (mu, log_r) = (numbers(1), numbers(2));
    let of = |x: &Tensor<f64>, t: usize| x.data()[t * BATCH * UNITS..][..BATCH * UNITS].to_vec();
    let mut messages = Vec::new();
    for t in 0..STEPS {
        let [mean, logvar] =
            [&mu, &log_r].map(|x| graph.tape.constant([BATCH, UNITS], &of(x, t)).unwrap());
        messages.push(Message { mean, logvar, gap: 1 });
    }
    let unrolled = filter(&mut graph, prior, &messages, Unroll::new(SAMPLES, KEY)).unwrap();
    let measures = sequence_measures(&mut graph, prior, &messages, &unrolled).unwrap();
    let s2: f64 = 1.0 - 0.7 * 0.7;
    for unit in 0..UNITS {
        let z: Vec<Vec<f64>> = unrolled
            .z
            .iter()
            .map(|z| tape.value(*z).data().iter().skip(unit).step_by(UNITS).copied().collect())
            .collect();
        let n = (SAMPLES * BATCH) as f64;
        let mean = z.iter().flatten().sum::<f64>() / (n * STEPS as f64);
        let (mut product, mut squares) = (0.0, 0.0);
        for pair in z.windows(2) {
            for (b, a) in pair[0].iter().zip(&pair[1]) {
                let (a, b) = (a - mean, b - mean);
                product += a * b;
                squares += 0.5 * (a * a + b * b);
            }
        }
        let (mut drawn, mut v, mut log_v) = (Vec::new(), Vec::new(), Vec::new());
        for t in 1..STEPS {
            let column = |x: &Tensor<f64>| -> Vec<f64> {
                of(x, t).iter().skip(unit).step_by(UNITS).copied().collect()
            };
            for (row, (m, r)) in column(&mu).iter().zip(column(&log_r)).enumerate() {
                let variance = 1.0 / (1.0 / s2 + (-r).exp());
                v.push(variance);
                log_v.push(variance.ln());
                for sample in 0..SAMPLES {
                    let past = z[t - 1][sample * BATCH + row];
                    drawn.push(variance * (m - 0.7 * past) / r.exp());
                }
            }
        }
        let mean_of = |x: &[f64]| x.iter().sum::<f64>() / x.len() as f64;
        let squares_of = drawn.iter().map(|x| x * x).collect::<Vec<_>>();
        let spread = mean_of(&squares_of) - mean_of(&drawn).powi(2);
        let rate = 0.5 * ((spread + mean_of(&v)).ln() - mean_of(&log_v));
        let [got_rho, got_rate] =
            [measures.persistence, measures.rate].map(|var| tape.value(var).data()[unit]);
        assert!((got_rho - product / squares).abs() < 1e-12, "{got_rho} {}", product / squares);
        assert!((got_rate - rate).abs() < 1e-12, "{got_rate} {rate}");
    }
}

/// Both constraints through the whole recurrence, against central differences.
#[test]
fn constraints_are_differentiable_in_the_messages() {
    let mut parameters = Parameters::new();
    let prior = prior(&mut parameters, 0.4);
    for goal in [Goal::Target(0.6), Goal::Interval(0.5, 0.9)] {
        let mut levers = Levers::new(UNITS, 0.0);
        let config = PersistenceConfig::new(goal);
        PersistenceTarget::new(UNITS, prior, config).unwrap().begin(0, &mut levers);
        let budget = ConstraintConfig { goal, stiffness: 0.5, ..ConstraintConfig::default() };
        RateBudget::new(UNITS, budget).unwrap().begin(0, &mut levers);
        let objective: LocalObjective = levers.objective;
        let report = check_gradients(&[numbers(1), numbers(2)], |tape, v| {
            let mut bindings = Bindings::new();
            let mut graph = Graph::new(tape, &parameters, &mut bindings, Mode::Train, KEY);
            let mut messages = Vec::new();
            for t in 0..STEPS {
                let mean = graph.tape.slice_axis(v[0], 0, t * BATCH, BATCH)?;
                let logvar = graph.tape.slice_axis(v[1], 0, t * BATCH, BATCH)?;
                messages.push(Message { mean, logvar, gap: 1 });
            }
            let unrolled = filter(&mut graph, prior, &messages, Unroll::new(SAMPLES, KEY))?;
            let measures = sequence_measures(&mut graph, prior, &messages, &unrolled)?;
            Ok(objective.record_sequence(tape, &measures)?.expect("two constraints"))
        });
        let report = report.unwrap();
        assert!(report.passed(), "{goal:?}: {report}");
    }
}

/// Every budget moves its multipliers by its own observations, and the loss reads the same
/// multipliers.
#[test]
fn budgets_hand_their_multipliers_to_the_loss() {
    let mut parameters = Parameters::new();
    let prior = prior(&mut parameters, 0.4);
    let config = ConstraintConfig { goal: Goal::Target(0.3), ..ConstraintConfig::default() };
    let persistence = PersistenceConfig::new(Goal::Target(0.3));
    let budgets: [Box<dyn Controller>; 3] = [
        Box::new(RateBudget::new(UNITS, config).unwrap()),
        Box::new(KlBudget::new(UNITS, config).unwrap()),
        Box::new(PersistenceTarget::new(UNITS, prior, persistence).unwrap()),
    ];
    for mut budget in budgets {
        let name = budget.name();
        let (mut levers, monitor) = (Levers::new(UNITS, 0.0), Monitor::new(UNITS, RUNNING));
        budget.begin(0, &mut levers);
        let mut seen = Observation::new(UNITS, UNITS);
        for measure in [&mut seen.rate_dims, &mut seen.kl_dims, &mut seen.persistence] {
            measure.copy_from_slice(&[0.7, 0.1]);
        }
        budget.observe(&seen);
        budget.act(&Moment { step: 1, monitor: &monitor }, &mut levers);
        let LocalObjective { rate, kl, persistence, .. } = levers.objective;
        let moved: Vec<Constraint> = [rate, kl, persistence].into_iter().flatten().collect();
        assert_eq!(moved.len(), 1, "{name}");
        let [above, _] = moved[0].multipliers();
        assert!(above[0] > 0.0 && above[1] < 0.0, "{name}: {above:?}");
        let (mut state, mut own) = (ControlState::new(), vec![0.0; UNITS]);
        budget.save(&mut state);
        state.fill(&format!("{name}.above"), &mut own).unwrap();
        assert_eq!(above, own, "{name}");
    }
}

#[test]
fn what_has_no_memory_or_no_meaning_is_refused() {
    let mut parameters = Parameters::new();
    let prior = prior(&mut parameters, 0.4);
    for goal in [Goal::Target(1.0), Goal::Target(-1.0), Goal::Interval(0.5, 0.2)] {
        assert!(
            PersistenceTarget::new(2, prior, PersistenceConfig::new(goal)).is_err(),
            "{goal:?}"
        );
    }
    assert!(PersistenceTarget::new(2, prior, PersistenceConfig::new(Goal::Target(-0.5))).is_ok());
    let config = PersistenceConfig::new(Goal::Target(0.5));
    let message = PersistenceTarget::new(2, Prior::StandardNormal, config).unwrap_err().to_string();
    assert!(message.contains("autoregressive prior"), "{message}");
    let (mut tape, mut bindings) = (Tape::<f64>::new(), Bindings::new());
    let mut graph = Graph::new(&mut tape, &parameters, &mut bindings, Mode::Train, KEY);
    let mean = graph.tape.constant([BATCH, UNITS], &[0.1; BATCH * UNITS]).unwrap();
    let logvar = graph.tape.constant([], &[0.0]).unwrap();
    for (gap, steps) in [(2, 4), (1, 2)] {
        let messages = vec![Message { mean, logvar, gap }; steps];
        let how = Unroll { posterior: Posterior::Structured, ..Unroll::new(2, KEY) };
        let unrolled = unroll(&mut graph, prior, &messages, how).unwrap();
        assert!(
            sequence_measures(&mut graph, prior, &messages, &unrolled).is_err(),
            "{gap} {steps}"
        );
    }
}

/// A missing message, whose mean is arbitrary, counts as a message with mean 0.
#[test]
fn means_of_missing_messages_play_no_part() {
    let mut parameters = Parameters::new();
    let prior = prior(&mut parameters, 0.7);
    let [zero, nan] = [0.0, f64::NAN].map(|missing| {
        let (mut tape, mut bindings) = (Tape::new(), Bindings::new());
        let mut graph = Graph::new(&mut tape, &parameters, &mut bindings, Mode::Train, KEY);
        let messages: Vec<Message> = (0..6)
            .map(|t| {
                let [mean, logvar] = if t == 3 { [missing, f64::INFINITY] } else { [0.4, -0.3] };
                let [mean, logvar] = [mean, logvar]
                    .map(|x| graph.tape.constant([BATCH, UNITS], &[x; BATCH * UNITS]).unwrap());
                Message { mean, logvar, gap: 1 }
            })
            .collect();
        let unrolled = filter(&mut graph, prior, &messages, Unroll::new(SAMPLES, KEY)).unwrap();
        let measures = sequence_measures(&mut graph, prior, &messages, &unrolled).unwrap();
        [measures.rate, measures.persistence].map(|var| tape.value(var).data().to_vec())
    });
    assert!(zero.iter().flatten().all(|x| x.is_finite()), "{zero:?}");
    assert_eq!(zero, nan);
}
