//! The likelihoods of Laplace, Student t and negative binomial distributions: against plain
//! definitions in `f64`, far from their means, near their limits, and for any number of threads.
//! Gradients are checked in `vdn-tests`.

use std::f64::consts::{PI, TAU};
use vdn_autograd::{Error, Tape, Var};
use vdn_tensor::Element;
use vdn_tensor::noise::NoiseKey;
use vdn_tensor::parallel::Pool;

type Outcome = Result<(), Error>;
type Loss<T> = fn(&mut Tape<T>, &[Var]) -> Result<Var, Error>;

fn close(got: f64, want: f64, tolerance: f64, what: &str) {
    let error = (got - want).abs();
    assert!(error <= tolerance * want.abs().max(1.0), "{what}: {got}, not {want}");
}

/// The loss of numbers of shape `[]`, and its gradients.
fn one<T: Element>(loss: Loss<T>, numbers: &[f64]) -> Result<(f64, Vec<f64>), Error> {
    let mut tape = Tape::<T>::new();
    let leaf = |&x| tape.variable([], &[T::from_f64(x)]);
    let leaves: Vec<Var> = numbers.iter().map(leaf).collect::<Result<_, _>>()?;
    let nll = loss(&mut tape, &leaves)?;
    tape.backward(nll)?;
    let gradient = |&v| tape.gradient(v).and_then(|g| g.item()).map_or(f64::NAN, T::to_f64);
    Ok((tape.scalar(nll)?.to_f64(), leaves.iter().map(gradient).collect()))
}

/// The negative binomial loss of a log-mean, a log-dispersion and a count, and its gradients.
fn counts<T: Element>([mean, dispersion]: [f64; 2], y: usize) -> Result<(f64, Vec<f64>), Error> {
    let mut tape = Tape::<T>::new();
    let mean = tape.variable([], &[T::from_f64(mean)])?;
    let dispersion = tape.variable([], &[T::from_f64(dispersion)])?;
    let y = tape.indices([], &[y])?;
    let nll = tape.negative_binomial_nll(mean, dispersion, y)?;
    tape.backward(nll)?;
    let gradient = |v| tape.gradient(v).and_then(|g| g.item()).map_or(f64::NAN, T::to_f64);
    Ok((tape.scalar(nll)?.to_f64(), [mean, dispersion].map(gradient).to_vec()))
}

fn laplace<T: Element>(t: &mut Tape<T>, v: &[Var]) -> Result<Var, Error> {
    t.laplace_nll(v[0], v[1], v[2])
}

fn student_t<T: Element>(t: &mut Tape<T>, v: &[Var]) -> Result<Var, Error> {
    t.student_t_nll(v[0], v[1], v[2], v[3])
}

#[test]
fn laplace_is_its_definition() -> Outcome {
    for [location, scale, y] in [[0.3, 0.5, 1.1], [-2.0, 3.0, -7.5], [1.0, 0.01, 1.0]] {
        let density = (-f64::abs(y - location) / scale).exp() / (2.0 * scale);
        let want = -density.ln();
        close(one::<f64>(laplace, &[location, scale, y])?.0, want, 4.0 * f64::EPSILON, "f64");
        // Roundings: the inputs, a logarithm, a quotient, two sums.
        let got = one::<f32>(laplace, &[location, scale, y])?.0;
        close(got, want, 8.0 * f64::from(f32::EPSILON), "f32");
    }
    assert_eq!(one::<f32>(laplace, &[2.0, 0.5, 2.0])?.1, [0.0, 2.0, 0.0], "at the kink");
    Ok(())
}

/// The densities for 1 to 5 degrees of freedom contain no gamma function.
fn student_t_density(freedom: u32, x: f64) -> f64 {
    match freedom {
        1 => 1.0 / (PI * (1.0 + x * x)),
        2 => (2.0 + x * x).powf(-1.5),
        3 => 6.0 * 3_f64.sqrt() / (PI * (3.0 + x * x).powi(2)),
        4 => 12.0 * (4.0 + x * x).powf(-2.5),
        5 => 200.0 * 5_f64.sqrt() / (3.0 * PI * (5.0 + x * x).powi(3)),
        _ => unreachable!(),
    }
}

