//! Predictions of new rows by a stored run, as CSV.

use crate::config::TaskConfig;
use crate::data::notes::of_far_numbers;
use crate::data::{InputEncoding, Inputs, TargetEncoding, TaskEncoding, TaskRows};
use crate::evaluate::{ClassPrediction, Costs, Predictive, decide};
use crate::network::Variant;
use crate::run::evaluate_run::stored_run;
use crate::run::experiment::{Experiment, Stored};
use crate::run::memory::{TaskMemory, TaskSizes};
use crate::run::source::read_for;
use std::fmt::Write;
use std::path::Path;
use vdn_model::units::Intervention;
use vdn_train::TrainError;
use vdn_train::data::{IdxArray, Request};
use vdn_train::evaluate::Evaluator;
use vdn_train::run::RunFolder;

/// The levels of the quantiles that are written.
const LEVELS: [f64; 5] = [0.05, 0.25, 0.5, 0.75, 0.95];

/// The rows to predict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PredictFrom<'a> {
    /// A delimited file with the features that the run was trained on.
    Table(&'a Path),
    /// Images of the same size in the IDX format.
    Images(&'a Path),
}

/// The predictions for a set of rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Predictions {
    /// A header, then one line per row.
    pub csv: String,
    /// Notes on the rows: what the reader left out, and numbers that are far from the training
    /// rows.
    pub notes: Vec<String>,
}

/// The inputs of the rows. Targets are not required.
fn rows_of(
    encoding: &TaskEncoding,
    config: &TaskConfig,
    from: PredictFrom<'_>,
    notes: &mut Vec<String>,
) -> Result<TaskRows, TrainError> {
    match (&encoding.inputs, from) {
        (InputEncoding::Table(features), PredictFrom::Table(file)) => {
            let table = read_for(encoding, config, file)?;
            let varying = features.without_constant();
            let inputs = Inputs::Numbers(varying.encode(&table)?);
            notes.extend(table.notes().iter().cloned());
            notes.extend(of_far_numbers(&varying, &table, 0..table.rows()));
            TaskRows::new(features.width(), inputs, 0, vec![])
        }
        (InputEncoding::Images { height, width }, PredictFrom::Images(file)) => {
            let images = IdxArray::load(file)?;
            if images.shape.len() != 3 || images.shape[1..] != [*height, *width] {
                let shape = &images.shape;
                let reason = format!(
                    "images of shape {shape:?} where [count, {height}, {width}] is expected"
                );
                return Err(TrainError::format(file, reason));
            }
            TaskRows::new(height * width, Inputs::Bytes(images.values), 0, vec![])
        }
        (InputEncoding::Table(_), PredictFrom::Images(_)) => {
            Err(TrainError::config("the run was trained on a table: give --data"))
        }
        (InputEncoding::Images { .. }, PredictFrom::Table(_)) => {
            Err(TrainError::config("the run was trained on images: give --images"))
        }
    }
}

