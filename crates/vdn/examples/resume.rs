//! Stops a run and resumes it: the result has the same bits as a run that was never stopped.
//!
//! Run with `cargo run --release -p vdn --example resume`.

use std::path::Path;
use vdn::prelude::*;

struct Regression {
    stack: Stack,
    head: Linear,
}

impl Network<f32> for Regression {
    type Batch<'a> = RowBatch<'a, f32>;
    fn loss(
        &self,
        graph: &mut Graph<'_, f32>,
        batch: &RowBatch<'_, f32>,
        locals: &Locals<'_>,
    ) -> Result<Terms, ModelError> {
        let x = graph.tape.constant([batch.rows, 1], batch.inputs)?;
        let y = graph.tape.constant([batch.rows, 1], batch.targets)?;
        let units = self.stack.forward(graph, x)?;
        let mean = self.head.forward(graph, units.z)?;
        let deviation = graph.tape.constant([], &[0.3])?;
        let score = graph.tape.gaussian_nll(mean, deviation, y)?;
        locals.terms(graph, self, &units.layers, score)
    }
    fn layers(&self) -> Layers<'_> {
        self.stack.layers().into()
    }
}

/// Starts or resumes a training in `folder`. A real program requests the interruption on SIGINT or
/// SIGTERM; this example requests it after the step `stop`.
fn train(data: &Rows, folder: &Path, stop: u64) -> Result<Parameters<f32>, TrainError> {
    // Builds the network again from the same seed. A checkpoint then replaces the initial weights.
    let mut parameters = Parameters::new();
    let mut builder = Builder::new(&mut parameters, 7);
    let stack = Stack::new(&mut builder, "units", &[LayerConfig::new(1, 16).into()])?;
    let network = Regression { stack, head: Linear::new(&mut builder, "head", 16, 1) };

    let mut trainer = Trainer { files: Some(RunFiles::open(folder)?), ..Trainer::default() };
    (trainer.train.epochs, trainer.train.batch, trainer.train.learning_rate) = (12, 64, 1e-2);
    trainer.train.checkpoint_every_epochs = 3; // and another one at an interruption
    let interrupt = trainer.interrupt.clone();
    // Continues from the newest complete checkpoint, or starts anew if there is none.
    let trained = trainer.resume(&network, &mut parameters, data, |progress| match progress {
        Progress::Step { done, total } if done == stop => {
            println!("interrupted at step {done} of {total}");
            interrupt.request();
        }
        Progress::Checkpoint { bytes, .. } => println!("a checkpoint of {bytes} bytes"),
        _ => {}
    })?;
    println!("{} epochs, the best was number {}", trained.history.len(), trained.best_epoch);
    Ok(parameters)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let inputs: Vec<f64> = (0..512).map(|i| f64::from(i * 37 % 512) / 85.0 - 3.0).collect();
    let targets = inputs.iter().map(|x| x.sin()).collect();
    let data = Rows::new([1, 1], inputs, targets)?.split_at(384, 128)?;
    let folders = [tempfile::tempdir()?, tempfile::tempdir()?];
    let whole = train(&data, folders[0].path(), u64::MAX)?;
    let stopped = train(&data, folders[1].path(), 40);
    assert!(matches!(stopped, Err(TrainError::Interrupted { step: 40 })));
    let resumed = train(&data, folders[1].path(), u64::MAX)?;
    let bits = |parameters: &Parameters<f32>| -> Vec<u32> {
        parameters.iter().flat_map(|p| p.tensor().data()).map(|x| x.to_bits()).collect()
    };
    assert_eq!(bits(&whole), bits(&resumed));
    println!("the same {} weights, bit for bit", whole.numel());
    Ok(())
}
