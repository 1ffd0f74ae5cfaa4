//! Whole futures of a prediction: sampled paths, and the distributions of weighted sums of steps.

use crate::forecaster::prediction::Prediction;
use vdn_tensor::noise::NoiseKey;
use vdn_tensor::{parallel, with_scratch};
use vdn_train::metrics::{Aggregate, MetricError, WindowPrediction};

/// Mixed into a key for the choice of the sample of each path.
const CHOICE: u64 = u64::MAX;
/// Mixed into a key for the noise that the steps of a path share.
const SHARED: u64 = u64::MAX - 1;
/// Mixed into a key for the choice of paths whose steps are independent.
const INDEPENDENT: u64 = u64::MAX - 2;

impl Prediction {
    /// Returns `n` equally likely futures of each window, `[n, batch, horizon]`.
    ///
    /// A path is one sample of the units, which all steps share, plus independent output noise at
    /// each step.
    ///
    /// - If the distribution has a closed form ([`Prediction::shared`]), all paths are independent
    ///   draws from it.
    /// - Otherwise path `i` uses sample `i mod samples`. Up to `samples` paths are independent
    ///   draws from the model; further paths repeat samples with new output noise.
    /// - If samples have weights, each path draws its sample with these probabilities.
    ///
    /// The noise depends only on `key`, the window's row, the path and the step: a larger `n`
    /// begins with the same paths.
    ///
    /// ```
    /// use vdn_forecast::forecaster::{Aggregation, Prediction};
    /// use vdn_tensor::noise::NoiseKey;
    /// let prediction = Prediction {
    ///     shape: [2, 1, 3],
    ///     means: vec![-9.0, -9.0, -9.0, 9.0, 9.0, 9.0],
    ///     sigma: vec![0.1; 3],
    ///     weights: None,
    ///     aggregation: Aggregation::Mean,
    ///     shared: None,
    ///     floor: None,
    /// };
    /// let paths = prediction.paths(4, NoiseKey::new(7, 0, 0))?;
    /// // The steps of a path are all low or all high.
    /// for (i, path) in paths.chunks(3).enumerate() {
    ///     assert!(path.iter().all(|y| (y > &0.0) == (i % 2 == 1)), "{path:?}");
    /// }
    /// assert_eq!(prediction.paths(2, NoiseKey::new(7, 0, 0))?, paths[..6]);
    /// # Ok::<(), vdn_train::metrics::MetricError>(())
    /// ```
    ///
    /// # Errors
    /// Fails for `n` of 0 or from 2^32, and if the paths do not fit into the address space.
    pub fn paths(&self, n: usize, key: NoiseKey) -> Result<Vec<f64>, MetricError> {
        let [_, batch, horizon] = self.shape;
        let all = n.checked_mul(batch).and_then(|rows| rows.checked_mul(horizon));
        let (Some(all), true) = (all, n > 0 && u32::try_from(n).is_ok()) else {
            let (operation, expected) = ("paths", "a count from 1 to 2^32 - 1");
            return Err(MetricError::Setting { operation, name: "n", value: n as f64, expected });
        };
        let mut paths = vec![0.0; all];
        for row in 0..batch {
            for (i, path) in self.row_paths(row, n, key).chunks_exact(horizon).enumerate() {
                paths[(i * batch + row) * horizon..][..horizon].copy_from_slice(path);
            }
        }
        Ok(paths)
    }

    /// Returns the paths of one window, `[n, horizon]`.
    pub(crate) fn row_paths(&self, row: usize, n: usize, key: NoiseKey) -> Vec<f64> {
        let [samples, batch, horizon] = self.shape;
        let key = key.fold_in(row as u64);
        let followed = self.followed(row, n, key);
        let shared = self.shared.as_ref().map(|shared| (shared.causes, shared.row(row, horizon)));
        let floor = self.floor.as_ref().map(|floor| floor[row]);
        let total = &self.sigma[row * horizon..][..horizon];
        let apart = self.apart(n, key);
        let mut paths = vec![0.0; n * horizon];
        parallel::for_each_chunk(&mut paths, horizon, |i, path| {
            key.fill_normal(i as u32, path);
            let sample = followed.as_ref().map_or(i % samples, |followed| followed[i]);
            let means = &self.means[(sample * batch + row) * horizon..][..horizon];
            let shared = shared.filter(|_| !apart.as_ref().is_some_and(|apart| apart[i]));
            let sigma = shared.map_or(total, |(_, (_, own))| own);
            for (y, (mean, sigma)) in path.iter_mut().zip(means.iter().zip(sigma)) {
                *y = mean + sigma * *y;
            }
            if let Some((causes, (loadings, _))) = shared {
                with_scratch(causes, |common: &mut [f64]| {
                    key.fold_in(SHARED).fill_normal(i as u32, common);
                    for (y, loadings) in path.iter_mut().zip(loadings.chunks_exact(causes)) {
                        *y += loadings.iter().zip(&*common).map(|(l, e)| l * e).sum::<f64>();
                    }
                });
            }
            if let Some(floor) = floor {
                path.iter_mut().for_each(|y| *y = y.max(floor));
            }
        });
        paths
    }

