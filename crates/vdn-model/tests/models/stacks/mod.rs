//! Tests of layers on layers: sample identity, gradients, counts, initialisation, and forecasters built of them.

mod depth;
mod families;
mod forecasters;
mod moments;
mod samples;
