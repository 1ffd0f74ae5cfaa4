//! Files that are damaged, or claim more than they contain.

use super::*;

/// Damage in the fields that state sizes.
#[test]
fn a_small_file_does_not_get_what_it_asks_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("zeros");
    // A page, and a block, of 80 MB in a few kilobytes.
    let zeros = batch(vec![("y", Arc::new(Float64Array::from(vec![0.0; 10_000_000])))]);
    let properties = WriterProperties::builder()
        .set_dictionary_enabled(false)
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_data_page_size_limit(1 << 30)
        .set_data_page_row_count_limit(1 << 30)
        .set_max_row_group_row_count(None)
        .set_write_batch_size(1 << 24)
        .build();
    let file = std::fs::File::create(&path).unwrap();
    let mut writer = ArrowWriter::try_new(file, zeros.schema(), Some(properties)).unwrap();
    writer.write(&zeros).unwrap();
    writer.close().unwrap();
    assert!(std::fs::metadata(&path).unwrap().len() < 20_000);
    let error = load(&path, &filled()).unwrap_err();
    assert!(error.contains("row group 1") && error.contains("`expansion`"), "{error}");
    let options = arrow_ipc::writer::IpcWriteOptions::default()
        .try_with_compression(Some(arrow_ipc::CompressionType::ZSTD))
        .unwrap();
    let write = |table: &RecordBatch, options: &arrow_ipc::writer::IpcWriteOptions| {
        let file = std::fs::File::create(&path).unwrap();
        let (schema, options) = (table.schema(), options.clone());
        let mut writer =
            arrow_ipc::writer::FileWriter::try_new_with_options(file, &schema, options).unwrap();
        writer.write(table).unwrap();
        writer.finish().unwrap();
    };
    write(&zeros, &options);
    assert!(std::fs::metadata(&path).unwrap().len() < 20_000);
    let error = load(&path, &filled()).unwrap_err();
    assert!(error.contains("a block unpacks") && error.contains("`expansion`"), "{error}");
    // A buffer that claims to decompress to a petabyte.
    write(&zeros.slice(0, 1000), &options);
    assert_eq!(load(&path, &filled()).unwrap().rows(), 1000);
    let mut bytes = std::fs::read(&path).unwrap();
    let length = 8000_i64.to_le_bytes();
    let at = bytes.windows(8).position(|eight| eight == length).unwrap();
    bytes[at..at + 8].copy_from_slice(&(1_i64 << 50).to_le_bytes());
    std::fs::write(&path, bytes).unwrap();
    let error = load(&path, &filled()).unwrap_err();
    assert!(error.contains("a block unpacks"), "{error}");
    // Rows without any bytes.
    let nothing = batch(vec![("y", Arc::new(NullArray::new(1 << 40)))]);
    write(&nothing, &arrow_ipc::writer::IpcWriteOptions::default());
    let error = load(&path, &filled()).unwrap_err();
    assert!(error.contains("more than 268435456 rows of data (limit `rows`)"), "{error}");
    // A text of a megabyte in each of many rows, stored once in a dictionary.
    let long = "x".repeat(1 << 20);
    let texts: DictionaryArray<Int32Type> = (0..100).map(|_| long.as_str()).collect();
    let table = batch(vec![
        ("day", Arc::new(Date32Array::from_iter_values(0..100))),
        ("remark", Arc::new(texts)),
        ("y", Arc::new(Float64Array::from(vec![0.5; 100]))),
    ]);
    parquet(&path, &table, Compression::ZSTD(ZstdLevel::default()));
    let error = load(&path, &filled()).unwrap_err();
    let expected = "more than 200 bytes of text for each byte of the file (limit `expansion`)";
    assert!(error.contains(expected), "{error}");
}

#[test]
fn what_a_small_file_asks_of_memory_is_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("constant.parquet");
    let table = batch(vec![("y", Arc::new(Float64Array::from(vec![0.25; 100_000])))]);
    parquet(&path, &table, Compression::ZSTD(ZstdLevel::default()));
    assert!(std::fs::metadata(&path).unwrap().len() < 200_000);
    let limits = Limits { content_bytes: 100_000, ..Limits::default() };
    let error = load(&path, &SeriesOptions { limits, ..filled() }).unwrap_err();
    assert!(error.contains("constant.parquet") && error.contains("`content_bytes`"), "{error}");
    let limits = Limits { file_bytes: 100, ..Limits::default() };
    let error = load(&path, &SeriesOptions { limits, ..filled() }).unwrap_err();
    assert!(error.contains("`file_bytes`"), "{error}");
}

/// Every eighth byte is changed, and files are cut off. The result is an error in one line, or the
/// numbers of a file whose damage has no effect.
#[test]
fn damaged_files_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let [_, whole, _] = three(folder.path());
    let small = folder.path().join("small.parquet");
    let feather = folder.path().join("small.feather");
    let rows: Vec<f64> = numbers()[..50].to_vec();
    let table = batch(vec![
        ("step", Arc::new(Int64Array::from_iter_values(0..50))),
        ("y", Arc::new(Float64Array::from(rows))),
        ("kind", Arc::new(StringArray::from_iter_values((0..50).map(|_| "a")))),
    ]);
    parquet(&small, &table, Compression::SNAPPY);
    arrow(&feather, &table);
    let options = SeriesOptions { columns: Some(vec!["y".to_owned()]), ..filled() };
    let mut refused = 0;
    let damaged = folder.path().join("damaged");
    for file in [&small, &feather] {
        let bytes = std::fs::read(file).unwrap();
        assert!(load(file, &options).is_ok());
        for (place, value) in (6..bytes.len()).step_by(8).zip((1..=255_u8).cycle().step_by(7)) {
            let mut bytes = bytes.clone();
            bytes[place] ^= value;
            std::fs::write(&damaged, &bytes).unwrap();
            if let Err(error) = load(&damaged, &options) {
                refused += 1;
                assert_eq!(error.lines().count(), 1, "{error}");
            }
        }
        for length in (6..bytes.len()).step_by(bytes.len() / 20) {
            std::fs::write(&damaged, &bytes[..length]).unwrap();
            let error = load(&damaged, &options).unwrap_err();
            assert!(error.lines().count() == 1, "{error}");
        }
    }
    assert!(refused > 20, "{refused}");
    let bytes = std::fs::read(&whole).unwrap();
    std::fs::write(&damaged, &bytes[..bytes.len() / 2]).unwrap();
    assert!(load(&damaged, &filled()).is_err());
}

