//! Detection of images for which a classifier was not trained: the area under the receiver
//! operating characteristic (AUROC) of each score, for rotated, noisy and blurred test images and
//! for digits of another data set.
//!
//! ```sh
//! vdn train --task classification --images IDX --labels IDX --test-images IDX --test-labels IDX \
//!     --twin --out RUN
//! cargo run --release -p vdn-experiments --example image_shifts -- RUN [digits.csv]
//! ```
//!
//! * rotated: by 90 degrees, counterclockwise (square images)
//! * noisy: normal noise with a deviation of 0.3 of a pixel's range, clipped to that range
//! * blurred: a normal kernel with a deviation of 2 pixels; black outside of the image
//! * `digits.csv`: 8 x 8 pixels from 0 to 16 and the class, enlarged to the size of the images by
//!   linear interpolation between the centres of pixels
//!
//! The first kind of rows are the unchanged test images, the second kind the changed ones. The
//! scores are the entropy of the predictive distribution, the mutual information of class and
//! samples, and the sum of the units' KL; for the twin, its entropy.

use std::path::Path;
use vdn_model::core::Parameters;
use vdn_model::units::Intervention;
use vdn_tasks::config::TaskConfig;
use vdn_tasks::data::{Inputs, TaskEncoding, TaskRows};
use vdn_tasks::evaluate::{ClassPrediction, auroc};
use vdn_tasks::network::{TaskNetwork, Variant};
use vdn_tensor::noise::NoiseKey;
use vdn_train::data::{ImageSet, Request, Tabular, TabularOptions};
use vdn_train::evaluate::Evaluator;
use vdn_train::run::{RunFolder, load_weights};

type Failure = Box<dyn std::error::Error>;

/// Images of bytes with their classes.
struct Images {
    name: &'static str,
    pixels: Vec<u8>,
    classes: Vec<usize>,
}

/// A trained network of a run.
struct Contestant {
    network: TaskNetwork,
    parameters: Parameters<f32>,
    config: TaskConfig,
}

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let run = RunFolder::open(Path::new(arguments.first().ok_or("give the directory of a run")?))?;
    let config = TaskConfig::load(&run.file("config.toml"))?;
    let encoding: TaskEncoding = run.read_json("encoding.json")?;
    let (images, labels) = config
        .data
        .test_images
        .as_ref()
        .zip(config.data.test_labels.as_ref())
        .ok_or("the run has no test images")?;
    let set = ImageSet::load(images, labels)?;
    if set.height() != set.width() {
        return Err("images are not square: they cannot be rotated".into());
    }
    let side = set.height();
    let classes: Vec<usize> = set.labels().iter().map(|&label| usize::from(label)).collect();
    let changed = |name, change: &dyn Fn(usize, &[u8]) -> Vec<u8>| {
        let each = set.pixels().chunks_exact(side * side).enumerate();
        let pixels = each.flat_map(|(i, image)| change(i, image)).collect();
        Images { name, pixels, classes: classes.clone() }
    };
    let mut all = vec![
        changed("as they are", &|_, image| image.to_vec()),
        changed("rotated by 90 degrees", &|_, image| rotated(image, side)),
        changed("noisy, deviation 0.3", &noisy),
        changed("blurred, deviation 2 pixels", &|_, image| blurred(image, side, 2.0)),
    ];
    if let Some(file) = arguments.get(1) {
        all.push(enlarged_digits(Path::new(file), side)?);
    }
    let of = |variant, file| contestant(&run, &config, &encoding, variant, file);
    let units = of(Variant::Variational, "weights.safetensors")?
        .ok_or("the run has no weights of a network with units")?;
    let twin = of(Variant::Twin, "twin-weights.safetensors")?;
    println!(
        "{:<28} {:>6} {:>8} {:>8} {:>9} {:>8} {:>8} {:>9} {:>8} {:>8}",
        "images",
        "rows",
        "error %",
        "NLL",
        "entropy",
        "AUROC H",
        "AUROC I",
        "AUROC KL",
        "twin %",
        "AUROC H"
    );
    let mut inside: Option<[Vec<ClassPrediction>; 2]> = None;
    for images in &all {
        let own = units.predictions(images)?;
        let others = twin.as_ref().map_or(Ok(Vec::new()), |twin| twin.predictions(images))?;
        let n = own.len() as f64;
        let error = |rows: &[ClassPrediction]| {
            let wrong = rows.iter().zip(&images.classes).filter(|(row, c)| row.class() != **c);
            100.0 * wrong.count() as f64 / rows.len() as f64
        };
        let loss = |(row, &class): (&ClassPrediction, &usize)| -row.probabilities[class].ln();
        let nll = own.iter().zip(&images.classes).map(loss).sum::<f64>() / n;
        let entropy = own.iter().map(|row| row.entropy).sum::<f64>() / n;
        let line =
            format!("{:<28} {n:>6} {:>8.2} {nll:>8.3} {entropy:>9.3}", images.name, error(&own));
        let of = |rows: &[ClassPrediction], score: fn(&ClassPrediction) -> f64| -> Vec<f64> {
            rows.iter().map(score).collect()
        };
        let area = |who: usize, score: fn(&ClassPrediction) -> f64, outside: &[ClassPrediction]| {
            match &inside {
                Some(inside) if !outside.is_empty() => {
                    let area = auroc(&of(&inside[who], score), &of(outside, score))?;
                    Ok::<_, Failure>(format!("{area:.4}"))
                }
                _ => Ok("-".to_owned()),
            }
        };
        println!(
            "{line} {:>8} {:>8} {:>9} {:>8} {:>8}",
            area(0, |row| row.entropy, &own)?,
            area(0, |row| row.mutual_information, &own)?,
            area(0, |row| row.kl, &own)?,
            if others.is_empty() { "-".to_owned() } else { format!("{:.2}", error(&others)) },
            area(1, |row| row.entropy, &others)?,
        );
        inside.get_or_insert([own, others]);
    }
    Ok(())
}

