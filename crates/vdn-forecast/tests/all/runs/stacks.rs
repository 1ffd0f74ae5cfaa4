//! Models of several layers from a configuration to stored weights and back.

use vdn_forecast::config::RunConfig;
use vdn_forecast::forecaster::{Forecaster, Variant};
use vdn_forecast::run::{RunDirectory, evaluate_run, train_run};
use vdn_model::units::{Activation, LayerPrior, UnitFamily};
use vdn_train::run::load_weights;

const SMALL: &str = "[data]\ninput_len = 24\nhorizon = 4\nmax_train = 64\nmax_validation = 16\nmax_test = 16\n\
                     [train]\nepochs = 2\nbatch = 128\nema_decay = 0.0\n[model]\nbeta = 1e-4\nunits = 16\nhidden = 16\n\
                     head_hidden = 16\nevaluate_samples = 4\n";

fn config(model: &str) -> RunConfig {
    RunConfig::from_toml(&format!("{SMALL}{model}")).unwrap()
}

#[test]
fn settings_of_a_stack_have_names_and_come_back() {
    let config = config(
        "depth = 3\nwidths = [16, 8, 4]\ndistributional_fraction = [1.0, 0.5, 0.25]\n\
         layer_beta = 2.0\nresidual = true\nlayer_norm = true\nactivation = \"identity\"\nvariant = \"gated_twin\"\n",
    );
    let model = config.forecaster().unwrap();
    assert_eq!((model.depth, model.width(1), model.width(2)), (3, 8, 4));
    assert_eq!(model.distributional_fraction.get(2), 0.25);
    assert!((model.beta_of(2) - 2.0 * model.beta).abs() < 1e-18);
    assert!(model.residual && model.layer_norm);
    assert_eq!((model.activation, model.variant), (Activation::Identity, Variant::GatedTwin));
    let again = RunConfig::from_toml(&config.to_toml().unwrap()).unwrap();
    assert_eq!(again, config);
    // Widths alone give the depth.
    let widths = self::config("widths = [16, 8]\n");
    assert_eq!(widths.forecaster().unwrap().depth, 2);
}

#[test]
fn settings_that_contradict_each_other_are_refused() {
    let cases = [
        ("depth = 2\nwidths = [16, 8, 4]\n", "widths"),
        ("depth = 40\n", "depth"),
        ("distributional_fraction = 1.5\n", "distributional_fraction"),
        (
            "depth = 3\nprior = [\"standard\", \"learned\"]\n",
            "model.prior: 2 values, the model has 3",
        ),
        ("prior = []\n", "model.prior = []: has to have 1 to 16 values"),
        ("depth = 2\nfamily = [\"laplace\"]\n", "model.family: 1 values, the model has 2"),
        ("depth = 2\nlayer_beta = [1.0]\n", "model.layer_beta: 1 values, the model has 2"),
        ("depth = 2\nfamily = [\"normal\", \"laplace\"]\ndegrees_of_freedom = 5.0\n", "student_t"),
        ("depth = 2\nfamily = [\"normal\", \"laplace\"]\nobjective = \"iwae\"\n", "objective"),
        (
            "depth = 2\nfamily = [\"normal\", \"laplace\"]\n[control]\nmode = \"homeo\"\n",
            "layer 2: ",
        ),
        ("family = \"student_t\"\ndegrees_of_freedom = 2.0\n", "degrees_of_freedom"),
        ("family = \"laplace\"\ndegrees_of_freedom = 5.0\n", "student_t"),
        ("family = \"laplace\"\nobjective = \"iwae\"\n", "objective"),
        ("family = \"laplace\"\n[control]\nmode = \"homeo\"\n", "normal units"),
    ];
    for (text, reason) in cases {
        let error = super::support::refusal(SMALL, text);
        assert!(error.contains(reason), "{text}: {error}");
    }
}

