//! Topics 6 and 7: the thermostat, the homeostat, and the reference's regulator, which combines
//! both with the guard and the AR share.

use crate::reference::bands::{checked, parameters_at};
use crate::reference::case::{Case, Check};
use serde_json::Value;
use vdn_model::controllers::{
    ArShare, ArShareConfig, ArShareRule, BetaThermostat, EnergyBand, Hinge, HingeForm, Homeostat,
    HomeostatConfig, InsideTarget, LayerControl, LayerControlConfig, Levers, LossValues, Monitor,
    MonitorConfig, Observation, Rescaling, Sees, SigmaGuard, SigmaGuardConfig, SigmaKick,
    ThermostatConfig, Timing, homeostat_factor, homeostat_target,
};
use vdn_model::core::{Builder, Parameters};
use vdn_model::objective::{ArTerm, BandTerm, EarlierWindow, UnitMeasures};
use vdn_model::units::{LayerConfig, SigmaMode, VariationalLayer};

/// The thermostat that `object` describes, as in the reference.
pub(crate) fn thermostat_config(case: &Case, object: &str) -> Result<ThermostatConfig, String> {
    let get = |key: &str| case.setting(object, key);
    Ok(ThermostatConfig {
        initial: get("beta_init")?,
        min: get("beta_min")?,
        max: get("beta_max")?,
        ratio_min: get("beta_ratio_min")?,
        ratio_max: get("beta_ratio_max")?,
        low: get("C_min")?,
        high: get("C_max")?,
        smoothing: get("ema_alpha").unwrap_or(0.1),
        gain: get("lr_logbeta")?,
        alive_min: get("alive_min")?,
        emergency: get("emergency_factor").unwrap_or(0.5),
        sees: Sees::LastBatch,
    })
}

pub(crate) fn inside_target(name: &str) -> InsideTarget {
    match name {
        "center_geom" => InsideTarget::Geometric,
        "center_arith" => InsideTarget::Arithmetic,
        _ => InsideTarget::Energy,
    }
}

/// A band term of weight 0 with these bounds.
pub(crate) fn silent_band(bounds: EnergyBand) -> BandTerm {
    let hinge = Hinge { form: HingeForm::Absolute, weight_low: 1.0, weight_high: 1.0 };
    BandTerm { bounds, hinge, weight: 0.0 }
}

pub(crate) fn thermostat(case: &Case) -> Result<Check, String> {
    checked(|check| {
        let units = case.count("n_units")?;
        let config = thermostat_config(case, "params")?;
        let alive_kl = case.setting("params", "kl_eps")?;
        let mut thermostat = BetaThermostat::new(units, config)?;
        check.values("beta_initial", thermostat.beta(), case.output("beta_initial"));
        let kl = case.tensor("kl")?;
        let steps = kl.shape().dims()[0];
        let mut observation = Observation::new(units, units);
        let running = MonitorConfig { alive_kl, ..MonitorConfig::default() };
        let monitor = Monitor::new(units, running);
        let mut levers = Levers::new(units, 1.0);
        let mut got: [Vec<f64>; 3] = Default::default();
        for rows in kl.data().chunks_exact(kl.data().len() / steps) {
            observation.set_rows(&vec![0.0; rows.len()], rows, alive_kl);
            use vdn_model::controllers::Controller;
            thermostat.observe(&observation);
            let moment = vdn_model::controllers::Moment { step: 1, monitor: &monitor };
            thermostat.act(&moment, &mut levers);
            assert_eq!(levers.objective.beta, thermostat.beta());
            for (to, from) in
                got.iter_mut().zip([thermostat.beta(), thermostat.kl(), thermostat.alive()])
            {
                to.extend_from_slice(from);
            }
        }
        for (name, got) in ["beta", "kl_ema", "alive_ema"].into_iter().zip(&got) {
            check.values(name, got, case.output(name));
        }
        Ok(())
    })
}

/// A layer with the given mean head.
fn layer(
    case: &Case,
    units: usize,
    latent_dims: usize,
    sigma: SigmaMode,
) -> Result<(VariationalLayer, Parameters<f64>), Box<dyn std::error::Error>> {
    let weight = case.tensor("weight")?;
    let config = LayerConfig {
        inputs: weight.shape().last(),
        units,
        latent_dims,
        sigma,
        ..LayerConfig::default()
    };
    let mut parameters = Parameters::<f64>::new();
    let layer = VariationalLayer::new(&mut Builder::new(&mut parameters, 0), config)?;
    let [weight_id, bias_id] = layer.mean_parameters();
    parameters.data_mut(weight_id.index()).copy_from_slice(weight.data());
    parameters.data_mut(bias_id.index()).copy_from_slice(case.tensor("bias")?.data());
    Ok((layer, parameters))
}

