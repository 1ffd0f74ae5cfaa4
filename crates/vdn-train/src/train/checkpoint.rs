//! The output of a session: one line per epoch in its logs, and checkpoints from which it resumes
//! bit for bit.
//!
//! A checkpoint holds everything on which the next step depends: parameters, the optimiser, the
//! average, controllers, monitors, the position in the data, the best epoch so far, and the durable
//! lengths of the logs. Noise and the order of examples are addressed by the step and the epoch, so
//! there is no state of a generator to save.

use crate::data::{Examples, Split};
use crate::error::TrainError;
use crate::network::Network;
use crate::optim::Optimizer;
use crate::run::store::{AppendLog, CheckpointStore, LogMark, Moment};
use crate::run::weights_file::{control_bytes, weights_bytes};
use crate::run::{RunFiles, Tensors};
use crate::train::session::{Session, SessionPlace};
use crate::train::task::Task;
use crate::train::trainer::Progress;
use crate::units::history::header;
use crate::units::layer_file;
use crate::units::unit_monitor::UnitMonitor;
use std::path::{Path, PathBuf};
use std::time::Instant;
use vdn_model::controllers::ControlState;
use vdn_tensor::Element;

/// The files to which a session writes.
pub(super) struct Durable {
    files: RunFiles,
    store: CheckpointStore,
    history: AppendLog,
    /// `None` before the first epoch of a network with controllers.
    pub(super) control: Option<AppendLog>,
    /// The measures of every unit of each monitored layer: single-precision numbers, epoch by
    /// epoch.
    units: Vec<AppendLog>,
    last: Instant,
    /// The epoch whose weights are on disk.
    published: usize,
}

/// The durable lengths of the logs.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub(super) struct Marks {
    pub(super) history: LogMark,
    pub(super) control: LogMark,
    pub(super) units: Vec<LogMark>,
}

/// The file to which the measures of a layer's units are appended during a run.
pub(super) fn rows_file(files: &RunFiles, layer: usize) -> PathBuf {
    files.checkpoints().join(format!("units-layer{}.rows", layer + 1))
}

impl Durable {
    pub(super) fn new(
        files: &RunFiles,
        keep: usize,
        marks: &Marks,
        layers: &[usize],
    ) -> Result<Self, TrainError> {
        let store = files.store(keep)?;
        let folder = files.checkpoints();
        if !folder.is_dir() {
            files.files().create_directory(&folder).map_err(TrainError::io(&folder))?;
        }
        let open =
            |path: &Path, mark| Ok::<_, TrainError>(AppendLog::open(files.files(), path, mark)?);
        let units = layers.iter().enumerate().map(|(place, &layer)| {
            let mark = marks.units.get(place).copied().unwrap_or(LogMark::EMPTY);
            open(&rows_file(files, layer), mark)
        });
        Ok(Self {
            history: open(&files.history(), marks.history)?,
            control: (marks.control != LogMark::EMPTY)
                .then(|| open(&files.path("control.csv"), marks.control))
                .transpose()?,
            units: units.collect::<Result<_, _>>()?,
            files: files.clone(),
            store,
            last: Instant::now(),
            published: 0,
        })
    }

    /// Makes the logs durable up to their current ends.
    fn sync(&mut self) -> Result<Marks, TrainError> {
        Ok(Marks {
            history: self.history.sync()?,
            control: match &mut self.control {
                Some(log) => log.sync()?,
                None => LogMark::EMPTY,
            },
            units: self.units.iter_mut().map(AppendLog::sync).collect::<Result<_, _>>()?,
        })
    }
}

