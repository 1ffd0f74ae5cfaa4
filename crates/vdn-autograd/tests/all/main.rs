//! The tape and its operations. `vdn-tests` also checks gradients.

mod combine_messages;
mod densities;
mod extremes;
mod likelihood;
mod log_prob;
mod low_rank;
mod operations;
mod size_class;
mod slices;
mod tape;
mod thread_counts;
