//! The second table of a run: scores of the forecasts as wholes, with an explanation.

use crate::evaluate::wholes::{AggregateSummary, WholeScores};
use crate::run::report::Row;
use std::fmt::{self, Write};

/// Writes the table after a blank line; nothing if no contestant has such scores.
pub(super) fn write(f: &mut fmt::Formatter<'_>, rows: &[Row]) -> fmt::Result {
    let judged = || rows.iter().filter(|row| row.wholes.horizon_mean.is_some());
    let Some(first) = judged().next() else { return Ok(()) };
    let blocks: Vec<String> =
        first.wholes.block_sums.iter().map(|b| format!("{} ({})", b.name, b.steps)).collect();
    write!(f, "\n\n{:<34} {:>16}", "forecasts as wholes", "mean of horizon")?;
    for block in &blocks {
        write!(f, " {:>16}", format!("sum of {block}"))?;
    }
    writeln!(
        f,
        " {:>16} {:>8} {:>9} {:>9} {:>13}",
        "maximum", "energy", "variogram", "joint NLL", "from units"
    )?;
    for row in judged() {
        let WholeScores { horizon_mean, block_sums, maximum, .. } = &row.wholes;
        write!(f, "{:<34} {:>16}", row.name, crps_and_cover(horizon_mean.as_ref()))?;
        for block in block_sums {
            write!(f, " {:>16}", crps_and_cover(Some(&block.scores)))?;
        }
        let number = |x: Option<f64>, digits: usize| {
            x.map_or_else(|| "-".to_owned(), |x| format!("{x:.digits$}"))
        };
        let joint = row.wholes.joint_nll.and_then(|joint| joint.value());
        let share = row.wholes.unit_share.map_or_else(
            || "-".to_owned(),
            |share| format!("{:.1}, {:.1} %", 100.0 * share.step, 100.0 * share.mean),
        );
        writeln!(
            f,
            " {:>16} {:>8} {:>9} {:>9} {share:>13}",
            crps_and_cover(maximum.as_ref()),
            number(row.wholes.energy_score, 3),
            number(row.wholes.variogram_score, 2),
            number(joint, 1),
        )?;
    }
    f.write_str(
        "Of each value: its CRPS, and the share of windows inside the central 90 % interval. Joint NLL: nats per\n\
         window, of all steps together. From units: the units' share of the variance of a step, of the horizon's mean.\n\
         Residual paths: the point forecast plus whole residuals of validation windows.",
    )
}

/// Formats as `0.1234, 87 %`.
fn crps_and_cover(summary: Option<&AggregateSummary>) -> String {
    let mut text = String::new();
    match summary {
        Some(found) => {
            let _ = write!(text, "{:.4}, {:.0} %", found.crps, 100.0 * found.cover90);
        }
        None => text.push('-'),
    }
    text
}
