//! Windows, series read from files, and the embedded series.

mod beyond;
mod columnar;
mod demo;
mod expected;
mod kinds;
#[cfg(target_os = "linux")]
mod large;
mod numbers;
mod rows;
mod scaling;
mod series;
mod stay;
mod tables;
mod windows;
