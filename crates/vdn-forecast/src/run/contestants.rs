//! The rows of a run's table: the model, its twin and the baselines, each scored on the test
//! windows step by step and as whole forecasts.

use crate::baselines::{BaselineError, Normalisation};
use crate::evaluate::compare::{FittedNaive, FittedRidge, NormalForecasts};
use crate::evaluate::evaluate::{ForecastEvaluator, evaluate, evaluate_and};
use crate::evaluate::inference::evaluate_moments;
use crate::evaluate::probts::score_probts;
use crate::evaluate::wholes::WholeScores;
use crate::evaluate::wholes::closed::ClosedAverages;
use crate::evaluate::wholes::residual::{PointForecasts, ResidualScores, score_residual_paths};
use crate::evaluate::wholes::sampled::{PathSource, score_sampled};
use crate::forecaster::{Forecaster, Variant};
use crate::run::experiment::Experiment;
use crate::run::report::Row;
use vdn_autograd::Score;
use vdn_model::core::Parameters;
use vdn_model::units::{Intervention, UnitStatistics};
use vdn_train::TrainError;
use vdn_train::metrics::Summary;
use vdn_train::train::Trained;

impl Experiment {
    /// Scores a trained model on the test windows. For a model with units, also scores it with
    /// latents permuted between windows.
    pub(crate) fn score(
        &self,
        model: &Forecaster,
        parameters: &Parameters<f32>,
        trained: Option<&Trained>,
        rows: &mut Vec<Row>,
    ) -> Result<(Summary, Vec<UnitStatistics>), TrainError> {
        let (evaluator, test) = (self.evaluator(model, parameters), &self.data.splits().test);
        let score = model.score();
        let mut closed = ClosedAverages::new(&self.data, test, &self.blocks, evaluator.noise)?;
        let (summary, units) =
            evaluate_and(&evaluator, test, Intervention::None, |chunk, prediction, weight| {
                closed.push_batch(&self.data, chunk, prediction, weight)
            })?;
        let mut wholes = WholeScores::default();
        closed.finish(true, &mut wholes)?;
        score_sampled(&self.data, evaluator.noise, &evaluator, &mut wholes)?;
        let probts = score_probts(&self.data, evaluator.noise, &evaluator)?;
        let name = contestant(model.config().variant);
        let row = Row::new(name, &summary, score).with_units(&units).with_wholes(wholes);
        let mut row = row.with_probts(probts);
        row.parameters = Some(model.used_parameters(parameters));
        if let Some(trained) = trained {
            row.epochs = Some(trained.history.len());
            row.best_epoch = Some(trained.best_epoch);
            row.seconds_per_epoch = Some(trained.seconds_per_epoch);
        }
        rows.push(row);
        if model.config().variant == Variant::Variational {
            let (swapped, _) = evaluate(&evaluator, test, Intervention::Permute)?;
            rows.push(Row::new("  the same, z swapped in the batch", &swapped, score));
        } else if let Some(scores) = self.residual_paths(&evaluator)? {
            let name = name.strip_prefix("deterministic ").unwrap_or(name);
            rows.push(Row::of_residual_paths(name, scores));
        }
        Ok((summary, units))
    }

    /// Scores a deterministic model with residual paths of the validation windows.
    fn residual_paths(
        &self,
        evaluator: &ForecastEvaluator<'_, f32>,
    ) -> Result<Option<ResidualScores>, TrainError> {
        let deviation = evaluator.network.config().divide_by_deviation;
        let scale = Normalisation { deviation, ..Normalisation::default() };
        let length = self.data.spec().input_len;
        score_residual_paths(&self.data, &self.blocks, |windows| {
            let mut means = Vec::with_capacity(windows.len() * self.data.spec().horizon);
            evaluator.predict(windows, 1, 0, &mut |_, prediction| {
                means.extend(prediction.mean());
                Ok(())
            })?;
            let mut inputs = vec![0.0; windows.len() * length];
            self.data.fill_inputs(windows, 0, &mut inputs, |x| x)?;
            let scale = inputs.chunks_exact(length).map(|x| scale.of(x).1).collect();
            Ok(PointForecasts { means, scale })
        })
    }

