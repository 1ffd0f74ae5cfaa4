//! Names and sizes of the jobs; `benches/peers/python/sizes.py` has the same ones.

use vdn_benches::products::{FORMS, SHAPES};

/// Rows and units of the unit's jobs.
pub(crate) const LAYERS: [[usize; 2]; 2] = [[256, 1024], [4096, 4096]];

/// The layer whose backward pass is timed.
pub(crate) const BACKWARD: [usize; 2] = LAYERS[0];

/// Normal numbers in a call.
pub(crate) const NORMALS: usize = 1 << 18;

/// The reference shape of the training step: windows in a batch.
pub(crate) const BATCH: usize = 256;
/// The small model: rows and features of its table.
pub(crate) const ROWS: usize = 768;
/// Features of a row.
pub(crate) const FEATURES: usize = 8;
/// Rows of a batch.
pub(crate) const SMALL_BATCH: usize = 32;
/// Units, and the width of the hidden layer.
pub(crate) const SMALL: usize = 64;
/// The weight of the KL in the small model's loss.
pub(crate) const BETA: f64 = 1e-3;
/// The least deviation that the small model predicts.
pub(crate) const LEAST_SIGMA: f64 = 0.01;
/// Its learning rate.
pub(crate) const RATE: f64 = 1e-3;

/// `forward 256x1024`.
pub(crate) fn forward([rows, units]: [usize; 2]) -> String {
    format!("forward {rows}x{units}")
}

/// The job of the forward and the backward pass.
pub(crate) fn backward() -> String {
    format!("backward {}x{}", BACKWARD[0], BACKWARD[1])
}

/// The job of the normal numbers.
pub(crate) const NORMAL_JOB: &str = "normals";
/// The job of the training step in the reference shape.
pub(crate) const STEP_JOB: &str = "training step";
/// The job of the small model: a training step.
pub(crate) const SMALL_JOB: &str = "small step";

/// A matrix product `[m, k] x [k, n]`.
#[derive(Clone, Copy)]
pub(crate) struct Product {
    /// `m`, `n`, `k`.
    pub(crate) shape: [usize; 3],
    /// Whether the first factor is stored `[k, m]`.
    pub(crate) transposed_a: bool,
    /// Whether the second factor is stored `[n, k]`.
    pub(crate) transposed_b: bool,
}

impl Product {
    /// `product 256x336x256 nt`: m x k x n, and which factor is stored transposed.
    pub(crate) fn name(&self) -> String {
        let [m, n, k] = self.shape;
        let letter = |transposed| if transposed { 't' } else { 'n' };
        let form = [letter(self.transposed_a), letter(self.transposed_b)];
        format!("product {m}x{k}x{n} {}{}", form[0], form[1])
    }
}

/// All products.
pub(crate) fn products() -> impl Iterator<Item = Product> {
    SHAPES.into_iter().flat_map(|shape| {
        FORMS.map(|[transposed_a, transposed_b]| Product { shape, transposed_a, transposed_b })
    })
}
