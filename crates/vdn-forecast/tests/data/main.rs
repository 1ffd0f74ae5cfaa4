//! Windows, and the embedded series.

mod demo;
mod windows;
