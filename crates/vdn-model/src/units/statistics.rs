//! [`UnitStatistics`]: the statistics of a layer's units over many batches, and the measures
//! computed from them.

use crate::core::error::ModelError;
use crate::core::state::ControlState;

/// The statistics `M1`, `C2`, `D0` and `Lv` of every latent dimension over all rows so far, in
/// double precision.
///
/// | statistic | meaning, over rows |
/// |---|---|
/// | `M1` | the mean of the posterior means `mu` |
/// | `C2` | the variance of the posterior means |
/// | `D0` | the mean of `sigma^2 - 1 - ln sigma^2` |
/// | `Lv` | the mean of `ln sigma^2` |
///
/// Batches of different size weigh by their rows. `C2` is merged by the update of Chan, Golub and
/// LeVeque (1983).
///
/// ```
/// use vdn_model::units::UnitStatistics;
/// let mut statistics = UnitStatistics::new();
/// // One unit: two rows with means -1 and 1, then one row with mean 0; sigma 1 throughout.
/// statistics.merge(2, &[0.0_f32], &[1.0], &[0.0], &[0.0]);
/// statistics.merge(1, &[0.0_f32], &[0.0], &[0.0], &[0.0]);
/// assert!((statistics.kl()[0] - 1.0 / 3.0).abs() < 1e-12);        // M2 / 2
/// assert!((statistics.rate()[0] - 0.5 * (5.0_f64 / 3.0).ln()).abs() < 1e-12);
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct UnitStatistics {
    rows: usize,
    m1: Vec<f64>,
    c2: Vec<f64>,
    d0: Vec<f64>,
    lv: Vec<f64>,
    /// The KL of units that are not Gaussian; it does not follow from the other statistics.
    own_kl: Option<Vec<f64>>,
}

impl UnitStatistics {
    /// Creates statistics without rows.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the statistics of a batch of `rows` rows. Each slice is `[units * latent dims]`.
    ///
    /// # Panics
    /// Panics if the slices differ in length from each other or from earlier batches.
    pub fn merge<T: vdn_tensor::Element>(
        &mut self,
        rows: usize,
        m1: &[T],
        c2: &[T],
        d0: &[T],
        lv: &[T],
    ) {
        if self.rows == 0 {
            for mine in [&mut self.m1, &mut self.c2, &mut self.d0, &mut self.lv] {
                mine.clear();
                mine.resize(m1.len(), 0.0);
            }
        }
        let lengths = [m1.len(), c2.len(), d0.len(), lv.len()];
        assert_eq!(lengths, [self.m1.len(); 4], "unit statistics of another layer");
        let total = self.rows + rows;
        let share = rows as f64 / total.max(1) as f64;
        for i in 0..m1.len() {
            let delta = m1[i].to_f64() - self.m1[i];
            self.m1[i] += share * delta;
            self.c2[i] +=
                share * (c2[i].to_f64() - self.c2[i]) + share * (1.0 - share) * delta * delta;
            self.d0[i] += share * (d0[i].to_f64() - self.d0[i]);
            self.lv[i] += share * (lv[i].to_f64() - self.lv[i]);
        }
        self.rows = total;
    }

    /// Does what [`UnitStatistics::merge`] does for units that are not Gaussian. `kl` is the mean
    /// KL of each latent dimension over the rows, `[units * latent dims]`.
    ///
    /// # Panics
    /// Panics as [`UnitStatistics::merge`] does, and if the KL has another length.
    pub fn merge_with_kl<T: vdn_tensor::Element>(
        &mut self,
        rows: usize,
        [m1, c2, d0, lv]: [&[T]; 4],
        kl: &[T],
    ) {
        self.merge(rows, m1, c2, d0, lv);
        assert_eq!(kl.len(), self.m1.len(), "unit statistics of another layer");
        let share = rows as f64 / self.rows.max(1) as f64;
        let own = self.own_kl.get_or_insert_with(|| vec![0.0; kl.len()]);
        for (own, kl) in own.iter_mut().zip(kl) {
            *own += share * (kl.to_f64() - *own);
        }
    }

    /// Adds the statistics of units on a tape, over `rows` rows.
    ///
    /// # Panics
    /// Panics if the units belong to another layer.
    pub fn take_in<T: vdn_tensor::Element>(
        &mut self,
        rows: usize,
        tape: &vdn_autograd::Tape<T>,
        units: &vdn_autograd::UnitOutputs,
    ) {
        let value = |var| tape.value(var).data();
        let [m1, c2, d0, lv] = [units.m1, units.c2, units.d0, units.lv].map(value);
        match units.mean_kl {
            Some(kl) => self.merge_with_kl(rows, [m1, c2, d0, lv], value(kl)),
            None => self.merge(rows, m1, c2, d0, lv),
        }
    }

