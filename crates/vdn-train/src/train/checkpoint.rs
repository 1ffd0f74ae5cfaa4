//! What a session writes: one line an epoch to its logs, and checkpoints from which it goes on bit for bit.
//!
//! A checkpoint holds everything that the next step depends on: parameters, the optimiser, the
//! average, controllers, monitors, the place in the data, the best epoch so far, and the durable
//! lengths of the logs. Noise and the order of examples are addressed by the step and the epoch, so
//! there is no generator to save.

use crate::data::{Examples, Split};
use crate::error::TrainError;
use crate::network::Network;
use crate::optim::Optimizer;
use crate::run::store::{AppendLog, CheckpointStore, Latest, LogMark, Moment, Sections};
use crate::run::weights_file::{control_bytes, weights_bytes};
use crate::run::{RunFiles, Tensors};
use crate::train::control_log::ControlLog;
use crate::train::session::{Best, Session, SessionPlace};
use crate::train::task::Task;
use crate::train::trainer::Progress;
use crate::units::history::Running;
use crate::units::history::{Epoch, header};
use crate::units::unit_monitor::UnitMonitor;
use crate::units::{UnitHistory, layer_file};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use vdn_model::controllers::ControlState;
use vdn_model::diagnostics::HealthTrend;
use vdn_model::{ModelError, Parameters};
use vdn_tensor::Element;

/// The files of a session that is being written.
pub(super) struct Durable {
    files: RunFiles,
    store: CheckpointStore,
    history: AppendLog,
    /// None before the first epoch of a network with controllers.
    control: Option<AppendLog>,
    /// Every unit of each watched layer: single-precision numbers, epoch by epoch.
    units: Vec<AppendLog>,
    last: Instant,
    /// The epoch whose weights are on disk.
    published: usize,
}

/// The durable lengths of the logs.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
struct Marks {
    history: LogMark,
    control: LogMark,
    units: Vec<LogMark>,
}

/// The file that the numbers of a layer's units are appended to while a run goes on.
fn rows_file(files: &RunFiles, layer: usize) -> PathBuf {
    files.checkpoints().join(format!("units-layer{}.rows", layer + 1))
}

