//! [`Prediction`]: the network's predictions of some rows, as plain numbers.

use crate::network::TaskNetwork;
use vdn_model::core::{Graph, ModelError};
use vdn_model::units::{Intervention, StackPass};
use vdn_tensor::Element;
use vdn_tensor::families::gaussian::{LOGVAR_MAX, LOGVAR_MIN};
use vdn_train::data::RowBatch;

/// The predictive distributions of the rows of a batch: mixtures of the likelihood over samples, in
/// the units of the network (standardised targets).
#[derive(Clone, Debug, PartialEq)]
pub struct Prediction {
    /// The numbers of samples, rows and outputs.
    pub shape: [usize; 3],
    /// Locations, log-rates or logits, `[samples, rows, outputs]`.
    pub location: Vec<f64>,
    /// The scales or dispersions, `[samples, rows, outputs]`, or `[rows, outputs]` if they are the
    /// same for all samples; empty if the likelihood has none.
    pub scale: Vec<f64>,
    /// The sum of the units' KL for each row in nats, `[rows]`; zeros without units.
    pub kl: Vec<f64>,
}

impl Prediction {
    /// The locations of a sample of a row, `[outputs]`.
    #[must_use]
    pub fn outputs(&self, sample: usize, row: usize) -> &[f64] {
        let [_, rows, outputs] = self.shape;
        &self.location[(sample * rows + row) * outputs..][..outputs]
    }

    /// The locations of one output of a row for each sample, `[samples]`.
    #[must_use]
    pub fn samples(&self, row: usize, output: usize) -> Vec<f64> {
        (0..self.shape[0]).map(|s| self.outputs(s, row)[output]).collect()
    }

    /// The scale or dispersion of one output of a row for a sample; `None` if the likelihood has
    /// none.
    #[must_use]
    pub fn scale(&self, sample: usize, row: usize, output: usize) -> Option<f64> {
        let [_, rows, outputs] = self.shape;
        let all = rows * outputs;
        let sample = if self.scale.len() == all { 0 } else { sample };
        self.scale.get((sample * rows + row) * outputs + output).copied()
    }

    /// The mixture of these samples with the samples of another network. All samples have the same
    /// weight.
    ///
    /// # Errors
    /// Returns an error if the rows or outputs differ, or if only one of the likelihoods has a
    /// scale.
    pub fn joined(mut self, other: Self) -> Result<Self, ModelError> {
        let same = self.shape[1..] == other.shape[1..] && self.kl.len() == other.kl.len();
        if !same || self.scale.is_empty() != other.scale.is_empty() {
            let shapes = [self.shape, other.shape];
            let reason = format!("predictions of the shapes {shapes:?} are not of the same rows");
            return Err(ModelError::Batch(reason));
        }
        let [own, others] = [self.shape[0], other.shape[0]];
        let scales = [self.all_scales(), other.all_scales()].concat();
        self.scale = scales;
        self.location.extend(other.location);
        let share = others as f64 / (own + others) as f64;
        self.kl.iter_mut().zip(other.kl).for_each(|(kl, other)| *kl += share * (other - *kl));
        self.shape[0] = own + others;
        Ok(self)
    }

    /// The scales of each sample, even if all samples have the same.
    fn all_scales(&self) -> Vec<f64> {
        let [samples, rows, outputs] = self.shape;
        match self.scale.len() == rows * outputs {
            true => self.scale.repeat(samples),
            false => self.scale.clone(),
        }
    }

    /// The class probabilities of a row for each sample, `[samples, classes]`.
    #[must_use]
    pub fn probabilities(&self, row: usize) -> Vec<Vec<f64>> {
        (0..self.shape[0]).map(|s| softmax(self.outputs(s, row))).collect()
    }
}

/// `e^x / sum e^x`, without overflow.
pub(crate) fn softmax(x: &[f64]) -> Vec<f64> {
    let largest = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mut p: Vec<f64> = x.iter().map(|x| (x - largest).exp()).collect();
    let sum: f64 = p.iter().sum();
    p.iter_mut().for_each(|p| *p /= sum);
    p
}

impl TaskNetwork {
    /// Records a pass under an intervention, and returns its numbers.
    ///
    /// # Errors
    /// Returns an error if the batch does not fit the network or if a number is not finite.
    pub fn predict<T: Element>(
        &self,
        graph: &mut Graph<'_, T>,
        batch: &RowBatch<'_, T>,
        intervention: Intervention,
    ) -> Result<Prediction, ModelError> {
        let pass = self.forward(graph, batch, intervention, StackPass::default())?;
        let dims = graph.tape.shape(pass.location).dims();
        let shape = [dims[0], dims[1], dims[2]];
        let double = |var| -> Vec<f64> {
            graph.tape.value(var).data().iter().map(|x: &T| x.to_f64()).collect()
        };
        let location = double(pass.location);
        let scale = pass.scale.map(double).unwrap_or_default();
        let mut kl = vec![0.0; shape[1]];
        for layer in pass.layers.iter().flatten() {
            let (mu, logvar) = (double(layer.mu), double(layer.logvar));
            let dims = mu.len() / shape[1];
            for (i, (mu, logvar)) in mu.iter().zip(logvar.iter().cycle()).enumerate() {
                let l = logvar.clamp(LOGVAR_MIN, LOGVAR_MAX);
                kl[i / dims] += 0.5 * (mu * mu + l.exp_m1() - l);
            }
        }
        if let Some(value) = location.iter().chain(&scale).chain(&kl).find(|x| !x.is_finite()) {
            return Err(ModelError::NonFinite(format!("a prediction is {value}")));
        }
        if self.config.likelihood.is_of_counts()
            && let Some(log_rate) = location.iter().find(|&&x| x > 700.0)
        {
            let reason = format!("the logarithm of a rate is {log_rate}: the rate overflows");
            return Err(ModelError::NonFinite(reason));
        }
        Ok(Prediction { shape, location, scale, kl })
    }
}
