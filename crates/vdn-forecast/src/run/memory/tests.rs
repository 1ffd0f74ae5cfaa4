use super::*;
use crate::forecaster::{Batch, Beside, Dependence, Forecaster};
use vdn_autograd::Tape;
use vdn_model::core::{Bindings, Graph, Mode};
use vdn_model::units::Intervention;
use vdn_tensor::noise::NoiseKey;

/// A wide layer with the gated head.
fn sampled() -> ForecasterConfig {
    let dependence = Dependence::Sampled;
    ForecasterConfig { units: 1024, dependence, ..ForecasterConfig::default() }
}

/// The actual bytes of the tapes of a training step and of an evaluation.
fn tapes(config: &ForecasterConfig, rows: usize, limited: bool) -> [f64; 2] {
    let (model, parameters) = Forecaster::new::<f32>(*config, 0).unwrap();
    let windows = vec![0.5_f32; rows * config.input_len];
    let target = vec![0.1_f32; rows * config.horizon];
    let floors = vec![0.0; rows];
    let numbers = vec![0.5_f32; rows * config.covariates];
    let categories = vec![0.0; if config.categories > 0 { rows } else { 0 }];
    let floor = limited.then_some(&floors[..]);
    let (numbers, categories) = (&numbers[..], &categories[..]);
    let beside = Beside { floor, numbers, categories, ..Beside::default() };
    let batch =
        Batch { current: &windows, previous: &windows, target: &target, beside, earlier: None };
    let key = NoiseKey::new(0, 0, 0);
    let mut bindings = Bindings::new();
    let mut training = Tape::new();
    for _ in 0..2 {
        training.reset();
        let mut graph = Graph::new(&mut training, &parameters, &mut bindings, Mode::Train, key);
        let terms = model.loss(&mut graph, &batch).unwrap();
        training.backward(terms.loss).unwrap();
    }
    let (mut tape, mut bindings) = (Tape::new(), Bindings::new());
    tape.no_grad(|tape| {
        let mut graph = Graph::new(tape, &parameters, &mut bindings, Mode::Evaluate, key);
        model.predict(&mut graph, &batch, Intervention::Permute).unwrap();
    });
    [training.memory() as f64, tape.memory() as f64]
}