impl Durable {
    fn new(
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
}

impl<'a, T, N, D, K, O> Session<'a, T, N, D, K, O>
where
    T: Element,
    N: Network<T>,
    D: for<'b> Examples<T, Batch<'b> = N::Batch<'b>>,
    K: Task<T, N, D>,
    O: Optimizer<T>,
{
    /// Opens the logs of a run that starts, if it is to be written and is not resumed.
    pub(super) fn begin_writing(&mut self) -> Result<(), TrainError> {
        let (Some(files), None) = (&self.trainer.files, &self.durable) else { return Ok(()) };
        let config = self.trainer.train.checkpoints();
        config.validate()?;
        let layers = self.network.distributional_layers();
        let units = vec![LogMark::EMPTY; layers.len()];
        let marks = Marks { history: LogMark::EMPTY, control: LogMark::EMPTY, units };
        self.durable = Some(Durable::new(files, config.keep, &marks, &layers)?);
        // The run's name is on disk before any checkpoint bears it.
        Ok(files.manifest()?.write(files.files(), files.directory())?)
    }

    /// Whether a checkpoint is due at this moment.
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

    /// Saves a checkpoint as one transaction, then the files that readers look at.
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
        let marks = Marks {
            history: durable.history.sync()?,
            control: match &mut durable.control {
                Some(log) => log.sync()?,
                None => LogMark::EMPTY,
            },
            units: durable.units.iter_mut().map(AppendLog::sync).collect::<Result<_, _>>()?,
        };
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

    /// What a checkpoint has to agree with to be resumed: the network, the precision, the settings
    /// that the steps depend on, and the run.
    fn identity(&self, files: &RunFiles) -> Vec<u8> {
        let trainer = self.trainer;
        let mut text = format!("run {}\nprecision {}\n", files.run(), T::NAME);
        let train = trainer.train.without_epochs();
        text += &format!("settings {train:?} {:?} {:?}", trainer.optimizer, trainer.groups);
        text += &format!(" {:?} {:?}", trainer.schedule, trainer.control);
        text += &format!(" {:?} {:?}\n", trainer.diagnostics, trainer.selection);
        text += &format!("network {}\n", self.network.settings());
        let examples = [Split::Train, Split::Validation].map(|split| self.data.split(split).len());
        text += &format!("data {examples:?}\n");
        for parameter in self.parameters.iter() {
            let shape = parameter.tensor().shape();
            text += &format!("parameter {} {shape}\n", parameter.name());
        }
        text.into_bytes()
    }

    fn progress(&self, start: Instant) -> ControlState {
        let SessionPlace { step, epochs, batches, running, rate, over, seconds } = self.place;
        let mut state = ControlState::new();
        let seconds = seconds + start.elapsed().as_secs_f64();
        let over = f64::from(u8::from(over));
        state.put("place", &[step as f64, epochs as f64, batches as f64, rate, over, seconds]);
        state.put("running", &running.numbers());
        if let Some(best) = &self.best {
            state.put("best", &[best.epoch as f64, best.score]);
        }
        self.step.around.save(&mut state);
        state
    }

    /// Replaces the weights and the controllers' state if there is a better epoch, and stamps the
    /// directory.
    fn publish_best(&self, durable: &mut Durable, marks: &Marks) -> Result<(), TrainError> {
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

    /// Writes what readers look at once a session ends, however it ended: every unit in every
    /// epoch.
    pub(super) fn publish(&mut self) -> Result<(), TrainError> {
        let (Some(durable), Some(monitor)) = (&mut self.durable, &self.monitor) else {
            return Ok(());
        };
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

    /// Goes back to the newest whole checkpoint; stays at the start if there is none.
    ///
    /// # Errors
    /// No files to resume from; a checkpoint of another network, of other settings or of another
    /// version.
    pub fn resume(&mut self) -> Result<(), TrainError> {
        let Some(files) = &self.trainer.files else {
            return Err(TrainError::config("there are no files to resume from"));
        };
        let config = self.trainer.train.checkpoints();
        config.validate()?;
        let store = files.store(config.keep)?;
        let Latest { checkpoint, skipped } = store.latest()?;
        let Some((_, mut sections)) = checkpoint else {
            // To begin again is for the user to decide.
            return skipped.into_iter().next().map_or(Ok(()), |damage| Err(damage.into()));
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
        self.place = SessionPlace {
            step: step as u64,
            epochs: epochs as usize,
            batches: batches as usize,
            running: Running::of_numbers(running),
            rate,
            over: over != 0.0,
            seconds,
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
        let text = std::fs::read_to_string(files.history()).map_err(TrainError::io(&path))?;
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
                let text = std::fs::read_to_string(&path).map_err(TrainError::io(&path))?;
                ControlLog::parse(&text)
                    .ok_or_else(|| TrainError::format(&path, "is not a log of controllers"))?
            }
            false => ControlLog::default(),
        };
        self.step.around.restore(&progress, log)?;
        monitor.restore(&state(&sections, "monitor")?)?;
        for (layer, own) in monitor.histories_mut() {
            let path = rows_file(files, layer);
            let bytes = std::fs::read(&path).map_err(TrainError::io(&path))?;
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
        self.durable = Some(durable);
        // Files that were not replaced before the run stopped are replaced now.
        let mut durable = self.durable.take().ok_or_else(|| refuse("no files"))?;
        let result = self.publish_best(&mut durable, &marks);
        durable.last = Instant::now() - Duration::ZERO;
        self.durable = Some(durable);
        result
    }

    /// Parameters of this network with the numbers of `tensors`.
    fn like(&self, tensors: &Tensors<'_, T>) -> Result<Parameters<T>, TrainError> {
        let mut parameters = self.parameters.clone();
        tensors.fill_parameters(&mut parameters)?;
        Ok(parameters)
    }

    /// Refuses a checkpoint of something else, and says in what it differs.
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

fn numbers(state: &ControlState) -> Result<Vec<u8>, TrainError> {
    Tensors::<f64>::from(state).encode()
}

fn state(sections: &Sections, name: &str) -> Result<ControlState, TrainError> {
    let bytes = sections.get(name)?;
    let tensors = Tensors::<f64>::decode(bytes).map_err(|error| {
        TrainError::Model(ModelError::Control(format!("section {name}: {error}")))
    })?;
    Ok(tensors.into())
}
