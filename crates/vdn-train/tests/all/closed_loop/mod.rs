//! Every controller in its closed loop on a small layer that learns: what it is for comes nearer than without it. A flipped
//! sign or a controller that does nothing makes the error grow or stay.

mod controllers;
mod plant;
mod sequence;

use vdn_model::controllers::{ConstraintConfig, Goal};
use vdn_tensor::noise::NoiseKey;

type Failure = Box<dyn std::error::Error>;

const UNITS: usize = 8;
const ROWS: usize = 64;
const INPUTS: usize = 12;

fn normals(stream: u32, count: usize) -> Vec<f64> {
    let mut x = vec![0.0; count];
    NoiseKey::new(5, stream, 0).fill_normal(0, &mut x);
    x
}

fn mean(x: &[f64], f: impl Fn(f64) -> f64) -> f64 {
    x.iter().map(|&x| f(x)).sum::<f64>() / x.len() as f64
}

/// So soft that the stiffness alone does not bring a measure to its goal: the multipliers have to.
fn budget(goal: Goal) -> ConstraintConfig {
    ConstraintConfig { goal, stiffness: 0.5, gain: 0.5, limit: 10.0, ..ConstraintConfig::default() }
}
