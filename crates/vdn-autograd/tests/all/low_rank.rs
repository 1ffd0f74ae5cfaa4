//! The low-rank log-density against a dense Cholesky factor, at the ends of its domain, for any
//! number of threads, and without allocations that grow.

use vdn_autograd::{Error, LowRankNll, Tape, Var, check_gradients};
use vdn_tensor::noise::NoiseKey;
use vdn_tensor::parallel::Pool;
use vdn_tensor::{Element, Tensor};

fn normals(stream: u32, len: usize) -> Vec<f64> {
    let mut x = vec![0.0; len];
    NoiseKey::new(31, stream, 0).fill_normal(0, &mut x);
    // Exact in f32, so that both precisions score the same numbers.
    x.into_iter().map(|x| f64::from(x as f32)).collect()
}

/// Windows of `[batch, steps, rank]`.
#[derive(Clone)]
struct Windows {
    dims: [usize; 3],
    mean: Vec<f64>,
    scales: Vec<f64>,
    weights: Vec<f64>,
    sigma: Vec<f64>,
    y: Vec<f64>,
}

impl Windows {
    fn new(dims: [usize; 3], sigma_len: usize) -> Self {
        let [batch, steps, rank] = dims;
        let positive = |stream, len| -> Vec<f64> {
            normals(stream, len).iter().map(|x| f64::from((0.2 + x.abs()) as f32)).collect()
        };
        Self {
            dims,
            mean: normals(0, batch * steps),
            scales: positive(1, batch * rank),
            weights: normals(2, steps * rank),
            sigma: positive(3, sigma_len),
            y: normals(4, batch * steps),
        }
    }

    fn tensors(&self) -> Result<Vec<Tensor<f64>>, Error> {
        let [batch, steps, rank] = self.dims;
        let sigma: &[usize] = if self.sigma.len() == steps { &[steps] } else { &[batch, steps] };
        Ok(vec![
            Tensor::from_slice([batch, steps], &self.mean)?,
            Tensor::from_slice([batch, rank], &self.scales)?,
            Tensor::from_slice([steps, rank], &self.weights)?,
            Tensor::from_slice(vdn_tensor::Shape::new(sigma)?, &self.sigma)?,
            Tensor::from_slice([batch, steps], &self.y)?,
        ])
    }

    /// The score, and the five gradients of a function of it and of each window's density, one
    /// after the other.
    fn fused<T: Element>(&self, options: LowRankNll) -> Result<(f64, Vec<f64>), Error> {
        let mut tape = Tape::<T>::new();
        let vars = self
            .tensors()?
            .iter()
            .map(|x| {
                let data: Vec<T> = x.data().iter().map(|&x| T::from_f64(x)).collect();
                tape.variable(*x.shape(), &data)
            })
            .collect::<Result<Vec<_>, _>>()?;
        let nll = record(&mut tape, &vars, options)?;
        let all = of_both(&mut tape, &vars, options)?;
        tape.backward(all)?;
        let gradients = vars.iter().filter_map(|&var| tape.gradient(var));
        let gradients = gradients.flat_map(|d| d.data().iter().map(|x| x.to_f64())).collect();
        Ok((tape.scalar(nll)?.to_f64(), gradients))
    }

    /// Returns the negative log-density of a window from the dense Cholesky factor of its
    /// covariance (or scale matrix).
    fn dense(&self, options: LowRankNll) -> f64 {
        let [batch, steps, rank] = self.dims;
        let mut total = 0.0;
        for b in 0..batch {
            let own = if self.sigma.len() == steps { 0 } else { b * steps };
            let sigma = &self.sigma[own..][..steps];
            let load = |h: usize, n: usize| {
                let unit = if options.relative { sigma[h] } else { 1.0 };
                self.weights[h * rank + n] * self.scales[b * rank + n] * unit
            };
            let mut covariance = vec![0.0; steps * steps];
            for h in 0..steps {
                for k in 0..steps {
                    let shared: f64 = (0..rank).map(|n| load(h, n) * load(k, n)).sum();
                    covariance[h * steps + k] =
                        shared + if h == k { sigma[h] * sigma[h] } else { 0.0 };
                }
            }
            let e: Vec<f64> =
                (0..steps).map(|h| self.y[b * steps + h] - self.mean[b * steps + h]).collect();
            total += negative_log_density(&mut covariance, &e, options.degrees_of_freedom);
        }
        total / (batch * steps) as f64
    }
}

