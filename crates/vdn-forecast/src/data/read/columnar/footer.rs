//! Validation of the column tree in the footer of a Parquet file, before the library reads it. The
//! library reserves memory for the number of children that a group states, and recurses into nested
//! groups.

use crate::data::read::columnar::thrift::{DEPTH, INTEGER, LIST, STRUCTURE, Thrift};
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};

/// The maximum nesting of groups; tables of series have one level.
const NESTED: usize = 64;

const DAMAGED: &str = "its footer is damaged";

/// The size in bytes of a file without a footer: the magic words at both ends and the length of the
/// footer.
const SHORTEST: u64 = 12;

/// Rejects a file whose columns are not a tree, or are nested deeper than [`NESTED`].
pub(super) fn check(mut file: &File) -> Result<(), String> {
    let failed = |error: std::io::Error| error.to_string();
    let length = file.metadata().map_err(failed)?.len();
    if length < SHORTEST {
        return Err("it is cut off".to_owned());
    }
    let mut end = [0; 8];
    file.seek(SeekFrom::Start(length - 8)).map_err(failed)?;
    file.read_exact(&mut end).map_err(failed)?;
    let [a, b, c, d, magic @ ..] = end;
    if magic != *b"PAR1" {
        return Err(DAMAGED.to_owned());
    }
    let size = u64::from(u32::from_le_bytes([a, b, c, d]));
    let start = (length - 8).checked_sub(size).ok_or(DAMAGED)?;
    file.seek(SeekFrom::Start(start)).map_err(failed)?;
    let mut footer = Thrift::new(BufReader::new(file).take(size));
    let mut children = None;
    footer
        .fields(|this, field, kind| match (field, kind) {
            (2, LIST) => {
                let (count, kind) = this.list()?;
                let mut all = Vec::new();
                for _ in 0..count {
                    all.push(element(this, kind)?);
                }
                children = Some(all);
                Some(())
            }
            (2, _) => None,
            _ => this.skip(kind, DEPTH),
        })
        .ok_or(DAMAGED)?;
    check_tree(&children.ok_or(DAMAGED)?)
}

/// Returns the number of children of a schema element.
fn element<R: Read>(footer: &mut Thrift<R>, kind: u8) -> Option<i32> {
    if kind != STRUCTURE {
        return None;
    }
    let mut children = 0;
    footer.fields(|this, field, kind| match (field, kind) {
        (5, INTEGER) => this.integer().map(|x| children = x),
        (5, _) => None,
        _ => this.skip(kind, DEPTH),
    })?;
    Some(children)
}

/// Rejects a depth-first list of child counts that does not describe one tree.
fn check_tree(children: &[i32]) -> Result<(), String> {
    // The number of missing children of each open group. The root is the only child of the first
    // entry.
    let mut open = vec![1_usize];
    for &count in children {
        while open.last() == Some(&0) {
            open.pop();
        }
        *open.last_mut().ok_or(DAMAGED)? -= 1;
        let count = usize::try_from(count).map_err(|_| DAMAGED)?;
        if count > children.len() {
            return Err(DAMAGED.to_owned());
        }
        if count > 0 {
            open.push(count);
        }
        if open.len() > NESTED {
            return Err(format!("its columns are nested more than {NESTED} deep"));
        }
    }
    match open.iter().all(|&left| left == 0) {
        true => Ok(()),
        false => Err(DAMAGED.to_owned()),
    }
}
