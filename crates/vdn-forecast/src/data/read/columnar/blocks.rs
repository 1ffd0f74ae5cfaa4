//! Size checks on the blocks of an Arrow IPC file, before the library decodes them.
//!
//! A compressed buffer begins with its decompressed length, and the library reserves that much
//! memory. Therefore the tables of all blocks are checked first: a block has to lie within the
//! file, its buffers within the block, and their decompressed size within [`Limits::expansion`].

use arrow_ipc::reader::read_footer_length;
use arrow_ipc::{Block, RecordBatch, root_as_footer, root_as_message};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use vdn_train::data::Limits;

const DAMAGED: &str = "its tables are damaged";

/// The size in bytes of a file without a block: the magic words at both ends and the length of the
/// footer.
const SHORTEST: u64 = 18;

/// The first bytes of a block, since version 5 of the format.
const CONTINUATION: [u8; 4] = [0xff; 4];

/// Rejects a file whose blocks need too much memory at a time. Returns its number of rows.
pub(super) fn check(mut file: &File, limits: &Limits) -> Result<u64, String> {
    let failed = |error: std::io::Error| error.to_string();
    let length = file.metadata().map_err(failed)?.len();
    if length < SHORTEST {
        return Err("it is cut off".to_owned());
    }
    let mut end = [0; 10];
    file.seek(SeekFrom::Start(length - 10)).map_err(failed)?;
    file.read_exact(&mut end).map_err(failed)?;
    let size = read_footer_length(end).map_err(|error| error.to_string())?;
    let start = (length - 10).checked_sub(size as u64).ok_or(DAMAGED)?;
    let footer = bytes(file, start, size)?;
    let footer = root_as_footer(&footer).map_err(|_| DAMAGED)?;
    let most = limits.expansion.saturating_mul(length).saturating_add(Limits::FREE_EXPANSION);
    let (mut rows, mut kept) = (0_u64, 0_u64);
    let dictionaries = footer.dictionaries().into_iter().flatten().map(|block| (block, true));
    let batches = footer.recordBatches().into_iter().flatten().map(|block| (block, false));
    for (block, is_dictionary) in dictionaries.chain(batches) {
        let asked = of_block(file, length, block, |batch| {
            if !is_dictionary {
                rows = rows.saturating_add(u64::try_from(batch.length()).ok()?);
            }
            Some(())
        })?;
        if kept.saturating_add(asked) > most {
            return Err(format!(
                "a block unpacks to more than {} bytes for each byte of the file (limit \
                 `expansion`)",
                limits.expansion
            ));
        }
        // Dictionaries stay in memory; batches are read one by one.
        kept = kept.saturating_add(if is_dictionary { asked } else { 0 });
    }
    Ok(rows)
}

/// Returns the number of bytes that a block needs in memory.
fn of_block(
    file: &File,
    length: u64,
    block: &Block,
    mut see: impl FnMut(&RecordBatch<'_>) -> Option<()>,
) -> Result<u64, String> {
    let size = |size: i64| u64::try_from(size).map_err(|_| DAMAGED.to_owned());
    let start = size(block.offset())?;
    let (head, body) = (size(block.metaDataLength().into())?, size(block.bodyLength())?);
    let inside = start.checked_add(head).and_then(|end| end.checked_add(body));
    if inside.is_none_or(|end| end > length) || head < 8 {
        return Err(DAMAGED.to_owned());
    }
    let message = bytes(file, start, head as usize)?;
    let at = if message[..4] == CONTINUATION { 8 } else { 4 };
    let message = root_as_message(&message[at..]).map_err(|_| DAMAGED)?;
    let dictionary = message.header_as_dictionary_batch();
    let batch = message.header_as_record_batch().or_else(|| dictionary.and_then(|d| d.data()));
    let batch = batch.ok_or(DAMAGED)?;
    see(&batch).ok_or(DAMAGED)?;
    let mut asked = 0_u64;
    for buffer in batch.buffers().into_iter().flatten() {
        let (offset, stored) = (size(buffer.offset())?, size(buffer.length())?);
        if offset.checked_add(stored).is_none_or(|end| end > body) {
            return Err(DAMAGED.to_owned());
        }
        let unpacked = match batch.compression() {
            Some(_) if stored > 0 => {
                let prefix = bytes(file, start + head + offset, 8)?;
                let prefix = prefix.try_into().map_err(|_| DAMAGED)?;
                match i64::from_le_bytes(prefix) {
                    -1 => stored,
                    length => size(length)?,
                }
            }
            _ => stored,
        };
        asked = asked.saturating_add(unpacked);
    }
    Ok(asked)
}

fn bytes(mut file: &File, start: u64, length: usize) -> Result<Vec<u8>, String> {
    let mut bytes = vec![0; length];
    file.seek(SeekFrom::Start(start))
        .and_then(|_| file.read_exact(&mut bytes))
        .map_err(|error| error.to_string())?;
    Ok(bytes)
}
