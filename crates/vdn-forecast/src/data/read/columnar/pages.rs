//! Size checks on the pages of a Parquet file, before the library decodes them.
//!
//! A page states its decompressed length, and the library reserves that much memory for all columns
//! at once. Some text encodings also state the number of values, and the library reserves memory
//! for them. So a file of a few hundred bytes could exhaust the memory. Therefore the headers of
//! all pages are read first, and pages that need more than the file's length allows
//! ([`Limits::expansion`]) are rejected.

use crate::data::read::columnar::thrift::{DEPTH, FALSE, INTEGER, STRUCTURE, TRUE, Thrift};
use flate2::read::MultiGzDecoder;
use parquet::basic::{Compression, Type};
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use vdn_train::data::Limits;

/// The number of bytes read at a time for headers. Most headers are shorter.
const PIECE: usize = 512;

/// The maximum size in bytes of fixed-length values: decimals of 76 digits.
const LONGEST: i32 = 32;

const DAMAGED: &str = "is damaged: the header of a page cannot be";

/// Rejects a file with pages, in the columns that are `read`, that need too much memory at a time,
/// or whose compression or encoding is not supported.
pub(super) fn check(
    file: &File,
    metadata: &ParquetMetaData,
    read: &[bool],
    limits: &Limits,
) -> Result<(), String> {
    let length = file.metadata().map_err(|error| error.to_string())?.len();
    let most = limits.expansion.saturating_mul(length).saturating_add(Limits::FREE_EXPANSION);
    let schema = metadata.file_metadata().schema_descr();
    for (number, group) in metadata.row_groups().iter().enumerate() {
        let mut memory = 0_u64;
        for (leaf, chunk) in group.columns().iter().enumerate().take(schema.num_columns()) {
            let root = schema.get_column_root_idx(leaf);
            if !read.get(root).is_some_and(|&read| read) {
                continue;
            }
            let largest = largest(file, length, chunk).map_err(|problem| {
                format!("column {} (`{}`) {problem}", root + 1, schema.get_column_root(leaf).name())
            })?;
            memory = memory.saturating_add(largest);
        }
        if memory > most {
            return Err(format!(
                "the pages of row group {} unpack to more than {} bytes for each byte of the file \
                 (limit `expansion`)",
                number + 1,
                limits.expansion
            ));
        }
    }
    Ok(())
}

/// Returns the number of bytes that a column of a row group needs at a time: its dictionary and its
/// largest page.
fn largest(mut file: &File, length: u64, chunk: &ColumnChunkMetaData) -> Result<u64, String> {
    let packed = match chunk.compression() {
        Compression::UNCOMPRESSED => false,
        Compression::SNAPPY
        | Compression::GZIP(_)
        | Compression::LZ4
        | Compression::LZ4_RAW
        | Compression::ZSTD(_) => true,
        other => {
            let name = other.to_string();
            let name = name.split('(').next().unwrap_or_default();
            return Err(format!(
                "is compressed by {name}, which is not read; write it with Snappy, Zstandard, LZ4 \
                 or gzip"
            ));
        }
    };
    let values = chunk.column_type();
    if values == Type::FIXED_LEN_BYTE_ARRAY && chunk.column_descr().type_length() > LONGEST {
        return Err("has longer numbers than any format of them".to_owned());
    }
    let start = chunk.dictionary_page_offset().unwrap_or_else(|| chunk.data_page_offset());
    let bounds = (u64::try_from(start), u64::try_from(chunk.compressed_size()));
    let (Ok(mut at), Ok(stored)) = bounds else { return Err(DAMAGED.to_owned()) };
    let end = at.checked_add(stored).filter(|&end| end <= length).ok_or(DAMAGED)?;
    let (mut dictionary, mut largest) = (0_u64, 0_u64);
    while at < end {
        file.seek(SeekFrom::Start(at)).map_err(|error| error.to_string())?;
        let input = BufReader::with_capacity(PIECE, file).take(end - at);
        let mut header = Thrift::new(input);
        let page = page(&mut header).ok_or(DAMAGED)?;
        at += header.read;
        let size = |size: Option<i32>| u64::try_from(size?).ok();
        let (Some(stored), Some(unpacked)) = (size(page.compressed), size(page.uncompressed))
        else {
            return Err(DAMAGED.to_owned());
        };
        if stored > end - at {
            return Err(DAMAGED.to_owned());
        }
        let asked = if packed && !page.is_plain { unpacked } else { stored };
        if matches!(chunk.compression(), Compression::GZIP(_)) && !page.is_plain {
            // In version 2, levels are stored uncompressed before the compressed values.
            let levels = page.levels.iter().try_fold(0, |sum, &one| Some(sum + size(Some(one))?));
            let levels = levels.filter(|&all| all <= stored && all <= unpacked).ok_or(DAMAGED)?;
            file.seek(SeekFrom::Start(at + levels)).map_err(|error| error.to_string())?;
            check_gzip(file.take(stored - levels), unpacked - levels)?;
        }
        at += stored;
        match page.kind {
            Some(0 | 3) => {
                if matches!(values, Type::BYTE_ARRAY | Type::FIXED_LEN_BYTE_ARRAY)
                    && matches!(page.encoding, Some(6 | 7))
                {
                    return Err("has texts in a delta encoding, which is not read; write them \
                                plain or with a dictionary"
                        .to_owned());
                }
                largest = largest.max(asked);
            }
            Some(2) => {
                let values = size(page.values).filter(|&values| values <= asked).ok_or(DAMAGED)?;
                // A text in memory is a view of sixteen bytes plus its own bytes.
                dictionary = dictionary.max(asked.saturating_add(16 * values));
            }
            _ => {}
        }
    }
    Ok(dictionary.saturating_add(largest))
}

