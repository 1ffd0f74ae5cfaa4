//! [`UnitHistory`]: the measures of every unit in every epoch, in one compact file, `units.npy`.
//!
//! The file is an array in NumPy's format 1.0 (`numpy.load` reads it): `float32`, little-endian, C
//! order, with the shape `[epochs, measures, units]`. Row `e` belongs to line `e` of `history.csv`
//! (epoch `e + 1`). The measures are those on the validation windows after the epoch, in the order
//! of [`UNIT_MEASURES`]:
//!
//! | | measure | unit |
//! |---|---|---|
//! | 0 | `rate` | nats per latent dimension |
//! | 1 | `kl` | nats per latent dimension |
//! | 2 | `mismatch` | nats per latent dimension |
//! | 3 | `energy` | the mean of `mu^2` |
//! | 4 | `sigma` | the root of the mean variance |
//! | 5 | `beta` | the weight of the unit's KL, against the score in nats per time step |
//! | 6 | `signal_to_noise` | `C2 / V` |
//! | 7 | `drift` | nats per latent dimension since the previous epoch; NaN in the first |
//! | 8 | `state` | 0: the unit lives; else the code of the gravest reason ([`Reason::code`]) |
//! | 9 | `low` | the lower bound of the unit's energy band in this epoch; only in layers with bands |
//! | 10 | `high` | the upper bound of the band |
//!
//! The file takes 36 bytes per unit and epoch, 44 with bands: 24 epochs of 1024 units take 885 kB,
//! or 1.08 MB with bands. A twin has no such file; a model of several layers has one file per layer
//! ([`layer_file`]). Older files of layers with bands do not have the bounds. They have the first
//! nine measures and can still be read.

use crate::error::TrainError;
use crate::run::atomic_file::write_atomically;
use crate::run::read_bounded;
use std::path::{Path, PathBuf};
use vdn_model::controllers::EnergyBand;
use vdn_model::diagnostics::{CollapseThresholds, Diagnostics, HealthTrend, Living, Reason};

/// The measures of each unit and epoch, in the order of the file. Only layers with energy bands
/// have `low` and `high`.
pub const UNIT_MEASURES: [&str; 11] = [
    "rate",
    "kl",
    "mismatch",
    "energy",
    "sigma",
    "beta",
    "signal_to_noise",
    "drift",
    "state",
    "low",
    "high",
];

/// The number of measures of a layer without bands: all but the last two.
const WITHOUT_BANDS: usize = UNIT_MEASURES.len() - 2;

/// The largest number of units of a layer, as in configurations, and the largest file that is read:
/// 4 GiB.
const MOST_UNITS: usize = 1 << 24;
const MOST_BYTES: u64 = 4 << 30;

const MAGIC: &[u8; 8] = b"\x93NUMPY\x01\x00";

/// The file of layer number `layer` (from 1) in a model of `depth` layers. `file` is the name for a
/// model of one layer.
///
/// ```
/// use std::path::Path;
/// use vdn_train::units::layer_file;
/// assert_eq!(layer_file(Path::new("run/units.npy"), 1, 1), Path::new("run/units.npy"));
/// assert_eq!(layer_file(Path::new("run/units.npy"), 2, 3), Path::new("run/units-layer2.npy"));
/// ```
#[must_use]
pub fn layer_file(file: &Path, layer: usize, depth: usize) -> PathBuf {
    let part = |part: Option<&std::ffi::OsStr>| {
        part.map_or_else(String::new, |part| part.to_string_lossy().into_owned())
    };
    match depth {
        1 => file.to_owned(),
        _ => {
            let (stem, extension) = (part(file.file_stem()), part(file.extension()));
            file.with_file_name(format!("{stem}-layer{layer}.{extension}"))
        }
    }
}

/// The measures of every unit in every epoch.
///
/// ```
/// use vdn_train::units::UnitHistory;
/// let history = UnitHistory::new(1024);
/// assert_eq!((history.epochs(), history.units()), (0, 1024));
/// assert!(UnitHistory::measure("rate").is_some() && !history.has_bands());
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct UnitHistory {
    units: usize,
    /// The number of [`UNIT_MEASURES`] that are recorded for each unit.
    measures: usize,
    values: Vec<f32>,
}

impl Default for UnitHistory {
    fn default() -> Self {
        Self::new(0)
    }
}

impl UnitHistory {
    /// An empty history of a layer with `units` units. The first epoch determines whether the layer
    /// has bands.
    #[must_use]
    pub fn new(units: usize) -> Self {
        Self { units, measures: WITHOUT_BANDS, values: Vec::new() }
    }

    /// Whether the bounds of the units' energy bands are recorded.
    #[must_use]
    pub fn has_bands(&self) -> bool {
        self.measures > WITHOUT_BANDS
    }

