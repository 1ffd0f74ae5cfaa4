//! Data, metrics, controllers in closed loops, the storage of durable runs, and the trainer.

mod closed_loop;
mod data;
mod metrics;
mod store;
mod training;
