//! Networks for the rows of tables, their settings and their runs.

mod hardened;
mod images;
mod network;
mod runs;
mod settings;
