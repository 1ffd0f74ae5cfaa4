//! A model of a disk that fails or loses power at a chosen operation.
//!
//! Files and names have two states: the one that programs see, and the one on the disk. Syncing a
//! file or a directory copies the first state to the second. A crash ends the run in the middle of
//! an operation. `CrashFiles::after_crash` then enumerates the possible disks: every subset of the
//! changes of names that were not synced, times four fates of bytes that were not synced.

use crate::store::disk_model::{Change, Disk, Inode};
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io::{self, Cursor, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use vdn_train::run::store::{FileSystem, ReadableFile, WritableFile};

/// The fault at the operation with a certain number, counted from 0.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    /// The operation fails. A write leaves half of its bytes.
    Once(usize, ErrorKind),
    /// This operation and all later ones that change anything fail.
    Lasting(usize, ErrorKind),
    /// The operation is done but reported as failed.
    Late(usize, ErrorKind),
    /// Power is lost. A write has written half of its bytes to memory.
    Crash(usize),
}

/// The disk. Clones are the same disk.
#[derive(Clone, Debug, Default)]
pub(crate) struct CrashFiles(Arc<Mutex<Disk>>);

impl CrashFiles {
    /// An empty directory `run` on a disk with a fault to come.
    pub(crate) fn new(fault: Option<Fault>) -> Self {
        let directories: BTreeSet<PathBuf> = [PathBuf::from("run")].into();
        let durable_directories = directories.clone();
        Self(Arc::new(Mutex::new(Disk {
            directories,
            durable_directories,
            fault,
            ..Disk::default()
        })))
    }

    pub(crate) fn shared(&self) -> Arc<dyn FileSystem> {
        Arc::new(self.clone())
    }

    /// The number of operations that have changed the disk.
    pub(crate) fn operations(&self) -> usize {
        self.disk().operations
    }

    pub(crate) fn has_crashed(&self) -> bool {
        self.disk().crashed
    }

    pub(crate) fn set_fault(&self, fault: Option<Fault>) {
        let mut disk = self.disk();
        disk.fault = fault;
        disk.operations = 0;
    }

    /// Another disk with the same contents, and a fault to come.
    pub(crate) fn copy(&self, fault: Option<Fault>) -> Self {
        let copy = Self(Arc::new(Mutex::new(self.disk().clone())));
        copy.set_fault(fault);
        copy
    }

    pub(crate) fn contents(&self, path: impl AsRef<Path>) -> Option<Vec<u8>> {
        let disk = self.disk();
        disk.names.get(path.as_ref()).map(|&inode| disk.inodes[inode].seen.clone())
    }

    /// The names of all files.
    pub(crate) fn names(&self) -> Vec<String> {
        self.disk().names.keys().map(|path| path.display().to_string()).collect()
    }

    /// All possible disks after a loss of power now.
    pub(crate) fn after_crash(&self) -> Vec<Self> {
        let disks = self.disk().after_crash();
        disks.into_iter().map(|disk| Self(Arc::new(Mutex::new(disk)))).collect()
    }

    fn disk(&self) -> MutexGuard<'_, Disk> {
        self.0.lock().unwrap()
    }

    /// Counts an operation. `change` gets the part of it to do: all or half of a write.
    fn change<R>(
        &self,
        partial: bool,
        change: impl FnOnce(&mut Disk, bool) -> io::Result<R>,
    ) -> io::Result<R> {
        let mut disk = self.disk();
        if disk.crashed {
            return Err(io::Error::other("no power"));
        }
        let number = disk.operations;
        disk.operations += 1;
        let error = match disk.fault {
            Some(Fault::Crash(at)) if at == number => {
                disk.crashed = true;
                io::Error::other("no power")
            }
            Some(Fault::Once(at, kind)) if at == number => kind.into(),
            Some(Fault::Lasting(at, kind)) if at <= number => kind.into(),
            Some(Fault::Late(at, kind)) if at == number => {
                change(&mut disk, false)?;
                return Err(kind.into());
            }
            _ => return change(&mut disk, false),
        };
        if partial {
            change(&mut disk, true)?;
        }
        Err(error)
    }
}

