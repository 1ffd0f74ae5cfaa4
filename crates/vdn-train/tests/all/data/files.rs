//! Row splits, IDX images.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use vdn_train::data::{DataError, IdxArray, ImageSet, RowSplit};

#[test]
fn row_splits_divide_the_permutation() {
    for n in [1, 2, 4, 5, 9, 10, 506, 768, 1797] {
        // 7919 is prime and does not divide any n, so this is a permutation.
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
    // The training sizes of these sets in the literature.
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