#[test]
fn tapes_are_as_large_as_estimated() {
    let base = ForecasterConfig {
        input_len: 48,
        horizon: 12,
        hidden: 32,
        units: 128,
        head_hidden: 32,
        evaluate_samples: 16,
        dependence: Dependence::Sampled,
        ..ForecasterConfig::default()
    };
    let cases = [
        ("base", base, 16),
        ("many samples", ForecasterConfig { samples: 24, ..base }, 16),
        ("many units", ForecasterConfig { units: 1024, ..base }, 16),
        ("a wide head", ForecasterConfig { head_hidden: 512, ..base }, 16),
        ("a wide context", ForecasterConfig { hidden: 256, ..base }, 16),
        ("a long input", ForecasterConfig { input_len: 1000, ..base }, 64),
        ("a long horizon", ForecasterConfig { horizon: 400, ..base }, 16),
        ("several dimensions", ForecasterConfig { latent_dims: 4, ..base }, 16),
        ("three layers", ForecasterConfig { depth: 3, ..base }, 16),
        ("joined", ForecasterConfig { depth: 2, residual: true, layer_norm: true, ..base }, 16),
        (
            "the reference",
            ForecasterConfig { input_len: 48, units: 128, ..ForecasterConfig::compatibility() },
            16,
        ),
        ("no gate", ForecasterConfig { gated: false, dropout: 0.0, ..base }, 16),
        ("a joint head", ForecasterConfig { dependence: Dependence::Split, ..base }, 64),
        (
            "few joint units",
            ForecasterConfig { units: 8, dependence: Dependence::Split, ..base },
            64,
        ),
        (
            "few joint units, with a lower limit",
            ForecasterConfig { units: 8, dependence: Dependence::Split, ..base },
            64,
        ),
        ("a gated head, with a lower limit", base, 16),
        (
            "many covariates",
            ForecasterConfig {
                covariates: 500,
                categories: 9,
                units: 8,
                dependence: Dependence::Split,
                ..base
            },
            64,
        ),
        ("a twin", ForecasterConfig { variant: Variant::Twin, units: 1024, ..base }, 64),
    ];
    let mut wrong = Vec::new();
    let limited = |name: &str| name.ends_with("with a lower limit");
    for (name, config, rows) in cases {
        let sizes = RunSizes {
            limited: limited(name),
            windows: [rows; 3],
            batch: rows,
            evaluation_batch: rows,
            ..RunSizes::default()
        };
        let memory = RunMemory::of(&config, &sizes);
        let [training, evaluation] = tapes(&config, rows, limited(name));
        // Predictions are not on the tape; the gradients of parameters are counted as weights.
        let evaluate = match config.variant {
            Variant::Variational => config.evaluate_samples,
            _ => 1,
        };
        let loadings = match config.resolved_dependence() {
            Dependence::Sampled => 0,
            Dependence::Auto | Dependence::Joint | Dependence::Split => {
                rows * config.horizon * config.units
            }
        };
        let outputs = match config.resolved_dependence() {
            Dependence::Sampled => rows * config.horizon * evaluate,
            Dependence::Auto | Dependence::Joint | Dependence::Split => rows * config.horizon,
        };
        let predictions = 2.0 * DOUBLE * (outputs + loadings) as f64;
        // The copy for swapped latents is released, too.
        let copy = SINGLE * Pass::of(&config, evaluate as f64, rows as f64).latent;
        let expected = [
            memory.training + SINGLE * parameters(&config),
            memory.evaluation - predictions - copy,
        ];
        for (stage, expected, found) in
            [("training", expected[0], training), ("evaluation", expected[1], evaluation)]
        {
            let ratio = expected / found;
            println!("{name}, {stage}: {:.2} of {found:.3e} bytes", ratio);
            if !(0.8..1.2).contains(&ratio) {
                wrong.push(format!("{name}, {stage}: {expected:.3e}, measured {found:.3e}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn parameters_are_counted() {
    let base = sampled();
    let cases = [
        base,
        ForecasterConfig { depth: 3, units: 128, ..base },
        ForecasterConfig { latent_dims: 4, gated: false, ..base },
        ForecasterConfig { dependence: Dependence::Joint, ..base },
        ForecasterConfig { input_len: 2000, horizon: 300, units: 16, ..base },
    ];
    for config in cases {
        let (_, found) = Forecaster::new::<f32>(config, 0).unwrap();
        let ratio = parameters(&config) / found.numel() as f64;
        assert!((0.95..1.05).contains(&ratio), "{config:?}: {ratio}");
    }
}

#[test]
fn the_largest_part_and_its_setting_are_named() {
    let base = sampled();
    let sizes = RunSizes {
        rows: 1461,
        series: 4,
        windows: [3000, 300, 800],
        batch: 128,
        evaluation_batch: 128,
        epochs: 24,
        probe_windows: 128,
        probe_samples: 4,
        ..RunSizes::default()
    };
    let cases = [
        (ForecasterConfig { evaluate_samples: 100_000, ..base }, sizes, "model.evaluate_samples"),
        (ForecasterConfig { samples: 10_000, ..base }, sizes, "model.samples"),
        (
            ForecasterConfig { samples: 1000, units: 8, head_hidden: 1 << 14, ..base },
            sizes,
            "train.batch",
        ),
        (base, RunSizes { probe_samples: 100_000, ..sizes }, "diagnostics.samples"),
        (
            ForecasterConfig { head_hidden: 1 << 19, samples: 2, evaluate_samples: 2, ..base },
            RunSizes { batch: 1, evaluation_batch: 1, probe_windows: 0, ..sizes },
            "model.head_hidden",
        ),
        (
            ForecasterConfig { input_len: 8000, ..base },
            RunSizes { windows: [3000, 300, 800_000], ..sizes },
            "data.input_len",
        ),
        (base, RunSizes { rows: 100_000_000, series: 100, ..sizes }, "data.columns"),
    ];
    assert!(RunMemory::of(&base, &sizes).check(1e9).is_ok());
    for (model, sizes, setting) in cases {
        let memory = RunMemory::of(&model, &sizes);
        let error = memory.check(1e9).unwrap_err().to_string();
        assert!(error.contains(setting) && error.lines().count() == 1, "{setting}: {error}");
        assert_eq!(memory.to_string().lines().count(), 1);
        assert!(memory.check(memory.total()).is_ok());
    }
    let line = RunMemory::of(&base, &sizes).to_string();
    assert!(line.starts_with("memory    about 0.") && line.contains("training step "), "{line}");
}

#[test]
fn sizes_beyond_all_numbers_are_large_and_not_wrong() {
    let most = 1 << 24;
    let model = ForecasterConfig {
        input_len: most,
        horizon: most,
        hidden: most,
        units: most,
        latent_dims: most,
        samples: most,
        evaluate_samples: most,
        head_hidden: most,
        dependence: Dependence::Sampled,
        ..ForecasterConfig::default()
    };
    let sizes = RunSizes {
        rows: usize::MAX,
        series: usize::MAX,
        windows: [usize::MAX; 3],
        batch: usize::MAX,
        evaluation_batch: usize::MAX,
        epochs: usize::MAX,
        probe_windows: usize::MAX,
        probe_samples: usize::MAX,
        ..RunSizes::default()
    };
    let memory = RunMemory::of(&model, &sizes);
    assert!(memory.total().is_finite() && memory.total() > 1e30, "{memory:?}");
    assert!(memory.check(1e12).is_err());
    let nothing = RunMemory::of(&ForecasterConfig::default(), &RunSizes::default());
    assert!(nothing.total().is_finite() && nothing.check(1e9).is_ok(), "{nothing:?}");
}

/// Runs of the demo series (four series of 1461 rows, at most 600, 200 and 200 windows each), one
/// epoch, one thread: the peak memory of the process in MB, as reported by the system.
#[test]
fn estimates_are_near_the_measured_peaks() {
    let base = ForecasterConfig { input_len: 180, horizon: 28, ..sampled() };
    let sizes = RunSizes {
        rows: 1461,
        series: 4,
        windows: [2400, 392, 800],
        batch: 128,
        evaluation_batch: 128,
        epochs: 1,
        probe_windows: 128,
        probe_samples: 4,
        ..RunSizes::default()
    };
    let cases = [
        ("default", base, sizes, 150.0),
        ("units 4096", ForecasterConfig { units: 4096, ..base }, sizes, 451.0),
        ("samples 64", ForecasterConfig { samples: 64, ..base }, sizes, 406.0),
        (
            "samples 16, units 2048",
            ForecasterConfig { samples: 16, units: 2048, ..base },
            sizes,
            279.0,
        ),
        (
            "evaluate_samples 200, units 4096",
            ForecasterConfig { evaluate_samples: 200, units: 4096, ..base },
            sizes,
            1870.0,
        ),
        ("batch 1024", base, RunSizes { batch: 1024, ..sizes }, 269.0),
        ("depth 3", ForecasterConfig { depth: 3, ..base }, sizes, 399.0),
        ("latent_dims 8", ForecasterConfig { latent_dims: 8, ..base }, sizes, 860.0),
        ("diagnostics.samples 3000", base, RunSizes { probe_samples: 3000, ..sizes }, 15_575.0),
    ];
    let mut wrong = Vec::new();
    for (name, config, sizes, measured) in cases {
        let memory = RunMemory::of(&config, &sizes);
        let ratio = memory.total() / 1e6 / measured;
        println!("{name}: {measured} MB, ratio {ratio:.2}: {memory}");
        if measured > 200.0 && !(0.75..1.3).contains(&ratio) {
            wrong.push(format!("{name}: {memory}, measured {measured} MB"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
