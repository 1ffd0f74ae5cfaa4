//! Extensions that a program adds from outside through the public API alone: data, a network, a
//! controller, an optimiser and a task. None of them changes a file of the library.

use std::cell::Cell;
use vdn::model::diagnostics::Diagnostics;
use vdn::prelude::*;
use vdn::train::config::DiagnosticsConfig;
use vdn::train::evaluate::Validation;
use vdn::train::run::Tensors;
use vdn::train::units::Probe;

/// A data source: the line `y = 2 x` at whole numbers, generated on demand.
struct Line([Vec<u32>; 3]);

/// Inputs and targets.
type Points<'a> = [&'a [f32]; 2];

impl Examples<f32> for Line {
    type Index = u32;
    type Buffers = [Vec<f32>; 2];
    type Batch<'a> = Points<'a>;

    fn split(&self, split: Split) -> &[u32] {
        &self.0[split as usize]
    }

    fn fill<'a>(
        &self,
        buffers: &'a mut [Vec<f32>; 2],
        examples: &[u32],
        _request: Request,
    ) -> Result<Points<'a>, TrainError> {
        let [x, y] = buffers;
        x.clear();
        x.extend(examples.iter().map(|&i| i as f32 / 8.0 - 2.0));
        y.clear();
        y.extend(x.iter().map(|x| 2.0 * x));
        Ok([x, y])
    }
}

/// A network: one layer of units between two affine maps.
struct Small {
    stack: Stack,
    head: Linear,
}

impl Small {
    fn new() -> (Self, Parameters<f32>) {
        let mut parameters = Parameters::new();
        let mut builder = Builder::new(&mut parameters, 1);
        let layer = LayerConfig { inputs: 1, units: 4, ..LayerConfig::default() };
        let config = StackLayerConfig { layer, ..StackLayerConfig::default() };
        let stack = Stack::new(&mut builder, "units", &[config]).unwrap();
        let head = Linear::new(&mut builder, "head", 4, 1);
        (Self { stack, head }, parameters)
    }
}

impl Network<f32> for Small {
    type Batch<'a> = Points<'a>;

    fn loss(
        &self,
        graph: &mut Graph<'_, f32>,
        &[x, y]: &Points<'_>,
        locals: &Locals<'_>,
    ) -> Result<Terms, ModelError> {
        let rows = [x.len(), 1];
        let x = graph.tape.constant(rows, x)?;
        let y = graph.tape.constant(rows, y)?;
        let units = self.stack.forward(graph, x)?;
        let said = self.head.forward(graph, units.z)?;
        let residual = graph.tape.sub(said, y)?;
        let squares = graph.tape.square(residual)?;
        let score = graph.tape.mean(squares)?;
        locals.terms(graph, self, &units.layers, score)
    }

    fn layers(&self) -> Layers<'_> {
        self.stack.layers().into()
    }

    fn kl_weight(&self, _layer: usize) -> f64 {
        1e-2
    }
}

/// A controller that lowers the KL weight to 0 while the mean KL is below a target.
#[derive(Debug)]
struct Shy {
    wish: f64,
    seen: f64,
}

impl Controller for Shy {
    fn name(&self) -> &'static str {
        "shy"
    }

    fn owns(&self) -> &'static [Lever] {
        &[Lever::KlFactor]
    }

    fn begin(&mut self, _step: u64, levers: &mut Levers) {
        levers.objective.kl_factor = f64::from(u8::from(self.seen >= self.wish));
    }

    fn observe(&mut self, seen: &Observation) {
        self.seen = seen.kl.iter().sum::<f64>() / seen.kl.len() as f64;
    }

    fn act(&mut self, now: &Moment<'_>, levers: &mut Levers) {
        self.begin(now.step, levers);
    }

    fn report(&self, to: &mut dyn FnMut(&'static str, f64)) {
        to("seen", self.seen);
    }

    fn save(&self, state: &mut ControlState) {
        state.put("shy", &[self.seen]);
    }

    fn restore(&mut self, state: &ControlState) -> Result<(), ModelError> {
        self.seen = state.number("shy")?;
        Ok(())
    }
}

/// An optimiser: a step of fixed length against the sign of each gradient.
struct Signs {
    steps: u64,
}

impl Optimizer<f32> for Signs {
    fn step(
        &mut self,
        parameters: &mut Parameters<f32>,
        rate: f64,
        gradients: &Gradients<'_, f32>,
    ) -> Result<f64, TrainError> {
        self.steps += 1;
        let mut squares = 0.0;
        for (index, gradient) in gradients.iter().enumerate() {
            let Some(gradient) = gradient else { continue };
            for (w, &g) in parameters.data_mut(index).iter_mut().zip(gradient) {
                squares += f64::from(g * g);
                *w -= rate as f32 * if g == 0.0 { 0.0 } else { g.signum() };
            }
        }
        Ok(squares.sqrt())
    }

    fn rescale_rows(&mut self, _index: usize, _factors: &[f64]) {}

    fn save<'a>(&'a self, to: &mut Tensors<'a, f32>) {
        to.put_count("steps", self.steps);
    }

    fn restore(&mut self, from: &Tensors<'_, f32>) -> Result<(), TrainError> {
        self.steps = from.count("steps")?;
        Ok(())
    }
}

/// A task whose CRPS is the absolute error of a mean forecast: the CRPS of a point forecast.
#[derive(Default)]
struct ByAbsoluteError {
    asked: Cell<usize>,
}

