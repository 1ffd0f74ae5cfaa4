//! Topics 3, 4, 5 and 8: the autoregressive penalty, energy bands, projection, calibration,
//! selection.

use crate::reference::case::{Case, Check, tensor};
use serde_json::Value;
use vdn_autograd::{Noise, SampleKl, Tape};
use vdn_model::controllers::{
    BandCalibration, BandCalibrationConfig, BandConfig, BandShape, BatchWeights, EnergyBand, Hinge,
    HingeForm, LayerControl, LayerControlConfig, Projection, ProjectionConfig, ScaleRule,
    SingleUnit, Timing, projection_factor,
};
use vdn_model::core::{Bindings, Builder, Graph, Mode, Parameters};
use vdn_model::objective::{ArScale, BandCentre, BandTerm, ar_penalty};
use vdn_model::units::{LayerConfig, LayerOutput, VariationalLayer};
use vdn_tensor::Tensor;
use vdn_tensor::noise::NoiseKey;
use vdn_train::train::{Candidate, SelectionRule};

type Failure = Box<dyn std::error::Error>;

/// Runs the body of a case, and converts its errors to text.
pub(crate) fn checked(
    body: impl FnOnce(&mut Check) -> Result<(), Failure>,
) -> Result<Check, String> {
    let mut check = Check::default();
    body(&mut check).map_err(|e| e.to_string())?;
    Ok(check)
}

fn vector(case: &Case, key: &str, units: usize) -> Result<Vec<f64>, String> {
    let data = case.tensor(key)?.data().to_vec();
    Ok(if data.len() == 1 { vec![data[0]; units] } else { data })
}

fn band(case: &Case, units: usize) -> Result<EnergyBand, String> {
    Ok(EnergyBand { lo: vector(case, "lo", units)?, hi: vector(case, "hi", units)? })
}

pub(crate) fn ar_penalty_case(case: &Case) -> Result<Check, String> {
    checked(|check| {
        let mut tape = Tape::new();
        let (cur, prev) = (case.variable(&mut tape, "cur")?, case.variable(&mut tape, "prev")?);
        let (phi, sigma) = (case.number("phi")?, case.number("ar_sigma")?);
        let penalty = ar_penalty(&mut tape, cur, prev, phi, sigma)?;
        tape.backward(penalty)?;
        check.var("penalty", &tape, penalty, case.output("penalty"));
        check.gradient("grad_cur", &tape, cur, case.output("grad_cur"));
        check.gradient("grad_prev", &tape, prev, case.output("grad_prev"));
        Ok(())
    })
}

fn ar_scale(case: &Case, centre: BandCentre, eps: f64) -> Result<ArScale, String> {
    let [factor, floor, ceiling] = ["ar_k", "floor", "ceil"].map(|key| case.number(key));
    Ok(ArScale { factor: factor?, floor: floor?, ceiling: ceiling?, eps, centre })
}

pub(crate) fn ar_sigma_from_band(case: &Case) -> Result<Check, String> {
    checked(|check| {
        let band = band(case, 1)?;
        for (name, centre) in [("geom", BandCentre::Geometric), ("arith", BandCentre::Arithmetic)] {
            let sigma = ar_scale(case, centre, case.number("eps")?)?.from_band(&band);
            check.values(name, &[sigma], case.output(name));
        }
        Ok(())
    })
}

pub(crate) fn ar_sigma_from_width(case: &Case) -> Result<Check, String> {
    checked(|check| {
        let scale = ar_scale(case, BandCentre::Geometric, 1e-12)?;
        let sigma = scale.from_width(case.number("band_width_mean")?);
        check.values("ar_sigma", &[sigma], case.output("ar_sigma"));
        Ok(())
    })
}

pub(crate) fn make_band(case: &Case) -> Result<Check, String> {
    checked(|check| {
        let spread = case.number("hetero_spread")?;
        let shape = match case.text("mode")? {
            "homog" => BandShape::Homogeneous,
            _ => BandShape::Heterogeneous { spread, shuffled: None, single: SingleUnit::LowEnd },
        };
        let config = BandConfig {
            target: case.number("mu2_target")?,
            low_factor: case.number("lo_k")?,
            high_factor: case.number("hi_k")?,
            shape,
        };
        let band = EnergyBand::new(case.count("n_units")?, &config)?;
        check.values("lo", &band.lo, case.output("lo"));
        check.values("hi", &band.hi, case.output("hi"));
        Ok(())
    })
}