/// Predicts rows, which need no targets. The result is CSV with one line per row, in the order of
/// the file.
///
/// For numbers the columns are:
///
/// * `row`, from 0
/// * for each target `NAME_mean`, `NAME_q05` to `NAME_q95` in its own units, and `NAME_units`, the
///   units' share of the variance
/// * `kl`, the sum of the units' KL in nats
///
/// For classes the columns are:
///
/// * `row`, the most probable class, and `p_CLASS` for each class
/// * `entropy` and `mutual_information` of the prediction, and the units' `kl`, in nats; these
///   values indicate rows that are out of distribution
/// * with `costs`, `decision` (`answer`, `abstain` or `defer`) with the least expected cost, and
///   `expected_cost`
///
/// # Errors
/// Returns an error if:
///
/// * a cost is negative
/// * a risk is outside of [0, 1]
/// * costs are given for a run that predicts numbers
/// * the run or the file cannot be read or do not match
/// * a feature is missing and missing features are errors (with line and column)
pub fn predict_task(
    run: &RunFolder,
    from: PredictFrom<'_>,
    costs: Option<Costs>,
) -> Result<Predictions, TrainError> {
    let (config, encoding) = stored_run(run)?;
    if let Some(Costs { abstain, defer }) = costs {
        let numbers = [Some(abstain), defer.map(|d| d[0]), defer.map(|d| d[1])];
        if let Some(cost) = numbers.into_iter().flatten().find(|c| !(*c >= 0.0 && c.is_finite())) {
            let reason = format!("a cost of {cost}: has to be finite and at least 0");
            return Err(TrainError::config(reason));
        }
        if let Some([_, risk]) = defer.filter(|[_, risk]| *risk > 1.0) {
            let reason = format!("a risk of {risk}: a probability has to be in [0, 1]");
            return Err(TrainError::config(reason));
        }
        if matches!(encoding.targets, TargetEncoding::Numbers(_)) {
            let reason = "the run predicts numbers: abstaining is a decision on classes";
            return Err(TrainError::config(reason));
        }
    }
    let mut notes = Vec::new();
    let data = rows_of(&encoding, &config, from, &mut notes)?;
    let sizes = TaskSizes {
        widths: encoding.widths(),
        rows: [0, 0, data.len()],
        input_bytes: data.input_bytes(),
        splits: 0,
        trains: false,
    };
    TaskMemory::of(&config, &sizes).without_probe().estimate().check_stored(config.run)?;
    let stored = Experiment::stored(&config, &encoding, run, Variant::Variational)?;
    let Some(Stored { network, parameters }) = stored else {
        return Err(TrainError::format(run.path(), "holds no weights"));
    };
    let mut csv = head(&encoding.targets, costs.is_some());
    let share = encoding.outlier_share();
    let all: Vec<usize> = (0..data.len()).collect();
    let evaluator = Evaluator::new(&network, &parameters, &data, config.train.noise());
    evaluator.for_each_pass(&all, Request::INPUTS, |_, graph, batch, chunk| {
        let prediction = network.predict(graph, batch, Intervention::None)?;
        for (row, &number) in chunk.iter().enumerate() {
            let _ = write!(csv, "{number}");
            match &encoding.targets {
                TargetEncoding::Numbers(scales) => {
                    for (column, scale) in scales.iter().enumerate() {
                        let address = (number * scales.len() + column) as u64;
                        let from = (evaluator.noise, address);
                        let place = [row, column];
                        let of = (scale, share);
                        let own = Predictive::of(&network, &prediction, place, of, from)?
                            .ok_or_else(|| TrainError::config("the run predicts classes"))?;
                        let _ = write!(csv, ",{}", own.mean());
                        for level in LEVELS {
                            let _ = write!(csv, ",{}", own.quantile(level)?);
                        }
                        let [units, noise] = own.variance_parts();
                        // A rate can be so small that it has no variance in double precision.
                        let all = units + noise;
                        let _ = write!(csv, ",{}", if all > 0.0 { units / all } else { 0.0 });
                    }
                    let _ = write!(csv, ",{}", prediction.kl[row]);
                }
                TargetEncoding::Classes { classes, .. } => {
                    let own = ClassPrediction::of(&prediction, row);
                    let _ = write!(csv, ",{}", quoted(&classes[own.class()]));
                    let scores = [own.entropy, own.mutual_information, own.kl];
                    for x in own.probabilities.iter().chain(&scores) {
                        let _ = write!(csv, ",{x}");
                    }
                    if let Some(costs) = costs {
                        let (decision, cost) = decide(own.confidence(), costs);
                        let _ = write!(csv, ",{},{cost}", decision.name());
                    }
                }
            }
            csv.push('\n');
        }
        Ok(())
    })?;
    Ok(Predictions { csv, notes })
}

/// The names of the columns.
fn head(targets: &TargetEncoding, decides: bool) -> String {
    let mut csv = "row".to_owned();
    match targets {
        TargetEncoding::Numbers(scales) => {
            for scale in scales {
                for column in ["mean", "q05", "q25", "q50", "q75", "q95", "units"] {
                    let _ = write!(csv, ",{}", quoted(&format!("{}_{column}", scale.name)));
                }
            }
            csv.push_str(",kl");
        }
        TargetEncoding::Classes { name, classes } => {
            let _ = write!(csv, ",{}", quoted(name));
            for class in classes {
                let _ = write!(csv, ",{}", quoted(&format!("p_{class}")));
            }
            csv.push_str(",entropy,mutual_information,kl");
            if decides {
                csv.push_str(",decision,expected_cost");
            }
        }
    }
    csv.push('\n');
    csv
}

/// A name as a CSV cell.
fn quoted(name: &str) -> String {
    match name.contains(['"', ',', '\n', '\r']) {
        true => format!("\"{}\"", name.replace('"', "\"\"")),
        false => name.to_owned(),
    }
}
