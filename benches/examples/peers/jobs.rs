//! Names and sizes of the jobs. `benches/peers/python/sizes.py` holds the same values.

use vdn_benches::products::{FORMS, SHAPES};

/// The rows and units of the jobs on a layer of units.
pub(crate) const LAYERS: [[usize; 2]; 2] = [[256, 1024], [4096, 4096]];

/// The layer whose backward pass is timed.
pub(crate) const BACKWARD: [usize; 2] = LAYERS[0];

/// The number of normal numbers per call.
pub(crate) const NORMALS: usize = 1 << 18;

/// The windows of a batch in the training step of the reference shape.
pub(crate) const BATCH: usize = 256;
/// The rows of the small model's table.
pub(crate) const ROWS: usize = 768;
/// The features of a row.
pub(crate) const FEATURES: usize = 8;
/// The rows of the small model's batches.
pub(crate) const SMALL_BATCH: usize = 32;
/// The units of the small model, and the width of its hidden layer.
pub(crate) const SMALL: usize = 64;
/// The weight of the KL in the small model's loss.
pub(crate) const BETA: f64 = 1e-3;
/// The smallest deviation that the small model predicts.
pub(crate) const LEAST_SIGMA: f64 = 0.01;
/// The learning rate of the small model.
pub(crate) const RATE: f64 = 1e-3;

/// The name of a forward job, such as `forward 256x1024`.
pub(crate) fn forward([rows, units]: [usize; 2]) -> String {
    format!("forward {rows}x{units}")
}

/// The name of the job of a forward and a backward pass.
pub(crate) fn backward() -> String {
    format!("backward {}x{}", BACKWARD[0], BACKWARD[1])
}

/// The name of the job that draws normal numbers.
pub(crate) const NORMAL_JOB: &str = "normals";
/// The name of the job of a training step in the reference shape.
pub(crate) const STEP_JOB: &str = "training step";
/// The name of the job of a training step of the small model.
pub(crate) const SMALL_JOB: &str = "small step";

/// A matrix product `[m, k] x [k, n]`.
#[derive(Clone, Copy)]
pub(crate) struct Product {
    /// The sizes `m`, `n`, `k`.
    pub(crate) shape: [usize; 3],
    /// Whether the first factor is stored `[k, m]`.
    pub(crate) transposed_a: bool,
    /// Whether the second factor is stored `[n, k]`.
    pub(crate) transposed_b: bool,
}

impl Product {
    /// The name, such as `product 256x336x256 nt`: the sizes `m x k x n`, then a letter for each
    /// factor, `t` if it is stored transposed.
    pub(crate) fn name(&self) -> String {
        let [m, n, k] = self.shape;
        let letter = |transposed| if transposed { 't' } else { 'n' };
        let form = [letter(self.transposed_a), letter(self.transposed_b)];
        format!("product {m}x{k}x{n} {}{}", form[0], form[1])
    }
}

/// Returns all products.
pub(crate) fn products() -> impl Iterator<Item = Product> {
    SHAPES.into_iter().flat_map(|shape| {
        FORMS.map(|[transposed_a, transposed_b]| Product { shape, transposed_a, transposed_b })
    })
}
