//! Initial values of parameters: [`Init`], and the [`Builder`] with which modules create their
//! parameters.
//!
//! Initial values are addressed noise: the key is derived from the seed and the full name of the
//! parameter. A parameter therefore starts at the same values whatever else the model contains, so
//! a variational forecaster and its deterministic twin start from the same weights. An `f32` value
//! is the `f64` value, rounded.

use crate::core::error::ModelError;
use crate::core::fnv1a::fnv1a;
use crate::core::parameter::{ParameterId, Parameters};
use crate::core::streams::{Purpose, Stream};
use vdn_tensor::noise::NoiseKey;
use vdn_tensor::{Element, Shape, Tensor};

/// The distribution of initial values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Init {
    /// The same number everywhere.
    Constant(f64),
    /// Evenly spaced from the first to the second number, in order, for any shape.
    Spaced(f64, f64),
    /// Uniform in `[-bound, bound]`.
    Uniform(f64),
    /// Normal with mean 0 and this standard deviation.
    Normal(f64),
}

impl Init {
    /// Returns the uniform distribution in `[-1/sqrt(fan_in), 1/sqrt(fan_in)]`, PyTorch's default
    /// for the weights and biases of linear layers.
    #[must_use]
    pub fn fan_in(fan_in: usize) -> Self {
        Self::Uniform(1.0 / (fan_in.max(1) as f64).sqrt())
    }

    /// Returns a tensor of initial values, drawn with the noise of `key`.
    #[must_use]
    pub fn tensor<T: Element>(self, shape: impl Into<Shape>, key: NoiseKey) -> Tensor<T> {
        let mut drawn = Tensor::<f64>::zeros(shape.into());
        let values = drawn.data_mut();
        match self {
            Self::Constant(value) => values.fill(value),
            Self::Spaced(first, last) => {
                let steps = values.len().saturating_sub(1).max(1) as f64;
                for (i, x) in values.iter_mut().enumerate() {
                    *x = first + (last - first) * (i as f64 / steps);
                }
            }
            Self::Uniform(bound) => {
                key.fill_uniform(0, values);
                values.iter_mut().for_each(|x| *x = bound * (2.0 * *x - 1.0));
            }
            Self::Normal(deviation) => {
                key.fill_normal(0, values);
                values.iter_mut().for_each(|x| *x *= deviation);
            }
        }
        drawn.cast()
    }
}

/// A builder, which every module's constructor takes. It holds the parameters, the seed and the
/// scope. The scope prefixes the names of parameters, and noise streams are derived from it.
///
/// ```
/// use vdn_model::core::{Builder, Init, Parameters};
/// let mut parameters = Parameters::<f32>::new();
/// let mut builder = Builder::new(&mut parameters, 7);
/// builder.scope("head").add("bias", [4], Init::Constant(0.0));
/// assert!(parameters.find("head.bias").is_some());
/// ```
#[derive(Debug)]
pub struct Builder<'a, T: Element> {
    parameters: &'a mut Parameters<T>,
    key: NoiseKey,
    label: String,
}

/// Separates the noise of initial values from all other noise of the same seed.
const INITIALIZATION: u64 = 0x696e_6974;

impl<'a, T: Element> Builder<'a, T> {
    /// Creates a builder that adds to `parameters`, with initial values drawn from `seed`.
    pub fn new(parameters: &'a mut Parameters<T>, seed: u64) -> Self {
        let key = NoiseKey::new(seed, 0, 0).fold_in(INITIALIZATION);
        Self { parameters, key, label: String::new() }
    }