    /// The index of a measure in [`UNIT_MEASURES`].
    #[must_use]
    pub fn measure(name: &str) -> Option<usize> {
        UNIT_MEASURES.iter().position(|&measure| measure == name)
    }

    /// Adds an epoch.
    ///
    /// # Panics
    /// Panics if the measures belong to another layer.
    pub fn push(&mut self, diagnostics: &Diagnostics, living: &Living, drift: Option<&[f64]>) {
        let d = diagnostics;
        let banded = d.band.as_ref().map_or(self.units, EnergyBand::len);
        let counts = [d.units(), living.units(), drift.map_or(self.units, <[f64]>::len), banded];
        assert_eq!(counts, [self.units; 4], "measures of another layer");
        if self.values.is_empty() && d.band.is_some() {
            self.measures = UNIT_MEASURES.len();
        }
        assert_eq!(d.band.is_some(), self.has_bands(), "bands in some epochs and not in others");
        for of in [&d.rate, &d.kl, &d.mismatch, &d.energy, &d.sigma, &d.beta, &d.signal_to_noise] {
            self.values.extend(of.iter().map(|&x| x as f32));
        }
        match drift {
            Some(drift) => self.values.extend(drift.iter().map(|&x| x as f32)),
            None => self.values.extend(std::iter::repeat_n(f32::NAN, self.units)),
        }
        let code = |reason: Option<Reason>| f32::from(reason.map_or(0, Reason::code));
        self.values.extend(living.gravest().map(code));
        for bounds in d.band.iter().flat_map(|band| [&band.lo, &band.hi]) {
            self.values.extend(bounds.iter().map(|&x| x as f32));
        }
    }

    /// The numbers of the last epoch, `[measures, units]`; empty without epochs.
    #[must_use]
    pub fn last(&self) -> &[f32] {
        let row = self.measures * self.units;
        &self.values[self.values.len().saturating_sub(row)..]
    }

    /// Creates a history of `units` units from the numbers of its epochs,
    /// `[epochs, measures, units]`. Returns `None` if they are not whole epochs with the number of
    /// measures of a layer with or without bands.
    #[must_use]
    pub fn from_values(units: usize, epochs: usize, values: Vec<f32>) -> Option<Self> {
        let of = |measures: usize| epochs.checked_mul(measures)?.checked_mul(units);
        let fits = |measures: &usize| of(*measures) == Some(values.len());
        let measures = [WITHOUT_BANDS, UNIT_MEASURES.len()].into_iter().find(fits)?;
        Some(Self { units, measures, values })
    }

    /// The number of recorded epochs.
    #[must_use]
    pub fn epochs(&self) -> usize {
        self.values.len() / (self.measures * self.units).max(1)
    }

    /// The number of units.
    #[must_use]
    pub fn units(&self) -> usize {
        self.units
    }

    /// One measure of all units after one epoch (counted from 0); `None` if there is no such epoch
    /// or measure.
    #[must_use]
    pub fn get(&self, epoch: usize, measure: usize) -> Option<&[f32]> {
        if measure >= self.measures {
            return None;
        }
        let start = (epoch * self.measures + measure) * self.units;
        self.values.get(start..start + self.units)
    }

    /// The energies of all units after one epoch (counted from 0), and the lower and upper bounds
    /// of their bands; `None` without bands or without such an epoch.
    #[must_use]
    pub fn energy_and_band(&self, epoch: usize) -> Option<[&[f32]; 3]> {
        let of = |name| self.get(epoch, Self::measure(name)?);
        Some([of("energy")?, of("low")?, of("high")?])
    }

    /// The trends of the units up to `epoch` (counted from 0), as during training but in single
    /// precision. `losses` are the training losses of the epochs.
    #[must_use]
    pub fn seen(
        &self,
        epoch: usize,
        losses: &[f64],
        thresholds: &CollapseThresholds,
    ) -> HealthTrend {
        let row = |epoch: usize, measure: &str| {
            let row = Self::measure(measure).and_then(|measure| self.get(epoch, measure));
            row.unwrap_or_default().iter().map(|&x| f64::from(x)).collect::<Vec<f64>>()
        };
        let known = epoch > 0 && epoch < self.epochs();
        let over = thresholds.drift_epochs.max(1);
        let mean_drift = || {
            let mut mean = vec![0.0; self.units];
            for epoch in epoch + 1 - over..=epoch {
                mean.iter_mut().zip(row(epoch, "drift")).for_each(|(m, x)| *m += x / over as f64);
            }
            mean
        };
        let epochs = thresholds.growth_epochs;
        let growing = || {
            let levels = |measure| -> Vec<Vec<f64>> {
                (epoch - epochs..=epoch).map(|epoch| row(epoch, measure)).collect()
            };
            let of = [levels("energy"), levels("kl")];
            let grew = |unit: usize| {
                let unit = |of: &Vec<Vec<f64>>| of.iter().map(|x| x[unit]).collect::<Vec<_>>();
                of.iter().any(|of| thresholds.grew(&unit(of)))
            };
            (0..self.units).map(grew).collect()
        };
        let change = losses.get(epoch).zip(epoch.checked_sub(over).and_then(|i| losses.get(i)));
        HealthTrend {
            drift: known.then(|| row(epoch, "drift")),
            mean_drift: (known && epoch >= over).then(mean_drift),
            loss_change: change.map(|(now, before)| now - before),
            growing: (known && epochs > 0 && epoch >= epochs).then(growing),
        }
    }

