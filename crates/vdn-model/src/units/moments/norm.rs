//! [`NormMoments`]: layer normalisation of activities that are given by their moments.
//!
//! Normalisation divides by a random quantity, so it has no closed form. In a wide layer the
//! divisor hardly fluctuates: its relative fluctuation falls as one over the root of the width. The
//! expansion around its mean (delta method) uses this.

use crate::units::moments::{Covariance, Moments};

/// The effect of layer normalisation on random activities `x`, by the delta method.
///
/// Let `P` be the removal of the mean over the layer, `d = P E x`, `S` the covariance, and `C` the
/// number of activities. The normalisation divides by the root of `q = |P x|^2/C + eps`.
///
/// * For any distribution, `q0 = E q = (|d|^2 + tr P S)/C + eps` is exact.
/// * For normal `x`, `Cov(x, q) = 2 S d/C` and `Var q = (2 tr PSPS + 4 d S d)/C^2`.
/// * `P x/sqrt q` is expanded around `q0`: its mean to second order in the fluctuation, its
///   covariance to first order. The relative fluctuation of `q` falls as `1/sqrt C`.
#[derive(Clone, Debug)]
pub struct NormMoments {
    /// `d`, `[n]`.
    pub centre: Vec<f64>,
    /// `S d/(C q0)`, `[n]`: the covariance of the activities with `q/2 q0`.
    pub with_scale: Vec<f64>,
    /// `1/sqrt q0`.
    pub factor: f64,
    /// `Var q/(2 q0)^2`.
    pub fluctuation: f64,
}

impl NormMoments {
    /// Computes the effect of a normalisation of `x` that adds `epsilon` to the variance.
    pub fn new(x: &Moments, epsilon: f64) -> Self {
        let n = x.len();
        let count = n as f64;
        let mean = x.mean.iter().sum::<f64>() / count;
        let centre: Vec<f64> = x.mean.iter().map(|m| m - mean).collect();
        let sums = row_sums(&x.covariance, n);
        let total: f64 = sums.iter().sum();
        let trace: f64 = x.covariance.diagonal(n).iter().sum();
        let square = |x: &[f64]| x.iter().map(|x| x * x).sum::<f64>();
        let q = (square(&centre) + trace - total / count) / count + epsilon;
        // |P S P|^2: the means of rows and columns are removed.
        let entries = match &x.covariance {
            Covariance::Diagonal(x) | Covariance::Full(x) => square(x),
        };
        let centred = entries - 2.0 * square(&sums) / count + (total / count).powi(2);
        let along = x.covariance.times(&centre);
        let quadratic: f64 = centre.iter().zip(&along).map(|(d, s)| d * s).sum();
        let fluctuation = (2.0 * centred + 4.0 * quadratic) / (2.0 * count * q).powi(2);
        let with_scale = along.iter().map(|s| s / (count * q)).collect();
        Self { centre, with_scale, factor: 1.0 / q.sqrt(), fluctuation }
    }

    /// Returns the factor of the centred activities in the mean.
    pub fn mean_factor(&self) -> f64 {
        self.factor * 1.5f64.mul_add(self.fluctuation, 1.0)
    }

    /// Returns the covariance of two linear functions `a y` and `b y` of the normalised activities
    /// `y`. The arguments `a` and `b` are `[a d, a S d/(C q0)]` and the same for `b`; both
    /// functions have to ignore the mean over the layer. `covariance` is the covariance of `a x`
    /// and `b x`.
    pub fn bend(&self, a: [f64; 2], b: [f64; 2], covariance: f64) -> f64 {
        let bent = self.fluctuation * a[0] * b[0] - a[0] * b[1] - a[1] * b[0];
        self.factor * self.factor * (covariance + bent)
    }

    /// Returns the normalised activities, scaled by `gain` and shifted by `bias`, and their
    /// covariance with `x`.
    pub fn apply(&self, x: &Moments, gain: &[f64], bias: &[f64]) -> (Moments, Covariance) {
        let n = x.len();
        let count = n as f64;
        let (factor, mean_factor) = (self.factor, self.mean_factor());
        let level = self.with_scale.iter().sum::<f64>() / count;
        let off: Vec<f64> = self.with_scale.iter().map(|w| w - level).collect();
        let mean = (0..n)
            .map(|i| gain[i].mul_add(self.centre[i] * mean_factor - off[i] * factor, bias[i]))
            .collect();
        if x.covariance.is_zero() {
            let none = Covariance::Diagonal(vec![0.0; n]);
            return (Moments { mean, covariance: none.clone() }, none);
        }
        let sums = row_sums(&x.covariance, n);
        let total = sums.iter().sum::<f64>() / (count * count);
        let (mut own, mut cross) = (vec![0.0; n * n], vec![0.0; n * n]);
        for i in 0..n {
            for j in 0..n {
                let entry = x.covariance.entry([i, j], n);
                let (d, w) = ([self.centre[i], self.centre[j]], [off[i], off[j]]);
                let centred = entry - (sums[i] + sums[j]) / count + total;
                own[i * n + j] = gain[i] * gain[j] * self.bend([d[0], w[0]], [d[1], w[1]], centred);
                let bent = entry - sums[j] / count - d[0] * self.with_scale[j];
                cross[i * n + j] = factor * gain[i] * bent;
            }
        }
        (Moments { mean, covariance: Covariance::Full(own) }, Covariance::Full(cross))
    }
}

