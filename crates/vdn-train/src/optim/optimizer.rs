//! [`Optimizer`], a rule that updates weights, and [`Gradients`], its input.

use crate::error::TrainError;
use crate::run::tensors::Tensors;
use vdn_autograd::{Tape, Var};
use vdn_model::core::{Bindings, ModelError, Parameters};
use vdn_tensor::Element;
use vdn_tensor::kernels::dot;

/// A rule that updates weights by their gradients.
pub trait Optimizer<T: Element> {
    /// Makes one step with the learning rate `rate`. Returns the global norm of all gradients
    /// before clipping.
    ///
    /// # Errors
    /// Returns an error, and changes nothing, if the learning rate is negative or not finite, or if
    /// a gradient is not finite. The error names the parameter.
    fn step(
        &mut self,
        parameters: &mut Parameters<T>,
        rate: f64,
        gradients: &Gradients<'_, T>,
    ) -> Result<f64, TrainError>;

    /// Makes one step down the gradient of `loss`, a scalar on `tape`. Returns the global norm of
    /// all gradients before clipping.
    ///
    /// The step is the backward pass, [`Tape::release_shared`] (the tape releases the parameters,
    /// so that they are changed in place), and [`Optimizer::step`]. Values and gradients can be
    /// read afterwards.
    ///
    /// ```
    /// use vdn_autograd::Tape;
    /// use vdn_model::core::{Bindings, Builder, Graph, Mode, Parameters};
    /// use vdn_model::modules::Linear;
    /// use vdn_tensor::noise::NoiseKey;
    /// use vdn_train::optim::{AdamW, AdamWConfig, Optimizer};
    /// let mut parameters = Parameters::<f32>::new();
    /// let line = Linear::new(&mut Builder::new(&mut parameters, 0), "line", 1, 1);
    /// let mut optimizer = AdamW::new(&parameters, AdamWConfig::default())?;
    /// let (mut tape, mut bindings) = (Tape::new(), Bindings::new());
    /// for step in 0..300 {
    ///     tape.reset();
    ///     let noise = NoiseKey::new(0, 0, step);
    ///     let mut graph = Graph::new(&mut tape, &parameters, &mut bindings, Mode::Train, noise);
    ///     let x = graph.tape.constant([3, 1], &[0.0, 1.0, 2.0])?;
    ///     let said = line.forward(&mut graph, x)?;
    ///     let y = tape.constant([3, 1], &[1.0, 3.0, 5.0])?;
    ///     let error = tape.sub(said, y)?;
    ///     let squares = tape.square(error)?;
    ///     let loss = tape.mean(squares)?;
    ///     optimizer.minimize(loss, &mut tape, &bindings, &mut parameters, 0.05)?;
    /// }
    /// assert!((parameters.get(line.weight()).tensor().data()[0] - 2.0).abs() < 0.1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Returns the errors of [`Optimizer::step`], and an error if `loss` is not a scalar, depends
    /// on no parameter, or is stale.
    fn minimize(
        &mut self,
        loss: Var,
        tape: &mut Tape<T>,
        bindings: &Bindings,
        parameters: &mut Parameters<T>,
        rate: f64,
    ) -> Result<f64, TrainError> {
        tape.backward(loss).map_err(ModelError::Autograd)?;
        tape.release_shared();
        let gradients = Gradients::of_tape(tape, bindings, parameters.len());
        self.step(parameters, rate, &gradients)
    }

    /// Adapts the state after the rows of parameter `index` were multiplied by `factors`. The rows
    /// are divided evenly among the factors. State on the scale of the weights or of the gradients
    /// is rescaled.
    fn rescale_rows(&mut self, index: usize, factors: &[f64]);

    /// Writes the state for a checkpoint.
    fn save<'a>(&'a self, to: &mut Tensors<'a, T>);

    /// Restores a state that [`Optimizer::save`] wrote.
    ///
    /// # Errors
    /// Returns an error if an entry is missing or belongs to another optimiser.
    fn restore(&mut self, from: &Tensors<'_, T>) -> Result<(), TrainError>;
}

/// The gradient of each parameter, in the order of the parameters; `None` for a parameter that the
/// loss does not depend on.
#[derive(Clone, Copy, Debug)]
pub struct Gradients<'a, T: Element>(Source<'a, T>);

#[derive(Clone, Copy, Debug)]
enum Source<'a, T: Element> {
    Tape { tape: &'a Tape<T>, bindings: &'a Bindings, count: usize },
    Slices(&'a [Option<Vec<T>>]),
}

impl<'a, T: Element> Gradients<'a, T> {
    /// The gradients of `count` parameters on a tape, after its backward pass.
    #[must_use]
    pub fn of_tape(tape: &'a Tape<T>, bindings: &'a Bindings, count: usize) -> Self {
        Self(Source::Tape { tape, bindings, count })
    }

    /// Gradients that were computed elsewhere.
    #[must_use]
    pub fn of_slices(gradients: &'a [Option<Vec<T>>]) -> Self {
        Self(Source::Slices(gradients))
    }

