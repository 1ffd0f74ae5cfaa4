//! Files, tables and windows.

mod files;
mod support;
mod table;
mod table_errors;
mod windows;
