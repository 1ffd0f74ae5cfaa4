//! The history of a run: one line per epoch, written after each epoch. It contains no times, so two
//! runs with the same configuration give the same bytes.
//!
//! In a model of several layers, the columns of the units are means over the units of all layers.
//! The columns of each layer with distributional units follow as `layer1.rate`, `layer1.mismatch`,
//! `layer1.kl`, `layer1.living` and so on.

use crate::error::TrainError;
use crate::evaluate::Validation;
use crate::run::atomic_file::write_atomically;
use crate::units::{LayerProbe, LayerUse};
use std::fmt::Write;
use std::path::Path;
use vdn_model::diagnostics::{Diagnostics, Living, Reason};

/// Sums over the steps of an epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Running {
    pub(crate) windows: f64,
    pub(crate) steps: f64,
    pub(crate) loss: f64,
    pub(crate) nll: f64,
    pub(crate) kl: f64,
    pub(crate) norm: f64,
}

impl Running {
    pub(crate) fn numbers(&self) -> [f64; 6] {
        [self.windows, self.steps, self.loss, self.nll, self.kl, self.norm]
    }

    pub(crate) fn of_numbers([windows, steps, loss, nll, kl, norm]: [f64; 6]) -> Self {
        Self { windows, steps, loss, nll, kl, norm }
    }
}

/// The record of an epoch.
///
/// If the weights are averaged (`train.ema_decay`), validation and units refer to the average.
/// Loss, training score, KL and gradient refer to the trained weights, and so do the controllers'
/// weights and bounds.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Epoch {
    /// The number of the epoch, from 1.
    pub epoch: usize,
    /// The number of training steps so far.
    pub step: u64,
    /// The mean training loss, in nats per time step.
    pub loss: f64,
    /// The mean training score, in nats per time step.
    pub train_nll: f64,
    /// The mean training KL, in nats per window; 0 for a model without posteriors.
    pub kl: f64,
    /// The mean norm of the gradient before clipping.
    pub gradient_norm: f64,
    /// The learning rate of the last step.
    pub learning_rate: f64,
    /// The validation score, in nats per time step.
    pub validation_nll: f64,
    /// The mean squared error on the validation windows; `None` for a network without one.
    pub validation_mse: Option<f64>,
    /// The selection score of the epoch ([`Selection`](crate::config::Selection)), smaller is
    /// better; by default the CRPS on the validation windows.
    pub selection: f64,
    /// The mean rate of the units on the validation windows, in nats.
    pub rate: f64,
    /// The mean mismatch of the units on the validation windows, in nats.
    pub mismatch: f64,
    /// The share of units with a rate of at least 0.05 nats on the validation windows.
    pub informed: f64,
    /// Whether this is the best epoch so far.
    pub best: bool,
    /// More measures of the units, as means over all of them on the validation windows; `None`
    /// without units.
    pub units: Option<EpochUnits>,
    /// The same measures of each layer with distributional units, from the encoder up. Empty in a
    /// model of one layer.
    pub layers: Vec<EpochLayer>,
}

/// The record of the units of one layer in a model of several layers.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct EpochLayer {
    /// The number of the layer, from 0; in the columns of `history.csv` it counts from 1.
    pub layer: usize,
    /// The number of its distributional units.
    pub count: usize,
    /// The mean rate in nats per latent dimension.
    pub rate: f64,
    /// The mean mismatch in nats per latent dimension.
    pub mismatch: f64,
    /// The sum of the KLs in nats per window.
    pub kl: f64,
    /// More measures of the units.
    pub units: EpochUnits,
}

/// The record of the units of all layers.
#[derive(Clone, Debug, Default)]
pub(crate) struct EpochLayers {
    together: Option<EpochUnits>,
    layers: Vec<EpochLayer>,
}

impl EpochLayers {
    /// The record of a model of `depth` layers. `worth` is the result of a probe of all layers
    /// together.
    pub(crate) fn new(depth: usize, layers: Vec<EpochLayer>, worth: Option<&LayerUse>) -> Self {
        if depth == 1 {
            let together = layers.into_iter().next().map(|layer| layer.units);
            return Self { together, layers: Vec::new() };
        }
        Self { together: EpochUnits::over(&layers, worth), layers }
    }
}

/// The training part of the record of an epoch.
pub(crate) struct EpochSteps<'a> {
    pub(crate) epoch: usize,
    pub(crate) step: u64,
    pub(crate) learning_rate: f64,
    pub(crate) running: &'a Running,
}

impl Epoch {
    pub(crate) fn new(
        trained: &EpochSteps<'_>,
        validation: &Validation,
        (selection, best): (f64, bool),
        units: EpochLayers,
    ) -> Self {
        let EpochSteps { epoch, step, learning_rate, running } = *trained;
        let Running { windows, steps, loss, nll, kl, norm } = running;
        Self {
            epoch,
            step,
            loss: loss / windows,
            train_nll: nll / windows,
            kl: kl / windows,
            gradient_norm: norm / steps,
            learning_rate,
            validation_nll: validation.score,
            validation_mse: validation.mse,
            selection,
            rate: validation.mean_rate(),
            mismatch: validation.mean_mismatch(),
            informed: validation.informed(),
            best,
            units: units.together,
            layers: units.layers,
        }
    }
}