    /// The number of parameters.
    #[must_use]
    pub fn len(&self) -> usize {
        match self.0 {
            Source::Tape { count, .. } => count,
            Source::Slices(all) => all.len(),
        }
    }

    /// Whether there are no parameters.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The gradient of parameter number `index`; `None` if it has none.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<&'a [T]> {
        match self.0 {
            Source::Tape { tape, bindings, .. } => {
                tape.gradient(bindings.get(index)?).map(|gradient| gradient.data())
            }
            Source::Slices(all) => all.get(index)?.as_deref(),
        }
    }

    /// The gradients in the order of the parameters.
    pub fn iter(&self) -> impl Iterator<Item = Option<&'a [T]>> + Clone + use<'a, T> {
        let own = *self;
        (0..self.len()).map(move |index| own.get(index))
    }
}

/// Refuses a learning rate that is negative, or not finite in the weights' precision. Such a rate
/// would go uphill, or set weights to NaN or infinity.
pub(super) fn check_rate<T: Element>(rate: f64) -> Result<(), TrainError> {
    if rate >= 0.0 && T::from_f64(rate).is_finite() {
        return Ok(());
    }
    let reason = format!("learning rate = {rate}: has to be finite in {} and at least 0", T::NAME);
    Err(TrainError::config(format!("optimizer: {reason}")))
}

/// The global norm of all gradients.
///
/// # Errors
/// Returns an error that names the parameter if a gradient is not finite.
pub(super) fn global_norm<'g, T: Element>(
    parameters: &Parameters<T>,
    gradients: impl Iterator<Item = Option<&'g [T]>> + Clone,
) -> Result<f64, TrainError> {
    let squares: f64 = gradients.clone().flatten().map(|g| dot(g, g).to_f64()).sum();
    match squares.sqrt() {
        norm if norm.is_finite() => Ok(norm),
        _ => Err(non_finite(parameters, gradients)),
    }
}

/// The error for a norm that is not finite: it names the gradient that is not finite, or the
/// largest one if the norm overflows.
#[cold]
fn non_finite<'g, T: Element>(
    parameters: &Parameters<T>,
    gradients: impl Iterator<Item = Option<&'g [T]>>,
) -> TrainError {
    let mut largest = (0.0, "", 0);
    for (parameter, gradient) in parameters.iter().zip(gradients) {
        for (element, g) in gradient.unwrap_or_default().iter().enumerate() {
            if !g.is_finite() {
                let parameter = parameter.name().to_owned();
                return TrainError::NonFiniteGradient { parameter, element };
            }
            if g.to_f64().abs() > largest.0 {
                largest = (g.to_f64().abs(), parameter.name(), element);
            }
        }
    }
    TrainError::GradientOverflow { parameter: largest.1.to_owned(), element: largest.2 }
}

/// The factor on all gradients whose global norm is `norm`. An infinite `clip_norm` disables
/// clipping.
pub(super) fn clip_factor(clip_norm: f64, norm: f64) -> f64 {
    (clip_norm / (norm + 1e-6)).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::optim::{AdamW, AdamWConfig, ParameterGroup, Sgd, SgdConfig};
    use vdn_tensor::Tensor;

    /// An optimiser, and the learning rates that it refuses.
    type Case<'a> = (Box<dyn Optimizer<f32>>, &'a [f64]);

    /// No optimiser accepts a learning rate without a meaning; all accept a rate of 0.
    #[test]
    fn learning_rates_without_a_meaning_change_nothing() {
        let mut parameters = Parameters::<f32>::new();
        parameters.add("weight", Tensor::full([3], 0.5));
        let group = ParameterGroup { rate: 1e30, ..ParameterGroup::new("weight") };
        let adamw = || AdamW::new(&parameters, AdamWConfig::default()).unwrap();
        let grouped = adamw().with_groups(&[group], &parameters).unwrap();
        let sgd = Sgd::new(&parameters, SgdConfig::default()).unwrap();
        let mut optimizers: [Case<'_>; 3] = [
            (Box::new(adamw()), &[f64::NAN, f64::INFINITY, -1e-3, 1e39]),
            (Box::new(sgd), &[f64::NAN, f64::INFINITY, -1e-3, 1e39]),
            // The product with the group's factor.
            (Box::new(grouped), &[1e10]),
        ];
        let gradients = [Some(vec![1.0, -1.0, 1.0])];
        for (optimizer, rates) in &mut optimizers {
            for &rate in *rates {
                let gradients = Gradients::of_slices(&gradients);
                let error = optimizer.step(&mut parameters, rate, &gradients).unwrap_err();
                let error = error.to_string();
                assert!(error.contains("learning rate = ") && error.contains("f32"), "{error}");
            }
            let gradients = Gradients::of_slices(&gradients);
            optimizer.step(&mut parameters, 0.0, &gradients).unwrap();
            assert_eq!(parameters.get(0).tensor().data(), [0.5; 3]);
        }
    }
}
