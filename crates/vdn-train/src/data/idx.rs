//! The IDX format of MNIST: labelled images of bytes, plain or gzip.
//!
//! Format (Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits"): two zero
//! bytes, a type code (`0x08`: unsigned bytes), the number of dimensions, each dimension as a
//! big-endian `u32`, then the values in row-major order.

use std::path::Path;

use crate::data::limits::Limits;
use crate::data::source::Content;
use crate::error::data::DataError;

/// An array of bytes from an IDX file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdxArray {
    /// The dimensions.
    pub shape: Vec<usize>,
    /// The values, row-major.
    pub values: Vec<u8>,
}

impl IdxArray {
    /// Reads an IDX file of unsigned bytes, plain or gzip.
    ///
    /// # Errors
    ///
    /// [`DataError::Read`], [`DataError::Gzip`], [`DataError::Empty`]; [`DataError::Format`] for a
    /// wrong magic number, another type of values, or a length that differs from the header;
    /// [`DataError::Limit`].
    pub fn load(path: impl AsRef<Path>) -> Result<Self, DataError> {
        Self::parse(Content::open(path.as_ref(), Limits::default())?)
    }

    /// Like [`IdxArray::load`], for content in memory. `file` names it in messages.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`IdxArray::load`].
    pub fn from_bytes(file: &str, bytes: &[u8]) -> Result<Self, DataError> {
        Self::parse(Content::of_bytes(file, bytes, Limits::default())?)
    }

    fn parse(mut content: Content<'_>) -> Result<Self, DataError> {
        let file = content.file().to_owned();
        let format = |problem: String| DataError::Format { file: file.clone(), problem };
        let mut magic = [0; 4];
        match content.fill(&mut magic)? {
            0 => return Err(DataError::Empty { file }),
            4 => {}
            bytes => return Err(format(format!("{bytes} bytes are too few for an IDX header"))),
        }
        let dimensions = match magic {
            [0, 0, 0x08, dimensions] if dimensions > 0 => usize::from(dimensions),
            [0, 0, kind @ (0x09 | 0x0b..=0x0e), _] => {
                let problem = format!("IDX type {kind:#04x}; only unsigned bytes (0x08) are read");
                return Err(format(problem));
            }
            magic => {
                let problem =
                    format!("bad magic number {:#010x}: not IDX", u32::from_be_bytes(magic));
                return Err(format(problem));
            }
        };
        let mut header = vec![0; 4 * dimensions];
        if content.fill(&mut header)? < header.len() {
            let problem = format!("the header is cut off: {dimensions} dimensions are announced");
            return Err(format(problem));
        }
        let shape: Vec<usize> = header
            .chunks_exact(4)
            .map(|size| size.iter().fold(0, |value, &byte| value << 8 | usize::from(byte)))
            .collect();
        let announced = elements(&shape);
        // The header is not trusted: values are stored as they arrive, and never more than it
        // announces.
        let (mut values, mut found, mut piece) = (Vec::new(), 0, vec![0; 1 << 16]);
        loop {
            let read = content.fill(&mut piece)?;
            found += read;
            if announced.is_some_and(|announced| found <= announced) {
                values.extend_from_slice(&piece[..read]);
            }
            if read < piece.len() {
                break;
            }
        }
        if announced != Some(found) {
            let problem = format!("shape {shape:?} is announced, {found} values follow");
            return Err(format(problem));
        }
        Ok(Self { shape, values })
    }
}

/// The number of elements of an array; `None` if it exceeds the range of `usize`.
fn elements(shape: &[usize]) -> Option<usize> {
    shape.iter().try_fold(1_usize, |product, &size| product.checked_mul(size))
}

/// Labelled images.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageSet {
    height: usize,
    width: usize,
    classes: usize,
    pixels: Vec<u8>,
    labels: Vec<u8>,
}

