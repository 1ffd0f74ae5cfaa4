//! [`Forecaster`] as a [`Network`] for the trainer, with [`Interventions`] on its units.

use crate::data::{Dataset, WindowIndex};
use crate::evaluate::predicted_row::{PredictedRow, per_window};
use crate::forecaster::{Batch, Forecaster, LossOptions, Variant};
use crate::modules::joint_head::SPEED;
use vdn_autograd::Score;
use vdn_model::core::{Graph, ModelError, Parameters};
use vdn_model::diagnostics::{Posteriors, UnitEffects};
use vdn_model::objective::Objective;
use vdn_model::units::{Intervention, Layers};
use vdn_tensor::Element;
use vdn_tensor::noise::NoiseKey;
use vdn_train::TrainError;
use vdn_train::metrics::{window_crps, window_nll};
use vdn_train::optim::ParameterGroup;
use vdn_train::train::{Locals, Network, Terms};
use vdn_train::units::{Interventions, Outcome};

impl<T: Element> Network<T> for Forecaster {
    type Batch<'a> = Batch<'a, T>;

    fn loss(
        &self,
        graph: &mut Graph<'_, T>,
        batch: &Batch<'_, T>,
        locals: &Locals<'_>,
    ) -> Result<Terms, ModelError> {
        let Locals { objectives, measures, want_mse } = *locals;
        let options = LossOptions { locals: objectives, measures, want_mse, noise: None };
        self.loss_with(graph, batch, &options)
    }

    fn layers(&self) -> Layers<'_> {
        self.stack().layers().into()
    }

    fn scores(&self, graph: &mut Graph<'_, T>, batch: &Batch<'_, T>) -> Result<Terms, ModelError> {
        self.score_batch(graph, batch)
    }

    fn initialize(
        &self,
        parameters: &mut Parameters<T>,
        batch: &Batch<'_, T>,
    ) -> Result<(), ModelError> {
        Self::initialize(self, parameters, batch)
    }

    /// The weight in nats of loss per time step: `beta`, or `1/H` in a bound.
    fn kl_weight(&self, layer: usize) -> f64 {
        match self.config().objective {
            Objective::Vib => self.config().beta_of(layer),
            Objective::Elbo | Objective::Iwae => 1.0 / self.config().horizon as f64,
        }
    }

    /// The loadings of a joint head have a higher learning rate than other parameters
    /// ([`JointHead`](crate::modules::JointHead)).
    fn parameter_groups(&self) -> Vec<ParameterGroup> {
        match self.has_closed_form() && self.config().variant == Variant::Variational {
            true => {
                let loadings = ParameterGroup::new("head.loadings");
                vec![ParameterGroup { rate: SPEED, own_clip: true, ..loadings }]
            }
            false => Vec::new(),
        }
    }

    fn objective(&self) -> Objective {
        self.config().objective
    }

    fn settings(&self) -> String {
        format!("{:?}", self.config())
    }

    fn distributional_layers(&self) -> Vec<usize> {
        match self.config().variant {
            Variant::Variational => Self::distributional_layers(self),
            Variant::Twin | Variant::ReferenceTwin | Variant::GatedTwin => Vec::new(),
        }
    }
}

impl<T: Element> Interventions<T, Dataset> for Forecaster {
    fn outcomes(
        &self,
        graph: &mut Graph<'_, T>,
        batch: &Batch<'_, T>,
        intervention: Intervention,
        data: &Dataset,
        windows: &[WindowIndex],
    ) -> Result<Vec<Outcome>, TrainError> {
        let (prediction, _) = self.predict(graph, batch, intervention)?;
        let rule = self.score();
        per_window(data, windows, |row, target| {
            let likelihood = prediction.window_log_likelihood(row, target);
            let own = PredictedRow::new(&prediction, row);
            let crps = own.score(target, window_crps)?;
            // Like the likelihood of the window, this is the score of the distribution without its
            // limit.
            let nll = own.without_floor().score(target, window_nll)?;
            // These are sums over the observed steps, like the likelihood.
            let seen = target.iter().filter(|y| !y.is_nan()).count() as f64;
            let score = -seen * nll.of(rule);
            let steps = -seen * nll.of(Score::Marginal);
            let noise = prediction.shared.as_ref().map(|_| likelihood - steps);
            Ok(Outcome { likelihood, score, crps, noise })
        })
    }

    fn posteriors(
        &self,
        parameters: &Parameters<T>,
        batch: &Batch<'_, T>,
        key: NoiseKey,
        layer: usize,
    ) -> Result<Posteriors, ModelError> {
        Self::posteriors(self, parameters, batch, key, layer)
    }

    fn unit_effects(
        &self,
        parameters: &Parameters<T>,
        batch: &Batch<'_, T>,
        key: NoiseKey,
        samples: usize,
        of: (usize, &[usize]),
    ) -> Result<UnitEffects, ModelError> {
        Self::unit_effects(self, parameters, batch, key, samples, of)
    }
}
