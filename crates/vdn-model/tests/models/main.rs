//! Forecasters, layers on layers and controllers, all through the public interface: one program, because what takes long
//! to compile is what they share.

mod controllers;
mod forecaster;
mod stacks;
mod support;
