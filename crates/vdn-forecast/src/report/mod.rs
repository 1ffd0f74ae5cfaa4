//! What a run came to: the table and the page.

pub(crate) mod page;
pub(crate) mod table;

pub use page::report_run;
pub use table::{Report, Row};
