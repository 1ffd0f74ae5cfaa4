//! Networks for the rows of tables, their settings and their runs.

mod columns;
mod counts;
mod hardened;
mod images;
mod network;
mod runs;
mod settings;
mod splits_of_classes;
