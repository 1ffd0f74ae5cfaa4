//! Layers, stacks, controllers and units along time, through the public interface.

mod models;
mod sequences;