    /// Returns, for each of `n` paths, whether its steps are independent. `None` if steps share no
    /// noise.
    fn apart(&self, n: usize, key: NoiseKey) -> Option<Vec<bool>> {
        let shared = self.shared.as_ref()?;
        let mut places = vec![0.0; n];
        key.fold_in(INDEPENDENT).fill_uniform(0, &mut places);
        Some(places.into_iter().map(|u: f64| u < shared.apart).collect())
    }

    /// Returns the sample of each of `n` paths. `None` if samples have no weights.
    fn followed(&self, row: usize, n: usize, key: NoiseKey) -> Option<Vec<usize>> {
        let [samples, batch, _] = self.shape;
        let weights = self.weights.as_ref()?;
        let mut sum = 0.0;
        let ends: Vec<f64> = (0..samples)
            .map(|s| {
                sum += weights[s * batch + row];
                sum
            })
            .collect();
        let mut places = vec![0.0; n];
        key.fold_in(CHOICE).fill_uniform(0, &mut places);
        let of = |u: f64| ends.partition_point(|end| *end < u * sum).min(samples - 1);
        Some(places.into_iter().map(of).collect())
    }

    /// Returns the distribution of the sum over the steps of `weights[h] * y[h]`, in closed form,
    /// for each window. `weights` is `[horizon]`. Weights of `1 / H` give the mean over the
    /// horizon, weights of 1 the sum.
    ///
    /// ```
    /// use vdn_forecast::forecaster::{Aggregation, Prediction};
    /// let prediction = Prediction {
    ///     shape: [1, 1, 2],
    ///     means: vec![1.0, 2.0],
    ///     sigma: vec![3.0, 4.0],
    ///     weights: None,
    ///     aggregation: Aggregation::Mean,
    ///     shared: None,
    ///     floor: None,
    /// };
    /// let total = prediction.aggregate(&[1.0, 1.0])?;
    /// let total = total[0].mixture();
    /// assert_eq!((total.mean(), total.deviation()), (3.0, 5.0));
    /// assert!((total.quantile(0.5)? - 3.0).abs() < 1e-12);
    /// # Ok::<(), vdn_train::metrics::MetricError>(())
    /// ```
    ///
    /// # Errors
    /// Fails if the weights are not `[horizon]`, not finite or all 0, if a result is not finite,
    /// and for steps with a lower limit, whose sums have no closed form.
    pub fn aggregate(&self, weights: &[f64]) -> Result<Vec<Aggregate>, MetricError> {
        let [samples, batch, horizon] = self.shape;
        let of_row = |row: usize| {
            let (own, deviations) = self.row(row);
            let by_sample: Option<Vec<f64>> = self.weights.as_ref().map(|weights| {
                let own = (0..samples).map(|s| weights[s * batch + row]);
                own.collect()
            });
            let mut window =
                WindowPrediction::new(&own, deviations, by_sample.as_deref(), horizon)?;
            if let Some(shared) = &self.shared {
                window = window.with_shared_noise(shared.part(row, horizon))?;
            }
            if let Some(floor) = &self.floor {
                window = window.with_floor(floor[row])?;
            }
            Aggregate::new(&window, weights)
        };
        (0..batch).map(of_row).collect()
    }

