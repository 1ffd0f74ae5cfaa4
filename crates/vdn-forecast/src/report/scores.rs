//! The tables at the beginning of a page: all contestants by steps and as wholes, the model by
//! series and by step.

use crate::evaluate::ProbTsScores;
use crate::evaluate::breakdown::{SeriesScores, by_step};
use crate::evaluate::wholes::{AggregateSummary, UnitShare};
use crate::report::Contestant;
use crate::run::experiment::Evaluated;
use crate::run::report::Row;
use vdn_train::metrics::StepScore;
use vdn_train::report::html::{LineChart, Page, Series, Table, number};

/// The maximum number of series in the table by series.
const MOST_SERIES: usize = 200;
/// The maximum number of series with their own chart.
const MOST_CHARTS: usize = 6;

/// Adds all score tables and charts.
pub(super) fn scores(page: &mut Page, evaluated: &Evaluated, all: &[Contestant]) {
    let report = &evaluated.report;
    let [train, validation, test] = report.windows;
    let average = match report.ema_decay > 0.0 {
        true => format!(
            " Scores and units are of the weights' moving average (decay {}), what is called \
             training is of the weights.",
            report.ema_decay
        ),
        false => String::new(),
    };
    let lead = format!(
        "{}, {} series. Windows of {} rows, {} rows forecast: {train} for training, {validation} \
         for validation, {test} for the test. All scores are of the test windows.{average}",
        report.data, report.series, report.input_len, report.horizon,
    );
    page.section("Scores", &lead, &[]);
    page.table(&contestants(evaluated));
    if let Some(wholes) = as_wholes(&report.rows) {
        page.table(&wholes);
    }
    if let Some(probts) = of_probts(&report.rows) {
        page.table(&probts);
    }
    page.table(&each_series(evaluated, all));
    let count = all[0].series.len();
    let mut figures = along_the_horizon(all);
    figures.extend((0..count.min(MOST_CHARTS)).map(|place| of_series(evaluated, all, place)));
    let lead = match count > MOST_CHARTS {
        true => format!("Single series: the first {MOST_CHARTS} of {count}."),
        false => String::new(),
    };
    page.section("Scores by step of the horizon", &lead, &figures);
}

/// Formats a number with this many decimals, or a dash.
fn decimals(x: Option<f64>, digits: usize) -> String {
    x.map_or_else(|| "-".to_owned(), |x| format!("{x:.digits$}"))
}

