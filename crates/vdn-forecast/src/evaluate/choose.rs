//! What an epoch is chosen by.

use crate::data::Dataset;
use crate::evaluate::evaluate::{mean_crps, mean_log_likelihood};
use crate::evaluate::validation::Evaluation;
use crate::forecaster::Forecaster;
use vdn_model::Parameters;
use vdn_model::controllers::StackControl;
use vdn_tensor::Element;
use vdn_train::BatchAverages;
use vdn_train::NoiseSeed;
use vdn_train::Selection;
use vdn_train::TrainError;
use vdn_train::{Candidate, SelectionRule};

/// A validated epoch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Validated<'a> {
    pub(crate) epoch: usize,
    pub(crate) validation: &'a Evaluation,
    pub(crate) averages: BatchAverages,
    pub(crate) noise: NoiseSeed,
    pub(crate) rule: &'a SelectionRule,
}

impl Validated<'_> {
    /// Its score; smaller is better.
    ///
    /// # Errors
    /// A prediction that is not finite.
    pub(crate) fn score<T: Element>(
        &self,
        by: Selection,
        model: &Forecaster,
        parameters: &Parameters<T>,
        data: &Dataset,
        control: &StackControl,
    ) -> Result<f64, TrainError> {
        let (validation, windows) = (self.validation, &data.splits().validation);
        let Self { noise, averages, .. } = *self;
        Ok(match by {
            Selection::Nll => validation.nll,
            Selection::Mse => validation.mse,
            Selection::Elbo => {
                validation.kl()
                    - mean_log_likelihood(model, parameters, data, windows, noise, averages)?
            }
            Selection::Crps => mean_crps(model, parameters, data, windows, noise, averages)?,
            Selection::Last => -(self.epoch as f64),
            Selection::Score => self.rule.score(&candidate(self.epoch, validation, control)),
        })
    }
}

/// What the selection score looks at; without energy bands, the fit and the KL alone. Shares and penalty are means over the
/// units of all layers with bands.
fn candidate(epoch: usize, validation: &Evaluation, control: &StackControl) -> Candidate {
    let mut seen = Candidate {
        epoch: Some(epoch as u64),
        nll: Some(validation.nll),
        mse: Some(validation.mse),
        kl: Some(validation.kl()),
        ..Candidate::default()
    };
    let banded = || {
        validation.layers.iter().filter_map(|layer| {
            let objective = &control.layer(layer.layer)?.levers().objective;
            Some((layer, objective.band.as_ref()?))
        })
    };
    let units: usize = banded().map(|(_, band)| band.bounds.len()).sum();
    for (layer, band) in banded() {
        let energy = layer.statistics.energy();
        let k = energy.len() / band.bounds.len().max(1);
        let energy: Vec<f64> =
            energy.chunks_exact(k.max(1)).map(|e| e.iter().sum::<f64>() / k as f64).collect();
        let [low, high] = band.bounds.outside(&energy);
        let share = band.bounds.len() as f64 / units as f64;
        let add = |sum: &mut Option<f64>, x: f64| *sum = Some(sum.unwrap_or(0.0) + share * x);
        add(&mut seen.low, low);
        add(&mut seen.high, high);
        add(&mut seen.band, band.hinge.value(&energy, &band.bounds));
    }
    seen
}
