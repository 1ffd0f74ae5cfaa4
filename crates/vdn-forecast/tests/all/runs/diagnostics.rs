//! The output of a whole run on its units: history, files, summary. The stored weights give the
//! same again.

use std::path::Path;
use vdn_forecast::config::{DataConfig, RunConfig};
use vdn_forecast::forecaster::{Batch, Forecaster, ForecasterConfig};
use vdn_forecast::run::{RunDirectory, evaluate_run, train_run};
use vdn_model::core::{Bindings, Graph, Mode};
use vdn_model::diagnostics::{
    CollapseMode, Diagnostics, EpochView, HealthMonitor, LayerContext, RowCounts,
};
use vdn_model::units::UnitStatistics;
use vdn_tensor::noise::NoiseKey;
use vdn_train::config::{DiagnosticsConfig, TrainConfig};
use vdn_train::evaluate::Evaluator;
use vdn_train::units::{HealthCheck, UnitHistory};

const UNITS: usize = 12;

fn config(diagnostics: DiagnosticsConfig) -> RunConfig {
    RunConfig {
        data: DataConfig {
            columns: Some(vec!["temp_max".into(), "wind".into()]),
            input_len: 24,
            horizon: 4,
            max_train: Some(96),
            max_validation: Some(40),
            max_test: Some(20),
            ..DataConfig::default()
        },
        model: ForecasterConfig {
            units: UNITS,
            latent_dims: 2,
            hidden: 16,
            head_hidden: 16,
            evaluate_samples: 8,
            ..ForecasterConfig::default()
        },
        diagnostics,
        train: TrainConfig { epochs: 4, batch: 32, ..TrainConfig::default() },
        ..RunConfig::default()
    }
}

fn lines(path: &Path) -> Vec<Vec<String>> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().map(|line| line.split(',').map(str::to_owned).collect()).collect()
}

#[test]
fn a_run_writes_what_its_units_did_and_evaluation_finds_them_again() {
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("run");
    let diagnostics = DiagnosticsConfig { every: 2, windows: 16, ..DiagnosticsConfig::default() };
    let report = train_run(&config(diagnostics), Some(&out), |_, _| {}).unwrap();
    let run = RunDirectory::open(&out).unwrap();

    let history = lines(&run.history(false));
    let column = |name: &str| history[0].iter().position(|cell| cell == name).unwrap();
    assert!(history.iter().all(|line| line.len() == history[0].len()));
    for name in ["living", "active", "energy", "signal_to_noise", "sigma", "beta", "alive"] {
        assert!(
            history[1..].iter().all(|line| line[column(name)].parse::<f64>().is_ok()),
            "{name}"
        );
    }
    // The probe runs every second epoch; drift is measured from the second on; there are no bands.
    let there = |name: &str| -> Vec<bool> {
        history[1..].iter().map(|line| !line[column(name)].is_empty()).collect()
    };
    assert_eq!(there("value"), [false, true, false, true]);
    assert_eq!(there("information"), [false, true, false, true]);
    assert_eq!(there("drift"), [false, true, true, true]);
    assert_eq!(there("inside"), [false; 4]);

    let units = UnitHistory::read(&run.units(false)).unwrap();
    assert_eq!((units.epochs(), units.units()), (4, UNITS));
    let state = UnitHistory::measure("state").unwrap();
    for epoch in 0..4 {
        let living = units.get(epoch, state).unwrap().iter().filter(|&&s| s == 0.0).count();
        let share: f64 = history[epoch + 1][column("living")].parse().unwrap();
        assert_eq!(living as f64 / UNITS as f64, share);
        let rates = units.get(epoch, 0).unwrap();
        let mean = rates.iter().map(|&r| f64::from(r)).sum::<f64>() / UNITS as f64;
        let recorded: f64 = history[epoch + 1][column("rate")].parse().unwrap();
        assert!((mean - recorded).abs() < 1e-6, "{mean} {recorded}");
    }

    let each = lines(&out.join("units.csv"));
    assert_eq!(each.len(), UNITS + 1);
    let of = |line: &[String], name: &str| -> f64 {
        line[each[0].iter().position(|cell| cell == name).unwrap()].parse().unwrap()
    };
    for line in &each[1..] {
        // The information on the probe windows, compared with the rate on all windows: they differ
        // by a sampling error.
        let (information, rate) = (of(line, "information"), of(line, "rate"));
        assert!(information > -1e-6 && information < 1.5 * rate + 0.02, "{information} {rate}");
        assert!((of(line, "kl") - rate - of(line, "mismatch")).abs() < 1e-5);
        // A unit has two dimensions, so its cost is twice its KL.
        let net = of(line, "value") - 2.0 * of(line, "kl");
        assert!((of(line, "net") - net).abs() < 1e-5);
    }

    let found = report.units.unwrap().first().unwrap().clone();
    let living = each[1..].iter().filter(|line| line.last().unwrap() == "living").count();
    assert_eq!((found.units, found.living), (UNITS, living));
    assert_eq!(found.living + found.reasons.values().sum::<usize>(), UNITS);
    let summary = std::fs::read_to_string(out.join("summary.json")).unwrap();
    assert!(summary.contains(&format!("\"line\": \"{}\"", found.line)), "{summary}");

    let again = evaluate_run(&run).unwrap().units.unwrap().first().unwrap().clone();
    assert_eq!((again.rate, again.kl, again.line), (found.rate, found.kl, found.line.clone()));
    let [layer, before] = [again.probe.unwrap().layer, found.probe.unwrap().layer];
    assert_eq!(layer, before);
    let text = report_text(&run);
    assert!(text.contains(&found.line) && text.contains("each      "), "{text}");
}

