//! The program as a user runs it.

mod cases;
mod file_limits;
mod hostile;
mod kept_units;
mod moments;
mod paths;
mod refusals;
mod runs;
mod support;
mod tables;
