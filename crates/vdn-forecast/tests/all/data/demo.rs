//! The embedded series.

use vdn_forecast::config::RunConfig;
use vdn_forecast::data::time::Step;
use vdn_forecast::data::{
    DEMO_HORIZON, DEMO_INPUT_LEN, DEMO_SEASON, Dataset, SeriesOptions, WindowSpec, demo,
    demo_series,
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
    let series = demo_series(&SeriesOptions::default()).unwrap();
    assert_eq!((&series.names, &series.columns), (&table.names, &table.columns));
    assert_eq!(series.calendar().unwrap().step, Step::Seconds(86_400));
    assert_eq!(series.date(3, 1461).as_deref(), Some("2016-01-01"));
    assert!(series.notes.is_empty());
    let spec = WindowSpec::new(DEMO_INPUT_LEN, DEMO_HORIZON);
    let data = Dataset::from_table(table, spec, FitScope::Training).unwrap();
    // t = 184 ..= 1433: 1250 windows, 875, 125 and 250, less 27 before each boundary.
    let splits = data.splits();
    let counts = [splits.train.len(), splits.validation.len(), splits.test.len()];
    assert_eq!(counts, [4 * 848, 4 * 98, 4 * 250]);
    assert_eq!(data.scaler().constant_series().count(), 0);
    assert_eq!(RunConfig::default().data.season_of(&data).0, DEMO_SEASON);
}
