//! The table of a run's scores under the protocol of the ProbTS benchmark.

use crate::run::report::Row;
use std::fmt;

/// Writes the table after a blank line; nothing under another protocol.
pub(super) fn write(f: &mut fmt::Formatter<'_>, rows: &[Row]) -> fmt::Result {
    let scored = || rows.iter().filter_map(|row| Some((&row.name, row.probts?)));
    let Some((_, first)) = scored().next() else { return Ok(()) };
    writeln!(
        f,
        "\n\n{:<34} {:>10} {:>8} {:>10} {:>8}",
        "ProbTS, original scale", "CRPS Q=10", "SE", "CRPS Q=20", "NMAE"
    )?;
    for (name, scores) in scored() {
        let error = scores.crps_q10_standard_error;
        let error = error.map_or_else(|| "-".to_owned(), |error| format!("{error:.4}"));
        let [coarse, fine, nmae] =
            [scores.crps_q10, scores.crps_q20, scores.nmae].map(|score| format!("{score:.4}"));
        writeln!(f, "{name:<34} {coarse:>10} {error:>8} {fine:>10} {nmae:>8}")?;
    }
    write!(
        f,
        "By {} paths of each of {} windows of all series, 96 rows apart. CRPS: twice the pinball \
         loss over the sum\nof |y|, mean over the levels k/Q. NMAE: of the median. They compare with \
         the tables of that benchmark alone.",
        first.paths, first.windows
    )
}
