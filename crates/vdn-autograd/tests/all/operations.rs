//! Operations of any network against naive definitions in `f64`, at the ends of their domains, and
//! their refusals.

use vdn_autograd::{Error, LowRankNll, ObservationFamily, Score, Tape, Var};
use vdn_tensor::noise::NoiseKey;
use vdn_tensor::parallel::Pool;

type Outcome = Result<(), Error>;

pub(crate) fn normals(stream: u32, len: usize) -> Vec<f64> {
    let mut x = vec![0.0; len];
    NoiseKey::new(29, stream, 0).fill_normal(0, &mut x);
    x
}

fn close(got: f64, want: f64, tolerance: f64, what: &str) {
    let error = (got - want).abs();
    assert!(error <= tolerance * want.abs().max(1.0), "{what}: {got}, not {want}");
}

#[test]
fn powers_and_magnitudes() -> Outcome {
    let mut tape = Tape::<f64>::new();
    let numbers = [-2.5, -1.0, 0.0, 0.3, 4.0];
    let x = tape.variable([5], &numbers)?;
    let magnitude = tape.abs(x)?;
    assert_eq!(tape.value(magnitude).data(), [2.5, 1.0, 0.0, 0.3, 4.0]);
    tape.backward_from(&[(magnitude, &[1.0; 5])])?;
    assert_eq!(tape.gradient(x).unwrap().data(), [-1.0, -1.0, 0.0, 1.0, 1.0]);
    for exponent in [1.0, 2.0, 3.0, 7.0, 32.0, 0.0] {
        let y = tape.pow(x, exponent)?;
        for (&y, x) in tape.value(y).data().iter().zip(numbers) {
            close(y, x.powf(exponent), 1e-14 * x.powf(exponent).abs().max(1.0), "pow");
        }
        tape.backward_from(&[(y, &[1.0; 5])])?;
        assert!(tape.gradient(x).unwrap().data().iter().all(|d| d.is_finite()), "{exponent}");
    }
    let positive = [0.01, 0.5, 1.0, 30.0];
    let x = tape.variable([4], &positive)?;
    for exponent in [-3.0, -0.5, 0.5, 1.7, 40.0] {
        let y = tape.pow(x, exponent)?;
        for (&y, x) in tape.value(y).data().iter().zip(positive) {
            // |40 ln 30| = 136 roundings of the exponent.
            assert!(
                (y / x.powf(exponent) - 1.0).abs() < 200.0 * f64::EPSILON,
                "{x}^{exponent}: {y}"
            );
        }
    }
    let bad = tape.variable([2], &[f64::NAN, -1.0])?;
    for exponent in [0.0, 2.0, 0.5] {
        let y = tape.pow(bad, exponent)?;
        assert!(tape.value(y).data()[0].is_nan(), "{exponent}");
    }
    let root = tape.pow(bad, 0.5)?;
    assert!(tape.value(root).data()[1].is_nan());
    assert!(tape.pow(bad, f64::NAN).unwrap_err().to_string().starts_with("pow: "));
    Ok(())
}

#[test]
fn running_sums_and_axes() -> Outcome {
    let [a, b, c] = [3, 7, 5];
    let numbers = normals(0, a * b * c);
    let mut tape = Tape::<f64>::new();
    let x = tape.variable([a, b, c], &numbers)?;
    let sums = tape.cumsum(x, 1)?;
    let turned = tape.permute(x, &[2, 0, 1])?;
    assert_eq!(tape.shape(turned).dims(), [c, a, b]);
    for i in 0..a {
        for j in 0..b {
            for k in 0..c {
                let want: f64 = (0..=j).map(|j| numbers[(i * b + j) * c + k]).sum();
                close(tape.value(sums).data()[(i * b + j) * c + k], want, 1e-14, "cumsum");
                let moved = tape.value(turned).data()[(k * a + i) * b + j];
                assert_eq!(moved, numbers[(i * b + j) * c + k]);
            }
        }
    }
    for error in [
        tape.cumsum(x, 3).unwrap_err(),
        tape.permute(x, &[0, 1]).unwrap_err(),
        tape.permute(x, &[0, 1, 1]).unwrap_err(),
        tape.permute(x, &[0, 1, 3]).unwrap_err(),
    ] {
        assert!(error.to_string().contains("[3, 7, 5]"), "{error}");
    }
    Ok(())
}