pub(crate) fn rescale(case: &Case) -> Result<Check, String> {
    checked(|check| {
        let energies = case.tensor("mu2")?;
        let (lo, hi) = (case.tensor("lo")?, case.tensor("hi")?);
        let band = EnergyBand { lo: lo.data().to_vec(), hi: hi.data().to_vec() };
        let (eta, eps) = (case.number("eta")?, case.number("eps")?);
        let max_factor = case.value("max_scale_step").as_f64();
        let inside = inside_target(case.text("inside_target")?);
        let units = band.len();
        let (layer, mut parameters) =
            layer(case, units, case.count("latent_k")?, SigmaMode::PerUnit)?;
        let floored: Vec<f64> = energies.data().iter().map(|e| e.max(eps)).collect();
        let targets: Vec<f64> = (0..units)
            .map(|i| homeostat_target(floored[i], [band.lo[i], band.hi[i]], inside, eps))
            .collect();
        let scales: Vec<f64> = (0..units)
            .map(|i| homeostat_factor(floored[i], targets[i], eta, max_factor, eps))
            .collect();
        layer.rescale_means(&mut parameters, &scales);
        let [weight, bias] = layer.mean_parameters().map(|id| id.index());
        let [low, high] = band.outside(&floored);
        check.values("scale", &scales, case.output("scale"));
        check.values("weight", parameters_at(&parameters, weight), case.output("weight"));
        check.values("bias", parameters_at(&parameters, bias), case.output("bias"));
        for (name, got) in [
            ("frac_too_low", low),
            ("frac_too_high", high),
            ("s_min", scales.iter().copied().fold(f64::INFINITY, f64::min)),
            ("s_max", scales.iter().copied().fold(f64::NEG_INFINITY, f64::max)),
            ("mu2_mean_target", targets.iter().sum::<f64>() / units as f64),
        ] {
            check.values(name, &[got], case.output(name));
        }
        Ok(())
    })
}

/// The reference's regulator: thermostat, homeostat, guard and AR share, in its order.
fn regulator_control(
    case: &Case,
    units: usize,
    latent_dims: usize,
    kick: SigmaKick,
) -> Result<LayerControl, Box<dyn std::error::Error>> {
    let get = |key: &str| case.setting("regulator", key);
    let config = LayerControlConfig {
        beta: 0.0,
        measures: UnitMeasures::Pooled,
        rescaling: Rescaling::Ignore,
        smoothing: get("mu_ema_alpha")?,
        alive_energy: get("alive_mu2_eps")?,
        alive_kl: get("alive_kl_eps")?,
    };
    let timing = Timing {
        warmup: case.count("warmup_steps")? as u64,
        every: case.count("act_every")? as u64,
    };
    let mut control = LayerControl::new(units, latent_dims, config);
    let bounds = EnergyBand {
        lo: case.tensor("lo")?.data().to_vec(),
        hi: case.tensor("hi")?.data().to_vec(),
    };
    let levers = control.levers_mut();
    levers.objective.band = Some(silent_band(bounds));
    levers.objective.autoregression = Some(ArTerm {
        weight: 0.0,
        ramp: 0.0,
        phi: 0.95,
        sigma: 1.0,
        earlier: EarlierWindow::Itself,
    });
    if !case.value("beta_controller").is_null() {
        let thermostat = thermostat_config(case, "beta_controller")?;
        control.add(BetaThermostat::new(units, thermostat)?, timing)?;
    }
    if case.flag("regulator", "use_mu_homeostat")? {
        let homeostat = HomeostatConfig {
            gain: get("eta_mu")?,
            max_factor: case.value("regulator")["max_scale_step"].as_f64(),
            inside: inside_target(case.name_of("regulator", "inside_target")?),
        };
        control.add(Homeostat::new(homeostat)?, timing)?;
    }
    if case.flag("regulator", "use_sigma_guard")? {
        let guard = SigmaGuardConfig {
            floor: get("sigma_floor")?,
            ceiling: get("sigma_ceil")?,
            kick: get("sigma_kick")?,
            alive_min: get("alive_min")?,
            dead: kick,
        };
        control.add(SigmaGuard::new(guard)?, timing)?;
    }
    let share = ArShareConfig {
        weight: case.number("lam_ar")?,
        adapt: case.flag("regulator", "adapt_lam_ar")?,
        target: get("ar_share_target")?,
        cap: case.value("ar_share_cap").as_f64(),
        gain: get("ar_lr")?,
        min: get("lam_ar_min")?,
        max: get("lam_ar_max")?,
        rule: ArShareRule::Reference,
    };
    control.add(ArShare::new(share)?, timing)?;
    Ok(control)
}

