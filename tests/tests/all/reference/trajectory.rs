//! Topic 15: 25 whole training steps of the reference's configuration: encoder, layer, head,
//! losses, optimiser and controllers together, in compatibility mode.

use crate::reference::bands::{calibration_config, checked, parameters_at};
use crate::reference::case::{Case, Check, tensor};
use crate::reference::controllers::{inside_target, thermostat_config};
use serde_json::Value;
use vdn_autograd::{Noise, Tape};
use vdn_forecast::forecaster::{Batch, Forecaster, ForecasterConfig, LossOptions};
use vdn_model::controllers::{
    ArScaleControl, ArShare, ArShareConfig, ArShareRule, BandCalibration, BandConfig, BandShape,
    BandWeight, BetaThermostat, EnergyBand, FocusLow, Hinge, HingeForm, Homeostat, HomeostatConfig,
    LayerControl, LayerControlConfig, LossValues, Ramp, Rescaling, SigmaGuard, SigmaGuardConfig,
    SigmaKick, SingleUnit, Timing,
};
use vdn_model::core::{Bindings, Graph, Mode};
use vdn_model::objective::{
    ArScale, ArTerm, BandCentre, BandTerm, EarlierWindow, UnitMeasures, local_objectives,
};
use vdn_tensor::Tensor;
use vdn_tensor::noise::NoiseKey;
use vdn_train::metrics::reference::Floors;
use vdn_train::optim::{AdamW, AdamWConfig};

type Failure = Box<dyn std::error::Error>;

const KEY: NoiseKey = NoiseKey::new(0, 0, 0);

fn forecaster(case: &Case) -> Result<ForecasterConfig, String> {
    let count = |key: &str| case.setting("cfg", key).map(|x| x as usize);
    Ok(ForecasterConfig {
        input_len: count("input_len")?,
        horizon: count("horizon")?,
        hidden: count("hidden")?,
        units: count("n_units")?,
        samples: count("latent_mc_samples_train")?,
        evaluate_samples: count("latent_mc_samples_eval")?,
        initial_sigma: case.setting("cfg", "sigma_init")?,
        head_hidden: count("pred_head_hidden")?,
        dropout: 0.0,
        ..ForecasterConfig::compatibility()
    })
}

fn controllers(case: &Case, units: usize) -> Result<LayerControl, Failure> {
    let get = |key: &str| case.setting("cfg", key);
    let fixed = |key: &str| case.setting("fixed", key);
    let steps = |key: &str| case.setting("cfg", key).map(|x| x as u64);
    let config = LayerControlConfig {
        beta: 0.0,
        measures: UnitMeasures::Pooled,
        rescaling: Rescaling::Ignore,
        smoothing: fixed("mu_ema_alpha")?,
        alive_energy: fixed("alive_mu2_eps")?,
        alive_kl: fixed("alive_kl_eps")?,
    };
    let mut control = LayerControl::new(units, 1, config);
    let shape = match case.name_of("cfg", "band_mode")? {
        "hetero" => BandShape::Heterogeneous {
            spread: get("hetero_spread")?,
            shuffled: None,
            single: SingleUnit::LowEnd,
        },
        _ => BandShape::Homogeneous,
    };
    let base = EnergyBand::new(
        units,
        &BandConfig {
            target: get("mu2_target")?,
            low_factor: get("band_lo_k")?,
            high_factor: get("band_hi_k")?,
            shape,
        },
    )?;
    let form = match case.name_of("cfg", "band_penalty_mode")? {
        "rel" => HingeForm::Relative { eps: get("band_rel_eps")? },
        _ => HingeForm::Absolute,
    };
    let hinge = Hinge { form, weight_low: 1.0, weight_high: 1.0 };
    control.levers_mut().objective.band =
        Some(BandTerm { bounds: base.clone(), hinge, weight: 0.0 });
    if case.flag("cfg", "use_ar")? {
        control.levers_mut().objective.autoregression = Some(ArTerm {
            weight: 0.0,
            ramp: 0.0,
            phi: get("phi")?,
            sigma: 1.0,
            earlier: EarlierWindow::Itself,
        });
    }
    let warmup = steps("warmup_steps")?;
    let period = Timing { warmup, every: steps("ctrl_every")? };
    // The order of the reference: bands, controllers that act on units, the AR share, then the
    // ramps of the next step.
    if case.flag("cfg", "use_band_calib")? {
        let calibration = BandCalibration::new(base, calibration_config(case, "cfg")?)?;
        control.add(calibration, Timing { warmup, every: steps("band_calib_every")? })?;
    }
    control.add(BetaThermostat::new(units, thermostat_config(case, "cfg")?)?, period)?;
    let homeostat = HomeostatConfig {
        gain: get("eta_mu")?,
        max_factor: Some(get("max_scale_step")?),
        inside: inside_target(case.name_of("cfg", "homeo_inside_target")?),
    };
    control.add(Homeostat::new(homeostat)?, period)?;
    let guard = SigmaGuardConfig {
        floor: get("sigma_floor")?,
        ceiling: get("sigma_ceil")?,
        kick: get("sigma_kick")?,
        alive_min: get("alive_min")?,
        dead: SigmaKick::Never,
    };
    control.add(SigmaGuard::new(guard)?, period)?;
    let share = ArShareConfig {
        weight: get("lam_ar")?,
        adapt: case.flag("cfg", "adapt_lam_ar")?,
        target: get("ar_share_target")?,
        cap: case.value("cfg")["ar_share_cap"].as_f64(),
        gain: get("ar_lr")?,
        min: get("lam_ar_min")?,
        max: get("lam_ar_max")?,
        rule: ArShareRule::Reference,
    };
    control.add(ArShare::new(share)?, period)?;
    let scale = ArScale {
        factor: get("ar_k")?,
        floor: get("ar_sigma_floor")?,
        ceiling: get("ar_sigma_ceil")?,
        eps: 1e-12,
        centre: BandCentre::Geometric,
    };
    let ramp = Ramp { warmup, length: steps("ar_ramp_steps")? };
    control.add(ArScaleControl { scale, ramp }, Timing::ALWAYS)?;
    let focus = FocusLow {
        threshold: get("band_low_focus_thresh")?,
        weight_high: get("lam_band_hi_mult")?,
    };
    let focus = case.flag("cfg", "band_focus_low")?.then_some(focus);
    let ramp = Ramp { warmup, length: steps("band_ramp_steps")? };
    control.add(BandWeight::new(get("lam_band")?, ramp, focus), Timing::ALWAYS)?;
    Ok(control)
}

