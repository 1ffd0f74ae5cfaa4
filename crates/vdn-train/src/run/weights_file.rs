//! Weights on disk, in the safetensors format that other frameworks read too.

use crate::error::TrainError;
use crate::run::atomic_file::write_atomically;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use std::path::Path;
use vdn_model::Parameters;
use vdn_model::controllers::ControlState;
use vdn_tensor::Element;

/// Writes all parameters to `path`, under their names, in their own precision, little-endian.
///
/// # Errors
/// The file cannot be written.
pub fn save_weights<T: Element>(parameters: &Parameters<T>, path: &Path) -> Result<(), TrainError> {
    write_atomically(path, &weights_bytes(parameters, path)?)
}

/// The bytes of a file of weights; errors name `path`.
pub(crate) fn weights_bytes<T: Element>(
    parameters: &Parameters<T>,
    path: &Path,
) -> Result<Vec<u8>, TrainError> {
    let dtype = dtype::<T>();
    let bytes: Vec<Vec<u8>> = parameters.iter().map(|p| little_endian(p.tensor().data())).collect();
    let views: Result<Vec<_>, _> = parameters
        .iter()
        .zip(&bytes)
        .map(|(p, bytes)| {
            let shape = p.tensor().shape().dims().to_vec();
            TensorView::new(dtype, shape, bytes).map(|view| (p.name().to_owned(), view))
        })
        .collect();
    let views = views.map_err(|e| TrainError::format(path, e))?;
    safetensors::serialize(views, None).map_err(|e| TrainError::format(path, e))
}

/// Reads weights into `parameters`, which have to have the same names and shapes.
///
/// # Errors
/// The file cannot be read, is not a safetensors file, or does not fit the model: the first parameter that is missing,
/// superfluous, of another shape or precision, or not finite, is named. `parameters` are unchanged then.
pub fn load_weights<T: Element>(
    parameters: &mut Parameters<T>,
    path: &Path,
) -> Result<(), TrainError> {
    let file = std::fs::read(path).map_err(TrainError::io(path))?;
    let tensors = SafeTensors::deserialize(&file).map_err(|e| TrainError::format(path, e))?;
    let mut loaded: Vec<Vec<T>> = Vec::new();
    for parameter in parameters.iter() {
        let name = parameter.name();
        let refuse =
            |reason: String| TrainError::format(path, format!("parameter {name}: {reason}"));
        let view = tensors.tensor(name).map_err(|e| refuse(e.to_string()))?;
        let shape = parameter.tensor().shape();
        if view.shape() != shape.dims() {
            return Err(refuse(format!("shape {:?}, the model has {shape}", view.shape())));
        }
        let data = numbers(view.dtype(), view.data())
            .ok_or_else(|| refuse(format!("holds {:?}, not f32 or f64", view.dtype())))?;
        if let Some(element) = data.iter().position(|x: &T| !x.is_finite()) {
            return Err(refuse(format!("element {element} is not finite")));
        }
        loaded.push(data);
    }
    if let Some(name) = tensors.names().iter().find(|name| parameters.find(name).is_none()) {
        return Err(TrainError::format(
            path,
            format!("parameter {name}: the model has none of this name"),
        ));
    }
    for (index, data) in loaded.iter().enumerate() {
        parameters.data_mut(index).copy_from_slice(data);
    }
    Ok(())
}

/// Writes the controllers' state to `path`, in double precision.
///
/// # Errors
/// The file cannot be written.
pub fn save_control(state: &ControlState, path: &Path) -> Result<(), TrainError> {
    write_atomically(path, &control_bytes(state, path)?)
}

/// The bytes of a file of a controllers' state; errors name `path`.
pub(crate) fn control_bytes(state: &ControlState, path: &Path) -> Result<Vec<u8>, TrainError> {
    let entries: Vec<(&str, Vec<u8>)> =
        state.iter().map(|(name, values)| (name, little_endian(values))).collect();
    let views: Result<Vec<_>, _> = entries
        .iter()
        .map(|(name, bytes)| {
            TensorView::new(Dtype::F64, vec![bytes.len() / 8], bytes).map(|v| (*name, v))
        })
        .collect();
    let views = views.map_err(|e| TrainError::format(path, e))?;
    safetensors::serialize(views, None).map_err(|e| TrainError::format(path, e))
}

