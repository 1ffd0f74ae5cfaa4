//! The closed form of a joint head: the training score, and the prediction.
//!
//! A window is normal with mean `m` and covariance `t C t`. Here `t` are the total deviations of
//! its steps and `C` is their correlation matrix ([`JointHead`](crate::modules::JointHead) defines
//! both). With a small probability `a` ([`APART`]) the steps are independent instead, with the same
//! means and deviations.
//!
//! ```text
//! score   - sum_h ln Normal(y_h; m_h, t_h^2) / H  -  ln [ (1 - a) c(r) + a ] / H
//!         with r = (y - m) / t and c(r) = Normal(r; 0, C) / Normal(r; 0, 1)
//! ```
//!
//! This score is the negative log-density of the window per step. `joint` minimises it directly.
//!
//! `split` trains the two parts separately. The first part, the score of single steps, trains means
//! and total deviations, as in a network without shared noise. The second part is the log-density
//! of a copula. There `r` takes no gradient, so that this part trains only the correlations. In
//! `split`, `r` is also clamped to +-3, so that outliers do not dominate the correlations. (Without
//! the clamp, in single precision, the ratio of a window with a residual of 1e4 deviations is
//! accurate only to a few nats.)
//!
//! For a target on the lower limit of its series (`targets.rs`), the residual is the mean of the
//! distribution below the limit.

use crate::forecaster::targets::{HALF_LN_TAU, Seen, Targets};
use crate::forecaster::{Dependence, Forecaster, JointPass, Pass, Prediction, SharedNoise};
use crate::modules::joint_head::{JointHead, Shares};
use vdn_autograd::{Error, LowRankNll, Tape, Var};
use vdn_model::core::{Graph, ModelError};
use vdn_model::units::{Intervention, LayerOutputs};
use vdn_tensor::Element;
use vdn_tensor::families::gaussian::{LOGVAR_MAX, LOGVAR_MIN};
use vdn_tensor::kernels::unit::ClampGradient;

/// The limit on residuals, in deviations, in the score that trains the dependence between steps.
const LIMIT: f64 = 3.0;

/// The probability that the steps of a window are independent. It changes the distribution of no
/// single step. It bounds the loss from the correlations: a window that contradicts them, such as
/// one with an outlier, loses at most `-ln 0.01 = 4.6` nats. Any other window loses at most 0.01
/// nats (decision 25).
pub(super) const APART: f64 = 0.01;

/// Options for weights in units of each step's own deviation.
const RELATIVE: LowRankNll = LowRankNll { relative: true, degrees_of_freedom: None };

impl Forecaster {
    /// Returns the posterior means that a joint head reads, `[batch, units]`.
    ///
    /// Under an intervention, the means and the deviations of `shares` are those of the replacement
    /// latents. The share of the noise of single steps does not change.
    pub(super) fn means<T: Element>(
        &self,
        graph: &mut Graph<'_, T>,
        z: Var,
        layers: &LayerOutputs,
        shares: Option<&mut Shares>,
        intervention: Intervention,
    ) -> Result<Var, Error> {
        let (Some(layer), Some(shares)) = (layers[0], shares) else {
            // A twin has one sample, which is its means.
            let dims = *graph.tape.shape(z);
            return graph.tape.reshape(z, [dims.rows(), dims.last()]);
        };
        let shape = *graph.tape.shape(layer.mu);
        let both = [layer.mu, shares.scales];
        let [mean, scales] = match intervention {
            Intervention::None => both,
            Intervention::Prior | Intervention::LayerPrior(_) => {
                let ones = graph.tape.constant_with(shape, |to| to.fill(T::ONE))?;
                [graph.tape.scale(layer.mu, T::ZERO)?, ones]
            }
            Intervention::Permute | Intervention::LayerPermute(_) => {
                let mut swap = |of: Var| {
                    let one = graph.tape.reshape(of, [1, shape.rows(), shape.last()])?;
                    let other = self.stack.swapped(graph, one)?;
                    graph.tape.reshape(other, shape)
                };
                [swap(both[0])?, swap(both[1])?]
            }
        };
        shares.scales = scales;
        Ok(mean)
    }