    /// Scores a stored model on the test windows by its moments.
    pub(crate) fn score_by_moments(
        &self,
        model: &Forecaster,
        parameters: &Parameters<f32>,
    ) -> Result<Row, TrainError> {
        let test = &self.data.splits().test;
        let summary = evaluate_moments(&self.evaluator(model, parameters), test)?;
        let name = match model.config().variant {
            Variant::Variational => "variational units, by moments",
            other => contestant(other),
        };
        let mut row = Row::new(name, &summary, Score::Marginal);
        row.parameters = Some(model.used_parameters(parameters));
        Ok(row)
    }

    /// Returns the seasonal naive forecast with its name. If the data lack a whole season, the last
    /// value is repeated. The notes give the reason for a skipped period.
    pub(crate) fn seasonal_naive(
        &self,
        notes: &mut Vec<String>,
    ) -> Result<Option<(String, FittedNaive, NormalForecasts)>, TrainError> {
        let mut periods = vec![self.season.0];
        if self.season.0 > 1 {
            periods.push(1);
        }
        for period in periods {
            let name = format!("seasonal naive, {period} steps");
            let naive = FittedNaive::new(&self.data, period);
            let naive = naive.and_then(|naive| Ok((naive.forecasts(&self.data)?, naive)));
            if let Some((forecasts, naive)) = fitted(naive, &name, notes)? {
                return Ok(Some((name, naive, forecasts)));
            }
        }
        Ok(None)
    }

    /// Scores the baselines. A baseline that cannot be fitted to these data is skipped; the
    /// returned notes give the reason.
    pub(crate) fn score_baselines(
        &self,
        rows: &mut Vec<Row>,
        score: Score,
        progress: impl FnMut(usize, usize),
    ) -> Result<Vec<String>, TrainError> {
        let (data, blocks) = (&self.data, &self.blocks);
        let (averages, noise) = (self.config.train.averages(), self.config.train.noise());
        let (mut notes, mut residual) = (Vec::new(), Vec::new());
        let mut normal = |name: &str, forecasts: NormalForecasts| -> Result<(), TrainError> {
            let wholes = forecasts.score_wholes(data, noise, blocks)?;
            let probts = score_probts(data, noise, &forecasts)?;
            let summary = forecasts.score(data, averages)?;
            rows.push(Row::new(name, &summary, score).with_wholes(wholes).with_probts(probts));
            Ok(())
        };
        if let Some(ridge) = fitted(FittedRidge::new(data, progress), "ridge", &mut notes)? {
            let name = format!("ridge, penalty {:.3e}", ridge.penalty());
            normal(&name, ridge.forecasts(data)?)?;
            residual.push(("ridge", ridge.residual_paths(data, blocks)?));
        }
        if let Some((name, naive, forecasts)) = self.seasonal_naive(&mut notes)? {
            normal(&name, forecasts)?;
            residual.push(("seasonal naive", naive.residual_paths(data, blocks)?));
        }
        for (name, scores) in residual {
            rows.extend(scores.map(|scores| Row::of_residual_paths(name, scores)));
        }
        Ok(notes)
    }
}

/// Returns a baseline's result; `None`, and a note, for a baseline that cannot be fitted to the
/// data.
fn fitted<S>(
    result: Result<S, TrainError>,
    name: &str,
    notes: &mut Vec<String>,
) -> Result<Option<S>, TrainError> {
    match result {
        Ok(score) => Ok(Some(score)),
        // A ridge regression that is too large is an error of the configuration, not skipped.
        Err(TrainError::Application(error))
            if error.downcast_ref().is_some_and(BaselineError::is_of_data) =>
        {
            notes.push(format!("baseline left out: {name}: {error}"));
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Returns the name of a model in the table.
pub(crate) fn contestant(variant: Variant) -> &'static str {
    match variant {
        Variant::Variational => "variational units",
        Variant::Twin => "deterministic twin",
        Variant::ReferenceTwin => "reference's twin",
        Variant::GatedTwin => "gated deterministic twin",
    }
}
