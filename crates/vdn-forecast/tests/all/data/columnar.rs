//! Parquet and Arrow IPC files without the feature `arrow`. The test program `columnar` covers the
//! feature.

#[cfg(not(feature = "arrow"))]
#[test]
fn a_program_without_the_feature_says_so() {
    use vdn_forecast::data::{SeriesOptions, SeriesTable};
    use vdn_forecast::run::Forecasts;
    let folder = tempfile::tempdir().unwrap();
    for (name, start) in [("a.csv", &b"PAR1 and more"[..]), ("b", b"ARROW1\0\0")] {
        let path = folder.path().join(name);
        std::fs::write(&path, start).unwrap();
        let error = SeriesTable::load(&path, &SeriesOptions::default()).unwrap_err().to_string();
        assert!(error.contains("built without the feature `arrow`"), "{error}");
        assert!(error.contains("cargo build --release -p vdn-cli --features arrow"), "{error}");
        assert!(error.contains(name) && error.lines().count() == 1, "{error}");
    }
    let error = Forecasts::default().write(&folder.path().join("f.parquet")).unwrap_err();
    assert!(error.to_string().contains("built without the feature `arrow`"), "{error}");
}