#[test]
fn student_t_is_its_definition() -> Outcome {
    for freedom in 1..=5 {
        for [location, scale, y] in [[0.3, 0.5, 1.1], [-2.0, 3.0, -7.5], [1.0, 0.01, 4.0]] {
            let want = -(student_t_density(freedom, (y - location) / scale) / scale).ln();
            let numbers = [location, scale, f64::from(freedom), y];
            let what = format!("{numbers:?}");
            close(one::<f64>(student_t, &numbers)?.0, want, 16.0 * f64::EPSILON, &what);
            // The logarithm is taken (nu + 1)/2 times, so up to 3 times its rounding.
            let got = one::<f32>(student_t, &numbers)?.0;
            close(got, want, 16.0 * f64::from(f32::EPSILON), &what);
        }
    }
    // A normal distribution to within 1/nu.
    let (got, gradients) = one::<f64>(student_t, &[0.0, 2.0, 1e9, 3.0])?;
    close(got, 0.5 * TAU.ln() + 2_f64.ln() + 9.0 / 8.0, 1e-8, "many degrees of freedom");
    close(gradients[0], -0.75, 1e-8, "its slope");
    Ok(())
}

#[test]
fn far_values_have_finite_scores_and_gradients() -> Outcome {
    // x = 1e30: the square overflows; ln(1 + x^2/3) = 2 ln x - ln 3.
    let (nll, gradients) = one::<f32>(student_t, &[0.0, 1.0, 3.0, 1e30])?;
    let norm = (6.0 * 3_f64.sqrt() / PI / 9.0).ln();
    close(nll, -norm + 2.0 * (2.0 * 1e30_f64.ln() - 3_f64.ln()), 1e-6, "far");
    // -(nu + 1)/y, nu/s (negative), ln x - ln(3)/2 - (nu + 1)/(2 nu) - c'(3)
    close(gradients[0] * 1e30, -4.0, 1e-6, "by the location");
    close(gradients[1], -3.0, 1e-6, "by the scale");
    assert!(gradients[2].is_finite() && gradients[2] > 60.0, "{gradients:?}");
    // The quotient itself overflows.
    let (nll, gradients) = one::<f32>(student_t, &[0.0, 1e-20, 3.0, 1e30])?;
    assert!(nll.is_finite() && gradients.iter().all(|g| g.is_finite()), "{nll} {gradients:?}");
    for spoiled in 0..4 {
        let mut numbers = [0.5, 1.0, 3.0, 1.0];
        numbers[spoiled] = f64::NAN;
        let (nll, gradients) = one::<f32>(student_t, &numbers)?;
        assert!(nll.is_nan() && gradients.iter().all(|g| g.is_nan()), "{numbers:?} {gradients:?}");
        let numbers = [numbers[0], numbers[1], numbers[3]];
        if spoiled != 2 {
            let (nll, gradients) = one::<f32>(laplace, &numbers)?;
            assert!(nll.is_nan() && gradients.iter().any(|g| g.is_nan()), "{numbers:?}");
        }
    }
    Ok(())
}

#[test]
fn negative_binomial_has_its_mean_and_variance() -> Outcome {
    for (mean, dispersion) in [(2.0, 1.5), (7.0, 0.3), (30.0, 0.05), (0.2, 4.0)] {
        let (mut total, mut first, mut second) = (0.0, 0.0, 0.0);
        // Each further count lowers the probability by a factor of 0.87 or less: 700 counts are
        // complete to 1e-30.
        for y in 0..700_u32 {
            let nll = counts::<f64>([f64::ln(mean), f64::ln(dispersion)], y as usize)?.0;
            let (p, y) = ((-nll).exp(), f64::from(y));
            (total, first, second) = (total + p, first + p * y, second + p * y * y);
        }
        // A logarithm of size 40 is rounded to 1e-14.
        close(total, 1.0, 1e-13, "sum");
        close(first, mean, 1e-12, "mean");
        let variance = mean + dispersion * mean * mean;
        close(second - first * first, variance, 1e-12 * (1.0 + mean * mean), "variance");
    }
    // 3 successes before the second failure, of probability 0.4: r = 2, mean 2 * 0.6 / 0.4.
    let want = -(4.0 * 0.6_f64.powi(3) * 0.4_f64.powi(2)).ln();
    let numbers = [3_f64.ln(), 0.5_f64.ln()];
    close(counts::<f64>(numbers, 3)?.0, want, 1e-14, "f64");
    close(counts::<f32>(numbers, 3)?.0, want, 4.0 * f64::from(f32::EPSILON), "f32");
    Ok(())
}