#[test]
fn a_mask_chooses_and_hides_the_other_side() -> Outcome {
    let mut tape = Tape::<f64>::new();
    let mask = tape.constant([4], &[1.0, 0.0, -2.0, f64::NAN])?;
    let yes = tape.variable([4], &[1.0, f64::NAN, 3.0, 4.0])?;
    let no = tape.variable([], &[f64::INFINITY])?;
    let chosen = tape.where_mask(mask, yes, no)?;
    let values = tape.value(chosen).data().to_vec();
    assert_eq!(values[..3], [1.0, f64::INFINITY, 3.0]);
    assert!(values[3].is_nan(), "a mask that is NaN is not silent");
    tape.backward_from(&[(chosen, &[10.0, 20.0, 30.0, 0.0])])?;
    assert_eq!(tape.gradient(yes).unwrap().data()[..3], [10.0, 0.0, 30.0]);
    assert_eq!(tape.gradient(no).unwrap().data(), [20.0]);
    Ok(())
}

#[test]
fn a_row_that_is_taken_twice_gets_both_gradients() -> Outcome {
    let mut tape = Tape::<f32>::new();
    let table = tape.variable([3, 2], &[0.0, 1.0, 10.0, 11.0, 20.0, 21.0])?;
    let words = tape.indices([2, 2], &[2, 0, 2, 2])?;
    let rows = tape.gather(table, words)?;
    assert_eq!(tape.shape(rows).dims(), [2, 2, 2]);
    assert_eq!(tape.value(rows).data(), [20.0, 21.0, 0.0, 1.0, 20.0, 21.0, 20.0, 21.0]);
    tape.backward_from(&[(rows, &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0])])?;
    assert_eq!(tape.gradient(table).unwrap().data(), [3.0, 4.0, 0.0, 0.0, 13.0, 16.0]);
    for bad in [3.0, -1.0, 0.5, f32::NAN] {
        let words = tape.constant([1], &[bad])?;
        let error = tape.gather(table, words).unwrap_err().to_string();
        assert!(error.starts_with("gather: ") && error.contains("below 3"), "{error}");
    }
    assert!(tape.indices([1], &[1 << 24]).is_ok());
    assert!(tape.indices([1], &[(1 << 24) + 1]).is_err());
    Ok(())
}

#[test]
fn log_softmax_keeps_what_large_numbers_differ_by() -> Outcome {
    let mut tape = Tape::<f32>::new();
    let rows = [1e8, 1e8, -3.0, 0.0, f32::NEG_INFINITY, 0.0];
    let x = tape.variable([3, 2], &rows)?;
    let y = tape.log_softmax(x, 1)?;
    let (got, half) = (tape.value(y).data().to_vec(), -std::f32::consts::LN_2);
    assert_eq!(got[..2], [half; 2]);
    close(f64::from(got[2]), -3.0 - (-3_f64).exp().ln_1p(), 1e-6, "log_softmax");
    assert_eq!(got[4..], [f32::NEG_INFINITY, 0.0]);
    let numbers = normals(1, 2 * 6 * 5);
    let mut tape = Tape::<f64>::new();
    let x = tape.variable([2, 6, 5], &numbers)?;
    let y = tape.log_softmax(x, 1)?;
    for (i, &got) in tape.value(y).data().iter().enumerate() {
        let (outer, inner) = (i / 30, i % 5);
        let sum: f64 = (0..6).map(|k| numbers[outer * 30 + k * 5 + inner].exp()).sum();
        close(got, (numbers[i].exp() / sum).ln(), 1e-13, "log_softmax");
    }
    Ok(())
}

