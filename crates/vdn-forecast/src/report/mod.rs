//! The HTML page of a run, drawn with [`html`](vdn_train) from the run's files and a new pass over
//! its test windows.

mod bands;
mod calibration;
mod forecasts;
mod history;
mod kept_units;
mod scores;
mod units;

use crate::evaluate::breakdown::{SeriesScores, by_series, by_series_of};
use crate::forecaster::Forecaster;
use crate::run::contestants::contestant;
use crate::run::directory::RunDirectory;
use crate::run::experiment::{Evaluated, evaluate_stored};
use history::Columns;
use vdn_model::core::Parameters;
use vdn_train::TrainError;
use vdn_train::report::html::Page;

/// Returns one self-contained HTML page about a run.
///
/// The page begins with scores (also by series and by step of the horizon), forecasts of test
/// windows, and calibration. The training history and the information in the units follow. The
/// stored model is loaded and scored again on its test windows, so that the page describes the
/// stored weights.
///
/// # Errors
/// Fails if the directory, its data or its weights cannot be read or do not fit each other.
pub fn report_run(run: &RunDirectory) -> Result<String, TrainError> {
    let evaluated = evaluate_stored(run)?;
    let history = Columns::read(&run.history(false))?;
    let name =
        run.path().file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
    let mut page = Page::new(&format!("vdn run {name}"));
    let Evaluated { model, controllers, .. } = &evaluated;
    let contestants = broken_down(&evaluated)?;
    scores::scores(&mut page, &evaluated, &contestants);
    forecasts::forecasts(&mut page, &evaluated)?;
    calibration::calibration(&mut page, &evaluated, &contestants[0].series);
    history::training(&mut page, &history);
    units::over_epochs(&mut page, &history, run, model, controllers)?;
    kept_units::at_the_end(&mut page, &evaluated, run)?;
    Ok(page.finish())
}

/// The scores of a contestant by series and by step.
struct Contestant {
    name: String,
    series: Vec<SeriesScores>,
}

/// Returns the model, its twin and the seasonal naive forecast, if the run has them. The model
/// comes first.
fn broken_down(evaluated: &Evaluated) -> Result<Vec<Contestant>, TrainError> {
    let Evaluated { experiment, model, parameters, twin, .. } = evaluated;
    let data = &experiment.data;
    let of_model = |model: &Forecaster, parameters: &Parameters<f32>| {
        let evaluator = experiment.evaluator(model, parameters);
        let series = by_series(&evaluator, &data.splits().test)?;
        Ok::<_, TrainError>(Contestant { name: contestant(model.config().variant).into(), series })
    };
    let mut found = vec![of_model(model, parameters)?];
    if let Some((twin, parameters)) = twin {
        found.push(of_model(twin, parameters)?);
    }
    // The notes of the report give the reason if the baseline is missing.
    if let Some((name, _, forecasts)) = experiment.seasonal_naive(&mut Vec::new())? {
        let series = by_series_of(&forecasts, data, experiment.config.train.averages())?;
        found.push(Contestant { name, series });
    }
    Ok(found)
}
