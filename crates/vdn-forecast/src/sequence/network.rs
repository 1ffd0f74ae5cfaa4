//! [`SequenceForecaster`] as a [`Network`], so that the trainer trains it.
//!
//! A batch is a [`Series`]; [`Segments`](crate::Segments) cuts long series into such batches. The
//! units form a [`SequenceLayer`](vdn_model::SequenceLayer) and not layers of a stack. So
//! [`Network::layers`] is empty: no controllers are built, and validation measures no units.
//! [`SequenceForecaster::diagnostics`] measures and judges the units instead.

use crate::sequence::series::Series;
use crate::sequence::{SequenceForecaster, SequenceObjective};
use vdn_model::{Graph, MAX_DEPTH, Mode, ModelError, StackLayer, unroll_terms};
use vdn_tensor::Element;
use vdn_train::train::{Locals, Network, Terms};

/// How the trainer trains a [`SequenceForecaster`].
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SequenceTraining {
    /// The trajectories of a sequence, and the weight of the divergence.
    pub objective: SequenceObjective,
    /// Steps over which the weight of the divergence rises to that of the objective, in a straight
    /// line from 0; default 0: it never changes. At full weight from the start most units would
    /// never be used.
    pub warmup_steps: u64,
}

impl SequenceTraining {
    /// The weight of the divergence at a training step, from 0.
    #[must_use]
    pub fn beta(&self, step: u64) -> f64 {
        let SequenceObjective { beta, .. } = self.objective;
        match self.warmup_steps {
            0 => beta,
            steps => beta * (step as f64 / steps as f64).min(1.0),
        }
    }
}

impl SequenceForecaster {
    /// The same model, which the trainer trains like this.
    #[must_use]
    pub fn with_training(self, training: SequenceTraining) -> Self {
        Self { training, ..self }
    }
}

/// The loss is that of [`SequenceForecaster::loss`], in nats per step. The score is the negative
/// bound in nats per step, whatever the weight of the divergence is. The training step is the one
/// that the noise of the graph is addressed by; an evaluation has the full weight.
impl<T: Element> Network<T> for SequenceForecaster {
    type Batch<'a> = Series<'a, T>;

    fn loss(
        &self,
        graph: &mut Graph<'_, T>,
        series: &Series<'_, T>,
        locals: &Locals<'_>,
    ) -> Result<Terms, ModelError> {
        if locals.objectives.iter().any(Option::is_some) {
            let reason = "a sequence forecaster has no layer of a stack";
            return Err(ModelError::config("local objective", reason));
        }
        let SequenceObjective { samples, beta } = self.training.objective;
        let beta = match graph.mode() {
            Mode::Train => self.training.beta(graph.noise(self.layer.stream()).step.into()),
            Mode::Evaluate => beta,
        };
        let pass = self.pass(*series, samples)?;
        let totals = unroll_terms(graph, &pass, pass.blocks())?;
        let loss = super::weighted(graph.tape, &totals, series.steps(), beta)?;
        let score = super::weighted(graph.tape, &totals, series.steps(), 1.0)?;
        let (outputs, own) = ([None; MAX_DEPTH], [None; MAX_DEPTH]);
        Ok(Terms { loss, score, mse: None, kl: Some(totals[1]), outputs, locals: own })
    }

    fn layers(&self) -> &[StackLayer] {
        &[]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sequence::{Segments, SequenceForecasterConfig};
    use rand::seq::SliceRandom;
    use vdn_autograd::Tape;
    use vdn_model::streams::TRAINING_ORDER;
    use vdn_model::{Bindings, Parameters};
    use vdn_tensor::noise::{NoiseKey, NoiseRng};
    use vdn_tensor::parallel::Pool;
    use vdn_train::data::{Examples, Request, Split};
    use vdn_train::{AdamW, AdamWConfig, Selection, TrainConfig, Trainer};

    const RATE: f64 = 5e-3;

    fn setting() -> (SequenceForecaster, Parameters<f32>, Segments) {
        let config = SequenceForecasterConfig {
            units: 3,
            window: 2,
            hidden: vec![6],
            covariates: 1,
            ..SequenceForecasterConfig::default()
        };
        let training = SequenceTraining { warmup_steps: 4, ..SequenceTraining::default() };
        let x = |t: i32| (f64::from(t) / 5.0).sin() + 0.1 * f64::from(t % 3);
        let series = [0, 7].map(|start| {
            let observations = (start..start + 60).map(x).collect();
            (observations, (start..start + 60).map(|t| f64::from(t % 7) / 7.0).collect())
        });
        let data = Segments::new(&config, series.to_vec(), 20).unwrap();
        let data = data.split_at(40, 20).unwrap();
        let (model, parameters) = SequenceForecaster::new::<f32>(config, 1).unwrap();
        (model.with_training(training), parameters, data)
    }

    fn trainer() -> Trainer {
        let train = TrainConfig {
            epochs: 2,
            batch: 14,
            learning_rate: RATE,
            seed: 3,
            selection: Selection::Last,
            ema_decay: 0.0,
            ..TrainConfig::default()
        };
        Trainer { train, ..Trainer::default() }
    }

    /// The same training, written out.
    fn by_hand() -> Parameters<f32> {
        let (model, mut parameters, data) = setting();
        let mut optimizer = AdamW::new(AdamWConfig::default(), &parameters).unwrap();
        let (mut tape, mut bindings) = (Tape::new(), Bindings::new());
        let (mut buffers, mut step) = (Default::default(), 0);
        for epoch in 1..=2 {
            let mut order = Examples::<f32>::split(&data, Split::Train).to_vec();
            order.shuffle(&mut NoiseRng::new(NoiseKey::new(3, TRAINING_ORDER, epoch)));
            for examples in order.chunks(14) {
                let series: Series<'_, f32> =
                    data.fill(&mut buffers, examples, Request::TARGETS).unwrap();
                tape.reset();
                let (mode, key) = (Mode::Train, NoiseKey::new(3, 0, step));
                let mut graph = Graph::new(&mut tape, &parameters, &mut bindings, mode, key);
                let beta = (f64::from(step) / 4.0).min(1.0);
                let objective = SequenceObjective { beta, ..SequenceObjective::default() };
                let loss = model.loss(&mut graph, series, objective).unwrap().loss;
                tape.backward(loss).unwrap();
                tape.release_shared();
                let gradients = (0..parameters.len())
                    .map(|i| bindings.get(i).and_then(|var| tape.gradient(var)).map(|g| g.data()));
                optimizer.step(&mut parameters, RATE, gradients).unwrap();
                step += 1;
            }
        }
        assert_eq!(step, 6);
        parameters
    }

    #[test]
    fn the_trainer_takes_the_steps_of_a_loop_by_hand_with_any_number_of_threads() {
        let bits = |parameters: &Parameters<f32>| -> Vec<u32> {
            parameters.iter().flat_map(|p| p.tensor().data()).map(|x| x.to_bits()).collect()
        };
        let want = bits(&by_hand());
        for threads in [1, 3] {
            let (model, mut parameters, data) = setting();
            let trained = Pool::new(threads)
                .unwrap()
                .run(|| trainer().train(&model, &mut parameters, &data, |_| {}))
                .unwrap();
            assert!(bits(&parameters) == want, "{threads} threads");
            let last = trained.history.last().unwrap();
            assert!(last.validation_nll.is_finite() && trained.seen.is_empty());
        }
    }
}
