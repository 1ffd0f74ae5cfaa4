//! Calibration charts: of single steps, along the horizon, and of several steps together.

use crate::evaluate::breakdown::{LEVEL, SeriesScores, by_step};
use crate::run::experiment::Evaluated;
use vdn_train::metrics::{IntervalSummary, PitHistogram, StepScore};
use vdn_train::report::html::{Bars, LineChart, Page, Series, Table, number};

/// The maximum number of contestants whose horizon means are shown.
const MOST_CONTESTANTS: usize = 3;

/// Adds histograms of the probability integral transform, coverage by step, and central intervals.
pub(super) fn calibration(page: &mut Page, evaluated: &Evaluated, series: &[SeriesScores]) {
    let summary = &evaluated.summary;
    let mut figures = vec![
        pit(
            "Probability integral transform",
            "Where targets of single steps fall in their forecast's distribution. Level: \
             calibrated. High at the ends: too narrow. Humped: too wide. Slanted: biased.",
            "share of targets",
            &summary.pit,
        ),
        coverage_by_step(series),
    ];
    let rows = evaluated.report.rows.iter();
    let judged = rows.filter_map(|row| Some((&row.name, row.wholes.horizon_mean_pit.as_ref()?)));
    for (name, histogram) in judged.take(MOST_CONTESTANTS) {
        figures.push(pit(
            &format!("PIT of the horizon's mean: {name}"),
            "The same for the mean over the horizon. Steps that err together and are forecast as \
             independent make it high at the ends, however well single steps are calibrated.",
            "share of windows",
            histogram,
        ));
    }
    page.section("Calibration", "", &figures);
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
        note: "Observed share of targets inside, with its block standard error, and mean width in \
               standardised units."
            .to_owned(),
        heads: ["interval", "coverage", "± SE", "width"].map(str::to_owned).to_vec(),
        rows: summary.intervals.iter().map(interval).collect(),
    });
}

/// Returns the histogram of a probability integral transform, with the uniform level for
/// comparison.
fn pit(title: &str, note: &str, share: &str, histogram: &PitHistogram) -> String {
    let bins = histogram.counts().len();
    Bars {
        title: title.to_owned(),
        note: note.to_owned(),
        x_label: "probability of a smaller value".to_owned(),
        y_label: share.to_owned(),
        edges: (0..=bins).map(|i| i as f64 / bins as f64).collect(),
        heights: histogram.frequencies().unwrap_or_else(|| vec![0.0; bins]),
        expected: Some(1.0 / bins as f64),
        ..Bars::default()
    }
    .draw()
}

/// Returns the chart of the share of targets inside the central interval, by step.
fn coverage_by_step(series: &[SeriesScores]) -> String {
    let steps = by_step(series);
    let last = steps.len().max(1) as f64;
    let point = |(step, score): (u32, &Option<StepScore>)| {
        score.as_ref().map(|score| [f64::from(step), score.covered])
    };
    let points = (1..).zip(&steps).filter_map(point).collect();
    LineChart {
        title: "Coverage by step of the horizon".to_owned(),
        note: format!(
            "Share of targets inside the central {:.0} % interval, all series.",
            100.0 * LEVEL
        ),
        x_label: "steps ahead".to_owned(),
        y_label: "share of targets".to_owned(),
        series: vec![
            Series { name: "observed".to_owned(), points, dashed: false },
            Series {
                name: "nominal".to_owned(),
                points: vec![[1.0, LEVEL], [last, LEVEL]],
                dashed: true,
            },
        ],
        ..LineChart::default()
    }
    .draw()
}
