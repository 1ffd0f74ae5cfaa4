//! Size classes of kept buffers.

#[path = "../../src/size_class.rs"]
mod source;

use source::{UNIT, size_class};

#[test]
fn every_length_fits_its_class_and_little_is_wasted() {
    let mut last = (0, 0);
    for len in 0..100_000 {
        let (class, capacity) = size_class(len);
        assert!(capacity >= len, "length {len}: capacity {capacity}");
        let waste = capacity - len;
        assert!(waste <= UNIT + len / 4, "length {len}: {waste} wasted");
        let same = (class == last.0) == (capacity == last.1);
        assert!(same && class >= last.0, "length {len}: class {class} after {}", last.0);
        last = (class, capacity);
    }
}
