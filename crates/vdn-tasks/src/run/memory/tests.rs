use super::*;
use crate::config::TaskName;
use crate::network::{TaskNetwork, Variant};
use vdn_autograd::Tape;
use vdn_model::core::{Bindings, Graph, Mode};
use vdn_model::units::Intervention;
use vdn_tensor::noise::NoiseKey;
use vdn_train::data::RowBatch;
use vdn_train::train::{Locals, Network};

/// The actual bytes of the tapes of a training step and of an evaluation.
fn tapes(config: &NetworkConfig, widths: [usize; 2], rows: usize) -> [f64; 2] {
    let (network, parameters) =
        TaskNetwork::new::<f32>(config.clone(), Variant::Variational, widths, 0).unwrap();
    let inputs = vec![0.5_f32; rows * widths[0]];
    let targets = vec![1.0_f32; rows * network.target_columns()];
    let batch = RowBatch { rows, inputs: &inputs, targets: &targets };
    let key = NoiseKey::new(0, 0, 0);
    let mut bindings = Bindings::new();
    let mut training = Tape::new();
    for _ in 0..2 {
        training.reset();
        let mut graph = Graph::new(&mut training, &parameters, &mut bindings, Mode::Train, key);
        let terms = network.loss(&mut graph, &batch, &Locals::default()).unwrap();
        training.backward(terms.loss).unwrap();
    }
    let (mut tape, mut bindings) = (Tape::new(), Bindings::new());
    tape.no_grad(|tape| {
        let mut graph = Graph::new(tape, &parameters, &mut bindings, Mode::Evaluate, key);
        network.predict(&mut graph, &batch, Intervention::None).unwrap();
    });
    [training.memory() as f64, tape.memory() as f64]
}

fn config(task: TaskName, model: NetworkConfig) -> TaskConfig {
    TaskConfig { model, ..TaskConfig::base(task) }
}

