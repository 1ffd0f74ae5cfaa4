//! The page of a run: `vdn report` writes it as `report.html`.
//!
//! | section | shows |
//! |---|---|
//! | Scores | all models on the test rows |
//! | Predictions | predicted against observed values, and the calibration of probabilities |
//! | Number of epochs | the scores of held-out rows by which it was chosen |
//! | Training | score, gradient and rate of the units over epochs |
//! | Units | the health of the units, and each unit |

mod columns;
mod predictions;

use crate::data::TargetEncoding;
use crate::evaluate::TaskScores;
use crate::network::Variant;
use crate::run::experiment::{Experiment, Stored};
use crate::run::fit::Choice;
use crate::run::{TaskReport, TaskRow, evaluate_task, stored_run};
use columns::Columns;
use vdn_train::TrainError;
use vdn_train::report::html::{Bars, LineChart, Page, Series, Table, number};
use vdn_train::run::RunFolder;

/// The page of a run with weights, as self-contained HTML.
///
/// # Errors
/// Returns an error if the directory, its data or its weights cannot be read or do not match.
pub fn report_task(run: &RunFolder) -> Result<String, TrainError> {
    let report = evaluate_task(run, None)?;
    let (config, encoding) = stored_run(run)?;
    let experiment = Experiment::load(&config)?;
    let mut page = Page::new(&format!("{}: {}", report.task.name(), report.data));
    scores(&mut page, &report);
    let stored = Experiment::stored(&config, &encoding, run, Variant::Variational)?;
    if let Some(Stored { network, parameters }) = stored {
        let evaluator = experiment.evaluator(&network, &parameters);
        let figures = match &encoding.targets {
            TargetEncoding::Numbers(scales) => {
                predictions::of_numbers(&evaluator, (scales, encoding.outlier_share()))?
            }
            TargetEncoding::Classes { .. } => Vec::new(),
        };
        page.section("Predictions", "Of the test rows.", &figures);
    }
    let choice = run.file("choice.json");
    if choice.exists() {
        page.section(
            "Number of epochs",
            "The training rows are divided into parts. Each is predicted by a network that is \
             trained on the others. The network of the run is trained on all of them for as many \
             epochs as were best.",
            &[of_choice(&run.read_json("choice.json")?)],
        );
    }
    let history = Columns::read(&run.file("history.csv"))?;
    let lead = "Of the network that was kept. Where it was trained on all training rows, those \
                called validation are among them.";
    page.section("Training", lead, &training(&history));
    if let Some(units) = &report.units {
        page.section("Units", &units.to_string().replace('\n', " "), &of_units(run)?);
    }
    Ok(page.finish())
}

fn heads(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// The scores of all models.
fn scores(page: &mut Page, report: &TaskReport) {
    let [train, validation, test] = report.rows_of;
    let lead = format!(
        "{}: {} inputs, likelihood {}. {train} training rows, {validation} for validation, {test} \
         for the test. All scores are of the test rows, in the targets' own units.",
        report.data, report.inputs, report.likelihood
    );
    page.section("Scores", &lead, &[]);
    let Some(first) = report.rows.first() else { return };
    let cells = |row: &TaskRow| {
        let mut cells = vec![
            row.name.clone(),
            row.parameters.map_or_else(|| "-".to_owned(), |n| n.to_string()),
        ];
        match &row.scores {
            TaskScores::Regression(own) => cells.extend(
                [
                    own.rmse,
                    own.mae,
                    own.nll,
                    own.crps,
                    own.coverage_50,
                    own.coverage_90,
                    own.width_90,
                    own.calibration_error,
                    own.unit_share,
                ]
                .map(number),
            ),
            TaskScores::Classification(own) => cells.extend(
                [
                    100.0 * own.error,
                    own.nll,
                    own.brier,
                    own.ece_equal_width,
                    own.ece_equal_mass,
                    own.entropy,
                    own.mutual_information,
                    own.kl,
                    own.risk_coverage_area,
                ]
                .map(number),
            ),
        }
        cells
    };
    let names = match &first.scores {
        TaskScores::Regression(_) => heads(&[
            "",
            "parameters",
            "RMSE",
            "MAE",
            "NLL",
            "CRPS",
            "cover 50 %",
            "cover 90 %",
            "width 90 %",
            "calibration error",
            "units' share",
        ]),
        TaskScores::Classification(_) => heads(&[
            "",
            "parameters",
            "error %",
            "NLL",
            "Brier",
            "ECE, equal width",
            "ECE, equal mass",
            "entropy",
            "information",
            "KL",
            "risk-coverage",
        ]),
    };
    page.table(&Table {
        title: "Test rows".to_owned(),
        note: "NLL: nats per row and target. Calibration error: mean distance of the distribution \
               of P(Y <= y) from a uniform one. Units' share: of the predictive variance. With z \
               from the prior, the samples of the units do not depend on the inputs: what that \
               costs is what their information is worth."
            .to_owned(),
        heads: names,
        rows: report.rows.iter().map(cells).collect(),
    });
}

/// The scores by which the number of epochs was chosen.
fn of_choice(choice: &Choice) -> String {
    let line = |(fold, scores): (usize, &Vec<f64>)| Series {
        name: format!("part {}", fold + 1),
        points: scores.iter().enumerate().map(|(e, &y)| [e as f64 + 1.0, y]).collect(),
        dashed: false,
    };
    LineChart {
        title: "Scores of parts that did not train".to_owned(),
        note: format!(
            "Smaller is better. {} epochs were chosen. The scales of the output noise are \
             multiplied by {:?}, and floors of {:?} deviations of the target are added in squares: \
             that is what these rows showed of them.",
            choice.epochs, choice.factor, choice.floor
        ),
        x_label: "epoch".to_owned(),
        y_label: "score".to_owned(),
        series: choice.folds.iter().enumerate().map(line).collect(),
        mark: Some((choice.epochs as f64, "chosen".to_owned())),
        ..LineChart::default()
    }
    .draw()
}

/// The charts of values over epochs.
fn training(history: &Columns) -> Vec<String> {
    let charts = [
        history.chart(
            "Negative log-likelihood",
            "Training batches are predicted by as many samples as in training.",
            "nats per row",
            &[("validation_nll", "validation"), ("train_nll", "training")],
        ),
        history.chart("Squared error", "", "MSE, validation", &[("validation_mse", "validation")]),
        history.chart("Gradient norm", "", "norm", &[("gradient_norm", "gradient")]),
        history.chart(
            "Rate of the units",
            "Information about the inputs, mean over units.",
            "nats",
            &[("rate", "rate")],
        ),
    ];
    charts.iter().flatten().map(LineChart::draw).collect()
}

/// The charts of each unit of the kept weights, from `units.csv`.
fn of_units(run: &RunFolder) -> Result<Vec<String>, TrainError> {
    let file = run.file("units.csv");
    if !file.exists() {
        return Ok(Vec::new());
    }
    let units = Columns::read(&file)?;
    let histogram = |column: &str, title: &str, note: &str| {
        let values = units.column(column)?;
        let bars = Bars {
            title: title.to_owned(),
            note: note.to_owned(),
            x_label: column.replace('_', " "),
            y_label: "units".to_owned(),
            ..Bars::of(&values, 12)
        };
        (!bars.edges.is_empty()).then(|| bars.draw())
    };
    let all = [
        histogram("rate", "Rate", "Nats that each unit carries of the inputs."),
        histogram("net", "Net value", "What each unit brings less what it costs, nats per row."),
        histogram("share", "Share", "Of each unit in the variance that the units carry."),
    ];
    Ok(all.into_iter().flatten().collect())
}
