//! [`rollout`]: generates latents freely from a prior, without a tape.
//!
//! The tape would keep every step. Here the prior is first read off a small tape as plain numbers
//! (mean, coefficients and deviation of a step, for each number of known earlier values). Then each
//! step is `z_t = mean + sum_k c_k z_{t-k} + deviation noise_t`, and only the last `p` steps are
//! kept.

use crate::core::graph::{Bindings, Graph, Mode};
use crate::core::parameter::Parameters;
use crate::priors::{Prior, PriorSteps};
use vdn_autograd::{Error, Tape};
use vdn_tensor::Element;
use vdn_tensor::noise::NoiseKey;

/// The settings of a [`rollout`].
#[derive(Clone, Copy, Debug)]
pub struct Rollout {
    /// The number of trajectories, `S`.
    pub trajectories: usize,
    /// The number of units, `N`.
    pub units: usize,
    /// The number of steps, `T`.
    pub steps: u64,
    /// The noise. Step `t` uses the key derived from it by `fold_in(t)`. A trajectory therefore
    /// depends neither on the number of trajectories, nor on their length, nor on the number of
    /// threads.
    pub noise: NoiseKey,
}

/// The prior of a step as numbers.
pub struct Numbers<T> {
    /// The mean without a past, `[units]`.
    pub mean: Vec<T>,
    /// The coefficient of each known value, the last step first: `[order][units]`.
    pub coefficients: Vec<Vec<T>>,
    /// The standard deviation, `[units]`.
    pub deviation: Vec<T>,
}

/// Generates trajectories from `prior` step by step, and calls `visit` with each step and its
/// latents `[S, N]`. Memory does not depend on the number of steps.
///
/// `start` holds earlier latents, `[S, N]` each, the last first. If it is empty, trajectories begin
/// with the prior's first step.
///
/// ```
/// use vdn_model::core::{Builder, Parameters};
/// use vdn_model::priors::{OrderOne, OrderOneConfig, Prior};
/// use vdn_model::sequence::{Rollout, rollout};
/// use vdn_tensor::noise::NoiseKey;
/// let mut parameters = Parameters::<f32>::new();
/// let prior = OrderOne::new(&mut Builder::new(&mut parameters, 0), 3, OrderOneConfig::default())?;
/// let how = Rollout { trajectories: 2, units: 3, steps: 100, noise: NoiseKey::new(1, 0, 0) };
/// let mut energy = 0.0;
/// rollout(&parameters, Prior::OrderOne(prior), &[], how, |_, z| {
///     energy += z.iter().map(|z| z * z).sum::<f32>() / z.len() as f32 / 100.0;
/// })?;
/// assert!((energy - 1.0).abs() < 0.5); // stationary with variance 1
/// # Ok::<(), vdn_model::core::ModelError>(())
/// ```
///
/// # Errors
/// Fails if the start has another shape, or the prior another number of units.
pub fn rollout<T: Element>(
    parameters: &Parameters<T>,
    prior: Prior,
    start: &[&[T]],
    how: Rollout,
    mut visit: impl FnMut(u64, &[T]),
) -> Result<(), Error> {
    let Rollout { trajectories, units, steps, noise } = how;
    let size = trajectories * units;
    if let Some(wrong) = start.iter().find(|z| z.len() != size) {
        let reason = format!("a start of {} numbers, not [{trajectories}, {units}]", wrong.len());
        return Err(Error::invalid("rollout", reason));
    }
    let order = prior.order();
    let mut numbers = Vec::new();
    for known in 0..=order {
        numbers.push(self::numbers(parameters, prior, known, units)?);
    }
    let mut history: Vec<Vec<T>> = start.iter().take(order).map(|z| z.to_vec()).collect();
    let mut z = vec![T::ZERO; size];
    for t in 0..steps {
        noise.fold_in(t).fill_normal(0, &mut z);
        let Numbers { mean, coefficients, deviation } = &numbers[history.len()];
        for (s, z) in z.chunks_exact_mut(units.max(1)).enumerate() {
            for ((z, &mean), &deviation) in z.iter_mut().zip(mean).zip(deviation) {
                *z = mean + deviation * *z;
            }
            for (coefficients, before) in coefficients.iter().zip(&history) {
                let before = &before[s * units..][..units];
                for ((z, &c), &before) in z.iter_mut().zip(coefficients).zip(before) {
                    *z += c * before;
                }
            }
        }
        visit(t, &z);
        if order > 0 {
            // The oldest latents make room for the new ones.
            let room = if history.len() == order { history.pop() } else { None };
            let next = room.unwrap_or_else(|| vec![T::ZERO; size]);
            history.insert(0, std::mem::replace(&mut z, next));
        }
    }
    Ok(())
}

/// Returns the prior of a step with `known` earlier values. The coefficients are read off the tape
/// by passing unit vectors as earlier values.
pub fn numbers<T: Element>(
    parameters: &Parameters<T>,
    prior: Prior,
    known: usize,
    units: usize,
) -> Result<Numbers<T>, Error> {
    let (mut tape, mut bindings) = (Tape::new(), Bindings::new());
    tape.set_recording_gradients(false);
    let key = NoiseKey::new(0, 0, 0);
    let mut graph = Graph::new(&mut tape, parameters, &mut bindings, Mode::Evaluate, key);
    let mut steps = PriorSteps::new(&mut graph, prior)?;
    let mut read = |probe: Option<usize>, moment: usize| -> Result<Vec<T>, Error> {
        let mut history = Vec::new();
        for lag in 0..known {
            let value = if probe == Some(lag) { T::ONE } else { T::ZERO };
            history.push(graph.tape.constant([], &[value])?);
        }
        let step = steps.next(&mut graph, &history, 1)?;
        let value = match moment {
            0 => graph.tape.mul(step.phi, step.previous)?,
            _ => {
                let half = graph.tape.scale(step.logvar, T::from_f64(0.5))?;
                graph.tape.exp(half)?
            }
        };
        if !matches!(graph.tape.shape(value).dims(), [] | [_])
            || ![1, units].contains(&graph.tape.shape(value).numel())
        {
            let shape = *graph.tape.shape(value);
            return Err(Error::invalid("rollout", format!("a prior of {shape}, {units} units")));
        }
        let value = graph.tape.broadcast_to(value, [units])?;
        Ok(graph.tape.value(value).data().to_vec())
    };
    let (mean, deviation) = (read(None, 0)?, read(None, 1)?);
    let mut coefficients = Vec::new();
    for lag in 0..known {
        let with = read(Some(lag), 0)?;
        coefficients.push(with.iter().zip(&mean).map(|(&w, &m)| w - m).collect());
    }
    Ok(Numbers { mean, coefficients, deviation })
}
