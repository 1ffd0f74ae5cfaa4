//! Resuming a session from a checkpoint.

use crate::data::Examples;
use crate::error::TrainError;
use crate::network::Network;
use crate::optim::Optimizer;
use crate::run::store::{Latest, LogMark, Sections, StoreError};
use crate::run::{RunFiles, Tensors, read_bounded};
use crate::train::checkpoint::{Durable, Marks, rows_file};
use crate::train::control_log::ControlLog;
use crate::train::session::{Best, Session, SessionPlace};
use crate::train::task::Task;
use crate::units::history::Epoch;
use crate::units::history::Running;
use crate::units::{UnitHistory, layer_file};
use std::path::Path;
use vdn_model::controllers::ControlState;
use vdn_model::core::{ModelError, Parameters};
use vdn_model::diagnostics::HealthTrend;
use vdn_tensor::Element;

impl<'a, T, N, D, K, O> Session<'a, T, N, D, K, O>
where
    T: Element,
    N: Network<T>,
    D: for<'b> Examples<T, Batch<'b> = N::Batch<'b>>,
    K: Task<T, N, D>,
    O: Optimizer<T>,
{
    /// Restores the newest intact checkpoint; stays at the start if there is none. Returns the
    /// errors of the newer checkpoints that were skipped, the newest first.
    ///
    /// # Errors
    /// Returns an error if there are no files to resume from, if there are checkpoints but none is
    /// intact, or if the checkpoint is of another network, of other settings or of another version.
    pub fn resume(&mut self) -> Result<Vec<StoreError>, TrainError> {
        let Some(files) = &self.trainer.files else {
            return Err(TrainError::config("there are no files to resume from"));
        };
        let config = self.trainer.train.checkpoints();
        config.validate()?;
        let store = files.store(config.keep)?;
        let Latest { checkpoint, skipped } = store.latest()?;
        let Some((_, mut sections)) = checkpoint else {
            files.expect_unfinished()?;
            // The user decides whether to start again.
            return match skipped.into_iter().next() {
                None => Ok(Vec::new()),
                Some(damage) => Err(damage.into()),
            };
        };
        let path = sections.path().to_owned();
        let refuse = |reason: &str| TrainError::format(&path, reason);
        self.expect_identity(sections.get("run")?, &path)?;
        let marks: Marks = serde_json::from_slice(sections.get("logs")?)
            .map_err(|e| TrainError::format(&path, format!("section logs: {e}")))?;
        let progress = state(&sections, "progress")?;
        let mut place = [0.0; 6];
        progress.fill("place", &mut place)?;
        let mut running = [0.0; 6];
        progress.fill("running", &mut running)?;
        let [step, epochs, batches, rate, over, seconds] = place;
        // Checkpoints of earlier versions do not have `untrained`.
        let untrained = match progress.values("untrained") {
            Ok(_) => Some(progress.number("untrained")?),
            Err(_) => None,
        };
        self.place = SessionPlace {
            step: step as u64,
            epochs: epochs as usize,
            batches: batches as usize,
            running: Running::of_numbers(running),
            rate,
            over: over != 0.0,
            seconds,
            untrained,
        };
        Tensors::decode(&sections.take("parameters")?)?.fill_parameters(self.parameters)?;
        self.step.optimizer.restore(&Tensors::decode(&sections.take("optimizer")?)?)?;
        if let Ok(bytes) = sections.take("average") {
            let tensors = Tensors::decode(&bytes)?;
            let average = self.like(&tensors)?;
            self.step.average.restore(tensors.count("average.steps")?, Some(average));
        }
        self.step.control.restore(&state(&sections, "control")?)?;
        let layers = self.network.distributional_layers();
        let durable = Durable::new(files, config.keep, &marks, &layers)?;
        // The logs were cut to the lengths in the checkpoint.
        let text = log_text(&files.history(), marks.history)?;
        let mut monitor = self.new_monitor()?;
        let counts: Vec<(usize, usize)> =
            monitor.histories().map(|(layer, own)| (layer, own.units())).collect();
        let lines = text.lines().skip(1).map(|line| Epoch::parse(line, &counts));
        self.history = lines
            .collect::<Option<Vec<_>>>()
            .filter(|history| history.len() == self.place.epochs)
            .ok_or_else(|| TrainError::format(&files.history(), "these are not its epochs"))?;
        let log = match durable.control.is_some() {
            true => {
                let path = files.path("control.csv");
                ControlLog::parse(&log_text(&path, marks.control)?)
                    .ok_or_else(|| TrainError::format(&path, "is not a log of controllers"))?
            }
            false => ControlLog::default(),
        };
        self.step.around.restore(&progress, log)?;
        monitor.restore(&state(&sections, "monitor")?)?;
        for (place, (layer, own)) in monitor.histories_mut().enumerate() {
            let path = rows_file(files, layer);
            let mark = marks.units.get(place).copied().unwrap_or(LogMark::EMPTY);
            let bytes = read_bounded(&path, mark.length)?;
            let values = bytes.as_chunks::<4>().0.iter().map(|&b| f32::from_le_bytes(b)).collect();
            *own = UnitHistory::from_values(own.units(), self.place.epochs, values)
                .ok_or_else(|| TrainError::format(&path, "does not hold its epochs"))?;
        }
        self.monitor = Some(monitor);
        if let Ok(bytes) = sections.take("best") {
            let mut best = [0.0; 2];
            progress.fill("best", &mut best)?;
            let seen = state(&sections, "best_seen")?;
            let seen =
                (0..layers.len()).map(|place| HealthTrend::load(&format!("{place}."), &seen));
            self.best = Some(Best {
                epoch: best[0] as usize,
                score: best[1],
                parameters: self.like(&Tensors::decode(&bytes)?)?,
                control: state(&sections, "best_control").ok(),
                seen: seen.collect(),
            });
        }
        if self.best.is_none() && self.place.epochs > 0 {
            return Err(refuse("has epochs and no best one"));
        }
        // Files that were not replaced before the run stopped are replaced now. The files of all
        // units belong to the epoch at which the run stopped; they are written again when it ends.
        self.remove_units(files)?;
        let mut durable = durable;
        self.publish_best(&mut durable, &marks)?;
        self.durable = Some(durable);
        Ok(skipped)
    }

    /// Removes the files of all units that an earlier session wrote at its end.
    pub(super) fn remove_units(&self, files: &RunFiles) -> Result<(), TrainError> {
        let depth = self.network.layers().len();
        let paths = self.network.distributional_layers().into_iter();
        let paths = paths.map(|layer| layer_file(&files.path("units.npy"), layer + 1, depth));
        let paths: Vec<_> = paths.filter(|path| path.exists()).collect();
        if paths.is_empty() {
            return Ok(());
        }
        let mut manifest = files.manifest()?;
        for path in &paths {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            manifest.remove(&name);
        }
        // This order guarantees that every file in the manifest exists.
        manifest.write(files.files(), files.directory())?;
        for path in &paths {
            files.files().remove(path).map_err(TrainError::io(path))?;
        }
        Ok(())
    }

    /// Parameters of this network with the values of `tensors`.
    fn like(&self, tensors: &Tensors<'_, T>) -> Result<Parameters<T>, TrainError> {
        let mut parameters = self.parameters.clone();
        tensors.fill_parameters(&mut parameters)?;
        Ok(parameters)
    }

    /// Refuses a checkpoint that does not match, and names the difference.
    fn expect_identity(&self, stored: &[u8], path: &Path) -> Result<(), TrainError> {
        let Some(files) = &self.trainer.files else { return Ok(()) };
        let own = self.identity(files);
        if own == stored {
            return Ok(());
        }
        let [own, stored] = [&own[..], stored].map(String::from_utf8_lossy);
        let kind = |line: &str| line.split(' ').next().unwrap_or_default().to_owned();
        let differs = own.lines().zip(stored.lines()).find(|(own, stored)| own != stored);
        let what = match differs.map(|(own, _)| kind(own)).as_deref() {
            Some("run") => "it belongs to another run",
            Some("precision") => "it is of another precision",
            Some("settings" | "network") => {
                "it was saved with other settings; resume with those of the run"
            }
            Some("data") => "it was saved with other data; resume with those of the run",
            _ => "it is of another network",
        };
        Err(TrainError::format(path, what))
    }
}

/// The text of a log whose length is given by `mark`.
fn log_text(path: &Path, mark: LogMark) -> Result<String, TrainError> {
    let bytes = read_bounded(path, mark.length)?;
    String::from_utf8(bytes).map_err(|error| TrainError::format(path, error.utf8_error()))
}

fn state(sections: &Sections, name: &str) -> Result<ControlState, TrainError> {
    let bytes = sections.get(name)?;
    let tensors = Tensors::<f64>::decode(bytes).map_err(|error| {
        TrainError::Model(ModelError::Control(format!("section {name}: {error}")))
    })?;
    Ok(tensors.into())
}