    /// Returns the noise that the steps of a window share; `None` without posteriors.
    pub(super) fn shares<T: Element>(
        &self,
        graph: &mut Graph<'_, T>,
        head: &JointHead,
        layers: &LayerOutputs,
        rows: usize,
    ) -> Result<Option<Shares>, Error> {
        let Some(layer) = layers[0] else { return Ok(None) };
        let tape = &mut *graph.tape;
        let [low, high] = [LOGVAR_MIN, LOGVAR_MAX].map(T::from_f64);
        let logvar = match self.config.clamp_gradient {
            ClampGradient::Inward => tape.clamp_inward(layer.logvar, low, high)?,
            ClampGradient::Zero => tape.clamp(layer.logvar, low, high)?,
        };
        let half = tape.scale(logvar, T::from_f64(0.5))?;
        let scales = tape.exp(half)?;
        let scales = tape.broadcast_to(scales, [rows, self.config.width(0)])?;
        Ok(Some(head.shares(graph, scales)?))
    }

    /// Records the training loss of a closed form, in nats per time step, for targets
    /// `[batch, horizon]`.
    pub(super) fn joint_nll<T: Element>(
        &self,
        graph: &mut Graph<'_, T>,
        pass: &Pass,
        joint: &JointPass,
        targets: &Targets,
    ) -> Result<Var, ModelError> {
        let tape = &mut *graph.tape;
        let JointPass { total, shares } = *joint;
        let Targets { y, limited, .. } = *targets;
        let mean = tape.reshape(pass.y, *tape.shape(y))?;
        let steps = match targets.is_plain() {
            true => tape.gaussian_nll(mean, total, y)?,
            false => targets.nll(tape, mean, total)?,
        };
        let Some(shares) = shares else { return Ok(steps) };
        let split = self.dependence != Dependence::Joint;
        if !split && !targets.is_plain() {
            let reason = "joint: the density of a window with targets on a limit has no closed \
                          form; split scores steps";
            return Err(ModelError::config("dependence", reason));
        }
        let [middle, deviation] = match split {
            true => [tape.detach(mean)?, tape.detach(total)?],
            false => [mean, total],
        };
        let residual = tape.sub(y, middle)?;
        let mut residual = tape.div(residual, deviation)?;
        if let Some(limited) = limited {
            residual = limited.residuals(tape, residual)?;
        }
        if split {
            let limit = T::from_f64(LIMIT);
            residual = tape.clamp(residual, -limit, limit)?;
        }
        let dependence = dependence(tape, residual, &shares, targets.seen)?;
        Ok(tape.sub(steps, dependence)?)
    }

    /// Whether forecasts have a closed form ([`Dependence`]).
    #[must_use]
    pub fn has_closed_form(&self) -> bool {
        self.dependence != Dependence::Sampled
    }

    /// Returns the prediction of a pass in which the joint head read the posterior means.
    pub(super) fn closed_prediction<T: Element>(
        &self,
        tape: &Tape<T>,
        pass: &Pass,
        joint: &JointPass,
    ) -> Prediction {
        let double =
            |var: Var| -> Vec<f64> { tape.value(var).data().iter().map(|x| x.to_f64()).collect() };
        let means = double(pass.y);
        let horizon = self.config.horizon;
        let batch = means.len() / horizon;
        let for_all = |found: Vec<f64>| match found.len() {
            len if len == means.len() => found,
            _ => found.repeat(batch),
        };
        let own = for_all(double(pass.sigma));
        let shared = joint.shares.map(|shares| {
            let (weights, scales) = (double(shares.weights), double(shares.scales));
            let causes = weights.len() / horizon;
            let mut loadings = Vec::with_capacity(means.len() * causes);
            for (at, gain) in own.iter().enumerate() {
                let weights = &weights[(at % horizon) * causes..][..causes];
                let scales = &scales[(at / horizon) * causes..][..causes];
                loadings.extend(weights.iter().zip(scales).map(|(w, s)| gain * w * s));
            }
            SharedNoise { causes, loadings, own: own.clone(), apart: APART }
        });
        let sigma = match &shared {
            Some(SharedNoise { causes, loadings, own, .. }) => {
                let each = own.iter().zip(loadings.chunks_exact(*causes));
                each.map(|(own, loadings)| deviation(*own, loadings)).collect()
            }
            None => own,
        };
        let shape = [1, batch, horizon];
        let aggregation = self.config.aggregation;
        Prediction { shape, means, sigma, weights: None, aggregation, shared, floor: None }
    }
}

