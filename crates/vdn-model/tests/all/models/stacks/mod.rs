//! Tests of layers on layers: sample identity, gradients, counts, initialisation.

mod depth;
mod families;
mod moments;
mod samples;