#[test]
fn tapes_are_as_large_as_estimated() {
    let base = NetworkConfig::default();
    let of = |likelihood| NetworkConfig { likelihood, ..base.clone() };
    let cases = [
        ("base", base.clone(), [13, 1]),
        ("many inputs", base.clone(), [3000, 1]),
        ("many targets", base.clone(), [13, 60]),
        (
            "many samples",
            NetworkConfig { samples: 64, evaluate_samples: 300, ..base.clone() },
            [13, 1],
        ),
        ("many units", NetworkConfig { units: 2000, ..base.clone() }, [13, 1]),
        ("a wide head", NetworkConfig { head_hidden: 2000, ..base.clone() }, [13, 1]),
        ("a wide encoder", NetworkConfig { hidden: vec![1000, 1000], ..base.clone() }, [13, 1]),
        ("normalised", NetworkConfig { layer_norm: true, dropout: 0.2, ..base.clone() }, [13, 4]),
        (
            "units alone",
            NetworkConfig { beside: false, skip: false, scale_by_units: false, ..base.clone() },
            [13, 30],
        ),
        ("counts", of(Likelihood::Poisson), [13, 30]),
        ("dispersed counts", of(Likelihood::NegativeBinomial), [13, 30]),
        ("Laplace", of(Likelihood::Laplace), [13, 30]),
        ("Student's t", of(Likelihood::StudentT), [13, 30]),
        ("classes", of(Likelihood::Categorical), [784, 10]),
        ("many classes", of(Likelihood::Categorical), [20, 500]),
    ];
    let mut wrong = Vec::new();
    for (name, network, widths) in cases {
        let rows = 64;
        let pass = |samples: usize, training| {
            Pass::of(&network, widths, samples as f64, rows as f64, training)
        };
        let step = pass(network.samples, true);
        // The gradients of parameters are on the tape, but the estimate counts them as weights.
        let training = SINGLE * (step.values() + step.gradients() + parameters(&network, widths));
        let evaluation = SINGLE * pass(network.evaluate_samples, false).values();
        let found = tapes(&network, widths, rows);
        for (stage, expected, found) in
            [("training", training, found[0]), ("evaluation", evaluation, found[1])]
        {
            let ratio = expected / found;
            println!("{name}, {stage}: {ratio:.2} of {found:.3e} bytes");
            if !(0.8..1.25).contains(&ratio) {
                wrong.push(format!("{name}, {stage}: {expected:.3e}, measured {found:.3e}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn parameters_are_counted() {
    let base = NetworkConfig::default();
    let cases = [
        (base.clone(), [13, 1]),
        (NetworkConfig { layer_norm: true, hidden: vec![5, 6, 7], ..base.clone() }, [100, 30]),
        (NetworkConfig { beside: false, skip: false, ..base.clone() }, [13, 7]),
        (NetworkConfig { scale_by_units: false, ..base.clone() }, [13, 7]),
        (NetworkConfig { likelihood: Likelihood::Categorical, ..base }, [784, 10]),
    ];
    for (config, widths) in cases {
        let (_, found) =
            TaskNetwork::new::<f32>(config.clone(), Variant::Variational, widths, 0).unwrap();
        let ratio = parameters(&config, widths) / found.numel() as f64;
        assert!((0.97..1.03).contains(&ratio), "{config:?}: {ratio}");
    }
}

#[test]
fn the_largest_part_and_its_setting_are_named() {
    let base = NetworkConfig::default();
    let sizes = TaskSizes {
        widths: [13, 1],
        rows: [3000, 500, 400],
        input_bytes: 8,
        splits: 0,
        trains: true,
    };
    let regression = |model| config(TaskName::Regression, model);
    let mut probed = regression(base.clone());
    probed.diagnostics.samples = 5_000_000;
    let held =
        NetworkConfig { evaluate_samples: 200_000, units: 1, head_hidden: 1, ..base.clone() };
    // Nothing is held out for a calibration.
    let mut once = regression(NetworkConfig { evaluate_samples: 200_000, ..base.clone() });
    (once.choice.refit, once.choice.folds) = (false, 1);
    let wide = NetworkConfig { samples: 1, evaluate_samples: 1, ..base.clone() };
    let mut wide = regression(NetworkConfig { head_hidden: 1 << 24, ..wide });
    wide.diagnostics.windows = 0;
    let cases = [
        (once, sizes, "evaluation", "model.evaluate_samples"),
        (regression(held), sizes, "held-out rows", "model.evaluate_samples"),
        (
            regression(NetworkConfig { samples: 500_000, ..base.clone() }),
            sizes,
            "training step",
            "model.samples",
        ),
        (wide, sizes, "weights", "model.head_hidden"),
        (probed, sizes, "probe", "diagnostics.samples"),
        (
            regression(base.clone()),
            TaskSizes { rows: [30_000_000, 500, 400], ..sizes },
            "data",
            "data.ignore",
        ),
    ];
    assert!(TaskMemory::of(&regression(base), &sizes).estimate().check(1e9).is_ok());
    for (config, sizes, part, setting) in cases {
        let memory = TaskMemory::of(&config, &sizes);
        let error = memory.estimate().check(1e9).unwrap_err().to_string();
        let named = error.contains(&format!("the largest part is {part}, "));
        assert!(named && error.contains(setting) && error.lines().count() == 1, "{part}: {error}");
        assert!(memory.estimate().check(memory.total()).is_ok());
    }
}

#[test]
fn what_is_not_done_is_not_counted() {
    let config = config(TaskName::Regression, NetworkConfig::default());
    let sizes = TaskSizes {
        widths: [13, 1],
        rows: [3000, 500, 400],
        input_bytes: 8,
        splits: 0,
        trains: true,
    };
    let whole = TaskMemory::of(&config, &sizes);
    let stored = TaskMemory::of(&config, &TaskSizes { trains: false, ..sizes });
    assert!(stored.total() < whole.total());
    assert_eq!((stored.training, stored.validation, stored.held_out), (0.0, 0.0, 0.0));
    let most = usize::MAX;
    let huge = TaskSizes {
        widths: [most; 2],
        rows: [most; 3],
        input_bytes: 8,
        splits: most,
        trains: true,
    };
    let total = TaskMemory::of(&config, &huge).total();
    assert!(total.is_finite() && total > 1e30, "{total}");
    let none = TaskMemory::of(&config, &TaskSizes::default());
    assert!(none.total().is_finite() && none.estimate().check(1e9).is_ok(), "{none:?}");
}
