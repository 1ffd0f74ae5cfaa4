//! A model of a disk that fails or loses power at a chosen operation.
//!
//! Files and names have two states: the one that programs see, and the one that is on the disk. Syncing
//! a file or a directory carries one to the other. A crash ends the run in the middle of an operation;
//! `CrashFiles::after_crash` then enumerates the disks that may be found: every subset of the changes
//! of names that were not synced, times four fates of bytes that were not synced.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io::{self, Cursor, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use vdn_train::run_store::{FileSystem, ReadableFile, WritableFile};

/// What happens at the operation of a certain number, counted from 0.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    /// The operation fails. A write leaves half of its bytes.
    Once(usize, ErrorKind),
    /// This operation and all later ones that change anything fail.
    Lasting(usize, ErrorKind),
    /// The operation is done, yet reported as failed.
    Late(usize, ErrorKind),
    /// Power is lost. A write has written half of its bytes to memory.
    Crash(usize),
}

#[derive(Clone, Debug, Default)]
struct Inode {
    seen: Vec<u8>,
    durable: Vec<u8>,
    dirty: bool,
    /// Bytes that a failed sync has lost: no later sync makes them durable.
    lost: Option<(usize, usize)>,
}

#[derive(Clone, Debug)]
enum Change {
    Link(PathBuf, usize),
    Rename(PathBuf, PathBuf, usize),
    Unlink(PathBuf),
    Directory(PathBuf),
}

impl Change {
    fn directory(&self) -> &Path {
        let (Self::Link(path, _)
        | Self::Rename(path, ..)
        | Self::Unlink(path)
        | Self::Directory(path)) = self;
        path.parent().unwrap()
    }

    fn apply(&self, names: &mut BTreeMap<PathBuf, usize>, directories: &mut BTreeSet<PathBuf>) {
        match self {
            Self::Link(path, inode) => {
                names.insert(path.clone(), *inode);
            }
            Self::Rename(from, to, inode) => {
                names.remove(from);
                names.insert(to.clone(), *inode);
            }
            Self::Unlink(path) => {
                names.remove(path);
            }
            Self::Directory(path) => {
                directories.insert(path.clone());
            }
        }
    }
}

#[derive(Clone, Debug, Default)]
struct Disk {
    inodes: Vec<Inode>,
    names: BTreeMap<PathBuf, usize>,
    directories: BTreeSet<PathBuf>,
    durable_names: BTreeMap<PathBuf, usize>,
    durable_directories: BTreeSet<PathBuf>,
    pending: Vec<Change>,
    operations: usize,
    fault: Option<Fault>,
    crashed: bool,
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

    /// How many operations have changed the disk.
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

    pub(crate) fn contents(&self, path: impl AsRef<Path>) -> Option<Vec<u8>> {
        let disk = self.disk();
        disk.names.get(path.as_ref()).map(|&inode| disk.inodes[inode].seen.clone())
    }

    /// Names of all files.
    pub(crate) fn names(&self) -> Vec<String> {
        self.disk().names.keys().map(|path| path.display().to_string()).collect()
    }

    /// All disks that may be found after power is lost now.
    pub(crate) fn after_crash(&self) -> Vec<Self> {
        let disk = self.disk();
        let dirty: Vec<usize> = (0..disk.inodes.len()).filter(|&i| disk.inodes[i].dirty).collect();
        assert!(disk.pending.len() <= 10 && dirty.len() <= 3, "too many states to enumerate");
        let mut found = Vec::new();
        for subset in 0..1_usize << disk.pending.len() {
            let mut names = disk.durable_names.clone();
            let mut directories = disk.durable_directories.clone();
            for (i, change) in disk.pending.iter().enumerate() {
                if subset >> i & 1 == 1 {
                    change.apply(&mut names, &mut directories);
                }
            }
            names.retain(|path, _| directories.contains(path.parent().unwrap()));
            for fates in 0..4_usize.pow(dirty.len() as u32) {
                let mut inodes = disk.inodes.clone();
                for inode in &mut inodes {
                    inode.seen.clone_from(&inode.durable);
                }
                for (place, &i) in dirty.iter().enumerate() {
                    inodes[i].seen = fate(&disk.inodes[i], fates / 4_usize.pow(place as u32) % 4);
                }
                for inode in &mut inodes {
                    let seen = std::mem::take(&mut inode.seen);
                    *inode = Inode { durable: seen.clone(), seen, ..Inode::default() };
                }
                found.push(Self(Arc::new(Mutex::new(Disk {
                    inodes,
                    names: names.clone(),
                    durable_names: names.clone(),
                    directories: directories.clone(),
                    durable_directories: directories.clone(),
                    ..Disk::default()
                }))));
            }
        }
        found
    }

    fn disk(&self) -> MutexGuard<'_, Disk> {
        self.0.lock().unwrap()
    }

    /// Counts an operation. `change` is told how much of it is to be done: all or half of a write.
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

/// What is left of bytes that were not synced: nothing, a half, zeros in place of a half, or all.
fn fate(inode: &Inode, fate: usize) -> Vec<u8> {
    let Inode { seen, durable, .. } = inode;
    let same = seen.iter().zip(durable).take_while(|(a, b)| a == b).count();
    let middle = same + (seen.len() - same) / 2;
    match fate {
        0 => durable.clone(),
        1 => seen[..middle].to_vec(),
        2 => {
            let mut torn = seen.clone();
            torn[middle..].fill(0);
            torn
        }
        _ => seen.clone(),
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

    fn exists(&self, path: &Path) -> io::Result<bool> {
        let disk = self.disk();
        Ok(disk.names.contains_key(path) || disk.directories.contains(path))
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
                // The bytes stay dirty: the crash decides their fate.
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
            // What is written there later is written anew.
            inode.lost = inode.lost.map(|(start, end)| (start, end.min(length as usize)));
            inode.dirty = true;
            Ok(())
        })
    }
}
