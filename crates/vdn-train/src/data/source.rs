//! Bytes of a file, gunzipped when they are gzip.
//!
//! Gzip is recognised by its first two bytes, not by the file's name: `series.csv` may be
//! compressed and `series.csv.gz` may have been unpacked by a download tool that kept the name.

use std::io::Read as _;
use std::path::Path;

use flate2::read::MultiGzDecoder;

use crate::data::error::DataError;

/// First two bytes of every gzip member (RFC 1952, section 2.3.1).
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// The file's name as messages show it, and its content, gunzipped if need be.
pub(super) fn read(path: &Path) -> Result<(String, Vec<u8>), DataError> {
    let file = path.display().to_string();
    let bytes =
        std::fs::read(path).map_err(|source| DataError::Read { file: file.clone(), source })?;
    let bytes = match gunzip(&file, &bytes)? {
        Some(content) => content,
        None => bytes,
    };
    Ok((file, bytes))
}

/// The content when `bytes` are gzip (all members, one after the other), `None` when they are
/// something else.
///
/// Nothing is returned of a stream that is cut off or whose checksum is wrong.
pub(super) fn gunzip(file: &str, bytes: &[u8]) -> Result<Option<Vec<u8>>, DataError> {
    if !bytes.starts_with(&GZIP_MAGIC) {
        return Ok(None);
    }
    let mut content = Vec::new();
    match MultiGzDecoder::new(bytes).read_to_end(&mut content) {
        Ok(_) => Ok(Some(content)),
        Err(source) => Err(DataError::Gzip { file: file.to_owned(), bytes: content.len(), source }),
    }
}
