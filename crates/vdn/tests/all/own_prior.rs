//! A prior that is not in the library, added from outside: it depends on the input. The trainer
//! measures, controls and diagnoses its units like any others.

use vdn::model::controllers::{Controller, Lever, Levers, Moment, Timing};
use vdn::model::core::{Purpose, Stream};
use vdn::model::units::{LayerOutput, MAX_DEPTH};
use vdn::prelude::*;
use vdn::train::config::ControlName;

const UNITS: usize = 4;

/// The prior `p(z | x) = Normal(m(x), s(x)^2)` and the posterior `q(z | x, y)`. `y` is known in
/// training; in a forecast a sample of the prior replaces the sample of the posterior.
struct Conditional {
    prior: Linear,
    posterior: Linear,
    head: Linear,
    stream: Stream,
}

impl Conditional {
    fn new() -> Result<(Self, Parameters<f32>), ModelError> {
        let mut parameters = Parameters::new();
        let mut builder = Builder::new(&mut parameters, 3);
        let mut scope = builder.scope("units");
        let prior = Linear::new(&mut scope, "prior", 1, 2 * UNITS);
        let posterior = Linear::new(&mut scope, "posterior", 2, 2 * UNITS);
        let stream = scope.stream(Purpose::Units)?;
        let head = Linear::new(&mut builder, "head", UNITS + 1, 1);
        Ok((Self { prior, posterior, head, stream }, parameters))
    }
}

impl Network<f32> for Conditional {
    type Batch<'a> = RowBatch<'a, f32>;

    fn loss(
        &self,
        graph: &mut Graph<'_, f32>,
        batch: &RowBatch<'_, f32>,
        locals: &Locals<'_>,
    ) -> Result<Terms, ModelError> {
        let x = graph.tape.constant([batch.rows, 1], batch.inputs)?;
        let y = graph.tape.constant([batch.rows, 1], batch.targets)?;
        let both = graph.tape.concat(&[x, y], 1)?;
        let (prior, posterior) =
            (self.prior.forward(graph, x)?, self.posterior.forward(graph, both)?);
        let (wants_kl, key) = (graph.wants_kl_rows(), graph.noise(self.stream));
        let tape = &mut *graph.tape;
        let [m, log_s] = halves(tape, prior)?;
        let [mean, log_sigma] = halves(tape, posterior)?;
        // The posterior on the scale of the prior, where the prior is Normal(0, 1).
        let inverse = tape.neg(log_s)?;
        let inverse = tape.exp(inverse)?;
        let distance = tape.sub(mean, m)?;
        let mu = tape.mul(distance, inverse)?;
        let narrower = tape.sub(log_sigma, log_s)?;
        let logvar = tape.scale(narrower, 2.0)?;
        let how = SampleKl { emit_kl: wants_kl, ..SampleKl::new(4, Noise::Addressed(key)) };
        let units = tape.sample_kl(mu, logvar, how)?;
        // Back to the original scale.
        let s = tape.exp(log_s)?;
        let z = tape.mul(units.z, s)?;
        let z = tape.add(z, m)?;
        let x = tape.broadcast_to(x, [4, batch.rows, 1])?;
        let seen = tape.concat(&[z, x], 2)?;
        let said = self.head.forward(graph, seen)?;
        let residual = graph.tape.sub(said, y)?;
        let squares = graph.tape.square(residual)?;
        let score = graph.tape.mean(squares)?;
        let mut outputs = [None; MAX_DEPTH];
        outputs[0] = Some(LayerOutput { z, mu, logvar, units });
        locals.terms(graph, self, &outputs, score)
    }

    fn layers(&self) -> Layers<'_> {
        UnitLayer::new("units", UNITS, 1).into()
    }

    fn kl_weight(&self, _layer: usize) -> f64 {
        1e-3
    }
}

