//! HTML pages about runs.

pub mod html;
