//! The jobs in burn, with its tensor operations and modules, on the Flex backend.

use crate::{BATCH, HIDDEN, HORIZON, INPUT, ROWS, SAMPLES, UNITS, median};
use burn::module::{Module, Param};
use burn::nn::{LayerNorm, LayerNormConfig, Linear, LinearConfig};
use burn::optim::{AdamWConfig, GradientsParams};
use burn::tensor::activation::{gelu, sigmoid, softplus};
use burn::tensor::{Device, Distribution, Tensor};
use std::hint::black_box;
use std::time::Duration;

/// Measures the forward pass, forward and backward pass, and the training step.
pub fn run() -> [Duration; 3] {
    let device = Device::flex();
    let random = |shape: [usize; 2], low, high, device: &Device| {
        Tensor::<2>::random(shape, Distribution::Uniform(low, high), device)
    };
    let mu = random([ROWS, UNITS], -2.0, 2.0, &device);
    let logvar = random([ROWS, UNITS], -1.0, 0.0, &device);
    let forward = median(|| {
        black_box(units(mu.clone(), logvar.clone()));
    });
    let device = device.autodiff();
    let both = median(|| {
        let mu = mu.clone().autodiff().require_grad();
        let logvar = logvar.clone().autodiff().require_grad();
        let (z, kl) = units(mu, logvar);
        let loss = z.square().sum() * 0.5 + kl.sum();
        black_box(loss.backward());
    });
    let window = || random([BATCH, INPUT], -1.5, 1.5, &device);
    let (current, previous) = (window(), window());
    let target = random([BATCH, HORIZON], -1.5, 1.5, &device);
    let mut model = Some(Forecaster::new(&device));
    let mut optimizer = AdamWConfig::new().with_weight_decay(0.0).init();
    let step = median(|| {
        let old = model.take().expect("the last step gave a model back");
        let loss = old.loss(current.clone(), previous.clone(), target.clone());
        let gradients = GradientsParams::from_grads(loss.backward(), &old);
        model = Some(optimizer.step(1e-4, old, gradients));
    });
    [forward, both, step]
}

/// Returns the samples, and the units' KL averaged over the batch.
fn units(mu: Tensor<2>, logvar: Tensor<2>) -> (Tensor<2>, Tensor<2>) {
    let sigma = (logvar.clone() * 0.5).exp();
    let noise = mu.random_like(Distribution::Normal(0.0, 1.0));
    let z = mu.clone() + sigma.clone() * noise;
    let kl = mu.square() + sigma.square() - 1.0 - logvar;
    (z, kl.mean_dim(0) * 0.5)
}

#[derive(Module, Debug)]
struct Forecaster {
    window: Linear,
    persist: Linear,
    innovation: Linear,
    mix: Linear,
    out_norm: LayerNorm,
    mu: Linear,
    log_sigma: Param<Tensor<1>>,
    in_norm: LayerNorm,
    hidden: Linear,
    skip: Linear,
    gate: Linear,
    delta: Linear,
    rho: Param<Tensor<1>>,
}

impl Forecaster {
    fn new(device: &Device) -> Self {
        let layer = |inputs, outputs| LinearConfig::new(inputs, outputs).init(device);
        let norm = |width| LayerNormConfig::new(width).init(device);
        let constant = |len: usize, x: f64| Param::from_tensor(Tensor::<1>::full([len], x, device));
        Self {
            window: layer(INPUT, HIDDEN),
            persist: layer(HIDDEN, HIDDEN),
            innovation: layer(HIDDEN, HIDDEN),
            mix: layer(3 * HIDDEN, HIDDEN),
            out_norm: norm(HIDDEN),
            mu: layer(HIDDEN, UNITS),
            log_sigma: constant(UNITS, 0.5_f64.ln()),
            in_norm: norm(UNITS),
            hidden: layer(UNITS, HIDDEN),
            skip: layer(UNITS, HORIZON),
            gate: layer(HIDDEN, HORIZON),
            delta: layer(HIDDEN, HORIZON),
            rho: constant(HORIZON, 0.5),
        }
    }

    fn loss(&self, current: Tensor<2>, previous: Tensor<2>, target: Tensor<2>) -> Tensor<1> {
        let (a, b) = (self.window.forward(current), self.window.forward(previous));
        let difference = a.clone() - b.clone();
        let persist = self.persist.forward((a.clone() + b.clone()) * 0.5);
        let innovation = self.innovation.forward(difference.clone());
        let mix = sigmoid(self.mix.forward(Tensor::cat(vec![a, b, difference], 1)));
        let h = self.out_norm.forward(gelu(persist + mix * innovation));

        let mu = self.mu.forward(h);
        let log_sigma = self.log_sigma.val();
        let sigma = log_sigma.clone().exp();
        let noise = Distribution::Normal(0.0, 1.0);
        let noise = Tensor::<3>::random([SAMPLES, BATCH, UNITS], noise, &mu.device());
        let z =
            noise * sigma.clone().reshape([1, 1, UNITS]) + mu.clone().reshape([1, BATCH, UNITS]);
        let constant = sigma.square() - log_sigma * 2.0 - 1.0;
        let kl = (mu.square().mean_dim(0).reshape([UNITS]) + constant) * 0.5;

        let u = z.reshape([SAMPLES * BATCH, UNITS]) * (1.0 / (UNITS as f64).sqrt());
        let active = gelu(self.hidden.forward(self.in_norm.forward(u.clone())));
        let gate = sigmoid(self.gate.forward(active.clone()));
        let y = self.skip.forward(u) + gate * self.delta.forward(active);
        let y = y.reshape([SAMPLES, BATCH, HORIZON]);

        let sigma = (softplus(self.rho.val(), 1.0) + 0.01).reshape([1, 1, HORIZON]);
        let standard = (y - target.reshape([1, BATCH, HORIZON])) / sigma.clone();
        // The constant of the density does not affect the gradient.
        let density = standard.square() * -0.5 - sigma.log();
        let per_sample = density.mean_dim(2).reshape([SAMPLES, BATCH]);
        let largest = per_sample.clone().detach().max_dim(0);
        let sum = (per_sample - largest.clone()).exp().sum_dim(0).log() + largest;
        kl.sum() * 1e-4 - sum.mean()
    }
}