pub(crate) fn hinge(case: &Case) -> Result<Check, String> {
    checked(|check| {
        let mut tape = Tape::new();
        let mu = case.variable(&mut tape, "mu")?;
        let shape = *tape.shape(mu);
        let units = shape.last();
        let rows = shape.numel() / units;
        let matrix = tape.reshape(mu, [rows, units])?;
        // The energy comes from the fused operation, as in a layer.
        let logvar = tape.constant([], &[0.0])?;
        let noise = tape.constant_with([1, rows, units], |to| to.fill(0.0))?;
        let fused = tape.sample_kl(matrix, logvar, SampleKl::new(1, Noise::Given(noise)))?;
        let band = band(case, units)?;
        let form = match case.text("mode")? {
            "abs" => HingeForm::Absolute,
            _ => HingeForm::Relative { eps: case.number("eps")? },
        };
        let [weight_low, weight_high] = [case.number("weight_low")?, case.number("weight_high")?];
        let hinge = Hinge { form, weight_low, weight_high };
        let penalty = hinge.penalty(&mut tape, fused.m2, &band)?;
        tape.backward(penalty)?;
        let energy = tape.value(fused.m2).data().to_vec();
        let [low, high] = band.outside(&energy);
        let mean = energy.iter().sum::<f64>() / units as f64;
        check.var("penalty", &tape, penalty, case.output("penalty"));
        check.values("mu2", &energy, case.output("mu2"));
        check.gradient("grad_mu", &tape, mu, case.output("grad_mu"));
        check.values("mu2_mean", &[mean], case.output("mu2_mean"));
        check.values("frac_too_low", &[low], case.output("frac_too_low"));
        check.values("frac_too_high", &[high], case.output("frac_too_high"));
        Ok(())
    })
}

/// A forward pass of a layer on given contexts, without noise.
fn pass(
    tape: &mut Tape<f64>,
    layer: &VariationalLayer,
    parameters: &Parameters<f64>,
    h: &Tensor<f64>,
) -> Result<LayerOutput, Failure> {
    let mut bindings = Bindings::new();
    let dims = layer.config().units * layer.config().latent_dims;
    let rows = h.shape().rows();
    let h = tape.constant(*h.shape(), h.data())?;
    let noise = tape.constant_with([1, rows, dims], |to| to.fill(0.0))?;
    let key = NoiseKey::new(0, 0, 0);
    let mut graph = Graph::new(tape, parameters, &mut bindings, Mode::Evaluate, key);
    Ok(layer.forward_with(&mut graph, h, 1, Noise::Given(noise))?)
}

pub(crate) fn projection(case: &Case) -> Result<Check, String> {
    checked(|check| {
        let (units, latent_dims) = (case.count("n_units")?, case.count("latent_k")?);
        let weight = case.tensor("weight")?;
        let inputs = weight.shape().last();
        let config = LayerConfig { inputs, units, latent_dims, ..LayerConfig::default() };
        let mut parameters = Parameters::<f64>::new();
        let layer = VariationalLayer::new(&mut Builder::new(&mut parameters, 0), config)?;
        let [weight_id, bias_id] = layer.mean_parameters().map(|id| id.index());
        parameters.data_mut(weight_id).copy_from_slice(weight.data());
        let has_bias = !case.value("bias").is_null();
        let bias = if has_bias {
            case.tensor("bias")?.data().to_vec()
        } else {
            vec![0.0; units * latent_dims]
        };
        parameters.data_mut(bias_id).copy_from_slice(&bias);
        let band = band(case, units)?;
        let max_factor = case.value("max_scale").as_f64();
        let eps = case.number("eps")?;
        let max_batches = case.count("max_batches")? as u64;
        let projection =
            ProjectionConfig { max_factor, max_batches, eps, weights: BatchWeights::Equal };
        let batches = case.value("h_batches").as_array().ok_or("no batches")?;
        let batches: Result<Vec<_>, _> = batches.iter().map(tensor).collect();
        let batches = batches?;
        let mut energies = Vec::new();
        let mut scales = Vec::new();
        for after in [false, true] {
            let mut control = LayerControl::new(units, latent_dims, LayerControlConfig::default());
            let hinge = Hinge { form: HingeForm::Absolute, weight_low: 1.0, weight_high: 1.0 };
            let term = BandTerm { bounds: band.clone(), hinge, weight: 0.0 };
            control.levers_mut().objective.band = Some(term);
            // Acts after the last batch; without any batch, on nothing.
            let timing = Timing { warmup: 0, every: batches.len().max(1) as u64 };
            control.add(Projection::new(units, projection)?, timing)?;
            let mut mean = Projection::new(units, projection)?;
            for h in &batches {
                let mut tape = Tape::new();
                let output = pass(&mut tape, &layer, &parameters, h)?;
                control.observe(&tape, &layer, &output, Default::default());
                vdn_model::controllers::Controller::observe(&mut mean, control.observation());
            }
            let energy: Vec<f64> = mean.energy().iter().map(|e| e.max(eps)).collect();
            if !after {
                control.act(&layer, &mut parameters);
                scales.extend_from_slice(&control.levers().gain);
                for (i, &s) in scales.iter().enumerate() {
                    assert_eq!(
                        s,
                        projection_factor(energy[i], [band.lo[i], band.hi[i]], max_factor)
                    );
                }
            }
            energies.push(energy);
        }
        let mean = |x: &[f64]| x.iter().sum::<f64>() / x.len() as f64;
        let [low, high] = band.outside(&energies[0]);
        let least = scales.iter().copied().fold(f64::INFINITY, f64::min);
        let largest = scales.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        check.values("mu2", &energies[0], case.output("mu2"));
        check.values("scale", &scales, case.output("scale"));
        check.values("weight", parameters_at(&parameters, weight_id), case.output("weight"));
        if has_bias {
            check.values("bias", parameters_at(&parameters, bias_id), case.output("bias"));
        }
        check.values("mu2_after", &energies[1], case.output("mu2_after"));
        for (name, got) in [
            ("mu2_mean_before", mean(&energies[0])),
            ("mu2_mean_after", mean(&energies[1])),
            ("frac_too_low", low),
            ("frac_too_high", high),
            ("s_min", least),
            ("s_max", largest),
        ] {
            check.values(name, &[got], case.output(name));
        }
        Ok(())
    })
}

