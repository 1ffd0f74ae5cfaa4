//! What the pages of a Parquet file ask for, before a library decodes them.
//!
//! A page says how long it is once it is unpacked, and the library reserves that much, for each
//! column at once; some encodings of texts say how many values follow, and it reserves those. So a
//! file of a few hundred bytes could ask for all memory. The headers of all pages are read
//! here first, and pages that ask for more than the file's
//! length allows ([`Limits::expansion`]) are refused.

use crate::data::read::columnar::thrift::{DEPTH, FALSE, INTEGER, STRUCTURE, TRUE, Thrift};
use flate2::read::MultiGzDecoder;
use parquet::basic::{Compression, Type};
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use vdn_train::data::Limits;

/// Bytes that are read at a time from headers, most of which are shorter.
const PIECE: usize = 512;

/// The longest values of fixed length: decimals of 76 digits.
const LONGEST: i32 = 32;

const DAMAGED: &str = "is damaged: the header of a page cannot be";

/// Refuses a file whose pages, in the columns that are `read`, ask for too much at a time, or are
/// packed or encoded in a way that is not read.
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

/// The bytes that a column of a row group asks for at a time: its dictionary and its largest page.
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
            // Levels of version 2 stand before what is packed.
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
                // A text is a view of sixteen bytes beside its own.
                dictionary = dictionary.max(asked.saturating_add(16 * values));
            }
            _ => {}
        }
    }
    Ok(dictionary.saturating_add(largest))
}

/// Refuses a page that unpacks to more than it says: the library unpacks all of it, by the same
/// decoder, which has the last word on pages that are no gzip.
fn check_gzip(page: impl Read, unpacked: u64) -> Result<(), String> {
    let mut content = MultiGzDecoder::new(page).take(unpacked.saturating_add(1));
    match io::copy(&mut content, &mut io::sink()) {
        Ok(found) if found > unpacked => Err("has a page that unpacks to more than it says".into()),
        _ => Ok(()),
    }
}

/// What the header of a page says.
#[derive(Default)]
struct Page {
    /// 0 and 3: values, 2: a dictionary.
    kind: Option<i32>,
    uncompressed: Option<i32>,
    compressed: Option<i32>,
    values: Option<i32>,
    encoding: Option<i32>,
    /// Bytes of levels that are not packed, in version 2.
    levels: [i32; 2],
    /// Whether the page is stored as it is in a column that is packed.
    is_plain: bool,
}

/// The header of a page, strictly: every known field with its type, and the one structure that the
/// kind of the page has.
fn page<R: Read>(header: &mut Thrift<R>) -> Option<Page> {
    let mut page = Page::default();
    let mut structure = None;
    header.fields(|this, field, kind| match (field, kind) {
        (1, INTEGER) => this.integer().map(|x| page.kind = Some(x)),
        (2, INTEGER) => this.integer().map(|x| page.uncompressed = Some(x)),
        (3, INTEGER) => this.integer().map(|x| page.compressed = Some(x)),
        (4, INTEGER) => this.integer().map(drop),
        // Of values, an index, a dictionary, and values of version 2.
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
