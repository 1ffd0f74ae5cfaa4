//! The units over epochs, from `history.csv` and the files of every unit.

use crate::forecaster::Forecaster;
use crate::report::bands::{against_bands, bounds};
use crate::report::history::Columns;
use crate::run::directory::RunDirectory;
use std::path::PathBuf;
use vdn_model::controllers::StackControl;
use vdn_train::TrainError;
use vdn_train::report::html::{Band, HeatMap, LineChart, Page, Series};
use vdn_train::units::{UnitHistory, layer_file};

/// The note for a layer with energy bands, in a run that did not record their bounds.
const NO_BOUNDS: &str = "The units have energy bands, but this run is of an earlier version, which did not record their bounds: \
                         train it again to see them.";

/// Adds the charts of the layers and of every unit over epochs; nothing for a run without units.
///
/// # Errors
/// Fails if a file of units exists but cannot be read.
pub(super) fn over_epochs(
    page: &mut Page,
    history: &Columns,
    run: &RunDirectory,
    model: &Forecaster,
    controllers: &StackControl,
) -> Result<(), TrainError> {
    let depth = model.config().depth;
    let layers = model.distributional_layers();
    let files = layers.iter().map(|layer| layer_file(&run.units(false), layer + 1, depth));
    let files: Vec<PathBuf> = files.collect();
    if files.is_empty() || !files.iter().all(|file| file.exists()) {
        return Ok(());
    }
    let lead = "On the validation windows after each epoch.";
    if depth > 1 {
        page.section("Layers over epochs", lead, &side_by_side(history, &layers));
    }
    for (layer, file) in layers.iter().zip(&files) {
        let prefix = if depth > 1 { format!("layer{}.", layer + 1) } else { String::new() };
        let title = match depth {
            1 => "Units over epochs".to_owned(),
            _ => format!("Layer {}: units over epochs", layer + 1),
        };
        let own = model.stack().layers()[*layer].units().map_or(0, |own| own.config().units);
        let units = UnitHistory::read_of(file, own, history.epochs())?;
        let levers = controllers.layer(*layer).map(|control| control.levers());
        let banded = levers.is_some_and(|levers| levers.objective.band.is_some());
        page.section(&title, lead, &of_layer(history, &units, &prefix, banded));
    }
    Ok(())
}

/// Returns the charts of means over the units of each layer, with all layers in one chart.
fn side_by_side(history: &Columns, layers: &[usize]) -> Vec<String> {
    let charts = [
        ("rate", "Rate", "Information about what the units see, mean over units.", "nats"),
        (
            "mismatch",
            "Mismatch",
            "Distance of the aggregate posterior from the prior, mean over units.",
            "nats",
        ),
        ("kl", "KL", "Of all units of a layer together.", "nats per window"),
        ("energy", "Energy", "Mean over units.", "mean of the squared means"),
        ("beta", "Weight of the KL", "Mean over units.", "beta, per time step"),
        ("living", "Living units", "", "share"),
    ];
    let chart = |&(measure, title, note, label): &(&str, &str, &str, &str)| {
        let column = |layer: &usize| {
            (format!("layer{}.{measure}", layer + 1), format!("layer {}", layer + 1))
        };
        let columns: Vec<(String, String)> = layers.iter().map(column).collect();
        let named: Vec<(&str, &str)> = columns.iter().map(|(c, n)| (&c[..], &n[..])).collect();
        let chart = history.chart(title, note, label, &named)?;
        Some(LineChart { logarithmic: measure == "beta", ..chart }.draw())
    };
    charts.iter().filter_map(chart).collect()
}

