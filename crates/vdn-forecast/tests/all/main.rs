//! Tests of forecasting through the public interface: data, settings, models, baselines, runs, and
//! the state of units.

mod baselines;
mod collapse;
mod data;
mod models;
mod runs;
mod sequences;
mod settings;
