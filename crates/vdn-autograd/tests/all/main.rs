//! The tape and its operations. Gradients are checked in `vdn-tests`, too.

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
