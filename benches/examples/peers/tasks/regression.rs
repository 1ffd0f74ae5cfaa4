//! Predicts a number from the features of a row, with one hidden layer, a layer of units, and a
//! Gaussian likelihood whose deviation is predicted. The network is also the small model of the
//! jobs.

use crate::Failure;
use crate::jobs::{BETA, LEAST_SIGMA, SMALL};
use crate::tasks::{Learner, Settings, Task, report};
use vdn::prelude::*;
use vdn::train::data::{ColumnValues, Tabular, TabularOptions};

/// The number of samples of each unit in evaluation.
const SAMPLES: usize = 32;

/// The network.
pub(crate) struct Regression {
    features: usize,
    hidden: Linear,
    units: VariationalLayer,
    head: Linear,
}

impl Regression {
    /// Builds the network for rows with this many features.
    pub(crate) fn new(builder: &mut Builder<'_, f32>, features: usize) -> Result<Self, ModelError> {
        let layer = LayerConfig {
            train_samples: 1,
            evaluate_samples: SAMPLES,
            ..LayerConfig::new(SMALL, SMALL)
        };
        Ok(Self {
            features,
            hidden: Linear::new(builder, "hidden", features, SMALL),
            units: VariationalLayer::new(&mut builder.scope("units"), layer)?,
            head: Linear::new(builder, "head", SMALL, 2),
        })
    }

    /// Records the mean and the deviation of each row, both `[samples, rows, 1]`, and the units.
    fn predict(
        &self,
        graph: &mut Graph<'_, f32>,
        x: &[f32],
    ) -> Result<(Var, Var, LayerOutput), Failure> {
        let x = graph.tape.constant([x.len() / self.features, self.features], x)?;
        let h = self.hidden.forward(graph, x)?;
        let h = graph.tape.gelu(h)?;
        let units = self.units.forward(graph, h)?;
        let z = graph.tape.gelu(units.z)?;
        let both = self.head.forward(graph, z)?;
        let mean = graph.tape.slice_axis(both, 2, 0, 1)?;
        let raw = graph.tape.slice_axis(both, 2, 1, 1)?;
        let sigma = graph.tape.softplus(raw)?;
        Ok((mean, graph.tape.add_scalar(sigma, LEAST_SIGMA as f32)?, units))
    }
}

impl Task for Regression {
    fn widths(&self) -> [usize; 2] {
        [self.features, 1]
    }

    fn loss(&self, graph: &mut Graph<'_, f32>, x: &[f32], y: &[f32]) -> Result<Var, Failure> {
        let (mean, sigma, units) = self.predict(graph, x)?;
        let y = graph.tape.constant([y.len(), 1], y)?;
        let nll = graph.tape.gaussian_nll(mean, sigma, y)?;
        let beta = graph.tape.constant([], &[BETA as f32])?;
        let kl = graph.tape.weighted_kl(&units.units, beta)?;
        Ok(graph.tape.add(nll, kl)?)
    }
}

/// The features and targets of the rows of one part, standardised by the training rows.
struct Part {
    x: Vec<f32>,
    y: Vec<f32>,
}

/// Returns the mean and the deviation of these rows.
fn moments(column: &[f64], rows: &[usize]) -> [f64; 2] {
    let mean = rows.iter().map(|&row| column[row]).sum::<f64>() / rows.len() as f64;
    let squares = rows.iter().map(|&row| (column[row] - mean).powi(2)).sum::<f64>();
    [mean, (squares / rows.len() as f64).sqrt()]
}

/// Trains on the first split of the table, and prints the RMSE and the NLL of its test rows.
pub(crate) fn run(table: &str, splits: &str, settings: Settings) -> Result<(), Failure> {
    let options = TabularOptions { targets: vec!["y".to_owned()], ..TabularOptions::default() };
    let table = Tabular::load(table, &options)?;
    let columns = table.features().iter().chain(table.targets()).map(|column| {
        let ColumnValues::Numbers(values) = &column.values else {
            return Err(format!("column {} is not of numbers", column.name));
        };
        Ok(&values[..])
    });
    let columns = columns.collect::<Result<Vec<_>, _>>()?;
    let splits = std::fs::read_to_string(splits)?;
    let first = splits.lines().nth(1).and_then(|line| line.split(',').nth(1));
    let test = first.ok_or("the file of splits has no second line with a comma")?;
    let test = test.split_whitespace().map(str::parse).collect::<Result<Vec<usize>, _>>()?;
    if test.iter().any(|&row| row >= table.rows()) {
        return Err("a test row is not in the table".into());
    }
    let train: Vec<usize> = (0..table.rows()).filter(|row| !test.contains(row)).collect();
    let scales: Vec<[f64; 2]> = columns.iter().map(|column| moments(column, &train)).collect();
    let (features, target) = (columns.len() - 1, columns.len() - 1);
    let part = |rows: &[usize]| {
        let standard = |c: usize, row: usize| {
            let [mean, deviation] = scales[c];
            ((columns[c][row] - mean) / if deviation > 0.0 { deviation } else { 1.0 }) as f32
        };
        let x = rows.iter().flat_map(|&row| (0..features).map(move |c| (c, row)));
        Part {
            x: x.map(|(c, row)| standard(c, row)).collect(),
            y: rows.iter().map(|&row| standard(target, row)).collect(),
        }
    };
    let (train, test) = (part(&train), part(&test));
    let mut learner = Learner::new(settings.seed, |builder| Regression::new(builder, features))?;
    let seconds = learner.train(settings, [&train.x, &train.y])?;
    let (means, sigmas) = learner.evaluate(0, |network, graph| {
        let (mean, sigma, _) = network.predict(graph, &test.x)?;
        let numbers = |var| graph.tape.value(var).data().to_vec();
        Ok((numbers(mean), numbers(sigma)))
    })?;
    let [rmse, nll] = scores(&means, &sigmas, &test.y);
    let unit = scales[target][1];
    let scores = [("rmse", rmse * unit), ("nll", nll + unit.ln())];
    report("regression", settings, &scores, seconds)
}

/// Returns the RMSE of the mean over samples, and the NLL of their mixture in nats. `means` and
/// `sigmas` are `[samples, rows]`.
fn scores(means: &[f32], sigmas: &[f32], y: &[f32]) -> [f64; 2] {
    let half_ln_2pi = 0.5 * (2.0 * std::f64::consts::PI).ln();
    let (rows, samples) = (y.len(), SAMPLES as f64);
    let [mut squares, mut nll] = [0.0; 2];
    for (row, &y) in y.iter().enumerate() {
        let y = f64::from(y);
        let log_densities: Vec<f64> = (0..SAMPLES)
            .map(|s| {
                let sigma = f64::from(sigmas[s * rows + row]);
                let distance = (y - f64::from(means[s * rows + row])) / sigma;
                -0.5 * distance * distance - sigma.ln() - half_ln_2pi
            })
            .collect();
        let largest = log_densities.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = log_densities.iter().map(|l| (l - largest).exp()).sum();
        nll -= (sum / samples).ln() + largest;
        let mean: f64 = (0..SAMPLES).map(|s| f64::from(means[s * rows + row])).sum();
        squares += (mean / samples - y).powi(2);
    }
    [(squares / rows as f64).sqrt(), nll / rows as f64]
}
