use super::*;
use crate::noise::NoiseKey;

fn file(version: u8, header: &str, numbers: &[u8]) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend([version, 0]);
    match version {
        1 => bytes.extend((header.len() as u16).to_le_bytes()),
        _ => bytes.extend((header.len() as u32).to_le_bytes()),
    }
    bytes.extend(header.as_bytes());
    bytes.extend(numbers);
    bytes
}

/// The bytes that `numpy.save` of NumPy 2 writes for
/// `numpy.array([[1.5, -2.0], [0.25, 3.0], [0.0, -1.0]], "<f4")`, according to the description of
/// its format: a header of 118 bytes, so that the numbers begin at 128.
fn of_numpy() -> Vec<u8> {
    let header = "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2), }";
    let header = format!("{header:<117}\n");
    let numbers: Vec<u8> =
        [1.5_f32, -2.0, 0.25, 3.0, 0.0, -1.0].iter().flat_map(|x| x.to_le_bytes()).collect();
    file(1, &header, &numbers)
}

#[test]
fn what_is_written_is_what_numpy_writes() {
    let tensor = Tensor::from_slice([3, 2], &[1.5_f32, -2.0, 0.25, 3.0, 0.0, -1.0]).unwrap();
    let mut written = Vec::new();
    tensor.write_npy(&mut written).unwrap();
    assert_eq!(written, of_numpy());
    let back = Tensor::<f32>::read_npy(&of_numpy()[..]).unwrap();
    assert_eq!((back.shape(), back.data()), (tensor.shape(), tensor.data()));
}

#[test]
fn every_shape_and_bit_comes_back() {
    fn round<T: Element>(dims: &[usize]) {
        let shape = Shape::new(dims).unwrap();
        let mut tensor = Tensor::<T>::zeros(shape);
        NoiseKey::new(3, 0, 0).fill_normal(0, tensor.data_mut());
        let specials = [T::from_f64(f64::NEG_INFINITY), T::from_f64(-0.0), T::EPSILON];
        for (to, special) in tensor.data_mut().iter_mut().zip(specials) {
            *to = special;
        }
        let mut written = Vec::new();
        tensor.write_npy(&mut written).unwrap();
        let header = written.len() - shape.numel() * size_of::<T>();
        assert_eq!(header % ALIGNMENT, 0, "{dims:?}");
        // The input has two arrays. Each read ends at the last number of its array.
        tensor.write_npy(&mut written).unwrap();
        let mut from = &written[..];
        for _ in 0..2 {
            let back = Tensor::<T>::read_npy(&mut from).unwrap();
            let bits = |t: &Tensor<T>| -> Vec<u64> {
                t.data().iter().map(|x| x.to_f64().to_bits()).collect()
            };
            assert_eq!((back.shape(), bits(&back)), (tensor.shape(), bits(&tensor)));
        }
        assert!(from.is_empty());
    }
    for dims in [&[][..], &[1], &[7], &[0, 3], &[2, 3, 4], &[1, 2, 1, 3, 1, 2], &[600_000]] {
        round::<f32>(dims);
        round::<f64>(dims);
    }
}

#[test]
fn headers_of_other_writers_are_read() {
    let numbers: Vec<u8> = [1.0_f64, 2.0].iter().flat_map(|x| x.to_le_bytes()).collect();
    for (version, header) in [
        (2, "{'descr': '<f8', 'fortran_order': False, 'shape': (2,), }\n"),
        (1, "{\"shape\":(2,),\"fortran_order\":True,\"descr\":\"<f8\"}"),
        (1, "  {'fortran_order': False, 'shape': ( 2 , ), 'descr': '<f8'}   "),
        (1, "{'descr': '<f8', 'fortran_order': False, 'shape': (1, 2)}"),
    ] {
        let read = Tensor::<f64>::read_npy(&file(version, header, &numbers)[..]);
        assert_eq!(read.unwrap().data(), [1.0, 2.0], "{header}");
    }
}

#[test]
fn what_is_not_read_is_told() {
    let of = |descr: &str, order: &str, shape: &str| {
        let header = format!("{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}");
        file(1, &header, &[0; 64])
    };
    let mut short = of_numpy();
    short.pop();
    let padding = " ".repeat(70_000 - 57);
    let long = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }}{padding}");
    let cases = [
        (b"PK\x03\x04 a zip".to_vec(), "npy: does not begin as an .npy file"),
        (b"\x93NUM".to_vec(), "npy: ends before its last number"),
        (file(3, "{}", &[]), "npy: version 3.0: 1.0 and 2.0 are read"),
        (short, "npy: ends before its last number"),
        (file(2, &long, &[0; 4]), "npy: a header of 70000 bytes: at most 65536 are read"),
        (
            of("'<f8'", "False", "(2,)"),
            "numbers of type \"<f8\", not \"<f4\"; read a tensor of f64",
        ),
        (of("'>f4'", "False", "(2,)"), "type \">f4\", not \"<f4\"; save array.astype(\"<f4\")"),
        (of("'<i8'", "False", "(2,)"), "type \"<i8\", not \"<f4\"; save array.astype(\"<f4\")"),
        (of("'<f4'", "True", "(2, 2)"), "npy: in Fortran order; save numpy.ascontiguousarray"),
        (of("'<f4'", "False", "(1, 1, 1, 1, 1, 1, 1)"), "has 7 dimensions, at most 6"),
        (of("'<f4'", "False", "(4294967296, 4294967296, 4294967296)"), "npy: "),
        // A file that claims to be larger than the memory is read until it ends.
        (of("'<f4'", "False", "(1073741824, 1073741824)"), "npy: ends before its last number"),
        (of("[('a', '<f4')]", "False", "(2,)"), "is not that of a plain array"),
        (of("'<f4'", "False", "(2)"), "is not that of a plain array"),
        (of("'<f4'", "False", "(-2,)"), "is not that of a plain array"),
        (of("'<f4'", "Maybe", "(2,)"), "is not that of a plain array"),
        (file(1, "{'descr': '<f4', 'shape': (1,), }", &[0; 4]), "is not that of a plain array"),
        (file(1, "{'descr': '<f4", &[0; 4]), "is not that of a plain array"),
        (file(1, "", &[0; 4]), "is not that of a plain array"),
    ];
    for (bytes, expected) in cases {
        let error = Tensor::<f32>::read_npy(&bytes[..]).expect_err(expected).to_string();
        assert!(error.contains(expected) && error.lines().count() == 1, "{error}\n  {expected}");
    }
    // A truncated file of any length is refused.
    let whole = of_numpy();
    for end in 0..whole.len() {
        assert!(Tensor::<f32>::read_npy(&whole[..end]).is_err(), "{end} bytes");
    }
}