    /// Returns the statistics of some of the latent dimensions. It extracts one layer from joined
    /// statistics.
    ///
    /// # Panics
    /// Panics if the range exceeds the number of dimensions.
    #[must_use]
    pub fn part(&self, dims: std::ops::Range<usize>) -> Self {
        let of = |x: &[f64]| x[dims.clone()].to_vec();
        let [m1, c2, d0, lv] = [&self.m1, &self.c2, &self.d0, &self.lv].map(|x| of(x));
        Self { rows: self.rows, m1, c2, d0, lv, own_kl: self.own_kl.as_deref().map(of) }
    }

    /// Returns the statistics of several layers over the same rows, one layer after the other, as
    /// if they were one layer; `None` if there are no layers.
    #[must_use]
    pub fn joined<'a>(mut layers: impl Iterator<Item = &'a Self>) -> Option<Self> {
        let mut all = layers.next()?.clone();
        for own in layers {
            if all.own_kl.is_some() || own.own_kl.is_some() {
                all.own_kl = Some([all.kl(), own.kl()].concat());
            }
            all.m1.extend_from_slice(&own.m1);
            all.c2.extend_from_slice(&own.c2);
            all.d0.extend_from_slice(&own.d0);
            all.lv.extend_from_slice(&own.lv);
        }
        Some(all)
    }

    /// Writes the numbers under `{prefix}rows`, `{prefix}m1` and so on.
    pub fn save(&self, prefix: &str, state: &mut ControlState) {
        state.put(format!("{prefix}rows"), &[self.rows as f64]);
        for (name, values) in
            [("m1", &self.m1), ("c2", &self.c2), ("d0", &self.d0), ("lv", &self.lv)]
        {
            state.put(format!("{prefix}{name}"), values);
        }
        if let Some(kl) = &self.own_kl {
            state.put(format!("{prefix}own_kl"), kl);
        }
    }

    /// Reads the statistics that [`UnitStatistics::save`] wrote.
    ///
    /// # Errors
    /// Fails if an entry is missing, or entries differ in length.
    pub fn load(prefix: &str, state: &ControlState) -> Result<Self, ModelError> {
        let of = |name: &str| state.values(&format!("{prefix}{name}")).map(<[f64]>::to_vec);
        let rows = state.number(&format!("{prefix}rows"))? as usize;
        let [m1, c2, d0, lv] = [of("m1")?, of("c2")?, of("d0")?, of("lv")?];
        let own_kl = of("own_kl").ok();
        let own = own_kl.as_ref().is_none_or(|kl| kl.len() == m1.len());
        if !own || [&c2, &d0, &lv].iter().any(|x| x.len() != m1.len()) {
            let reason = format!("the statistics {prefix} differ in length");
            return Err(ModelError::Control(reason));
        }
        Ok(Self { rows, m1, c2, d0, lv, own_kl })
    }

    /// Returns the number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Returns the number of latent dimensions.
    #[must_use]
    pub fn dims(&self) -> usize {
        self.m1.len()
    }

    /// Returns the mean of each latent dimension's means, `M1`.
    #[must_use]
    pub fn mean(&self) -> Vec<f64> {
        self.m1.clone()
    }

    /// Returns the variance of each latent dimension's means over the rows, `C2`.
    #[must_use]
    pub fn spread(&self) -> Vec<f64> {
        self.c2.clone()
    }

    /// Returns the mean variance of each latent dimension's posteriors, `V`.
    #[must_use]
    pub fn variance(&self) -> Vec<f64> {
        self.map(|[_, _, d0, lv]| 1.0 + variance_less_one(d0, lv))
    }

    /// Returns the mean log-variance of each latent dimension's posteriors, `Lv`.
    #[must_use]
    pub fn log_variance(&self) -> Vec<f64> {
        self.lv.clone()
    }

    fn map(&self, f: impl Fn([f64; 4]) -> f64) -> Vec<f64> {
        (0..self.m1.len()).map(|i| f([self.m1[i], self.c2[i], self.d0[i], self.lv[i]])).collect()
    }

    /// Returns the KL of each latent dimension in nats; for Gaussian units `(M2 + D0) / 2`.
    #[must_use]
    pub fn kl(&self) -> Vec<f64> {
        match &self.own_kl {
            Some(kl) => kl.clone(),
            None => self.map(|[m1, c2, d0, _]| 0.5 * (m1 * m1 + c2 + d0)),
        }
    }

    /// Returns the rate of each latent dimension in nats, `[ln(C2 + V) - Lv] / 2`.
    #[must_use]
    pub fn rate(&self) -> Vec<f64> {
        self.map(|[_, c2, d0, lv]| 0.5 * ((c2 + variance_less_one(d0, lv)).ln_1p() - lv))
    }

    /// Returns the mismatch of each latent dimension in nats, `[M2 + V - 1 - ln(C2 + V)] / 2`.
    #[must_use]
    pub fn mismatch(&self) -> Vec<f64> {
        if let Some(kl) = &self.own_kl {
            return kl.iter().zip(self.rate()).map(|(kl, rate)| kl - rate).collect();
        }
        self.map(|[m1, c2, d0, lv]| {
            let excess = c2 + variance_less_one(d0, lv);
            0.5 * (m1 * m1 + excess - excess.ln_1p())
        })
    }

    /// Returns the energy of each latent dimension, `M2`, the mean of `mu^2`.
    #[must_use]
    pub fn energy(&self) -> Vec<f64> {
        self.map(|[m1, c2, _, _]| m1 * m1 + c2)
    }

    /// Returns the signal-to-noise ratio of each latent dimension, `C2 / V`.
    #[must_use]
    pub fn signal_to_noise(&self) -> Vec<f64> {
        self.map(|[_, c2, d0, lv]| c2 / (1.0 + variance_less_one(d0, lv)))
    }

    /// Returns the share of latent dimensions that are active by the rule of Burda, Grosse and
    /// Salakhutdinov (2016): the variance of their means over the rows is above `share` (0.01) of
    /// the prior's variance. NaN if there are no dimensions.
    #[must_use]
    pub fn active_share(&self, share: f64) -> f64 {
        self.c2.iter().filter(|&&c2| c2 > share).count() as f64 / self.c2.len() as f64
    }

    /// Returns the share of latent dimensions whose rate is at least `nats`; NaN if there are no
    /// dimensions.
    #[must_use]
    pub fn share_with_rate(&self, nats: f64) -> f64 {
        let rates = self.rate();
        rates.iter().filter(|&&rate| rate >= nats).count() as f64 / rates.len() as f64
    }
}

