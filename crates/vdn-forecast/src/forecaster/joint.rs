//! The closed form of a joint head: what training scores, and the prediction.
//!
//! A window is normal with the mean `m` and, from `t` the total deviations, `C` the correlations of
//! its steps, the covariance `t C t` ([`JointHead`](crate::JointHead) says what they are).
//!
//! ```text
//! joint   - ln Normal(y; m, t C t) / H
//! split   - sum_h ln Normal(y_h; m_h, t_h^2) / H  -  ln [ Normal(r; 0, C) / Normal(r; 0, 1) ] / H
//!         with r = (y - m) / t, limited to +-3, which takes no gradient
//! ```
//!
//! Both have the same value where no residual is beyond the limit. In `split` means and total
//! deviations are trained by the score of single steps, as those of a network without shared noise
//! are, and the second part, the log density of a Gaussian copula, trains the correlations alone.
//! The limit keeps single values far outside from ruling them. Of a target on the lower limit of
//! its series (`targets.rs`) the mean of what lies below stands for the residual.

use crate::forecaster::targets::{Seen, Targets};
use crate::forecaster::{Dependence, Forecaster, JointPass, Pass, Prediction, SharedNoise};
use crate::modules::joint_head::{JointHead, Shares};
use vdn_autograd::{Error, LowRankNll, Tape, Var};
use vdn_model::{Graph, Intervention, LayerOutputs, ModelError};
use vdn_tensor::Element;
use vdn_tensor::families::gaussian::{LOGVAR_MAX, LOGVAR_MIN};
use vdn_tensor::kernels::unit::ClampGradient;

/// The largest residual, in deviations, that trains the dependence between steps.
const LIMIT: f64 = 3.0;

/// Weights in units of each step's own deviation.
const RELATIVE: LowRankNll = LowRankNll { relative: true, degrees_of_freedom: None };

impl Forecaster {
    /// The means of the posteriors that a joint head is given, `[batch, units]`. Under an
    /// intervention they, and the deviations of `shares`, are those of the latents that take the
    /// units' place; what is left for the noise of single steps stays as it is.
    pub(super) fn means<T: Element>(
        &self,
        graph: &mut Graph<'_, T>,
        z: Var,
        layers: &LayerOutputs,
        shares: Option<&mut Shares>,
        intervention: Intervention,
    ) -> Result<Var, Error> {
        let (Some(layer), Some(shares)) = (layers[0], shares) else {
            // A twin has one sample, its means.
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

    /// What the steps of a window share; `None` without posteriors.
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

    /// What training minimises of a closed form, in nats per time step; of targets `[batch,
    /// horizon]`.
    pub(super) fn joint_nll<T: Element>(
        &self,
        graph: &mut Graph<'_, T>,
        pass: &Pass,
        joint: &JointPass,
        targets: &Targets,
    ) -> Result<Var, ModelError> {
        let tape = &mut *graph.tape;
        let JointPass { total, shares } = *joint;
        let Targets { y, limited, seen } = *targets;
        let mean = tape.reshape(pass.y, *tape.shape(y))?;
        if let (Some(shares), Dependence::Joint) = (shares, self.dependence) {
            if !targets.is_plain() {
                let reason = "joint: the density of a window with targets on a limit has no closed form; split scores steps";
                return Err(ModelError::config("dependence", reason));
            }
            let Shares { weights, scales, .. } = shares;
            let found = tape.low_rank_nll(mean, scales, weights, pass.sigma, y, RELATIVE)?;
            return Ok(found.nll);
        }
        let steps = match targets.is_plain() {
            true => tape.gaussian_nll(mean, total, y)?,
            false => targets.nll(tape, mean, total)?,
        };
        let Some(shares) = shares else { return Ok(steps) };
        let Shares { weights, scales, own } = shares;
        let [fixed, deviation] = [tape.detach(mean)?, tape.detach(total)?];
        let residual = tape.sub(y, fixed)?;
        let mut residual = tape.div(residual, deviation)?;
        if let Some(limited) = limited {
            residual = limited.residuals(tape, residual)?;
        }
        let limit = T::from_f64(LIMIT);
        let residual = tape.clamp(residual, -limit, limit)?;
        if let Some(seen) = seen {
            let dependence = dependence_of_seen(tape, residual, &shares, seen)?;
            return Ok(tape.add(steps, dependence)?);
        }
        let zero = tape.scale(residual, T::ZERO)?;
        let window = tape.low_rank_nll(zero, scales, weights, own, residual, RELATIVE)?.nll;
        // A constant, which makes the value that of the window's density.
        let one = tape.constant([], &[T::ONE])?;
        let alone = tape.gaussian_nll(zero, one, residual)?;
        let dependence = tape.sub(window, alone)?;
        Ok(tape.add(steps, dependence)?)
    }

    /// Whether forecasts have a closed form ([`Dependence`]).
    #[must_use]
    pub fn has_closed_form(&self) -> bool {
        self.dependence != Dependence::Sampled
    }

    /// The prediction of a pass through a joint head that was given means.
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
            SharedNoise { causes, loadings, own: own.clone() }
        });
        let sigma = match &shared {
            Some(SharedNoise { causes, loadings, own }) => {
                let shared = loadings.chunks_exact(*causes).map(|row| row.iter().map(|l| l * l));
                let all = shared.zip(own).map(|(row, own)| (row.sum::<f64>() + own * own).sqrt());
                all.collect()
            }
            None => own,
        };
        let shape = [1, batch, horizon];
        let aggregation = self.config.aggregation;
        Prediction { shape, means, sigma, weights: None, aggregation, shared, floor: None }
    }
}

