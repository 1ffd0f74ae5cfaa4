//! The units at the kept weights: histograms on the test windows, living units, and their value and
//! cost.

use crate::report::history::Columns;
use crate::run::directory::RunDirectory;
use crate::run::experiment::Evaluated;
use vdn_model::controllers::EnergyBand;
use vdn_model::units::UnitStatistics;
use vdn_train::TrainError;
use vdn_train::report::html::{Bars, Page, Scatter, Table, number};
use vdn_train::units::LayerUse;

/// The number of bins of histograms over units.
const BINS: usize = 32;

/// Adds histograms over the units of the stored weights, layer by layer, and the reasons why units
/// are not living.
///
/// # Errors
/// Fails if `units.csv` exists but cannot be read.
pub(super) fn at_the_end(
    page: &mut Page,
    evaluated: &Evaluated,
    run: &RunDirectory,
) -> Result<(), TrainError> {
    let Evaluated { model, controllers, .. } = evaluated;
    if evaluated.units.is_empty() {
        return Ok(());
    }
    let depth = model.config().depth;
    let file = run.file("units.csv");
    let each = if file.exists() { Some(Columns::read(&file)?) } else { None };
    let layers = model.distributional_layers();
    for (&layer, units) in layers.iter().zip(&evaluated.units) {
        let mut figures = histograms(units);
        let objective = controllers.layer(layer).map(|control| &control.levers().objective);
        if let Some(band) = objective.and_then(|objective| objective.band.as_ref()) {
            figures.push(energy_and_band(&units.energy(), &band.bounds).draw());
        }
        if let Some(each) = &each {
            let own = match depth {
                1 => cost_and_value(each),
                _ => cost_and_value(&each.with("layer", (layer + 1) as f64)),
            };
            figures.push(own.draw());
        }
        let title = match depth {
            1 => "Units of the kept weights".to_owned(),
            _ => format!("Layer {}: units of the kept weights", layer + 1),
        };
        page.section(&title, "Histograms: on the test windows.", &figures);
    }
    who_lives(page, evaluated);
    worth(page, evaluated);
    Ok(())
}

/// Returns the histograms of measures of a layer's latent dimensions.
fn histograms(units: &UnitStatistics) -> Vec<String> {
    let logarithms: Vec<f64> = units.signal_to_noise().iter().map(|x| x.log10()).collect();
    vec![
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
    ]
}

/// Adds the collapse table of every layer.
fn who_lives(page: &mut Page, evaluated: &Evaluated) {
    let Some(report) = &evaluated.report.units else { return };
    for layer in &report.layers {
        let units = &layer.units;
        let reasons =
            units.reasons.iter().map(|(name, count)| vec![name.clone(), count.to_string()]);
        let mut rows = vec![vec!["living".to_owned(), units.living.to_string()]];
        rows.extend(reasons);
        let [low, high] = units.budget;
        let title = match report.depth {
            1 => "Who lives".to_owned(),
            _ => format!("Who lives in layer {}", layer.layer),
        };
        page.table(&Table {
            title,
            note: format!(
                "On the validation windows: {}. A unit lives when no mode of collapse holds, its rate is in [{low}, {high}] nats per \
                 latent dimension and hardly any of its deviations sits at a limit; each of the others is under its gravest reason.",
                units.line
            ),
            heads: ["", "units"].map(str::to_owned).to_vec(),
            rows,
        });
    }
}

/// Adds the table of the value and cost of all units together.
fn worth(page: &mut Page, evaluated: &Evaluated) {
    let Some(report) = &evaluated.report.units else { return };
    let Some(together) = &report.together else { return };
    let row = |name: String, worth: &LayerUse| {
        vec![
            name,
            number(worth.value),
            worth.value_error.map_or_else(|| "-".to_owned(), number),
            number(worth.kl),
            number(worth.net),
            number(worth.crps),
            number(worth.crps_permuted),
        ]
    };
    let mut rows = vec![row("all units".to_owned(), together)];
    let mut beside = "";
    if report.depth > 1 {
        beside =
            " Of one layer alone: the others as they are, those above it on what takes its place.";
        let layers = report.layers.iter().filter_map(|layer| {
            let probe = layer.units.probe.as_ref()?;
            Some(row(format!("layer {}", layer.layer), &probe.layer))
        });
        rows.extend(layers);
    }
    page.table(&Table {
        title: "What the units are worth together".to_owned(),
        note: format!(
            "On {} test windows, nats per window: how much likelier the targets are with the units' samples than with \
             draws from their priors, less the KL that they cost. {} more than two standard errors: the units {} read.{beside}",
            together.windows,
            if together.is_used() { "It is" } else { "It is not" },
            if together.is_used() { "are" } else { "cannot be said to be" },
        ),
        heads: ["", "value", "± SE", "KL", "net value", "CRPS", "CRPS, z swapped"].map(str::to_owned).to_vec(),
        rows,
    });
}

/// Returns the chart of the energy of every unit with its target band.
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

/// Returns the chart of the cost and value of each unit.
fn cost_and_value(units: &Columns) -> Scatter {
    let column = |name: &str| units.column(name).unwrap_or_default();
    // The KL per window is value minus net value, for any number of latent dimensions.
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
