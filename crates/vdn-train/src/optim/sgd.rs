//! Stochastic gradient descent with momentum, weight decay, and gradient clipping by the global
//! norm.

use crate::error::TrainError;
use crate::optim::groups::{Groups, ParameterGroup};
use crate::optim::optimizer::{Gradients, Optimizer, check_rate};
use crate::run::tensors::Tensors;
use serde::{Deserialize, Serialize};
use vdn_model::core::Parameters;
use vdn_tensor::kernels::{Update, update};
use vdn_tensor::{Buffer, Element, Real};

/// The settings of [`Sgd`] and of its gradient clipping.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SgdConfig {
    /// The share of the velocity that a step keeps, in `[0, 1)`; default 0.9.
    pub momentum: f64,
    /// Whether the step looks ahead along the velocity (Nesterov 1983); default `false`.
    pub nesterov: bool,
    /// Decoupled weight decay per unit of learning rate, at least 0; default 0.
    pub weight_decay: f64,
    /// The maximum global norm of all gradients. Gradients with a larger norm are scaled down to
    /// it. The default is infinity, which disables clipping.
    pub clip_norm: f64,
}

impl Default for SgdConfig {
    fn default() -> Self {
        Self { momentum: 0.9, nesterov: false, weight_decay: 0.0, clip_norm: f64::INFINITY }
    }
}

impl SgdConfig {
    /// Checks every value.
    ///
    /// # Errors
    /// Returns an error that names the first value outside its domain.
    pub fn validate(&self) -> Result<(), TrainError> {
        let positive = |x: f64| x >= 0.0 && x.is_finite();
        let checks = [
            ("momentum", self.momentum, (0.0..1.0).contains(&self.momentum), "in [0, 1)"),
            ("weight_decay", self.weight_decay, positive(self.weight_decay), "at least 0"),
            ("clip_norm", self.clip_norm, self.clip_norm > 0.0, "above 0; inf for no clip"),
        ];
        for (name, value, good, domain) in checks {
            if !good {
                let reason = format!("optimizer.{name} = {value}: has to be {domain}");
                return Err(TrainError::config(reason));
            }
        }
        Ok(())
    }
}

/// Stochastic gradient descent: `v <- momentum v + g`, `w <- (1 - rate decay) w - rate v`; with
/// `nesterov` the step is `rate (g + momentum v)`.
///
/// Source: Sutskever, Martens, Dahl and Hinton, "On the importance of initialization and momentum
/// in deep learning" (2013), in the form that most frameworks use.
///
/// ```
/// use vdn_model::core::Parameters;
/// use vdn_tensor::Tensor;
/// use vdn_train::optim::{Gradients, Optimizer, Sgd, SgdConfig};
/// let mut parameters = Parameters::<f32>::new();
/// parameters.add("weight", Tensor::full([2], 1.0));
/// let mut optimizer = Sgd::new(&parameters, SgdConfig::default())?;
/// let gradients = [Some(vec![1.0; 2])];
/// for _ in 0..2 {
///     optimizer.step(&mut parameters, 0.1, &Gradients::of_slices(&gradients))?;
/// }
/// // The second step is 1.9 times the first.
/// let weight = parameters.iter().next().unwrap().tensor().data()[0];
/// assert!((weight - (1.0 - 0.1 - 0.19)).abs() < 1e-6);
/// # Ok::<(), vdn_train::TrainError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Sgd<T> {
    config: SgdConfig,
    velocity: Vec<Buffer<T>>,
    groups: Groups,
}

/// The update of one number.
struct Step {
    clip: f64,
    keep: f64,
    momentum: f64,
    rate: f64,
    /// The factors of the gradient and of the velocity in the step.
    ahead: [f64; 2],
}

