//! The page of a run: what [`html`](crate::html) draws, from the run's files and a fresh pass over its test windows.

use crate::data::WindowIndex;
use crate::error::TrainError;
use crate::evaluate::forecast;
use crate::experiment::{Evaluated, evaluate_stored};
use crate::html::{Band, Bars, LineChart, Page, Series, Table, number};
use crate::report::Row;
use crate::run::RunDirectory;
use vdn_model::Prediction;

/// Test windows whose forecasts are drawn.
const FANS: usize = 6;
/// Steps of the past that a fan starts with, in horizons.
const PAST: usize = 2;
/// Bins of histograms over units.
const BINS: usize = 32;

/// One self-contained HTML page about a run: scores, the history, what the units carry, forecasts, calibration. The
/// model is read back and scored on its test windows again, so that the page tells what the stored weights do.
///
/// # Errors
/// The directory, its data or its weights cannot be read or do not fit each other.
pub fn report_run(run: &RunDirectory) -> Result<String, TrainError> {
    let evaluated = evaluate_stored(run)?;
    let history = History::read(run)?;
    let name =
        run.path().file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
    let mut page = Page::new(&format!("vdn run {name}"));
    scores(&mut page, &evaluated);
    training(&mut page, &history);
    units(&mut page, &evaluated);
    forecasts(&mut page, &evaluated)?;
    calibration(&mut page, &evaluated);
    Ok(page.finish())
}

/// The columns of `history.csv`, whichever there are.
struct History {
    names: Vec<String>,
    rows: Vec<Vec<f64>>,
}

impl History {
    fn read(run: &RunDirectory) -> Result<Self, TrainError> {
        let path = run.history(false);
        let mut reader = csv::Reader::from_path(&path).map_err(|e| TrainError::format(&path, e))?;
        let names = reader.headers().map_err(|e| TrainError::format(&path, e))?;
        let names = names.iter().map(str::to_owned).collect();
        let mut rows = Vec::new();
        for record in reader.records() {
            let record = record.map_err(|e| TrainError::format(&path, e))?;
            rows.push(record.iter().map(|cell| cell.parse().unwrap_or(f64::NAN)).collect());
        }
        Ok(Self { names, rows })
    }

    fn column(&self, name: &str) -> Option<Vec<f64>> {
        let at = self.names.iter().position(|n| n == name)?;
        Some(self.rows.iter().map(|row| row[at]).collect())
    }

    /// The column over epochs, as a line.
    fn series(&self, column: &str, name: &str) -> Option<Series> {
        let epochs = self.column("epoch")?;
        let points = epochs.into_iter().zip(self.column(column)?).map(|(x, y)| [x, y]).collect();
        Some(Series { name: name.to_owned(), points, dashed: false })
    }

    /// The epoch whose weights were kept.
    fn best(&self) -> Option<f64> {
        let best = self.column("best")?.iter().rposition(|b| *b == 1.0)?;
        Some(self.column("epoch")?[best])
    }

    /// A chart over epochs of those columns that are there; `None` without any.
    fn chart(
        &self,
        title: &str,
        note: &str,
        y_label: &str,
        columns: &[(&str, &str)],
    ) -> Option<LineChart> {
        let series: Vec<Series> =
            columns.iter().filter_map(|(column, name)| self.series(column, name)).collect();
        (!series.is_empty()).then(|| LineChart {
            title: title.to_owned(),
            note: note.to_owned(),
            x_label: "epoch".to_owned(),
            y_label: y_label.to_owned(),
            series,
            mark: self.best().map(|epoch| (epoch, "kept".to_owned())),
            ..LineChart::default()
        })
    }
}

