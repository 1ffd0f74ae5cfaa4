//! Weights on disk, in the safetensors format, which other frameworks can read.

use crate::error::TrainError;
use crate::run::atomic_file::write_atomically;
use crate::run::bounded::read_bounded;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use std::path::Path;
use vdn_model::controllers::ControlState;
use vdn_model::core::weights::{little_endian, numbers};
use vdn_model::core::{ModelError, Parameters};
use vdn_tensor::Element;

/// The largest file of controller state that is read: 64 MiB, 8 million numbers.
const MOST_CONTROL_BYTES: u64 = 64 << 20;

/// The largest file that can hold these parameters. It has eight bytes for each number. For each
/// parameter it has the name, which is six times as long if it is escaped, and room for shape and
/// offsets.
fn most_bytes<T: Element>(parameters: &Parameters<T>) -> u64 {
    let of = |p: &vdn_model::core::Parameter<T>| {
        let numbers = p.tensor().shape().numel() as u64;
        numbers.saturating_mul(8).saturating_add(6 * p.name().len() as u64 + 512)
    };
    parameters.iter().map(of).fold(4096, u64::saturating_add)
}

/// Writes all parameters to `path` under their names, in their own precision, little-endian.
///
/// # Errors
/// Returns an error if the file cannot be written.
pub fn save_weights<T: Element>(parameters: &Parameters<T>, path: &Path) -> Result<(), TrainError> {
    write_atomically(path, &weights_bytes(parameters, path)?)
}

/// Converts an error about weights to an error that names their file.
fn in_file(path: &Path) -> impl FnOnce(ModelError) -> TrainError + '_ {
    move |error| match error {
        ModelError::Weights(reason) => TrainError::format(path, reason),
        other => other.into(),
    }
}

/// Returns the bytes of a weights file. Errors name `path`.
pub(crate) fn weights_bytes<T: Element>(
    parameters: &Parameters<T>,
    path: &Path,
) -> Result<Vec<u8>, TrainError> {
    parameters.to_safetensors().map_err(in_file(path))
}

/// Reads weights into `parameters`, which must have the same names and shapes as the file. Files of
/// single and of double precision can be read into either. Double-precision numbers are rounded to
/// nearest for a single-precision model.
///
/// # Errors
/// Returns an error, and leaves `parameters` unchanged, if the file cannot be read, is not a
/// safetensors file, or does not fit the model. A file that is too large for these parameters is
/// refused before it is read.
///
/// The error names the first parameter that is missing, superfluous, of another shape, of another
/// type (the type in the file is named), beyond the range of the model's numbers, or not finite.
pub fn load_weights<T: Element>(
    parameters: &mut Parameters<T>,
    path: &Path,
) -> Result<(), TrainError> {
    let file = read_bounded(path, most_bytes(parameters))?;
    parameters.load_safetensors(&file).map_err(in_file(path))
}

/// Writes the controllers' state to `path` in double precision.
///
/// # Errors
/// Returns an error if the file cannot be written.
pub fn save_control(state: &ControlState, path: &Path) -> Result<(), TrainError> {
    write_atomically(path, &control_bytes(state, path)?)
}

