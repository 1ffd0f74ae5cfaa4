//! The matrix products of a training step, listed from the model's configuration.

use vdn_forecast::forecaster::ForecasterConfig;
use vdn_forecast::modules::OutputNoiseMode;
use vdn_model::units::SigmaMode;
use vdn_tensor::kernels::{Epilogue, Operand, matmul};
use vdn_tensor::noise::NoiseKey;
use vdn_tensor::{Buffer, Element};

/// A linear layer of a training step.
#[derive(Clone, Copy, Debug)]
pub struct LinearShape {
    /// Its name in the model.
    pub name: &'static str,
    /// The number of rows of its input.
    pub rows: usize,
    /// The count of numbers per row of its input.
    pub inputs: usize,
    /// The count of numbers per row of its output.
    pub outputs: usize,
    /// Whether its input depends on parameters, so that the backward pass needs the gradient of the
    /// input.
    pub input_gradient: bool,
}

/// Returns all linear layers of a training step of this model on `batch` windows.
#[must_use]
pub fn linear_layers(config: &ForecasterConfig, batch: usize) -> Vec<LinearShape> {
    let &ForecasterConfig { input_len, horizon, hidden, head_hidden, .. } = config;
    let units = config.units * config.latent_dims;
    let channels = config.layer().channels();
    let samples = batch * config.samples;
    let layer = |name, rows, inputs, outputs| {
        let input_gradient = !name_reads_data(name);
        LinearShape { name, rows, inputs, outputs, input_gradient }
    };
    let mut layers = vec![
        layer("current window", batch, input_len, hidden),
        layer("previous window", batch, input_len, hidden),
        layer("persist", batch, hidden, hidden),
        layer("innovation", batch, hidden, hidden),
        layer("mix gate", batch, 3 * hidden, hidden),
        layer("mu", batch, hidden, units),
        layer("head hidden", samples, channels, head_hidden),
        layer("head skip", samples, channels, horizon),
        layer("head delta", samples, head_hidden, horizon),
    ];
    if config.gated {
        layers.push(layer("head gate", samples, head_hidden, horizon));
    }
    if config.sigma == SigmaMode::PerUnitInput {
        layers.push(layer("log sigma", batch, hidden, units));
    }
    if config.skip {
        layers.push(layer("skip", batch, input_len, horizon));
    }
    if config.output_noise == OutputNoiseMode::FromContext {
        layers.push(layer("output noise", batch, hidden, horizon));
    }
    layers
}

/// Returns whether a layer reads the windows directly.
fn name_reads_data(name: &str) -> bool {
    matches!(name, "current window" | "previous window" | "skip")
}

/// Returns the reference shape of the training step: per-unit deviations, no normalisation, no skip
/// connection, constant output noise, hidden width 256 in the head.
#[must_use]
pub fn reference_shape() -> ForecasterConfig {
    // With one latent dimension pooling has no effect.
    ForecasterConfig { head_hidden: 256, pooling: None, ..ForecasterConfig::compatibility() }
}

/// One product `[m, k] x [k, n]`; `a` or `b` may be stored transposed.
#[derive(Clone, Debug)]
pub struct Product<T> {
    /// `m`, `n`, `k`.
    pub shape: [usize; 3],
    /// Whether `a` is stored `[k, m]`.
    pub transposed_a: bool,
    /// Whether `b` is stored `[n, k]`.
    pub transposed_b: bool,
    /// The factor.
    pub a: Buffer<T>,
    /// The other factor.
    pub b: Buffer<T>,
    /// The result.
    pub c: Buffer<T>,
}

impl<T: Element> Product<T> {
    /// Creates a product of standard normal factors.
    #[must_use]
    pub fn new(shape: [usize; 3], transposed_a: bool, transposed_b: bool) -> Self {
        let [m, n, k] = shape;
        let normal = |stream, len| {
            let mut x = Buffer::new();
            x.resize(len);
            NoiseKey::new(1, stream, 0).fill_normal(0, &mut x);
            x
        };
        let (a, b, c) = (normal(0, m * k), normal(1, k * n), normal(2, m * n));
        Self { shape, transposed_a, transposed_b, a, b, c }
    }

    /// Returns a name such as `256x336x256 nt`: m x k x n, and which factor is stored transposed.
    #[must_use]
    pub fn name(&self) -> String {
        let [m, n, k] = self.shape;
        let letter = |transposed| if transposed { 't' } else { 'n' };
        format!("{m}x{k}x{n} {}{}", letter(self.transposed_a), letter(self.transposed_b))
    }

    /// Returns the number of floating-point operations, two for each multiply-add.
    #[must_use]
    pub fn flop(&self) -> u64 {
        2 * self.shape.iter().product::<usize>() as u64
    }

    /// Computes the product with the library.
    pub fn run(&mut self) {
        let [m, n, k] = self.shape;
        let a = Operand { data: &self.a[..], transposed: self.transposed_a };
        let b = Operand { data: &self.b[..], transposed: self.transposed_b };
        matmul(m, n, k, a, b, &mut self.c, Epilogue::None);
    }
}

/// Returns the products of all layers in the order of a step: forward through the list, then
/// backward.
#[must_use]
pub fn step_products(layers: &[LinearShape]) -> Vec<Product<f32>> {
    let mut products = Vec::new();
    for layer in layers {
        products.push(Product::new([layer.rows, layer.outputs, layer.inputs], false, true));
    }
    for layer in layers.iter().rev() {
        if layer.input_gradient {
            products.push(Product::new([layer.rows, layer.inputs, layer.outputs], false, false));
        }
        products.push(Product::new([layer.outputs, layer.inputs, layer.rows], true, false));
    }
    products
}

/// The shapes by which the product is judged, `[m, n, k]`: those of the forecaster's layers, and a
/// large square.
pub const SHAPES: [[usize; 3]; 6] = [
    [256, 256, 336],
    [256, 256, 768],
    [256, 1024, 256],
    [1024, 256, 1024],
    [1024, 96, 1024],
    [1024, 1024, 1024],
];

/// The storage of the factors: neither transposed, the second (forward pass of a linear layer), the
/// first (gradient of its weight).
pub const FORMS: [[bool; 2]; 3] = [[false, false], [false, true], [true, false]];