impl ImageSet {
    /// Reads images (`[count, height, width]`) and their labels (`[count]`).
    ///
    /// # Errors
    ///
    /// Returns the errors of [`IdxArray::load`], and [`DataError::Mismatch`] if the arrays do not
    /// have these shapes or are empty.
    pub fn load(images: impl AsRef<Path>, labels: impl AsRef<Path>) -> Result<Self, DataError> {
        Self::new(IdxArray::load(images)?, IdxArray::load(labels)?)
    }

    /// Creates a set from images (`[count, height, width]`) and labels (`[count]`) in memory.
    ///
    /// # Errors
    ///
    /// [`DataError::Mismatch`] if the arrays do not have these shapes or are empty.
    pub fn new(images: IdxArray, labels: IdxArray) -> Result<Self, DataError> {
        let classes = labels.values.iter().max().map(|&label| usize::from(label) + 1);
        match (&images.shape[..], &labels.shape[..], classes) {
            (&[count, height, width], &[labelled], Some(classes))
                if count == labelled
                    && labels.values.len() == count
                    && elements(&images.shape) == Some(images.values.len())
                    && !images.values.is_empty() =>
            {
                Ok(Self { height, width, classes, pixels: images.values, labels: labels.values })
            }
            _ => {
                let problem = format!(
                    "images of shape {:?} ({} values) and labels of shape {:?} ({} values); \
                     [count, height, width] and [count] are expected, none of them 0",
                    images.shape,
                    images.values.len(),
                    labels.shape,
                    labels.values.len()
                );
                Err(DataError::Mismatch { op: "image set", problem })
            }
        }
    }

    /// This set with the images of another set appended.
    ///
    /// # Errors
    ///
    /// [`DataError::Mismatch`] if the images have another size.
    pub fn joined(mut self, other: &Self) -> Result<Self, DataError> {
        let sizes = [[self.height, self.width], [other.height, other.width]];
        if sizes[0] != sizes[1] {
            let problem = format!("images of {:?} and of {:?} pixels", sizes[0], sizes[1]);
            return Err(DataError::Mismatch { op: "image set", problem });
        }
        self.pixels.extend_from_slice(&other.pixels);
        self.labels.extend_from_slice(&other.labels);
        self.classes = self.classes.max(other.classes);
        Ok(self)
    }

    /// The number of images.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Never true, because a set without images cannot be created.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The number of pixel rows of an image.
    pub fn height(&self) -> usize {
        self.height
    }

    /// The number of pixels in a row of an image.
    pub fn width(&self) -> usize {
        self.width
    }

    /// The number of pixels of an image.
    pub fn n_pixels(&self) -> usize {
        self.height * self.width
    }

    /// The number of classes: one more than the largest label.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// The labels of all images.
    pub fn labels(&self) -> &[u8] {
        &self.labels
    }

    /// The pixels of all images as bytes, `[count, height, width]` row-major.
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// Copies images into a batch; `x` is `[images, height * width]` row-major. Each pixel is
    /// divided by 255. Nothing is allocated.
    ///
    /// # Errors
    ///
    /// [`DataError::Mismatch`] if the buffer has another size or an image does not exist.
    pub fn fill_batch<T>(
        &self,
        images: &[usize],
        x: &mut [T],
        convert: impl Fn(f64) -> T,
    ) -> Result<(), DataError> {
        let n_pixels = self.n_pixels();
        let bad = |problem| Err(DataError::Mismatch { op: "fill_batch", problem });
        if images.len().checked_mul(n_pixels) != Some(x.len()) {
            let count = images.len();
            return bad(format!("the buffer has {} elements, not [{count}, {n_pixels}]", x.len()));
        }
        if let Some(image) = images.iter().find(|&&image| image >= self.len()) {
            return bad(format!("there is no image {image}, only {}", self.len()));
        }
        for (&image, out) in images.iter().zip(x.chunks_exact_mut(n_pixels)) {
            let pixels = &self.pixels[image * n_pixels..][..n_pixels];
            for (out, &pixel) in out.iter_mut().zip(pixels) {
                *out = convert(f64::from(pixel) / 255.0);
            }
        }
        Ok(())
    }
}
