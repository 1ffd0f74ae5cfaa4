//! Files and tables.

mod files;
mod limits;
mod support;
mod table;
mod table_errors;
mod tabular;
