//! Training with another optimiser than the default one, in parts of a batch, and with a hook on
//! the gradients.
//!
//! The network has no units and no noise, and gradient descent is linear in the gradient, so the
//! weights are sensitive to a wrong factor. AdamW and its clip would hide it.

use super::network::rows;
use std::path::Path;
use vdn_model::core::{Builder, Graph, ModelError, Parameters};
use vdn_model::modules::Linear;
use vdn_model::units::{LayerOutputs, Layers};
use vdn_train::TrainError;
use vdn_train::config::Selection;
use vdn_train::data::{RowBatch, Rows};
use vdn_train::optim::{Sgd, SgdConfig};
use vdn_train::run::RunFiles;
use vdn_train::train::{Locals, Network, Progress, Terms, Trainer};

/// A linear regression. Its last parameter has no effect on the loss.
struct Line {
    map: Linear,
}

impl Line {
    fn new() -> (Self, Parameters<f64>) {
        let mut parameters = Parameters::new();
        let mut builder = Builder::new(&mut parameters, 0);
        let map = Linear::new(&mut builder, "map", 2, 1);
        Linear::new(&mut builder, "unused", 1, 1);
        (Self { map }, parameters)
    }
}

impl Network<f64> for Line {
    type Batch<'a> = RowBatch<'a, f64>;

    fn loss(
        &self,
        graph: &mut Graph<'_, f64>,
        batch: &RowBatch<'_, f64>,
        locals: &Locals<'_>,
    ) -> Result<Terms, ModelError> {
        let x = graph.tape.constant([batch.rows, 2], batch.inputs)?;
        let y = graph.tape.constant([batch.rows, 1], batch.targets)?;
        let mean = self.map.forward(graph, x)?;
        let residual = graph.tape.sub(mean, y)?;
        let squares = graph.tape.square(residual)?;
        let score = graph.tape.mean(squares)?;
        locals.terms(graph, self, &LayerOutputs::default(), score)
    }

    fn layers(&self) -> Layers<'_> {
        Layers::default()
    }

    fn kl_weight(&self, _layer: usize) -> f64 {
        1.0
    }
}

fn trainer(batch: usize, accumulate: usize) -> Trainer {
    let mut trainer = Trainer::default();
    (trainer.train.epochs, trainer.train.batch, trainer.train.learning_rate) = (5, batch, 1e-2);
    (trainer.train.accumulate, trainer.train.selection) = (accumulate, Selection::Last);
    trainer
}

fn numbers(parameters: &Parameters<f64>) -> Vec<f64> {
    parameters.iter().flat_map(|p| p.tensor().data().to_vec()).collect()
}

/// A hook on the gradients of all parameters.
type Hook<'a> = &'a mut dyn FnMut(&mut [Option<Vec<f64>>]);

/// The weights after a training by gradient descent.
fn descend(
    trainer: &Trainer,
    config: SgdConfig,
    data: &Rows,
    hook: Option<Hook<'_>>,
) -> Result<Vec<f64>, TrainError> {
    let (network, mut parameters) = Line::new();
    let optimizer = Sgd::new(&parameters, config)?;
    let session = trainer.session(&network, &mut parameters, data)?.with_optimizer(optimizer);
    match hook {
        Some(hook) => session.on_gradients(hook).run(|_| ())?,
        None => session.run(|_| ())?,
    };
    Ok(numbers(&parameters))
}

/// 24 rows in steps of ten and four, in passes of four, four and two, or two and two.
#[test]
fn parts_of_a_batch_give_the_gradient_of_the_whole() -> Result<(), TrainError> {
    let data = rows(1.0);
    let config = SgdConfig { nesterov: true, ..SgdConfig::default() };
    let whole = descend(&trainer(10, 1), config, &data, None)?;
    let parts = descend(&trainer(10, 3), config, &data, None)?;
    assert_ne!(whole, numbers(&Line::new().1), "nothing was trained");
    for (whole, parts) in whole.iter().zip(&parts) {
        // 15 steps of a stable descent; each adds a few roundings.
        assert!((whole - parts).abs() <= 1e-12 * (1.0 + whole.abs()), "{whole} {parts}");
    }
    Ok(())
}

#[test]
fn a_hook_reads_and_changes_the_gradients_of_every_step() -> Result<(), TrainError> {
    let data = rows(1.0);
    let mut steps = 0;
    let mut erase = |gradients: &mut [Option<Vec<f64>>]| {
        steps += 1;
        let known: Vec<bool> = gradients.iter().map(Option::is_some).collect();
        assert_eq!(known, [true, true, false, false]);
        for gradient in gradients.iter_mut().flatten() {
            assert!(gradient.iter().any(|&g| g != 0.0), "{gradient:?}");
            gradient.fill(0.0);
        }
    };
    let kept = descend(&trainer(8, 1), SgdConfig::default(), &data, Some(&mut erase))?;
    assert_eq!(kept, numbers(&Line::new().1), "a gradient reached the optimiser");
    assert_eq!(steps, 5 * 24 / 8);
    // Twice the gradient is twice the rate.
    let mut double = |gradients: &mut [Option<Vec<f64>>]| {
        gradients.iter_mut().flatten().flatten().for_each(|g| *g *= 2.0);
    };
    let hooked = descend(&trainer(8, 1), SgdConfig::default(), &data, Some(&mut double))?;
    let mut fast = trainer(8, 1);
    fast.train.learning_rate *= 2.0;
    let fast = descend(&fast, SgdConfig::default(), &data, None)?;
    for (hooked, fast) in hooked.iter().zip(&fast) {
        assert!((hooked - fast).abs() <= 1e-12 * (1.0 + fast.abs()), "{hooked} {fast}");
    }
    Ok(())
}

/// Trains in a folder with every setting of [`Sgd`], and is interrupted after the step `stop`.
fn durable(folder: &Path, stop: u64) -> Result<Vec<f64>, TrainError> {
    let (network, mut parameters) = Line::new();
    let config = SgdConfig { momentum: 0.8, nesterov: true, weight_decay: 0.1, clip_norm: 0.5 };
    let optimizer = Sgd::new(&parameters, config)?;
    let trainer = Trainer { files: Some(RunFiles::open(folder)?), ..trainer(8, 1) };
    let data = rows(1.0);
    let session = trainer.session(&network, &mut parameters, &data)?;
    let mut session = session.with_optimizer(optimizer);
    session.resume()?;
    session.run(|event| {
        if let Progress::Step { done, .. } = event
            && done == stop
        {
            trainer.interrupt.request();
        }
    })?;
    Ok(numbers(&parameters))
}

#[test]
fn descent_resumes_with_its_velocity() {
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let whole = durable(folders[0].path(), u64::MAX).unwrap();
    for stop in [1, 4, 9] {
        durable(folders[1].path(), stop).unwrap_err();
    }
    let resumed = durable(folders[1].path(), u64::MAX).unwrap();
    let bits = |x: &[f64]| x.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
    assert_eq!(bits(&resumed), bits(&whole));
}
