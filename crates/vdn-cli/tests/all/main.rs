//! The program as a user runs it.

mod cases;
mod cli;
mod paths;
