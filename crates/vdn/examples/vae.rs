//! A variational autoencoder for binary images: an encoder, a layer of units, a decoder, and the
//! evidence lower bound. The images are 6 x 6 with bars.
//!
//! The example draws new images from the prior. It then trains a larger layer twice: first under
//! the bound alone, and then with a budget for the rate of each unit, which keeps the units living.
//!
//! Run with `cargo run --release -p vdn --example vae`.

use vdn::autograd::Error;
use vdn::prelude::*;
use vdn::train::train::NoiseSeed;

const SIDE: usize = 6;
const PIXELS: usize = SIDE * SIDE;

struct Vae {
    encoder: Linear,
    units: Stack,
    hidden: Linear,
    pixels: Linear,
}

impl Vae {
    fn new(units: usize, seed: u64) -> Result<(Self, Parameters<f32>), ModelError> {
        let mut parameters = Parameters::new();
        let mut builder = Builder::new(&mut parameters, seed);
        // The layer applies GELU to the encoder's output (its setting `activation`).
        let layer = LayerConfig { train_samples: 2, ..LayerConfig::new(64, units) };
        let vae = Self {
            encoder: Linear::new(&mut builder, "encoder", PIXELS, 64),
            units: Stack::new(&mut builder, "units", &[layer.into()])?,
            hidden: Linear::new(&mut builder, "hidden", units, 64),
            pixels: Linear::new(&mut builder, "pixels", 64, PIXELS),
        };
        Ok((vae, parameters))
    }

    /// Returns the logits of the pixels, `[..., pixels]`, for units `z` `[..., units]`.
    fn decode(&self, graph: &mut Graph<'_, f32>, z: Var) -> Result<Var, Error> {
        let hidden = self.hidden.forward(graph, z)?;
        let hidden = graph.tape.gelu(hidden)?;
        self.pixels.forward(graph, hidden)
    }
}

impl Network<f32> for Vae {
    type Batch<'a> = RowBatch<'a, f32>;
    fn loss(
        &self,
        graph: &mut Graph<'_, f32>,
        batch: &RowBatch<'_, f32>,
        locals: &Locals<'_>,
    ) -> Result<Terms, ModelError> {
        let image = graph.tape.constant([batch.rows, PIXELS], batch.inputs)?;
        let context = self.encoder.forward(graph, image)?;
        let units = self.units.forward(graph, context)?;
        let logits = self.decode(graph, units.z)?; // [samples, rows, pixels]
        // The operation returns the mean over pixels; the bound needs the sum.
        let nll = graph.tape.bernoulli_nll(logits, image)?;
        let score = graph.tape.scale(nll, PIXELS as f32)?;
        locals.terms(graph, self, &units.layers, score)
    }
    fn layers(&self) -> Layers<'_> {
        self.units.layers().into()
    }
    // `kl_weight` is 1 by default, as in the bound.
}

/// Each row and each column of an image is a bar with probability 1/4.
fn images(count: usize) -> Vec<f64> {
    let mut coins = vec![0.0_f64; count * 2 * SIDE];
    NoiseKey::new(11, 0, 0).fill_normal(0, &mut coins);
    let bar = |x: &f64| *x > 0.6745; // the upper quarter of a normal distribution
    let image = |bars: &[f64]| {
        let (rows, columns) = (bars[..SIDE].to_vec(), bars[SIDE..].to_vec());
        (0..PIXELS).map(move |i| f64::from(bar(&rows[i / SIDE]) || bar(&columns[i % SIDE])))
    };
    coins.chunks(2 * SIDE).flat_map(image).collect()
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let inputs = images(2400);
    let targets = vec![0.0; 2400]; // `Rows` needs targets; an autoencoder ignores them
    let data = Rows::new([PIXELS, 1], inputs, targets)?.split_at(2000, 400)?;
    let (vae, mut parameters) = Vae::new(12, 3)?;
    let mut trainer = Trainer::default();
    (trainer.train.epochs, trainer.train.batch, trainer.train.learning_rate) = (60, 100, 5e-3);
    trainer.train.selection = Selection::Last;
    trainer.control.mode = ControlName::None; // the plain bound
    let trained = trainer.train(&vae, &mut parameters, &data, |_| {})?;
    let best = &trained.history[trained.best_epoch - 1];
    println!("epoch {}: {:.2} nats for an image's pixels", trained.best_epoch, best.validation_nll);

    // The information of each unit about its image, in nats.
    let evaluator = Evaluator::new(&vae, &parameters, &data, NoiseSeed::from(3));
    let examples = Examples::<f32>::split(&data, Split::Validation);
    let seen = evaluator.validate(examples, &trainer.controllers(&vae)?)?;
    println!("rates {:.2?}", seen.layers[0].statistics.rate());

    // New images, from units that are drawn from the prior.
    let (mut tape, mut bindings) = (Tape::new(), Bindings::new());
    let noise = NoiseKey::new(5, 0, 0);
    let mut graph = Graph::new(&mut tape, &parameters, &mut bindings, Mode::Evaluate, noise);
    let z = graph.tape.constant_with([3, 12], |z| noise.fill_normal(0, z))?;
    let logits = vae.decode(&mut graph, z)?;
    for row in 0..SIDE {
        let pixels = tape.value(logits).data().chunks(PIXELS).map(|image| {
            let row = image[row * SIDE..][..SIDE].iter();
            row.map(|&logit| if logit > 0.0 { '#' } else { '.' }).collect::<String>()
        });
        println!("{}", pixels.collect::<Vec<_>>().join("   "));
    }
    // A model with independent pixels needs 24.7 nats per image.
    assert!(best.validation_nll + best.kl < 16.0, "{} {}", best.validation_nll, best.kl);

    // With many units, the bound alone leaves most of them empty. The default rate budget prevents
    // this: it shares the rate among them.
    for mode in [ControlName::None, ControlName::Rate] {
        trainer.control.mode = mode;
        let (vae, mut parameters) = Vae::new(32, 3)?;
        let trained = trainer.train(&vae, &mut parameters, &data, |_| {})?;
        let last = trained.history.last().expect("it was trained for some epochs");
        let (control, seen) = (&trainer.controllers(&vae)?, &trained.seen[..]);
        let check = HealthCheck { diagnostics: &trainer.diagnostics, control, seen };
        let evaluator = Evaluator::new(&vae, &parameters, &data, trainer.train.noise());
        let living = &check.report_by_measures(&evaluator, examples)?.layers[0].living;
        println!("{mode:?}: {living}; a bound of {:.2} nats", last.validation_nll + last.kl);
        assert!(mode == ControlName::None || living.share() >= 0.95);
    }
    Ok(())
}