impl<'a, T, N, D, K, O> Session<'a, T, N, D, K, O>
where
    T: Element,
    N: Network<T>,
    D: for<'b> Examples<T, Batch<'b> = N::Batch<'b>>,
    K: Task<T, N, D>,
    O: Optimizer<T>,
{
    /// Opens the logs of a run that starts, unless it writes no files or is resumed.
    pub(super) fn begin_writing(&mut self) -> Result<(), TrainError> {
        let (Some(files), None) = (&self.trainer.files, &self.durable) else { return Ok(()) };
        let config = self.trainer.train.checkpoints();
        config.validate()?;
        files.expect_unfinished()?;
        if !files.store(config.keep)?.steps()?.is_empty() {
            let reason = "holds checkpoints of a run; resume it, or choose another directory";
            return Err(TrainError::format(&files.checkpoints(), reason));
        }
        self.remove_units(files)?;
        let layers = self.network.distributional_layers();
        let units = vec![LogMark::EMPTY; layers.len()];
        let marks = Marks { history: LogMark::EMPTY, control: LogMark::EMPTY, units };
        self.durable = Some(Durable::new(files, config.keep, &marks, &layers)?);
        // The run's name is on disk before any checkpoint refers to it.
        Ok(files.manifest()?.write(files.files(), files.directory())?)
    }

    /// Whether a checkpoint is due.
    pub(super) fn is_due(&self, epoch_ended: Option<usize>) -> bool {
        let Some(durable) = &self.durable else { return false };
        let (step, since_last) = (self.place.step, durable.last.elapsed());
        let moment = Moment { step, epoch_ended, since_last };
        self.trainer.train.checkpoints().due(moment).is_some()
    }

    /// Appends the last epoch to the logs.
    pub(super) fn record_epoch(&mut self) -> Result<(), TrainError> {
        let Some(mut durable) = self.durable.take() else { return Ok(()) };
        let result = self.append(&mut durable);
        self.durable = Some(durable);
        result
    }

    fn append(&self, durable: &mut Durable) -> Result<(), TrainError> {
        let Some(epoch) = self.history.last() else { return Ok(()) };
        if durable.history.is_empty() {
            durable.history.append(header(&epoch.layers).as_bytes())?;
        }
        durable.history.append(epoch.line().as_bytes())?;
        let log = self.control_log();
        if !self.step.control.is_empty() {
            let path = durable.files.path("control.csv");
            if durable.control.is_none() {
                let mut own = AppendLog::open(durable.files.files(), &path, LogMark::EMPTY)?;
                own.append(log.header().as_bytes())?;
                durable.control = Some(own);
            }
            if let Some(own) = &mut durable.control {
                own.append(log.line(log.rows().len() - 1).as_bytes())?;
            }
        }
        let histories = self.monitor.iter().flat_map(UnitMonitor::histories);
        for (rows, (_, history)) in durable.units.iter_mut().zip(histories) {
            let bytes: Vec<u8> = history.last().iter().flat_map(|x| x.to_le_bytes()).collect();
            rows.append(&bytes)?;
        }
        Ok(())
    }

    /// Saves a checkpoint as one transaction, then replaces the files for readers.
    pub(super) fn save(
        &mut self,
        start: Instant,
        progress: &mut impl FnMut(Progress<'_>),
    ) -> Result<(), TrainError> {
        let Some(mut durable) = self.durable.take() else { return Ok(()) };
        let result = self.save_to(&mut durable, start, progress);
        self.durable = Some(durable);
        result
    }

    fn save_to(
        &self,
        durable: &mut Durable,
        start: Instant,
        progress: &mut impl FnMut(Progress<'_>),
    ) -> Result<(), TrainError> {
        let begin = Instant::now();
        let marks = durable.sync()?;
        let mut sections: Vec<(&str, Vec<u8>)> = vec![
            ("run", self.identity(&durable.files)),
            ("logs", serde_json::to_vec(&marks).unwrap_or_default()),
            ("progress", numbers(&self.progress(start))?),
            ("parameters", Tensors::of_parameters(self.parameters).encode()?),
            ("control", numbers(&self.step.control.state())?),
        ];
        let mut optimizer = Tensors::new();
        self.step.optimizer.save(&mut optimizer);
        sections.push(("optimizer", optimizer.encode()?));
        if let Some(monitor) = &self.monitor {
            sections.push(("monitor", numbers(&monitor.state())?));
        }
        if let (steps, Some(average)) = self.step.average.state() {
            let mut tensors = Tensors::of_parameters(average);
            tensors.put_count("average.steps", steps);
            sections.push(("average", tensors.encode()?));
        }
        if let Some(best) = &self.best {
            sections.push(("best", Tensors::of_parameters(&best.parameters).encode()?));
            if let Some(control) = &best.control {
                sections.push(("best_control", numbers(control)?));
            }
            let mut seen = ControlState::new();
            for (place, own) in best.seen.iter().enumerate() {
                own.save(&format!("{place}."), &mut seen);
            }
            sections.push(("best_seen", numbers(&seen)?));
        }
        let views: Vec<(&str, &[u8])> =
            sections.iter().map(|(name, bytes)| (*name, &bytes[..])).collect();
        let saved = durable.store.save(self.place.step, &views)?;
        drop(sections);
        self.publish_best(durable, &marks)?;
        durable.last = Instant::now();
        let seconds = begin.elapsed().as_secs_f64();
        progress(Progress::Checkpoint { bytes: saved.bytes, seconds });
        Ok(())
    }

    /// The properties in which a checkpoint must match to be resumed: the network, the precision,
    /// the settings that the steps depend on, and the run.
    pub(super) fn identity(&self, files: &RunFiles) -> Vec<u8> {
        let trainer = self.trainer;
        let mut text = format!("run {}\nprecision {}\n", files.run(), T::NAME);
        let train = trainer.train.without_epochs();
        text += &format!("settings {train:?} {:?} {:?}", trainer.optimizer, trainer.groups);
        text += &format!(" {} {:?}", std::any::type_name::<O>(), trainer.schedule);
        text += &format!(" {:?} {:?}", trainer.control, trainer.reference);
        text += &format!(" {:?} {:?}\n", trainer.diagnostics, trainer.selection);
        let groups = self.network.parameter_groups();
        text += &format!("network {} {groups:?}\n", self.network.settings());
        let examples = [Split::Train, Split::Validation].map(|split| self.data.split(split).len());
        text += &format!("data {examples:?}\n");
        for parameter in self.parameters.iter() {
            let shape = parameter.tensor().shape();
            text += &format!("parameter {} {shape}\n", parameter.name());
        }
        text.into_bytes()
    }

    fn progress(&self, start: Instant) -> ControlState {
        let SessionPlace { step, epochs, batches, running, rate, over, seconds, untrained } =
            self.place;
        let mut state = ControlState::new();
        let seconds = seconds + start.elapsed().as_secs_f64();
        let over = f64::from(u8::from(over));
        state.put("place", &[step as f64, epochs as f64, batches as f64, rate, over, seconds]);
        state.put("running", &running.numbers());
        if let Some(untrained) = untrained {
            state.put("untrained", &[untrained]);
        }
        if let Some(best) = &self.best {
            state.put("best", &[best.epoch as f64, best.score]);
        }
        self.step.around.save(&mut state);
        state
    }

    /// Replaces the weights and the controllers' state if there is a better epoch, and writes the
    /// manifest of the directory.
    pub(super) fn publish_best(
        &self,
        durable: &mut Durable,
        marks: &Marks,
    ) -> Result<(), TrainError> {
        let files = &durable.files;
        let mut manifest = files.manifest()?;
        if let Some(best) = self.best.as_ref().filter(|best| best.epoch != durable.published) {
            let write = |name: &str, bytes: &[u8]| {
                crate::run::store::write_atomically(files.files(), &files.path(name), &[bytes])
            };
            let weights = weights_bytes(&best.parameters, &files.weights())?;
            write("weights.safetensors", &weights)?;
            manifest.add_file(&files.name("weights.safetensors"), &weights);
            if let Some(control) = &best.control {
                let bytes = control_bytes(control, &files.path("control.safetensors"))?;
                write("control.safetensors", &bytes)?;
                manifest.add_file(&files.name("control.safetensors"), &bytes);
            }
            durable.published = best.epoch;
        }
        manifest.add_log(&files.name("history.csv"), marks.history);
        if durable.control.is_some() {
            manifest.add_log(&files.name("control.csv"), marks.control);
        }
        (manifest.step, manifest.epoch) = (self.place.step, self.place.epochs);
        Ok(manifest.write(files.files(), files.directory())?)
    }

    /// Writes the files for readers at the end of a session, however it ended: the best weights,
    /// and every unit in every epoch.
    pub(super) fn publish(&mut self) -> Result<(), TrainError> {
        let Some(mut durable) = self.durable.take() else { return Ok(()) };
        let result = self.publish_to(&mut durable);
        self.durable = Some(durable);
        result
    }

    fn publish_to(&self, durable: &mut Durable) -> Result<(), TrainError> {
        // Without a better epoch, everything is on disk since the last checkpoint.
        if self.best.as_ref().is_some_and(|best| best.epoch != durable.published) {
            let marks = durable.sync()?;
            self.publish_best(durable, &marks)?;
        }
        let Some(monitor) = &self.monitor else { return Ok(()) };
        let (files, depth) = (&durable.files, self.network.layers().len());
        let mut manifest = files.manifest()?;
        for (layer, history) in monitor.histories().filter(|(_, own)| own.epochs() > 0) {
            let path = layer_file(&files.path("units.npy"), layer + 1, depth);
            let bytes = history.to_bytes();
            crate::run::store::write_atomically(files.files(), &path, &[&bytes[..]])?;
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            manifest.add_file(&name, &bytes);
        }
        if durable.published > 0 {
            manifest.write(files.files(), files.directory())?;
        }
        Ok(())
    }
}

fn numbers(state: &ControlState) -> Result<Vec<u8>, TrainError> {
    Tensors::<f64>::from(state).encode()
}