    /// Returns a builder whose names are prefixed by `name` and a dot.
    pub fn scope(&mut self, name: &str) -> Builder<'_, T> {
        let label = self.full_name(name);
        Builder { parameters: &mut *self.parameters, key: self.key, label }
    }

    /// Returns the names of all enclosing scopes, separated by dots; empty at the root.
    #[must_use]
    pub fn label(&self) -> &str {
        &self.label
    }

    /// Adds a parameter.
    ///
    /// # Panics
    /// Panics if the name is taken in this scope.
    pub fn add(&mut self, name: &str, shape: impl Into<Shape>, init: Init) -> ParameterId {
        let name = self.full_name(name);
        let key = self.key.fold_in(fnv1a(name.as_bytes()));
        self.parameters.add(name, init.tensor(shape, key))
    }

    /// Returns the noise stream of the module at this scope for `purpose`. A module asks once, when
    /// it is built. Two modules never get the same stream ([`streams`](crate::core::streams)).
    ///
    /// ```
    /// use vdn_model::core::{Builder, Parameters, Purpose};
    /// let mut parameters = Parameters::<f32>::new();
    /// let mut builder = Builder::new(&mut parameters, 7);
    /// let units = builder.scope("decoder").stream(Purpose::Units)?;
    /// let dropout = builder.scope("decoder").stream(Purpose::Dropout)?;
    /// assert_ne!(units, dropout);
    /// let again = builder.scope("decoder").stream(Purpose::Units).unwrap_err().to_string();
    /// assert!(again.contains("decoder (units)"), "{again}");
    /// # Ok::<(), vdn_model::core::ModelError>(())
    /// ```
    ///
    /// # Errors
    /// Fails if another module of these parameters has the stream: either a module of the same name
    /// and purpose, or one whose name and purpose hash to the same number.
    pub fn stream(&mut self, purpose: Purpose) -> Result<Stream, ModelError> {
        self.parameters.streams_mut().take(&self.label, purpose)
    }

    fn full_name(&self, name: &str) -> String {
        if self.label.is_empty() { name.to_owned() } else { format!("{}.{name}", self.label) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distributions_have_their_bounds_and_moments() {
        let key = NoiseKey::new(1, 0, 0);
        let n = 1 << 16;
        let moment = |x: &[f64], p: i32| x.iter().map(|x| x.powi(p)).sum::<f64>() / n as f64;
        let uniform = Init::fan_in(16).tensor::<f64>([n], key);
        assert!(uniform.data().iter().all(|x| x.abs() <= 0.25));
        // Six standard errors of the mean and of the mean square of 65536 draws: the deviation of a
        // uniform is bound / sqrt 3, that of its square bound^2 / 3 * sqrt(4 / 5).
        assert!(moment(uniform.data(), 1).abs() < 6.0 * 0.25 / 3f64.sqrt() / 256.0);
        let square = 0.25 * 0.25 / 3.0;
        assert!((moment(uniform.data(), 2) - square).abs() < 6.0 * square * 0.8f64.sqrt() / 256.0);
        // The square of a normal has deviation sqrt 2 times its mean.
        let normal = Init::Normal(2.0).tensor::<f64>([n], key);
        assert!(moment(normal.data(), 1).abs() < 6.0 * 2.0 / 256.0);
        assert!((moment(normal.data(), 2) - 4.0).abs() < 6.0 * 4.0 * 2f64.sqrt() / 256.0);
    }

    #[test]
    fn a_value_depends_on_seed_and_full_name_alone() {
        let first = |seed, order: [&str; 2]| {
            let mut parameters = Parameters::<f64>::new();
            for name in order {
                Builder::new(&mut parameters, seed).scope(name).add("w", [8], Init::fan_in(1));
            }
            let id = parameters.find("a.w").unwrap();
            parameters.get(id).tensor().data().to_vec()
        };
        assert_eq!(first(0, ["a", "b"]), first(0, ["b", "a"]));
        assert_ne!(first(0, ["a", "b"]), first(1, ["a", "b"]));
        let key = NoiseKey::new(2, 0, 0);
        let (single, double) =
            (Init::fan_in(3).tensor::<f32>([5], key), Init::fan_in(3).tensor::<f64>([5], key));
        assert_eq!(single.data(), double.cast::<f32>().data());
    }
}
