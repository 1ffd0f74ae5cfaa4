//! Layers on layers and controllers, through the public interface.

mod controllers;
mod embedding;
mod numbers;
mod stacks;