/// A prior and a family of its own for each layer, from TOML to stored weights.
#[test]
fn each_layer_has_a_prior_and_a_family_of_its_own() {
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("run");
    let config = config(
        "depth = 2\nprior = [\"standard\", \"learned\"]\nfamily = [\"normal\", \"student_t\"]\ndegrees_of_freedom = 4.0\n",
    );
    let report = train_run(&config, Some(&out), |_, _| {}).unwrap();
    let run = RunDirectory::open(&out).unwrap();
    let stored = run.read_config().unwrap();
    assert_eq!(stored.model.prior, config.model.prior);
    assert_eq!(stored.model.family, config.model.family);
    let model = stored.forecaster().unwrap();
    assert_eq!([0, 1].map(|i| model.prior.get(i)), [LayerPrior::Standard, LayerPrior::Learned]);
    let student = UnitFamily::StudentT { degrees_of_freedom: 4.0 };
    assert_eq!([0, 1].map(|i| model.family.get(i)), [UnitFamily::Normal, student]);
    // Only the second layer has parameters of the prior, and they have been trained.
    let (_, start) = Forecaster::new::<f32>(model, 0).unwrap();
    let mut parameters = start.clone();
    load_weights(&mut parameters, &run.weights(false)).unwrap();
    let names: Vec<&str> = parameters.iter().map(|p| p.name()).collect();
    let of_prior: Vec<_> = names.into_iter().filter(|name| name.contains("prior")).collect();
    assert_eq!(of_prior, ["neuron2.prior.mean", "neuron2.prior.log_scale"]);
    for name in of_prior {
        let data = |of: &vdn_model::core::Parameters<f32>| {
            of.get(of.find(name).unwrap()).tensor().data().to_vec()
        };
        assert!(data(&start).iter().all(|&x| x == 0.0), "{name}");
        assert!(data(&parameters).iter().all(|&x| x != 0.0 && x.is_finite()), "{name}");
    }
    let again = evaluate_run(&run).unwrap();
    assert_eq!(again.rows[0].crps, report.rows[0].crps);
    // Mutual information is available for the layer of normal units.
    let units = lines(&run.file("units.csv"));
    let column = |name: &str| units[0].iter().position(|cell| cell == name).unwrap();
    for unit in &units[1..] {
        let [layer, information] = ["layer", "information"].map(|name| &unit[column(name)]);
        assert_eq!(layer == "2", information.is_empty(), "{unit:?}");
    }
}

/// The penalty compares means under the standard prior. The priors of the other layers do not
/// matter.
#[test]
fn an_autoregressive_penalty_looks_at_the_prior_of_its_own_layer() {
    for [first, second] in [["learned", "standard"], ["standard", "learned"]] {
        let text = format!(
            "depth = 2\nprior = [\"{first}\", \"{second}\"]\n[control]\nmode = \"none\"\n\
             [[control.layer]]\nlayer = 2\ncontrollers = [\"ar\"]\n"
        );
        let result = train_run(&config(&text), None, |_, _| {});
        match second {
            "standard" => assert!(result.is_ok(), "{:?}", result.err()),
            _ => {
                let error = result.unwrap_err().to_string();
                assert!(
                    error.contains("layer 2: control.ar") && error.contains("learned"),
                    "{error}"
                );
            }
        }
    }
}

fn lines(path: &std::path::Path) -> Vec<Vec<String>> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().map(|line| line.split(',').map(str::to_owned).collect()).collect()
}

