//! The treatment of missing values in a series.

/// The replacement of a missing value in a series.
///
/// Standardisation, windows and metrics need a number in every cell. Only the user knows the
/// meaning of a gap and can choose a policy; the default refuses.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Fill {
    /// A missing value is an error that names its line and column.
    #[default]
    Error,
    /// The last value before the gap. A gap at the very start is not filled, because no information
    /// may move backwards in time.
    Forward,
    /// A value on the straight line between the values on both sides of the gap, by row number. A
    /// gap at the end takes the last value; a gap at the start is not filled. A filled cell depends
    /// on the value *after* the gap.
    Linear,
    /// This number, which must be finite.
    Value(f64),
}

/// The effect of filling on a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Filled {
    /// The number of filled cells.
    pub(super) cells: usize,
    /// The length of the longest run of filled cells.
    pub(super) longest_gap: usize,
}

/// Replaces the NaNs of `column`. Returns `None` if there is no value before a gap from which to
/// fill it.
///
/// With [`Fill::Error`] nothing is filled; the loader has refused before.
pub(super) fn fill(column: &mut [f64], policy: Fill) -> Option<Filled> {
    let mut filled = Filled::default();
    let mut row = 0;
    while row < column.len() {
        if !column[row].is_nan() {
            row += 1;
            continue;
        }
        let start = row;
        while row < column.len() && column[row].is_nan() {
            row += 1;
        }
        let before = start.checked_sub(1).map(|index| column[index]);
        let after = column.get(row).copied();
        let gap = &mut column[start..row];
        match policy {
            Fill::Error => return None,
            Fill::Value(value) => gap.fill(value),
            Fill::Forward => gap.fill(before?),
            Fill::Linear => match (before?, after) {
                (before, Some(after)) => {
                    let steps = (gap.len() + 1) as f64;
                    for (step, cell) in (1..).zip(gap.iter_mut()) {
                        let weight = f64::from(step) / steps;
                        // Two products, because `after - before` could overflow.
                        *cell = before * (1.0 - weight) + after * weight;
                    }
                }
                (before, None) => gap.fill(before),
            },
        }
        filled.cells += row - start;
        filled.longest_gap = filled.longest_gap.max(row - start);
    }
    Some(filled)
}

#[cfg(test)]
mod tests {
    use super::{Fill, Filled, fill};

    const N: f64 = f64::NAN;

    #[test]
    fn gaps_at_the_start_inside_and_at_the_end() {
        let gaps: &[f64] = &[1.0, N, N, N, 5.0, N, N];
        let some = |cells, longest_gap| Some(Filled { cells, longest_gap });
        type Case = (&'static str, &'static [f64], Fill, &'static [f64], Option<Filled>);
        let cases: [Case; 10] = [
            ("leading, forward", &[N, 1.0], Fill::Forward, &[N, 1.0], None),
            ("leading, linear", &[N, 1.0], Fill::Linear, &[N, 1.0], None),
            ("forward", gaps, Fill::Forward, &[1.0, 1.0, 1.0, 1.0, 5.0, 5.0, 5.0], some(5, 3)),
            ("linear", gaps, Fill::Linear, &[1.0, 2.0, 3.0, 4.0, 5.0, 5.0, 5.0], some(5, 3)),
            (
                "value",
                gaps,
                Fill::Value(-2.0),
                &[1.0, -2.0, -2.0, -2.0, 5.0, -2.0, -2.0],
                some(5, 3),
            ),
            ("no gap", &[1.0, 2.0], Fill::Linear, &[1.0, 2.0], some(0, 0)),
            ("empty", &[], Fill::Forward, &[], some(0, 0)),
            ("none present, forward", &[N, N], Fill::Forward, &[N, N], None),
            ("none present, linear", &[N], Fill::Linear, &[N], None),
            ("none present, value", &[N, N], Fill::Value(3.0), &[3.0, 3.0], some(2, 2)),
        ];
        let mut wrong = Vec::new();
        for (name, input, policy, expected, report) in cases {
            let mut column = input.to_vec();
            let got = fill(&mut column, policy);
            let same =
                column.iter().zip(expected).all(|(a, b)| a == b || (a.is_nan() && b.is_nan()));
            if !same || got != report {
                wrong.push(format!("{name}: {column:?} {got:?}, not {expected:?} {report:?}"));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    #[test]
    fn linear_does_not_overflow_between_huge_values() {
        let mut column = [f64::MAX, N, -f64::MAX];
        assert!(fill(&mut column, Fill::Linear).is_some());
        assert_eq!(column[1], 0.0);
    }
}
