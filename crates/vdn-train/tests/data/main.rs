//! Files and tables.

mod files;
mod support;
mod table;
mod table_errors;
