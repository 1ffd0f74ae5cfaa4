//! Tests at the level of the process: formulas, noise, sources.

mod dual_slopes;
mod extremes;
mod far_layers;
mod inlining;
mod math_accuracy;
mod noise_quality;