/// Rejects a page whose decompressed size exceeds its stated size. The library decompresses the
/// whole page with the same decoder, and reports pages that are not valid gzip.
fn check_gzip(page: impl Read, unpacked: u64) -> Result<(), String> {
    let mut content = MultiGzDecoder::new(page).take(unpacked.saturating_add(1));
    match io::copy(&mut content, &mut io::sink()) {
        Ok(found) if found > unpacked => Err("has a page that unpacks to more than it says".into()),
        _ => Ok(()),
    }
}

/// The header of a page.
#[derive(Default)]
struct Page {
    /// 0 and 3: values; 2: a dictionary.
    kind: Option<i32>,
    uncompressed: Option<i32>,
    compressed: Option<i32>,
    values: Option<i32>,
    encoding: Option<i32>,
    /// The sizes in bytes of the uncompressed levels, in version 2.
    levels: [i32; 2],
    /// Whether the page is stored uncompressed in a compressed column.
    is_plain: bool,
}

/// Parses the header of a page strictly: every known field must have its type, and only the
/// structure for the page's kind may be present.
fn page<R: Read>(header: &mut Thrift<R>) -> Option<Page> {
    let mut page = Page::default();
    let mut structure = None;
    header.fields(|this, field, kind| match (field, kind) {
        (1, INTEGER) => this.integer().map(|x| page.kind = Some(x)),
        (2, INTEGER) => this.integer().map(|x| page.uncompressed = Some(x)),
        (3, INTEGER) => this.integer().map(|x| page.compressed = Some(x)),
        (4, INTEGER) => this.integer().map(drop),
        // Structures for values (5), an index (6), a dictionary (7), and values of version 2 (8).
        (5..=8, STRUCTURE) if structure.is_none() => {
            structure = Some(field);
            this.fields(|this, inner, kind| match (field, inner, kind) {
                (5 | 7 | 8, 1, INTEGER) => this.integer().map(|x| page.values = Some(x)),
                (5, 2, INTEGER) | (8, 4, INTEGER) => {
                    this.integer().map(|x| page.encoding = Some(x))
                }
                (8, 5 | 6, INTEGER) => this.integer().map(|x| page.levels[inner as usize - 5] = x),
                (8, 7, TRUE | FALSE) => {
                    page.is_plain = kind == FALSE;
                    Some(())
                }
                (5, 3 | 4, INTEGER) | (7, 2, INTEGER) | (8, 2 | 3, INTEGER) => {
                    this.integer().map(drop)
                }
                (5, 5, STRUCTURE) | (8, 8, STRUCTURE) | (7, 3, TRUE | FALSE) => {
                    this.skip(kind, DEPTH)
                }
                _ => None,
            })
        }
        _ => None,
    })?;
    let of_kind = page.kind.map(|kind| i64::from(kind) + 5);
    (of_kind.is_some() && of_kind == structure).then_some(page)
}
