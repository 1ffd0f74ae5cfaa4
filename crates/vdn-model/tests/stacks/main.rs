//! Tests of layers on layers: sample identity, gradients, counts, initialisation.

mod samples;