/// The deviation of a missing step. It is so large that the step carries no information.
const UNKNOWN: f64 = 1e4;

/// The sum over windows of `ln [(1 - a) c(r) + a]` for the residuals `r` `[batch, horizon]` of the
/// observed targets, divided by the number of their steps; a scalar.
fn dependence<T: Element>(
    tape: &mut Tape<T>,
    residual: Var,
    shares: &Shares,
    seen: Option<Seen>,
) -> Result<Var, Error> {
    let (ratio, steps) = match seen {
        Some(seen) => (log_ratio_of_seen(tape, residual, shares, seen)?, seen.count),
        None => (log_ratio(tape, residual, shares)?, tape.shape(residual).numel()),
    };
    // ln [(1 - a) c + a] = ln a + softplus(ln c + ln (1 - a) / a).
    let odds = T::from_f64(((1.0 - APART) / APART).ln());
    let log_odds = tape.add_scalar(ratio, odds)?;
    let softplus = tape.softplus(log_odds)?;
    let density = tape.add_scalar(softplus, T::from_f64(APART.ln()))?;
    let sum = tape.sum(density)?;
    tape.scale(sum, T::from_f64(1.0 / steps as f64))
}

/// `ln c(r)` of each window, `[batch]`.
fn log_ratio<T: Element>(tape: &mut Tape<T>, residual: Var, shares: &Shares) -> Result<Var, Error> {
    let Shares { weights, scales, own } = *shares;
    let shape = *tape.shape(residual);
    let zero = tape.constant_with(shape, |to| to.fill(T::ZERO))?;
    let windows = tape.low_rank_nll(zero, scales, weights, own, residual, RELATIVE)?.windows;
    let squares = tape.square(residual)?;
    let squares = tape.sum_axis(squares, 1)?;
    let alone = tape.scale(squares, T::from_f64(0.5))?;
    let alone = tape.add_scalar(alone, T::from_f64(HALF_LN_TAU * shape.last() as f64))?;
    tape.sub(alone, windows)
}

/// `ln c(r)` of the observed targets of each window, `[batch]`.
///
/// In units of `g/t` a window is normal with the covariance `A S^2 A' + 1`. A missing step has the
/// residual 0 and, instead of 1, the deviation [`UNKNOWN`]. Its contribution is then a known
/// constant, which is subtracted.
fn log_ratio_of_seen<T: Element>(
    tape: &mut Tape<T>,
    residual: Var,
    shares: &Shares,
    seen: Seen,
) -> Result<Var, Error> {
    let Shares { weights, scales, own } = *shares;
    let shape = *tape.shape(residual);
    let steps = shape.last() as f64;
    let known = tape.mul(residual, seen.mask)?;
    let scaled = tape.div(known, own)?;
    let zero = tape.constant_with(shape, |to| to.fill(T::ZERO))?;
    let one = tape.constant([], &[T::ONE])?;
    let unknown = tape.constant([], &[T::from_f64(UNKNOWN)])?;
    let deviations = tape.where_mask(seen.mask, one, unknown)?;
    let options = LowRankNll::default();
    let windows = tape.low_rank_nll(zero, scales, weights, deviations, scaled, options)?.windows;
    // The change of units.
    let log_own = tape.ln(own)?;
    let log_own = tape.mul(log_own, seen.mask)?;
    let log_own = tape.sum_axis(log_own, 1)?;
    let windows = tape.add(windows, log_own)?;
    // The log-density of independent steps, and the contribution of missing steps.
    let squares = tape.square(known)?;
    let squares = tape.sum_axis(squares, 1)?;
    let alone = tape.scale(squares, T::from_f64(0.5))?;
    let missing = tape.scale(seen.counts, T::from_f64(-UNKNOWN.ln()))?;
    let alone = tape.add(alone, missing)?;
    let all = steps * (HALF_LN_TAU + UNKNOWN.ln());
    let alone = tape.add_scalar(alone, T::from_f64(all))?;
    tape.sub(alone, windows)
}