/// The record of the units of an epoch.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct EpochUnits {
    /// The share of living units.
    pub living: f64,
    /// The share of units in any mode of collapse.
    pub collapsed: f64,
    /// The share of active dimensions.
    pub active: f64,
    /// The mean of `mu^2`.
    pub energy: f64,
    /// The signal-to-noise ratio, `C2 / V`.
    pub signal_to_noise: f64,
    /// The standard deviation of the posterior.
    pub sigma: f64,
    /// The weight of the KL.
    pub beta: f64,
    /// The share of deviations at their limits.
    pub saturation: f64,
    /// The share of rows in which a unit is alive.
    pub alive: f64,
    /// The share of units inside their energy band; `None` without bands.
    pub inside: Option<f64>,
    /// The drift since the previous epoch in nats per latent dimension; `None` in the first epoch.
    pub drift: Option<f64>,
    /// The value of the units in nats per window, in epochs with a probe.
    pub value: Option<f64>,
    /// The standard error of the value.
    pub value_error: Option<f64>,
    /// The value by the predictive score.
    pub score_value: Option<f64>,
    /// The mean information of the units about the window in nats per latent dimension, in epochs
    /// with a probe.
    pub information: Option<f64>,
    /// The mean autocorrelation of the units between windows that share no row, in epochs with a
    /// probe.
    pub rho: Option<f64>,
}

impl EpochUnits {
    pub(crate) fn new(
        diagnostics: &Diagnostics,
        living: &Living,
        drift: Option<&[f64]>,
        probe: Option<&LayerProbe>,
    ) -> Self {
        let summary = diagnostics.summary();
        let mean = |x: &[f64]| x.iter().sum::<f64>() / x.len() as f64;
        let collapsed = |reason: Option<Reason>| matches!(reason, Some(Reason::Collapse(_)));
        Self {
            living: living.share(),
            collapsed: living.gravest().filter(|&reason| collapsed(reason)).count() as f64
                / living.units() as f64,
            active: summary.active,
            energy: summary.energy,
            signal_to_noise: summary.signal_to_noise,
            sigma: summary.sigma,
            beta: summary.beta,
            saturation: summary.saturation,
            alive: summary.alive,
            inside: summary.inside,
            drift: drift.map(mean),
            value: probe.map(|probe| probe.worth.value),
            value_error: probe.and_then(|probe| probe.worth.value_error),
            score_value: probe.map(|probe| probe.worth.score_value),
            information: probe.and_then(|probe| probe.information.as_ref()).map(|i| mean(&i.nats)),
            rho: probe.and_then(|probe| probe.rho.as_deref()).map(mean),
        }
    }

    /// Means over the units of several layers. Layers without a value are left out of its mean.
    /// `worth` is the value of all layers together.
    fn over(layers: &[EpochLayer], worth: Option<&LayerUse>) -> Option<Self> {
        let maybe = |of: &dyn Fn(&Self) -> Option<f64>| {
            let known = || layers.iter().filter_map(|layer| Some((layer.count, of(&layer.units)?)));
            let units: usize = known().map(|(count, _)| count).sum();
            let mean = known().map(|(count, x)| count as f64 / units as f64 * x).sum();
            (units > 0).then_some(mean)
        };
        let mean = |of: &dyn Fn(&Self) -> f64| maybe(&|units| Some(of(units)));
        Some(Self {
            living: mean(&|units| units.living)?,
            collapsed: mean(&|units| units.collapsed)?,
            active: mean(&|units| units.active)?,
            energy: mean(&|units| units.energy)?,
            signal_to_noise: mean(&|units| units.signal_to_noise)?,
            sigma: mean(&|units| units.sigma)?,
            beta: mean(&|units| units.beta)?,
            saturation: mean(&|units| units.saturation)?,
            alive: mean(&|units| units.alive)?,
            inside: maybe(&|units| units.inside),
            drift: maybe(&|units| units.drift),
            value: worth.map(|worth| worth.value),
            value_error: worth.and_then(|worth| worth.value_error),
            score_value: worth.map(|worth| worth.score_value),
            information: maybe(&|units| units.information),
            rho: maybe(&|units| units.rho),
        })
    }

    /// The inverse of [`EpochUnits::columns`]; `None` if a number is missing that every epoch with
    /// units has.
    fn from_columns(columns: &[Option<f64>; 16]) -> Option<Self> {
        let [living, collapsed, active, energy, signal_to_noise, sigma, beta, rest @ ..] = *columns;
        let [saturation, alive, inside, drift, value, value_error, rest @ ..] = rest;
        let [score_value, information, rho] = rest;
        Some(Self {
            living: living?,
            collapsed: collapsed?,
            active: active?,
            energy: energy?,
            signal_to_noise: signal_to_noise?,
            sigma: sigma?,
            beta: beta?,
            saturation: saturation?,
            alive: alive?,
            inside,
            drift,
            value,
            value_error,
            score_value,
            information,
            rho,
        })
    }