#[test]
fn negative_binomial_without_dispersion_is_poisson() -> Outcome {
    for y in [0, 3, 12, 60] {
        let mut tape = Tape::<f64>::new();
        let log_mean = tape.variable([], &[1.3])?;
        let count = tape.indices([], &[y])?;
        let poisson = tape.poisson_nll(log_mean, count)?;
        tape.backward(poisson)?;
        let slope = tape.gradient(log_mean).unwrap().data()[0];
        for dispersion in [-30.0, -60.0, -2000.0, f64::NEG_INFINITY] {
            let (nll, gradients) = counts::<f64>([1.3, dispersion], y)?;
            // A dispersion of e^-30 changes the score by y^2 times that: 4e-10.
            close(nll, tape.scalar(poisson)?, 1e-9, "the score");
            close(gradients[0], slope, 1e-9, "its slope");
        }
        // To first order in the dispersion the score changes by -((y - mean)^2 - y)/2 times it.
        let (mean, y_, dispersion) = (1.3_f64.exp(), y as f64, 1e-7_f64);
        let by_dispersion = counts::<f64>([1.3, dispersion.ln()], y)?.1[1] / dispersion;
        let want = -0.5 * ((y_ - mean).powi(2) - y_);
        // The terms that cancel are of size y: 60 * 2^-53 / 1e-7. The second order is y^3 times the
        // dispersion.
        close(by_dispersion, want, 1e-5, "by the dispersion");
    }
    Ok(())
}

#[test]
fn results_do_not_depend_on_the_number_of_threads() -> Outcome {
    let mut numbers = vec![0.0_f32; 3000];
    NoiseKey::new(3, 1, 4).fill_normal(0, &mut numbers);
    let whole: Vec<usize> = (0..3000).map(|i| i % 50).collect();
    let run = || -> Result<Vec<f32>, Error> {
        let mut tape = Tape::<f32>::new();
        let x = tape.variable([3000], &numbers)?;
        let [scale, freedom] = [tape.exp(x)?, tape.variable([], &[3.5])?];
        let [zero, y] = [tape.variable([], &[0.0])?, tape.indices([3000], &whole)?];
        let losses = [
            tape.laplace_nll(x, scale, y)?,
            tape.student_t_nll(x, scale, freedom, y)?,
            tape.negative_binomial_nll(x, zero, y)?,
        ];
        let mut results = Vec::new();
        for loss in losses {
            results.push(tape.scalar(loss)?);
            tape.backward(loss)?;
            for var in [x, freedom, zero] {
                results.extend(tape.gradient(var).iter().flat_map(|g| g.data()));
            }
        }
        Ok(results)
    };
    let [one, four] = [1, 4].map(|threads| Pool::new(threads).expect("threads"));
    let (one, four) = (one.run(run)?, four.run(run)?);
    assert!(one.iter().all(|x| x.is_finite()) && one.len() > 9000);
    assert!(one.iter().zip(&four).all(|(a, b)| a.to_bits() == b.to_bits()));
    Ok(())
}

#[test]
fn what_has_no_meaning_is_refused_by_name() -> Outcome {
    let mut tape = Tape::<f32>::new();
    let mean = tape.variable([2, 3, 1], &[0.0; 6])?;
    let one = tape.constant([], &[1.0])?;
    let y = tape.constant([3], &[0.0, 1.0, 2.0])?;
    let apart = [
        tape.gaussian_nll(mean, one, y),
        tape.laplace_nll(mean, one, y),
        tape.student_t_nll(mean, one, one, y),
        tape.negative_binomial_nll(mean, one, y),
        tape.poisson_nll(mean, y),
    ];
    for error in apart {
        let error = error.unwrap_err().to_string();
        assert!(
            error.contains("_nll: shapes [2, 3, 1], ") && error.contains("[2, 3, 3]"),
            "{error}"
        );
    }
    let mean = tape.variable([3], &[0.0; 3])?;
    let negative = tape.constant([3], &[1.0, 0.5, -0.25])?;
    let ends = [
        (tape.gaussian_nll(mean, negative, y), "gaussian_nll: sigma is -0.25 at position 2"),
        (tape.laplace_nll(mean, negative, y), "laplace_nll: scale is -0.25 at position 2"),
        (tape.student_t_nll(mean, negative, one, y), "student_t_nll: scale is -0.25"),
        (
            tape.student_t_nll(mean, one, negative, y),
            "student_t_nll: degrees_of_freedom is -0.25 at position 2",
        ),
        (
            tape.negative_binomial_nll(mean, one, negative),
            "negative_binomial_nll: 0.5 at position 1 is not a count",
        ),
        (tape.negative_binomial_nll(mean, one, mean), "negative_binomial_nll: counts have no"),
    ];
    for (result, start) in ends {
        let error = result.unwrap_err().to_string();
        assert!(error.starts_with(start), "{error}");
    }
    Ok(())
}
