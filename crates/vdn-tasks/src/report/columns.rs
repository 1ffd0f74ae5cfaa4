//! Columns of the CSV files of a run.

use std::path::Path;
use vdn_train::TrainError;
use vdn_train::data::{Cell, DelimitedFile, FileForm, Limits, NumberForm};
use vdn_train::report::html::{LineChart, Series};

/// The numeric columns of a file. Cells that are not numbers are NaN.
pub(super) struct Columns {
    names: Vec<String>,
    rows: Vec<Vec<f64>>,
}

impl Columns {
    pub(super) fn read(path: &Path) -> Result<Self, TrainError> {
        let form = FileForm { delimiter: Some(b','), numbers: Some(NumberForm::DecimalPoint) };
        let mut file = DelimitedFile::open(path, form, Limits::default())?;
        let names = file.names().to_vec();
        let mut rows = Vec::new();
        while file.next_row()? {
            let number = |column| match file.number(column) {
                Cell::Number(x) => x,
                Cell::Missing | Cell::Bad => f64::NAN,
            };
            rows.push((0..names.len()).map(number).collect());
        }
        Ok(Self { names, rows })
    }

    pub(super) fn column(&self, name: &str) -> Option<Vec<f64>> {
        let at = self.names.iter().position(|n| n == name)?;
        Some(self.rows.iter().map(|row| row[at]).collect())
    }

    /// A chart over epochs of the columns that have a number; `None` if there are none.
    pub(super) fn chart(
        &self,
        title: &str,
        note: &str,
        y_label: &str,
        columns: &[(&str, &str)],
    ) -> Option<LineChart> {
        let epochs = self.column("epoch")?;
        let series = |(column, name): &(&str, &str)| {
            let values = self.column(column)?;
            let points = epochs.iter().zip(&values).map(|(&x, &y)| [x, y]).collect();
            let known = values.iter().any(|y| y.is_finite());
            known.then(|| Series { name: (*name).to_owned(), points, dashed: false })
        };
        let series: Vec<Series> = columns.iter().filter_map(series).collect();
        (!series.is_empty()).then(|| LineChart {
            title: title.to_owned(),
            note: note.to_owned(),
            x_label: "epoch".to_owned(),
            y_label: y_label.to_owned(),
            series,
            ..LineChart::default()
        })
    }
}
