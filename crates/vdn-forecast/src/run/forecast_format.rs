//! The CSV format of forecasts of single steps: one line for each series and step.

use std::fmt::Write;

/// The quantiles of a forecast.
pub(super) const QUANTILES: [f64; 7] = [0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95];

/// The CSV format of forecasts of single steps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ForecastFormat {
    /// `series, step, date, mean` and quantiles; without `date` if times are not known.
    #[default]
    Quantiles,
    /// The names of Nixtla's libraries: `unique_id, ds, vdn, vdn-lo-90, vdn-hi-90`, that is, the
    /// mean and the central 90 % interval. `ds` is the date, or the step if times are not known.
    Nixtla,
}

/// The forecast of one step of a series.
pub(super) struct ForecastLine<'a> {
    pub(super) series: &'a str,
    /// The number of the step, from 1.
    pub(super) step: usize,
    pub(super) date: Option<String>,
    pub(super) mean: String,
    /// The values of [`QUANTILES`].
    pub(super) quantiles: Vec<String>,
}

impl ForecastFormat {
    /// Returns the header line. `dated` says whether times are known.
    pub(super) fn head(self, dated: bool) -> String {
        match self {
            Self::Nixtla => "unique_id,ds,vdn,vdn-lo-90,vdn-hi-90\n".to_owned(),
            Self::Quantiles => {
                let date = if dated { "date," } else { "" };
                let quantiles: Vec<String> = QUANTILES.iter().map(|q| format!("q{q}")).collect();
                format!("series,step,{date}mean,{}\n", quantiles.join(","))
            }
        }
    }

    /// Appends a line.
    pub(super) fn write(self, line: &ForecastLine<'_>, csv: &mut String) {
        let ForecastLine { series, step, date, mean, quantiles } = line;
        let series = quoted(series);
        let written = match (self, date) {
            (Self::Nixtla, date) => {
                let ds = date.clone().unwrap_or_else(|| step.to_string());
                let [low, high] = [0, QUANTILES.len() - 1].map(|i| &quantiles[i]);
                writeln!(csv, "{series},{ds},{mean},{low},{high}")
            }
            (Self::Quantiles, Some(date)) => {
                writeln!(csv, "{series},{step},{date},{mean},{}", quantiles.join(","))
            }
            (Self::Quantiles, None) => {
                writeln!(csv, "{series},{step},{mean},{}", quantiles.join(","))
            }
        };
        written.expect("writing to a string cannot fail");
    }
}

/// Quotes a field of a CSV file if necessary.
pub(super) fn quoted(field: &str) -> String {
    if field.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_have_the_columns_of_their_head() {
        let numbers = || (1..8).map(|i| i.to_string()).collect();
        let cases = [
            (ForecastFormat::Quantiles, Some("2020-01-01"), "\"a,b\",3,2020-01-01,0,1,2,3,4,5,6,7"),
            (ForecastFormat::Quantiles, None, "\"a,b\",3,0,1,2,3,4,5,6,7"),
            (ForecastFormat::Nixtla, Some("2020-01-01"), "\"a,b\",2020-01-01,0,1,7"),
            (ForecastFormat::Nixtla, None, "\"a,b\",3,0,1,7"),
        ];
        for (format, date, expected) in cases {
            let line = ForecastLine {
                series: "a,b",
                step: 3,
                date: date.map(str::to_owned),
                mean: "0".to_owned(),
                quantiles: numbers(),
            };
            let mut csv = format.head(date.is_some());
            format.write(&line, &mut csv);
            let lines: Vec<&str> = csv.lines().collect();
            assert_eq!(lines[1], expected);
            // The series name contains a comma.
            assert_eq!(lines[0].split(',').count() + 1, lines[1].split(',').count(), "{csv}");
        }
    }
}