/// Returns the negative log-density of residuals `e` under a dense matrix, whose lower triangle is
/// overwritten by its factor.
fn negative_log_density(matrix: &mut [f64], e: &[f64], nu: Option<f64>) -> f64 {
    let n = e.len();
    let (mut distance, mut half_log_determinant) = (0.0, 0.0);
    let mut solved = vec![0.0; n];
    for i in 0..n {
        for j in 0..=i {
            let before: f64 = (0..j).map(|k| matrix[i * n + k] * matrix[j * n + k]).sum();
            let rest = matrix[i * n + j] - before;
            matrix[i * n + j] = if i == j { rest.sqrt() } else { rest / matrix[j * n + j] };
        }
        let before: f64 = (0..i).map(|k| matrix[i * n + k] * solved[k]).sum();
        solved[i] = (e[i] - before) / matrix[i * n + i];
        distance += solved[i] * solved[i];
        half_log_determinant += matrix[i * n + i].ln();
    }
    let steps = n as f64;
    match nu {
        None => half_log_determinant + 0.5 * (distance + steps * std::f64::consts::TAU.ln()),
        Some(nu) => {
            let norm = vdn_tensor::math::gamma::ln_gamma(0.5 * nu)
                - vdn_tensor::math::gamma::ln_gamma(0.5 * (nu + steps));
            let scale = half_log_determinant + 0.5 * steps * (nu * std::f64::consts::PI).ln();
            scale + norm + 0.5 * (nu + steps) * (1.0 + distance / nu).ln()
        }
    }
}

fn record<T: Element>(tape: &mut Tape<T>, v: &[Var], options: LowRankNll) -> Result<Var, Error> {
    Ok(tape.low_rank_nll(v[0], v[1], v[2], v[3], v[4], options)?.nll)
}

/// A function of the mean and of every window's own density.
fn of_both<T: Element>(tape: &mut Tape<T>, v: &[Var], options: LowRankNll) -> Result<Var, Error> {
    let found = tape.low_rank_nll(v[0], v[1], v[2], v[3], v[4], options)?;
    let scaled = tape.scale(found.windows, T::from_f64(0.02))?;
    let bent = tape.softplus(scaled)?;
    let sum = tape.sum(bent)?;
    tape.add(sum, found.nll)
}

const OPTIONS: [LowRankNll; 4] = [
    LowRankNll { relative: false, degrees_of_freedom: None },
    LowRankNll { relative: true, degrees_of_freedom: None },
    LowRankNll { relative: false, degrees_of_freedom: Some(3.5) },
    LowRankNll { relative: true, degrees_of_freedom: Some(40.0) },
];

/// Fewer causes than steps, more, as many, one of each; batches beyond one task.
const SIZES: [[usize; 3]; 5] = [[3, 7, 2], [2, 4, 9], [1, 5, 5], [19, 1, 3], [9, 6, 1]];

#[test]
fn a_dense_factor_says_the_same() -> Result<(), Error> {
    for options in OPTIONS {
        for dims in SIZES {
            for sigma_len in [dims[1], dims[0] * dims[1]] {
                let windows = Windows::new(dims, sigma_len);
                let want = windows.dense(options);
                let (double, gradients) = windows.fused::<f64>(options)?;
                let case = format!("{options:?} {dims:?} sigma {sigma_len}");
                // Both factors are backward stable: n 2^-52 times the condition number, at most 1e4
                // here.
                assert!(
                    (double - want).abs() < 1e-10 * want.abs().max(1.0),
                    "{case}: {double}, {want}"
                );
                // In f32 the inputs are the same numbers and the arithmetic is in f64, so only
                // results are rounded.
                let (single, rounded) = windows.fused::<f32>(options)?;
                let worst = |a: f64, b: f64| (a - b).abs() / a.abs().max(b.abs()).max(1e-30);
                assert!(worst(single, double) < 1e-6, "{case}");
                // The factor of each window's slopes is rounded, too. If windows cancel, the rest
                // has the error of its terms.
                let largest = gradients.iter().fold(0.0_f64, |most, d| most.max(d.abs()));
                for (a, b) in rounded.iter().zip(&gradients) {
                    assert!((a - b).abs() < 1e-6 * (b.abs() + largest), "{case}: {a}, {b}");
                }
            }
        }
    }
    Ok(())
}