#[test]
fn cross_entropy_is_that_of_the_definition() -> Outcome {
    let (rows, classes) = (37, 11);
    let numbers = normals(2, rows * classes);
    let chosen: Vec<usize> = (0..rows).map(|row| row * 5 % classes).collect();
    for smoothing in [0.0, 0.1] {
        let mut want = 0.0;
        for (row, &class) in numbers.chunks_exact(classes).zip(&chosen) {
            let sum: f64 = row.iter().map(|x| x.exp()).sum();
            for (i, x) in row.iter().enumerate() {
                let target = smoothing / classes as f64;
                let target = target + if i == class { 1.0 - smoothing } else { 0.0 };
                want -= target * (x.exp() / sum).ln() / rows as f64;
            }
        }
        let mut tape = Tape::<f64>::new();
        let logits = tape.variable([rows, classes], &numbers)?;
        let labels = tape.indices([rows], &chosen)?;
        let got = tape.cross_entropy_smoothed(logits, labels, smoothing)?;
        close(tape.scalar(got)?, want, 1e-13, "cross_entropy");
    }
    // An excluded class costs nothing unless it is the right one. A certain and right answer keeps
    // its small slope.
    let mut tape = Tape::<f32>::new();
    let logits = tape.variable([1, 3], &[0.0, f32::NEG_INFINITY, -25.0])?;
    let label = tape.indices([1], &[0])?;
    let loss = tape.cross_entropy(logits, label)?;
    assert!(tape.scalar(loss)?.is_finite());
    tape.backward(loss)?;
    let slopes = tape.gradient(logits).unwrap().data().to_vec();
    let small = (-25_f64).exp();
    assert!((f64::from(slopes[2]) / small - 1.0).abs() < 1e-5 && slopes[1] == 0.0, "{slopes:?}");
    // The log-probability of the right class is a multiple of 2^-24 near 0: its slope is one, too.
    assert!(f64::from(slopes[0]).abs() <= small + 2_f64.powi(-24), "{slopes:?}");
    for bad in [3.0, 0.5, f32::NAN] {
        let label = tape.constant([1], &[bad])?;
        let error = tape.cross_entropy(logits, label).unwrap_err().to_string();
        assert!(error.starts_with("cross_entropy: "), "{error}");
    }
    let label = tape.indices([3], &[0, 1, 2])?;
    assert!(tape.cross_entropy(logits, label).unwrap_err().to_string().contains("[1, 3], [3]"));
    assert!(tape.cross_entropy_smoothed(logits, label, 1.0).is_err());
    Ok(())
}

#[test]
fn outcomes_and_counts_are_scored_by_their_definitions() -> Outcome {
    let numbers = normals(3, 24);
    let outcomes: Vec<f64> = (0..12).map(|i| f64::from(i % 2)).collect();
    let counts: Vec<f64> = (0..12).map(f64::from).collect();
    let mut tape = Tape::<f64>::new();
    let x = tape.variable([2, 12], &numbers)?;
    let (y, n) = (tape.constant([12], &outcomes)?, tape.constant([12], &counts)?);
    let (bernoulli, poisson) = (tape.bernoulli_nll(x, y)?, tape.poisson_nll(x, n)?);
    let mut want = [0.0; 2];
    for (i, x) in numbers.iter().enumerate() {
        let p = 1.0 / (1.0 + (-x).exp());
        want[0] -= if outcomes[i % 12] == 1.0 { p.ln() } else { (1.0 - p).ln() } / 24.0;
        let factorial: f64 = (1..=i % 12).map(|k| k as f64).product();
        let rate = x.exp();
        want[1] -= (rate.powi((i % 12) as i32) * (-rate).exp() / factorial).ln() / 24.0;
    }
    close(tape.scalar(bernoulli)?, want[0], 1e-13, "bernoulli_nll");
    close(tape.scalar(poisson)?, want[1], 1e-13, "poisson_nll");
    for bad in [-1.0, f64::NAN, 2.5] {
        let bad = tape.constant([], &[bad])?;
        assert!(tape.bernoulli_nll(x, bad).unwrap_err().to_string().starts_with("bernoulli_nll: "));
        assert!(tape.poisson_nll(x, bad).unwrap_err().to_string().starts_with("poisson_nll: "));
    }
    assert!(tape.poisson_nll(n, x).is_err(), "counts that want a gradient");
    let mut tape = Tape::<f32>::new();
    let logits = tape.variable([4], &[1e4, -1e4, 20.0, -20.0])?;
    let y = tape.constant([4], &[1.0, 1.0, 1.0, 1.0])?;
    let nll = tape.bernoulli_nll(logits, y)?;
    assert!((tape.scalar(nll)? - 10_020.0 / 4.0).abs() < 1e-3);
    tape.backward(nll)?;
    let slopes = tape.gradient(logits).unwrap().data().to_vec();
    assert!((f64::from(slopes[2]) * -4.0 / (-20_f64).exp() - 1.0).abs() < 1e-5, "{slopes:?}");
    Ok(())
}

