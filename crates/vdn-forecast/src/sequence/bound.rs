//! [`SequenceBound`]: the evidence lower bound of sequences, computed without gradients.

use crate::sequence::SequenceForecaster;
use crate::sequence::blocks::Block;
use crate::sequence::series::Series;
use vdn_autograd::Tape;
use vdn_model::core::{Bindings, Graph, Mode, ModelError, Parameters};
use vdn_model::priors::PriorSteps;
use vdn_model::sequence::{Past, Posterior};
use vdn_tensor::noise::NoiseKey;
use vdn_tensor::{Element, Tensor};

/// The evidence lower bound of each sequence, averaged over samples.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SequenceBound {
    /// `E ln p(x | z)` in nats per sequence, `[batch]`.
    pub log_likelihood: Vec<f64>,
    /// The KL divergence from the prior in nats per sequence, `[batch]`.
    pub kl: Vec<f64>,
    /// The KL divergence of each unit in nats per step, averaged over sequences, `[units]`.
    pub unit_kl: Vec<f64>,
    /// The number of steps of a sequence.
    pub steps: usize,
}

impl SequenceBound {
    /// Returns the evidence lower bound of each sequence in nats, `[batch]`.
    #[must_use]
    pub fn elbo(&self) -> Vec<f64> {
        self.log_likelihood.iter().zip(&self.kl).map(|(l, kl)| l - kl).collect()
    }

    /// Returns the mean bound in nats per step.
    #[must_use]
    pub fn per_step(&self) -> f64 {
        self.elbo().iter().sum::<f64>() / (self.kl.len() * self.steps) as f64
    }
}

impl SequenceForecaster {
    /// Returns the evidence lower bound of each sequence, from `samples` trajectories. Memory does
    /// not depend on the number of steps.
    ///
    /// # Errors
    /// The errors of [`SequenceForecaster::loss`].
    pub fn bound<T: Element>(
        &self,
        parameters: &Parameters<T>,
        series: Series<'_, T>,
        samples: usize,
        noise: NoiseKey,
    ) -> Result<SequenceBound, ModelError> {
        let pass = self.pass(series, samples)?;
        let (batch, units) = (series.batch(), self.config.units);
        let (prior, posterior) = (self.layer.prior(), self.config.posterior);
        let (mut tape, mut bindings) = (Tape::new(), Bindings::new());
        tape.set_recording_gradients(false);
        let mut bound = SequenceBound {
            log_likelihood: vec![0.0; batch],
            kl: vec![0.0; batch],
            unit_kl: vec![0.0; units],
            steps: series.steps(),
        };
        let draws = match posterior {
            Posterior::Structured => samples,
            _ => 1,
        };
        let mut state: Vec<Tensor<T>> = Vec::new();
        for block in 0..pass.blocks() {
            tape.reset();
            let mut graph = Graph::new(&mut tape, parameters, &mut bindings, Mode::Evaluate, noise);
            let mut past = Vec::new();
            for tensor in &state {
                past.push(graph.tape.constant(*tensor.shape(), tensor.data())?);
            }
            let past = Past::from_vars(posterior, &past);
            let mut steps = PriorSteps::new(&mut graph, prior)?;
            let Block { kl, log_density, past } =
                pass.block(&mut graph, block, &mut steps, past, false)?;
            for &kl in &kl {
                for (row, kl) in tape.value(kl).data().chunks_exact(units).enumerate() {
                    for (unit, kl) in bound.unit_kl.iter_mut().zip(kl) {
                        let kl = kl.to_f64() / draws as f64;
                        bound.kl[row % batch] += kl;
                        *unit += kl / (batch * series.steps()) as f64;
                    }
                }
            }
            let channels = self.config.channels;
            let rows = tape.value(log_density).data().chunks_exact(channels);
            for (row, l) in rows.enumerate() {
                let sum: f64 = l.iter().map(|l| l.to_f64()).sum();
                bound.log_likelihood[row % batch] += sum / samples as f64;
            }
            state.clear();
            for var in past.vars(posterior) {
                let view = tape.value(var);
                state.push(
                    Tensor::from_slice(*view.shape(), view.data())
                        .map_err(vdn_autograd::Error::from)?,
                );
            }
        }
        Ok(bound)
    }
}
