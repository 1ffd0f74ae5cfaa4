//! A sequence forecaster in the trainer: its units are measured, controlled, classified and resumed
//! like those of any network.

use crate::sequences::forecaster::{BATCH, KEY, data, order_one, order_three, scatter, small};
use vdn_autograd::{Tape, check_gradients};
use vdn_forecast::sequence::{
    PriorConfig, Segments, SequenceForecaster, SequenceForecasterConfig, SequenceObjective,
    SequenceTraining, Series,
};
use vdn_model::controllers::{
    ConstraintConfig, Controller, Goal, Levers, PersistenceConfig, PersistenceTarget, RateBudget,
};
use vdn_model::core::{Bindings, Graph, Mode, ModelError, Parameters};
use vdn_model::objective::local_objectives;
use vdn_model::sequence::Posterior;
use vdn_tensor::Tensor;
use vdn_tensor::noise::NoiseKey;
use vdn_tensor::parallel::Pool;
use vdn_train::TrainError;
use vdn_train::config::{BudgetConfig, ControlConfig, ControlName, Selection, TrainConfig};
use vdn_train::data::{Examples, Split};
use vdn_train::evaluate::Evaluator;
use vdn_train::run::RunFiles;
use vdn_train::train::{Locals, Network, NoiseSeed, Progress, Trained, Trainer};
use vdn_train::units::HealthCheck;

type Failure = Box<dyn std::error::Error + Send + Sync>;

const STEPS: usize = 24;

/// Two noisy waves, the last 48 steps of each held out.
fn setting() -> Result<(SequenceForecaster, Parameters<f32>, Segments), Failure> {
    let config = SequenceForecasterConfig {
        channels: 1,
        window: 3,
        hidden: vec![8],
        units: 3,
        initial_scale: 0.3,
        ..SequenceForecasterConfig::default()
    };
    let series = [0, 1].map(|stream| {
        let mut noise = vec![0.0_f64; 168];
        NoiseKey::new(4, stream, 0).fill_normal(0, &mut noise);
        let wave = |(t, noise): (usize, &f64)| (t as f64 / 4.0).sin() + 0.2 * noise;
        (noise.iter().enumerate().map(wave).collect(), Vec::new())
    });
    let data = Segments::new(&config, series.to_vec(), STEPS)?.split_at(120, 48)?;
    let (model, parameters) = SequenceForecaster::new::<f32>(config, 1)?;
    let objective = SequenceObjective { samples: 2, ..SequenceObjective::default() };
    Ok((model.with_training(SequenceTraining { objective, warmup_steps: 40 }), parameters, data))
}

/// A budget as strong as the bound, in which the KL divergence has the weight 1 here.
fn budget(target: f64) -> BudgetConfig {
    let target = Some(target);
    BudgetConfig { target, stiffness: 5.0, gain: 1.0, limit: 20.0, ..BudgetConfig::default() }
}

fn trainer(control: ControlConfig) -> Trainer {
    let train = TrainConfig {
        epochs: 12,
        batch: 16,
        learning_rate: 1e-2,
        seed: 3,
        selection: Selection::Last,
        patience: 0,
        ..TrainConfig::default()
    };
    Trainer { train, control, ..Trainer::default() }
}

/// Returns the result of a training, the rate of each unit on the training examples, and the number
/// of living units.
fn train(control: ControlConfig) -> Result<(Trained, Vec<f64>, usize), Failure> {
    let (model, mut parameters, data) = setting()?;
    let trainer = trainer(control);
    let trained = trainer.train(&model, &mut parameters, &data, |_| {})?;
    let mut control = trainer.controllers::<f32, _>(&model)?;
    if let Some(state) = &trained.control {
        control.restore(state)?;
    }
    // The units are classified by their measures, as in any network without interventions.
    let check =
        HealthCheck { diagnostics: &trainer.diagnostics, control: &control, seen: &trained.seen };
    let evaluator = Evaluator::new(&model, &parameters, &data, NoiseSeed::from(5));
    let examples = Examples::<f32>::split(&data, Split::Train).to_vec();
    let report = check.report_by_measures(&evaluator, &examples)?;
    let [layer] = &report.layers[..] else { return Err("one layer".into()) };
    assert_eq!((layer.layer, layer.diagnostics.units(), layer.living.units()), (0, 3, 3));
    assert_eq!(layer.diagnostics.layer, "units");
    Ok((trained, layer.diagnostics.rate.clone(), layer.living.living()))
}

