//! Tensors as `.npy`, the NumPy file format of a single array: versions 1 and 2, little-endian, C
//! order. Feature `npy`.
//!
//! ```text
//! 93 "NUMPY"  major minor  length of the header  header, a Python dictionary  numbers
//! {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }
//! ```

use crate::{Element, Shape, ShapeError, Tensor};
use std::fmt;
use std::io::{self, Read, Write};

const MAGIC: &[u8; 6] = b"\x93NUMPY";
/// The longest header that is read. The header of a plain array has about a hundred bytes.
const MOST_HEADER: usize = 1 << 16;
/// The header is padded so that the numbers begin at a multiple of this.
const ALIGNMENT: usize = 64;
/// The number of bytes that are read at a time. A file that claims to be large thus takes memory
/// only for the numbers that it really has.
const PIECE: usize = 1 << 20;

/// The reason why bytes cannot be read as a tensor.
#[derive(Debug)]
#[non_exhaustive]
pub enum NpyError {
    /// The bytes cannot be read, or end too early.
    Read(io::Error),
    /// The bytes are not a `.npy` file of a known version, or the header cannot be understood.
    Format(String),
    /// The numbers have another type than the tensor.
    Type {
        /// The type in the file as NumPy writes it: `<f8`, `>f4`, `<i8`.
        found: String,
        /// The type of the tensor: `<f4` or `<f8`.
        wanted: &'static str,
    },
    /// The array has more than one dimension and is stored in Fortran order (columns before rows).
    FortranOrder,
    /// No tensor has the shape of the array.
    Shape(ShapeError),
}

impl fmt::Display for NpyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                f.write_str("npy: ends before its last number")
            }
            Self::Read(error) => write!(f, "npy: cannot be read: {error}"),
            Self::Format(reason) => write!(f, "npy: {reason}"),
            Self::Type { found, wanted } => {
                write!(f, "npy: holds numbers of type {found:?}, not {wanted:?}; ")?;
                match &**found {
                    "<f4" => f.write_str("read a tensor of f32"),
                    "<f8" => f.write_str("read a tensor of f64"),
                    _ => write!(f, "save array.astype({wanted:?})"),
                }
            }
            Self::FortranOrder => {
                f.write_str("npy: in Fortran order; save numpy.ascontiguousarray(array)")
            }
            Self::Shape(error) => write!(f, "npy: {error}"),
        }
    }
}

impl std::error::Error for NpyError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Read(error) => Some(error),
            Self::Shape(error) => Some(error),
            _ => None,
        }
    }
}

/// Returns the type of the numbers as NumPy writes it.
fn descr<T: Element>() -> &'static str {
    if size_of::<T>() == 4 { "<f4" } else { "<f8" }
}

impl<T: Element> Tensor<T> {
    /// Writes the tensor as `.npy`, version 1. The writer should be buffered if small writes are
    /// slow.
    ///
    /// ```
    /// use vdn_tensor::Tensor;
    /// let tensor = Tensor::from_slice([2, 3], &[1.0_f32, 2.0, 3.0, 4.0, 5.0, 6.0])?;
    /// let mut file = Vec::new(); // or a std::fs::File
    /// tensor.write_npy(&mut file)?;
    /// let back = Tensor::<f32>::read_npy(&file[..])?;
    /// assert_eq!((back.shape(), back.data()), (tensor.shape(), tensor.data()));
    /// assert!(Tensor::<f64>::read_npy(&file[..]).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Returns the errors of the writer.
    pub fn write_npy(&self, mut to: impl Write) -> io::Result<()> {
        let dims: Vec<String> = self.shape().dims().iter().map(ToString::to_string).collect();
        // A tuple of one element has a comma after it.
        let comma = if dims.len() == 1 { "," } else { "" };
        let dims = dims.join(", ");
        let mut header = format!(
            "{{'descr': '{}', 'fortran_order': False, 'shape': ({dims}{comma}), }}",
            descr::<T>()
        );
        let before = MAGIC.len() + 4;
        let end = (before + header.len() + 1).next_multiple_of(ALIGNMENT);
        header.extend(std::iter::repeat_n(' ', end - before - header.len() - 1));
        header.push('\n');
        to.write_all(MAGIC)?;
        to.write_all(&[1, 0])?;
        to.write_all(&(header.len() as u16).to_le_bytes())?;
        to.write_all(header.as_bytes())?;
        let size = size_of::<T>();
        for piece in self.data().chunks(PIECE / size) {
            let bytes: Vec<u8> = match size {
                4 => piece.iter().flat_map(|x| (x.to_f64() as f32).to_le_bytes()).collect(),
                _ => piece.iter().flat_map(|x| x.to_f64().to_le_bytes()).collect(),
            };
            to.write_all(&bytes)?;
        }
        Ok(())
    }