fn heads(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// Returns the table of every contestant's scores of single steps.
fn contestants(evaluated: &Evaluated) -> Table {
    let report = &evaluated.report;
    let row = |row: &Row| {
        vec![
            row.name.clone(),
            row.parameters.map_or_else(|| "-".to_owned(), |n| n.to_string()),
            decimals(Some(row.mse), 4),
            decimals(Some(row.mae), 4),
            decimals(row.nll, 4),
            decimals(Some(row.crps), 4),
            decimals(row.crps_standard_error, 4),
            decimals(Some(row.coverage_90), 3),
            row.rate.map_or_else(|| "-".to_owned(), number),
            row.informed.map_or_else(|| "-".to_owned(), |s| format!("{:.1} %", 100.0 * s)),
        ]
    };
    Table {
        title: "Test windows, standardised units".to_owned(),
        note: format!(
            "NLL: {} score, nats per time step. CRPS: exact, of the predictive mixture, with its \
             block standard error. Rate: mean over units, nats. With z swapped, the samples of the \
             units are exchanged between windows: what that costs is what they are worth to the \
             forecast.",
            report.score
        ),
        heads: heads(&[
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
        ]),
        rows: report.rows.iter().map(row).collect(),
    }
}

/// Returns the table of every contestant's scores of several steps together; `None` if there are
/// none.
fn as_wholes(rows: &[Row]) -> Option<Table> {
    let judged: Vec<&Row> = rows.iter().filter(|row| row.wholes.horizon_mean.is_some()).collect();
    let blocks = &judged.first()?.wholes.block_sums;
    let sums: Vec<String> =
        blocks.iter().map(|block| format!("sum of {} ({})", block.name, block.steps)).collect();
    let mut heads = vec![String::new(), "mean of horizon".to_owned()];
    heads.extend(sums);
    let rest = ["maximum", "energy", "variogram", "joint NLL", "from units: step", "mean"];
    heads.extend(rest.map(str::to_owned));
    let value = |summary: Option<&AggregateSummary>| match summary {
        Some(found) => format!("{:.4}, {:.0} %", found.crps, 100.0 * found.cover90),
        None => "-".to_owned(),
    };
    let row = |row: &&Row| {
        let wholes = &row.wholes;
        let mut cells = vec![row.name.clone(), value(wholes.horizon_mean.as_ref())];
        cells.extend(wholes.block_sums.iter().map(|block| value(Some(&block.scores))));
        let share = |of: fn(&UnitShare) -> f64| {
            let share = wholes.unit_share.as_ref().map(of);
            share.map_or_else(|| "-".to_owned(), |share| format!("{:.1} %", 100.0 * share))
        };
        cells.extend([
            value(wholes.maximum.as_ref()),
            decimals(wholes.energy_score, 3),
            decimals(wholes.variogram_score, 2),
            decimals(wholes.joint_nll.and_then(|joint| joint.value()), 1),
            share(|share| share.step),
            share(|share| share.mean),
        ]);
        cells
    };
    Some(Table {
        title: "Forecasts as wholes, standardised units".to_owned(),
        note: "Of each value of several steps: its CRPS, and the share of windows inside the \
               central 90 % interval. Joint NLL: nats per window, of all steps together. From \
               units: the units' share of the variance of a step and of the horizon's mean. \
               Residual paths: the point forecast plus whole residuals of validation windows."
            .to_owned(),
        heads,
        rows: judged.iter().map(row).collect(),
    })
}

/// Returns the scores of the ProbTS benchmark; `None` under other protocols.
fn of_probts(rows: &[Row]) -> Option<Table> {
    let scored = || rows.iter().filter_map(|row| Some((&row.name, row.probts?)));
    let (_, first) = scored().next()?;
    let row = |(name, scores): (&String, ProbTsScores)| {
        vec![
            name.clone(),
            decimals(Some(scores.crps_q10), 4),
            decimals(scores.crps_q10_standard_error, 4),
            decimals(Some(scores.crps_q20), 4),
            decimals(Some(scores.nmae), 4),
        ]
    };
    Some(Table {
        title: "ProbTS, original scale".to_owned(),
        note: format!(
            "By {} paths of each of {} windows of all series, 96 rows apart. CRPS: twice the \
             pinball loss over the sum of |y|, mean over the levels k/Q. NMAE: of the median. They \
             compare with the tables of that benchmark alone.",
            first.paths, first.windows
        ),
        heads: heads(&["", "CRPS, Q = 10", "± SE", "CRPS, Q = 20", "NMAE"]),
        rows: scored().map(row).collect(),
    })
}

/// Returns the table of the model's scores by series, in the series' own units, with the CRPS of
/// the other contestants.
fn each_series(evaluated: &Evaluated, all: &[Contestant]) -> Table {
    let data = &evaluated.experiment.data;
    let (model, others) = (&all[0].series, &all[1..]);
    let row = |(place, own): (usize, &SeriesScores)| {
        let mean = own.mean();
        let unit = |z: f64| number(data.scaler().inverse_scale(own.series, z));
        let mut cells = vec![
            data.names()[own.series].clone(),
            own.windows.to_string(),
            unit(mean.crps),
            own.crps.standard_error.map_or_else(|| "-".to_owned(), unit),
            unit(mean.absolute_error),
            unit(mean.squared_error.sqrt()),
            format!("{:.3}", mean.covered),
            unit(mean.width),
            format!("{:.4}", mean.crps),
        ];
        cells.extend(others.iter().map(|other| format!("{:.4}", other.series[place].crps.mean)));
        cells
    };
    let shown = model.len().min(MOST_SERIES);
    let more = match model.len() > shown {
        true => format!(" The first {shown} of {} series.", model.len()),
        false => String::new(),
    };
    let mut heads = heads(&[
        "",
        "windows",
        "CRPS",
        "± SE",
        "MAE",
        "RMSE",
        "cover 90 %",
        "width 90 %",
        "CRPS, standardised",
    ]);
    heads.extend(others.iter().map(|other| other.name.clone()));
    Table {
        title: "By series, in the units of the data".to_owned(),
        note: format!(
            "The model on the test windows of each series, means over the horizon: CRPS with its \
             block standard error, mean absolute error, root of the mean squared error, share of \
             values inside the central 90 % interval and its mean width. The last columns are the \
             CRPS in standardised units, in which series can be compared, of the model and of \
             others.{more}"
        ),
        heads,
        rows: model[..shown].iter().enumerate().map(row).collect(),
    }
}

/// Returns a line over the steps. A step without a target is skipped.
fn line(name: &str, steps: &[Option<StepScore>], of: impl Fn(&StepScore) -> f64) -> Series {
    let point = |(step, score): (u32, &Option<StepScore>)| {
        score.as_ref().map(|score| [f64::from(step), of(score)])
    };
    let points = (1..).zip(steps).filter_map(point).collect();
    Series { name: name.to_owned(), points, dashed: false }
}

/// Returns the charts over all series, by step.
fn along_the_horizon(all: &[Contestant]) -> Vec<String> {
    let steps: Vec<(&str, Vec<Option<StepScore>>)> =
        all.iter().map(|one| (&one.name[..], by_step(&one.series))).collect();
    let chart = |title: &str, of: fn(&StepScore) -> f64| {
        LineChart {
            title: format!("All series: {title}"),
            note: "Mean over test windows and series.".to_owned(),
            x_label: "steps ahead".to_owned(),
            y_label: "standardised units".to_owned(),
            series: steps.iter().map(|(name, steps)| line(name, steps, of)).collect(),
            ..LineChart::default()
        }
        .draw()
    };
    vec![chart("CRPS", |step| step.crps), chart("MAE", |step| step.absolute_error)]
}

/// Returns the chart of one series by step, in its own unit.
fn of_series(evaluated: &Evaluated, all: &[Contestant], place: usize) -> String {
    let data = &evaluated.experiment.data;
    let of = |one: &Contestant| {
        let own = &one.series[place];
        let unit = |step: &StepScore| data.scaler().inverse_scale(own.series, step.crps);
        line(&one.name, &own.steps, unit)
    };
    LineChart {
        title: format!("{}: CRPS", data.names()[all[0].series[place].series]),
        x_label: "steps ahead".to_owned(),
        y_label: "units of the data".to_owned(),
        series: all.iter().map(of).collect(),
        ..LineChart::default()
    }
    .draw()
}