#[test]
fn gradients_are_those_of_differences() -> Result<(), Error> {
    for options in OPTIONS {
        for dims in SIZES {
            for sigma_len in [dims[1], dims[0] * dims[1]] {
                let inputs = Windows::new(dims, sigma_len).tensors()?;
                let report = check_gradients(&inputs, |tape, vars| record(tape, vars, options))?;
                assert!(report.passed(), "{options:?} {dims:?} sigma {sigma_len}: {report}");
                let report = check_gradients(&inputs, |tape, vars| of_both(tape, vars, options))?;
                assert!(report.passed(), "windows, {options:?} {dims:?} {sigma_len}: {report}");
            }
        }
    }
    Ok(())
}

/// The densities of single windows, in nats per window.
#[test]
fn each_window_has_its_density() -> Result<(), Error> {
    let windows = Windows::new([3, 7, 2], 21);
    let mut tape = Tape::<f64>::new();
    let vars = windows
        .tensors()?
        .iter()
        .map(|x| tape.constant(*x.shape(), x.data()))
        .collect::<Result<Vec<_>, _>>()?;
    let options = LowRankNll::default();
    let found = tape.low_rank_nll(vars[0], vars[1], vars[2], vars[3], vars[4], options)?;
    for (b, &nll) in tape.value(found.windows).data().iter().enumerate() {
        let rows = |x: &[f64], n: usize| x[b * n..][..n].to_vec();
        let one = Windows {
            dims: [1, 7, 2],
            mean: rows(&windows.mean, 7),
            scales: rows(&windows.scales, 2),
            sigma: rows(&windows.sigma, 7),
            y: rows(&windows.y, 7),
            ..windows.clone()
        };
        let want = 7.0 * one.dense(options);
        assert!((nll - want).abs() < 1e-10 * want.abs(), "window {b}: {nll}, {want}");
    }
    Ok(())
}

/// Residuals inside the span of the loadings, with almost no noise. The distance is that of the
/// causes alone, `y = A s eps`, `eps'eps`, although `e'e / sigma^2` is 1e20 and more.
#[test]
fn next_to_no_noise_costs_no_digits() -> Result<(), Error> {
    let weights = vec![1.0, 0.0, 0.0, 1.0, 1.0, 1.0];
    let eps = [0.5, -1.5];
    for sigma in [1e-3, 1e-7, 1e-10] {
        let windows = Windows {
            dims: [1, 3, 2],
            mean: vec![0.0; 3],
            scales: vec![1.0, 1.0],
            weights: weights.clone(),
            sigma: vec![sigma; 3],
            y: vec![eps[0], eps[1], eps[0] + eps[1]],
        };
        let (nll, gradients) = windows.fused::<f64>(LowRankNll::default())?;
        // det (A A' + s^2 I) = s^2 det(A'A + s^2 I) = s^2 (s^4 + 4 s^2 + 3), and the distance is
        // eps' A' (A A' + s^2)^-1 A eps = eps' A'A (A'A + s^2)^-1 eps: A'A has the eigenvalues 1
        // and 3, along (1, -1) and (1, 1).
        let s = sigma * sigma;
        let log_determinant = s.ln() + (s * s + 4.0 * s + 3.0_f64).ln();
        let along = [(eps[0] - eps[1]).powi(2) / 2.0, (eps[0] + eps[1]).powi(2) / 2.0];
        let distance = along[0] / (1.0 + s) + 3.0 * along[1] / (3.0 + s);
        let want = (0.5 * (log_determinant + distance + 3.0 * std::f64::consts::TAU.ln())) / 3.0;
        // The residual of the least squares is 2^-52 |e| / sigma, squared.
        let rounding = (f64::EPSILON / sigma).powi(2) * 10.0 + 1e-12;
        assert!((nll - want).abs() < rounding, "sigma {sigma}: {nll}, {want}");
        assert!(gradients.iter().all(|d| d.is_finite()), "sigma {sigma}: {gradients:?}");
    }
    Ok(())
}