/// The library validates only the texts that are marked as UTF-8.
#[test]
fn texts_that_are_not_marked_as_utf8_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bytes.parquet");
    let schema =
        Arc::new(parse_message_type("message t { required binary name (JSON); }").unwrap());
    let file = std::fs::File::create(&path).unwrap();
    let mut writer = SerializedFileWriter::new(file, schema, Arc::default()).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    let values = vec![ByteArray::from(vec![0xf0_u8]); 9];
    column.typed::<ByteArrayType>().write_batch(&values, None, None).unwrap();
    column.close().unwrap();
    group.close().unwrap();
    writer.close().unwrap();
    let expected = "column 1 (`name`) has texts that are not marked as UTF-8";
    let error = load(&path, &filled()).unwrap_err();
    assert!(error.contains(expected), "{error}");
    // Bytes that the embedded Arrow schema declares to be texts.
    let bytes: ArrayRef = Arc::new(BinaryArray::from_iter_values([[0xf0_u8]; 9]));
    let table = RecordBatch::try_from_iter([("name", bytes)]).unwrap();
    let texts = Schema::new(vec![Field::new("name", DataType::Utf8, false)]);
    let value = KeyValue::new("ARROW:schema".to_owned(), encode_arrow_schema(&texts));
    let properties = WriterProperties::builder().set_key_value_metadata(Some(vec![value])).build();
    let options = ArrowWriterOptions::new().with_properties(properties);
    let options = options.with_skip_arrow_metadata(true);
    let file = std::fs::File::create(&path).unwrap();
    let mut writer = ArrowWriter::try_new_with_options(file, table.schema(), options).unwrap();
    writer.write(&table).unwrap();
    writer.close().unwrap();
    let error = load(&path, &filled()).unwrap_err();
    assert!(error.contains(expected), "{error}");
}

/// Groups of columns that claim more children than there are, or are nested. The library reserves
/// memory for the claimed number, and recurses.
#[test]
fn damaged_footers_are_refused_before_the_library_reads_them() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("footer.parquet");
    let error = |elements: &[&[u8]]| {
        let count = elements.len() as u8;
        let mut footer = vec![0x15, 2, 0x19, 0xfc, count];
        assert!(count < 128);
        elements.iter().for_each(|element| footer.extend_from_slice(element));
        footer.push(0);
        let mut file = b"PAR1".to_vec();
        file.extend_from_slice(&footer);
        file.extend_from_slice(&(footer.len() as u32).to_le_bytes());
        file.extend_from_slice(b"PAR1");
        std::fs::write(&path, file).unwrap();
        load(&path, &filled()).unwrap_err()
    };
    // A name, and 2^31 - 1 children.
    let many = error(&[&[0x48, 1, b'r', 0x15, 0xfe, 0xff, 0xff, 0xff, 0x0f, 0]]);
    assert!(many.contains("its footer is damaged"), "{many}");
    let group: &[u8] = &[0x48, 1, b'g', 0x15, 2, 0];
    let deep = error(&[group; 100]);
    assert!(deep.contains("its columns are nested more than 64 deep"), "{deep}");
    let open = error(&[group; 10]);
    assert!(open.contains("its footer is damaged"), "{open}");
}

/// A header that a reader could interpret differently is damage, and missing rows are detected.
#[test]
fn headers_and_numbers_of_rows_are_read_strictly() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("patched.parquet");
    let whole: Vec<f64> = (0..50).map(f64::from).collect();
    let table = batch(vec![("y", Arc::new(Float64Array::from(whole)))]);
    parquet(&path, &table, Compression::UNCOMPRESSED);
    assert_eq!(load(&path, &filled()).unwrap().rows(), 50);
    let bytes = std::fs::read(&path).unwrap();
    let error = |patches: &[(usize, u8)]| {
        let mut bytes = bytes.clone();
        patches.iter().for_each(|&(at, value)| bytes[at] = value);
        std::fs::write(&path, bytes).unwrap();
        load(&path, &filled()).unwrap_err()
    };
    // The first field of the first header, its kind, with another type; then its second field
    // again.
    assert_eq!((bytes[4], bytes[6]), (0x15, 0x15));
    for patch in [(4, 0x16), (6, 0x05)] {
        let error = error(&[patch]);
        assert!(error.contains("column 1 (`y`) is damaged: the header of a page"), "{error}");
    }
    // 50 rows, in the footer and in its row group.
    let rows: Vec<usize> = bytes
        .windows(2)
        .enumerate()
        .filter(|(_, two)| *two == [0x16, 2 * 50])
        .map(|(at, _)| at + 1)
        .collect();
    let one = error(&[(rows[0], 2 * 51)]);
    assert!(one.contains("rows, its row groups"), "{one}");
    let all: Vec<(usize, u8)> = rows.iter().map(|&at| (at, 2 * 51)).collect();
    let both = error(&all);
    assert!(both.contains("says 51 rows and holds 50") || both.contains("EOF"), "{both}");
}
