//! Topics 1, 2 and 10: the fused unit, the general KL, a whole layer.

use crate::reference::case::{Case, Check};
use vdn_autograd::{ConditionalPrior, Noise, SampleKl, Tape, Var};
use vdn_model::core::{Bindings, Builder, Graph, Mode, Parameters};
use vdn_model::units::{LayerConfig, SigmaMode, VariationalLayer};
use vdn_tensor::kernels::Pool;
use vdn_tensor::kernels::unit::ClampGradient;
use vdn_tensor::noise::NoiseKey;

/// `sum(w * x)`.
pub(crate) fn weighted_sum(tape: &mut Tape<f64>, weights: Var, x: Var) -> Result<Var, String> {
    let product = tape.mul(weights, x).map_err(|e| e.to_string())?;
    tape.sum(product).map_err(|e| e.to_string())
}

pub(crate) fn gaussian_unit(case: &Case) -> Result<Check, String> {
    let mut check = Check::default();
    let mut run = || -> Result<(), Box<dyn std::error::Error>> {
        let mut tape = Tape::new();
        let (mu, logvar) = (case.variable(&mut tape, "mu")?, case.variable(&mut tape, "logvar")?);
        let eps = case.constant(&mut tape, "eps")?;
        let samples = tape.shape(eps).dims()[0];
        let how = SampleKl {
            clamp_gradient: ClampGradient::Zero,
            emit_kl: true,
            ..SampleKl::new(samples, Noise::Given(eps))
        };
        let units = tape.sample_kl(mu, logvar, how)?;
        let (dz, beta) = (case.constant(&mut tape, "dz")?, case.constant(&mut tape, "beta")?);
        let upstream = weighted_sum(&mut tape, dz, units.z)?;
        let weighted = tape.weighted_kl(&units, beta)?;
        let loss = tape.add(upstream, weighted)?;
        let kl_per_unit = tape.unit_kl(&units)?;
        tape.backward(loss)?;
        check.var("z", &tape, units.z, case.output("z"));
        check.var("kl", &tape, units.kl.ok_or("no kl")?, case.output("kl"));
        check.var("kl_per_unit", &tape, kl_per_unit, case.output("kl_per_unit"));
        check.var("mu2", &tape, units.m2, case.output("mu2"));
        check.var("loss", &tape, loss, case.output("loss"));
        check.gradient("grad_mu", &tape, mu, case.output("grad_mu"));
        check.gradient("grad_logvar", &tape, logvar, case.output("grad_logvar"));
        Ok(())
    };
    run().map_err(|e| e.to_string())?;
    Ok(check)
}

pub(crate) fn kl_general(case: &Case) -> Result<Check, String> {
    let mut check = Check::default();
    let mut run = || -> Result<(), Box<dyn std::error::Error>> {
        let mut tape = Tape::new();
        let names = ["mu_q", "logvar_q", "mu_p", "logvar_p"];
        let mut vars = Vec::new();
        for name in names {
            vars.push(case.variable(&mut tape, name)?);
        }
        let w = case.constant(&mut tape, "w")?;
        let kl = tape.kl_gaussian(vars[0], vars[1], vars[2], vars[3])?;
        let loss = weighted_sum(&mut tape, w, kl)?;
        tape.backward(loss)?;
        check.var("kl", &tape, kl, case.output("kl"));
        check.var("loss", &tape, loss, case.output("loss"));
        for (name, var) in names.into_iter().zip(vars) {
            let name = format!("grad_{name}");
            check.gradient(&name, &tape, var, case.output(&name));
        }
        Ok(())
    };
    run().map_err(|e| e.to_string())?;
    Ok(check)
}

/// The KL divergence from an autoregressive prior, given the previous latent.
pub(crate) fn kl_ar(case: &Case) -> Result<Check, String> {
    let mut check = Check::default();
    let mut run = || -> Result<(), Box<dyn std::error::Error>> {
        let mut tape = Tape::new();
        let (mu, log_variance) =
            (case.variable(&mut tape, "mu")?, case.variable(&mut tape, "logvar")?);
        let (phi, previous) =
            (case.variable(&mut tape, "phi")?, case.variable(&mut tape, "z_prev")?);
        let log_sigma = case.variable(&mut tape, "log_sigma_p")?;
        let logvar = tape.scale(log_sigma, 2.0)?;
        let prior = ConditionalPrior { previous, phi, logvar };
        let kl = tape.kl_autoregressive(mu, log_variance, prior, None)?;
        let kl_per_unit = tape.mean_axis(kl, 0)?;
        let w = case.constant(&mut tape, "w")?;
        let loss = weighted_sum(&mut tape, w, kl)?;
        tape.backward(loss)?;
        for (name, var) in [("kl", kl), ("kl_per_unit", kl_per_unit), ("loss", loss)] {
            check.var(name, &tape, var, case.output(name));
        }
        let inputs = [mu, log_variance, phi, previous, log_sigma];
        for (name, var) in ["mu", "logvar", "phi", "z_prev", "log_sigma_p"].into_iter().zip(inputs)
        {
            let name = format!("grad_{name}");
            check.gradient(&name, &tape, var, case.output(&name));
        }
        Ok(())
    };
    run().map_err(|e| e.to_string())?;
    Ok(check)
}

