//! The fused log-scores against a naive oracle in `f64`, at the ends of their domain, and for any
//! number of threads.

use vdn_autograd::{Density, Error, MixtureNll, Score, Tape, Var};
use vdn_tensor::noise::NoiseKey;
use vdn_tensor::parallel::Pool;
use vdn_tensor::{Element, Shape};

const SCORES: [Score; 3] = [Score::Tempered, Score::Marginal, Score::Joint];

fn normals(stream: u32, len: usize) -> Vec<f64> {
    let mut x = vec![0.0; len];
    NoiseKey::new(23, stream, 0).fill_normal(0, &mut x);
    // Exact in f32, so that both precisions score the same numbers.
    x.into_iter().map(|x| f64::from(x as f32)).collect()
}

/// Means, deviations, values and log-weights, by samples, batch and horizon.
struct Windows {
    dims: [usize; 3],
    mu: Vec<f64>,
    sigma: Vec<f64>,
    y: Vec<f64>,
    log_weights: Option<Vec<f64>>,
}

impl Windows {
    fn new(dims: [usize; 3], sigma_len: usize, weighted: bool) -> Self {
        let [samples, batch, horizon] = dims;
        let sigma =
            normals(1, sigma_len).iter().map(|x| f64::from((0.3 + x.abs()) as f32)).collect();
        let log_weights = weighted.then(|| normals(3, samples * batch));
        let mu = normals(0, samples * batch * horizon);
        Self { dims, mu, sigma, y: normals(2, batch * horizon), log_weights }
    }

    /// Returns the score by its definition, without any numerical precautions.
    fn naive(&self, score: Score) -> f64 {
        let [samples, batch, horizon] = self.dims;
        let mut total = 0.0;
        for b in 0..batch {
            let density = |s: usize, h: usize| {
                let at = (s * batch + b) * horizon + h;
                let sigma = self.sigma[match self.sigma.len() {
                    len if len == self.mu.len() => at,
                    len if len == self.y.len() => b * horizon + h,
                    _ => h,
                }];
                let z = (self.y[b * horizon + h] - self.mu[at]) / sigma;
                -0.5 * (2.0 * std::f64::consts::PI).ln() - sigma.ln() - 0.5 * z * z
            };
            let given = |s: usize| self.log_weights.as_ref().map_or(0.0, |w| w[s * batch + b]);
            let norm: f64 = (0..samples).map(|s| given(s).exp()).sum();
            let weight = |s: usize| given(s).exp() / norm;
            let over_horizon = |s: usize| (0..horizon).map(|h| density(s, h)).sum::<f64>();
            let steps = horizon as f64;
            total += match score {
                Score::Tempered => (0..samples)
                    .map(|s| weight(s) * (over_horizon(s) / steps).exp())
                    .sum::<f64>()
                    .ln(),
                Score::Joint => {
                    (0..samples).map(|s| weight(s) * over_horizon(s).exp()).sum::<f64>().ln()
                        / steps
                }
                Score::Marginal => {
                    let at = |h| {
                        (0..samples).map(|s| weight(s) * f64::exp(density(s, h))).sum::<f64>().ln()
                    };
                    (0..horizon).map(at).sum::<f64>() / steps
                }
            };
        }
        -total / batch as f64
    }

    /// The operation's score, and its gradients with respect to the means, sigma and the
    /// log-weights.
    fn fused<T: Element>(&self, score: Score) -> Result<(T, Vec<Vec<T>>), Error> {
        let [samples, batch, horizon] = self.dims;
        let mut tape = Tape::<T>::new();
        let mut leaf = |dims: &[usize], data: &[f64]| -> Result<Var, Error> {
            let data: Vec<T> = data.iter().map(|&x| T::from_f64(x)).collect();
            tape.variable(Shape::new(dims)?, &data)
        };
        let sigma_dims: &[usize] = match self.sigma.len() {
            len if len == self.mu.len() => &[samples, batch, horizon],
            len if len == self.y.len() => &[batch, horizon],
            _ => &[horizon],
        };
        let mu = leaf(&[samples, batch, horizon], &self.mu)?;
        let sigma = leaf(sigma_dims, &self.sigma)?;
        let y = leaf(&[batch, horizon], &self.y)?;
        let weights = self.log_weights.as_ref().map(|w| leaf(&[samples, batch], w)).transpose()?;
        let options = MixtureNll { log_weights: weights, ..MixtureNll::new(score) };
        let nll = tape.mixture_nll_with(mu, sigma, y, options)?;
        tape.backward(nll)?;
        let vars = [Some(mu), Some(sigma), Some(y), weights];
        let gradients = vars.into_iter().flatten().filter_map(|v| tape.gradient(v));
        Ok((tape.scalar(nll)?, gradients.map(|g| g.data().to_vec()).collect()))
    }
}