fn report_text(run: &RunDirectory) -> String {
    evaluate_run(run).unwrap().to_string()
}

#[test]
fn without_probe_windows_nothing_is_probed_and_a_subset_of_units_is() {
    let none = DiagnosticsConfig { windows: 0, every: 1, ..DiagnosticsConfig::default() };
    let report = train_run(&config(none), None, |_, _| {}).unwrap();
    assert!(report.units.unwrap().first().unwrap().probe.is_none());
    let some = DiagnosticsConfig { windows: 8, units: 5, ..DiagnosticsConfig::default() };
    let report = train_run(&config(some), None, |_, _| {}).unwrap();
    let found = report.units.unwrap().first().unwrap().probe.clone();
    assert_eq!(found.unwrap().units_probed, 5);
}

/// A head whose output is zero uses no unit: interventions detect this, internal measures do not.
#[test]
fn the_verdict_with_interventions_is_there_for_any_windows() {
    let config = config(DiagnosticsConfig { windows: 16, ..DiagnosticsConfig::default() });
    let data = config.data.dataset(config.data.load_table().unwrap()).unwrap();
    let forecaster = config.forecaster_for(&data).unwrap();
    let (model, parameters) = Forecaster::new::<f32>(forecaster, 0).unwrap();
    let control = config.control.build(&model.config().controlled_layers(), false).unwrap();
    let without = DiagnosticsConfig { windows: 0, ..config.diagnostics };
    let splits = data.splits();
    let evaluator = Evaluator::new(&model, &parameters, &data, config.train.noise())
        .averaging(config.train.averages());
    for windows in [&splits.validation, &splits.test] {
        let verdict = |diagnostics: &DiagnosticsConfig| {
            let check = HealthCheck { diagnostics, control: &control, seen: &[] };
            check.report(&evaluator, windows).unwrap()
        };
        let (with, without) = (verdict(&config.diagnostics), verdict(&without));
        assert!(without.together.is_none() && without.layers[0].probe.is_none());
        assert_eq!(without.layers[0].living.in_mode(CollapseMode::Unused), 0);
        assert_eq!(with.layers[0].living.in_mode(CollapseMode::Unused), UNITS);
        let probe = with.layers[0].probe.as_ref().unwrap();
        assert_eq!((probe.windows, probe.unit_use.units.len()), (16, UNITS));
        // Everything is measured on these windows.
        let seen = evaluator.validate(windows, &control);
        let rates = seen.unwrap().layers[0].statistics.rate();
        let mean = |x: &[f64]| x.iter().sum::<f64>() / x.len() as f64;
        let (judged, seen) = (mean(&with.layers[0].diagnostics.rate), mean(&rates));
        // Two sums of a dozen numbers in another order.
        assert!((judged - seen).abs() < 1e-14, "{judged} {seen}");
    }
}

