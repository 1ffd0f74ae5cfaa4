//! AdamW with gradient clipping by the global norm.
//!
//! Source: Loshchilov and Hutter, "Decoupled Weight Decay Regularization" (2019). A step makes one
//! pass over the memory of each parameter. A parameter without a gradient is left unchanged, and so
//! are its moments and its step count.

use crate::domain::{check_domains, not_negative, positive};
use crate::error::TrainError;
use crate::optim::groups::{Groups, ParameterGroup};
use crate::optim::optimizer::{Gradients, Optimizer, check_rate};
use crate::run::tensors::Tensors;
use vdn_model::core::Parameters;
use vdn_tensor::kernels::{Update, update};
use vdn_tensor::{Buffer, Element, Real};

/// The settings of AdamW and of its gradient clipping.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AdamWConfig {
    /// Decay rate of the first moment, in `[0, 1)`; default 0.9.
    pub beta1: f64,
    /// Decay rate of the second moment, in `[0, 1)`; default 0.999.
    pub beta2: f64,
    /// A constant added to the root of the second moment, finite and above 0; default 1e-8.
    pub epsilon: f64,
    /// Decoupled weight decay per unit of learning rate, finite and at least 0; default 0.
    pub weight_decay: f64,
    /// The maximum global norm of all gradients, above 0; default 1. Gradients with a larger norm
    /// are scaled down to it. `inf` disables clipping.
    pub clip_norm: f64,
}

impl Default for AdamWConfig {
    fn default() -> Self {
        Self { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.0, clip_norm: 1.0 }
    }
}

impl AdamWConfig {
    /// Checks every value.
    ///
    /// # Errors
    /// Returns an error that names the first value outside its domain.
    pub fn validate(&self) -> Result<(), TrainError> {
        let share = |x: f64| (0.0..1.0).contains(&x);
        let clip = self.clip_norm > 0.0;
        check_domains(
            "optimizer",
            &[
                ("beta1", self.beta1, share(self.beta1), "in [0, 1)"),
                ("beta2", self.beta2, share(self.beta2), "in [0, 1)"),
                ("epsilon", self.epsilon, positive(self.epsilon), "finite and above 0"),
                (
                    "weight_decay",
                    self.weight_decay,
                    not_negative(self.weight_decay),
                    "finite and at least 0",
                ),
                ("clip_norm", self.clip_norm, clip, "above 0; inf for no clip"),
            ],
        )
    }
}

/// The moments of one parameter.
#[derive(Clone, Debug, Default)]
struct Moments<T> {
    first: Buffer<T>,
    second: Buffer<T>,
    /// The number of gradients that the parameter has had.
    count: i32,
}

/// AdamW over the parameters of one model.
///
/// ```
/// use vdn_model::core::Parameters;
/// use vdn_tensor::Tensor;
/// use vdn_train::optim::{AdamW, AdamWConfig};
/// let mut parameters = Parameters::<f32>::new();
/// parameters.add("weight", Tensor::full([4, 3], 0.5));
/// parameters.add("bias", Tensor::full([4], 0.0));
/// let mut optimizer = AdamW::new(&parameters, AdamWConfig::default())?;
/// // The first parameter has a gradient of ones, the others have none. The first step is the learning rate, downhill.
/// let before = parameters.iter().next().unwrap().tensor().data()[0];
/// let ones = vec![1.0; parameters.iter().next().unwrap().tensor().data().len()];
/// let gradients = (0..parameters.len()).map(|i| (i == 0).then_some(&ones[..]));
/// let norm = optimizer.step(&mut parameters, 1e-3, gradients)?;
/// assert!((norm - (ones.len() as f64).sqrt()).abs() < 1e-4);
/// let after = parameters.iter().next().unwrap().tensor().data()[0];
/// assert!((before - after - 1e-3).abs() < 1e-6);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct AdamW<T> {
    config: AdamWConfig,
    moments: Vec<Moments<T>>,
    groups: Groups,
}

/// The update of one number, with everything precomputed that does not depend on the number.
struct Step {
    clip: f64,
    keep: f64,
    beta1: f64,
    beta2: f64,
    /// The learning rate divided by the bias correction of the first moment.
    rate: f64,
    /// The inverse root of the second moment's bias correction.
    second_scale: f64,
    epsilon: f64,
}

impl Update<3, 1> for Step {
    #[inline(always)]
    fn apply<R: Real>(&self, [p, m, v]: [R; 3], [g]: [R; 1]) -> [R; 3] {
        let g = g * g.lit(self.clip);
        let m = m * g.lit(self.beta1) + g * g.lit(1.0 - self.beta1);
        let v = v * g.lit(self.beta2) + g * g * g.lit(1.0 - self.beta2);
        let denominator = v.sqrt() * g.lit(self.second_scale) + g.lit(self.epsilon);
        [p * g.lit(self.keep) - m * g.lit(self.rate) / denominator, m, v]
    }
}

