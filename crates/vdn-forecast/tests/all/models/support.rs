//! Small forecasters and batches for the tests, and the check of whole forecasters' gradients.

use vdn_autograd::{Error, Tape, check_gradients};
use vdn_forecast::forecaster::{Batch, Dependence, Forecaster, ForecasterConfig, Prediction};
use vdn_model::core::{Bindings, Graph, Mode, ModelError, Parameters};
use vdn_model::units::Intervention;
use vdn_tensor::noise::NoiseKey;
use vdn_tensor::{Element, Tensor};
use vdn_train::train::Terms;

pub(crate) use crate::models::numbers::{KEY, normals, scatter};

/// The defaults, with the gated head and forecasts by samples.
pub(crate) fn sampled() -> ForecasterConfig {
    ForecasterConfig { dependence: Dependence::Sampled, beta: 1e-4, ..ForecasterConfig::default() }
}

/// Returns a configuration as small as possible with all parts, based on `base`.
pub(crate) fn small(base: ForecasterConfig) -> ForecasterConfig {
    ForecasterConfig {
        input_len: 8,
        horizon: 3,
        hidden: 5,
        kernel: 3,
        units: 4,
        head_hidden: 4,
        samples: 2,
        evaluate_samples: 6,
        ..base
    }
}

/// A small forecaster in its initial state.
pub(crate) fn build_small(config: ForecasterConfig) -> (Forecaster, Parameters<f64>) {
    Forecaster::new(small(config), 3).unwrap()
}

/// Windows and targets without structure.
#[derive(Clone)]
pub(crate) struct Data<T> {
    pub(crate) current: Vec<T>,
    pub(crate) previous: Vec<T>,
    pub(crate) target: Vec<T>,
}

impl<T: Element> Data<T> {
    pub(crate) fn new(config: &ForecasterConfig, rows: usize, seed: u64) -> Self {
        let draw = |stream, len: usize| {
            let mut x = vec![T::ZERO; len];
            NoiseKey::new(seed, stream, 0).fill_normal(0, &mut x);
            x
        };
        Self {
            current: draw(0, rows * config.input_len),
            previous: draw(1, rows * config.input_len),
            target: draw(2, rows * config.horizon),
        }
    }

    pub(crate) fn batch(&self) -> Batch<'_, T> {
        Batch {
            current: &self.current,
            previous: &self.previous,
            target: &self.target,
            ..Batch::default()
        }
    }
}

pub(crate) fn predict<T: Element>(
    model: &Forecaster,
    parameters: &Parameters<T>,
    data: &Data<T>,
    key: NoiseKey,
    intervention: Intervention,
) -> Result<Prediction, ModelError> {
    let (mut tape, mut bindings) = (Tape::new(), Bindings::new());
    tape.no_grad(|tape| {
        let mut graph = Graph::new(tape, parameters, &mut bindings, Mode::Evaluate, key);
        model.predict(&mut graph, &data.batch(), intervention).map(|(prediction, _)| prediction)
    })
}

/// Records the loss of a pass and returns it with the tape.
pub(crate) fn loss<T: Element>(
    model: &Forecaster,
    parameters: &Parameters<T>,
    data: &Data<T>,
    mode: Mode,
) -> Result<(Tape<T>, Bindings, Terms), ModelError> {
    let (mut tape, mut bindings) = (Tape::new(), Bindings::new());
    let mut graph = Graph::new(&mut tape, parameters, &mut bindings, mode, KEY);
    let terms = model.loss(&mut graph, &data.batch())?;
    Ok((tape, bindings, terms))
}

/// Checks the gradients of all parameters in the loss, in f64, against central differences. Returns
/// the errors.
pub(crate) fn wrong_gradients(
    cases: impl IntoIterator<Item = (&'static str, ForecasterConfig)>,
) -> Vec<String> {
    let check = |(name, config)| {
        let report = gradient_report(config);
        report
            .unwrap_or_else(|error| Some(error.to_string()))
            .map(|wrong| format!("{name}: {wrong}"))
    };
    cases.into_iter().filter_map(check).collect()
}

/// Returns the gradient errors of a small forecaster with this configuration, if any.
fn gradient_report(config: ForecasterConfig) -> Result<Option<String>, ModelError> {
    let (model, mut parameters) = Forecaster::new::<f64>(small(config), 3)?;
    // Output layers that start at zero would hide everything before them.
    scatter(&mut parameters, 0.2);
    let data = Data::new(model.config(), 3, 1);
    let (_, used, _) = loss(&model, &parameters, &data, Mode::Train)?;
    let all: Vec<_> = parameters.iter().collect();
    let taking_part: Vec<usize> = (0..all.len()).filter(|&i| used.get(i).is_some()).collect();
    let ids: Vec<_> = taking_part.iter().filter_map(|&i| parameters.find(all[i].name())).collect();
    let inputs: Vec<Tensor<f64>> =
        taking_part.iter().map(|&i| (**all[i].tensor()).clone()).collect();
    let report = check_gradients(&inputs, |tape, vars| {
        let mut bindings = Bindings::new();
        // The noise, also of dropout, is a function of the key, so the loss is a smooth function of
        // the parameters.
        let mut graph = Graph::new(tape, &parameters, &mut bindings, Mode::Train, KEY);
        ids.iter().zip(vars).for_each(|(&id, &var)| graph.bind(id, var));
        match model.loss(&mut graph, &data.batch()) {
            Ok(terms) => Ok(terms.loss),
            Err(ModelError::Autograd(error)) => Err(error),
            Err(error) => Err(Error::invalid("loss", error.to_string())),
        }
    })?;
    Ok((!report.passed()).then(|| report.to_string()))
}
