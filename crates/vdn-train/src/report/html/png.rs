//! A minimal PNG writer for heat maps: eight bits, three channels, no filter.

use flate2::Compression;
use flate2::write::ZlibEncoder;
use std::io::Write;

/// An image with `width` pixels per row, three bytes each, as a data URI.
///
/// # Panics
/// Panics if `pixels` is not a whole number of rows.
pub(super) fn data_uri(width: usize, pixels: &[[u8; 3]]) -> String {
    assert!(
        width > 0 && pixels.len().is_multiple_of(width),
        "{} pixels in rows of {width}",
        pixels.len()
    );
    format!("data:image/png;base64,{}", base64(&encode(width, pixels)))
}

fn encode(width: usize, pixels: &[[u8; 3]]) -> Vec<u8> {
    let height = pixels.len() / width;
    let mut rows = Vec::with_capacity(pixels.len() * 3 + height);
    for row in pixels.chunks_exact(width) {
        rows.push(0);
        rows.extend(row.iter().flatten());
    }
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(&rows).expect("writing to memory cannot fail");
    let data = encoder.finish().expect("writing to memory cannot fail");
    let mut header = Vec::with_capacity(13);
    header.extend((width as u32).to_be_bytes());
    header.extend((height as u32).to_be_bytes());
    // Eight bits, true colour, the only compression and filter methods, not interlaced.
    header.extend([8, 2, 0, 0, 0]);
    let mut out = b"\x89PNG\r\n\x1a\n".to_vec();
    chunk(&mut out, b"IHDR", &header);
    chunk(&mut out, b"IDAT", &data);
    chunk(&mut out, b"IEND", &[]);
    out
}

fn chunk(out: &mut Vec<u8>, kind: &[u8; 4], data: &[u8]) {
    let mut sum = flate2::Crc::new();
    sum.update(kind);
    sum.update(data);
    out.extend((data.len() as u32).to_be_bytes());
    out.extend(kind);
    out.extend(data);
    out.extend(sum.sum().to_be_bytes());
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let word = group.iter().fold(0_u32, |word, &b| word << 8 | u32::from(b))
            << (8 * (3 - group.len()));
        for i in 0..4 {
            let letter = LETTERS[(word >> (18 - 6 * i) & 63) as usize] as char;
            out.push(if i <= group.len() { letter } else { '=' });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_rfc_4648() {
        for (text, want) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")]
        {
            assert_eq!(base64(text.as_bytes()), want);
        }
    }

    #[test]
    fn the_image_has_its_size_and_checksums() {
        let png = encode(2, &[[1, 2, 3]; 6]);
        assert_eq!(png[..8], *b"\x89PNG\r\n\x1a\n");
        assert_eq!(png[16..24], [0, 0, 0, 2, 0, 0, 0, 3]);
        // The checksum of an empty end chunk, from the PNG specification.
        assert_eq!(png[png.len() - 4..], [0xAE, 0x42, 0x60, 0x82]);
    }
}
