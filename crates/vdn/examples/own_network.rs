//! Your own network: it learns `y = sin(x)` through two layers of distributional units.
//!
//! Run with `cargo run --release -p vdn --example own_network`.

use vdn::prelude::*;

/// Two layers of units, and a head that predicts the mean and the log-deviation of `y`. A network
/// holds no numbers: its parts know which of the `Parameters` belong to them.
struct Regression {
    stack: Stack,
    head: Linear,
}

fn regression() -> Result<(Regression, Parameters<f32>), ModelError> {
    let mut parameters = Parameters::new();
    let mut builder = Builder::new(&mut parameters, 7); // the seed of the first weights
    let layers = [LayerConfig::new(1, 32).into(), LayerConfig::new(32, 32).into()];
    let stack = Stack::new(&mut builder, "units", &layers)?;
    let head = Linear::new(&mut builder, "head", 32, 2);
    Ok((Regression { stack, head }, parameters))
}

/// The trainer needs only the loss of a batch and the layers of units.
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
        let both = self.head.forward(graph, units.z)?; // [samples, rows, 2]
        let mean = graph.tape.slice_axis(both, 2, 0, 1)?;
        let log_deviation = graph.tape.slice_axis(both, 2, 1, 1)?;
        let deviation = graph.tape.exp(log_deviation)?;
        let score = graph.tape.gaussian_nll(mean, deviation, y)?;
        // Adds the cost of the units: their KL, or the terms that their controllers set instead.
        locals.terms(graph, self, &units.layers, score)
    }
    fn layers(&self) -> Layers<'_> {
        self.stack.layers().into()
    }
    fn kl_weight(&self, _layer: usize) -> f64 {
        1e-3 // the initial price of a nat; controllers may change it
    }
}

/// Your own controller: the price of information rises from zero over the first steps. It depends
/// only on the number of steps, so there is no state to save.
#[derive(Debug)]
struct SlowStart;

impl Controller for SlowStart {
    fn name(&self) -> &'static str {
        "slow_start"
    }
    fn owns(&self) -> &'static [Lever] {
        &[Lever::KlFactor] // no other controller of the layer may move it
    }
    fn begin(&mut self, step: u64, levers: &mut Levers) {
        levers.objective.kl_factor = (step as f64 / 200.0).min(1.0);
    }
    fn act(&mut self, now: &Moment<'_>, levers: &mut Levers) {
        self.begin(now.step, levers);
    }
}

/// Starts or resumes a training in a folder, and interrupts it after the step `stop`.
fn run(data: &Rows, folder: &std::path::Path, stop: u64) -> Result<Parameters<f32>, TrainError> {
    let (network, mut parameters) = regression()?;
    let mut trainer = Trainer { files: Some(RunFiles::open(folder)?), ..Trainer::default() };
    (trainer.train.epochs, trainer.train.batch, trainer.train.learning_rate) = (60, 64, 1e-2);
    trainer.train.selection = Selection::Last; // the last epoch: controllers have settled
    // Every layer has a rate budget: an interval in nats per unit, and its strength.
    let rate = &mut trainer.control.rate;
    rate.relative = false; // the numbers below are nats of loss, not multiples of `kl_weight`
    (rate.low, rate.high, rate.stiffness, rate.gain, rate.limit) = (0.08, 0.22, 0.2, 0.05, 0.3);
    let mut session = trainer.session(&network, &mut parameters, data)?;
    for layer in 0..2 {
        let control = session.controllers().layer_mut(layer).expect("it has a rate budget");
        control.add(SlowStart, Timing::ALWAYS)?;
    }
    session.resume()?; // from the newest checkpoint in the folder, if there is one
    let trained = session.run(|progress| match progress {
        Progress::Step { done, .. } if done == stop => trainer.interrupt.request(),
        _ => {}
    })?;
    let score = trained.history[trained.best_epoch - 1].validation_nll;
    println!("{score:.3} nats for each y of the validation rows");
    assert!(score < 0.8, "without its input, y costs 1.09 nats");
    // The verdict: the living units, and the reasons why the others are not living.
    let control = &mut trainer.controllers(&network)?;
    control.restore(trained.control.as_ref().expect("every layer has controllers"))?;
    let check = HealthCheck { diagnostics: &trainer.diagnostics, control, seen: &trained.seen };
    let evaluator = Evaluator::new(&network, &parameters, data, trainer.train.noise());
    let validation = Examples::<f32>::split(data, Split::Validation);
    for verdict in check.report_by_measures(&evaluator, validation)?.layers {
        println!("layer {}: {}", verdict.layer + 1, verdict.living);
        assert!(verdict.living.share() >= 0.9);
    }
    Ok(parameters)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let inputs: Vec<f64> = (0..512).map(|i| f64::from(i * 37 % 512) / 85.0 - 3.0).collect();
    let targets = inputs.iter().map(|x| x.sin()).collect();
    let data = Rows::new([1, 1], inputs, targets)?.split_at(384, 128)?;
    let folders = [tempfile::tempdir()?, tempfile::tempdir()?];
    let whole = run(&data, folders[0].path(), u64::MAX)?;
    let stopped = run(&data, folders[1].path(), 100);
    assert!(matches!(stopped, Err(TrainError::Interrupted { step: 100 })));
    let resumed = run(&data, folders[1].path(), u64::MAX)?;
    assert!(whole.iter().zip(resumed.iter()).all(|(a, b)| a.tensor().data() == b.tensor().data()));
    println!("the interrupted run ended in the same weights");
    Ok(())
}