    /// Reads a tensor from `.npy`, up to its last number; later bytes stay in the reader. NaN and
    /// infinite numbers are read as they are.
    ///
    /// # Errors
    /// Returns an error if the bytes end too early or are not `.npy` of version 1 or 2, if the
    /// header is longer than 64 KiB, if the numbers have another type or byte order, if the array
    /// is in Fortran order, or if it has more than [`MAX_RANK`](crate::MAX_RANK) dimensions.
    pub fn read_npy(mut from: impl Read) -> Result<Self, NpyError> {
        let header = read_header(&mut from)?;
        let Header { descr: found, fortran_order, dims } = Header::parse(&header)?;
        let wanted = descr::<T>();
        if found != wanted {
            return Err(NpyError::Type { found, wanted });
        }
        if fortran_order && dims.len() > 1 {
            return Err(NpyError::FortranOrder);
        }
        let shape = Shape::new(&dims).map_err(NpyError::Shape)?;
        let size = size_of::<T>();
        let too_large = || NpyError::Format(format!("shape {shape}: too many numbers"));
        let mut left = shape.numel().checked_mul(size).ok_or_else(too_large)?;
        let mut numbers: Vec<T> = Vec::new();
        let mut piece = vec![0; PIECE.min(left)];
        while left > 0 {
            let now = &mut piece[..PIECE.min(left)];
            from.read_exact(now).map_err(NpyError::Read)?;
            left -= now.len();
            match size {
                4 => numbers.extend(
                    now.as_chunks()
                        .0
                        .iter()
                        .map(|&b| T::from_f64(f64::from(f32::from_le_bytes(b)))),
                ),
                _ => numbers
                    .extend(now.as_chunks().0.iter().map(|&b| T::from_f64(f64::from_le_bytes(b)))),
            }
        }
        Self::from_slice(shape, &numbers).map_err(NpyError::Shape)
    }
}

/// Reads the bytes of the header.
fn read_header(from: &mut impl Read) -> Result<Vec<u8>, NpyError> {
    let mut start = [0; 8];
    from.read_exact(&mut start).map_err(NpyError::Read)?;
    if start[..6] != *MAGIC {
        return Err(NpyError::Format("does not begin as an .npy file".to_owned()));
    }
    let length = match start[6..] {
        [1, 0] => {
            let mut bytes = [0; 2];
            from.read_exact(&mut bytes).map_err(NpyError::Read)?;
            usize::from(u16::from_le_bytes(bytes))
        }
        [2, 0] => {
            let mut bytes = [0; 4];
            from.read_exact(&mut bytes).map_err(NpyError::Read)?;
            u32::from_le_bytes(bytes) as usize
        }
        _ => {
            let [major, minor] = [start[6], start[7]];
            let reason = format!("version {major}.{minor}: 1.0 and 2.0 are read");
            return Err(NpyError::Format(reason));
        }
    };
    if length > MOST_HEADER {
        let reason = format!("a header of {length} bytes: at most {MOST_HEADER} are read");
        return Err(NpyError::Format(reason));
    }
    let mut header = vec![0; length];
    from.read_exact(&mut header).map_err(NpyError::Read)?;
    Ok(header)
}

/// The contents of a header.
struct Header {
    descr: String,
    fortran_order: bool,
    dims: Vec<usize>,
}

impl Header {
    /// Parses the dictionary, whose keys may come in any order.
    fn parse(bytes: &[u8]) -> Result<Self, NpyError> {
        let text = std::str::from_utf8(bytes).ok();
        let found = text.and_then(|text| dictionary(text.trim()));
        found.ok_or_else(|| {
            let shown: String = String::from_utf8_lossy(bytes).chars().take(60).collect();
            NpyError::Format(format!("the header {shown:?} is not that of a plain array"))
        })
    }
}

/// Parses `{'descr': '<f8', 'fortran_order': False, 'shape': (2, 3), }`.
fn dictionary(text: &str) -> Option<Header> {
    let mut rest = text.strip_prefix('{')?.strip_suffix('}')?.trim();
    let (mut descr, mut fortran_order, mut dims) = (None, None, None);
    while !rest.is_empty() {
        let (key, after) = quoted(rest)?;
        let value = after.trim_start().strip_prefix(':')?.trim_start();
        rest = match key {
            "descr" if descr.is_none() => {
                let (value, rest) = quoted(value)?;
                descr = Some(value.to_owned());
                rest
            }
            "fortran_order" if fortran_order.is_none() => {
                let (value, rest) = match value.strip_prefix("True") {
                    Some(rest) => (true, rest),
                    None => (false, value.strip_prefix("False")?),
                };
                fortran_order = Some(value);
                rest
            }
            "shape" if dims.is_none() => {
                let (inside, rest) = value.strip_prefix('(')?.split_once(')')?;
                dims = Some(tuple(inside)?);
                rest
            }
            _ => return None,
        };
        rest = rest.trim_start();
        // A comma stands between pairs, and optionally after the last one.
        rest = match rest.strip_prefix(',') {
            Some(rest) => rest.trim_start(),
            None if rest.is_empty() => rest,
            None => return None,
        };
    }
    Some(Header { descr: descr?, fortran_order: fortran_order?, dims: dims? })
}

/// Returns the quoted text at the start, and the text after it.
fn quoted(text: &str) -> Option<(&str, &str)> {
    let quote = text.chars().next().filter(|c| ['\'', '"'].contains(c))?;
    text[1..].split_once(quote)
}

/// Parses whole numbers between commas. A single number must have a comma after it.
fn tuple(inside: &str) -> Option<Vec<usize>> {
    let inside = inside.trim();
    if inside.is_empty() {
        return Some(Vec::new());
    }
    let (numbers, closed) = match inside.strip_suffix(',') {
        Some(numbers) => (numbers, true),
        None => (inside, false),
    };
    let dims: Option<Vec<usize>> = numbers.split(',').map(|n| n.trim().parse().ok()).collect();
    dims.filter(|dims| dims.len() > 1 || closed)
}

#[cfg(test)]
mod tests;
