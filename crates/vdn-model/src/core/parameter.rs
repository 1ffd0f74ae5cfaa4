//! [`Parameters`]: the learnable tensors of a model, with names and a fixed order.
//!
//! Values are shared (`Arc`), so a tape reads them in place, without a copy.

use crate::core::fnv1a::fnv1a;
use crate::core::streams::Streams;
use std::collections::HashMap;
use std::sync::Arc;
use vdn_tensor::{Element, Tensor};

/// The position of a parameter in its [`Parameters`]. It contains a hash of the parameter's name,
/// so ids of another model are detected: the parameter at this position has another name, or does
/// not exist. Ids of a second model that is built in the same way are accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ParameterId {
    index: usize,
    name: u64,
}

impl ParameterId {
    /// Returns the position in the order of creation.
    #[must_use]
    pub fn index(self) -> usize {
        self.index
    }
}

/// A key by which a parameter is found: its [`ParameterId`], or its position in the order of
/// creation.
pub trait ParameterKey: Copy + sealed::Sealed {
    /// Returns the position among these parameters.
    ///
    /// # Panics
    /// Panics if there is no such parameter, or the id belongs to another model.
    fn position<T: Element>(self, parameters: &Parameters<T>) -> usize;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for usize {}
    impl Sealed for super::ParameterId {}
}

impl ParameterKey for usize {
    fn position<T: Element>(self, parameters: &Parameters<T>) -> usize {
        let count = parameters.len();
        assert!(self < count, "there is no parameter number {self}: there are {count}, from 0 on");
        self
    }
}

impl ParameterKey for ParameterId {
    fn position<T: Element>(self, parameters: &Parameters<T>) -> usize {
        match parameters.entries.get(self.index) {
            Some(entry) if entry.id == self => self.index,
            found => parameters.refuse_other_model(self.index, found),
        }
    }
}

/// One learnable tensor and its name.
#[derive(Clone, Debug)]
pub struct Parameter<T: Element> {
    id: ParameterId,
    name: String,
    tensor: Arc<Tensor<T>>,
}

impl<T: Element> Parameter<T> {
    /// Returns the id.
    #[must_use]
    pub fn id(&self) -> ParameterId {
        self.id
    }

    /// Returns the name, unique in its [`Parameters`].
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the value.
    #[must_use]
    pub fn tensor(&self) -> &Arc<Tensor<T>> {
        &self.tensor
    }
}

/// Named tensors in the order in which they were added. A clone shares the values until one of the
/// two changes.
///
/// ```
/// use vdn_model::core::Parameters;
/// use vdn_tensor::Tensor;
/// let mut parameters = Parameters::new();
/// let id = parameters.add("rho", Tensor::<f32>::zeros([3]));
/// assert_eq!(parameters.find("rho"), Some(id));
/// assert_eq!(parameters.numel(), 3);
/// ```
#[derive(Clone, Debug)]
pub struct Parameters<T: Element> {
    entries: Vec<Parameter<T>>,
    /// The noise streams of the modules of these parameters. They are stored here, and not in a
    /// [`Builder`], so that two builders that fill the same parameters see each other's streams.
    ///
    /// [`Builder`]: crate::core::Builder
    streams: Streams,
    /// The position of each name.
    places: Arc<HashMap<String, usize>>,
}

impl<T: Element> Default for Parameters<T> {
    fn default() -> Self {
        Self { entries: Vec::new(), places: Arc::default(), streams: Streams::default() }
    }
}

impl<T: Element> Parameters<T> {
    /// Creates an empty set of parameters.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a parameter at the end.
    ///
    /// # Panics
    /// Panics if the name is taken, because two modules of a model were given the same scope.
    pub fn add(&mut self, name: impl Into<String>, value: Tensor<T>) -> ParameterId {
        let (name, index) = (name.into(), self.entries.len());
        assert!(self.find(&name).is_none(), "there is a parameter {name} already");
        Arc::make_mut(&mut self.places).insert(name.clone(), index);
        let id = ParameterId { index, name: fnv1a(name.as_bytes()) };
        self.entries.push(Parameter { id, name, tensor: Arc::new(value) });
        id
    }

