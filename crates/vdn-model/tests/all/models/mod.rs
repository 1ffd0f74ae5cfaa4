//! Layers on layers and controllers, through the public interface.

mod controllers;
mod numbers;
mod stacks;