    /// Returns the means `[samples, horizon]` and the deviations `[horizon]` of one window.
    pub(crate) fn row(&self, row: usize) -> (Vec<f64>, &[f64]) {
        let [samples, batch, horizon] = self.shape;
        let of = |s: usize| &self.means[(s * batch + row) * horizon..][..horizon];
        let means = (0..samples).flat_map(|s| of(s).iter().copied()).collect();
        (means, &self.sigma[row * horizon..][..horizon])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forecaster::{Aggregation, SharedNoise};

    /// A prediction of two windows, two steps and three samples.
    fn prediction(weights: Option<Vec<f64>>) -> Prediction {
        let means = vec![0.0, 0.0, 9.0, 9.0, 1.0, 2.0, 9.0, 9.0, -2.0, 1.0, 9.0, 9.0];
        let (shape, sigma) = ([3, 2, 2], vec![0.5, 1.5, 0.1, 0.1]);
        let (aggregation, shared) = (Aggregation::Mean, None);
        Prediction { shape, means, sigma, weights, aggregation, shared, floor: None }
    }

    #[test]
    fn paths_have_the_moments_of_the_mixture_and_sums_those_of_the_aggregate() {
        const PATHS: usize = 30_000;
        let key = NoiseKey::new(3, 1, 0);
        for own in [None, Some(vec![0.5, 0.1, 0.2, 0.1, 0.3, 0.8])] {
            let prediction = prediction(own.clone());
            let paths = prediction.paths(PATHS, key).unwrap();
            assert_eq!(paths.len(), PATHS * 4);
            let total = prediction.aggregate(&[1.0, 1.0]).unwrap();
            let weight = |s: usize| own.as_ref().map_or(1.0 / 3.0, |w| w[2 * s]);
            let first = |path: &[f64]| path[0] + path[1];
            let sums: Vec<f64> = paths.chunks_exact(4).map(first).collect();
            let total = total[0].mixture();
            let mean: f64 = (0..3).map(|s| weight(s) * total.means()[s]).sum();
            assert!((total.mean() - mean).abs() < 1e-12);
            let spread = |s: usize| weight(s) * (total.means()[s] - mean).powi(2);
            let variance = total.sigma(0).powi(2) + (0..3).map(spread).sum::<f64>();
            let count = PATHS as f64;
            let found = sums.iter().sum::<f64>() / count;
            let square = sums.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / count;
            // Five standard errors; the fourth moment of the sum is below 3 times that of a normal.
            assert!((found - mean).abs() < 5.0 * (variance / count).sqrt(), "{found} {mean}");
            assert!((square / variance - 1.0).abs() < 5.0 * (8.0 / count).sqrt(), "{square}");
        }
    }

    /// All noise is shared, except in a fraction `apart` of the paths, where none is.
    #[test]
    fn paths_share_their_noise_or_are_independent_as_often_as_said() {
        const PATHS: usize = 4000;
        for apart in [0.0, 0.25] {
            let shared =
                SharedNoise { causes: 1, loadings: vec![2.0; 3], own: vec![0.0; 3], apart };
            let prediction = Prediction {
                shape: [1, 1, 3],
                means: vec![0.0; 3],
                sigma: vec![2.0; 3],
                weights: None,
                aggregation: Aggregation::Mean,
                shared: Some(shared),
                floor: None,
            };
            let paths = prediction.paths(PATHS, NoiseKey::new(5, 0, 0)).unwrap();
            let paths = paths.chunks_exact(3);
            let independent: Vec<_> = paths.filter(|y| y[0] != y[1] || y[1] != y[2]).collect();
            let share = independent.len() as f64 / PATHS as f64;
            // Five standard errors of a share, of a covariance, of a variance.
            let count = independent.len().max(1) as f64;
            assert!((share - apart).abs() <= 5.0 * (apart * (1.0 - apart) / PATHS as f64).sqrt());
            let product: f64 = independent.iter().map(|y| y[0] * y[1] / 4.0).sum();
            assert!(product.abs() <= 5.0 * count.sqrt(), "{product}");
            let square: f64 = independent.iter().map(|y| y[2] * y[2] / 4.0 - 1.0).sum();
            assert!(square.abs() <= 5.0 * (2.0 * count).sqrt(), "{square}");
        }
    }

    #[test]
    fn nonsense_is_refused_in_one_line() {
        let prediction = prediction(None);
        for n in [0, usize::MAX] {
            let error = prediction.paths(n, NoiseKey::new(0, 0, 0)).unwrap_err().to_string();
            assert!(error.starts_with("paths: n is ") && error.lines().count() == 1, "{error}");
        }
        for weights in [&[1.0][..], &[0.0, 0.0], &[f64::NAN, 1.0]] {
            assert!(prediction.aggregate(weights).is_err(), "{weights:?}");
        }
    }
}
