//! The trainer on a network outside of the library: refusals, reports about a training that went
//! wrong, and the cost of an epoch on disk.

mod cost;
mod divergence;
mod network;
mod optimizers;
mod refusals;
