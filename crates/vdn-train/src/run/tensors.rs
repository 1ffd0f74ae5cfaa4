//! [`Tensors`]: named lists of numbers as bytes, in the safetensors format.

use crate::error::TrainError;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use std::borrow::Cow;
use vdn_model::controllers::ControlState;
use vdn_model::core::weights::{dtype, little_endian, numbers};
use vdn_model::core::{ModelError, Parameters};
use vdn_tensor::Element;

/// Named lists of numbers in one precision: the state of an optimiser, or any other part of a
/// checkpoint. The bytes of every number are preserved, including NaN.
///
/// ```
/// use vdn_train::run::Tensors;
/// let mut state = Tensors::<f32>::new();
/// state.put("velocity", &[0.5, -0.0]);
/// state.put_count("steps", 7);
/// let back = Tensors::<f32>::decode(&state.encode()?)?;
/// assert_eq!((back.get("velocity")?, back.count("steps")?), (&[0.5, -0.0][..], 7));
/// assert!(back.get("moment").is_err());
/// # Ok::<(), vdn_train::TrainError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Tensors<'a, T: Element> {
    entries: Vec<(String, Cow<'a, [T]>)>,
    counts: Vec<(String, u64)>,
}

impl<T: Element> Default for Tensors<'_, T> {
    fn default() -> Self {
        Self { entries: Vec::new(), counts: Vec::new() }
    }
}

impl<'a, T: Element> Tensors<'a, T> {
    /// Creates an empty collection.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// All parameters under their names.
    #[must_use]
    pub fn of_parameters(parameters: &'a Parameters<T>) -> Self {
        let mut all = Self::new();
        parameters.iter().for_each(|p| all.put(p.name(), p.tensor().data()));
        all
    }

    /// Adds a list.
    pub fn put(&mut self, name: impl Into<String>, values: &'a [T]) {
        self.entries.push((name.into(), Cow::Borrowed(values)));
    }

    /// Adds a count.
    pub fn put_count(&mut self, name: impl Into<String>, count: u64) {
        self.counts.push((name.into(), count));
    }

    /// Returns the list with this name.
    ///
    /// # Errors
    /// Returns an error if there is none.
    pub fn get(&self, name: &str) -> Result<&[T], TrainError> {
        let found = self.entries.iter().find(|(entry, _)| entry == name);
        found.map(|(_, values)| &values[..]).ok_or_else(|| missing(name))
    }

    /// Returns the count with this name.
    ///
    /// # Errors
    /// Returns an error if there is none.
    pub fn count(&self, name: &str) -> Result<u64, TrainError> {
        let found = self.counts.iter().find(|(entry, _)| entry == name);
        found.map(|&(_, count)| count).ok_or_else(|| missing(name))
    }

    /// Copies every list into the parameter with its name.
    ///
    /// # Errors
    /// Returns an error, and leaves `parameters` unchanged, if a parameter has no list or one of
    /// another size.
    pub fn fill_parameters(&self, parameters: &mut Parameters<T>) -> Result<(), TrainError> {
        for parameter in parameters.iter() {
            let (own, name) = (self.get(parameter.name())?, parameter.name());
            let (got, want) = (own.len(), parameter.tensor().data().len());
            if got != want {
                let reason = format!("parameter {name}: {got} numbers, the network has {want}");
                return Err(TrainError::Model(ModelError::Control(reason)));
            }
        }
        let names: Vec<String> = parameters.iter().map(|p| p.name().to_owned()).collect();
        for (index, name) in names.iter().enumerate() {
            parameters.data_mut(index).copy_from_slice(self.get(name)?);
        }
        Ok(())
    }

    /// Encodes the collection as bytes.
    ///
    /// # Errors
    /// Returns an error if two lists have the same name.
    pub fn encode(&self) -> Result<Vec<u8>, TrainError> {
        let mut bytes: Vec<(String, Dtype, usize, Vec<u8>)> = Vec::new();
        for (name, values) in &self.entries {
            bytes.push((name.clone(), dtype::<T>(), values.len(), little_endian(values)));
        }
        for (name, count) in &self.counts {
            bytes.push((name.clone(), Dtype::U64, 1, count.to_le_bytes().to_vec()));
        }
        let refuse = |e: safetensors::SafeTensorError| {
            TrainError::Model(ModelError::Control(format!("state: {e}")))
        };
        let views = bytes.iter().map(|(name, dtype, len, bytes)| {
            TensorView::new(*dtype, vec![*len], bytes).map(|view| (name, view))
        });
        let views = views.collect::<Result<Vec<_>, _>>().map_err(refuse)?;
        safetensors::serialize(views, None).map_err(refuse)
    }
}

impl<T: Element> Tensors<'static, T> {
    /// Decodes bytes that [`Tensors::encode`] wrote.
    ///
    /// # Errors
    /// Returns an error for other bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, TrainError> {
        let refuse = |reason: String| TrainError::Model(ModelError::Control(reason));
        let tensors = SafeTensors::deserialize(bytes).map_err(|e| refuse(format!("state: {e}")))?;
        let mut all = Self::new();
        for (name, view) in tensors.iter() {
            if view.dtype() == Dtype::U64 {
                let count: Option<[u8; 8]> = view.data().try_into().ok();
                let count = count.ok_or_else(|| refuse(format!("state: {name} is no count")))?;
                all.counts.push((name.to_owned(), u64::from_le_bytes(count)));
                continue;
            }
            if view.dtype() != dtype::<T>() {
                let found = view.dtype();
                return Err(refuse(format!("state: {name} holds {found:?}, not {}", T::NAME)));
            }
            let values = numbers(view.dtype(), view.data());
            let values = values.ok_or_else(|| refuse(format!("state: {name} holds no numbers")))?;
            all.entries.push((name.to_owned(), Cow::Owned(values)));
        }
        Ok(all)
    }
}

impl From<&ControlState> for Tensors<'static, f64> {
    fn from(state: &ControlState) -> Self {
        let own = |(name, values): (&str, &[f64])| (name.to_owned(), Cow::Owned(values.to_vec()));
        Self { entries: state.iter().map(own).collect(), counts: Vec::new() }
    }
}

impl From<Tensors<'_, f64>> for ControlState {
    fn from(tensors: Tensors<'_, f64>) -> Self {
        let mut state = Self::new();
        tensors.entries.iter().for_each(|(name, values)| state.put(name.as_str(), values));
        state
    }
}

fn missing(name: &str) -> TrainError {
    TrainError::Model(ModelError::Control(format!("the state has no entry {name}")))
}
