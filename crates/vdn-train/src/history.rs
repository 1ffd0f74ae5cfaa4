//! The history of a run: one line per epoch, written as it happens. No times in it: two runs with the same
//! configuration give the same bytes.

use crate::atomic_file::write_atomically;
use crate::error::TrainError;
use std::fmt::Write;
use std::path::Path;

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
}

const HEADER: &str = "epoch,step,loss,train_nll,kl,gradient_norm,learning_rate,validation_nll,validation_mse,\
                      rate,mismatch,informed,best\n";

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
        writeln!(
            text,
            "{epoch},{step},{loss},{train_nll},{kl},{gradient_norm},{learning_rate},{validation_nll},\
             {validation_mse},{rate},{mismatch},{informed},{best}"
        )
        .expect("writing to a string cannot fail");
    }
    write_atomically(path, text.as_bytes())
}