#[test]
fn a_rate_budget_holds_every_unit_of_a_sequence() -> Result<(), Failure> {
    let none = ControlConfig { mode: ControlName::None, ..ControlConfig::default() };
    let (trained, free, living) = train(none.clone())?;
    assert!(trained.control.is_none());
    assert!(free.iter().all(|rate| (rate - 0.3).abs() > 0.2) && living < 2, "{free:?} {living}");
    let config = ControlConfig { mode: ControlName::Rate, rate: budget(0.3), ..none };
    let (trained, held, living) = train(config)?;
    println!("free {free:.3?}, held {held:.3?}");
    // A living unit's rate may differ from the target by a fifth.
    assert!(held.iter().all(|rate| (rate - 0.3).abs() < 0.06), "{held:?}");
    assert_eq!(living, 3);
    assert!(trained.control_log.column("rate_budget.rate_active").is_some());
    Ok(())
}

#[test]
fn a_persistence_target_holds_from_step_to_step() -> Result<(), Failure> {
    for target in [0.4, 0.75] {
        let mut control = ControlConfig::default();
        control.choose(["rate", "persistence"])?;
        control.rate = budget(0.3);
        let own = &mut control.persistence;
        (own.target, own.stiffness, own.gain, own.limit) = (Some(target), 5.0, 1.0, 20.0);
        let (trained, rates, _) = train(control)?;
        let name = "persistence_target.persistence_mean";
        let rho = trained.control_log.column(name).ok_or("no persistence")?;
        println!("rho {rho:.3?}, rates {rates:.3?}");
        // The log has single batches of 16 sequences of 24 steps, which vary by 0.04.
        let held = rho[rho.len() - 4..].iter().sum::<f64>() / 4.0;
        assert!((held - target).abs() < 0.06, "{rho:?} instead of {target}");
        let rate = rates.iter().sum::<f64>() / 3.0;
        assert!((rate - 0.3).abs() < 0.06, "{rates:?}");
    }
    Ok(())
}

#[test]
fn an_interrupted_run_with_controllers_ends_in_the_same_bits() -> Result<(), Failure> {
    let run = |folder: &std::path::Path, stop: u64, threads: usize| {
        let (model, mut parameters, data) = setting()?;
        let mut trainer = trainer(ControlConfig { rate: budget(0.3), ..ControlConfig::default() });
        trainer.train.epochs = 2;
        trainer.files = Some(RunFiles::open(folder)?);
        let trained = Pool::new(threads)?.run(|| {
            trainer.resume(&model, &mut parameters, &data, |progress| match progress {
                Progress::Step { done, .. } if done == stop => trainer.interrupt.request(),
                _ => {}
            })
        });
        Ok::<_, Failure>((trained, parameters))
    };
    let folders = [tempfile::tempdir()?, tempfile::tempdir()?];
    let (trained, whole) = run(folders[0].path(), u64::MAX, 1)?;
    let control = trained?.control.ok_or("no controllers")?;
    let (stopped, _) = run(folders[1].path(), 7, 2)?;
    assert!(matches!(stopped, Err(TrainError::Interrupted { step: 7 })), "{stopped:?}");
    let (trained, resumed) = run(folders[1].path(), u64::MAX, 3)?;
    assert_eq!(trained?.control, Some(control));
    for (a, b) in whole.iter().zip(resumed.iter()) {
        assert_eq!(a.tensor().data(), b.tensor().data(), "{}", a.name());
    }
    Ok(())
}

#[test]
fn what_a_sequence_has_not_is_refused() -> Result<(), Failure> {
    let (model, mut parameters, data) = setting()?;
    let mut refused = |change: &dyn Fn(&mut ControlConfig) -> Result<(), TrainError>| {
        let mut control = ControlConfig::default();
        change(&mut control).unwrap();
        let result = trainer(control).train(&model, &mut parameters, &data, |_| {});
        result.unwrap_err().to_string()
    };
    for mode in ["homeo", "proj_on", "proj_off", "ar"] {
        let error = refused(&|control| control.choose([mode]));
        assert!(error.contains("any other layer is held by rate, kl"), "{mode}: {error}");
    }
    let (config, training) = (model.config().clone(), SequenceTraining::default());
    // A prior without memory has no persistence to control.
    let config = SequenceForecasterConfig { prior: PriorConfig::StandardNormal, ..config };
    let (without, _) = SequenceForecaster::new::<f32>(config.clone(), 1)?;
    let mut control = ControlConfig::default();
    control.choose(["persistence"])?;
    control.persistence.target = Some(0.5);
    let error = trainer(control).controllers::<f32, _>(&without).unwrap_err().to_string();
    assert!(error.contains("needs an autoregressive prior of order one"), "{error}");
    // With other posteriors the trainer sees no units.
    let config = SequenceForecasterConfig { posterior: Posterior::MeanField, ..config };
    let (mean_field, mut parameters) = SequenceForecaster::new::<f32>(config, 1)?;
    let mean_field = mean_field.with_training(training);
    let trained =
        trainer(ControlConfig::default()).train(&mean_field, &mut parameters, &data, |_| {})?;
    assert!(trained.control.is_none() && trained.seen.is_empty());
    Ok(())
}