fn halves(tape: &mut Tape<f32>, x: Var) -> Result<[Var; 2], ModelError> {
    Ok([tape.slice_axis(x, 1, 0, UNITS)?, tape.slice_axis(x, 1, UNITS, UNITS)?])
}

/// A controller of a lever that this layer does not have.
#[derive(Debug)]
struct Gain;

impl Controller for Gain {
    fn name(&self) -> &'static str {
        "gain"
    }

    fn owns(&self) -> &'static [Lever] {
        &[Lever::Gain]
    }

    fn begin(&mut self, _step: u64, _levers: &mut Levers) {}

    fn act(&mut self, _now: &Moment<'_>, _levers: &mut Levers) {}
}

/// `y` is `x` or `-x`: the units have to carry the part that a forecast from `x` alone cannot
/// contain.
fn data() -> Rows {
    let x: Vec<f64> = (0..320).map(|i| 0.5 + f64::from(i * 7 % 32) / 16.0).collect();
    let sign = |i: usize| if i * 13 % 8 < 4 { 1.0 } else { -1.0 };
    let y = x.iter().enumerate().map(|(i, x)| sign(i) * x).collect();
    Rows::new([1, 1], x, y).unwrap().split_at(256, 64).unwrap()
}

#[test]
fn units_under_a_prior_of_ones_own_are_held_and_judged() -> Result<(), Box<dyn std::error::Error>> {
    let mut shown = Vec::new();
    for mode in [ControlName::None, ControlName::Rate] {
        let (network, mut parameters) = Conditional::new()?;
        let mut trainer = Trainer::default();
        (trainer.train.epochs, trainer.train.batch) = (150, 32);
        (trainer.train.learning_rate, trainer.train.selection) = (1e-2, Selection::Last);
        trainer.train.patience = 0;
        trainer.control.mode = mode;
        trainer.control.rate.target = Some(0.3);
        (trainer.control.rate.stiffness, trainer.control.rate.gain) = (5.0, 1.0);
        trainer.control.rate.limit = 20.0;
        trainer.control.rate.relative = false;
        let data = data();
        let trained = trainer.train(&network, &mut parameters, &data, |_| {})?;
        let control = trainer.controllers::<f32, _>(&network)?;
        let check = HealthCheck {
            diagnostics: &trainer.diagnostics,
            control: &control,
            seen: &trained.seen,
        };
        let evaluator =
            Evaluator::new(&network, &parameters, &data, vdn::train::train::NoiseSeed::from(1));
        let examples = Examples::<f32>::split(&data, Split::Train).to_vec();
        let report = check.report_by_measures(&evaluator, &examples)?;
        shown.push((report.layers[0].diagnostics.rate.clone(), report.layers[0].living.living()));
    }
    let [(free, before), (held, living)] = [&shown[0], &shown[1]];
    println!("free {free:.3?}, {before} living; held {held:.3?}, {living} living");
    assert!(*before < UNITS && *living == UNITS, "{shown:?}");
    // A living unit's rate may differ from the target by a fifth in either direction.
    assert!(held.iter().all(|rate| (rate - 0.3).abs() < 0.06), "{held:?}");
    Ok(())
}

#[test]
fn controllers_of_means_are_refused() -> Result<(), Box<dyn std::error::Error>> {
    let (network, mut parameters) = Conditional::new()?;
    let (data, mut trainer) = (data(), Trainer::default());
    trainer.train.epochs = 1;
    let mut session = trainer.session(&network, &mut parameters, &data)?;
    let control = session.controllers().layer_mut(0).ok_or("a rate budget is the default")?;
    control.add(Gain, Timing::ALWAYS)?;
    let error = session.run(|_| {}).unwrap_err().to_string();
    assert!(error.contains("layer 1: a controller moves the rows of the mean head"), "{error}");
    trainer.control.mode = ControlName::Homeo;
    let error = trainer.controllers::<f32, _>(&network).unwrap_err().to_string();
    assert!(error.contains("energy bands and the AR penalty act on the means"), "{error}");
    Ok(())
}
