//! The storage of durable runs under failures, crashes and damage.
#![forbid(unsafe_code)]

mod append_log;
mod checkpoint_store;
mod container;
mod crash_files;
mod disk;
mod disk_model;
mod manifest;
mod protocol;
mod sweep;
