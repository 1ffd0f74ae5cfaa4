//! Pages about runs.

pub mod html;
