//! Figures of predictions: against the observed values, and their probabilities.

use crate::data::{TargetScale, TaskRows};
use crate::evaluate::Predictive;
use crate::network::TaskNetwork;
use vdn_model::units::Intervention;
use vdn_train::TrainError;
use vdn_train::data::{Request, Split};
use vdn_train::evaluate::Evaluator;
use vdn_train::report::html::{Bars, Scatter};

/// The largest number of rows that are drawn as points, and of targets with figures.
const MOST_POINTS: usize = 1000;
const MOST_TARGETS: usize = 4;
/// The number of bins in the histogram of probabilities.
const BINS: usize = 10;

/// For each target: observed against predicted values, and the histogram of `P(Y <= y)`.
pub(super) fn of_numbers(
    evaluator: &Evaluator<'_, f32, TaskNetwork, TaskRows>,
    (scales, share): (&[TargetScale], f64),
) -> Result<Vec<String>, TrainError> {
    let (network, data) = (evaluator.network, evaluator.data);
    let shown = scales.len().min(MOST_TARGETS);
    let mut points = vec![Vec::new(); shown];
    let mut probabilities = vec![Vec::new(); shown];
    evaluator.for_each_pass(
        data.part(Split::Test),
        Request::INPUTS,
        |place, graph, batch, chunk| {
            let prediction = network.predict(graph, batch, Intervention::None)?;
            for (row, &number) in chunk.iter().enumerate() {
                for (column, scale) in scales.iter().enumerate().take(shown) {
                    let address = ((place.start + row) * scales.len() + column) as u64;
                    let from = (evaluator.noise, address);
                    let own =
                        Predictive::of(network, &prediction, [row, column], (scale, share), from)?;
                    let Some(own) = own else { continue };
                    let y = scale.mean + scale.std * data.targets(number)[column];
                    points[column].push([own.mean(), y]);
                    probabilities[column].push(own.probability(y)?);
                }
            }
            Ok(())
        },
    )?;
    let figures = scales.iter().zip(points.into_iter().zip(probabilities));
    Ok(figures.flat_map(|(scale, (points, own))| drawn(&scale.name, points, &own)).collect())
}

fn drawn(name: &str, mut points: Vec<[f64; 2]>, probabilities: &[f64]) -> [String; 2] {
    let rows = probabilities.len();
    points.truncate(MOST_POINTS);
    let scatter = Scatter {
        title: format!("{name}: observed against predicted"),
        note: "Each point is a row: the predicted mean, and what was observed.".to_owned(),
        x_label: "predicted mean".to_owned(),
        y_label: "observed".to_owned(),
        points,
        diagonal: true,
        ..Scatter::default()
    };
    let mut heights = vec![0.0; BINS];
    for p in probabilities {
        heights[((p * BINS as f64) as usize).min(BINS - 1)] += 1.0;
    }
    let bars = Bars {
        title: format!("{name}: probabilities of what was observed"),
        note: "P(Y <= y). Even bars: probabilities are right. High at the ends: the predictions \
               are too sure."
            .to_owned(),
        x_label: "P(Y <= y)".to_owned(),
        y_label: "rows".to_owned(),
        edges: (0..=BINS).map(|i| i as f64 / BINS as f64).collect(),
        heights,
        expected: Some(rows as f64 / BINS as f64),
        ..Bars::default()
    };
    [scatter.draw(), bars.draw()]
}
