//! What is to be said of the columns of a table, before a network learns from it or predicts it.

use vdn_train::data::{ColumnValues, EncodedColumn, FeatureEncoding, Tabular};

/// Classes with decimals that are told beyond this number: there are grades from 0.5 to 10.
const MANY: usize = 20;

/// A number so many deviations from the mean of the training rows is told. In any distribution at
/// most one number in 900 is as far from the mean (Chebyshev's inequality).
const FAR: f64 = 30.0;

/// Columns of categories of which fewer than two training rows share one, with what to do:
/// identifiers, dates, names. Each category is an input, and tells nothing of a row of another one.
pub(crate) fn of_single_categories(features: &FeatureEncoding, rows: usize) -> Vec<String> {
    let of = |column: &EncodedColumn| match column {
        EncodedColumn::Category { name, levels } if levels.len() * 2 > rows => Some(format!(
            "`{name}` has {} categories in {rows} training rows, each an input of its own: dates, \
             names and identifiers tell nothing of other rows; `--ignore {name}` leaves it out",
            levels.len()
        )),
        _ => None,
    };
    features.columns.iter().filter_map(of).collect()
}

/// Numbers of these rows that are far outside of the training rows, if there are any: how many, and
/// the farthest, with its line and column.
pub(crate) fn of_far_numbers(
    features: &FeatureEncoding,
    table: &Tabular,
    rows: impl Iterator<Item = usize> + Clone,
) -> Option<String> {
    let (mut count, mut farthest) = (0, None);
    let mut largest = FAR;
    for (own, column) in features.columns.iter().zip(table.features()) {
        let (EncodedColumn::Number { mean, std, .. }, ColumnValues::Numbers(values)) =
            (own, &column.values)
        else {
            continue;
        };
        for row in rows.clone() {
            let distance = ((values[row] - mean) / std).abs();
            count += usize::from(distance > FAR);
            if distance > largest {
                (largest, farthest) = (distance, Some((column, row, values[row])));
            }
        }
    }
    let (column, row, value) = farthest?;
    let (file, line, name, place) = (table.file(), table.line(row), &column.name, column.column);
    let all = match count {
        1 => String::new(),
        _ => format!("{count} numbers are far outside of the training rows, the farthest: "),
    };
    Some(format!(
        "{all}{file}:{line}: column {place} (`{name}`): {value:?} is {largest:.1e} deviations from \
         the mean of the training rows; what is predicted there was learned from no row"
    ))
}

/// That classes are numbers with decimals, if there are many of them: they are likely to be a
/// quantity.
pub(crate) fn of_quantities(name: &str, classes: &[String]) -> Option<String> {
    let decimal = |class: &&String| class.parse::<f64>().is_ok_and(|x| x.fract() != 0.0);
    let decimals = classes.iter().filter(decimal).count();
    (decimals > MANY && decimals * 2 > classes.len()).then(|| {
        format!(
            "{} classes of `{name}` are numbers with decimals; `--task regression` predicts \
             numbers",
            classes.len()
        )
    })
}
