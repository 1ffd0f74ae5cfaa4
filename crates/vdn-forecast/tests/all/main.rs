//! Forecasting through the public interface: data, settings, models, baselines, runs, what becomes
//! of units.

mod baselines;
mod collapse;
mod data;
mod models;
mod runs;
mod sequences;
mod settings;
