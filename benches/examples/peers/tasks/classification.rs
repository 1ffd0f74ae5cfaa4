//! Predicts the class of an image from its pixels, with two hidden layers, a layer of units, and
//! logits from a sample of the units.

use crate::Failure;
use crate::tasks::{Learner, Settings, Task, pixels, report};
use vdn::prelude::*;
use vdn::train::data::IdxArray;

/// The width of the hidden layers.
const HIDDEN: usize = 512;
/// The number of units.
const UNITS: usize = 128;
/// The number of classes.
const CLASSES: usize = 10;
/// The weight of the KL relative to the cross-entropy.
const BETA: f32 = 1e-3;
/// The number of samples of each unit in evaluation.
const SAMPLES: usize = 16;
/// The number of rows that are evaluated at a time.
const CHUNK: usize = 500;

struct Classifier {
    pixels: usize,
    first: Linear,
    second: Linear,
    units: VariationalLayer,
    head: Linear,
}

impl Classifier {
    fn new(builder: &mut Builder<'_, f32>, pixels: usize) -> Result<Self, ModelError> {
        let layer = LayerConfig {
            train_samples: 1,
            evaluate_samples: SAMPLES,
            ..LayerConfig::new(HIDDEN, UNITS)
        };
        Ok(Self {
            pixels,
            first: Linear::new(builder, "first", pixels, HIDDEN),
            second: Linear::new(builder, "second", HIDDEN, HIDDEN),
            units: VariationalLayer::new(&mut builder.scope("units"), layer)?,
            head: Linear::new(builder, "head", UNITS, CLASSES),
        })
    }

    /// Records the logits `[samples, rows, classes]` and the units.
    fn logits(&self, graph: &mut Graph<'_, f32>, x: &[f32]) -> Result<(Var, LayerOutput), Failure> {
        let x = graph.tape.constant([x.len() / self.pixels, self.pixels], x)?;
        let h = self.first.forward(graph, x)?;
        let h = graph.tape.gelu(h)?;
        let h = self.second.forward(graph, h)?;
        let h = graph.tape.gelu(h)?;
        let units = self.units.forward(graph, h)?;
        Ok((self.head.forward(graph, units.z)?, units))
    }
}

impl Task for Classifier {
    fn widths(&self) -> [usize; 2] {
        [self.pixels, 1]
    }

    fn loss(&self, graph: &mut Graph<'_, f32>, x: &[f32], y: &[f32]) -> Result<Var, Failure> {
        let (logits, units) = self.logits(graph, x)?;
        let classes = graph.tape.constant([1, y.len()], y)?;
        let nll = graph.tape.cross_entropy(logits, classes)?;
        let beta = graph.tape.constant([], &[BETA])?;
        let kl = graph.tape.weighted_kl(&units.units, beta)?;
        Ok(graph.tape.add(nll, kl)?)
    }
}

fn labels(file: &str) -> Result<Vec<f32>, Failure> {
    Ok(IdxArray::load(file)?.values.into_iter().map(f32::from).collect())
}

/// Trains on the first pair of files (images and labels), and prints the error rate and the NLL on
/// the second pair.
pub(crate) fn run(files: [[&str; 2]; 2], settings: Settings) -> Result<(), Failure> {
    let [[images, classes], [test_images, test_classes]] = files;
    let ((x, width), y) = (pixels(images)?, labels(classes)?);
    let ((test_x, test_width), test_y) = (pixels(test_images)?, labels(test_classes)?);
    let fits = x.len() == y.len() * width && test_x.len() == test_y.len() * width;
    if width != test_width || !fits {
        return Err("images and labels do not fit".into());
    }
    let mut learner = Learner::new(settings.seed, |builder| Classifier::new(builder, width))?;
    let seconds = learner.train(settings, [&x, &y])?;
    let [mut errors, mut nll] = [0.0; 2];
    for (pass, (x, y)) in test_x.chunks(CHUNK * width).zip(test_y.chunks(CHUNK)).enumerate() {
        let logits = learner.evaluate(pass as u32, |network, graph| {
            let (logits, _) = network.logits(graph, x)?;
            Ok(graph.tape.value(logits).data().to_vec())
        })?;
        for (row, &class) in y.iter().enumerate() {
            let mut mean = [0.0_f64; CLASSES];
            for sample in logits.chunks(y.len() * CLASSES) {
                let logits = &sample[row * CLASSES..][..CLASSES];
                let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                let powers = logits.iter().map(|&l| f64::from(l - largest).exp());
                let sum: f64 = powers.clone().sum();
                mean.iter_mut().zip(powers).for_each(|(mean, p)| *mean += p / sum);
            }
            let right = mean[class as usize];
            errors += f64::from(u8::from(mean.iter().any(|&p| p > right)));
            nll -= (right / SAMPLES as f64).ln();
        }
    }
    let rows = test_y.len() as f64;
    report("classification", settings, &[("error", errors / rows), ("nll", nll / rows)], seconds)
}
