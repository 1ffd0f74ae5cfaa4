//! The page of a run: what [`html`](vdn_train) draws, from the run's files and a fresh pass over
//! its test windows.

mod bands;
mod calibration;
mod forecasts;
mod history;
mod kept_units;
mod scores;
mod units;

use crate::evaluate::breakdown::by_series;
use crate::run::directory::RunDirectory;
use crate::run::experiment::{Evaluated, evaluate_stored};
use history::Columns;
use vdn_train::TrainError;
use vdn_train::report::html::Page;

/// One self-contained HTML page about a run. It begins with what a forecaster looks for: scores (by
/// series and by step of the horizon, too), forecasts of test windows, calibration. The history of
/// the training and what the units carry follow. The model is read back and scored on its test
/// windows again, so that the page tells what the stored weights do.
///
/// # Errors
/// The directory, its data or its weights cannot be read or do not fit each other.
pub fn report_run(run: &RunDirectory) -> Result<String, TrainError> {
    let evaluated = evaluate_stored(run)?;
    let history = Columns::read(&run.history(false))?;
    let name =
        run.path().file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
    let mut page = Page::new(&format!("vdn run {name}"));
    let Evaluated { experiment, model, parameters, controllers, .. } = &evaluated;
    let test = &experiment.data.splits().test;
    let series = by_series(&experiment.evaluator(model, parameters), test)?;
    scores::scores(&mut page, &evaluated, &series);
    forecasts::forecasts(&mut page, &evaluated)?;
    calibration::calibration(&mut page, &evaluated, &series);
    history::training(&mut page, &history);
    units::over_epochs(&mut page, &history, run, model, controllers)?;
    kept_units::at_the_end(&mut page, &evaluated, run)?;
    Ok(page.finish())
}
