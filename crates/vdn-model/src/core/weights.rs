//! Weights as bytes in the safetensors format, which other frameworks read, too. Feature
//! `safetensors`.
//!
//! This module does not open files. `vdn-train` writes them atomically, and limits their length by
//! the size of the model when it reads them.

use crate::core::error::ModelError;
use crate::core::parameter::Parameters;
pub use safetensors::tensor::Dtype;
use safetensors::tensor::{SafeTensors, TensorView};
use std::collections::HashSet;
use vdn_tensor::Element;

fn refuse(reason: impl ToString) -> ModelError {
    ModelError::Weights(reason.to_string())
}

impl<T: Element> Parameters<T> {
    /// Returns the bytes of a safetensors file with all parameters under their names, in their own
    /// precision, little-endian.
    ///
    /// ```
    /// use vdn_model::core::{Builder, Parameters};
    /// use vdn_model::modules::Linear;
    /// let (mut trained, mut served) = (Parameters::<f32>::new(), Parameters::<f32>::new());
    /// let layer = Linear::new(&mut Builder::new(&mut trained, 1), "head", 3, 2);
    /// Linear::new(&mut Builder::new(&mut served, 2), "head", 3, 2); // other first weights
    /// served.load_safetensors(&trained.to_safetensors()?)?;
    /// let of = |all: &Parameters<f32>| all.get(layer.weight()).tensor().data().to_vec();
    /// assert_eq!(of(&served), of(&trained));
    /// # Ok::<(), vdn_model::core::ModelError>(())
    /// ```
    ///
    /// # Errors
    /// Returns an error if two parameters have the same name.
    pub fn to_safetensors(&self) -> Result<Vec<u8>, ModelError> {
        let kind = dtype::<T>();
        let bytes: Vec<Vec<u8>> = self.iter().map(|p| little_endian(p.tensor().data())).collect();
        let views: Result<Vec<_>, _> = self
            .iter()
            .zip(&bytes)
            .map(|(p, bytes)| {
                let shape = p.tensor().shape().dims().to_vec();
                TensorView::new(kind, shape, bytes).map(|view| (p.name().to_owned(), view))
            })
            .collect();
        safetensors::serialize(views.map_err(refuse)?, None).map_err(refuse)
    }

    /// Reads weights from the bytes of a safetensors file, which must have the same names and
    /// shapes as these parameters. Weights in single and double precision are read into either.
    /// Double-precision numbers are rounded to nearest for a single-precision model.
    ///
    /// # Errors
    /// Returns an error, and leaves the parameters unchanged, if the bytes are not safetensors or
    /// do not fit the model. The error names the first parameter that is missing, superfluous, of
    /// another shape, of another type of numbers (with the type in the file), beyond the range of
    /// the model's numbers, or not finite.
    pub fn load_safetensors(&mut self, bytes: &[u8]) -> Result<(), ModelError> {
        let tensors = SafeTensors::deserialize(bytes).map_err(refuse)?;
        let mut loaded: Vec<Vec<T>> = Vec::new();
        for parameter in self.iter() {
            let name = parameter.name();
            let refuse = |reason: String| refuse(format!("parameter {name}: {reason}"));
            let missing = |_| refuse("the file has none of this name".to_owned());
            let view = tensors.tensor(name).map_err(missing)?;
            let shape = parameter.tensor().shape();
            if view.shape() != shape.dims() {
                return Err(refuse(format!("shape {:?}, the model has {shape}", view.shape())));
            }
            let data = numbers(view.dtype(), view.data())
                .ok_or_else(|| refuse(format!("holds {:?}, not f32 or f64", view.dtype())))?;
            if let Some(element) = data.iter().position(|x: &T| !x.is_finite()) {
                let kept: Vec<f64> = numbers(view.dtype(), view.data()).unwrap_or_default();
                let reason = match kept.get(element) {
                    Some(x) if x.is_finite() => {
                        format!("is {x:e} ({:?}), beyond the range of {}", view.dtype(), T::NAME)
                    }
                    _ => "is not finite".to_owned(),
                };
                return Err(refuse(format!("element {element} {reason}")));
            }
            loaded.push(data);
        }
        let known: HashSet<&str> = self.iter().map(|p| p.name()).collect();
        if let Some(name) = tensors.names().iter().find(|name| !known.contains(**name)) {
            return Err(refuse(format!("parameter {name}: the model has none of this name")));
        }
        for (index, data) in loaded.iter().enumerate() {
            self.data_mut(index).copy_from_slice(data);
        }
        Ok(())
    }
}

/// Returns the type of the numbers, as the format names it.
#[must_use]
pub fn dtype<T: Element>() -> Dtype {
    if T::NAME == "f64" { Dtype::F64 } else { Dtype::F32 }
}

/// Converts numbers to bytes in their own precision, little-endian. Every bit is kept, also of NaN.
#[must_use]
pub fn little_endian<T: Element>(data: &[T]) -> Vec<u8> {
    match T::NAME {
        "f64" => data.iter().flat_map(|x| x.to_f64().to_le_bytes()).collect(),
        _ => data.iter().flat_map(|x| (x.to_f64() as f32).to_le_bytes()).collect(),
    }
}

/// Converts bytes to numbers, from either precision; `None` for another type.
#[must_use]
pub fn numbers<T: Element>(dtype: Dtype, bytes: &[u8]) -> Option<Vec<T>> {
    let single = |&b: &[u8; 4]| T::from_f64(f64::from(f32::from_le_bytes(b)));
    match dtype {
        Dtype::F32 => Some(bytes.as_chunks::<4>().0.iter().map(single).collect()),
        Dtype::F64 => Some(
            bytes.as_chunks::<8>().0.iter().map(|&b| T::from_f64(f64::from_le_bytes(b))).collect(),
        ),
        _ => None,
    }
}