/// Reads a state that [`save_control`] wrote.
///
/// # Errors
/// The file cannot be read, or holds something else.
pub fn load_control(path: &Path) -> Result<ControlState, TrainError> {
    let file = std::fs::read(path).map_err(TrainError::io(path))?;
    let tensors = SafeTensors::deserialize(&file).map_err(|e| TrainError::format(path, e))?;
    let mut state = ControlState::new();
    for (name, view) in tensors.tensors() {
        let values: Option<Vec<f64>> = numbers(view.dtype(), view.data());
        let values = values
            .ok_or_else(|| TrainError::format(path, format!("{name} holds {:?}", view.dtype())))?;
        state.put(name, &values);
    }
    Ok(state)
}

pub(crate) fn dtype<T: Element>() -> Dtype {
    if T::NAME == "f64" { Dtype::F64 } else { Dtype::F32 }
}

pub(crate) fn little_endian<T: Element>(data: &[T]) -> Vec<u8> {
    match T::NAME {
        "f64" => data.iter().flat_map(|x| x.to_f64().to_le_bytes()).collect(),
        _ => data.iter().flat_map(|x| (x.to_f64() as f32).to_le_bytes()).collect(),
    }
}

pub(crate) fn numbers<T: Element>(dtype: Dtype, bytes: &[u8]) -> Option<Vec<T>> {
    match dtype {
        Dtype::F32 => Some(
            bytes
                .as_chunks::<4>()
                .0
                .iter()
                .map(|&b| T::from_f64(f64::from(f32::from_le_bytes(b))))
                .collect(),
        ),
        Dtype::F64 => Some(
            bytes.as_chunks::<8>().0.iter().map(|&b| T::from_f64(f64::from_le_bytes(b))).collect(),
        ),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vdn_tensor::Tensor;

    fn parameters(value: f32) -> Parameters<f32> {
        let mut parameters = Parameters::new();
        parameters.add("layer.weight", Tensor::full([2, 3], value));
        parameters.add("layer.bias", Tensor::full([3], -value));
        parameters
    }

    #[test]
    fn weights_come_back_bit_for_bit() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("weights.safetensors");
        save_weights(&parameters(0.1), &path).unwrap();
        let mut other = parameters(7.0);
        load_weights(&mut other, &path).unwrap();
        for (a, b) in other.iter().zip(parameters(0.1).iter()) {
            assert_eq!(a.tensor().data(), b.tensor().data(), "{}", a.name());
        }
    }

    #[test]
    fn what_does_not_fit_is_named_and_nothing_is_loaded() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("weights.safetensors");
        let mut missing = Parameters::new();
        missing.add("layer.weight", Tensor::full([2, 3], 1.0_f32));
        let mut shaped = Parameters::new();
        shaped.add("layer.weight", Tensor::full([2, 3], 1.0_f32));
        shaped.add("layer.bias", Tensor::full([4], 1.0_f32));
        let mut extra = parameters(1.0);
        extra.add("other", Tensor::full([1], 1.0_f32));
        let cases = [
            (missing, "layer.bias"),
            (shaped, "layer.bias"),
            (extra, "other"),
            (parameters(f32::NAN), "layer.weight"),
        ];
        for (saved, name) in cases {
            save_weights(&saved, &path).unwrap();
            let mut target = parameters(5.0);
            let error = load_weights(&mut target, &path).unwrap_err().to_string();
            assert!(error.contains(&format!("parameter {name}: ")), "{error}");
            assert!(target.iter().all(|p| p.tensor().data().iter().all(|x| x.abs() == 5.0)));
        }
        std::fs::write(&path, b"not a weights file").unwrap();
        assert!(load_weights(&mut parameters(1.0), &path).is_err());
    }
}