impl Update<2, 1> for Step {
    #[inline(always)]
    fn apply<R: Real>(&self, [p, v]: [R; 2], [g]: [R; 1]) -> [R; 2] {
        let g = g * g.lit(self.clip);
        let v = v * g.lit(self.momentum) + g;
        let step = g * g.lit(self.ahead[0]) + v * g.lit(self.ahead[1]);
        [p * g.lit(self.keep) - step * g.lit(self.rate), v]
    }
}

impl<T: Element> Sgd<T> {
    /// Creates an optimiser with zero velocity for `parameters`.
    ///
    /// # Errors
    /// Returns an error if a value of the configuration is outside its domain.
    pub fn new(parameters: &Parameters<T>, config: SgdConfig) -> Result<Self, TrainError> {
        config.validate()?;
        let velocity = parameters.iter().map(|_| Buffer::default()).collect();
        Ok(Self { config, velocity, groups: Groups::default() })
    }

    /// Adds groups of parameters that have their own learning rate or weight decay, or are frozen.
    ///
    /// If it is called more than once, the rates multiply, a frozen parameter stays frozen, and the
    /// weight decay that was given first holds.
    ///
    /// # Errors
    /// Returns an error if a group has a value outside its domain or matches no parameter.
    pub fn with_groups(
        self,
        groups: &[ParameterGroup],
        parameters: &Parameters<T>,
    ) -> Result<Self, TrainError> {
        Ok(Self { groups: self.groups.with(groups, parameters)?, ..self })
    }
}

impl<T: Element> Optimizer<T> for Sgd<T> {
    fn step(
        &mut self,
        parameters: &mut Parameters<T>,
        rate: f64,
        gradients: &Gradients<'_, T>,
    ) -> Result<f64, TrainError> {
        check_rate::<T>(rate * self.groups.largest_rate())?;
        let SgdConfig { momentum, nesterov, weight_decay, clip_norm } = self.config;
        let (norm, clips) = self.groups.clips(clip_norm, parameters, gradients.iter())?;
        for (index, gradient) in gradients.iter().enumerate() {
            let (Some(gradient), group) = (gradient, self.groups.of(index)) else { continue };
            if group.frozen {
                continue;
            }
            let rate = rate * group.rate;
            let velocity = &mut self.velocity[index];
            let data = parameters.data_mut(index);
            if velocity.len() != data.len() {
                velocity.resize(data.len());
                velocity.fill(T::ZERO);
            }
            let step = Step {
                clip: clips[usize::from(group.own_clip)],
                keep: 1.0 - rate * group.weight_decay.unwrap_or(weight_decay),
                momentum,
                rate,
                ahead: if nesterov { [1.0, momentum] } else { [0.0, 1.0] },
            };
            update(&step, [data, velocity], [gradient]);
        }
        Ok(norm)
    }

    fn rescale_rows(&mut self, index: usize, factors: &[f64]) {
        let velocity = &mut self.velocity[index];
        if velocity.is_empty() || factors.is_empty() {
            return;
        }
        let rows = velocity.len() / factors.len();
        for (row, &factor) in velocity.chunks_mut(rows).zip(factors).filter(|(_, f)| **f != 1.0) {
            // A gradient is a covector: if a weight is multiplied by a factor, its velocity is
            // divided by it.
            row.iter_mut().for_each(|v| *v = T::from_f64(v.to_f64() / factor));
        }
    }

    fn save<'a>(&'a self, to: &mut Tensors<'a, T>) {
        for (index, velocity) in self.velocity.iter().enumerate().filter(|(_, v)| !v.is_empty()) {
            to.put(format!("{index}.velocity"), velocity);
        }
    }

    fn restore(&mut self, from: &Tensors<'_, T>) -> Result<(), TrainError> {
        for (index, velocity) in self.velocity.iter_mut().enumerate() {
            let Ok(stored) = from.get(&format!("{index}.velocity")) else { continue };
            velocity.resize(stored.len());
            velocity.copy_from_slice(stored);
        }
        Ok(())
    }
}