/// The deviation that a missing step gets: nothing is known of it.
const UNKNOWN: f64 = 1e4;

/// The log-density of the residuals `[batch, horizon]` of the targets that are there, less those of
/// single steps, in nats per step, a scalar.
///
/// In units of `g/t` a window is normal with the covariance `A S^2 A' + 1`. A missing step gets the
/// residual 0 and, in the place of 1, a deviation so large that it says nothing; what it adds is
/// known and taken off.
fn dependence_of_seen<T: Element>(
    tape: &mut Tape<T>,
    residual: Var,
    shares: &Shares,
    seen: Seen,
) -> Result<Var, Error> {
    let Shares { weights, scales, own } = *shares;
    let shape = *tape.shape(residual);
    let steps = shape.numel() as f64;
    let (count, missing) = (seen.count as f64, steps - seen.count as f64);
    let known = tape.mul(residual, seen.mask)?;
    let scaled = tape.div(known, own)?;
    let zero = tape.scale(scaled, T::ZERO)?;
    let one = tape.constant([], &[T::ONE])?;
    let unknown = tape.constant([], &[T::from_f64(UNKNOWN)])?;
    let deviations = tape.where_mask(seen.mask, one, unknown)?;
    let options = LowRankNll::default();
    let windows = tape.low_rank_nll(zero, scales, weights, deviations, scaled, options)?.nll;
    let windows = tape.scale(windows, T::from_f64(steps / count))?;
    // The change of units.
    let log_own = tape.ln(own)?;
    let log_own = tape.mul(log_own, seen.mask)?;
    let log_own = tape.sum(log_own)?;
    let log_own = tape.scale(log_own, T::from_f64(1.0 / count))?;
    let windows = tape.add(windows, log_own)?;
    // The steps one by one, and what missing ones add.
    let squares = tape.square(known)?;
    let squares = tape.sum(squares)?;
    let alone = tape.scale(squares, T::from_f64(0.5 / count))?;
    let constant = HALF_LN_TAU + missing / count * (UNKNOWN.ln() + HALF_LN_TAU);
    let difference = tape.sub(windows, alone)?;
    tape.add_scalar(difference, T::from_f64(-constant))
}

/// `ln(2 pi) / 2`.
const HALF_LN_TAU: f64 = 0.918_938_533_204_672_8;

impl SharedNoise {
    /// The log-density of a window, in nats: its row in the batch, its residuals `[horizon]`, of
    /// which those that are NaN are missing.
    pub(super) fn log_density(&self, row: usize, residuals: &[f64]) -> f64 {
        let horizon = residuals.len();
        let (loadings, own) = self.row(row, horizon);
        let seen = |h: &usize| !residuals[*h].is_nan();
        let steps: Vec<usize> = (0..horizon).filter(seen).collect();
        if steps.len() < horizon {
            let of = |h: &usize| loadings[h * self.causes..][..self.causes].to_vec();
            let some = Self {
                causes: self.causes,
                loadings: steps.iter().flat_map(of).collect(),
                own: steps.iter().map(|&h| own[h]).collect(),
            };
            let residuals: Vec<f64> = steps.iter().map(|&h| residuals[h]).collect();
            return if residuals.is_empty() { 0.0 } else { some.log_density(0, &residuals) };
        }
        let mut tape = Tape::<f64>::new();
        let density = tape.no_grad(|tape| -> Result<f64, Error> {
            let zero = tape.constant([1, horizon], &vec![0.0; horizon])?;
            let scales = tape.constant([1, self.causes], &vec![1.0; self.causes])?;
            let weights = tape.constant([horizon, self.causes], loadings)?;
            let own = tape.constant([1, horizon], own)?;
            let y = tape.constant([1, horizon], residuals)?;
            let found = tape.low_rank_nll(zero, scales, weights, own, y, LowRankNll::default())?;
            Ok(-tape.value(found.windows).data()[0])
        });
        density.expect("loadings and deviations of one window")
    }
}

#[cfg(test)]
mod tests;