/// The output of a run with several layers on the units of each: history, files, summary, page. The
/// stored weights give the same again. The middle layer has no distributional unit.
#[test]
fn a_run_of_several_layers_tells_of_every_layer() {
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("run");
    let text = "widths = [16, 8, 12]\ndistributional_fraction = [1.0, 0.0, 0.5]\n[control]\nmode = \"rate\"\n\
                [[control.layer]]\nlayer = 3\nrate.target = 0.5\n[diagnostics]\nevery = 2\nwindows = 16\nunits_below = 3\n";
    let report = train_run(&config(text), Some(&out), |_, _| {}).unwrap();
    let run = RunDirectory::open(&out).unwrap();

    let history = lines(&run.history(false));
    let column = |name: &str| history[0].iter().position(|cell| cell == name).unwrap();
    let of = |epoch: usize, name: &str| -> f64 { history[epoch][column(name)].parse().unwrap() };
    assert!(history.iter().all(|line| line.len() == history[0].len()));
    assert!(!history[0].iter().any(|name| name.starts_with("layer2.")), "{:?}", history[0]);
    for name in ["rate", "mismatch", "kl", "energy", "beta", "living", "sigma"] {
        // 16 and 6 units.
        let [first, third] = ["layer1.", "layer3."].map(|layer| of(2, &format!("{layer}{name}")));
        assert!(first.is_finite() && third.is_finite() && first != third || name == "living");
        if !["kl"].contains(&name) {
            let both = (16.0 * first + 6.0 * third) / 22.0;
            assert!((of(2, name) - both).abs() < 1e-9 * (1.0 + both), "{name}");
        }
    }
    assert!(history[1][column("layer3.value")].is_empty() && of(2, "layer3.value").is_finite());
    assert!(of(2, "value").is_finite() && of(2, "value") != of(2, "layer1.value"));

    for (layer, units) in [(1, 16), (3, 6)] {
        let file = vdn_train::units::layer_file(&run.units(false), layer, 3);
        let every = vdn_train::units::UnitHistory::read(&file).unwrap();
        assert_eq!((every.epochs(), every.units()), (2, units));
        let rates = every.get(1, 0).unwrap();
        let mean = rates.iter().map(|&r| f64::from(r)).sum::<f64>() / units as f64;
        assert!((mean - of(2, &format!("layer{layer}.rate"))).abs() < 1e-6, "{layer}");
    }
    assert!(!run.units(false).exists() && !out.join("units-layer2.npy").exists());

    let each = lines(&out.join("units.csv"));
    assert_eq!((each[0][0].as_str(), each[0][1].as_str(), each.len()), ("layer", "unit", 1 + 22));
    let cell = |line: &[String], name: &str| {
        line[each[0].iter().position(|cell| cell == name).unwrap()].clone()
    };
    let probed = |layer: &str| {
        let own = each[1..].iter().filter(|line| cell(line, "layer") == layer);
        own.filter(|line| !cell(line, "value").is_empty()).count()
    };
    assert_eq!((probed("1"), probed("3")), (3, 6));

    let found = report.units.as_ref().unwrap();
    assert_eq!(found.layers.iter().map(|own| own.layer).collect::<Vec<_>>(), [1, 3]);
    // The interval of all layers, and an interval of a fifth around the layer's own target.
    assert_eq!(found.layers[0].units.budget, [0.05, 0.3]);
    assert_eq!(found.layers[1].units.budget, [0.4, 0.6]);
    for own in &found.layers {
        let layer = own.layer.to_string();
        let living = each[1..].iter().filter(|line| {
            cell(line, "layer") == layer && line.last().is_some_and(|state| state == "living")
        });
        assert_eq!(own.units.living, living.count());
        let worth = own.units.probe.as_ref().unwrap().layer;
        assert!((worth.net - worth.value + worth.kl).abs() < 1e-12);
        // The value refers to the test windows; the units are classified on the validation windows.
        assert_eq!(worth.windows, report.windows[2]);
        assert!(worth.kl > 0.0 && worth.kl != own.units.kl);
    }
    let together = found.together.unwrap();
    let worth = |own: &vdn_train::units::LayerReport| own.units.probe.as_ref().unwrap().layer.kl;
    let sum: f64 = found.layers.iter().map(worth).sum();
    assert!((together.kl - sum).abs() < 1e-9 && together.value.is_finite());
    // Single layers differ from all layers together, both in value and in the cost of swapping.
    let [first, third] = [0, 1].map(|i| found.layers[i].units.probe.as_ref().unwrap().layer);
    assert!(first.value != third.value && first.crps_permuted != third.crps_permuted);

    let again = evaluate_run(&run).unwrap();
    let text = again.to_string();
    for own in &found.layers {
        let line = format!("layer {}: {}", own.layer, own.units.line);
        assert!(text.contains(&line), "{text}");
    }
    assert!(text.contains("together  "), "{text}");
    assert_eq!(again.units.unwrap().together, found.together);
    let summary = std::fs::read_to_string(out.join("summary.json")).unwrap();
    assert!(summary.contains("\"together\"") && summary.contains("\"layer\": 3"), "{summary}");

    let page = vdn_forecast::report::report_run(&run).unwrap();
    for part in
        ["Layers over epochs", "Layer 1: units over epochs", "Layer 3: units of the kept weights"]
    {
        assert!(page.contains(part), "{part}");
    }
    for part in
        ["Rate", "Mismatch", "Energy", "Weight of the KL", "Who lives in layer 3", "layer 1"]
    {
        assert!(page.contains(part), "{part}");
    }
}

