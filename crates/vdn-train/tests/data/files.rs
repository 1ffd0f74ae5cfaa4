//! Tabular files, their row splits, IDX images.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use vdn_train::data::{DataError, IdxArray, ImageSet, RowSplit, Tabular};

const HOUSES: &[u8] = b"rooms,flag,area,price,rent\n1,5,10,100,3\n2,5,20,200,4\n3,5,60,900,8\n";

#[test]
fn tabular_columns_are_features_then_targets() {
    let mut data = Tabular::from_bytes("houses.csv", HOUSES, 2).unwrap();
    assert_eq!((data.rows(), data.n_features(), data.n_targets()), (3, 3, 2));
    let (mut x, mut y) = ([0.0_f32; 6], [0.0_f32; 4]);
    data.fill_batch(&[2, 0], &mut x, &mut y, |v| v as f32).unwrap();
    assert_eq!(x, [3.0, 5.0, 60.0, 1.0, 5.0, 10.0]);
    assert_eq!(y, [900.0, 8.0, 100.0, 3.0]);

    // Rows 0 and 1 only: means 1.5, 5, 15, 150, 3.5; deviations 0.5, 1 (constant), 5, 50, 0.5.
    data.standardise(&[0, 1], true).unwrap();
    data.fill_batch(&[2, 0], &mut x, &mut y, |v| v as f32).unwrap();
    assert_eq!(x, [3.0, 0.0, 9.0, -1.0, 0.0, -1.0]);
    assert_eq!(y, [15.0, 9.0, -1.0, -1.0]);
    assert_eq!(data.scaler().constant_series().collect::<Vec<_>>(), [1]);
    assert_eq!(data.scaler().inverse(3, 15.0), 900.0);
    assert!(data.standardise(&[0, 1], true).is_err(), "a second time");

    let mut labels = Tabular::from_bytes("houses.csv", HOUSES, 1).unwrap();
    labels.standardise(&[0, 1], false).unwrap();
    assert_eq!(labels.table().columns[4], [3.0, 4.0, 8.0]);
    assert_eq!(labels.table().columns[3], [-1.0, 1.0, 15.0]);
}

#[test]
fn tabular_errors() {
    let bytes = |text: &[u8], n| Tabular::from_bytes("t.csv", text, n).map(|_| ());
    let data = Tabular::from_bytes("t.csv", HOUSES, 2).unwrap();
    let fill = |rows: &[usize], x: usize, y: usize| {
        data.fill_batch(rows, &mut vec![0.0; x], &mut vec![0.0; y], |v| v)
    };
    let fit = |rows: &[usize]| data.clone().standardise(rows, true);
    let cases = [
        (bytes(HOUSES, 0), "tabular: 0 targets of 5 columns"),
        (bytes(HOUSES, 5), "tabular: 5 targets of 5 columns"),
        (bytes(b"a,y\n1,2\n3,x\n", 1), "t.csv:3: column 2 (`y`): \"x\" is not a finite number"),
        (bytes(b"a,y\n1,2\n,4\n", 1), "t.csv:3: column 1 (`a`): the value is missing"),
        // A first column named like a date is a feature here.
        (bytes(b"time,y\n2020-01-01,2\n", 1), "t.csv:2: column 1 (`time`): \"2020-01-01\" is not"),
        (fill(&[0], 4, 2), "fill_batch: buffers of 4 and 2 elements for [1, 3] and [1, 2]"),
        (fill(&[0], 3, 1), "fill_batch: buffers of 3 and 1 elements for [1, 3] and [1, 2]"),
        (fill(&[3], 3, 2), "fill_batch: there is no row 3, only 3"),
        (fit(&[0, 3]), "standardise: there is no row 3, only 3"),
        (fit(&[]), "series `rooms`: there is no row to take a mean"),
    ];
    for (found, expected) in cases {
        let error = found.expect_err(expected).to_string();
        assert!(error.starts_with(expected), "{error}\n   not {expected}");
    }
}

#[test]
fn row_splits_divide_the_permutation() {
    for n in [1, 2, 4, 5, 9, 10, 506, 768, 1797] {
        // 7919 is prime and no factor of any n: a permutation.
        let permutation: Vec<usize> = (0..n).map(|i| (i * 7919 + 3) % n).collect();
        let cases = [
            (RowSplit::seventy_ten_twenty(&permutation), n * 7 / 10, n * 8 / 10, false),
            (RowSplit::ninety_ten(&permutation, 0), ninety(n), ninety(n), true),
            (RowSplit::ninety_ten(&permutation, n / 5), ninety(n) - n / 5, ninety(n), n < 5),
        ];
        for (split, a, b, validation_may_be_empty) in cases {
            let complete = a > 0 && (b > a || validation_may_be_empty) && n > b;
            assert_eq!(split.is_ok(), complete, "{n} rows: {split:?}");
            let Ok(split) = split else { continue };
            assert_eq!(split.train, permutation[..a], "{n} rows");
            assert_eq!(split.validation, permutation[a..b], "{n} rows");
            assert_eq!(split.test, permutation[b..], "{n} rows");
        }
    }
    // The literature's training sizes of these sets.
    assert_eq!((ninety(506), ninety(768)), (455, 691));
}