pub(crate) fn parameters_at(parameters: &Parameters<f64>, index: usize) -> &[f64] {
    parameters.iter().nth(index).map_or(&[], |p| p.tensor().data())
}

/// The calibration that `cfg` describes, as in the reference.
pub(crate) fn calibration_config(case: &Case, cfg: &str) -> Result<BandCalibrationConfig, String> {
    let get = |key: &str| case.setting(cfg, key);
    Ok(BandCalibrationConfig {
        share_low: get("band_target_low")?,
        share_high: get("band_target_high")?,
        fall_cap: get("band_calib_step_cap")?,
        rise_cap: get("band_expand_cap")?,
        inside_min: get("inside_mass_target_min")?,
        high_max: get("frac_high_hard_max")?,
        low_max: get("frac_low_hard_max")?,
        scale_min: get("band_scale_min")?,
        scale_max: get("band_scale_max")?,
        smoothing: get("band_calib_ema")?,
        rule: ScaleRule::Scales,
    })
}

pub(crate) fn calibration(case: &Case) -> Result<Check, String> {
    checked(|check| {
        let base = EnergyBand {
            lo: case.tensor("base_lo")?.data().to_vec(),
            hi: case.tensor("base_hi")?.data().to_vec(),
        };
        let energies = case.tensor("mu2")?;
        let units = base.len();
        let mut now = base.clone();
        let mut calibration = BandCalibration::new(base, calibration_config(case, "cfg")?)?;
        calibration.set_scales([case.number("s_lo")?, case.number("s_hi")?]);
        let names = [
            ("s_lo", "s_lo"),
            ("s_hi", "s_hi"),
            ("q_lo", "q_lo"),
            ("q_hi", "q_hi"),
            ("low", "frac_too_low_proxy"),
            ("high", "frac_too_high_proxy"),
            ("inside", "inside_mass_proxy"),
        ];
        for (t, energy) in energies.data().chunks_exact(units).enumerate() {
            calibration.update(energy);
            calibration.write(&mut now);
            let mut reported = Vec::new();
            vdn_model::controllers::Controller::report(&calibration, &mut |name, value| {
                reported.push((name, value));
            });
            for (name, output) in names {
                let value = reported.iter().find(|(n, _)| *n == name).ok_or("not reported")?.1;
                check.values(&format!("{output}[{t}]"), &[value], &case.output(output)[t]);
            }
            let width = now.hi.iter().zip(&now.lo).map(|(h, l)| h - l).sum::<f64>() / units as f64;
            check.values(&format!("width[{t}]"), &[width], &case.output("band_width_mean")[t]);
        }
        Ok(())
    })
}

pub(crate) fn selection(case: &Case) -> Result<Check, String> {
    checked(|check| {
        let get = |key: &str| case.setting("cfg", key);
        let rule = SelectionRule {
            gate_epoch: get("select_gate_epoch")? as u64,
            high_max: get("frac_high_hard_max")?,
            inside_min: get("inside_mass_hard_min")?,
            low_max: get("frac_low_hard_max")?,
            inside_target: get("inside_mass_target_min")?,
            band_cap: get("band_soft_cap")?,
            low_target: get("band_target_low")?,
            high_target: get("band_target_high")?,
            invalid: get("score_invalid_penalty")?,
            kl_cap: case.value("cfg")["kl_cap"].as_f64(),
        };
        for (i, row) in case.value("rows").as_array().ok_or("no rows")?.iter().enumerate() {
            let get = |key: &str| row[key].as_f64();
            let candidate = Candidate {
                epoch: row["epoch"].as_u64(),
                nll: get("nll"),
                mse: get("mse"),
                low: get("frac_too_low"),
                high: get("frac_too_high"),
                inside: get("inside_mass"),
                band: get("band"),
                kl: get("kl"),
            };
            check.values(
                &format!("score[{i}]"),
                &[rule.score(&candidate)],
                &case.output("score")[i],
            );
            let inside = candidate.inside_from_shares();
            check.values(
                &format!("inside[{i}]"),
                &[inside],
                &case.output("inside_mass_from_stats")[i],
            );
            let valid = Value::Bool(rule.valid(&candidate));
            if valid != case.output("valid")[i] {
                check.failures.push(format!("valid[{i}]: {valid}"));
            }
        }
        Ok(())
    })
}
