//! Log-probabilities of every element, and mixtures over samples of them.

use vdn_autograd::{Error, ObservationFamily, Score, Tape, Var, check_gradients};
use vdn_tensor::noise::NoiseKey;
use vdn_tensor::{Shape, Tensor};

type Record = fn(&mut Tape<f64>, &[Var]) -> Result<Var, Error>;

fn normals(stream: u32, dims: &[usize]) -> Tensor<f64> {
    let mut tensor = Tensor::zeros(Shape::new(dims).expect("a small shape"));
    NoiseKey::new(31, stream, 0).fill_normal(0, tensor.data_mut());
    tensor
}

const SAMPLES: usize = 3;
const DIMS: [usize; 3] = [SAMPLES, 4, 5];

/// Counts `[4, 5]`.
fn counts(tape: &mut Tape<f64>) -> Result<Var, Error> {
    let counts: Vec<usize> = (0..20).map(|i| i * 7 % 6).collect();
    tape.indices([4, 5], &counts)
}

/// Outcomes `[4, 5]`.
fn outcomes(tape: &mut Tape<f64>) -> Result<Var, Error> {
    let outcomes: Vec<f64> = (0..20).map(|i| f64::from(i * 7 % 3) / 2.0).collect();
    tape.constant([4, 5], &outcomes)
}

/// Values that no location equals, `[4, 5]`.
fn values(tape: &mut Tape<f64>) -> Result<Var, Error> {
    let own = normals(9, &[4, 5]);
    tape.constant([4, 5], own.data())
}

