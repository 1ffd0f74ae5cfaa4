//! [`log_importance`]: the log ratio of prior and posterior for importance-weighted bounds.

use vdn_autograd::{Error, Tape, Var};
use vdn_model::units::LayerOutput;
use vdn_tensor::Element;
use vdn_tensor::families::gaussian::{LOGVAR_MAX, LOGVAR_MIN};

/// Records `ln p(z)/q(z|h) = sum_i [logvar_i + eps_i^2 - z_i^2] / 2` of one layer of normal units,
/// `[samples, batch]`. The noise is recovered from the sample: `eps = (z - mu) / sigma`.
///
/// # Errors
/// Returns the errors of the tape.
pub fn log_importance<T: Element>(tape: &mut Tape<T>, layer: &LayerOutput) -> Result<Var, Error> {
    let shape = *tape.shape(layer.units.z);
    let limits = [LOGVAR_MIN, LOGVAR_MAX].map(T::from_f64);
    let mut logvar = tape.clamp(layer.logvar, limits[0], limits[1])?;
    let mut mu = layer.mu;
    // If each sample of the layer below has a posterior, restore the axis of the samples.
    if tape.shape(mu).rows() != shape.dims()[1] {
        mu = tape.reshape(mu, shape)?;
        if tape.shape(logvar).rank() == 2 {
            logvar = tape.reshape(logvar, shape)?;
        }
    }
    let half = tape.scale(logvar, T::from_f64(-0.5))?;
    let precision = tape.exp(half)?;
    let deviation = tape.sub(layer.units.z, mu)?;
    let noise = tape.mul(deviation, precision)?;
    let noise = tape.square(noise)?;
    let energy = tape.square(layer.units.z)?;
    let ratio = tape.sub(noise, energy)?;
    let ratio = tape.add(ratio, logvar)?;
    let ratio = tape.sum_axis(ratio, 2)?;
    tape.scale(ratio, T::from_f64(0.5))
}