fn cases() -> Vec<Windows> {
    let mut cases = Vec::new();
    for dims @ [samples, batch, horizon] in
        [[1, 1, 1], [2, 3, 5], [4, 1, 16], [3, 5, 33], [5, 40, 96]]
    {
        for (sigma, weighted) in
            [(horizon, false), (batch * horizon, true), (samples * batch * horizon, false)]
        {
            cases.push(Windows::new(dims, sigma, weighted));
        }
    }
    cases
}

#[test]
fn scores_are_those_of_the_definition() -> Result<(), Error> {
    let mut failures = Vec::new();
    for windows in cases() {
        for score in SCORES {
            // The joint density of 96 steps is still a normal f64: about e^-300.
            let want = windows.naive(score);
            let (double, double_gradients) = windows.fused::<f64>(score)?;
            let (single, gradients) = windows.fused::<f32>(score)?;
            let context = format!("{:?} sigma {} {score:?}", windows.dims, windows.sigma.len());
            if (double - want).abs() > 1e-12 * want.abs().max(1.0) {
                failures.push(format!("{context}: f64 {double} {want}"));
            }
            // A log-density is rounded four times at its size (below 100 here), averages shrink
            // that: 1e-5 holds with room. Gradients carry the error of an exponent, absolute: the
            // joint log-score's is of size 300, so 300 * 2^-24 * some roundings, about 1e-4
            // relative.
            if f64::from((single - want as f32).abs()) > 1e-5 * want.abs().max(1.0) {
                failures.push(format!("{context}: f32 {single} {want}"));
            }
            for (input, (got, want)) in gradients.iter().zip(&double_gradients).enumerate() {
                let size = want.iter().fold(0.0_f64, |m, x| m.max(x.abs()));
                for (i, (&got, &want)) in got.iter().zip(want).enumerate() {
                    if (f64::from(got) - want).abs() > 3e-4 * size {
                        failures.push(format!("{context}: gradient {input}[{i}] {got} {want}"));
                    }
                }
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    Ok(())
}

#[test]
fn results_do_not_depend_on_the_number_of_threads() -> Result<(), Error> {
    let [one, four] = [1, 4].map(|threads| Pool::new(threads).expect("threads"));
    let windows = Windows::new([5, 40, 96], 96, true);
    for score in SCORES {
        let (a, b) =
            (one.run(|| windows.fused::<f32>(score))?, four.run(|| windows.fused::<f32>(score))?);
        assert!(a == b, "{score:?}");
    }
    Ok(())
}

#[test]
fn far_predictions_are_scored_without_overflow() -> Result<(), Error> {
    // All densities underflow (e^-5000); the nearer sample takes all the responsibility.
    let windows = Windows {
        dims: [2, 1, 2],
        mu: vec![100.0, 100.0, 110.0, 110.0],
        sigma: vec![1.0, 1.0],
        y: vec![0.0, 0.0],
        log_weights: None,
    };
    let want = 5000.0 + 0.918_938_533_204_672_8 + std::f64::consts::LN_2;
    // The joint score counts ln 2 once for two steps.
    for (score, want) in SCORES.into_iter().zip([want, want, want - std::f64::consts::LN_2 / 2.0]) {
        let (nll, gradients) = windows.fused::<f32>(score)?;
        assert!((f64::from(nll) - want).abs() < 1e-3, "{score:?}: {nll} {want}");
        assert_eq!(gradients[0], [50.0, 50.0, 0.0, 0.0], "{score:?}");
        assert!(gradients.iter().flatten().all(|g| g.is_finite()), "{score:?}: {gradients:?}");
    }
    Ok(())
}

#[test]
fn a_sample_of_weight_zero_does_not_count() -> Result<(), Error> {
    for score in SCORES {
        let mut windows = Windows::new([2, 3, 5], 5, true);
        windows.log_weights =
            Some(vec![0.0, 0.0, 0.0, f64::NEG_INFINITY, f64::NEG_INFINITY, f64::NEG_INFINITY]);
        let (nll, gradients) = windows.fused::<f64>(score)?;
        let mut alone = Windows::new([1, 3, 5], 5, false);
        (alone.mu, alone.sigma, alone.y) = (windows.mu[..15].to_vec(), windows.sigma, windows.y);
        let (want, _) = alone.fused::<f64>(score)?;
        assert!((nll - want).abs() < 1e-14 * want.abs(), "{score:?}: {nll} {want}");
        assert_eq!(gradients[0][15..], [0.0; 15], "{score:?}");
        assert!(gradients.iter().flatten().all(|g| g.is_finite()), "{score:?}: {gradients:?}");
    }
    Ok(())
}

#[test]
fn nan_and_negative_sigma_are_not_silent() -> Result<(), Error> {
    for score in SCORES {
        for spoil in [0, 1, 2] {
            let mut windows = Windows::new([3, 2, 20], 20, false);
            [&mut windows.mu, &mut windows.sigma, &mut windows.y][spoil][17] = f64::NAN;
            let (nll, _) = windows.fused::<f32>(score)?;
            assert!(nll.is_nan(), "{score:?}: input {spoil} with NaN gave {nll}");
        }
        let mut windows = Windows::new([3, 2, 20], 20, false);
        windows.sigma[17] = -1.5;
        let error = windows.fused::<f32>(score).unwrap_err().to_string();
        assert_eq!(error, "mixture_nll: sigma is -1.5 at position 17: has to be above 0");
    }
    Ok(())
}

#[test]
fn one_sample_is_the_plain_density_and_guards_are_alike() -> Result<(), Error> {
    let mut tape = Tape::<f64>::new();
    let mu = tape.variable([1, 2, 3], &[0.0, 1.0, 2.0, 0.5, 0.1, -1.0])?;
    let sigma = tape.variable([3], &[0.5, 1e-7, 2.0])?;
    let y = tape.constant([2, 3], &[0.5, 1.0, 0.0, 0.0, 0.1, 0.0])?;
    let density = Density { sigma_floor: 1e-6, eps: 1e-12 };
    let plain = tape.gaussian_nll_with(mu, sigma, y, density)?;
    tape.backward(plain)?;
    let gradients = |tape: &Tape<f64>| {
        [mu, sigma].map(|v| tape.gradient(v).map(|g| g.data().to_vec()).unwrap_or_default())
    };
    let want = gradients(&tape);
    assert_eq!(want[1][1], 0.0, "sigma below its floor has no gradient");
    for score in SCORES {
        let nll =
            tape.mixture_nll_with(mu, sigma, y, MixtureNll { density, ..MixtureNll::new(score) })?;
        assert!((tape.scalar(nll)? - tape.scalar(plain)?).abs() < 1e-13, "{score:?}");
        tape.backward(nll)?;
        for (got, want) in gradients(&tape).iter().flatten().zip(want.iter().flatten()) {
            assert!((got - want).abs() <= 1e-13 * want.abs().max(1.0), "{score:?}: {got} {want}");
        }
    }
    assert!(tape.gaussian_nll_with(mu, sigma, y, Density { sigma_floor: -1.0, eps: 0.0 }).is_err());
    assert!(
        tape.gaussian_nll_with(mu, sigma, y, Density { sigma_floor: 0.0, eps: f64::NAN }).is_err()
    );
    Ok(())
}