impl<T: Element> AdamW<T> {
    /// Creates an optimiser with empty moments for `parameters`.
    ///
    /// # Errors
    /// Returns an error if a value of the configuration is outside its domain.
    pub fn new(parameters: &Parameters<T>, config: AdamWConfig) -> Result<Self, TrainError> {
        config.validate()?;
        let moments = parameters.iter().map(|_| Moments::default()).collect();
        Ok(Self { config, moments, groups: Groups::default() })
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

    /// Makes one step with the learning rate `rate`. `gradients` yields one gradient (or `None`)
    /// per parameter, in order. Returns the global norm of all gradients before clipping.
    ///
    /// # Errors
    /// Returns an error, and changes nothing, if the learning rate is negative or not finite, or if
    /// a gradient is not finite. The error names the parameter.
    ///
    /// # Panics
    /// Panics if a gradient and its parameter differ in length, or if there are more gradients than
    /// parameters.
    pub fn step<'g>(
        &mut self,
        parameters: &mut Parameters<T>,
        rate: f64,
        gradients: impl Iterator<Item = Option<&'g [T]>> + Clone,
    ) -> Result<f64, TrainError> {
        check_rate::<T>(rate * self.groups.largest_rate())?;
        let AdamWConfig { beta1, beta2, epsilon, weight_decay, clip_norm } = self.config;
        let (norm, clips) = self.groups.clips(clip_norm, parameters, gradients.clone())?;
        let ids: std::ops::Range<usize> = 0..self.moments.len();
        for (index, gradient) in ids.zip(gradients) {
            let Some(gradient) = gradient else { continue };
            let group = self.groups.of(index);
            if group.frozen {
                continue;
            }
            let rate = rate * group.rate;
            let weight_decay = group.weight_decay.unwrap_or(weight_decay);
            let moments = &mut self.moments[index];
            let data = parameters.data_mut(index);
            if moments.count == 0 {
                for moment in [&mut moments.first, &mut moments.second] {
                    moment.resize(data.len());
                    moment.fill(T::ZERO);
                }
            }
            moments.count += 1;
            let step = Step {
                clip: clips[usize::from(group.own_clip)],
                keep: 1.0 - rate * weight_decay,
                beta1,
                beta2,
                rate: rate / (1.0 - beta1.powi(moments.count)),
                second_scale: 1.0 / (1.0 - beta2.powi(moments.count)).sqrt(),
                epsilon,
            };
            update(&step, [data, &mut moments.first, &mut moments.second], [gradient]);
        }
        Ok(norm)
    }

    /// Adapts the moments after the rows of parameter `index` were multiplied by `factors`. The
    /// rows are divided evenly among the factors.
    ///
    /// A gradient is a covector: if a weight `w` becomes `s w`, its gradient `g` becomes `g / s`.
    /// Therefore the first moment is divided by `s` and the second by `s^2`. The step that the
    /// moments imply stays the same, and later gradients meet moments of their own scale. A moment
    /// that does not exist yet is left alone.
    ///
    /// # Panics
    /// Panics if there is no such parameter.
    pub fn rescale_rows(&mut self, index: usize, factors: &[f64]) {
        let moments = &mut self.moments[index];
        if moments.count == 0 || factors.is_empty() {
            return;
        }
        let rows = moments.first.len() / factors.len();
        for (i, &factor) in factors.iter().enumerate() {
            if factor == 1.0 {
                continue;
            }
            let range = i * rows..(i + 1) * rows;
            let inverse = 1.0 / factor;
            for m in &mut moments.first[range.clone()] {
                *m = T::from_f64(m.to_f64() * inverse);
            }
            for v in &mut moments.second[range] {
                *v = T::from_f64(v.to_f64() * inverse * inverse);
            }
        }
    }

    /// The first and second moments of parameter `index`; `None` if it has never had a gradient.
    #[must_use]
    pub fn moments(&self, index: usize) -> Option<(&[T], &[T])> {
        let moments = &self.moments[index];
        (moments.count > 0).then(|| (&moments.first[..], &moments.second[..]))
    }
}

impl<T: Element> Optimizer<T> for AdamW<T> {
    fn step(
        &mut self,
        parameters: &mut Parameters<T>,
        rate: f64,
        gradients: &Gradients<'_, T>,
    ) -> Result<f64, TrainError> {
        Self::step(self, parameters, rate, gradients.iter())
    }

    fn rescale_rows(&mut self, index: usize, factors: &[f64]) {
        Self::rescale_rows(self, index, factors);
    }

    fn save<'a>(&'a self, to: &mut Tensors<'a, T>) {
        for (index, moments) in self.moments.iter().enumerate().filter(|(_, m)| m.count > 0) {
            to.put(format!("{index}.first"), &moments.first);
            to.put(format!("{index}.second"), &moments.second);
            to.put_count(format!("{index}.count"), moments.count as u64);
        }
    }

    fn restore(&mut self, from: &Tensors<'_, T>) -> Result<(), TrainError> {
        for (index, moments) in self.moments.iter_mut().enumerate() {
            let Ok(count) = from.count(&format!("{index}.count")) else { continue };
            let first = from.get(&format!("{index}.first"))?;
            let second = from.get(&format!("{index}.second"))?;
            for (to, from) in [(&mut moments.first, first), (&mut moments.second, second)] {
                to.resize(from.len());
                to.copy_from_slice(from);
            }
            moments.count = i32::try_from(count).unwrap_or(i32::MAX);
        }
        Ok(())
    }
}