impl SharedNoise {
    /// Returns the log-density of the window in row `row` of the batch, in nats, for residuals
    /// `[horizon]`. A residual of NaN is missing.
    pub(super) fn log_density(&self, row: usize, residuals: &[f64]) -> f64 {
        let horizon = residuals.len();
        let (loadings, own) = self.row(row, horizon);
        let steps: Vec<usize> = (0..horizon).filter(|&h| !residuals[h].is_nan()).collect();
        if steps.is_empty() {
            return 0.0;
        }
        let of = |h: &usize| loadings[h * self.causes..][..self.causes].iter().copied();
        let loadings: Vec<f64> = steps.iter().flat_map(of).collect();
        let own: Vec<f64> = steps.iter().map(|&h| own[h]).collect();
        let residuals: Vec<f64> = steps.iter().map(|&h| residuals[h]).collect();
        let dependent = log_density_of_dependent(self.causes, &loadings, &own, &residuals);
        let dependent = dependent.expect("loadings and deviations of one window");
        let each = own.iter().zip(loadings.chunks_exact(self.causes));
        let deviations: Vec<f64> = each.map(|(own, row)| deviation(*own, row)).collect();
        let independent = log_density_of_independent(&deviations, &residuals);
        log_density_of_either(self.apart, dependent, independent)
    }
}

/// The log-density of a window whose steps are independent with probability `apart`, from its
/// log-densities with dependent and with independent steps.
pub(super) fn log_density_of_either(apart: f64, dependent: f64, independent: f64) -> f64 {
    if apart == 0.0 {
        return dependent;
    }
    let [a, b] = [dependent + (-apart).ln_1p(), independent + apart.ln()];
    a.max(b) + (-(a - b).abs()).exp().ln_1p()
}

/// The total deviation of a step: the root of the sum of squares of `own` and the loadings.
pub(super) fn deviation(own: f64, loadings: &[f64]) -> f64 {
    (loadings.iter().map(|l| l * l).sum::<f64>() + own * own).sqrt()
}

/// The log-density of independent residuals, in nats.
pub(super) fn log_density_of_independent(deviations: &[f64], residuals: &[f64]) -> f64 {
    let each = deviations.iter().zip(residuals);
    each.map(|(sigma, e)| -0.5 * (e / sigma).powi(2) - sigma.ln() - HALF_LN_TAU).sum()
}

/// The log-density of the residuals of one window whose steps share the noise of `causes`, in nats.
fn log_density_of_dependent(
    causes: usize,
    loadings: &[f64],
    own: &[f64],
    residuals: &[f64],
) -> Result<f64, Error> {
    let steps = residuals.len();
    let mut tape = Tape::<f64>::new();
    tape.no_grad(|tape| {
        let zero = tape.constant_with([1, steps], |to| to.fill(0.0))?;
        let scales = tape.constant_with([1, causes], |to| to.fill(1.0))?;
        let weights = tape.constant([steps, causes], loadings)?;
        let own = tape.constant([1, steps], own)?;
        let y = tape.constant([1, steps], residuals)?;
        let found = tape.low_rank_nll(zero, scales, weights, own, y, LowRankNll::default())?;
        Ok(-tape.value(found.windows).data()[0])
    })
}

#[cfg(test)]
mod tests;
