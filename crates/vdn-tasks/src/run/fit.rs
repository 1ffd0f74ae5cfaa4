//! The training of one network: the number of epochs is chosen on held-out rows, then the network
//! is trained on all rows.

use crate::config::TaskConfig;
use crate::data::TaskRows;
use crate::network::{Calibration, TaskNetwork, Variant};
use crate::run::calibration::{HeldOut, MOST_ROWS, calibrate};
use crate::run::spread::spread;
use serde::{Deserialize, Serialize};
use std::time::Instant;
use vdn_model::core::Parameters;
use vdn_model::units::Intervention;
use vdn_train::TrainError;
use vdn_train::config::{Selection, TrainConfig};
use vdn_train::data::{Request, Split};
use vdn_train::evaluate::Evaluator;
use vdn_train::run::store::Interrupt;
use vdn_train::run::{RunFiles, RunFolder};
use vdn_train::train::{ByOutcomes, Progress, Trained, Trainer};

/// The network of a run that is being trained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The networks by which the number of epochs is chosen.
    Choice,
    /// The network of the run.
    Model,
    /// The deterministic twin.
    Twin,
}

impl Stage {
    /// `choice`, `model` or `twin`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Choice => "choice",
            Self::Model => "model",
            Self::Twin => "twin",
        }
    }
}

/// The number of epochs on each side over which the validation score is averaged before the best is
/// chosen.
const SMOOTHED: usize = 5;

/// The scores by which the number of epochs was chosen: the file `choice.json`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Choice {
    /// The score of each part of the rows after each epoch.
    pub(crate) folds: Vec<Vec<f64>>,
    /// The chosen number of epochs.
    pub(crate) epochs: usize,
    /// The factors of the calibration.
    pub(crate) factor: Vec<f64>,
    /// The floors of the calibration.
    pub(crate) floor: Vec<f64>,
}

/// A trained network.
pub(crate) struct Fitted {
    pub(crate) network: TaskNetwork,
    pub(crate) parameters: Parameters<f32>,
    pub(crate) trained: Trained,
    /// The chosen number of epochs.
    pub(crate) epochs: usize,
    /// The result of the choice; `None` if none was necessary.
    choice: Option<Choice>,
    /// Wall-clock seconds, including the choice.
    pub(crate) seconds: f64,
}

/// The input of a training.
#[derive(Clone, Copy)]
pub(crate) struct Fit<'a> {
    pub(crate) config: &'a TaskConfig,
    pub(crate) rows: &'a TaskRows,
    pub(crate) widths: [usize; 2],
    /// The probability of rows that are unlike all training rows.
    pub(crate) outlier_share: f64,
    pub(crate) folder: Option<&'a RunFolder>,
    pub(crate) interrupt: &'a Interrupt,
    pub(crate) resume: bool,
}

