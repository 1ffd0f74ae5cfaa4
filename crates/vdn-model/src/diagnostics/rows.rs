//! [`RowCounts`]: counts that the fused statistics do not contain: the rows in which a unit is
//! alive, and the deviations at their limits.
//!
//! The scan makes one or two comparisons per element. It takes the exponential only if `mu^2` and
//! `logvar` alone do not decide.

use vdn_tensor::Element;

/// The KL in nats per latent dimension above which a unit is alive in a row \[ref\].
const ALIVE_KL: f64 = 1e-4;
/// The `|logvar|` beyond which the KL is above [`ALIVE_KL`] for every `mu`. It follows from `e^x -
/// 1 - x >= x^2 (1/2 -
/// |x|/6)`: `0.0201^2 (1/2 - 0.0201/6) / 2 = 1.0033e-4`.
const ALIVE_LOGVAR: f64 = 0.0201;
/// The distance from its limit within which a `logvar` counts as being at the limit. It covers
/// `f32` rounding at limits of `|logvar| <= 19`, and rounding of twice a clamped `log sigma`.
const AT_LIMIT: f64 = 1e-5;

/// Counts of each unit over rows.
///
/// ```
/// use vdn_model::diagnostics::RowCounts;
/// let mut counts = RowCounts::new(2, 1);
/// // Two rows of two units: the first is never alive, the second has one deviation at the lower limit.
/// counts.scan(&[0.0_f64, 1.0, 0.0, 0.5], &[0.0, -4.0, 0.0, 0.3], [-4.0, 4.0]);
/// assert_eq!(counts.alive(), [0.0, 1.0]);
/// assert_eq!(counts.saturation(), [0.0, 0.5]);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RowCounts {
    latent_dims: usize,
    rows: usize,
    alive: Vec<u64>,
    saturated: Vec<u64>,
}

impl RowCounts {
    /// Creates the counts of a layer with this many units and latent dimensions, without rows.
    #[must_use]
    pub fn new(units: usize, latent_dims: usize) -> Self {
        Self { latent_dims, rows: 0, alive: vec![0; units], saturated: vec![0; units] }
    }

    /// Counts the rows of a batch. `mu` is `[rows, units * latent dims]`. `logvar`, before its hard
    /// limits, has the same shape, or is `[units * latent dims]` or a single number. `limits` are
    /// the limits of `logvar`.
    ///
    /// # Panics
    /// Panics if the slices belong to another layer.
    pub fn scan<T: Element>(&mut self, mu: &[T], logvar: &[T], limits: [f64; 2]) {
        let k = self.latent_dims;
        // Enough in one dimension to decide the mean over all of them.
        let enough = 2.0 * ALIVE_KL * k as f64;
        self.count(mu, logvar, limits, |mu, logvar| {
            let square = mu.to_f64().powi(2);
            let l = logvar.to_f64();
            if square > enough || (k == 1 && l.abs() > ALIVE_LOGVAR) {
                return f64::INFINITY;
            }
            0.5 * (square + l.exp_m1() - l)
        });
    }

    /// Does what [`RowCounts::scan`] does for units that are not Gaussian: `kl`, the KL of every
    /// posterior, `[rows, units * latent dims]`, takes the place of the means.
    ///
    /// # Panics
    /// Panics if the slices belong to another layer.
    pub fn scan_kl<T: Element>(&mut self, kl: &[T], logvar: &[T], limits: [f64; 2]) {
        self.count(kl, logvar, limits, |kl, _| kl.to_f64());
    }

    /// Counts the rows in which the sum of `kl(x, logvar)` over a unit's dimensions is large
    /// enough, and the deviations at limits.
    fn count<T: Element>(
        &mut self,
        x: &[T],
        logvar: &[T],
        limits: [f64; 2],
        kl: impl Fn(T, T) -> f64,
    ) {
        let (k, units) = (self.latent_dims, self.alive.len());
        let dims = units * k;
        let rows = x.len() / dims.max(1);
        assert_eq!(x.len(), rows * dims, "rows of another layer");
        let shared = logvar.len() != x.len();
        let single = logvar.len() == 1 && dims != 1;
        assert!(!shared || single || logvar.len() == dims, "deviations of another layer");
        let [low, high] = [limits[0] + AT_LIMIT, limits[1] - AT_LIMIT];
        for (row, x) in x.chunks_exact(dims.max(1)).enumerate() {
            let logvar = if shared { logvar } else { &logvar[row * dims..][..dims] };
            for unit in 0..units {
                let (mut sum, mut saturated) = (0.0, 0);
                for i in unit * k..(unit + 1) * k {
                    let logvar = logvar[if single { 0 } else { i }];
                    let l = logvar.to_f64();
                    saturated += u64::from(l <= low || l >= high);
                    if sum < f64::INFINITY {
                        sum += kl(x[i], logvar);
                    }
                }
                self.saturated[unit] += saturated;
                self.alive[unit] += u64::from(sum > ALIVE_KL * k as f64);
            }
        }
        self.rows += rows;
    }

    /// Returns the number of rows counted.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Returns the share of rows in which the KL of a unit is above 1e-4 nats per latent dimension,
    /// `[units]`.
    #[must_use]
    pub fn alive(&self) -> Vec<f64> {
        let rows = self.rows.max(1) as f64;
        self.alive.iter().map(|&n| n as f64 / rows).collect()
    }

    /// Returns the share of a unit's deviations that are at a limit, `[units]`.
    #[must_use]
    pub fn saturation(&self) -> Vec<f64> {
        let all = (self.rows * self.latent_dims).max(1) as f64;
        self.saturated.iter().map(|&n| n as f64 / all).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alive_agrees_with_the_kl_near_the_threshold() {
        for (mu, logvar) in [
            (0.014_f64, 0.0_f64),
            (0.0142, 0.0),
            (0.0, 0.0199),
            (0.0, 0.02),
            (0.0, 0.0202),
            (0.0, -0.0199),
            (0.0, -0.0201),
            (0.0, -0.0202),
            (0.01, 0.0145),
            (0.01, -0.014),
        ] {
            let mut counts = RowCounts::new(1, 1);
            counts.scan(&[mu], &[logvar], [-18.0, 4.6]);
            let kl = 0.5 * (mu * mu + logvar.exp_m1() - logvar);
            assert_eq!(counts.alive()[0] == 1.0, kl > 1e-4, "mu {mu}, logvar {logvar}, KL {kl:e}");
        }
    }

    #[test]
    fn deviations_may_be_shared_by_rows_or_by_all() {
        let mu = [0.0_f32, 0.0, 0.0, 0.0];
        let mut per_dim = RowCounts::new(2, 1);
        per_dim.scan(&mu, &[-18.0, 0.0], [-18.0, 4.6]);
        assert_eq!(per_dim.saturation(), [1.0, 0.0]);
        assert_eq!(per_dim.alive(), [1.0, 0.0]);
        let mut single = RowCounts::new(2, 1);
        single.scan(&mu, &[4.6], [-18.0, 4.6]);
        assert_eq!(single.saturation(), [1.0, 1.0]);
        let mut vector = RowCounts::new(1, 2);
        vector.scan(&mu, &[4.6, 0.0, 0.0, 0.0], [-18.0, 4.6]);
        assert_eq!(vector.saturation(), [0.25]);
        assert_eq!(vector.alive(), [0.5]);
    }
}
