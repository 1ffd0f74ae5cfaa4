//! The small layer that the controllers act on, and its training.

use crate::closed_loop::contexts::Contexts;
use crate::closed_loop::{Failure, INPUTS, ROWS, SHOWN, UNITS, normals, train};
use vdn_model::controllers::{LayerControl, LayerControlConfig};
use vdn_model::core::{Builder, Graph, ModelError, Parameters};
use vdn_model::objective::{BetweenWindows, ar_penalty};
use vdn_model::units::{LayerConfig, Layers, MAX_DEPTH, SigmaMode, UnitLayer, VariationalLayer};
use vdn_train::train::{Locals, Network, Terms};

/// A layer whose unit `i` must reproduce the `i`-th number of its context, at a cost of
/// `worth (z - h_i)^2 / 2` nats.
#[derive(Clone, Copy)]
pub(crate) struct Plant {
    pub(crate) worth: f64,
    pub(crate) beta: f64,
    pub(crate) sigma: SigmaMode,
    pub(crate) initial_sigma: f64,
    pub(crate) steps: u32,
}

pub(crate) const PLANT: Plant =
    Plant { worth: 1.0, beta: 1.0, sigma: SigmaMode::PerUnitInput, initial_sigma: 0.7, steps: 400 };

/// The mean observations of the last steps.
pub(crate) struct Shown {
    pub(crate) energy: Vec<f64>,
    pub(crate) kl: Vec<f64>,
    pub(crate) rate: Vec<f64>,
    pub(crate) nll: f64,
    pub(crate) ar: f64,
    pub(crate) log_sigma: Vec<f64>,
    pub(crate) control: LayerControl,
}

/// The plant in the form of the trainer's network.
struct PlantNetwork {
    layer: VariationalLayer,
    worth: f64,
}

impl Network<f64> for PlantNetwork {
    type Batch<'a> = &'a [Vec<f64>; 2];

    fn loss(
        &self,
        graph: &mut Graph<'_, f64>,
        [now, before]: &&[Vec<f64>; 2],
        locals: &Locals<'_>,
    ) -> Result<Terms, ModelError> {
        let context = graph.tape.constant([ROWS, INPUTS], now)?;
        let output = self.layer.forward(graph, context)?;
        let mut between = [BetweenWindows::default(); MAX_DEPTH];
        if let Some(term) = locals.objectives[0].and_then(|own| own.autoregression) {
            let context = graph.tape.constant([ROWS, INPUTS], before)?;
            let mu = self.layer.means(graph, context)?;
            between[0].ar = Some(ar_penalty(graph.tape, output.mu, mu, term.phi, term.sigma)?);
        }
        let wanted = graph.tape.slice_axis(context, 1, 0, UNITS)?;
        let distance = graph.tape.sub(output.units.z, wanted)?;
        let square = graph.tape.square(distance)?;
        let mean = graph.tape.mean(square)?;
        let score = graph.tape.scale(mean, 0.5 * self.worth * UNITS as f64)?;
        let mut outputs = [None; MAX_DEPTH];
        outputs[0] = Some(output);
        locals.terms_between(graph, self, &outputs, &between, score)
    }

    fn layers(&self) -> Layers<'_> {
        UnitLayer::from(&self.layer).into()
    }
}

impl Plant {
    /// Trains the layer with the controllers that `build` adds.
    pub(crate) fn run(
        self,
        build: &dyn Fn(&mut LayerControl) -> Result<(), Failure>,
    ) -> Result<Shown, Failure> {
        let mut parameters = Parameters::new();
        let config = LayerConfig {
            inputs: INPUTS,
            units: UNITS,
            sigma: self.sigma,
            initial_sigma: self.initial_sigma,
            train_samples: 2,
            ..LayerConfig::default()
        };
        let layer = VariationalLayer::new(&mut Builder::new(&mut parameters, 1), config)?;
        let network = PlantNetwork { layer, worth: self.worth };
        let controllers = || -> Result<LayerControl, Failure> {
            let config = LayerControlConfig { beta: self.beta, ..LayerControlConfig::default() };
            let mut control = LayerControl::new(UNITS, 1, config);
            build(&mut control)?;
            Ok(control)
        };
        let unit = || vec![0.0; UNITS];
        let mut shown = [unit(), unit(), unit(), vec![0.0; 2]];
        let now = normals(1, ROWS * INPUTS);
        let before =
            now.iter().zip(normals(2, ROWS * INPUTS)).map(|(h, e)| 0.6 * h + 0.8 * e).collect();
        let data = Contexts::new(self.steps, [now, before]);
        let control = train(&network, &mut parameters, &data, &controllers, |seen| {
            let losses = [seen.losses.nll, seen.losses.ar];
            let all = [&seen.energy[..], &seen.kl, &seen.rate_dims, &losses];
            for (sums, seen) in shown.iter_mut().zip(all) {
                sums.iter_mut().zip(seen).for_each(|(to, x)| *to += x / SHOWN as f64);
            }
        })?;
        let log_sigma = parameters
            .iter()
            .find(|p| p.name().contains("log_sigma") || p.name().contains("log_scale"))
            .map(|p| p.tensor().data().to_vec())
            .unwrap_or_default();
        let [energy, kl, rate, losses] = shown;
        Ok(Shown { energy, kl, rate, nll: losses[0], ar: losses[1], log_sigma, control })
    }
}