/// Returns `V - 1 = D0 + Lv`. For deviations near 0, the rounding of the two terms could give a
/// negative variance. The result is therefore at least the value at the mean log-variance (Jensen).
fn variance_less_one(d0: f64, lv: f64) -> f64 {
    (d0 + lv).max(lv.exp_m1())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_deviations_have_a_variance_in_single_precision_too() {
        // D0 is 17.4, so its last bit in single precision is 2e-6.
        for deviation in [1e-4_f32, 1.3e-4, 2e-4, 3e-4, 1e-3] {
            let lv = 2.0 * deviation.ln();
            let mut statistics = UnitStatistics::new();
            statistics.merge(4, &[1.0_f32], &[0.0], &[lv.exp_m1() - lv], &[lv]);
            let variance = statistics.variance()[0];
            let truth = f64::from(deviation).powi(2);
            assert!(variance >= truth * (1.0 - 1e-5), "{deviation}: {variance:e}");
            assert!(variance <= truth + 2e-6, "{deviation}: {variance:e}");
            assert!(statistics.rate()[0] >= -1e-6 && statistics.mismatch()[0].is_finite());
        }
    }

    #[test]
    fn batches_of_any_size_merge_to_the_whole() {
        let mu = [0.3_f64, -1.2, 0.8, 2.0, -0.4, 0.1, 0.9];
        let lv = [-0.2_f64, -1.0, 0.3, -0.5, 0.0, -2.0, 0.1];
        let of = |range: std::ops::Range<usize>, statistics: &mut UnitStatistics| {
            let (mu, lv) = (&mu[range.clone()], &lv[range]);
            let n = mu.len() as f64;
            let m1 = mu.iter().sum::<f64>() / n;
            let c2 = mu.iter().map(|m| (m - m1).powi(2)).sum::<f64>() / n;
            let d0 = lv.iter().map(|l| l.exp_m1() - l).sum::<f64>() / n;
            let mean = lv.iter().sum::<f64>() / n;
            statistics.merge(mu.len(), &[m1], &[c2], &[d0], &[mean]);
        };
        let (mut whole, mut parts) = (UnitStatistics::new(), UnitStatistics::new());
        of(0..7, &mut whole);
        of(0..1, &mut parts);
        of(1..5, &mut parts);
        of(5..7, &mut parts);
        for (a, b) in [
            (whole.kl(), parts.kl()),
            (whole.rate(), parts.rate()),
            (whole.mismatch(), parts.mismatch()),
        ] {
            assert!((a[0] - b[0]).abs() < 1e-14, "{a:?} {b:?}");
        }
        assert!((whole.kl()[0] - whole.rate()[0] - whole.mismatch()[0]).abs() < 1e-15);
    }

    #[test]
    fn a_unit_that_ignores_its_input_has_no_rate_whatever_its_kl() {
        let mut statistics = UnitStatistics::new();
        statistics.merge(
            8,
            &[3.0],
            &[0.0],
            &[(0.25_f64).ln().exp_m1() - (0.25_f64).ln()],
            &[(0.25_f64).ln()],
        );
        assert!(statistics.rate()[0].abs() < 1e-15);
        assert!(statistics.kl()[0] > 4.0);
    }
}