/// `[samples, batch, 1]` against `[batch]` scores every window against every other.
#[test]
fn values_that_broadcast_against_the_batch_are_refused() -> Outcome {
    let mut tape = Tape::<f64>::new();
    let mean = tape.variable([2, 3, 1], &[0.0; 6])?;
    let sigma = tape.constant([], &[1.0])?;
    let y = tape.constant([3], &[0.0; 3])?;
    let column = tape.constant([3, 1], &[0.0; 3])?;
    type Record = fn(&mut Tape<f64>, [Var; 3]) -> Result<Var, Error>;
    let records: [Record; 7] = [
        |t, [mean, sigma, y]| t.gaussian_nll(mean, sigma, y),
        |t, [mean, _, y]| t.bernoulli_nll(mean, y),
        |t, [mean, _, y]| t.poisson_nll(mean, y),
        |t, [mean, scale, y]| t.laplace_nll(mean, scale, y),
        |t, [mean, scale, y]| t.student_t_nll(mean, scale, scale, y),
        |t, [mean, scale, y]| t.negative_binomial_nll(mean, scale, y),
        |t, [mean, scale, y]| t.log_density(ObservationFamily::Gaussian, mean, scale, y),
    ];
    for record in records {
        let error = record(&mut tape, [mean, sigma, y]).unwrap_err().to_string();
        assert!(error.contains("[2, 3, 1]") && error.contains("[2, 3, 3]"), "{error}");
        assert!(record(&mut tape, [mean, sigma, column]).is_ok());
    }
    let rows = tape.constant([3], &[1.0; 3])?;
    assert!(tape.gaussian_nll(column, rows, column).is_err(), "a deviation across the batch");
    Ok(())
}

/// A deviation of 0 has no density, and a negative deviation belongs to no distribution.
#[test]
fn deviations_that_are_not_above_zero_are_refused() -> Outcome {
    type Record = fn(&mut Tape<f64>, Var, Var, Var) -> Result<Var, Error>;
    let records: [(&str, Record); 6] = [
        ("gaussian_nll: sigma", |t, mean, wrong, _| t.gaussian_nll(mean, wrong, mean)),
        ("laplace_nll: scale", |t, mean, wrong, _| t.laplace_nll(mean, wrong, mean)),
        ("student_t_nll: scale", |t, m, wrong, one| t.student_t_nll(m, wrong, one, m)),
        ("student_t_nll: degrees_of_freedom", |t, m, wrong, one| t.student_t_nll(m, one, wrong, m)),
        ("mixture_nll: sigma", |t, mean, wrong, _| {
            let y = t.slice_axis(mean, 0, 0, 1)?;
            let y = t.reshape(y, [1, 3])?;
            t.mixture_nll(mean, wrong, y, Score::Tempered)
        }),
        ("low_rank_nll: sigma", |t, mean, wrong, one| {
            let mean = t.reshape(mean, [2, 3])?;
            let scales = t.slice_axis(mean, 1, 0, 1)?;
            let weights = t.reshape(one, [3, 1])?;
            Ok(t.low_rank_nll(mean, scales, weights, wrong, mean, LowRankNll::default())?.nll)
        }),
    ];
    for wrong in [0.0, -0.0, -1.5, f64::NEG_INFINITY] {
        for (start, record) in &records {
            let mut tape = Tape::<f64>::new();
            let mean = tape.variable([2, 1, 3], &[0.5; 6])?;
            let one = tape.constant([3], &[1.0; 3])?;
            let given = tape.constant([3], &[1.0, 1.0, wrong])?;
            let error = record(&mut tape, mean, given, one).expect_err(start).to_string();
            let want = format!("{start} is {wrong} at position 2: has to be above 0");
            assert_eq!(error, want);
            record(&mut tape, mean, one, one)?;
        }
    }
    Ok(())
}

