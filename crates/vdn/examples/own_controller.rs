//! Your own controller with a state: it adjusts the price of information until the KL of a layer
//! reaches a given number of nats. Every checkpoint holds the state, so a resumed run continues
//! with it.
//!
//! Run with `cargo run --release -p vdn --example own_controller`.

use vdn::model::controllers::{LayerControl, LayerControlConfig, StackControl};
use vdn::prelude::*;

/// An integral controller. It integrates the excess of the layer's KL into the logarithm of the
/// factor on all KL weights.
#[derive(Debug)]
struct Thrift {
    /// The target for the KL of all units together, in nats.
    target: f64,
    /// The change of the logarithm in each step, per unit of excess relative to the target.
    gain: f64,
    log_factor: f64,
    seen: f64,
}

impl Controller for Thrift {
    fn name(&self) -> &'static str {
        "thrift"
    }
    /// The levers of this controller; no other controller of the layer may move them.
    fn owns(&self) -> &'static [Lever] {
        &[Lever::KlFactor]
    }
    /// Runs before the first step, and after a state is restored.
    fn begin(&mut self, _step: u64, levers: &mut Levers) {
        levers.objective.kl_factor = self.log_factor.exp();
    }
    /// Receives the results of a step: statistics of every unit, and the terms of the loss.
    fn observe(&mut self, seen: &Observation) {
        self.seen = seen.kl.iter().sum();
    }
    fn act(&mut self, now: &Moment<'_>, levers: &mut Levers) {
        let excess = self.seen / self.target - 1.0;
        self.log_factor =
            (self.log_factor + self.gain * excess.clamp(-1.0, 1.0)).clamp(-10.0, 10.0);
        self.begin(now.step, levers);
    }
    /// The columns of `control.csv`.
    fn report(&self, to: &mut dyn FnMut(&'static str, f64)) {
        to("kl", self.seen);
        to("log_factor", self.log_factor);
    }
    fn save(&self, state: &mut ControlState) {
        state.put("log_factor", &[self.log_factor]);
    }
    fn restore(&mut self, state: &ControlState) -> Result<(), ModelError> {
        self.log_factor = state.number("log_factor")?;
        Ok(())
    }
}

/// A layer of units, and a head that predicts the mean of `y`.
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

/// Trains with the controller and returns the final KL of the layer, in nats.
fn spent(target: f64) -> Result<f64, Box<dyn std::error::Error>> {
    let inputs: Vec<f64> = (0..512).map(|i| f64::from(i * 37 % 512) / 85.0 - 3.0).collect();
    let targets = inputs.iter().map(|x| x.sin()).collect();
    let data = Rows::new([1, 1], inputs, targets)?.split_at(384, 128)?;
    let mut parameters = Parameters::new();
    let mut builder = Builder::new(&mut parameters, 7);
    let stack = Stack::new(&mut builder, "units", &[LayerConfig::new(1, 16).into()])?;
    let network = Regression { stack, head: Linear::new(&mut builder, "head", 16, 1) };

    let mut trainer = Trainer::default();
    (trainer.train.epochs, trainer.train.batch, trainer.train.learning_rate) = (120, 64, 1e-2);
    trainer.train.selection = Selection::Last;
    trainer.control.mode = ControlName::None; // no controller of the library
    let mut session = trainer.session(&network, &mut parameters, &data)?;
    // Each nat has the weight 1e-2, times the factor.
    let config = LayerControlConfig { beta: 1e-2, ..LayerControlConfig::default() };
    let mut control = LayerControl::new(16, 1, config);
    control.add(Thrift { target, gain: 0.02, log_factor: 0.0, seen: 0.0 }, Timing::ALWAYS)?;
    *session.controllers() = StackControl::new(vec![Some(control)]);
    let trained = session.run(|_| {})?;
    let last = trained.history.last().ok_or("no epochs")?;
    println!("{target} nats wanted: {:.2} spent, score {:.3}", last.kl, last.validation_nll);
    Ok(last.kl)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    for target in [1.0, 3.0] {
        assert!((spent(target)? / target - 1.0).abs() < 0.2);
    }
    Ok(())
}
