//! Implements [`Network`] for [`SequenceForecaster`], so that the trainer can train it.
//!
//! A batch is a [`Series`]; [`Segments`](crate::sequence::Segments) cuts long series into such
//! batches. The units form one layer along the sequence. Their measures and controllers average
//! over samples, sequences and steps ([`Innovations`](vdn_model::sequence::Innovations)), given the
//! previous step. Rates, KL divergences and multipliers are in nats per step, like the loss.
//!
//! Only the structured posterior has these measures. With another one the trainer sees no units;
//! use [`SequenceForecaster::diagnostics`] to measure them.

use crate::sequence::series::Series;
use crate::sequence::{SequenceForecaster, SequenceObjective};
use vdn_autograd::Var;
use vdn_model::core::{Graph, Mode, ModelError};
use vdn_model::objective::BetweenWindows;
use vdn_model::sequence::{Posterior, step_persistence, unroll_terms};
use vdn_model::units::{Layers, MAX_DEPTH};
use vdn_tensor::Element;
use vdn_train::train::{Locals, Network, Terms};

/// The training settings of a [`SequenceForecaster`].
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SequenceTraining {
    /// The number of trajectories of a sequence, and the weight of the KL divergence.
    pub objective: SequenceObjective,
    /// The number of steps over which the weight of the KL divergence rises linearly from 0 to its
    /// full value, which the objective or the controllers set. Default: 0, which uses the full
    /// weight from the start. With the full weight from the start, most units would never be used.
    pub warmup_steps: u64,
}

impl SequenceTraining {
    /// Returns the weight of the KL divergence at a training step (from 0), if no controller sets
    /// it.
    #[must_use]
    pub fn beta(&self, step: u64) -> f64 {
        self.objective.beta * self.share(step)
    }

    /// Returns the fraction of the full weight at a training step.
    fn share(&self, step: u64) -> f64 {
        match self.warmup_steps {
            0 => 1.0,
            steps => (step as f64 / steps as f64).min(1.0),
        }
    }
}

impl SequenceForecaster {
    /// Returns the same model with these training settings.
    #[must_use]
    pub fn with_training(self, training: SequenceTraining) -> Self {
        Self { training, ..self }
    }

    /// Records the objective without controllers: both totals, and the loss with this weight.
    fn plain<T: Element>(
        graph: &mut Graph<'_, T>,
        totals: &[Var],
        steps: usize,
        beta: f64,
    ) -> Result<Terms, ModelError> {
        let loss = super::weighted(graph.tape, totals, steps, beta)?;
        let share = T::from_f64(1.0 / steps as f64);
        let [score, kl] = [totals[0], totals[1]].map(|total| graph.tape.scale(total, share));
        let (score, kl) = (score?, Some(kl?));
        let (outputs, locals) = ([None; MAX_DEPTH], [None; MAX_DEPTH]);
        Ok(Terms { loss, score, mse: None, kl, outputs, locals })
    }
}

/// The loss is [`SequenceForecaster::loss`], in nats per step. The score of a training step is its
/// negative log-likelihood; the score of a validation is the negative evidence lower bound with the
/// full weight.
///
/// With controllers, the KL divergence of every unit has its own weight, and constraints are added.
/// The training step is the step in the address of the graph's noise.
impl<T: Element> Network<T> for SequenceForecaster {
    type Batch<'a> = Series<'a, T>;

    fn loss(
        &self,
        graph: &mut Graph<'_, T>,
        series: &Series<'_, T>,
        locals: &Locals<'_>,
    ) -> Result<Terms, ModelError> {
        let SequenceObjective { samples, beta } = self.training.objective;
        let share = match graph.mode() {
            Mode::Train => self.training.share(graph.noise(self.layer.stream()).step.into()),
            Mode::Evaluate => 1.0,
        };
        let pass = self.pass(*series, samples)?;
        let Some(local) = locals.objectives[0] else {
            let totals = unroll_terms(graph, &pass, pass.blocks())?;
            return Self::plain(graph, &totals, series.steps(), beta * share);
        };
        if self.config.posterior != Posterior::Structured {
            let reason = "only the structured posterior of a sequence has units to control";
            return Err(ModelError::config("local objective", reason));
        }
        let observed = pass.observed(graph)?;
        let mut outputs = [None; MAX_DEPTH];
        outputs[0] = Some(observed.output);
        let mut between = [BetweenWindows::default(); MAX_DEPTH];
        if local.persistence.is_some() {
            between[0].persistence = Some(step_persistence(graph.tape, &observed.latents)?);
        }
        let per_step = T::from_f64(1.0 / series.steps() as f64);
        let score = graph.tape.scale(observed.totals[0], per_step)?;
        let mut terms = locals.terms_between(graph, self, &outputs, &between, score)?;
        if let Some(own) = terms.locals[0].filter(|_| share < 1.0) {
            let less = graph.tape.scale(own.weighted_kl, T::from_f64(share - 1.0))?;
            terms.loss = graph.tape.add(terms.loss, less)?;
        }
        Ok(terms)
    }

    fn layers(&self) -> Layers<'_> {
        (&self.layer).into()
    }

    fn distributional_layers(&self) -> Vec<usize> {
        match self.config.posterior {
            Posterior::Structured => vec![0],
            Posterior::MeanField | Posterior::Penalty => Vec::new(),
        }
    }

    fn scores(
        &self,
        graph: &mut Graph<'_, T>,
        series: &Series<'_, T>,
    ) -> Result<Terms, ModelError> {
        let SequenceObjective { samples, beta } = self.training.objective;
        let pass = self.pass(*series, samples)?;
        let (totals, output) = match self.config.posterior {
            Posterior::Structured => {
                let observed = pass.observed(graph)?;
                (observed.totals, Some(observed.output))
            }
            _ => (unroll_terms(graph, &pass, pass.blocks())?, None),
        };
        let mut terms = Self::plain(graph, &totals, series.steps(), beta)?;
        terms.score = super::weighted(graph.tape, &totals, series.steps(), 1.0)?;
        terms.outputs[0] = output;
        Ok(terms)
    }

    fn kl_weight(&self, _layer: usize) -> f64 {
        self.training.objective.beta
    }

    fn settings(&self) -> String {
        format!("{:?} {:?}", self.config, self.training)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sequence::{Segments, SequenceForecasterConfig};
    use rand::seq::SliceRandom;
    use vdn_autograd::Tape;
    use vdn_model::core::streams::TRAINING_ORDER;
    use vdn_model::core::{Bindings, Parameters};
    use vdn_tensor::noise::{NoiseKey, NoiseRng};
    use vdn_tensor::parallel::Pool;
    use vdn_train::config::{ControlConfig, ControlName, Selection, TrainConfig};
    use vdn_train::data::{Examples, Request, Split};
    use vdn_train::optim::{AdamW, AdamWConfig};
    use vdn_train::train::Trainer;

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
        let control = ControlConfig { mode: ControlName::None, ..ControlConfig::default() };
        Trainer { train, control, ..Trainer::default() }
    }

    /// The same training, written as a loop.
    fn by_hand() -> Parameters<f32> {
        let (model, mut parameters, data) = setting();
        let mut optimizer = AdamW::new(&parameters, AdamWConfig::default()).unwrap();
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
            assert!(last.validation_nll.is_finite());
            // The units are measured in any case.
            assert!(last.units.is_some() && last.rate > 0.0);
        }
    }
}
