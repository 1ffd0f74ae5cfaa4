//! The program as a user runs it.

mod cases;
mod moments;
mod paths;
mod refusals;
mod runs;
mod support;
mod tables;
