use super::*;
use vdn_model::diagnostics::{
    EpochView, HealthEvidence, HealthMonitor, LayerContext, RowCounts, UnitBudget,
};
use vdn_model::units::UnitStatistics;

fn epoch(spread: f64) -> (Diagnostics, Living) {
    epoch_in(spread, None)
}

fn epoch_in(spread: f64, band: Option<&EnergyBand>) -> (Diagnostics, Living) {
    let mut statistics = UnitStatistics::new();
    statistics.merge(8, &[0.0, 1.0], &[spread, 0.0], &[0.0, 0.0], &[0.0, 0.0]);
    let context = LayerContext {
        label: "layer",
        latent_dims: 1,
        beta: &[1e-4, 2e-4],
        band,
        prior_variance: &[],
    };
    let found = Diagnostics::new(&statistics, &RowCounts::new(2, 1), &context).unwrap();
    let living = Living::new(
        &HealthEvidence::new(&found),
        &CollapseThresholds::default(),
        &UnitBudget::default(),
    );
    (found, living)
}

#[test]
fn what_is_written_is_read_and_is_what_numpy_expects() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("units.npy");
    let mut history = UnitHistory::new(2);
    let (first, living) = epoch(0.4);
    history.push(&first, &living, None);
    let (second, living) = epoch(0.5);
    history.push(&second, &living, Some(&[0.25, 0.0]));
    history.write(&path).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    let data = 2 * 9 * 2 * 4;
    assert_eq!((bytes.len() - data) % 64, 0);
    assert_eq!(bytes[bytes.len() - data - 1], b'\n');
    let read = UnitHistory::read(&path).unwrap();
    assert_eq!((read.epochs(), read.units()), (2, 2));
    let of = |epoch, name| read.get(epoch, UnitHistory::measure(name).unwrap()).unwrap();
    assert_eq!(of(0, "rate"), [(0.5 * 1.4_f64.ln()) as f32, 0.0]);
    assert_eq!(of(1, "energy"), [0.5, 1.0]);
    assert_eq!(of(1, "beta"), [1e-4, 2e-4]);
    assert!(of(0, "drift")[0].is_nan());
    assert_eq!(of(1, "drift"), [0.25, 0.0]);
    let frozen = vdn_model::diagnostics::CollapseMode::Frozen;
    assert_eq!(of(1, "state"), [0.0, f32::from(Reason::Collapse(frozen).code())]);
    assert_eq!((read.get(2, 0), read.get(0, 9), read.has_bands()), (None, None, false));
}

#[test]
fn bounds_of_bands_are_kept_of_layers_that_have_them() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("units.npy");
    let mut history = UnitHistory::new(2);
    for scale in [1.0, 1.5] {
        let band = EnergyBand { lo: vec![0.25 * scale, 0.5], hi: vec![0.5 * scale, 4.0] };
        let (found, living) = epoch_in(0.4, Some(&band));
        history.push(&found, &living, None);
    }
    history.write(&path).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    assert!(String::from_utf8_lossy(&bytes[10..80]).contains("(2, 11, 2)"));
    let read = UnitHistory::read(&path).unwrap();
    assert_eq!((read.epochs(), read.units()), (2, 2));
    assert!(read.has_bands());
    let [energy, low, high] = read.energy_and_band(1).unwrap();
    assert_eq!((energy, low, high), (&[0.4, 1.0][..], &[0.375, 0.5][..], &[0.75, 4.0][..]));
    assert_eq!(read.energy_and_band(2), None);
    let mut without = UnitHistory::new(2);
    let (found, living) = epoch(0.4);
    without.push(&found, &living, None);
    assert_eq!((without.has_bands(), without.energy_and_band(0)), (false, None));
}