fn ninety(n: usize) -> usize {
    (0.9 * n as f64).round() as usize
}

#[test]
fn what_is_no_permutation_is_refused() {
    let good: Vec<usize> = (0..20).collect();
    let repeated = [&good[..19], &[3]].concat();
    let too_large = [&good[..19], &[20]].concat();
    for bad in [&repeated, &too_large] {
        for split in [RowSplit::seventy_ten_twenty(bad), RowSplit::ninety_ten(bad, 2)] {
            assert!(matches!(split, Err(DataError::Mismatch { op: "row split", .. })), "{split:?}");
        }
    }
    assert!(RowSplit::ninety_ten(&good, 19).is_err(), "more validation than training rows");
    assert!(RowSplit::ninety_ten(&good, 18).is_err(), "no training row left");
    assert!(RowSplit::seventy_ten_twenty(&[]).is_err());
}

fn idx(shape: &[u32], values: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, shape.len() as u8];
    bytes.extend(shape.iter().flat_map(|size| size.to_be_bytes()));
    bytes.extend(values);
    bytes
}

#[test]
fn images_are_read_plain_or_gzip_and_divided_by_255() {
    let pixels: Vec<u8> = (0..18).map(|i| i * 15).collect();
    let images = idx(&[3, 2, 3], &pixels);
    let labels = idx(&[3], &[4, 0, 1]);
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(&images).unwrap();
    let zipped = encoder.finish().unwrap();
    for images in [&images, &zipped] {
        let images = IdxArray::from_bytes("images", images).unwrap();
        let labels = IdxArray::from_bytes("labels", &labels).unwrap();
        let set = ImageSet::new(images, labels).unwrap();
        assert_eq!((set.len(), set.height(), set.width(), set.classes()), (3, 2, 3, 5));
        assert_eq!(
            (set.labels(), set.pixels(), set.is_empty()),
            (&[4, 0, 1][..], &pixels[..], false)
        );
        let mut x = [f64::NAN; 12];
        set.fill_batch(&[2, 0], &mut x, |v| v).unwrap();
        let expected: Vec<f64> = (12..18).chain(0..6).map(|i| f64::from(i * 15) / 255.0).collect();
        assert_eq!(x[..], expected);
        assert_eq!(x[5], 1.0);
        let error = set.fill_batch(&[3], &mut x[..6], |v| v).unwrap_err().to_string();
        assert_eq!(error, "fill_batch: there is no image 3, only 3");
        let error = set.fill_batch(&[0], &mut x, |v| v).unwrap_err().to_string();
        assert_eq!(error, "fill_batch: the buffer has 12 elements, not [1, 6]");
    }
}

#[test]
fn bad_idx_files() {
    let mut float = idx(&[2], &[1, 2]);
    float[2] = 0x0d;
    let cases: [(&[u8], &str); 11] = [
        (b"", "f: the file is empty"),
        (&[0, 0, 8], "f: 3 bytes are too few for an IDX header"),
        (b"PK\x03\x04", "f: bad magic number 0x504b0304: not IDX"),
        (b"date,a\n1,2\n", "f: bad magic number 0x64617465: not IDX"),
        (&[0, 0, 8, 0, 1], "f: bad magic number 0x00000800: not IDX"),
        (&float, "f: IDX type 0x0d; only unsigned bytes (0x08) are read"),
        (&idx(&[2, 3], &[0; 6])[..11], "f: the header is cut off: 2 dimensions are announced"),
        (&idx(&[2, 3], &[0; 5]), "f: shape [2, 3] is announced, 5 values follow"),
        (&idx(&[2, 3], &[0; 7]), "f: shape [2, 3] is announced, 7 values follow"),
        (&idx(&[u32::MAX; 3], &[0]), "f: shape [4294967295, 4294967295, 4294967295] is announced"),
        (&[0x1f, 0x8b, 8, 0], "f: gzip cut off or damaged after 0 bytes of content"),
    ];
    for (bytes, expected) in cases {
        let error = IdxArray::from_bytes("f", bytes).expect_err(expected).to_string();
        assert!(error.starts_with(expected), "{error}\n   not {expected}");
    }
}

#[test]
fn images_and_labels_must_belong_together() {
    let array =
        |shape: &[usize], count: usize| IdxArray { shape: shape.to_vec(), values: vec![0; count] };
    let cases = [
        ("counts", array(&[2, 2, 2], 8), array(&[3], 3)),
        ("a label's shape", array(&[2, 2, 2], 8), array(&[3], 2)),
        ("no labels", array(&[0, 2, 2], 0), array(&[0], 0)),
        ("no pixels", array(&[2, 0, 2], 0), array(&[2], 2)),
        ("exchanged", array(&[2], 2), array(&[2, 2, 2], 8)),
        ("shape and values", array(&[2, 2, 2], 7), array(&[2], 2)),
        ("overflow", array(&[2, usize::MAX, 2], 8), array(&[2], 2)),
    ];
    for (name, images, labels) in cases {
        let result = ImageSet::new(images, labels);
        assert!(matches!(result, Err(DataError::Mismatch { op: "image set", .. })), "{name}");
    }
}
