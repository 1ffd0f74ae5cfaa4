//! The persistence target of a window forecaster: closed loop, measured quantity, rejected
//! settings.

use super::support::{Failure, Run, config, refusal, train};
use vdn_forecast::config::RunConfig;
use vdn_forecast::data::WindowIndex;
use vdn_forecast::forecaster::Batch;
use vdn_model::diagnostics::Persistence;
use vdn_tensor::noise::NoiseKey;

const SMALL: &str = "[data]\ncolumns = [\"temp_max\"]\ninput_len = 16\nhorizon = 4\nmax_train = 256\nmax_validation = 32\n\
                     max_test = 16\n[model]\nunits = 8\nhidden = 16\n\
                     head_hidden = 16\nevaluate_samples = 4\n\
                     dependence = \"sampled\"\nbeta = 1e-4\n[train]\nema_decay = 0.0\n\
                     epochs = 200\nbatch = 256\npatience = 0\nlearning_rate = 1e-2\nselection = \"last\"\n\
                     [diagnostics]\nwindows = 0\n";

/// Returns the mean persistence and the mean rate of the last epoch.
fn reached(text: &str) -> Result<[f64; 2], Failure> {
    let trained = train(config(SMALL, text)?, None)?.trained;
    let log = trained.control_log.column("persistence_target.persistence_mean");
    let rho = *log.ok_or("no column")?.last().ok_or("no epochs")?;
    let rate = trained.history.last().ok_or("no epochs")?.rate;
    println!("{text:?}: persistence {rho:.3}, rate {rate:.3}");
    Ok([rho, rate])
}

/// Both targets move the persistence away from its value near 0 under the loss alone, also together
/// with a target for the rate.
#[test]
fn targets_are_met_alone_and_beside_a_rate() -> Result<(), Failure> {
    let start = "[control]\nevery = 1\ncontrollers = [\"persistence\"]\n";
    let rate = "mode = \"rate\"\n[control.rate]\ntarget = 0.6\n";
    let idle = "[control.persistence]\ntarget = 0.5\nstiffness = 1e-12\ngain = 0.0\n";
    for beside in ["", rate] {
        let [free, _] = reached(&format!("{start}{beside}{idle}"))?;
        for target in [0.2, 0.4] {
            let text = format!("{start}{beside}[control.persistence]\ntarget = {target}\n");
            let [rho, carried] = reached(&text)?;
            assert!((free - target).abs() > 0.15, "nothing to do: {free}");
            assert!((rho - target).abs() < 0.05, "persistence {rho} instead of {target}");
            // On 32 validation windows.
            assert!(beside.is_empty() || (carried - 0.6).abs() < 0.15, "rate {carried}");
        }
        let [rho, _] =
            reached(&format!("{start}{beside}[control.persistence]\nlow = 0.2\nhigh = 0.4\n"))?;
        assert!(rho > 0.15 && rho < 0.45, "persistence {rho} outside of [0.2, 0.4]");
    }
    Ok(())
}

