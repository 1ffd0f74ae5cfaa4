//! Aggregation of the samples' predictions into one forecast.

use vdn_autograd::{Error, Tape, Var};
use vdn_tensor::Element;
use vdn_train::metrics::{MedianConvention, sample_median};

/// The aggregation of the samples' predictions into a point forecast.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Aggregation {
    /// The mean of the samples' predictions.
    #[default]
    Mean,
    /// The median of the predictive mixture.
    Median,
    /// The median of the samples' means. For an even number of samples it is the lower of the two
    /// middle ones, as in the reference.
    LowerMedian,
    /// The mean weighted by the softmax of the head's scores. The mixture has the same weights.
    Score,
}

/// The samples aggregated into one forecast.
#[derive(Clone, Copy, Debug)]
pub struct Vote {
    /// The point forecast, `[batch, horizon]`. It is differentiable, except for the median.
    pub forecast: Var,
    /// The samples' weights, `[samples, batch]`.
    pub weights: Var,
    /// The mean of the latent under the same weights, `[batch, channels]`.
    pub latent: Var,
}

/// Aggregates over samples: `y` is `[samples, batch, horizon]`, `z` is
/// `[samples, batch, channels]`, `scores` is `[samples, batch]`.
///
/// Only [`Aggregation::Score`] uses the values of `scores`. For the other modes the weights are
/// uniform, and the latent is the plain mean.
///
/// # Errors
/// Fails for shapes that do not fit each other, and for zero samples.
pub fn vote<T: Element>(
    tape: &mut Tape<T>,
    mode: Aggregation,
    even: MedianConvention,
    y: Var,
    z: Var,
    scores: Var,
) -> Result<Vote, Error> {
    let shape = *tape.shape(scores);
    let &[samples, batch] = shape.dims() else {
        return Err(Error::invalid(
            "vote",
            format!("scores have to be [samples, batch], got {shape}"),
        ));
    };
    if samples == 0 {
        return Err(Error::invalid("vote", "no samples"));
    }
    let weights = match mode {
        Aggregation::Score => tape.softmax_axis(scores, 0)?,
        Aggregation::Mean | Aggregation::Median | Aggregation::LowerMedian => {
            let uniform = T::from_f64(1.0 / samples as f64);
            tape.constant_with(shape, |to| to.fill(uniform))?
        }
    };
    let column = tape.reshape(weights, [samples, batch, 1])?;
    let mut weighted = |x: Var| -> Result<Var, Error> {
        let product = tape.mul(x, column)?;
        tape.sum_axis(product, 0)
    };
    let (mean, latent) = (weighted(y)?, weighted(z)?);
    let forecast = match mode {
        Aggregation::Median => median(tape, even, y)?,
        Aggregation::LowerMedian => median(tape, MedianConvention::LowerMiddle, y)?,
        Aggregation::Mean | Aggregation::Score => mean,
    };
    Ok(Vote { forecast, weights, latent })
}

/// The median over the first axis, as a constant on the tape.
fn median<T: Element>(tape: &mut Tape<T>, even: MedianConvention, y: Var) -> Result<Var, Error> {
    let shape = *tape.shape(y);
    let samples = shape.dims()[0];
    let values: Vec<f64> = tape.value(y).data().iter().map(|x| x.to_f64()).collect();
    let inner = values.len() / samples;
    tape.constant_with(shape.without_axis(0)?, |to| {
        for (i, to) in to.iter_mut().enumerate() {
            let mut column: Vec<f64> = (0..samples).map(|s| values[s * inner + i]).collect();
            *to = T::from_f64(sample_median(&mut column, even));
        }
    })
}
