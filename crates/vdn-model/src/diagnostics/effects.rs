//! What a network tells of its units when it is asked: posteriors of examples, effects of single
//! units downstream.

/// The posteriors of a layer's units for the windows of a batch, on the scale of the prior's
/// deviation, as all statistics are.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Posteriors {
    /// Latent dimensions of the layer.
    pub dims: usize,
    /// Means, `[batch, dims]`.
    pub mu: Vec<f64>,
    /// Log-variances within their hard limits, `[batch, dims]`.
    pub logvar: Vec<f64>,
}

/// What changes when the activities of one unit are replaced, all others kept, by addressed noise.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct UnitEffects {
    /// `mean_s [ln p(y | z_s) - ln p(y | z_s with z_i drawn from its prior)]`, `[units, batch]`, nats per window.
    pub value: Vec<f64>,
    /// `mean_s |m(z_s) - m(z_s with z_i redrawn from its posterior)|^2`, summed over the horizon, `[units, batch]`.
    pub distance: Vec<f64>,
    /// The variance over samples of the forecast, summed over the horizon, `[batch]` (unbiased).
    pub variance: Vec<f64>,
}