/// The bytes of a file of controller state. Errors name `path`.
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
/// Returns an error if the file cannot be read, is larger than 64 MiB, or has other contents or a
/// number that is not finite.
pub fn load_control(path: &Path) -> Result<ControlState, TrainError> {
    let file = read_bounded(path, MOST_CONTROL_BYTES)?;
    let tensors = SafeTensors::deserialize(&file).map_err(|e| TrainError::format(path, e))?;
    let mut state = ControlState::new();
    for (name, view) in tensors.tensors() {
        let values: Option<Vec<f64>> = numbers(view.dtype(), view.data());
        let values = values
            .ok_or_else(|| TrainError::format(path, format!("{name} holds {:?}", view.dtype())))?;
        if let Some(element) = values.iter().position(|x| !x.is_finite()) {
            let reason = format!("{name}: element {element} is {}, not finite", values[element]);
            return Err(TrainError::format(path, reason));
        }
        state.put(name, &values);
    }
    Ok(state)
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
    fn files_of_either_precision_fit_either_model() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("weights.safetensors");
        save_weights(&parameters(0.1), &path).unwrap();
        let mut double = parameters(7.0).cast::<f64>();
        load_weights(&mut double, &path).unwrap();
        assert!(double.iter().all(|p| p.tensor().data()[0].abs() == f64::from(0.1_f32)));
        double.data_mut(0).fill(0.3);
        save_weights(&double, &path).unwrap();
        let mut single = parameters(7.0);
        load_weights(&mut single, &path).unwrap();
        assert_eq!(single.get(0).tensor().data(), [0.3_f32; 6]);
        double.data_mut(0)[4] = 1e300;
        save_weights(&double, &path).unwrap();
        let error = load_weights(&mut single, &path).unwrap_err().to_string();
        let reason = "parameter layer.weight: element 4 is 1e300 (F64), beyond the range of f32";
        assert!(error.ends_with(reason), "{error}");
        // A type of number that no model has.
        let bytes = [0_u8; 12];
        let half = TensorView::new(Dtype::F16, vec![2, 3], &bytes).unwrap();
        std::fs::write(&path, safetensors::serialize([("layer.weight", half)], None).unwrap())
            .unwrap();
        let error = load_weights(&mut single, &path).unwrap_err().to_string();
        assert!(error.ends_with("parameter layer.weight: holds F16, not f32 or f64"), "{error}");
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

    #[test]
    fn states_of_controllers_that_are_not_finite_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("control.safetensors");
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let mut state = ControlState::new();
            state.put("lambda", &[1.0, 2.0]);
            save_control(&state, &path).unwrap();
            assert_eq!(load_control(&path).unwrap(), state);
            state.put("multiplier", &[0.5, value]);
            save_control(&state, &path).unwrap();
            let error = load_control(&path).unwrap_err().to_string();
            let expected = format!("multiplier: element 1 is {value}, not finite");
            assert!(error.ends_with(&expected), "{error}");
        }
    }

    #[test]
    fn headers_that_ask_for_more_than_the_file_holds_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("weights.safetensors");
        let headers = [
            r#"{"layer.weight":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]}}"#,
            r#"{"layer.weight":{"dtype":"F32","shape":[0,9,2305843009213693952],"data_offsets":[0,0]}}"#,
            r#"{"a":{"dtype":"F64","shape":[9223372036854775807,9],"data_offsets":[0,8]}}"#,
            r#"{"a":{"dtype":"F64","shape":[4294967296,4294967296],"data_offsets":[0,0]}}"#,
            r#"{"a":{"dtype":"F64","shape":[1],"data_offsets":[8,0]}}"#,
            r#"{"a":{"dtype":"F64","shape":[1],"data_offsets":[0,18446744073709551615]}}"#,
        ];
        let lengths = |header: &str| [header.len() as u64, 1 << 40, u64::MAX];
        for header in headers {
            for length in lengths(header) {
                let mut bytes = length.to_le_bytes().to_vec();
                bytes.extend_from_slice(header.as_bytes());
                std::fs::write(&path, &bytes).unwrap();
                assert!(load_weights(&mut parameters(1.0), &path).is_err(), "{header} {length}");
                // A tensor without numbers is a state without numbers.
                if let Ok(state) = load_control(&path) {
                    assert!(state.iter().all(|(_, values)| values.is_empty()), "{header}");
                }
            }
        }
    }

    #[test]
    fn files_larger_than_the_model_are_not_read() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("weights.safetensors");
        let mut large = Parameters::new();
        large.add("layer.weight", Tensor::full([200, 300], 1.0_f32));
        save_weights(&large, &path).unwrap();
        let error = load_weights(&mut parameters(1.0), &path).unwrap_err().to_string();
        assert!(error.contains("the file holds 240") && error.contains("at most 5"), "{error}");
        // A sparse file takes no space, and is refused by its length.
        std::fs::File::create(&path).unwrap().set_len(1 << 40).unwrap();
        assert!(load_weights(&mut parameters(1.0), &path).is_err());
        assert!(load_control(&path).is_err());
    }
}
