//! The embedded series.

use vdn_forecast::data::{
    DEMO_HORIZON, DEMO_INPUT_LEN, DEMO_SEASON, Dataset, WindowSpec, demo, seasonal_period,
};
use vdn_train::data::FitScope;

#[test]
fn the_demo_series_is_complete_and_long_enough() {
    let table = demo().unwrap();
    let dates = table.dates.as_ref().unwrap();
    assert_eq!((table.rows(), dates.len()), (1461, 1461));
    assert_eq!(&dates[0], "2012-01-01 00:00:00");
    assert_eq!(&dates[1460], "2015-12-31 00:00:00");
    let first: Vec<f64> = table.columns.iter().map(|column| column[0]).collect();
    assert_eq!(first, [0.0, 12.8, 5.0, 4.7]);
    assert_eq!((table.report.filled(), table.report.suspicious()), (0, 0));
    assert_eq!(seasonal_period("demo", Some(dates), table.rows()).period, Some(DEMO_SEASON));
    let spec = WindowSpec::new(DEMO_INPUT_LEN, DEMO_HORIZON);
    let data = Dataset::from_table(table, spec, FitScope::Training).unwrap();
    // t = 184 ..= 1433: 1250 windows, 875, 125 and 250, less 27 before each boundary.
    let splits = data.splits();
    let counts = [splits.train.len(), splits.validation.len(), splits.test.len()];
    assert_eq!(counts, [4 * 848, 4 * 98, 4 * 250]);
    assert_eq!(data.scaler().constant_series().count(), 0);
}