#[test]
fn what_training_saw_is_seen_again() {
    let thresholds = CollapseThresholds::default();
    let mut watch = HealthMonitor::new(thresholds, UnitBudget::default());
    let mut history = UnitHistory::new(2);
    let mut losses = Vec::new();
    for (epoch, spread) in [0.5, 0.9, 1.6, 2.8, 5.0, 5.1].into_iter().enumerate() {
        let mut statistics = UnitStatistics::new();
        statistics.merge(8, &[0.0, 1.0], &[spread, 0.2], &[0.0, 0.0], &[0.0, 0.0]);
        let context = LayerContext {
            label: "layer",
            latent_dims: 1,
            beta: &[1e-4, 2e-4],
            band: None,
            prior_variance: &[],
        };
        let diagnostics = Diagnostics::new(&statistics, &RowCounts::new(2, 1), &context).unwrap();
        losses.push(1.0 - 0.1 * epoch as f64);
        let living = watch.epoch(&EpochView {
            statistics: &statistics,
            diagnostics: &diagnostics,
            loss: losses[epoch],
            rate_given_past: None,
            unit_use: None,
        });
        history.push(&diagnostics, &living, watch.seen().drift.as_deref());
        let (found, truth) = (history.seen(epoch, &losses, &thresholds), watch.seen());
        assert_eq!(found.growing, truth.growing, "epoch {epoch}");
        assert_eq!(found.loss_change, truth.loss_change);
        for (found, truth) in [(&found.drift, &truth.drift), (&found.mean_drift, &truth.mean_drift)]
        {
            assert_eq!(found.is_some(), truth.is_some(), "epoch {epoch}");
            let pairs = found.iter().flatten().zip(truth.iter().flatten());
            // Rounded to single precision.
            pairs.for_each(|(a, b)| assert!((a - b).abs() <= 1e-7 * b.abs(), "{a} {b}"));
        }
    }
    assert_eq!(history.seen(4, &losses, &thresholds).growing, Some(vec![true, false]));
}

#[test]
fn other_files_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("units.npy");
    let mut history = UnitHistory::new(2);
    let (found, living) = epoch(0.4);
    history.push(&found, &living, None);
    history.write(&path).unwrap();
    let good = std::fs::read(&path).unwrap();
    assert!(UnitHistory::read_of(&path, 2, 1).is_ok());
    let error = UnitHistory::read_of(&path, 3, 1).unwrap_err().to_string();
    assert!(error.ends_with("units.npy: has 2 units, the model's layer has 3"), "{error}");
    let error = UnitHistory::read_of(&path, 2, 2).unwrap_err().to_string();
    assert!(error.ends_with("units.npy: has 1 epochs, the history has 2"), "{error}");
    let edits: [fn(&mut Vec<u8>); 5] = [
        |bytes| bytes.truncate(5),
        |bytes| bytes.truncate(9),
        |bytes| bytes.truncate(bytes.len() - 1),
        |bytes| {
            let text = String::from_utf8_lossy(&bytes[10..80]).replace("<f4", "<f8");
            bytes[10..80].copy_from_slice(text.as_bytes());
        },
        |bytes| {
            let text = String::from_utf8_lossy(&bytes[10..80]).replace("1, 9,", "1, 8,");
            bytes[10..80].copy_from_slice(text.as_bytes());
        },
    ];
    for (i, edit) in edits.iter().enumerate() {
        let mut bytes = good.clone();
        edit(&mut bytes);
        std::fs::write(&path, &bytes).unwrap();
        let message = UnitHistory::read(&path).map(|_| ()).unwrap_err().to_string();
        assert!(message.contains("units.npy"), "{i}: {message}");
    }
}

#[test]
fn shapes_that_no_file_holds_are_refused_before_anything_is_allocated() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("units.npy");
    let shapes = [
        "(0, 9, 2305843009213693952)",
        "(0, 9, 18446744073709551615)",
        "(0, 9, 16777217)",
        "(2305843009213693952, 9, 0)",
        "(2305843009213693952, 9, 2)",
        "(18446744073709551615, 9, 18446744073709551615)",
        "(4294967296, 9, 4294967296)",
        "(99999999999999999999, 9, 1)",
        "(-1, 9, 1)",
        "(1, 9)",
    ];
    for shape in shapes {
        let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}\n");
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&(header.len() as u16).to_le_bytes());
        bytes.extend_from_slice(header.as_bytes());
        std::fs::write(&path, &bytes).unwrap();
        match UnitHistory::read(&path) {
            // There are no units: nothing can be read, and nothing of another layer.
            Ok(history) => {
                assert_eq!((history.units(), history.epochs()), (0, 0), "{shape}");
                assert!(history.get(0, 0).is_none_or(<[f32]>::is_empty), "{shape}");
                assert!(UnitHistory::read_of(&path, 9, 0).is_err(), "{shape}");
            }
            Err(error) => assert!(error.to_string().contains("units.npy: "), "{error}"),
        }
    }
}
