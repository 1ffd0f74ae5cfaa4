//! The content of `history.csv`: numbers over epochs.

use std::path::Path;
use vdn_train::TrainError;
use vdn_train::report::html::{LineChart, Page, Series};
use vdn_train::run::read_bounded;

/// The maximum size of such a file: 256 MiB, which is about a million epochs.
const MOST_BYTES: u64 = 256 << 20;

/// The columns of a CSV file of numbers. Cells that are not numbers are NaN.
pub(super) struct Columns {
    names: Vec<String>,
    rows: Vec<Vec<f64>>,
}

impl Columns {
    pub(super) fn read(path: &Path) -> Result<Self, TrainError> {
        let bytes = read_bounded(path, MOST_BYTES)?;
        let mut reader = csv::Reader::from_reader(&bytes[..]);
        let names = reader.headers().map_err(|e| TrainError::format(path, e))?;
        let names = names.iter().map(str::to_owned).collect();
        let mut rows = Vec::new();
        for record in reader.records() {
            let record = record.map_err(|e| TrainError::format(path, e))?;
            rows.push(record.iter().map(|cell| cell.parse().unwrap_or(f64::NAN)).collect());
        }
        Ok(Self { names, rows })
    }

    /// Returns the number of rows, which are the epochs of a history.
    pub(super) fn epochs(&self) -> usize {
        self.rows.len()
    }

    /// Returns the rows in which a column has this value.
    pub(super) fn with(&self, name: &str, value: f64) -> Self {
        let at = self.names.iter().position(|n| n == name);
        let own = self.rows.iter().filter(|row| at.is_some_and(|at| row[at] == value));
        Self { names: self.names.clone(), rows: own.cloned().collect() }
    }

    pub(super) fn column(&self, name: &str) -> Option<Vec<f64>> {
        let at = self.names.iter().position(|n| n == name)?;
        Some(self.rows.iter().map(|row| row[at]).collect())
    }

    /// Returns a column over epochs, as a line.
    fn series(&self, column: &str, name: &str) -> Option<Series> {
        let epochs = self.column("epoch")?;
        let values = self.column(column)?;
        // The run does not have this measure.
        if values.iter().all(|x| x.is_nan()) {
            return None;
        }
        let points = epochs.into_iter().zip(values).map(|(x, y)| [x, y]).collect();
        Some(Series { name: name.to_owned(), points, dashed: false })
    }

    /// Returns the epoch whose weights were kept.
    fn best(&self) -> Option<f64> {
        let best = self.column("best")?.iter().rposition(|b| *b == 1.0)?;
        Some(self.column("epoch")?[best])
    }

    /// Returns the position of the kept epoch, as a mark in charts.
    pub(super) fn mark(&self) -> Option<(f64, String)> {
        self.best().map(|epoch| (epoch, "kept".to_owned()))
    }

    /// Returns a chart over epochs of those columns that exist and contain a number; `None` if
    /// there are none.
    pub(super) fn chart(
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
            mark: self.mark(),
            ..LineChart::default()
        })
    }
}

/// Adds the charts of losses and scores over epochs.
pub(super) fn training(page: &mut Page, history: &Columns) {
    let charts = [
        history.chart(
            "Negative log-likelihood",
            "The predictive score on training batches (with the KL: the loss) and on the validation windows.",
            "nats per time step",
            &[("validation_nll", "validation"), ("train_nll", "training"), ("loss", "loss")],
        ),
        history.chart("Squared error", "", "MSE, validation", &[("validation_mse", "validation")]),
        history.chart(
            "What the kept epoch is chosen by",
            "The CRPS of the validation windows, unless `train.selection` asks for another (`elbo`: nats per window); smaller is better.",
            "score, validation",
            &[("selection", "validation")],
        ),
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