/// A part `[step]` of an input `[steps, ...]`.
fn at(tensor: &Tensor<f64>, step: usize) -> &[f64] {
    let size = tensor.data().len() / tensor.shape().dims()[0];
    &tensor.data()[step * size..][..size]
}

/// The deviation of the AR penalty, even if the term is absent.
fn ar_sigma(case: &Case, control: &LayerControl) -> Result<f64, Failure> {
    let get = |key: &str| case.setting("cfg", key);
    let scale = ArScale {
        factor: get("ar_k")?,
        floor: get("ar_sigma_floor")?,
        ceiling: get("ar_sigma_ceil")?,
        ..ArScale::default()
    };
    let objective = &control.levers().objective;
    let derived = scale.from_band(&objective.band.as_ref().ok_or("no band")?.bounds);
    if let Some(ar) = objective.autoregression {
        assert_eq!(ar.sigma, derived, "the penalty's deviation does not follow the bands");
    }
    Ok(derived)
}

/// `|got - want| <= 1e-9 |want|`, except for numbers that are zero up to the rounding of numbers of
/// order 1.
fn relative(check: &mut Check, name: &str, got: &[f64], want: &Value) {
    check.values(name, got, want);
    let want: Vec<f64> = match want {
        Value::Object(_) => tensor(want).map(|t| t.data().to_vec()).unwrap_or_default(),
        number => number.as_f64().into_iter().collect(),
    };
    for (i, (got, want)) in got.iter().zip(&want).enumerate() {
        if !((got - want).abs() <= 1e-9 * want.abs() + 1e-12) && check.failures.len() < 8 {
            check.failures.push(format!("{name}[{i}] relative: {got:e} instead of {want:e}"));
        }
    }
}

pub(crate) fn trajectory(case: &Case) -> Result<Check, String> {
    checked(|check| run(check, case))
}