    fn columns(&self) -> [Option<f64>; 16] {
        let Self { living, collapsed, active, energy, signal_to_noise, sigma, beta, .. } = *self;
        let Self { saturation, alive, inside, drift, value, value_error, .. } = *self;
        let Self { score_value, information, rho, .. } = *self;
        let [living, collapsed, active, energy] = [living, collapsed, active, energy].map(Some);
        let [signal_to_noise, sigma, beta] = [signal_to_noise, sigma, beta].map(Some);
        let [saturation, alive] = [saturation, alive].map(Some);
        [
            living,
            collapsed,
            active,
            energy,
            signal_to_noise,
            sigma,
            beta,
            saturation,
            alive,
            inside,
            drift,
            value,
            value_error,
            score_value,
            information,
            rho,
        ]
    }
}

const HEADER: &str = "epoch,step,loss,train_nll,kl,gradient_norm,learning_rate,validation_nll,validation_mse,\
                      selection,rate,mismatch,informed,best";

/// The names of [`EpochUnits::columns`].
const UNIT_COLUMNS: [&str; 16] = [
    "living",
    "collapsed",
    "active",
    "energy",
    "signal_to_noise",
    "sigma",
    "beta",
    "saturation",
    "alive",
    "inside",
    "drift",
    "value",
    "value_error",
    "score_value",
    "information",
    "rho",
];

/// The first line of a history whose epochs have these layers, with a line break.
pub(crate) fn header(layers: &[EpochLayer]) -> String {
    let mut text = HEADER.to_owned();
    UNIT_COLUMNS.iter().for_each(|name| text.extend([",", name]));
    for layer in layers {
        for name in ["rate", "mismatch", "kl"].iter().chain(&UNIT_COLUMNS) {
            let number = layer.layer + 1;
            write!(text, ",layer{number}.{name}").expect("writing to a string cannot fail");
        }
    }
    text.push('\n');
    text
}

impl Epoch {
    /// The line of the epoch in the history, with a line break. Missing numbers are empty cells.
    pub(crate) fn line(&self) -> String {
        let Self { epoch, step, loss, train_nll, kl, gradient_norm, learning_rate, .. } = self;
        let Self { validation_nll, validation_mse, selection, rate, mismatch, informed, .. } = self;
        let best = u8::from(self.best);
        let mse = validation_mse.map_or_else(String::new, |mse| mse.to_string());
        let mut text = format!(
            "{epoch},{step},{loss},{train_nll},{kl},{gradient_norm},{learning_rate},{validation_nll},\
             {mse},{selection},{rate},{mismatch},{informed},{best}"
        );
        let together = self.units.map_or([None; 16], |units| units.columns());
        let layers = self.layers.iter().flat_map(|layer| {
            let own = [layer.rate, layer.mismatch, layer.kl].map(Some);
            own.into_iter().chain(layer.units.columns())
        });
        for value in together.into_iter().chain(layers) {
            text.push(',');
            if let Some(value) = value {
                write!(text, "{value}").expect("writing to a string cannot fail");
            }
        }
        text.push('\n');
        text
    }

    /// Parses a line that [`Epoch::line`] wrote; `None` if it is not such a line. `layers` are the
    /// network's layers with distributional units: their numbers, from 0, and their counts of
    /// units.
    pub(crate) fn parse(line: &str, layers: &[(usize, usize)]) -> Option<Self> {
        let cells: Vec<&str> = line.trim_end().split(',').collect();
        let number = |at: usize| cells.get(at)?.parse::<f64>().ok();
        let count = |at: usize| cells.get(at)?.parse::<u64>().ok();
        let units =
            |from: usize| EpochUnits::from_columns(&std::array::from_fn(|i| number(from + i)));
        let own = |(place, &(layer, count)): (usize, &(usize, usize))| {
            let at = 30 + 19 * place;
            let [rate, mismatch, kl] = [number(at)?, number(at + 1)?, number(at + 2)?];
            Some(EpochLayer { layer, count, rate, mismatch, kl, units: units(at + 3)? })
        };
        let several = cells.len() > 30;
        let layers = layers.iter().enumerate().filter(|_| several).map(own);
        Some(Self {
            epoch: count(0)? as usize,
            step: count(1)?,
            loss: number(2)?,
            train_nll: number(3)?,
            kl: number(4)?,
            gradient_norm: number(5)?,
            learning_rate: number(6)?,
            validation_nll: number(7)?,
            validation_mse: number(8),
            selection: number(9)?,
            rate: number(10)?,
            mismatch: number(11)?,
            informed: number(12)?,
            best: count(13)? == 1,
            units: units(14),
            layers: layers.collect::<Option<_>>()?,
        })
    }
}

/// Writes a whole history.
///
/// Numbers are the shortest decimals that parse to the same bits.
///
/// # Errors
/// Returns an error if the file cannot be written.
pub fn write_history(path: &Path, epochs: &[Epoch]) -> Result<(), TrainError> {
    let mut text = header(epochs.first().map_or(&[][..], |epoch| &epoch.layers));
    epochs.iter().for_each(|epoch| text.push_str(&epoch.line()));
    write_atomically(path, text.as_bytes())
}