pub(crate) fn regulator(case: &Case) -> Result<Check, String> {
    checked(|check| {
        let (units, latent_dims) = (case.count("n_units")?, case.count("latent_k")?);
        let sigma = match case.text("sigma_mode")? {
            "scalar" => SigmaMode::Scalar,
            "per_unit" => SigmaMode::PerUnit,
            _ => SigmaMode::PerUnitInput,
        };
        let (layer, mut parameters) = layer(case, units, latent_dims, sigma)?;
        let log_sigma = parameters.find("log_sigma").map(|id| id.index());
        if let Some(index) = log_sigma {
            parameters.data_mut(index).copy_from_slice(case.tensor("log_sigma")?.data());
        }
        // In the reference, the kick only happens with a parameter of the shape [N], and for a
        // single unit.
        let kick =
            if case.name.ends_with("as_reference") { SigmaKick::Never } else { SigmaKick::Dead };
        let mut control = regulator_control(case, units, latent_dims, kick)?;
        if !case.output("beta_initial").is_null() {
            let beta = &control.levers().objective.beta;
            check.values("beta_initial", beta, case.output("beta_initial"));
        }
        let [mu, kl] = ["mu", "kl"].map(|key| case.tensor(key));
        let (mu, kl) = (mu?, kl?);
        let series = |key: &str| case.tensor(key).map(|t| t.data().to_vec());
        let (mse, ar, kl_w) = (series("mse")?, series("ar")?, series("kl_w")?);
        let (band_w, ar_mult) = (series("band_w")?, series("ar_mult")?);
        let [weight, bias] = layer.mean_parameters().map(|id| id.index());
        let (act_every, warmup) = (case.count("act_every")?, case.count("warmup_steps")?);
        let mut rows: [Vec<f64>; 7] = Default::default();
        let mut acts = 0;
        let steps = mse.len();
        let size = mu.data().len() / steps;
        let alive_kl = control.config().alive_kl;
        let adapts = case.flag("regulator", "adapt_lam_ar")?;
        for t in 1..=steps {
            let range = (t - 1) * size..t * size;
            control.observe_with(|seen| {
                seen.set_rows(&mu.data()[range.clone()], &kl.data()[range], alive_kl);
                seen.losses = LossValues {
                    nll: 0.0,
                    mse: mse[t - 1],
                    weighted_kl: kl_w[t - 1],
                    weighted_band: band_w[t - 1],
                    ar: ar[t - 1],
                };
            });
            if let Some(term) = &mut control.levers_mut().objective.autoregression {
                term.ramp = ar_mult[t - 1];
            }
            control.act(&layer, &mut parameters);
            if t % act_every != 0 {
                continue;
            }
            let place = |name: &str| format!("{name}[{acts}]");
            check.values(&place("step"), &[t as f64], &case.output("step")[acts]);
            let lam = control.reported("ar_share", "ar_weight").ok_or("no weight")?;
            check.values(&place("lam_ar"), &[lam], &case.output("lam_ar")[acts]);
            let warm = t >= warmup;
            for (controller, what, output) in
                [("ar_share", "ar_share", "ar_share"), ("homeostat", "eta", "eta_eff")]
            {
                let want = &case.output(output)[acts];
                let got = control.reported(controller, what);
                if want.is_null() {
                    let acted = warm && got.is_some() && (output != "ar_share" || adapts);
                    assert!(!acted, "{output}[{acts}]: {got:?} instead of nothing");
                } else {
                    check.values(&place(output), &[got.ok_or("not reported")?], want);
                }
            }
            let monitor = control.monitor();
            let none: &[f64] = &[];
            let sources = [
                parameters_at(&parameters, weight),
                parameters_at(&parameters, bias),
                log_sigma.map_or(none, |index| parameters_at(&parameters, index)),
                if case.value("beta_controller").is_null() {
                    none
                } else {
                    &control.levers().objective.beta
                },
                monitor.energy(),
                monitor.kl(),
                monitor.alive(),
            ];
            rows.iter_mut().zip(sources).for_each(|(to, from)| to.extend_from_slice(from));
            acts += 1;
        }
        let names = ["weight", "bias", "log_sigma", "beta", "mu2_ema", "kl_ema", "alive_ema"];
        for (name, got) in names.into_iter().zip(&rows) {
            check.values(name, got, case.output(name));
        }
        if case.output("step").as_array().map(Vec::len) != Some(acts) {
            check.failures.push(format!("{acts} acts"));
        }
        if let Value::Array(list) = case.output("lam_ar") {
            assert_eq!(list.len(), acts, "acts");
        }
        Ok(())
    })
}
