//! [`Source`]: the rows of a run as they were read, before they are divided and standardised.

use crate::config::{TaskConfig, TaskName};
use crate::data::notes::{of_far_numbers, of_quantities, of_single_categories};
use crate::data::{
    InputEncoding, Inputs, Parts, TargetEncoding, TaskEncoding, TaskRows, divide, hold_out, others,
    read_splits,
};
use vdn_train::TrainError;
use vdn_train::data::{FeatureEncoding, ImageSet, Tabular, TabularOptions};

/// Rows as they were read.
pub(crate) enum Source {
    Table(Tabular),
    Images {
        set: ImageSet,
        /// The number of the first test image.
        test_from: Option<usize>,
    },
}

/// Rows that are ready for a network.
pub(crate) struct Prepared {
    pub(crate) encoding: TaskEncoding,
    pub(crate) rows: TaskRows,
    pub(crate) notes: Vec<String>,
}

impl Source {
    /// Reads the files.
    pub(crate) fn read(config: &TaskConfig) -> Result<Self, TrainError> {
        let data = &config.data;
        if let (Some(images), Some(labels)) = (&data.images, &data.labels) {
            let set = ImageSet::load(images, labels)?;
            let Some((images, labels)) = data.test_images.as_ref().zip(data.test_labels.as_ref())
            else {
                return Ok(Self::Images { set, test_from: None });
            };
            let test_from = Some(set.len());
            let set = set.joined(&ImageSet::load(images, labels)?)?;
            return Ok(Self::Images { set, test_from });
        }
        let Some(file) = &data.file else {
            return Err(TrainError::config("data.file: a task needs a file, or images"));
        };
        let mut options = data.options()?;
        if config.task == TaskName::Classification {
            options.categories.extend(data.target.iter().cloned());
        }
        Ok(Self::Table(Tabular::load(file, &options)?))
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Table(table) => table.rows(),
            Self::Images { set, .. } => set.len(),
        }
    }

    /// The test rows of each published split, if there are published splits.
    pub(crate) fn splits(
        &self,
        config: &TaskConfig,
    ) -> Result<Option<Vec<Vec<usize>>>, TrainError> {
        let Some(path) = &config.data.splits else { return Ok(None) };
        let splits = read_splits(path, self.len())?;
        if let Some(split) = config.data.split.filter(|&split| split >= splits.len()) {
            let count = splits.len();
            let reason = format!("data.split = {split}: there are {count} splits, counted from 0");
            return Err(TrainError::config(reason));
        }
        Ok(Some(splits))
    }

    /// Divides the rows: by published split number `split` with the test rows `test`, or by the
    /// shares of the configuration.
    pub(crate) fn parts(
        &self,
        config: &TaskConfig,
        published: Option<(usize, Vec<usize>)>,
    ) -> Result<Parts, TrainError> {
        let (data, rows) = (&config.data, self.len());
        if rows < 3 {
            let reason = format!("{rows} rows do not divide into training, validation and test");
            return Err(TrainError::config(reason));
        }
        let (split, [train, test]) = match (published, self) {
            (Some((split, test)), _) => (split, [others(rows, &test), test]),
            (None, Self::Images { test_from: Some(from), .. }) => {
                (0, [(0..*from).collect(), (*from..rows).collect()])
            }
            (None, _) => (0, hold_out(rows, data.test, data.seed)),
        };
        divide(train, test, data.validation, data.seed, split)
    }

    /// Encodes the rows as inputs and targets. Encodings are fitted to the training and validation
    /// rows.
    pub(crate) fn prepare(
        &self,
        config: &TaskConfig,
        parts: Parts,
    ) -> Result<Prepared, TrainError> {
        match self {
            Self::Table(table) => {
                let mut train: Vec<usize> = parts[0].iter().chain(&parts[1]).copied().collect();
                train.sort_unstable();
                let features = FeatureEncoding::fit(table, &train, config.data.missing)?;
                let targets = match config.task {
                    TaskName::Regression => {
                        let counts = config.model.likelihood.is_of_counts();
                        TargetEncoding::numbers(table, &train, counts)?
                    }
                    TaskName::Classification => TargetEncoding::classes(table)?,
                };
                let inputs = Inputs::Numbers(features.encode(table)?);
                let mut notes = table.notes().to_vec();
                let constant = features.constant();
                if !constant.is_empty() {
                    let names = constant.join(", ");
                    notes.push(format!("left out, one value in all training rows: {names}"));
                }
                notes.extend(of_single_categories(&features, train.len()));
                notes.extend(of_far_numbers(&features, table, parts[2].iter().copied()));
                if let TargetEncoding::Classes { name, classes } = &targets {
                    notes.extend(of_quantities(name, classes));
                }
                let rows = TaskRows::new(
                    features.width(),
                    inputs,
                    table.targets().len(),
                    targets.encode(table)?,
                )?;
                let inputs = InputEncoding::Table(features);
                let encoding = TaskEncoding { inputs, targets, training_rows: train.len() };
                Ok(Prepared { encoding, rows: rows.with_splits(parts)?, notes })
            }
            Self::Images { set, .. } => {
                let targets = set.labels().iter().map(|&label| f64::from(label)).collect();
                let inputs = Inputs::Bytes(set.pixels().to_vec());
                let training_rows = parts[0].len() + parts[1].len();
                let rows = TaskRows::new(set.n_pixels(), inputs, 1, targets)?.with_splits(parts)?;
                let classes = (0..set.classes()).map(|class| class.to_string()).collect();
                let encoding = TaskEncoding {
                    inputs: InputEncoding::Images { height: set.height(), width: set.width() },
                    targets: TargetEncoding::Classes { name: "label".into(), classes },
                    training_rows,
                };
                Ok(Prepared { encoding, rows, notes: Vec::new() })
            }
        }
    }
}

/// Reads a table for a trained network: its features by name, and its targets if the table has
/// them.
pub(crate) fn read_for(
    encoding: &TaskEncoding,
    config: &TaskConfig,
    file: &std::path::Path,
) -> Result<Tabular, TrainError> {
    let InputEncoding::Table(features) = &encoding.inputs else {
        let reason = "the run was trained on images; give --images, not a table";
        return Err(TrainError::config(reason));
    };
    let (targets, mut categories) = match &encoding.targets {
        TargetEncoding::Numbers(scales) => {
            (scales.iter().map(|scale| scale.name.clone()).collect(), Vec::new())
        }
        TargetEncoding::Classes { name, .. } => (vec![name.clone()], vec![name.clone()]),
    };
    categories.extend(features.categories());
    let options = TabularOptions {
        targets,
        categories,
        features: Some(features.without_constant().names()),
        targets_optional: true,
        ignore: Vec::new(),
        ..config.data.options()?
    };
    Ok(Tabular::load(file, &options)?)
}
