//! The trainer on a network that is not in the library: what it refuses, what it tells of a
//! training that went wrong, what an epoch costs on disk.

mod cost;
mod divergence;
mod network;
mod refusals;
