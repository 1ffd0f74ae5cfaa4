//! Predictions of new rows by a stored run, as CSV.

use crate::data::{InputEncoding, Inputs, TargetEncoding, TaskRows};
use crate::evaluate::Predictive;
use crate::network::Variant;
use crate::run::evaluate_run::stored_run;
use crate::run::experiment::{Experiment, Stored};
use crate::run::source::read_for;
use std::fmt::Write;
use std::path::Path;
use vdn_model::Intervention;
use vdn_train::data::Request;
use vdn_train::run::RunFolder;
use vdn_train::{Evaluator, TrainError};

/// The quantiles that are written.
const LEVELS: [f64; 5] = [0.05, 0.25, 0.5, 0.75, 0.95];

/// Predicts the rows of a table, which needs no targets: one line a row, in the order of the file.
///
/// Of numbers: `row` (from 0), and for each target `NAME_mean`, `NAME_q05` to `NAME_q95` in its own
/// units, and `NAME_units`, the units' share of the variance; at the end `kl`, the sum of the units'
/// KL in nats.
///
/// # Errors
/// The run or the file cannot be read, or do not fit each other; a missing feature where that is an
/// error, with line and column.
pub fn predict_task(run: &RunFolder, file: &Path) -> Result<String, TrainError> {
    let (config, encoding) = stored_run(run)?;
    let table = read_for(&encoding, &config, file)?;
    let InputEncoding::Table(features) = &encoding.inputs else {
        return Err(TrainError::config("the run was trained on images"));
    };
    let TargetEncoding::Numbers(scales) = &encoding.targets else {
        return Err(TrainError::config("the run predicts classes"));
    };
    let inputs = Inputs::Numbers(features.encode(&table)?);
    let (width, rows) = (features.width(), table.rows());
    // No targets are asked for.
    let data = TaskRows::new(width, inputs, 0, Vec::new())?;
    let stored = Experiment::stored(&config, &encoding, run, Variant::Variational)?;
    let Some(Stored { network, parameters }) = stored else {
        return Err(TrainError::format(run.path(), "holds no weights"));
    };
    let mut csv = "row".to_owned();
    for scale in scales {
        for column in ["mean", "q05", "q25", "q50", "q75", "q95", "units"] {
            let _ = write!(csv, ",{}", quoted(&format!("{}_{column}", scale.name)));
        }
    }
    csv.push_str(",kl\n");
    let all: Vec<usize> = (0..rows).collect();
    let evaluator = Evaluator::new(&network, &parameters, &data, config.train.noise());
    evaluator.for_each_pass(&all, Request::INPUTS, |_, graph, batch, chunk| {
        let prediction = network.predict(graph, batch, Intervention::None)?;
        for (row, &number) in chunk.iter().enumerate() {
            let _ = write!(csv, "{number}");
            for (column, scale) in scales.iter().enumerate() {
                let address = (number * scales.len() + column) as u64;
                let from = (evaluator.noise, address);
                let own = Predictive::of(&network, &prediction, [row, column], scale, from)?
                    .ok_or_else(|| TrainError::config("the run predicts classes"))?;
                let _ = write!(csv, ",{}", own.mean());
                for level in LEVELS {
                    let _ = write!(csv, ",{}", own.quantile(level)?);
                }
                let [units, noise] = own.variance_parts();
                let _ = write!(csv, ",{}", units / (units + noise));
            }
            let _ = writeln!(csv, ",{}", prediction.kl[row]);
        }
        Ok(())
    })?;
    Ok(csv)
}

/// A name as a cell of CSV.
fn quoted(name: &str) -> String {
    match name.contains(['"', ',', '\n', '\r']) {
        true => format!("\"{}\"", name.replace('"', "\"\"")),
        false => name.to_owned(),
    }
}
