//! Effects of the units below a joint head, in closed form, without samples of the latent.
//!
//! The value of a unit is the log-density of the window minus the log-density of the same forecast
//! without the unit. "Without the unit" means that its mean is that of the prior, 0, and that its
//! noise is independent noise of each step with the same variance, instead of noise that the steps
//! share. So a unit that has no information about the input but carries noise that the forecast
//! needs has a value.
//!
//! The distance of a unit is the expected squared change of the forecast if the unit is redrawn,
//! where steps are dependent: twice the variance that the unit contributes.

use crate::forecaster::joint::{deviation, log_density_of_either, log_density_of_independent};
use crate::forecaster::{Batch, Forecaster, SharedNoise};
use crate::modules::joint_head::JointHead;
use vdn_autograd::{Error, LowRankNll, Tape};
use vdn_model::core::{Bindings, Graph, Mode, ModelError, Parameters};
use vdn_model::diagnostics::UnitEffects;
use vdn_model::units::{Intervention, StackPass};
use vdn_tensor::Element;
use vdn_tensor::noise::NoiseKey;

/// Returns the effects of `units` on the windows of a batch with targets.
pub(super) fn measure<T: Element>(
    model: &Forecaster,
    head: &JointHead,
    parameters: &Parameters<T>,
    batch: &Batch<'_, T>,
    units: &[usize],
) -> Result<UnitEffects, ModelError> {
    let (mut tape, mut bindings) = (Tape::new(), Bindings::new());
    let windows = tape.no_grad(|tape| -> Result<Vec<Window>, ModelError> {
        let key = NoiseKey::new(0, 0, 0);
        let mut graph = Graph::new(tape, parameters, &mut bindings, Mode::Evaluate, key);
        let one = StackPass { samples: Some(1), ..StackPass::default() };
        let pass = model.forward_scored(&mut graph, batch, Intervention::None, one)?;
        let (Some(layer), Some(joint)) = (pass.layers[0], pass.joint) else {
            return Err(super::no_effects());
        };
        let prediction = model.closed_prediction(graph.tape, &pass, &joint);
        let shared = prediction.shared.as_ref().ok_or_else(super::no_effects)?;
        let double = |of: &[T]| -> Vec<f64> { of.iter().map(|x| x.to_f64()).collect() };
        let mu = double(graph.tape.value(layer.mu).data());
        let total = double(graph.tape.value(joint.total).data());
        let by_mean = double(parameters.get(head.mean_map().weight()).tensor().data());
        let horizon = model.config.horizon;
        let target = batch.target.chunks_exact(horizon);
        let each = target.zip(prediction.means.chunks_exact(horizon)).enumerate();
        Ok(each
            .map(|(row, (target, means))| {
                let residuals = target.iter().zip(means).map(|(y, m)| y.to_f64() - m).collect();
                // `total` has one entry for each step, or one for each window and step.
                let first = if total.len() == horizon { 0 } else { row * horizon };
                let total = &total[first..][..horizon];
                let mu = &mu[row * shared.causes..][..shared.causes];
                let known = by_mean.chunks_exact(shared.causes).zip(total);
                let known =
                    known.flat_map(|(b, t)| b.iter().zip(mu).map(move |(b, mu)| t * b * mu));
                Window::new(shared, row, residuals, known.collect())
            })
            .collect())
    })?;
    let rows = windows.len();
    let mut effects = UnitEffects {
        value: vec![0.0; units.len() * rows],
        distance: vec![0.0; units.len() * rows],
        variance: windows.iter().map(|w| w.loadings.iter().map(|l| l * l).sum()).collect(),
    };
    for (row, window) in windows.iter().enumerate() {
        let without = window.without(units)?;
        for (place, (unit, without)) in units.iter().zip(without).enumerate() {
            let of_unit = window.loadings.iter().skip(*unit).step_by(window.causes);
            effects.distance[place * rows + row] = 2.0 * of_unit.map(|l| l * l).sum::<f64>();
            effects.value[place * rows + row] = window.log_density - without;
        }
    }
    Ok(effects)
}

/// The forecast of one window, and its target.
struct Window {
    causes: usize,
    /// The loadings on the shared noise, `[horizon, causes]`.
    loadings: Vec<f64>,
    /// The deviations of the noise of single steps, `[horizon]`.
    own: Vec<f64>,
    /// The target minus the forecast's mean, `[horizon]`.
    residuals: Vec<f64>,
    /// The contribution of each unit's mean to each step, `[horizon, causes]`.
    known: Vec<f64>,
    log_density: f64,
    /// The probability that the steps are independent.
    apart: f64,
}

impl Window {
    fn new(shared: &SharedNoise, row: usize, residuals: Vec<f64>, known: Vec<f64>) -> Self {
        let (loadings, own) = shared.row(row, residuals.len());
        let log_density = shared.log_density(row, &residuals);
        let causes = shared.causes;
        // The steps with an observed target.
        let seen: Vec<usize> = (0..residuals.len()).filter(|&h| !residuals[h].is_nan()).collect();
        let by_cause = |of: &[f64]| -> Vec<f64> {
            seen.iter().flat_map(|&h| of[h * causes..][..causes].iter().copied()).collect()
        };
        Self {
            causes,
            loadings: by_cause(loadings),
            own: seen.iter().map(|&h| own[h]).collect(),
            known: by_cause(&known),
            residuals: seen.iter().map(|&h| residuals[h]).collect(),
            log_density,
            apart: shared.apart,
        }
    }

    /// Returns the log-density of the window without each of these units.
    fn without(&self, units: &[usize]) -> Result<Vec<f64>, Error> {
        let (horizon, causes) = (self.own.len(), self.causes);
        let (count, all) = (units.len(), units.len() * horizon);
        let mut scales = vec![1.0; count * causes];
        let (mut own, mut residuals) = (Vec::with_capacity(all), Vec::with_capacity(all));
        for (place, &unit) in units.iter().enumerate() {
            scales[place * causes + unit] = 0.0;
            for step in 0..horizon {
                let at = step * causes + unit;
                own.push(self.own[step].hypot(self.loadings[at]));
                residuals.push(self.residuals[step] + self.known[at]);
            }
        }
        let mut tape = Tape::<f64>::new();
        tape.no_grad(|tape| {
            let mean = tape.constant([count, horizon], &vec![0.0; all])?;
            let scales = tape.constant([count, causes], &scales)?;
            let weights = tape.constant([horizon, causes], &self.loadings)?;
            let own = tape.constant([count, horizon], &own)?;
            let y = tape.constant([count, horizon], &residuals)?;
            let found = tape.low_rank_nll(mean, scales, weights, own, y, LowRankNll::default())?;
            let each = self.own.iter().zip(self.loadings.chunks_exact(causes));
            let deviations: Vec<f64> = each.map(|(own, row)| deviation(*own, row)).collect();
            let dependent = tape.value(found.windows).data().iter();
            let of = |(nll, residuals): (&f64, &[f64])| {
                let independent = log_density_of_independent(&deviations, residuals);
                log_density_of_either(self.apart, -nll, independent)
            };
            Ok(dependent.zip(residuals.chunks_exact(horizon)).map(of).collect())
        })
    }
}
