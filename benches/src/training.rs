//! A training step of the forecaster as the trainer performs it, on synthetic windows. Its parts
//! are written out, because the benchmarks time them separately.

use crate::uniform;
use vdn_autograd::{Tape, Var};
use vdn_forecast::forecaster::{Batch, Forecaster, ForecasterConfig};
use vdn_model::core::{Bindings, Graph, Mode, Parameters};
use vdn_tensor::noise::NoiseKey;
use vdn_train::optim::{AdamW, AdamWConfig, WeightAverage};
use vdn_train::train::Terms;

/// The limits and the weight of the energy band: `wl relu(lo - M2)^2 + wh relu(M2 - hi)^2`,
/// averaged over units.
#[derive(Clone, Copy, Debug)]
pub struct Band {
    /// The lower and the upper limit of a unit's energy.
    pub limits: [f32; 2],
    /// The penalty's weight in the loss.
    pub weight: f32,
}

/// A model in training.
#[derive(Debug)]
pub struct Training {
    model: Forecaster,
    parameters: Parameters<f32>,
    tape: Tape<f32>,
    bindings: Bindings,
    optimizer: AdamW<f32>,
    average: WeightAverage<f32>,
    band: Option<Band>,
    current: Vec<f32>,
    previous: Vec<f32>,
    target: Vec<f32>,
}

impl Training {
    /// Creates a new model on `batch` windows.
    ///
    /// # Panics
    /// Panics if the configuration is not valid.
    #[must_use]
    pub fn new(config: ForecasterConfig, batch: usize, band: Option<Band>) -> Self {
        let (model, parameters) =
            Forecaster::new::<f32>(config, 0).expect("the configuration is valid");
        let optimizer =
            AdamW::new(&parameters, AdamWConfig::default()).expect("the defaults are valid");
        Self {
            model,
            parameters,
            tape: Tape::new(),
            bindings: Bindings::new(),
            optimizer,
            average: WeightAverage::new(0.99).expect("the decay is below 1"),
            band,
            current: uniform(0, batch * config.input_len, -1.5, 1.5),
            previous: uniform(1, batch * config.input_len, -1.5, 1.5),
            target: uniform(2, batch * config.horizon, -1.5, 1.5),
        }
    }

    /// Returns the number of parameters.
    #[must_use]
    pub fn numel(&self) -> usize {
        self.parameters.numel()
    }

    /// Records the loss of step `step`.
    pub fn forward(&mut self, step: u32) -> Var {
        self.tape.reset();
        let batch = Batch {
            current: &self.current,
            previous: &self.previous,
            target: &self.target,
            ..Batch::default()
        };
        let key = NoiseKey::new(1, 0, step);
        let mut graph =
            Graph::new(&mut self.tape, &self.parameters, &mut self.bindings, Mode::Train, key);
        let terms = self.model.loss(&mut graph, &batch).expect("the batch fits the model");
        match self.band {
            Some(band) => penalised(&mut self.tape, &terms, band).expect("the shapes fit"),
            None => terms.loss,
        }
    }

    /// Records the loss and its gradients.
    pub fn forward_backward(&mut self, step: u32) {
        let loss = self.forward(step);
        self.tape.backward(loss).expect("the loss is a scalar of this tape");
    }

    /// Makes a complete step: loss, gradients, AdamW.
    pub fn step(&mut self, step: u32) {
        self.forward_backward(step);
        self.update();
    }

    /// Applies AdamW with the gradients of the last [`Training::forward_backward`].
    pub fn update(&mut self) {
        let Self { parameters, tape, bindings, optimizer, .. } = self;
        tape.release_shared();
        let gradients = (0..parameters.len()).map(|i| {
            let var = bindings.get(i)?;
            tape.gradient(var).map(|g| g.data())
        });
        optimizer.step(parameters, 1e-4, gradients).expect("the gradients are finite");
    }

    /// Updates the moving average of the weights after a step.
    pub fn average(&mut self) {
        self.average.follow(&self.parameters);
    }
}

/// Records the loss plus the penalty of units outside their band.
fn penalised(tape: &mut Tape<f32>, terms: &Terms, band: Band) -> Result<Var, vdn_autograd::Error> {
    let Some(layer) = &terms.outputs[0] else { return Ok(terms.loss) };
    let [low, high] = band.limits;
    let below = tape.neg(layer.units.m2)?;
    let below = tape.add_scalar(below, low)?;
    let below = tape.relu(below)?;
    let below = tape.square(below)?;
    let above = tape.add_scalar(layer.units.m2, -high)?;
    let above = tape.relu(above)?;
    let above = tape.square(above)?;
    let both = tape.add(below, above)?;
    let mean = tape.mean(both)?;
    let weighted = tape.scale(mean, band.weight)?;
    tape.add(terms.loss, weighted)
}
