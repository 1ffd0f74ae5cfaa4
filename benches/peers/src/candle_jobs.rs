//! The jobs in candle, with its tensor operations and layers.

use crate::{BATCH, HIDDEN, HORIZON, INPUT, ROWS, SAMPLES, UNITS, median};
use candle_core::{D, DType, Device, Result, Tensor, Var};
use candle_nn::{AdamW, Linear, Module, Optimizer, ParamsAdamW, VarBuilder, VarMap, linear, ops};
use std::hint::black_box;
use std::time::Duration;

/// Measures the forward pass, forward and backward pass, and the training step.
pub fn run() -> Result<[Duration; 3]> {
    let device = Device::Cpu;
    let mu = Var::rand(-2_f32, 2.0, (ROWS, UNITS), &device)?;
    let logvar = Var::rand(-1_f32, 0.0, (ROWS, UNITS), &device)?;
    let (plain_mu, plain_logvar) = (mu.as_detached_tensor(), logvar.as_detached_tensor());
    let forward = median(|| {
        let result = units(&plain_mu, &plain_logvar);
        black_box(result.expect("the shapes fit"));
    });
    let both = median(|| {
        let loss = || {
            let (z, kl) = units(&mu, &logvar)?;
            (z.sqr()?.sum_all()? * 0.5)? + kl.sum_all()?
        };
        let gradients = loss().and_then(|loss| loss.backward());
        black_box(gradients.expect("the shapes fit"));
    });
    let mut map = VarMap::new();
    let builder = VarBuilder::from_varmap(&map, DType::F32, &device);
    let model = Forecaster::new(&builder)?;
    for (name, start) in [("log_sigma", 0.5_f32.ln()), ("rho", 0.5)] {
        let shape = if name == "rho" { HORIZON } else { UNITS };
        map.set_one(name, Tensor::full(start, shape, &device)?)?;
    }
    let parameters = ParamsAdamW { lr: 1e-4, weight_decay: 0.0, ..ParamsAdamW::default() };
    let mut optimizer = AdamW::new(map.all_vars(), parameters)?;
    let window = || Tensor::rand(-1.5_f32, 1.5, (BATCH, INPUT), &device);
    let (current, previous) = (window()?, window()?);
    let target = Tensor::rand(-1.5_f32, 1.5, (BATCH, HORIZON), &device)?;
    let step = median(|| {
        let loss = model.loss(&current, &previous, &target);
        let stepped = loss.and_then(|loss| optimizer.backward_step(&loss));
        stepped.expect("the shapes fit");
    });
    Ok([forward, both, step])
}

/// Returns the samples, and the units' KL averaged over the batch.
fn units(mu: &Tensor, logvar: &Tensor) -> Result<(Tensor, Tensor)> {
    let sigma = (logvar * 0.5)?.exp()?;
    let noise = mu.randn_like(0.0, 1.0)?;
    let z = (mu + (&sigma * noise)?)?;
    let kl = (((mu.sqr()? + sigma.sqr()?)? - 1.0)? - logvar)?;
    Ok((z, (kl.mean(0)? * 0.5)?))
}

struct LayerNorm {
    weight: Tensor,
    bias: Tensor,
}

impl LayerNorm {
    fn new(width: usize, builder: &VarBuilder<'_>) -> Result<Self> {
        let weight = builder.get_with_hints(width, "weight", candle_nn::Init::Const(1.0))?;
        let bias = builder.get_with_hints(width, "bias", candle_nn::Init::Const(0.0))?;
        Ok(Self { weight, bias })
    }

    /// The fused operation of candle has no backward pass.
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        ops::layer_norm_slow(x, &self.weight, &self.bias, 1e-5)
    }
}

struct Forecaster {
    window: Linear,
    persist: Linear,
    innovation: Linear,
    mix: Linear,
    out_norm: LayerNorm,
    mu: Linear,
    log_sigma: Tensor,
    in_norm: LayerNorm,
    hidden: Linear,
    skip: Linear,
    gate: Linear,
    delta: Linear,
    rho: Tensor,
}

impl Forecaster {
    fn new(builder: &VarBuilder<'_>) -> Result<Self> {
        let layer = |name, inputs, outputs| linear(inputs, outputs, builder.pp(name));
        Ok(Self {
            window: layer("window", INPUT, HIDDEN)?,
            persist: layer("persist", HIDDEN, HIDDEN)?,
            innovation: layer("innovation", HIDDEN, HIDDEN)?,
            mix: layer("mix", 3 * HIDDEN, HIDDEN)?,
            out_norm: LayerNorm::new(HIDDEN, &builder.pp("out_norm"))?,
            mu: layer("mu", HIDDEN, UNITS)?,
            log_sigma: builder.get(UNITS, "log_sigma")?,
            in_norm: LayerNorm::new(UNITS, &builder.pp("in_norm"))?,
            hidden: layer("hidden", UNITS, HIDDEN)?,
            skip: layer("skip", UNITS, HORIZON)?,
            gate: layer("gate", HIDDEN, HORIZON)?,
            delta: layer("delta", HIDDEN, HORIZON)?,
            rho: builder.get(HORIZON, "rho")?,
        })
    }

    fn loss(&self, current: &Tensor, previous: &Tensor, target: &Tensor) -> Result<Tensor> {
        let (a, b) = (self.window.forward(current)?, self.window.forward(previous)?);
        let difference = (&a - &b)?;
        let persist = self.persist.forward(&((&a + &b)? * 0.5)?)?;
        let innovation = self.innovation.forward(&difference)?;
        let mix = Tensor::cat(&[&a, &b, &difference], 1)?;
        let mix = ops::sigmoid(&self.mix.forward(&mix)?)?;
        let h = self.out_norm.forward(&(persist + (mix * innovation)?)?.gelu_erf()?)?;

        let mu = self.mu.forward(&h)?;
        let logvar = (&self.log_sigma * 2.0)?;
        let sigma = self.log_sigma.exp()?;
        let noise = Tensor::randn(0_f32, 1.0, (SAMPLES, BATCH, UNITS), mu.device())?;
        let z = noise.broadcast_mul(&sigma)?.broadcast_add(&mu)?;
        let constant = ((sigma.sqr()? - &logvar)? - 1.0)?;
        let kl = (((mu.sqr()?.mean(0)? + constant)? * 0.5)?).sum_all()?;

        let u = (z.reshape((SAMPLES * BATCH, UNITS))? * (1.0 / (UNITS as f64).sqrt()))?;
        let active = self.hidden.forward(&self.in_norm.forward(&u)?)?.gelu_erf()?;
        let gate = ops::sigmoid(&self.gate.forward(&active)?)?;
        let y = (self.skip.forward(&u)? + (gate * self.delta.forward(&active)?)?)?;
        let y = y.reshape((SAMPLES, BATCH, HORIZON))?;

        let sigma = ((self.rho.exp()? + 1.0)?.log()? + 0.01)?;
        let standard = y.broadcast_sub(target)?.broadcast_div(&sigma)?;
        // The constant of the density does not affect the gradient.
        let density = (standard.sqr()? * -0.5)?.broadcast_sub(&sigma.log()?)?;
        let per_sample = density.mean(D::Minus1)?;
        let nll = per_sample.log_sum_exp(0)?.mean_all()?.neg()?;
        nll + (kl * 1e-4)?
    }
}
