//! Measurements that a network makes of its units on request: posteriors of examples, and
//! downstream effects of single units.

/// The posteriors of a layer's units for the windows of a batch. Like all statistics they are on
/// the scale of the prior's deviation.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Posteriors {
    /// The number of latent dimensions of the layer.
    pub dims: usize,
    /// Means, `[batch, dims]`.
    pub mu: Vec<f64>,
    /// Log-variances within their hard limits, `[batch, dims]`.
    pub logvar: Vec<f64>,
}

/// The downstream effect of replacing the activities of one unit. All other activities keep their
/// addressed noise.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct UnitEffects {
    /// `mean_s [ln p(y | z_s) - ln p(y | z_s with z_i drawn from its prior)]`, `[units, batch]`,
    /// nats per window.
    pub value: Vec<f64>,
    /// `mean_s |m(z_s) - m(z_s with z_i redrawn from its posterior)|^2`, summed over the horizon,
    /// `[units, batch]`.
    pub distance: Vec<f64>,
    /// The variance of the forecast over samples (unbiased), summed over the horizon, `[batch]`.
    pub variance: Vec<f64>,
}
