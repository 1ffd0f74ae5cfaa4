//! Notes on the columns of a table that are probably not what they are taken for. They are written
//! before a network learns from the table or predicts it.

use vdn_train::data::{ColumnValues, EncodedColumn, FeatureEncoding, Tabular};

/// The number of decimal classes above which a note is written. Grades from 0.5 to 10 are 20
/// classes.
const MANY: usize = 20;

/// The distance from the mean of the training rows, in deviations, above which a number is noted.
/// In any distribution, at most one number in 900 is as far from the mean (Chebyshev's inequality).
const FAR: f64 = 30.0;

/// Returns a note for each column whose categories have fewer than two training rows on average,
/// with the remedy. Such columns are identifiers, dates or names. Each category is an input of its
/// own, which contains no information about rows of other categories.
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

/// Returns a note if numbers of these rows are far from the training rows: the count of such
/// numbers, and the farthest one with its line and column.
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

/// Returns a note if many classes are numbers with decimals, which are probably a quantity.
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
