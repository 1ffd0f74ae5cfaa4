//! Units of a family that is not in the library: the Gumbel distribution, which is skewed.
//!
//! The library's lists of families are closed, because they are compiled for every SIMD level. The
//! statistics of a layer are open: a layer that records them is trained, controlled and diagnosed
//! like any other layer.
//!
//! Run with `cargo run --release -p vdn --example own_family`.

use vdn::autograd::{Error, UnitOutputs};
use vdn::model::core::{Purpose, Stream};
use vdn::model::units::{LayerOutput, MAX_DEPTH};
use vdn::prelude::*;

const UNITS: usize = 8;
const SAMPLES: usize = 8;
/// Mean of the standard member of the family, `p(z) = e^(-z - e^-z)`: Euler's constant.
const MEAN: f32 = 0.577_215_7;
/// Variance of the standard member: `pi^2/6`.
const VARIANCE: f32 = 1.644_934;

/// Units `z = m(x) + b(x) g`, where `g` is a draw from the standard member, which is the prior.
struct GumbelUnits {
    location: Linear,
    log_scale: Linear,
    stream: Stream,
}

impl GumbelUnits {
    fn new(builder: &mut Builder<'_, f32>, inputs: usize) -> Result<Self, ModelError> {
        let mut scope = builder.scope("units");
        Ok(Self {
            location: Linear::new(&mut scope, "location", inputs, UNITS),
            log_scale: Linear::new(&mut scope, "log_scale", inputs, UNITS),
            stream: scope.stream(Purpose::Units)?, // a noise stream that no other module uses
        })
    }

    fn forward(&self, graph: &mut Graph<'_, f32>, x: Var) -> Result<LayerOutput, Error> {
        let (m, l) = (self.location.forward(graph, x)?, self.log_scale.forward(graph, x)?);
        let rows = graph.tape.shape(x).rows();
        // Half the sum of two squared normals has an exponential distribution. Minus its logarithm
        // has a Gumbel distribution.
        let mut noise = [0, 1].map(|_| vec![0.0_f32; SAMPLES * rows * UNITS]);
        (0..).zip(&mut noise).for_each(|(i, to)| graph.noise(self.stream).fill_normal(i, to));
        let tape = &mut *graph.tape;
        let g = tape.constant_with([SAMPLES, rows, UNITS], |to| {
            for (i, g) in to.iter_mut().enumerate() {
                *g = -(0.5 * (noise[0][i].powi(2) + noise[1][i].powi(2))).ln();
            }
        })?;
        let b = tape.exp(l)?;
        let spread = tape.mul(b, g)?;
        let z = tape.add(spread, m)?;
        // KL = m - l + (b - 1) MEAN - 1 + E e^-z, with the expectation over the samples; `[units]`.
        let minus = tape.neg(z)?;
        let tail = tape.exp(minus)?;
        let tail = tape.mean_axis(tail, 0)?;
        let wide = tape.scale(b, MEAN)?;
        let mean = tape.add(m, wide)?;
        let distance = tape.add_scalar(mean, -MEAN)?;
        let excess = tape.add(distance, tail)?;
        let excess = tape.sub(excess, l)?;
        let kl = tape.add_scalar(excess, -1.0)?;
        let mean_kl = tape.mean_axis(kl, 0)?;
        // The statistics on the scale of the prior: (mean of z - MEAN) / deviation, and ln b^2.
        let mu = tape.scale(distance, 1.0 / VARIANCE.sqrt())?;
        let logvar = tape.scale(l, 2.0)?;
        let m1 = tape.mean_axis(mu, 0)?;
        let squares = tape.square(mu)?;
        let m2 = tape.mean_axis(squares, 0)?;
        let c2 = tape.var_axis(mu, 0)?;
        let lv = tape.mean_axis(logvar, 0)?;
        let variance = tape.square(b)?;
        let variance = tape.mean_axis(variance, 0)?;
        let excess = tape.sub(variance, lv)?;
        let d0 = tape.add_scalar(excess, -1.0)?;
        let units = UnitOutputs { z, m1, m2, c2, d0, lv, kl: None, mean_kl: Some(mean_kl) };
        Ok(LayerOutput { z, mu, logvar, units })
    }
}

struct Skewed {
    units: GumbelUnits,
    head: Linear,
}

impl Network<f32> for Skewed {
    type Batch<'a> = RowBatch<'a, f32>;
    fn loss(
        &self,
        graph: &mut Graph<'_, f32>,
        batch: &RowBatch<'_, f32>,
        locals: &Locals<'_>,
    ) -> Result<Terms, ModelError> {
        let x = graph.tape.constant([batch.rows, 1], batch.inputs)?;
        let y = graph.tape.constant([batch.rows, 1], batch.targets)?;
        let units = self.units.forward(graph, x)?;
        let mean = self.head.forward(graph, units.z)?;
        let deviation = graph.tape.constant([], &[0.5])?;
        let score = graph.tape.gaussian_nll(mean, deviation, y)?;
        let mut outputs = [None; MAX_DEPTH];
        outputs[0] = Some(units);
        locals.terms(graph, self, &outputs, score)
    }
    fn layers(&self) -> Layers<'_> {
        UnitLayer::new("units", UNITS, 1).into()
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let inputs: Vec<f64> = (0..512).map(|i| f64::from(i * 37 % 512) / 128.0 - 2.0).collect();
    let targets = inputs.iter().map(|x| 2.0 * x).collect();
    let data = Rows::new([1, 1], inputs, targets)?.split_at(384, 128)?;
    let (mut parameters, mut trainer) = (Parameters::new(), Trainer::default());
    let mut builder = Builder::new(&mut parameters, 5);
    let units = GumbelUnits::new(&mut builder, 1)?;
    let network = Skewed { units, head: Linear::new(&mut builder, "head", UNITS, 1) };
    (trainer.train.epochs, trainer.train.batch, trainer.train.learning_rate) = (60, 64, 2e-2);
    // The default rate budget controls these units like normal units.
    let rate = &mut trainer.control.rate;
    rate.relative = false; // the numbers below are nats of loss, not multiples of `kl_weight`
    (rate.low, rate.high, rate.stiffness, rate.gain, rate.limit) = (0.2, 0.6, 1.0, 0.1, 2.0);
    let trained = trainer.train(&network, &mut parameters, &data, |_| {})?;
    let best = &trained.history[trained.best_epoch - 1];
    println!("{:.3} nats for each y; without its input, y costs 11", best.validation_nll);
    assert!(best.validation_nll < 4.0);
    Ok(())
}