impl Fit<'_> {
    /// Trains a network or its twin.
    pub(crate) fn run(
        &self,
        variant: Variant,
        progress: &mut dyn FnMut(Stage, Progress<'_>),
    ) -> Result<Fitted, TrainError> {
        let start = Instant::now();
        let stage = match variant {
            Variant::Variational => Stage::Model,
            Variant::Twin => Stage::Twin,
        };
        let files = self.folder.and_then(RunFolder::files).map(|files| match variant {
            Variant::Variational => files.clone(),
            Variant::Twin => files.prefixed("twin-"),
        });
        if !self.config.choice.refit {
            let all = Training { fit: self, variant, rows: self.rows, choice: None, files };
            let (network, parameters, trained) = all.run(&mut |event| progress(stage, event))?;
            let epochs = trained.best_epoch;
            let seconds = start.elapsed().as_secs_f64();
            return Ok(Fitted { network, parameters, trained, epochs, choice: None, seconds });
        }
        let choice = self.choose(variant, progress)?;
        let (rows, epochs) = (self.all_rows()?, choice.epochs);
        let all = Training { fit: self, variant, rows: &rows, choice: Some(&choice), files };
        let (network, parameters, trained) = all.run(&mut |event| progress(stage, event))?;
        let seconds = start.elapsed().as_secs_f64();
        Ok(Fitted { network, parameters, trained, epochs, choice: Some(choice), seconds })
    }

    /// Trains the other members of an ensemble of `config.ensemble` twins: networks like `twin`
    /// with other initial weights and other batches, trained for the same number of epochs. They
    /// are not stored.
    pub(crate) fn other_twins(
        &self,
        twin: &Fitted,
        progress: &mut dyn FnMut(Stage, Progress<'_>),
    ) -> Result<Vec<Fitted>, TrainError> {
        let rows = match twin.choice {
            Some(_) => self.all_rows()?,
            None => self.rows.clone(),
        };
        let of = |member: usize| {
            let start = Instant::now();
            let mut config = self.config.clone();
            // Seeds are below 2^63.
            config.train.seed = (config.train.seed + member as u64) % (i64::MAX as u64 + 1);
            let fit = Fit { config: &config, folder: None, resume: false, ..*self };
            let choice = twin.choice.as_ref();
            let one =
                Training { fit: &fit, variant: Variant::Twin, rows: &rows, choice, files: None };
            let (network, parameters, trained) =
                one.run(&mut |event| progress(Stage::Twin, event))?;
            let seconds = start.elapsed().as_secs_f64();
            let (choice, epochs) = (twin.choice.clone(), twin.epochs);
            Ok(Fitted { network, parameters, trained, epochs, choice, seconds })
        };
        (1..self.config.ensemble).map(of).collect()
    }

    /// All rows; the validation rows are for training, too.
    fn all_rows(&self) -> Result<TaskRows, TrainError> {
        let [train, validation, test] = self.parts();
        let mut all: Vec<usize> = train.iter().chain(validation).copied().collect();
        all.sort_unstable();
        self.rows.clone().with_splits([all, validation.to_vec(), test.to_vec()])
    }

    fn parts(&self) -> [&[usize]; 3] {
        [Split::Train, Split::Validation, Split::Test].map(|split| self.rows.part(split))
    }

    /// Chooses the number of epochs after which held-out rows are predicted best.
    fn choose(
        &self,
        variant: Variant,
        progress: &mut dyn FnMut(Stage, Progress<'_>),
    ) -> Result<Choice, TrainError> {
        let name = match variant {
            Variant::Variational => "choice.json",
            Variant::Twin => "twin-choice.json",
        };
        if let Some(folder) = self.folder.filter(|folder| self.resume && folder.file(name).exists())
        {
            return folder.read_json(name);
        }
        let [train, validation, test] = self.parts();
        let folds = match self.config.choice.parts(train.len() + validation.len()) {
            0 | 1 => vec![[train.to_vec(), validation.to_vec()]],
            folds => {
                // The order of the rows is random, so the parts take rows in turns.
                let all: Vec<usize> = validation.iter().chain(train).copied().collect();
                if all.len() < folds {
                    let count = all.len();
                    let reason = format!("choice.folds = {folds}: there are {count} training rows");
                    return Err(TrainError::config(reason));
                }
                let part = |fold: usize, inside: bool| {
                    let of = |&(i, _): &(usize, usize)| (i % folds == fold) == inside;
                    all.iter().copied().enumerate().filter(of).map(|(_, row)| row).collect()
                };
                (0..folds).map(|fold| [part(fold, false), part(fold, true)]).collect()
            }
        };
        let curve = |fold: usize, tell: &mut dyn FnMut(Progress<'_>)| {
            let [train, held] = folds[fold].clone();
            let rows = self.rows.clone().with_splits([train, held, test.to_vec()])?;
            let one = Training { fit: self, variant, rows: &rows, choice: None, files: None };
            let (network, parameters, trained) = one.run(tell)?;
            let scores: Vec<f64> = trained.history.iter().map(|epoch| epoch.selection).collect();
            Ok((scores, self.held_out(&network, &parameters, &rows)?))
        };
        let found = match folds.len() {
            1 => vec![curve(0, &mut |event| progress(Stage::Choice, event))?],
            count => {
                let (done, total) = (0, count as u64);
                progress(Stage::Choice, Progress::Preparation { done, total });
                spread(count, |fold| curve(fold, &mut |_| {}))?
            }
        };
        let mut held = vec![Vec::new(); self.columns()];
        let mut folds = Vec::new();
        for (scores, own) in found {
            folds.push(scores);
            held.iter_mut().zip(own).for_each(|(to, own)| to.extend(own));
        }
        let Calibration { factor, floor } =
            calibrate(self.config.model.likelihood, &held, self.outlier_share);
        let choice = Choice { epochs: best_of(&folds), folds, factor, floor };
        if let Some(folder) = self.folder {
            folder.write_json(name, &choice)?;
        }
        Ok(choice)
    }

    /// The number of target columns.
    fn columns(&self) -> usize {
        self.rows.targets(0).len()
    }

    /// The predictions of held-out rows for each target.
    fn held_out(
        &self,
        network: &TaskNetwork,
        parameters: &Parameters<f32>,
        rows: &TaskRows,
    ) -> Result<Vec<Vec<HeldOut>>, TrainError> {
        let all = rows.part(Split::Validation);
        let most = all.len().min(MOST_ROWS);
        let some: Vec<usize> = (0..most).map(|i| all[i * all.len() / most]).collect();
        let mut held = vec![Vec::new(); self.columns()];
        let evaluator = Evaluator::new(network, parameters, rows, self.config.train.noise());
        evaluator.for_each_pass(&some, Request::INPUTS, |_, graph, batch, chunk| {
            let prediction = network.predict(graph, batch, Intervention::None)?;
            for (row, &number) in chunk.iter().enumerate() {
                for (column, &y) in rows.targets(number).iter().enumerate() {
                    let of = |s| network.observation(&prediction, [s, row, column]);
                    let samples = 0..prediction.shape[0];
                    let parts: Option<Vec<_>> = samples.clone().map(of).collect();
                    held[column].push(match parts {
                        Some(parts) => HeldOut::Number(parts, y),
                        None => {
                            let logits = |s| prediction.outputs(s, row).to_vec();
                            HeldOut::Class(samples.map(logits).collect(), y as usize)
                        }
                    });
                }
            }
            Ok(())
        })?;
        Ok(held)
    }
}

/// The epoch (from 1) with the smallest mean score over the folds, averaged over neighbouring
/// epochs. A fold that stopped early keeps its last score.
fn best_of(folds: &[Vec<f64>]) -> usize {
    let longest = folds.iter().map(Vec::len).max().unwrap_or(0);
    let at = |fold: &Vec<f64>, epoch: usize| fold[epoch.min(fold.len() - 1)];
    let mean: Vec<f64> = (0..longest)
        .map(|epoch| folds.iter().map(|fold| at(fold, epoch)).sum::<f64>() / folds.len() as f64)
        .collect();
    let smooth = |epoch: usize| {
        let near = &mean[epoch.saturating_sub(SMOOTHED)..(epoch + SMOOTHED + 1).min(longest)];
        near.iter().sum::<f64>() / near.len() as f64
    };
    let best = (0..longest).min_by(|&a, &b| smooth(a).total_cmp(&smooth(b)));
    best.map_or(1, |epoch| epoch + 1)
}

/// One training of one network.
struct Training<'a> {
    fit: &'a Fit<'a>,
    variant: Variant,
    rows: &'a TaskRows,
    /// The number of epochs, and a calibration. With `None`, training runs for at most the
    /// configured number of epochs, and the best epoch on the validation rows is kept.
    choice: Option<&'a Choice>,
    files: Option<RunFiles>,
}

impl Training<'_> {
    /// The mean and the variance of each target over the training rows. The mean is at least half a
    /// count divided by the number of rows, because a mean of 0 has no logarithm.
    fn moments(&self) -> Vec<[f64; 2]> {
        let rows = self.rows.part(Split::Train);
        let count = rows.len().max(1) as f64;
        let of = |column: usize| {
            let values = || rows.iter().map(|&row| self.rows.targets(row)[column]);
            let mean = values().sum::<f64>() / count;
            let variance = values().map(|y| (y - mean).powi(2)).sum::<f64>() / count;
            [mean.max(0.5 / count), variance]
        };
        (0..self.fit.columns()).map(of).collect()
    }

    fn run(
        &self,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<(TaskNetwork, Parameters<f32>, Trained), TrainError> {
        let Fit { config, widths, interrupt, resume, .. } = *self.fit;
        let mut trainer =
            Trainer { files: self.files.clone(), interrupt: interrupt.clone(), ..config.trainer() };
        let rows = self.rows.part(Split::Train).len();
        let TrainConfig { epochs, batch, .. } = config.train;
        trainer.train.epochs = config.choice.epochs(epochs, rows, batch);
        if let Some(choice) = self.choice {
            (trainer.train.epochs, trainer.train.patience) = (choice.epochs, 0);
            trainer.train.selection = Selection::Last;
        }
        let seed = config.train.seed;
        let (network, mut parameters) =
            TaskNetwork::new::<f32>(config.model.clone(), self.variant, widths, seed)?;
        if let Some(Choice { factor, floor, .. }) = self.choice {
            let (factor, floor) = (factor.clone(), floor.clone());
            network.calibrate(&mut parameters, &Calibration { factor, floor })?;
        }
        network.start_at(&mut parameters, &self.moments())?;
        let session = trainer.session(&network, &mut parameters, self.rows)?;
        let mut session = session.with_task(ByOutcomes);
        if resume && self.files.is_some() {
            let skipped = session.resume()?;
            skipped.iter().for_each(|damage| progress(Progress::Skipped(damage)));
        }
        let trained = session.run(&mut *progress)?;
        Ok((network, parameters, trained))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_epoch_is_that_of_the_smoothed_mean_over_folds() {
        // One epoch that is good by chance does not count, because its neighbours are bad.
        let mut noisy: Vec<f64> =
            (0..60).map(|e: i32| 1.0 + 0.01 * f64::from((e - 30).pow(2))).collect();
        noisy[55] = 0.5;
        assert_eq!(best_of(&[noisy.clone()]), 31);
        // Folds that stop early keep their last score.
        let early: Vec<f64> = noisy[..40].to_vec();
        assert_eq!(best_of(&[early, noisy]), 31);
        assert_eq!(best_of(&[vec![3.0]]), 1);
    }
}