    /// Writes the file.
    ///
    /// # Errors
    /// Returns an error if the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), TrainError> {
        write_atomically(path, &self.to_bytes())
    }

    /// The bytes of the file.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let (epochs, measures, units) = (self.epochs(), self.measures, self.units);
        let mut header = format!(
            "{{'descr': '<f4', 'fortran_order': False, 'shape': ({epochs}, {measures}, {units}), }}"
        );
        // Magic bytes, two bytes of length, and the header, padded with blanks to a multiple of 64
        // and ending in a line break.
        while !(MAGIC.len() + 2 + header.len() + 1).is_multiple_of(64) {
            header.push(' ');
        }
        header.push('\n');
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&(header.len() as u16).to_le_bytes());
        bytes.extend_from_slice(header.as_bytes());
        bytes.extend(self.values.iter().flat_map(|x| x.to_le_bytes()));
        bytes
    }

    /// Reads the file of a layer with `units` units, in a run whose `history.csv` has `epochs`
    /// epochs.
    ///
    /// # Errors
    /// Returns the errors of [`UnitHistory::read`], and an error if the file has another number of
    /// units or epochs.
    pub fn read_of(path: &Path, units: usize, epochs: usize) -> Result<Self, TrainError> {
        let history = Self::read(path)?;
        let refuse = |reason: String| Err(TrainError::format(path, reason));
        if history.units != units {
            let found = history.units;
            return refuse(format!("has {found} units, the model's layer has {units}"));
        }
        if history.epochs() != epochs {
            let found = history.epochs();
            return refuse(format!("has {found} epochs, the history has {epochs}"));
        }
        Ok(history)
    }

    /// Reads the file, without comparing it with the model; [`UnitHistory::read_of`] compares it.
    ///
    /// # Errors
    /// Returns an error if the file cannot be read or was not written by [`UnitHistory::write`].
    pub fn read(path: &Path) -> Result<Self, TrainError> {
        let bytes = read_bounded(path, MOST_BYTES)?;
        let refuse = |reason: &str| TrainError::format(path, reason);
        let not_ours = "is not an array of 32-bit numbers as this program writes it";
        let rest = bytes.strip_prefix(MAGIC).ok_or_else(|| refuse(not_ours))?;
        let (length, rest) = rest.split_first_chunk::<2>().ok_or_else(|| refuse(not_ours))?;
        let length = usize::from(u16::from_le_bytes(*length));
        let (header, data) = rest.split_at_checked(length).ok_or_else(|| refuse(not_ours))?;
        let header = std::str::from_utf8(header).map_err(|_| refuse(not_ours))?;
        if !header.contains("'<f4'") || !header.contains("'fortran_order': False") {
            return Err(refuse(not_ours));
        }
        let shape = header.split_once('(').and_then(|(_, rest)| rest.split_once(')'));
        let shape: Option<Vec<usize>> =
            shape.and_then(|(shape, _)| shape.split(',').map(|n| n.trim().parse().ok()).collect());
        let Some(&[epochs, measures, units]) = shape.as_deref() else {
            return Err(refuse("has another shape than [epochs, measures, units]"));
        };
        if ![WITHOUT_BANDS, UNIT_MEASURES.len()].contains(&measures) {
            return Err(refuse(&format!(
                "has {measures} measures of each unit, this program has {WITHOUT_BANDS}, or {} with energy bands",
                UNIT_MEASURES.len()
            )));
        }
        // Without epochs, the length of the file does not limit the number of units.
        if units > MOST_UNITS {
            return Err(refuse(&format!("has {units} units, at most {MOST_UNITS} are possible")));
        }
        let numbers = epochs.checked_mul(measures).and_then(|n| n.checked_mul(units));
        if numbers.and_then(|n| n.checked_mul(4)) != Some(data.len()) {
            return Err(refuse("does not hold as many numbers as its shape says"));
        }
        let number = |bytes: &[u8]| f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        Ok(Self { units, measures, values: data.chunks_exact(4).map(number).collect() })
    }
}

#[cfg(test)]
mod tests;
