//! Reading fixtures, and comparing with them.

use serde_json::Value;
use std::path::Path;
use vdn_autograd::{Tape, Var};
use vdn_model::core::Parameters;
use vdn_tensor::{Shape, Tensor};

/// One case of a fixture file.
pub(crate) struct Case {
    pub(crate) topic: String,
    pub(crate) kind: String,
    pub(crate) name: String,
    inputs: Value,
    outputs: Value,
}

/// Reads all cases of a file.
pub(crate) fn read(path: &Path) -> Result<Vec<Case>, String> {
    let text = std::fs::read_to_string(path).map_err(|e| e.to_string())?;
    let file: Value = serde_json::from_str(&text).map_err(|e| e.to_string())?;
    let topic = file["topic"].as_str().ok_or("no topic")?.to_owned();
    let cases = file["cases"].as_array().ok_or("no cases")?;
    let read = |case: &Value| -> Result<Case, String> {
        let text = |key: &str| case[key].as_str().map(str::to_owned);
        Ok(Case {
            topic: topic.clone(),
            kind: text("kind").unwrap_or_else(|| topic.clone()),
            name: text("name").ok_or("a case without a name")?,
            inputs: case["inputs"].clone(),
            outputs: case["outputs"].clone(),
        })
    };
    cases.iter().map(read).collect()
}

/// Reads a tensor from a fixture.
pub(crate) fn tensor(value: &Value) -> Result<Tensor<f64>, String> {
    let numbers =
        |key: &str| value[key].as_array().ok_or_else(|| format!("a tensor without {key}"));
    let dims: Option<Vec<usize>> =
        numbers("shape")?.iter().map(|d| d.as_u64().map(|d| d as usize)).collect();
    let data: Option<Vec<f64>> = numbers("data")?.iter().map(Value::as_f64).collect();
    let shape = Shape::new(&dims.ok_or("a bad shape")?).map_err(|e| e.to_string())?;
    Tensor::from_slice(shape, &data.ok_or("a bad number")?).map_err(|e| e.to_string())
}

impl Case {
    pub(crate) fn value(&self, key: &str) -> &Value {
        &self.inputs[key]
    }

    pub(crate) fn output(&self, key: &str) -> &Value {
        &self.outputs[key]
    }

    pub(crate) fn has_output(&self, key: &str) -> bool {
        !self.outputs[key].is_null()
    }

    pub(crate) fn tensor(&self, key: &str) -> Result<Tensor<f64>, String> {
        tensor(&self.inputs[key]).map_err(|e| format!("{key}: {e}"))
    }

    pub(crate) fn number(&self, key: &str) -> Result<f64, String> {
        self.inputs[key].as_f64().ok_or_else(|| format!("{key} is no number"))
    }

    pub(crate) fn count(&self, key: &str) -> Result<usize, String> {
        self.inputs[key].as_u64().map(|n| n as usize).ok_or_else(|| format!("{key} is no count"))
    }

    /// A count, or `None` if the fixture has null.
    pub(crate) fn optional_count(&self, key: &str) -> Result<Option<usize>, String> {
        if self.inputs[key].is_null() { Ok(None) } else { self.count(key).map(Some) }
    }

    pub(crate) fn text(&self, key: &str) -> Result<&str, String> {
        self.inputs[key].as_str().ok_or_else(|| format!("{key} is no text"))
    }

    /// A number inside an object input.
    pub(crate) fn setting(&self, object: &str, key: &str) -> Result<f64, String> {
        let value = self.inputs[object][key].as_f64();
        value.ok_or_else(|| format!("{object}.{key} is no number"))
    }

    /// A truth value inside an object input.
    pub(crate) fn flag(&self, object: &str, key: &str) -> Result<bool, String> {
        let value = self.inputs[object][key].as_bool();
        value.ok_or_else(|| format!("{object}.{key} is no truth value"))
    }

