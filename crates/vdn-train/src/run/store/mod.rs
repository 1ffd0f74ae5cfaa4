//! The storage of durable runs. The files of a run survive a crash, a full disk and a second
//! program.
//!
//! This room stores bytes and does not depend on networks and trainers. A trainer passes named
//! sections of bytes and gets the same bytes back, or an error of one line.
//!
//! ```text
//! RUN/
//!   run.lock                        held by the one process that writes here    lock
//!   manifest.json                   the length and checksum of every file       manifest
//!   history.csv                     grows; has a known durable length           append_log
//!   weights.safetensors             replaced as a whole                         atomic_file
//!   checkpoints/
//!     step-000000001200.vdn         named sections with checksums               container
//!     step-000000001300.vdn         the last `keep` of them                     store
//! ```
//!
//! # The protocol
//!
//! The newest checkpoint is the source of truth; every other file can be restored from it. A
//! trainer that follows this order can be killed at any moment:
//!
//! 1. Sync the append-only files ([`AppendLog::sync`]), which yields their [`LogMark`]s.
//! 2. Save a checkpoint that contains the marks ([`CheckpointStore::save`]).
//! 3. Replace the other files of the run ([`write_atomically`]).
//! 4. Write the [`Manifest`], which declares that all of them belong together.
//!
//! To resume, take the [`RunLock`], remove the remains of dead runs ([`remove_stale_temporaries`]),
//! load [`CheckpointStore::latest`], open the append-only files at their marks
//! ([`AppendLog::open`]), and repeat steps 3 and 4. A reader checks [`Manifest::verify`] before it
//! trusts a directory. After a crash between steps 3 and 4, this check names a file that does not
//! belong to the manifest's epoch.
//!
//! # Why not write the file directly
//!
//! A file that is overwritten in place is lost if the program dies while it writes. A file that is
//! renamed before it is synced may be empty after a power failure, because the name can reach the
//! disk before the data. A name is durable only after its directory has been synced. Every write
//! therefore goes through [`write_atomically`] or an [`AppendLog`], and both go through the
//! [`FileSystem`] trait, so that tests can fail each single operation.

mod append_log;
mod atomic_file;
mod checkpoint_config;
mod checkpoint_store;
mod checksum;
mod container;
mod container_header;
mod disk_files;
mod file_system;
mod interrupt;
mod lock;
mod manifest;
mod sections;

pub use crate::error::StoreError;
pub use crate::one_line::one_line;
pub use append_log::{AppendLog, LogMark};
pub use atomic_file::{remove_stale_temporaries, write_atomically};
pub use checkpoint_config::{CheckpointConfig, CheckpointReason, Moment};
pub use checkpoint_store::{CHECKPOINTS, CheckpointStore, Latest, Saved};
pub use checksum::{Checksum, checksum_of};
pub use container::{read_container, write_container};
pub use container_header::{FORMAT_VERSION, MAGIC, MAX_TABLE_BYTES};
pub use disk_files::DiskFiles;
pub use file_system::{FileSystem, ReadableFile, WritableFile};
pub use interrupt::Interrupt;
pub use lock::{LOCK_FILE, RunLock};
pub use manifest::{FileStamp, MANIFEST_FILE, MAX_MANIFEST_BYTES, Manifest, new_run_id};
pub use sections::Sections;