fn contestant(
    run: &RunFolder,
    config: &TaskConfig,
    encoding: &TaskEncoding,
    variant: Variant,
    file: &str,
) -> Result<Option<Contestant>, Failure> {
    let file = run.file(file);
    if !file.exists() {
        return Ok(None);
    }
    let (network, mut parameters) =
        TaskNetwork::new::<f32>(config.model.clone(), variant, encoding.widths(), 0)?;
    load_weights(&mut parameters, &file)?;
    Ok(Some(Contestant { network, parameters, config: config.clone() }))
}

impl Contestant {
    fn predictions(&self, images: &Images) -> Result<Vec<ClassPrediction>, Failure> {
        let [width, _] = self.network.widths();
        let rows = TaskRows::new(width, Inputs::Bytes(images.pixels.clone()), 0, vec![])?;
        let noise = self.config.train.noise();
        let evaluator = Evaluator::new(&self.network, &self.parameters, &rows, noise);
        let all: Vec<usize> = (0..rows.len()).collect();
        let mut found = Vec::with_capacity(all.len());
        evaluator.for_each_pass(&all, Request::INPUTS, |_, graph, batch, chunk| {
            let prediction = self.network.predict(graph, batch, Intervention::None)?;
            found.extend((0..chunk.len()).map(|row| ClassPrediction::of(&prediction, row)));
            Ok(())
        })?;
        Ok(found)
    }
}

fn byte(x: f64) -> u8 {
    x.round().clamp(0.0, 255.0) as u8
}

fn rotated(image: &[u8], side: usize) -> Vec<u8> {
    let pixel = |i: usize| image[(i % side) * side + side - 1 - i / side];
    (0..side * side).map(pixel).collect()
}

fn noisy(number: usize, image: &[u8]) -> Vec<u8> {
    let mut noise = vec![0.0_f64; image.len()];
    NoiseKey::new(7, 0, 0).fold_in(number as u64).fill_normal(0, &mut noise);
    image.iter().zip(noise).map(|(&x, e)| byte(f64::from(x) + 0.3 * 255.0 * e)).collect()
}

fn blurred(image: &[u8], side: usize, deviation: f64) -> Vec<u8> {
    let reach = (3.0 * deviation).ceil() as isize;
    let weight = |d: isize| (-0.5 * (d as f64 / deviation).powi(2)).exp();
    let total: f64 = (-reach..=reach).map(weight).sum();
    let along = |from: &[f64], step: [isize; 2]| -> Vec<f64> {
        let at = |i: usize, d: isize| {
            let row = (i / side) as isize + d * step[0];
            let column = (i % side) as isize + d * step[1];
            let inside = |x: isize| (0..side as isize).contains(&x);
            let there = inside(row) && inside(column);
            if there { from[row as usize * side + column as usize] } else { 0.0 }
        };
        let sum = |i| (-reach..=reach).map(|d| weight(d) * at(i, d)).sum::<f64>() / total;
        (0..side * side).map(sum).collect()
    };
    let image: Vec<f64> = image.iter().map(|&x| f64::from(x)).collect();
    along(&along(&image, [0, 1]), [1, 0]).into_iter().map(byte).collect()
}

/// Enlarges digits of 8 x 8 pixels from 0 to 16.
fn enlarged_digits(file: &Path, side: usize) -> Result<Images, Failure> {
    const FROM: usize = 8;
    let options = TabularOptions { targets: vec!["digit".into()], ..TabularOptions::default() };
    let table = Tabular::load(file, &options)?;
    let numbers = |column: &vdn_train::data::TabularColumn| match &column.values {
        vdn_train::data::ColumnValues::Numbers(values) => Ok(values.clone()),
        vdn_train::data::ColumnValues::Categories { .. } => {
            Err(format!("the column {} holds no numbers", column.name))
        }
    };
    let columns: Vec<Vec<f64>> =
        table.features().iter().map(numbers).collect::<Result<_, String>>()?;
    if columns.len() != FROM * FROM {
        return Err(format!("{} columns are not {FROM} x {FROM} pixels", columns.len()).into());
    }
    let classes = numbers(&table.targets()[0])?.iter().map(|&class| class as usize).collect();
    // The position of a pixel of the large image between pixel centres of the small one.
    let place = |i: usize| {
        let x = ((i as f64 + 0.5) * FROM as f64 / side as f64 - 0.5).clamp(0.0, (FROM - 1) as f64);
        let low = (x as usize).min(FROM - 2);
        (low, x - low as f64)
    };
    let mut pixels = Vec::new();
    for row in 0..table.rows() {
        let value = |[y, x]: [usize; 2]| columns[y * FROM + x][row] * 255.0 / 16.0;
        for i in 0..side * side {
            let ((y, down), (x, right)) = (place(i / side), place(i % side));
            let across = |y| (1.0 - right) * value([y, x]) + right * value([y, x + 1]);
            pixels.push(byte((1.0 - down) * across(y) + down * across(y + 1)));
        }
    }
    Ok(Images { name: "digits of 8 x 8, enlarged", pixels, classes })
}
