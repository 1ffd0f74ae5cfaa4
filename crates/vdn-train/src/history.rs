//! The history of a run: one line per epoch, written as it happens. No times in it: two runs with the same
//! configuration give the same bytes.

use crate::atomic_file::write_atomically;
use crate::error::TrainError;
use crate::probe::Probe;
use std::fmt::Write;
use std::path::Path;
use vdn_model::diagnostics::{Diagnostics, Living, Reason};

/// What is recorded of an epoch.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Epoch {
    /// From 1.
    pub epoch: usize,
    /// Training steps so far.
    pub step: u64,
    /// The mean training loss, in nats per time step.
    pub loss: f64,
    /// The mean training score, in nats per time step.
    pub train_nll: f64,
    /// The mean training KL, in nats per window; 0 for a model without posteriors.
    pub kl: f64,
    /// The mean norm of the gradient before the clip.
    pub gradient_norm: f64,
    /// The learning rate of the last step.
    pub learning_rate: f64,
    /// The validation score, in nats per time step.
    pub validation_nll: f64,
    /// The validation mean squared error.
    pub validation_mse: f64,
    /// The mean rate of the units on the validation windows, in nats.
    pub rate: f64,
    /// The mean mismatch of the units on the validation windows, in nats.
    pub mismatch: f64,
    /// The share of units with a rate of at least 0.05 nats on the validation windows.
    pub informed: f64,
    /// Whether this is the best epoch so far.
    pub best: bool,
    /// More of the units, means over the layer on the validation windows; `None` without units.
    pub units: Option<EpochUnits>,
}

/// What is recorded of the units of an epoch.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct EpochUnits {
    /// The share of units that live.
    pub living: f64,
    /// The share of units in any mode of collapse.
    pub collapsed: f64,
    /// The share of active dimensions.
    pub active: f64,
    /// The mean of `mu^2`.
    pub energy: f64,
    /// `C2 / V`.
    pub signal_to_noise: f64,
    /// The deviation.
    pub sigma: f64,
    /// The weight of the KL.
    pub beta: f64,
    /// The share of deviations at their limits.
    pub saturation: f64,
    /// The share of rows in which a unit is alive.
    pub alive: f64,
    /// The share of units inside their energy band; `None` without bands.
    pub inside: Option<f64>,
    /// The drift since the epoch before, nats per latent dimension; `None` in the first.
    pub drift: Option<f64>,
    /// What the units bring, nats per window, in epochs with a probe.
    pub value: Option<f64>,
    /// Its standard error.
    pub value_error: Option<f64>,
    /// The same by the predictive score.
    pub score_value: Option<f64>,
    /// The mean information of the units about the window, nats per latent dimension, in epochs with a probe.
    pub information: Option<f64>,
    /// Their mean autocorrelation between windows that share no row, in epochs with a probe.
    pub rho: Option<f64>,
}

impl EpochUnits {
    pub(crate) fn new(
        diagnostics: &Diagnostics,
        living: &Living,
        drift: Option<&[f64]>,
        probe: Option<&Probe>,
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
            value: probe.map(|probe| probe.layer.value),
            value_error: probe.and_then(|probe| probe.layer.value_error),
            score_value: probe.map(|probe| probe.layer.score_value),
            information: probe.map(|probe| mean(&probe.information.nats)),
            rho: probe.and_then(|probe| probe.rho.as_deref()).map(mean),
        }
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
                      rate,mismatch,informed,best,living,collapsed,active,energy,signal_to_noise,sigma,beta,\
                      saturation,alive,inside,drift,value,value_error,score_value,information,rho\n";

/// Writes the whole history; called after every epoch, so that a run that is cut off keeps what it had.
///
/// Numbers are the shortest decimals that read back as the same bits.
///
/// # Errors
/// The file cannot be written.
pub fn write_history(path: &Path, epochs: &[Epoch]) -> Result<(), TrainError> {
    let mut text = HEADER.to_owned();
    for e in epochs {
        let Epoch { epoch, step, loss, train_nll, kl, gradient_norm, learning_rate, .. } = e;
        let Epoch { validation_nll, validation_mse, rate, mismatch, informed, best, .. } = e;
        let best = u8::from(*best);
        write!(
            text,
            "{epoch},{step},{loss},{train_nll},{kl},{gradient_norm},{learning_rate},{validation_nll},\
             {validation_mse},{rate},{mismatch},{informed},{best}"
        )
        .expect("writing to a string cannot fail");
        // What an epoch does not have is an empty cell.
        for value in e.units.map_or([None; 16], |units| units.columns()) {
            text.push(',');
            if let Some(value) = value {
                write!(text, "{value}").expect("writing to a string cannot fail");
            }
        }
        text.push('\n');
    }
    write_atomically(path, text.as_bytes())
}

/// The training loss of every epoch of a history, and the place of the epoch whose weights were kept; `None` where it does
/// not say so.
///
/// # Errors
/// The file cannot be read.
pub(crate) fn read_losses(path: &Path) -> Result<Option<(Vec<f64>, usize)>, TrainError> {
    let mut reader = csv::Reader::from_path(path).map_err(|e| TrainError::format(path, e))?;
    let names = reader.headers().map_err(|e| TrainError::format(path, e))?.clone();
    let place = |name: &str| names.iter().position(|column| column == name);
    let (Some(loss), Some(best)) = (place("loss"), place("best")) else { return Ok(None) };
    let (mut losses, mut kept) = (Vec::new(), None);
    for record in reader.records() {
        let record = record.map_err(|e| TrainError::format(path, e))?;
        let number = |column| record.get(column).and_then(|cell| cell.parse().ok());
        if number(best) == Some(1.0) {
            kept = Some(losses.len());
        }
        losses.push(number(loss).unwrap_or(f64::NAN));
    }
    Ok(kept.map(|kept| (losses, kept)))
}
