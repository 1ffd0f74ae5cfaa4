//! A variational autoencoder of binary images: an encoder, a layer of units and a decoder, trained
//! on the evidence lower bound. A pixel is 1 if it is above half of its range.

use crate::Failure;
use crate::tasks::{Learner, Settings, Task, pixels, report};
use vdn::prelude::*;

/// The width of the hidden layers.
const HIDDEN: usize = 400;
/// The number of units.
const UNITS: usize = 32;
/// The number of samples of each unit in evaluation.
const SAMPLES: usize = 8;
/// The number of rows that are evaluated at a time.
const CHUNK: usize = 500;

struct Vae {
    pixels: usize,
    encoder: Linear,
    units: VariationalLayer,
    decoder: Linear,
    logits: Linear,
}

impl Vae {
    fn new(builder: &mut Builder<'_, f32>, pixels: usize) -> Result<Self, ModelError> {
        let layer = LayerConfig {
            train_samples: 1,
            evaluate_samples: SAMPLES,
            ..LayerConfig::new(HIDDEN, UNITS)
        };
        Ok(Self {
            pixels,
            encoder: Linear::new(builder, "encoder", pixels, HIDDEN),
            units: VariationalLayer::new(&mut builder.scope("units"), layer)?,
            decoder: Linear::new(builder, "decoder", UNITS, HIDDEN),
            logits: Linear::new(builder, "logits", HIDDEN, pixels),
        })
    }
}

impl Task for Vae {
    fn widths(&self) -> [usize; 2] {
        [self.pixels, 0]
    }

    /// Records the negative bound in nats, a mean over rows.
    fn loss(&self, graph: &mut Graph<'_, f32>, x: &[f32], _: &[f32]) -> Result<Var, Failure> {
        let image = graph.tape.constant([x.len() / self.pixels, self.pixels], x)?;
        let h = self.encoder.forward(graph, image)?;
        let h = graph.tape.gelu(h)?;
        let units = self.units.forward(graph, h)?;
        let h = self.decoder.forward(graph, units.z)?;
        let h = graph.tape.gelu(h)?;
        let logits = self.logits.forward(graph, h)?;
        // The likelihood is a mean over pixels; the bound needs their sum.
        let nll = graph.tape.bernoulli_nll(logits, image)?;
        let nll = graph.tape.scale(nll, self.pixels as f32)?;
        let kl = graph.tape.unit_kl(&units.units)?;
        let kl = graph.tape.sum(kl)?;
        Ok(graph.tape.add(nll, kl)?)
    }
}

/// Trains on the first file, and prints the bound on the second file, in nats per image.
pub(crate) fn run([images, test_images]: [&str; 2], settings: Settings) -> Result<(), Failure> {
    let binary = |file| {
        let (x, width) = pixels(file)?;
        Ok::<_, Failure>((x.into_iter().map(|x| f32::from(x > 0.5)).collect::<Vec<_>>(), width))
    };
    let ((x, width), (test_x, test_width)) = (binary(images)?, binary(test_images)?);
    if width != test_width {
        return Err("the images of training and test differ in size".into());
    }
    let mut learner = Learner::new(settings.seed, |builder| Vae::new(builder, width))?;
    let seconds = learner.train(settings, [&x, &[]])?;
    let mut bound = 0.0;
    for (pass, x) in test_x.chunks(CHUNK * width).enumerate() {
        let loss = learner.evaluate(pass as u32, |network, graph| {
            let loss = network.loss(graph, x, &[])?;
            Ok(graph.tape.scalar(loss)?)
        })?;
        bound -= f64::from(loss) * (x.len() / width) as f64;
    }
    let rows = (test_x.len() / width) as f64;
    report("vae", settings, &[("elbo", bound / rows)], seconds)
}
