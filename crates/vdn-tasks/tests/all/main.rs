//! Networks for the rows of tables, and their runs.

mod network;
mod runs;