#[test]
fn huge_and_tiny_deviations_are_finite_in_both_precisions() -> Result<(), Error> {
    for options in OPTIONS {
        for sigma in [1e-12, 1e-4, 1e4, 1e12] {
            for dims in [[2, 5, 2], [2, 3, 8]] {
                let mut windows = Windows::new(dims, dims[1]);
                windows.sigma.fill(sigma);
                let (double, d64) = windows.fused::<f64>(options)?;
                let (single, d32) = windows.fused::<f32>(options)?;
                let all = d64.iter().chain(&d32).chain([&double, &single]);
                assert!(all.clone().all(|x| x.is_finite()), "{options:?} {dims:?} {sigma}");
                assert!((double - single).abs() <= 1e-6 * double.abs(), "{double}, {single}");
            }
        }
        // If the causes are negligible, the result is the normal density of each step.
        let mut windows = Windows::new([4, 6, 3], 24);
        windows.scales.fill(0.0);
        let plain = LowRankNll { degrees_of_freedom: None, ..options };
        let (found, _) = windows.fused::<f64>(plain)?;
        let terms = windows.y.iter().zip(&windows.mean).zip(&windows.sigma);
        let want: f64 = terms
            .map(|((y, m), s)| {
                0.5 * ((y - m) / s).powi(2) + s.ln() + 0.5 * std::f64::consts::TAU.ln()
            })
            .sum::<f64>()
            / 24.0;
        assert!((found - want).abs() < 1e-14 * want.abs().max(1.0), "{found}, {want}");
    }
    Ok(())
}

/// With ever more degrees of freedom Student's t is the normal distribution.
#[test]
fn student_t_ends_in_the_normal() -> Result<(), Error> {
    let windows = Windows::new([3, 7, 2], 7);
    let (normal, _) = windows.fused::<f64>(LowRankNll::default())?;
    let of = |nu: f64| {
        let options = LowRankNll { degrees_of_freedom: Some(nu), relative: false };
        windows.fused::<f64>(options).map(|(nll, _)| nll)
    };
    // The difference falls as 1/nu.
    let [near, nearer] = [of(1e5)? - normal, of(1e6)? - normal];
    assert!((near / nearer - 10.0).abs() < 0.1, "{near}, {nearer}");
    Ok(())
}

#[test]
fn the_number_of_threads_changes_no_bit() -> Result<(), Error> {
    for dims in [[37, 24, 5], [21, 4, 11]] {
        let windows = Windows::new(dims, dims[1]);
        let run = |threads: usize| {
            let pool = Pool::new(threads).expect("a pool");
            pool.run(|| windows.fused::<f32>(LowRankNll::default()))
        };
        let (nll, gradients) = run(1)?;
        for threads in [2, 3] {
            let (other, others) = run(threads)?;
            assert_eq!(nll.to_bits(), other.to_bits(), "{dims:?}, {threads} threads");
            assert_eq!(gradients, others, "{dims:?}, {threads} threads");
        }
    }
    Ok(())
}

#[test]
fn what_does_not_fit_is_refused() -> Result<(), Error> {
    let shapes: [(&[usize], usize, &str); 5] = [
        (&[3, 7, 1], 0, "the mean needs the shape [batch, horizon]"),
        (&[4, 2], 1, "the scales need the shape [batch, rank]"),
        (&[2, 7], 2, "the weights need the shape [horizon, rank]"),
        (&[3], 3, "sigma needs the shape [horizon] or [batch, horizon]"),
        (&[3, 6], 4, "y needs the shape [batch, horizon]"),
    ];
    for (shape, input, reason) in shapes {
        let mut tensors = Windows::new([3, 7, 2], 7).tensors()?;
        tensors[input] = Tensor::full(vdn_tensor::Shape::new(shape)?, 1.0);
        let mut tape = Tape::<f64>::new();
        let vars = tensors
            .iter()
            .map(|x| tape.constant(*x.shape(), x.data()))
            .collect::<Result<Vec<_>, _>>()?;
        let error = record(&mut tape, &vars, LowRankNll::default()).unwrap_err().to_string();
        assert!(error.contains("low_rank_nll") && error.contains(reason), "{error}");
    }
    let windows = Windows::new([3, 7, 2], 7);
    for nu in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let options = LowRankNll { degrees_of_freedom: Some(nu), relative: false };
        let error = windows.fused::<f64>(options).unwrap_err().to_string();
        assert!(error.contains("degrees of freedom"), "{error}");
    }
    // Invalid numbers are refused.
    let mut windows = windows;
    windows.weights[3] = f64::NAN;
    assert!(windows.fused::<f64>(LowRankNll::default())?.0.is_nan());
    Ok(())
}