impl FileSystem for CrashFiles {
    fn create(&self, path: &Path) -> io::Result<Box<dyn WritableFile>> {
        let inode = self.change(false, |disk, _| {
            if !disk.directories.contains(path.parent().unwrap()) {
                return Err(ErrorKind::NotFound.into());
            }
            if disk.names.contains_key(path) {
                return Err(ErrorKind::AlreadyExists.into());
            }
            let inode = disk.inodes.len();
            disk.inodes.push(Inode::default());
            disk.names.insert(path.to_owned(), inode);
            disk.pending.push(Change::Link(path.to_owned(), inode));
            Ok(inode)
        })?;
        Ok(Box::new(OpenFile { files: self.clone(), inode }))
    }

    fn append(&self, path: &Path) -> io::Result<Box<dyn WritableFile>> {
        let inode = *self.disk().names.get(path).ok_or(ErrorKind::NotFound)?;
        Ok(Box::new(OpenFile { files: self.clone(), inode }))
    }

    fn open(&self, path: &Path) -> io::Result<ReadableFile> {
        let bytes = self.contents(path).ok_or(ErrorKind::NotFound)?;
        Ok(ReadableFile { length: bytes.len() as u64, reader: Box::new(Cursor::new(bytes)) })
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.change(false, |disk, _| {
            let inode = disk.names.remove(from).ok_or(ErrorKind::NotFound)?;
            disk.names.insert(to.to_owned(), inode);
            disk.pending.push(Change::Rename(from.to_owned(), to.to_owned(), inode));
            Ok(())
        })
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.change(false, |disk, _| {
            disk.names.remove(path).ok_or(ErrorKind::NotFound)?;
            disk.pending.push(Change::Unlink(path.to_owned()));
            Ok(())
        })
    }

    fn create_directory(&self, path: &Path) -> io::Result<()> {
        self.change(false, |disk, _| {
            if disk.directories.insert(path.to_owned()) {
                disk.pending.push(Change::Directory(path.to_owned()));
            }
            Ok(())
        })
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        self.change(false, |disk, _| {
            let Disk { pending, durable_names, durable_directories, .. } = disk;
            pending.retain(|change| {
                let here = change.directory() == path;
                if here {
                    change.apply(durable_names, durable_directories);
                }
                !here
            });
            Ok(())
        })
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<OsString>> {
        let disk = self.disk();
        if !disk.directories.contains(directory) {
            return Err(ErrorKind::NotFound.into());
        }
        let inside = disk.names.keys().filter(|path| path.parent() == Some(directory));
        Ok(inside.map(|path| path.file_name().unwrap().to_owned()).collect())
    }
}

#[derive(Debug)]
struct OpenFile {
    files: CrashFiles,
    inode: usize,
}

impl WritableFile for OpenFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.files.change(true, |disk, half| {
            let inode = &mut disk.inodes[self.inode];
            inode.seen.extend(&bytes[..if half { bytes.len() / 2 } else { bytes.len() }]);
            inode.dirty = true;
            Ok(())
        })
    }

    fn sync(&mut self) -> io::Result<()> {
        self.files.change(true, |disk, fails| {
            let crashed = disk.crashed;
            let inode = &mut disk.inodes[self.inode];
            match fails {
                // The bytes stay unsynced: the crash decides their fate.
                true if crashed => {}
                true => {
                    inode.lost = Some((inode.durable.len(), inode.seen.len()));
                    inode.dirty = false;
                }
                false => {
                    inode.durable.clone_from(&inode.seen);
                    if let Some((start, end)) = inode.lost {
                        let end = end.min(inode.durable.len());
                        inode.durable[start.min(end)..end].fill(0);
                    }
                    inode.dirty = false;
                }
            }
            Ok(())
        })
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.files.change(false, |disk, _| {
            let inode = &mut disk.inodes[self.inode];
            inode.seen.truncate(length as usize);
            // Bytes that are written there later are new.
            inode.lost = inode.lost.map(|(start, end)| (start, end.min(length as usize)));
            inode.dirty = true;
            Ok(())
        })
    }
}
