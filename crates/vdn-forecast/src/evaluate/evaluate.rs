//! Evaluation of a trained forecaster on windows: all test metrics, and its predictive
//! distributions.

use crate::data::{Dataset, WindowIndex};
use crate::evaluate::predicted_row::{PredictedRow, WindowAverages};
use crate::forecaster::{Aggregation, Forecaster, Prediction};
use vdn_model::units::{Intervention, UnitStatistics};
use vdn_tensor::Element;
use vdn_train::TrainError;
use vdn_train::data::Request;
use vdn_train::evaluate::{BatchAverages, Evaluator};
use vdn_train::metrics::{MedianConvention, PointForecast, ScoreSettings, Summary};
use vdn_train::units::order_under;

/// A forecaster with its parameters and data.
pub type ForecastEvaluator<'a, T> = Evaluator<'a, T, Forecaster, Dataset>;

/// Returns the point forecast that corresponds to an aggregation of samples.
pub(crate) fn point_forecast(aggregation: Aggregation) -> PointForecast {
    match aggregation {
        Aggregation::Median => PointForecast::Median,
        Aggregation::LowerMedian => PointForecast::SampleMedian(MedianConvention::LowerMiddle),
        Aggregation::Mean | Aggregation::Score => PointForecast::Mean,
    }
}

/// Returns all metrics on windows, and the statistics of the units of each layer with
/// distributional units (empty for a deterministic twin).
///
/// With [`Intervention::Permute`] (of all layers or one), the windows are shuffled first, so that
/// latents are swapped between unrelated windows. Averages do not depend on the order, but block
/// standard errors have no meaning then.
///
/// # Errors
/// Fails for windows that do not fit the model, and for a prediction that is not finite.
pub fn evaluate<T: Element>(
    evaluator: &ForecastEvaluator<'_, T>,
    windows: &[WindowIndex],
    intervention: Intervention,
) -> Result<(Summary, Vec<UnitStatistics>), TrainError> {
    evaluate_and(evaluator, windows, intervention, |_, _, _| Ok(()))
}

/// [`evaluate`] with a callback: `also(windows of the batch, prediction, weight of each window)` is
/// called for each batch of the same pass.
pub(crate) fn evaluate_and<T: Element>(
    evaluator: &ForecastEvaluator<'_, T>,
    windows: &[WindowIndex],
    intervention: Intervention,
    mut also: impl FnMut(&[WindowIndex], &Prediction, f64) -> Result<(), TrainError>,
) -> Result<(Summary, Vec<UnitStatistics>), TrainError> {
    let (model, data) = (evaluator.network, evaluator.data);
    let order = order_under(intervention, windows, evaluator.noise);
    let settings = ScoreSettings {
        point: point_forecast(model.config().aggregation),
        ..ScoreSettings::default()
    };
    let mut scores = WindowAverages::new(settings, data, &order)?;
    let mut statistics = vec![UnitStatistics::new(); model.stack().layers().len()];
    evaluator.for_each_pass(&order, Request::INPUTS, |_, graph, batch, chunk| {
        let (prediction, outputs) = model.predict(graph, batch, intervention)?;
        for (own, output) in statistics.iter_mut().zip(&outputs) {
            if let Some(output) = output {
                own.take_in(chunk.len(), graph.tape, &output.units);
            }
        }
        let weight = evaluator.averages.weight(order.len(), chunk.len());
        scores.push(data, chunk, weight, |row| PredictedRow::new(&prediction, row))?;
        also(chunk, &prediction, weight)
    })?;
    statistics.retain(|own| own.rows() > 0);
    Ok((scores.summary()?, statistics))
}

/// Returns the predictive distributions of windows, one for each batch.
///
/// # Errors
/// Fails for windows that do not fit the model, and for a prediction that is not finite.
pub fn forecast<T: Element>(
    evaluator: &ForecastEvaluator<'_, T>,
    windows: &[WindowIndex],
) -> Result<Vec<Prediction>, TrainError> {
    let own = evaluator.averaging(BatchAverages::default());
    let mut all = Vec::new();
    own.for_each_pass(windows, Request::INPUTS, |_, graph, batch, _| {
        all.push(own.network.predict(graph, batch, Intervention::None)?.0);
        Ok(())
    })?;
    Ok(all)
}
