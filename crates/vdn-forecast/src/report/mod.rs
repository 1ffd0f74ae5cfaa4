//! The page of a run: what [`html`](vdn_train) draws, from the run's files and a fresh pass over
//! its test windows.

mod bands;
mod forecasts;
mod history;
mod kept_units;
mod units;

use crate::run::directory::RunDirectory;
use crate::run::experiment::{Evaluated, evaluate_stored};
use crate::run::report::Row;
use history::Columns;
use vdn_train::TrainError;
use vdn_train::metrics::IntervalSummary;
use vdn_train::report::html::{Bars, Page, Table, number};

/// One self-contained HTML page about a run: scores, the history, what the units carry, forecasts, calibration. The
/// model is read back and scored on its test windows again, so that the page tells what the stored weights do.
///
/// # Errors
/// The directory, its data or its weights cannot be read or do not fit each other.
pub fn report_run(run: &RunDirectory) -> Result<String, TrainError> {
    let evaluated = evaluate_stored(run)?;
    let history = Columns::read(&run.history(false))?;
    let name =
        run.path().file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
    let mut page = Page::new(&format!("vdn run {name}"));
    scores(&mut page, &evaluated);
    history::training(&mut page, &history);
    let Evaluated { model, controllers, .. } = &evaluated;
    units::over_epochs(&mut page, &history, run, model, controllers)?;
    kept_units::at_the_end(&mut page, &evaluated, run)?;
    forecasts::fans(&mut page, &evaluated)?;
    calibration(&mut page, &evaluated);
    Ok(page.finish())
}

fn scores(page: &mut Page, evaluated: &Evaluated) {
    let report = &evaluated.report;
    let [train, validation, test] = report.windows;
    let lead = format!(
        "{}, {} series. Windows of {} rows, {} rows forecast: {train} for training, {validation} for validation, {test} for \
         the test. All scores are of the test windows, in standardised units.{}",
        report.data,
        report.series,
        report.input_len,
        report.horizon,
        match report.ema_decay > 0.0 {
            true => format!(
                " Scores and units are of the weights' moving average (decay {}), what is called training is of the weights.",
                report.ema_decay
            ),
            false => String::new(),
        }
    );
    page.section("Scores", &lead, &[]);
    let heads = [
        "",
        "parameters",
        "MSE",
        "MAE",
        "NLL",
        "CRPS",
        "± SE",
        "cover 90 %",
        "rate",
        "rate ≥ 0.05",
    ];
    let row = |row: &Row| {
        let maybe = |x: Option<f64>| x.map_or_else(|| "-".to_owned(), number);
        let share = row.informed.map_or_else(|| "-".to_owned(), |s| format!("{:.1} %", 100.0 * s));
        let parameters = row.parameters.map_or_else(|| "-".to_owned(), |n| n.to_string());
        let nll = row.nll.map_or_else(|| "-".to_owned(), |x| format!("{x:.4}"));
        let [mse, mae, crps] = [row.mse, row.mae, row.crps].map(|x| format!("{x:.4}"));
        let mut cells = vec![row.name.clone(), parameters];
        cells.extend([mse, mae, nll, crps]);
        cells.extend([
            row.crps_standard_error.map_or_else(|| "-".to_owned(), |x| format!("{x:.4}")),
            format!("{:.3}", row.coverage_90),
            maybe(row.rate),
            share,
        ]);
        cells
    };
    page.table(&Table {
        title: "Test windows".to_owned(),
        note: format!(
            "NLL: {} score, nats per time step. CRPS: exact, of the predictive mixture, with its block standard error. Rate: \
             mean over units, nats. With z swapped, the samples of the units are exchanged between windows: what that costs is \
             what they are worth to the forecast.",
            report.score
        ),
        heads: heads.map(str::to_owned).to_vec(),
        rows: report.rows.iter().map(row).collect(),
    });
}

fn calibration(page: &mut Page, evaluated: &Evaluated) {
    let summary = &evaluated.summary;
    let counts = summary.pit.counts();
    let total: u64 = counts.iter().sum();
    let bins = counts.len();
    let share = |n: u64| n as f64 / total.max(1) as f64;
    let pit = Bars {
        title: "Probability integral transform".to_owned(),
        note: "Where targets fall in their forecast's distribution. Level: calibrated. High at the ends: too narrow. Humped: too \
               wide. Slanted: biased."
            .to_owned(),
        x_label: "probability of a smaller value".to_owned(),
        y_label: "share of targets".to_owned(),
        edges: (0..=bins).map(|i| i as f64 / bins as f64).collect(),
        heights: counts.iter().map(|n| share(*n)).collect(),
        expected: Some(1.0 / bins as f64),
    };
    page.section("Calibration", "", &[pit.draw()]);
    let interval = |e: &IntervalSummary| {
        let error = e.coverage.standard_error;
        vec![
            format!("{:.0} %", 100.0 * e.level),
            format!("{:.3}", e.coverage.mean),
            error.map_or_else(|| "-".to_owned(), |x| format!("{x:.3}")),
            number(e.width.mean),
        ]
    };
    page.table(&Table {
        title: "Central intervals".to_owned(),
        note: "Observed share of targets inside, with its block standard error, and mean width in standardised units.".to_owned(),
        heads: ["interval", "coverage", "± SE", "width"].map(str::to_owned).to_vec(),
        rows: summary.intervals.iter().map(interval).collect(),
    });
}