/// Under every prior, with missing steps: the KL divergence of the units equals that of the bound,
/// and the gradients of the loss with constraints are correct.
#[test]
fn the_units_of_a_pass_pay_the_bound_and_their_constraints_are_differentiable()
-> Result<(), Failure> {
    let priors = [
        ("standard", PriorConfig::StandardNormal),
        ("learned", PriorConfig::LearnedNormal),
        ("order one", order_one()),
        ("order three", order_three()),
    ];
    for (name, prior) in priors {
        let of_order_one = matches!(prior, PriorConfig::OrderOne(_));
        let config = SequenceForecasterConfig { prior, emission_lags: 0, ..small() };
        let (model, mut parameters) = SequenceForecaster::new::<f64>(config, 3)?;
        scatter(&mut parameters);
        let objective = SequenceObjective { samples: 2, beta: 0.7 };
        let model = model.with_training(SequenceTraining { objective, warmup_steps: 4 });
        // Three blocks, the last one short.
        let [x, covariates] = data(model.config(), 37, true);
        let series = Series::new(model.config(), &x, &covariates, BATCH)?;
        let mut levers = Levers::new(3, 0.7);
        let goal = Goal::Target(0.6);
        let limits = ConstraintConfig { goal, stiffness: 0.5, ..ConstraintConfig::default() };
        RateBudget::new(3, limits)?.begin(0, &mut levers);
        if of_order_one {
            let layers = Network::<f64>::layers(&model);
            let prior = layers[0].prior_over_time().ok_or("no prior")?;
            PersistenceTarget::new(3, prior, PersistenceConfig::new(goal))?.begin(0, &mut levers);
        }
        let constrained =
            Locals { objectives: local_objectives([Some(&levers.objective)]), ..Locals::default() };
        let unconstrained = vdn_model::objective::LocalObjective::new(3, 0.7);
        let plain =
            Locals { objectives: local_objectives([Some(&unconstrained)]), ..Locals::default() };
        // The same loss with and without a local objective that has no effect.
        let (mut tape, mut bindings) = (Tape::new(), Bindings::new());
        let mut found = Vec::new();
        for locals in [Locals::default(), plain] {
            tape.reset();
            let mut graph = Graph::new(&mut tape, &parameters, &mut bindings, Mode::Train, KEY);
            let terms = Network::loss(&model, &mut graph, &series, &locals)?;
            let kl = terms.kl.ok_or("no KL")?;
            found.push([terms.loss, terms.score, kl].map(|var| tape.scalar(var).unwrap()));
        }
        for (a, b) in found[0].iter().zip(&found[1]) {
            assert!((a - b).abs() < 1e-10 * a.abs().max(1.0), "{name}: {found:?}");
        }
        let inputs: Vec<Tensor<f64>> = parameters.iter().map(|p| (**p.tensor()).clone()).collect();
        let ids: Vec<_> = parameters.iter().filter_map(|p| parameters.find(p.name())).collect();
        let report = check_gradients(&inputs, |tape, vars| {
            let mut bindings = Bindings::new();
            let mut graph = Graph::new(tape, &parameters, &mut bindings, Mode::Train, KEY);
            ids.iter().zip(vars).for_each(|(&id, &var)| graph.bind(id, var));
            match Network::loss(&model, &mut graph, &series, &constrained) {
                Ok(terms) => Ok(terms.loss),
                Err(ModelError::Autograd(error)) => Err(error),
                Err(error) => Err(vdn_autograd::Error::invalid("loss", error.to_string())),
            }
        })?;
        assert!(report.passed(), "{name}: {report}");
    }
    Ok(())
}
