//! The small layer that the controllers act on, and its training.

use crate::closed_loop::{Failure, INPUTS, ROWS, UNITS, normals};
use vdn_autograd::Tape;
use vdn_model::controllers::{LayerControl, LayerControlConfig, LossValues};
use vdn_model::core::{Bindings, Builder, Graph, Mode, Parameters};
use vdn_model::objective::{BetweenWindows, ar_penalty};
use vdn_model::units::{LayerConfig, SigmaMode, VariationalLayer};
use vdn_tensor::noise::NoiseKey;
use vdn_train::optim::{AdamW, AdamWConfig};

/// A layer whose unit `i` is to say the `i`-th number of its context, at a cost of `worth (z - h_i)^2 / 2` nats.
#[derive(Clone, Copy)]
pub(crate) struct Plant {
    pub(crate) worth: f64,
    pub(crate) beta: f64,
    pub(crate) sigma: SigmaMode,
    pub(crate) initial_sigma: f64,
    pub(crate) steps: u64,
}

pub(crate) const PLANT: Plant =
    Plant { worth: 1.0, beta: 1.0, sigma: SigmaMode::PerUnitInput, initial_sigma: 0.7, steps: 400 };

/// What the last fifty steps showed, on average.
pub(crate) struct Shown {
    pub(crate) energy: Vec<f64>,
    pub(crate) kl: Vec<f64>,
    pub(crate) rate: Vec<f64>,
    pub(crate) nll: f64,
    pub(crate) ar: f64,
    pub(crate) log_sigma: Vec<f64>,
    pub(crate) control: LayerControl,
}

impl Plant {
    /// Trains the layer with what `build` adds to its controllers.
    pub(crate) fn run(
        self,
        build: &dyn Fn(&mut LayerControl) -> Result<(), Failure>,
    ) -> Result<Shown, Failure> {
        let mut parameters = Parameters::<f64>::new();
        let config = LayerConfig {
            inputs: INPUTS,
            units: UNITS,
            sigma: self.sigma,
            initial_sigma: self.initial_sigma,
            train_samples: 2,
            ..LayerConfig::default()
        };
        let layer = VariationalLayer::new(&mut Builder::new(&mut parameters, 1), config)?;
        let mut optimizer = AdamW::new(&parameters, AdamWConfig::default())?;
        let control_config =
            LayerControlConfig { beta: self.beta, ..LayerControlConfig::default() };
        let mut control = LayerControl::new(UNITS, 1, control_config);
        build(&mut control)?;
        let (mut tape, mut bindings) = (Tape::new(), Bindings::new());
        let h = normals(1, ROWS * INPUTS);
        let before: Vec<f64> =
            h.iter().zip(normals(2, ROWS * INPUTS)).map(|(h, e)| 0.6 * h + 0.8 * e).collect();
        let zero = || vec![0.0; UNITS];
        let (mut energy, mut kl, mut rate, mut nll, mut ar) = (zero(), zero(), zero(), 0.0, 0.0);
        for step in 0..self.steps {
            tape.reset();
            let key = NoiseKey::new(1, 0, step as u32);
            let mut graph = Graph::new(&mut tape, &parameters, &mut bindings, Mode::Train, key);
            let context = graph.tape.constant([ROWS, INPUTS], &h)?;
            let out = layer.forward(&mut graph, context)?;
            let objective = control.levers().objective.clone();
            let penalty = match objective.autoregression {
                Some(term) => {
                    let context = graph.tape.constant([ROWS, INPUTS], &before)?;
                    let mu = layer.means(&mut graph, context)?;
                    Some(ar_penalty(graph.tape, out.mu, mu, term.phi, term.sigma)?)
                }
                None => None,
            };
            let between = BetweenWindows { ar: penalty, persistence: None };
            let wanted = tape.slice_axis(context, 1, 0, UNITS)?;
            let distance = tape.sub(out.units.z, wanted)?;
            let square = tape.square(distance)?;
            let mean = tape.mean(square)?;
            let score = tape.scale(mean, 0.5 * self.worth * UNITS as f64)?;
            let local = objective.record(&mut tape, &out.units, out.units.m2, between)?;
            let loss = tape.add(score, local.total)?;
            let losses = LossValues {
                nll: tape.scalar(score)?,
                weighted_kl: tape.scalar(local.weighted_kl)?,
                ar: local.ar.map_or(Ok(0.0), |ar| tape.scalar(ar))?,
                ..LossValues::default()
            };
            control.observe(&tape, &layer, &out, losses);
            tape.backward(loss)?;
            tape.release_shared();
            let gradients =
                (0..parameters.len()).map(|i| tape.gradient(bindings.get(i)?).map(|g| g.data()));
            optimizer.step(&mut parameters, 0.02, gradients)?;
            if let Some(gain) = control.act(&layer, &mut parameters) {
                for id in layer.mean_parameters() {
                    optimizer.rescale_rows(id.index(), gain);
                }
            }
            if step + 50 >= self.steps {
                let seen = control.observation();
                let add = |to: &mut [f64], x: &[f64]| {
                    to.iter_mut().zip(x).for_each(|(to, x)| *to += x / 50.0);
                };
                add(&mut energy, &seen.energy);
                add(&mut kl, &seen.kl);
                add(&mut rate, &seen.rate_dims);
                nll += losses.nll / 50.0;
                ar += losses.ar / 50.0;
            }
        }
        let log_sigma = parameters
            .iter()
            .find(|p| p.name().contains("log_sigma") || p.name().contains("log_scale"))
            .map(|p| p.tensor().data().to_vec())
            .unwrap_or_default();
        Ok(Shown { energy, kl, rate, nll, ar, log_sigma, control })
    }
}