/// Returns the charts of the units of one layer. Its columns in the history begin with `prefix`.
/// `banded` says whether its units have energy bands.
fn of_layer(history: &Columns, units: &UnitHistory, prefix: &str, banded: bool) -> Vec<String> {
    let chart = |title: &str, note: &str, label: &str, names: &[&str]| {
        let columns: Vec<String> = names.iter().map(|name| format!("{prefix}{name}")).collect();
        let named: Vec<(&str, &str)> =
            columns.iter().map(|c| &c[..]).zip(names.iter().copied()).collect();
        history.chart(title, note, label, &named)
    };
    let layer = [
        chart(
            "Rate and mismatch",
            "Rate: information about the input. Mismatch: distance of the aggregate posterior from the prior. Their sum is the KL.",
            "nats, mean over units",
            &["rate", "mismatch"],
        ),
        chart(
            "Shares of units",
            match banded {
                true => {
                    "Living: all conditions of the table below hold. Inside: inside the energy band."
                }
                false => "Living: all conditions of the table below hold.",
            },
            "share",
            &["living", "collapsed", "active", "inside"],
        ),
    ];
    let mut figures: Vec<String> = layer.iter().flatten().map(LineChart::draw).collect();
    let spreads = [
        ("rate", "Rate of units", "nats", false),
        ("energy", "Energy of units", "mean of the squared means", false),
        ("sigma", "Deviation of units", "sigma", false),
        ("beta", "Weight of the KL", "beta, per time step", true),
    ];
    for (measure, title, label, logarithmic) in spreads {
        let at = UnitHistory::measure(measure).unwrap_or_default();
        let of = |epoch| units.get(epoch, at).unwrap_or_default().to_vec();
        let mut chart = LineChart {
            title: title.to_owned(),
            y_label: label.to_owned(),
            mark: history.mark(),
            logarithmic,
            ..spread_of(units.epochs(), of)
        };
        if measure == "energy" {
            chart.series.extend(bounds(units));
            if banded && !units.has_bands() {
                NO_BOUNDS.clone_into(&mut chart.note);
            }
        }
        figures.push(chart.draw());
        if measure == "energy" {
            figures.extend(against_bands(units, history));
        }
    }
    figures.push(rates(units).draw());
    figures
}

/// Returns, for each epoch, its number (from 1) and the quantiles 0.05, 0.5 and 0.95 of the values
/// that `of` returns for it (from 0). Epochs without finite values are skipped.
pub(super) fn quantiles(epochs: usize, of: impl Fn(usize) -> Vec<f32>) -> Vec<[f64; 4]> {
    let mut found = Vec::with_capacity(epochs);
    for epoch in 0..epochs {
        let mut sorted = of(epoch);
        sorted.retain(|x| x.is_finite());
        if sorted.is_empty() {
            continue;
        }
        sorted.sort_unstable_by(f32::total_cmp);
        let quantile =
            |tau: f64| f64::from(sorted[(tau * (sorted.len() - 1) as f64).round() as usize]);
        found.push([(epoch + 1) as f64, quantile(0.05), quantile(0.5), quantile(0.95)]);
    }
    found
}

/// Returns a chart of the median and the central 90 % over units of the values that `of` returns
/// for each epoch.
pub(super) fn spread_of(epochs: usize, of: impl Fn(usize) -> Vec<f32>) -> LineChart {
    let found = quantiles(epochs, of);
    let median = found.iter().map(|&[epoch, _, median, _]| [epoch, median]).collect();
    let middle = found.iter().map(|&[epoch, low, _, high]| [epoch, low, high]).collect();
    LineChart {
        x_label: "epoch".to_owned(),
        bands: vec![Band { name: "90 % of units".to_owned(), points: middle }],
        series: vec![Series { name: "median".to_owned(), points: median, dashed: false }],
        ..LineChart::default()
    }
}

/// Returns the rate of every unit in every epoch. Units are ordered by their last rate.
fn rates(units: &UnitHistory) -> HeatMap {
    let at = UnitHistory::measure("rate").unwrap_or_default();
    let epochs: Vec<&[f32]> =
        (0..units.epochs()).filter_map(|epoch| units.get(epoch, at)).collect();
    let mut order: Vec<usize> = (0..units.units()).collect();
    if let Some(last) = epochs.last() {
        order.sort_by(|&a, &b| last[b].total_cmp(&last[a]));
    }
    let rows: Vec<Vec<f64>> = order
        .iter()
        .map(|&unit| epochs.iter().map(|rates| f64::from(rates[unit])).collect())
        .collect();
    let mut finite: Vec<f64> = rows.iter().flatten().copied().filter(|x| x.is_finite()).collect();
    finite.sort_unstable_by(f64::total_cmp);
    // A few units with large rates must not make all others dark.
    let high = finite.get(finite.len() * 99 / 100).copied().unwrap_or(1.0);
    HeatMap {
        title: "Rate of every unit".to_owned(),
        note: "One line a unit, in the order of the last rate; nats per latent dimension."
            .to_owned(),
        x_label: "epoch".to_owned(),
        y_label: "units".to_owned(),
        columns: [1.0, epochs.len().max(1) as f64],
        rows,
        range: [0.0, if high > 0.0 { high } else { 1.0 }],
    }
}