/// A run with three different layers trains, and the stored model has the same scores.
#[test]
fn stored_weights_of_a_stack_score_as_the_trained_ones() {
    for extra in
        ["residual = true\nlayer_norm = true\n", "distributional_fraction = [1.0, 0.0, 0.5]\n"]
    {
        let directory = tempfile::tempdir().unwrap();
        let config = config(&format!("widths = [16, 8, 12]\n{extra}"));
        let trained = train_run(&config, Some(directory.path()), |_, _| {}).unwrap();
        let again = evaluate_run(&RunDirectory::open(directory.path()).unwrap()).unwrap();
        let scores = |report: &vdn_forecast::run::Report| -> Vec<[Option<f64>; 4]> {
            let energy = |row: &vdn_forecast::run::Row| row.wholes.energy_score;
            let of = |row: &vdn_forecast::run::Row| {
                [Some(row.mse), row.nll, Some(row.crps), energy(row)]
            };
            report.rows.iter().map(of).collect()
        };
        assert_eq!(scores(&trained), scores(&again), "{extra}");
        assert!(scores(&trained).iter().flatten().flatten().all(|x| x.is_finite()), "{extra}");
    }
}

/// Every depth up to the maximum takes training steps on the demo, and all numbers stay finite.
#[test]
fn depths_from_one_to_sixteen_train() {
    for depth in [1, 2, 4, 8, 16] {
        let report = train_run(&config(&format!("depth = {depth}\n")), None, |_, progress| {
            if let vdn_train::train::Progress::Epoch(epoch) = progress {
                let numbers = [epoch.loss, epoch.kl, epoch.validation_nll, epoch.rate];
                assert!(numbers.iter().all(|x| x.is_finite()), "{depth}: {numbers:?}");
                assert!(epoch.kl > 0.0, "{depth}: {numbers:?}");
            }
        });
        assert!(report.unwrap().rows[0].nll.is_some_and(f64::is_finite), "{depth}");
    }
}

/// Every family, with both priors, trains on the demo. A rate budget uses its KL and statistics.
#[test]
fn families_and_learned_priors_train() {
    for family in ["normal", "log_normal", "laplace", "logistic", "student_t"] {
        for extra in ["", "prior = \"learned\"\ndepth = 2\n", "[control]\nmode = \"rate\"\n"] {
            let config = config(&format!("family = \"{family}\"\n{extra}"));
            let report = train_run(&config, None, |_, progress| {
                if let vdn_train::train::Progress::Epoch(epoch) = progress {
                    let sum = epoch.rate + epoch.mismatch;
                    assert!(epoch.kl > 0.0 && sum.is_finite(), "{family} {extra}");
                }
            });
            let report = report.unwrap();
            assert!(report.rows[0].nll.is_some_and(f64::is_finite), "{family} {extra}");
            // Every layer is classified. Information by quadrature is available for normal and
            // log-normal units.
            let gaussian = ["normal", "log_normal"].contains(&family);
            let layers = report.units.unwrap().layers;
            assert_eq!(layers.len(), if extra.contains("depth") { 2 } else { 1 });
            for own in layers {
                let probe = own.units.probe.unwrap();
                assert_eq!(probe.information.is_some(), gaussian, "{family} {extra}");
                assert!(probe.units_probed == 16 && own.units.energy > 0.0, "{family} {extra}");
                assert!(own.units.sigma > 0.0 && own.units.living <= 16, "{family} {extra}");
            }
        }
    }
}