/// For each likelihood, the log-probability of every element and the negative mean of it. The
/// inputs are `[3, 4, 5]` and `[4, 1]`.
fn pairs() -> [(&'static str, Record, Record); 5] {
    [
        (
            "bernoulli",
            |t, v| {
                let y = outcomes(t)?;
                t.bernoulli_log_prob(v[0], y)
            },
            |t, v| {
                let y = outcomes(t)?;
                t.bernoulli_nll(v[0], y)
            },
        ),
        (
            "poisson",
            |t, v| {
                let y = counts(t)?;
                t.poisson_log_prob(v[0], y)
            },
            |t, v| {
                let y = counts(t)?;
                t.poisson_nll(v[0], y)
            },
        ),
        (
            "negative binomial",
            |t, v| {
                let y = counts(t)?;
                t.negative_binomial_log_prob(v[0], v[1], y)
            },
            |t, v| {
                let y = counts(t)?;
                t.negative_binomial_nll(v[0], v[1], y)
            },
        ),
        (
            "laplace",
            |t, v| {
                let (y, scale) = (values(t)?, t.exp(v[1])?);
                t.laplace_log_prob(v[0], scale, y)
            },
            |t, v| {
                let (y, scale) = (values(t)?, t.exp(v[1])?);
                t.laplace_nll(v[0], scale, y)
            },
        ),
        (
            "student t",
            |t, v| {
                let (y, scale) = (values(t)?, t.exp(v[1])?);
                t.student_t_log_prob(v[0], scale, scale, y)
            },
            |t, v| {
                let (y, scale) = (values(t)?, t.exp(v[1])?);
                t.student_t_nll(v[0], scale, scale, y)
            },
        ),
    ]
}

#[test]
fn the_mean_is_that_of_the_operation_with_a_mean() -> Result<(), Error> {
    for (name, of_elements, of_all) in pairs() {
        let run = |elements: bool| -> Result<(f64, Vec<f64>), Error> {
            let mut tape = Tape::<f64>::new();
            let inputs = [normals(0, &DIMS), normals(1, &[4, 1])];
            let mut vars = Vec::new();
            for input in &inputs {
                vars.push(tape.variable(*input.shape(), input.data())?);
            }
            let loss = match elements {
                true => {
                    let log_p = of_elements(&mut tape, &vars)?;
                    assert_eq!(tape.shape(log_p).dims(), DIMS, "{name}");
                    let mean = tape.mean(log_p)?;
                    tape.neg(mean)?
                }
                false => of_all(&mut tape, &vars)?,
            };
            tape.backward(loss)?;
            let of = |v: &Var| tape.gradient(*v).map(|g| g.data().to_vec()).unwrap_or_default();
            Ok((tape.scalar(loss)?, vars.iter().flat_map(of).collect()))
        };
        let ((got, slopes), (want, wanted)) = (run(true)?, run(false)?);
        // Both sides sum the same 60 numbers; one divides before the sum and one after, which
        // allows for 60 roundings.
        let near = |a: f64, b: f64| (a - b).abs() <= 60.0 * f64::EPSILON * b.abs().max(1.0);
        assert!(near(got, want), "{name}: {got} {want}");
        assert_eq!(slopes.len(), wanted.len());
        assert!(
            slopes.iter().zip(&wanted).all(|(a, b)| near(*a, *b)),
            "{name}: {slopes:?} {wanted:?}"
        );
        assert!(slopes.iter().any(|d| *d != 0.0), "{name}");
    }
    Ok(())
}

#[test]
fn gradients_with_a_weight_for_each_element() -> Result<(), Error> {
    let inputs = [normals(0, &DIMS), normals(1, &[4, 1])];
    let weights = normals(2, &DIMS);
    for (name, of_elements, _) in pairs() {
        let needed = if ["bernoulli", "poisson"].contains(&name) { 1 } else { 2 };
        let report = check_gradients(&inputs[..needed], |tape, vars| {
            let log_p = of_elements(tape, vars)?;
            let weights = tape.constant(DIMS, weights.data())?;
            tape.mul(log_p, weights)
        })?;
        assert!(report.passed(), "{name}: {report}");
    }
    // The classes `[4]` are shared by all samples.
    let report = check_gradients(&inputs[..1], |tape, vars| {
        let classes = tape.indices([4], &[0, 3, 1, 4])?;
        let log_p = tape.class_log_prob(vars[0], classes)?;
        let weights = tape.constant([SAMPLES, 4], &weights.data()[..SAMPLES * 4])?;
        tape.mul(log_p, weights)
    })?;
    assert!(report.passed(), "class: {report}");
    Ok(())
}

#[test]
fn classes_of_all_samples_are_those_of_each() -> Result<(), Error> {
    let logits = normals(0, &DIMS);
    let (classes, one) = ([0, 3, 1, 4], normals(0, &DIMS));
    let mut tape = Tape::<f64>::new();
    let x = tape.variable(DIMS, logits.data())?;
    let shared = tape.indices([4], &classes)?;
    let shared = tape.class_log_prob(x, shared)?;
    let each = tape.indices([SAMPLES, 4], &classes.repeat(SAMPLES))?;
    let own = tape.class_log_prob(x, each)?;
    assert_eq!(tape.value(shared).data(), tape.value(own).data());
    let mean = tape.mean(own)?;
    let nll = tape.cross_entropy(x, each)?;
    assert!((tape.scalar(mean)? + tape.scalar(nll)?).abs() < 12.0 * f64::EPSILON);
    for (row, log_p) in one.data().chunks_exact(5).enumerate() {
        let total: f64 = log_p.iter().map(|x| x.exp()).sum();
        let want = log_p[classes[row % 4]] - total.ln();
        assert!((tape.value(own).data()[row] - want).abs() < 1e-14);
    }
    let wrong = tape.indices([SAMPLES], &[0, 0, 0])?;
    let error = tape.class_log_prob(x, wrong).unwrap_err().to_string();
    assert!(error.starts_with("class_log_prob: ") && error.contains("[3, 4, 5]"), "{error}");
    let wrong = tape.indices([4], &[0, 5, 0, 0])?;
    assert!(tape.class_log_prob(x, wrong).is_err());
    Ok(())
}

#[test]
fn mixtures_of_normal_distributions_are_those_of_the_fused_operation() -> Result<(), Error> {
    for score in [Score::Tempered, Score::Marginal, Score::Joint] {
        let mut tape = Tape::<f64>::new();
        let mean = tape.variable(DIMS, normals(0, &DIMS).data())?;
        let log_sigma = tape.variable([5], normals(1, &[5]).data())?;
        let y = values(&mut tape)?;
        let log_p = tape.log_density(ObservationFamily::Gaussian, mean, log_sigma, y)?;
        let mixed = tape.mixture_of(log_p, score)?;
        let sigma = tape.exp(log_sigma)?;
        let fused = tape.mixture_nll(mean, sigma, y, score)?;
        let (got, want) = (tape.scalar(mixed)?, tape.scalar(fused)?);
        assert!((got - want).abs() < 1e-13 * want.abs(), "{score:?}: {got} {want}");
        let slopes = |tape: &mut Tape<f64>, loss| -> Result<Vec<f64>, Error> {
            tape.backward(loss)?;
            Ok(tape.gradient(mean).expect("a gradient").data().to_vec())
        };
        let (got, want) = (slopes(&mut tape, mixed)?, slopes(&mut tape, fused)?);
        let near = |(a, b): (&f64, &f64)| (a - b).abs() < 1e-13 * b.abs().max(1.0);
        assert!(got.iter().zip(&want).all(near), "{score:?}: {got:?} {want:?}");
    }
    let mut tape = Tape::<f64>::new();
    let flat = tape.variable([3, 4], &[0.0; 12])?;
    let error = tape.mixture_of(flat, Score::Joint).unwrap_err().to_string();
    assert!(error.starts_with("mixture_of: shape [3, 4]: "), "{error}");
    Ok(())
}

/// The definition, written out for one row with three samples and counts of two steps.
#[test]
fn a_mixture_of_counts_is_that_of_the_definition() -> Result<(), Error> {
    let rates = [[0.5_f64, 2.0], [1.0, 3.0], [4.0, 0.25]];
    let counts = [2, 1];
    let p = |sample: usize, step: usize| {
        let (rate, count) = (rates[sample][step], counts[step]);
        (-rate).exp() * rate.powi(count) / f64::from(count.max(1))
    };
    let joint = (0..3).map(|s| p(s, 0) * p(s, 1)).sum::<f64>() / 3.0;
    let tempered = (0..3).map(|s| (p(s, 0) * p(s, 1)).sqrt()).sum::<f64>() / 3.0;
    let of = |step| ((0..3).map(|s| p(s, step)).sum::<f64>() / 3.0).ln();
    let wanted = [
        (Score::Joint, -joint.ln() / 2.0),
        (Score::Tempered, -tempered.ln()),
        (Score::Marginal, -f64::midpoint(of(0), of(1))),
    ];
    let mut tape = Tape::<f64>::new();
    let log_rates: Vec<f64> = rates.iter().flatten().map(|rate| rate.ln()).collect();
    let log_rate = tape.variable([3, 1, 2], &log_rates)?;
    let y = tape.indices([1, 2], &[2, 1])?;
    let log_p = tape.poisson_log_prob(log_rate, y)?;
    for (score, want) in wanted {
        let nll = tape.mixture_of(log_p, score)?;
        assert!((tape.scalar(nll)? - want).abs() < 1e-14, "{score:?}");
    }
    Ok(())
}