fn row_sums(covariance: &Covariance, n: usize) -> Vec<f64> {
    match covariance {
        Covariance::Diagonal(variances) => variances.clone(),
        Covariance::Full(all) => all.chunks_exact(n).map(|row| row.iter().sum()).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vdn_tensor::noise::NoiseKey;

    const EPSILON: f64 = 1e-5;

    fn normals(stream: u32, len: usize) -> Vec<f64> {
        let mut x = vec![0.0; len];
        NoiseKey::new(3, stream, 0).fill_normal(0, &mut x);
        x
    }

    /// Returns the normalisation of one vector.
    fn plain(x: &[f64]) -> Vec<f64> {
        let n = x.len() as f64;
        let mean = x.iter().sum::<f64>() / n;
        let q = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n + EPSILON;
        x.iter().map(|x| (x - mean) / q.sqrt()).collect()
    }

    #[test]
    fn what_is_certain_is_normalised_exactly() {
        let x = normals(0, 7);
        let (gain, bias) = (normals(1, 7), normals(2, 7));
        let certain = Moments::certain(&x);
        let (y, cross) = NormMoments::new(&certain, EPSILON).apply(&certain, &gain, &bias);
        for (i, want) in plain(&x).into_iter().enumerate() {
            assert!((y.mean[i] - gain[i].mul_add(want, bias[i])).abs() < 1e-14);
        }
        assert!(y.covariance.is_zero() && cross.is_zero());
    }

    /// Returns the error against 50 000 samples, in standard deviations: of means, of covariances,
    /// and of covariances with the input.
    fn errors(n: usize, full: bool) -> [f64; 3] {
        const SAMPLES: usize = 50_000;
        let mean = normals(0, n);
        let spread: Vec<f64> = normals(1, n).iter().map(|x| 0.3 + 0.3 * x.abs()).collect();
        // x = m + s (e + shared): all activities share one number, with signs.
        let shared: Vec<f64> =
            normals(2, n).iter().map(|x| if full { 0.5 * x } else { 0.0 }).collect();
        let covariance = |i: usize, j: usize| {
            let own = if i == j { 1.0 } else { 0.0 };
            spread[i] * spread[j] * (own + shared[i] * shared[j])
        };
        let x = match full {
            true => {
                let all = (0..n * n).map(|at| covariance(at / n, at % n)).collect();
                Moments::joint(mean.clone(), all)
            }
            false => Moments::independent(mean.clone(), (0..n).map(|i| covariance(i, i)).collect()),
        };
        let (gain, bias) = (vec![1.0; n], vec![0.0; n]);
        let (y, cross) = NormMoments::new(&x, EPSILON).apply(&x, &gain, &bias);
        let (mut sums, mut products) = (vec![0.0; n], vec![0.0; n * n]);
        let (mut mixed, mut drawn) = (vec![0.0; n * n], vec![0.0; n]);
        for sample in 0..SAMPLES {
            let noise = normals(10 + sample as u32, n + 1);
            let x: Vec<f64> =
                (0..n).map(|i| mean[i] + spread[i] * (noise[i] + shared[i] * noise[n])).collect();
            let found = plain(&x);
            for i in 0..n {
                sums[i] += found[i] / SAMPLES as f64;
                drawn[i] += (x[i] - mean[i]) / SAMPLES as f64;
                for j in 0..n {
                    products[i * n + j] += found[i] * found[j] / SAMPLES as f64;
                    mixed[i * n + j] += found[i] * (x[j] - mean[j]) / SAMPLES as f64;
                }
            }
        }
        let mut worst = [0.0; 3];
        let deviation = |i: usize| (products[i * n + i] - sums[i] * sums[i]).sqrt();
        for i in 0..n {
            let mut note = |of: usize, off: f64| worst[of] = f64::max(worst[of], off.abs());
            note(0, (y.mean[i] - sums[i]) / deviation(i));
            for j in 0..n {
                let got = products[i * n + j] - sums[i] * sums[j];
                note(1, (y.covariance(i, j) - got) / (deviation(i) * deviation(j)));
                let scale = deviation(i) * covariance(j, j).sqrt();
                let got = mixed[i * n + j] - sums[i] * drawn[j];
                note(2, (cross.entry([i, j], n) - got) / scale);
            }
        }
        worst
    }

    /// Samples alone have an error of 0.02 deviations in the worst of some hundred means and
    /// covariances. One number that all activities share moves the variance over the layer, however
    /// wide the layer is.
    #[test]
    fn the_expansion_is_close_and_closer_in_wide_layers() {
        for (full, bounds) in [(false, [0.15, 0.035]), (true, [0.15, 0.08])] {
            let found = [8, 40].map(|n| errors(n, full));
            println!("shared {full}: 8 activities {:.4?}, 40 {:.4?}", found[0], found[1]);
            for (errors, bound) in found.into_iter().zip(bounds) {
                assert!(errors.iter().all(|&error| error < bound), "{full}: {errors:?}");
            }
        }
    }
}