pub(crate) fn layer(case: &Case) -> Result<Check, String> {
    let mut check = Check::default();
    let mut run = || -> Result<(), Box<dyn std::error::Error>> {
        let (units, latent_dims) = (case.count("n_units")?, case.count("latent_k")?);
        let h = case.tensor("h")?;
        let config = LayerConfig {
            inputs: h.shape().last(),
            units,
            latent_dims,
            sigma: match case.text("sigma_mode")? {
                "scalar" => SigmaMode::Scalar,
                "per_unit" => SigmaMode::PerUnit,
                "per_unit_input" => SigmaMode::PerUnitInput,
                other => return Err(format!("sigma_mode {other}").into()),
            },
            pooling: Some(match case.text("pool")? {
                "mean" => Pool::Mean,
                "sum" => Pool::Sum,
                "sum_sqrtk" => Pool::SumSqrtK,
                other => return Err(format!("pool {other}").into()),
            }),
            clamp_gradient: ClampGradient::Zero,
            emit_kl: true,
            ..LayerConfig::default()
        };
        let mut parameters = Parameters::<f64>::new();
        let layer = VariationalLayer::new(&mut Builder::new(&mut parameters, 0), config)?;
        case.load(&mut parameters)?;
        let (mut tape, mut bindings) = (Tape::new(), Bindings::new());
        let h = case.variable(&mut tape, "h")?;
        let eps = case.constant(&mut tape, "eps")?;
        let (samples, batch) = (case.count("n_samples")?, tape.shape(h).dims()[0]);
        let eps = tape.reshape(eps, [samples, batch, units * latent_dims])?;
        let mut graph = Graph::new(
            &mut tape,
            &parameters,
            &mut bindings,
            Mode::Evaluate,
            NoiseKey::new(0, 0, 0),
        );
        let output = layer.forward_with(&mut graph, h, samples, Noise::Given(eps))?;
        let [mu_eff, sigma_eff] = layer.pooled_posterior(&mut graph, &output)?;
        let kl = output.units.kl.ok_or("no kl")?;
        let kl = tape.reshape(kl, [batch, units, latent_dims])?;
        let kl_per_unit = tape.sum_axis(kl, 2)?;
        let kl_sum = tape.sum_axis(kl_per_unit, 1)?;
        let z = tape.mean_axis(output.z, 0)?;
        let w = case.constant(&mut tape, "w")?;
        let upstream = weighted_sum(&mut tape, w, output.z)?;
        let total = tape.sum(kl_per_unit)?;
        let loss = tape.add(upstream, total)?;
        tape.backward(loss)?;
        let outputs = [
            ("z_samples", output.z),
            ("z", z),
            ("mu_eff", mu_eff),
            ("sigma_eff", sigma_eff),
            ("kl_per_unit", kl_per_unit),
            ("kl_sum", kl_sum),
            ("loss", loss),
        ];
        for (name, var) in outputs {
            check.var(name, &tape, var, case.output(name));
        }
        check.gradient("grad_h", &tape, h, case.output("grad_h"));
        parameter_gradients(&mut check, &tape, &parameters, &bindings, case)?;
        Ok(())
    };
    run().map_err(|e| e.to_string())?;
    Ok(check)
}

/// Compares the gradients of all parameters with `grad_params`.
pub(crate) fn parameter_gradients(
    check: &mut Check,
    tape: &Tape<f64>,
    parameters: &Parameters<f64>,
    bindings: &Bindings,
    case: &Case,
) -> Result<(), String> {
    let want = case.output("grad_params");
    for (index, parameter) in parameters.iter().enumerate() {
        let name = parameter.name();
        let var = bindings.get(index).ok_or_else(|| format!("{name} took no part"))?;
        check.gradient(&format!("grad {name}"), tape, var, &want[name]);
    }
    Ok(())
}
