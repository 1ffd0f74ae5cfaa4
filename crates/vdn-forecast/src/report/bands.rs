//! Charts of the units' energies over epochs, relative to the bands of the controllers, from the
//! files of every unit.

use crate::report::history::Columns;
use crate::report::units::{quantiles, spread_of};
use vdn_train::report::html::{LineChart, Series};
use vdn_train::units::UnitHistory;

/// Returns the bounds of the units' bands over epochs (medians over units) as broken lines; empty
/// without bands.
pub(super) fn bounds(units: &UnitHistory) -> Vec<Series> {
    if !units.has_bands() {
        return Vec::new();
    }
    let median = |(name, side): (&str, usize)| {
        let of =
            |epoch| units.energy_and_band(epoch).map_or_else(Vec::new, |all| all[side].to_vec());
        let found = quantiles(units.epochs(), of).into_iter();
        let points = found.map(|[epoch, _, median, _]| [epoch, median]).collect();
        Series { name: name.to_owned(), points, dashed: true }
    };
    [("median lower bound", 1), ("median upper bound", 2)].map(median).into()
}

/// Returns the charts of the units' positions in their bands, and of the shares outside; empty
/// without bands.
pub(super) fn against_bands(units: &UnitHistory, history: &Columns) -> Vec<String> {
    if !units.has_bands() {
        return Vec::new();
    }
    vec![places(units, history).draw(), shares(units, history).draw()]
}

/// Returns the chart of positions of energies in their bands: 0 is the lower bound, 1 the upper
/// one.
fn places(units: &UnitHistory, history: &Columns) -> LineChart {
    let place = |epoch: usize| -> Vec<f32> {
        let Some([energy, low, high]) = units.energy_and_band(epoch) else { return Vec::new() };
        let bounds = low.iter().zip(high);
        energy.iter().zip(bounds).map(|(e, (low, high))| (e - low) / (high - low)).collect()
    };
    let mut chart = spread_of(units.epochs(), place);
    let ends = [1.0, units.epochs().max(1) as f64];
    for (name, level) in [("lower bound", 0.0), ("upper bound", 1.0)] {
        let points = ends.map(|epoch| [epoch, level]).to_vec();
        chart.series.push(Series { name: name.to_owned(), points, dashed: true });
    }
    LineChart {
        title: "Energy against the unit's own band".to_owned(),
        note: "(energy - lower bound) / (upper bound - lower bound), with the bounds of the epoch: units between the broken lines are \
               inside. Bands may differ from unit to unit and move over time; here each is drawn from 0 to 1."
            .to_owned(),
        y_label: "place in the band".to_owned(),
        mark: history.mark(),
        ..chart
    }
}

/// Returns the chart of the shares of units below, inside and above their bands.
fn shares(units: &UnitHistory, history: &Columns) -> LineChart {
    let of = |name: &str, holds: fn(f32, f32, f32) -> bool| {
        let at = |epoch: usize| -> Option<[f64; 2]> {
            let [energy, low, high] = units.energy_and_band(epoch)?;
            let bounds = low.iter().zip(high);
            let held = energy.iter().zip(bounds).filter(|&(&e, (&low, &high))| holds(e, low, high));
            Some([(epoch + 1) as f64, held.count() as f64 / units.units() as f64])
        };
        let points = (0..units.epochs()).filter_map(at).collect();
        Series { name: name.to_owned(), points, dashed: false }
    };
    LineChart {
        title: "Units inside their band".to_owned(),
        note:
            "Shares of the units whose energy is inside the band of the epoch, below and above it."
                .to_owned(),
        x_label: "epoch".to_owned(),
        y_label: "share of units".to_owned(),
        series: vec![
            of("inside", |e, low, high| low <= e && e <= high),
            of("below", |e, low, _| e < low),
            of("above", |e, _, high| e > high),
        ],
        mark: history.mark(),
        ..LineChart::default()
    }
}