impl Task<f32, Small, Line> for ByAbsoluteError {
    fn selection_score(
        &self,
        by: Selection,
        evaluator: &Evaluator<'_, f32, Small, Line>,
        _validation: &Validation,
    ) -> Result<Option<f64>, TrainError> {
        self.asked.set(self.asked.get() + 1);
        if by != Selection::Crps {
            return Ok(None);
        }
        let (mut sum, mut count) = (0.0, 0.0);
        let examples = evaluator.data.split(Split::Validation);
        evaluator.for_each_pass(examples, Request::TARGETS, |_, graph, batch, _| {
            let x = graph.tape.constant([batch[0].len(), 1], batch[0])?;
            let units = evaluator.network.stack.forward(graph, x)?;
            let said = evaluator.network.head.forward(graph, units.z)?;
            let mean = graph.tape.mean_axis(said, 0)?;
            for (a, b) in graph.tape.value(mean).data().iter().zip(batch[1]) {
                sum += f64::from((a - b).abs());
                count += 1.0;
            }
            Ok(())
        })?;
        Ok(Some(sum / count))
    }

    fn probe(
        &self,
        _evaluator: &Evaluator<'_, f32, Small, Line>,
        _config: &DiagnosticsConfig,
        _layers: &[Diagnostics],
    ) -> Result<Option<Probe>, TrainError> {
        Ok(None)
    }
}

/// Trains in a folder with all extensions. The run is interrupted after the step `stop`.
fn run(folder: &std::path::Path, stop: u64) -> Result<(Trained, Parameters<f32>), TrainError> {
    let data = Line([(0..32).collect(), (32..40).collect(), vec![]]);
    let (network, mut parameters) = Small::new();
    let mut trainer = Trainer { files: Some(RunFiles::open(folder)?), ..Trainer::default() };
    (trainer.train.epochs, trainer.train.batch, trainer.train.learning_rate) = (30, 8, 1e-2);
    trainer.train.selection = Selection::Crps;
    let session = trainer.session(&network, &mut parameters, &data)?;
    let mut session =
        session.with_task(ByAbsoluteError::default()).with_optimizer(Signs { steps: 0 });
    let control = session.controllers().layer_mut(0).expect("a rate budget is the default");
    control.add(Shy { wish: 0.2, seen: 0.0 }, Timing { warmup: 0, every: 2 })?;
    session.resume()?;
    let trained = session.run(|progress| match progress {
        Progress::Step { done, .. } if done == stop => trainer.interrupt.request(),
        _ => {}
    })?;
    Ok((trained, parameters))
}

#[test]
fn parts_from_outside_train_and_survive_an_interruption() {
    let folders = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let (trained, whole) = run(folders[0].path(), u64::MAX).unwrap();
    let scores: Vec<f64> = trained.history.iter().map(|epoch| epoch.selection).collect();
    let best = scores.iter().copied().fold(f64::INFINITY, f64::min);
    assert!(best < 0.3 * scores[0], "{scores:?}");
    let seen = trained.control_log.column("shy.seen").expect("the controller reports it");
    assert!(seen.iter().all(|kl| *kl > 0.0));

    let stopped = run(folders[1].path(), 41);
    assert!(matches!(stopped, Err(TrainError::Interrupted { step: 41 })));
    let (_, resumed) = run(folders[1].path(), u64::MAX).unwrap();
    for (a, b) in whole.iter().zip(resumed.iter()) {
        assert_eq!(a.tensor().data(), b.tensor().data(), "{}", a.name());
    }
}

#[test]
fn a_run_is_resumed_by_its_own_optimiser_alone() {
    let folder = tempfile::tempdir().unwrap();
    assert!(run(folder.path(), 41).is_err());
    let data = Line([(0..32).collect(), (32..40).collect(), vec![]]);
    let (network, mut parameters) = Small::new();
    let mut trainer = Trainer::default();
    (trainer.train.epochs, trainer.train.batch, trainer.train.learning_rate) = (30, 8, 1e-2);
    trainer.train.selection = Selection::Crps;
    for reference in [false, true] {
        trainer.reference = reference;
        trainer.files = Some(RunFiles::open(folder.path()).unwrap());
        let session = trainer.session(&network, &mut parameters, &data).unwrap();
        let error = match reference {
            // The optimiser of the configuration, which is not the optimiser that was used.
            false => session.with_task(ByAbsoluteError::default()).resume().unwrap_err(),
            // The right optimiser, in a run whose controllers follow other formulas.
            true => session.with_optimizer(Signs { steps: 0 }).resume().unwrap_err(),
        };
        assert!(error.to_string().contains("other settings"), "reference {reference}: {error}");
        trainer.files = None;
    }
}

#[test]
fn a_parameter_without_a_gradient_stays_as_it_is_in_parts_of_a_batch_too() {
    let data = Line([(0..32).collect(), (32..40).collect(), vec![]]);
    for accumulate in [1, 2] {
        let (network, mut parameters) = Small::new();
        // Nothing reads this parameter. With a gradient of zeros it would decay.
        let id = parameters.add("spare", Tensor::full([3], 1.5));
        let mut trainer = Trainer::default();
        (trainer.train.epochs, trainer.train.batch) = (2, 8);
        trainer.train.accumulate = accumulate;
        trainer.optimizer.weight_decay = 1.0;
        trainer.control.mode = vdn::train::config::ControlName::None;
        trainer.session(&network, &mut parameters, &data).unwrap().run(|_| {}).unwrap();
        assert_eq!(parameters.get(id).tensor().data(), [1.5; 3], "accumulate {accumulate}");
    }
}
