//! Units: over the epochs from `history.csv` and `units.npy`, and in the weights that were kept.

use super::history::Columns;
use crate::error::TrainError;
use crate::experiment::Evaluated;
use crate::html::{Band, Bars, HeatMap, LineChart, Page, Scatter, Series, Table, number};
use crate::run::RunDirectory;
use crate::unit_history::UnitHistory;
use vdn_model::controllers::EnergyBand;

/// Bins of histograms over units.
const BINS: usize = 32;

/// The layer over epochs, and every unit over epochs; nothing for a run without units.
///
/// # Errors
/// `units.npy` is there but cannot be read.
pub(super) fn over_epochs(
    page: &mut Page,
    history: &Columns,
    run: &RunDirectory,
) -> Result<(), TrainError> {
    let path = run.units(false);
    if !path.exists() {
        return Ok(());
    }
    let units = UnitHistory::read(&path)?;
    let layer = [
        history.chart(
            "Rate and mismatch",
            "Rate: information about the input. Mismatch: distance of the aggregate posterior from the prior. Their sum is the KL.",
            "nats, mean over units",
            &[("rate", "rate"), ("mismatch", "mismatch")],
        ),
        history.chart(
            "Shares of units",
            "Living: all conditions of the table below hold. Inside: inside the energy band.",
            "share",
            &[("living", "living"), ("collapsed", "collapsed"), ("active", "active"), ("inside", "inside")],
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
        figures.push(spread(&units, history, measure, title, label, logarithmic).draw());
    }
    figures.push(rates(&units).draw());
    page.section("Units over epochs", "On the validation windows after each epoch.", &figures);
    Ok(())
}

/// Median and the middle 90 % of a measure over units.
fn spread(
    units: &UnitHistory,
    history: &Columns,
    measure: &str,
    title: &str,
    label: &str,
    logarithmic: bool,
) -> LineChart {
    let at = UnitHistory::measure(measure).unwrap_or_default();
    let mut median = Vec::new();
    let mut middle = Vec::new();
    for epoch in 0..units.epochs() {
        let Some(values) = units.get(epoch, at) else { continue };
        let mut sorted: Vec<f32> = values.iter().copied().filter(|x| x.is_finite()).collect();
        if sorted.is_empty() {
            continue;
        }
        sorted.sort_unstable_by(f32::total_cmp);
        let quantile =
            |tau: f64| f64::from(sorted[(tau * (sorted.len() - 1) as f64).round() as usize]);
        let x = (epoch + 1) as f64;
        median.push([x, quantile(0.5)]);
        middle.push([x, quantile(0.05), quantile(0.95)]);
    }
    LineChart {
        title: title.to_owned(),
        x_label: "epoch".to_owned(),
        y_label: label.to_owned(),
        bands: vec![Band { name: "90 % of units".to_owned(), points: middle }],
        series: vec![Series { name: "median".to_owned(), points: median, dashed: false }],
        mark: history.best().map(|epoch| (epoch, "kept".to_owned())),
        logarithmic,
        ..LineChart::default()
    }
}

/// Every unit's rate in every epoch, units in the order of their last rate.
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
    // A few units of large rates must not make all others dark.
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

/// Histograms over the units of the stored weights, and why units do not live.
///
/// # Errors
/// `units.csv` is there but cannot be read.
pub(super) fn at_the_end(
    page: &mut Page,
    evaluated: &Evaluated,
    run: &RunDirectory,
) -> Result<(), TrainError> {
    let Some(units) = &evaluated.units else { return Ok(()) };
    let snr = units.signal_to_noise();
    let logarithms: Vec<f64> = snr.iter().map(|x| x.log10()).collect();
    let mut figures = vec![
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
    let control = evaluated.controllers.as_ref();
    if let Some(band) = control.and_then(|control| control.levers().objective.band.as_ref()) {
        figures.push(energy_and_band(&units.energy(), &band.bounds).draw());
    }
    let file = run.file("units.csv");
    if file.exists() {
        figures.push(cost_and_value(&Columns::read(&file)?).draw());
    }
    page.section("Units of the kept weights", "Histograms: on the test windows.", &figures);
    let Some(report) = &evaluated.report.units else { return Ok(()) };
    let reasons = report.reasons.iter().map(|(name, count)| vec![name.clone(), count.to_string()]);
    let mut rows = vec![vec!["living".to_owned(), report.living.to_string()]];
    rows.extend(reasons);
    let [low, high] = report.budget;
    page.table(&Table {
        title: "Who lives".to_owned(),
        note: format!(
            "On the validation windows: {}. A unit lives when no mode of collapse holds, its rate is in [{low}, {high}] nats per \
             latent dimension and hardly any of its deviations sits at a limit; each of the others is under its gravest reason.",
            report.line
        ),
        heads: ["", "units"].map(str::to_owned).to_vec(),
        rows,
    });
    if let Some(probe) = &report.probe {
        let layer = &probe.layer;
        let error = layer.value_error.map_or_else(|| "-".to_owned(), number);
        page.table(&Table {
            title: "What the units are worth together".to_owned(),
            note: format!(
                "On {} validation windows, nats per window: how much likelier the targets are with the units' samples than with \
                 draws from their priors, less the KL that they cost. {} more than two standard errors: the units {} read.",
                layer.windows,
                if probe.used { "It is" } else { "It is not" },
                if probe.used { "are" } else { "cannot be said to be" },
            ),
            heads: ["", "value", "± SE", "KL", "net value", "CRPS", "CRPS, z swapped"].map(str::to_owned).to_vec(),
            rows: vec![vec![
                "all units".to_owned(),
                number(layer.value),
                error,
                number(layer.kl),
                number(layer.net),
                number(layer.crps),
                number(layer.crps_permuted),
            ]],
        });
    }
    Ok(())
}

/// The energy of every unit beside the band that it is to keep to.
fn energy_and_band(energy: &[f64], bounds: &EnergyBand) -> Scatter {
    let k = (energy.len() / bounds.len().max(1)).max(1);
    let energy: Vec<f64> =
        energy.chunks(k).map(|e| e.iter().sum::<f64>() / e.len() as f64).collect();
    let mut order: Vec<usize> = (0..bounds.len()).collect();
    order.sort_by(|&a, &b| bounds.lo[a].total_cmp(&bounds.lo[b]));
    let along = |of: &[f64]| -> Vec<[f64; 2]> {
        order.iter().enumerate().map(|(place, &unit)| [place as f64 + 1.0, of[unit]]).collect()
    };
    Scatter {
        title: "Energy against its band".to_owned(),
        note: "The mean of the squared means of every unit, on the test windows, and the limits of its band (broken lines)."
            .to_owned(),
        x_label: "units, by band".to_owned(),
        y_label: "energy".to_owned(),
        points: along(&energy),
        lines: vec![along(&bounds.lo), along(&bounds.hi)],
        logarithmic: true,
        ..Scatter::default()
    }
}

/// What each unit costs and brings.
fn cost_and_value(units: &Columns) -> Scatter {
    let column = |name: &str| units.column(name).unwrap_or_default();
    // The KL per window is value less net value, whatever the latent dimensions.
    let (value, net) = (column("value"), column("net"));
    let points = value.iter().zip(&net).map(|(value, net)| [value - net, *value]).collect();
    Scatter {
        title: "Cost and value of units".to_owned(),
        note: "On the probe set: what each unit pays in KL, and how much likelier the targets are for its sample than for a draw \
               from its prior. Above the broken line it brings more than it costs."
            .to_owned(),
        x_label: "KL, nats per window".to_owned(),
        y_label: "value, nats per window".to_owned(),
        points,
        diagonal: true,
        ..Scatter::default()
    }
}