fn run(check: &mut Check, case: &Case) -> Result<(), Failure> {
    let config = forecaster(case)?;
    let (units, samples) = (config.units, config.samples);
    let (model, mut parameters) = Forecaster::new::<f64>(config, 0)?;
    case.load(&mut parameters)?;
    let mut control = controllers(case, units)?;
    let get = |key: &str| case.setting("cfg", key);
    let optimizer = AdamWConfig {
        weight_decay: get("weight_decay")?,
        clip_norm: get("clip_grad")?,
        ..AdamWConfig::default()
    };
    let mut optimizer = AdamW::new(&parameters, optimizer)?;
    let (x_cur, x_prev) = (case.tensor("x_cur")?, case.tensor("x_prev")?);
    let (y, eps) = (case.tensor("y")?, case.tensor("eps")?);
    let initial = case.output("initial");
    relative(check, "initial beta", &control.levers().objective.beta, &initial["beta"]);
    relative(check, "initial ar_sigma", &[ar_sigma(case, &control)?], &initial["ar_sigma"]);
    let steps = case.output("steps");
    let use_ar = case.flag("cfg", "use_ar")?;
    let warmup = get("warmup_steps")? as u64;
    let ctrl_every = get("ctrl_every")? as u64;
    let (mut tape, mut bindings) = (Tape::new(), Bindings::new());
    let (mut beta, mut energy) = (Vec::new(), Vec::new());
    let mut acts = 0;
    for step in 0..x_cur.shape().dims()[0] {
        tape.reset();
        let batch = Batch {
            current: at(&x_cur, step),
            previous: at(&x_prev, step),
            target: at(&y, step),
            ..Batch::default()
        };
        let rows = batch.target.len() / config.horizon;
        let noise = tape.constant([samples, rows, units], at(&eps, step))?;
        let local = control.levers().objective.clone();
        let options = LossOptions {
            locals: local_objectives([Some(&local)]),
            measures: UnitMeasures::Pooled,
            noise: Some((samples, Noise::Given(noise))),
            want_mse: true,
        };
        let mut graph =
            Graph::new(&mut tape, &parameters, &mut bindings, Mode::Train, KEY).with_kl_rows(true);
        let terms = model.loss_with(&mut graph, &batch, &options)?;
        let parts = terms.locals[0].ok_or("no local terms")?;
        let band_term = local.band.as_ref().ok_or("no band")?;
        let value = |var| tape.scalar(var);
        let (loss, nll) = (value(terms.loss)?, value(terms.score)?);
        let mse = value(terms.mse.ok_or("no mse")?)?;
        let (weighted_kl, band) = (value(parts.weighted_kl)?, value(parts.band.ok_or("no band")?)?);
        let ar = parts.ar.map_or(Ok(0.0), value)?;
        tape.backward(terms.loss)?;
        tape.release_shared();
        let gradients = (0..parameters.len())
            .map(|i| bindings.get(i).and_then(|v| tape.gradient(v)).map(|g| g.data()));
        let norm = optimizer.step(&mut parameters, get("lr")?, gradients)?;
        let lam_band = get("lam_band")?;
        let losses =
            LossValues { nll, mse, weighted_kl, weighted_band: band_term.weight * band, ar };
        control.observe(&tape, model.layer(), &terms.outputs[0].ok_or("no layer")?, losses);
        assert!(control.act(model.layer(), &mut parameters).is_none(), "moments are kept");
        let scales = ["s_lo", "s_hi"].map(|name| control.reported("band_calibration", name));
        let lam_ar = control.reported("ar_share", "ar_weight").ok_or("no AR weight")?;
        let ramp = Ramp { warmup, length: get("ar_ramp_steps")? as u64 };
        let ar_mult = local.autoregression.map_or(ramp.at(step as u64), |ar| ar.ramp);
        for (name, got) in [
            ("loss", loss),
            ("recon_nll", nll),
            ("reg_kl", weighted_kl),
            ("band", band),
            ("ar", ar),
            ("mse", mse),
            ("band_mult", band_term.weight / lam_band),
            ("ar_mult", ar_mult),
            ("weight_high", band_term.hinge.weight_high),
            ("grad_norm", norm),
            ("s_lo", scales[0].ok_or("no scale")?),
            ("s_hi", scales[1].ok_or("no scale")?),
            ("ar_sigma", ar_sigma(case, &control)?),
            ("lam_ar", lam_ar),
        ] {
            relative(check, &format!("{name}[{step}]"), &[got], &steps[name][step]);
        }
        beta.extend_from_slice(&control.levers().objective.beta);
        energy.extend_from_slice(control.monitor().energy());
        if control.step().is_multiple_of(ctrl_every) {
            let want = &case.output("acts")[acts];
            for (name, what) in [("eta_eff", "eta"), ("s_min", "s_min"), ("s_max", "s_max")] {
                if !want[name].is_null() {
                    let got = control.reported("homeostat", what).ok_or("no homeostat")?;
                    relative(check, &format!("{name} of act {acts}"), &[got], &want[name]);
                }
            }
            if !want["ar_share"].is_null() {
                let got = control.reported("ar_share", "ar_share").ok_or("no share")?;
                relative(check, &format!("share of act {acts}"), &[got], &want["ar_share"]);
            }
            acts += 1;
        }
    }
    relative(check, "beta", &beta, case.output("beta"));
    relative(check, "mu2_ema", &energy, case.output("mu2_ema"));
    for (index, parameter) in parameters.iter().enumerate() {
        let name = parameter.name();
        let want = &case.output("final_params")[name];
        relative(check, name, parameters_at(&parameters, index), want);
    }
    // The held-out batch, with the final weights and controllers.
    tape.reset();
    let held = ["eval_x_cur", "eval_x_prev", "eval_y"].map(|key| case.tensor(key));
    let [current, previous, target] = held;
    let (current, previous, target) = (current?, previous?, target?);
    let batch = Batch {
        current: current.data(),
        previous: previous.data(),
        target: target.data(),
        ..Batch::default()
    };
    let eps = case.tensor("eval_eps")?;
    let noise = tape.constant(*eps.shape(), eps.data())?;
    let mut local = control.levers().objective.clone();
    if let Some(band) = &mut local.band {
        band.hinge.weight_high = 1.0;
    }
    let options = LossOptions {
        locals: local_objectives([Some(&local)]),
        measures: UnitMeasures::Pooled,
        noise: Some((config.evaluate_samples, Noise::Given(noise))),
        want_mse: true,
    };
    let mut graph =
        Graph::new(&mut tape, &parameters, &mut bindings, Mode::Evaluate, KEY).with_kl_rows(true);
    let terms = model.loss_with(&mut graph, &batch, &options)?;
    let parts = terms.locals[0].ok_or("no local terms")?;
    let value = |var| tape.scalar(var);
    let (nll, kl) = (value(terms.score)?, value(terms.kl.ok_or("no kl")?)?);
    let energies = tape.value(terms.outputs[0].ok_or("no units")?.units.m2).data().to_vec();
    let [low, high] = local.band.as_ref().ok_or("no band")?.bounds.outside(&energies);
    let want = case.output("eval");
    for (name, got) in [
        ("loss", value(terms.loss)?),
        ("nll", nll),
        ("mse", value(terms.mse.ok_or("no mse")?)?),
        ("kl", kl),
        ("elbo", nll + kl),
        ("band", value(parts.band.ok_or("no band")?)?),
        ("mu2_mean", energies.iter().sum::<f64>() / units as f64),
        ("frac_too_low", low),
        ("frac_too_high", high),
        ("inside_mass", 1.0 - low - high),
    ] {
        relative(check, &format!("eval {name}"), &[got], &want[name]);
    }
    if use_ar {
        relative(check, "eval ar", &[value(parts.ar.ok_or("no AR term")?)?], &want["ar"]);
    }
    // The scores of the prediction's moments, with the same noise.
    let prediction = tape.no_grad(|tape| {
        let mut graph = Graph::new(tape, &parameters, &mut bindings, Mode::Evaluate, KEY);
        let noise = graph.tape.constant(*eps.shape(), eps.data())?;
        model.predict_given(&mut graph, &batch, (config.evaluate_samples, Noise::Given(noise)))
    })?;
    let floors = Floors {
        sigma: case.setting("fixed", "nll_sigma_floor")?,
        eps: case.setting("fixed", "nll_eps")?,
    };
    let (y, sigma) = (target.data(), &prediction.sigma);
    let [mean, deviation] = floors.mixture_moments(&prediction.means, sigma, y.len())?;
    let average = |of: &dyn Fn(usize) -> f64| (0..y.len()).map(of).sum::<f64>() / y.len() as f64;
    let pinball = |tau: f64| floors.gaussian_pinball(tau, &mean, &deviation, y);
    let pinballs = [pinball(0.1)?, pinball(0.5)?, pinball(0.9)?];
    for (name, got) in [
        ("mae", average(&|i| (mean[i] - y[i]).abs())),
        ("mse", average(&|i| (mean[i] - y[i]).powi(2))),
        ("nll", floors.mixture_nll(&prediction.means, sigma, y, config.horizon)?),
        ("point_nll", floors.gaussian_nll(&mean, sigma, y)?),
        ("crps", floors.gaussian_crps(&mean, &deviation, y)?),
        ("pinball_p10", pinballs[0]),
        ("pinball_p50", pinballs[1]),
        ("pinball_p90", pinballs[2]),
        ("pinball", pinballs.iter().sum::<f64>() / 3.0),
        ("y_sigma_mean", average(&|i| deviation[i])),
        ("loglik", -nll),
        ("mc_samples", prediction.shape[0] as f64),
    ] {
        relative(check, &format!("eval {name}"), &[got], &want[name]);
    }
    Ok(())
}
