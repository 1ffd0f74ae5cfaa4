//! A rate budget on variational autoencoders: the number of living units. The loss belongs to a
//! whole image: tens or hundreds of nats.
//!
//! ```sh
//! cargo run --release -p vdn-experiments --example vae_budget -- \
//!     [images=IDX] [units=32] [hidden=64] [epochs=60] [batch=100] [rate=5e-3] \
//!     [seeds=3] [rows=2400] [mode=rate] \
//!     [KEY=VALUE of control.rate]...
//! ```
//!
//! Without images, the data have 6 x 6 pixels with up to six bars (the example `vae` of the crate
//! `vdn`). Pixels are set if they are above half of their range. A sixth of the rows is for
//! validation, on which units are judged.

use std::collections::BTreeMap;
use vdn_autograd::Var;
use vdn_model::core::{Builder, Graph, ModelError, Parameters};
use vdn_model::modules::Linear;
use vdn_model::units::{LayerConfig, Layers, Stack};
use vdn_tensor::noise::NoiseKey;
use vdn_train::config::{ControlName, Selection};
use vdn_train::data::{Examples, IdxArray, RowBatch, Rows, Split};
use vdn_train::evaluate::Evaluator;
use vdn_train::train::{Locals, Network, Terms, Trainer};
use vdn_train::units::HealthCheck;

type Failure = Box<dyn std::error::Error>;

struct Vae {
    pixels: usize,
    encoder: Linear,
    units: Stack,
    hidden: Linear,
    logits: Linear,
}

impl Vae {
    fn new(
        [pixels, hidden, units]: [usize; 3],
        seed: u64,
    ) -> Result<(Self, Parameters<f32>), ModelError> {
        let mut parameters = Parameters::new();
        let mut builder = Builder::new(&mut parameters, seed);
        let layer = LayerConfig { train_samples: 2, ..LayerConfig::new(hidden, units) };
        let vae = Self {
            pixels,
            encoder: Linear::new(&mut builder, "encoder", pixels, hidden),
            units: Stack::new(&mut builder, "units", &[layer.into()])?,
            hidden: Linear::new(&mut builder, "hidden", units, hidden),
            logits: Linear::new(&mut builder, "pixels", hidden, pixels),
        };
        Ok((vae, parameters))
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
        let image = graph.tape.constant([batch.rows, self.pixels], batch.inputs)?;
        let context = self.encoder.forward(graph, image)?;
        let units = self.units.forward(graph, context)?;
        let hidden = self.hidden.forward(graph, units.z)?;
        let hidden: Var = graph.tape.gelu(hidden)?;
        let logits = self.logits.forward(graph, hidden)?;
        let nll = graph.tape.bernoulli_nll(logits, image)?;
        let score = graph.tape.scale(nll, self.pixels as f32)?;
        locals.terms(graph, self, &units.layers, score)
    }

    fn layers(&self) -> Layers<'_> {
        self.units.layers().into()
    }
}

/// Each row and each column of an image is a bar with probability 1/4.
fn bars(count: usize) -> Vec<f64> {
    const SIDE: usize = 6;
    let mut coins = vec![0.0_f64; count * 2 * SIDE];
    NoiseKey::new(11, 0, 0).fill_normal(0, &mut coins);
    let bar = |x: &f64| *x > 0.6745; // the upper quarter of the normal distribution
    let image = |bars: &[f64]| {
        let (rows, columns) = (bars[..SIDE].to_vec(), bars[SIDE..].to_vec());
        (0..SIDE * SIDE).map(move |i| f64::from(bar(&rows[i / SIDE]) || bar(&columns[i % SIDE])))
    };
    coins.chunks(2 * SIDE).flat_map(image).collect()
}

fn main() -> Result<(), Failure> {
    let mut settings: BTreeMap<String, String> = BTreeMap::new();
    for argument in std::env::args().skip(1) {
        let (key, value) = argument.split_once('=').ok_or("arguments are KEY=VALUE")?;
        settings.insert(key.to_owned(), value.to_owned());
    }
    let mut take = |key: &str, or: &str| settings.remove(key).unwrap_or_else(|| or.to_owned());
    let (images, count) = (take("images", ""), take("rows", "2400").parse::<usize>()?);
    let [units, hidden, epochs, batch] = [
        take("units", "32").parse::<usize>()?,
        take("hidden", "64").parse()?,
        take("epochs", "60").parse()?,
        take("batch", "100").parse()?,
    ];
    let (rate, seeds) = (take("rate", "5e-3").parse::<f64>()?, take("seeds", "3").parse::<u64>()?);
    let mode = take("mode", "rate");
    let inputs = match images.as_str() {
        "" => bars(count),
        file => {
            let array = IdxArray::load(file)?;
            let pixels: usize = array.shape[1..].iter().product();
            array.values[..count * pixels].iter().map(|&x| f64::from(u8::from(x > 127))).collect()
        }
    };
    let pixels = inputs.len() / count;
    let validation = count / 6;
    let data = Rows::new([pixels, 1], inputs, vec![0.0; count])?
        .split_at(count - validation, validation)?;
    let mut trainer = Trainer::default();
    (trainer.train.epochs, trainer.train.batch) = (epochs, batch);
    (trainer.train.learning_rate, trainer.train.selection) = (rate, Selection::Last);
    let budget = &mut trainer.control.rate;
    for (key, value) in settings {
        match key.as_str() {
            "low" => budget.low = value.parse()?,
            "high" => budget.high = value.parse()?,
            "stiffness" => budget.stiffness = value.parse()?,
            "gain" => budget.gain = value.parse()?,
            "limit" => budget.limit = value.parse()?,
            other => return Err(format!("there is no setting {other}").into()),
        }
    }
    println!("{:?}", trainer.control.rate);
    if mode == "none" {
        trainer.control.mode = ControlName::None;
    }
    println!("{:>4} {:>8} {:>8} {:>8} {:>23}  units", "seed", "score", "KL", "bound", "rates");
    for seed in 0..seeds {
        trainer.train.seed = seed;
        let (vae, mut parameters) = Vae::new([pixels, hidden, units], seed)?;
        let trained = trainer.train(&vae, &mut parameters, &data, |_| {})?;
        let last = &trained.history[trained.best_epoch - 1];
        let mut control = trainer.controllers(&vae)?;
        if let Some(state) = &trained.control {
            control.restore(state)?;
        }
        let seen = &trained.seen[..];
        let check = HealthCheck { diagnostics: &trainer.diagnostics, control: &control, seen };
        let evaluator = Evaluator::new(&vae, &parameters, &data, trainer.train.noise());
        let examples = Examples::<f32>::split(&data, Split::Validation);
        let report = check.report_by_measures(&evaluator, examples)?;
        let layer = &report.layers[0];
        let mut rates = layer.diagnostics.rate.clone();
        rates.sort_by(f64::total_cmp);
        println!(
            "{seed:>4} {:>8.2} {:>8.2} {:>8.2} {:>7.3} {:>7.3} {:>7.3}  {}",
            last.validation_nll,
            last.kl,
            last.validation_nll + last.kl,
            rates[0],
            rates[rates.len() / 2],
            rates[rates.len() - 1],
            layer.living,
        );
    }
    Ok(())
}