    /// A text inside an object input.
    pub(crate) fn name_of(&self, object: &str, key: &str) -> Result<&str, String> {
        let value = self.inputs[object][key].as_str();
        value.ok_or_else(|| format!("{object}.{key} is no text"))
    }

    /// An input tensor as a variable on the tape.
    pub(crate) fn variable(&self, tape: &mut Tape<f64>, key: &str) -> Result<Var, String> {
        let tensor = self.tensor(key)?;
        tape.variable(*tensor.shape(), tensor.data()).map_err(|e| e.to_string())
    }

    /// An input tensor as a constant on the tape.
    pub(crate) fn constant(&self, tape: &mut Tape<f64>, key: &str) -> Result<Var, String> {
        let tensor = self.tensor(key)?;
        tape.constant(*tensor.shape(), tensor.data()).map_err(|e| e.to_string())
    }

    /// Replaces the initial parameters by the parameters of the fixture. Both must have the same
    /// names.
    pub(crate) fn load(&self, parameters: &mut Parameters<f64>) -> Result<(), String> {
        let given = self.inputs["params"].as_object().ok_or("no params")?;
        for name in given.keys() {
            parameters.find(name).ok_or_else(|| format!("the model has no parameter {name}"))?;
        }
        let names: Vec<String> = parameters.iter().map(|p| p.name().to_owned()).collect();
        for (index, name) in names.iter().enumerate() {
            let value =
                given.get(name).ok_or_else(|| format!("the fixture has no parameter {name}"))?;
            let tensor = tensor(value)?;
            let data = parameters.data_mut(index);
            if data.len() != tensor.data().len() {
                return Err(format!("parameter {name} is {} in the fixture", tensor.shape()));
            }
            data.copy_from_slice(tensor.data());
        }
        Ok(())
    }
}

/// The outcome of the comparisons of one case.
#[derive(Default)]
pub(crate) struct Check {
    pub(crate) compared: usize,
    pub(crate) worst: f64,
    pub(crate) failures: Vec<String>,
}

/// The relative tolerance of the fixtures' README.
const TOLERANCE: f64 = 1e-10;

impl Check {
    /// Compares numbers with an expected tensor, number or list. The shapes of tensors may differ
    /// in axes of size one.
    pub(crate) fn values(&mut self, name: &str, got: &[f64], want: &Value) {
        let want: Option<Vec<f64>> = match want {
            Value::Object(_) => tensor(want).ok().map(|t| t.data().to_vec()),
            Value::Array(list) => list.iter().map(Value::as_f64).collect(),
            number => number.as_f64().map(|x| vec![x]),
        };
        let Some(want) = want else {
            self.failures.push(format!("{name}: the fixture has no such output"));
            return;
        };
        if got.len() != want.len() {
            self.failures.push(format!("{name}: {} numbers instead of {}", got.len(), want.len()));
            return;
        }
        for (i, (&got, &want)) in got.iter().zip(&want).enumerate() {
            let error = (got - want).abs() / want.abs().max(1.0);
            self.compared += 1;
            if error <= TOLERANCE {
                self.worst = self.worst.max(error);
            } else if self.failures.len() < 5 {
                self.failures.push(format!("{name}[{i}]: {got:e} instead of {want:e}"));
            } else {
                return;
            }
        }
    }

    /// Compares a value on the tape.
    pub(crate) fn var(&mut self, name: &str, tape: &Tape<f64>, var: Var, want: &Value) {
        self.values(name, tape.value(var).data(), want);
    }

    /// Compares a gradient on the tape. A missing gradient counts as zero.
    pub(crate) fn gradient(&mut self, name: &str, tape: &Tape<f64>, var: Var, want: &Value) {
        match tape.gradient(var) {
            Some(gradient) => self.values(name, gradient.data(), want),
            None => self.values(name, &vec![0.0; tape.shape(var).numel()], want),
        }
    }
}