#[test]
fn variances_over_an_axis() -> Outcome {
    let [a, b, c] = [3, 7, 5];
    let numbers = normals(0, a * b * c);
    let mut tape = Tape::<f64>::new();
    let x = tape.variable([a, b, c], &numbers)?;
    let variance = tape.var_axis(x, 1)?;
    assert_eq!(tape.shape(variance).dims(), [a, c]);
    for i in 0..a {
        for k in 0..c {
            let column: Vec<f64> = (0..b).map(|j| numbers[(i * b + j) * c + k]).collect();
            let mean = column.iter().sum::<f64>() / b as f64;
            let want = column.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / b as f64;
            close(tape.value(variance).data()[i * c + k], want, 1e-14, "variance");
        }
    }
    let same = tape.constant([2, 3], &[1e8, 1e8, 1e8, 0.1, 0.1, 0.1])?;
    let none = tape.var_axis(same, 1)?;
    assert!(tape.value(none).data().iter().all(|v| *v < 1e-32), "{:?}", tape.value(none).data());
    let error = tape.var_axis(x, 3).unwrap_err().to_string();
    assert!(error.starts_with("var_axis: ") && error.contains("[3, 7, 5]"), "{error}");
    Ok(())
}

/// Each pair gives the bits of a single product, for any number of threads.
#[test]
fn products_pair_by_pair() -> Outcome {
    let [pairs, m, n, k] = [6, 9, 17, 5];
    let (left, right) = (normals(1, pairs * m * k), normals(2, pairs * k * n));
    for [ta, tb] in [[false, false], [true, false], [false, true], [true, true]] {
        let shape_a = if ta { [2, 3, k, m] } else { [2, 3, m, k] };
        let shape_b = if tb { [2, 3, n, k] } else { [2, 3, k, n] };
        let together = |threads| {
            Pool::new(threads).expect("threads").run(|| -> Result<Vec<Vec<f64>>, Error> {
                let mut tape = Tape::<f64>::new();
                let a = tape.variable(shape_a, &left)?;
                let b = tape.variable(shape_b, &right)?;
                let c = tape.batch_matmul(a, b, ta, tb)?;
                assert_eq!(tape.shape(c).dims(), [2, 3, m, n]);
                tape.backward_from(&[(c, &normals(3, pairs * m * n))])?;
                let gradients = [a, b].map(|v| tape.gradient(v).unwrap().data().to_vec());
                let [da, db] = gradients;
                Ok(vec![tape.value(c).data().to_vec(), da, db])
            })
        };
        let all = together(1)?;
        assert_eq!(all, together(3)?);
        for pair in 0..pairs {
            let part = |x: &[f64]| x[pair * x.len() / pairs..][..x.len() / pairs].to_vec();
            let mut tape = Tape::<f64>::new();
            let a = tape.variable([shape_a[2], shape_a[3]], &part(&left))?;
            let b = tape.variable([shape_b[2], shape_b[3]], &part(&right))?;
            let c = tape.matmul(a, b, ta, tb)?;
            tape.backward_from(&[(c, &part(&normals(3, pairs * m * n)))])?;
            assert_eq!(tape.value(c).data(), part(&all[0]));
            assert_eq!(tape.gradient(a).unwrap().data(), part(&all[1]));
            assert_eq!(tape.gradient(b).unwrap().data(), part(&all[2]));
        }
    }
    let mut tape = Tape::<f64>::new();
    let a = tape.constant([2, 3, 4], &[1.0; 24])?;
    let b = tape.constant([3, 4, 2], &[1.0; 24])?;
    let error = tape.batch_matmul(a, b, false, false).unwrap_err().to_string();
    assert!(error.contains("[2, 3, 4], [3, 4, 2]") && error.contains("as many"), "{error}");
    // Arguments that are not matrices, and empty matrices.
    let [a, b] = [tape.variable([0, 3, 4], &[])?, tape.variable([0, 4, 2], &[])?];
    let none = tape.batch_matmul(a, b, false, false)?;
    assert_eq!(tape.shape(none).dims(), [0, 3, 2]);
    let [a, b] = [tape.variable([2, 1, 0], &[])?, tape.variable([2, 0, 2], &[])?];
    let zeros = tape.batch_matmul(a, b, false, false)?;
    assert_eq!(tape.value(zeros).data(), [0.0; 4]);
    Ok(())
}
