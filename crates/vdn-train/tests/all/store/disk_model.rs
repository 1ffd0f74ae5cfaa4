//! The state of a disk, the view of programs, and the result of a loss of power.

use crate::store::crash_files::Fault;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

#[derive(Clone, Debug, Default)]
pub(crate) struct Inode {
    pub(crate) seen: Vec<u8>,
    pub(crate) durable: Vec<u8>,
    pub(crate) dirty: bool,
    /// Bytes that a failed sync has lost. No later sync makes them durable.
    pub(crate) lost: Option<(usize, usize)>,
}

#[derive(Clone, Debug)]
pub(crate) enum Change {
    Link(PathBuf, usize),
    Rename(PathBuf, PathBuf, usize),
    Unlink(PathBuf),
    Directory(PathBuf),
}

impl Change {
    pub(crate) fn directory(&self) -> &Path {
        let (Self::Link(path, _)
        | Self::Rename(path, ..)
        | Self::Unlink(path)
        | Self::Directory(path)) = self;
        path.parent().unwrap()
    }

    pub(crate) fn apply(
        &self,
        names: &mut BTreeMap<PathBuf, usize>,
        directories: &mut BTreeSet<PathBuf>,
    ) {
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
pub(crate) struct Disk {
    pub(crate) inodes: Vec<Inode>,
    pub(crate) names: BTreeMap<PathBuf, usize>,
    pub(crate) directories: BTreeSet<PathBuf>,
    pub(crate) durable_names: BTreeMap<PathBuf, usize>,
    pub(crate) durable_directories: BTreeSet<PathBuf>,
    pub(crate) pending: Vec<Change>,
    pub(crate) operations: usize,
    pub(crate) fault: Option<Fault>,
    pub(crate) crashed: bool,
}

/// The remains of bytes that were not synced: nothing, half of them, zeros instead of half of them,
/// or all.
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

impl Disk {
    /// All possible disks after a loss of power now.
    pub(crate) fn after_crash(&self) -> Vec<Self> {
        let dirty: Vec<usize> = (0..self.inodes.len()).filter(|&i| self.inodes[i].dirty).collect();
        assert!(self.pending.len() <= 10 && dirty.len() <= 3, "too many states to enumerate");
        let mut found = Vec::new();
        for subset in 0..1_usize << self.pending.len() {
            let mut names = self.durable_names.clone();
            let mut directories = self.durable_directories.clone();
            for (i, change) in self.pending.iter().enumerate() {
                if subset >> i & 1 == 1 {
                    change.apply(&mut names, &mut directories);
                }
            }
            names.retain(|path, _| directories.contains(path.parent().unwrap()));
            for fates in 0..4_usize.pow(dirty.len() as u32) {
                let mut inodes = self.inodes.clone();
                for inode in &mut inodes {
                    inode.seen.clone_from(&inode.durable);
                }
                for (place, &i) in dirty.iter().enumerate() {
                    inodes[i].seen = fate(&self.inodes[i], fates / 4_usize.pow(place as u32) % 4);
                }
                for inode in &mut inodes {
                    let seen = std::mem::take(&mut inode.seen);
                    *inode = Inode { durable: seen.clone(), seen, ..Inode::default() };
                }
                found.push(Self {
                    inodes,
                    names: names.clone(),
                    durable_names: names.clone(),
                    directories: directories.clone(),
                    durable_directories: directories.clone(),
                    ..Self::default()
                });
            }
        }
        found
    }
}
