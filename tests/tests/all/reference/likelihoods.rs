//! Topic 9: the densities, scores and quantile losses of the reference, with its floors.

use crate::reference::case::{Case, Check};
use vdn_autograd::{Density, MixtureNll, Score, Tape, Var};
use vdn_train::metrics::reference::Floors;

type Failure = Box<dyn std::error::Error>;

/// The moment-matched CRPS as a graph: `s (z erf(z/sqrt 2) + 2 phi(z) - 1/sqrt pi)`, with
/// `z Phi(z) = gelu(z)`.
fn crps(
    tape: &mut Tape<f64>,
    [mu, sigma, y]: [Var; 3],
    floor: f64,
    eps: f64,
) -> Result<Var, Failure> {
    let s = tape.clamp(sigma, floor, f64::INFINITY)?;
    let residual = tape.sub(y, mu)?;
    let guarded = tape.add_scalar(s, eps)?;
    let z = tape.div(residual, guarded)?;
    let twice = tape.gelu(z)?;
    let twice = tape.scale(twice, 2.0)?;
    let even = tape.sub(twice, z)?;
    let squared = tape.square(z)?;
    let exponent = tape.scale(squared, -0.5)?;
    let density = tape.exp(exponent)?;
    let density = tape.scale(density, 2.0 / std::f64::consts::TAU.sqrt())?;
    let sum = tape.add(even, density)?;
    let sum = tape.add_scalar(sum, -1.0 / std::f64::consts::PI.sqrt())?;
    let scores = tape.mul(s, sum)?;
    Ok(tape.mean(scores)?)
}

pub(crate) fn gaussian(case: &Case) -> Result<Check, String> {
    let mut check = Check::default();
    let mut run = || -> Result<(), Failure> {
        let (floor, eps) = (case.number("sigma_floor")?, case.number("eps")?);
        for (name, want) in [("nll", "grad_"), ("crps", "crps_grad_")] {
            let mut tape = Tape::new();
            let (mu, sigma) = (case.variable(&mut tape, "mu")?, case.variable(&mut tape, "sigma")?);
            let y = case.constant(&mut tape, "y")?;
            let value = match name {
                "nll" => {
                    tape.gaussian_nll_with(mu, sigma, y, Density { sigma_floor: floor, eps })?
                }
                _ => crps(&mut tape, [mu, sigma, y], floor, eps)?,
            };
            tape.backward(value)?;
            check.var(name, &tape, value, case.output(name));
            check.gradient(&format!("{want}mu"), &tape, mu, case.output(&format!("{want}mu")));
            check.gradient(
                &format!("{want}sigma"),
                &tape,
                sigma,
                case.output(&format!("{want}sigma")),
            );
        }
        let floors = Floors { sigma: floor, eps };
        let [mu, sigma, y] = [case.tensor("mu")?, case.tensor("sigma")?, case.tensor("y")?];
        let (mu, sigma, y) = (mu.data(), sigma.data(), y.data());
        check.values("crps metric", &[floors.gaussian_crps(mu, sigma, y)?], case.output("crps"));
        check.values("nll metric", &[floors.gaussian_nll(mu, sigma, y)?], case.output("nll"));
        let mut losses = Vec::new();
        for (tau, name) in [(0.1, "pinball_p10"), (0.5, "pinball_p50"), (0.9, "pinball_p90")] {
            let loss = floors.gaussian_pinball(tau, mu, sigma, y)?;
            check.values(name, &[loss], case.output(name));
            losses.push(loss);
        }
        let mean = losses.iter().sum::<f64>() / 3.0;
        check.values("pinball_mean", &[mean], case.output("pinball_mean"));
        Ok(())
    };
    run().map_err(|e| e.to_string())?;
    Ok(check)
}

pub(crate) fn mixture(case: &Case) -> Result<Check, String> {
    let mut check = Check::default();
    let mut run = || -> Result<(), Failure> {
        let number = |key: &str, usual: f64| {
            if case.value(key).is_null() { Ok(usual) } else { case.number(key) }
        };
        let density =
            Density { sigma_floor: number("sigma_floor", 1e-6)?, eps: number("eps", 1e-12)? };
        let mut tape = Tape::new();
        let (mu, sigma) =
            (case.variable(&mut tape, "mu_samples")?, case.variable(&mut tape, "sigma")?);
        let y = case.constant(&mut tape, "y")?;
        let options = MixtureNll { density, ..MixtureNll::new(Score::Tempered) };
        let nll = tape.mixture_nll_with(mu, sigma, y, options)?;
        tape.backward(nll)?;
        check.var("nll", &tape, nll, case.output("nll"));
        check.gradient("grad_mu_samples", &tape, mu, case.output("grad_mu_samples"));
        check.gradient("grad_sigma", &tape, sigma, case.output("grad_sigma"));
        let floors = Floors { sigma: density.sigma_floor, eps: density.eps };
        let n = tape.shape(y).numel();
        let [mean, deviation] =
            floors.mixture_moments(tape.value(mu).data(), tape.value(sigma).data(), n)?;
        check.values("mean", &mean, case.output("mean"));
        check.values("std", &deviation, case.output("std"));
        Ok(())
    };
    run().map_err(|e| e.to_string())?;
    Ok(check)
}