/// `cargo test --release -p vdn-forecast --test all runs -- --ignored --nocapture`
#[test]
#[ignore = "a measurement"]
fn what_follows_from_the_statistics_costs_little_of_an_epoch() {
    const ROWS: usize = 128;
    let config = ForecasterConfig::default();
    let (model, parameters) = Forecaster::new::<f32>(config, 0).unwrap();
    let numbers = |stream: u32, columns: usize| {
        let mut numbers = vec![0.0_f32; ROWS * columns];
        NoiseKey::new(1, stream, 0).fill_normal(0, &mut numbers);
        numbers
    };
    let (current, previous) = (numbers(1, config.input_len), numbers(2, config.input_len));
    let target = numbers(3, config.horizon);
    let batch =
        Batch { current: &current, previous: &previous, target: &target, ..Batch::default() };
    let (mut tape, mut bindings) = (vdn_autograd::Tape::new(), Bindings::new());
    let seconds = |work: &mut dyn FnMut()| {
        let mut all: Vec<f64> = (0..15)
            .map(|_| {
                let start = std::time::Instant::now();
                work();
                start.elapsed().as_secs_f64()
            })
            .collect();
        all.sort_by(f64::total_cmp);
        all[all.len() / 2]
    };
    let step = seconds(&mut || {
        tape.reset();
        let key = NoiseKey::new(1, 0, 1);
        let mut graph = Graph::new(&mut tape, &parameters, &mut bindings, Mode::Train, key);
        let loss = model.loss(&mut graph, &batch).unwrap().loss;
        tape.backward(loss).unwrap();
    });
    let mut posteriors = None;
    let validation = seconds(&mut || {
        tape.reset();
        tape.no_grad(|tape| {
            let key = NoiseKey::new(1, 0, 2);
            let mut graph = Graph::new(tape, &parameters, &mut bindings, Mode::Evaluate, key);
            let layer = model.score_batch(&mut graph, &batch).unwrap().outputs[0].unwrap();
            let value = |var| tape.value(var).data().to_vec();
            posteriors = Some([value(layer.mu), value(layer.logvar)]);
        });
    });
    let [mu, logvar] = posteriors.unwrap();
    let mut rows = RowCounts::new(config.units, 1);
    let scan = seconds(&mut || rows.scan(&mu, &logvar, [-18.0, 4.6]));
    let mut statistics = UnitStatistics::new();
    let zero = vec![0.0; config.units];
    statistics.merge(ROWS, &zero, &vec![0.25; config.units], &vec![0.1; config.units], &zero);
    let beta = vec![1e-4; config.units];
    let context = LayerContext {
        label: "neuron",
        latent_dims: 1,
        beta: &beta,
        band: None,
        prior_variance: &[],
    };
    let budget = DiagnosticsConfig::default().budget(None, config.units).unwrap();
    let mut watch =
        HealthMonitor::new(vdn_model::diagnostics::CollapseThresholds::default(), budget);
    let mut history = UnitHistory::new(config.units);
    let judge = seconds(&mut || {
        let diagnostics = Diagnostics::new(&statistics, &rows, &context).unwrap();
        let living = watch.epoch(&EpochView {
            statistics: &statistics,
            diagnostics: &diagnostics,
            loss: 1.0,
            rate_given_past: None,
            unit_use: None,
        });
        history.push(&diagnostics, &living, watch.seen().drift.as_deref());
    });
    // 400 training and 200 validation windows of seven series: 22 steps, 11 batches.
    let epoch = 22.0 * step + 11.0 * validation;
    let share = (11.0 * scan + judge) / epoch;
    println!(
        "step {:.1} ms, validation batch {:.1} ms, row counts {:.3} ms a batch, measures and judgement {:.3} ms an \
         epoch: {:.3} % of an epoch",
        1e3 * step,
        1e3 * validation,
        1e3 * scan,
        1e3 * judge,
        100.0 * share
    );
    assert!(share <= 0.02, "{share}");
}