fn scores(page: &mut Page, evaluated: &Evaluated) {
    let report = &evaluated.report;
    let [train, validation, test] = report.windows;
    let lead = format!(
        "{}, {} series. Windows of {} rows, {} rows forecast: {train} for training, {validation} for validation, {test} for \
         the test. All scores are of the test windows, in standardised units.",
        report.data, report.series, report.input_len, report.horizon
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
        let numbers = [row.mse, row.mae, row.nll, row.crps].map(|x| format!("{x:.4}"));
        let mut cells = vec![row.name.clone(), parameters];
        cells.extend(numbers);
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

fn training(page: &mut Page, history: &History) {
    let charts = [
        history.chart(
            "Negative log-likelihood",
            "The predictive score on training batches (with the KL: the loss) and on the validation windows.",
            "nats per time step",
            &[("validation_nll", "validation"), ("train_nll", "training"), ("loss", "loss")],
        ),
        history.chart("Squared error", "", "MSE, validation", &[("validation_mse", "validation")]),
        history.chart(
            "Gradient norm",
            "Before the clip, mean over the epoch.",
            "norm",
            &[("gradient_norm", "gradient")],
        ),
        history.chart("Learning rate", "", "rate", &[("learning_rate", "learning rate")]),
    ];
    let figures: Vec<String> = charts.iter().flatten().map(LineChart::draw).collect();
    page.section("Training", "", &figures);
}

fn units(page: &mut Page, evaluated: &Evaluated) {
    let Some(units) = &evaluated.units else { return };
    let snr = units.signal_to_noise();
    let logarithms: Vec<f64> = snr.iter().map(|x| x.log10()).collect();
    let figures = [
        Bars {
            title: "Signal to noise".to_owned(),
            note: "Variance of the posterior means over their mean variance, one value for each latent dimension.".to_owned(),
            x_label: "log10 of signal to noise".to_owned(),
            y_label: "latent dimensions".to_owned(),
            ..Bars::of(&logarithms, BINS)
        }
        .draw(),
        Bars {
            title: "Rate".to_owned(),
            note: "Information that a latent dimension carries about its input.".to_owned(),
            x_label: "nats".to_owned(),
            y_label: "latent dimensions".to_owned(),
            ..Bars::of(&units.rate(), BINS)
        }
        .draw(),
        Bars {
            title: "Mismatch".to_owned(),
            note: "Distance of the aggregate posterior from the prior: paid for, but no information.".to_owned(),
            x_label: "nats".to_owned(),
            y_label: "latent dimensions".to_owned(),
            ..Bars::of(&units.mismatch(), BINS)
        }
        .draw(),
    ];
    page.section("Units on the test windows", "", &figures);
}

fn forecasts(page: &mut Page, evaluated: &Evaluated) -> Result<(), TrainError> {
    let Evaluated { experiment, model, parameters, .. } = evaluated;
    let data = &experiment.data;
    let test = &data.splits().test;
    let count = FANS.min(test.len());
    let windows: Vec<WindowIndex> =
        (0..count).map(|i| test[(2 * i + 1) * test.len() / (2 * count)]).collect();
    let predictions = forecast(model, parameters, data, &windows, experiment.config.train.seed)?;
    let mut figures = Vec::new();
    let mut remaining = windows.iter();
    for prediction in &predictions {
        for (row, window) in remaining.by_ref().take(prediction.shape[1]).enumerate() {
            figures.push(fan(evaluated, prediction, row, *window));
        }
    }
    page.section(
        "Forecasts",
        "Test windows, evenly spaced, in the series' own units: what was observed, the median and the central 50 and 90 % of the \
         predictive mixture.",
        &figures,
    );
    Ok(())
}

fn fan(evaluated: &Evaluated, prediction: &Prediction, row: usize, window: WindowIndex) -> String {
    let data = &evaluated.experiment.data;
    let horizon = prediction.shape[2];
    let (series, t) = (window.series as usize, window.t as usize);
    let own = |x: f64| data.scaler().inverse(series, x);
    let observed = &data.columns()[series];
    let first = t.saturating_sub(PAST * horizon);
    let past = (first..t + horizon).map(|i| [i as f64 - t as f64 + 1.0, own(observed[i])]);
    let quantile = |tau: f64| prediction.quantile(tau)[row * horizon..][..horizon].to_vec();
    let steps = || (1..=horizon).map(|step| step as f64);
    let band = |name: &str, low: f64, high: f64| {
        let ends = quantile(low).into_iter().zip(quantile(high));
        let points = steps().zip(ends).map(|(x, (low, high))| [x, own(low), own(high)]).collect();
        Band { name: name.to_owned(), points }
    };
    let median = steps().zip(quantile(0.5)).map(|(x, y)| [x, own(y)]).collect();
    LineChart {
        title: format!("{}, row {t}", data.names()[series]),
        x_label: "steps ahead".to_owned(),
        bands: vec![band("90 %", 0.05, 0.95), band("50 %", 0.25, 0.75)],
        series: vec![
            Series { name: "median".to_owned(), points: median, dashed: false },
            Series { name: "observed".to_owned(), points: past.collect(), dashed: false },
        ],
        ..LineChart::default()
    }
    .draw()
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
    let interval = |e: &crate::metrics::IntervalSummary| {
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
