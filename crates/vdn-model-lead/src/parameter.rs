//! Parameters: named tensors in a fixed order, shared with the tape without a copy.

use std::sync::Arc;
use vdn_tensor::{Element, Tensor};

/// The place of a parameter in its [`Parameters`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ParameterId(usize);

impl ParameterId {
    /// The position, from 0, in the order of creation.
    #[must_use]
    pub fn index(self) -> usize {
        self.0
    }
}

/// A named tensor that is learned.
#[derive(Clone, Debug)]
pub struct Parameter<T> {
    name: String,
    tensor: Arc<Tensor<T>>,
}

impl<T: Element> Parameter<T> {
    /// The name, such as `neuron.mu.weight`; unique among the parameters of a model.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The values.
    #[must_use]
    pub fn tensor(&self) -> &Arc<Tensor<T>> {
        &self.tensor
    }
}

/// All parameters of a model.
///
/// ```
/// use vdn_model::Parameters;
/// use vdn_tensor::Tensor;
/// let mut parameters = Parameters::<f32>::new();
/// let weight = parameters.add("layer.weight", Tensor::zeros([4, 3]));
/// assert_eq!(parameters.get(weight).tensor().shape().dims(), &[4, 3]);
/// assert_eq!(parameters.find("layer.weight"), Some(weight));
/// assert_eq!(parameters.numel(), 12);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Parameters<T> {
    all: Vec<Parameter<T>>,
}

impl<T: Element> Parameters<T> {
    /// No parameters yet.
    #[must_use]
    pub fn new() -> Self {
        Self { all: Vec::new() }
    }

    /// Adds a parameter.
    ///
    /// # Panics
    /// The name is taken: a mistake in a model's constructor.
    pub fn add(&mut self, name: impl Into<String>, tensor: Tensor<T>) -> ParameterId {
        let name = name.into();
        assert!(self.find(&name).is_none(), "two parameters are called {name}");
        self.all.push(Parameter { name, tensor: Arc::new(tensor) });
        ParameterId(self.all.len() - 1)
    }

    /// One parameter.
    #[must_use]
    pub fn get(&self, id: ParameterId) -> &Parameter<T> {
        &self.all[id.0]
    }

    /// All, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Parameter<T>> + Clone {
        self.all.iter()
    }

    /// The parameter of this name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<ParameterId> {
        self.all.iter().position(|p| p.name == name).map(ParameterId)
    }

    /// How many parameters there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// How many numbers they hold together.
    #[must_use]
    pub fn numel(&self) -> usize {
        self.all.iter().map(|p| p.tensor.shape().numel()).sum()
    }

    /// The values of the parameter at `index`, to be changed. While a tape still shares them they are copied first;
    /// let go of them there ([`Tape::release_shared`](vdn_autograd::Tape::release_shared)) to change them in place.
    ///
    /// # Panics
    /// There is no such parameter.
    pub fn data_mut(&mut self, index: usize) -> &mut [T] {
        Arc::make_mut(&mut self.all[index].tensor).data_mut()
    }

    /// The same parameters in another element type, each number rounded to nearest.
    #[must_use]
    pub fn cast<U: Element>(&self) -> Parameters<U> {
        let cast = |p: &Parameter<T>| Parameter { name: p.name.clone(), tensor: Arc::new(p.tensor.cast()) };
        Parameters { all: self.all.iter().map(cast).collect() }
    }
}
