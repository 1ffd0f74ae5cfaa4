//! Runs and their parts, from a configuration to stored weights and back.

mod averages;
mod backtest;
mod compatibility;
mod control;
mod control_refusals;
mod diagnostics;
mod durable;
mod generators;
mod layers;
mod leftovers;
mod non_finite;
mod non_negative;
mod page;
mod persistence;
mod probts;
mod progress;
mod report;
mod resume_refusals;
mod selection;
mod stack_control;
mod stacks;
mod stopping;
mod support;
mod twins;
mod whole_forecasts;
mod wholes;
