//! Initial values: pure functions of a seed and the parameter's full name, from addressed noise.
//!
//! So a parameter starts the same whatever else the model has: a variational forecaster and its deterministic twin
//! start from the same weights.

use crate::parameter::{ParameterId, Parameters};
use vdn_tensor::noise::NoiseKey;
use vdn_tensor::{Element, Shape, Tensor};

/// The stream that initial values use; layers' streams count from 0.
const STREAM: u32 = 1 << 29;

/// How a parameter starts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Init {
    /// All elements the same.
    Constant(f64),
    /// Uniform between minus and plus the bound; `1/sqrt(fan_in)` is the usual one of linear layers.
    Uniform(f64),
    /// Normal with mean 0 and this deviation.
    Normal(f64),
}

/// Builds the parameters of a model: names them by scope and fills them from the seed.
#[derive(Debug)]
pub struct Builder<'a, T> {
    parameters: &'a mut Parameters<T>,
    seed: u64,
    scope: String,
}

impl<'a, T: Element> Builder<'a, T> {
    /// A builder that adds to `parameters`.
    pub fn new(parameters: &'a mut Parameters<T>, seed: u64) -> Self {
        Self { parameters, seed, scope: String::new() }
    }

    /// A builder whose parameters' names begin with `name.`.
    pub fn scope(&mut self, name: &str) -> Builder<'_, T> {
        let scope = format!("{}{name}.", self.scope);
        Builder { parameters: self.parameters, seed: self.seed, scope }
    }

    /// The scope's name without the last dot: what reports call the layer.
    #[must_use]
    pub fn label(&self) -> &str {
        self.scope.trim_end_matches('.')
    }

    /// Adds a parameter.
    pub fn add(&mut self, name: &str, shape: impl Into<Shape>, init: Init) -> ParameterId {
        let name = format!("{}{name}", self.scope);
        let mut tensor = Tensor::zeros(shape);
        let key = NoiseKey::new(self.seed, STREAM, 0).fold_in(fnv1a(name.as_bytes()));
        let data = tensor.data_mut();
        match init {
            Init::Constant(value) => data.fill(T::from_f64(value)),
            Init::Uniform(bound) => {
                key.fill_uniform(0, data);
                data.iter_mut().for_each(|x| *x = T::from_f64(bound * (2.0 * x.to_f64() - 1.0)));
            }
            Init::Normal(deviation) => {
                key.fill_normal(0, data);
                data.iter_mut().for_each(|x| *x = T::from_f64(deviation * x.to_f64()));
            }
        }
        self.parameters.add(name, tensor)
    }
}

/// The 64-bit hash FNV-1a of Fowler, Noll and Vo: a stable number for a name.
fn fnv1a(bytes: &[u8]) -> u64 {
    let mix = |hash: u64, &byte: &u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, mix)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_has_its_published_values() {
        for (text, want) in
            [("", 0xcbf2_9ce4_8422_2325), ("a", 0xaf63_dc4c_8601_ec8c), ("foobar", 0x8594_4171_f739_67e8)]
        {
            assert_eq!(fnv1a(text.as_bytes()), want, "{text}");
        }
    }

    #[test]
    fn values_depend_on_seed_and_full_name_alone() {
        let first = |seed, order: [&str; 2]| {
            let mut parameters = Parameters::<f64>::new();
            for name in order {
                Builder::new(&mut parameters, seed).scope(name).add("w", [8], Init::Normal(1.0));
            }
            parameters.get(parameters.find("a.w").unwrap()).tensor().data().to_vec()
        };
        assert_eq!(first(0, ["a", "b"]), first(0, ["b", "a"]));
        assert_ne!(first(0, ["a", "b"]), first(1, ["a", "b"]));
    }

    #[test]
    fn distributions_have_their_bounds_and_moments() {
        let n = 1 << 16;
        let mut parameters = Parameters::<f64>::new();
        let mut builder = Builder::new(&mut parameters, 1);
        builder.add("uniform", [n], Init::Uniform(0.25));
        builder.add("normal", [n], Init::Normal(2.0));
        let data: Vec<&[f64]> = parameters.iter().map(|p| p.tensor().data()).collect();
        let moment = |x: &[f64], p: i32| x.iter().map(|x| x.powi(p)).sum::<f64>() / n as f64;
        assert!(data[0].iter().all(|x| x.abs() <= 0.25));
        // Six standard errors of the mean and of the mean square of 65536 draws.
        let square = 0.25 * 0.25 / 3.0;
        assert!(moment(data[0], 1).abs() < 6.0 * square.sqrt() / 256.0);
        assert!((moment(data[0], 2) - square).abs() < 6.0 * square * 0.8_f64.sqrt() / 256.0);
        assert!(moment(data[1], 1).abs() < 6.0 * 2.0 / 256.0);
        assert!((moment(data[1], 2) - 4.0).abs() < 6.0 * 4.0 * 2_f64.sqrt() / 256.0);
    }
}