/// The controller receives the autocorrelation of samples for windows and for windows `stride` rows
/// earlier. Here it is computed from the posteriors of both. The controller's state is restored
/// with the weights.
#[test]
fn the_persistence_is_that_of_posteriors_of_both_windows() -> Result<(), Failure> {
    let text = "[control]\nevery = 1\ncontrollers = [\"persistence\"]\n[control.persistence]\ntarget = 0.4\n";
    // The steps are too small to change a number, so the last step's measure belongs to the final
    // weights.
    let small = SMALL.replace("epochs = 200", "epochs = 2").replace("1e-2", "1e-30");
    let Run { config, data, model, parameters, trained } = train(config(&small, text)?, None)?;
    let windows = &data.splits().train;
    let (spec, n) = (data.spec(), windows.len());
    assert_eq!((spec.extra_lag, n), (true, 256));
    let posteriors = |earlier: u32| -> Result<vdn_model::diagnostics::Posteriors, Failure> {
        let shifted: Vec<WindowIndex> =
            windows.iter().map(|w| WindowIndex { t: w.t - earlier, ..*w }).collect();
        let (mut current, mut previous) = (vec![0.0_f32; n * 16], vec![0.0_f32; n * 16]);
        data.fill_inputs(&shifted, 0, &mut current, |x| x as f32)?;
        data.fill_inputs(&shifted, 1, &mut previous, |x| x as f32)?;
        let batch = Batch { current: &current, previous: &previous, ..Batch::default() };
        Ok(model.posteriors(&parameters, &batch, NoiseKey::new(0, 0, 0), 0)?)
    };
    let (now, before) = (posteriors(0)?, posteriors(spec.stride as u32)?);
    let mut pairs = Persistence::new(now.dims);
    let row = |x: &[f64], row: usize| x[row * now.dims..(row + 1) * now.dims].to_vec();
    for i in 0..n {
        // Both windows have the deviations of the later one.
        let logvar = row(&now.logvar, i);
        pairs.push([&row(&now.mu, i), &row(&before.mu, i)], [&logvar[..], &logvar[..]], &[]);
    }
    let want = pairs.rho().iter().sum::<f64>() / now.dims as f64;
    let log = &trained.control_log;
    let shown = *log
        .column("persistence_target.persistence_mean")
        .ok_or("no column")?
        .last()
        .ok_or("no epochs")?;
    assert!((shown - want).abs() < 1e-5 * want.abs().max(0.1), "{shown} {want}");
    let state = trained.control.as_ref().ok_or("no state")?;
    let mut control = config.control.build(&model.config().controlled_layers(), false)?;
    control.restore(state)?;
    let held = control.layer(0).and_then(|own| own.levers().objective.persistence.clone());
    assert!(held.ok_or("no constraint")?.multipliers()[0].iter().all(|l| *l != 0.0));
    Ok(())
}

#[test]
fn what_cannot_be_met_or_measured_is_refused_with_the_reason() -> Result<(), Failure> {
    let named = "[control]\ncontrollers = [\"persistence\"]\n";
    let with = |names: &str, rest: &str| {
        format!("[control]\ncontrollers = [\"persistence\"{names}]\n{rest}")
    };
    let target = "[control.persistence]\ntarget = 0.5\n";
    for (text, parts) in [
        (named.to_owned(), &["control.persistence", "target, or low and high"][..]),
        (format!("{named}[control.persistence]\nlow = 0.2\n"), &["target, or low and high"]),
        (
            format!("{named}[control.persistence]\ntarget = 1.0\n"),
            &["control.persistence.target = 1: ", "in (-1, 1)"],
        ),
        (
            format!("{named}[control.persistence]\nlow = 0.5\nhigh = 0.2\n"),
            &["at least the low end"],
        ),
        (
            format!("{named}[control.persistence]\ntarget = nan\n"),
            &["control.persistence.target = nan", "a number"],
        ),
        (
            with("", &format!("mode = \"rate\"\n{target}")),
            &["the rate budget and the persistence target", "0.27 nats", "0.417"],
        ),
        (
            with(", \"kl\"", &format!("{target}[control.kl]\nhigh = 0.2\n")),
            &["the KL budget and the persistence target", "0.330"],
        ),
        (
            with("", "mode = \"rate\"\n[control.persistence]\nlow = -0.9\nhigh = -0.5\n"),
            &["0.5 is wanted"],
        ),
        (
            with(", \"ar\"", target),
            &["the AR penalty and the persistence target", "successive windows"],
        ),
        (format!("{named}{target}[model]\nprior = \"learned\"\n"), &["model.prior is learned"]),
        (
            format!("{named}{target}[model]\ndepth = 2\n"),
            &["layer 2", "[[control.layer]] with layer = 1"],
        ),
        (
            format!("{named}{target}[model]\nfamily = \"laplace\"\n"),
            &["normal and log-normal units"],
        ),
        (format!("{named}{target}[data]\nstride = 0\n"), &["stride"]),
        (
            format!("{named}{target}[data]\nextra_lag = false\n"),
            &["extra_lag = false and the persistence target"],
        ),
    ] {
        let message = refusal("", &text);
        for part in parts {
            assert!(message.contains(part), "{text}: {message}");
        }
    }
    // The target can be set in one layer of a stack, and must be reachable with the rate.
    let own = "controllers = [\"persistence\"]\npersistence.target = 0.3\n";
    let text = format!("[model]\ndepth = 2\n[[control.layer]]\nlayer = 1\n{own}");
    let config = RunConfig::from_toml(&text)?;
    config.validate()?;
    assert!(config.data.extra_lag);
    Ok(())
}