    /// Returns a parameter, by its id or its position.
    ///
    /// # Panics
    /// Panics if there is no such parameter, or the id belongs to another model.
    #[must_use]
    pub fn get(&self, key: impl ParameterKey) -> &Parameter<T> {
        &self.entries[key.position(self)]
    }

    /// Returns the numbers of a parameter, by its id or its position, for changes in place.
    ///
    /// If the value is still shared (by a clone, or by a tape that was neither reset nor told to
    /// release it), the tensor is copied first, and the other holder keeps the old value.
    ///
    /// ```
    /// use vdn_model::core::Parameters;
    /// use vdn_tensor::Tensor;
    /// let mut parameters = Parameters::<f32>::new();
    /// let id = parameters.add("bias", Tensor::zeros([2]));
    /// parameters.data_mut(id)[0] = 1.0;
    /// parameters.data_mut(0)[1] = 2.0; // the same one, by its position
    /// assert_eq!(parameters.get(id).tensor().data(), [1.0, 2.0]);
    /// ```
    ///
    /// # Panics
    /// Panics if there is no such parameter, or the id belongs to another model.
    pub fn data_mut(&mut self, key: impl ParameterKey) -> &mut [T] {
        let position = key.position(self);
        Arc::make_mut(&mut self.entries[position].tensor).data_mut()
    }

    #[cold]
    fn refuse_other_model(&self, index: usize, found: Option<&Parameter<T>>) -> ! {
        let here = match (found, self.entries.last()) {
            (Some(found), _) => format!("these have `{}` there", found.name),
            (None, Some(last)) => format!("these are {}, the last `{}`", self.len(), last.name),
            (None, None) => "these are none".to_owned(),
        };
        panic!("parameter number {index} of another model: {here}; a network goes with its own");
    }

    /// Multiplies the rows of a parameter, by its id or its position. The rows are divided evenly
    /// among `factors`. Rows with a factor of 1 keep their bits.
    ///
    /// ```
    /// use vdn_model::core::Parameters;
    /// use vdn_tensor::Tensor;
    /// let mut parameters = Parameters::<f32>::new();
    /// parameters.add("weight", Tensor::from_slice([2, 2], &[1.0, 2.0, 3.0, 4.0])?);
    /// parameters.scale_rows(0, &[1.0, 0.5]);
    /// assert_eq!(parameters.iter().next().unwrap().tensor().data(), [1.0, 2.0, 1.5, 2.0]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Panics
    /// Panics if there is no such parameter, there are no factors, or there are more factors than
    /// numbers.
    pub fn scale_rows(&mut self, key: impl ParameterKey, factors: &[f64]) {
        let data = self.data_mut(key);
        let row = data.len() / factors.len();
        for (numbers, &factor) in data.chunks_exact_mut(row).zip(factors) {
            if factor != 1.0 {
                numbers.iter_mut().for_each(|x| *x = T::from_f64(x.to_f64() * factor));
            }
        }
    }

    /// Returns the registry of noise streams.
    pub(crate) fn streams_mut(&mut self) -> &mut Streams {
        &mut self.streams
    }

    /// Returns the id of the parameter with this name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<ParameterId> {
        self.places.get(name).map(|&index| self.entries[index].id)
    }

    /// Iterates over all parameters in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Parameter<T>> {
        self.entries.iter()
    }

    /// Returns the number of tensors.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Returns whether there are no tensors.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Returns the total number of elements in all tensors.
    #[must_use]
    pub fn numel(&self) -> usize {
        self.entries.iter().map(|entry| entry.tensor.shape().numel()).sum()
    }

    /// Returns the same parameters in another element type, each number rounded to nearest. Ids
    /// stay valid.
    #[must_use]
    pub fn cast<U: Element>(&self) -> Parameters<U> {
        let cast = |entry: &Parameter<T>| Parameter {
            id: entry.id,
            name: entry.name.clone(),
            tensor: Arc::new(entry.tensor.cast()),
        };
        let entries = self.entries.iter().map(cast).collect();
        Parameters { entries, places: Arc::clone(&self.places), streams: self.streams.clone() }
    }
}

