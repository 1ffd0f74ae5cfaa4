//! [`Observation`]: the measures of a layer's units in one training step.

/// The terms of a step's loss in nats per time step, unweighted unless stated otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LossValues {
    /// The predictive score.
    pub nll: f64,
    /// The squared error of the samples' mean.
    pub mse: f64,
    /// The weighted KL.
    pub weighted_kl: f64,
    /// The weighted band penalty.
    pub weighted_band: f64,
    /// The autoregressive penalty.
    pub ar: f64,
}

/// The measures of one layer in one training step.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Observation {
    /// The number of rows in the batch.
    pub rows: usize,
    /// The energy of each unit, `[units]`: the mean of `mu^2` over the batch.
    pub energy: Vec<f64>,
    /// The KL of each unit in nats, `[units]`.
    pub kl: Vec<f64>,
    /// The share of rows in which the unit's KL is above the alive threshold, `[units]`.
    pub alive: Vec<f64>,
    /// The rate of each latent dimension in nats, `[units * latent dims]`.
    pub rate_dims: Vec<f64>,
    /// The KL of each latent dimension in nats, `[units * latent dims]`.
    pub kl_dims: Vec<f64>,
    /// The persistence of each latent dimension, `[units * latent dims]`: from step to step in
    /// layers with a prior over time, from window to window in others. It is 0 unless a term of the
    /// objective needs it.
    pub persistence: Vec<f64>,
    /// The terms of the loss.
    pub losses: LossValues,
}

impl Observation {
    /// Creates an observation with room for a layer.
    #[must_use]
    pub fn new(units: usize, dims: usize) -> Self {
        let per_unit = || vec![0.0; units];
        let per_dim = || vec![0.0; dims];
        Self {
            rows: 0,
            energy: per_unit(),
            kl: per_unit(),
            alive: per_unit(),
            rate_dims: per_dim(),
            kl_dims: per_dim(),
            persistence: per_dim(),
            losses: LossValues::default(),
        }
    }

    /// Sets energy, KL and alive share from the pooled means and the KL of every row, both `[rows,
    /// units]`. Rates are not changed.
    ///
    /// # Panics
    /// Panics if the slices do not hold whole rows of the units, or hold none.
    pub fn set_rows(&mut self, mu: &[f64], kl: &[f64], alive_kl: f64) {
        let units = self.energy.len();
        assert!(units > 0 && !kl.is_empty() && mu.len() == kl.len(), "rows of another layer");
        assert_eq!(kl.len() % units, 0, "rows of another layer");
        self.rows = kl.len() / units;
        let share = 1.0 / self.rows as f64;
        for to in [&mut self.energy, &mut self.kl, &mut self.alive] {
            to.fill(0.0);
        }
        for (mu, kl) in mu.chunks_exact(units).zip(kl.chunks_exact(units)) {
            for i in 0..units {
                self.energy[i] += mu[i] * mu[i];
                self.kl[i] += kl[i];
                self.alive[i] += f64::from(u8::from(kl[i] > alive_kl));
            }
        }
        for to in [&mut self.energy, &mut self.kl, &mut self.alive] {
            to.iter_mut().for_each(|x| *x *= share);
        }
    }
}
