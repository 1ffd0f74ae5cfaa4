//! Data, metrics, controllers in closed loops, and the storage of durable runs.

mod closed_loop;
mod data;
mod metrics;
mod store;