impl<'a, T: Element> IntoIterator for &'a Parameters<T> {
    type Item = &'a Parameter<T>;
    type IntoIter = std::slice::Iter<'a, Parameter<T>>;
    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_value_leaves_a_shared_one_alone() {
        let mut parameters = Parameters::<f64>::new();
        let id = parameters.add("w", Tensor::zeros([2]));
        let held = parameters.clone();
        parameters.data_mut(id.index())[0] = 1.0;
        assert_eq!(held.get(id).tensor().data(), [0.0, 0.0]);
        assert_eq!(parameters.get(id).tensor().data(), [1.0, 0.0]);
        let kept = parameters.get(id).tensor().data().as_ptr();
        parameters.data_mut(id.index())[1] = 2.0;
        assert_eq!(
            parameters.get(id).tensor().data().as_ptr(),
            kept,
            "an unshared value is changed in place"
        );
    }

    #[test]
    fn casting_keeps_names_order_and_values() {
        let mut parameters = Parameters::<f64>::new();
        parameters.add("a", Tensor::full([2], 0.1));
        parameters.add("b", Tensor::full([], 3.0));
        let cast = parameters.cast::<f32>();
        let rows: Vec<_> = cast.iter().map(|p| (p.name(), p.tensor().data()[0])).collect();
        assert_eq!(rows, [("a", 0.1_f32), ("b", 3.0)]);
    }

    #[test]
    fn names_are_not_searched_once_for_each_name() {
        // With this many names, a comparison of each with all others would take minutes.
        const COUNT: usize = 400_000;
        let mut parameters = Parameters::<f32>::new();
        for i in 0..COUNT {
            parameters.add(format!("layer {i}"), Tensor::zeros([1]));
        }
        for i in (0..COUNT).step_by(7) {
            let found = parameters.find(&format!("layer {i}"));
            assert_eq!(found.map(ParameterId::index), Some(i));
        }
        let mut other = parameters.clone();
        let id = other.add("new", Tensor::zeros([1]));
        assert_eq!((other.find("new"), parameters.find("new")), (Some(id), None));
    }

    /// Returns the message of the panic.
    fn refusal(f: impl FnOnce() + std::panic::UnwindSafe) -> String {
        let said = std::panic::catch_unwind(f).expect_err("it was not refused");
        said.downcast_ref::<String>().expect("a message").clone()
    }

    #[test]
    fn parameters_of_another_model_are_refused_by_name() {
        let mut one = Parameters::<f64>::new();
        one.add("encoder.weight", Tensor::zeros([2]));
        let id = one.add("encoder.bias", Tensor::zeros([2]));
        let mut other = Parameters::<f64>::new();
        other.add("head.weight", Tensor::zeros([2]));
        let fewer = other.clone();
        let said = refusal(move || assert!(fewer.get(id).name().is_empty()));
        assert!(said.starts_with("parameter number 1 of another model"), "{said}");
        assert!(said.contains("these are 1, the last `head.weight`"), "{said}");
        other.add("head.bias", Tensor::zeros([2]));
        let mut as_many = other.clone();
        let said = refusal(move || as_many.data_mut(id).fill(0.0));
        assert!(said.contains("these have `head.bias` there"), "{said}");
        let said = refusal(move || assert!(other.get(2).name().is_empty()));
        assert_eq!(said, "there is no parameter number 2: there are 2, from 0 on");
        // Built alike, or cast: the same model.
        assert_eq!(one.cast::<f32>().get(id).name(), "encoder.bias");
        assert_eq!(one.get(id).id(), id);
    }

    #[test]
    #[should_panic(expected = "there is a parameter w already")]
    fn a_name_is_given_once() {
        let mut parameters = Parameters::<f64>::new();
        parameters.add("w", Tensor::zeros([2]));
        parameters.add("w", Tensor::zeros([2]));
    }
}
